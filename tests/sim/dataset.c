/* Published datasets: their runs hold the log below the cut and the loads that belong to it, each
 * event once. */
#include "tests/sim/shadow.h"

#include "base/check.h"
#include "base/mem.h"
#include "batchview/batchview.h"
#include "storage/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A row of a run: enough to say which event it is. */
typedef struct stored {
    uint64_t offset;
    uint32_t row;
    int64_t time;
    text_t key; /* in the scratch arena */
} stored_t;

typedef struct stored_list {
    stored_t *items;
    size_t count;
    size_t capacity;
} stored_list_t;

static void stored_add (stored_list_t *list, stored_t stored)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 64;
        list->items = mem_resize (list->items, list->capacity, sizeof *list->items);
    }
    list->items[list->count++] = stored;
}

static int compare_stored (const void *left, const void *right)
{
    const stored_t *a = left;
    const stored_t *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* ---- reading ---- */

static bool is_excluded (wire_list_t excluded, uint64_t offset)
{
    for (uint32_t i = 0; i < excluded.count; i++)
        if (wire_item_uint (&excluded.items[i]) == offset)
            return true;
    return false;
}

static void read_rows (sim_check_t *self, run_t *run, wire_list_t excluded, stored_list_t *list,
                       error_t *error, status_t *status)
{
    run_cursor_t *cursor = run_cursor_new (run, NULL);
    batch_t batch;
    while ((*status = run_cursor_next (cursor, &batch, error)) == STATUS_OK)
        for (size_t i = 0; i < batch.rows; i++)
            if (!is_excluded (excluded, batch.offset[i]))
                stored_add (list, (stored_t){ batch.offset[i], batch.row[i], batch.event_time[i],
                                              arena_text (self->scratch, batch.key[i]) });
    run_cursor_destroy (&cursor);
}

static bool read_runs (sim_check_t *self, const wire_value_t *part, stored_list_t *list)
{
    wire_list_t runs = wire_list (part, "runs");
    for (uint32_t i = 0; i < runs.count; i++) {
        char path[4097];
        wire_copy (&runs.items[i], "path", path, sizeof path);
        run_options_t options = { wire_uint (&runs.items[i], "offset", RUN_OFFSET_AS_WRITTEN) };
        run_t *run = NULL;
        error_t error;
        check_calm (self);
        status_t status = run_open (self->fs, path, &options, &run, &error);
        if (status == STATUS_OK)
            read_rows (self, run, wire_list (part, "excluded"), list, &error, &status);
        run_destroy (&run);
        check_calm_over (self);
        if (status != STATUS_END) {
            sim_fail (self->sim, "published run %s does not read: %s", path, error.text);
            return false;
        }
    }
    if (list->count > 0)
        qsort (list->items, list->count, sizeof *list->items, compare_stored);
    return true;
}

/* ---- comparing ---- */

static bool holds (const stored_list_t *list, uint64_t offset)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].offset == offset)
            return true;
    return false;
}

static bool is_in (const sim_row_t *row, size_t log, uint32_t partition)
{
    return row->in[log] && row->partition[log] == partition;
}

static bool lacks (const sim_check_t *self, const sim_dataset_t *dataset, const sim_load_t *load,
                   uint32_t partition, size_t row)
{
    return dataset_erases (self, dataset, partition, load->offset[dataset->log][partition],
                           load->rows[row].values, load->rows[row].time);
}

/* Rows that are not erased. */
static bool has_rows_in (const sim_check_t *self, const sim_dataset_t *dataset,
                         const sim_load_t *load, uint32_t partition)
{
    for (size_t i = 0; i < load->count; i++)
        if (is_in (&load->rows[i], dataset->log, partition) &&
            !lacks (self, dataset, load, partition, i))
            return true;
    return false;
}

/* What the partition must hold, in the order of positions. Rows of a load keep their order; what
 * numbers they have is the product's business. */
