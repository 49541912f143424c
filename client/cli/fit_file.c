#include "client/cli/fit_file.h"

#include "base/decimal.h"
#include "base/mem.h"
#include "client/cli/source.h"
#include "client/cli/terminal.h"
#include "intake/cell.h"

#include <inttypes.h>
#include <sodium.h>
#include <sys/stat.h>

enum { FIT_ROWS = 4096, REASON_CHUNK = 4096 };

/* One reading of the file. */
typedef struct reading {
    fit_t *fit;
    source_t source;
    text_reader_t *reader;
    size_t *columns; /* of the file, per column of the fit; NULL before the first row */
    field_t *fields; /* what their cells must be */
    arena_t *reasons;
    crypto_hash_sha256_state hash;
    uint64_t rows;
} reading_t;

/* ---- columns ---- */

static status_t no_column (const reading_t *self, const raw_table_t *table, const char *name,
                           error_t *error)
{
    const char *names[TEXT_COLUMNS_MAX];
    arena_t *arena = arena_new (REASON_CHUNK);
    for (size_t c = 0; c < table->columns_count; c++)
        names[c] = arena_string (arena, table->columns[c]);
    const char *nearest = text_nearest (name, names, table->columns_count);
    (void)error_set (error, STATUS_NOT_FOUND,
                     "%s has no column \"%s\"%s%s%s; columns are called as the service's features",
                     self->source.path, name, nearest ? ", but \"" : "", nearest ? nearest : "",
                     nearest ? "\"" : "");
    arena_destroy (&arena);
    return error->status;
}

static status_t find_column (reading_t *self, const raw_table_t *table, size_t column,
                             error_t *error)
{
    const service_feature_t *feature = fit_column (self->fit, column);
    size_t found = table->columns_count;
    for (size_t c = 0; c < table->columns_count; c++) {
        if (!text_is (table->columns[c], feature->name))
            continue;
        if (found < table->columns_count)
            return error_set (error, STATUS_INVALID, "%s has two columns \"%s\"", self->source.path,
                              feature->name);
        found = c;
    }
    if (found == table->columns_count)
        return no_column (self, table, feature->name, error);
    self->columns[column] = found;
    self->fields[column] = (field_t){ .name = feature->name,
                                      .column = feature->name,
                                      .type = feature->type.type,
                                      .precision = DECIMAL_DIGITS_MAX };
    return STATUS_OK;
}

static status_t find_columns (reading_t *self, const raw_table_t *table, error_t *error)
{
    status_t status = STATUS_OK;
    if (self->columns)
        return STATUS_OK;
    self->columns = mem_zero (fit_columns (self->fit) + 1, sizeof *self->columns);
    self->fields = mem_zero (fit_columns (self->fit) + 1, sizeof *self->fields);
    for (size_t i = 0; i < fit_columns (self->fit) && status == STATUS_OK; i++)
        status = find_column (self, table, i, error);
    return status;
}

/* ---- rows ---- */

static status_t add_cell (reading_t *self, size_t column, const raw_t *raw, error_t *error)
{
    value_t value;
    const field_t *field = &self->fields[column];
    if (!cell_value (field, raw, &value)) {
        arena_reset (self->reasons);
        return error_set (error, STATUS_INVALID, "%s", cell_reason (field, raw, self->reasons));
    }
    status_t status = fit_add (self->fit, column, &value, error);
    return status == STATUS_OK ? STATUS_OK : error_prefix (error, "column %s", field->name);
}

static status_t add_rows (reading_t *self, const raw_table_t *table, uint64_t first_row,
                          error_t *error)
{
    status_t status = find_columns (self, table, error);
    if (status != STATUS_OK)
        return status;
    for (size_t row = 0; row < table->rows; row++) {
        const raw_t *cells = &table->cells[row * table->columns_count];
        for (size_t i = 0; i < fit_columns (self->fit); i++) {
            if (!fit_wants (self->fit, i))
                continue;
            status = add_cell (self, i, &cells[self->columns[i]], error);
            if (status != STATUS_OK)
                return error_prefix (error, "%s: row %" PRIu64, self->source.path, first_row + row);
        }
    }
    self->rows += table->rows;
    progress_bytes (NULL, self->source.path, self->source.bytes, self->source.total);
    return STATUS_OK;
}

