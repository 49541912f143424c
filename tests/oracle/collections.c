/* collections.c - lists, sets, histograms and sessions, by sorting all there is. */
#include "tests/oracle/parts.h"

#include "tests/oracle/exact.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    SET_MAX = 4096,
    SET_BYTES_MAX = 48 * 1024,
    MAP_MAX = 1000,
    MAP_BYTES_MAX = 64 * 1024,
    CELLS_MAX = 10000
};

static int by_place (const void *left, const void *right, void *feature)
{
    return oracle_compare_rows (feature, left, right);
}

static int by_value (const void *left, const void *right)
{
    return oracle_compare_values (left, right);
}

static value_t list_of (const oracle_feature_t *feature, const value_t *items, size_t count)
{
    value_list_t *list = arena_zero (feature->arena, 1, sizeof *list);
    value_t *copy = arena_zero (feature->arena, count + 1, sizeof *copy);
    memcpy (copy, items, count * sizeof *copy);
    *list = (value_list_t){ count, copy };
    return (value_t){ .type = TYPE_LIST, .list = list };
}

/* The first `k` of the values, or the last ones backwards. */
static value_t end_of (const oracle_feature_t *feature, const value_t *values, size_t count,
                       bool last)
{
    size_t most = count < (size_t)feature->parameter ? count : (size_t)feature->parameter;
    value_t *items = mem_zero (most + 1, sizeof *items);
    for (size_t i = 0; i < most; i++)
        items[i] = values[last ? count - 1 - i : i];
    value_t list = list_of (feature, items, most);
    mem_free (items);
    return list;
}

/* ---- how often each value is there ---- */

typedef struct counted {
    value_t value;
    uint64_t rows;
} counted_t;

static int most_first (const void *left, const void *right)
{
    const counted_t *a = left;
    const counted_t *b = right;
    if (a->rows != b->rows)
        return a->rows > b->rows ? -1 : 1;
    return oracle_compare_values (&a->value, &b->value);
}

/* Of values that ascend; *bytes of the distinct ones. */
static counted_t *count_each (const value_t *values, size_t count, size_t *distinct, size_t *bytes)
{
    counted_t *counted = mem_zero (count + 1, sizeof *counted);
    *distinct = *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || oracle_compare_values (&values[i - 1], &values[i]) != 0) {
            counted[(*distinct)++].value = values[i];
            *bytes += oracle_size (&values[i]);
        }
        counted[*distinct - 1].rows++;
    }
    return counted;
}

static status_t most_frequent (const oracle_feature_t *feature, const value_t *values, size_t count,
                               value_t *out)
{
    size_t distinct, bytes;
    counted_t *counted = count_each (values, count, &distinct, &bytes);
    bool capped = distinct > MAP_MAX || bytes > MAP_BYTES_MAX;
    qsort (counted, distinct, sizeof *counted, most_first);
    if (!capped && strcmp (feature->aggregate, "mode") == 0) {
        *out = counted[0].value;
    } else if (!capped) {
        value_t *items = mem_zero (distinct, sizeof *items);
        for (size_t i = 0; i < distinct; i++)
            items[i] = counted[i].value;
        *out = end_of (feature, items, distinct, false);
        mem_free (items);
    }
    mem_free (counted);
    return capped ? STATUS_RANGE : STATUS_OK;
}

static status_t distinct_count (const value_t *values, size_t count, value_t *out)
{
    size_t distinct, bytes;
    mem_free (count_each (values, count, &distinct, &bytes));
    *out = (value_t){ .type = TYPE_INT64, .i = (int64_t)distinct };
    return distinct > SET_MAX || bytes > SET_BYTES_MAX ? STATUS_RANGE : STATUS_OK;
}

/* ---- sessions ---- */

static double seconds (int64_t microseconds, uint64_t divisor)
{
    mpz_t numerator, denominator;
    mpz_init_set_si (numerator, microseconds);
    mpz_init_set_ui (denominator, divisor);
    mpz_mul_ui (denominator, denominator, 1000000);
    double value;
    bool fits = exact_round (numerator, denominator, &value);
    CHECK (fits);
    mpz_clears (numerator, denominator, NULL);
    return value;
}

