#include "serving/dataset.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_LANE UINT32_MAX /* what is opened meanwhile does not wait for it */

static dataset_t *dataset_new (text_t log_name, uint32_t partitions)
{
    dataset_t *self = mem_zero (1, sizeof *self);
    self->log_name = mem_string_n (log_name.data, log_name.size);
    self->parts = mem_zero (partitions, sizeof *self->parts);
    self->parts_count = partitions;
    self->references = 1;
    return self;
}

dataset_t *dataset_empty (const char *log_name, uint32_t partitions)
{
    dataset_t *self = dataset_new (text_of (log_name), partitions);
    snprintf (self->id, sizeof self->id, "d0");
    return self;
}

static char *copy_path (const wire_value_t *map)
{
    text_t path = wire_text (map, "path");
    return mem_string_n (path.data, path.size);
}

static int compare_offsets (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Ascending. */
static uint64_t *copy_offsets (const wire_value_t *map, const char *name, size_t *count)
{
    wire_list_t list = wire_list (map, name);
    uint64_t *offsets = mem_zero (list.count, sizeof *offsets);
    *count = list.count;
    for (uint32_t i = 0; i < list.count; i++)
        offsets[i] = wire_item_uint (&list.items[i]);
    qsort (offsets, *count, sizeof *offsets, compare_offsets);
    return offsets;
}

/* To which layer each view belongs. Without any told, all are of one. */
static status_t read_layers (dataset_part_t *part, const wire_value_t *map, error_t *error)
{
    wire_list_t layers = wire_list (map, "layers");
    size_t views = 0, runs = 0;
    bool good = layers.count <= DATASET_LAYERS_MAX;
    part->layers_count = layers.count;
    for (uint32_t i = 0; i < layers.count && good; i++) {
        const wire_value_t *layer = &layers.items[i];
        uint64_t more_views = wire_uint (layer, "views", 0);
        uint64_t more_runs = wire_uint (layer, "runs", 0);
        good = more_views <= part->views_count - views && more_runs <= part->runs_count - runs;
        runs += more_runs;
        for (size_t end = views + more_views; good && views < end; views++) {
            part->views[views].layer = i;
            part->views[views].cut = wire_uint (layer, "cut", 0);
        }
    }
    if (good && layers.count > 0 && views == part->views_count && runs == part->runs_count)
        return STATUS_OK;
    if (wire_has (map, "layers") && part->views_count + part->runs_count > 0)
        return error_set (error, STATUS_INVALID,
                          "the manifest's layers are not those of its files");
    part->layers_count = part->views_count > 0;
    for (size_t i = 0; i < part->views_count; i++)
        part->views[i].cut = part->cut;
    return STATUS_OK;
}

static status_t read_part (dataset_part_t *part, const wire_value_t *map, error_t *error)
{
    part->cut = wire_uint (map, "cut", 0);
    wire_list_t runs = wire_list (map, "runs");
    part->runs = mem_zero (runs.count, sizeof *part->runs);
    part->runs_count = runs.count;
    for (uint32_t i = 0; i < runs.count; i++) {
        part->runs[i].path = copy_path (&runs.items[i]);
        part->runs[i].offset = wire_uint (&runs.items[i], "offset", RUN_OFFSET_AS_WRITTEN);
    }
    wire_list_t views = wire_list (map, "views");
    part->views = mem_zero (views.count, sizeof *part->views);
    part->views_count = views.count;
    for (uint32_t i = 0; i < views.count; i++) {
        part->views[i].path = copy_path (&views.items[i]);
        part->views[i].version = (uint32_t)wire_uint (&views.items[i], "version", 0);
        wire_copy (&views.items[i], "view", part->views[i].name, sizeof part->views[i].name);
    }
    part->excluded = copy_offsets (map, "excluded", &part->excluded_count);
    part->absent = copy_offsets (map, "absent", &part->absent_count);
    return read_layers (part, map, error);
}

status_t dataset_from_message (const wire_value_t *body, uint32_t partitions, fs_t *fs,
                               dataset_t **dataset, error_t *error)
{
    *dataset = NULL;
    wire_list_t parts = wire_list (body, "partitions");
    bool *seen = mem_zero (partitions, sizeof *seen);
    bool whole = parts.count == partitions;
    for (uint32_t i = 0; whole && i < parts.count; i++) {
        uint64_t number = wire_uint (&parts.items[i], "partition", UINT64_MAX);
        whole = number < partitions && !seen[number];
        if (whole)
            seen[number] = true;
    }
    mem_free (seen);
    if (!whole)
        return error_set (error, STATUS_INVALID,
                          "the manifest of " TEXT_FORMAT " does not have each partition once",
                          TEXT_ARGS (wire_text (body, "log")));
    dataset_t *self = dataset_new (wire_text (body, "log"), partitions);
    self->fs = fs;
    self->number = wire_uint (body, "manifest", 0);
    self->forgets = wire_list (body, "forgets").count;
    wire_copy (body, "id", self->id, sizeof self->id);
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < parts.count && status == STATUS_OK; i++)
        status = read_part (&self->parts[wire_uint (&parts.items[i], "partition", 0)],
                            &parts.items[i], error);
    if (status == STATUS_OK)
        *dataset = self;
    else
        dataset_unref (&self);
    return status;
}

