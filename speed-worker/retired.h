/* retired.h - real-time views that nothing asks any more, on their way back to the system.
 *
 * A recompute leaves millions of events behind at once, whose memory takes the system tens of
 * milliseconds to take back: so a job does that, and the loop answers queries meanwhile. One job at
 * a time, on a lane of its own, so that no flush waits for it. Bytes count as held until they have
 * been given back. */
#ifndef WEIR_SPEED_WORKER_RETIRED_H
#define WEIR_SPEED_WORKER_RETIRED_H

#include "base/env.h"
#include "member/model.h"
#include "speed-worker/pressure.h"
#include "speed-worker/realtime.h"

typedef struct retired retired_t;

retired_t *retired_new (env_t *env, uint32_t lane);
/* A job under way comes back through discard. */
void retired_destroy (retired_t **self_p);

/* The core ends: what is taken from now on is destroyed at once, since no job would run. */
void retired_close (retired_t *self);

/* What a recompute made superfluous tells how fast recomputes make room; other views do not. */
typedef enum retired_why { RETIRED_TRIMMED, RETIRED_REPLACED } retired_why_t;

/* Takes epochs, and a reference to the model whose plans they borrow. NULL is none. */
void retired_take (retired_t *self, epochs_t **epochs, model_t *model, retired_why_t why);

bool retired_job_done (retired_t *self, job_t *job); /* false: it is another's */

/* Adds what it holds, and what has gone. */
void retired_measure (const retired_t *self, memory_t *memory);

#endif
