/* What `weir explain` says of a view. */
#include "client/cli/explain.h"

#include "base/timestamp.h"
#include "timeline/timeline.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>

static const char YAML[] = "streams:\n  payments:\n    key: user\n    time: ts\n    fields:\n"
                           "      user: string\n      amount: float64\n      status: string\n"
                           "      ts: timestamp\n"
                           "views:\n  spend:\n    from: payments\n    key: user\n"
                           "    where: status is distinct from 'declined'\n    features:\n"
                           "      spend: sum(amount) over 1h, 7d\n"
                           "      average: mean(amount) over 7d\n"
                           "      n: count() where amount > 10 over 7d, lifetime\n"
                           "      big: sum(amount) where amount > 10 over 1h, 7d\n"
                           "      kinds: approx_count_distinct(status) over 1h\n";

typedef struct explained {
    definitions_t *definitions;
    explain_t explain;
    buf_t text;
} explained_t;

static const explain_keys_t KEYS = {
    .events = 40, .events_of = "given", .over = 7 * TIME_DAY, .string_bytes = 12, .distinct = 20
};

static void explained_init (explained_t *self, bool json, int64_t delay)
{
    error_t error;
    definition_file_t file = { "spend.yaml", text_of (YAML) };
    cr_assert_eq (definitions_read (&file, 1, &self->definitions, &error), STATUS_OK, "%s",
                  error.text);
    const view_t *view = definitions_view (self->definitions, text_of ("spend"));
    view->features[0].delay = delay; /* spend_1h */
    cr_assert_eq (explain_init (&self->explain, view, &KEYS, &error), STATUS_OK, "%s", error.text);
    buf_init (&self->text, 1 << 20);
    if (json)
        explain_json (&self->explain, &self->text);
    else
        explain_text (&self->explain, &self->text);
}

static void explained_release (explained_t *self)
{
    explain_release (&self->explain);
    buf_release (&self->text);
    definitions_destroy (&self->definitions);
}

static json_int_t number_of (json_t *object, const char *name)
{
    json_t *value = json_object_get (object, name);
    cr_assert (json_is_number (value), "%s", name);
    return (json_int_t)json_number_value (value);
}

static json_t *item (json_t *object, const char *name, size_t at)
{
    json_t *value = json_array_get (json_object_get (object, name), at);
    cr_assert_not_null (value, "%s %zu", name, at);
    return value;
}

Test (explain, json_says_what_is_shared)
{
    explained_t explained;
    explained_init (&explained, true, 0);
    json_t *root = json_loads (buf_string (&explained.text), 0, NULL);
    cr_assert_not_null (root, "%s", buf_string (&explained.text));
    cr_assert_eq (number_of (root, "features"), 8);
    cr_assert_eq (number_of (root, "cells"), 7, "spend_7d and average_7d are one");
    cr_assert_eq (json_array_size (json_object_get (root, "states")), 4);
    cr_assert_eq (json_array_size (json_object_get (root, "inputs")), 2);
    cr_assert_eq (number_of (item (root, "inputs", 0), "states"), 2);
    cr_assert_eq (number_of (item (root, "filters", 0), "states"), 2);
    json_t *sum = item (root, "states", 0);
    cr_assert_str_eq (json_string_value (json_object_get (sum, "kind")), "SUM");
    cr_assert_eq (json_array_size (json_object_get (sum, "features")), 3);
    cr_assert (json_is_null (json_object_get (sum, "filter")));
    cr_assert_eq (number_of (item (root, "states", 1), "filter"), 0);
    cr_assert_eq (json_array_size (json_object_get (root, "atoms")), 3,
                  "1h and 7d; 7d; 1h: lifetime cuts nothing");
    cr_assert_eq (number_of (item (root, "states", 0), "atoms"),
                  number_of (item (root, "states", 2), "atoms"));
    json_t *kinds = item (root, "states", 3);
    cr_assert (json_is_true (json_object_get (kinds, "large")));
    cr_assert_gt (number_of (kinds, "partial_bytes_of_all"), number_of (kinds, "partial_bytes"));
    json_decref (root);
    explained_release (&explained);
}

Test (explain, a_delay_is_a_state_and_atoms_of_its_own)
{
    explained_t explained;
    explained_init (&explained, true, TIME_DAY);
    json_t *root = json_loads (buf_string (&explained.text), 0, NULL);
    cr_assert_not_null (root);
    cr_assert_eq (json_array_size (json_object_get (root, "states")), 5);
    cr_assert_eq (number_of (item (root, "states", 0), "delay_us"), TIME_DAY);
    cr_assert_eq (number_of (item (root, "atoms", 0), "delay_us"), TIME_DAY);
    cr_assert_eq (number_of (item (root, "atoms", 0), "stretches_us"), TIME_DAY + TIME_HOUR,
                  "a day of right edges, and of left ones an hour before");
    cr_assert_eq (explain_reach (explained.explain.view), 7 * TIME_DAY);
    json_decref (root);
    explained_release (&explained);
}

Test (explain, text_has_each_state_input_and_size)
{
    static const char *const said[] = {
        "spend from payments, log payments/user, horizon 1d\n",
        "8 features are 7 cells (a window of a state) of 4 states over 2 inputs and 1 filter\n",
        "only events where status is distinct from 'declined'\n",
        "SUM(0) where 0",
        "COUNT where 0",
        "DISTINCT_HLL(1)",
        "spend_1h, spend_7d, average_7d",
        "amount > 10",
        "A key in the real-time view: ",
        " an event near an edge; ",
        "The number of events is given; strings of 12 bytes, 20 different values\n",
    };
    explained_t explained;
    explained_init (&explained, false, 0);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        cr_assert_not_null (strstr (buf_string (&explained.text), said[i]), "%s is not in\n%s",
                            said[i], buf_string (&explained.text));
    explained_release (&explained);
}

/* Timelines of keys as they are described take what is said, within a fifth. */
Test (explain, memory_is_what_it_says)
{
    enum { ENTITIES = 500 };
    explained_t explained;
    explained_init (&explained, true, 0);
    const plan_t *plan = explained.explain.plan;
    arena_t *arena = arena_new (1 << 20);
    sample_values_t values = { KEYS.string_bytes, KEYS.distinct, 14 };
    timeline_t *timeline = timeline_new (plan);
    for (size_t event = 0; event < (size_t)KEYS.events; event++) { /* all keys grow together */
        int64_t time = (int64_t)event * TIME_HOUR;
        projection_t rows = plan_sample (plan, ENTITIES, time, time, &values, arena);
        for (size_t i = 0; i < rows.rows; i++) {
            char name[32];
            (void)snprintf (name, sizeof name, "user-%09zu", i);
            rows.key[i] = arena_text (arena, text_of (name));
        }
        timeline_add (timeline, &rows);
    }
    json_t *root = json_loads (buf_string (&explained.text), 0, NULL);
    json_t *realtime = json_object_get (root, "realtime");
    double said = json_number_value (json_object_get (realtime, "bytes_per_key"));
    double empty = json_number_value (json_object_get (realtime, "empty_bytes"));
    double is = ((double)timeline_memory (timeline) - empty) / ENTITIES;
    cr_assert_eq (timeline_keys (timeline), ENTITIES);
    cr_assert (is > 0.8 * said && is < 1.2 * said, "said %.0f, is %.0f", said, is);
    json_decref (root);
    timeline_destroy (&timeline);
    arena_destroy (&arena);
    explained_release (&explained);
}
