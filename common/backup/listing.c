#include "backup/listing.h"

#include "backup/backup.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

listing_t *listing_new (void)
{
    listing_t *self = mem_zero (1, sizeof *self);
    self->arena = arena_new (1 << 14);
    return self;
}

void listing_destroy (listing_t **self_p)
{
    listing_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    arena_destroy (&self->arena);
    mem_free (self->files);
    mem_free (self->positions);
    mem_free (self);
}

void listing_add_file (listing_t *self, const char *path, uint64_t size, listed_hash_t hash)
{
    if ((self->files_count & (self->files_count - 1)) == 0)
        self->files = mem_resize (self->files, 2 * self->files_count + 1, sizeof *self->files);
    self->files[self->files_count++] =
        (listed_file_t){ arena_string (self->arena, text_of (path)), size, hash };
}

void listing_add_position (listing_t *self, const char *log, uint32_t partition, uint64_t offset)
{
    self->positions =
        mem_resize (self->positions, self->positions_count + 1, sizeof *self->positions);
    self->positions[self->positions_count++] =
        (listed_position_t){ arena_string (self->arena, text_of (log)), partition, offset };
}

const listed_file_t *listing_file (const listing_t *self, const char *path)
{
    for (size_t i = 0; i < self->files_count; i++)
        if (strcmp (self->files[i].path, path) == 0)
            return &self->files[i];
    return NULL;
}

/* ---- written ---- */

status_t listing_write (const listing_t *self, fs_t *fs, const char *directory, error_t *error)
{
    buf_t out;
    buf_init (&out, LISTING_MAX);
    buf_printf (&out,
                "weir-backup 1\ncluster %s\nid %016" PRIx64 "\npartitions %" PRIu32
                "\ntime %" PRId64 "\n",
                self->cluster.name, self->cluster.id, self->cluster.partitions, self->time);
    for (size_t i = 0; i < self->positions_count; i++)
        buf_printf (&out, "position %" PRIu64 " %" PRIu32 " %s\n", self->positions[i].offset,
                    self->positions[i].partition, self->positions[i].log);
    for (size_t i = 0; i < self->files_count; i++)
        buf_printf (&out, "file %" PRIu64 " %016" PRIx64 "%016" PRIx64 " %s\n", self->files[i].size,
                    self->files[i].hash.high, self->files[i].hash.low, self->files[i].path);
    if (!out.bad)
        buf_printf (&out, "check %016" PRIx64 "\n", (uint64_t)XXH3_64bits (out.data, out.size));
    char *path = mem_format ("%s/%s", directory, BACKUP_FILE);
    status_t status = out.bad ? error_set (error, STATUS_TOO_LARGE, "the backup has too many files")
                              : fs_replace (fs, path, out.data, out.size, error);
    mem_free (path);
    buf_release (&out);
    return status;
}

/* ---- read ---- */

static bool take_word (text_t *line, text_t *word)
{
    const char *blank = line->size > 0 ? memchr (line->data, ' ', line->size) : NULL;
    if (!blank)
        return false;
    *word = (text_t){ line->data, (uint32_t)(blank - line->data) };
    line->data = blank + 1;
    line->size -= word->size + 1;
    return true;
}

static bool number_of (text_t text, uint64_t *value)
{
    int64_t number;
    if (!number_parse_int (text, &number) || number < 0)
        return false;
    *value = (uint64_t)number;
    return true;
}

static bool hex_of (text_t text, uint64_t *value)
{
    char hex[17] = "";
    if (text.size != 16)
        return false;
    memcpy (hex, text.data, 16);
    *value = strtoull (hex, NULL, 16);
    return strspn (hex, "0123456789abcdef") == 16;
}

/* Below data/, and nowhere else. */
static bool is_sound_path (text_t path)
{
    char *copy = mem_string_n (path.data, path.size);
    bool good = path.size > 0 && strlen (copy) == path.size && copy[0] != '/' &&
                copy[path.size - 1] != '/' && !strstr (copy, "//");
    for (const char *part = copy; good && part; part = strchr (part, '/')) {
        part += *part == '/';
        size_t size = strcspn (part, "/");
        good = !(size <= 2 && strspn (part, ".") >= size);
    }
    mem_free (copy);
    return good;
}

