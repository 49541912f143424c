#include "client/cli/trained.h"

#include "base/decimal.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "client/cli/terminal.h"
#include "client/lib/client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MOST = 64 << 20, FILE_BUFFER = 1 << 20 };

static bool ends_with (const char *path, const char *end)
{
    size_t size = strlen (path), least = strlen (end);
    return size > least && strcmp (path + size - least, end) == 0;
}

/* Of other formats, whose readers would not know what to make of a CSV. */
static const char *foreign_ending (const char *path)
{
    static const char *const endings[] = { ".parquet", ".feather", ".arrow", ".json", ".tsv",
                                           ".xlsx",    ".gz",      ".zst",   ".bz2",  ".xz" };
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with (path, endings[i]))
            return endings[i];
    return NULL;
}

status_t trained_format (const char *path, const char *word, text_format_t *format, error_t *error)
{
    bool json = word ? strcmp (word, "ndjson") == 0
                     : ends_with (path, ".ndjson") || ends_with (path, ".jsonl");
    *format = json ? FORMAT_NDJSON : FORMAT_CSV;
    if (word && !json && strcmp (word, "csv") != 0)
        return error_set (error, STATUS_INVALID, "--format is csv or ndjson, not \"%s\"", word);
    if (strcmp (path, "-") == 0)
        return error_set (error, STATUS_INVALID,
                          "--out takes a file, for what it is of is written beside it");
    if (!word && foreign_ending (path))
        return error_set (error, STATUS_INVALID,
                          "--out %s: what is written is CSV or NDJSON, and no %s; name it so, or "
                          "say which with --format",
                          path, foreign_ending (path) + 1);
    return STATUS_OK;
}

/* What is written takes the place of what is there: of a file, and of nothing else. */
static status_t check_place (const char *path, error_t *error)
{
    struct stat about;
    if (stat (path, &about) != 0 || S_ISREG (about.st_mode))
        return STATUS_OK;
    return error_set (error, STATUS_INVALID, "%s is %s, and --out takes a file", path,
                      S_ISDIR (about.st_mode) ? "a directory" : "no regular file");
}

/* Is the feature a column of the spine already, as it is? */
static bool is_there (const trained_t *self, size_t output)
{
    return self->prefix[0] == '\0' && self->set->outputs[output].is_given;
}

static status_t failed (trained_t *self, error_t *error)
{
    return error_set_errno (error, errno, "%s", self->path);
}

status_t trained_open (trained_t *self, const char *path, const char *format, const trainset_t *set,
                       const char *prefix, error_t *error)
{
    *self = (trained_t){ .path = path, .set = set, .prefix = prefix };
    buf_init (&self->line, LINE_MOST);
    status_t status = trained_format (path, format, &self->format, error);
    if (status == STATUS_OK)
        status = check_place (path, error);
    if (status != STATUS_OK)
        return status;
    self->shown = mem_zero (set->outputs_count + 1, sizeof *self->shown);
    for (size_t i = 0; i < set->outputs_count; i++)
        self->shown[i] = true;
    self->temporary = mem_format ("%s.%ld.tmp", path, (long)getpid ());
    self->file = fopen (self->temporary, "wxe");
    if (self->file == NULL)
        return failed (self, error);
    interrupt_removes (self->temporary); /* when it is asked to end a second time */
    (void)setvbuf (self->file, NULL, _IOFBF, FILE_BUFFER);
    return STATUS_OK;
}

void trained_release (trained_t *self)
{
    if (self->file != NULL) {
        (void)fclose (self->file);
        (void)unlink (self->temporary);
    }
    if (self->temporary != NULL)
        interrupt_removes (NULL);
    self->file = NULL;
    mem_free (self->temporary);
    mem_free (self->shown);
    self->temporary = NULL;
    self->shown = NULL;
    buf_release (&self->line);
}

static status_t write_line (trained_t *self, error_t *error)
{
    if (self->line.bad)
        return error_set (error, STATUS_TOO_LARGE, "row %" PRIu64 " takes more than %d MiB",
                          self->rows + 1, LINE_MOST >> 20);
    buf_put_u8 (&self->line, '\n');
    size_t size = self->line.size;
    bool good = fwrite (self->line.data, 1, size, self->file) == size;
    buf_clear (&self->line);
    return good ? STATUS_OK : failed (self, error);
}

void trained_name (const trained_t *self, size_t output, buf_t *out)
{
    buf_put_string (out, self->prefix);
    buf_put_string (out, self->set->outputs[output].name);
}

/* ---- CSV ---- */

static void put_quoted (text_t text, buf_t *out)
{
    buf_put_u8 (out, '"');
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            buf_put_u8 (out, '"');
        buf_put_u8 (out, (uint8_t)text.data[i]);
    }
    buf_put_u8 (out, '"');
}

