/* train.c - a part of a training set: what the rows of a spine come to, in the order of their
 * numbers. */
#include "batch-worker/train.h"

#include "base/mem.h"
#include "intake/logged.h"
#include "trainset/outcome_row.h"

#include <inttypes.h>

enum {
    SPINE_CHUNK = 1 << 12,
    ROWS_CHUNK = 1 << 20,
    WRITE_ROWS = 512, /* of a block of the result: many are read at once */
    MEMORY_SHARE = 2, /* of the task's memory, that rows are sorted in */
};

static const type_t result_types[] = { TYPE_STRING };

typedef struct train {
    task_t *task;
    const train_order_t *order;
    const view_t *view;
    plan_t *const *plans; /* over its sources */
    uint32_t *features;
    int32_t *request;
    training_place_t place;
    train_events_t events[TRAINING_SOURCES_MAX];
    size_t events_count;
    run_t *spine;
    run_cursor_t *cursor;
    train_keys_t *keys; /* instead of a spine */
    training_t *training;
    sorter_t *sorter; /* what they came to */
    arena_t *arena;   /* of some rows on their way there */
    buf_t row;
    bool aside;
} train_t;

/* ---- what it is of ---- */

static status_t bind_features (train_t *self, error_t *error)
{
    const train_order_t *order = self->order;
    self->features =
        arena_zero (self->task->arena, order->features_count + 1, sizeof *self->features);
    for (size_t i = 0; i < order->features_count; i++) {
        int at = plan_feature_index (self->plans[0], text_of (order->features[i]));
        if (at < 0)
            return error_set (error, STATUS_STALE, "view %s has no feature %s any more",
                              self->view->name, order->features[i]);
        self->features[i] = (uint32_t)at;
    }
    return STATUS_OK;
}

/* Which column of the spine each value of the view's request is. */
static status_t bind_request (train_t *self, error_t *error)
{
    const train_order_t *order = self->order;
    size_t count = self->view->request_count;
    self->request = arena_zero (self->task->arena, count + 1, sizeof *self->request);
    for (size_t i = 0; i < count; i++)
        self->request[i] = TRAINING_NONE;
    for (size_t c = 0; c < order->request_count; c++) {
        int at = view_request_field (self->view, text_of (order->request[c]));
        if (at < 0)
            return error_set (error, STATUS_STALE, "view %s takes no value %s any more",
                              self->view->name, order->request[c]);
        self->request[at] = (int32_t)c;
    }
    return STATUS_OK;
}

static status_t bind_view (train_t *self, error_t *error)
{
    const train_order_t *order = self->order;
    const model_t *model = self->task->model;
    size_t count = 0;
    self->view = definitions_view_version (model->definitions, order->view, order->version);
    if (!self->view)
        return error_set (error, STATUS_STALE, "there is no view " TEXT_FORMAT "@v%" PRIu32,
                          TEXT_ARGS (order->view), order->version);
    self->plans = model_plans (model, self->view, &count);
    bool same = count == order->sources_count && count <= TRAINING_SOURCES_MAX;
    for (size_t i = 0; same && i < count; i++)
        same = text_is (order->sources[i].log, self->plans[i]->log_name);
    if (!same)
        return error_set (error, STATUS_STALE, "view %s is of other streams now", self->view->name);
    status_t status = bind_features (self, error);
    return status == STATUS_OK ? bind_request (self, error) : status;
}

/* ---- its rows ---- */

/* The columns that the rows must have: values of the request, and known-at times. */
static status_t check_spine (const train_t *self, const run_schema_t *found, error_t *error)
{
    const train_order_t *order = self->order;
    bool good = found->partition == order->partition &&
                found->columns == order->request_count + order->known;
    for (size_t c = 0; good && c < found->columns; c++) {
        type_t type = TYPE_TIMESTAMP;
        if (c < order->request_count)
            type = self->view->request[view_request_field (self->view, text_of (order->request[c]))]
                       .type;
        good = found->types[c] == type;
    }
    if (!good)
        return error_set (error, STATUS_INVALID, "spine %s has not the columns that it should have",
                          order->spine);
    return STATUS_OK;
}

