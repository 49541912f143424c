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

/* The batch, whose columns are the fields of these numbers (NULL: 0, 1, …), as one of the stream's.
 */
static status_t read_as (const stream_t *stream, const uint16_t *written_ids, size_t ids_count,
                         arena_t *arena, batch_t *batch, error_t *error)
{
    if (written_ids && ids_count != batch->columns)
        return error_set (error, STATUS_CORRUPT, "a record has %zu columns, and numbers for %zu",
                          batch->columns, ids_count);
    type_t written_types[BLOCK_COLUMNS_MAX];
    for (size_t i = 0; i < batch->columns; i++)
        written_types[i] = batch->column[i].type;
    columns_t written = { written_types, written_ids, batch->columns };
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

status_t stream_batch_as (const stream_t *from, const stream_t *to, const batch_t *batch,
                          arena_t *arena, batch_t *as, error_t *error)
{
    columns_t written = stream_columns (from, arena);
    *as = *batch;
    return read_as (to, written.ids, written.count, arena, as, error);
}

/* The keys of one field that takes eight bytes. */
static void set_number_keys (const column_t *column, batch_t *batch, arena_t *arena)
{
    uint8_t *at = arena_alloc (arena, batch->rows * KEY_NUMBER_SIZE);
    for (size_t i = 0; i < batch->rows; i++, at += KEY_NUMBER_SIZE) {
        if (!column->valid[i])
            continue;
        key_put_number (at, column->type, column->i[i]);
        batch->key[i] = (text_t){ (const char *)at, KEY_NUMBER_SIZE };
    }
}

/* The keys of one field that is a string, but of those that take more bytes than most. */
static void set_string_keys (const column_t *column, batch_t *batch, arena_t *arena)
{
    size_t size = 0;
    for (size_t i = 0; i < batch->rows; i++)
        if (column->valid[i] && column->s[i].size <= KEY_SIZE_MAX - KEY_STRING_MORE)
            size += column->s[i].size + KEY_STRING_MORE;
    uint8_t *at = arena_alloc (arena, size);
    for (size_t i = 0; i < batch->rows; i++) {
        text_t text = column->s[i];
        if (!column->valid[i] || text.size > KEY_SIZE_MAX - KEY_STRING_MORE ||
            !key_put_plain_string (at, text))
            continue;
        batch->key[i] = (text_t){ (const char *)at, text.size + KEY_STRING_MORE };
        at += batch->key[i].size;
    }
}

void batch_set_keys (const keyed_log_t *log, batch_t *batch, arena_t *arena)
{
    batch->key = arena_zero (arena, batch->rows, sizeof *batch->key);
    batch->key_start = NULL;
    batch->keys = 0;
    if (batch->rows == 0)
        return; /* which may be a batch without columns */
    const column_t *first = log->key_count == 1 ? &batch->column[log->key[0]] : NULL;
    if (first && type_size (first->type) == sizeof (int64_t)) {
        set_number_keys (first, batch, arena);
        return;
    }
    if (first && first->type == TYPE_STRING)
        set_string_keys (first, batch, arena);
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    for (size_t i = 0; i < batch->rows; i++) {
        if (batch->key[i].size > 0)
            continue;
        buf_clear (&bytes);
        if (keyed_log_key (log, batch, i, &bytes))
            batch->key[i] = arena_text (
                arena, (text_t){ .data = (const char *)bytes.data, .size = (uint32_t)bytes.size });
    }
    buf_release (&bytes);
}

/* The events of a record in a log, `accepted` of them in `block`, decoded but for their columns.
 * Places are the record's, whatever the block has. */
static status_t read_block (const log_record_t *record, uint32_t accepted, text_t block,
                            arena_t *arena, batch_t *batch, error_t *error)
{
    status_t status =
        block_decode_some (block.data, block.size, arena, NULL, BLOCK_LEAVE_POSITION, batch, error);
    if (status == STATUS_OK && (batch->rows != accepted || batch->rows != record->count))
        return error_set (error, STATUS_CORRUPT, "a record of %u offsets has %zu events",
                          record->count, batch->rows);
    return status;
}

static void set_places (const keyed_log_t *log, const log_record_t *record, batch_t *batch,
                        arena_t *arena)
{
    uint64_t *offset = batch->offset = arena_alloc (arena, batch->rows * sizeof *offset);
    batch->row = arena_zero (arena, batch->rows, sizeof *batch->row);
    for (size_t i = 0; i < batch->rows; i++)
        offset[i] = record->offset + i;
    batch_set_keys (log, batch, arena);
}

static batch_t no_events (const stream_t *stream, arena_t *arena)
{
    return batch_new (arena, stream_columns (stream, arena).types, stream->fields_count, 0);
}

static text_t payload_of (const log_record_t *record)
{
    return (text_t){ .data = (const char *)record->payload, .size = record->size };
}

status_t logged_events (const keyed_log_t *log, const log_record_t *record, arena_t *arena,
                        events_payload_t *payload, batch_t *batch, error_t *error)
{
    status_t status = events_payload_decode (payload_of (record), payload, error);
    if (status != STATUS_OK)
        return status;
    *batch = no_events (log->stream, arena);
    if (payload->accepted == 0)
        return STATUS_OK;
    status = read_block (record, payload->accepted, payload->block, arena, batch, error);
    if (status == STATUS_OK)
        status = read_as (log->stream, payload->has_ids ? payload->ids : NULL, payload->ids_count,
                          arena, batch, error);
    if (status == STATUS_OK)
        set_places (log, record, batch, arena);
    return status;
}

status_t logged_forwarded (const keyed_log_t *log, const log_record_t *record, arena_t *arena,
                           forwarded_payload_t *payload, batch_t *batch, error_t *error)
{
    status_t status = forwarded_payload_decode (payload_of (record), payload, error);
    if (status != STATUS_OK)
        return status;
    *batch = no_events (log->stream, arena);
    if (payload->accepted == 0)
        return STATUS_OK;
    status = read_block (record, payload->accepted, payload->block, arena, batch, error);
    if (status == STATUS_OK)
        status = read_as (log->stream, payload->ids, payload->ids_count, arena, batch, error);
    if (status == STATUS_OK)
        set_places (log, record, batch, arena);
    return status;
}

status_t logged_batch (const keyed_log_t *log, const log_record_t *record, arena_t *arena,
                       batch_t *batch, error_t *error)
{
    events_payload_t events;
    forwarded_payload_t forwarded;
    return log->primary ? logged_events (log, record, arena, &events, batch, error)
                        : logged_forwarded (log, record, arena, &forwarded, batch, error);
}

log_identity_t logged_identity (const keyed_log_t *log, uint64_t cluster, uint32_t partition)
{
    return (log_identity_t){ .cluster = cluster, .name = log->name, .partition = partition };
}

char *logged_dir (arena_t *arena, const char *root, const char *log_name, uint32_t partition)
{
    char *path = mem_format ("%s/%s/%u", root, log_name, partition);
    char *copy = arena_string (arena, text_of (path));
    mem_free (path);
    return copy;
}
