/* What users write: definitions, projects, expressions, CSV, NDJSON. */
#include "tests/fuzz/driver/seeds.h"

#include "base/check.h"
#include "feature/definition.h"
#include "feature/project.h"

#include <stdio.h>
#include <string.h>

/* The first byte says what the rest is. */
static void write_text (const char *name, uint8_t first, const char *text)
{
    buf_t out;
    buf_init (&out, 1 << 16);
    buf_put_u8 (&out, first);
    buf_put_string (&out, text);
    seed_write (name, out.data, out.size);
    buf_release (&out);
}

static const char *const definition_files[] = {
    "streams:\n  payments:\n    key: user_id\n    time: ts\n    fields:\n"
    "      user_id: {type: string, required: true}\n      merchant: string\n"
    "      amount: float64\n      status: string\n"
    "      ts: {type: timestamp, unit: ms, zone: Europe/Berlin}\n"
    "views:\n  user_spend:\n    from: payments\n    key: user_id\n"
    "    where: status is distinct from 'declined'\n    horizon: 2d\n    ttl: 9d\n    features:\n"
    "      txn_count: count() over 1h, 24h, 7d, lifetime\n"
    "      spend: sum(amount) over 1h, 7d\n"
    "      merchants: approx_count_distinct(merchant) over 7d\n"
    "      refunds: count() where amount < 0 over 7d\n"
    "      last_seen:\n        expr: last(ts)\n        description: when it was\n",
    "streams:\n  ticks: {key: [], time: t, unknown: ignore, fields: {t: timestamp, p: float64}}\n",
    "streams:\n  legs:\n    key: [origin, destination]\n    time: t\n"
    "    fields:\n      origin: {type: string, column: ORIGIN}\n      destination: string\n"
    "      late: bool\n      fare: decimal(12,2)\n      t: {type: timestamp, unit: s}\n",
    "# nothing\n{}\n",
    "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, a: float64, b: int64, t: "
    "timestamp}\nviews:\n  v:\n    from: s\n    request:\n      r: float64\n      at: {type: "
    "timestamp, unit: s}\n    features:\n      n: count() over 1h, 7d, 100 rows\n      m: {expr: "
    "sum(a) "
    "by k over 7d delay 1d, owner: x, tags: [y, 'z: z'], description: d}\n      l: {expr: last(k), "
    "default: none}\n    derived:\n      c: b / n_1h\n      b: {expr: r * n_7d, default: 0}\n",
};

static const char service_file[] =
    "streams:\n  t:\n    key: account\n    time: at\n    fields: {account: string, amount: "
    "float64, "
    "at: timestamp}\nviews:\n  spend:\n    from: t\n    features:\n      spent: sum(amount) over "
    "1h, 7d\n      last: last(at)\nservices:\n  m:\n    as_of: before\n    views:\n      of: "
    "{view: spend@v1, key: {account: sender}}\n      to: {view: spend, key: {account: receiver}}\n"
    "    request: {amount: float64}\n    features:\n      - to:spent_7d\n      - {feature: "
    "\"of:spent_1h\", default: 0}\n      - ratio\n    derived:\n      ratio: {expr: amount / "
    "of.spent_7d, default: 1}\n      days: (now - to.last) / 1d\n";

/* What a service has beside its views. */
static const char *const services[] = {
    "    as_of: before\n    request: {r: float64, w: string}\n    features:\n      - one:n_1h\n"
    "      - {feature: \"two:m\", default: 1}\n      - {feature: w, default: none}\n      - "
    "one:each\n      - e\n    derived:\n      e: {expr: f * 2, default: 0}\n      f: one.d / "
    "two.n_7d + r\n      g: k = other\n",
    "    features: [\"two:d\", r, \"one:m\"]\n    request: {r: {type: float64, description: of "
    "it}}\n"
    "    preprocess:\n      r: {impute: 1e3, clip: [-1, 5], scale: {max: 3, min: -1}}\n"
    "      \"two:d\": {scale: {mean: 35, stddev: 10}}\n      one:m: {scale: {median: 0, iqr: "
    "0.5}}\n",
    "    request: {r: float64, w: string, i: int64, b: bool}\n    features: [r, w, i, b, "
    "\"one:m\"]\n"
    "    preprocess:\n      r: {impute: median, clip: [-1, 5], scale: standard}\n      w: {encode: "
    "one_hot, impute: none}\n      i: {encode: ordinal}\n      b: {encode: one_hot}\n"
    "      one:m: {impute: mean, scale: robust}\n",
    "    request: {r: float64, w: string, i: int64, b: bool}\n    features: [r, w, i, b, "
    "\"one:m\"]\n"
    "    preprocess:\n      r: {impute: {median: 2}, scale: {standard: {mean: 1, stddev: 0}}}\n"
    "      w: {encode: {one_hot: [b, '', \"a b\"]}}\n      i: {impute: 3, encode: {ordinal: [3, "
    "-1]}}\n"
    "      b: {encode: {one_hot: [true, false]}}\n      one:m: {scale: {minmax: {min: 2, max: "
    "2}}}\n"
    "    fitted: {on: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, rows: 7}\n",
};

