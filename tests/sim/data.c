#include "tests/sim/data.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    USERS = 8,
    SHOPS = 6, /* and one without a name */
    TICK_NUMBERS = 3,
    TICK_WORDS = 3,
    LINES_MAX = 40,
    TEXT_SIZE_MAX = 64 << 10
};

static const char tick_text[] = "  tick:\n"
                                "    key: [a, user]\n"
                                "    time: at\n"
                                "    fields:\n"
                                "      a: int64\n"
                                "      user: string\n"
                                "      amount: float64\n"
                                "      at: timestamp\n"
                                "views:\n";

#define CHANNEL_TEXT "      channel: string\n"

enum {
    PAY_N = 2,
    PAY_TAG = 3,
    PAY_FLAG = 4,
    PAY_SHOP = 6,
    PAY_CHANNEL = 8
}; /* places of a row's values */

static void put_streams (unsigned steps, bool channel_last, buf_t *out)
{
    bool channel = steps & STEP_FIELD;
    buf_put_string (out, "streams:\n  pay:\n    key: user\n    time: ts\n    fields:\n");
    buf_put_string (out, channel && !channel_last ? CHANNEL_TEXT : "");
    buf_put_string (out, "      user: {type: string, required: true}\n      amount: float64\n");
    buf_put_string (out, steps & STEP_WIDEN ? "      n: float64\n" : "      n: int64\n");
    buf_put_string (out, steps & STEP_RENAME ? "      label: {type: string, alias: tag}\n"
                                             : "      tag: string\n");
    buf_put_string (out, "      flag: bool\n      paid: decimal(30,4)\n      shop: string\n"
                         "      ts: {type: timestamp, unit: us}\n");
    buf_put_string (out, channel && channel_last ? CHANNEL_TEXT : "");
    buf_put_string (out, tick_text);
}

/* The same streams as the oracle's programs write them. */
static const char *const stream_fields[DATA_STREAMS] = {
    "user:string,amount:float64,n:int64,tag:string,flag:bool,paid:decimal(30,4),shop:string,"
    "ts:timestamp.us,channel:string",
    "a:int64,user:string,amount:float64,at:timestamp",
};
static const char widened_fields[] =
    "user:string,amount:float64,n:float64,tag:string,flag:bool,paid:decimal(30,4),shop:string,"
    "ts:timestamp.us,channel:string";

static const struct {
    const char *name;
    size_t stream;
} logs[DATA_LOGS] = {
    { "pay/user", 0 }, { "tick/a,user", 1 }, { "pay/shop", 0 },  { "pay/shop,user", 0 },
    { "tick/_", 1 },   { "pay/flag", 0 },    { "tick/user", 1 },
};

typedef struct view_text {
    const char *name;
    size_t log;
    size_t other; /* the log of its second stream; 0: it has none */
    const char *key;
    const char *where; /* NULL: none */
    const char *horizon;
    const char *features[LINES_MAX]; /* "name: agg(field) [where ...] over window, ..." */
    const char *later[LINES_MAX];    /* those of step `later_step` */
    unsigned later_step;
    unsigned step; /* in which the view itself comes; 0: it is there from the start */
} view_text_t;

