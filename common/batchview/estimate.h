/* estimate.h - what a key takes in a batch view file: made-up events through the real record. */
#ifndef WEIR_BATCHVIEW_ESTIMATE_H
#define WEIR_BATCHVIEW_ESTIMATE_H

#include "feature/sample.h"

enum { BATCHVIEW_ESTIMATE_ROWS_MAX = 200000 }; /* made up; of more, so many times as much is said */

typedef struct batchview_estimate {
    double fixed_bytes; /* of a key whose events are all older than any window's edge */
    double atom_bytes;  /* of each further atom: what an event near an edge adds */
    double atoms;       /* of the key, all groups together */
    double bytes;       /* of the key */
} batchview_estimate_t;

/* Of a key that has `events` events, at least 1, evenly over `over` µs up to the cut. TOO_LARGE
 * when no file could hold it. */
MUST_CHECK status_t batchview_estimate (const plan_t *plan, double events, int64_t over,
                                        const sample_values_t *values,
                                        batchview_estimate_t *estimate, error_t *error);

/* A group of the file: slots with the same windows and delay, which share their atoms. */
typedef struct batchview_group {
    int64_t delay;
    size_t windows;
    size_t slots;
    size_t spans;    /* stretches of time in which edges are expected */
    int64_t covered; /* µs that these are long together */
} batchview_group_t;

/* The groups of the plan's files when the cut is at the latest event, and the group of each slot;
 * room for FEATURES_MAX of both. Returns how many groups. */
size_t batchview_groups (const plan_t *plan, batchview_group_t *groups, uint16_t *of_slot);

#endif
