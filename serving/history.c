#include "serving/history.h"

#include "base/check.h"
#include "base/mem.h"
#include "feature/answer.h"
#include "storage/rows.h"

enum { BLOCK_CHUNK = 1 << 20, KEYS_CHUNK = 4096 };

/* Rows of the batch with that key: sorted, so they are together. */
static void key_range (const batch_t *batch, text_t key, size_t *from, size_t *to)
{
    size_t low = 0;
    size_t high = batch->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (text_compare (batch->key[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *from = low;
    while (low < batch->rows && text_equal (batch->key[low], key))
        low++;
    *to = low;
}

static void add_rows (const history_job_t *self, const batch_t *batch, size_t from, size_t to,
                      int64_t as_of, arena_t *scratch, answer_t *answer)
{
    const dataset_part_t *part = &self->dataset->parts[self->partition];
    arena_reset (scratch);
    batch_t slice = rows_slice (batch, from, to, scratch);
    projection_t rows = plan_project (self->plan, &slice, scratch);
    for (size_t i = 0; i < rows.rows; i++)
        if (dataset_includes (part, rows.offset[i]))
            answer_add_row (answer, as_of, &rows, i);
}

static status_t read_run (const history_job_t *self, const run_t *run, const history_key_t *key,
                          arena_t *scratch, answer_t *answer, error_t *error)
{
    columns_t columns = { self->plan->column_types, self->plan->column_ids, self->plan->columns };
    run_cursor_t *cursor;
    status_t status = run_cursor_new_as (run, &columns, self->plan->columns_used, &cursor, error);
    if (status == STATUS_OK)
        status = run_cursor_seek_key (cursor, key->key, error);
    bool more = true;
    while (status == STATUS_OK && more) {
        batch_t batch;
        status = run_cursor_next (cursor, &batch, error);
        if (status != STATUS_OK)
            break;
        size_t from;
        size_t to;
        key_range (&batch, key->key, &from, &to);
        if (to > from)
            add_rows (self, &batch, from, to, key->as_of, scratch, answer);
        more = to == batch.rows; /* the key may go on in the next block */
    }
    run_cursor_destroy (&cursor);
    return status == STATUS_END ? STATUS_OK : status;
}

/* What cannot be read is missing for the keys that are in it, and for no others. */
static void read_or_lose (history_job_t *self, const dataset_run_t *run, size_t at, size_t key,
                          arena_t *scratch, answer_t *answer)
{
    error_t error;
    status_t status = run->run
                          ? read_run (self, run->run, &self->keys[key], scratch, answer, &error)
                          : error_set (&error, STATUS_CORRUPT, "%s", run->damage);
    if (status == STATUS_OK)
        return;
    self->lost[key] = true;
    if (self->lost_count++ > 0)
        return;
    self->error = error;
    self->lost_run = at;
}

static void history_run (job_t *job)
{
    history_job_t *self = (history_job_t *)job;
    const dataset_part_t *part = &self->dataset->parts[self->partition];
    answer_t *answer = answer_new (self->plan);
    arena_t *scratch = arena_new (BLOCK_CHUNK);
    self->status = STATUS_OK;
    for (size_t k = 0; k < self->count && !self->answers.bad; k++) {
        answer_reset (answer);
        for (size_t r = 0; r < part->runs_count && !self->lost[k]; r++)
            read_or_lose (self, &part->runs[r], r, k, scratch, answer);
        if (self->lost[k])
            answer_reset (answer);
        answer_encode (answer, &self->answers);
    }
    if (self->status == STATUS_OK && self->answers.bad)
        self->status = error_set (&self->error, STATUS_TOO_LARGE, "the answers are too large");
    arena_destroy (&scratch);
    answer_destroy (&answer);
}

static void history_discard (job_t *job)
{
    history_job_t *self = (history_job_t *)job;
    history_job_destroy (&self);
}

history_job_t *history_job_new (model_t *model, const plan_t *plan, dataset_t *dataset,
                                uint32_t partition, const history_key_t *keys, size_t count)
{
    CHECK (partition < dataset->parts_count);
    history_job_t *self = mem_zero (1, sizeof *self);
    self->job.run = history_run;
    self->job.discard = history_discard;
    self->model = model_ref (model);
    self->plan = plan;
    self->dataset = dataset_ref (dataset);
    self->partition = partition;
    self->arena = arena_new (KEYS_CHUNK);
    self->keys = arena_alloc (self->arena, count * sizeof *keys);
    self->count = count;
    self->lost = arena_zero (self->arena, count, sizeof *self->lost);
    for (size_t i = 0; i < count; i++) {
        self->keys[i] = keys[i];
        self->keys[i].key = arena_text (self->arena, keys[i].key);
    }
    buf_init (&self->answers, (size_t)ANSWER_ENCODED_MAX * 64);
    return self;
}

void history_job_destroy (history_job_t **self_p)
{
    history_job_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    model_unref (&self->model);
    dataset_unref (&self->dataset);
    arena_destroy (&self->arena);
    buf_release (&self->answers);
    mem_free (self);
}