static const view_text_t views[DATA_VIEWS] = {
    { .name = "spend",
      .log = 0,
      .key = "user",
      .where = "tag is distinct from 'void'",
      .horizon = "2m",
      .features = { "n: count() over 5s, 1m, 1h, lifetime",
                    "total: sum(amount) over 1m, 1h, lifetime", "average: mean(amount) over 1h",
                    "spread: stddev(amount) over 1m, lifetime",
                    "late: last(amount) over 1m, lifetime",
                    "before: sum(amount) over 5s, 1m, lifetime delay 30s",
                    "early: first(tag) over 1m, 1h delay 1h",
                    "newest: mean(amount) over 3 rows, 2 rows in 1m",
                    "kept: count() where amount > 50 over 5 rows in 1h delay 10s",
                    "big: count() where amount > 50 over 1h, 1w" },
      .later = { "low: min(amount) over 1m, 1d, lifetime" },
      .later_step = STEP_FEATURE },
    { .name = "counts",
      .log = 0,
      .key = "user",
      .horizon = "1d",
      .features = { "total: sum(n) over 10s, 1d, lifetime",
                    "least: min(n) over 1m, lifetime",
                    "most: max(amount) over 1h",
                    "one: first(tag) over 1h, lifetime",
                    "tags: approx_count_distinct(tag) over 1m, 1w, lifetime",
                    "wide: variance_pop(n) where n >= 0 over 1h",
                    "flagged: last(flag) over 1d",
                    "seen: max(ts) over lifetime",
                    "skewed: skew(amount) over 1m, 1h",
                    "tails: kurtosis(n) over 1h, lifetime",
                    "trend: slope(amount) over 1h",
                    "between: range(amount) over 1m, lifetime",
                    "ever: any(flag) over 1m",
                    "always: all(flag) over 1h",
                    "often: rate() over 1m",
                    "middle: approx_median(amount) over 1m, lifetime",
                    "together: covariance(n, amount) over 1m, lifetime",
                    "alike: correlation(amount, n) over 1h",
                    "high: approx_quantile(amount, 0.9) over 1h, lifetime",
                    "fading: decayed_sum(amount, 30s) over 1h, lifetime",
                    "recent: decayed_mean(n, 1m) over lifetime",
                    "weight: decayed_count(10s) over 1m, lifetime",
                    "since: age() over 1h, lifetime",
                    "gap: interarrival_mean() over 1m, lifetime",
                    "jitter: interarrival_stddev() over 1h, lifetime",
                    "by_flag: sum(amount) by flag over 1h, lifetime",
                    "few: mean(amount) over 5 rows",
                    "newest: last_k(amount, 3) over 1m, lifetime",
                    "visits: session_count(2s) over 1h, lifetime",
                    "flags: histogram(flag) over 1d",
                    "kinds: count_distinct(amount) over 1h",
                    "paid: sum(paid) over 1m, 1h, lifetime",
                    "price: mean(paid) where paid > 1.5 over 1h, lifetime",
                    "dear: max(paid) over 1m, 1d",
                    "swing: stddev(paid) over 1h",
                    "spread: range(paid) over 1h",
                    "prices: sum(n) by paid over 1m",
                    "dearest: max_k(paid, 3) over 1h" },
      .later = { "channel: last(channel) over 1m, lifetime",
                 "channels: approx_count_distinct(channel) over 1d",
                 "unknown: count() where channel is null over 1h, lifetime" },
      .later_step = STEP_FIELD },
    { .name = "ticks",
      .log = 1,
      .key = "[a, user]",
      .horizon = "1m",
      .features = { "n: count(amount) over 10s, 1m, lifetime", "v: sum(amount) over 30s, 1d",
                    "low: min(amount) over 1m, lifetime", "word: last(user) over lifetime",
                    "past: approx_count_distinct(amount) over 10s, 1m delay 1m",
                    "by_v: count() by amount over 1m, lifetime",
                    "few: sum(amount) by amount over 7 rows", "high: max_k(amount, 2) over 30s" } },
    { .name = "by_shop",
      .log = 2,
      .key = "shop",
      .where = "amount is not null",
      .horizon = "2m",
      .features = { "n: count() over 5s, 1m, lifetime", "total: sum(amount) over 1m, 1h, lifetime",
                    "late: last(user) over 1h, lifetime",
                    "users: approx_count_distinct(user) over 1m, lifetime" } },
    { .name = "pairs",
      .log = 3,
      .key = "[shop, user]",
      .horizon = "1h",
      .features = { "n: count() over 10s, 1h, lifetime", "total: sum(n) over 1m, lifetime",
                    "one: first(amount) over 1d" } },
    { .name = "all_ticks",
      .log = 4,
      .key = "[]",
      .horizon = "5m",
      .features = { "n: count() over 5s, 1m, lifetime", "v: sum(amount) over 1m, lifetime",
                    "most: max(a) over 1h, lifetime" } },
    { .name = "both",
      .log = 0,
      .other = 6,
      .key = "user",
      .where = "amount is not null",
      .horizon = "2m",
      .features = { "n: count() over 5s, 1m, 1h, lifetime", "total: sum(amount) over 1m, lifetime",
                    "late: last(amount) over 1m, lifetime", "early: first(amount) over 1h",
                    "few: sum(amount) over 3 rows, 5 rows in 1h",
                    "newest: last_k(amount, 4) over 1h, lifetime",
                    "before: count() where amount > 0 over 1m, lifetime delay 10s",
                    "kinds: approx_count_distinct(amount) over 1m, lifetime",
                    "spread: stddev(amount) over 1h", "gap: interarrival_mean() over 1m, lifetime",
                    "visits: session_count(2s) over 1h",
                    "by_sign: sum(amount) by user over 1h, lifetime" } },
    { .name = "afterwards",
      .log = 0,
      .key = "user",
      .where = "n is not null",
      .horizon = "5m",
      .features = { "n: count() over 1m, lifetime", "total: sum(amount) where n > 2 over 1h",
                    "tag: max(tag) over 1d" },
      .step = STEP_VIEW },
    { .name = "by_flag",
      .log = 5,
      .key = "flag",
      .where = "amount is not null",
      .horizon = "3m",
      .features = { "n: count() over 10s, 1h, lifetime", "total: sum(amount) over 1m, lifetime",
                    "late: last(user) over 1m, lifetime", "one: first(shop) over 1d, lifetime" },
      .step = STEP_KEY },
};

