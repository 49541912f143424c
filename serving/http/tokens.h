/* tokens.h - the bearer tokens that are let in, and the role of each: a file with a line for each,
 * `ROLE TOKEN`, that is read again when it changes. */
#ifndef WEIR_HTTP_TOKENS_H
#define WEIR_HTTP_TOKENS_H

#include "base/status.h"
#include "base/text.h"
#include "wire/roles.h"

typedef struct tokens tokens_t;

/* The lines of a file: blank ones and those that begin with # are nothing. INVALID with the line
 * that is wrong. */
MUST_CHECK status_t tokens_parse (text_t text, tokens_t **tokens, error_t *error);

/* Of a file that only its owner may read; INVALID, NOT_FOUND or IO otherwise. */
MUST_CHECK status_t tokens_read (const char *path, tokens_t **tokens, error_t *error);
/* Is the file another one than what was read, or has it changed? */
bool tokens_changed (const tokens_t *self);
void tokens_destroy (tokens_t **self_p);

size_t tokens_count (const tokens_t *self);

/* The role of who sends this header ("Bearer …", or NULL): ROLE_NONE for a token that is not in the
 * file. Takes as long whichever of the tokens it is like, and however much. */
peer_role_t tokens_role (const tokens_t *self, const char *authorization);

#endif
