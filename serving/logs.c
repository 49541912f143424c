/* Which manifests serving stands on: fetched, opened on a job, put in use in one step. */
#include "serving/node.h"

#include <inttypes.h>
#include <string.h>

enum { DAMAGES_TOLD = 100 }; /* in a beat */

#define RETRY_INTERVAL   (500 * TIME_MS)
#define DEFINITIONS_WAIT (20 * TIME_MS) /* for definitions that are on their way */

#define HEAL_FIRST     (5 * TIME_SECOND) /* doubles */
#define HEAL_LAST      TIME_MINUTE
#define SCRUB_INTERVAL (15 * TIME_MINUTE)

typedef struct open_job {
    job_t job;
    dataset_t *dataset;
    bool patient;
    status_t status;
    error_t error;
} open_job_t;

static served_log_t *find_log (serving_core_t *self, text_t name)
{
    for (served_log_t *log = self->logs; log; log = log->next)
        if (text_is (name, log->name))
            return log;
    return NULL;
}

static served_log_t *get_log (serving_core_t *self, text_t name)
{
    served_log_t *log = find_log (self, name);
    if (log)
        return log;
    log = mem_zero (1, sizeof *log);
    log->name = mem_string_n (name.data, name.size);
    log->dataset = dataset_empty (log->name, self->options.partitions);
    log->filled = UINT64_MAX;
    log->scrub_at = INT64_MAX;
    log->next = self->logs;
    self->logs = log;
    return log;
}

dataset_t *logs_dataset (serving_core_t *self, const char *log_name)
{
    return get_log (self, text_of (log_name))->dataset;
}

bool logs_current (serving_core_t *self, const char *log_name)
{
    const served_log_t *log = get_log (self, text_of (log_name));
    return member_leased (self->member) && self->lapses == member_lapses (self->member) &&
           log->dataset->number >= log->least;
}

bool logs_filling (serving_core_t *self, const view_source_t *source, const dataset_t *dataset)
{
    return strcmp (source->log_name, source->stream->log_name) != 0 &&
           dataset->number < get_log (self, text_of (source->log_name))->filled;
}

void logs_take_orders (serving_core_t *self, const wire_value_t *orders)
{
    wire_list_t datasets = wire_list (orders, "datasets");
    bool anew = self->lapses != member_lapses (self->member);
    self->lapses = member_lapses (self->member);
    for (served_log_t *log = self->logs; log; log = log->next)
        log->listed = false;
    for (uint32_t i = 0; i < datasets.count; i++) {
        served_log_t *log = get_log (self, wire_text (&datasets.items[i], "log"));
        uint64_t wanted = wire_uint (&datasets.items[i], "manifest", 0);
        if (wanted > log->wanted)
            log->wanted = wanted;
        if (anew)
            log->least = wanted;
        log->listed = true;
        if (wire_bool (&datasets.items[i], "filling", false))
            log->filled = UINT64_MAX;
        else if (wanted < log->filled)
            log->filled = wanted;
    }
    for (served_log_t *log = self->logs; log; log = log->next)
        if (!log->listed)
            log->filled = UINT64_MAX; /* it may begin anew */
}

static void write_damage (wire_writer_t *beat, const served_log_t *log, uint32_t partition,
                          const char *kind, const char *path, const char *reason)
{
    wire_open_map (beat);
    wire_field_string (beat, "log", log->name);
    wire_field_uint (beat, "manifest", log->dataset->number);
    wire_field_uint (beat, "partition", partition);
    wire_field_string (beat, "kind", kind);
    wire_field_string (beat, "path", path);
    wire_field_string (beat, "reason", reason);
    wire_close (beat);
}

/* The first DAMAGES_TOLD of what is not used of a dataset. */
static void write_damages (wire_writer_t *beat, const served_log_t *log, size_t *left)
{
    const dataset_t *dataset = log->dataset;
    for (uint32_t p = 0; p < dataset->parts_count; p++) {
        const dataset_part_t *part = &dataset->parts[p];
        for (size_t i = 0; i<part->views_count && * left> 0; i++)
            if (part->views[i].damage) {
                write_damage (beat, log, p, "view", part->views[i].path, part->views[i].damage);
                --*left;
            }
        for (size_t i = 0; i<part->runs_count && * left> 0; i++)
            if (part->runs[i].damage) {
                write_damage (beat, log, p, "run", part->runs[i].path, part->runs[i].damage);
                --*left;
            }
    }
}

static bool any_damage (const dataset_t *dataset)
{
    for (uint32_t p = 0; p < dataset->parts_count; p++) {
        for (size_t i = 0; i < dataset->parts[p].views_count; i++)
            if (dataset->parts[p].views[i].damage)
                return true;
        for (size_t i = 0; i < dataset->parts[p].runs_count; i++)
            if (dataset->parts[p].runs[i].damage)
                return true;
    }
    return false;
}

