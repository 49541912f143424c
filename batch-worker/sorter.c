#include "batch-worker/sorter.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

enum {
    CAPACITY_MIN = 64,
    SORT_BYTES = 4 + 32, /* a row's place in the order, and the scratch of sort_batch */
};

void sorter_init (sorter_t *self, const type_t *types, size_t columns)
{
    *self = (sorter_t){ .rows = { .columns = columns } };
    self->rows.column = mem_zero (columns, sizeof *self->rows.column);
    for (size_t c = 0; c < columns; c++)
        self->rows.column[c].type = types[c];
}

static void free_rows (batch_t *rows)
{
    for (size_t c = 0; c < rows->columns; c++) {
        mem_free (rows->column[c].valid);
        mem_free (rows->column[c].data);
        rows->column[c].valid = NULL;
        rows->column[c].data = NULL;
    }
    mem_free (rows->event_time);
    mem_free (rows->ingest_time);
    mem_free (rows->offset);
    mem_free (rows->row);
    mem_free (rows->key);
    *rows = (batch_t){ .columns = rows->columns, .column = rows->column };
}

void sorter_release (sorter_t *self)
{
    free_rows (&self->rows);
    mem_free (self->rows.column);
    *self = (sorter_t){ .capacity = 0 };
}

void sorter_clear (sorter_t *self)
{
    free_rows (&self->rows);
    self->capacity = 0;
}

static void reserve (sorter_t *self, size_t rows)
{
    if (rows <= self->capacity)
        return;
    size_t capacity = self->capacity + self->capacity / 2;
    capacity = capacity > rows ? capacity : rows;
    capacity = capacity > CAPACITY_MIN ? capacity : CAPACITY_MIN;
    batch_t *batch = &self->rows;
    for (size_t c = 0; c < batch->columns; c++) {
        column_t *column = &batch->column[c];
        column->valid = mem_resize (column->valid, capacity, sizeof *column->valid);
        column->data = mem_resize (column->data, capacity, type_size (column->type));
    }
    batch->event_time = mem_resize (batch->event_time, capacity, sizeof *batch->event_time);
    batch->ingest_time = mem_resize (batch->ingest_time, capacity, sizeof *batch->ingest_time);
    batch->offset = mem_resize (batch->offset, capacity, sizeof *batch->offset);
    batch->row = mem_resize (batch->row, capacity, sizeof *batch->row);
    batch->key = mem_resize (batch->key, capacity, sizeof *batch->key);
    self->capacity = capacity;
}

void sorter_add_rows (sorter_t *self, const batch_t *batch, size_t from, size_t to)
{
    CHECK (batch->columns == self->rows.columns);
    CHECK (batch->key != NULL);
    CHECK (from <= to && to <= batch->rows);
    size_t count = to - from;
    batch_t *rows = &self->rows;
    size_t at = rows->rows;
    if (count == 0)
        return;
    reserve (self, at + count);
    for (size_t c = 0; c < rows->columns; c++) {
        const column_t *source = &batch->column[c];
        column_t *column = &rows->column[c];
        CHECK (source->type == column->type);
        size_t size = type_size (column->type);
        memcpy (column->valid + at, source->valid + from, count);
        memcpy ((char *)column->data + at * size, (const char *)source->data + from * size,
                count * size);
    }
    memcpy (rows->event_time + at, batch->event_time + from, count * sizeof *rows->event_time);
    memcpy (rows->ingest_time + at, batch->ingest_time + from, count * sizeof *rows->ingest_time);
    memcpy (rows->offset + at, batch->offset + from, count * sizeof *rows->offset);
    memcpy (rows->row + at, batch->row + from, count * sizeof *rows->row);
    memcpy (rows->key + at, batch->key + from, count * sizeof *rows->key);
    rows->rows = at + count;
}

void sorter_add (sorter_t *self, const batch_t *batch, size_t row)
{
    sorter_add_rows (self, batch, row, row + 1);
}

size_t sorter_row_bytes (const sorter_t *self)
{
    size_t size =
        SORT_BYTES + 2 * sizeof (int64_t) + sizeof (uint64_t) + sizeof (uint32_t) + sizeof (text_t);
    for (size_t c = 0; c < self->rows.columns; c++)
        size += 1 + type_size (self->rows.column[c].type);
    return size;
}

status_t sorter_write (const sorter_t *self, fs_t *fs, const char *path, const run_schema_t *schema,
                       run_info_t *info, error_t *error)
{
    run_writer_t *writer;
    status_t status = run_writer_new (fs, path, schema, &writer, error);
    if (status != STATUS_OK)
        return status;
    uint32_t *order = mem_zero (self->rows.rows, sizeof *order);
    sort_batch (&self->rows, order);
    status = run_writer_add_order (writer, &self->rows, order, self->rows.rows, error);
    mem_free (order);
    if (status == STATUS_OK)
        status = run_writer_finish (writer, info, error);
    info->schema = *schema;
    run_writer_destroy (&writer);
    return status;
}
