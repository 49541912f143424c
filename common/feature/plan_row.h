/* plan_row.h - one projected row for one slot, in line: the innermost step of every layer. */
#ifndef WEIR_FEATURE_PLAN_ROW_H
#define WEIR_FEATURE_PLAN_ROW_H

#include "feature/plan.h"

static inline row_place_t projection_place (const projection_t *rows, size_t row)
{
    return (row_place_t){ rows->time[row], rows->offset[row], rows->row[row] };
}

/* Is the slot's filter true, and no input null that may not be? */
static inline bool slot_row_counts (const plan_slot_t *slot, const projection_t *rows, size_t row)
{
    if (slot->filter >= 0 && !rows->filter[slot->filter][row])
        return false;
    bool valid = true;
    for (uint32_t i = 0; i < slot->inputs; i++)
        valid &= rows->lane[slot->lane[i]].valid[row] != 0;
    return valid || state_takes_nulls (slot->spec);
}

/* The slot's inputs at a row that counts, written to values[STATE_INPUTS_MAX]; NULL when there are
 * none. */
static inline const value_t *slot_values (const plan_slot_t *slot, const projection_t *rows,
                                          size_t row, value_t *values)
{
    for (uint32_t i = 0; i < slot->inputs; i++) {
        const column_t *lane = &rows->lane[slot->lane[i]];
        value_t *value = &values[i];
        value->type = lane->type;
        value->null = !lane->valid[row];
        if (value->type == TYPE_STRING)
            value->s = lane->s[row];
        else if (type_is_decimal (value->type))
            value->d = lane->d[row];
        else
            value->i = lane->i[row]; /* a float's bits too */
    }
    return slot->inputs > 0 ? values : NULL;
}

#endif