/* The cell of the gap's length that a time is in. */
static int64_t cell_of (int64_t time, int64_t gap)
{
    int64_t cell = time / gap;
    return cell * gap > time ? cell - 1 : cell;
}

/* Of events in the order of time. */
static status_t sessions_of (const oracle_feature_t *feature, const oracle_event_t *events,
                             size_t count, value_t *out)
{
    const char *what = feature->aggregate + strlen ("session_");
    int64_t gap = feature->parameter;
    int64_t sessions = 0, cells = 0, start = 0, total = 0, longest = 0;
    for (size_t i = 0; i < count; i++) {
        bool begins = i == 0 || events[i].time - events[i - 1].time > gap;
        cells += i == 0 || cell_of (events[i].time, gap) != cell_of (events[i - 1].time, gap);
        sessions += begins;
        start = begins ? events[i].time : start;
        total += begins ? 0 : events[i].time - events[i - 1].time;
        longest = events[i].time - start > longest ? events[i].time - start : longest;
    }
    *out = (value_t){ .type = TYPE_FLOAT64, .null = count == 0 };
    if (strcmp (what, "count") == 0)
        *out = (value_t){ .type = TYPE_INT64, .i = sessions };
    else if (count > 0)
        out->f = strcmp (what, "duration_mean") == 0  ? seconds (total, (uint64_t)sessions)
                 : strcmp (what, "duration_max") == 0 ? seconds (longest, 1)
                                                      : seconds (total, 1);
    return cells > CELLS_MAX ? STATUS_RANGE : STATUS_OK;
}

/* ---- which ---- */

static bool is_word (const oracle_feature_t *feature, const char *word)
{
    return strcmp (feature->aggregate, word) == 0;
}

static bool is_known (const oracle_feature_t *feature)
{
    static const char *const words[] = { "first_k",
                                         "last_k",
                                         "min_k",
                                         "max_k",
                                         "count_distinct",
                                         "histogram",
                                         "top_k",
                                         "mode",
                                         "session_count",
                                         "session_duration_mean",
                                         "session_duration_max",
                                         "session_duration_total" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word (feature, words[i]))
            return true;
    return false;
}

/* Of the values of events that count and are in order. */
static status_t of_values (const oracle_feature_t *feature, value_t *values, size_t count,
                           value_t *out)
{
    bool placed = is_word (feature, "first_k") || is_word (feature, "last_k");
    if (!placed && count > 0)
        qsort (values, count, sizeof *values, by_value);
    if (is_word (feature, "count_distinct"))
        return distinct_count (values, count, out);
    if (count == 0)
        return STATUS_OK;
    if (is_word (feature, "top_k") || is_word (feature, "mode"))
        return most_frequent (feature, values, count, out);
    *out =
        end_of (feature, values, count, is_word (feature, "last_k") || is_word (feature, "max_k"));
    return STATUS_OK;
}

status_t oracle_collection (const oracle_feature_t *feature, const oracle_event_t *events,
                            size_t count, int64_t as_of, value_t *out)
{
    if (!is_known (feature))
        return STATUS_INVALID;
    if (is_word (feature, "histogram")) { /* is count() by value */
        oracle_feature_t counts = *feature;
        counts.aggregate = "count";
        counts.by = (uint32_t)feature->field + 1;
        return oracle_grouped (&counts, events, count, as_of, out);
    }
    oracle_event_t *kept = mem_zero (count + 1, sizeof *kept);
    value_t *values = mem_zero (count + 1, sizeof *values);
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (oracle_counts (feature, &events[i], as_of))
            kept[found++] = events[i];
    oracle_feature_t of = *feature;
    qsort_r (kept, found, sizeof *kept, by_place, &of);
    for (size_t i = 0; i < found && feature->field >= 0; i++)
        values[i] = kept[i].values[feature->field];
    *out = (value_t){ .null = true };
    status_t status = strncmp (feature->aggregate, "session_", 8) == 0
                          ? sessions_of (feature, kept, found, out)
                          : of_values (feature, values, found, out);
    if (status != STATUS_OK)
        *out = (value_t){ .null = true };
    mem_free (kept);
    mem_free (values);
    return status;
}
