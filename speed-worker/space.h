/* space.h - the room that the disk has: looked at by a job, so that events are refused before a
 * write fails, which would end the ownership of a partition.
 *
 * Some bytes stay reserved: for what makes room again (cuts, recomputes, trims), for the catalog,
 * and for what others write between two looks. */
#ifndef WEIR_SPEED_WORKER_SPACE_H
#define WEIR_SPEED_WORKER_SPACE_H

#include "base/env.h"
#include "base/status.h"

enum { SPACE_RETRY_MS = 1000 }; /* for who is refused; a look is taken twice as often */

typedef struct space space_t;

/* With a `reserve` of 0 nothing is looked at, and all is taken. */
space_t *space_new (env_t *env, uint64_t reserve, uint32_t lane);
void space_destroy (space_t **self_p); /* a job under way comes back through discard */

/* Looks when it is due; returns the boot time at which it is to be called again. */
int64_t space_tick (space_t *self);
bool space_job_done (space_t *self, job_t *job); /* false: it is another's */

/* Takes in so many bytes that will be written, or NO_SPACE with a time to wait. */
MUST_CHECK status_t space_take (space_t *self, uint64_t bytes, error_t *error);

/* Bytes that are free, less what was taken since the last look; UINT64_MAX before the first. */
uint64_t space_free (const space_t *self);
bool space_full (const space_t *self);

#endif
