/* weir-oracle - what `weir get` must answer, worked out from the events themselves. */
#include "tests/oracle/csv.h"
#include "tests/oracle/question.h"

#include "base/arena.h"
#include "base/decimal.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/number.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 4 << 20, LINE_MAX_SIZE = 1 << 20 };

static const char usage[] =
    "weir-oracle --fields NAME:TYPE,... --key NAME,... --time NAME --events FILE --queries FILE\n"
    "            [--where CONDITION] [--as-of COLUMN] [--before] FEATURE...\n"
    "\n"
    "Prints, for each row of the queries (CSV: the key's fields and a time), the features' values\n"
    "over the events (CSV) as JSON: {\"key\":{...},\"features\":{...},\"as_of\":\"...\"}.\n"
    "\n"
    "  weir-oracle --fields origin:string,delay:int64,date:timestamp --key origin --time date \\\n"
    "      --events flights.csv --queries spine.csv --as-of time \\\n"
    "      'n_7d: count() over 7d' 'late: count() where delay > 15' 'mean_delay: mean(delay)'\n"
    "\n"
    "A feature is NAME: AGGREGATE(FIELD, ...) [where FIELD OP LITERAL [and ...]] [by FIELD]\n"
    "             [over DURATION | over N rows [in DURATION]] [delay DURATION]\n"
    "as in covariance(x, y), approx_quantile(x, 0.95), last_k(x, 3), decayed_count(7d)\n";

typedef struct options {
    const char *events;
    const char *queries;
    const char *as_of; /* column of the queries' times */
    bool before;
    question_t question;
} options_t;

typedef struct history {
    arena_t *arena;
    oracle_event_t *events;
    size_t count;
    size_t capacity;
} history_t;

static _Noreturn void fail (const error_t *error, const char *what)
{
    fprintf (stderr, "weir-oracle: %s: %s\n", what, error->text);
    exit (1);
}

/* ---- events ---- */

/* False when a field of the key is null: the event is of no entity. */
static bool key_of (const question_t *question, const value_t *values, buf_t *key)
{
    buf_clear (key);
    for (size_t i = 0; i < question->key_count; i++) {
        if (values[question->key[i]].null)
            return false;
        key_put (key, &values[question->key[i]]);
    }
    return true;
}

static status_t read_event (const question_t *question, const csv_t *csv, const int *columns,
                            history_t *history, buf_t *key, error_t *error)
{
    value_t *values = arena_zero (history->arena, question->fields_count, sizeof *values);
    for (size_t i = 0; i < question->fields_count; i++) {
        const csv_cell_t *cell = &csv->row[columns[i]];
        status_t status =
            question_value (&question->fields[i], cell->text, cell->quoted, &values[i], error);
        if (status != STATUS_OK)
            return error_prefix (error, "line %zu", csv->line);
    }
    if (values[question->time].null || !key_of (question, values, key))
        return STATUS_OK;
    if (history->count == history->capacity) {
        history->capacity = history->capacity * 2 + 1024;
        history->events = mem_resize (history->events, history->capacity, sizeof *history->events);
    }
    text_t bytes = arena_text (history->arena, (text_t){ (char *)key->data, (uint32_t)key->size });
    history->events[history->count++] = (oracle_event_t){
        .key = bytes, .time = values[question->time].i, .row = (uint32_t)csv->line, .values = values
    };
    return STATUS_OK;
}

static void read_events (const options_t *options, csv_t *csv, history_t *history)
{
    error_t error;
    const question_t *question = &options->question;
    int columns[QUESTION_FIELDS_MAX];
    status_t status = csv_open (csv, options->events, &error);
    for (size_t i = 0; i < question->fields_count && status == STATUS_OK; i++)
        if ((columns[i] = csv_column (csv, question->fields[i].name)) < 0)
            status = error_set (&error, STATUS_INVALID, "no column '" TEXT_FORMAT "'",
                                TEXT_ARGS (question->fields[i].name));
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    while (status == STATUS_OK && (status = csv_next (csv, &error)) == STATUS_OK)
        status = read_event (question, csv, columns, history, &key, &error);
    buf_release (&key);
    if (status != STATUS_END)
        fail (&error, options->events);
    oracle_sort (history->events, history->count);
}

