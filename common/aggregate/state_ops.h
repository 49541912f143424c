/* state_ops.h - what a state kind is inside the library: a row of functions.
 *
 * Each kind defines `const state_ops_t state_ops_<KIND>`; state.c finds it through STATE_TABLE. The
 * functions are those of aggregate.h; what every kind needs is checked once in state.c: the spec is
 * valid, `partial` is not empty, the aggregate is one of this kind, and `final` gets a *value that
 * is null, of the output type. */
#ifndef WEIR_AGGREGATE_STATE_OPS_H
#define WEIR_AGGREGATE_STATE_OPS_H

#include "aggregate/aggregate.h"
#include "aggregate/suffixes.h"

typedef struct state_ops {
    size_t (*size) (state_spec_t spec);
    /* Bytes of its partial at most. NULL: AGGREGATE_SMALL_MAX, or AGGREGATE_PARTIAL_MAX of a kind
     * that is large. It decides how many keys stand under `by`: never change it. */
    size_t (*partial_max) (state_spec_t spec);
    void (*init) (state_spec_t spec, void *acc);
    void (*release) (state_spec_t spec, void *acc);
    void (*reset) (state_spec_t spec, void *acc);
    void (*add) (state_spec_t spec, void *acc, const value_t *inputs, const row_place_t *place);
    /* NULL: by way of `add`. */
    bool (*add_rows) (state_spec_t spec, void *acc, const state_rows_t *rows);
    /* Puts the partial of each range, the last first, and moves suffixes->to behind them; false: it
     * has no quick way for these rows, and what it wrote does not count. NULL: for none. */
    bool (*put_suffixes) (state_spec_t spec, state_suffixes_t *suffixes);
    /* As state_final_windows; NULL: no quick way. */
    bool (*final_windows) (state_spec_t spec, aggregate_t aggregate, const state_rows_t *rows,
                           const state_windows_t *windows);
    void (*merge) (state_spec_t spec, void *acc, const void *from);
    /* False when the bytes are not canonical or not a state that rows can make. */
    bool (*merge_partial) (state_spec_t spec, void *acc, text_t partial);
    /* Only called when the state is not empty. */
    void (*encode) (state_spec_t spec, const void *acc, buf_t *out);
    bool (*is_empty) (state_spec_t spec, const void *acc);
    /* Bytes that it holds beside the accumulator; NULL: less than AGGREGATE_SMALL_MAX. */
    size_t (*memory) (state_spec_t spec, const void *acc);
    status_t (*final) (state_spec_t spec, const void *acc, aggregate_t aggregate,
                       const final_context_t *context, value_t *value, error_t *error);
} state_ops_t;

#define X(name, number, large) extern const state_ops_t state_ops_##name;
STATE_TABLE (X)
#undef X

/* The rows in an accumulator of COUNT. */
uint64_t count_rows (const void *acc);

/* The wrappers, of a spec with `by` and one with `rows`. */
extern const state_ops_t state_ops_by;
extern const state_ops_t state_ops_rows;

/* state_put_suffixes by way of the kind, which has put_suffixes. */
bool suffixes_put (const state_ops_t *ops, state_spec_t spec, const state_rows_t *rows,
                   state_suffixes_t *suffixes);

/* Bytes of a partial of the spec at most. */
size_t state_partial_max (state_spec_t spec);

enum { ROW_PLACE_MAX = 10 + 10 + 5 }; /* bytes of a place in a partial */

/* The order of places: by time, then offset, then row. Negative, 0 or positive. */
static inline int row_place_compare (const row_place_t *a, const row_place_t *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static inline bool state_row_counts (state_spec_t spec, const state_rows_t *rows, size_t row)
{
    if (rows->filter != NULL && !rows->filter[row])
        return false;
    bool valid = true;
    for (unsigned i = 0; i < state_inputs (spec); i++)
        valid &= rows->lane[i]->valid[row] != 0;
    return valid || state_takes_nulls (spec);
}

/* The numbers of rows that count, a run of them at a time: where they lie if all rows count,
 * otherwise gathered. */
enum { NUMBERS_GATHERED = 128 };
typedef struct numbers {
    size_t at;          /* the row that comes next; begins at rows->from */
    const void *values; /* int64_t or double: the first lane's */
    size_t count;
    int64_t gathered[NUMBERS_GATHERED]; /* a float's bits too */
} numbers_t;

static inline bool numbers_next (numbers_t *self, state_spec_t spec, const state_rows_t *rows)
{
    const int64_t *lane = rows->lane[0]->i;
    if (rows->whole) {
        self->values = lane + self->at;
        self->count = rows->to - self->at;
        self->at = rows->to;
        return self->count > 0;
    }
    self->values = self->gathered;
    self->count = 0;
    while (self->at < rows->to && self->count < NUMBERS_GATHERED) {
        self->gathered[self->count] = lane[self->at];
        self->count += state_row_counts (spec, rows, self->at++);
    }
    return self->count > 0;
}

/* Fills *value with a number that is not null. */
static inline void final_int (value_t *value, int64_t number)
{
    value->null = false;
    value->i = number;
}

static inline void final_float (value_t *value, double number)
{
    value->null = false;
    value->f = value_float (number);
}

/* The message of a result past the largest float64. */
MUST_CHECK status_t final_float_range (aggregate_t aggregate, error_t *error);

/* The message of sums that no rows have. */
MUST_CHECK status_t final_no_rows (aggregate_t aggregate, error_t *error);

#endif
