#include "tests/unit/storage/log_model.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const log_identity_t model_identity = { 0x1234567890abcdef, "payments.user_id", 3 };

void model_release (log_model_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        mem_free ((void *)(uintptr_t)self->record[i].payload);
    mem_free (self->record);
    *self = (log_model_t){ 0 };
}

uint64_t model_end (const log_model_t *self, size_t count)
{
    return count == 0 ? 0 : self->record[count - 1].offset + self->record[count - 1].count;
}

log_t *model_open (fs_t *fs, uint64_t epoch, const log_limits_t *limits)
{
    error_t error;
    log_t *log;
    cr_assert_eq (log_open (fs, MODEL_DIR, &model_identity, epoch, limits, &log, &error), STATUS_OK,
                  "%s", error.text);
    return log;
}

status_t model_append (log_model_t *self, log_t *log, random_t *random, size_t size_max)
{
    size_t size = random_below (random, size_max + 1);
    uint8_t *payload = mem_alloc (size);
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)random_next (random);
    log_record_t record = {
        .kind = (log_kind_t)(1 + random_below (random, LOG_KIND_FORWARD_MARK)),
        .count = (uint32_t)(1 + random_below (random, 5)),
        .ingest_time = (int64_t)random_next (random),
        .payload = payload,
        .size = (uint32_t)size,
    };
    error_t error;
    status_t status = log_append (log, record.kind, payload, size, record.count, record.ingest_time,
                                  &record.offset, &error);
    if (status != STATUS_OK) {
        mem_free (payload);
        return status;
    }
    cr_assert_eq (record.offset, model_end (self, self->count));
    if (self->count == self->capacity) {
        self->capacity = self->capacity * 2 + 64;
        self->record = mem_resize (self->record, self->capacity, sizeof *self->record);
    }
    self->record[self->count++] = record;
    return STATUS_OK;
}

void model_run (job_t *job)
{
    job->run (job);
}

status_t model_flush (log_model_t *self, log_t *log, error_t *error)
{
    log_flush_t *flush = log_flush_begin (log);
    if (flush == NULL)
        return STATUS_OK;
    model_run (log_flush_job (flush));
    status_t status = log_flush_end (log, &flush, error);
    cr_assert_null (flush);
    if (status == STATUS_OK) {
        self->durable = self->count;
        cr_assert_eq (log_durable (log), model_end (self, self->count));
    }
    return status;
}

static void check_record (const log_record_t *got, const log_record_t *expected)
{
    cr_assert_eq (got->offset, expected->offset, "offset %" PRIu64 ", expected %" PRIu64,
                  got->offset, expected->offset);
    cr_assert_eq (got->kind, expected->kind);
    cr_assert_eq (got->count, expected->count);
    cr_assert_eq (got->ingest_time, expected->ingest_time);
    cr_assert_eq (got->size, expected->size);
    cr_assert_eq (memcmp (got->payload, expected->payload, got->size), 0);
}

void model_check_read (const log_model_t *self, fs_t *fs, uint64_t from, uint64_t to)
{
    error_t error;
    log_reader_t *reader;
    cr_assert_eq (log_reader_open (fs, MODEL_DIR, &model_identity, from, to, &reader, &error),
                  STATUS_OK, "%s", error.text);
    log_record_t record;
    for (size_t i = 0; i < self->count; i++) {
        const log_record_t *expected = &self->record[i];
        if (from >= to || expected->offset + expected->count <= from || expected->offset >= to)
            continue;
        cr_assert_eq (log_reader_next (reader, &record, &error), STATUS_OK, "%s", error.text);
        check_record (&record, expected);
    }
    cr_assert_eq (log_reader_next (reader, &record, &error), STATUS_END);
    log_reader_destroy (&reader);
    cr_assert_null (reader);
}

void model_forget_pending (log_model_t *self)
{
    while (self->count > self->durable)
        mem_free ((void *)(uintptr_t)self->record[--self->count].payload);
}

void model_check_recovered (log_model_t *self, fs_t *fs, const log_t *log)
{
    size_t kept = 0;
    while (kept < self->count && model_end (self, kept) < log_end (log))
        kept++;
    cr_assert_eq (model_end (self, kept), log_end (log), "a record was cut");
    cr_assert_eq (log_durable (log), log_end (log));
    cr_assert_geq (kept, self->durable, "durable records were lost");
    self->durable = kept;
    model_forget_pending (self);
    model_check_read (self, fs, log_start (log), log_end (log));
}

const char *model_segment (uint64_t first, uint64_t epoch)
{
    static char path[200];
    snprintf (path, sizeof path, MODEL_DIR "/%020" PRIu64 "-%010" PRIu64 ".seg", first, epoch);
    return path;
}

static void count_segment (void *arg, const char *name)
{
    *(size_t *)arg += strlen (name) == 35;
}

size_t model_segments (fs_t *fs)
{
    size_t count = 0;
    error_t error;
    cr_assert_eq (fs_list (fs, MODEL_DIR, count_segment, &count, &error), STATUS_OK);
    return count;
}
