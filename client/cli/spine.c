#include "client/cli/spine.h"

#include "base/mem.h"
#include "client/cli/incoming.h"
#include "client/cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 4096, CHUNK = 1 << 20 };

/* ---- opening ---- */

static status_t write_all (int fd, const uint8_t *data, size_t size, error_t *error)
{
    while (size > 0) {
        ssize_t done = write (fd, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_set_errno (error, errno, "a copy of stdin in a temporary file");
        data += done;
        size -= (size_t)done;
    }
    return STATUS_OK;
}

/* stdin can be read only once. */
static status_t copy_stdin (spine_t *self, error_t *error)
{
    source_t from;
    const char *directory = getenv ("TMPDIR");
    char *name = mem_format ("%s/weir-spine-XXXXXX", directory ? directory : "/tmp");
    self->copy = mkostemp (name, O_CLOEXEC);
    status_t status =
        self->copy >= 0 ? STATUS_OK : error_set_errno (error, errno, "a temporary file %s", name);
    if (status == STATUS_OK)
        (void)unlink (name);
    mem_free (name);
    if (status == STATUS_OK)
        status = source_open (&from, "-", "csv", error);
    if (status != STATUS_OK)
        return status;
    while ((status = source_fill (&from, error)) == STATUS_OK && from.at < from.size) {
        status = write_all (self->copy, from.data, from.size, error);
        from.at = from.size;
        if (status != STATUS_OK)
            break;
        progress ("reading stdin: %" PRIu64 " MB", from.bytes >> 20);
    }
    source_close (&from);
    (void)snprintf (self->path, sizeof self->path, "/proc/self/fd/%d", self->copy);
    return status;
}

status_t spine_open (spine_t *self, const char *path, const char *format, bool skip,
                     const char *prefix, const trainset_t *set, error_t *error)
{
    *self = (spine_t){ .shown = path,
                       .format = format,
                       .set = set,
                       .prefix = prefix,
                       .skip = skip,
                       .copy = -1,
                       .now = clock_us () };
    self->arena = arena_new (CHUNK);
    self->batch_arena = arena_new (CHUNK);
    self->columns = mem_zero (TEXT_COLUMNS_MAX, sizeof *self->columns);
    self->map = mem_zero (TEXT_COLUMNS_MAX, sizeof *self->map);
    status_t status = strcmp (path, "-") == 0 ? copy_stdin (self, error) : STATUS_OK;
    if (status == STATUS_OK)
        status = content_hash (self->path[0] ? self->path : path, self->hash, error);
    return status;
}

static void end_pass (spine_t *self)
{
    if (self->open)
        source_close (&self->source);
    self->open = self->has_table = false;
    text_reader_destroy (&self->reader);
}

void spine_release (spine_t *self)
{
    if (self->arena == NULL)
        return;
    end_pass (self);
    if (self->copy >= 0)
        close (self->copy);
    mem_free (self->columns);
    mem_free (self->map);
    arena_destroy (&self->batch_arena);
    arena_destroy (&self->arena);
}

status_t spine_begin (spine_t *self, error_t *error)
{
    end_pass (self);
    self->rows = self->refused = 0;
    status_t status =
        source_open (&self->source, self->path[0] ? self->path : self->shown, self->format, error);
    if (status != STATUS_OK)
        return status;
    self->open = true;
    self->format = format_word (self->source.format); /* it stays so */
    self->reader = text_reader_new (self->source.format, ROWS);
    return STATUS_OK;
}

/* ---- columns ---- */

static bool is_known (const spine_t *self, text_t name)
{
    for (size_t i = 0; i < self->columns_count; i++)
        if (text_equal (self->columns[i], name))
            return true;
    return false;
}

/* Is it a value of the request that is answered as it is? Then the column stands for both. */
static bool is_the_same (const trainset_t *set, int output)
{
    return set->outputs[output].is_given;
}

/* A column must not have the name of a feature, which is to be a column as well. */
static status_t check_name (const spine_t *self, text_t name, error_t *error)
{
    size_t prefix = strlen (self->prefix);
    if (name.size <= prefix || memcmp (name.data, self->prefix, prefix) != 0)
        return STATUS_OK;
    text_t rest = { name.data + prefix, name.size - (uint32_t)prefix };
    int output = trainset_output (self->set, rest);
    if (output < 0 || (prefix == 0 && is_the_same (self->set, output)))
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "%s has a column " TEXT_FORMAT ", and there is a feature of that name: both "
                      "would be columns of what is written. Rename the column, or give --prefix, "
                      "which is put before the features' names",
                      self->shown, TEXT_ARGS (name));
}

