#include "tests/unit/feature/generate.h"

#include <criterion/criterion.h>

#define PICK(random, words) (words)[random_below ((random), sizeof (words) / sizeof *(words))]

static void put_number (random_t *random, buf_t *out)
{
    static const char *const numbers[] = { "a",     "b",         "a + b",     "- a",
                                           "b % 7", "(a * 2.5)", "b - 3 * b", "a / b",
                                           "b + 1", "(b)",       "a+b",       "m" };
    buf_put_string (out, PICK (random, numbers));
}

static void put_condition (random_t *random, buf_t *out)
{
    static const char *const conditions[] = { "a > 0.5",
                                              "c = 'x'",
                                              "d",
                                              "b in (1, 2)",
                                              "c is null",
                                              "not d",
                                              "c <> 'it''s'",
                                              "c is not null",
                                              "a >= b",
                                              "c is distinct from 'y'",
                                              "m < b",
                                              "a <> m" };
    static const char *const joints[] = { " and ", " or ", " AND not " };
    buf_put_string (out, PICK (random, conditions));
    while (random_chance (random, 0.3)) {
        buf_put_string (out, PICK (random, joints));
        buf_put_string (out, PICK (random, conditions));
    }
}

/* Is its value a number? */
static bool put_aggregate (random_t *random, buf_t *out)
{
    static const char *const of_numbers[] = { "sum",    "mean",       "variance", "variance_pop",
                                              "stddev", "stddev_pop", "min",      "max" };
    static const char *const of_all[] = { "count", "min",  "max",
                                          "first", "last", "approx_count_distinct" };
    static const char *const fields[] = { "a", "b", "c", "d", "m", "u", "k" };
    static const char *const others[] = { "covariance(a, b + 1)",  "approx_quantile(a, 0.9)",
                                          "decayed_sum(b, 2h)",    "decayed_count(30m)",
                                          "correlation(b, b % 3)", "interarrival_mean()" };
    if (random_chance (random, 0.1)) {
        buf_put_string (out, PICK (random, others));
        return true;
    }
    if (random_chance (random, 0.2)) {
        buf_put_string (out, "count()");
        return true;
    }
    if (random_chance (random, 0.5)) {
        buf_printf (out, "%s(", PICK (random, of_numbers));
        put_number (random, out);
        buf_put_string (out, ")");
        return true;
    }
    buf_printf (out, "%s( %s )", PICK (random, of_all), PICK (random, fields));
    return false;
}

static void put_windows (random_t *random, buf_t *out)
{
    static const char *const windows[] = {
        "1s", "60s", "1m",  "1h",       "24h",    "1d",
        "7d", "1w",  "30d", "lifetime", "3 rows", "20 ROWS in 7d"
    };
    enum { WINDOWS = sizeof windows / sizeof *windows };
    size_t count = random_below (random, 4);
    size_t first = random_below (random, WINDOWS);
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "%s%s", i == 0 ? " over " : " ,", windows[(first + 3 * i) % WINDOWS]);
}

static void put_key (random_t *random, buf_t *out)
{
    static const char *const keys[] = { "c", "d", "b % 3", "coalesce(c, 'none')", "u" };
    buf_printf (out, " by %s", PICK (random, keys));
}

static void put_feature (random_t *random, size_t index, buf_t *out)
{
    bool is_long = random_chance (random, 0.2);
    bool quoted = random_chance (random, 0.3);
    buf_printf (out, "      f%zu:%s%s", index, is_long ? "\n        expr: " : " ",
                quoted ? "\"" : "");
    bool is_number = put_aggregate (random, out);
    if (random_chance (random, 0.4)) {
        buf_put_string (out, " where ");
        put_condition (random, out);
    }
    bool has_by = random_chance (random, 0.2);
    if (has_by)
        put_key (random, out);
    put_windows (random, out);
    if (random_chance (random, 0.2))
        buf_put_string (out, random_chance (random, 0.5) ? " delay 1d" : " Delay 60m");
    bool has_default = is_number && !has_by && random_chance (random, 0.3);
    if (has_default)
        buf_put_string (out, random_chance (random, 0.5) ? " DEFAULT 0" : " default -3");
    buf_put_string (out, quoted ? "\"\n" : "\n");
    if (!is_long)
        return;
    buf_put_string (out, "        description: 'x: #1'\n");
    if (is_number && !has_by && !has_default)
        buf_put_string (out, "        default: 7\n");
    if (random_chance (random, 0.5))
        buf_put_string (out, "        owner: \"team 'a'\"\n        tags: [x, \"#1\", y z]\n");
}

