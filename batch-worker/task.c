#include "batch-worker/skew.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"
#include "storage/run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASK_CHUNK = 1 << 12 };

/* ---- runs ---- */

void task_runs_add (task_runs_t *self, const task_run_t *run)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity > 0 ? 2 * self->capacity : 8;
        self->items = mem_resize (self->items, self->capacity, sizeof *self->items);
    }
    self->items[self->count++] = *run;
}

void task_runs_release (task_runs_t *self)
{
    mem_free (self->items);
    *self = (task_runs_t){ .count = 0 };
}

/* ---- the order ---- */

bool task_path_is_plain (text_t path)
{
    uint32_t part = 0; /* where it begins */
    if (path.size == 0 || memchr (path.data, 0, path.size) != NULL)
        return false;
    for (uint32_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/')
            continue;
        text_t name = { path.data + part, i - part };
        if (name.size == 0 || text_is (name, ".") || text_is (name, ".."))
            return false;
        part = i + 1;
    }
    return true;
}

status_t task_read_runs (task_t *self, wire_list_t list, task_runs_t *runs, error_t *error)
{
    for (uint32_t i = 0; i < list.count; i++) {
        const wire_value_t *item = &list.items[i];
        text_t path = wire_text (item, "path");
        if (!task_path_is_plain (path))
            return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not the path of a run",
                              TEXT_ARGS (path));
        task_run_t run = {
            .path = arena_string (self->arena, path),
            .size = wire_uint (item, "size", 0),
            .rows = wire_uint (item, "rows", 0),
            .offset = wire_uint (item, "offset", RUN_OFFSET_AS_WRITTEN),
        };
        task_runs_add (runs, &run);
    }
    return STATUS_OK;
}

