/* reference.h - what each aggregate of some rows is, worked out plainly with GMP and MPFR. */
#ifndef WEIR_TESTS_AGGREGATE_REFERENCE_H
#define WEIR_TESTS_AGGREGATE_REFERENCE_H

#include "rows.h"

#include <gmp.h>

typedef struct answer {
    bool range; /* the result does not fit its type */
    value_t value;
} answer_t;

/* Of rows whose values are of type `input`. A string is borrowed from the rows. */
answer_t reference_answer (aggregate_t aggregate, type_t input, const row_t *rows, size_t count);

/* The float64 nearest to a rational, or to its root; false when that is past the largest. */
bool reference_round (const mpq_t number, double *out);
bool reference_round_root (const mpq_t number, double *out);

#endif