static status_t open_spine (train_t *self, merge_source_t *source, error_t *error)
{
    const train_order_t *order = self->order;
    if (order->all_keys) {
        self->keys = mem_zero (1, sizeof *self->keys);
        status_t status = train_keys_open (self->keys, self->task, self->plans, error);
        *source = train_keys_source (self->keys);
        return status;
    }
    status_t status = run_open (self->task->setting.fs, order->spine, NULL, &self->spine, error);
    if (status == STATUS_OK)
        status = check_spine (self, &run_info (self->spine)->schema, error);
    if (status != STATUS_OK)
        return status;
    self->cursor = run_cursor_new (self->spine, NULL);
    *source = merge_run (self->cursor);
    return STATUS_OK;
}

static status_t open_events (train_t *self, training_source_t *sources, error_t *error)
{
    const train_order_t *order = self->order;
    status_t status = STATUS_OK;
    /* where every key is asked for, none is passed over */
    const training_place_t *place = order->all_keys ? NULL : &self->place;
    self->place.key = (text_t){ (const char *)self->place.bytes, 0 };
    for (size_t i = 0; status == STATUS_OK && i < order->sources_count; i++) {
        train_events_t *events = &self->events[self->events_count++];
        status = train_events_open (events, self->task, &order->sources[i], self->plans[i],
                                    order->known, place, error);
        if (status == STATUS_OK)
            sources[i] = (training_source_t){ self->plans[i], train_events_source (events) };
    }
    return status;
}

/* ---- what they come to ---- */

/* A row of the result goes by its number, or where all keys are asked for by its key. */
static text_t key_of_result (train_t *self, const training_rows_t *rows, size_t row)
{
    if (self->order->all_keys)
        return rows->spine->key[row];
    uint8_t *key = arena_alloc (self->arena, KEY_NUMBER_SIZE);
    key_put_number (key, TYPE_INT64, (int64_t)rows->spine->offset[row]);
    return (text_t){ (const char *)key, KEY_NUMBER_SIZE };
}

static status_t put_row (train_t *self, const training_rows_t *rows, size_t row, text_t *out,
                         error_t *error)
{
    buf_clear (&self->row);
    for (size_t f = 0; f < self->order->features_count; f++) {
        const outcome_t *outcome = outcome_of (rows->task, rows->outcomes, row - rows->from, f);
        outcome_row_put (outcome, &self->row);
    }
    if (self->row.bad)
        return error_set (error, STATUS_TOO_LARGE,
                          "the features of row %" PRIu64 " take more than %d MiB",
                          rows->spine->offset[row], OUTCOME_ROW_MAX >> 20);
    *out = arena_text (self->arena,
                       (text_t){ (const char *)self->row.data, (uint32_t)self->row.size });
    return STATUS_OK;
}

static status_t put_aside (train_t *self, error_t *error)
{
    const task_setting_t *setting = &self->task->setting;
    uint64_t most = setting->memory_limit / MEMORY_SHARE;
    if (sorter_bytes (self->sorter) < most)
        return STATUS_OK;
    self->aside = true;
    status_t status = fs_require (setting->fs, sorter_bytes (self->sorter), setting->disk_reserve,
                                  setting->data, error);
    return status == STATUS_OK ? sorter_spill (self->sorter, error) : status;
}

static status_t take_rows (train_t *self, const training_rows_t *rows, error_t *error)
{
    size_t count = rows->to - rows->from;
    arena_reset (self->arena);
    batch_t batch = batch_new (self->arena, result_types, 1, count);
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        size_t row = rows->from + i;
        value_t value = { .type = TYPE_STRING };
        status = put_row (self, rows, row, &value.s, error);
        if (status != STATUS_OK)
            break;
        column_set (&batch.column[0], i, &value);
        batch.key[i] = key_of_result (self, rows, row);
        batch.offset[i] = rows->spine->offset[row];
    }
    if (status != STATUS_OK)
        return status;
    sorter_add (self->sorter, &batch, 0, count);
    task_progress (self->task, count);
    return put_aside (self, error);
}

