#include "aggregate/kept_rows.h"

#include "aggregate/partial.h"
#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAPACITY = 4 };

typedef struct slot {
    row_place_t place;
    uint32_t nulls; /* bit i: value i is null */
    held_value_t value[];
} slot_t;

kept_shape_t kept_shape (state_spec_t spec, uint16_t limit)
{
    CHECK (limit >= 1 && limit <= KEPT_ROWS_MAX);
    kept_shape_t shape = { .inputs = (uint8_t)state_inputs (spec), .limit = limit };
    for (unsigned i = 0; i < shape.inputs; i++)
        shape.type[i] = state_input_type (spec, i);
    return shape;
}

size_t kept_rows_partial_max (const kept_shape_t *shape)
{
    size_t row = (shape->placed ? ROW_PLACE_MAX : 0u) + (shape->nulls ? 1u : 0u);
    for (unsigned i = 0; i < shape->inputs; i++)
        row += held_value_size_max (shape->type[i]);
    return 2 + row * shape->limit;
}

static slot_t *slot_at (const kept_rows_t *self, const kept_shape_t *shape, uint16_t slot)
{
    size_t stride = sizeof (slot_t) + shape->inputs * sizeof (held_value_t);
    return (slot_t *)(self->slots + slot * stride);
}

void kept_rows_release (kept_rows_t *self, const kept_shape_t *shape)
{
    for (uint16_t i = 0; i < self->made; i++)
        for (unsigned k = 0; k < shape->inputs; k++)
            held_value_release (shape->type[k], &slot_at (self, shape, i)->value[k]);
    mem_free (self->slots);
    mem_free (self->order);
    *self = (kept_rows_t){ 0 };
}

size_t kept_rows_memory (const kept_rows_t *self, const kept_shape_t *shape)
{
    size_t stride = sizeof (slot_t) + shape->inputs * sizeof (held_value_t);
    size_t bytes = self->capacity * (stride + sizeof *self->order);
    for (unsigned k = 0; k < shape->inputs; k++)
        for (uint16_t i = 0; shape->type[k] == TYPE_STRING && i < self->made; i++)
            bytes += held_value_memory (shape->type[k], &slot_at (self, shape, i)->value[k]);
    return bytes;
}

/* ---- order ---- */

static int compare_nullable (const value_t *a, const value_t *b)
{
    return a->null || b->null ? (int)b->null - (int)a->null : value_compare (a, b);
}

static int compare_rows (const kept_shape_t *shape, const kept_row_t *a, const kept_row_t *b)
{
    int order = shape->placed ? row_place_compare (&a->place, &b->place) : 0;
    for (unsigned i = 0; order == 0 && i < shape->inputs; i++)
        order = compare_nullable (&a->value[i], &b->value[i]);
    return shape->descending ? -order : order;
}

static value_t slot_value (const kept_shape_t *shape, const slot_t *slot, unsigned i)
{
    if ((slot->nulls >> i & 1) != 0)
        return (value_t){ .type = shape->type[i], .null = true };
    return held_value_get (shape->type[i], &slot->value[i]);
}

/* Negative: the row is better than the one in the slot. */
static int compare_with (const kept_rows_t *self, const kept_shape_t *shape, const kept_row_t *row,
                         uint16_t at)
{
    const slot_t *slot = slot_at (self, shape, self->order[at]);
    int order = shape->placed ? row_place_compare (&row->place, &slot->place) : 0;
    for (unsigned i = 0; order == 0 && i < shape->inputs; i++) {
        value_t value = slot_value (shape, slot, i);
        order = compare_nullable (&row->value[i], &value);
    }
    return shape->descending ? -order : order;
}

bool kept_rows_is_late (const kept_rows_t *self, const kept_shape_t *shape,
                        const row_place_t *place)
{
    if (self->count < shape->limit || !shape->placed)
        return false;
    const slot_t *worst = slot_at (self, shape, self->order[self->count - 1]);
    int order = row_place_compare (place, &worst->place);
    return shape->descending ? order < 0 : order > 0;
}

/* Where the row goes: after all that are at least as good. */
static uint16_t find_place (const kept_rows_t *self, const kept_shape_t *shape,
                            const kept_row_t *row)
{
    unsigned low = 0;
    unsigned high = self->count;
    if (high > 0 && compare_with (self, shape, row, 0) < 0)
        return 0;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (compare_with (self, shape, row, (uint16_t)middle) >= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint16_t)low;
}

/* ---- adding ---- */

static void make_slot (kept_rows_t *self, const kept_shape_t *shape)
{
    if (self->made == self->capacity) {
        unsigned capacity = self->made == 0 ? FIRST_CAPACITY : 2u * self->made;
        self->capacity = (uint16_t)(capacity > shape->limit ? shape->limit : capacity);
        size_t stride = sizeof (slot_t) + shape->inputs * sizeof (held_value_t);
        self->slots = mem_resize (self->slots, self->capacity, stride);
        self->order = mem_resize (self->order, self->capacity, sizeof *self->order);
    }
    slot_t *slot = slot_at (self, shape, self->made);
    for (unsigned i = 0; i < shape->inputs; i++)
        held_value_init (&slot->value[i]);
    self->order[self->made] = self->made;
    self->made++;
}