/* Can the rest be used without this file? */
static bool is_tolerable (status_t status, bool patient)
{
    return status == STATUS_CORRUPT || status == STATUS_VERSION ||
           (patient && (status == STATUS_NOT_FOUND || status == STATUS_IO));
}

static status_t open_run (dataset_t *self, dataset_run_t *run, bool patient, error_t *error)
{
    run_options_t options = { .offset_override = run->offset };
    status_t status = run_open (self->fs, run->path, &options, &run->run, error);
    if (status == STATUS_OK)
        return status;
    if (!is_tolerable (status, patient))
        return error_prefix (error, "opening %s", run->path);
    run->damage = mem_string (error->text);
    self->unusable++;
    return STATUS_OK;
}

static void share_view (dataset_view_t *view, const dataset_part_t *other)
{
    for (size_t i = 0; i < other->views_count; i++) {
        const dataset_view_t *open = &other->views[i];
        if (!open->file || open->damage || open->cut != view->cut ||
            strcmp (open->path, view->path) != 0)
            continue;
        view->file = batchview_ref (open->file);
        view->verified = open->verified;
        return;
    }
}

void dataset_share (dataset_t *self, const dataset_t *other)
{
    for (uint32_t p = 0; p < self->parts_count && p < other->parts_count; p++)
        for (size_t i = 0; i < self->parts[p].views_count; i++)
            share_view (&self->parts[p].views[i], &other->parts[p]);
}

static status_t open_view (dataset_t *self, dataset_view_t *view, bool patient, error_t *error)
{
    if (view->file)
        return STATUS_OK; /* shared */
    status_t status = batchview_open (self->fs, view->path, &view->file, error);
    if (status == STATUS_OK && batchview_info (view->file)->cut != view->cut)
        status =
            error_set (error, STATUS_CORRUPT, "%s is of another cut than its manifest", view->path);
    if (status == STATUS_OK)
        return status;
    if (!is_tolerable (status, patient))
        return error_prefix (error, "opening %s", view->path);
    view->damage = mem_string (error->text);
    self->unusable++;
    return STATUS_OK;
}

static status_t open_part (dataset_t *self, dataset_part_t *part, bool patient, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < part->runs_count && status == STATUS_OK; i++)
        status = open_run (self, &part->runs[i], patient, error);
    for (size_t i = 0; i < part->views_count && status == STATUS_OK; i++)
        status = open_view (self, &part->views[i], patient, error);
    return status;
}

status_t dataset_open (dataset_t *self, bool patient, error_t *error)
{
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < self->parts_count && status == STATUS_OK; i++)
        status = open_part (self, &self->parts[i], patient, error);
    return status;
}

void dataset_give_up (dataset_t *self, const batchview_t *file, const char *reason)
{
    for (uint32_t p = 0; p < self->parts_count; p++)
        for (size_t i = 0; i < self->parts[p].views_count; i++) {
            dataset_view_t *view = &self->parts[p].views[i];
            if (view->file != file || view->damage)
                continue;
            view->damage = mem_string (reason);
            self->unusable++;
        }
}

void dataset_give_up_as (dataset_t *self, const dataset_t *other)
{
    for (uint32_t p = 0; p < other->parts_count; p++)
        for (size_t i = 0; i < other->parts[p].views_count; i++) {
            const dataset_view_t *view = &other->parts[p].views[i];
            if (view->file && view->damage)
                dataset_give_up (self, view->file, view->damage);
        }
}

void dataset_blame (dataset_t *self, uint32_t partition, size_t run, const char *reason)
{
    dataset_run_t *blamed = &self->parts[partition].runs[run];
    if (!blamed->damage)
        blamed->damage = mem_string (reason);
}

/* ---- looking again ---- */

static void scrub_run (job_t *job)
{
    scrub_job_t *self = (scrub_job_t *)job;
    self->status = batchview_verify (self->file, &self->error);
}

