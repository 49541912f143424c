/* Removes files that neither a kept manifest nor a load, a fold or a recompute under way refers to.
 */
#include "coordinator/trainings.h"

#include <stdlib.h>
#include <string.h>

#define INCOMING "incoming"

typedef struct sweep {
    job_t job;
    fs_t *fs;
    arena_t *arena;
    const char **directories;
    size_t directories_count;
    const char **kept; /* paths, sorted */
    size_t kept_count;
    char *log;         /* its name; NULL: only leftovers */
    uint64_t manifest; /* the oldest that was kept */
    uint64_t end;      /* files of this task and later ones stay … */
    uint64_t *live;    /* … and of these */
    size_t live_count;
    uint64_t least; /* tasks below this one were over, but for folds */
    bool sync;      /* all directories: an earlier one may have removed what is not durable */
    const char **leftovers;
    size_t leftovers_count; /* after the job: those that are still there */
    uint64_t removed;
    error_t error;
} sweep_t;

/* ---- the job ---- */

static int compare (const void *a, const void *b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static bool is_kept (const sweep_t *self, const char *path)
{
    return self->kept_count > 0 &&
           bsearch (&path, self->kept, self->kept_count, sizeof *self->kept, compare) != NULL;
}

typedef struct listing {
    sweep_t *sweep;
    const char *directory;
} listing_t;

/* Where others put their files, a task's are those that it has not given their names yet. */
static bool is_unfinished (const char *name)
{
    static const char end[] = ".rejects.tmp";
    size_t size = strlen (name);
    return size >= sizeof end && strcmp (name + size - (sizeof end - 1), end) == 0;
}

static bool is_live (const sweep_t *self, uint64_t task)
{
    for (size_t i = 0; i < self->live_count; i++)
        if (self->live[i] == task)
            return true;
    return task >= self->end;
}

static void look (void *arg, const char *name)
{
    const listing_t *listing = arg;
    sweep_t *self = listing->sweep;
    char *end;
    errno = 0;
    uint64_t task = strtoull (name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || errno != 0 || *end != '-' || is_live (self, task))
        return; /* not a task's, or of one that may still be wanted */
    if (strcmp (listing->directory, INCOMING) == 0 && !is_unfinished (name))
        return;
    char *path = mem_format ("%s/%s", listing->directory, name);
    if (!is_kept (self, path)) {
        fs_forget (self->fs, path);
        if (fs_remove (self->fs, path, &self->error) == STATUS_OK)
            self->removed++;
    }
    mem_free (path);
}

static void remove_leftovers (sweep_t *self)
{
    size_t stay = 0;
    for (size_t i = 0; i < self->leftovers_count; i++) {
        error_t error;
        fs_forget (self->fs, self->leftovers[i]);
        status_t status = fs_remove (self->fs, self->leftovers[i], &error);
        if (status == STATUS_OK) {
            self->removed++;
        } else if (status != STATUS_NOT_FOUND) { /* it may be gone since before a restart */
            self->error = error;
            self->leftovers[stay++] = self->leftovers[i];
        }
    }
    self->leftovers_count = stay;
}

static void run (job_t *job)
{
    sweep_t *self = (sweep_t *)job;
    for (size_t i = 0; i < self->directories_count; i++) {
        listing_t listing = { self, self->directories[i] };
        error_t error;
        uint64_t before = self->removed;
        status_t status = fs_list (self->fs, listing.directory, look, &listing, &error);
        if (status == STATUS_OK && (self->sync || self->removed > before)) /* for good */
            status = fs_sync_dir (self->fs, listing.directory, &error);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            self->error = error;
    }
    remove_leftovers (self);
}

static void discard (job_t *job)
{
    sweep_t *self = (sweep_t *)job;
    arena_destroy (&self->arena);
    mem_free (self->log);
    mem_free (self->kept);
    mem_free (self);
}

/* ---- what it is told ---- */

static void keep (sweep_t *self, const char *path)
{
    self->kept = mem_resize (self->kept, self->kept_count + 1, sizeof *self->kept);
    self->kept[self->kept_count++] = arena_string (self->arena, text_of (path));
}

static void keep_path (void *self, const char *path)
{
    keep (self, path);
}

static void keep_load (sweep_t *self, const load_log_t *load, uint32_t partitions)
{
    for (uint32_t p = 0; p < partitions; p++)
        for (size_t i = 0; i < load->parts[p].runs_count; i++)
            keep (self, load->parts[p].runs[i].path);
}

static void keep_part (sweep_t *self, const catalog_part_t *part)
{
    for (size_t i = 0; i < part->runs_count; i++)
        keep (self, part->runs[i].path);
    for (size_t i = 0; i < part->views_count; i++)
        keep (self, part->views[i].path);
}

/* What was made already, by folds or for a recompute whose other partitions are not built: their
 * tasks are over, and no manifest has them yet. */
static void keep_made (const coordinator_core_t *self, sweep_t *sweep, const log_t *log)
{
    const recompute_t *recompute = recompute_running (self, log->name);
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const catalog_part_t *made = folds_made (log, p);
        if (made)
            keep_part (sweep, made);
        if (recompute && recompute->builds && recompute->builds[p].finished)
            keep_part (sweep, &recompute->builds[p].part);
    }
}

