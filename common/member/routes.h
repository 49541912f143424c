/* routes.h - who owns which partition, as the coordinator says. */
#ifndef WEIR_MEMBER_ROUTES_H
#define WEIR_MEMBER_ROUTES_H

#include "base/env.h"
#include "wire/wire.h"

typedef struct routes routes_t;

/* `env` outlives it, and so does `coordinator`: it is asked whoever stands there then. */
routes_t *routes_new (env_t *env, const peer_t *coordinator, uint32_t partitions);
void routes_destroy (routes_t **self_p);

/* The version that the latest orders speak of. */
void routes_want (routes_t *self, uint64_t version);

/* Asks for newer routes when there are some; returns the boot time (µs) of the next tick. */
int64_t routes_tick (routes_t *self);

/* True when it was the answer to our question, and has been dealt with. */
bool routes_receive (routes_t *self, const message_t *message);

/* The owner of a partition; size 0 when there is nobody. Valid until the next receive. */
const peer_t *routes_owner (const routes_t *self, uint32_t partition);

#endif
