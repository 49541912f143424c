/* answer.h - one entity's cells while the layers add to them: what "merge at query time" means.
 *
 * An answer stands for one key at one as-of T. Each layer merges into it what it holds: the batch
 * view a suffix partial, the timeline its nodes, the slow path its rows. Which layer goes first
 * does not matter. A cell with window W of a slot with delay D holds exactly the events with
 * T - D - W < event time <= T - D. Beside its cells it says when the key's latest event was, of
 * those that the view has at or before T, whether or not it counts in any of them. */
#ifndef WEIR_FEATURE_ANSWER_H
#define WEIR_FEATURE_ANSWER_H

#include "feature/plan.h"

typedef struct answer answer_t;

enum { ANSWER_ENCODED_MAX = 4 << 20 }; /* bytes */

/* `plan` must outlive the answer. */
answer_t *answer_new (const plan_t *plan);
void answer_destroy (answer_t **self_p);
void answer_reset (answer_t *self);

const plan_t *answer_plan (const answer_t *self);

/* The time of the key's latest event at or before as-of; ANSWER_NEVER: there is none. */
#define ANSWER_NEVER INT64_MIN
int64_t answer_latest (const answer_t *self);
/* For layers that merge partials themselves: the key has an event at `time`, which is at or before
 * as-of. */
void answer_saw (answer_t *self, int64_t time);

/* Are the view's features null, because at as-of the key's latest event is older than its ttl, or
 * there is none? */
bool answer_expired (const answer_t *self, int64_t as_of);

/* Bytes that it holds, about. */
size_t answer_memory (const answer_t *self);

/* The accumulator of a cell, for layers that merge partials themselves. */
void *answer_cell (answer_t *self, uint32_t cell);

/* Does a window ending at `right`, which is as-of less the slot's delay, contain `time`? */
static inline bool window_contains (int64_t window, int64_t right, int64_t time)
{
    /* right - window cannot overflow: windows and delays are at most 3650 d, times four-digit years
     */
    return time <= right && (window == WINDOW_LIFETIME || time > right - window);
}

/* Adds one projected row of the key to every cell whose window contains it. */
void answer_add_row (answer_t *self, int64_t as_of, const projection_t *rows, size_t row);

/* Appends the latest time and all cells' partials (varint size and bytes each, in the plan's
 * order). */
void answer_encode (const answer_t *self, buf_t *out);
/* How an encoding begins: for who writes the cells itself. */
void answer_encode_latest (int64_t latest, buf_t *out);
/* Merges such an encoding of a plan with the same hash. CORRUPT when it is not one. */
MUST_CHECK status_t answer_merge (answer_t *self, reader_t *encoded, error_t *error);

/* The value of a feature that is not derived, as of that time; lists and maps are made in `arena`.
 * RANGE and the reason when it cannot be represented, CORRUPT when merged partials turn out to be
 * of no possible rows; the answer's other features are not affected. A string is borrowed from the
 * answer. */
MUST_CHECK status_t answer_final (const answer_t *self, size_t feature, int64_t as_of,
                                  arena_t *arena, value_t *value, error_t *error);

#endif