static void put_derived (random_t *random, buf_t *out)
{
    static const char *const derived[] = {
        "      g0: fixed_1h / (g1 + 1)\n",
        "      g1: coalesce(r, 2.5)\n",
        "      g2: {expr: \"s\", description: no, default: 'it''s'}\n",
        "      g3: g0 > 0.1 and q\n",
        "      g4:\n        expr: now\n        default: time '2026-01-02'\n",
    };
    buf_put_string (out, "      fixed: count() over 1h\n    derived:\n");
    for (size_t i = 0; i < sizeof derived / sizeof *derived; i++)
        buf_put_string (out, derived[i]);
    buf_put_string (out, "    request:\n      r: float64\n      s: string\n      q: bool\n");
    if (random_chance (random, 0.5))
        buf_put_string (out, "      at: {type: timestamp, unit: s, zone: Asia/Tokyo}\n");
}

void generate_definitions (random_t *random, bool keyed, buf_t *out)
{
    buf_printf (out, "streams:\n  s:\n    key: %s\n    time: t\n    fields:\n", keyed ? "k" : "[]");
    buf_put_string (out, "      k: string\n      a: float64\n      b: int64\n"
                         "      c: {type: string, alias: [former, 'x: #1']}\n"
                         "      d: bool\n      m: decimal(12,2)\n      t: timestamp\n"
                         "      u: {type: timestamp, unit: s}\n");
    buf_put_string (out, "views:\n  v:\n    from: s\n");
    if (random_chance (random, 0.5)) {
        buf_put_string (out, "    where: ");
        put_condition (random, out);
        buf_put_u8 (out, '\n');
    }
    buf_put_string (out, "    features:\n");
    size_t count = 1 + random_below (random, 8);
    for (size_t i = 0; i < count; i++)
        put_feature (random, i, out);
    if (random_chance (random, 0.5))
        put_derived (random, out);
}

static value_t random_value (random_t *random, type_t type, int64_t time)
{
    static const char *const words[] = { "x", "y", "it's", "" };
    value_t value = { .type = type };
    if (type == TYPE_FLOAT64)
        value.f = value_float ((random_unit (random) - 0.3) * 4);
    else if (type_is_decimal (type))
        value.d = (int64_t)random_below (random, 500) - 100;
    else if (type == TYPE_STRING)
        value.s = text_of (PICK (random, words));
    else if (type == TYPE_TIMESTAMP)
        value.i = time;
    else
        value.i = (int64_t)random_below (random, type == TYPE_BOOL ? 2 : 5);
    return value;
}

static text_t key_of_row (const stream_t *stream, const batch_t *batch, size_t row, arena_t *arena)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    (void)stream_key (stream, batch, row, &key);
    text_t text = arena_text (arena, (text_t){ (const char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return text;
}

batch_t generate_batch (random_t *random, const stream_t *stream, size_t rows, arena_t *arena)
{
    type_t types[FIELDS_MAX];
    for (size_t i = 0; i < stream->fields_count; i++)
        types[i] = stream->fields[i].type;
    batch_t batch = batch_new (arena, types, stream->fields_count, rows);
    for (size_t r = 0; r < rows; r++) {
        /* whole hours now and then, so that windows' edges are hit */
        int64_t time = random_chance (random, 0.5)
                           ? (int64_t)random_below (random, 2400) * TIME_HOUR
                           : (int64_t)random_below (random, (uint64_t)GENERATE_TIME_MAX);
        for (size_t c = 0; c < stream->fields_count; c++) {
            value_t value = random_value (random, types[c], time);
            if (c == stream->time || !random_chance (random, 0.15))
                column_set (&batch.column[c], r, &value);
        }
        batch.event_time[r] = time;
        batch.offset[r] = r / 3;
        batch.row[r] = (uint32_t)(r % 3);
        batch.key[r] = key_of_row (stream, &batch, r, arena);
    }
    return batch;
}
