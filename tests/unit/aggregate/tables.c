#include "tables.h"

#include "aggregate/aggregate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* What the page says of each aggregate that its row in aggregate.h does not: what it gives of no
 * rows (of how few it is null), and how exact it is. */
#define NOTES(X)                                                                                   \
    X (COUNT, "0", "exact")                                                                        \
    X (SUM, "null", "exact, a float64 rounded once")                                               \
    X (MEAN, "null", "exact, rounded once")                                                        \
    X (MIN, "null", "exact")                                                                       \
    X (MAX, "null", "exact")                                                                       \
    X (VARIANCE, "null below 2 rows", "exact, rounded once")                                       \
    X (VARIANCE_POP, "null", "exact, rounded once")                                                \
    X (STDDEV, "null below 2 rows", "exact, rounded once")                                         \
    X (STDDEV_POP, "null", "exact, rounded once")                                                  \
    X (FIRST, "null", "exact")                                                                     \
    X (LAST, "null", "exact")                                                                      \
    X (APPROX_COUNT_DISTINCT, "0", "standard error 1.6 %")                                         \
    X (RANGE, "null", "exact, a float64 rounded once")                                             \
    X (SKEW, "null below 3 rows", "exact, rounded once")                                           \
    X (KURTOSIS, "null below 4 rows", "exact, rounded once")                                       \
    X (COVARIANCE, "null below 2 rows", "exact, rounded once")                                     \
    X (COVARIANCE_POP, "null", "exact, rounded once")                                              \
    X (CORRELATION, "null below 2 rows", "exact, rounded once")                                    \
    X (SLOPE, "null below 2 rows", "exact, rounded once")                                          \
    X (ANY, "null", "exact")                                                                       \
    X (ALL, "null", "exact")                                                                       \
    X (RATE, "0.0, null over a lifetime", "exact, rounded once")                                   \
    X (DECAYED_SUM, "null", "weights rounded once, then the result once")                          \
    X (DECAYED_MEAN, "null", "weights rounded once, then the result once")                         \
    X (DECAYED_COUNT, "0.0", "weights rounded once, then the result once")                         \
    X (INTERARRIVAL_MEAN, "null below 2 rows", "exact, rounded once")                              \
    X (INTERARRIVAL_STDDEV, "null below 3 rows", "exact, rounded once")                            \
    X (AGE, "null", "exact, rounded once")                                                         \
    X (APPROX_QUANTILE, "null", "within 1 % of the value of that rank")                            \
    X (APPROX_MEDIAN, "null", "within 1 % of the value of that rank")                              \
    X (FIRST_K, "null", "exact")                                                                   \
    X (LAST_K, "null", "exact")                                                                    \
    X (MIN_K, "null", "exact")                                                                     \
    X (MAX_K, "null", "exact")                                                                     \
    X (COUNT_DISTINCT, "0", "exact, an error above 4096 values")                                   \
    X (HISTOGRAM, "null", "exact for the values kept; says when it is capped")                     \
    X (TOP_K, "null", "exact, an error above 1000 values")                                         \
    X (MODE, "null", "exact, an error above 1000 values")                                          \
    X (SESSION_COUNT, "0", "exact, an error above 10000 cells")                                    \
    X (SESSION_DURATION_MEAN, "null", "exact, rounded once; likewise")                             \
    X (SESSION_DURATION_MAX, "null", "exact, rounded once; likewise")                              \
    X (SESSION_DURATION_TOTAL, "null", "exact, rounded once; likewise")

static const struct note {
    const char *empty;
    const char *exact;
} notes[AGGREGATE_COUNT_OF] = {
#define X(name, empty, exact) [AGGREGATE_##name] = { empty, exact },
    NOTES (X)
#undef X
};

static const char *state_name (state_kind_t kind)
{
    switch (kind) {
#define X(name, number, large)                                                                     \
    case STATE_##name:                                                                             \
        return #name;
        STATE_TABLE (X)
#undef X
    default:
        return "?";
    }
}

