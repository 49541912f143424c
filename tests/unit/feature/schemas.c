/* Changes of a stream's fields: each that is allowed, each that is refused, and what is hashed. */
#include "feature/plan.h"
#include "feature/schema.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

#define KEYED(fields) "streams:\n  s:\n    key: k\n    time: t\n    fields:\n" fields
#define BASE          "      k: string\n      a: int64\n      b: float64\n      t: timestamp\n"

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

/* The definitions one after the other, as a cluster gets to know them. */
typedef struct history {
    arena_t *arena;
    definitions_t *present;
    schema_t schema;
    evolution_t evolution;
} history_t;

static void history_init (history_t *self, const char *text)
{
    self->arena = arena_new (1 << 14);
    self->present = read_text (text);
    schema_of (&self->present->streams[0], &self->schema);
    self->evolution = (evolution_t){ .refusal = NULL };
}

/* What is kept goes through its text. */
static void keep (history_t *self, const schema_t *schema)
{
    error_t error;
    buf_t text;
    buf_init (&text, 1 << 16);
    schema_format (schema, &text);
    char *copy =
        arena_string (self->arena, (text_t){ (const char *)text.data, (uint32_t)text.size });
    buf_release (&text);
    cr_assert_eq (schema_read (text_of (copy), self->arena, &self->schema, &error), STATUS_OK);
    cr_assert_eq (schema_take (&self->schema, self->present, &self->present->streams[0], &error),
                  STATUS_OK, "%s", error.text);
}

static void history_next (history_t *self, const char *text)
{
    definitions_t *next = read_text (text);
    schema_t schema;
    schema_evolve (&self->schema, &next->streams[0], self->arena, &schema, &self->evolution);
    definitions_t *past = self->present;
    self->present = next;
    keep (self, &schema);
    definitions_destroy (&past);
}

static void history_release (history_t *self)
{
    definitions_destroy (&self->present);
    arena_destroy (&self->arena);
}

static const field_t *field_of (const history_t *self, const char *name)
{
    int index = stream_field (&self->present->streams[0], text_of (name));
    cr_assert_geq (index, 0);
    return &self->present->streams[0].fields[index];
}

typedef struct change {
    const char *fields;  /* after BASE */
    const char *refusal; /* a part of it; NULL: allowed */
    const char *detail;  /* all of it, when allowed */
} change_t;

static const change_t changes[] = {
    { BASE, NULL, "" },
    /* allowed */
    { BASE "      c: string\n", NULL, "field c added" },
    { "      c: bool\n" BASE, NULL, "field c added" },
    { "      k: string\n      a: float64\n      b: float64\n      t: timestamp\n", NULL,
      "a widened to float64" },
    { "      k: string\n      a: int64\n      bb: {type: float64, alias: b}\n      t: timestamp\n",
      NULL, "b renamed to bb" },
    { "      k: string\n      aa: {type: float64, alias: [zz, a]}\n      b: float64\n"
      "      t: timestamp\n",
      NULL, "a renamed to aa; aa widened to float64" },
    { "      t: timestamp\n      b: float64\n      k: string\n      a: int64\n", NULL, "" },
    { "      k: string\n      a: {type: int64, column: other}\n      b: float64\n"
      "      t: {type: timestamp, unit: us}\n",
      NULL, "" },
    /* refused */
    { "      k: string\n      a: int64\n      t: timestamp\n", "'b' cannot be removed", NULL },
    { "      k: string\n      a: int64\n      bb: float64\n      t: timestamp\n",
      "'b' cannot be removed", NULL },
    { "      k: string\n      a: int64\n      b: int64\n      t: timestamp\n",
      "'b' cannot change from float64 to int64", NULL },
    { "      k: string\n      a: string\n      b: float64\n      t: timestamp\n",
      "'a' cannot change from int64 to string", NULL },
    { "      k: string\n      a: timestamp\n      b: float64\n      t: timestamp\n",
      "'a' cannot change from int64 to timestamp", NULL },
    { "      k: string\n      a: bool\n      b: float64\n      t: timestamp\n",
      "'a' cannot change from int64 to bool", NULL },
    { "      k: int64\n      a: int64\n      b: float64\n      t: timestamp\n",
      "'k' cannot change from string to int64", NULL },
    { BASE "      c: {type: string, required: true}\n", "'c' is new and cannot be required", NULL },
    { "      k: string\n      a: {type: int64, required: true}\n      b: float64\n"
      "      t: timestamp\n",
      "'a' cannot become required", NULL },
    { "      k: string\n      ab: {type: float64, alias: [a, b]}\n      t: timestamp\n",
      "which are two fields", NULL },
};

