#include "trainset/result_reader.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "storage/merge.h"
#include "trainset/outcome_row.h"

#include <inttypes.h>

enum { CHUNK = 1 << 18 };

/* The parts of one view, as one. */
typedef struct side {
    run_t **runs;
    run_cursor_t **cursors;
    size_t count;
    merge_t *merge;
    arena_t *arena; /* of the batch */
    batch_t batch;
    size_t next; /* row of it */
} side_t;

struct result_reader {
    const trainset_t *set;
    fs_t *fs;
    bool by_key;
    side_t *sides; /* of the set's roles */
    uint64_t row;  /* number of the next one */
    arena_t *arena;
};

static status_t open_file (result_reader_t *self, const result_file_t *file, merge_source_t *input,
                           error_t *error)
{
    side_t *side = &self->sides[file->role];
    size_t at = side->count;
    status_t status = run_open (self->fs, file->path, NULL, &side->runs[at], error);
    if (status != STATUS_OK)
        return status;
    side->count++;
    const run_schema_t *schema = &run_info (side->runs[at])->schema;
    if (schema->columns != 1 || schema->types[0] != TYPE_STRING)
        return error_set (error, STATUS_CORRUPT, "%s is no part of a training set", file->path);
    side->cursors[at] = run_cursor_new (side->runs[at], NULL);
    *input = merge_run (side->cursors[at]);
    return STATUS_OK;
}

static status_t open_side (result_reader_t *self, uint32_t role, const result_file_t *files,
                           size_t count, error_t *error)
{
    side_t *side = &self->sides[role];
    side->arena = arena_new (CHUNK);
    side->runs = mem_zero (count + 1, sizeof (run_t *));
    side->cursors = mem_zero (count + 1, sizeof (run_cursor_t *));
    merge_source_t *inputs = mem_zero (count + 1, sizeof *inputs);
    size_t inputs_count = 0;
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        if (files[i].role == role)
            status = open_file (self, &files[i], &inputs[inputs_count++], error);
    if (status == STATUS_OK)
        status = merge_new (inputs, inputs_count, NULL, &side->merge, error);
    mem_free (inputs);
    return status;
}

status_t result_reader_new (const trainset_t *set, fs_t *fs, const result_file_t *files,
                            size_t count, bool by_key, result_reader_t **reader, error_t *error)
{
    result_reader_t *self = mem_zero (1, sizeof *self);
    *self = (result_reader_t){ .set = set, .fs = fs, .by_key = by_key };
    self->arena = arena_new (CHUNK);
    self->sides = mem_zero (set->roles_count + 1, sizeof *self->sides);
    status_t status = STATUS_OK;
    for (uint32_t r = 0; status == STATUS_OK && r < set->roles_count; r++)
        status = open_side (self, r, files, count, error);
    if (status == STATUS_OK)
        *reader = self;
    else
        result_reader_destroy (&self);
    return status;
}

static void release_side (side_t *self)
{
    merge_destroy (&self->merge);
    for (size_t i = 0; i < self->count; i++) {
        run_cursor_destroy (&self->cursors[i]);
        run_destroy (&self->runs[i]);
    }
    mem_free (self->cursors);
    mem_free (self->runs);
    arena_destroy (&self->arena);
}

void result_reader_destroy (result_reader_t **self_p)
{
    result_reader_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    for (size_t r = 0; r < self->set->roles_count; r++)
        release_side (&self->sides[r]);
    mem_free (self->sides);
    arena_destroy (&self->arena);
    mem_free (self);
}

/* ---- rows ---- */

static status_t fill (side_t *self, error_t *error)
{
    if (self->next < self->batch.rows)
        return STATUS_OK;
    arena_reset (self->arena);
    self->next = 0;
    self->batch.rows = 0;
    return merge_next (self->merge, self->arena, &self->batch, error);
}

static status_t damaged (const result_reader_t *self, error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "row %" PRIu64 " is not in the parts that were made",
                      self->row + 1);
}

/* Reads the row that is next, into the places of a role's features. */
static status_t read_row (result_reader_t *self, side_t *side, const trainset_role_t *role,
                          outcome_t *outcomes, const uint32_t *places, error_t *error)
{
    text_t bytes = side->batch.column[0].s[side->next];
    reader_t reader =
        reader_of (arena_text (self->arena, bytes).data, bytes.size); /* merges move on */
    for (size_t f = 0; f < role->features_count; f++) {
        outcome_t *to = &outcomes[places ? places[f] : f];
        type_t type = role->plan->features[role->features[f]].type.type;
        status_t status = outcome_row_get (&reader, type, self->arena, to, error);
        if (status != STATUS_OK)
            return error_prefix (error, "row %" PRIu64, self->row + 1);
    }
    side->next++;
    return reader_left (&reader) == 0 ? STATUS_OK : damaged (self, error);
}

