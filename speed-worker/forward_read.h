/* forward_read.h - the job that reads a part of a log for forwarding. */
#ifndef WEIR_SPEED_WORKER_FORWARD_READ_H
#define WEIR_SPEED_WORKER_FORWARD_READ_H

#include "base/env.h"
#include "member/model.h"
#include "storage/payload.h"

enum { FORWARD_READ_RECORDS = 512, FORWARD_READ_BYTES = 4 << 20 };

/* An EVENTS or FORGET record that was read. */
typedef struct read_record {
    uint64_t offset;
    uint32_t count;
    batch_t batch;
    forget_payload_t *forget; /* NULL: events */
    arena_t *arena;           /* of these; whoever takes it sets this to NULL */
} read_record_t;

typedef struct forward_read {
    job_t job;
    fs_t *fs;
    keyed_log_t log;
    model_t *model; /* with a reference of the job's own */
    uint64_t cluster_id;
    uint32_t partition;
    uint64_t from;
    uint64_t to;

    status_t status;
    error_t error;
    read_record_t records[FORWARD_READ_RECORDS];
    size_t records_count;
    uint64_t next; /* all below it has been read */
} forward_read_t;

/* Reads what stands at [from, to) of a durable log that `model` has, up to a limit. */
forward_read_t *forward_read_new (fs_t *fs, const char *log_name, model_t *model,
                                  uint64_t cluster_id, uint32_t partition, uint64_t from,
                                  uint64_t to);
void forward_read_destroy (forward_read_t **self_p);

#endif
