/* aggregate.h - what features are made of: commutative monoids with exact partial states.
 *
 * An aggregate is a *state kind* and a *finaliser*: sum and mean share the state SUM, so that a
 * plan keeps one state for both. A state lives in one of two forms:
 *
 *  - accumulator: a mutable object of aggregate_size() bytes, for adding rows and merging;
 *  - partial: its canonical encoding, bytes that depend only on the multiset of rows added, never
 * on order or grouping. Two partials of the same rows are equal under memcmp. Files and messages
 *    carry partials, and so do the nodes of a timeline.
 *
 * Rules, held by property tests against an oracle: add and merge commute and associate to the same
 * bits; merging the empty partial changes nothing; a state cannot overflow below 2^63 rows. Nulls
 * are not added (the caller skips them), except by count(), whose input is the row itself.
 *
 * Float sums: exact, by a superaccumulator (R. M. Neal, "Fast exact summation using small and large
 * superaccumulators", 2015), rounded once, to nearest even, when finalised. Sums of int64 are exact
 * in 128 bits; powers are exact products. Distinct counting: HyperLogLog (Flajolet et al. 2007)
 * with p = 12 over XXH3-64 of the value's key encoding (base/key.h), the estimator of Ertl 2017
 * ("New cardinality estimation algorithms"), sparse below a fixed number of entries. */
#ifndef WEIR_AGGREGATE_AGGREGATE_H
#define WEIR_AGGREGATE_AGGREGATE_H

#include "base/status.h"
#include "base/value.h"

#include <stddef.h>
#include <stdint.h>

/* State kinds. The numbers are stored in files: never renumber.
 * name, number, large (its partial can exceed AGGREGATE_SMALL_MAX bytes) */
#define STATE_TABLE(X)                                                                             \
    X (COUNT, 1, false)   /* number of rows */                                                     \
    X (SUM, 2, false)     /* n, exact sum */                                                       \
    X (MOMENTS, 3, false) /* n, exact sum, exact sum of squares */                                 \
    X (MIN, 4, false)     /* least value */                                                        \
    X (MAX, 5, false)     /* greatest value */                                                     \
    X (FIRST, 6, false)   /* value at the least (time, offset, row) */                             \
    X (LAST, 7, false)    /* value at the greatest (time, offset, row) */                          \
    X (DISTINCT_HLL, 8, true)

typedef enum state_kind {
    STATE_NONE = 0,
#define X(name, number, large) STATE_##name = number,
    STATE_TABLE (X)
#undef X
} state_kind_t;

/* The aggregates that users write. word, enum name, state kind, inputs it takes (a set of TYPE_*
 * bits, 0: none), output type (NONE: that of the input) */
#define AGGREGATE_NUMBERS (1u << TYPE_INT64 | 1u << TYPE_FLOAT64)
#define AGGREGATE_ORDERED                                                                          \
    (AGGREGATE_NUMBERS | 1u << TYPE_BOOL | 1u << TYPE_STRING | 1u << TYPE_TIMESTAMP)
#define AGGREGATE_TABLE(X)                                                                         \
    X ("count", COUNT, COUNT, AGGREGATE_ORDERED, INT64) /* count() or count(expr) of non-nulls */  \
    X ("sum", SUM, SUM, AGGREGATE_NUMBERS, NONE)                                                   \
    X ("mean", MEAN, SUM, AGGREGATE_NUMBERS, FLOAT64)                                              \
    X ("min", MIN, MIN, AGGREGATE_ORDERED, NONE)                                                   \
    X ("max", MAX, MAX, AGGREGATE_ORDERED, NONE)                                                   \
    X ("variance", VARIANCE, MOMENTS, AGGREGATE_NUMBERS, FLOAT64)                                  \
    X ("variance_pop", VARIANCE_POP, MOMENTS, AGGREGATE_NUMBERS, FLOAT64)                          \
    X ("stddev", STDDEV, MOMENTS, AGGREGATE_NUMBERS, FLOAT64)                                      \
    X ("stddev_pop", STDDEV_POP, MOMENTS, AGGREGATE_NUMBERS, FLOAT64)                              \
    X ("first", FIRST, FIRST, AGGREGATE_ORDERED, NONE)                                             \
    X ("last", LAST, LAST, AGGREGATE_ORDERED, NONE)                                                \
    X ("approx_count_distinct", APPROX_COUNT_DISTINCT, DISTINCT_HLL, AGGREGATE_ORDERED, INT64)

