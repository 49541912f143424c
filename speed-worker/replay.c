#include "speed-worker/replay.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"

#include <inttypes.h>
#include <string.h>

enum { REPLAY_CHUNK = 1 << 20 };

void controls_add (controls_t *self, text_t id, uint64_t offset, int64_t clock)
{
    CHECK (id.size <= CONTROL_ID_MAX);
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 8;
        self->items = mem_resize (self->items, self->capacity, sizeof *self->items);
    }
    control_t *control = &self->items[self->count++];
    *control = (control_t){ .offset = offset, .clock = clock };
    memcpy (control->id, id.data, id.size);
}

const control_t *controls_find (const controls_t *self, text_t id)
{
    for (size_t i = 0; i < self->count; i++)
        if (text_is (id, self->items[i].id))
            return &self->items[i];
    return NULL;
}

void controls_trim (controls_t *self, uint64_t base)
{
    size_t gone = 0;
    while (gone < self->count && self->items[gone].offset < base)
        gone++;
    self->count -= gone;
    memmove (self->items, self->items + gone, self->count * sizeof *self->items);
}

void controls_release (controls_t *self)
{
    mem_free (self->items);
    *self = (controls_t){ 0 };
}

static status_t replay_events (replay_t *self, const keyed_log_t *log, const log_record_t *record,
                               arena_t *arena)
{
    events_payload_t payload;
    batch_t batch;
    status_t status = logged_events (log, record, arena, &payload, &batch, &self->error);
    if (status != STATUS_OK)
        return status;
    if (self->dedupe)
        dedupe_replay (self->dedupe, record, &payload);
    realtime_add (self->realtime, log->stream, &batch);
    return STATUS_OK;
}

static status_t replay_forwarded (replay_t *self, const keyed_log_t *log,
                                  const log_record_t *record, arena_t *arena)
{
    forwarded_payload_t payload;
    batch_t batch;
    status_t status = logged_forwarded (log, record, arena, &payload, &batch, &self->error);
    if (status != STATUS_OK)
        return status;
    if (payload.source >= self->partitions)
        return error_set (&self->error, STATUS_CORRUPT, "events of partition %u of %u",
                          payload.source, self->partitions);
    if (self->marks && payload.from < self->marks[payload.source])
        return error_set (&self->error, STATUS_CORRUPT,
                          "events of partition %u from %" PRIu64 " on, after those below %" PRIu64,
                          payload.source, payload.from, self->marks[payload.source]);
    if (self->marks)
        self->marks[payload.source] = payload.to;
    realtime_add (self->realtime, log->stream, &batch);
    return STATUS_OK;
}

static status_t replay_control (replay_t *self, const log_record_t *record)
{
    control_payload_t payload;
    text_t bytes = { .data = (const char *)record->payload, .size = record->size };
    status_t status = control_payload_decode (bytes, &payload, &self->error);
    if (status != STATUS_OK)
        return status;
    controls_add (&self->controls, payload.id, record->offset, payload.clock);
    if (record->kind != LOG_KIND_CUT)
        return STATUS_OK;
    realtime_cut (self->realtime, record->offset);
    if (record->offset != self->base)
        return STATUS_OK;
    if (self->marks)
        return marks_decode (payload.producers, self->marks, self->partitions, &self->error);
    return self->dedupe ? dedupe_decode (payload.producers, self->dedupe, &self->error) : STATUS_OK;
}

static status_t replay_forget (replay_t *self, const keyed_log_t *log, const log_record_t *record)
{
    forget_payload_t payload;
    text_t bytes = { .data = (const char *)record->payload, .size = record->size };
    status_t status = forget_payload_decode (bytes, &payload, &self->error);
    if (status != STATUS_OK)
        return status;
    if (payload.forwarded == log->primary ||
        (payload.forwarded && payload.source >= self->partitions))
        return error_set (&self->error, STATUS_CORRUPT, "a forget of another log");
    if (self->marks && payload.from < self->marks[payload.source])
        return error_set (&self->error, STATUS_CORRUPT,
                          "a forget of partition %u from %" PRIu64
                          " on, after what is below %" PRIu64,
                          payload.source, payload.from, self->marks[payload.source]);
    if (self->marks)
        self->marks[payload.source] = payload.to;
    controls_add (&self->controls, payload.id, record->offset, payload.clock);
    return STATUS_OK;
}

