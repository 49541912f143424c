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
 * in 128 bits, of decimals in 192; powers are exact products. Distinct counting: HyperLogLog
 * (Flajolet et al. 2007) with p = 12 over XXH3-64 of the value's key encoding (base/key.h), the
 * estimator of Ertl 2017
 * ("New cardinality estimation algorithms"), sparse below a fixed number of entries. */
#ifndef WEIR_AGGREGATE_AGGREGATE_H
#define WEIR_AGGREGATE_AGGREGATE_H

#include "base/arena.h"
#include "base/buf.h"
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
    X (DISTINCT_HLL, 8, true)                                                                      \
    X (RANGE, 9, false)        /* least and greatest number */                                     \
    X (POWERS, 10, false)      /* n, exact sums of the first four powers */                        \
    X (COMOMENTS, 11, false)   /* of two numbers: n, exact sums of a, b, a^2, ab, b^2 */           \
    X (TREND, 12, false)       /* the same of event time and a number, without b^2 */              \
    X (SPAN, 13, false)        /* n, least and greatest event time */                              \
    X (TIMES, 14, true)        /* n, all event times while they are few */                         \
    X (QUANTILES, 15, true)    /* rows by bucket of magnitude */                                   \
    X (DECAY, 16, true)        /* exact weighted sums by half-life */                              \
    X (FIRST_K, 40, true)      /* values at the k least places */                                  \
    X (LAST_K, 41, true)       /* values at the k greatest places */                               \
    X (MIN_K, 42, true)        /* k least values */                                                \
    X (MAX_K, 43, true)        /* k greatest values */                                             \
    X (DISTINCT_SET, 44, true) /* distinct values, or that they are too many */                    \
    X (HISTOGRAM, 45, true)    /* rows of each value */                                            \
    X (SESSIONS, 46, true)     /* chains of events at most a gap apart */

typedef enum __attribute__ ((packed)) state_kind {
    STATE_NONE = 0,
#define X(name, number, large) STATE_##name = number,
    STATE_TABLE (X)
#undef X
} state_kind_t;

/* What an aggregate takes after its inputs, as the 3 in first_k(x, 3). name, in words, is it part
 * of the state (two states of other parameters cannot be merged), or of the finaliser only */
#define PARAMETER_TABLE(X)                                                                         \
    X (NONE, "nothing", false)                                                                     \
    X (STATE_K, "how many, 1 to 1000", true)                                                       \
    X (FINAL_K, "how many, 1 to 1000", false)                                                      \
    X (FRACTION, "a fraction between 0 and 1", false)                                              \
    X (STATE_DURATION, "a duration", true)

typedef enum parameter_kind {
#define X(name, words, in_state) PARAMETER_##name,
    PARAMETER_TABLE (X)
#undef X
} parameter_kind_t;

/* The aggregates that users write. word, enum name, state kind, input types it takes (a set of
 * TYPE_* bits; that of TYPE_NONE says that it may have no input, and is of the rows then), types of
 * its second input (0: it has none), output type (NONE: that of the input; LIST and MAP are of
 * values of the input's type), parameter */
#define AGGREGATE_ROWS    (1u << TYPE_NONE)
#define AGGREGATE_BOOLS   (1u << TYPE_BOOL)
#define AGGREGATE_NUMBERS (1u << TYPE_INT64 | 1u << TYPE_FLOAT64)
#define AGGREGATE_AMOUNTS (AGGREGATE_NUMBERS | 1u << TYPE_DECIMAL)
#define AGGREGATE_ORDERED                                                                          \
    (AGGREGATE_AMOUNTS | 1u << TYPE_BOOL | 1u << TYPE_STRING | 1u << TYPE_TIMESTAMP)
