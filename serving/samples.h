/* samples.h - the answers that this node keeps, to be computed again (docs/skew.md): those of some
 * keys, gathered as they are sent, and written by a job.
 *
 * Nothing here waits. What does not fit while the disk is slow is dropped, and counted. */
#ifndef WEIR_SERVING_SAMPLES_H
#define WEIR_SERVING_SAMPLES_H

#include "serving/core.h"
#include "serving/entity_log.h"

enum {
    SAMPLES_FLUSH = 256 << 10, /* bytes that are written at once … */
    SAMPLES_LANE = 1000,       /* of the job */
};
#define SAMPLES_WAIT TIME_SECOND /* … or what there is after so long */

typedef struct samples samples_t;

/* NULL when nothing is to be kept. */
samples_t *samples_new (env_t *env, const serving_options_t *options);
/* A job under way comes back through its discard. */
void samples_destroy (samples_t **self_p);

/* An entity is being answered: `at` is its place among the outcomes. Kept if its key is one of
 * those. */
void samples_take (samples_t *self, const query_t *query, size_t entity, const outcome_t *outcomes,
                   size_t at, const entity_log_t *logs, size_t logs_count, bool complete);

/* An entity was erased: what was kept before goes, and nothing is kept of queries that were begun
 * before. */
void samples_forget (samples_t *self);

/* Is any of that still on the disk, or on its way there? */
bool samples_are_stale (const samples_t *self);

/* Is the job of this one, and done? */
bool samples_job_done (samples_t *self, job_t *job);
/* Writes what is due; when to look again. */
int64_t samples_tick (samples_t *self, int64_t now);
/* Fields of the open map. */
void samples_metrics (const samples_t *self, wire_writer_t *writer);

#endif
