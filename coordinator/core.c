#include "coordinator/skews.h"
#include "coordinator/versions.h"

#include <stdio.h>
#include <string.h>

/* Longest sleep: leases and retries are looked at that often at least. */
#define TICK_LAST (100 * TIME_MS)

int64_t core_now (const coordinator_core_t *self)
{
    return self->env->boot_us (self->env);
}

int64_t lease_drifted (int64_t lease)
{
    return lease + lease / LEASE_DRIFT_PART;
}

int64_t core_lease_end (const coordinator_core_t *self)
{
    int64_t end = core_now (self) + lease_drifted (self->options.lease);
    /* a node's lease is for all that it has, and an earlier leader may have given it a longer one
     */
    return end > self->lead.earlier_until ? end : self->lead.earlier_until;
}

int64_t core_heard (const coordinator_core_t *self)
{
    return self->heard;
}

/* Called first, whenever the world calls: a longer silence counts only in part. */
static void hear (coordinator_core_t *self)
{
    int64_t now = core_now (self);
    int64_t passed = now - self->heard_at;
    int64_t most = self->options.lease / 4;
    self->heard += passed < most ? passed : most;
    self->heard_at = now;
}

void core_set (char **string, const char *value)
{
    char *copy = mem_string (value);
    mem_free (*string);
    *string = copy;
}

char *core_text (text_t text)
{
    return mem_string_n (text.size ? text.data : "", text.size);
}

/* ---- replies ---- */

void core_reply_error (coordinator_core_t *self, const peer_t *to, uint64_t id,
                       const error_t *error)
{
    const void *data;
    size_t size;
    wire_error (self->writer, id, error, &data, &size);
    self->env->send (self->env, to, data, size);
}

void core_say (coordinator_core_t *self, const peer_t *to)
{
    const void *data;
    size_t size;
    if (wire_end (self->writer, &data, &size))
        self->env->send (self->env, to, data, size);
}

void core_reply (coordinator_core_t *self, const peer_t *to, uint64_t id)
{
    const void *data;
    size_t size;
    error_t error;
    if (wire_end (self->writer, &data, &size)) {
        if (leader_confirm (self)) {
            self->env->send (self->env, to, data, size);
            return;
        }
        (void)error_set (&error, STATUS_UNAVAILABLE,
                         "it is not certain that this coordinator still leads");
        core_reply_error (self, to, id, &error);
        return;
    }
    (void)error_set (&error, STATUS_TOO_LARGE, "the reply is larger than a message may be");
    core_reply_error (self, to, id, &error);
}

/* ---- the catalog's failures ---- */

status_t core_writable (coordinator_core_t *self, error_t *error)
{
    if (!self->doubtful)
        return STATUS_OK;
    return error_set (error, STATUS_UNAVAILABLE, "the coordinator cannot write just now: %s",
                      self->problem.text);
}

status_t core_failed (coordinator_core_t *self, const error_t *error)
{
    self->problem = *error;
    if (error->status == STATUS_FENCED) {
        if (!self->fenced)
            env_log (self->env, LOG_ERROR, "%s", error->text);
        self->fenced = true;
    } else if (!self->doubtful) {
        env_log (self->env, LOG_ERROR, "%s", error->text);
    }
    self->doubtful = true;
    self->reload_at = core_now (self) + RELOAD_INTERVAL;
    return error->status;
}

static void reload_when_due (coordinator_core_t *self)
{
    if (!self->doubtful || self->fenced || core_now (self) < self->reload_at)
        return;
    error_t error;
    if (core_restore (self, &error) != STATUS_OK) {
        self->problem = error;
        self->reload_at = core_now (self) + RELOAD_INTERVAL;
        return;
    }
    self->doubtful = false;
    env_log (self->env, LOG_INFO, "the catalog can be written again");
}

