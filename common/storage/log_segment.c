#include "storage/log_segment.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* "weirlog" and a zero byte, little-endian */
#define SEGMENT_MAGIC UINT64_C (0x00676f6c72696577)
#define RECORD_MAGIC  UINT32_C (0x63657277) /* "wrec" */

enum {
    HEADER_HASH_AT = LOG_SEGMENT_HEADER - 8,
    HEADER_NAME_AT = 78,
    RECORD_PAYLOAD_HASH_AT = 40,
    RECORD_HASH_AT = 48,
    RECORD_SYNCED_AT = 32,
    RECORD_SIZE_AT = 4,
    RECORD_OFFSET_AT = 16,
};

_Static_assert(HEADER_NAME_AT + LOG_NAME_MAX <= HEADER_HASH_AT, "the longest name fits");

const char *log_kind_word (log_kind_t kind)
{
    switch (kind) {
#define X(name, number, word)                                                                      \
    case LOG_KIND_##name:                                                                          \
        return word;
        LOG_KIND_TABLE (X)
#undef X
    }
    return NULL;
}

/* ---- names ---- */

void log_segment_name (log_segment_id_t id, char name[LOG_SEGMENT_NAME])
{
    CHECK (id.epoch <= LOG_EPOCH_MAX);
    snprintf (name, LOG_SEGMENT_NAME, "%020" PRIu64 "-%010" PRIu64 ".seg", id.first, id.epoch);
}

static bool parse_digits (const char *text, size_t count, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow (*value, 10U, value) ||
            __builtin_add_overflow (*value, (uint64_t)(text[i] - '0'), value))
            return false;
    }
    return true;
}

bool log_segment_parse_name (const char *name, log_segment_id_t *id)
{
    return strlen (name) == LOG_SEGMENT_NAME - 1 && parse_digits (name, 20, &id->first) &&
           name[20] == '-' && parse_digits (name + 21, 10, &id->epoch) &&
           strcmp (name + 31, ".seg") == 0;
}

char *log_segment_path (const char *dir, log_segment_id_t id, bool temporary)
{
    char name[LOG_SEGMENT_NAME];
    log_segment_name (id, name);
    return mem_format ("%s/%s%s", dir, name, temporary ? ".tmp" : "");
}

/* ---- segment headers ---- */

