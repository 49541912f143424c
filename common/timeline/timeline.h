/* timeline.h - the real-time view: per key, what came since a cut, indexed by event time.
 *
 * One timeline_t holds one epoch (the events from one cut to the next) of one view in one
 * partition, for all its keys. A key's events are a sorted array while they are few and an
 * aggregate tree when they are many: adding in time order is O(1) amortised, a late event O(log n),
 * and merging (T - W, T] into an answer O(log n) merges per cell. Memory comes from the timeline's
 * own slab and arena, so that dropping an epoch is freeing their chunks. */
#ifndef WEIR_TIMELINE_TIMELINE_H
#define WEIR_TIMELINE_TIMELINE_H

#include "feature/answer.h"
#include "feature/plan.h"

typedef struct timeline timeline_t;

/* `plan` must outlive it. */
timeline_t *timeline_new (const plan_t *plan);
void timeline_destroy (timeline_t **self_p);

/* Adds projected rows of any keys in any order. Strings are copied. */
void timeline_add (timeline_t *self, const projection_t *rows);

/* Merges the key's events with T - D - W < time <= T - D into each cell of `answer` (T is as_of, W
 * the cell's window, D its slot's delay), and the time of the latest one at or before T. A key that
 * is not there adds nothing. Not const: caches inside nodes are filled on demand. */
void timeline_merge (timeline_t *self, text_t key, int64_t as_of, answer_t *answer);

/* Lets the memory come in which merges of these keys will look at, of all of them together rather
 * than of one after the other. More than TIMELINE_FETCHED are taken in turns, and the first may
 * have left the near cache when they are merged. */
enum { TIMELINE_FETCHED = 64 };
void timeline_fetch (const timeline_t *self, const text_t *keys, size_t count);

/* Appends to row[*count] where the rows (row.h) of the key of this hash (key_hash) are, in time
 * order; there is room for `most` in all. They are there until the next event. False, with *count
 * anything: they are more. */
bool timeline_rows (const timeline_t *self, text_t key, uint64_t hash, const uint8_t **row,
                    size_t *count, size_t most);

size_t timeline_keys (const timeline_t *self);
size_t timeline_events (const timeline_t *self);
size_t timeline_memory (const timeline_t *self); /* bytes held */

/* What a key takes on the average beside its rows and what stands with them. */
double timeline_key_size (void);

#endif