/* Does whatever is possible now. Each step is idempotent. */
static void settle (coordinator_core_t *self)
{
    leader_settle (self);
    if (!leader_confirm (self))
        return;
    reload_when_due (self);
    nodes_settle (self);
    backups_settle (self);
    if (!self->doubtful)
        partitions_settle (self);
    if (!self->doubtful)
        keys_settle (self);
    if (!self->doubtful)
        loads_settle (self);
    if (!self->doubtful)
        forgets_settle (self);
    if (!self->doubtful)
        trainings_settle (self);
    if (!self->doubtful)
        damage_settle (self);
    if (!self->doubtful)
        schedule_settle (self);
    if (!self->doubtful)
        recomputes_settle (self);
    folds_settle (self);
    if (!self->doubtful)
        manifests_settle (self);
    if (!self->doubtful)
        versions_settle (self);
    tasks_settle (self);
    if (!self->doubtful)
        sweep_settle (self);
    nodes_send_pokes (self);
}

/* ---- messages ---- */

static void refuse_kind (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    error_t error;
    self->messages_refused++;
    if (!message_is_request (message->kind))
        return; /* answers are never answered, or two nodes could go on for ever */
    (void)error_set (&error, STATUS_INVALID, "the coordinator does not answer \"%s\"",
                     message_word (message->kind));
    core_reply_error (self, from, message->id, &error);
}

/* Does the answer depend on what is there? Of the others some are asked all the time, and are as
 * good as what is known. */
static bool must_know (message_kind_t kind)
{
    return kind == MESSAGE_APPLY || kind == MESSAGE_FIT || kind == MESSAGE_DELETE ||
           kind == MESSAGE_LOAD || kind == MESSAGE_UNLOAD || kind == MESSAGE_FORGET ||
           kind == MESSAGE_RECOMPUTE || kind == MESSAGE_BACKUP || kind == MESSAGE_LOADS ||
           kind == MESSAGE_TRAINING || kind == MESSAGE_VERSIONS || kind == MESSAGE_PROMOTE ||
           kind == MESSAGE_RETIRE || kind == MESSAGE_ANNOTATE;
}

