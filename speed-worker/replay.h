/* replay.h - the job that makes a shard's state from its log. */
#ifndef WEIR_SPEED_WORKER_REPLAY_H
#define WEIR_SPEED_WORKER_REPLAY_H

#include "base/env.h"
#include "member/model.h"
#include "speed-worker/realtime.h"
#include "storage/dedupe.h"
#include "storage/log.h"
#include "storage/payload.h"

#include <stdatomic.h>

typedef struct control {
    char id[CONTROL_ID_MAX + 1];
    uint64_t offset;
    int64_t clock; /* µs */
} control_t;

typedef struct controls {
    control_t *items; /* by offset */
    size_t count;
    size_t capacity;
} controls_t;

/* Adds one; `id` is at most CONTROL_ID_MAX bytes. */
void controls_add (controls_t *self, text_t id, uint64_t offset, int64_t clock);
const control_t *controls_find (const controls_t *self, text_t id);
/* Forgets those below `base`. */
void controls_trim (controls_t *self, uint64_t base);
void controls_release (controls_t *self);

/* What to do, and what came of it. Results belong to the job until the shard takes them. */
typedef struct replay {
    job_t job;
    fs_t *fs;
    const char *log_name;
    uint64_t cluster_id;
    uint32_t partition;
    uint32_t partitions;
    uint64_t epoch; /* opens the log under it; 0: the log is open, only the views are made again */
    uint64_t segment_size;
    uint64_t base;  /* from there … */
    uint64_t to;    /* … to there; when the log is opened, to its end */
    model_t *model; /* with a reference of the job's own */

    atomic_size_t building; /* bytes of `realtime`, while the job runs */
    status_t status;
    error_t error;
    log_t *log;
    dedupe_t *dedupe; /* when the log is opened: of a primary one … */
    uint64_t *marks;  /* … and of a re-keyed one */
    realtime_t *realtime;
    controls_t controls;
} replay_t;

replay_t *replay_new (fs_t *fs, const char *log_name, model_t *model);
void replay_destroy (replay_t **self_p);

#endif
