/* abnf.h - the grammar of docs/expressions.md as the page has it: to write texts that it allows,
 * and to say whether it allows a text. */
#ifndef WEIR_TESTS_EXPR_ABNF_H
#define WEIR_TESTS_EXPR_ABNF_H

#include "base/buf.h"
#include "base/random.h"
#include "base/text.h"

typedef struct abnf abnf_t;

enum { ABNF_TEXT_MAX = 127 }; /* bytes of a text that can be matched */

/* Reads rules (RFC 5234, of which the page uses a part). Fails the test when it cannot. `names` and
 * `functions`, both ending with NULL, are what is written where the grammar has one of them. */
abnf_t *abnf_read (const char *rules, const char *const *names, const char *const *functions);
void abnf_destroy (abnf_t **self_p);

/* Appends a random text of the first rule, with a blank between all tokens. */
void abnf_write (const abnf_t *self, random_t *random, buf_t *out);

/* Can the whole text be made by the first rule? */
bool abnf_matches (const abnf_t *self, text_t text);

#endif
