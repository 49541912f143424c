/* core.h - the coordinator: membership, leases, recompute schedule, tasks, catalog.
 *
 * A pure core (base/env.h): the shell or the simulator calls receive, job_done and tick. What it
 * promises: docs/protocol.md (clients and nodes → coordinator), docs/coordination.md. */
#ifndef WEIR_COORDINATOR_CORE_H
#define WEIR_COORDINATOR_CORE_H

#include "base/env.h"
#include "base/status.h"

typedef struct coordinator_core coordinator_core_t;

typedef struct coordinator_options {
    const char *node;     /* a name that no other running coordinator of the cluster has */
    const char *endpoint; /* where others reach it */
    const char *cluster;
    uint64_t place;           /* of the data directory; 0: not known */
    uint32_t partitions;      /* P */
    int64_t lease;            /* µs */
    int64_t recompute_every;  /* µs; 0: only on demand */
    const char *catalog_path; /* below the data directory */
    bool resigns;             /* destroy says in the catalog that others need not wait */
    uint64_t disk_reserve;    /* bytes, told by status beside what is free */
    uint64_t fold_least;      /* rows of all partitions that a recompute writes again itself; more
                                 of them, where not nearly as much is new, is for folds */
} coordinator_options_t;

/* Opens the catalog (blocking). Leads at once when the leader before is known to have ended: it was
 * this one, by name and endpoint, or it has resigned; otherwise stands by. Options are copied;
 * `env` outlives the core. */
MUST_CHECK status_t coordinator_core_new (env_t *env, const coordinator_options_t *options,
                                          coordinator_core_t **core, error_t *error);
void coordinator_core_destroy (coordinator_core_t **self_p);
void coordinator_core_receive (coordinator_core_t *self, const peer_t *from, const void *data,
                               size_t size);
void coordinator_core_job_done (coordinator_core_t *self, job_t *job);
/* Does what is due; returns the boot time (µs) of the next tick. */
int64_t coordinator_core_tick (coordinator_core_t *self);

#endif
