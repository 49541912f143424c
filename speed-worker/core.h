/* core.h - the speed worker: owns partitions, appends durably, keeps the real-time views.
 *
 * A pure core (base/env.h): the shell or the simulator calls receive, job_done and tick. What it
 * promises: docs/protocol.md (`send`, `append`, `query`), docs/coordination.md (leases, controls,
 * base). */
#ifndef WEIR_SPEED_WORKER_CORE_H
#define WEIR_SPEED_WORKER_CORE_H

#include "base/env.h"

typedef struct speed_core speed_core_t;

typedef struct speed_options {
    const char *node; /* unique in the cluster */
    const char *cluster;
    uint64_t place;       /* of the data directory; 0: not known */
    uint64_t cluster_id;  /* in the headers of log segments */
    uint32_t partitions;  /* P */
    const char *endpoint; /* where others reach it */
    peer_t coordinator;
    const peer_t *standbys; /* other coordinators, one of which may lead instead; copied */
    size_t standbys_count;
    int64_t max_ahead;     /* µs that an event may be ahead of the clock */
    uint64_t memory_limit; /* bytes, see pressure.h; below it producers are told `busy` */
    uint64_t segment_size; /* bytes of a log segment; 0 is the default */
    uint64_t
        disk_reserve; /* bytes: with fewer free, no events are taken (space.h); 0: not looked at */
} speed_options_t;

/* Options are copied; `env` outlives the core. */
speed_core_t *speed_core_new (env_t *env, const speed_options_t *options);
void speed_core_destroy (speed_core_t **self_p); /* jobs under way come back through discard */
void speed_core_receive (speed_core_t *self, const peer_t *from, const void *data, size_t size);
void speed_core_job_done (speed_core_t *self, job_t *job);
/* Does what is due; returns the boot time (µs) of the next tick. Call it after every batch of
 * messages and jobs too: appends are flushed by it, so that those which came together share an
 * fsync. */
int64_t speed_core_tick (speed_core_t *self);

#endif
