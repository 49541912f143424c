#include "intake/logged.h"

#include "base/mem.h"
#include "block/block.h"

#include <stdio.h>

static status_t check_columns (const stream_t *stream, const batch_t *batch, error_t *error)
{
    if (batch->columns != stream->fields_count)
        return error_set (error, STATUS_CORRUPT, "a record has %zu columns; stream %s has %zu",
                          batch->columns, stream->name, stream->fields_count);
    for (size_t i = 0; i < batch->columns; i++)
        if (batch->column[i].type != stream->fields[i].type)
            return error_set (error, STATUS_CORRUPT, "field %s of a record is %s, not %s",
                              stream->fields[i].name, type_word (batch->column[i].type),
                              type_word (stream->fields[i].type));
    return STATUS_OK;
}

type_t *stream_types (const stream_t *stream, arena_t *arena)
{
    type_t *types = arena_zero (arena, stream->fields_count, sizeof *types);
    for (size_t i = 0; i < stream->fields_count; i++)
        types[i] = stream->fields[i].type;
    return types;
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
        *batch = batch_new (arena, stream_types (stream, arena), stream->fields_count, 0);
        return STATUS_OK;
    }
    status = block_decode (payload->block.data, payload->block.size, arena, NULL, batch, error);
    if (status != STATUS_OK)
        return status;
    if (batch->rows != payload->accepted || batch->rows != record->count)
        return error_set (error, STATUS_CORRUPT, "a record of %u offsets has %zu events",
                          record->count, batch->rows);
    status = check_columns (stream, batch, error);
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
