/* load_runs.c - rows, gathered per log and partition until memory is full, become sorted runs.
 *
 * Members of the crew share the logs' partitions: each of these is added to, sorted and written by
 * one thread at a time, and rows come to it in the order of the file. So how many threads there are
 * makes no difference to what is written. */
#include "batch-worker/load.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdatomic.h>

/* ---- grouping ---- */

/* The rows of each partition together, those that belong to no entity of another key nowhere: such
 * are in that key's log not at all. */
static void group_rows (const load_t *self, const load_log_t *log, const load_part_t *part,
                        struct load_group *group, arena_t *arena)
{
    uint32_t partitions = self->task->setting.partitions;
    size_t count = part->batch.rows;
    uint32_t *begin = group->begin;
    uint32_t *partition = arena_alloc (arena, count * sizeof *partition);
    for (size_t r = 0; r < count; r++) {
        bool nowhere = !log->keyed.primary && log->keyed.key_count > 0 && group->key[r].size == 0;
        partition[r] = nowhere ? partitions : key_partition (key_hash (group->key[r]), partitions);
        if (!nowhere)
            begin[partition[r] + 1]++;
    }
    uint32_t *end = arena_alloc (arena, (partitions + 1) * sizeof *end);
    for (uint32_t p = 0; p < partitions; p++)
        begin[p + 1] += begin[p];
    memcpy (end, begin, (partitions + 1) * sizeof *end);
    for (size_t r = 0; r < count; r++)
        if (partition[r] < partitions)
            group->rows[end[partition[r]]++] = (uint32_t)r;
}

void load_group (const load_t *self, load_part_t *part, arena_t *arena)
{
    part->groups = arena_zero (arena, self->logs_count, sizeof *part->groups);
    for (size_t l = 0; l < self->logs_count; l++) {
        const load_log_t *log = &self->logs[l];
        struct load_group *group = &part->groups[l];
        batch_t batch = part->batch;
        if (!log->keyed.primary)
            batch_set_keys (&log->keyed, &batch, arena);
        group->key = batch.key;
        group->rows = arena_alloc (arena, batch.rows * sizeof *group->rows);
        group->begin = arena_zero (arena, self->task->setting.partitions + 1, sizeof *group->begin);
        group_rows (self, log, part, group, arena);
    }
}

/* ---- gathering ---- */

typedef struct gathering {
    load_t *load;
    const load_part_t *const *parts;
    size_t count;
    size_t shares;
} gathering_t;

/* An item is a partition of a log. */
static load_log_t *log_of (load_t *self, size_t item, uint32_t *partition)
{
    *partition = (uint32_t)(item % self->task->setting.partitions);
    return &self->logs[item / self->task->setting.partitions];
}

static size_t items_of (const load_t *self)
{
    return self->logs_count * self->task->setting.partitions;
}

static void gather_part (load_t *self, const load_part_t *part, size_t item)
{
    uint32_t p;
    const load_log_t *log = log_of (self, item, &p);
    const struct load_group *group = &part->groups[log - self->logs];
    uint32_t rows = group->begin[p + 1] - group->begin[p];
    batch_t batch = part->batch;
    batch.key = group->key;
    if (rows > 0)
        sorter_add_picked (log->sorters[p], &batch, group->rows + group->begin[p], rows);
}

/* A share of the logs' partitions takes its rows of one part after the other: what is near in the
 * part is then still near to this thread when the next partition's rows are picked from it. */
static void gather_share (void *arg, size_t share, unsigned member)
{
    (void)member;
    const gathering_t *gathering = arg;
    load_t *self = gathering->load;
    for (size_t i = 0; i < gathering->count; i++)
        for (size_t item = share; item < items_of (self); item += gathering->shares)
            gather_part (self, gathering->parts[i], item);
}

void load_gather (load_t *self, const load_part_t *const *parts, size_t count)
{
    gathering_t gathering = { self, parts, count, crew_size (self->crew) };
    crew_run (self->crew, gathering.shares, gather_share, &gathering);
    for (size_t i = 0; i < count; i++)
        self->task->rows += parts[i]->batch.rows;
    atomic_store_explicit (&self->task->taken, self->task->rows, memory_order_relaxed);
}

/* Half of the task's memory is for rows; the other half for what is read and written just then. */
static uint64_t room_for_rows (const load_t *self)
{
    return self->task->setting.memory_limit / 2;
}

bool load_is_full (const load_t *self)
{
    uint64_t bytes = 0;
    for (size_t l = 0; l < self->logs_count; l++)
        for (uint32_t p = 0; p < self->task->setting.partitions; p++)
            bytes += sorter_bytes (self->logs[l].sorters[p]);
    return bytes >= room_for_rows (self);
}

/* ---- writing ---- */

static columns_t columns_of (const load_t *self, type_t *types, uint16_t *ids)
{
    for (size_t i = 0; i < self->stream->fields_count; i++) {
        types[i] = self->stream->fields[i].type;
        ids[i] = self->stream->fields[i].id;
    }
    return (columns_t){ types, ids, self->stream->fields_count };
}

static sorter_t *new_sorter (const load_t *self)
{
    type_t types[FIELDS_MAX];
    uint16_t ids[FIELDS_MAX];
    columns_t columns = columns_of (self, types, ids);
    return sorter_new (columns.types, columns.count, self->task->setting.kept);
}