static status_t read_rows (result_reader_t *self, size_t number, size_t rows, size_t each,
                           outcome_t *outcomes, error_t *error)
{
    const trainset_role_t *role = &self->set->roles[number];
    side_t *side = &self->sides[number];
    uint64_t first = self->row;
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < rows; i++, self->row++) {
        uint8_t key[KEY_NUMBER_SIZE];
        key_put_number (key, TYPE_INT64, (int64_t)self->row);
        status = fill (side, error);
        if (status == STATUS_END ||
            (status == STATUS_OK &&
             !text_equal (side->batch.key[side->next], (text_t){ (const char *)key, sizeof key })))
            return damaged (self, error);
        if (status == STATUS_OK)
            status = read_row (self, side, role, outcomes + i * each, role->inputs, error);
    }
    self->row = first;
    return status;
}

/* ---- what is made of them ---- */

static void copy_outcomes (const outcome_task_t *task, const outcome_t *from, size_t rows,
                           size_t outputs, outcome_t *to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < outputs; o++)
            to[r * outputs + o] = *outcome_of (task, from, r, o);
}

static void compute (result_reader_t *self, const batch_t *rows, const outcome_t *inputs,
                     outcome_t *outcomes)
{
    const trainset_t *set = self->set;
    size_t each = set->service->inputs_count;
    size_t requests = set->keys_count + set->request_count;
    size_t most = outcome_task_keys (set->task);
    outcome_key_t *keys = arena_zero (self->arena, most + 1, sizeof *keys);
    value_t *values = arena_zero (self->arena, most * requests + 1, sizeof *values);
    for (size_t from = 0; from < rows->rows; from += most) {
        size_t count = rows->rows - from < most ? rows->rows - from : most;
        for (size_t i = 0; i < count; i++) {
            for (size_t v = 0; v < requests; v++)
                values[i * requests + v] = column_get (&rows->column[v], from + i);
            keys[i] = (outcome_key_t){ .as_of = rows->event_time[from + i] - set->before,
                                       .request = values + i * requests,
                                       .inputs = inputs + (from + i) * each };
        }
        copy_outcomes (set->task, outcome_compute (set->task, keys, count, self->arena), count,
                       set->outputs_count, outcomes + from * set->outputs_count);
    }
}

status_t result_reader_next (result_reader_t *self, const batch_t *rows, const outcome_t **outcomes,
                             error_t *error)
{
    const trainset_t *set = self->set;
    CHECK (!self->by_key);
    arena_reset (self->arena);
    size_t each = set->service ? set->service->inputs_count : set->outputs_count;
    outcome_t *read = arena_zero (self->arena, rows->rows * each + 1, sizeof *read);
    status_t status = STATUS_OK;
    for (size_t r = 0; status == STATUS_OK && r < set->roles_count; r++)
        status = read_rows (self, r, rows->rows, each, read, error);
    if (status != STATUS_OK)
        return status;
    self->row += rows->rows;
    *outcomes = read;
    if (set->service) {
        outcome_t *all = arena_zero (self->arena, rows->rows * set->outputs_count + 1, sizeof *all);
        compute (self, rows, read, all);
        *outcomes = all;
    }
    return STATUS_OK;
}

status_t result_reader_next_key (result_reader_t *self, text_t *key, const outcome_t **outcomes,
                                 error_t *error)
{
    side_t *side = &self->sides[0];
    CHECK (self->by_key && self->set->view != NULL);
    arena_reset (self->arena);
    status_t status = fill (side, error);
    if (status != STATUS_OK)
        return status;
    outcome_t *read = arena_zero (self->arena, self->set->outputs_count + 1, sizeof *read);
    *key = arena_text (self->arena, side->batch.key[side->next]);
    status = read_row (self, side, &self->set->roles[0], read, NULL, error);
    self->row++;
    *outcomes = read;
    return status;
}

status_t result_reader_end (result_reader_t *self, error_t *error)
{
    for (size_t r = 0; r < self->set->roles_count; r++) {
        status_t status = fill (&self->sides[r], error);
        if (status == STATUS_OK)
            return error_set (error, STATUS_CORRUPT, "there are more rows than the spine has");
        if (status != STATUS_END)
            return status;
    }
    return STATUS_OK;
}
