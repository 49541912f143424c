/* question.h - one aggregate over every kind of window, as a plan made by hand: what layers.c asks.
 */
#ifndef WEIR_TESTS_BATCHVIEW_QUESTION_H
#define WEIR_TESTS_BATCHVIEW_QUESTION_H

#include "base/timestamp.h"
#include "feature/plan.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const type_t TYPES[] = {
#define X(name, number, word)                                                                      \
    TYPE_##name == TYPE_DECIMAL ? (type_t)(DECIMAL_TYPE_BASE + 2) : TYPE_##name,
    TYPE_TABLE (X)
#undef X
};
enum { TYPES_COUNT = sizeof TYPES / sizeof *TYPES };

static definitions_t *definitions;
static const stream_t *stream; /* two fields of each type, the key and the time */
static const field_t *fields;  /* of it */

static inline void stream_init (void)
{
    buf_t yaml;
    error_t error;
    buf_init (&yaml, DEFINITION_FILE_MAX);
    buf_put_string (&yaml, "streams:\n  s:\n    key: k\n    time: ts\n    fields:\n"
                           "      k: string\n      ts: {type: timestamp, unit: us}\n");
    for (size_t i = 0; i < TYPES_COUNT; i++)
        for (int which = 0; which < 2 && type_is_field (TYPES[i]); which++)
            buf_printf (&yaml, "      %c_%s: %s\n", 'a' + which, type_word (type_family (TYPES[i])),
                        type_word (TYPES[i]));
    buf_put_string (&yaml, "views:\n  v:\n    from: s\n    key: k\n    horizon: 40m\n"
                           "    features: {n: count()}\n");
    definition_file_t file = { "layers.yaml", { buf_string (&yaml), (uint32_t)yaml.size } };
    cr_assert_eq (definitions_read (&file, 1, &definitions, &error), STATUS_OK, "%s", error.text);
    stream = definitions_stream (definitions, text_of ("s"));
    fields = stream->fields;
    buf_release (&yaml);
}

static inline bool is_input (uint32_t field)
{
    return field != stream->key[0] && field != stream->time;
}

/* The first or second field of a type. */
static inline uint32_t field_of (type_t type, int which)
{
    uint32_t i = 0;
    while (!is_input (i) || fields[i].type != type)
        i++;
    return i + (uint32_t)which;
}

/* ---- what is asked ---- */

typedef struct question {
    aggregate_t aggregate;
    type_t input;  /* NONE: the row */
    type_t second; /* NONE: it takes one */
    type_t by;     /* NONE: no map */
    bool filtered;
    bool large; /* many rows of many keys and long strings */
} question_t;

static const char FILTER[] = "a_string = 'x'";

typedef struct window {
    int64_t window;
    int64_t delay;
    uint16_t rows;
} window_t;

static const window_t WINDOWS[] = {
    { TIME_HOUR, 0, 0 },
    { 5 * TIME_HOUR, 0, 0 },
    { WINDOW_LIFETIME, 0, 0 },
    { 90 * TIME_SECOND, TIME_MINUTE, 0 },
    { TIME_HOUR, 3 * TIME_HOUR, 0 },
    { 5 * TIME_HOUR, 3 * TIME_HOUR, 0 },
    { WINDOW_LIFETIME, TIME_HOUR, 0 },
    { WINDOW_LIFETIME, 0, 3 },
    { 2 * TIME_HOUR, 0, 5 },
    { TIME_HOUR, TIME_HOUR, 2 },
};
enum { WINDOWS_COUNT = sizeof WINDOWS / sizeof *WINDOWS };

static inline value_t parameter_of (aggregate_t aggregate)
{
    switch (aggregate_info (aggregate)->parameter) {
    case PARAMETER_STATE_K:
    case PARAMETER_FINAL_K:
        return (value_t){ .type = TYPE_INT64, .i = 3 };
    case PARAMETER_FRACTION:
        return (value_t){ .type = TYPE_FLOAT64, .f = 0.75 };
    case PARAMETER_STATE_DURATION:
        return (value_t){ .type = TYPE_INT64, .i = 20 * TIME_MINUTE };
    default:
        return (value_t){ .type = TYPE_NONE };
    }
}

/* Can there be such a state, of all rows or the newest? */
static inline bool possible (const question_t *question, uint16_t rows)
{
    value_t parameter = parameter_of (question->aggregate);
    state_spec_t spec = aggregate_spec (question->aggregate, question->input, question->second,
                                        parameter.type == TYPE_INT64 ? parameter.i : 0);
    error_t error;
    spec.by = question->by;
    spec.rows = rows;
    return state_spec_check (spec, &error) == STATUS_OK;
}

static inline plan_t *plan_of (const question_t *question)
{
    static feature_t features[WINDOWS_COUNT];
    static char feature_names[WINDOWS_COUNT][8];
    size_t count = 0;
    for (size_t i = 0; i < WINDOWS_COUNT; i++) {
        if (!possible (question, WINDOWS[i].rows))
            continue;
        (void)snprintf (feature_names[i], sizeof feature_names[i], "f%zu", i);
        features[count++] = (feature_t){
            .name = feature_names[i],
            .aggregate = question->aggregate,
            .input =
                question->input != TYPE_NONE ? fields[field_of (question->input, 0)].name : NULL,
            .second =
                question->second != TYPE_NONE ? fields[field_of (question->second, 1)].name : NULL,
            .by = question->by != TYPE_NONE ? fields[field_of (question->by, 0)].name : NULL,
            .parameter = parameter_of (question->aggregate),
            .filter = question->filtered ? FILTER : NULL,
            .window = WINDOWS[i].window,
            .rows = WINDOWS[i].rows,
            .delay = WINDOWS[i].delay,
        };
    }
    view_t view = *definitions_view (definitions, text_of ("v"));
    view.features = features;
    view.features_count = count;
    return plan_new (&view);
}

#endif
