/* plan_row.h - one projected row for one slot, in line: the innermost step of every layer. */
#ifndef WEIR_FEATURE_PLAN_ROW_H
#define WEIR_FEATURE_PLAN_ROW_H

#include "feature/plan.h"

static inline row_place_t projection_place (const projection_t *rows, size_t row)
{
    return (row_place_t){ rows->time[row], rows->offset[row], rows->row[row] };
}

/* Is the slot's filter true, and its input not null? */
static inline bool slot_row_counts (const plan_slot_t *slot, const projection_t *rows, size_t row)
{
    if (slot->filter >= 0 && !rows->filter[slot->filter][row])
        return false;
    return slot->lane < 0 || rows->lane[slot->lane].valid[row];
}

/* The slot's input at a row that counts, written to *value; NULL when the input is the row itself.
 */
static inline const value_t *slot_value (const plan_slot_t *slot, const projection_t *rows,
                                         size_t row, value_t *value)
{
    if (slot->lane < 0)
        return NULL;
    const column_t *lane = &rows->lane[slot->lane];
    value->type = slot->spec.input;
    value->null = false;
    if (value->type == TYPE_FLOAT64)
        value->f = lane->f[row];
    else if (value->type == TYPE_STRING)
        value->s = lane->s[row];
    else
        value->i = lane->i[row];
    return value;
}

#endif
