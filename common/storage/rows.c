#include "storage/rows.h"

#include "base/check.h"

bool rows_same_key (const batch_t *a, size_t i, const batch_t *b, size_t j)
{
    const text_t *x = &a->key[i];
    const text_t *y = &b->key[j];
    return x->size == y->size &&
           (x->data == y->data || x->size == 0 || memcmp (x->data, y->data, x->size) == 0);
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
    slice.ingest_time += slice.ingest_time != NULL ? from : 0;
    slice.offset += slice.offset != NULL ? from : 0;
    slice.row += slice.row != NULL ? from : 0;
    if (slice.key != NULL)
        slice.key += from;
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

static column_t pick_column (const batch_t *batches, size_t which, const rows_place_t *places,
                             size_t count, arena_t *arena)
{
    column_t out = { .type = batches[places[0].batch].column[which].type };
    if (out.type == TYPE_NONE)
        return out;
    out.valid = arena_alloc (arena, count);
    out.data = arena_alloc (arena, count * type_size (out.type));
    for (size_t i = 0; i < count; i++) {
        const column_t *from = &batches[places[i].batch].column[which];
        size_t row = places[i].row;
        out.valid[i] = from->valid == NULL || from->valid[row] != 0;
        column_copy (&out, i, from, row);
    }
    return out;
}

batch_t rows_pick (const batch_t *batches, const rows_place_t *places, size_t count, arena_t *arena)
{
    batch_t out = { .rows = count };
    if (count == 0)
        return out;
    const batch_t *first = &batches[places[0].batch];
    out.columns = first->columns;
    out.column = arena_alloc (arena, out.columns * sizeof *out.column);
    out.event_time = arena_alloc (arena, count * sizeof *out.event_time);
    out.ingest_time =
        first->ingest_time == NULL ? NULL : arena_alloc (arena, count * sizeof *out.ingest_time);
    out.offset = arena_alloc (arena, count * sizeof *out.offset);
    out.row = arena_alloc (arena, count * sizeof *out.row);
    out.key = first->key == NULL ? NULL : arena_alloc (arena, count * sizeof *out.key);
    for (size_t i = 0; i < count; i++) {
        const batch_t *from = &batches[places[i].batch];
        size_t row = places[i].row;
        out.event_time[i] = from->event_time[row];
        if (out.ingest_time != NULL)
            out.ingest_time[i] = from->ingest_time[row];
        out.offset[i] = from->offset[row];
        out.row[i] = from->row[row];
        if (out.key != NULL)
            out.key[i] = from->key[row];
    }
    for (size_t i = 0; i < out.columns; i++)
        out.column[i] = pick_column (batches, i, places, count, arena);
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
