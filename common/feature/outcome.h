/* outcome.h - what features come to: cells are finalised (or null, when the answer is expired), and
 * then derived features computed from them, from what the request brought along and from as-of, a
 * column of keys at a time. Of a service's plan (service_plan.h) what is not derived is there
 * already: what its roles came to. */
#ifndef WEIR_FEATURE_OUTCOME_H
#define WEIR_FEATURE_OUTCOME_H

#include "feature/answer.h"

/* The features of a plan that are asked for, with all that they need. */
typedef struct outcome_task outcome_task_t;

/* Features by index, in the order asked for, which may name one twice. Lives in `arena`, and
 * borrows the plan. */
outcome_task_t *outcome_task_new (const plan_t *plan, const uint32_t *features, size_t count,
                                  arena_t *arena);

/* How many keys outcome_compute should be given at once: one where results are lists or maps, which
 * may be large. */
size_t outcome_task_keys (const outcome_task_t *self);

/* Marks the plan's cells that it is made of: cells[plan->cells_count], false before. */
void outcome_task_cells (const outcome_task_t *self, bool *cells);

/* Marks the plan's features that are needed and not derived: features[plan->features_count], false
 * before. */
void outcome_task_plain (const outcome_task_t *self, bool *features);

/* A hash of the states that it is made of, in any order: another one when a field that they read
 * was widened, which makes no new version of the view. */
uint64_t outcome_task_meaning (const outcome_task_t *self);

typedef struct outcome outcome_t;

typedef struct outcome_key {
    const answer_t *answer;
    int64_t as_of;           /* µs */
    const value_t *request;  /* the plan's request_count values, of their types; NULL: all null */
    bool partial;            /* the answer lacks events: whether it is expired cannot be said */
    const outcome_t *inputs; /* in place of an answer, of a service's plan: by feature, those that
                                are needed */
} outcome_key_t;

struct outcome {
    value_t value;     /* null when there is an error */
    const char *error; /* why it could not be computed, with its name; NULL: it was */
};

/* The outcomes of `count` keys, in `arena`. Strings may be borrowed from answers and requests. */
const outcome_t *outcome_compute (const outcome_task_t *self, const outcome_key_t *keys,
                                  size_t count, arena_t *arena);

/* The same when the values of some cells are known and in no answer: finals[key * cells_count +
 * cell] for all features of a cell, of type NONE where the answer has it. NULL: it has all. */
const outcome_t *outcome_compute_finals (const outcome_task_t *self, const outcome_key_t *keys,
                                         const value_t *finals, size_t count, arena_t *arena);

/* That of one of the keys, of the feature that was asked for in that place. */
const outcome_t *outcome_of (const outcome_task_t *self, const outcome_t *outcomes, size_t key,
                             size_t place);

#endif