static const char computed_fields[] =
    "streams:\n  s:\n    key: k\n    time: t\n    fields:\n      k: string\n      t: timestamp\n"
    "      cents: {expr: cast(f * 100 as int64), description: whole}\n      f: float64\n"
    "      hour:\n        expr: hour(t, 'Europe/Berlin')\n        alias: h\n"
    "      kind: {expr: \"case when cents > 100 then 'x' else k end\"}\n";

static const char *const projects[] = {
    "cluster: demo\nproject: features\ndata: ./data\npartitions: 4\n"
    "nodes:\n  coordinator: tcp://127.0.0.1:7600\n  serving: [tcp://127.0.0.1:7601]\n"
    "  speed_workers:\n    - tcp://127.0.0.1:7610\n    - ipc:///tmp/w2\n  batch_workers: 2\n"
    "batch: {every: 10m}\nlease: 3s\nmax_ahead: 5m\n"
    "limits: {speed_memory: 1GiB, batch_memory: 512MiB}\ndefinitions: [features/*.yaml, "
    "more.yml]\n",
    "cluster: demo\nnodes: {base_port: 7650}\nbatch: {every: never}\ndata: /var/lib/weir\n",
    "cluster: demo\n",
};

static const char http_project[] =
    "cluster: demo\nsecurity: {keys: keys}\nnodes: {serving: [ipc://a, ipc://b]}\n"
    "http: {serving: ['10.0.0.1:6566', '[2001:db8::1]:80'], certificate: tls/a.crt, private_key: "
    "/a.key, tokens: ./tokens, key: http}\n";

static const char *const features[] = {
    "count() over 1h, 24h",
    "sum(amount) over 7d",
    "mean(a * b) where c over 30d, lifetime",
    "approx_count_distinct(k) over 1w",
    "stddev(coalesce(a, 0.0)) where k in ('x', 'y') over 15m",
    "last(t)",
    "sum(a) where c by k over 7d, 100 rows, 5 rows in 1h delay 7d",
    "covariance(a, b) over 1d default -1.5",
    "approx_quantile(a, 0.95) by b % 3",
    "decayed_count(1h) over 1d delay 30m default 0",
    "max(k) default 'it''s'",
};

static const char *const derived[] = {
    "n_1h / n_7d",
    "e + coalesce(r, m)",
    "(now - time '2026-01-02') / 1d > 3 and s is not null",
    "if(e > 1, r, null)",
};

static const char *const filters[] = {
    "a > 1.5 and not c",
    "k is not null or b % 2 = 0",
    "k is distinct from 'it''s'",
};