/* ---- answers ---- */

static void put_value (buf_t *out, const value_t *value);

static void put_list (buf_t *out, const value_list_t *list)
{
    buf_put_u8 (out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_put_string (out, i > 0 ? "," : "");
        put_value (out, &list->items[i]);
    }
    buf_put_u8 (out, ']');
}

/* A key that is no string is the text of what it would be. */
static void put_map (buf_t *out, const value_map_t *map)
{
    buf_put_u8 (out, '{');
    for (size_t i = 0; i < map->count; i++) {
        const value_t *key = &map->keys[i];
        bool quoted = key->type == TYPE_STRING || key->type == TYPE_TIMESTAMP ||
                      (key->type == TYPE_FLOAT64 && key->f - key->f != 0);
        buf_put_string (out, i > 0 ? "," : "");
        buf_put_string (out, quoted ? "" : "\"");
        put_value (out, key);
        buf_put_string (out, quoted ? ":" : "\":");
        put_value (out, &map->values[i]);
    }
    buf_put_u8 (out, '}');
}

static void put_value (buf_t *out, const value_t *value)
{
    if (value->null) {
        buf_put_string (out, "null");
        return;
    }
    bool quoted = false;
    switch (type_family (value->type)) {
    case TYPE_DECIMAL:
        buf_put_u8 (out, '"');
        decimal_format (out, value->d, type_scale (value->type));
        buf_put_u8 (out, '"');
        break;
    case TYPE_BOOL:
        buf_put_string (out, value->i ? "true" : "false");
        break;
    case TYPE_FLOAT64:
        quoted = value->f - value->f != 0; /* not finite */
        buf_put_string (out, quoted ? "\"" : "");
        number_format_float (out, value->f);
        buf_put_string (out, quoted ? "\"" : "");
        break;
    case TYPE_STRING:
        number_format_json_string (out, value->s);
        break;
    case TYPE_TIMESTAMP:
        buf_put_u8 (out, '"');
        time_format (out, value->i);
        buf_put_u8 (out, '"');
        break;
    case TYPE_LIST:
        put_list (out, value->list);
        break;
    case TYPE_MAP:
        put_map (out, value->map);
        break;
    default:
        buf_printf (out, "%lld", (long long)value->i);
    }
}

static void put_named (buf_t *out, text_t name, const value_t *value, bool first)
{
    if (!first)
        buf_put_u8 (out, ',');
    number_format_json_string (out, name);
    buf_put_u8 (out, ':');
    put_value (out, value);
}

static void put_features (const question_t *question, const oracle_event_t *events, size_t count,
                          int64_t as_of, buf_t *out)
{
    arena_t *arena = arena_new (LINE_MAX_SIZE);
    for (size_t i = 0; i < question->features_count; i++) {
        oracle_feature_t feature = question->features[i];
        feature.arena = arena;
        size_t found;
        const oracle_event_t *near =
            oracle_of_window (events, count, feature.window, as_of - feature.delay, &found);
        value_t value;
        status_t status = oracle_value (&feature, near, found, as_of, &value);
        if (status == STATUS_INVALID) {
            fprintf (stderr, "weir-oracle: no aggregate '%s'\n", feature.aggregate);
            exit (2);
        }
        put_named (out, question->names[i], &value, i == 0);
    }
    arena_destroy (&arena);
}

static void answer (const options_t *options, const value_t *values, int64_t as_of,
                    const history_t *history, buf_t *out)
{
    const question_t *question = &options->question;
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    bool of_entity = key_of (question, values, &key);
    size_t found = 0;
    const oracle_event_t *events = oracle_of_key (
        history->events, history->count, (text_t){ (char *)key.data, (uint32_t)key.size }, &found);
    buf_clear (out);
    buf_put_string (out, "{\"key\":{");
    for (size_t i = 0; i < question->key_count; i++)
        put_named (out, question->fields[question->key[i]].name, &values[question->key[i]], i == 0);
    buf_put_string (out, "},\"features\":{");
    put_features (question, events, of_entity ? found : 0, as_of - options->before, out);
    buf_put_string (out, "},\"as_of\":\"");
    time_format (out, as_of);
    buf_put_string (out, "\"}\n");
    fwrite (out->data, 1, out->size, stdout);
    buf_release (&key);
}

