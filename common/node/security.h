/* security.h - a node's keys, and who may send it what.
 *
 * Where weir.yaml sets security, every message is held against the table of kinds (wire/roles.h)
 * before the core sees it. Keys are read again when their files change (docs/security.md). */
#ifndef WEIR_NODE_SECURITY_H
#define WEIR_NODE_SECURITY_H

#include "base/env.h"
#include "feature/project.h"
#include "transport/transport.h"
#include "wire/wire.h"

typedef struct security {
    const char *directory; /* of keys; NULL: no security */
    char *secret_path;
    wire_writer_t *writer;
    int64_t look_us; /* boot time µs: when the files are looked at next */
    int64_t warned_us;
    uint64_t unmet;               /* handshakes of our own that had failed at the last look */
    unsigned unmet_looks;         /* one after the other at which there were more */
    uint64_t denied;              /* messages of a kind that their sender's role may not send */
    uint64_t stray;               /* answers from who was not asked, and questions from who was */
    uint64_t reread;              /* times that other keys were taken */
    char problem[ERROR_TEXT_MAX]; /* what was wrong with the files when they were read last */
} security_t;

/* Reads the keys of a node of this name; `key` is its secret key's file, or NULL. `*keyring` is
 * NULL when the project sets no security. INVALID, saying what to do, when a file is not as it
 * should be or the node's own key is not accepted as a node's. */
MUST_CHECK status_t security_open (security_t *self, const project_t *project, const char *name,
                                   const char *key, keyring_t **keyring, error_t *error);
void security_release (security_t *self); /* idempotent */

/* May the core see this message? When not, it is counted, and a question is answered. */
bool security_admits (security_t *self, env_t *env, const peer_t *from, const void *data,
                      size_t size);

/* Reads the keys again when their files have changed, at most once a second unless `now` is set.
 * What is wrong with them is told to the log, and the keys in use stay. */
void security_look (security_t *self, env_t *env, transport_t *transport, bool now);
/* Boot time µs of the next look; INT64_MAX without security. */
int64_t security_due (const security_t *self);

size_t security_counters (const security_t *self, const transport_t *transport,
                          env_counter_t counters[ENV_COUNTERS_MAX]);

#endif