static void put_types (unsigned types, buf_t *out)
{
    if (types == AGGREGATE_ORDERED || types == AGGREGATE_AMOUNTS || types == AGGREGATE_NUMBERS) {
        buf_put_string (out, types == AGGREGATE_ORDERED   ? "any"
                             : types == AGGREGATE_AMOUNTS ? "amounts"
                                                          : "numbers");
        return;
    }
    const char *between = "";
    for (unsigned type = 0; types >> type != 0; type++) {
        if ((types >> type & 1u) == 0)
            continue;
        buf_printf (out, "%s%s", between, type_word ((type_t)type));
        between = types >> type >> 2 != 0 ? ", " : " or ";
    }
}

static void put_takes (const aggregate_info_t *info, buf_t *out)
{
    static const char *const parameters[] = {
#define X(name, words, in_state) [PARAMETER_##name] = words,
        PARAMETER_TABLE (X)
#undef X
    };
    if (info->inputs != 0)
        put_types (info->inputs, out);
    if (info->state == STATE_COUNT)
        buf_put_string (out, ", or nothing");
    if (info->second != 0) {
        buf_put_string (out, "; ");
        put_types (info->second, out);
    }
    if (info->parameter != PARAMETER_NONE || info->inputs == 0)
        buf_printf (out, "%s%s", info->inputs != 0 ? "; " : "", parameters[info->parameter]);
}

static void put_aggregates (buf_t *out)
{
    buf_put_string (out, "| word | takes | gives | state | empty | exact? |\n"
                         "|---|---|---|---|---|---|\n");
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        const aggregate_info_t *info = aggregate_info ((aggregate_t)i);
        cr_assert_not_null (notes[i].exact, "write notes on %s in %s", info->word, __FILE__);
        buf_printf (out, "| `%s` | ", info->word);
        put_takes (info, out);
        buf_printf (out, " | %s | %s | %s | %s |\n",
                    info->output == TYPE_NONE ? "the input's" : type_word (info->output),
                    state_name (info->state), notes[i].empty, notes[i].exact);
    }
}

static void put_aliases (buf_t *out)
{
    static const struct alias {
        const char *word;
        aggregate_t aggregate;
    } aliases[] = {
#define X(word, name) { word, AGGREGATE_##name },
        AGGREGATE_ALIAS_TABLE (X)
#undef X
    };
    buf_put_string (out, "| written | is |\n|---|---|\n");
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        bool any = false;
        for (size_t a = 0; a < sizeof aliases / sizeof *aliases; a++) {
            if (aliases[a].aggregate != (aggregate_t)i)
                continue;
            buf_printf (out, "%s`%s`", any ? ", " : "| ", aliases[a].word);
            any = true;
        }
        if (any)
            buf_printf (out, " | `%s` |\n", aggregate_info ((aggregate_t)i)->word);
    }
}

static void put_states (buf_t *out)
{
    buf_put_string (out, "| state | number in files | partial |\n|---|---|---|\n");
#define X(name, number, large)                                                                     \
    buf_printf (out, "| %s | %d | %s |\n", #name, number, (large) ? "large" : "small");
    STATE_TABLE (X)
#undef X
}

bool tables_rewrite (text_t page, buf_t *out, const char **missing)
{
    static const struct {
        const char *name;
        void (*put) (buf_t *out);
    } tables[] = { { "aggregates", put_aggregates },
                   { "other words", put_aliases },
                   { "states", put_states } };
    static const char end[] = "\n<!-- end of table -->";
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char begin[64];
        snprintf (begin, sizeof begin, "<!-- table: %s -->\n", tables[i].name);
        *missing = tables[i].name;
        const char *from = memmem (page.data, page.size, begin, strlen (begin));
        if (from == NULL)
            return false;
        from += strlen (begin);
        const char *to = memmem (from, page.size - (size_t)(from - page.data), end, strlen (end));
        if (to == NULL)
            return false;
        buf_put (out, page.data, (size_t)(from - page.data));
        buf_put_u8 (out, '\n');
        tables[i].put (out);
        page.size -= (uint32_t)(to - page.data);
        page.data = to;
    }
    buf_put (out, page.data, page.size);
    return true;
}
