/* explain.h - what a view's compiled plan is, and what it is expected to take. */
#ifndef WEIR_CLI_EXPLAIN_H
#define WEIR_CLI_EXPLAIN_H

#include "batchview/estimate.h"
#include "timeline/estimate.h"

/* What keys are taken to be like. */
typedef struct explain_keys {
    double events;         /* of a key, at least 1 */
    const char *events_of; /* where that comes from: "given" ... */
    int64_t over;          /* µs over which a key's events lie */
    size_t string_bytes;
    uint64_t distinct; /* different values of an input */
} explain_keys_t;

/* Bytes of a state's partial. */
typedef struct explain_partial {
    size_t one; /* of one event */
    size_t all; /* of all of a key's */
} explain_partial_t;

typedef struct explain {
    const view_t *view;
    plan_t *plan;
    explain_keys_t keys;
    explain_partial_t *partial; /* per slot */
    batchview_group_t *group;
    size_t groups;
    uint16_t *group_of; /* per slot */
    timeline_estimate_t realtime;
    batchview_estimate_t batch;
} explain_t;

/* `view` must outlive it. TOO_LARGE when a batch view could not hold such a key. End with
 * explain_release in any case. */
MUST_CHECK status_t explain_init (explain_t *self, const view_t *view, const explain_keys_t *keys,
                                  error_t *error);
void explain_release (explain_t *self);

/* How long back the view looks: its longest window and delay; 30 days when all are lifetime. */
int64_t explain_reach (const view_t *view);

/* Appends it for people, or as one line of JSON. */
void explain_text (const explain_t *self, buf_t *out);
void explain_json (const explain_t *self, buf_t *out);

#endif
