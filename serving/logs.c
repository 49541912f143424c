/* Which manifests serving stands on: fetched, opened on a job, put in use in one step. */
#include "serving/node.h"

#include <inttypes.h>
#include <string.h>

#define RETRY_INTERVAL   (500 * TIME_MS)
#define DEFINITIONS_WAIT (20 * TIME_MS) /* for definitions that are on their way */

typedef struct open_job {
    job_t job;
    dataset_t *dataset;
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
    log->next = self->logs;
    self->logs = log;
    return log;
}

dataset_t *logs_dataset (serving_core_t *self, const char *log_name)
{
    return get_log (self, text_of (log_name))->dataset;
}

bool logs_filling (serving_core_t *self, const view_source_t *source)
{
    return strcmp (source->log_name, source->stream->log_name) != 0 &&
           !get_log (self, text_of (source->log_name))->filled;
}

void logs_take_orders (serving_core_t *self, const wire_value_t *orders)
{
    wire_list_t datasets = wire_list (orders, "datasets");
    for (uint32_t i = 0; i < datasets.count; i++) {
        served_log_t *log = get_log (self, wire_text (&datasets.items[i], "log"));
        uint64_t wanted = wire_uint (&datasets.items[i], "manifest", 0);
        if (wanted > log->wanted)
            log->wanted = wanted;
        log->filled = log->filled || !wire_bool (&datasets.items[i], "filling", false);
    }
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
}

static void ask (serving_core_t *self, served_log_t *log, int64_t now)
{
    log->fetch_id = self->next_id++;
    log->fetch_again = now + RETRY_INTERVAL;
    wire_begin (self->writer, MESSAGE_DATASET, log->fetch_id);
    wire_field_string (self->writer, "log", log->name);
    serving_send (self, member_coordinator (self->member));
}

int64_t logs_tick (serving_core_t *self, int64_t now)
{
    int64_t next = INT64_MAX;
    for (served_log_t *log = self->logs; log; log = log->next) {
        if (log->wanted <= log->dataset->number || log->opening)
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
    self->status = dataset_open (self->dataset, &self->error);
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
    if (wire_uint (message->body, "manifest", 0) <= log->dataset->number)
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
    open_job_t *job = mem_zero (1, sizeof *job);
    job->job.run = open_run;
    job->job.discard = open_discard;
    job->dataset = dataset;
    self->env->submit (self->env, &job->job);
    return true;
}

bool logs_job_done (serving_core_t *self, job_t *job)
{
    if (job->run != open_run)
        return false;
    open_job_t *opened = (open_job_t *)job;
    served_log_t *log = find_log (self, text_of (opened->dataset->log_name));
    CHECK (log != NULL);
    log->opening = false;
    if (opened->status == STATUS_OK) {
        dataset_unref (&log->dataset);
        log->dataset = dataset_ref (opened->dataset);
        log->fetch_id = 0;
        member_beat_soon (self->member); /* the trim waits for this */
        env_log (self->env, LOG_INFO, "%s: manifest %" PRIu64 " (%s) in use", log->name,
                 log->dataset->number, log->dataset->id);
    } else {
        env_log (self->env, LOG_ERROR, "%s: manifest %" PRIu64 " not used, trying again: %s",
                 log->name, opened->dataset->number, opened->error.text);
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
        mem_free (log->name);
        mem_free (log);
    }
}
