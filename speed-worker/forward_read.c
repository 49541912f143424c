#include "speed-worker/forward_read.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"

enum { RECORD_CHUNK = 16 << 10 };

static status_t take_record (forward_read_t *self, const log_record_t *record)
{
    read_record_t *taken = &self->records[self->records_count];
    *taken = (read_record_t){ .offset = record->offset,
                              .count = record->count,
                              .arena = arena_new (RECORD_CHUNK) };
    self->records_count++;
    if (record->kind == LOG_KIND_FORGET) {
        text_t bytes = arena_text (
            taken->arena, (text_t){ .data = (const char *)record->payload, .size = record->size });
        taken->forget = arena_zero (taken->arena, 1, sizeof *taken->forget);
        return forget_payload_decode (bytes, taken->forget, &self->error);
    }
    return logged_batch (&self->log, record, taken->arena, &taken->batch, &self->error);
}

static status_t read_records (forward_read_t *self, log_reader_t *reader)
{
    log_record_t record;
    size_t bytes = 0;
    while (self->records_count < FORWARD_READ_RECORDS && bytes < FORWARD_READ_BYTES) {
        status_t status = log_reader_next (reader, &record, &self->error);
        if (status == STATUS_END) {
            self->next = self->to;
            return STATUS_OK;
        }
        if (status == STATUS_OK &&
            (record.kind == LOG_KIND_EVENTS || record.kind == LOG_KIND_FORGET))
            status = take_record (self, &record);
        if (status != STATUS_OK)
            return status;
        bytes += record.size;
        self->next = record.offset + record.count;
    }
    return STATUS_OK;
}

static void run (job_t *job)
{
    forward_read_t *self = (forward_read_t *)job;
    arena_t *arena = arena_new (1024);
    log_identity_t identity = logged_identity (&self->log, self->cluster_id, self->partition);
    const char *dir = logged_dir (arena, "log", self->log.name, self->partition);
    log_reader_t *reader;
    self->next = self->from;
    self->status =
        log_reader_open (self->fs, dir, &identity, self->from, self->to, &reader, &self->error);
    if (self->status == STATUS_OK) {
        self->status = read_records (self, reader);
        log_reader_destroy (&reader);
    }
    arena_destroy (&arena);
}

void forward_read_destroy (forward_read_t **self_p)
{
    forward_read_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->records_count; i++)
        arena_destroy (&self->records[i].arena);
    model_unref (&self->model);
    mem_free (self);
}

static void discard (job_t *job)
{
    forward_read_t *self = (forward_read_t *)job;
    forward_read_destroy (&self);
}

forward_read_t *forward_read_new (fs_t *fs, const char *log_name, model_t *model,
                                  uint64_t cluster_id, uint32_t partition, uint64_t from,
                                  uint64_t to)
{
    CHECK (from < to);
    forward_read_t *self = mem_zero (1, sizeof *self);
    self->job.run = run;
    self->job.discard = discard;
    self->fs = fs;
    self->model = model_ref (model);
    bool found = model_log (model, text_of (log_name), &self->log);
    CHECK (found);
    self->cluster_id = cluster_id;
    self->partition = partition;
    self->from = from;
    self->to = to;
    return self;
}
