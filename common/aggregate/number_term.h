/* number_term.h - numbers of either type as exact terms, and where sums of their products can be.
 */
#ifndef WEIR_AGGREGATE_NUMBER_TERM_H
#define WEIR_AGGREGATE_NUMBER_TERM_H

#include "aggregate/exact_number.h"
#include "base/value.h"

#include <math.h>

static inline bool number_is_type (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64;
}

static inline bool number_is_finite (const value_t *value)
{
    return value->type != TYPE_FLOAT64 || isfinite (value->f);
}

/* Of a number that is finite. */
static inline exact_term_t number_term (const value_t *value)
{
    return value->type == TYPE_FLOAT64 ? exact_term_of_float (value->f)
                                       : exact_term_of_int (value->i);
}

/* Adds a finite number; the product of two. */
static inline void number_add (exact_sum_t *sum, const value_t *value)
{
    if (value->type == TYPE_FLOAT64)
        exact_sum_add_float (sum, value->f);
    else
        exact_sum_add_int128 (sum, value->i);
}

static inline void number_add_product (exact_sum_t *sum, const value_t *a, const value_t *b)
{
    if (a->type != b->type) {
        exact_term_t of_a = number_term (a), of_b = number_term (b);
        exact_term_t product = exact_term_product (&of_a, &of_b);
        exact_sum_add_term (sum, &product);
    } else if (a->type == TYPE_FLOAT64) {
        exact_sum_add_float_product (sum, a->f, b->f);
    } else {
        exact_sum_add_int_product (sum, a->i, b->i);
    }
}

/* The range of sums of fewer than 2^63 products of a numbers of type `a` and b of type `b`. */
static inline exact_range_t number_range (type_t a_type, int a, type_t b_type, int b,
                                          bool is_signed)
{
    int lowest_a = a_type == TYPE_FLOAT64 ? -1074 : 0;
    int lowest_b = b_type == TYPE_FLOAT64 ? -1074 : 0;
    int highest_a = a_type == TYPE_FLOAT64 ? 1024 : 63;
    int highest_b = b_type == TYPE_FLOAT64 ? 1024 : 63;
    return (exact_range_t){ a * lowest_a + b * lowest_b, a * highest_a + b * highest_b + 63,
                            is_signed };
}

/* Bytes of the encoding of such a sum at most: header, place, and the bits with those that fill the
 * first and the last byte. */
static inline size_t number_encoded_max (exact_range_t range)
{
    return 2 + 2 + (size_t)(range.highest - range.lowest) / 8 + 2;
}

/* Reads and adds a sum of `rows` terms: that of none is 0. */
static inline bool number_merge_encoded (exact_sum_t *sum, reader_t *reader, uint64_t rows,
                                         exact_range_t range)
{
    if (rows > 0)
        return exact_sum_merge_encoded (sum, reader, range);
    return reader_u8 (reader) == 0 && !reader->bad;
}

#endif
