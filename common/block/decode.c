#include "base/check.h"
#include "base/scheduling.h"
#include "base/timestamp.h"
#include "block/column.h"
#include "block/keyed.h"
#include "block/keys.h"
#include "block/pack.h"

#include <xxhash.h>

/* A block's header with its directory. */
typedef struct layout {
    block_header_t header;
    size_t header_size;
    size_t system; /* columns before the stream's own */
    size_t entries;
    column_entry_t entry[SYSTEM_MAX + BLOCK_COLUMNS_MAX];
} layout_t;

static status_t corrupt (error_t *error, const char *what)
{
    return error_set (error, STATUS_CORRUPT, "block: %s", what);
}

static bool entry_is_sound (const layout_t *layout, size_t i)
{
    static const uint8_t system_types[SYSTEM_MAX] = { TYPE_TIMESTAMP, TYPE_TIMESTAMP, TYPE_INT64,
                                                      TYPE_INT64, TYPE_STRING };
    const column_entry_t *entry = &layout->entry[i];
    if (!type_is_field ((type_t)entry->type))
        return false;
    unsigned packed = entry->flags & (COLUMN_FLAG_LZ4 | COLUMN_FLAG_ZSTD);
    if ((entry->flags & ~(COLUMN_FLAG_NULLS | packed)) != 0 ||
        packed == (COLUMN_FLAG_LZ4 | COLUMN_FLAG_ZSTD))
        return false;
    if (i < layout->system &&
        (entry->type != system_types[i] || (entry->flags & COLUMN_FLAG_NULLS) != 0))
        return false;
    if (entry->encoding == ENCODING_NUMBERED && (i != SYSTEM_KEY || !layout->header.has_keys))
        return false; /* a few bytes that become 16 MiB, in one column of a block at most */
    if (packed != 0)
        return entry->stored_size < entry->raw_size;
    return entry->stored_size == entry->raw_size;
}

/* The directory, and that its bodies fill the block. */
static bool read_directory (reader_t *in, layout_t *layout)
{
    uint64_t raw_total = 0;
    uint64_t size = layout->header_size + BLOCK_CHECKSUM_SIZE;
    for (size_t i = 0; i < layout->entries; i++) {
        column_entry_t *entry = &layout->entry[i];
        entry->type = reader_u8 (in);
        entry->encoding = reader_u8 (in);
        entry->flags = reader_u8 (in);
        uint8_t zero = reader_u8 (in);
        entry->raw_size = reader_u32 (in);
        entry->stored_size = reader_u32 (in);
        if (in->bad || zero != 0 || !entry_is_sound (layout, i))
            return false;
        raw_total += entry->raw_size;
        size += entry->stored_size;
        if (i >= layout->system)
            layout->header.type[i - layout->system] = entry->type;
    }
    return raw_total <= BLOCK_SIZE_MAX && size == layout->header.size;
}

static bool times_are_sound (const block_header_t *header)
{
    if (header->rows == 0)
        return header->min_time == 0 && header->max_time == 0;
    return header->min_time >= TIME_EVENT_MIN && header->min_time <= header->max_time &&
           header->max_time <= TIME_EVENT_MAX;
}

