/* roles.h - who may send which kind of message: docs/security.md in C.
 *
 * Every public key that a cluster accepts has one role. Each line of MESSAGE_TABLE (wire.h) names
 * one of the sets below, so that a new kind cannot forget to say who may send it; the shell of a
 * node refuses the others before the core sees them. */
#ifndef WEIR_WIRE_ROLES_H
#define WEIR_WIRE_ROLES_H

#include "base/status.h"
#include "base/text.h"

/* name, word in names of files and in messages */
#define ROLE_TABLE(X)                                                                              \
    X (READER, "reader")     /* asks for features */                                               \
    X (PRODUCER, "producer") /* sends events */                                                    \
    X (ADMIN, "admin")       /* all that clients may do */                                         \
    X (NODE, "node")         /* a process of the cluster */

typedef enum peer_role {
    ROLE_NONE = 0, /* a key that is not accepted, or not any more: nothing */
#define X(name, word) ROLE_##name,
    ROLE_TABLE (X)
#undef X
        ROLE_OPEN, /* whoever connects where no security is set: everything */
    ROLE_COUNT
} peer_role_t;

#define ROLE_BIT(name) (1u << ROLE_##name)

/* name, roles, words for docs/security.md */
#define ACCESS_TABLE(X)                                                                            \
    X (ANYONE, ROLE_BIT (READER) | ROLE_BIT (PRODUCER) | ROLE_BIT (ADMIN) | ROLE_BIT (NODE),       \
       "reader, producer, admin, node")                                                            \
    X (READERS, ROLE_BIT (READER) | ROLE_BIT (ADMIN), "reader, admin")                             \
    X (PRODUCERS, ROLE_BIT (PRODUCER) | ROLE_BIT (ADMIN), "producer, admin")                       \
    X (ADMINS, ROLE_BIT (ADMIN), "admin")                                                          \
    X (NODES, ROLE_BIT (NODE), "node")

typedef enum access {
#define X(name, roles, words) ACCESS_##name,
    ACCESS_TABLE (X)
#undef X
} access_t;

/* The words of a role ("none" and "open" for those without a key) and of a set of roles. Static. */
const char *peer_role_word (peer_role_t role);
const char *access_words (access_t access);

/* The role that keys can have whose word is `word`; ROLE_NONE when there is none. */
peer_role_t peer_role_from_word (text_t word);

/* Is the role in the set? ROLE_OPEN is in all, ROLE_NONE in none. */
bool access_allows (access_t access, peer_role_t role);

#endif
