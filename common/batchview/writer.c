#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"
#include "batchview/record.h"

#include <string.h>

enum {
    WRITER_MAGIC = 0x3a71e3e4,
    SINK_BUFFER = 4 * BATCHVIEW_BLOCK, /* bytes written at once */
    SINK_ROOM = BATCHVIEW_BLOCK,       /* bytes behind, in which records are made */
    SMALL_SIZE = 1,                    /* bytes of the size of a record that is below 128 */
    KEYS_A_TURN = 16,                  /* then a look whether others wait for the processor */
};

/* Bytes on their way to the file, and the checksum of each full block of them. */
typedef struct sink {
    fs_t *fs;
    file_t *file;
    uint8_t *buffer;
    size_t used;
    uint64_t written;
    uint64_t *checksum;
    size_t checksums;
    size_t capacity;
} sink_t;

struct batchview_writer {
    unsigned magic;
    fs_t *fs;
    char *path;
    sink_t sink;
    viewfile_header_t header;
    viewfile_footer_t footer;
    record_builder_t record;
    bool in_key;
    bool finished;
    uint64_t *hash;  /* of each key so far */
    uint64_t *place; /* of its record */
    size_t capacity;
};

/* ---- the sink ---- */

/* Writes the first `size` bytes of the buffer: full blocks, or the end. */
static status_t sink_flush (sink_t *self, size_t size, error_t *error)
{
    for (size_t at = 0; at < size; at += BATCHVIEW_BLOCK) {
        size_t part = size - at < BATCHVIEW_BLOCK ? size - at : BATCHVIEW_BLOCK;
        if (self->checksums == self->capacity) {
            self->capacity = self->capacity == 0 ? 64 : 2 * self->capacity;
            self->checksum = mem_resize (self->checksum, self->capacity, sizeof *self->checksum);
        }
        self->checksum[self->checksums++] = viewfile_checksum (self->buffer + at, part);
    }
    status_t status = fs_write (self->fs, self->file, self->written, self->buffer, size, error);
    self->written += size;
    self->used -= size;
    memmove (self->buffer, self->buffer + size, self->used);
    return status;
}

/* Where up to SINK_ROOM bytes may be made, of which sink_grew is then told how many there are. */
static uint8_t *sink_room (const sink_t *self)
{
    return self->buffer + self->used;
}

static status_t sink_grew (sink_t *self, size_t size, error_t *error)
{
    self->used += size;
    return self->used < SINK_BUFFER ? STATUS_OK : sink_flush (self, SINK_BUFFER, error);
}

static status_t sink_put (sink_t *self, const void *data, size_t size, error_t *error)
{
    const uint8_t *from = data;
    status_t status = STATUS_OK;
    while (size > 0 && status == STATUS_OK) {
        size_t room = SINK_BUFFER - self->used;
        size_t part = size < room ? size : room;
        memcpy (sink_room (self), from, part);
        from += part;
        size -= part;
        status = sink_grew (self, part, error);
    }
    return status;
}

static uint64_t sink_at (const sink_t *self)
{
    return self->written + self->used;
}

/* A record or section, in two parts, with their size in front; record_out_t's `put`. */
static status_t sink_put_parts (void *sink, const buf_t *head, const buf_t *partials,
                                uint64_t *place, error_t *error)
{
    sink_t *self = sink;
    *place = sink_at (self);
    uint8_t *at = sink_room (self);
    size_t size = (size_t)(varint_put (at, head->size + partials->size) - at);
    status_t status = sink_grew (self, size, error);
    if (status == STATUS_OK)
        status = sink_put (self, head->data, head->size, error);
    return status == STATUS_OK ? sink_put (self, partials->data, partials->size, error) : status;
}

/* ---- the writer ---- */

static status_t put_header (batchview_writer_t *self, error_t *error)
{
    buf_t out;
    buf_init (&out, BATCHVIEW_HEADER_MAX);
    viewfile_header_encode (&self->header, &out);
    status_t status = sink_put (&self->sink, out.data, out.size, error);
    buf_release (&out);
    return status;
}

status_t batchview_writer_new (fs_t *fs, const char *path, const plan_t *plan,
                               const batchview_info_t *info, batchview_writer_t **writer,
                               error_t *error)
{
    CHECK (info->latest <= info->clock_at_cut);
    file_t *file = NULL;
    *writer = NULL;
    status_t status = fs_open (fs, path, FS_CREATE, &file, error);
    if (status != STATUS_OK)
        return status;
    batchview_writer_t *self = mem_zero (1, sizeof *self);
    self->magic = WRITER_MAGIC;
    self->fs = fs;
    self->path = mem_string (path);
    self->sink = (sink_t){ .fs = fs, .file = file, .buffer = mem_alloc (SINK_BUFFER + SINK_ROOM) };
    viewfile_header_of (plan, info, &self->header);
    record_builder_init (&self->record, plan, &self->header,
                         (record_out_t){ sink_put_parts, &self->sink });
    status = put_header (self, error);
    if (status != STATUS_OK)
        batchview_writer_destroy (&self);
    *writer = self;
    return status;
}