static void store_u64 (uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t load_u32 (const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t load_u64 (const uint8_t *at)
{
    return load_u32 (at) | (uint64_t)load_u32 (at + 4) << 32;
}

void log_segment_encode (const log_identity_t *identity, const log_segment_header_t *header,
                         uint8_t bytes[LOG_SEGMENT_HEADER], uint64_t *seed)
{
    size_t name_size = strlen (identity->name);
    CHECK (name_size <= LOG_NAME_MAX);
    buf_t buf;
    buf_init (&buf, LOG_SEGMENT_HEADER);
    buf_put_u64 (&buf, SEGMENT_MAGIC);
    buf_put_u32 (&buf, LOG_SEGMENT_VERSION);
    buf_put_u32 (&buf, LOG_SEGMENT_HEADER);
    buf_put_u64 (&buf, identity->cluster);
    buf_put_u64 (&buf, header->id.first);
    buf_put_u64 (&buf, header->id.epoch);
    buf_put_u64 (&buf, header->previous.first);
    buf_put_u64 (&buf, header->previous.epoch);
    buf_put_u64 (&buf, header->previous_size);
    buf_put_u64 (&buf, header->begun);
    buf_put_u32 (&buf, identity->partition);
    buf_put_u16 (&buf, (uint16_t)name_size);
    buf_put (&buf, identity->name, name_size);
    CHECK (!buf.bad);
    memset (bytes, 0, LOG_SEGMENT_HEADER);
    memcpy (bytes, buf.data, buf.size);
    buf_release (&buf);
    *seed = XXH3_64bits (bytes, HEADER_HASH_AT);
    store_u64 (bytes + HEADER_HASH_AT, *seed);
}

static bool zeros (const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* A size that a segment may have, up to the end of a record. */
static bool is_size (uint64_t size)
{
    return size >= LOG_SEGMENT_HEADER && size % LOG_RECORD_ALIGNMENT == 0 && size <= INT64_MAX;
}

static status_t check_sizes (const log_segment_header_t *header, error_t *error)
{
    if (!is_size (header->begun))
        return error_set (error, STATUS_CORRUPT, "the header's own size is impossible");
    const log_segment_id_t *id = &header->id;
    const log_segment_id_t *previous = &header->previous;
    bool none = header->previous_size == 0 && previous->first == 0 && previous->epoch == 0;
    if (none && id->first == 0)
        return STATUS_OK;
    bool before = previous->first <= id->first && previous->epoch <= id->epoch &&
                  (previous->first < id->first || previous->epoch < id->epoch);
    if (!before || !is_size (header->previous_size))
        return error_set (error, STATUS_CORRUPT, "the header's previous segment is impossible");
    return STATUS_OK;
}

status_t log_segment_decode (const uint8_t bytes[LOG_SEGMENT_HEADER],
                             const log_identity_t *identity, log_segment_id_t id,
                             log_segment_header_t *header, uint64_t *seed, error_t *error)
{
    reader_t reader = reader_of (bytes, HEADER_HASH_AT);
    if (reader_u64 (&reader) != SEGMENT_MAGIC)
        return error_set (error, STATUS_CORRUPT, "not a log segment (byte 0)");
    *seed = XXH3_64bits (bytes, HEADER_HASH_AT);
    if (load_u64 (bytes + HEADER_HASH_AT) != *seed)
        return error_set (error, STATUS_CORRUPT, "the header's checksum is wrong (byte 0)");
    uint32_t version = reader_u32 (&reader);
    if (version != LOG_SEGMENT_VERSION || reader_u32 (&reader) != LOG_SEGMENT_HEADER)
        return error_set (error, STATUS_VERSION, "segment format version %" PRIu32 ", not %d",
                          version, LOG_SEGMENT_VERSION);
    uint64_t cluster = reader_u64 (&reader);
    header->id.first = reader_u64 (&reader);
    header->id.epoch = reader_u64 (&reader);
    header->previous.first = reader_u64 (&reader);
    header->previous.epoch = reader_u64 (&reader);
    header->previous_size = reader_u64 (&reader);
    header->begun = reader_u64 (&reader);
    uint32_t partition = reader_u32 (&reader);
    uint16_t name_size = reader_u16 (&reader);
    const char *name = (const char *)reader_bytes (&reader, name_size);
    if (reader.bad || name_size > LOG_NAME_MAX || !zeros (reader.at, reader_left (&reader)))
        return error_set (error, STATUS_CORRUPT, "the header is not well formed (byte 0)");
    if (cluster != identity->cluster || partition != identity->partition ||
        name_size != strlen (identity->name) || memcmp (name, identity->name, name_size) != 0)
        return error_set (error, STATUS_INVALID,
                          "it belongs to partition %" PRIu32 " of %.*s in cluster %016" PRIx64,
                          partition, (int)name_size, name, cluster);
    if (header->id.first != id.first || header->id.epoch != id.epoch)
        return error_set (error, STATUS_CORRUPT, "the header belongs to another file (byte 0)");
    return check_sizes (header, error);
}

static status_t read_header (fs_t *fs, file_t *file, const log_identity_t *identity,
                             log_segment_id_t id, log_segment_header_t *header, uint64_t *seed,
                             error_t *error)
{
    uint8_t bytes[LOG_SEGMENT_HEADER];
    status_t status = fs_read_all (fs, file, 0, bytes, sizeof bytes, error);
    if (status != STATUS_OK)
        return status;
    return log_segment_decode (bytes, identity, id, header, seed, error);
}

status_t log_segment_open (fs_t *fs, const char *dir, const log_identity_t *identity,
                           log_segment_id_t id, file_t **file, log_segment_header_t *header,
                           uint64_t *seed, error_t *error)
{
    char *path = log_segment_path (dir, id, false);
    status_t status = fs_open (fs, path, FS_READ, file, error);
    if (status == STATUS_OK) {
        status = read_header (fs, *file, identity, id, header, seed, error);
        if (status == STATUS_CORRUPT) /* a read may fail once: see log_cursor_next */
            status = read_header (fs, *file, identity, id, header, seed, error);
        if (status != STATUS_OK)
            error_prefix (error, "%s", path);
    }
    if (status != STATUS_OK)
        fs_close (fs, file);
    mem_free (path);
    return status;
}

/* ---- records ---- */

uint64_t log_record_extent (uint32_t size)
{
    uint64_t extent = LOG_RECORD_HEADER + (uint64_t)size;
    return (extent + LOG_RECORD_ALIGNMENT - 1) / LOG_RECORD_ALIGNMENT * LOG_RECORD_ALIGNMENT;
}

void log_record_encode (const log_record_t *record, uint8_t *bytes)
{
    uint64_t extent = log_record_extent (record->size);
    store_u64 (bytes, RECORD_MAGIC | (uint64_t)record->size << 32);
    store_u64 (bytes + 8, (uint64_t)record->kind | (uint64_t)record->count << 32);
    store_u64 (bytes + RECORD_OFFSET_AT, record->offset);
    store_u64 (bytes + 24, (uint64_t)record->ingest_time);
    memset (bytes + RECORD_SYNCED_AT, 0, LOG_RECORD_HEADER - RECORD_SYNCED_AT);
    if (record->size > 0)
        memcpy (bytes + LOG_RECORD_HEADER, record->payload, record->size);
    memset (bytes + LOG_RECORD_HEADER + record->size, 0, extent - LOG_RECORD_HEADER - record->size);
}

uint32_t log_record_size (const uint8_t *bytes)
{
    return load_u32 (bytes + RECORD_SIZE_AT);
}

uint64_t log_record_offset (const uint8_t *bytes)
{
    return load_u64 (bytes + RECORD_OFFSET_AT);
}

uint64_t log_record_hash (const uint8_t *payload, uint32_t size, uint64_t seed, uint64_t at)
{
    return XXH3_64bits_withSeed (payload, size, seed + at);
}

uint64_t log_record_seal (uint8_t *bytes, uint64_t seed, uint64_t at, uint64_t synced)
{
    uint32_t size = log_record_size (bytes);
    store_u64 (bytes + RECORD_SYNCED_AT, synced);
    store_u64 (bytes + RECORD_PAYLOAD_HASH_AT,
               log_record_hash (bytes + LOG_RECORD_HEADER, size, seed, at));
    store_u64 (bytes + RECORD_HASH_AT, XXH3_64bits_withSeed (bytes, RECORD_HASH_AT, seed + at));
    return log_record_extent (size);
}

bool log_record_decode (const uint8_t *bytes, uint64_t seed, uint64_t at,
                        log_record_header_t *header)
{
    if (load_u32 (bytes) != RECORD_MAGIC ||
        load_u64 (bytes + RECORD_HASH_AT) !=
            XXH3_64bits_withSeed (bytes, RECORD_HASH_AT, seed + at))
        return false;
    header->record = (log_record_t){
        .size = log_record_size (bytes),
        .kind = (log_kind_t)load_u32 (bytes + 8),
        .count = load_u32 (bytes + 12),
        .offset = log_record_offset (bytes),
        .ingest_time = (int64_t)load_u64 (bytes + 24),
    };
    header->synced = load_u64 (bytes + RECORD_SYNCED_AT);
    header->payload_hash = load_u64 (bytes + RECORD_PAYLOAD_HASH_AT);
    return header->record.size <= LOG_PAYLOAD_MAX && header->record.count > 0 &&
           header->record.count <= UINT64_MAX - header->record.offset;
}
