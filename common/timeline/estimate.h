/* estimate.h - what a key takes in a real-time view, from the plan alone. */
#ifndef WEIR_TIMELINE_ESTIMATE_H
#define WEIR_TIMELINE_ESTIMATE_H

#include "feature/sample.h"
#include "timeline/timeline.h"

typedef struct timeline_estimate {
    size_t empty_bytes; /* of a timeline without a key */
    double key_bytes; /* what a key takes beside its events: table, key, the heads of its leaves */
    double event_bytes; /* of an event, room that is kept free for others included */
    size_t row_bytes;   /* of the event's row alone */
    double bytes;       /* of a key with as many events: the two before together */
} timeline_estimate_t;

/* Of keys that have `events` (at least 1) on the average, which came nearly in order of time and
 * have not been asked for so often that caches were filled. Keys of one timeline may have more or
 * fewer. Of `values` the sizes count. */
timeline_estimate_t timeline_estimate (const plan_t *plan, double events,
                                       const sample_values_t *values);

#endif