static const char *const expressions[] = {
    "i + 1",
    "f * 2.5 - i / 3",
    "not b and (s = 'a' or s is null)",
    "s in ('a', 'it''s', '')",
    "s is distinct from 'declined'",
    "t + 7d > t - d",
    "(t - t) / 1d",
    "case when i > 0 then 'pos' when i = 0 then null else 'neg' end",
    "coalesce(f, i, 0)",
    "abs(-i) % 7",
    "i between -5 and 9223372036854775807",
    "f is not null and f != 1e308",
    "lower(s) like 'a%'",
    "1 + 2 * (3 - 4) / 5",
    "true",
    "null",
    "-9223372036854775808",
    "length(s) + floor(f)",
    "if(f between 0 and 100, round(f, 2), clamp(f, 0, 100))",
    "case s when 'a' then 1 when lower(s) then 2.5 end",
    "cast(substring(s || 'x', 2, 3) as int64) is null or cast(f as string) not like '%\\_%'",
    "hour(t, 'Europe/Berlin') in (8, 9) and not is_weekend(t)",
    "date_trunc('week', t, 'America/Sao_Paulo') + to_unix(t) * 1s",
    "hash_bucket(s, i, 1000) = bucketize(f, -1, 0, 10.5)",
    "pow(abs(f), 0.5) + ln(exp(f)) * atan2(f, pi())",
    "split_part(replace(trim(s, ' x'), 'a', 'bb'), 'b', -1)",
    "greatest(least(i, 3, null), nullif(i, 7), mod(i, 5))",
    "from_unix(cast(s as float64)) - cast('2026-03-29' as timestamp)",
    "m > 10.50 or m <= i or m <> f",
    "m + 0.005 - m * 2 / m",
    "round(m, 1) % 7",
    "coalesce(m, null) in (1, 2.5)",
};

/* Choices: a first byte of 0x80, and others enough to make something of any depth. */
enum { MADE_SEEDS = 16, MADE_SIZE = 96 };

static void write_choices (void)
{
    uint64_t state = 20261125;
    for (int i = 0; i < MADE_SEEDS; i++) {
        uint8_t bytes[1 + MADE_SIZE] = { 0x80 };
        for (int k = 1; k <= MADE_SIZE; k++) {
            state = state * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
            bytes[k] = (uint8_t)(state >> 56);
        }
        seed_write ("expr", bytes, sizeof bytes);
    }
}

static const char *const csv[] = {
    "a,b,t\nx,1.5,1700000000000\n\"quo\"\"ted, one\",-2e10,2023-11-14T22:13:20Z\n",
    "d,a,t\n10.50,x,0\n-1e2,x,0\n0.00001,x,0\n123456789012345678901234567890,x,0\n",
    "t,a,b\r\n2023-11-14,,\r\n1700000000000,\"\",NaN\r\n",
    "a,b,t\n\"two\nlines\",0.1,\"2023-11-14 22:13:20.5\"\n,,\nx,y,z\nx,1,2,3\n\"open",
    "b\n1\n2\n",
    "\xef\xbb\xbf"
    "a,t\n\xc3\xa9,0\n",
};

static const char *const ndjson[] = {
    "{\"a\":\"x\",\"b\":1.5,\"t\":1700000000000}\n{\"t\":\"2023-11-14T22:13:20Z\",\"b\":null}\n",
    "{\"a\":\"\\u00e9\\n\\\\\",\"b\":-1e-5,\"t\":0,\"other\":[1,{\"x\":true}]}\n\n{}\n[1]\n{\"a\":"
    "\n",
    "{\"a\":\"x\",\"t\":0,\"d\":10.50}\n{\"a\":\"x\",\"t\":0,\"d\":\"-0.0001\"}\n"
    "{\"a\":\"x\",\"t\":0,\"d\": 12345678901234567890123.4 , \"e\":[1,\"]\",{}]}\n",
    "{\"a\":\"x\",\"a\":\"y\",\"b\":true,\"t\":9999999999999999999}\r\n",
};

/* Those that ought to be good are. */
static const char union_view[] =
    "streams:\n  a: {key: k, time: t, fields: {k: string, x: float64, n: int64, t: timestamp}}\n"
    "  b: {key: n, time: u, fields: {u: timestamp, n: int64, k: string, x: {expr: n / 2}}}\n"
    "  c: {key: [], time: t, fields: {x: float64, t: timestamp, k: string, n: int64}}\n"
    "views:\n  v:\n    from: [a, b, c]\n    where: x > 1\n    features:\n"
    "      n: count() over 1h, lifetime\n      s: sum(x) by n over 5 rows\n"
    "  w:\n    from: [c, b]\n    key: [n, k]\n    features:\n      l: last_k(k, 3) over 7d\n";