/* The text with what the field `tag` is called now. */
static void put_named (const char *text, unsigned steps, buf_t *out)
{
    static const char *const places[] = { "(tag)", "tag is " };
    while (*text) {
        size_t p = 0;
        while (p < 2 && strncmp (text, places[p], strlen (places[p])) != 0)
            p++;
        if (p == 2 || !(steps & STEP_RENAME)) {
            buf_put_u8 (out, (uint8_t)*text++);
            continue;
        }
        buf_put_string (out, p == 0 ? "(label)" : "label is ");
        text += strlen (places[p]);
    }
}

static void put_features (const char *const *lines, unsigned steps, buf_t *out)
{
    for (size_t i = 0; lines[i]; i++) {
        buf_put_string (out, "      ");
        put_named (lines[i], steps, out);
        buf_put_u8 (out, '\n');
    }
}

bool data_has_view (size_t view, unsigned steps)
{
    return (steps & views[view].step) == views[view].step;
}

static void put_definitions (unsigned steps, bool channel_last, buf_t *out)
{
    put_streams (steps, channel_last, out);
    for (size_t v = 0; v < DATA_VIEWS; v++) {
        const view_text_t *view = &views[v];
        if (!data_has_view (v, steps))
            continue;
        const char *from = view->other                   ? "[pay, tick]"
                           : logs[view->log].stream == 0 ? "pay"
                                                         : "tick";
        buf_printf (out, "  %s:\n    from: %s\n    key: %s\n    horizon: %s\n", view->name, from,
                    view->key, view->horizon);
        if (view->where) {
            buf_put_string (out, "    where: ");
            put_named (view->where, steps, out);
            buf_put_u8 (out, '\n');
        }
        buf_put_string (out, "    features:\n");
        put_features (view->features, steps, out);
        if (steps & view->later_step)
            put_features (view->later, steps, out);
    }
    CHECK (!out->bad);
}

void data_definitions (unsigned steps, buf_t *out)
{
    put_definitions (steps, false, out);
}

static size_t count_windows (const char *const *lines)
{
    size_t count = 0;
    for (size_t i = 0; lines[i]; i++) {
        count++;
        for (const char *at = strstr (lines[i], " over "); *at; at++)
            count += *at == ',';
    }
    return count;
}

size_t data_features (const sim_data_t *self, size_t view, unsigned steps)
{
    size_t later = count_windows (views[view].later);
    return self->view[view]->features_count - (steps & views[view].later_step ? 0 : later);
}

