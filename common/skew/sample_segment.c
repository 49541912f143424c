#include "skew/sample_segment.h"

#include "base/check.h"
#include "base/mem.h"

#include <xxhash.h>

enum { SEGMENT_OBJECT = 0x534d5053, SEGMENT_VERSION = 1 };

#define SEGMENT_MAGIC UINT64_C (0x6c706d7372696577) /* "weirsmpl" */

struct sample_segment {
    uint32_t magic;
    fs_t *fs;
    file_t *file;
    uint64_t size;
    uint64_t at;
    uint64_t torn;
    uint8_t *bytes; /* of the block that is read */
    size_t capacity;
};

/* ---- the header ---- */

void sample_segment_put (buf_t *out, uint64_t place, uint32_t partitions, int64_t created)
{
    size_t begin = out->size;
    buf_put_u64 (out, SEGMENT_MAGIC);
    buf_put_u32 (out, SEGMENT_VERSION);
    buf_put_u32 (out, partitions);
    buf_put_u64 (out, place);
    buf_put_i64 (out, created);
    buf_put_u64 (out, XXH3_64bits (out->data + begin, out->size - begin));
    CHECK (out->size - begin == SAMPLE_SEGMENT_HEADER);
}

static status_t check_header (const uint8_t *data, uint64_t place, uint32_t partitions,
                              error_t *error)
{
    reader_t in = reader_of (data, SAMPLE_SEGMENT_HEADER);
    uint64_t magic = reader_u64 (&in);
    uint32_t version = reader_u32 (&in);
    uint32_t found_partitions = reader_u32 (&in);
    uint64_t found_place = reader_u64 (&in);
    (void)reader_i64 (&in);
    uint64_t sum = reader_u64 (&in);
    if (magic != SEGMENT_MAGIC || sum != XXH3_64bits (data, SAMPLE_SEGMENT_HEADER - sizeof sum))
        return error_set (error, STATUS_CORRUPT, "it is no segment of a sample");
    if (version != SEGMENT_VERSION)
        return error_set (error, STATUS_VERSION, "it has version %u", version);
    if (found_place != place || found_partitions != partitions)
        return error_set (error, STATUS_INVALID, "it is of another data directory");
    return STATUS_OK;
}

static status_t open_file (sample_segment_t *self, const char *path, uint64_t place,
                           uint32_t partitions, error_t *error)
{
    uint8_t header[SAMPLE_SEGMENT_HEADER];
    status_t status = fs_open (self->fs, path, FS_READ, &self->file, error);
    if (status == STATUS_OK)
        status = fs_size (self->fs, self->file, &self->size, error);
    if (status == STATUS_OK)
        status = fs_read_all (self->fs, self->file, 0, header, sizeof header, error);
    if (status == STATUS_OK)
        status = check_header (header, place, partitions, error);
    return status == STATUS_OK ? status : error_prefix (error, "%s", path);
}

status_t sample_segment_open (fs_t *fs, const char *path, uint64_t place, uint32_t partitions,
                              sample_segment_t **segment, error_t *error)
{
    sample_segment_t *self = mem_zero (1, sizeof *self);
    self->magic = SEGMENT_OBJECT;
    self->fs = fs;
    self->at = SAMPLE_SEGMENT_HEADER;
    status_t status = open_file (self, path, place, partitions, error);
    if (status != STATUS_OK)
        sample_segment_destroy (&self);
    *segment = self;
    return status;
}

void sample_segment_destroy (sample_segment_t **self_p)
{
    sample_segment_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SEGMENT_OBJECT);
    fs_close (self->fs, &self->file);
    mem_free (self->bytes);
    self->magic = 0;
    mem_free (self);
}

/* ---- blocks ---- */

static status_t read_at (sample_segment_t *self, size_t size, error_t *error)
{
    if (size > self->capacity) {
        self->bytes = mem_resize (self->bytes, size, 1);
        self->capacity = size;
    }
    return fs_read_all (self->fs, self->file, self->at, self->bytes, size, error);
}

/* What follows is no block. */
static status_t end_torn (sample_segment_t *self, error_t *error)
{
    self->torn = self->size - self->at;
    return error_set (error, STATUS_END, "no more blocks");
}

status_t sample_segment_next (sample_segment_t *self, int64_t since, sample_block_t **block,
                              error_t *error)
{
    CHECK_OBJECT (self, SEGMENT_OBJECT);
    *block = NULL;
    while (self->at < self->size) {
        sample_header_t header;
        uint64_t left = self->size - self->at;
        if (left < SAMPLE_HEADER)
            return end_torn (self, error);
        status_t status = read_at (self, SAMPLE_HEADER, error);
        if (status != STATUS_OK)
            return status;
        status = sample_header_read (self->bytes, &header, error);
        if (status == STATUS_VERSION)
            return status;
        if (status != STATUS_OK || header.size > left)
            return end_torn (self, error);
        if (header.last >= since) {
            status = read_at (self, header.size, error);
            if (status != STATUS_OK)
                return status;
            if (sample_block_open (self->bytes, header.size, block, error) != STATUS_OK)
                return end_torn (self, error);
        }
        self->at += header.size;
        if (*block != NULL)
            return STATUS_OK;
    }
    return error_set (error, STATUS_END, "no more blocks");
}

uint64_t sample_segment_torn (const sample_segment_t *self)
{
    return self->torn;
}

uint64_t sample_segment_at (const sample_segment_t *self)
{
    return self->at;
}

/* ---- which there are ---- */

typedef struct names {
    arena_t *arena;
    const char *directory;
    const char **items;
    size_t count;
} names_t;

static void add_name (void *arg, const char *name)
{
    names_t *self = arg;
    if (self->count % 64 == 0)
        self->items = mem_resize (self->items, self->count + 64, sizeof (char *));
    char *path = mem_format ("%s/%s", self->directory, name);
    self->items[self->count++] = arena_string (self->arena, text_of (path));
    mem_free (path);
}

static status_t list (fs_t *fs, const char *directory, names_t *names, error_t *error)
{
    names->directory = directory;
    status_t status = fs_list (fs, directory, add_name, names, error);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

bool sample_segment_number (const char *name, uint64_t *number)
{
    enum { DIGITS = 20 };
    *number = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(name[i] - '0');
    }
    return strcmp (name + DIGITS, ".sample") == 0 && *number <= INT64_MAX;
}

static bool is_segment (const char *path)
{
    uint64_t number;
    return sample_segment_number (strrchr (path, '/') + 1, &number);
}

status_t sample_list (fs_t *fs, arena_t *arena, const char ***paths, size_t *count, error_t *error)
{
    names_t nodes = { .arena = arena };
    names_t found = { .arena = arena };
    status_t status = list (fs, SAMPLES_DIR, &nodes, error);
    for (size_t i = 0; i < nodes.count && status == STATUS_OK; i++)
        status = list (fs, nodes.items[i], &found, error);
    *paths = arena_zero (arena, found.count + 1, sizeof (char *));
    *count = 0;
    for (size_t i = 0; i < found.count; i++)
        if (is_segment (found.items[i]))
            (*paths)[(*count)++] = found.items[i];
    mem_free (nodes.items);
    mem_free (found.items);
    return status;
}
