#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"
#include "base/timestamp.h"
#include "block/column.h"
#include "block/ints.h"
#include "block/keyed.h"
#include "block/keys.h"
#include "block/pack.h"
#include "block/texts.h"

#include <xxhash.h>

enum { PACK_SIZE_MIN = 64 }; /* bytes of a body that may be packed */

/* A block that is being made. */
typedef struct encoder {
    const batch_t *batch;
    size_t from;
    size_t to;
    int64_t *offsets; /* position as columns of int64 */
    int64_t *rows;
    scratch_t scratch;
    buf_t raw;    /* one body before it is packed */
    buf_t bodies; /* all, as stored */
    size_t raw_total;
    size_t entries;
    column_entry_t entry[SYSTEM_MAX + BLOCK_COLUMNS_MAX];
} encoder_t;

static status_t check_limits (const batch_t *batch, size_t from, size_t to, error_t *error)
{
    CHECK (from <= to && to <= batch->rows);
    size_t rows = to - from;
    if (rows > BLOCK_ROWS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a block of %zu rows (at most %d)", rows,
                          BLOCK_ROWS_MAX);
    if (batch->columns > BLOCK_COLUMNS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a block of %zu columns (at most %d)",
                          batch->columns, BLOCK_COLUMNS_MAX);
    if (rows * batch->columns > BLOCK_CELLS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a block of %zu cells (at most %d)",
                          rows * batch->columns, BLOCK_CELLS_MAX);
    for (size_t i = 0; i < batch->columns; i++)
        CHECK (type_is_field (batch->column[i].type));
    for (size_t i = from; i < to; i++) {
        if (batch->event_time[i] < TIME_EVENT_MIN || batch->event_time[i] > TIME_EVENT_MAX)
            return error_set (error, STATUS_INVALID, "event time %lld is not in 1970 to 9999",
                              (long long)batch->event_time[i]);
        if (batch->key != NULL && batch->key[i].size > KEY_SIZE_MAX)
            return error_set (error, STATUS_INVALID, "a key of %u bytes (at most %d)",
                              batch->key[i].size, KEY_SIZE_MAX);
    }
    return STATUS_OK;
}

/* The first rows of stretches of equal keys. */
static size_t starts_of (const batch_t *batch, size_t from, size_t to, uint32_t *starts)
{
    if (batch->key_start == NULL || from > 0 || to < batch->rows)
        return keys_find_starts (batch->key + from, to - from, starts);
    memcpy (starts, batch->key_start, batch->keys * sizeof *starts);
    return batch->keys;
}

static void encoder_init (encoder_t *self, const batch_t *batch, size_t from, size_t to,
                          effort_t effort)
{
    size_t rows = to - from;
    self->batch = batch;
    self->from = from;
    self->to = to;
    self->offsets = mem_alloc (rows * 6 * sizeof (int64_t));
    self->rows = self->offsets + rows;
    self->scratch.a = self->rows + rows;
    self->scratch.b = self->scratch.a + rows;
    self->scratch.c = self->scratch.b + rows;
    self->scratch.d = self->scratch.c + rows;
    self->scratch.tokens = mem_alloc (rows);
    self->scratch.starts = mem_alloc (rows * sizeof (uint32_t));
    self->scratch.key = NULL;
    self->scratch.keys = 0;
    self->scratch.arena = NULL;
    if (effort != EFFORT_LOG && batch->key != NULL) {
        self->scratch.key = batch->key + from;
        self->scratch.keys = starts_of (batch, from, to, self->scratch.starts);
    }
    self->scratch.effort = effort;
    self->scratch.texts = mem_alloc (rows * 2 * sizeof (text_t));
    self->scratch.event_time = NULL;
    buf_init (&self->raw, BLOCK_SIZE_MAX);
    buf_init (&self->bodies, BLOCK_SIZE_MAX);
    self->raw_total = 0;
    self->entries = 0;
}

static void encoder_release (encoder_t *self)
{
    mem_free (self->offsets);
    mem_free (self->scratch.tokens);
    mem_free (self->scratch.starts);
    mem_free (self->scratch.texts);
    buf_release (&self->raw);
    buf_release (&self->bodies);
}

/* Is there something in a body of this kind that LZ4 or zstd may find? What is packed or in tokens
 * has little left. */
