/* Lists, maps, sets, sessions and the newest rows, against values worked out by hand. */
#include "tests/oracle/oracle.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

#define MINUTE (60 * INT64_C (1000000))

/* One key's events: minute, a word (NULL: null), a number (0: null). */
static const struct {
    int64_t minute;
    const char *word;
    int64_t number;
} rows[] = {
    { 0, "b", 5 },   { 10, "a", 3 },  { 12, "b", 0 },  { 12, "c", 5 },
    { 60, NULL, 9 }, { 61, "a", -1 }, { 200, "b", 2 },
};
enum { ROWS = sizeof rows / sizeof *rows, WORD = 0, NUMBER = 1 };

static void render (const value_t *value, buf_t *out)
{
    if (value->null) {
        buf_put_string (out, "null");
        return;
    }
    switch (value->type) {
    case TYPE_LIST:
        buf_put_string (out, "[");
        for (size_t i = 0; i < value->list->count; i++) {
            buf_put_string (out, i > 0 ? " " : "");
            render (&value->list->items[i], out);
        }
        buf_put_string (out, "]");
        break;
    case TYPE_MAP:
        buf_put_string (out, "{");
        for (size_t i = 0; i < value->map->count; i++) {
            render (&value->map->keys[i], out);
            buf_put_string (out, ":");
            render (&value->map->values[i], out);
            buf_put_string (out, " ");
        }
        buf_printf (out, "of %lu%s}", (unsigned long)value->map->total,
                    value->map->capped ? ", capped" : "");
        break;
    case TYPE_STRING:
        buf_put (out, value->s.data, value->s.size);
        break;
    case TYPE_FLOAT64:
        buf_printf (out, "%g", value->f);
        break;
    default:
        buf_printf (out, "%ld", value->i);
    }
}

static void expect (oracle_feature_t feature, const char *expected)
{
    static value_t values[ROWS][2];
    static oracle_event_t events[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        const char *word = rows[i].word;
        values[i][WORD] = (value_t){ .type = TYPE_STRING, .null = word == NULL };
        if (word != NULL)
            values[i][WORD].s = text_of (word);
        values[i][NUMBER] = (value_t){ .type = TYPE_INT64, .null = rows[i].number == 0 };
        values[i][NUMBER].i = rows[i].number;
        events[(i * 3) % ROWS] =
            (oracle_event_t){ .time = rows[i].minute * MINUTE, .offset = i, .values = values[i] };
    }
    value_t value;
    buf_t said;
    buf_init (&said, 4096);
    feature.arena = arena_new (4096);
    status_t status = oracle_value (&feature, events, ROWS, 200 * MINUTE, &value);
    if (status == STATUS_OK)
        render (&value, &said);
    else
        buf_put_string (&said, status_word (status));
    cr_expect_str_eq (buf_string (&said), expected, "%s: %s, expected %s", feature.aggregate,
                      buf_string (&said), expected);
    buf_release (&said);
    arena_destroy (&feature.arena);
}

static oracle_feature_t of (const char *aggregate, int32_t field, int64_t parameter)
{
    return (oracle_feature_t){
        .aggregate = aggregate, .field = field, .parameter = parameter, .window = ORACLE_LIFETIME
    };
}

Test (oracle_collections, lists_of_the_ends)
{
    expect (of ("first_k", WORD, 2), "[b a]");
    expect (of ("last_k", WORD, 3), "[b a c]");
    expect (of ("min_k", NUMBER, 3), "[-1 2 3]");
    expect (of ("max_k", NUMBER, 3), "[9 5 5]");
    expect (of ("min_k", NUMBER, 30), "[-1 2 3 5 5 9]");
    oracle_feature_t none = of ("first_k", WORD, 2);
    none.window = 1;
    expect (none, "[b]");
    none.filters[0] =
        (oracle_filter_t){ WORD, ORACLE_EQ, { .type = TYPE_STRING, .s = { "z", 1 } } };
    none.filters_count = 1;
    expect (none, "null");
}

Test (oracle_collections, values_and_how_often_they_are_there)
{
    expect (of ("count_distinct", WORD, 0), "3");
    expect (of ("count_distinct", NUMBER, 0), "5");
    expect (of ("histogram", WORD, 0), "{a:2 b:3 c:1 of 6}");
    expect (of ("top_k", WORD, 2), "[b a]");
    expect (of ("top_k", NUMBER, 3), "[5 -1 2]");
    expect (of ("mode", WORD, 0), "b");
}

Test (oracle_collections, sessions_end_after_a_gap)
{
    expect (of ("session_count", -1, 10 * MINUTE), "3");
    expect (of ("session_count", -1, 10 * MINUTE - 1), "4");
    expect (of ("session_duration_total", -1, 10 * MINUTE), "780");
    expect (of ("session_duration_mean", -1, 10 * MINUTE), "260");
    expect (of ("session_duration_max", -1, 10 * MINUTE), "720");
    expect (of ("session_duration_max", -1, 48 * MINUTE), "3660");
}

Test (oracle_collections, newest_rows_count_with_their_nulls)
{
    oracle_feature_t feature = of ("sum", NUMBER, 0);
    feature.rows = 5; /* null, 5, 9, -1, 2 */
    expect (feature, "15");
    feature.rows = 1;
    expect (feature, "2");
    feature = of ("count", -1, 0);
    feature.rows = 4;
    expect (feature, "4");
    feature.by = WORD + 1; /* c, null, a, b */
    expect (feature, "{a:1 b:1 c:1 of 3}");
}

Test (oracle_collections, a_value_for_each_key)
{
    oracle_feature_t feature = of ("sum", NUMBER, 0);
    feature.by = WORD + 1;
    expect (feature, "{a:2 b:7 c:5 of 5}");
    feature = of ("last_k", WORD, 1);
    feature.by = NUMBER + 1;
    expect (feature, "{-1:[a] 2:[b] 3:[a] 5:[c] of 5}");
    /* XXH3-64 of the keys: c 1892..., b 7184..., a b639... */
    feature = of ("count", -1, 0);
    feature.by = WORD + 1;
    feature.keys_max = 2;
    expect (feature, "{b:3 c:1 of 6, capped}");
}

Test (oracle_collections, over_their_caps_are_told)
{
    enum { MANY = 10001 };
    static value_t values[MANY];
    static oracle_event_t events[MANY];
    for (size_t i = 0; i < MANY; i++) {
        values[i] = (value_t){ .type = TYPE_INT64, .i = (int64_t)i };
        events[i] = (oracle_event_t){ .time = (int64_t)i * 3, .values = &values[i] };
    }
    static const struct {
        const char *aggregate;
        size_t good;
        int64_t parameter;
    } cases[] = { { "count_distinct", 4096, 0 },
                  { "mode", 1000, 0 },
                  { "session_count", 10000, 2 } };
    arena_t *arena = arena_new (1 << 16);
    value_t value;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oracle_feature_t feature = of (cases[i].aggregate, 0, cases[i].parameter);
        feature.arena = arena;
        size_t good = cases[i].good;
        cr_expect_eq (oracle_value (&feature, events, good, INT64_MAX / 2, &value), STATUS_OK);
        cr_expect_eq (oracle_value (&feature, events, good + 1, INT64_MAX / 2, &value),
                      STATUS_RANGE);
    }
    oracle_feature_t histogram = of ("histogram", 0, 0);
    histogram.arena = arena;
    cr_expect_eq (oracle_value (&histogram, events, 1001, INT64_MAX / 2, &value), STATUS_OK);
    cr_expect (value.map->capped && value.map->count == 1000 && value.map->total == 1001);
    arena_destroy (&arena);
}
