/* What a node may ask of the world, and the jobs that it submits. */
#include "tests/sim/world.h"

#include "tests/sim/check.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

static sim_node_t *node_of (env_t *env)
{
    return (sim_node_t *)env;
}

/* How far a clock that goes wrong by so many µs a second has come by now. */
static int64_t drifted (const sim_t *sim, int64_t drift)
{
    return sim_now (sim) / TIME_SECOND * drift + sim_now (sim) % TIME_SECOND * drift / TIME_SECOND;
}

static int64_t env_clock (env_t *env)
{
    sim_node_t *node = node_of (env);
    return sim_wall (node->sim) + node->skew + drifted (node->sim, node->drift);
}

static int64_t env_boot (env_t *env)
{
    sim_node_t *node = node_of (env);
    return sim_now (node->sim) + node->boot + drifted (node->sim, node->boot_drift);
}

static uint64_t env_random (env_t *env)
{
    return random_next (&node_of (env)->random);
}

static void env_send (env_t *env, const peer_t *to, const void *data, size_t size)
{
    sim_node_t *node = node_of (env);
    if (!process_is_doomed (node))
        net_send (sim_net (node->sim), node, to, data, size);
}

static void env_logs (env_t *env, log_level_t level, const char *text)
{
    static const char *const words[] = { "debug", "info", "warning", "error" };
    sim_node_t *node = node_of (env);
    sim_log (node->sim, "%s: %s: %s", node->name, words[level], text);
}

/* ---- jobs ---- */

/* Who waits for what in the queue of events. */
typedef struct job_event {
    sim_node_t *node;
    uint64_t incarnation;
    sim_job_t *job;
} job_event_t;

static void job_start (sim_t *sim, void *arg);
static void job_end (sim_t *sim, void *arg);

static void after (sim_node_t *node, sim_job_t *job, int64_t delay,
                   void (*call) (sim_t *sim, void *arg))
{
    job_event_t *event = mem_alloc (sizeof *event);
    *event = (job_event_t){ node, node->incarnation, job };
    sim_at (node->sim, sim_now (node->sim) + delay, call, event);
}

/* Starts the first job of a lane. */
static void start_lane (sim_node_t *node, uint32_t lane)
{
    for (sim_job_t *job = node->jobs; job; job = job->next) {
        if (job->job->lane != lane)
            continue;
        if (!job->started) {
            job->started = true;
            after (node, job, (int64_t)sim_chosen (node->sim, 0, 100), job_start);
        }
        return;
    }
}

static void env_submit (env_t *env, job_t *job)
{
    sim_node_t *node = node_of (env);
    sim_job_t *entry = mem_zero (1, sizeof *entry);
    entry->job = job;
    entry->at_end = sim_chance (node->sim, 0.5);
    sim_job_t **last = &node->jobs;
    while (*last)
        last = &(*last)->next;
    *last = entry;
    start_lane (node, job->lane);
}

static int64_t job_time (sim_node_t *node, const job_t *job)
{
    sim_t *sim = node->sim;
    int64_t slow = sim_knobs (sim)->slow_batch;
    int64_t fold = sim_knobs (sim)->slow_fold;
    if (fold > 0 && node->role == ROLE_BATCH && job->lane == SIM_BATCH_LANES)
        return (int64_t)sim_chosen (sim, 0, (uint64_t)fold);
    if (slow > 0 && node == sim_node (sim, ROLE_BATCH, 0))
        return slow;
    if (node->slow_until > sim_now (sim))
        return process_slowness (node);
    if (sim_chance (sim, sim_knobs (sim)->slow_job))
        return (int64_t)sim_chosen (sim, 100, 3000) * TIME_MS;
    return (int64_t)sim_chosen (sim, 50, 8000);
}

/* The entry, if its node still lives and is not stopped; otherwise NULL, and `call` comes again
 * when it goes on. */
static sim_job_t *awake (sim_t *sim, job_event_t *event, void (*call) (sim_t *sim, void *arg))
{
    sim_node_t *node = event->node;
    sim_job_t *job = event->job;
    if (sim_finished (sim) || !node->core || node->incarnation != event->incarnation) {
        mem_free (event);
        return NULL;
    }
    if (node->paused_until > sim_now (sim)) {
        sim_at (sim, node->paused_until, call, event);
        return NULL;
    }
    return job;
}

static void job_start (sim_t *sim, void *arg)
{
    job_event_t *event = arg;
    sim_node_t *node = event->node;
    sim_job_t *job = awake (sim, event, job_start);
    if (!job)
        return;
    mem_free (event);
    if (!job->at_end) {
        job->ran = true;
        if (!process_run_job (node, job->job))
            return;
    }
    after (node, job, job_time (node, job->job), job_end);
}

static void job_end (sim_t *sim, void *arg)
{
    job_event_t *event = arg;
    sim_node_t *node = event->node;
    sim_job_t *entry = awake (sim, event, job_end);
    if (!entry)
        return;
    mem_free (event);
    if (!entry->ran && !process_run_job (node, entry->job))
        return;
    sim_job_t **at = &node->jobs;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    job_t *job = entry->job;
    uint32_t lane = job->lane;
    mem_free (entry);
    start_lane (node, lane);
    uint8_t what = 2;
    sim_trace_add (sim, &what, 1);
    process_job_done (node, job);
}