static bool take_file (listing_t *self, text_t line)
{
    text_t size;
    text_t hash;
    listed_hash_t sum;
    uint64_t bytes;
    if (!take_word (&line, &size) || !take_word (&line, &hash) || hash.size != 32 ||
        !number_of (size, &bytes) || !hex_of ((text_t){ hash.data, 16 }, &sum.high) ||
        !hex_of ((text_t){ hash.data + 16, 16 }, &sum.low) || !is_sound_path (line))
        return false;
    listing_add_file (self, arena_string (self->arena, line), bytes, sum);
    return true;
}

static bool take_position (listing_t *self, text_t line)
{
    text_t offset;
    text_t partition;
    uint64_t number;
    uint64_t at;
    if (!take_word (&line, &offset) || !take_word (&line, &partition) || !number_of (offset, &at) ||
        !number_of (partition, &number) || number > UINT16_MAX || line.size == 0)
        return false;
    listing_add_position (self, arena_string (self->arena, line), (uint32_t)number, at);
    return true;
}

static bool take_line (listing_t *self, text_t line)
{
    text_t name;
    uint64_t number;
    if (!take_word (&line, &name))
        return false;
    if (text_is (name, "file"))
        return take_file (self, line);
    if (text_is (name, "position"))
        return take_position (self, line);
    if (text_is (name, "cluster") && line.size < sizeof self->cluster.name) {
        memcpy (self->cluster.name, line.data, line.size);
        return true;
    }
    if (text_is (name, "id"))
        return hex_of (line, &self->cluster.id) && self->cluster.id != 0;
    if (text_is (name, "partitions") && number_of (line, &number) && number <= UINT16_MAX) {
        self->cluster.partitions = (uint32_t)number;
        return true;
    }
    if (text_is (name, "time") && number_of (line, &number)) {
        self->time = (int64_t)number;
        return true;
    }
    return false;
}

static status_t parse (listing_t *self, text_t text, const char *path, error_t *error)
{
    static const char magic[] = "weir-backup 1\n";
    uint64_t check;
    if (text.size < 13 || memcmp (text.data, magic, 12) != 0)
        return error_set (error, STATUS_CORRUPT, "%s: this is no list of a backup", path);
    if (text.size < sizeof magic - 1 || memcmp (text.data, magic, sizeof magic - 1) != 0)
        return error_set (error, STATUS_VERSION, "%s: it was made by another version of weir",
                          path);
    bool good = text.size >= 23 + sizeof magic &&
                memcmp (text.data + text.size - 23, "check ", 6) == 0 &&
                hex_of ((text_t){ text.data + text.size - 17, 16 }, &check) &&
                XXH3_64bits (text.data, text.size - 23) == check;
    if (!good)
        return error_set (error, STATUS_CORRUPT, "%s: its checksum is wrong", path);
    const char *end = text.data + text.size - 23;
    for (const char *at = text.data + sizeof magic - 1; good && at < end;) {
        const char *line = memchr (at, '\n', (size_t)(end - at));
        good = line && take_line (self, (text_t){ at, (uint32_t)(line - at) });
        at = line ? line + 1 : end;
    }
    if (!good || self->cluster.id == 0 || self->cluster.partitions == 0 || self->files_count == 0)
        return error_set (error, STATUS_CORRUPT, "%s: it cannot be understood", path);
    return STATUS_OK;
}

status_t listing_read (fs_t *fs, const char *directory, listing_t **listing, error_t *error)
{
    char *path = mem_format ("%s/%s", directory, BACKUP_FILE);
    file_t *file = NULL;
    uint64_t size = 0;
    buf_t bytes;
    buf_init (&bytes, LISTING_MAX);
    *listing = NULL;
    status_t status = fs_open (fs, path, FS_READ, &file, error);
    if (status == STATUS_NOT_FOUND)
        (void)error_set (error, status, "%s is no backup: there is no file %s in it", directory,
                         BACKUP_FILE);
    if (status == STATUS_OK)
        status = fs_size (fs, file, &size, error);
    if (status == STATUS_OK && size > LISTING_MAX)
        status = error_set (error, STATUS_CORRUPT, "%s: it is too large", path);
    if (status == STATUS_OK && size > 0)
        status = fs_read_all (fs, file, 0, buf_extend (&bytes, (size_t)size), (size_t)size, error);
    fs_close (fs, &file);
    listing_t *self = listing_new ();
    if (status == STATUS_OK)
        status =
            parse (self, (text_t){ (const char *)bytes.data, (uint32_t)bytes.size }, path, error);
    buf_release (&bytes);
    mem_free (path);
    if (status == STATUS_OK)
        *listing = self;
    else
        listing_destroy (&self);
    return status;
}
