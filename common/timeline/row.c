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
    self->lane_at = mem_zero (plan->lanes_count + 1, sizeof *self->lane_at);
    size_t inputs = 0;
    for (size_t i = 0; i < plan->lanes_count; i++) {
        self->lane_types[i] = expr_type (plan->lanes[i]);
        self->lane_at[i] = (uint16_t)inputs;
        inputs += type_is_decimal (self->lane_types[i]) ? 16 : 8;
    }
    size_t bits = plan->lanes_count + plan->filters_count;
    self->values = (offsetof (row_t, bits) + (bits + 7) / 8 + 7) / 8 * 8;
    self->size = self->values + inputs;
}

void row_layout_release (row_layout_t *self)
{
    mem_free (self->lane_types);
    self->lane_types = NULL;
    mem_free (self->lane_at);
    self->lane_at = NULL;
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
    uint8_t *inputs = (uint8_t *)to + self->values;
    for (size_t i = 0; i < plan->lanes_count; i++) {
        const column_t *lane = &rows->lane[i];
        if (!lane->valid[at])
            continue;
        bit_set (to, i);
        uint8_t *input = inputs + self->lane_at[i];
        if (self->lane_types[i] == TYPE_STRING) {
            uint64_t address = string_copy (lane->s[at], arena);
            memcpy (input, &address, sizeof address);
        } else if (type_is_decimal (self->lane_types[i])) {
            memcpy (input, &lane->d[at], sizeof lane->d[at]);
        } else {
            memcpy (input, &lane->i[at], sizeof lane->i[at]);
        }
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
    const uint8_t *input = (const uint8_t *)row + self->values + self->lane_at[lane];
    if (type_is_decimal (value->type)) {
        memcpy (&value->d, input, sizeof value->d);
        return !value->null;
    }
    memcpy (&value->i, input, sizeof value->i);
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
