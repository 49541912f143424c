/* history.h - the exact slow path: answers from the runs, with the same plan.
 *
 * For what a batch view file cannot answer exactly: an as-of before its events end, a left edge
 * inside a collapsed atom, a view or feature that no file has yet. */
#ifndef WEIR_SERVING_HISTORY_H
#define WEIR_SERVING_HISTORY_H

#include "member/model.h"
#include "serving/dataset.h"

typedef struct history_key {
    text_t key;
    int64_t as_of; /* µs */
    size_t place;  /* the asker's own number for it */
} history_key_t;

/* A job: evaluates keys of one part. It owns copies of the keys and references to model and
 * dataset. */
typedef struct history_job {
    job_t job;
    peer_t from;    /* the client */
    uint64_t query; /* whose it is … */
    size_t part;    /* … which of its parts … */
    uint64_t since; /* … and that part's, when it began */
    model_t *model;
    const plan_t *plan;
    dataset_t *dataset;
    uint32_t partition;
    arena_t *arena;
    history_key_t *keys;
    size_t count;
    struct history_job *next; /* in the queue of those that wait for their turn */

    status_t status;
    error_t error; /* the first, of `status` or of a key */
    bool *lost;    /* per key: some run could not be read for it, and its answer is empty */
    size_t lost_count;
    size_t lost_run; /* of the part: that of `error` */
    /* their encodings, one after the other; the asker may set how much they may be */
    buf_t answers;
} history_job_t;

history_job_t *history_job_new (model_t *model, const plan_t *plan, dataset_t *dataset,
                                uint32_t partition, const history_key_t *keys, size_t count);
void history_job_destroy (history_job_t **self_p);

#endif
