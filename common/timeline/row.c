#include "timeline/row.h"

#include "base/mem.h"

enum {
    POSITION_SIZE = sizeof (uint64_t) + sizeof (uint32_t),
    STRINGS_BLOCK = 4 << 10, /* bytes that are taken from the arena for several strings … */
    STRINGS_LONG = 512,      /* … unless one is so long */
};

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

/* Bits that are written one after the other, 64 at a time. */
typedef struct bits {
    uint8_t *to;
    uint64_t word;
    unsigned count; /* in the word */
} bits_t;

static inline void bits_put (bits_t *self, bool set)
{
    if (self->count == 64) {
        memcpy (self->to, &self->word, sizeof self->word);
        *self = (bits_t){ .to = self->to + sizeof self->word };
    }
    self->word |= (uint64_t)set << self->count++;
}

static bool bit_get (const uint8_t *bits, size_t bit)
{
    return (bits[bit / 8] >> bit % 8 & 1) != 0;
}

static uint8_t *string_room (row_strings_t *self, size_t size)
{
    if (size >= STRINGS_LONG)
        return arena_alloc (self->arena, size);
    if (size > self->room) {
        self->next = arena_alloc (self->arena, STRINGS_BLOCK);
        self->room = STRINGS_BLOCK;
    }
    uint8_t *room = self->next;
    self->next += size;
    self->room -= size;
    return room;
}

static uint64_t string_copy (text_t text, row_strings_t *strings)
{
    uint8_t *copy = string_room (strings, row_string_size (text.size));
    uint8_t *data = varint_put (copy, text.size);
    if (text.size > 0)
        memcpy (data, text.data, text.size);
    return (uint64_t)(uintptr_t)copy;
}

size_t row_string_size (size_t size)
{
    size_t bytes = 1 + size;
    for (; size >= 0x80; size >>= 7)
        bytes++;
    return bytes;
}

text_t row_text (uint64_t cell)
{
    const uint8_t *at = (const uint8_t *)(uintptr_t)cell;
    uint32_t size = 0;
    if (at == NULL)
        return (text_t){ NULL, 0 };
    for (unsigned shift = 0;; shift += 7) {
        size |= (*at & 0x7fu) << shift;
        if (*at++ < 0x80)
            return (text_t){ (const char *)at, size };
    }
}

static void pack_lane (const row_layout_t *self, uint8_t *to, size_t number, const column_t *lane,
                       size_t at, row_strings_t *strings)
{
    uint8_t *input = to + self->lane_at[number];
    if (type_is_decimal (self->lane_types[number])) {
        unscaled_t value = lane->valid[at] ? lane->d[at] : 0;
        memcpy (input, &value, sizeof value);
        return;
    }
    int64_t value = 0;
    if (lane->valid[at])
        value = self->lane_types[number] == TYPE_STRING
                    ? (int64_t)string_copy (lane->s[at], strings)
                    : lane->i[at]; /* a float's bits too */
    memcpy (input, &value, sizeof value);
}

void row_pack (const row_layout_t *self, uint8_t *to, const projection_t *rows, size_t at,
               row_strings_t *strings)
{
    const plan_t *plan = self->plan;
    bits_t bits = { .to = to + self->bits };
    memcpy (to, &rows->time[at], sizeof rows->time[at]);
    if (self->positions) {
        memcpy (to + sizeof (int64_t), &rows->offset[at], sizeof rows->offset[at]);
        memcpy (to + sizeof (int64_t) + sizeof (uint64_t), &rows->row[at], sizeof rows->row[at]);
    }
    for (size_t i = 0; i < plan->lanes_count; i++) {
        bits_put (&bits, rows->lane[i].valid[at]);
        pack_lane (self, to, i, &rows->lane[i], at, strings);
    }
    for (size_t i = 0; i < plan->filters_count; i++)
        bits_put (&bits, rows->filter[i][at]);
    memcpy (bits.to, &bits.word, (bits.count + 7) / 8);
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