static void scrub_discard (job_t *job)
{
    scrub_job_t *self = (scrub_job_t *)job;
    scrub_job_destroy (&self);
}

void dataset_set_verified (dataset_t *self, const batchview_t *file, int64_t now)
{
    for (uint32_t p = 0; p < self->parts_count; p++)
        for (size_t i = 0; i < self->parts[p].views_count; i++) {
            dataset_view_t *view = &self->parts[p].views[i];
            if (file ? view->file == file : view->verified == 0)
                view->verified = now;
        }
}

/* NULL: none is used. */
static const dataset_view_t *next_to_verify (const dataset_t *self)
{
    const dataset_view_t *first = NULL;
    for (uint32_t p = 0; p < self->parts_count; p++)
        for (size_t i = 0; i < self->parts[p].views_count; i++) {
            const dataset_view_t *view = &self->parts[p].views[i];
            if (view->file && !view->damage && (!first || view->verified < first->verified))
                first = view;
        }
    return first;
}

int64_t dataset_verified_first (const dataset_t *self)
{
    const dataset_view_t *view = next_to_verify (self);
    return view ? view->verified : INT64_MAX;
}

scrub_job_t *scrub_job_new (dataset_t *self)
{
    const dataset_view_t *view = next_to_verify (self);
    if (!view)
        return NULL;
    scrub_job_t *job = mem_zero (1, sizeof *job);
    job->job = (job_t){ .run = scrub_run, .discard = scrub_discard };
    job->dataset = dataset_ref (self);
    job->file = view->file;
    return job;
}

void scrub_job_destroy (scrub_job_t **self_p)
{
    scrub_job_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    dataset_unref (&self->dataset);
    mem_free (self);
}

bool scrub_job_is (const job_t *job)
{
    return job->run == scrub_run;
}

/* ---- closing ---- */

typedef struct close_job {
    job_t job; /* first */
    dataset_t *dataset;
} close_job_t;

static void close_part (dataset_part_t *part)
{
    for (size_t i = 0; i < part->runs_count; i++)
        run_destroy (&part->runs[i].run);
    for (size_t i = 0; i < part->views_count; i++)
        batchview_unref (&part->views[i].file);
}

static void close_run (job_t *job)
{
    dataset_t *dataset = ((close_job_t *)job)->dataset;
    for (uint32_t i = 0; i < dataset->parts_count; i++)
        close_part (&dataset->parts[i]);
}

static void close_discard (job_t *job)
{
    close_job_t *self = (close_job_t *)job;
    dataset_unref (&self->dataset);
    mem_free (self);
}

job_t *close_job_new (dataset_t **dataset)
{
    CHECK ((*dataset)->references == 1);
    close_job_t *self = mem_zero (1, sizeof *self);
    self->job =
        (job_t){ .run = close_run, .discard = close_discard, .lane = CLOSE_LANE, .behind = true };
    self->dataset = *dataset;
    *dataset = NULL;
    return &self->job;
}

bool close_job_is (const job_t *job)
{
    return job->run == close_run;
}

dataset_t *dataset_ref (dataset_t *self)
{
    CHECK (self->references > 0);
    self->references++;
    return self;
}

static void release_part (dataset_part_t *part)
{
    close_part (part);
    for (size_t i = 0; i < part->runs_count; i++) {
        mem_free (part->runs[i].path);
        mem_free (part->runs[i].damage);
    }
    for (size_t i = 0; i < part->views_count; i++) {
        mem_free (part->views[i].path);
        mem_free (part->views[i].damage);
    }
    mem_free (part->runs);
    mem_free (part->views);
    mem_free (part->excluded);
    mem_free (part->absent);
}

void dataset_unref (dataset_t **self_p)
{
    dataset_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK (self->references > 0);
    if (--self->references > 0)
        return;
    for (uint32_t i = 0; i < self->parts_count; i++)
        release_part (&self->parts[i]);
    mem_free (self->parts);
    mem_free (self->log_name);
    mem_free (self);
}

size_t dataset_view (const dataset_part_t *part, text_t view, uint32_t version,
                     const batchview_t **files)
{
    size_t count = 0;
    for (size_t i = 0; i < part->views_count; i++)
        if (part->views[i].version == version && !part->views[i].damage &&
            part->views[i].layer == count && text_is (view, part->views[i].name))
            files[count++] = part->views[i].file;
    return count == part->layers_count ? count : 0;
}

bool dataset_includes (const dataset_part_t *part, uint64_t offset)
{
    if (part->excluded_count == 0)
        return true;
    return bsearch (&offset, part->excluded, part->excluded_count, sizeof offset,
                    compare_offsets) == NULL;
}