#define AGGREGATE_TABLE(X)                                                                         \
    X ("count", COUNT, COUNT, AGGREGATE_ORDERED, 0, INT64, NONE)                                   \
    X ("sum", SUM, SUM, AGGREGATE_AMOUNTS, 0, NONE, NONE)                                          \
    X ("mean", MEAN, SUM, AGGREGATE_AMOUNTS, 0, FLOAT64, NONE)                                     \
    X ("min", MIN, MIN, AGGREGATE_ORDERED, 0, NONE, NONE)                                          \
    X ("max", MAX, MAX, AGGREGATE_ORDERED, 0, NONE, NONE)                                          \
    X ("variance", VARIANCE, MOMENTS, AGGREGATE_AMOUNTS, 0, FLOAT64, NONE)                         \
    X ("variance_pop", VARIANCE_POP, MOMENTS, AGGREGATE_AMOUNTS, 0, FLOAT64, NONE)                 \
    X ("stddev", STDDEV, MOMENTS, AGGREGATE_AMOUNTS, 0, FLOAT64, NONE)                             \
    X ("stddev_pop", STDDEV_POP, MOMENTS, AGGREGATE_AMOUNTS, 0, FLOAT64, NONE)                     \
    X ("first", FIRST, FIRST, AGGREGATE_ORDERED, 0, NONE, NONE)                                    \
    X ("last", LAST, LAST, AGGREGATE_ORDERED, 0, NONE, NONE)                                       \
    X ("approx_count_distinct", APPROX_COUNT_DISTINCT, DISTINCT_HLL, AGGREGATE_ORDERED, 0, INT64,  \
       NONE)                                                                                       \
    X ("range", RANGE, RANGE, AGGREGATE_AMOUNTS, 0, NONE, NONE)                                    \
    X ("skew", SKEW, POWERS, AGGREGATE_NUMBERS, 0, FLOAT64, NONE)                                  \
    X ("kurtosis", KURTOSIS, POWERS, AGGREGATE_NUMBERS, 0, FLOAT64, NONE)                          \
    X ("covariance", COVARIANCE, COMOMENTS, AGGREGATE_NUMBERS, AGGREGATE_NUMBERS, FLOAT64, NONE)   \
    X ("covariance_pop", COVARIANCE_POP, COMOMENTS, AGGREGATE_NUMBERS, AGGREGATE_NUMBERS, FLOAT64, \
       NONE)                                                                                       \
    X ("correlation", CORRELATION, COMOMENTS, AGGREGATE_NUMBERS, AGGREGATE_NUMBERS, FLOAT64, NONE) \
    X ("slope", SLOPE, TREND, AGGREGATE_NUMBERS, 0, FLOAT64, NONE)                                 \
    X ("any", ANY, MAX, AGGREGATE_BOOLS, 0, BOOL, NONE)                                            \
    X ("all", ALL, MIN, AGGREGATE_BOOLS, 0, BOOL, NONE)                                            \
    X ("rate", RATE, COUNT, AGGREGATE_ORDERED, 0, FLOAT64, NONE)                                   \
    X ("decayed_sum", DECAYED_SUM, DECAY, AGGREGATE_NUMBERS, 0, FLOAT64, STATE_DURATION)           \
    X ("decayed_mean", DECAYED_MEAN, DECAY, AGGREGATE_NUMBERS, 0, FLOAT64, STATE_DURATION)         \
    X ("decayed_count", DECAYED_COUNT, DECAY, 0, 0, FLOAT64, STATE_DURATION)                       \
    X ("interarrival_mean", INTERARRIVAL_MEAN, SPAN, 0, 0, FLOAT64, NONE)                          \
    X ("interarrival_stddev", INTERARRIVAL_STDDEV, TIMES, 0, 0, FLOAT64, NONE)                     \
    X ("age", AGE, SPAN, 0, 0, FLOAT64, NONE)                                                      \
    X ("approx_quantile", APPROX_QUANTILE, QUANTILES, AGGREGATE_NUMBERS, 0, FLOAT64, FRACTION)     \
    X ("approx_median", APPROX_MEDIAN, QUANTILES, AGGREGATE_NUMBERS, 0, FLOAT64, NONE)             \
    X ("first_k", FIRST_K, FIRST_K, AGGREGATE_ORDERED, 0, LIST, STATE_K)                           \
    X ("last_k", LAST_K, LAST_K, AGGREGATE_ORDERED, 0, LIST, STATE_K)                              \
    X ("min_k", MIN_K, MIN_K, AGGREGATE_ORDERED, 0, LIST, STATE_K)                                 \
    X ("max_k", MAX_K, MAX_K, AGGREGATE_ORDERED, 0, LIST, STATE_K)                                 \
    X ("count_distinct", COUNT_DISTINCT, DISTINCT_SET, AGGREGATE_ORDERED, 0, INT64, NONE)          \
    X ("histogram", HISTOGRAM, HISTOGRAM, AGGREGATE_ORDERED, 0, MAP, NONE)                         \
    X ("top_k", TOP_K, HISTOGRAM, AGGREGATE_ORDERED, 0, LIST, FINAL_K)                             \
    X ("mode", MODE, HISTOGRAM, AGGREGATE_ORDERED, 0, NONE, NONE)                                  \
    X ("session_count", SESSION_COUNT, SESSIONS, 0, 0, INT64, STATE_DURATION)                      \
    X ("session_duration_mean", SESSION_DURATION_MEAN, SESSIONS, 0, 0, FLOAT64, STATE_DURATION)    \
    X ("session_duration_max", SESSION_DURATION_MAX, SESSIONS, 0, 0, FLOAT64, STATE_DURATION)      \
    X ("session_duration_total", SESSION_DURATION_TOTAL, SESSIONS, 0, 0, FLOAT64, STATE_DURATION)