static void expected_rows (sim_check_t *self, const shadow_t *shadow, const sim_dataset_t *dataset,
                           stored_list_t *expected)
{
    size_t count = 0;
    history_row_t *history = dataset->history ? history_rows (self, shadow, &count) : NULL;
    uint32_t partition = shadow->partition;
    for (size_t i = 0; i < count; i++)
        if (!dataset_erases (self, dataset, partition, shadow->history, history[i].values,
                             history[i].time))
            stored_add (expected, (stored_t){ shadow->history, history[i].number, history[i].time,
                                              history[i].key });
    mem_free (history);
    for (size_t i = 0; i < shadow->events_count; i++) {
        const oracle_event_t *event = &shadow->events[i];
        if (event->offset < dataset->cut[partition] &&
            !dataset_erases (self, dataset, partition, event->offset, event->values, event->time))
            stored_add (expected, (stored_t){ event->offset, 0, event->time, event->key });
    }
    for (size_t l = 0; l < dataset->loads_count; l++) {
        const sim_load_t *load = dataset->loads[l];
        for (size_t i = 0; i < load->count; i++)
            if (is_in (&load->rows[i], shadow->log, partition) &&
                !lacks (self, dataset, load, partition, i))
                stored_add (expected,
                            (stored_t){ load->offset[shadow->log][shadow->partition], (uint32_t)i,
                                        load->rows[i].time, load->rows[i].key[shadow->log] });
    }
    if (expected->count > 0)
        qsort (expected->items, expected->count, sizeof *expected->items, compare_stored);
}

static void compare_rows (sim_check_t *self, const shadow_t *shadow, const sim_dataset_t *dataset,
                          const stored_list_t *stored)
{
    stored_list_t expected = { 0 };
    expected_rows (self, shadow, dataset, &expected);
    size_t both = stored->count < expected.count ? stored->count : expected.count;
    size_t i = 0;
    while (i < both && stored->items[i].offset == expected.items[i].offset &&
           stored->items[i].time == expected.items[i].time &&
           text_equal (stored->items[i].key, expected.items[i].key))
        i++;
    if (i < both || stored->count != expected.count)
        sim_fail (self->sim,
                  "dataset %s (manifest %" PRIu64 ") of %s: %zu rows where there must be %zu; the "
                  "first that differs is at offset %" PRIu64 ", and must be at %" PRIu64,
                  dataset->id, dataset->manifest, shadow->dir, stored->count, expected.count,
                  i < stored->count ? stored->items[i].offset : UINT64_MAX,
                  i < expected.count ? expected.items[i].offset : UINT64_MAX);
    mem_free (expected.items);
}

/* Which loads it includes: visible together, so in all partitions or in none. */
static void find_loads (sim_check_t *self, sim_dataset_t *dataset, const stored_list_t *stored)
{
    for (sim_load_t *load = self->loads; load; load = load->next) {
        unsigned with = 0;
        unsigned without = 0;
        const uint64_t *offset = load->offset[dataset->log];
        bool same = load->stream == self->data->log_stream[dataset->log];
        for (uint32_t p = 0; p < SIM_PARTITIONS && same; p++) {
            bool there = offset[p] != UINT64_MAX && holds (&stored[p], offset[p]);
            with += there;
            without += !there && has_rows_in (self, dataset, load, p);
        }
        if (with && without)
            sim_fail (self->sim, "dataset %s holds load %s in %u partitions and lacks it in %u",
                      dataset->id, load->id, with, without);
        if (!with)
            continue;
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
            if (offset[p] == UINT64_MAX || offset[p] >= dataset->cut[p])
                sim_fail (self->sim, "dataset %s holds load %s, which its cut does not pass",
                          dataset->id, load->id);
        dataset->loads =
            mem_resize (dataset->loads, dataset->loads_count + 1, sizeof *dataset->loads);
        dataset->loads[dataset->loads_count++] = load;
    }
}

