/* reference.h - what each aggregate of some rows is, worked out plainly with GMP and MPFR. */
#ifndef WEIR_TESTS_AGGREGATE_REFERENCE_H
#define WEIR_TESTS_AGGREGATE_REFERENCE_H

#include "rows.h"

#include <gmp.h>

typedef struct answer {
    bool range;     /* the result does not fit its type */
    bool too_large; /* it is of too many rows */
    value_t value;
} answer_t;

/* Of rows of such a spec. A string is borrowed from the rows. */
answer_t reference_answer (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                           size_t count, const final_context_t *context);

/* The parts of it, in files of their own: reference_sums.c, reference_times.c,
 * reference_quantiles.c, reference_collections.c. They are given one row or more. */
answer_t reference_of_sums (aggregate_t aggregate, const row_t *rows, size_t count);
answer_t reference_of_times (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                             size_t count, const final_context_t *context);
answer_t reference_of_quantiles (const row_t *rows, size_t count, double fraction);
/* Lists, sets, maps and sessions: made in the context's arena. */
answer_t reference_of_collections (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                                   size_t count, const final_context_t *context);

/* The number exactly; finite. */
void reference_set (mpq_t number, const value_t *value);

/* The answer that is the float64 nearest to it. */
answer_t reference_rounded (const mpq_t number);
answer_t reference_rounded_root (const mpq_t number);
answer_t reference_float (double value);
answer_t reference_null (void);

/* The order of values in docs/aggregates.md. */
bool reference_is_less (const value_t *a, const value_t *b);

/* The float64 nearest to a rational, or to its root; false when that is past the largest. */
bool reference_round (const mpq_t number, double *out);
bool reference_round_root (const mpq_t number, double *out);

#endif