/* The digits of a decimal are how new events are read, its scale is what stored ones mean. */
Test (schemas, let_a_decimal_have_other_digits_but_no_other_scale)
{
    static const struct {
        const char *type;
        const char *refusal;
    } next[] = { { "decimal(12,2)", NULL },
                 { "decimal(20,2)", NULL },
                 { "decimal(9,2)", NULL },
                 { "decimal(12,3)", "'m' cannot change from decimal(38,2) to decimal(38,3)" },
                 { "float64", "'m' cannot change from decimal(38,2) to float64" } };
    for (size_t i = 0; i < sizeof next / sizeof *next; i++) {
        history_t history;
        history_init (&history, KEYED (BASE "      m: decimal(12,2)\n"));
        char *text = mem_format (KEYED (BASE "      m: %s\n"), next[i].type);
        history_next (&history, text);
        const char *refusal = history.evolution.refusal;
        if (next[i].refusal != NULL)
            cr_expect (refusal && strstr (refusal, next[i].refusal), "%s: %s", next[i].type,
                       refusal ? refusal : "allowed");
        else
            cr_expect_null (refusal, "%s: %s", next[i].type, refusal);
        mem_free (text);
        history_release (&history);
    }
}

Test (schemas, allow_what_stored_rows_can_be_read_under_and_refuse_the_rest)
{
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const change_t *change = &changes[i];
        history_t history;
        history_init (&history, KEYED (BASE));
        char *text = mem_format (KEYED ("%s"), change->fields);
        history_next (&history, text);
        const char *refusal = history.evolution.refusal;
        if (change->refusal)
            cr_expect (refusal && strstr (refusal, change->refusal), "change %zu: %s", i,
                       refusal ? refusal : "allowed");
        else
            cr_expect (!refusal && strcmp (history.evolution.detail, change->detail) == 0,
                       "change %zu: %s", i, refusal ? refusal : history.evolution.detail);
        mem_free (text);
        history_release (&history);
    }
}

Test (schemas, the_time_may_be_renamed_and_not_be_another_field)
{
    history_t history;
    history_init (&history, KEYED (BASE "      u: timestamp\n"));
    history_next (&history,
                  "streams:\n  s:\n    key: k\n    time: at\n    fields:\n      k: string\n"
                  "      a: int64\n      b: float64\n      at: {type: timestamp, alias: t}\n"
                  "      u: timestamp\n");
    cr_expect_null (history.evolution.refusal);
    cr_expect_str_eq (history.evolution.detail, "t renamed to at");
    history_next (&history,
                  "streams:\n  s:\n    key: k\n    time: u\n    fields:\n      k: string\n"
                  "      a: int64\n      b: float64\n      at: timestamp\n      u: timestamp\n");
    cr_assert_not_null (history.evolution.refusal);
    cr_expect (strstr (history.evolution.refusal, "its time cannot become 'u'"));
    history_release (&history);
}

Test (schemas, a_field_of_the_key_cannot_be_widened)
{
    history_t history;
    history_init (&history, "streams:\n  s:\n    key: a\n    time: t\n    fields:\n" BASE);
    history_next (&history,
                  "streams:\n  s:\n    key: a\n    time: t\n    fields:\n      k: string\n"
                  "      a: float64\n      b: float64\n      t: timestamp\n");
    cr_assert_not_null (history.evolution.refusal);
    cr_expect (strstr (history.evolution.refusal, "it is in the key"));
    history_release (&history);
}

Test (schemas, numbers_stay_with_their_fields_and_are_never_given_twice)
{
    history_t history;
    history_init (&history, KEYED (BASE));
    history_next (&history,
                  KEYED ("      c: string\n      k: string\n      aa: {type: int64, alias: "
                         "a}\n      b: float64\n      t: timestamp\n"));
    cr_expect_null (history.evolution.refusal);
    cr_expect_eq (field_of (&history, "k")->id, 0);
    cr_expect_eq (field_of (&history, "aa")->id, 1);
    cr_expect_str_eq (field_of (&history, "aa")->origin, "a");
    cr_expect_eq (field_of (&history, "c")->id, 4);
    /* a log without rows lets it go: the number stays its own */
    history_next (&history, KEYED ("      k: string\n      b: float64\n      t: timestamp\n"));
    cr_expect_not_null (history.evolution.refusal);
    history_next (&history, KEYED ("      k: string\n      b: string\n      t: timestamp\n"
                                   "      c: string\n"));
    cr_expect_eq (field_of (&history, "b")->id, 5);
    cr_expect_eq (field_of (&history, "c")->id, 6);
    cr_expect_eq (field_of (&history, "t")->id, 3);
    history_release (&history);
}

#define VIEW(features) "views:\n  v:\n    from: s\n    features:\n" features

static uint64_t slot_of (const history_t *self, size_t slot)
{
    plan_t *plan = plan_new (&self->present->views[0]);
    uint64_t hash = plan->slots[slot].hash;
    plan_destroy (&plan);
    return hash;
}