static status_t read_layout (const void *data, size_t size, layout_t *layout, error_t *error)
{
    reader_t in = reader_of (data, size);
    block_header_t *header = &layout->header;
    if (reader_u32 (&in) != BLOCK_MAGIC)
        return corrupt (error, "it does not begin as a block does");
    uint16_t version = reader_u16 (&in);
    if (!in.bad && version != BLOCK_VERSION)
        return error_set (error, STATUS_VERSION, "block: version %u, this program reads %d",
                          version, BLOCK_VERSION);
    uint16_t flags = reader_u16 (&in);
    header->size = reader_u32 (&in);
    header->rows = reader_u32 (&in);
    header->columns = reader_u16 (&in);
    layout->header_size = reader_u16 (&in);
    header->min_time = reader_i64 (&in);
    header->max_time = reader_i64 (&in);
    uint16_t first_size = reader_u16 (&in);
    uint16_t last_size = reader_u16 (&in);
    header->has_keys = (flags & BLOCK_FLAG_KEYS) != 0;
    layout->system = header->has_keys ? SYSTEM_MAX : SYSTEM_KEY;
    layout->entries = layout->system + header->columns;
    if (in.bad || (flags & ~BLOCK_FLAG_KEYS) != 0 || !times_are_sound (header))
        return corrupt (error, "the header is not sound");
    if (header->size > BLOCK_SIZE_MAX || header->rows > BLOCK_ROWS_MAX ||
        header->columns > BLOCK_COLUMNS_MAX || first_size > KEY_SIZE_MAX ||
        last_size > KEY_SIZE_MAX || (size_t)header->rows * header->columns > BLOCK_CELLS_MAX)
        return corrupt (error, "the header goes over the limits");
    bool keyed = header->has_keys && header->rows > 0;
    if (!read_directory (&in, layout) || (!keyed && first_size + last_size > 0))
        return corrupt (error, "the directory is not sound");
    header->first_key = (text_t){ (const char *)reader_bytes (&in, first_size), first_size };
    header->last_key = (text_t){ (const char *)reader_bytes (&in, last_size), last_size };
    if (in.bad || size - reader_left (&in) != layout->header_size)
        return corrupt (error, "the header's size is wrong");
    return STATUS_OK;
}

status_t block_header_read (const void *data, size_t size, block_header_t *header, error_t *error)
{
    layout_t layout;
    status_t status = read_layout (data, size, &layout, error);
    if (status == STATUS_OK)
        *header = layout.header;
    return status;
}

uint64_t block_checksum (const void *data, size_t size)
{
    CHECK (size >= BLOCK_CHECKSUM_SIZE);
    uint64_t checksum;
    memcpy (&checksum, (const uint8_t *)data + size - sizeof checksum, sizeof checksum);
    return checksum;
}

/* ---- bodies ---- */

/* A block that is being read. */
typedef struct decoder {
    const layout_t *layout;
    arena_t *arena;
    const uint8_t *body; /* where the next column's begins */
    uint8_t *raw;        /* for bodies of numbers: as large as the largest of them */
    scratch_t scratch;
} decoder_t;

static void decoder_init (decoder_t *self, const layout_t *layout, const void *data, arena_t *arena)
{
    size_t rows = layout->header.rows;
    size_t largest = 0;
    for (size_t i = 0; i < layout->entries; i++)
        if (layout->entry[i].type != TYPE_STRING && layout->entry[i].raw_size > largest)
            largest = layout->entry[i].raw_size;
    self->layout = layout;
    self->arena = arena;
    self->body = (const uint8_t *)data + layout->header_size;
    self->raw = arena_alloc (arena, largest);
    self->scratch.a = arena_alloc (arena, rows * sizeof (int64_t));
    self->scratch.b = arena_alloc (arena, rows * sizeof (int64_t));
    self->scratch.c = arena_alloc (arena, rows * sizeof (int64_t));
    self->scratch.d = NULL;
    self->scratch.tokens = arena_alloc (arena, rows);
    self->scratch.starts = NULL;
    self->scratch.key = NULL;
    self->scratch.keys = 0;
    self->scratch.arena = arena;
    self->scratch.effort = EFFORT_LOG; /* nothing is written */
    self->scratch.event_time = NULL;
    self->scratch.texts = arena_alloc (arena, rows * sizeof (text_t));
}

/* The body before it was packed. That of strings is in the arena, as they borrow it. */
static bool unpack (decoder_t *self, const column_entry_t *entry, reader_t *in)
{
    const uint8_t *stored = self->body;
    uint8_t *raw = self->raw;
    scheduling_give_way ();
    if (entry->type == TYPE_STRING)
        raw = arena_alloc (self->arena, entry->raw_size);
    *in = reader_of (raw, entry->raw_size);
    if ((entry->flags & COLUMN_FLAG_LZ4) != 0)
        return unpack_lz4 (stored, entry->stored_size, raw, entry->raw_size);
    if ((entry->flags & COLUMN_FLAG_ZSTD) != 0)
        return unpack_zstd (stored, entry->stored_size, raw, entry->raw_size);
    if (entry->type == TYPE_STRING)
        memcpy (raw, stored, entry->raw_size);
    *in = reader_of (entry->type == TYPE_STRING ? raw : stored, entry->raw_size);
    return true;
}