static status_t keep_log (coordinator_core_t *self, sweep_t *sweep, const log_t *log,
                          error_t *error)
{
    const char **paths;
    size_t count;
    status_t status =
        catalog_paths (self->catalog, log->name, 0, sweep->arena, &paths, &count, error);
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        keep (sweep, paths[i]);
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *of_log = load_log (load, log->name);
        if ((load->state == LOAD_COMMITTING || load->state == LOAD_WAITING) && of_log)
            keep_load (sweep, of_log, self->options.partitions);
    }
    keep_made (self, sweep, log);
    trainings_paths (self, keep_path, sweep);
    return status;
}

static void add_directories (sweep_t *self, const log_t *log, uint32_t partitions)
{
    self->directories = arena_zero (self->arena, 2 + 2 * (size_t)partitions, sizeof (char *));
    self->directories[self->directories_count++] = INCOMING; /* rows of loads that were cut off */
    self->directories[self->directories_count++] = TRAINING_DIRECTORY;
    for (uint32_t p = 0; p < partitions; p++)
        for (int views = 0; views < 2; views++) {
            char *directory =
                mem_format ("%s/%s/%" PRIu32, views ? "views" : "history", log->name, p);
            self->directories[self->directories_count++] =
                arena_string (self->arena, text_of (directory));
            mem_free (directory);
        }
}

static void take_leftovers (coordinator_core_t *self, sweep_t *sweep)
{
    sweep->leftovers = arena_zero (sweep->arena, self->leftovers_count, sizeof (char *));
    for (size_t i = 0; i < self->leftovers_count; i++) {
        sweep->leftovers[sweep->leftovers_count++] =
            arena_string (sweep->arena, text_of (self->leftovers[i]));
        mem_free ((void *)(uintptr_t)self->leftovers[i]);
    }
    self->leftovers_count = 0;
    self->leftovers_later = false;
}

static void take_live (coordinator_core_t *self, sweep_t *sweep)
{
    if (!tasks_next (self, &sweep->end)) /* also before any task, for what was left behind */
        sweep->end = 0;
    sweep->live =
        arena_zero (sweep->arena, self->tasks_count + self->trainings_count, sizeof *sweep->live);
    for (size_t i = 0; i < self->tasks_count; i++)
        sweep->live[sweep->live_count++] = self->tasks[i]->id;
    for (size_t i = 0; i < self->trainings_count; i++)
        sweep->live[sweep->live_count++] = self->trainings[i]->id;
}

static void start (coordinator_core_t *self, log_t *log)
{
    sweep_t *sweep = mem_zero (1, sizeof *sweep);
    sweep->job = (job_t){ .run = run, .discard = discard, .behind = true };
    sweep->fs = self->env->fs;
    sweep->arena = arena_new (1 << 14);
    sweep->least = tasks_least (self);
    take_live (self, sweep);
    error_t error;
    if (log && keep_log (self, sweep, log, &error) != STATUS_OK) {
        (void)core_failed (self, &error);
        discard (&sweep->job);
        return;
    }
    if (log) {
        add_directories (sweep, log, self->options.partitions);
        sweep->log = mem_string (log->name);
        sweep->manifest = log->kept[0].number;
        sweep->sync = !log->swept_durably;
        log->swept_durably = log->sweep = false;
    }
    if (sweep->kept_count > 0)
        qsort (sweep->kept, sweep->kept_count, sizeof *sweep->kept, compare);
    take_leftovers (self, sweep);
    self->sweep = &sweep->job;
    self->env->submit (self->env, &sweep->job);
}

void sweep_settle (coordinator_core_t *self)
{
    if (self->sweep || self->pins_count > 0)
        return;
    for (size_t i = 0; i < self->logs_count; i++)
        if (self->logs[i]->sweep) {
            start (self, self->logs[i]);
            return;
        }
    if (self->leftovers_count > 0 && !self->leftovers_later)
        start (self, NULL);
}

void sweep_soon (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->logs_count; i++)
        self->logs[i]->sweep = true;
}

void sweep_done (coordinator_core_t *self, job_t *job)
{
    CHECK (job == self->sweep);
    sweep_t *sweep = (sweep_t *)job;
    self->sweep = NULL;
    if (sweep->error.status != STATUS_OK)
        env_log (self->env, LOG_WARNING, "removing old files: %s", sweep->error.text);
    log_t *log = sweep->log ? log_named (self, text_of (sweep->log)) : NULL;
    if (log && sweep->error.status == STATUS_OK) {
        log->swept_manifest = sweep->manifest;
        log->swept_least = sweep->least;
        log->swept_durably = true;
    }
    if (sweep->removed > 0)
        env_log (self->env, LOG_INFO, "%" PRIu64 " old files removed", sweep->removed);
    bool more = self->leftovers_count > 0 && !self->leftovers_later;
    for (size_t i = 0; i < sweep->leftovers_count; i++)
        sweep_leftover (self, sweep->leftovers[i]);
    self->leftovers_later = !more;
    discard (job);
}

void sweep_leftover (coordinator_core_t *self, const char *path)
{
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        if ((load->state == LOAD_QUEUED || load->state == LOAD_PARSING) &&
            strcmp (load->row.path, path) == 0)
            return; /* another load needs it */
    }
    self->leftovers = mem_resize (self->leftovers, self->leftovers_count + 1, sizeof (char *));
    self->leftovers[self->leftovers_count++] = mem_string (path);
    self->leftovers_later = false;
}

void sweep_copies (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        if (load->state != LOAD_QUEUED && load->state != LOAD_PARSING && !load_is_history (load))
            sweep_leftover (self, load->row.path);
    }
}
