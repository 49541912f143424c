/* rows.h - random rows for the tests of aggregates, and accumulators to put them in. */
#ifndef WEIR_TESTS_AGGREGATE_ROWS_H
#define WEIR_TESTS_AGGREGATE_ROWS_H

#include "aggregate/aggregate.h"
#include "base/random.h"

typedef struct row {
    value_t value;  /* the first input */
    value_t second; /* of states that take two */
    row_place_t place;
} row_t;

/* How the values of a set of rows are drawn; each is legal for every type. */
typedef enum profile {
    PROFILE_SMALL,        /* small integers */
    PROFILE_ORDINARY,     /* measurements, prices */
    PROFILE_ANY,          /* any bits that are finite */
    PROFILE_TINY,         /* subnormals and what is near them */
    PROFILE_HUGE,         /* near the ends of the type */
    PROFILE_CANCELLATION, /* large numbers that nearly cancel */
    PROFILE_NOT_FINITE,   /* any bits, NaN and infinities among them */
    PROFILE_CONSTANT,     /* one value in all rows */
    PROFILE_COUNT
} profile_t;

/* `count` rows in `arena`, of inputs that the spec takes, with places that differ. */
row_t *rows_random (random_t *random, arena_t *arena, state_spec_t spec, profile_t profile,
                    size_t count);

void rows_shuffle (random_t *random, row_t *rows, size_t count);

/* An empty accumulator on the heap; ended by accumulator_destroy. */
void *accumulator_new (state_spec_t spec);
void accumulator_destroy (state_spec_t spec, void **acc_p);
void accumulator_add (state_spec_t spec, void *acc, const row_t *rows, size_t count);

/* The partial of `acc`, whose bytes go to `out` (cleared first). */
text_t accumulator_partial (state_spec_t spec, const void *acc, buf_t *out);

/* The next spec after *spec, of all kinds over all inputs that they take, with some parameters;
 * starts from { 0 }. */
bool spec_next (state_spec_t *spec);

/* A parameter for finalising: the fraction if it takes one, else 3. */
value_t spec_parameter (aggregate_t aggregate, const value_t *fraction);

/* Is the aggregate one of such a state? */
bool spec_is_of (state_spec_t spec, aggregate_t aggregate);

#endif