unsigned data_some_steps (const sim_data_t *self, sim_t *sim)
{
    return sim_chance (sim, 0.8) ? self->usable & (unsigned)sim_chosen (sim, 0, STEPS_ALL)
                                 : self->usable;
}

/* Appends what a window adds to a feature's name: "5s", "3rows", "3rows_1m". */
static void put_suffix (const char *window, int size, buf_t *out)
{
    const char *rows = memmem (window, (size_t)size, " rows", strlen (" rows"));
    if (rows == NULL) {
        buf_printf (out, "%.*s", size, window);
        return;
    }
    const char *in = memmem (window, (size_t)size, " in ", strlen (" in "));
    buf_printf (out, "%.*srows", (int)(rows - window), window);
    if (in != NULL)
        buf_printf (out, "_%.*s", (int)(window + size - in) - 4, in + 4);
}

/* "n: count() over 5s, 1m delay 1h" becomes "n_5s_delay1h: count() over 5s delay 1h" and so on. */
static void ask_each_window (sim_data_t *self, question_t *question, const char *line)
{
    const char *windows = strstr (line, " over ");
    const char *delay = strstr (line, " delay ");
    const char *end = delay != NULL ? delay : line + strlen (line);
    int name_size = (int)strcspn (line, ":");
    CHECK (windows != NULL);
    int body_size = (int)(windows - line) - name_size;
    buf_t text;
    buf_init (&text, 4096);
    for (windows += strlen (" over "); windows < end;) {
        int size = (int)strcspn (windows, ",");
        size = size < end - windows ? size : (int)(end - windows);
        buf_clear (&text);
        buf_printf (&text, "%.*s_", name_size, line);
        put_suffix (windows, size, &text);
        if (delay != NULL)
            buf_printf (&text, "_delay%s", delay + strlen (" delay "));
        buf_printf (&text, "%.*s over %.*s%s", body_size, line + name_size, size, windows, end);
        error_t error;
        text_t asked = text_of (arena_string (self->arena, text_of (buf_string (&text))));
        CHECK (question_feature (question, asked, &error) == STATUS_OK);
        windows += size;
        windows += strspn (windows, ", ");
    }
    buf_release (&text);
}

static question_t *question_of (sim_data_t *self, const view_text_t *view, bool widened)
{
    const char *fields = widened && logs[view->log].stream == 0
                             ? widened_fields
                             : stream_fields[logs[view->log].stream];
    error_t error;
    question_t *question = mem_zero (1, sizeof *question);
    status_t status = question_fields (question, text_of (fields), &error);
    if (status == STATUS_OK && view->where)
        status = question_where (question, text_of (view->where), &error);
    CHECK (status == STATUS_OK);
    for (size_t i = 0; view->features[i]; i++)
        ask_each_window (self, question, view->features[i]);
    for (size_t i = 0; view->later[i]; i++)
        ask_each_window (self, question, view->later[i]);
    return question;
}

/* The oracle must be asked for the very features that the product has. */
static void check_names (const sim_data_t *self, size_t v)
{
    const view_t *view = definitions_view (self->definitions, text_of (self->view_name[v]));
    CHECK (view != NULL);
    CHECK (view->features_count == self->view[v]->features_count);
    for (size_t i = 0; i < view->features_count; i++)
        CHECK (text_is (self->view[v]->names[i], view->features[i].name));
}

