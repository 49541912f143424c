/* oracle.h - what a feature must be, by looking at every event.
 *
 * A plain evaluation for tests to hold the product against. It shares no code with aggregates,
 * timelines, plans or expressions: it walks a list of events, keeps those in the window, and works
 * with exact integers (GMP), rounding once at the end. Only `base` is used (values, key bytes,
 * numbers as text). */
#ifndef WEIR_ORACLE_ORACLE_H
#define WEIR_ORACLE_ORACLE_H

#include "base/status.h"
#include "base/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_LIFETIME INT64_MAX /* a window: everything */

typedef struct oracle_event {
    text_t key;            /* encoded (base/key.h), or whatever the caller sorts by */
    int64_t time;          /* µs */
    uint64_t offset;       /* position … */
    uint32_t row;          /* … */
    const value_t *values; /* by field index; floats as value_float gives them */
} oracle_event_t;

typedef enum oracle_op {
    ORACLE_EQ,
    ORACLE_NE,
    ORACLE_LT,
    ORACLE_LE,
    ORACLE_GT,
    ORACLE_GE,
    ORACLE_NULL,
    ORACLE_NOT_NULL,
    ORACLE_DISTINCT, /* is distinct from: null is distinct from the literal */
} oracle_op_t;

/* Keeps the events for which `field op literal` is true; a comparison with null is not. */
typedef struct oracle_filter {
    uint32_t field;
    oracle_op_t op;
    value_t literal; /* of the field's type, not null */
} oracle_filter_t;

enum { ORACLE_FILTERS_MAX = 4 };

typedef struct oracle_feature {
    const char *aggregate;                       /* a word of docs/aggregates.md */
    int32_t field;                               /* the input; -1: the row itself (count) */
    int32_t second;                              /* of an aggregate that takes two */
    int64_t window;                              /* µs, or ORACLE_LIFETIME */
    oracle_filter_t filters[ORACLE_FILTERS_MAX]; /* all must hold: the view's and the feature's */
    size_t filters_count;
    int64_t
        parameter; /* the k of first_k and its like; the gap of sessions, or a half-life, in µs */
    double fraction;   /* of a quantile */
    uint32_t by;       /* 1 + the field of the key; 0: one value for all */
    uint32_t keys_max; /* keys of such a map; 0: 1000. Depends on the aggregate: see the page */
    uint32_t rows;     /* of the newest so many; 0: of all */
    int64_t delay;     /* µs that the window ends before as-of */
    arena_t *arena;    /* where lists and maps are made; NULL when none is asked for */
} oracle_feature_t;

/* The feature's value over `events`, which are all of one key in any order, at `as_of`: of those
 * with as_of - delay - window < time <= as_of - delay. Null has type NONE. A string, in lists and
 * maps too, is borrowed from the event. RANGE, and null, when the result does not fit its type;
 * TOO_LARGE when there are more events than the aggregate takes; INVALID for an aggregate that is
 * not known. */
status_t oracle_value (const oracle_feature_t *feature, const oracle_event_t *events, size_t count,
                       int64_t as_of, value_t *out);

/* Do two results agree: both null, or the same bits? Types count only when there is a value. */
bool oracle_agree (const value_t *a, const value_t *b);

/* Sorts by (key, time, offset, row), and finds the events of one key in what was sorted; *count
 * may be 0. */
void oracle_sort (oracle_event_t *events, size_t count);
const oracle_event_t *oracle_of_key (const oracle_event_t *events, size_t count, text_t key,
                                     size_t *found);

/* Of one key's events, sorted, those in a window: what is left out changes no value, it only takes
 * time. */
const oracle_event_t *oracle_of_window (const oracle_event_t *events, size_t count, int64_t window,
                                        int64_t as_of, size_t *found);

#endif
