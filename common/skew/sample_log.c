#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "skew/sample_segment.h"

#include <inttypes.h>

enum {
    LOG_OBJECT = 0x534d504c,
    SEGMENTS_LEAST = 8, /* that are as much as may be kept, so that what goes is a part of it */
};

typedef struct segment {
    uint64_t number; /* the wall clock when it was begun, or more */
    uint64_t size;
} segment_t;

struct sample_log {
    uint32_t magic;
    sample_log_options_t options;
    char *directory;
    bool ready;          /* what there is was taken up */
    segment_t *segments; /* oldest first */
    size_t count;
    uint64_t total; /* bytes of all */
    file_t *file;   /* of the last one, when it is appended to */
};

sample_log_t *sample_log_new (const sample_log_options_t *options)
{
    sample_log_t *self = mem_zero (1, sizeof *self);
    self->magic = LOG_OBJECT;
    self->options = *options;
    self->options.node = NULL;
    self->directory = mem_format (SAMPLES_DIR "/%s", options->node);
    return self;
}

static void give_up (sample_log_t *self)
{
    fs_close (self->options.fs, &self->file);
    mem_free (self->segments);
    self->segments = NULL;
    self->count = 0;
    self->total = 0;
    self->ready = false;
}

void sample_log_destroy (sample_log_t **self_p)
{
    sample_log_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, LOG_OBJECT);
    give_up (self);
    mem_free (self->directory);
    self->magic = 0;
    mem_free (self);
}

static char *path_of (const sample_log_t *self, uint64_t number)
{
    return mem_format ("%s/%020" PRIu64 ".sample", self->directory, number);
}

/* ---- what there is ---- */

static void add_segment (void *arg, const char *name)
{
    sample_log_t *self = arg;
    uint64_t number;
    if (!sample_segment_number (name, &number) || self->count == SAMPLE_SEGMENTS_MAX)
        return;
    self->segments = mem_resize (self->segments, self->count + 1, sizeof *self->segments);
    self->segments[self->count++] = (segment_t){ .number = number };
}

static status_t measure (sample_log_t *self, segment_t *segment, error_t *error)
{
    char *path = path_of (self, segment->number);
    file_t *file = NULL;
    status_t status = fs_open (self->options.fs, path, FS_READ, &file, error);
    if (status == STATUS_OK)
        status = fs_size (self->options.fs, file, &segment->size, error);
    fs_close (self->options.fs, &file);
    self->total += segment->size;
    mem_free (path);
    return status;
}

/* Where the blocks of a segment end; 0: it is none of ours. */
static status_t find_end (sample_log_t *self, const char *path, uint64_t *end, error_t *error)
{
    sample_segment_t *segment;
    sample_block_t *block;
    *end = 0;
    status_t status = sample_segment_open (self->options.fs, path, self->options.place,
                                           self->options.partitions, &segment, error);
    if (status == STATUS_CORRUPT || status == STATUS_INVALID)
        return STATUS_OK;
    while (status == STATUS_OK) {
        status = sample_segment_next (segment, INT64_MIN, &block, error);
        sample_block_destroy (&block);
    }
    if (status == STATUS_END)
        *end = sample_segment_at (segment);
    sample_segment_destroy (&segment);
    return status == STATUS_END ? STATUS_OK : status;
}

/* What a crash left at the end of the last segment is no block; or the segment has no header. */
static status_t cut_tail (sample_log_t *self, error_t *error)
{
    segment_t *last = &self->segments[self->count - 1];
    char *path = path_of (self, last->number);
    uint64_t end;
    file_t *file = NULL;
    status_t status = find_end (self, path, &end, error);
    if (status == STATUS_OK && end == 0) {
        status = fs_remove (self->options.fs, path, error);
        self->total -= last->size;
        self->count--;
    } else if (status == STATUS_OK && end < last->size) {
        status = fs_open (self->options.fs, path, FS_WRITE, &file, error);
        if (status == STATUS_OK)
            status = fs_truncate (self->options.fs, file, end, error);
        fs_close (self->options.fs, &file);
        self->total -= last->size - end;
        last->size = end;
    }
    mem_free (path);
    return status;
}

