/* keyring.h - a process's own key pair and the public keys that it accepts, from a directory.
 *
 *     keys/NAME.secret             a pair (mode 0600); which one is ours, the caller says
 *     keys/accepted/NAME.ROLE.pub  a public key that is accepted in that role
 *
 * The nodes among the accepted are also the servers that are trusted when we connect. A keyring
 * never changes: when the files have, a new one is read (docs/security.md). */
#ifndef WEIR_TRANSPORT_KEYRING_H
#define WEIR_TRANSPORT_KEYRING_H

#include "transport/keys.h"

#include <stddef.h>
#include <stdint.h>

enum { KEYRING_MAX = 1024 /* accepted keys */ };

typedef struct accepted_key {
    char key[KEY_TEXT_SIZE + 1];
    char name[KEY_NAME_MAX + 1];
    peer_role_t role;
} accepted_key_t;

typedef struct keyring keyring_t;

/* Reads the pair at `secret_path` and the accepted keys below `directory`. A file of accepted keys
 * that is not as it should be accepts nothing, and is what keyring_complaint tells of; so are
 * directories that others than their owner may write into, whose keys are accepted all the same. */
MUST_CHECK status_t keyring_read (const char *directory, const char *secret_path,
                                  keyring_t **keyring, error_t *error);
/* The same with the pair in `own` instead, which is copied: for when the file's is not to be used.
 * It has changed when that file has, too. */
MUST_CHECK status_t keyring_read_accepted (const char *directory, const char *secret_path,
                                           const key_pair_t *own, keyring_t **keyring,
                                           error_t *error);
/* The same from memory. Copies; what has the same key as one before is left out. */
keyring_t *keyring_of (const key_pair_t *own, const accepted_key_t *accepted, size_t count);
void keyring_destroy (keyring_t **self_p); /* overwrites the secret */

/* Have the files changed since they were read, as names, sizes and times say? */
bool keyring_changed (const keyring_t *self);

/* What was wrong with the first bad file of accepted keys; "" when all were good. */
const char *keyring_complaint (const keyring_t *self);

const key_pair_t *keyring_own (const keyring_t *self);

/* Who has this public key; NULL when it is not accepted. */
const accepted_key_t *keyring_find (const keyring_t *self, const char *key);

/* The public keys of nodes, from 0 on; NULL past the last. */
const char *keyring_server (const keyring_t *self, size_t at);
size_t keyring_servers (const keyring_t *self);
size_t keyring_count (const keyring_t *self);

#endif