void batchview_writer_budget (batchview_writer_t *self, batchview_budget_t *budget)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (!self->in_key && self->footer.keys == 0);
    self->record.budget = budget;
}

void batchview_writer_sections (batchview_writer_t *self, batchview_sections_t sections)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (!self->in_key && self->footer.keys == 0);
    CHECK (sections.atoms >= 1);
    CHECK (sections.least >= 2);
    CHECK (sections.sections >= sections.least);
    self->record.sections = sections;
}

/* Remembers the record of the key. */
static status_t key_put_index (batchview_writer_t *self, text_t key, uint64_t place, error_t *error)
{
    if (self->footer.keys == BATCHVIEW_KEYS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a batch view holds at most %llu keys",
                          (unsigned long long)BATCHVIEW_KEYS_MAX);
    if (self->footer.keys == self->capacity) {
        self->capacity = self->capacity == 0 ? 1024 : 2 * self->capacity;
        self->hash = mem_resize (self->hash, self->capacity, sizeof *self->hash);
        self->place = mem_resize (self->place, self->capacity, sizeof *self->place);
    }
    self->hash[self->footer.keys] = key_hash (key);
    self->place[self->footer.keys] = place;
    self->footer.keys++;
    return STATUS_OK;
}

/* The key that was begun last. */
static text_t key_begun (const batchview_writer_t *self)
{
    const buf_t *key = &self->record.key;
    return (text_t){ (char *)key->data, (uint32_t)key->size };
}

/* Puts the record that has been made. */
static status_t put_record (batchview_writer_t *self, uint64_t atoms, error_t *error)
{
    uint64_t place = 0;
    status_t status = sink_put_parts (&self->sink, &self->record.head, &self->record.swept.partials,
                                      &place, error);
    self->footer.atoms += atoms;
    return status == STATUS_OK ? key_put_index (self, key_begun (self), place, error) : status;
}

static status_t key_end (batchview_writer_t *self, error_t *error)
{
    if (!self->in_key)
        return STATUS_OK;
    self->in_key = false;
    uint64_t atoms = 0;
    status_t status = record_end (&self->record, &atoms, error);
    return status == STATUS_OK ? put_record (self, atoms, error) : status;
}

/* The order of `key` after the latest one: 0 when it goes on, positive when it comes after. */
static int key_order (const batchview_writer_t *self, text_t key)
{
    if (!self->in_key && self->footer.keys == 0)
        return 1;
    return text_compare (key, key_begun (self));
}

static status_t bad_order (error_t *error)
{
    return error_set (error, STATUS_INVALID, "keys of a batch view are not in order");
}

status_t batchview_writer_add (batchview_writer_t *self, const projection_t *rows, size_t from,
                               size_t to, error_t *error)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (!self->finished);
    CHECK (from <= to);
    if (from == to)
        return STATUS_OK;
    text_t key = rows->key[from];
    int order = key_order (self, key);
    if (order < 0 || (order == 0 && !self->in_key))
        return bad_order (error);
    if (order > 0) {
        status_t status = key_end (self, error);
        if (status != STATUS_OK)
            return status;
        record_begin (&self->record, key);
        self->in_key = true;
    }
    self->footer.events += to - from;
    return record_add (&self->record, rows, from, to, error);
}

/* The end of the rows from `from` on that are of one key, the `next`-th being the one behind it. */
static size_t end_of_key (const projection_t *rows, size_t from, size_t next)
{
    if (rows->key_start == NULL)
        return text_run_end (rows->key, from, rows->rows);
    return next < rows->keys ? rows->key_start[next] : rows->rows;
}

/* Makes the record of a key that is kept as rows where it goes. */
static status_t put_rows (batchview_writer_t *self, const projection_t *rows, size_t from,
                          size_t to, size_t room, error_t *error)
{
    sink_t *sink = &self->sink;
    text_t key = rows->key[from];
    uint64_t place = sink_at (sink);
    uint8_t *at = sink_room (sink);
    size_t size_bytes = room < 0x80 ? SMALL_SIZE : 2 * SMALL_SIZE;
    uint8_t *begin = at + size_bytes;
    size_t size = (size_t)(record_keep (&self->record, key, rows, from, to, begin) - begin);
    uint8_t *behind = varint_put (at, size);
    if (behind != begin) /* it is less than it might have been */
        memmove (behind, begin, size);
    status_t status = sink_grew (sink, (size_t)(behind - at) + size, error);
    self->footer.atoms += to - from;
    return status == STATUS_OK ? key_put_index (self, key, place, error) : status;
}

/* A key that has these rows alone, after the latest one, which has ended. */
static status_t add_key (batchview_writer_t *self, const projection_t *rows, size_t from, size_t to,
                         error_t *error)
{
    size_t room = record_keeps (&self->record, rows->key[from], rows, from, to);
    uint64_t atoms = 0;
    self->footer.events += to - from;
    if (room > 0 && room <= SINK_ROOM - 2 * SMALL_SIZE)
        return put_rows (self, rows, from, to, room, error);
    status_t status = record_of (&self->record, from, to, &atoms, error);
    return status == STATUS_OK ? put_record (self, atoms, error) : status;
}

