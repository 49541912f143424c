/* reply.h - what the timelines of several epochs of a view say of a key, as the bytes that
 * answer_encode writes after timeline_merge of each.
 *
 * Of a key with few rows these are columns, sorted by time. Windows that end together are all rows
 * from some on, so that one pass from the last row to the first makes the partials of all windows
 * of a slot, in the order in which they stand in the reply (state_put_suffixes). */
#ifndef WEIR_TIMELINE_REPLY_H
#define WEIR_TIMELINE_REPLY_H

#include "timeline/timeline.h"

/* Room to make replies in, for timelines of one plan. */
typedef struct reply reply_t;

/* `plan` must outlive it. */
reply_t *reply_new (const plan_t *plan);
void reply_destroy (reply_t **self_p);

/* Appends the latest time and all cells' partials, as answer_encode does, of the key's events in
 * `count` timelines. Bytes that do not fit make `out` bad. */
void reply_put (reply_t *self, timeline_t *const *timelines, size_t count, text_t key,
                int64_t as_of, buf_t *out);

/* Bytes that it holds, about. */
size_t reply_memory (const reply_t *self);

#endif