static bool may_hold_more (const column_entry_t *entry)
{
    switch ((encoding_t)entry->encoding) {
    case ENCODING_CONSTANT:
    case ENCODING_PACKED:
    case ENCODING_SCALED:
    case ENCODING_FROM_TIME:
    case ENCODING_TOKENS:
    case ENCODING_STEPS:
    case ENCODING_KEY_STEPS:
    case ENCODING_TREND:
    case ENCODING_OF_KEY:
        return entry->type == TYPE_STRING || (entry->flags & COLUMN_FLAG_NULLS) != 0;
    default:
        return true;
    }
}

/* Puts the body in `raw` behind the others, packed when that saves something worth the work of
 * reading it. */
static void store_body (encoder_t *self, column_entry_t *entry)
{
    size_t raw = self->raw.size;
    size_t start = self->bodies.size;
    self->raw_total += raw;
    entry->raw_size = (uint32_t)raw;
    entry->stored_size = (uint32_t)raw;
    if (raw < PACK_SIZE_MIN || start + raw > BLOCK_SIZE_MAX) {
        buf_put (&self->bodies, self->raw.data, raw);
        return;
    }
    size_t worth = raw - raw / 32;
    bool packed = false;
    bool dense = self->scratch.effort == EFFORT_DENSE;
    if (dense && may_hold_more (entry))
        packed = pack_zstd (&self->bodies, self->raw.data, raw, worth);
    if (!dense && (self->scratch.effort == EFFORT_LOG || may_hold_more (entry)))
        packed = pack_lz4 (&self->bodies, self->raw.data, raw, worth);
    if (packed) {
        entry->stored_size = (uint32_t)(self->bodies.size - start);
        entry->flags |= dense ? COLUMN_FLAG_ZSTD : COLUMN_FLAG_LZ4;
    } else {
        buf_put (&self->bodies, self->raw.data, raw);
    }
}

static void end_body (encoder_t *self, column_entry_t *entry)
{
    if (self->raw.bad)
        self->bodies.bad = true;
    else
        store_body (self, entry);
}

static void add_column (encoder_t *self, const column_t *column, size_t from, size_t to)
{
    column_entry_t *entry = &self->entry[self->entries++];
    scheduling_give_way ();
    buf_clear (&self->raw);
    column_encode (&self->raw, column, from, to, &self->scratch, entry);
    end_body (self, entry);
}

/* The event times, which everything else may be told from. */
static void add_times (encoder_t *self, const int64_t *times)
{
    column_entry_t *entry = &self->entry[self->entries++];
    buf_clear (&self->raw);
    *entry = (column_entry_t){ .type = TYPE_TIMESTAMP };
    entry->encoding =
        (uint8_t)keyed_times_encode (&self->raw, times, self->to - self->from, &self->scratch);
    end_body (self, entry);
}

static void add_keys (encoder_t *self, const text_t *keys)
{
    column_entry_t *entry = &self->entry[self->entries++];
    size_t rows = self->to - self->from;
    buf_clear (&self->raw);
    *entry = (column_entry_t){ .type = TYPE_STRING };
    entry->encoding =
        (uint8_t)(self->scratch.keys > 0 ? keys_encode (&self->raw, keys, rows, &self->scratch)
                                         : texts_encode (&self->raw, keys, rows, &self->scratch));
    end_body (self, entry);
}

/* Offsets, or rows, which follow `times`. */
static void add_positions (encoder_t *self, const int64_t *positions, const int64_t *times)
{
    column_entry_t *entry = &self->entry[self->entries++];
    size_t rows = self->to - self->from;
    buf_clear (&self->raw);
    *entry = (column_entry_t){ .type = TYPE_INT64 };
    entry->encoding =
        (uint8_t)(self->scratch.effort == EFFORT_DENSE
                      ? keyed_positions_encode (&self->raw, positions, times, rows, &self->scratch)
                      : ints_encode (&self->raw, positions, rows, &self->scratch));
    end_body (self, entry);
}

static void add_columns (encoder_t *self)
{
    const batch_t *batch = self->batch;
    size_t rows = self->to - self->from;
    for (size_t i = 0; i < rows; i++) {
        self->offsets[i] = (int64_t)batch->offset[self->from + i];
        self->rows[i] = batch->row[self->from + i];
    }
    add_times (self, batch->event_time + self->from);
    self->scratch.event_time = batch->event_time + self->from;
    column_t column = { .type = TYPE_TIMESTAMP, .i = batch->ingest_time };
    add_column (self, &column, self->from, self->to);
    add_positions (self, self->offsets, batch->ingest_time + self->from);
    add_positions (self, self->rows, self->scratch.event_time);
    if (batch->key != NULL)
        add_keys (self, batch->key + self->from);
    for (size_t i = 0; i < batch->columns; i++)
        add_column (self, &batch->column[i], self->from, self->to);
}