status_t batchview_writer_add_all (batchview_writer_t *self, const projection_t *rows,
                                   error_t *error)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (!self->finished);
    size_t to = 0;
    size_t at = 0;     /* of key_start */
    bool told = false; /* the record has been told of the rows */
    status_t status = STATUS_OK;
    for (size_t from = 0; status == STATUS_OK && from < rows->rows; from = to) {
        int order = from == 0 ? key_order (self, rows->key[from])
                              : text_compare (rows->key[from], rows->key[from - 1]);
        to = end_of_key (rows, from, ++at);
        if (at % KEYS_A_TURN == 0)
            scheduling_give_way ();
        if (order < 0 || (order == 0 && !self->in_key))
            return bad_order (error);
        if (order == 0 || to == rows->rows || record_descends (rows, from, to)) {
            /* its rows are, or may be, in several calls; or the call says what is wrong */
            status = batchview_writer_add (self, rows, from, to, error);
            told = false;
            continue;
        }
        status = key_end (self, error);
        if (status == STATUS_OK && !told)
            record_run (&self->record, rows);
        told = true;
        if (status == STATUS_OK)
            status = add_key (self, rows, from, to, error);
    }
    return status;
}

static void fill_index (const batchview_writer_t *self, uint64_t *table, uint64_t size)
{
    enum { AHEAD = 16 };
    const uint64_t *hash = self->hash;
    uint64_t keys = self->footer.keys;
    for (uint64_t i = 0; i < keys; i++) {
        uint64_t slot = viewfile_index_slot (hash[i], size);
        if (i + AHEAD < keys)
            __builtin_prefetch (&table[viewfile_index_slot (hash[i + AHEAD], size)], 1);
        while (table[slot] != 0)
            slot = slot + 1 < size ? slot + 1 : 0;
        table[slot] = viewfile_index_entry (hash[i], self->place[i]);
    }
}

static status_t put_index (batchview_writer_t *self, error_t *error)
{
    static const uint8_t zeros[BATCHVIEW_ALIGN];
    sink_t *sink = &self->sink;
    uint64_t size = viewfile_index_size (self->footer.keys);
    size_t bytes = size * sizeof (uint64_t);
    uint64_t end = sink_at (sink);
    self->footer.index_at = viewfile_align (end);
    self->footer.index_size = size;
    if (self->footer.index_at >> BATCHVIEW_PLACE_BITS != 0)
        return error_set (error, STATUS_TOO_LARGE, "the batch view is over 1 TiB");
    status_t status = sink_put (sink, zeros, self->footer.index_at - end, error);
    if (status != STATUS_OK)
        return status;
    if (bytes <= SINK_BUFFER - sink->used) { /* it is made where it is written from */
        uint64_t *table = (uint64_t *)(void *)sink_room (sink);
        memset (table, 0, bytes);
        fill_index (self, table, size);
        return sink_grew (sink, bytes, error);
    }
    uint64_t *table = mem_zero (size, sizeof *table);
    fill_index (self, table, size);
    status = sink_put (sink, table, bytes, error);
    mem_free (table);
    return status;
}

static status_t put_tail (batchview_writer_t *self, error_t *error)
{
    sink_t *sink = &self->sink;
    status_t status = sink_flush (sink, sink->used, error);
    if (status != STATUS_OK)
        return status;
    buf_t out;
    buf_init (&out, 8 * sink->checksums + BATCHVIEW_FOOTER);
    viewfile_tail_encode (&self->footer, sink->checksum, sink->checksums, &out);
    status = fs_write (self->fs, sink->file, sink->written, out.data, out.size, error);
    sink->written += out.size;
    buf_release (&out);
    return status;
}

status_t batchview_writer_finish (batchview_writer_t *self, uint64_t *size, error_t *error)
{
    CHECK_OBJECT (self, WRITER_MAGIC);
    CHECK (!self->finished);
    status_t status = key_end (self, error);
    if (status == STATUS_OK)
        status = put_index (self, error);
    if (status == STATUS_OK)
        status = put_tail (self, error);
    if (status == STATUS_OK)
        status = fs_sync (self->fs, self->sink.file, error);
    if (status != STATUS_OK)
        return error_prefix (error, "writing %s", self->path);
    self->finished = true;
    *size = self->sink.written;
    return STATUS_OK;
}

void batchview_writer_destroy (batchview_writer_t **self_p)
{
    batchview_writer_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, WRITER_MAGIC);
    *self_p = NULL;
    self->magic = 0;
    fs_close (self->fs, &self->sink.file);
    error_t ignored; /* a file that stays is an attempt's, and is never committed */
    if (!self->finished && fs_remove (self->fs, self->path, &ignored) != STATUS_OK)
        error_clear (&ignored);
    record_builder_release (&self->record);
    mem_free (self->sink.buffer);
    mem_free (self->sink.checksum);
    mem_free (self->hash);
    mem_free (self->place);
    mem_free (self->path);
    mem_free (self);
}
