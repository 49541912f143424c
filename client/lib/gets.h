/* gets.h - queries under way, several at a time and to several serving nodes, until each is
 * answered or its time is over.
 *
 * A query is harmless to ask twice: one whose node is gone goes to another at once, and one that is
 * not answered by half its time is asked of another too, whichever answers first. */
#ifndef WEIR_CLIENT_GETS_H
#define WEIR_CLIENT_GETS_H

#include "client/lib/session.h"

enum { GETS_MAX = 1025 };

typedef struct gets gets_t;

/* A query has ended: `reply` is a get.ok that fits the question, valid until this returns, or NULL
 * and `error` says why. */
typedef void gets_done_fn (void *arg, uint64_t tag, const message_t *reply, const error_t *error);

/* Up to `most` at a time. The client outlives it. */
gets_t *gets_new (client_t *client, size_t most, gets_done_fn *done, void *arg);
/* Forgets what is under way. */
void gets_destroy (gets_t **self_p);

/* Asks, without waiting. BUSY when `most` are under way, TOO_LARGE. */
MUST_CHECK status_t gets_submit (gets_t *self, const client_get_t *get, uint64_t tag,
                                 error_t *error);
size_t gets_under_way (const gets_t *self);

#endif