Test (schemas, a_renamed_field_means_what_it_meant_and_a_new_one_of_its_name_does_not)
{
    history_t history;
    history_init (&history, KEYED (BASE) VIEW ("      x: sum(a) where b > 1\n"));
    uint64_t sum = slot_of (&history, 0);
    history_next (&history, KEYED ("      t: timestamp\n      bb: {type: float64, alias: b}\n"
                                   "      k: string\n      aa: {type: int64, alias: a}\n")
                                VIEW ("      x: sum(aa) where bb > 1\n"));
    cr_expect_eq (slot_of (&history, 0), sum);
    history_next (&history,
                  KEYED ("      t: timestamp\n      bb: float64\n      k: string\n"
                         "      aa: int64\n      a: int64\n      b: float64\n")
                      VIEW ("      x: sum(aa) where bb > 1\n      y: sum(a) where b > 1\n"));
    cr_expect_null (history.evolution.refusal);
    cr_expect_eq (slot_of (&history, 0), sum);
    cr_expect_neq (slot_of (&history, 1), sum);
    cr_expect_str_eq (field_of (&history, "a")->origin, "a#4");
    history_release (&history);
}

Test (schemas, only_what_reads_a_widened_field_means_something_else)
{
    history_t history;
    history_init (&history, KEYED (BASE) VIEW ("      x: sum(a)\n      y: sum(b)\n"));
    uint64_t x = slot_of (&history, 0);
    uint64_t y = slot_of (&history, 1);
    history_next (&history, KEYED ("      k: string\n      a: float64\n      b: float64\n"
                                   "      t: timestamp\n      c: bool\n")
                                VIEW ("      x: sum(a)\n      y: sum(b)\n"));
    cr_expect (history.evolution.widened);
    cr_expect_neq (slot_of (&history, 0), x);
    cr_expect_eq (slot_of (&history, 1), y);
    history_release (&history);
}

#define WITH(computed)                                                                             \
    KEYED ("      k: string\n      a: int64\n      b: float64\n      t: timestamp\n" computed)

Test (schemas, a_computed_field_stays_what_it_is_computed_as)
{
    static const struct {
        const char *text;
        const char *refusal;
        const char *detail;
    } cases[] = {
        { WITH ("      c: {expr: a * 2}\n      d: {expr: c + 1}\n"), NULL, "" },
        { KEYED (
              "      k: string\n      aa: {type: int64, alias: a}\n      b: float64\n"
              "      t: timestamp\n      cc: {expr: aa * 2, alias: c}\n      d: {expr: cc + 1}\n"),
          NULL, "a renamed to aa; c renamed to cc" },
        { KEYED ("      k: string\n      a: float64\n      b: float64\n      t: timestamp\n"
                 "      c: {expr: a * 2}\n      d: {expr: c + 1}\n"),
          NULL, "a widened to float64; c widened to float64; d widened to float64" },
        { WITH ("      c: {expr: a * 2}\n      d: {expr: c + 1}\n      e: {expr: b + d}\n"), NULL,
          "field e added" },
        { WITH ("      c: {expr: a * 3}\n      d: {expr: c + 1}\n"),
          "'c' cannot become one that is computed otherwise", NULL },
        { WITH ("      c: int64\n      d: {expr: c + 1}\n"), "'c' cannot become one that is sent",
          NULL },
        { KEYED ("      k: string\n      b: float64\n      a: {expr: 'if(b > 1, 1, 2)'}\n"
                 "      t: timestamp\n      c: {expr: a * 2}\n      d: {expr: c + 1}\n"),
          "'a' cannot become one that is computed:", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        history_t history;
        history_init (&history, cases[0].text);
        keep (&history, &history.schema);
        history_next (&history, cases[i].text);
        const char *refusal = history.evolution.refusal;
        if (cases[i].refusal)
            cr_expect (refusal && strstr (refusal, cases[i].refusal), "case %zu: %s", i,
                       refusal ? refusal : "allowed");
        else
            cr_expect (!refusal && strcmp (history.evolution.detail, cases[i].detail) == 0,
                       "case %zu: %s", i, refusal ? refusal : history.evolution.detail);
        history_release (&history);
    }
}

Test (schemas, a_text_that_is_damaged_is_refused)
{
    static const char *const wrong[] = {
        "",
        "next\n",
        "next 1\n0 int64 nullable a\n",
        "next 1\n1 int64 nullable a a\n",
        "next 1\n0 int32 nullable a a\n",
        "next 1\n0 int64 maybe a a\n",
        "next 70000\n0 int64 nullable a a\n",
        "next 2\n0 int64 nullable a a\n0 int64 nullable b b\n",
        "next 2\n0 int64 nullable a a\n1 int64 nullable a b\n",
        "next 2\n0 int64 nullable a a\n1 int64 nullable b a\n",
        "next 1\n-1 int64 nullable a a\n",
        "next 1\n0 int64 nullable a a 12\n",
        "next 1\n0 int64 nullable a a 0000000000000000\n",
        "next 1\n0 int64 nullable a a 00000000000000xy\n",
    };
    arena_t *arena = arena_new (1 << 12);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        schema_t schema;
        error_t error;
        cr_expect_eq (schema_read (text_of (wrong[i]), arena, &schema, &error), STATUS_CORRUPT,
                      "%s", wrong[i]);
    }
    arena_destroy (&arena);
}
