/* Fields that are computed from the others of an event: what a definition may say. */
#include "feature/definition.h"
#include "feature/schema.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char example[] = "streams:\n"
                              "  payments:\n"
                              "    key: user_id\n"
                              "    time: ts\n"
                              "    fields:\n"
                              "      user_id: string\n"
                              "      cents: {expr: 'cast(Amount*100 as int64)', description: c}\n"
                              "      Amount: float64\n"
                              "      large: {expr: \"cents > 10000 or note LIKE 'x|y: %'\"}\n"
                              "      note: string\n"
                              "      day:\n"
                              "        expr: date_trunc('day', ts, 'Europe/Berlin')\n"
                              "        alias: the_day\n"
                              "      ts: timestamp\n"
                              "views:\n"
                              "  v:\n"
                              "    from: payments\n"
                              "    where: large\n"
                              "    features: {x: sum(cents) over 7d}\n";

static status_t read_text (const char *text, definitions_t **definitions, error_t *error)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    error_clear (error);
    return definitions_read (&file, 1, definitions, error);
}

Test (computed, fields_have_the_type_of_their_expression)
{
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_eq (read_text (example, &definitions, &error), STATUS_OK, "%s", error.text);
    const stream_t *stream = definitions_stream (definitions, text_of ("payments"));
    cr_assert_eq (stream->fields_count, 7u);
    cr_expect_eq (stream->fields[1].type, TYPE_INT64);
    cr_expect_str_eq (stream->fields[1].expr, "cast(Amount * 100 as int64)");
    cr_expect_str_eq (stream->fields[1].description, "c");
    cr_expect_eq (stream->fields[3].type, TYPE_BOOL);
    cr_expect_eq (stream->fields[5].type, TYPE_TIMESTAMP);
    cr_expect_null (stream->fields[2].expr);
    cr_expect (field_is_called (&stream->fields[2], text_of ("Amount")));
    cr_expect_not (field_is_called (&stream->fields[1], text_of ("cents")));
    cr_expect_not (field_is_called (&stream->fields[5], text_of ("the_day")));
    definitions_destroy (&definitions);
}

Test (computed, canonical_text_reads_back_to_itself)
{
    definitions_t *first = NULL, *second = NULL;
    error_t error;
    cr_assert_eq (read_text (example, &first, &error), STATUS_OK, "%s", error.text);
    const stream_t *stream = definitions_stream (first, text_of ("payments"));
    cr_expect (strstr (stream->text, "      cents:\n        expr: cast(Amount * 100 as int64)\n"
                                     "        description: c\n") != NULL,
               "%s", stream->text);
    cr_assert_eq (read_text (stream->text, &second, &error), STATUS_OK, "%s\n%s", error.text,
                  stream->text);
    const stream_t *again = definitions_stream (second, text_of ("payments"));
    cr_expect_str_eq (again->text, stream->text);
    cr_expect_eq (again->fingerprint, stream->fingerprint);
    definitions_destroy (&first);
    definitions_destroy (&second);
}

#define STREAM(fields)                                                                             \
    "streams:\n  s:\n    key: k\n    time: t\n    fields:\n      k: string\n      t: timestamp\n"  \
    "      f: float64\n" fields

Test (computed, mistakes_are_told_at_their_place)
{
    static const char *const cases[][2] = {
        { STREAM ("      a: {type: string, expr: lower(k)}\n"),
          "f.yaml:9:17: 'a' is computed and has no `type`: its type is that of the expression" },
        { STREAM ("      a: {expr: lower(k), required: true}\n"),
          "f.yaml:9:37: 'a' is computed and has no `required`" },
        { STREAM ("      a: {expr: t, unit: s, zone: UTC, column: x}\n"),
          "f.yaml:9:26: 'a' is computed and has no `unit`\n"
          "f.yaml:9:35: 'a' is computed and has no `zone`\n"
          "f.yaml:9:48: 'a' is computed and has no `column`" },
        { STREAM ("      a: {expr: lower(f)}\n"),
          "f.yaml:9:23: lower takes string, not float64: lower(s)" },
        { STREAM ("      a: {expr: f + g}\n"), "f.yaml:9:21: unknown field 'g'" },
        { STREAM ("      amount: float64\n      a: {expr: f + amout}\n"),
          "f.yaml:10:21: unknown field 'amout'; did you mean 'amount'?" },
        { STREAM ("      a: {expr: f + b}\n      b: {expr: f * 2}\n"),
          "f.yaml:9:21: 'b' is computed after 'a': put it before" },
        { STREAM ("      a: {expr: f + a}\n"), "f.yaml:9:21: 'a' cannot be computed from itself" },
        { STREAM ("      a: {expr: now}\n"), "f.yaml:9:17: 'now' has no meaning here" },
        { STREAM ("      a: {expr: null}\n"),
          "f.yaml:9:17: a field cannot be null and nothing else" },
        { STREAM ("      a: {expr: t - t}\n"),
          "f.yaml:9:17: a field cannot be duration; to_seconds(d) makes a number of it" },
        { STREAM ("      a: {expr: []}\n"), "f.yaml:9:17: expected an expression, found a list" },
        { "streams:\n  s:\n    key: a\n    time: t\n    fields:\n      k: string\n      t: "
          "timestamp\n      a: {expr: lower(k)}\n",
          "f.yaml:3:10: 'a' is computed: a key is of fields that are sent, for they say where an "
          "event goes" },
        { "streams:\n  s:\n    key: k\n    time: a\n    fields:\n      k: string\n      t: "
          "timestamp\n      a: {expr: t + 1d}\n",
          "f.yaml:4:11: 'a' is computed: the time is a field that is sent" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        definitions_t *definitions = NULL;
        error_t error;
        cr_assert_neq (read_text (cases[i][0], &definitions, &error), STATUS_OK, "%s", cases[i][0]);
        cr_expect_str_eq (error.text, cases[i][1], "%s\n%s", cases[i][0], error.text);
        cr_assert_null (definitions);
    }
}

Test (computed, a_column_of_the_same_name_may_be_read_as_another_field)
{
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_eq (read_text (STREAM ("      raw: {type: string, column: a}\n"
                                     "      a: {expr: trim(raw)}\n"),
                             &definitions, &error),
                  STATUS_OK, "%s", error.text);
    definitions_destroy (&definitions);
}

Test (computed, fields_may_be_added_to_a_stream_with_events)
{
    definitions_t *past = NULL, *next = NULL;
    error_t error;
    arena_t *arena = arena_new (1 << 12);
    schema_t kept, schema;
    evolution_t evolution;
    cr_assert_eq (read_text (STREAM (""), &past, &error), STATUS_OK);
    cr_assert_eq (read_text (STREAM ("      a: {expr: f * 2}\n"), &next, &error), STATUS_OK);
    schema_of (definitions_stream (past, text_of ("s")), &kept);
    schema_evolve (&kept, definitions_stream (next, text_of ("s")), arena, &schema, &evolution);
    cr_expect_null (evolution.refusal);
    cr_expect_str_eq (evolution.detail, "field a added");
    arena_destroy (&arena);
    definitions_destroy (&past);
    definitions_destroy (&next);
}
