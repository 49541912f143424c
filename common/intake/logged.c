#include "intake/logged.h"

#include "base/mem.h"
#include "block/block.h"

#include <stdio.h>

static columns_t put_columns (const stream_t *stream, type_t *types, uint16_t *ids)
{
    for (size_t i = 0; i < stream->fields_count; i++) {
        types[i] = stream->fields[i].type;
        ids[i] = stream->fields[i].id;
    }
    return (columns_t){ types, ids, stream->fields_count };
}

columns_t stream_columns (const stream_t *stream, arena_t *arena)
{
    type_t *types = arena_zero (arena, stream->fields_count, sizeof *types);
    uint16_t *ids = arena_zero (arena, stream->fields_count, sizeof *ids);
    return put_columns (stream, types, ids);
}

/* The batch, which has the columns that it was written with, as one of the stream's. */
static status_t read_as (const stream_t *stream, const events_payload_t *payload, arena_t *arena,
                         batch_t *batch, error_t *error)
{
    if (payload->has_ids && payload->ids_count != batch->columns)
        return error_set (error, STATUS_CORRUPT, "a record has %zu columns, and numbers for %zu",
                          batch->columns, payload->ids_count);
    type_t written_types[BLOCK_COLUMNS_MAX];
    for (size_t i = 0; i < batch->columns; i++)
        written_types[i] = batch->column[i].type;
    columns_t written = { written_types, payload->has_ids ? payload->ids : NULL, batch->columns };
    type_t types[FIELDS_MAX];
    uint16_t ids[FIELDS_MAX];
    columns_t wanted = put_columns (stream, types, ids);
    columns_map_t map;
    status_t status = columns_map_make (&map, &written, &wanted, error);
    if (status != STATUS_OK)
        return error_prefix (error, "stream %s", stream->name);
    *batch = columns_map_apply (&map, batch, NULL, arena);
    return STATUS_OK;
}

void batch_set_keys (const stream_t *stream, batch_t *batch, arena_t *arena)
{
    batch->key = arena_zero (arena, batch->rows, sizeof *batch->key);
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    for (size_t i = 0; i < batch->rows; i++) {
        buf_clear (&bytes);
        if (stream_key (stream, batch, i, &bytes))
            batch->key[i] = arena_text (
                arena, (text_t){ .data = (const char *)bytes.data, .size = (uint32_t)bytes.size });
    }
    buf_release (&bytes);
}

status_t logged_events (const stream_t *stream, const log_record_t *record, arena_t *arena,
                        events_payload_t *payload, batch_t *batch, error_t *error)
{
    text_t bytes = { .data = (const char *)record->payload, .size = record->size };
    status_t status = events_payload_decode (bytes, payload, error);
    if (status != STATUS_OK)
        return status;
    if (payload->accepted == 0) {
        *batch = batch_new (arena, stream_columns (stream, arena).types, stream->fields_count, 0);
        return STATUS_OK;
    }
    status = block_decode (payload->block.data, payload->block.size, arena, NULL, batch, error);
    if (status != STATUS_OK)
        return status;
    if (batch->rows != payload->accepted || batch->rows != record->count)
        return error_set (error, STATUS_CORRUPT, "a record of %u offsets has %zu events",
                          record->count, batch->rows);
    status = read_as (stream, payload, arena, batch, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < batch->rows; i++) {
        batch->offset[i] = record->offset + i;
        batch->row[i] = 0;
    }
    batch_set_keys (stream, batch, arena);
    return STATUS_OK;
}

log_identity_t logged_identity (const stream_t *stream, uint64_t cluster, uint32_t partition)
{
    return (log_identity_t){ .cluster = cluster, .name = stream->log_name, .partition = partition };
}

char *logged_dir (arena_t *arena, const char *root, const char *log_name, uint32_t partition)
{
    char *path = mem_format ("%s/%s/%u", root, log_name, partition);
    char *copy = arena_string (arena, text_of (path));
    mem_free (path);
    return copy;
}