static void put_header (const encoder_t *self, size_t header_size, size_t size, buf_t *out)
{
    const batch_t *batch = self->batch;
    size_t rows = self->to - self->from;
    int64_t min_time = rows > 0 ? batch->event_time[self->from] : 0;
    int64_t max_time = min_time;
    for (size_t i = self->from; i < self->to; i++) {
        min_time = batch->event_time[i] < min_time ? batch->event_time[i] : min_time;
        max_time = batch->event_time[i] > max_time ? batch->event_time[i] : max_time;
    }
    text_t first = { 0 };
    text_t last = { 0 };
    if (batch->key != NULL && rows > 0) {
        first = batch->key[self->from];
        last = batch->key[self->to - 1];
    }
    buf_put_u32 (out, BLOCK_MAGIC);
    buf_put_u16 (out, BLOCK_VERSION);
    buf_put_u16 (out, batch->key != NULL ? BLOCK_FLAG_KEYS : 0);
    buf_put_u32 (out, (uint32_t)size);
    buf_put_u32 (out, (uint32_t)rows);
    buf_put_u16 (out, (uint16_t)batch->columns);
    buf_put_u16 (out, (uint16_t)header_size);
    buf_put_i64 (out, min_time);
    buf_put_i64 (out, max_time);
    buf_put_u16 (out, (uint16_t)first.size);
    buf_put_u16 (out, (uint16_t)last.size);
    for (size_t i = 0; i < self->entries; i++) {
        buf_put_u8 (out, self->entry[i].type);
        buf_put_u8 (out, self->entry[i].encoding);
        buf_put_u8 (out, self->entry[i].flags);
        buf_put_u8 (out, 0);
        buf_put_u32 (out, self->entry[i].raw_size);
        buf_put_u32 (out, self->entry[i].stored_size);
    }
    buf_put (out, first.data, first.size);
    buf_put (out, last.data, last.size);
}

static status_t put_block (encoder_t *self, buf_t *out, error_t *error)
{
    const batch_t *batch = self->batch;
    size_t header_size = BLOCK_PREAMBLE_SIZE + self->entries * BLOCK_ENTRY_SIZE;
    if (batch->key != NULL && self->from < self->to)
        header_size += batch->key[self->from].size + batch->key[self->to - 1].size;
    size_t size = header_size + self->bodies.size + BLOCK_CHECKSUM_SIZE;
    if (self->bodies.bad || size > BLOCK_SIZE_MAX || self->raw_total > BLOCK_SIZE_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%zu rows do not fit into a block of %d bytes",
                          self->to - self->from, BLOCK_SIZE_MAX);
    size_t start = out->size;
    put_header (self, header_size, size, out);
    buf_put (out, self->bodies.data, self->bodies.size);
    if (!out->bad)
        buf_put_u64 (out, XXH3_64bits (out->data + start, out->size - start));
    if (out->bad) {
        out->size = start;
        return error_set (error, STATUS_TOO_LARGE,
                          "a block of %zu bytes does not fit where it is to go", size);
    }
    CHECK (out->size - start == size);
    return STATUS_OK;
}

static status_t encode (const batch_t *batch, size_t from, size_t to, effort_t effort, buf_t *out,
                        error_t *error)
{
    status_t status = check_limits (batch, from, to, error);
    if (status != STATUS_OK)
        return status;
    encoder_t encoder;
    encoder_init (&encoder, batch, from, to, effort);
    add_columns (&encoder);
    status = put_block (&encoder, out, error);
    encoder_release (&encoder);
    return status;
}

status_t block_encode (const batch_t *batch, size_t from, size_t to, buf_t *out, error_t *error)
{
    return encode (batch, from, to, EFFORT_LOG, out, error);
}

status_t block_encode_dense (const batch_t *batch, size_t from, size_t to, buf_t *out,
                             error_t *error)
{
    return encode (batch, from, to, EFFORT_DENSE, out, error);
}

status_t block_encode_quick (const batch_t *batch, size_t from, size_t to, buf_t *out,
                             error_t *error)
{
    return encode (batch, from, to, EFFORT_QUICK, out, error);
}