static void fill_damages (serving_core_t *self, wire_writer_t *beat)
{
    size_t left = DAMAGES_TOLD;
    bool any = false;
    for (const served_log_t *log = self->logs; log && !any; log = log->next)
        any = any_damage (log->dataset);
    if (!any)
        return;
    wire_field_list (beat, "damaged");
    for (const served_log_t *log = self->logs; log; log = log->next)
        write_damages (beat, log, &left);
    wire_close (beat);
}

void logs_fill_beat (serving_core_t *self, wire_writer_t *beat)
{
    wire_field_list (beat, "datasets");
    for (const served_log_t *log = self->logs; log; log = log->next) {
        wire_open_map (beat);
        wire_field_string (beat, "log", log->name);
        wire_field_uint (beat, "manifest", log->dataset->number);
        wire_close (beat);
    }
    wire_close (beat);
    fill_damages (self, beat);
}

/* Is there something of the dataset that may be used after all, and is it time to see? */
static bool is_to_heal (const served_log_t *log, int64_t now)
{
    return log->dataset->unusable > 0 && now >= log->heal_at;
}

static void scrub_later (served_log_t *log)
{
    int64_t verified = dataset_verified_first (log->dataset);
    log->scrub_at = verified < INT64_MAX ? verified + SCRUB_INTERVAL : INT64_MAX;
}

/* One file at a time, so that a new dataset need not wait. */
static void scrub (serving_core_t *self, served_log_t *log, int64_t now)
{
    if (log->scrubbing || now < log->scrub_at)
        return;
    scrub_job_t *job = scrub_job_new (log->dataset);
    CHECK (job != NULL);
    log->scrubbing = true;
    self->env->submit (self->env, &job->job);
}

static void heal_later (served_log_t *log, int64_t now)
{
    log->heal_wait = log->heal_wait == 0 ? HEAL_FIRST : 2 * log->heal_wait;
    if (log->heal_wait > HEAL_LAST)
        log->heal_wait = HEAL_LAST;
    log->heal_at = now + log->heal_wait;
}

void logs_give_up (serving_core_t *self, dataset_t *dataset, const batchview_t *file,
                   const char *reason)
{
    served_log_t *log = find_log (self, text_of (dataset->log_name));
    dataset_give_up (dataset, file, reason);
    if (log) { /* a newer one may have the same file */
        size_t unusable = log->dataset->unusable;
        dataset_give_up (log->dataset, file, reason);
        scrub_later (log);
        if (log->dataset == dataset || log->dataset->unusable > unusable)
            heal_later (log, self->env->boot_us (self->env));
    }
    member_beat_soon (self->member);
}

static void ask (serving_core_t *self, served_log_t *log, int64_t now)
{
    log->fetch_id = self->next_id++;
    log->fetch_again = now + RETRY_INTERVAL;
    wire_begin (self->writer, MESSAGE_DATASET, log->fetch_id);
    wire_field_string (self->writer, "log", log->name);
    serving_send (self, member_coordinator (self->member));
}

/* Keeps a reference to a dataset that is not in use until nobody else has one. */
static void retire (served_log_t *log, dataset_t **dataset)
{
    (*dataset)->next = log->retired;
    log->retired = *dataset;
    *dataset = NULL;
}

/* Whoever had the last one would close the files, and queries have them. */
static void close_retired (serving_core_t *self, served_log_t *log)
{
    for (dataset_t **at = &log->retired; *at;) {
        dataset_t *dataset = *at;
        if (dataset->references > 1) {
            at = &dataset->next;
            continue;
        }
        *at = dataset->next;
        if (dataset->number == 0)
            dataset_unref (&dataset); /* it has no files */
        else
            self->env->submit (self->env, close_job_new (&dataset));
    }
}

int64_t logs_tick (serving_core_t *self, int64_t now)
{
    int64_t next = INT64_MAX;
    for (served_log_t *log = self->logs; log; log = log->next) {
        close_retired (self, log);
        scrub (self, log, now);
        if (!log->scrubbing && log->scrub_at < next)
            next = log->scrub_at;
        bool heal = is_to_heal (log, now);
        if (log->dataset->unusable > 0 && log->heal_at > now && log->heal_at < next)
            next = log->heal_at;
        if ((log->wanted <= log->dataset->number && !heal) || log->opening)
            continue;
        if (log->fetch_id == 0 || now >= log->fetch_again)
            ask (self, log, now);
        if (log->fetch_again < next)
            next = log->fetch_again;
    }
    return next;
}

static void open_run (job_t *job)
{
    open_job_t *self = (open_job_t *)job;
    self->status = dataset_open (self->dataset, self->patient, &self->error);
}

static void open_discard (job_t *job)
{
    open_job_t *self = (open_job_t *)job;
    dataset_unref (&self->dataset);
    mem_free (self);
}