static status_t answer_query (const options_t *options, const csv_t *csv, const history_t *history,
                              buf_t *out, error_t *error)
{
    const question_t *question = &options->question;
    value_t values[QUESTION_FIELDS_MAX] = { 0 };
    for (size_t i = 0; i < question->key_count; i++) {
        uint32_t field = question->key[i];
        int column = csv_column (csv, question->fields[field].name);
        if (column < 0)
            return error_set (error, STATUS_INVALID, "no column '" TEXT_FORMAT "'",
                              TEXT_ARGS (question->fields[field].name));
        status_t status = question_value (&question->fields[field], csv->row[column].text,
                                          csv->row[column].quoted, &values[field], error);
        if (status != STATUS_OK)
            return status;
    }
    int column = csv_column (csv, text_of (options->as_of));
    if (column < 0)
        return error_set (error, STATUS_INVALID, "no column '%s'", options->as_of);
    int64_t as_of;
    status_t status = time_parse (csv->row[column].text, NULL, UNIT_MS, &as_of, error);
    if (status == STATUS_OK)
        answer (options, values, as_of, history, out);
    return status;
}

static void answer_queries (const options_t *options, const history_t *history)
{
    error_t error;
    csv_t csv;
    buf_t out;
    buf_init (&out, LINE_MAX_SIZE);
    status_t status = csv_open (&csv, options->queries, &error);
    while (status == STATUS_OK && (status = csv_next (&csv, &error)) == STATUS_OK) {
        status = answer_query (options, &csv, history, &out, &error);
        if (status != STATUS_OK)
            error_prefix (&error, "line %zu", csv.line);
    }
    buf_release (&out);
    csv_close (&csv);
    if (status != STATUS_END)
        fail (&error, options->queries);
}

/* ---- command line ---- */

static status_t take_option (options_t *options, int option, error_t *error)
{
    text_t text = optarg ? text_of (optarg) : (text_t){ 0 };
    switch (option) {
    case 'f':
        return question_fields (&options->question, text, error);
    case 'k':
        return question_key (&options->question, text, error);
    case 't':
        return question_time (&options->question, text, error);
    case 'w':
        return question_where (&options->question, text, error);
    case 'e':
        options->events = optarg;
        return STATUS_OK;
    case 'q':
        options->queries = optarg;
        return STATUS_OK;
    case 'a':
        options->as_of = optarg;
        return STATUS_OK;
    case 'b':
        options->before = true;
        return STATUS_OK;
    default:
        fputs (usage, option == 'h' ? stdout : stderr);
        exit (option == 'h' ? 0 : 2);
    }
}

int main (int argc, char **argv)
{
    static const struct option known[] = {
        { "fields", required_argument, NULL, 'f' }, { "key", required_argument, NULL, 'k' },
        { "time", required_argument, NULL, 't' },   { "where", required_argument, NULL, 'w' },
        { "events", required_argument, NULL, 'e' }, { "queries", required_argument, NULL, 'q' },
        { "as-of", required_argument, NULL, 'a' },  { "before", no_argument, NULL, 'b' },
        { "help", no_argument, NULL, 'h' },         { 0 }
    };
    static options_t options = { .as_of = "as_of" };
    error_t error;
    status_t status = STATUS_OK;
    int option;
    while (status == STATUS_OK && (option = getopt_long (argc, argv, "h", known, NULL)) != -1)
        status = take_option (&options, option, &error);
    for (; optind < argc && status == STATUS_OK; optind++)
        status = question_feature (&options.question, text_of (argv[optind]), &error);
    if (status != STATUS_OK)
        fail (&error, "command line");
    if (!options.events || !options.queries || options.question.features_count == 0) {
        fputs (usage, stderr);
        return 2;
    }
    history_t history = { .arena = arena_new (ARENA_CHUNK) };
    csv_t csv;
    read_events (&options, &csv, &history);
    answer_queries (&options, &history);
    csv_close (&csv);
    mem_free (history.events);
    arena_destroy (&history.arena);
    return 0;
}
