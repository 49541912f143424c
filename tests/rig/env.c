#include "tests/rig/env.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

static rig_env_t *rig_of (env_t *env)
{
    return (rig_env_t *)env;
}

static int64_t rig_clock (env_t *env)
{
    return rig_of (env)->clock;
}

static int64_t rig_boot (env_t *env)
{
    return rig_of (env)->boot;
}

static uint64_t rig_random (env_t *env)
{
    return random_next (&rig_of (env)->random);
}

static void rig_send (env_t *env, const peer_t *to, const void *data, size_t size)
{
    rig_message_t *message = mem_alloc (sizeof *message + size);
    message->next = NULL;
    message->to = *to;
    message->size = size;
    memcpy (message->data, data, size);
    rig_message_t **last = &rig_of (env)->sent;
    while (*last)
        last = &(*last)->next;
    *last = message;
}

static void rig_submit (env_t *env, job_t *job)
{
    job->next = NULL;
    job_t **last = &rig_of (env)->jobs;
    while (*last)
        last = &(*last)->next;
    *last = job;
}

static void rig_log (env_t *env, log_level_t level, const char *text)
{
    rig_env_t *self = rig_of (env);
    if (level >= LOG_WARNING)
        self->warnings++;
    if (self->loud)
        fprintf (stderr, "log %d: %s\n", (int)level, text);
}

void rig_env_init (rig_env_t *self, fs_t *fs, uint64_t seed)
{
    *self = (rig_env_t){
        .env = { .clock_us = rig_clock,
                 .boot_us = rig_boot,
                 .random = rig_random,
                 .send = rig_send,
                 .submit = rig_submit,
                 .log = rig_log,
                 .fs = fs },
        .clock = INT64_C (1700000000000000),
        .boot = 1000000,
    };
    random_seed (&self->random, seed);
}

void rig_env_release (rig_env_t *self)
{
    rig_env_forget (self);
    rig_env_drop_jobs (self);
}

void rig_env_pass (rig_env_t *self, int64_t time_us)
{
    self->clock += time_us;
    self->boot += time_us;
}

rig_message_t *rig_env_take (rig_env_t *self)
{
    rig_message_t *message = self->sent;
    if (message)
        self->sent = message->next;
    return message;
}

void rig_message_free (rig_message_t **self_p)
{
    mem_free (*self_p);
    *self_p = NULL;
}

void rig_env_forget (rig_env_t *self)
{
    rig_message_t *message;
    while ((message = rig_env_take (self)) != NULL)
        rig_message_free (&message);
}

static job_t *take_job (job_t **at)
{
    job_t *job = *at;
    if (!job)
        return NULL;
    *at = job->next;
    job->next = NULL;
    return job;
}

static job_t *run (job_t *job)
{
    if (job)
        job->run (job);
    return job;
}

job_t *rig_env_run (rig_env_t *self)
{
    return run (take_job (&self->jobs));
}

job_t *rig_env_run_lane (rig_env_t *self, uint32_t lane)
{
    job_t **at = &self->jobs;
    while (*at && (*at)->lane != lane)
        at = &(*at)->next;
    return run (take_job (at));
}

size_t rig_env_jobs (const rig_env_t *self)
{
    size_t count = 0;
    for (const job_t *job = self->jobs; job; job = job->next)
        count++;
    return count;
}

void rig_env_drop_jobs (rig_env_t *self)
{
    job_t *job;
    while ((job = take_job (&self->jobs)) != NULL)
        job->discard (job);
}

peer_t rig_incoming (const char *name)
{
    peer_t peer = peer_of_endpoint (name);
    peer.incoming = 1;
    return peer;
}