static int compare_offsets (const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t *read_excluded (task_t *self, const wire_value_t *part, size_t *count)
{
    wire_list_t list = wire_list (part, "excluded");
    uint64_t *excluded = arena_zero (self->arena, list.count, sizeof *excluded);
    *count = list.count;
    for (uint32_t i = 0; i < list.count; i++)
        excluded[i] = wire_item_uint (&list.items[i]);
    if (list.count > 1)
        qsort (excluded, list.count, sizeof *excluded, compare_offsets);
    return excluded;
}

static status_t read_history_part (task_t *self, const wire_value_t *part, history_part_t *history,
                                   error_t *error)
{
    uint64_t partition = wire_uint (part, "partition", UINT64_MAX);
    wire_list_t loads = wire_list (part, "loads");
    if (partition >= self->setting.partitions)
        return error_set (error, STATUS_INVALID, "partition %" PRIu64 " of %u", partition,
                          self->setting.partitions);
    history->partition = (uint32_t)partition;
    history->first = wire_uint (part, "first", 0);
    history->excluded = read_excluded (self, part, &history->excluded_count);
    history->loads = arena_zero (self->arena, loads.count, sizeof *history->loads);
    history->loads_count = loads.count;
    for (uint32_t i = 0; i < loads.count; i++)
        history->loads[i] =
            (struct history_load){ .offset = wire_uint (&loads.items[i], "offset", 0),
                                   .rows = wire_uint (&loads.items[i], "rows", 0) };
    return task_read_runs (self, wire_list (part, "runs"), &history->runs, error);
}

static status_t read_history (task_t *self, wire_list_t parts, error_t *error)
{
    load_order_t *load = &self->load;
    load->from_history = true;
    load->history = arena_zero (self->arena, parts.count, sizeof *load->history);
    load->history_count = parts.count;
    for (uint32_t i = 0; i < parts.count; i++) {
        status_t status = read_history_part (self, &parts.items[i], &load->history[i], error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static erasure_t read_erasure (task_t *self, const wire_value_t *map)
{
    return (erasure_t){ .key = arena_text (self->arena, wire_text (map, "key")),
                        .offset = wire_uint (map, "offset", 0),
                        .before = wire_int (map, "before", INT64_MAX) };
}

static void read_forgets (task_t *self, wire_list_t list)
{
    self->build.forgets = arena_zero (self->arena, list.count, sizeof *self->build.forgets);
    self->build.forgets_count = list.count;
    self->erased = arena_zero (self->arena, list.count, sizeof *self->erased);
    self->erased_count = list.count;
    for (uint32_t i = 0; i < list.count; i++)
        self->build.forgets[i] = read_erasure (self, &list.items[i]);
}

static status_t read_verify (task_t *self, const wire_value_t *order, error_t *error)
{
    verify_order_t *verify = &self->verify;
    verify->log = arena_text (self->arena, wire_text (order, "log"));
    verify->partition = (uint32_t)wire_uint (order, "partition", UINT32_MAX);
    verify->before_task = wire_uint (order, "before_task", 0);
    verify->erasure = read_erasure (self, order);
    if (verify->partition >= self->setting.partitions)
        return error_set (error, STATUS_INVALID, "partition %u of %u", verify->partition,
                          self->setting.partitions);
    return task_read_runs (self, wire_list (order, "runs"), &verify->runs, error);
}

static status_t read_build (task_t *self, const wire_value_t *order, error_t *error)
{
    build_order_t *build = &self->build;
    build->log = arena_text (self->arena, wire_text (order, "log"));
    build->partition = (uint32_t)wire_uint (order, "partition", UINT32_MAX);
    build->from = wire_uint (order, "from", 0);
    build->cut = wire_uint (order, "cut", 0);
    build->clock = wire_int (order, "clock", 0);
    build->delta = wire_has (order, "latest");
    build->latest = wire_int (order, "latest", INT64_MIN);
    build->excluded = read_excluded (self, order, &build->excluded_count);
    read_forgets (self, wire_list (order, "forgets"));
    if (wire_uint (order, "partition", UINT64_MAX) >= self->setting.partitions)
        return error_set (error, STATUS_INVALID, "partition %" PRIu64 " of %u",
                          wire_uint (order, "partition", 0), self->setting.partitions);
    if (build->from > build->cut)
        return error_set (error, STATUS_INVALID, "a build from %" PRIu64 " up to %" PRIu64,
                          build->from, build->cut);
    return task_read_runs (self, wire_list (order, "runs"), &build->runs, error);
}

static status_t read_load (task_t *self, const wire_value_t *order, wire_list_t history,
                           error_t *error)
{
    load_order_t *load = &self->load;
    text_t path = wire_text (order, "path");
    text_t id = wire_text (order, "id");
    text_t format = wire_text (order, "format");
    load->stream = arena_text (self->arena, wire_text (order, "stream"));
    load->path = arena_string (self->arena, path);
    load->id = arena_string (self->arena, id);
    load->skip = wire_bool (order, "skip", false);
    load->clock = wire_int (order, "clock", 0);
    load->ingest_time = arena_text (self->arena, wire_text (order, "ingest_time"));
    load->format = text_is (format, "csv") ? FORMAT_CSV : FORMAT_NDJSON;
    wire_list_t logs = wire_list (order, "logs");
    load->logs = arena_zero (self->arena, logs.count, sizeof (char *));
    load->logs_count = logs.count;
    for (uint32_t i = 0; i < logs.count; i++)
        load->logs[i] = arena_string (self->arena, wire_item_text (&logs.items[i]));
    if (text_is (format, "history"))
        return read_history (self, history, error);
    if (load->format == FORMAT_NDJSON && !text_is (format, "ndjson"))
        return error_set (error, STATUS_INVALID,
                          "the format '" TEXT_FORMAT "' is neither csv nor ndjson",
                          TEXT_ARGS (format));
    if (!task_path_is_plain (path))
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not the path of a file",
                          TEXT_ARGS (path));
    if (!task_path_is_plain (id) || memchr (id.data, '/', id.size) != NULL)
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not the id of a load",
                          TEXT_ARGS (id));
    return STATUS_OK;
}

static const char **read_names (task_t *self, wire_list_t list, size_t *count)
{
    const char **names = arena_zero (self->arena, list.count + 1, sizeof (char *));
    for (uint32_t i = 0; i < list.count; i++)
        names[i] = arena_string (self->arena, wire_item_text (&list.items[i]));
    *count = list.count;
    return names;
}

static status_t read_sources (task_t *self, wire_list_t list, error_t *error)
{
    train_order_t *train = &self->train;
    status_t status = STATUS_OK;
    train->sources = arena_zero (self->arena, list.count + 1, sizeof *train->sources);
    train->sources_count = list.count;
    for (uint32_t i = 0; status == STATUS_OK && i < list.count; i++) {
        train_source_t *source = &train->sources[i];
        source->log = arena_text (self->arena, wire_text (&list.items[i], "log"));
        source->position = wire_uint (&list.items[i], "position", 0);
        source->excluded = read_excluded (self, &list.items[i], &source->excluded_count);
        status = task_read_runs (self, wire_list (&list.items[i], "runs"), &source->runs, error);
    }
    return status;
}

static status_t read_train (task_t *self, const wire_value_t *order, wire_list_t sources,
                            error_t *error)
{
    train_order_t *train = &self->train;
    text_t spine = wire_text (order, "spine");
    train->view = arena_text (self->arena, wire_text (order, "view"));
    train->version = (uint32_t)wire_uint (order, "version", 0);
    train->features = read_names (self, wire_list (order, "features"), &train->features_count);
    train->request = read_names (self, wire_list (order, "request"), &train->request_count);
    train->known = wire_bool (order, "known", false);
    train->before = wire_bool (order, "before", false);
    train->all_keys = wire_has (order, "as_of");
    train->as_of = wire_int (order, "as_of", 0);
    train->partition = (uint32_t)wire_uint (order, "partition", UINT32_MAX);
    train->rows = wire_uint (order, "rows", 0);
    train->spine = arena_string (self->arena, spine);
    if (train->partition >= self->setting.partitions)
        return error_set (error, STATUS_INVALID, "partition %u of %u", train->partition,
                          self->setting.partitions);
    if (!train->all_keys && !task_path_is_plain (spine))
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not the path of a spine",
                          TEXT_ARGS (spine));
    return read_sources (self, sources, error);
}

static status_t read_order (task_t *self, const wire_value_t *order, error_t *error)
{
    text_t kind = wire_text (order, "kind");
    if ((text_is (kind, "build") || text_is (kind, TASK_FOLD)) && wire_has (order, "build")) {
        self->kind = TASK_BUILD;
        return read_build (self, wire_map (order, "build"), error);
    }
    if (text_is (kind, "load") && wire_has (order, "load")) {
        self->kind = TASK_LOAD;
        return read_load (self, wire_map (order, "load"), wire_list (order, "history"), error);
    }
    if (text_is (kind, "verify") && wire_has (order, "verify")) {
        self->kind = TASK_VERIFY;
        return read_verify (self, wire_map (order, "verify"), error);
    }
    if (text_is (kind, TASK_TRAIN_WORD) && wire_has (order, "train")) {
        self->kind = TASK_TRAIN;
        return read_train (self, wire_map (order, "train"), wire_list (order, "sources"), error);
    }
    if (text_is (kind, TASK_SKEW_WORD) && wire_has (order, "skew")) {
        self->kind = TASK_SKEW;
        return skew_order_read (self, wire_map (order, "skew"), wire_list (order, "parts"), error);
    }
    return error_set (error, STATUS_INVALID, "a task of kind '" TEXT_FORMAT "' without its order",
                      TEXT_ARGS (kind));
}

/* ---- life ---- */

static void remove_written (task_t *self)
{
    for (size_t i = 0; i < self->written_count; i++) {
        error_t ignored; /* what stays is an orphan, which the coordinator removes */
        status_t status = fs_remove (self->setting.fs, self->written[i], &ignored);
        (void)status;
    }
    self->written_count = 0;
}

enum {
    EVENT_BYTES = 48, /* of an event in a run and in views, about */
    ASIDE_BYTES = 96, /* of one that is put aside, when they do not all fit into memory */
};

static uint64_t added (uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow (a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t times (uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow (a, b, &product) ? UINT64_MAX : product;
}

static uint64_t runs_bytes (const task_runs_t *runs)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < runs->count; i++)
        bytes = added (bytes, runs->items[i].size);
    return bytes;
}

static uint64_t build_bytes (const task_t *self)
{
    const build_order_t *build = &self->build;
    uint64_t aside = times (build->cut - build->from, ASIDE_BYTES);
    if (aside <= task_gathers (self->setting.memory_limit))
        aside = 0;
    return added (added (times (build->cut - build->from, EVENT_BYTES), aside),
                  runs_bytes (&build->runs));
}

/* What it writes is about as much as what it reads (docs/coordination.md, Tasks). */
static status_t needed_bytes (const task_t *self, uint64_t *bytes, error_t *error)
{
    if (self->kind == TASK_BUILD) {
        *bytes = build_bytes (self);
        return STATUS_OK;
    }
    *bytes = 0;
    if (self->kind == TASK_TRAIN) { /* sorted on the disk once, it may be, and written */
        uint64_t values = added (times (self->train.features_count, 16), 32);
        *bytes = times (times (self->train.rows, values), 2);
        return STATUS_OK;
    }
    for (size_t p = 0; p < self->load.history_count; p++)
        *bytes = added (*bytes, runs_bytes (&self->load.history[p].runs));
    status_t status = STATUS_OK;
    if (!self->load.from_history) {
        file_t *file = NULL;
        status = fs_open (self->setting.fs, self->load.path, FS_READ, &file, error);
        if (status == STATUS_OK)
            status = fs_size (self->setting.fs, file, bytes, error);
        fs_close (self->setting.fs, &file);
    }
    *bytes = times (*bytes, self->load.logs_count);
    return status;
}

/* A build makes room afterwards: it may use half of what is kept free. */
static status_t check_room (const task_t *self, error_t *error)
{
    uint64_t bytes;
    if (self->kind == TASK_VERIFY || self->kind == TASK_SKEW) /* it writes nothing */
        return STATUS_OK;
    status_t status = needed_bytes (self, &bytes, error);
    if (status != STATUS_OK)
        return status;
    uint64_t reserve = self->setting.disk_reserve;
    return fs_require (self->setting.fs, bytes, self->kind == TASK_BUILD ? reserve / 2 : reserve,
                       self->setting.data, error);
}

static void run_task (job_t *job)
{
    task_t *self = (task_t *)job;
    CHECK_OBJECT (self, TASK_MAGIC);
    if (self->status != STATUS_OK)
        return;
    self->status = check_room (self, &self->error);
    if (self->status == STATUS_OK)
        self->status = self->kind == TASK_BUILD   ? task_build (self, &self->error)
                       : self->kind == TASK_LOAD  ? task_load (self, &self->error)
                       : self->kind == TASK_TRAIN ? task_train (self, &self->error)
                       : self->kind == TASK_SKEW  ? task_skew (self, &self->error)
                                                  : task_verify (self, &self->error);
    if (self->status == STATUS_OK)
        self->status = task_go_on (self, &self->error);
    if (self->status == STATUS_OK)
        atomic_store (&self->done, atomic_load (&self->total));
    else
        remove_written (self);
}

static void discard_task (job_t *job)
{
    task_t *self = (task_t *)job;
    task_destroy (&self);
}

task_t *task_new (const task_setting_t *setting, model_t *model, const wire_value_t *order)
{
    task_t *self = mem_zero (1, sizeof *self);
    self->magic = TASK_MAGIC;
    self->job.run = run_task;
    self->job.discard = discard_task;
    self->setting = *setting;
    self->setting.kept = kept_ref (setting->kept);
    self->id = wire_uint (order, "task", 0);
    self->attempt = wire_uint (order, "attempt", 0);
    self->model = model_ref (model);
    self->arena = arena_new (TASK_CHUNK);
    self->setting.data =
        arena_string (self->arena, text_of (setting->data ? setting->data : "the data directory"));
    self->status = read_order (self, order, &self->error);
    return self;
}

void task_destroy (task_t **self_p)
{
    task_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, TASK_MAGIC);
    task_runs_release (&self->build.runs);
    task_runs_release (&self->verify.runs);
    for (size_t i = 0; i < self->train.sources_count; i++)
        task_runs_release (&self->train.sources[i].runs);
    skew_order_release (self->skew, self->setting.partitions);
    for (size_t i = 0; i < self->load.history_count; i++)
        task_runs_release (&self->load.history[i].runs);
    task_runs_release (&self->runs);
    mem_free (self->written);
    model_unref (&self->model);
    kept_unref (&self->setting.kept);
    arena_destroy (&self->arena);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

status_t task_go_on (task_t *self, error_t *error)
{
    scheduling_give_way ();
    if (atomic_load_explicit (&self->cancelled, memory_order_relaxed))
        return error_set (error, STATUS_CANCELLED, "the coordinator does not want it any more");
    return STATUS_OK;
}

void task_progress (task_t *self, uint64_t more)
{
    atomic_fetch_add_explicit (&self->done, more, memory_order_relaxed);
}

void task_wrote (task_t *self, const char *path)
{
    if (self->written_count == self->written_capacity) {
        self->written_capacity = self->written_capacity > 0 ? 2 * self->written_capacity : 8;
        self->written = mem_resize (self->written, self->written_capacity, sizeof (char *));
    }
    self->written[self->written_count++] = path;
}

void task_forget (task_t *self, const char *path)
{
    for (size_t i = 0; i < self->written_count; i++) {
        if (strcmp (self->written[i], path) != 0)
            continue;
        self->written[i] = self->written[--self->written_count];
        error_t ignored; /* an orphan then, as above */
        status_t status = fs_remove (self->setting.fs, path, &ignored);
        (void)status;
        return;
    }
}

void task_left_out (task_t *self, const plan_t *plan, const error_t *reason)
{
    size_t most = self->model->plans_count;
    if (self->left_out == NULL)
        self->left_out = arena_zero (self->arena, most, sizeof *self->left_out);
    CHECK (self->left_out_count < most);
    self->left_out[self->left_out_count++] =
        (task_left_out_t){ plan->view, plan->version, task_format (self, "%s", reason->text) };
}

const char *task_damaged (const task_t *self)
{
    const task_runs_t *runs = &self->build.runs;
    for (size_t i = 0; self->kind == TASK_BUILD && i < runs->count; i++)
        if (strstr (self->error.text, runs->items[i].path) != NULL)
            return runs->items[i].path;
    return NULL;
}

const char *task_format (task_t *self, const char *format, ...)
{
    va_list arguments, again;
    va_start (arguments, format);
    va_copy (again, arguments);
    int size = vsnprintf (NULL, 0, format, arguments);
    CHECK (size >= 0);
    char *text = arena_alloc (self->arena, (size_t)size + 1);
    (void)vsnprintf (text, (size_t)size + 1, format, again);
    va_end (again);
    va_end (arguments);
    return text;
}
