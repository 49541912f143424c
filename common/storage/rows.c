#include "storage/rows.h"

#include "base/check.h"

enum { FEW_CELLS = 8 };

bool rows_same_key (const batch_t *a, size_t i, const batch_t *b, size_t j)
{
    return text_equal (a->key[i], b->key[j]);
}

int rows_compare (const batch_t *a, size_t i, const batch_t *b, size_t j)
{
    if (!rows_same_key (a, i, b, j))
        return text_compare (a->key[i], b->key[j]);
    if (a->event_time[i] != b->event_time[j])
        return a->event_time[i] < b->event_time[j] ? -1 : 1;
    if (a->offset[i] != b->offset[j])
        return a->offset[i] < b->offset[j] ? -1 : 1;
    return (a->row[i] > b->row[j]) - (a->row[i] < b->row[j]);
}

batch_t rows_slice (const batch_t *batch, size_t from, size_t to, arena_t *arena)
{
    CHECK (from <= to && to <= batch->rows);
    batch_t slice = *batch;
    slice.rows = to - from;
    slice.event_time += from;
    if (slice.ingest_time != NULL)
        slice.ingest_time += from;
    if (slice.offset != NULL)
        slice.offset += from;
    if (slice.row != NULL)
        slice.row += from;
    if (slice.key != NULL)
        slice.key += from;
    slice.key_start = NULL;
    slice.keys = 0;
    slice.column = arena_alloc (arena, batch->columns * sizeof *slice.column);
    for (size_t i = 0; i < batch->columns; i++) {
        column_t column = batch->column[i];
        if (column.type != TYPE_NONE) {
            if (column.valid != NULL)
                column.valid += from;
            column.data = (uint8_t *)column.data + from * type_size (column.type);
        }
        slice.column[i] = column;
    }
    return slice;
}

/* Neighbours in their batch that are neighbours among the picked. */
typedef struct stretch {
    uint32_t batch;
    uint32_t row; /* the first */
    size_t count;
} stretch_t;

typedef struct picked {
    const batch_t *batches;
    stretch_t *stretches;
    size_t count;
    size_t rows;
    arena_t *arena;
} picked_t;

static picked_t find_stretches (const batch_t *batches, const rows_place_t *places, size_t count,
                                arena_t *arena)
{
    picked_t picked = { .batches = batches, .rows = count, .arena = arena };
    picked.stretches = arena_alloc (arena, count * sizeof *picked.stretches);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && places[end].batch == places[i].batch &&
                          places[end].row == places[end - 1].row + 1;)
            end++;
        picked.stretches[picked.count++] = (stretch_t){ places[i].batch, places[i].row, end - i };
    }
    return picked;
}

/* Copies cells [row, row + count) of `size` bytes, which is known where it is called: few cells
 * cost a move each. */
static inline __attribute__ ((always_inline)) void *
copy_cells (void *to, const void *from, size_t row, size_t count, size_t size)
{
    const uint8_t *cell = (const uint8_t *)from + row * size;
    if (count > FEW_CELLS)
        memcpy (to, cell, count * size);
    else
        for (size_t i = 0; i < count; i++)
            memcpy ((uint8_t *)to + i * size, cell + i * size, size);
    return (uint8_t *)to + count * size;
}

/* An array of the batch, of which the field is `array`, at the picked rows; NULL where it is. */
#define PICK_ARRAY(picked, array)                                                                  \
    __extension__({                                                                                \
        size_t cell = sizeof *(picked)->batches->array;                                            \
        bool none = (picked)->batches[(picked)->stretches[0].batch].array == NULL;                 \
        void *start = none ? NULL : arena_alloc ((picked)->arena, (picked)->rows * cell);          \
        void *to = start;                                                                          \
        for (size_t i = 0; !none && i < (picked)->count; i++) {                                    \
            const stretch_t *at = &(picked)->stretches[i];                                         \
            to = copy_cells (to, (picked)->batches[at->batch].array, at->row, at->count, cell);    \
        }                                                                                          \
        start;                                                                                     \
    })

static column_t pick_column (const picked_t *picked, size_t which)
{
    column_t out = { .type = picked->batches[picked->stretches[0].batch].column[which].type };
    if (out.type == TYPE_NONE)
        return out;
    size_t cell = type_size (out.type);
    out.valid = arena_alloc (picked->arena, picked->rows);
    out.data = arena_alloc (picked->arena, picked->rows * cell);
    uint8_t *valid = out.valid;
    void *data = out.data;
    for (size_t i = 0; i < picked->count; i++) {
        const stretch_t *at = &picked->stretches[i];
        const column_t *from = &picked->batches[at->batch].column[which];
        if (from->valid == NULL)
            memset (valid, 1, at->count);
        else
            for (size_t row = 0; row < at->count; row++)
                valid[row] = from->valid[at->row + row] != 0;
        valid += at->count;
        if (cell == sizeof (int64_t))
            data = copy_cells (data, from->data, at->row, at->count, sizeof (int64_t));
        else
            data = copy_cells (data, from->data, at->row, at->count, cell);
    }
    return out;
}

batch_t rows_pick (const batch_t *batches, const rows_place_t *places, size_t count, arena_t *arena)
{
    batch_t out = { .rows = count };
    if (count == 0)
        return out;
    picked_t picked = find_stretches (batches, places, count, arena);
    out.columns = batches[places[0].batch].columns;
    out.column = arena_alloc (arena, out.columns * sizeof *out.column);
    out.event_time = PICK_ARRAY (&picked, event_time);
    out.ingest_time = PICK_ARRAY (&picked, ingest_time);
    out.offset = PICK_ARRAY (&picked, offset);
    out.row = PICK_ARRAY (&picked, row);
    out.key = PICK_ARRAY (&picked, key);
    for (size_t i = 0; i < out.columns; i++)
        out.column[i] = pick_column (&picked, i);
    return out;
}

static void *copy_array (const void *from, size_t count, size_t size, arena_t *arena)
{
    if (from == NULL)
        return NULL;
    void *to = arena_alloc (arena, count * size);
    if (count > 0)
        memcpy (to, from, count * size);
    return to;
}

/* Equal neighbours share one copy: keys come in stretches. */
static text_t *copy_texts (const text_t *from, size_t count, arena_t *arena)
{
    if (from == NULL)
        return NULL;
    text_t *to = arena_alloc (arena, count * sizeof *to);
    for (size_t i = 0; i < count; i++)
        to[i] = i > 0 && text_equal (from[i], to[i - 1]) ? to[i - 1] : arena_text (arena, from[i]);
    return to;
}

batch_t rows_copy (const batch_t *batch, arena_t *arena)
{
    size_t rows = batch->rows;
    batch_t out = *batch;
    out.key_start = NULL;
    out.keys = 0;
    out.event_time = copy_array (batch->event_time, rows, sizeof *out.event_time, arena);
    out.ingest_time = copy_array (batch->ingest_time, rows, sizeof *out.ingest_time, arena);
    out.offset = copy_array (batch->offset, rows, sizeof *out.offset, arena);
    out.row = copy_array (batch->row, rows, sizeof *out.row, arena);
    out.key = copy_texts (batch->key, rows, arena);
    out.column = copy_array (batch->column, batch->columns, sizeof *out.column, arena);
    for (size_t i = 0; i < batch->columns; i++) {
        column_t *column = &out.column[i];
        column->valid = copy_array (column->valid, rows, 1, arena);
        if (column->type == TYPE_STRING)
            column->s = copy_texts (column->s, rows, arena);
        else if (column->type != TYPE_NONE)
            column->data = copy_array (column->data, rows, type_size (column->type), arena);
    }
    return out;
}
