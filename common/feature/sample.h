/* sample.h - made-up rows of a plan, to see how large its states become: what an estimate is
 * measured on. */
#ifndef WEIR_FEATURE_SAMPLE_H
#define WEIR_FEATURE_SAMPLE_H

#include "feature/plan.h"

/* What the inputs of made-up rows are like. */
typedef struct sample_values {
    size_t string_bytes; /* of a string */
    uint64_t distinct;   /* strings, integers and times that there are, at least 1 */
    size_t key_bytes;    /* of an encoded key */
} sample_values_t;

/* `rows` rows of one key whose times go up in equal steps from `first` to `last`; every filter is
 * true and no input is null. Equal arguments give equal rows. */
projection_t plan_sample (const plan_t *plan, size_t rows, int64_t first, int64_t last,
                          const sample_values_t *values, arena_t *arena);

#endif