bool logs_receive (serving_core_t *self, const message_t *message)
{
    if (message->kind != MESSAGE_DATASET_OK)
        return false;
    served_log_t *log = find_log (self, wire_text (message->body, "log"));
    if (!log || log->fetch_id != message->id || log->opening)
        return true;
    uint64_t number = wire_uint (message->body, "manifest", 0);
    if (number < log->dataset->number ||
        (number == log->dataset->number && !is_to_heal (log, self->env->boot_us (self->env))))
        return true;
    if (wire_uint (message->body, "definitions", 0) > member_model (self->member)->version) {
        /* its rows may have columns that the plans here cannot read yet */
        log->fetch_again = self->env->boot_us (self->env) + DEFINITIONS_WAIT;
        member_beat_soon (self->member);
        return true;
    }
    error_t error;
    dataset_t *dataset;
    if (dataset_from_message (message->body, self->options.partitions, self->env->fs, &dataset,
                              &error) != STATUS_OK) {
        env_log (self->env, LOG_ERROR, "%s", error.text);
        return true;
    }
    log->opening = true;
    dataset_share (dataset, log->dataset);
    open_job_t *job = mem_zero (1, sizeof *job);
    job->job = (job_t){ .run = open_run, .discard = open_discard, .behind = true };
    job->dataset = dataset;
    job->patient = log->failed == number; /* else something newer may have come */
    self->env->submit (self->env, &job->job);
    return true;
}

static void scrub_done (serving_core_t *self, scrub_job_t *job)
{
    served_log_t *log = find_log (self, text_of (job->dataset->log_name));
    CHECK (log != NULL);
    log->scrubbing = false;
    if (job->status == STATUS_OK) {
        dataset_set_verified (log->dataset, job->file, self->env->boot_us (self->env));
        scrub_later (log);
    } else {
        env_log (self->env, LOG_ERROR, "%s: a batch view has been damaged since it was opened: %s",
                 log->name, job->error.text);
        logs_give_up (self, job->dataset, job->file, job->error.text);
    }
    scrub_job_destroy (&job);
}

/* What was opened takes the place of what is in use: it is newer, or less of it is damaged.
 * Whichever of the two is not used then is retired. */
static void take_dataset (serving_core_t *self, served_log_t *log, dataset_t **opened)
{
    dataset_t *dataset = *opened;
    dataset_set_verified (dataset, NULL, self->env->boot_us (self->env));
    dataset_give_up_as (dataset, log->dataset);
    bool newer = dataset->number > log->dataset->number;
    log->fetch_id = 0;
    if (!newer && dataset->unusable >= log->dataset->unusable) {
        heal_later (log, self->env->boot_us (self->env));
        retire (log, opened);
        return;
    }
    if (newer)
        log->heal_wait = 0;
    /* one that starts does not know what was erased while it was away */
    if (self->samples && dataset->forgets > log->dataset->forgets)
        samples_forget (self->samples);
    retire (log, &log->dataset);
    log->dataset = dataset;
    *opened = NULL;
    scrub_later (log);
    if (dataset->unusable > 0)
        heal_later (log, self->env->boot_us (self->env));
    member_beat_soon (self->member); /* the trim waits for this */
    env_log (self->env, dataset->unusable > 0 ? LOG_ERROR : LOG_INFO,
             "%s: manifest %" PRIu64 " (%s) in use, %zu of its files are not", log->name,
             log->dataset->number, log->dataset->id, dataset->unusable);
}

bool logs_job_done (serving_core_t *self, job_t *job)
{
    if (scrub_job_is (job)) {
        scrub_done (self, (scrub_job_t *)job);
        return true;
    }
    if (close_job_is (job)) {
        job->discard (job);
        return true;
    }
    if (job->run != open_run)
        return false;
    open_job_t *opened = (open_job_t *)job;
    served_log_t *log = find_log (self, text_of (opened->dataset->log_name));
    CHECK (log != NULL);
    log->opening = false;
    log->failed = opened->status == STATUS_OK ? 0 : opened->dataset->number;
    if (opened->status == STATUS_OK) {
        take_dataset (self, log, &opened->dataset);
    } else {
        env_log (self->env, LOG_ERROR, "%s: manifest %" PRIu64 " not used, trying again: %s",
                 log->name, opened->dataset->number, opened->error.text);
        retire (log, &opened->dataset);
    }
    job->discard (job);
    return true;
}

void logs_destroy (serving_core_t *self)
{
    while (self->logs) {
        served_log_t *log = self->logs;
        self->logs = log->next;
        dataset_unref (&log->dataset);
        while (log->retired) {
            dataset_t *dataset = log->retired;
            log->retired = dataset->next;
            dataset_unref (&dataset);
        }
        mem_free (log->name);
        mem_free (log);
    }
}
