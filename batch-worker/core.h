/* core.h - the batch worker: runs the coordinator's tasks, load and build.
 *
 * A pure core (base/env.h): the shell or the simulator calls receive, job_done and tick. Tasks run
 * as jobs; they write under names of their attempt and count only through the coordinator's commit
 * (docs/coordination.md). */
#ifndef WEIR_BATCH_WORKER_CORE_H
#define WEIR_BATCH_WORKER_CORE_H

#include "base/env.h"

typedef struct batch_core batch_core_t;

typedef struct batch_options {
    const char *node; /* unique in the cluster */
    const char *cluster;
    uint64_t place;      /* of the data directory; 0: not known */
    uint64_t cluster_id; /* in the headers of log segments */
    uint32_t partitions; /* P */
    peer_t coordinator;
    const peer_t *standbys; /* other coordinators, one of which may lead instead; copied */
    size_t standbys_count;
    int64_t max_ahead;     /* µs that an event may be ahead of the clock */
    uint64_t memory_limit; /* bytes that a task may use for sorting */
    uint64_t disk_reserve; /* bytes that a load leaves free, and a build half of: it makes room */
    const char *data;      /* where the data directory is, for messages; NULL: not said */
    uint32_t tasks_max;    /* tasks run at the same time, and one fold beside them … */
    uint64_t fold_memory;  /* … which has so many bytes */
    double skew_psi;       /* above these a look at answers raises an alert (docs/skew.md) */
    double skew_ks;
    double skew_null_rate;
    unsigned threads; /* that a load may use; 0 is 1, and then none is started */
} batch_options_t;

/* Options are copied; `env` outlives the core. */
batch_core_t *batch_core_new (env_t *env, const batch_options_t *options);
void batch_core_destroy (batch_core_t **self_p); /* jobs under way come back through discard */

/* Has jobs under way end soon: the node is about to stop, and waits for them. */
void batch_core_stop (batch_core_t *self);
void batch_core_receive (batch_core_t *self, const peer_t *from, const void *data, size_t size);
void batch_core_job_done (batch_core_t *self, job_t *job);
/* Does what is due; returns the boot time (µs) of the next tick. */
int64_t batch_core_tick (batch_core_t *self);

#endif
