/* train.h - a part of a training set: the events that it reads, and the rows that it answers. */
#ifndef WEIR_BATCH_WORKER_TRAIN_H
#define WEIR_BATCH_WORKER_TRAIN_H

#include "batch-worker/build.h"
#include "batch-worker/training/training.h"

/* A log's events of the partition below the position, as the view sees them. */
typedef struct train_events {
    task_t *task;
    const train_source_t *source;
    const plan_t *plan;
    keyed_log_t log;
    arena_t *arena; /* of the columns */
    columns_t columns;
    uint64_t wanted[BLOCK_WANTED_WORDS];
    run_t **runs;
    run_cursor_t **cursors;
    training_run_t *passes; /* over runs, of which blocks that nobody asks for are left out */
    size_t count;
    merge_t *merge;
    training_merge_t merged;
} train_events_t;

/* Opens the runs. `ingest`: with ingest times. With a place, blocks that have no key from it on are
 * passed over. Release it also after an error. */
MUST_CHECK status_t train_events_open (train_events_t *self, task_t *task,
                                       const train_source_t *source, const plan_t *plan,
                                       bool ingest, const training_place_t *place, error_t *error);
merge_source_t train_events_source (train_events_t *self);
void train_events_release (train_events_t *self);

/* All keys of a view in the partition as rows of a spine: each once, as of one time, in order. */
typedef struct train_keys {
    train_events_t events[TRAINING_SOURCES_MAX]; /* a second pass over them */
    size_t count;
    int64_t as_of;
    merge_t *merge; /* of all sources' */
    struct train_keys_side {
        struct train_keys *keys;
        train_events_t *events;
        arena_t *arenas[2]; /* of what is given, in turns */
        unsigned turn;
        merge_source_t source;
        plan_t const *plan;
    } sides[TRAINING_SOURCES_MAX];
    arena_t *arena;
    arena_t *given;
    uint8_t last_bytes[KEY_SIZE_MAX];
    text_t last;
    bool any;
    uint64_t rows;
} train_keys_t;

MUST_CHECK status_t train_keys_open (train_keys_t *self, task_t *task, plan_t *const *plans,
                                     error_t *error);
merge_source_t train_keys_source (train_keys_t *self);
void train_keys_release (train_keys_t *self);

#endif
