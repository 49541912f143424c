/* training.h - point-in-time features: rows of a spine, each answered as of its own time
 * (docs/training.md).
 *
 *   events in (key, time, position) order --+
 *                                           +--> rows with their outcomes, in the spine's order
 *   rows in (key, as-of, number) order -----+
 *
 * One pass over both, of one view and one partition. */
#ifndef WEIR_TRAINING_TRAINING_H
#define WEIR_TRAINING_TRAINING_H

#include "batch-worker/training/limit.h"
#include "feature/outcome.h"
#include "storage/merge.h"

enum {
    TRAINING_SOURCES_MAX = 8, /* streams of a view */
    TRAINING_NONE = -1,       /* no column of the spine */
};

/* The key that rows were answered up to: what is below need not be read any more. */
typedef struct training_place {
    uint8_t bytes[KEY_SIZE_MAX];
    text_t key; /* the empty one at first */
} training_place_t;

/* One stream's events. Batches have the plan's columns, of which those that it uses were read;
 * positions if plan_reads_positions or rows have limits, and ingest times if rows have a known-at
 * time. */
typedef struct training_source {
    const plan_t *plan; /* of the view over this stream */
    merge_source_t events;
} training_source_t;

/* Where rows stand in a source's log. Borrowed as long as the training set is. */
typedef struct training_stand {
    const training_limit_t *limits; /* by number of row */
    offsets_t loads;                /* of the log, in this partition */
} training_stand_t;

/* A batch of either source need live only until the next one is asked for.
 *
 * All is borrowed; plans, sources and `place` outlive the training set, the rest is copied. */
typedef struct training_options {
    const training_source_t *sources; /* the first one's plan says what features come to */
    size_t sources_count;             /* 1 to TRAINING_SOURCES_MAX */
    merge_source_t spine;   /* keys; event times are as-of times, offsets numbers of rows */
    const int32_t *request; /* per value of the plan's request: the spine's column, of its type, or
                               TRAINING_NONE. NULL: none is there */
    int32_t known;          /* column of known-at times (null: all is known), or TRAINING_NONE */
    const training_stand_t *stands; /* per source; NULL: rows stand nowhere. No known-at times then
                                     */
    bool before;              /* as of 1 µs earlier: events at a row's own time do not count */
    const uint32_t *features; /* that are asked for, by index; NULL: all, in the plan's order */
    size_t features_count;
    size_t memory;           /* bytes that one key's events and partials may take */
    training_place_t *place; /* is kept up to date; NULL: nobody looks */
} training_options_t;

typedef struct training training_t;

training_t *training_new (const training_options_t *options);
void training_destroy (training_t **self_p);

/* Some of the spine's rows with what was asked for. */
typedef struct training_rows {
    const batch_t *spine; /* as the source gave it: rows [from, to) */
    size_t from;
    size_t to;
    const outcome_task_t *task;
    const outcome_t *outcomes; /* outcome_of (task, outcomes, row - from, place) */
} training_rows_t;

/* The next rows, at least one, or END after the last. They live until the next call. TOO_LARGE when
 * one key's events take more than `memory`; RANGE for a time that no answer can be asked for;
 * CORRUPT when a source is out of order; else as the sources. After an error only destroy is left.
 */
MUST_CHECK status_t training_next (training_t *self, training_rows_t *rows, error_t *error);

/* Several runs' events as one source; the merge is borrowed. */
typedef struct training_merge {
    merge_t *merge;
    arena_t *arena;
} training_merge_t;

merge_source_t training_merge_source (training_merge_t *self, merge_t *merge);
void training_merge_release (training_merge_t *self);

/* A run's events, of which blocks without a key that is still to come are passed over: for a spine
 * of few of the run's keys. Cursor and place are borrowed. */
typedef struct training_run {
    run_cursor_t *cursor;
    const training_place_t *place;
    uint8_t last_bytes[KEY_SIZE_MAX];
    text_t last; /* key that was given last */
} training_run_t;

merge_source_t training_run_source (training_run_t *self, run_cursor_t *cursor,
                                    const training_place_t *place);

#endif