/* The history is in all partitions or in none, too. */
static void find_history (sim_check_t *self, sim_dataset_t *dataset, const stored_list_t *stored)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        const shadow_t *shadow = &self->shadows[dataset->log][p];
        dataset->history = dataset->history ||
                           (shadow->history != UINT64_MAX && holds (&stored[p], shadow->history));
    }
}

/* A forget that is listed is below the cuts wherever it stands. */
static void take_forgets (sim_check_t *self, sim_dataset_t *dataset, wire_list_t ids)
{
    size_t stream = self->data->log_stream[dataset->log];
    dataset->forgets = arena_zero (self->arena, ids.count, sizeof (sim_forget_t *));
    for (uint32_t i = 0; i < ids.count; i++) {
        const sim_forget_t *forget = forget_of (self, wire_item_text (&ids.items[i]));
        bool good = forget && forget->stream == stream;
        for (uint32_t p = 0; p < SIM_PARTITIONS && good; p++)
            good = (dataset->log == stream && p != forget->partition) ||
                   forget->offset[dataset->log][p] < dataset->cut[p];
        if (!good)
            sim_fail (self->sim, "dataset %s lists forget " TEXT_FORMAT ", which is not below it",
                      dataset->id, TEXT_ARGS (wire_item_text (&ids.items[i])));
        dataset->forgets[dataset->forgets_count++] = forget;
    }
}

static void take_parts (sim_check_t *self, sim_dataset_t *dataset, wire_list_t parts,
                        wire_list_t forgets)
{
    stored_list_t stored[SIM_PARTITIONS] = { 0 };
    bool read = true;
    for (uint32_t i = 0; i < parts.count && read; i++) {
        uint64_t p = wire_uint (&parts.items[i], "partition", 0);
        if (p >= SIM_PARTITIONS) {
            sim_fail (self->sim, "dataset %s has a partition %" PRIu64, dataset->id, p);
            break;
        }
        dataset->cut[p] = wire_uint (&parts.items[i], "cut", 0);
        shadow_sync (self, &self->shadows[dataset->log][p], dataset->cut[p]);
    }
    take_forgets (self, dataset, forgets);
    arena_reset (self->scratch);
    for (uint32_t i = 0; i < parts.count && read && !sim_failed (self->sim); i++)
        read =
            read_runs (self, &parts.items[i], &stored[wire_uint (&parts.items[i], "partition", 0)]);
    if (read && !sim_failed (self->sim))
        find_loads (self, dataset, stored);
    if (read && !sim_failed (self->sim))
        find_history (self, dataset, stored);
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        if (read && !sim_failed (self->sim))
            compare_rows (self, &self->shadows[dataset->log][p], dataset, &stored[p]);
        mem_free (stored[p].items);
    }
}

/* ---- files ---- */

static void keep_paths (sim_check_t *self, wire_list_t files, const char ***paths, size_t *count)
{
    *paths = mem_resize (*paths, *count + files.count, sizeof (char *));
    for (uint32_t i = 0; i < files.count; i++)
        (*paths)[(*count)++] = arena_string (self->arena, wire_text (&files.items[i], "path"));
}

static void keep_files (sim_check_t *self, sim_dataset_t *dataset, wire_list_t parts)
{
    for (uint32_t i = 0; i < parts.count; i++) {
        keep_paths (self, wire_list (&parts.items[i], "runs"), &dataset->runs,
                    &dataset->runs_count);
        keep_paths (self, wire_list (&parts.items[i], "views"), &dataset->views,
                    &dataset->views_count);
    }
}

/* Is it known? Its files may be others now: of a view that was damaged and is made anew. */
static bool told_again (sim_check_t *self, size_t log, const wire_value_t *body)
{
    uint64_t manifest = wire_uint (body, "manifest", 0);
    for (sim_dataset_t *dataset = self->datasets; dataset; dataset = dataset->next) {
        if (dataset->log != log || !text_is (wire_text (body, "id"), dataset->id))
            continue;
        if (manifest >= dataset->manifest) {
            dataset->manifest = manifest;
            dataset->runs_count = dataset->views_count = 0;
            keep_files (self, dataset, wire_list (body, "partitions"));
        }
        return true;
    }
    return false;
}