sim_data_t *data_new (void)
{
    sim_data_t *self = mem_zero (1, sizeof *self);
    self->arena = arena_new (4096);
    buf_t text;
    buf_init (&text, TEXT_SIZE_MAX);
    put_definitions (STEPS_ALL, true, &text);
    definition_file_t file = { "sim.yaml", { (char *)text.data, (uint32_t)text.size } };
    error_t error;
    status_t status = definitions_read (&file, 1, &self->definitions, &error);
    if (status != STATUS_OK)
        fprintf (stderr, "%s\n", error.text);
    CHECK (status == STATUS_OK);
    buf_release (&text);
    self->stream[0] = definitions_stream (self->definitions, text_of ("pay"));
    self->stream[1] = definitions_stream (self->definitions, text_of ("tick"));
    for (size_t l = 0; l < DATA_LOGS; l++) {
        bool found = keyed_log_find (self->definitions, text_of (logs[l].name), &self->log[l]);
        CHECK (found);
        CHECK (self->log[l].primary == (l < DATA_STREAMS));
        self->log_stream[l] = logs[l].stream;
    }
    for (size_t v = 0; v < DATA_VIEWS; v++) {
        self->view_name[v] = views[v].name;
        self->view_log[v] = self->view_logs[v][0] = views[v].log;
        self->view_logs[v][1] = views[v].other;
        self->view_sources[v] = views[v].other ? 2 : 1;
        self->view[v] = question_of (self, &views[v], false);
        self->widened[v] = question_of (self, &views[v], true);
        check_names (self, v);
    }
    return self;
}

void data_destroy (sim_data_t **self_p)
{
    sim_data_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t v = 0; v < DATA_VIEWS; v++) {
        mem_free (self->view[v]);
        mem_free (self->widened[v]);
    }
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
    mem_free (self);
}

/* ---- keys ---- */

static value_t text_value (arena_t *arena, const char *format, unsigned number)
{
    char *text = mem_format (format, number);
    value_t value = { .type = TYPE_STRING, .s = arena_text (arena, text_of (text)) };
    mem_free (text);
    return value;
}