static void answer (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    error_t error;
    /* what the catalog was given last may not have been read back: nothing is said not to be there
     * that may be */
    if (must_know (message->kind) && core_writable (self, &error) != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    switch (message->kind) {
    case MESSAGE_STATUS:
        return status_tell (self, from, message->id);
    case MESSAGE_LOADS:
        return status_loads (self, from, message);
    case MESSAGE_RECOMPUTES:
        return status_recomputes (self, from, message);
    case MESSAGE_BEAT:
        return node_beat (self, from, message);
    case MESSAGE_TASK_DONE:
        return task_done (self, from, message);
    case MESSAGE_DATASET:
        return manifests_dataset (self, from, message);
    case MESSAGE_ROUTES:
        return partitions_routes (self, from, message->id);
    case MESSAGE_DEFINITIONS:
        return definitions_tell (self, from, message->id);
    case MESSAGE_APPLY:
        return definitions_apply (self, from, message);
    case MESSAGE_FIT:
        return fit_asked (self, from, message);
    case MESSAGE_DELETE:
        return definitions_delete (self, from, message);
    case MESSAGE_VERSIONS:
        return versions_tell (self, from, message);
    case MESSAGE_PROMOTE:
        return versions_promote (self, from, message);
    case MESSAGE_RETIRE:
        return versions_retire (self, from, message);
    case MESSAGE_ANNOTATE:
        return versions_annotate (self, from, message);
    case MESSAGE_LOAD:
        return load_asked (self, from, message);
    case MESSAGE_UNLOAD:
        return load_unload_asked (self, from, message);
    case MESSAGE_FORGET:
        return forget_asked (self, from, message);
    case MESSAGE_FORGETS:
        return forgets_tell (self, from, message);
    case MESSAGE_RECOMPUTE:
        return recompute_asked (self, from, message);
    case MESSAGE_TRAINING:
        return training_asked (self, from, message);
    case MESSAGE_BACKUP:
        return backup_asked (self, from, message);
    case MESSAGE_SKEW:
        return skew_asked (self, from, message);
    default:
        if (message->kind != MESSAGE_POKE && message->kind != MESSAGE_ERROR &&
            message->kind != MESSAGE_BEAT_OK) /* it stood by a moment ago */
            refuse_kind (self, from, message);
    }
}

void coordinator_core_receive (coordinator_core_t *self, const peer_t *from, const void *data,
                               size_t size)
{
    CHECK_OBJECT (self, COORDINATOR_MAGIC);
    message_t message;
    error_t error;
    hear (self);
    if (wire_decode (self->decoder, data, size, &message, &error) != STATUS_OK) {
        self->messages_refused++;
        if (message.id != 0)
            core_reply_error (self, from, message.id, &error);
        return;
    }
    settle (self); /* what time has brought comes before what the message asks */
    if (message.kind == MESSAGE_PING)
        status_ping (self, from, message.id);
    else if (message.kind == MESSAGE_METRICS)
        status_metrics (self, from, message.id);
    else if (leader_confirm (self))
        answer (self, from, &message);
    else
        leader_refer (self, from, &message);
    settle (self);
}

void coordinator_core_job_done (coordinator_core_t *self, job_t *job)
{
    CHECK_OBJECT (self, COORDINATOR_MAGIC);
    hear (self);
    sweep_done (self, job);
    settle (self);
}

int64_t coordinator_core_tick (coordinator_core_t *self)
{
    CHECK_OBJECT (self, COORDINATOR_MAGIC);
    hear (self);
    settle (self);
    int64_t now = core_now (self);
    int64_t most = self->options.lease / 10;
    int64_t next = now + (most < TICK_LAST ? most : TICK_LAST);
    int64_t due = self->lead.ready ? schedule_next (self) : next;
    if (due > now && due < next)
        next = due;
    return self->lead.due > now && self->lead.due < next ? self->lead.due : next;
}

/* ---- life ---- */

static void copy_options (coordinator_core_t *self, const coordinator_options_t *options)
{
    self->options = *options;
    self->options.node = mem_string (options->node);
    self->options.endpoint = mem_string (options->endpoint ? options->endpoint : "");
    self->options.cluster = mem_string (options->cluster);
    self->options.catalog_path = mem_string (options->catalog_path);
}

status_t coordinator_core_new (env_t *env, const coordinator_options_t *options,
                               coordinator_core_t **core, error_t *error)
{
    CHECK (options->partitions > 0 && options->lease > 0);
    CHECK (strlen (options->node) <= CATALOG_LEADER_MAX);
    CHECK (!options->endpoint || strlen (options->endpoint) <= CATALOG_LEADER_MAX);
    *core = NULL;
    coordinator_core_t *self = mem_zero (1, sizeof *self);
    self->magic = COORDINATOR_MAGIC;
    self->env = env;
    copy_options (self, options);
    self->incarnation = env->random (env) >> 1;
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    status_t status = catalog_open (env->fs, options->catalog_path, options->cluster,
                                    options->partitions, &self->catalog, error);
    self->heard_at = core_now (self);
    if (status == STATUS_OK)
        status = leader_start (self, error);
    if (status == STATUS_OK)
        *core = self;
    else
        coordinator_core_destroy (&self);
    return status;
}

static void resign (coordinator_core_t *self)
{
    error_t error;
    if (self->options.resigns && self->lead.leads && !self->fenced &&
        catalog_resign (self->catalog, &error) != STATUS_OK)
        env_log (self->env, LOG_WARNING, "cannot resign, others have to wait: %s", error.text);
}

void coordinator_core_destroy (coordinator_core_t **self_p)
{
    coordinator_core_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, COORDINATOR_MAGIC);
    resign (self);
    core_forget_all (self);
    mem_free (self->lead.askers);
    catalog_close (&self->catalog);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    mem_free ((void *)(uintptr_t)self->options.node);
    mem_free ((void *)(uintptr_t)self->options.endpoint);
    mem_free ((void *)(uintptr_t)self->options.cluster);
    mem_free ((void *)(uintptr_t)self->options.catalog_path);
    self->magic = 0;
    mem_free (self);
}
