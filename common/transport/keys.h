/* keys.h - key pairs for CURVE (RFC 26), in files.
 *
 * The files are those that zcert and pyzmq's zmq.auth read and write: `public-key = "..."` and
 * `secret-key = "..."` in Z85 (RFC 32). A public file has the first alone. */
#ifndef WEIR_TRANSPORT_KEYS_H
#define WEIR_TRANSPORT_KEYS_H

#include "base/status.h"
#include "wire/roles.h"

enum {
    KEY_TEXT_SIZE = 40, /* bytes of a key in Z85 */
    KEY_NAME_MAX = 64,  /* bytes of a key's name */
    KEY_PATH_MAX = 1024,
};

typedef struct key_pair {
    char public[KEY_TEXT_SIZE + 1];
    char secret[KEY_TEXT_SIZE + 1];
} key_pair_t;

/* Overwrites the secret in memory. */
void key_pair_forget (key_pair_t *pair);

/* A key has a name of up to KEY_NAME_MAX letters, digits, "-" and "_", as files and logs show it.
 */
MUST_CHECK status_t key_name_check (const char *name, error_t *error);

/* Makes a new pair and writes `directory`/NAME.secret (mode 0600) and
 * `directory`/accepted/NAME.ROLE.pub (0644), making the directories that are not there (0700).
 * EXISTS when either file is there already: nothing is written over. */
MUST_CHECK status_t key_generate (const char *directory, const char *name, peer_role_t role,
                                  error_t *error);

/* Reads both keys. INVALID, saying what to do, when others than the owner may read the file, or the
 * keys do not belong together; NOT_FOUND when there is none. */
MUST_CHECK status_t key_read_pair (const char *path, key_pair_t *pair, error_t *error);

/* Reads the public key of a public file or of a secret one. */
MUST_CHECK status_t key_read_public (const char *path, char key[KEY_TEXT_SIZE + 1], error_t *error);

#endif