/* False, and empty, when a field of it is null. */
static bool encode_key (const keyed_log_t *log, const value_t *values, arena_t *arena, text_t *out)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    bool whole = true;
    for (size_t i = 0; i < log->key_count; i++) {
        whole = whole && !values[log->key[i]].null;
        if (whole)
            key_put (&key, &values[log->key[i]]);
    }
    if (!whole)
        buf_clear (&key);
    *out = arena_text (arena, (text_t){ (char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return whole;
}

static size_t keys_count (size_t log)
{
    static const size_t counts[DATA_LOGS] = {
        USERS, TICK_NUMBERS * TICK_WORDS, SHOPS + 1, (SHOPS + 1) * 2, 1, 2, TICK_WORDS
    };
    return counts[log];
}

static value_t shop_value (arena_t *arena, size_t i)
{
    if (i < SHOPS)
        return text_value (arena, "s-%u", (unsigned)i);
    return (value_t){ .type = TYPE_STRING, .s = text_of ("") };
}

bool data_key_at (const sim_data_t *self, size_t log, size_t i, arena_t *arena, value_t *values,
                  text_t *key)
{
    if (i >= keys_count (log))
        return false;
    if (log == 1) {
        values[0] = (value_t){ .type = TYPE_INT64, .i = (int64_t)(i / TICK_WORDS) - 1 };
        values[1] = text_value (arena, "user-%u", (unsigned)(i % TICK_WORDS));
    } else if (log == 6) {
        values[1] = text_value (arena, "user-%u", (unsigned)i);
    } else if (log == 5) {
        values[PAY_FLAG] = (value_t){ .type = TYPE_BOOL, .i = (int64_t)i };
    } else if (log != 4) {
        values[0] = text_value (arena, "user-%u", (unsigned)(log == 3 ? i / (SHOPS + 1) : i));
        if (log != 0)
            values[PAY_SHOP] = shop_value (arena, i % (SHOPS + 1));
    }
    return encode_key (&self->log[log], values, arena, key);
}

void data_key (const sim_data_t *self, sim_t *sim, size_t log, arena_t *arena, value_t *values,
               text_t *key)
{
    size_t i = sim_chosen (sim, 0, keys_count (log) - 1);
    bool there = data_key_at (self, log, i, arena, values, key);
    CHECK (there);
}

/* ---- rows ---- */

static double wild_float (sim_t *sim)
{
    static const double wild[] = { NAN,     INFINITY, -INFINITY, 0.0, 5e-324, -5e-324,
                                   1.7e308, -1.7e308, 1e16,      1.0, -1e16,  1e-300 };
    return wild[sim_chosen (sim, 0, sizeof wild / sizeof *wild - 1)];
}

static double some_float (sim_t *sim)
{
    if (sim_knobs (sim)->wild_floats && sim_chance (sim, 0.1))
        return wild_float (sim);
    if (sim_chance (sim, 0.5))
        return (double)sim_chosen (sim, 0, 20000) / 100.0 - 50.0;
    return ldexp ((double)sim_chosen (sim, 0, UINT64_C (1) << 52),
                  (int)sim_chosen (sim, 0, 80) - 90);
}

static value_t some_value (sim_t *sim, type_t type, arena_t *arena)
{
    value_t value = { .type = type };
    if (sim_chance (sim, 0.1)) {
        value.null = true;
        return value;
    }
    switch (type_family (type)) {
    case TYPE_FLOAT64:
        value.f = value_float (some_float (sim));
        break;
    case TYPE_INT64:
        value.i = (int64_t)sim_chosen (sim, 0, 20) - 5;
        if (sim_chance (sim, 0.01))
            value.i = sim_chance (sim, 0.5) ? INT64_MAX : INT64_MIN;
        break;
    case TYPE_BOOL:
        value.i = sim_chance (sim, 0.5);
        break;
    case TYPE_DECIMAL:
        value.d = (int64_t)sim_chosen (sim, 0, 200000) - 50000;
        if (sim_chance (sim, 0.05))
            value.d *= INT64_C (1000000000000000000);
        break;
    default:
        if (sim_chance (sim, 0.1))
            value.s = text_of (sim_chance (sim, 0.5) ? "void" : "");
        else
            value = text_value (arena, "t-%u", (unsigned)sim_chosen (sim, 0, 200));
    }
    return value;
}

/* Mostly now, sometimes late, and now and then a little ahead. */
static int64_t some_time (sim_t *sim, int64_t wall)
{
    int64_t ago;
    switch (sim_chosen (sim, 0, 9)) {
    case 0:
        ago = (int64_t)sim_chosen (sim, 0, 30 * (uint64_t)TIME_DAY);
        break;
    case 1:
        ago = (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)TIME_HOUR);
        break;
    case 2:
        ago = -(int64_t)sim_chosen (sim, 0, 4 * (uint64_t)TIME_MINUTE);
        break;
    case 3:
        ago = 7 * TIME_SECOND; /* some at the very same time */
        wall -= wall % TIME_SECOND;
        break;
    default:
        ago = (int64_t)sim_chosen (sim, 0, 5 * (uint64_t)TIME_SECOND);
    }
    return wall - ago;
}

/* The type of what a sender gives for a field. */
static type_t given_type (const sim_data_t *self, sim_t *sim, size_t stream, unsigned used,
                          size_t field)
{
    if (stream == 0 && field == PAY_N)
        return used & STEP_WIDEN && sim_chance (sim, 0.5) ? TYPE_FLOAT64 : TYPE_INT64;
    return self->stream[stream]->fields[field].type;
}

value_t data_widened (const sim_data_t *self, size_t stream, size_t field, const value_t *value)
{
    if (value->type != TYPE_INT64 || self->stream[stream]->fields[field].type != TYPE_FLOAT64)
        return *value;
    value_t widened = { .type = TYPE_FLOAT64, .null = value->null };
    if (!value->null)
        widened.f = (double)value->i;
    return widened;
}

void data_row (const sim_data_t *self, sim_t *sim, size_t stream, unsigned used, int64_t wall,
               bool good, arena_t *arena, sim_row_t *row)
{
    const stream_t *definition = self->stream[stream];
    *row = (sim_row_t){ .class = ROW_GOOD };
    if (!good && sim_chance (sim, 0.1))
        row->class = (row_class_t)sim_chosen (sim, 1, ROW_CLASSES - 1);
    for (size_t i = 0; i < definition->fields_count; i++)
        row->values[i] = some_value (sim, given_type (self, sim, stream, used, i), arena);
    if (stream == 0 && !(used & STEP_FIELD))
        row->values[PAY_CHANNEL] = (value_t){ .type = TYPE_STRING, .null = true };
    if (stream == 0 && !row->values[PAY_SHOP].null)
        row->values[PAY_SHOP] = shop_value (arena, sim_chosen (sim, 0, SHOPS));
    text_t key;
    data_key (self, sim, stream, arena, row->values, &key); /* of the stream's own log */
    if (stream == 1 && sim_chance (sim, 0.03))              /* accepted, and of no entity */
        row->values[1] = (value_t){ .type = TYPE_STRING, .null = true };
    if (row->class == ROW_NO_KEY && stream == 1)
        row->class = ROW_GOOD;
    if (row->class == ROW_NO_KEY)
        row->values[0] = (value_t){ .type = TYPE_STRING, .null = true };
    row->time = row->class == ROW_AHEAD ? wall + TIME_HOUR : some_time (sim, wall);
    if (stream == 1)
        row->time -= row->time % TIME_MS;
    row->values[definition->time] = (value_t){ .type = TYPE_TIMESTAMP, .i = row->time };
    for (size_t l = 0; l < DATA_LOGS; l++) {
        if (self->log_stream[l] != stream)
            continue;
        row->in[l] =
            encode_key (&self->log[l], row->values, arena, &row->key[l]) || self->log[l].primary;
        row->partition[l] = key_partition (key_hash (row->key[l]), SIM_PARTITIONS);
    }
}

static size_t number_field (size_t stream)
{
    return stream == 0 ? 1 : 2;
}

const char *data_column (const sim_data_t *self, size_t stream, unsigned used, size_t field)
{
    if (stream == 0 && field == PAY_CHANNEL && !(used & STEP_FIELD))
        return NULL;
    if (stream == 0 && field == PAY_TAG)
        return used & STEP_RENAME ? "label" : "tag";
    return self->stream[stream]->fields[field].column;
}

void data_write_row (const sim_data_t *self, size_t stream, unsigned used, const sim_row_t *row,
                     wire_writer_t *writer)
{
    const stream_t *definition = self->stream[stream];
    wire_open_list (writer);
    for (size_t i = 0; i < definition->fields_count; i++) {
        const value_t *value = &row->values[i];
        if (!data_column (self, stream, used, i))
            continue;
        if (row->class == ROW_NO_NUMBER && i == number_field (stream))
            wire_put_string (writer, "twelve");
        else if (row->class == ROW_NO_TIME && i == definition->time)
            wire_put_nil (writer);
        else if (i == definition->time)
            wire_put_int (writer, stream == 0 ? value->i : value->i / TIME_MS);
        else
            wire_put_value (writer, value);
    }
    wire_close (writer);
}

void data_write_header (const sim_data_t *self, size_t stream, unsigned used, buf_t *out)
{
    const stream_t *definition = self->stream[stream];
    for (size_t i = 0; i < definition->fields_count; i++) {
        const char *column = data_column (self, stream, used, i);
        if (column)
            buf_printf (out, "%s%s", i ? "," : "", column);
    }
    buf_put_u8 (out, '\n');
}

void data_write_csv (const sim_data_t *self, size_t stream, unsigned used, const sim_row_t *row,
                     buf_t *out)
{
    const stream_t *definition = self->stream[stream];
    for (size_t i = 0; i < definition->fields_count; i++) {
        const value_t *value = &row->values[i];
        if (!data_column (self, stream, used, i))
            continue;
        if (i)
            buf_put_u8 (out, ',');
        if (value->null)
            continue;
        if (value->type == TYPE_STRING)
            buf_printf (out, "\"" TEXT_FORMAT "\"", TEXT_ARGS (value->s));
        else if (value->type == TYPE_FLOAT64)
            number_format_float (out, value->f);
        else if (value->type == TYPE_BOOL)
            buf_put_string (out, value->i ? "true" : "false");
        else if (type_is_decimal (value->type))
            decimal_format (out, value->d, type_scale (value->type));
        else
            buf_printf (out, "%lld",
                        (long long)(value->type == TYPE_TIMESTAMP && stream == 1
                                        ? value->i / TIME_MS
                                        : value->i));
    }
    buf_put_u8 (out, '\n');
}
