#include "tests/unit/storage/run_fixture.h"

#include "storage/posix_fs.h"
#include "storage/rows.h"
#include "storage/sort.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static error_t error;

void run_fixture_init (run_fixture_t *self, uint64_t seed)
{
    *self = (run_fixture_t){ .fs = NULL };
    scratch_make (&self->scratch);
    cr_assert_eq (posix_fs_open (self->scratch.path, &self->fs, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert_eq (fs_make_dir (self->fs, "runs", &error), STATUS_OK, "%s", error.text);
    self->arena = arena_new (1 << 18);
    random_seed (&self->random, seed);
    self->columns = random_types (&self->random, self->types, FIXTURE_COLUMNS);
    self->schema = (run_schema_t){ .log = text_of ("payments/user_id"),
                                   .fingerprint = random_next (&self->random),
                                   .partition = 3,
                                   .partitions = 8,
                                   .types = self->types,
                                   .columns = self->columns };
}

void run_fixture_release (run_fixture_t *self)
{
    arena_destroy (&self->arena);
    posix_fs_destroy (&self->fs);
    scratch_remove (&self->scratch);
}

static void pad_key (run_fixture_t *self, text_t *key)
{
    char *bytes = arena_alloc (self->arena, self->key_padding + key->size);
    memset (bytes, 'a', self->key_padding);
    memcpy (bytes + self->key_padding, key->data, key->size);
    *key = (text_t){ bytes, self->key_padding + key->size };
}

batch_t run_fixture_sorted (run_fixture_t *self, size_t rows, bool load)
{
    batch_t batch = random_batch (&self->random, self->arena, self->types, self->columns, rows);
    for (size_t i = 0; load && i < rows; i++)
        batch.offset[i] = 0;
    for (size_t i = 0; self->key_padding > 0 && i < rows; i++)
        pad_key (self, &batch.key[i]);
    uint32_t *order = arena_alloc (self->arena, rows * sizeof *order);
    sort_batch (&batch, order);
    rows_place_t *places = arena_alloc (self->arena, rows * sizeof *places);
    for (size_t i = 0; i < rows; i++)
        places[i] = (rows_place_t){ 0, order[i] };
    batch_t sorted = rows_pick (&batch, places, rows, self->arena);
    return rows > 0 ? sorted : batch;
}

void run_fixture_write (run_fixture_t *self, const char *name, const batch_t *batch)
{
    run_writer_t *writer;
    cr_assert_eq (run_writer_new (self->fs, name, &self->schema, &writer, &error), STATUS_OK, "%s",
                  error.text);
    if (self->quick)
        run_writer_quick (writer);
    for (size_t at = 0; at < batch->rows;) {
        size_t end = at + 1 + random_below (&self->random, batch->rows - at);
        cr_assert_eq (run_writer_add (writer, batch, at, end, &error), STATUS_OK, "%s", error.text);
        at = end;
    }
    run_info_t info;
    cr_assert_eq (run_writer_finish (writer, &info, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (info.rows, batch->rows);
    run_writer_destroy (&writer);
}

run_t *run_fixture_open (run_fixture_t *self, const char *name, uint64_t offset_override)
{
    run_t *run;
    run_options_t options = { .offset_override = offset_override };
    cr_assert_eq (run_open (self->fs, name, &options, &run, &error), STATUS_OK, "%s", error.text);
    return run;
}