/* Reads on, and takes what is read into the hash. */
static status_t fill (reading_t *self, error_t *error)
{
    source_t *source = &self->source;
    uint64_t before = source->bytes;
    status_t status = source_fill (source, error);
    if (status == STATUS_OK && source->bytes > before)
        (void)crypto_hash_sha256_update (&self->hash, source->data, source->size);
    return status;
}

/* The tables that are ready; *any: was there one? */
static status_t take_tables (reading_t *self, bool *any, error_t *error)
{
    raw_table_t table;
    uint64_t first_row;
    *any = false;
    while (text_reader_table (self->reader, &table, &first_row)) {
        status_t status = add_rows (self, &table, first_row, error);
        if (status != STATUS_OK)
            return status;
        text_reader_next (self->reader);
        *any = true;
    }
    return STATUS_OK;
}

static status_t read_rows (reading_t *self, error_t *error)
{
    source_t *source = &self->source;
    bool told_end = false, any;
    for (;;) {
        uint64_t bad_row;
        size_t taken;
        status_t status = take_tables (self, &any, error);
        if (status != STATUS_OK || (told_end && !any))
            return status;
        status = fill (self, error);
        told_end = source->ended;
        if (status == STATUS_OK)
            status = text_reader_feed (self->reader, source->data + source->at,
                                       source->size - source->at, &taken, &bad_row, error);
        if (status != STATUS_OK)
            return error_prefix (error, "%s", source->path);
        source->at += taken;
    }
}

/* One reading of all. */
static status_t read_once (fit_t *fit, const char *path, char hash[FIT_HASH_DIGITS + 1],
                           uint64_t *rows, error_t *error)
{
    reading_t self = { .fit = fit };
    unsigned char bytes[crypto_hash_sha256_BYTES];
    _Static_assert(2 * crypto_hash_sha256_BYTES == FIT_HASH_DIGITS, "two digits a byte");
    status_t status = source_open (&self.source, path, "csv", error);
    if (status != STATUS_OK)
        return status;
    self.reader = text_reader_new (FORMAT_CSV, FIT_ROWS);
    self.reasons = arena_new (REASON_CHUNK);
    (void)crypto_hash_sha256_init (&self.hash);
    status = read_rows (&self, error);
    (void)crypto_hash_sha256_final (&self.hash, bytes);
    (void)sodium_bin2hex (hash, FIT_HASH_DIGITS + 1, bytes, sizeof bytes);
    *rows = self.rows;
    text_reader_destroy (&self.reader);
    arena_destroy (&self.reasons);
    source_close (&self.source);
    mem_free (self.columns);
    mem_free (self.fields);
    return status;
}

/* It may be read again, and must be the same then. */
static status_t check_regular (const char *path, error_t *error)
{
    struct stat about;
    if (stat (path, &about) != 0)
        return error_set_errno (error, errno, "%s", path);
    if (!S_ISREG (about.st_mode))
        return error_set (error, STATUS_INVALID,
                          "%s is no file; a training set is read more than once, so write it to "
                          "one",
                          path);
    return STATUS_OK;
}

status_t fit_file (fit_t *fit, const char *path, char hash[FIT_HASH_DIGITS + 1], uint64_t *rows,
                   error_t *error)
{
    char other[FIT_HASH_DIGITS + 1];
    bool again = false;
    status_t status = check_regular (path, error);
    if (status == STATUS_OK)
        status = read_once (fit, path, hash, rows, error);
    if (status == STATUS_OK && *rows == 0)
        status = error_set (error, STATUS_INVALID, "%s has no rows", path);
    if (status == STATUS_OK)
        status = fit_end_pass (fit, &again, error);
    while (status == STATUS_OK && again) {
        uint64_t ignored;
        status = read_once (fit, path, other, &ignored, error);
        if (status == STATUS_OK && strcmp (hash, other) != 0)
            status = error_set (error, STATUS_INVALID, "%s changes while it is read", path);
        if (status == STATUS_OK)
            status = fit_end_pass (fit, &again, error);
    }
    progress_end ();
    return status;
}
