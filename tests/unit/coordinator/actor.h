/* actor.h - how the nodes of a cluster.h play their part. */
#ifndef WEIR_TESTS_COORDINATOR_ACTOR_H
#define WEIR_TESTS_COORDINATOR_ACTOR_H

#include "tests/unit/coordinator/cluster.h"

void actor_beat (cluster_t *self, actor_t *actor);
void actor_take_orders (cluster_t *self, actor_t *actor, const message_t *message);
void actor_take_tasks (cluster_t *self, actor_t *actor, wire_list_t orders);
/* Finishes tasks, unless it is lazy. */
void actor_work (cluster_t *self, actor_t *actor);
const char *actor_partition_state (const cluster_t *self, const played_partition_t *held);

/* The message in the writer goes to the coordinator, or is lost. */
void cluster_deliver (cluster_t *self, const char *from);
void cluster_put_file (cluster_t *self, const char *path);

#endif