/* Other words for them, which definitions may use. word, enum name */
#define AGGREGATE_ALIAS_TABLE(X)                                                                   \
    X ("avg", MEAN)                                                                                \
    X ("average", MEAN)                                                                            \
    X ("std", STDDEV)                                                                              \
    X ("stdev", STDDEV)                                                                            \
    X ("stddev_samp", STDDEV)                                                                      \
    X ("std_pop", STDDEV_POP)                                                                      \
    X ("var", VARIANCE)                                                                            \
    X ("var_samp", VARIANCE)                                                                       \
    X ("var_pop", VARIANCE_POP)                                                                    \
    X ("covar_samp", COVARIANCE)                                                                   \
    X ("covar_pop", COVARIANCE_POP)                                                                \
    X ("corr", CORRELATION)                                                                        \
    X ("skewness", SKEW)                                                                           \
    X ("kurt", KURTOSIS)                                                                           \
    X ("minimum", MIN)                                                                             \
    X ("maximum", MAX)                                                                             \
    X ("earliest", FIRST)                                                                          \
    X ("latest", LAST)                                                                             \
    X ("bool_or", ANY)                                                                             \
    X ("bool_and", ALL)

typedef enum aggregate {
    AGGREGATE_NONE = 0,
#define X(word, name, state, inputs, second, output, parameter) AGGREGATE_##name,
    AGGREGATE_TABLE (X)
#undef X
        AGGREGATE_COUNT_OF
} aggregate_t;

typedef struct aggregate_info {
    const char *word;
    state_kind_t state;
    unsigned inputs; /* bit per type_t */
    unsigned second; /* likewise; 0: there is one input at most */
    type_t output;   /* TYPE_NONE: the input's */
    parameter_kind_t parameter;
} aggregate_info_t;

enum {
    AGGREGATE_SMALL_MAX = 4096 + 64, /* bytes of the partial of a kind that is not large; a string
                                        in min, max, first, last is at most STRING_VALUE_MAX */
    AGGREGATE_PARTIAL_MAX = 1 << 20, /* bytes of any partial */
    STRING_VALUE_MAX = 4096,         /* bytes of a string field; intake refuses longer ones */
    AGGREGATE_TIMES_MAX = 4096,      /* events that interarrival_stddev takes */
    AGGREGATE_DECAY_MAX = 128,       /* half-lives before the newest event that decayed_… see */
};

/* Row of the table; `aggregate` must be valid. Static storage. */
const aggregate_info_t *aggregate_info (aggregate_t aggregate);

/* From its word or another word for it; AGGREGATE_NONE when there is none. Its canonical word is
 * that of its row. */
aggregate_t aggregate_from_word (text_t word);

/* Does it take inputs of these types? NONE stands for no input. */
bool aggregate_takes (aggregate_t aggregate, type_t input, type_t second);

/* The words of all aggregates, for messages; *count entries, static. */
const char *const *aggregate_words (size_t *count);

/* ---- accumulators ---- */

enum { STATE_INPUTS_MAX = 3 }; /* a map's key, and the kind's own */

/* A whole state: `kind` over its inputs, and what is put around it. Fixed for its life; states of
 * equal specs can be merged. It is passed by value. */
typedef struct state_spec {
    state_kind_t kind;
    type_t input;  /* TYPE_NONE: the row itself is the input */
    type_t second; /* of kinds that take two; else TYPE_NONE */
    type_t by;     /* a state for each value of a key of this type; TYPE_NONE: one for all */
    uint16_t rows; /* of the newest so many rows; 0: of all */
    int64_t param; /* the aggregate's parameter, if it is part of the state; else 0 */
} state_spec_t;
_Static_assert(sizeof (state_spec_t) == 16, "passed in registers");

/* The state of an aggregate over inputs of these types; `parameter` is 0 when it takes none or an
 * integer or µs (a half-life is at least 1). Without `by` and `rows`. */
state_spec_t aggregate_spec (aggregate_t aggregate, type_t input, type_t second, int64_t parameter);

/* Can there be such a state? INVALID, with the reason in words for whoever wrote the definition:
 * more rows than a partial can hold, or a kind whose partials are too large to stand under `by`, or
 * a parameter out of its range. All other functions take only specs that pass. */
MUST_CHECK status_t state_spec_check (state_spec_t spec, error_t *error);

/* How many keys a state with `by` keeps. */
uint32_t state_keys_max (state_spec_t spec);

/* Do the two say the same? */
bool state_spec_equal (state_spec_t a, state_spec_t b);

