/* COUNT: the number of rows. Partial: varint of it. */
#include "aggregate/exact_number.h"
#include "aggregate/state_ops.h"

#include "base/check.h"
#include "base/timestamp.h"

typedef struct count {
    uint64_t rows;
} count_t;

static size_t count_size (state_spec_t spec)
{
    (void)spec;
    return sizeof (count_t);
}

uint64_t count_rows (const void *acc)
{
    return ((const count_t *)acc)->rows;
}

static size_t count_partial_max (state_spec_t spec)
{
    (void)spec;
    return 9;
}

static void count_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(count_t *)acc = (count_t){ 0 };
}

static void count_add (state_spec_t spec, void *acc, const value_t *value, const row_place_t *place)
{
    (void)spec, (void)value, (void)place;
    (void)rows_add (&((count_t *)acc)->rows, 1);
}

static bool count_add_rows (state_spec_t spec, void *acc, const state_rows_t *rows)
{
    (void)spec;
    uint64_t count = rows->whole ? rows->to - rows->from : 0;
    for (size_t i = rows->from; !rows->whole && i < rows->to; i++)
        count += state_row_counts (spec, rows, i);
    (void)rows_add (&((count_t *)acc)->rows, count);
    return count > 0;
}

static bool count_put_suffixes (state_spec_t spec, state_suffixes_t *rows)
{
    (void)spec;
    uint64_t count = 0;
    for (size_t i = rows->ranges; i-- > 0;) {
        count += suffix_count (rows, i);
        if (suffix_count (rows, i) == 0)
            suffix_same (rows, i);
        else
            suffix_end (rows, i, suffix_varint (suffix_begin (rows), count));
    }
    return true;
}

static bool count_final_windows (state_spec_t spec, aggregate_t aggregate, const state_rows_t *rows,
                                 const state_windows_t *windows)
{
    if (aggregate != AGGREGATE_COUNT)
        return false;
    const size_t *from = windows->from;
    const size_t *to = windows->to;
    size_t count = 0;
    for (size_t k = 0, low = from[0], high = from[0]; k < windows->count; k++) {
        if (rows->whole)
            count = to[k] - from[k];
        for (; !rows->whole && high < to[k]; high++)
            count += state_row_counts (spec, rows, high);
        for (; !rows->whole && low < from[k] && low < high; low++)
            count -= state_row_counts (spec, rows, low);
        if (low < from[k]) /* the windows have nothing in common */
            low = high = from[k];
        windows->values[k] = (value_t){ .type = TYPE_INT64, .i = (int64_t)count };
    }
    return true;
}

static void count_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    (void)rows_add (&((count_t *)acc)->rows, ((const count_t *)from)->rows);
}

static bool count_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    reader_t reader = reader_of (partial.data, partial.size);
    uint64_t rows = partial_read_varint (&reader);
    return !reader.bad && reader_left (&reader) == 0 && rows > 0 &&
           rows_add (&((count_t *)acc)->rows, rows);
}

static void count_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    buf_put_varint (out, ((const count_t *)acc)->rows);
}

static bool count_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const count_t *)acc)->rows == 0;
}

static status_t count_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                             const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec;
    uint64_t rows = ((const count_t *)acc)->rows;
    if (aggregate == AGGREGATE_COUNT) {
        final_int (value, (int64_t)rows);
        return STATUS_OK;
    }
    if (context->window == INT64_MAX)
        return STATUS_OK; /* all time has no rate */
    CHECK (context->window > 0);
    exact_number_t number;
    double rate;
    exact_number_of_int128 (&number, (int128_t)rows * TIME_SECOND);
    if (!exact_number_round_quotient (&number, (uint128_t)context->window, &rate))
        return final_float_range (aggregate, error);
    final_float (value, rate);
    return STATUS_OK;
}

const state_ops_t state_ops_COUNT = {
    .size = count_size,
    .partial_max = count_partial_max,
    .init = count_init,
    .release = count_init,
    .reset = count_init,
    .add = count_add,
    .add_rows = count_add_rows,
    .put_suffixes = count_put_suffixes,
    .final_windows = count_final_windows,
    .merge = count_merge,
    .merge_partial = count_merge_partial,
    .encode = count_encode,
    .is_empty = count_is_empty,
    .final = count_final,
};
