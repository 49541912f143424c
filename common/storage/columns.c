#include "storage/columns.h"

#include "base/check.h"

static uint16_t id_of (const columns_t *self, size_t column)
{
    return self->ids != NULL ? self->ids[column] : (uint16_t)column;
}

bool columns_are_plain (const columns_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (id_of (self, i) != i)
            return false;
    return true;
}

bool columns_equal (const columns_t *a, const columns_t *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->types[i] == b->types[i] && id_of (a, i) == id_of (b, i);
    return same;
}

/* ---- making ---- */

/* The column of that number, or -1. Most stand where they are looked for. */
static int16_t find_id (const columns_t *self, size_t likely, uint16_t id)
{
    if (likely < self->count && id_of (self, likely) == id)
        return (int16_t)likely;
    for (size_t i = 0; i < self->count; i++)
        if (id_of (self, i) == id)
            return (int16_t)i;
    return -1;
}

static bool can_be_read (type_t from, type_t as)
{
    return from == as || (from == TYPE_INT64 && as == TYPE_FLOAT64);
}

status_t columns_map_make (columns_map_t *self, const columns_t *from, const columns_t *wanted,
                           error_t *error)
{
    CHECK (from->count <= BLOCK_COLUMNS_MAX);
    CHECK (wanted->count <= BLOCK_COLUMNS_MAX);
    self->same = columns_equal (from, wanted);
    self->count = wanted->count;
    self->from_count = from->count;
    for (size_t i = 0; i < wanted->count; i++) {
        int16_t column = find_id (from, i, id_of (wanted, i));
        self->types[i] = wanted->types[i];
        self->from[i] = column;
        if (column >= 0 && !can_be_read (from->types[column], wanted->types[i]))
            return error_set (error, STATUS_STALE,
                              "the rows were written under other definitions: column %d is %s, "
                              "which cannot be read as %s",
                              column, type_word (from->types[column]),
                              type_word (wanted->types[i]));
    }
    return STATUS_OK;
}

/* ---- reading ---- */

static bool is_wanted (const uint64_t *wanted, size_t column)
{
    return wanted == NULL || (wanted[column / 64] >> (column % 64) & 1) != 0;
}

void columns_map_wanted (const columns_map_t *self, const uint64_t *wanted, uint64_t *read)
{
    memset (read, 0, BLOCK_WANTED_WORDS * sizeof *read);
    for (size_t i = 0; i < self->count; i++)
        if (self->from[i] >= 0 && is_wanted (wanted, i))
            block_want (read, (size_t)self->from[i]);
}

static column_t widened (const column_t *from, size_t rows, arena_t *arena)
{
    column_t out = { .type = TYPE_FLOAT64, .valid = from->valid };
    out.f = arena_alloc (arena, rows * sizeof *out.f);
    for (size_t r = 0; r < rows; r++)
        out.f[r] = (double)from->i[r];
    return out;
}

batch_t columns_map_apply (const columns_map_t *self, const batch_t *batch, const uint64_t *wanted,
                           arena_t *arena)
{
    CHECK (batch->columns == self->from_count);
    if (self->same)
        return *batch;
    batch_t out = *batch;
    out.columns = self->count;
    out.column = arena_zero (arena, self->count, sizeof *out.column);
    for (size_t i = 0; i < self->count; i++) {
        if (self->from[i] < 0) {
            if (is_wanted (wanted, i))
                out.column[i] = column_new (arena, self->types[i], batch->rows);
            continue;
        }
        const column_t *from = &batch->column[self->from[i]];
        bool widens = from->type == TYPE_INT64 && self->types[i] == TYPE_FLOAT64;
        out.column[i] = widens ? widened (from, batch->rows, arena) : *from;
    }
    return out;
}