typedef enum aggregate {
    AGGREGATE_NONE = 0,
#define X(word, name, state, inputs, output) AGGREGATE_##name,
    AGGREGATE_TABLE (X)
#undef X
        AGGREGATE_COUNT_OF
} aggregate_t;

typedef struct aggregate_info {
    const char *word;
    state_kind_t state;
    unsigned inputs; /* bit per type_t */
    type_t output;   /* TYPE_NONE: the input's */
} aggregate_info_t;

enum {
    AGGREGATE_SMALL_MAX = 4096 + 64,   /* bytes of the partial of a kind that is not large; a string
                                          in min, max, first, last is at most STRING_VALUE_MAX */
    AGGREGATE_PARTIAL_MAX = 64 * 1024, /* bytes of any partial */
    STRING_VALUE_MAX = 4096,           /* bytes of a string field; intake refuses longer ones */
};

/* Row of the table; `aggregate` must be valid. Static storage. */
const aggregate_info_t *aggregate_info (aggregate_t aggregate);

/* From its word; AGGREGATE_NONE when there is none. */
aggregate_t aggregate_from_word (text_t word);

/* The words of all aggregates, for messages; *count entries, static. */
const char *const *aggregate_words (size_t *count);

/* May the partial of this kind be large, so that files keep it at checkpoints? */
bool state_is_large (state_kind_t kind);

/* ---- accumulators ---- */

/* A state of `kind` over inputs of type `input` (TYPE_NONE for count of rows). Fixed for its life;
 * accumulators of equal specs can be merged. */
typedef struct state_spec {
    state_kind_t kind;
    type_t input;
} state_spec_t;

/* Bytes of an accumulator; it must be aligned to 16. */
size_t state_size (state_spec_t spec);

/* Makes an empty accumulator at `acc`. An accumulator may own heap memory (strings, sketches): end
 * with state_release. */
void state_init (state_spec_t spec, void *acc);
void state_release (state_spec_t spec, void *acc);
/* Back to empty, keeping memory for the next use. */
void state_reset (state_spec_t spec, void *acc);

/* Where a row stands among all rows of its key: FIRST and LAST are decided by it. */
typedef struct row_place {
    int64_t time; /* µs */
    uint64_t offset;
    uint32_t row;
} row_place_t;

/* Adds one row. `value` is of the spec's input type and not null; NULL for STATE_COUNT of rows.
 * A string's bytes are copied; min, max, first and last cut one of over STRING_VALUE_MAX bytes,
 * which only an expression can make, to a beginning of whole characters. */
void state_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place);

/* Rows [from, to) of an input. Those count whose value is valid (`lane` NULL: the row itself is the
 * input) and whose filter is true (NULL: all). */
typedef struct state_rows {
    const column_t *lane;
    const uint8_t *filter;
    const int64_t *time;
    const uint64_t *offset;
    const uint32_t *row;
    size_t from;
    size_t to;
} state_rows_t;

/* As state_add for each of the rows that count, in one call. Did any? */
bool state_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows);

/* Adds all that `from` holds. */
void state_merge (state_spec_t spec, void *acc, const void *from);

/* Adds all that the partial holds. CORRUPT when the bytes are not a canonical partial of this spec
 * (then `acc` is unspecified but still releasable): partials come from files and peers. */
MUST_CHECK status_t state_merge_partial (state_spec_t spec, void *acc, text_t partial,
                                         error_t *error);

/* Appends the canonical partial. The empty state is the empty byte string. */
void state_encode (state_spec_t spec, const void *acc, buf_t *out);

/* Is nothing in it? */
bool state_is_empty (state_spec_t spec, const void *acc);

/* The value of `aggregate` (whose state kind must be spec.kind). Empty: count and
 * approx_count_distinct give 0, all others null; sample variance and stddev are null below 2 rows.
 * A string is borrowed from the accumulator. RANGE, with the reason, when the exact result does not
 * fit the output type: an int64 sum, or a finite float sum past the largest float64. Sums with NaN,
 * or with both infinities, are NaN; with one infinity, that infinity; variance of any non-finite
 * input is NaN. mean, variance and stddev are the exact rational value rounded once to nearest
 * even. */
MUST_CHECK status_t state_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                 value_t *value, error_t *error);

#endif