/* Quotes where they are needed; the empty string has them, for nothing at all is null. */
static void put_cell (text_t text, buf_t *out)
{
    bool plain = text.size > 0 && text.data[0] != ' ' && text.data[text.size - 1] != ' ';
    for (uint32_t i = 0; plain && i < text.size; i++)
        plain = strchr (",\"\r\n", text.data[i]) == NULL || text.data[i] == '\0';
    if (plain)
        buf_put (out, text.data, text.size);
    else
        put_quoted (text, out);
}

static void put_csv (const value_t *value, buf_t *out)
{
    if (value->null)
        return;
    if (value->type == TYPE_STRING) {
        put_cell (value->s, out);
    } else if (value->type == TYPE_TIMESTAMP) {
        time_format (out, value->i);
    } else if (value->type == TYPE_FLOAT64) {
        number_format_float (out, value->f);
    } else if (type_is_decimal (value->type)) {
        decimal_format (out, value->d, type_scale (value->type));
    } else if (value->type == TYPE_LIST || value->type == TYPE_MAP) {
        buf_t json;
        buf_init (&json, LINE_MOST);
        client_value_json (value, &json);
        put_quoted ((text_t){ (const char *)json.data, (uint32_t)json.size }, out);
        buf_release (&json);
    } else {
        client_value_json (value, out);
    }
}

static void put_head_of_features (trained_t *self, bool first)
{
    for (size_t i = 0; i < self->set->outputs_count; i++) {
        buf_t name;
        if (!self->shown[i])
            continue;
        if (!first)
            buf_put_u8 (&self->line, ',');
        first = false;
        buf_init (&name, 1 << 16);
        trained_name (self, i, &name);
        put_cell ((text_t){ (const char *)name.data, (uint32_t)name.size }, &self->line);
        buf_release (&name);
    }
}

status_t trained_head (trained_t *self, const spine_t *spine, error_t *error)
{
    for (size_t i = 0; i < self->set->outputs_count; i++)
        self->shown[i] = !is_there (self, i);
    for (size_t i = 0; i < self->set->outputs_count; i++) {
        bool there = false; /* a column that no row has is written all the same */
        for (size_t c = 0; c < spine->columns_count; c++)
            there = there || text_is (spine->columns[c], self->set->outputs[i].name);
        self->shown[i] = self->shown[i] || !there;
    }
    if (self->format == FORMAT_NDJSON)
        return STATUS_OK;
    for (size_t c = 0; c < spine->columns_count; c++) {
        if (c > 0)
            buf_put_u8 (&self->line, ',');
        put_cell (spine->columns[c], &self->line);
    }
    put_head_of_features (self, spine->columns_count == 0);
    return write_line (self, error);
}

status_t trained_head_of (trained_t *self, const char *const *names, size_t count, error_t *error)
{
    if (self->format == FORMAT_NDJSON)
        return STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_u8 (&self->line, ',');
        put_cell (text_of (names[i]), &self->line);
    }
    put_head_of_features (self, count == 0);
    return write_line (self, error);
}

/* ---- cells of the spine, as they came ---- */

static void put_raw_csv (const raw_t *raw, buf_t *out)
{
    if (raw->kind == RAW_TEXT)
        put_cell (raw->s, out);
    else if (raw->kind == RAW_BOOL)
        buf_put_string (out, raw->i ? "true" : "false");
    else if (raw->kind == RAW_INT)
        buf_printf (out, "%" PRId64, raw->i);
    else if (raw->kind == RAW_FLOAT)
        buf_put (out, raw->s.data, raw->s.size);
}

/* What a CSV's cell is has no type but that of the field which it is read as. */
static void put_raw_json (const spine_t *spine, size_t row, size_t column, buf_t *out)
{
    const raw_t *raw =
        &spine->table.cells[spine->result.raw_row[row] * spine->table.columns_count + column];
    int32_t field = spine->map[column];
    if (raw->kind == RAW_NULL) {
        buf_put_string (out, "null");
    } else if (field >= 0 && spine->set->stream.fields[field].type != TYPE_TIMESTAMP) {
        value_t value = column_get (&spine->result.batch.column[field], row);
        client_value_json (&value, out);
    } else {
        number_format_json_string (out, raw->s);
    }
}

/* ---- rows ---- */

static void put_json_features (trained_t *self, const outcome_t *outcomes, bool first)
{
    for (size_t i = 0; i < self->set->outputs_count; i++) {
        buf_t name;
        if (!self->shown[i])
            continue;
        if (!first)
            buf_put_u8 (&self->line, ',');
        first = false;
        buf_init (&name, 1 << 16);
        trained_name (self, i, &name);
        number_format_json_string (&self->line,
                                   (text_t){ (const char *)name.data, (uint32_t)name.size });
        buf_release (&name);
        buf_put_u8 (&self->line, ':');
        client_value_json (&outcomes[i].value, &self->line);
    }
}