static void verify_run (sim_check_t *self, const char *path)
{
    run_t *run = NULL;
    batch_t batch;
    error_t error;
    run_options_t options = { RUN_OFFSET_AS_WRITTEN };
    status_t status = run_open (self->fs, path, &options, &run, &error);
    if (status == STATUS_OK) {
        run_cursor_t *cursor = run_cursor_new (run, NULL);
        do
            status = run_cursor_next (cursor, &batch, &error);
        while (status == STATUS_OK);
        run_cursor_destroy (&cursor);
    }
    run_destroy (&run);
    if (status != STATUS_END)
        sim_fail (self->sim, "in the end run %s does not read: %s", path, error.text);
}

static void verify_view (sim_check_t *self, const char *path)
{
    batchview_t *view = NULL;
    error_t error;
    if (batchview_open (self->fs, path, &view, &error) != STATUS_OK)
        sim_fail (self->sim, "in the end view %s does not read: %s", path, error.text);
    batchview_unref (&view);
}

void dataset_verify (sim_check_t *self)
{
    for (size_t log = 0; log < DATA_LOGS; log++) {
        const sim_dataset_t *newest = NULL;
        for (const sim_dataset_t *dataset = self->datasets; dataset; dataset = dataset->next)
            if (dataset->log == log && (!newest || dataset->manifest > newest->manifest))
                newest = dataset;
        for (size_t i = 0; newest && i < newest->runs_count; i++)
            verify_run (self, newest->runs[i]);
        for (size_t i = 0; newest && i < newest->views_count; i++)
            verify_view (self, newest->views[i]);
    }
}

void dataset_take (sim_check_t *self, const wire_value_t *body)
{
    int log = shadow_log (self, wire_text (body, "log"));
    if (log < 0 || told_again (self, (size_t)log, body))
        return;
    sim_dataset_t *dataset = arena_zero (self->arena, 1, sizeof *dataset);
    dataset->log = (size_t)log;
    wire_copy (body, "id", dataset->id, sizeof dataset->id);
    dataset->manifest = wire_uint (body, "manifest", 0);
    dataset->next = self->datasets;
    self->datasets = dataset;
    wire_list_t parts = wire_list (body, "partitions");
    keep_files (self, dataset, parts);
    if (parts.count != 0 && parts.count != SIM_PARTITIONS)
        sim_fail (self->sim, "dataset %s has %u partitions", dataset->id, parts.count);
    else
        take_parts (self, dataset, parts, wire_list (body, "forgets"));
    enum { LAYERS_MOST = 9 };
    uint32_t layers = 0;
    for (uint32_t i = 0; i < parts.count; i++) {
        uint32_t count = wire_list (&parts.items[i], "layers").count;
        layers = count > layers ? count : layers;
    }
    if (layers > LAYERS_MOST)
        sim_fail (self->sim, "dataset %s has %u layers", dataset->id, layers);
    sim_log (self->sim,
             "dataset %s of %s, manifest %" PRIu64 ", %zu loads, %zu forgets, %u layers at most",
             dataset->id, self->data->log[log].name, dataset->manifest, dataset->loads_count,
             dataset->forgets_count, layers);
}

const sim_dataset_t *dataset_find (const sim_check_t *self, size_t log, text_t id)
{
    for (const sim_dataset_t *dataset = self->datasets; dataset; dataset = dataset->next)
        if (dataset->log == log && text_is (id, dataset->id))
            return dataset;
    return NULL;
}

bool dataset_has (const sim_dataset_t *self, const sim_load_t *load)
{
    for (size_t i = 0; i < self->loads_count; i++)
        if (self->loads[i] == load)
            return true;
    return false;
}