static void make_sorter (train_t *self)
{
    task_t *task = self->task;
    const char *path =
        task_format (task, "training/%" PRIu64 "-%" PRIu64 "-aside.tmp", task->id, task->attempt);
    self->sorter = sorter_new (result_types, 1, NULL);
    sorter_set_aside (self->sorter, task->setting.fs, path,
                      task_gives (task->setting.memory_limit));
    sorter_gives (self->sorter, WRITE_ROWS);
}

static status_t answer (train_t *self, merge_source_t spine, const training_source_t *sources,
                        error_t *error)
{
    training_options_t options = {
        .sources = sources,
        .sources_count = self->order->sources_count,
        .spine = spine,
        .request = self->request,
        .known = self->order->known ? (int32_t)self->order->request_count : TRAINING_NONE,
        .before = self->order->before,
        .features = self->features,
        .features_count = self->order->features_count,
        .memory = self->task->setting.memory_limit / MEMORY_SHARE,
        .place = &self->place,
    };
    self->training = training_new (&options);
    make_sorter (self);
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        training_rows_t rows;
        status = task_go_on (self->task, error);
        if (status == STATUS_OK)
            status = training_next (self->training, &rows, error);
        if (status == STATUS_OK)
            status = take_rows (self, &rows, error);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* ---- the result ---- */

static status_t write_rows (train_t *self, run_writer_t *writer, error_t *error)
{
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        batch_t batch;
        status = task_go_on (self->task, error);
        if (status == STATUS_OK)
            status = sorter_next (self->sorter, &batch, error);
        if (status == STATUS_OK)
            status = run_writer_add (writer, &batch, 0, batch.rows, error);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t write_result (train_t *self, error_t *error)
{
    task_t *task = self->task;
    run_schema_t schema = { .log = text_of ("training"),
                            .partition = self->order->partition,
                            .partitions = task->setting.partitions,
                            .types = result_types,
                            .columns = 1 };
    const char *path =
        task_format (task, "training/%" PRIu64 "-%" PRIu64 ".result", task->id, task->attempt);
    run_writer_t *writer = NULL;
    run_info_t info;
    status_t status = run_writer_new (task->setting.fs, path, &schema, &writer, error);
    if (status != STATUS_OK)
        return status;
    task_wrote (task, path);
    run_writer_quick (writer);
    status = write_rows (self, writer, error);
    if (status == STATUS_OK)
        status = run_writer_finish (writer, &info, error);
    if (status == STATUS_OK) {
        task->rows = info.rows;
        task_runs_add (&task->runs, &(task_run_t){ .path = path,
                                                   .size = info.size,
                                                   .rows = info.rows,
                                                   .offset = RUN_OFFSET_AS_WRITTEN });
    }
    run_writer_destroy (&writer);
    return status;
}

/* ---- the whole ---- */

static void release (train_t *self)
{
    training_destroy (&self->training);
    sorter_destroy (&self->sorter);
    run_cursor_destroy (&self->cursor);
    run_destroy (&self->spine);
    if (self->keys)
        train_keys_release (self->keys);
    mem_free (self->keys);
    for (size_t i = 0; i < self->events_count; i++)
        train_events_release (&self->events[i]);
    arena_destroy (&self->arena);
    buf_release (&self->row);
}

status_t task_train (task_t *self, error_t *error)
{
    train_t *train = mem_zero (1, sizeof *train); /* too large for a stack */
    training_source_t sources[TRAINING_SOURCES_MAX];
    merge_source_t spine;
    train->task = self;
    train->order = &self->train;
    train->arena = arena_new (ROWS_CHUNK);
    buf_init (&train->row, OUTCOME_ROW_MAX);
    atomic_store (&self->total, self->train.rows);
    status_t status = bind_view (train, error);
    if (status == STATUS_OK)
        status = open_spine (train, &spine, error);
    if (status == STATUS_OK)
        status = open_events (train, sources, error);
    if (status == STATUS_OK)
        status = answer (train, spine, sources, error);
    if (status == STATUS_OK)
        status = write_result (train, error);
    if (status == STATUS_OK && !self->train.all_keys && self->rows != self->train.rows)
        status = error_set (error, STATUS_CORRUPT, "spine %s has %" PRIu64 " rows, not %" PRIu64,
                            self->train.spine, self->rows, self->train.rows);
    release (train);
    mem_free (train);
    return status;
}