void jobs_discard (sim_node_t *self)
{
    while (self->jobs) {
        sim_job_t *entry = self->jobs;
        self->jobs = entry->next;
        entry->job->discard (entry->job);
        mem_free (entry);
    }
}

/* ---- the filesystem: as below, but the checker sees logs before they are trimmed ---- */

typedef struct sim_fs {
    fs_t fs; /* first */
    fs_t *below;
    sim_t *sim;
} sim_fs_t;

static fs_t *below_of (fs_t *fs)
{
    return ((sim_fs_t *)fs)->below;
}

static status_t over_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                           error_t *error)
{
    return below_of (fs)->ops->open (below_of (fs), path, mode, file, error);
}

static void over_close (fs_t *fs, file_t *file)
{
    below_of (fs)->ops->close (below_of (fs), file);
}

static status_t over_read (fs_t *fs, file_t *file, uint64_t at, void *data, size_t size,
                           size_t *got, error_t *error)
{
    return below_of (fs)->ops->read (below_of (fs), file, at, data, size, got, error);
}

static status_t over_write (fs_t *fs, file_t *file, uint64_t at, const void *data, size_t size,
                            error_t *error)
{
    return below_of (fs)->ops->write (below_of (fs), file, at, data, size, error);
}

static status_t over_sync (fs_t *fs, file_t *file, error_t *error)
{
    return below_of (fs)->ops->sync (below_of (fs), file, error);
}

static status_t over_size (fs_t *fs, file_t *file, uint64_t *size, error_t *error)
{
    return below_of (fs)->ops->size (below_of (fs), file, size, error);
}

static status_t over_truncate (fs_t *fs, file_t *file, uint64_t size, error_t *error)
{
    return below_of (fs)->ops->truncate (below_of (fs), file, size, error);
}

static status_t over_map (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error)
{
    return below_of (fs)->ops->map (below_of (fs), file, size, data, error);
}

static void over_unmap (fs_t *fs, const void *data, size_t size)
{
    below_of (fs)->ops->unmap (below_of (fs), data, size);
}

static status_t over_rename (fs_t *fs, const char *from, const char *to, error_t *error)
{
    return below_of (fs)->ops->rename (below_of (fs), from, to, error);
}

static status_t over_link (fs_t *fs, const char *from, const char *to, error_t *error)
{
    return below_of (fs)->ops->link (below_of (fs), from, to, error);
}

static status_t over_remove (fs_t *fs, const char *path, error_t *error)
{
    check_before_remove (sim_check (((sim_fs_t *)fs)->sim), path);
    return below_of (fs)->ops->remove (below_of (fs), path, error);
}

static status_t over_make_dir (fs_t *fs, const char *path, error_t *error)
{
    return below_of (fs)->ops->make_dir (below_of (fs), path, error);
}

static status_t over_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    return below_of (fs)->ops->sync_dir (below_of (fs), path, error);
}

static status_t over_list (fs_t *fs, const char *path, void (*each) (void *arg, const char *name),
                           void *arg, error_t *error)
{
    return below_of (fs)->ops->list (below_of (fs), path, each, arg, error);
}

static status_t over_free_space (fs_t *fs, uint64_t *bytes, error_t *error)
{
    return below_of (fs)->ops->free_space (below_of (fs), bytes, error);
}

static status_t over_lock (fs_t *fs, file_t *file, int wait_ms, error_t *error)
{
    return below_of (fs)->ops->lock (below_of (fs), file, wait_ms, error);
}

static void over_unlock (fs_t *fs, file_t *file)
{
    below_of (fs)->ops->unlock (below_of (fs), file);
}

static const fs_ops_t over_ops = {
    .open = over_open,
    .close = over_close,
    .read = over_read,
    .write = over_write,
    .sync = over_sync,
    .size = over_size,
    .truncate = over_truncate,
    .map = over_map,
    .unmap = over_unmap,
    .rename = over_rename,
    .link = over_link,
    .remove = over_remove,
    .make_dir = over_make_dir,
    .sync_dir = over_sync_dir,
    .list = over_list,
    .free_space = over_free_space,
    .lock = over_lock,
    .unlock = over_unlock,
};

sim_fs_t *sim_fs_new (sim_t *sim, fs_t *below)
{
    sim_fs_t *self = mem_zero (1, sizeof *self);
    *self = (sim_fs_t){ .fs.ops = &over_ops, .below = below, .sim = sim };
    return self;
}

void sim_fs_destroy (sim_fs_t **self_p)
{
    mem_free (*self_p);
    *self_p = NULL;
}

fs_t *sim_fs_of (sim_fs_t *self)
{
    return &self->fs;
}

void env_init_node (sim_node_t *self)
{
    self->env = (env_t){
        .clock_us = env_clock,
        .boot_us = env_boot,
        .random = env_random,
        .send = env_send,
        .submit = env_submit,
        .log = env_logs,
        .fs = sim_fs_of (self->fs),
    };
}
