/* core.h - the serving node: answers queries with batch view ⊕ real-time view.
 *
 * A pure core (base/env.h): the shell or the simulator calls receive, job_done and tick. What it
 * promises: docs/protocol.md (`get`), docs/coordination.md (A query). */
#ifndef WEIR_SERVING_CORE_H
#define WEIR_SERVING_CORE_H

#include "base/env.h"

typedef struct serving_core serving_core_t;

typedef struct serving_options {
    const char *node; /* unique in the cluster */
    const char *cluster;
    uint64_t place;       /* of the data directory; 0: not known */
    uint32_t partitions;  /* P */
    const char *endpoint; /* where clients reach it */
    peer_t coordinator;
    const peer_t *standbys; /* other coordinators, one of which may lead instead; copied */
    size_t standbys_count;
    uint32_t slow_max;        /* slow-path evaluations at the same time */
    int64_t default_deadline; /* µs, for a `get` that names none */
    size_t query_memory;      /* bytes that the answers of one query may hold; 0: 1 GiB */
    double sample;            /* share of the keys whose answers are kept; 0: none */
    uint64_t sample_size;     /* bytes of them that are kept … */
    int64_t sample_keep;      /* … for so long, µs */
    size_t node_memory;       /* and of all that are under way; 0: as much */
} serving_options_t;

/* Options are copied; `env` outlives the core. */
serving_core_t *serving_core_new (env_t *env, const serving_options_t *options);
void serving_core_destroy (serving_core_t **self_p); /* jobs under way come back through discard */
void serving_core_receive (serving_core_t *self, const peer_t *from, const void *data, size_t size);
void serving_core_job_done (serving_core_t *self, job_t *job);
/* Does what is due; returns the boot time (µs) of the next tick. */
int64_t serving_core_tick (serving_core_t *self);

#endif
