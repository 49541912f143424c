/* dataset.h - what one manifest of a keyed log consists of, mapped: batch views and runs.
 *
 * Immutable once made, and shared by count: a query keeps the one that it began with while a newer
 * one takes its place. Made by a job, because opening verifies every byte. */
#ifndef WEIR_SERVING_DATASET_H
#define WEIR_SERVING_DATASET_H

#include "base/env.h"
#include "batchview/batchview.h"
#include "storage/run.h"
#include "wire/wire.h"

enum { DATASET_LAYERS_MAX = 64 }; /* of a part: a base and deltas */

typedef struct dataset_view {
    char name[NAME_MAX_SIZE + 1];
    uint32_t version;
    size_t layer;
    uint64_t cut; /* that its layer goes up to */
    char *path;
    batchview_t *file; /* NULL: it could not be opened */
    char *damage;      /* why it is not used; NULL: it is */
    int64_t verified;  /* boot µs: when it was last, if it is used; 0: just now */
} dataset_view_t;

typedef struct dataset_run {
    char *path;
    uint64_t offset; /* of all rows of a load's run, or RUN_OFFSET_AS_WRITTEN */
    run_t *run;      /* NULL: it could not be opened */
    char *damage;    /* what of it cannot be read; NULL: nothing is known of */
} dataset_run_t;

typedef struct dataset_part {
    uint64_t cut;        /* everything below it, and no more, is here */
    size_t layers_count; /* the base and the deltas above it, which together are all */
    dataset_view_t *views;
    size_t views_count;
    dataset_run_t *runs;
    size_t runs_count;
    uint64_t *excluded; /* offsets whose rows do not count, ascending */
    size_t excluded_count;
    uint64_t *absent; /* offsets below the cut of loads that are not in it, ascending */
    size_t absent_count;
} dataset_part_t;

typedef struct dataset {
    char *log_name;
    uint64_t number; /* 0: nothing published yet; its parts are empty, with cut 0 */
    char id[64];
    dataset_part_t *parts; /* one per partition */
    uint32_t parts_count;
    fs_t *fs;
    size_t forgets;       /* entities that it lacks */
    size_t unusable;      /* views that are not used, runs that could not be opened */
    unsigned references;  /* counted on the core's thread */
    struct dataset *next; /* for who has the last reference to several */
} dataset_t;

/* The dataset of a log that nothing was published for; one reference. */
dataset_t *dataset_empty (const char *log_name, uint32_t partitions);

/* From a `dataset.ok`, nothing opened yet. INVALID when it does not have exactly `partitions`
 * parts. */
MUST_CHECK status_t dataset_from_message (const wire_value_t *body, uint32_t partitions, fs_t *fs,
                                          dataset_t **dataset, error_t *error);

/* Takes over the views that another one of the log has open and may use: files never change. So
 * what a new dataset costs is what is new in it. Before it is opened, on the core's thread. */
void dataset_share (dataset_t *self, const dataset_t *other);

/* Opens all files that it does not share, verifying all of views, and of runs all but the blocks.
 * Blocks. What is damaged is not used, and the rest goes on without it; with `patient` also what is
 * not there or cannot be read, which may be because a newer dataset has come. */
MUST_CHECK status_t dataset_open (dataset_t *self, bool patient, error_t *error);

/* A view that is in use turned out to be damaged: it is used no more. On the core's thread. */
void dataset_give_up (dataset_t *self, const batchview_t *file, const char *reason);
/* The same of all that was found damaged in another one, which it shares files with. */
void dataset_give_up_as (dataset_t *self, const dataset_t *other);
/* A view has been verified at this time: this one, or with NULL all that were just now. */
void dataset_set_verified (dataset_t *self, const batchview_t *file, int64_t now);
/* When the one was verified whose turn is next; INT64_MAX: none is used. */
int64_t dataset_verified_first (const dataset_t *self);
/* Something of a run turned out to be damaged; the rest of it is still read. */
void dataset_blame (dataset_t *self, uint32_t partition, size_t run, const char *reason);

/* A job that verifies again what is mapped, since it may rot. Its `damages` are for
 * dataset_give_up. */
typedef struct scrub_job {
    job_t job;
    dataset_t *dataset; /* one reference */
    const batchview_t *file;
    status_t status;
    error_t error;
} scrub_job_t;
/* Of the view in use that has not been verified for longest; NULL: there is none. */
scrub_job_t *scrub_job_new (dataset_t *self);
void scrub_job_destroy (scrub_job_t **self_p);
bool scrub_job_is (const job_t *job);

/* A job that closes the files of a dataset that nobody else has: the system takes milliseconds to
 * take back what was mapped of large ones. Takes the last reference. */
job_t *close_job_new (dataset_t **dataset);
bool close_job_is (const job_t *job);

dataset_t *dataset_ref (dataset_t *self);
void dataset_unref (dataset_t **self_p);

/* The files of a view's version in a part, one a layer, which together cover it; returns how many,
 * 0 when one of them is not there or not to be used. `files` has room for DATASET_LAYERS_MAX. */
size_t dataset_view (const dataset_part_t *part, text_t view, uint32_t version,
                     const batchview_t **files);

/* Does a row with this offset count? */
bool dataset_includes (const dataset_part_t *part, uint64_t offset);

#endif