static void fill_slot (const kept_shape_t *shape, slot_t *slot, const kept_row_t *row)
{
    slot->place = row->place;
    slot->nulls = 0;
    for (unsigned i = 0; i < shape->inputs; i++) {
        if (row->value[i].null)
            slot->nulls |= 1u << i;
        else
            held_value_set (&slot->value[i], &row->value[i]);
    }
}

void kept_rows_add (kept_rows_t *self, const kept_shape_t *shape, const kept_row_t *row)
{
    bool full = self->count == shape->limit;
    if (full && compare_with (self, shape, row, (uint16_t)(self->count - 1)) >= 0)
        return;
    if (!full && self->count == self->made)
        make_slot (self, shape);
    uint16_t at = find_place (self, shape, row);
    self->count = (uint16_t)(self->count - full);
    uint16_t slot = self->order[self->count]; /* a free one, or that of the worst */
    memmove (self->order + at + 1, self->order + at, (self->count - at) * sizeof *self->order);
    self->order[at] = slot;
    self->count++;
    fill_slot (shape, slot_at (self, shape, slot), row);
}

void kept_rows_get (const kept_rows_t *self, const kept_shape_t *shape, uint16_t at,
                    kept_row_t *row)
{
    const slot_t *slot = slot_at (self, shape, self->order[at]);
    row->place = slot->place;
    for (unsigned i = 0; i < shape->inputs; i++)
        row->value[i] = slot_value (shape, slot, i);
}

void kept_rows_merge (kept_rows_t *self, const kept_shape_t *shape, const kept_rows_t *from)
{
    for (uint16_t i = 0; i < from->count; i++) {
        kept_row_t row;
        kept_rows_get (from, shape, i, &row);
        if (self->count == shape->limit &&
            compare_with (self, shape, &row, (uint16_t)(self->count - 1)) >= 0)
            return; /* nor are those that follow */
        kept_rows_add (self, shape, &row);
    }
}

/* ---- partials ---- */

static void encode_place (const kept_shape_t *shape, const row_place_t *place, int64_t before,
                          bool first, buf_t *out)
{
    if (first)
        buf_put_zigzag (out, place->time);
    else if (shape->descending)
        buf_put_varint (out, (uint64_t)before - (uint64_t)place->time);
    else
        buf_put_varint (out, (uint64_t)place->time - (uint64_t)before);
    buf_put_varint (out, place->offset);
    buf_put_varint (out, place->row);
}

void kept_rows_encode (const kept_rows_t *self, const kept_shape_t *shape, buf_t *out)
{
    int64_t before = 0;
    buf_put_varint (out, self->count);
    for (uint16_t i = 0; i < self->count; i++) {
        const slot_t *slot = slot_at (self, shape, self->order[i]);
        if (shape->placed)
            encode_place (shape, &slot->place, before, i == 0, out);
        before = slot->place.time;
        if (shape->nulls)
            buf_put_u8 (out, (uint8_t)(~slot->nulls & ((1u << shape->inputs) - 1)));
        for (unsigned k = 0; k < shape->inputs; k++)
            if ((slot->nulls >> k & 1) == 0)
                held_value_encode (shape->type[k], &slot->value[k], out);
    }
}

static row_place_t read_place (const kept_shape_t *shape, reader_t *reader, int64_t before,
                               bool first)
{
    row_place_t place = { 0 };
    if (first) {
        place.time = partial_read_zigzag (reader);
    } else {
        uint64_t step = partial_read_varint (reader);
        uint64_t most = shape->descending ? (uint64_t)before - (uint64_t)INT64_MIN
                                          : (uint64_t)INT64_MAX - (uint64_t)before;
        reader->bad = reader->bad || step > most;
        place.time = (int64_t)((uint64_t)before + (shape->descending ? 0 - step : step));
    }
    place.offset = partial_read_varint (reader);
    uint64_t row = partial_read_varint (reader);
    reader->bad = reader->bad || row > UINT32_MAX;
    place.row = (uint32_t)row;
    return place;
}

static void read_values (const kept_shape_t *shape, reader_t *reader, kept_row_t *row)
{
    unsigned all = (1u << shape->inputs) - 1;
    unsigned there = shape->nulls ? reader_u8 (reader) : all;
    reader->bad = reader->bad || there > all;
    for (unsigned i = 0; i < shape->inputs; i++) {
        if ((there >> i & 1) != 0)
            row->value[i] = held_value_read (shape->type[i], reader);
        else
            row->value[i] = (value_t){ .type = shape->type[i], .null = true };
    }
}

bool kept_rows_merge_partial (kept_rows_t *self, const kept_shape_t *shape, text_t partial)
{
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t count = partial_read_varint (&reader);
    if (reader.bad || count == 0 || count > shape->limit)
        return false;
    kept_row_t row = { 0 };
    kept_row_t before = { 0 };
    for (uint64_t i = 0; i < count; i++) {
        if (shape->placed)
            row.place = read_place (shape, &reader, before.place.time, i == 0);
        read_values (shape, &reader, &row);
        if (reader.bad || (i > 0 && compare_rows (shape, &before, &row) > 0))
            return false;
        kept_rows_add (self, shape, &row);
        before = row;
    }
    return reader_left (&reader) == 0;
}