static void check_definitions (const char *text)
{
    definitions_t *definitions = NULL;
    error_t error;
    definition_file_t file = { "f", text_of (text) };
    if (definitions_read (&file, 1, &definitions, &error) != STATUS_OK)
        fprintf (stderr, "a sample is refused: %s\n", error.text);
    CHECK (definitions != NULL);
    definitions_destroy (&definitions);
}

static void check_project (const char *text)
{
    project_t *project = NULL;
    error_t error;
    if (project_parse ("dir", text_of (text), &project, &error) != STATUS_OK)
        fprintf (stderr, "a sample is refused: %s\n", error.text);
    CHECK (project != NULL);
    project_destroy (&project);
}

#define COUNT(array) (sizeof array / sizeof array[0])

static const char *const schemas[] = {
    "next 0\n",
    "next 4\n0 string required k k\n1 int64 nullable a a\n2 bool nullable c c\n3 timestamp time t "
    "t\n",
    "next 900\n899 string nullable c c#899\n0 string nullable k k\n7 float64 nullable aa a\n"
    "3 timestamp time t ts\n5 bool required gone gone\n",
};

/* The first byte says for which reader (tests/fuzz/http.c). */
static const struct {
    uint8_t reader;
    const char *text;
} http[] = {
    { 0, "# who\nreader 0123456789abcdef\nadmin\tfedcba9876543210 \n\nproducer "
         "00112233445566778899\n" },
    { 1, "Bearer 0123456789abcdef" },
    { 2, "{\"push_source_name\":\"payments\",\"df\":{\"user_id\":[\"a\",null],\"amount\":[1.5,2],"
         "\"ts\":[\"2026-01-01T00:00:00Z\",1]},\"to\":\"online\"}" },
    { 4, "{\"features\":[\"spend:n\",\"spend@v2:total_7d\",\"everything:n_all\"],\"entities\":"
         "{\"user_id\":[\"a\",\"b\",3]}}" },
    { 5, "{\"features\":[\"spend:n\",\"pairs:n\",\"pairs:above\"],\"entities\":{\"user_id\":["
         "\"a\"],\"shop\":[1],\"least\":[0.5]},\"full_feature_names\":true,"
         "\"include_feature_view_version_metadata\":true}" },
    { 6,
      "{\"feature_service\":\"model\",\"full_feature_names\":true,\"entities\":{\"buyer_id\":[1],"
      "\"seller_id\":[\"b\"],\"amount\":[2.5]}}" },
    { 7, "{\"features\":[\"everything:n_all\"],\"entities\":{}}" },
};

void seeds_of_texts (void)
{
    for (size_t i = 0; i < COUNT (definition_files); i++) {
        check_definitions (definition_files[i]);
        write_text ("definition", 0, definition_files[i]);
    }
    for (size_t i = 0; i < COUNT (projects); i++) {
        check_project (projects[i]);
        write_text ("definition", 1, projects[i]);
    }
    for (size_t i = 0; i < COUNT (features); i++)
        write_text ("definition", 2, features[i]);
    for (size_t i = 0; i < COUNT (filters); i++)
        write_text ("definition", 3, filters[i]);
    check_definitions (computed_fields);
    write_text ("definition", 0, computed_fields);
    for (size_t i = 0; i < COUNT (derived); i++)
        write_text ("definition", 7, derived[i]);
    check_definitions (union_view);
    write_text ("definition", 0, union_view);
    check_definitions (service_file);
    write_text ("definition", 0, service_file);
    for (size_t i = 0; i < COUNT (services); i++)
        write_text ("definition", 15, services[i]);
    check_project (http_project);
    write_text ("definition", 1, http_project);
    for (size_t i = 0; i < COUNT (expressions); i++)
        seed_write ("expr", expressions[i], strlen (expressions[i]));
    write_choices ();
    for (size_t i = 0; i < COUNT (csv); i++)
        write_text ("csv", (uint8_t)(37 * i + 2), csv[i]);
    for (size_t i = 0; i < COUNT (ndjson); i++)
        write_text ("ndjson", (uint8_t)(37 * i + 2), ndjson[i]);
    for (size_t i = 0; i < COUNT (http); i++)
        write_text ("http", http[i].reader, http[i].text);
    for (size_t i = 0; i < COUNT (schemas); i++)
        seed_write ("schema", schemas[i], strlen (schemas[i]));
}
