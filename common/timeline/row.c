#include "timeline/row.h"

#include "base/mem.h"

/* A string's copy in the arena. */
typedef struct row_string {
    uint32_t size;
    char data[];
} row_string_t;

enum { POSITION_SIZE = sizeof (uint64_t) + sizeof (uint32_t) };

void row_layout_init (row_layout_t *self, const plan_t *plan)
{
    *self = (row_layout_t){ .plan = plan, .positions = plan_reads_positions (plan) };
    self->lane_types = mem_zero (plan->lanes_count + 1, sizeof *self->lane_types);
    self->lane_at = mem_zero (plan->lanes_count + 1, sizeof *self->lane_at);
    self->bits = sizeof (int64_t) + (self->positions ? POSITION_SIZE : 0);
    self->size = self->bits + (plan->lanes_count + plan->filters_count + 7) / 8;
    for (size_t i = 0; i < plan->lanes_count; i++) {
        self->lane_types[i] = expr_type (plan->lanes[i]);
        self->lane_at[i] = (uint16_t)self->size;
        self->size += type_is_decimal (self->lane_types[i]) ? 16 : 8;
    }
}

void row_layout_release (row_layout_t *self)
{
    mem_free (self->lane_types);
    self->lane_types = NULL;
    mem_free (self->lane_at);
    self->lane_at = NULL;
}

size_t row_layout_memory (const row_layout_t *self)
{
    return (self->plan->lanes_count + 1) * (sizeof *self->lane_types + sizeof *self->lane_at);
}

static void bit_set (uint8_t *bits, size_t bit, bool set)
{
    bits[bit / 8] = (uint8_t)(bits[bit / 8] | (unsigned)set << bit % 8);
}

static bool bit_get (const uint8_t *bits, size_t bit)
{
    return (bits[bit / 8] >> bit % 8 & 1) != 0;
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

text_t row_text (uint64_t cell)
{
    const row_string_t *copy = (const row_string_t *)(uintptr_t)cell;
    return copy == NULL ? (text_t){ NULL, 0 } : (text_t){ copy->data, copy->size };
}

static void pack_lane (const row_layout_t *self, uint8_t *to, size_t number, const column_t *lane,
                       size_t at, arena_t *arena)
{
    uint8_t *input = to + self->lane_at[number];
    if (type_is_decimal (self->lane_types[number])) {
        unscaled_t value = lane->valid[at] ? lane->d[at] : 0;
        memcpy (input, &value, sizeof value);
        return;
    }
    int64_t value = 0;
    if (lane->valid[at])
        value = self->lane_types[number] == TYPE_STRING ? (int64_t)string_copy (lane->s[at], arena)
                                                        : lane->i[at]; /* a float's bits too */
    memcpy (input, &value, sizeof value);
}

void row_pack (const row_layout_t *self, uint8_t *to, const projection_t *rows, size_t at,
               arena_t *arena)
{
    const plan_t *plan = self->plan;
    uint8_t *bits = to + self->bits;
    memcpy (to, &rows->time[at], sizeof rows->time[at]);
    if (self->positions) {
        memcpy (to + sizeof (int64_t), &rows->offset[at], sizeof rows->offset[at]);
        memcpy (to + sizeof (int64_t) + sizeof (uint64_t), &rows->row[at], sizeof rows->row[at]);
    }
    memset (bits, 0, (plan->lanes_count + plan->filters_count + 7) / 8);
    for (size_t i = 0; i < plan->lanes_count; i++) {
        pack_lane (self, to, i, &rows->lane[i], at, arena);
        bit_set (bits, i, rows->lane[i].valid[at]);
    }
    for (size_t i = 0; i < plan->filters_count; i++)
        bit_set (bits, plan->lanes_count + i, rows->filter[i][at]);
}

size_t row_count_to (const row_layout_t *self, const uint8_t *first, size_t count, int64_t time)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (row_time (first + middle * self->size) <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The input that stands in a lane; false when it is null. */
static bool row_value (const row_layout_t *self, const uint8_t *row, size_t lane, value_t *value)
{
    value->type = self->lane_types[lane];
    value->null = !bit_get (row + self->bits, lane);
    const uint8_t *input = row + self->lane_at[lane];
    if (type_is_decimal (value->type)) {
        memcpy (&value->d, input, sizeof value->d);
        return !value->null;
    }
    memcpy (&value->i, input, sizeof value->i);
    if (value->type == TYPE_STRING)
        value->s = row_text ((uint64_t)value->i);
    return !value->null;
}

void row_fold (const row_layout_t *self, const uint8_t *row, uint32_t slot, void *acc)
{
    const plan_slot_t *info = &self->plan->slots[slot];
    row_place_t place = row_place (self, row);
    if (info->filter >= 0 &&
        !bit_get (row + self->bits, self->plan->lanes_count + (size_t)info->filter))
        return;
    value_t values[STATE_INPUTS_MAX];
    for (uint32_t i = 0; i < info->inputs; i++)
        if (!row_value (self, row, info->lane[i], &values[i]) && !state_takes_nulls (info->spec))
            return;
    state_add (info->spec, acc, info->inputs > 0 ? values : NULL, &place);
}
