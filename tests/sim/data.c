#include "tests/sim/data.h"

#include "tests/sim/service.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 40, TEXT_SIZE_MAX = 64 << 10 };

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
    const char *ttl;                 /* NULL: none */
    const char *features[LINES_MAX]; /* "name: agg(field) [where ...] over window, ..." */
    const char *later[LINES_MAX];    /* those of step `later_step` */
    unsigned later_step;
    unsigned step;     /* in which the view itself comes; 0: it is there from the start */
    unsigned until;    /* from which on files do not define it any more, but the cluster has it */
    const char *asked; /* how it is asked for; NULL: by its name */
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
      .ttl = "30s",
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
      .ttl = "70s",
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
    [DATA_CHANGES] = { .name = "changes",
                       .asked = "changes@v1",
                       .log = 0,
                       .key = "user",
                       .where = "amount > 20",
                       .horizon = "2m",
                       .features = { "n: count() over 5s, 1m, 1h, lifetime",
                                     "total: sum(amount) over 1m, lifetime",
                                     "late: last(shop) over 1m, lifetime" },
                       .until = STEP_MEANING },
    [DATA_CHANGES + 1] = { .name = "changes",
                           .asked = "changes@v2",
                           .log = 0,
                           .key = "user",
                           .where = "amount <= 20",
                           .horizon = "1m",
                           .features = { "n: count() over 5s, 1m, 1h, lifetime",
                                         "total: sum(amount) over 1m, lifetime",
                                         "late: first(shop) over 1m, lifetime" },
                           .step = STEP_MEANING },
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
        if (!data_has_view (v, steps) || (steps & view->until))
            continue;
        const char *from = view->other                   ? "[pay, tick]"
                           : logs[view->log].stream == 0 ? "pay"
                                                         : "tick";
        buf_printf (out, "  %s:\n    from: %s\n    key: %s\n    horizon: %s\n", view->name, from,
                    view->key, view->horizon);
        if (view->ttl)
            buf_printf (out, "    ttl: %s\n", view->ttl);
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
    service_define (out);
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
static void check_names (sim_data_t *self, size_t v)
{
    const view_t *view = definitions_view (self->definitions, text_of (views[v].name));
    CHECK (view != NULL);
    CHECK (view->features_count == self->view[v]->features_count);
    self->view_ttl[v] = view->ttl;
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
        self->view_name[v] = views[v].asked ? views[v].asked : views[v].name;
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