static status_t take_up (sample_log_t *self, error_t *error)
{
    status_t status = fs_make_dir (self->options.fs, self->directory, error);
    if (status == STATUS_OK)
        status = fs_list (self->options.fs, self->directory, add_segment, self, error);
    for (size_t i = 0; i < self->count && status == STATUS_OK; i++)
        status = measure (self, &self->segments[i], error);
    if (status == STATUS_OK && self->count > 0)
        status = cut_tail (self, error);
    self->ready = status == STATUS_OK;
    return status;
}

/* ---- what goes ---- */

static status_t remove_first (sample_log_t *self, error_t *error)
{
    char *path = path_of (self, self->segments[0].number);
    status_t status = fs_remove (self->options.fs, path, error);
    mem_free (path);
    if (status != STATUS_OK)
        return status;
    self->total -= self->segments[0].size;
    self->count--;
    memmove (self->segments, self->segments + 1, self->count * sizeof *self->segments);
    return STATUS_OK;
}

/* All of a segment was written before the next one began. */
static bool is_old (const sample_log_t *self, int64_t now)
{
    return self->count > 1 && (int64_t)self->segments[1].number < now - self->options.keep;
}

static status_t trim (sample_log_t *self, uint64_t more, int64_t now, error_t *error)
{
    status_t status = STATUS_OK;
    while (status == STATUS_OK && self->count > 1 &&
           (is_old (self, now) || self->total + more > self->options.size_max ||
            self->count >= SAMPLE_SEGMENTS_MAX))
        status = remove_first (self, error);
    return status;
}

/* ---- appending ---- */

static status_t begin_segment (sample_log_t *self, int64_t now, error_t *error)
{
    fs_t *fs = self->options.fs;
    uint64_t number = now > 0 ? (uint64_t)now : 1;
    if (self->count > 0 && self->segments[self->count - 1].number >= number)
        number = self->segments[self->count - 1].number + 1;
    fs_close (fs, &self->file);
    char *path = path_of (self, number);
    buf_t header;
    buf_init (&header, SAMPLE_SEGMENT_HEADER);
    sample_segment_put (&header, self->options.place, self->options.partitions, now);
    status_t status = fs_open (fs, path, FS_CREATE, &self->file, error);
    if (status == STATUS_OK)
        status = fs_write (fs, self->file, 0, header.data, header.size, error);
    buf_release (&header);
    mem_free (path);
    if (status != STATUS_OK)
        return status;
    self->segments = mem_resize (self->segments, self->count + 1, sizeof *self->segments);
    self->segments[self->count++] = (segment_t){ number, SAMPLE_SEGMENT_HEADER };
    self->total += SAMPLE_SEGMENT_HEADER;
    return STATUS_OK;
}

/* Is the last segment full, or so old that it should become one that can go? */
static bool is_full (const sample_log_t *self, int64_t now)
{
    const segment_t *last = &self->segments[self->count - 1];
    uint64_t most = self->options.size_max / SEGMENTS_LEAST;
    most = most < SAMPLE_SEGMENT_MAX ? most : SAMPLE_SEGMENT_MAX;
    return last->size >= most || now - (int64_t)last->number > self->options.keep / SEGMENTS_LEAST;
}

static status_t append (sample_log_t *self, const void *block, size_t size, int64_t now,
                        error_t *error)
{
    status_t status = self->ready ? STATUS_OK : take_up (self, error);
    if (status == STATUS_OK)
        status = trim (self, size, now, error);
    if (status == STATUS_OK && (!self->file || is_full (self, now)))
        status = begin_segment (self, now, error);
    if (status != STATUS_OK)
        return status;
    segment_t *last = &self->segments[self->count - 1];
    status = fs_write (self->options.fs, self->file, last->size, block, size, error);
    if (status != STATUS_OK)
        return status;
    last->size += size;
    self->total += size;
    return STATUS_OK;
}

status_t sample_log_append (sample_log_t *self, const void *block, size_t size, int64_t now,
                            error_t *error)
{
    CHECK_OBJECT (self, LOG_OBJECT);
    status_t status = append (self, block, size, now, error);
    if (status != STATUS_OK)
        give_up (self);
    return status;
}

status_t sample_log_remove (sample_log_t *self, error_t *error)
{
    CHECK_OBJECT (self, LOG_OBJECT);
    status_t status = self->ready ? STATUS_OK : take_up (self, error);
    while (status == STATUS_OK && self->count > 0)
        status = remove_first (self, error);
    if (status == STATUS_OK)
        status = fs_sync_dir (self->options.fs, self->directory, error);
    give_up (self);
    return status;
}
