/* events.h - one key's events as they are needed: in the block that has them where they all are in
 * one, copied where they go on in the next.
 *
 * A key's events have numbers, from 0, in (event time, position) order. Those from events->first on
 * are there; they may be let go from the front, and more come at the end. */
#ifndef WEIR_TRAINING_EVENTS_H
#define WEIR_TRAINING_EVENTS_H

#include "feature/plan.h"
#include "storage/merge.h"

/* Those that are there, as the plan sees them: event number n is row at + (n - first). */
typedef struct event_rows {
    projection_t rows; /* may have others' rows around them */
    const bool *whole; /* per slot: do all of them count? false: it is not known */
    size_t at;
    uint64_t first;
    uint64_t end; /* number of the one after the last */
} event_rows_t;

static inline size_t event_row (const event_rows_t *self, uint64_t number)
{
    return self->at + (size_t)(number - self->first);
}

typedef struct events events_t;

/* Events of a source that the plan reads, in order. Neither is owned. */
events_t *events_new (const plan_t *plan, merge_source_t source);
void events_destroy (events_t **self_p);

/* Goes to a key, which is above the one before. What is there of it may be nothing, or the first
 * events: with events_open, more may come. The rows are borrowed until the next call of anything
 * here. */
MUST_CHECK status_t events_key (events_t *self, text_t key, error_t *error);
const event_rows_t *events_rows (const events_t *self);
bool events_open (const events_t *self);

/* Gets more of the key's events, if there are any; else it is not open any more. */
MUST_CHECK status_t events_more (events_t *self, error_t *error);

/* Events below that number will not be asked for again. */
void events_let_go (events_t *self, uint64_t number);

/* Bytes of copied events. */
size_t events_memory (const events_t *self);

#endif