static status_t take_columns (spine_t *self, error_t *error)
{
    for (size_t i = 0; i < self->table.columns_count; i++) {
        text_t name = self->table.columns[i];
        if (is_known (self, name))
            continue;
        status_t status = check_name (self, name, error);
        if (status != STATUS_OK)
            return status;
        if (self->columns_count == TEXT_COLUMNS_MAX)
            return error_set (error, STATUS_TOO_LARGE, "%s has more than %d columns", self->shown,
                              TEXT_COLUMNS_MAX);
        self->columns[self->columns_count++] = arena_text (self->arena, name);
    }
    return STATUS_OK;
}

static bool has_column (const spine_t *self, const field_t *field)
{
    for (size_t i = 0; i < self->table.columns_count; i++)
        if (field_is_called (field, self->table.columns[i]))
            return true;
    return false;
}

static status_t map_columns (spine_t *self, error_t *error)
{
    const stream_t *stream = &self->set->stream;
    const raw_table_t *table = &self->table;
    text_t none = { "", 0 };
    if (self->source.format == FORMAT_NDJSON) {
        intake_map_names (stream, table->columns, table->columns_count, none, self->map);
        return STATUS_OK;
    }
    for (size_t i = 0; i < stream->fields_count; i++) {
        bool needed =
            i < self->set->keys_count || i == stream->time || (int32_t)i == self->set->known;
        if (needed && !has_column (self, &stream->fields[i]))
            return error_set (error, STATUS_INVALID, "%s has no column %s, %s", self->shown,
                              stream->fields[i].column,
                              i == stream->time ? "which is to be the rows' time"
                              : i < self->set->keys_count
                                  ? "a field of the key"
                                  : "which is to say by when events are known");
    }
    return intake_map_columns (stream, table->columns, table->columns_count, none, self->map,
                               error);
}

/* Whether any row had it. */
static bool is_seen (const spine_t *self, const field_t *field)
{
    for (size_t i = 0; i < self->columns_count; i++)
        if (field_is_called (field, self->columns[i]))
            return true;
    return false;
}

status_t spine_check (const spine_t *self, error_t *error)
{
    const trainset_t *set = self->set;
    for (size_t i = 0; self->rows > 0 && i < set->keys_count + set->request_count; i++) {
        const field_t *field = &set->stream.fields[i];
        if (is_seen (self, field))
            continue;
        if (i < set->keys_count)
            return error_set (error, STATUS_INVALID, "%s has no column %s, a field of the key",
                              self->shown, field->column);
        progress_end ();
        fprintf (stderr,
                 "weir training-set: %s has no column %s: that value of the request is null in all "
                 "rows\n",
                 self->shown, field->column);
    }
    return STATUS_OK;
}

/* ---- rows ---- */

static status_t refuse (spine_t *self, uint64_t row, const char *reason, error_t *error)
{
    reason = reason_in_row (row, reason);
    if (self->refused++ == 0)
        (void)snprintf (self->reason, sizeof self->reason, "row %" PRIu64 ": %s", row, reason);
    if (self->skip)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "%s, row %" PRIu64 ": %s (--on-error skip leaves such rows out)", self->shown,
                      row, reason);
}

static status_t convert (spine_t *self, error_t *error)
{
    intake_rules_t rules = { .now = self->now,
                             .max_ahead = INT64_MAX - self->now,
                             .ingest_is_event_time = true };
    status_t status = take_columns (self, error);
    if (status == STATUS_OK)
        status = map_columns (self, error);
    if (status != STATUS_OK)
        return status;
    arena_reset (self->batch_arena);
    intake_convert (&self->set->stream, &self->table, self->map, &rules, self->batch_arena,
                    &self->result);
    for (size_t i = 0; status == STATUS_OK && i < self->result.refused_count; i++)
        status = refuse (self, self->first_row + self->result.refused[i].row,
                         self->result.refused[i].reason, error);
    self->rows += self->result.batch.rows;
    return status;
}

status_t spine_next (spine_t *self, error_t *error)
{
    do {
        uint64_t bad_row;
        if (self->has_table)
            text_reader_next (self->reader);
        self->has_table = false;
        status_t status = source_table (&self->source, self->reader, &self->table, &self->first_row,
                                        &bad_row, error);
        self->result.batch.rows = 0;
        if (status == STATUS_INVALID && bad_row > 0)
            status = refuse (self, bad_row, error->text, error);
        else if (status == STATUS_INVALID)
            return error_prefix (error, "%s", self->shown);
        else if (status == STATUS_OK) {
            self->has_table = true;
            status = convert (self, error);
        }
        if (status != STATUS_OK)
            return status;
    } while (self->result.batch.rows == 0);
    return STATUS_OK;
}

text_t spine_record (const spine_t *self, size_t row)
{
    return text_reader_record (self->reader, self->result.raw_row[row]);
}

text_t spine_header (const spine_t *self)
{
    return text_reader_header (self->reader);
}
