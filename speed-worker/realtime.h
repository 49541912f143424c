/* realtime.h - the real-time views of one keyed log in one partition.
 *
 * A list of epochs, each from one cut to the next, each with a timeline per view. It is built by
 * replaying the log (on a job) or by applying what became durable (on the loop): the same calls. */
#ifndef WEIR_SPEED_WORKER_REALTIME_H
#define WEIR_SPEED_WORKER_REALTIME_H

#include "member/model.h"

typedef struct realtime realtime_t;

/* Views of log `log_name` in `model`, starting with one epoch at `base`. Borrows `model`: the
 * holder keeps a reference for as long. */
realtime_t *realtime_new (const model_t *model, const char *log_name, uint64_t base);
void realtime_destroy (realtime_t **self_p);

/* Epochs that are of no views any more. They borrow the model, too, and nothing else: any thread
 * may destroy them. */
typedef struct epochs epochs_t;
/* Destroys a timeline of them; false when none is left, and *self_p is NULL then. */
bool epochs_destroy_some (epochs_t **self_p);
void epochs_destroy (epochs_t **self_p);
size_t epochs_memory (const epochs_t *self); /* 0 of NULL */

const model_t *realtime_model (const realtime_t *self);

/* Adds events, which come in the order of their offsets, to the newest epoch. `batch` has keys, and
 * the columns of `stream`: the log's stream in this or another model, none of whose fields has been
 * widened since this one. */
void realtime_add (realtime_t *self, const stream_t *stream, const batch_t *batch);

/* A cut at `offset`: a new epoch starts there. */
void realtime_cut (realtime_t *self, uint64_t offset);

/* Takes out the epochs that end at or below `base`; NULL when there are none. The caller destroys
 * them: of many events that takes long. */
epochs_t *realtime_trim (realtime_t *self, uint64_t base);
/* Destroys the views but for their epochs, which the caller destroys; NULL of NULL. */
epochs_t *realtime_dissolve (realtime_t **self_p);

/* Can it answer for exactly what is at or above `cut`, with the view's plan of that hash? On OK
 * *view is the index to give realtime_answer. STALE otherwise, saying what differs. */
MUST_CHECK status_t realtime_find (const realtime_t *self, text_t view, uint64_t plan_hash,
                                   uint64_t cut, size_t *view_index, error_t *error);

/* Appends, for each of the keys as of its time, the partials of all cells of the view's plan
 * (reply.h), of the key's events at positions from `cut` on. Bytes that do not fit make `out` bad.
 * The memory of REALTIME_FETCHED keys is fetched together. */
enum { REALTIME_FETCHED = 32 };
void realtime_answer (realtime_t *self, size_t view_index, uint64_t cut, const text_t *keys,
                      const int64_t *as_of, size_t count, buf_t *out);

/* Calls `each` with every cut at which an epoch starts, ascending. */
void realtime_cuts (const realtime_t *self, void (*each) (void *arg, uint64_t cut), void *arg);

uint64_t realtime_events (const realtime_t *self); /* once per event, not per view */
/* Keys of the view that has most, in all epochs: one that has events in two of them counts twice,
 * as its memory does. */
uint64_t realtime_keys (const realtime_t *self);
size_t realtime_memory (const realtime_t *self);

#endif