/* A run that is written. */
typedef struct writing {
    load_log_t *log;
    uint32_t partition;
    const char *path;
    run_info_t info;
    bool tried; /* not when another one had failed before */
    status_t status;
    error_t error;
} writing_t;

typedef struct spilling {
    load_t *load;
    writing_t *runs;
    size_t count;
    atomic_bool failed;
} spilling_t;

static void write_item (void *arg, size_t item, unsigned member)
{
    (void)member;
    spilling_t *spilling = arg;
    load_t *self = spilling->load;
    writing_t *run = &spilling->runs[item];
    if (atomic_load (&spilling->failed))
        return;
    type_t types[FIELDS_MAX];
    uint16_t ids[FIELDS_MAX];
    columns_t columns = columns_of (self, types, ids);
    run_schema_t schema = { .log = text_of (run->log->name),
                            .fingerprint = run->log->keyed.fingerprint,
                            .partition = run->partition,
                            .partitions = self->task->setting.partitions,
                            .types = columns.types,
                            .ids = columns.ids,
                            .columns = columns.count };
    sorter_t **sorter = &run->log->sorters[run->partition];
    run->tried = true;
    run->status = task_go_on (self->task, &run->error);
    if (run->status == STATUS_OK)
        run->status = sorter_write (*sorter, self->fs, run->path, &schema, &run->info, &run->error);
    if (run->status != STATUS_OK)
        atomic_store (&spilling->failed, true);
    sorter_destroy (sorter); /* other partitions may need the memory next */
    *sorter = new_sorter (self);
}

/* Says where runs go, in an order that does not depend on who writes them. */
static status_t name_runs (load_t *self, spilling_t *spilling, error_t *error)
{
    task_t *task = self->task;
    for (size_t item = 0; item < items_of (self); item++) {
        uint32_t p;
        load_log_t *log = log_of (self, item, &p);
        if (sorter_rows (log->sorters[p]) == 0)
            continue;
        char *dir = logged_dir (task->arena, "history", log->name, p);
        status_t status = fs_make_dir (self->fs, dir, error);
        if (status != STATUS_OK)
            return status;
        const char *path = task_format (task, "%s/%" PRIu64 "-%" PRIu64 "-load-%u.run", dir,
                                        task->id, task->attempt, log->spills[p]++);
        spilling->runs[spilling->count++] = (writing_t){ .log = log, .partition = p, .path = path };
    }
    return STATUS_OK;
}

/* Files that were there before are not the task's, and not removed with it. */
static status_t take_runs (load_t *self, const spilling_t *spilling, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < spilling->count; i++) {
        const writing_t *run = &spilling->runs[i];
        if (run->tried && run->status != STATUS_OK) {
            *error = run->error;
            status = run->status;
        } else if (run->tried) {
            task_wrote (self->task, run->path);
            task_run_t done = { .path = run->path,
                                .size = run->info.size,
                                .rows = run->info.rows,
                                .offset = RUN_OFFSET_AS_WRITTEN,
                                .partition = run->partition,
                                .log = run->log->name };
            task_runs_add (&self->task->runs, &done);
        }
    }
    return status;
}

status_t load_spill (load_t *self, error_t *error)
{
    spilling_t spilling = { .load = self };
    spilling.runs = mem_zero (items_of (self), sizeof *spilling.runs);
    status_t status = name_runs (self, &spilling, error);
    if (status == STATUS_OK) {
        crew_run (self->crew, spilling.count, write_item, &spilling);
        status = take_runs (self, &spilling, error);
    }
    mem_free (spilling.runs);
    return status;
}

/* ---- life ---- */

static status_t prepare_log (load_t *self, load_log_t *log, const char *name, error_t *error)
{
    uint32_t partitions = self->task->setting.partitions;
    if (!model_log (self->task->model, text_of (name), &log->keyed) ||
        log->keyed.stream != self->stream)
        return error_set (error, STATUS_NOT_FOUND, "there is no log '%s' of stream %s", name,
                          self->stream->name);
    log->name = name;
    log->sorters = mem_zero (partitions, sizeof *log->sorters);
    log->spills = mem_zero (partitions, sizeof *log->spills);
    for (uint32_t p = 0; p < partitions; p++)
        log->sorters[p] = new_sorter (self);
    return STATUS_OK;
}

status_t load_runs_prepare (load_t *self, error_t *error)
{
    const load_order_t *order = &self->task->load;
    if (order->logs_count == 0)
        return error_set (error, STATUS_INVALID, "a load into no log");
    self->logs = mem_zero (order->logs_count, sizeof *self->logs);
    status_t status = STATUS_OK;
    while (status == STATUS_OK && self->logs_count < order->logs_count) {
        load_log_t *log = &self->logs[self->logs_count];
        status = prepare_log (self, log, order->logs[self->logs_count], error);
        if (status == STATUS_OK)
            self->logs_count++;
    }
    return status;
}

void load_runs_release (load_t *self)
{
    for (size_t l = 0; l < self->logs_count; l++) {
        for (uint32_t p = 0; p < self->task->setting.partitions; p++)
            sorter_destroy (&self->logs[l].sorters[p]);
        mem_free (self->logs[l].sorters);
        mem_free (self->logs[l].spills);
    }
    mem_free (self->logs);
}
