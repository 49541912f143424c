/* fold.h - a range of one key's events added to a state. */
#ifndef WEIR_TRAINING_FOLD_H
#define WEIR_TRAINING_FOLD_H

#include "batch-worker/training/events.h"

/* Events [from, to) as the slot's state takes them. */
static inline state_rows_t fold_rows (const plan_t *plan, uint32_t slot, const event_rows_t *events,
                                      uint64_t from, uint64_t to)
{
    const plan_slot_t *at = &plan->slots[slot];
    state_rows_t rows = { .whole = events->whole[slot],
                          .filter = at->filter >= 0 ? events->rows.filter[at->filter] : NULL,
                          .time = events->rows.time,
                          .offset = events->rows.offset,
                          .row = events->rows.row,
                          .from = event_row (events, from),
                          .to = event_row (events, to) };
    for (uint32_t i = 0; i < at->inputs; i++)
        rows.lane[i] = &events->rows.lane[at->lane[i]];
    return rows;
}

static inline void fold_range (const plan_t *plan, uint32_t slot, void *acc,
                               const event_rows_t *events, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    state_rows_t rows = fold_rows (plan, slot, events, from, to);
    (void)state_add_rows (plan->slots[slot].spec, acc, &rows);
}

#endif