/* Reads the next column into `column`, whose type is set here. Its arrays are in the arena. */
static bool read_column (decoder_t *self, size_t entry_at, column_t *column)
{
    const column_entry_t *entry = &self->layout->entry[entry_at];
    size_t rows = self->layout->header.rows;
    size_t cell = type_size ((type_t)entry->type);
    column->type = (type_t)entry->type;
    column->valid = arena_alloc (self->arena, rows);
    column->data = arena_alloc (self->arena, rows * cell);
    reader_t in;
    bool good =
        unpack (self, entry, &in) && column_decode (&in, entry, rows, &self->scratch, column);
    self->body += entry->stored_size;
    return good;
}

/* Reads event times, offsets or rows, which are never null; `times` is what they may follow. NULL
 * when the body is not sound. */
static int64_t *read_numbers (decoder_t *self, size_t entry_at, const int64_t *times)
{
    const column_entry_t *entry = &self->layout->entry[entry_at];
    size_t rows = self->layout->header.rows;
    int64_t *values = arena_alloc (self->arena, rows * sizeof *values);
    reader_t in;
    bool good =
        unpack (self, entry, &in) &&
        keyed_decode (&in, (encoding_t)entry->encoding, times, values, rows, &self->scratch) &&
        reader_left (&in) == 0;
    self->body += entry->stored_size;
    return good ? values : NULL;
}

/* Does an encoding lean on stretches of equal keys? */
static bool asks_for_keys (const layout_t *layout)
{
    for (size_t i = 0; i < layout->entries; i++)
        if (layout->entry[i].encoding == ENCODING_KEY_STEPS ||
            layout->entry[i].encoding == ENCODING_OF_KEY)
            return true;
    return false;
}

/* Keys are read first, as others lean on them. */
static bool read_keys (decoder_t *self, batch_t *batch)
{
    const layout_t *layout = self->layout;
    if (!layout->header.has_keys)
        return true;
    const uint8_t *first = self->body;
    for (size_t i = 0; i < SYSTEM_KEY; i++)
        self->body += layout->entry[i].stored_size;
    column_t column;
    if (!read_column (self, SYSTEM_KEY, &column))
        return false;
    self->body = first;
    batch->key = column.s;
    uint32_t *starts = arena_alloc (self->arena, batch->rows * sizeof *starts);
    size_t keys = keys_find_starts (batch->key, batch->rows, starts);
    for (size_t i = 0; i < keys; i++)
        if (batch->key[starts[i]].size > KEY_SIZE_MAX)
            return false;
    batch->key_start = starts;
    batch->keys = keys;
    if (asks_for_keys (layout)) {
        self->scratch.key = batch->key;
        self->scratch.starts = starts;
        self->scratch.keys = keys;
    }
    return true;
}

static bool is_wanted (const uint64_t *wanted, size_t column)
{
    return wanted == NULL || ((wanted[column / 64] >> (column % 64)) & 1) != 0;
}

/* The position's rows, which are 32 bits wide; NULL when one is not. */
static uint32_t *read_rows (decoder_t *self, const int64_t *times)
{
    const column_entry_t *entry = &self->layout->entry[SYSTEM_ROW];
    size_t rows = self->layout->header.rows;
    uint32_t *out = arena_alloc (self->arena, rows * sizeof *out);
    if (entry->encoding == ENCODING_CONSTANT && entry->flags == 0 &&
        entry->stored_size == sizeof (int64_t)) {
        reader_t in = reader_of (self->body, sizeof (int64_t)); /* of events that were sent */
        uint64_t row = reader_u64 (&in);
        self->body += entry->stored_size;
        for (size_t i = 0; i < rows; i++)
            out[i] = (uint32_t)row;
        return row <= UINT32_MAX ? out : NULL;
    }
    int64_t *wide = read_numbers (self, SYSTEM_ROW, times);
    if (wide == NULL)
        return NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < rows; i++) {
        out[i] = (uint32_t)wide[i];
        seen |= (uint64_t)wide[i];
    }
    return seen <= UINT32_MAX ? out : NULL;
}

