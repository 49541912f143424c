#include "timeline/row.h"

#include "base/mem.h"

#include <string.h>

/* A string's copy in the arena. */
typedef struct row_string {
    uint32_t size;
    char data[];
} row_string_t;

void row_layout_init (row_layout_t *self, const plan_t *plan)
{
    *self = (row_layout_t){ .plan = plan };
    self->lane_types = mem_zero (plan->lanes_count + 1, sizeof *self->lane_types);
    for (size_t i = 0; i < plan->lanes_count; i++)
        self->lane_types[i] = expr_type (plan->lanes[i]);
    size_t bits = plan->lanes_count + plan->filters_count;
    self->values = (offsetof (row_t, bits) + (bits + 7) / 8 + 7) / 8 * 8;
    self->size = self->values + 8 * plan->lanes_count;
}

void row_layout_release (row_layout_t *self)
{
    mem_free (self->lane_types);
    self->lane_types = NULL;
}

static void bit_set (row_t *row, size_t bit)
{
    row->bits[bit / 8] = (uint8_t)(row->bits[bit / 8] | 1u << bit % 8);
}

static bool bit_get (const row_t *row, size_t bit)
{
    return (row->bits[bit / 8] >> bit % 8 & 1) != 0;
}

static uint64_t string_copy (text_t text, arena_t *arena)
{
    row_string_t *copy = arena_alloc (arena, offsetof (row_string_t, data) + text.size);
    copy->size = text.size;
    if (text.size > 0)
        memcpy (copy->data, text.data, text.size);
    return (uint64_t)(uintptr_t)copy;
}

size_t row_string_size (size_t size)
{
    return arena_footprint (offsetof (row_string_t, data) + size);
}

void row_pack (const row_layout_t *self, row_t *to, const projection_t *rows, size_t at,
               arena_t *arena)
{
    const plan_t *plan = self->plan;
    memset (to, 0, self->size);
    to->time = rows->time[at];
    to->offset = rows->offset[at];
    to->row = rows->row[at];
    uint64_t *values = (uint64_t *)(void *)((uint8_t *)to + self->values);
    for (size_t i = 0; i < plan->lanes_count; i++) {
        const column_t *lane = &rows->lane[i];
        if (!lane->valid[at])
            continue;
        bit_set (to, i);
        if (self->lane_types[i] == TYPE_STRING)
            values[i] = string_copy (lane->s[at], arena);
        else
            memcpy (&values[i], (const uint8_t *)lane->data + 8 * at, 8);
    }
    for (size_t i = 0; i < plan->filters_count; i++)
        if (rows->filter[i][at])
            bit_set (to, plan->lanes_count + i);
}

/* The input that stands in a lane; false when it is null. */
static bool row_value (const row_layout_t *self, const row_t *row, size_t lane, value_t *value)
{
    value->type = self->lane_types[lane];
    value->null = !bit_get (row, lane);
    const uint8_t *input = (const uint8_t *)row + self->values + 8 * lane;
    memcpy (&value->i, input, 8);
    if (value->type == TYPE_STRING) {
        const row_string_t *copy = (const row_string_t *)(uintptr_t)value->i;
        value->s = value->null ? (text_t){ NULL, 0 } : (text_t){ copy->data, copy->size };
    }
    return !value->null;
}

void row_fold (const row_layout_t *self, const row_t *row, uint32_t slot, void *acc)
{
    const plan_slot_t *info = &self->plan->slots[slot];
    row_place_t place = { row->time, row->offset, row->row };
    if (info->filter >= 0 && !bit_get (row, self->plan->lanes_count + (size_t)info->filter))
        return;
    value_t values[STATE_INPUTS_MAX];
    for (uint32_t i = 0; i < info->inputs; i++)
        if (!row_value (self, row, info->lane[i], &values[i]) && !state_takes_nulls (info->spec))
            return;
    state_add (info->spec, acc, info->inputs > 0 ? values : NULL, &place);
}