static status_t replay_record (replay_t *self, const keyed_log_t *log, const log_record_t *record,
                               arena_t *arena)
{
    switch (record->kind) {
    case LOG_KIND_EVENTS:
        return log->primary ? replay_events (self, log, record, arena)
                            : replay_forwarded (self, log, record, arena);
    case LOG_KIND_CUT:
    case LOG_KIND_LOAD_COMMIT:
        return replay_control (self, record);
    case LOG_KIND_FORGET:
        return replay_forget (self, log, record);
    default:
        return error_set (&self->error, STATUS_UNSUPPORTED,
                          "a log record of kind %s, which this version does not write",
                          log_kind_word (record->kind));
    }
}

/* A base is 0 or a cut: whose record has the producers of all below it. */
static status_t check_base (replay_t *self, const log_record_t *record)
{
    if (record->offset > self->base || self->base == 0)
        return STATUS_OK;
    if (record->kind == LOG_KIND_CUT && record->offset == self->base)
        return STATUS_OK;
    return error_set (&self->error, STATUS_CORRUPT, "it ought to be a cut, but is of kind %s",
                      log_kind_word (record->kind));
}

static status_t replay_log (replay_t *self, const keyed_log_t *log, const char *dir)
{
    log_identity_t identity = logged_identity (log, self->cluster_id, self->partition);
    log_reader_t *reader;
    status_t status =
        log_reader_open (self->fs, dir, &identity, self->base, self->to, &reader, &self->error);
    if (status != STATUS_OK)
        return status;
    arena_t *arena = arena_new (REPLAY_CHUNK);
    log_record_t record;
    while ((status = log_reader_next (reader, &record, &self->error)) == STATUS_OK) {
        arena_reset (arena);
        status = check_base (self, &record);
        if (status == STATUS_OK)
            status = replay_record (self, log, &record, arena);
        if (status != STATUS_OK) {
            error_prefix (&self->error, "at offset %" PRIu64 " of %s", record.offset, dir);
            break;
        }
        atomic_store (&self->building, realtime_memory (self->realtime) + arena_held (arena));
    }
    arena_destroy (&arena);
    log_reader_destroy (&reader);
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t replay_open (replay_t *self, const keyed_log_t *log, const char *dir)
{
    log_identity_t identity = logged_identity (log, self->cluster_id, self->partition);
    log_limits_t limits = { .segment_size = self->segment_size };
    status_t status =
        log_open (self->fs, dir, &identity, self->epoch, &limits, &self->log, &self->error);
    if (status != STATUS_OK)
        return status;
    self->to = log_durable (self->log);
    if (log->primary)
        self->dedupe = dedupe_new ();
    else
        self->marks = mem_zero (self->partitions, sizeof *self->marks);
    if (self->to < self->base || log_start (self->log) > self->base)
        return error_set (&self->error, STATUS_CORRUPT,
                          "log %s holds offsets %" PRIu64 " to %" PRIu64 ", but those from %" PRIu64
                          " on are needed: files of it are missing",
                          dir, log_start (self->log), self->to, self->base);
    return STATUS_OK;
}

static void replay_run (job_t *job)
{
    replay_t *self = (replay_t *)job;
    keyed_log_t log;
    bool found = model_log (self->model, text_of (self->log_name), &log);
    CHECK (found);
    arena_t *arena = arena_new (1024);
    const char *dir = logged_dir (arena, "log", self->log_name, self->partition);
    self->realtime = realtime_new (self->model, self->log_name, self->base);
    self->status = self->epoch ? replay_open (self, &log, dir) : STATUS_OK;
    if (self->status == STATUS_OK && self->to > self->base)
        self->status = replay_log (self, &log, dir);
    arena_destroy (&arena);
}

void replay_destroy (replay_t **self_p)
{
    replay_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    realtime_destroy (&self->realtime);
    dedupe_destroy (&self->dedupe);
    mem_free (self->marks);
    log_destroy (&self->log);
    controls_release (&self->controls);
    model_unref (&self->model);
    mem_free ((void *)(uintptr_t)self->log_name);
    mem_free (self);
}

static void replay_discard (job_t *job)
{
    replay_t *self = (replay_t *)job;
    replay_destroy (&self);
}

replay_t *replay_new (fs_t *fs, const char *log_name, model_t *model)
{
    replay_t *self = mem_zero (1, sizeof *self);
    self->job.run = replay_run;
    self->job.discard = replay_discard;
    self->fs = fs;
    self->log_name = mem_string (log_name);
    self->model = model_ref (model);
    return self;
}