static void put_csv_features (trained_t *self, const outcome_t *outcomes, bool first)
{
    for (size_t i = 0; i < self->set->outputs_count; i++) {
        if (!self->shown[i])
            continue;
        if (!first)
            buf_put_u8 (&self->line, ',');
        first = false;
        put_csv (&outcomes[i].value, &self->line);
    }
}

/* Most reasons begin with the feature's name: it is not said twice. */
static void tell_error (trained_t *self, const char *name, const char *error)
{
    size_t size = strlen (name);
    bool named = strncmp (error, name, size) == 0 && error[size] == ':';
    (void)snprintf (self->reason, sizeof self->reason, "row %" PRIu64 ", %s%s%s", self->rows + 1,
                    named ? "" : name, named ? "" : ": ", error);
}

static void count_errors (trained_t *self, const outcome_t *outcomes)
{
    for (size_t i = 0; i < self->set->outputs_count; i++)
        if (outcomes[i].error && self->errors++ == 0)
            tell_error (self, self->set->outputs[i].name, outcomes[i].error);
}

static void put_spine_json (trained_t *self, const spine_t *spine, size_t row)
{
    text_t record = spine_record (spine, row);
    buf_put_u8 (&self->line, '{');
    if (spine->source.format == FORMAT_CSV) {
        for (size_t c = 0; c < spine->table.columns_count; c++) {
            if (c > 0)
                buf_put_u8 (&self->line, ',');
            number_format_json_string (&self->line, spine->table.columns[c]);
            buf_put_u8 (&self->line, ':');
            put_raw_json (spine, row, c, &self->line);
        }
        return;
    }
    const char *begin = memchr (record.data, '{', record.size);
    const char *end = record.data + record.size;
    while (end > begin && end[-1] != '}')
        end--;
    begin++;
    buf_put (&self->line, begin, (size_t)(end - 1 - begin));
}

static void put_spine_csv (trained_t *self, const spine_t *spine, size_t row)
{
    const raw_table_t *table = &spine->table;
    text_t record = spine_record (spine, row);
    if (spine->source.format == FORMAT_CSV) {
        buf_put (&self->line, record.data, record.size);
        return;
    }
    for (size_t c = 0; c < spine->columns_count; c++) {
        size_t at = 0;
        if (c > 0)
            buf_put_u8 (&self->line, ',');
        while (at < table->columns_count && !text_equal (table->columns[at], spine->columns[c]))
            at++;
        if (at < table->columns_count)
            put_raw_csv (&table->cells[spine->result.raw_row[row] * table->columns_count + at],
                         &self->line);
    }
}

status_t trained_rows (trained_t *self, const spine_t *spine, const outcome_t *outcomes,
                       error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t r = 0; status == STATUS_OK && r < spine->result.batch.rows; r++) {
        const outcome_t *of = outcomes + r * self->set->outputs_count;
        if (self->format == FORMAT_CSV) {
            put_spine_csv (self, spine, r);
            put_csv_features (self, of, false);
        } else {
            put_spine_json (self, spine, r);
            put_json_features (self, of, false);
            buf_put_u8 (&self->line, '}');
        }
        count_errors (self, of);
        status = write_line (self, error);
        self->rows++;
    }
    return status;
}

status_t trained_row_of (trained_t *self, const char *const *names, const value_t *values,
                         size_t count, const outcome_t *outcomes, error_t *error)
{
    if (self->format == FORMAT_NDJSON)
        buf_put_u8 (&self->line, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_u8 (&self->line, ',');
        if (self->format == FORMAT_CSV) {
            put_csv (&values[i], &self->line);
            continue;
        }
        number_format_json_string (&self->line, text_of (names[i]));
        buf_put_u8 (&self->line, ':');
        client_value_json (&values[i], &self->line);
    }
    if (self->format == FORMAT_CSV) {
        put_csv_features (self, outcomes, count == 0);
    } else {
        put_json_features (self, outcomes, count == 0);
        buf_put_u8 (&self->line, '}');
    }
    count_errors (self, outcomes);
    status_t status = write_line (self, error);
    self->rows++;
    return status;
}

status_t trained_end (trained_t *self, error_t *error)
{
    FILE *file = self->file;
    self->file = NULL;
    bool good = fflush (file) == 0 && fsync (fileno (file)) == 0;
    int why = errno;
    good = fclose (file) == 0 && good;
    if (good && rename (self->temporary, self->path) == 0)
        return STATUS_OK;
    errno = good ? errno : why;
    status_t status = failed (self, error);
    (void)unlink (self->temporary);
    return status;
}
