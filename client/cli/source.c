#include "client/cli/source.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/cli/terminal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *format_word (text_format_t format)
{
    return format == FORMAT_CSV ? "csv" : "ndjson";
}

enum { IDLE_MS = 200, QUIET_MS = 20 };

static bool ends_with (const char *path, const char *end)
{
    size_t size = strlen (path), length = strlen (end);
    return size > length && strcasecmp (path + size - length, end) == 0;
}

static bool format_of_path (const char *path, text_format_t *format)
{
    *format = ends_with (path, ".csv") ? FORMAT_CSV : FORMAT_NDJSON;
    return *format == FORMAT_CSV || ends_with (path, ".ndjson") || ends_with (path, ".jsonl") ||
           ends_with (path, ".json");
}

static text_format_t format_of_bytes (const source_t *source)
{
    for (size_t i = source->at; i < source->size; i++)
        if (!strchr (" \t\r\n\xef\xbb\xbf", source->data[i]))
            return source->data[i] == '{' ? FORMAT_NDJSON : FORMAT_CSV;
    return FORMAT_CSV;
}

static status_t choose_format (source_t *source, const char *format, error_t *error)
{
    if (!format)
        return format_of_path (source->path, &source->format) ? STATUS_OK : STATUS_END;
    source->format = strcmp (format, "csv") == 0 ? FORMAT_CSV : FORMAT_NDJSON;
    if (source->format == FORMAT_CSV || strcmp (format, "ndjson") == 0)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID, "--format is csv or ndjson, not \"%s\"", format);
}

static bool has_bytes (int fd, int64_t at, const char *bytes, size_t size)
{
    char found[8];
    CHECK (size <= sizeof found);
    return at >= 0 && pread (fd, found, size, (off_t)at) == (ssize_t)size &&
           memcmp (found, bytes, size) == 0;
}

/* A file that is no text, but well known: its first bytes would make a puzzling header. */
static status_t refuse_foreign (const source_t *source, error_t *error)
{
    static const struct {
        const char *bytes, *name, *unpack;
    } packed[] = { { "\x1f\x8b", "gzip", "zcat" },
                   { "\x28\xb5\x2f\xfd", "zstd", "zstdcat" },
                   { "\xfd"
                     "7zXZ",
                     "xz", "xzcat" },
                   { "PK\x03\x04", "zip", "unzip -p" } };
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (has_bytes (source->fd, 0, packed[i].bytes, strlen (packed[i].bytes)))
            return error_set (error, STATUS_INVALID,
                              "%s is packed (%s): unpack it, as in %s %s, and give - for the file "
                              "to read that from a pipe",
                              source->path, packed[i].name, packed[i].unpack, source->path);
    if (has_bytes (source->fd, 0, "PAR1", 4) &&
        has_bytes (source->fd, (int64_t)source->total - 4, "PAR1", 4))
        return error_set (error, STATUS_INVALID, "%s is Parquet: write it as CSV or NDJSON first",
                          source->path);
    return STATUS_OK;
}

status_t source_open (source_t *source, const char *path, const char *format, error_t *error)
{
    struct stat about;
    *source = (source_t){ .fd = -1, .path = path };
    status_t chosen = choose_format (source, format, error);
    if (chosen != STATUS_OK && chosen != STATUS_END)
        return chosen;
    source->fd = strcmp (path, "-") == 0 ? dup (STDIN_FILENO) : open (path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0 || fstat (source->fd, &about) != 0) {
        status_t status = error_set_errno (error, errno, "%s", path);
        source_close (source);
        return status;
    }
    if (S_ISREG (about.st_mode))
        source->total = (uint64_t)about.st_size;
    source->data = mem_alloc (SOURCE_CHUNK);
    status_t status = STATUS_OK;
    if (S_ISDIR (about.st_mode))
        status = error_set (error, STATUS_INVALID, "%s is a directory", path);
    else if (source->total > 0 && strcmp (path, "-") != 0)
        status = refuse_foreign (source, error);
    if (status == STATUS_OK && chosen == STATUS_END)
        status = source_fill (source, error);
    if (status != STATUS_OK)
        source_close (source);
    else if (chosen == STATUS_END)
        source->format = format_of_bytes (source);
    return status;
}

void source_close (source_t *source)
{
    if (source->fd >= 0)
        close (source->fd);
    source->fd = -1;
    mem_free (source->data);
    source->data = NULL;
}

/* Until a pipe or terminal has something, or has ended. A read would not end by a signal that came
 * just before it. */
static status_t await (const source_t *source, error_t *error)
{
    struct pollfd input = { .fd = source->fd, .events = POLLIN };
    while (poll (&input, 1, IDLE_MS) <= 0)
        if (interrupt_came ())
            return error_set (error, STATUS_CANCELLED, "interrupted while reading %s",
                              source->path);
    return STATUS_OK;
}

status_t source_fill (source_t *source, error_t *error)
{
    if (source->at < source->size || source->ended)
        return STATUS_OK;
    status_t status = source->idle         ? source->idle (source->idle_arg, error)
                      : source->total == 0 ? await (source, error)
                                           : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    ssize_t got;
    do
        got = read (source->fd, source->data, SOURCE_CHUNK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set_errno (error, errno, "%s", source->path);
    source->ended = got == 0;
    source->at = 0;
    source->size = (size_t)got;
    source->bytes += (uint64_t)got;
    return STATUS_OK;
}

/* Files never are. */
static bool is_quiet (const source_t *source)
{
    struct pollfd input = { .fd = source->fd, .events = POLLIN };
    return source->at == source->size && !source->ended && poll (&input, 1, QUIET_MS) == 0;
}

status_t source_table (source_t *source, text_reader_t *reader, raw_table_t *table,
                       uint64_t *first_row, uint64_t *bad_row, error_t *error)
{
    *bad_row = 0;
    bool told_end = false;
    for (;;) {
        if (text_reader_table (reader, table, first_row))
            return STATUS_OK;
        if (told_end)
            return STATUS_END;
        if (source->is_live && is_quiet (source)) {
            text_reader_end_table (reader);
            if (text_reader_table (reader, table, first_row))
                return STATUS_OK;
        }
        status_t status = source_fill (source, error);
        if (status != STATUS_OK)
            return status;
        size_t taken;
        told_end = source->ended;
        status = text_reader_feed (reader, source->data + source->at, source->size - source->at,
                                   &taken, bad_row, error);
        source->at += taken;
        if (status != STATUS_OK)
            return status;
    }
}

const char *reason_in_row (uint64_t row, const char *reason)
{
    char head[32];
    size_t size = (size_t)snprintf (head, sizeof head, "row %" PRIu64, row);
    if (strncmp (reason, head, size) != 0)
        return reason;
    if (strncmp (reason + size, ", ", 2) == 0)
        return reason + size + 2;
    return reason[size] == ' ' ? reason + size + 1 : reason;
}