static bool system_is_sound (const decoder_t *self, const batch_t *batch)
{
    const block_header_t *header = &self->layout->header;
    if (batch->rows == 0)
        return true;
    int64_t min_time = INT64_MAX;
    int64_t max_time = INT64_MIN;
    size_t i = 0;
    for (; i + 2 <= batch->rows; i += 2) { /* each pair has one that is less */
        int64_t a = batch->event_time[i], b = batch->event_time[i + 1];
        int64_t less = a < b ? a : b, more = a < b ? b : a;
        min_time = less < min_time ? less : min_time;
        max_time = more > max_time ? more : max_time;
    }
    if (i < batch->rows) {
        min_time = batch->event_time[i] < min_time ? batch->event_time[i] : min_time;
        max_time = batch->event_time[i] > max_time ? batch->event_time[i] : max_time;
    }
    if (min_time != header->min_time || max_time != header->max_time)
        return false;
    if (batch->key == NULL)
        return true;
    return text_equal (batch->key[0], header->first_key) &&
           text_equal (batch->key[batch->rows - 1], header->last_key);
}

static void pass_by (decoder_t *self, size_t entry_at)
{
    self->body += self->layout->entry[entry_at].stored_size;
}

/* Offset and row; offsets may follow the ingest times. */
static bool read_position (decoder_t *self, const int64_t *ingest_time, batch_t *batch)
{
    batch->offset = (uint64_t *)read_numbers (self, SYSTEM_OFFSET, ingest_time);
    batch->row = read_rows (self, batch->event_time);
    return batch->offset != NULL && batch->row != NULL;
}

static bool read_system (decoder_t *self, unsigned leave, batch_t *batch)
{
    bool position = (leave & BLOCK_LEAVE_POSITION) == 0;
    bool ingest_time = (leave & BLOCK_LEAVE_INGEST_TIME) == 0;
    bool followed = position && self->layout->entry[SYSTEM_OFFSET].encoding == ENCODING_TREND;
    column_t ingest = { 0 };
    if (!read_keys (self, batch))
        return false;
    batch->event_time = read_numbers (self, SYSTEM_EVENT_TIME, NULL);
    if (batch->event_time == NULL)
        return false;
    self->scratch.event_time = batch->event_time;
    if (!ingest_time && !followed)
        pass_by (self, SYSTEM_INGEST_TIME);
    else if (!read_column (self, SYSTEM_INGEST_TIME, &ingest))
        return false;
    batch->ingest_time = ingest_time ? ingest.i : NULL;
    if (!position) {
        pass_by (self, SYSTEM_OFFSET);
        pass_by (self, SYSTEM_ROW);
    } else if (!read_position (self, ingest.i, batch)) {
        return false;
    }
    if (self->layout->header.has_keys)
        pass_by (self, SYSTEM_KEY);
    return system_is_sound (self, batch);
}

static bool read_fields (decoder_t *self, const uint64_t *wanted, batch_t *batch)
{
    for (size_t i = 0; i < batch->columns; i++) {
        size_t entry_at = self->layout->system + i;
        if (is_wanted (wanted, i)) {
            if (!read_column (self, entry_at, &batch->column[i]))
                return false;
        } else {
            batch->column[i] = (column_t){ .type = TYPE_NONE };
            self->body += self->layout->entry[entry_at].stored_size;
        }
    }
    return true;
}

status_t block_decode (const void *data, size_t size, arena_t *arena, const uint64_t *wanted,
                       batch_t *batch, error_t *error)
{
    return block_decode_some (data, size, arena, wanted, 0, batch, error);
}

status_t block_decode_some (const void *data, size_t size, arena_t *arena, const uint64_t *wanted,
                            unsigned leave, batch_t *batch, error_t *error)
{
    layout_t layout;
    status_t status = read_layout (data, size, &layout, error);
    if (status != STATUS_OK)
        return status;
    if (layout.header.size != size)
        return corrupt (error, "its size is not that of its bytes");
    if (XXH3_64bits (data, size - BLOCK_CHECKSUM_SIZE) != block_checksum (data, size))
        return corrupt (error, "the checksum is wrong");
    decoder_t decoder;
    decoder_init (&decoder, &layout, data, arena);
    batch_t result = { .rows = layout.header.rows, .columns = layout.header.columns };
    result.column = arena_alloc (arena, result.columns * sizeof *result.column);
    if (!read_system (&decoder, leave, &result) || !read_fields (&decoder, wanted, &result))
        return corrupt (error, "a column's body is not sound");
    *batch = result;
    return STATUS_OK;
}