/* How many values a row gives: the key of `by` if there is one, then the kind's own inputs. */
static inline unsigned state_inputs (state_spec_t spec)
{
    return 0u + (spec.by != TYPE_NONE) + (spec.input != TYPE_NONE) + (spec.second != TYPE_NONE);
}

/* The type of each of them. */
static inline type_t state_input_type (state_spec_t spec, unsigned input)
{
    if (spec.by != TYPE_NONE && input-- == 0)
        return spec.by;
    return input == 0 ? spec.input : spec.second;
}

/* Are rows with a null among their inputs added too? Of the newest rows, they are some. */
static inline bool state_takes_nulls (state_spec_t spec)
{
    return spec.rows > 0;
}

/* May it depend on a row's offset or number, and not on its time alone? */
bool state_reads_position (state_spec_t spec);

/* May its partial be large, so that files keep it at checkpoints? */
bool state_is_large (state_spec_t spec);

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

/* Adds one row. `inputs` has state_inputs() values of the spec's types, none null unless
 * state_takes_nulls(); NULL when that is 0. A string's bytes are copied; min, max, first and last
 * cut one of over STRING_VALUE_MAX bytes, which only an expression can make, to a beginning of
 * whole characters. */
void state_add (state_spec_t spec, void *acc, const value_t *inputs, const row_place_t *place);

/* Rows [from, to). Those count whose inputs are all valid (or the spec takes nulls) and whose
 * filter is true (NULL: all). */
typedef struct state_rows {
    const column_t *lane[STATE_INPUTS_MAX]; /* state_inputs() of them */
    bool whole;                             /* that is every row; false: it is not known */
    const uint8_t *filter;
    const int64_t *time;
    const uint64_t *offset; /* NULL: of no state that reads positions, and likewise `row` */
    const uint32_t *row;
    size_t from;
    size_t to;
} state_rows_t;

/* As state_add for each of the rows that count, in one call. Did any? */
bool state_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows);

/* Rows in ranges, and where the partials of what is from each range on are put. The last four are
 * the library's own. */
typedef struct state_suffixes {
    const uint32_t *start; /* range i is rows [start[i], start[i + 1]), none of them empty */
    size_t ranges;
    buf_t *out;      /* partials are appended as texts, each once, that of the last range first */
    uint32_t *place; /* per range: where in `out` its text begins, from 1; 0: no row counts */
    const void *values;
    uint8_t *to;
    const uint8_t *origin;
    uint32_t latest;
} state_suffixes_t;

/* The same as state_add_rows of each range from the last to the first, and state_encode after each:
 * the quick way of kinds and rows that have one. False, with nothing put and any places: they have
 * none. rows->from and rows->to are not looked at. */
bool state_put_suffixes (state_spec_t spec, const state_rows_t *rows, state_suffixes_t *suffixes);

/* Windows of rows: those of number k are rows [from[k], to[k]), where neither goes down. */
typedef struct state_windows {
    const size_t *from;
    const size_t *to;
    size_t count;    /* at least 1 */
    value_t *values; /* that many */
} state_windows_t;

/* What state_final says of each window of rows as state_add_rows takes them, with no state made:
 * the quick way of aggregates and rows that have one, for windows of which neighbours have many
 * rows in common. False, with any values: they have none, or some value is an error. rows->from and
 * rows->to are not looked at. */
bool state_final_windows (state_spec_t spec, aggregate_t aggregate, const state_rows_t *rows,
                          const state_windows_t *windows);

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

/* Bytes that the accumulator holds on the heap, about: 0 for kinds of which that is little. */
size_t state_memory (state_spec_t spec, const void *acc);

/* What a result depends on beside the rows. */
typedef struct final_context {
    int64_t as_of;     /* µs: the right end of the window */
    int64_t window;    /* its length in µs; INT64_MAX: everything up to as_of */
    value_t parameter; /* of the aggregate; of type NONE when it takes none. A fraction is a
                          float64, or an int64 that is 0 or 1 */
    arena_t *arena;    /* for lists and maps; the value borrows from it */
} final_context_t;

/* The value of `aggregate` (whose state kind must be spec.kind). With spec.by, a map of such
 * values. What each gives of no rows, of too few and of NaN and infinities is in
 * docs/aggregates.md; all that is not approx_ is the exact value, rounded once to nearest even. A
 * string is borrowed from the accumulator. RANGE, with the reason, when the exact result does not
 * fit the output type: an int64 sum, one of decimals of over 38 digits, or a finite float result
 * past the largest float64. TOO_LARGE when it is of more rows than the aggregate takes. CORRUPT
 * when the state was merged from partials that no rows make. */
MUST_CHECK status_t state_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                 const final_context_t *context, value_t *value, error_t *error);

#endif
