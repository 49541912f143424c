/* Definitions that are right: what they become, and their canonical form. */
#include "feature/definition.h"
#include "feature/plan.h"

#include <criterion/criterion.h>

static const char example[] = "# a comment\n"
                              "streams:\n"
                              "  payments:\n"
                              "    key: [user_id, shop]\n"
                              "    time: ts\n"
                              "    unknown: ignore\n"
                              "    fields:\n"
                              "      user_id: {type: string, required: true}\n"
                              "      shop: int64\n"
                              "      amount: {type: float64, column: Amount, description: \"in "
                              "\\\"euro\\\"\\n \\u00e9\\u2028\"}\n"
                              "      status: string\n"
                              "      seen: {type: timestamp, unit: us, zone: Europe/Berlin}\n"
                              "      ts: {type: timestamp, unit: s}\n"
                              "  ticks:\n"
                              "    key: []\n"
                              "    time: at\n"
                              "    fields:\n"
                              "      at: timestamp\n"
                              "views:\n"
                              "  spend:\n"
                              "    from: payments\n"
                              "    where: >-\n"
                              "      status IS DISTINCT\n"
                              "      FROM 'declined: #1'\n"
                              "    horizon: 36h\n"
                              "    ttl: 30d\n"
                              "    features:\n"
                              "      n:     count() over 1h, 24h, 1d, lifetime\n"
                              "      total: sum( amount ) where  amount>0 over 7d\n"
                              "      ever:  mean(amount)\n"
                              "      last_seen: {expr: last(seen), description: no}\n"
                              "  beat:\n"
                              "    from: ticks\n"
                              "    key: []\n"
                              "    features: {n: count() over 60s}\n";

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s\n%s", error.text, text);
    return definitions;
}

Test (definitions, say_what_the_stream_is)
{
    definitions_t *definitions = read_text (example);
    const stream_t *stream = definitions_stream (definitions, text_of ("payments"));
    cr_assert_not_null (stream);
    cr_expect_eq (stream->fields_count, 6);
    cr_expect_eq (stream->key_count, 2);
    cr_expect_eq (stream->key[1], 1);
    cr_expect_eq (stream->time, 5);
    cr_expect_eq (stream->unknown, UNKNOWN_IGNORE);
    cr_expect_str_eq (stream->log_name, "payments/user_id,shop");
    cr_expect (stream->fields[0].required && stream->fields[5].required);
    cr_expect_not (stream->fields[1].required);
    cr_expect_str_eq (stream->fields[2].column, "Amount");
    cr_expect_str_eq (stream->fields[2].description, "in \"euro\"\n \303\251\342\200\250");
    cr_expect_eq (stream->fields[4].unit, UNIT_US);
    cr_expect_str_eq (stream->fields[4].zone_name, "Europe/Berlin");
    cr_expect_not_null (stream->fields[4].zone);
    cr_expect_eq (stream_field (stream, text_of ("status")), 3);
    cr_expect_eq (stream_field (stream, text_of ("nothing")), -1);
    stream = definitions_stream (definitions, text_of ("ticks"));
    cr_expect_str_eq (stream->log_name, "ticks/_");
    cr_expect_str_eq (definitions_nearest_stream (definitions, text_of ("payment")), "payments");
    cr_expect_str_eq (definitions_nearest_view (definitions, text_of ("spned")), "spend");
    definitions_destroy (&definitions);
    cr_expect_null (definitions);
}

Test (definitions, spell_out_windows_in_names)
{
    static const struct {
        const char *name;
        int64_t window;
    } expected[] = {
        { "n_1h", TIME_HOUR },
        { "n_24h", TIME_DAY },
        { "n_1d", TIME_DAY },
        { "n_lifetime", WINDOW_LIFETIME },
        { "total_7d", TIME_WEEK },
        { "ever", WINDOW_LIFETIME },
        { "last_seen", WINDOW_LIFETIME },
    };
    definitions_t *definitions = read_text (example);
    const view_t *view = definitions_view (definitions, text_of ("spend"));
    cr_assert_eq (view->features_count, 7);
    for (size_t i = 0; i < 7; i++) {
        cr_expect_str_eq (view->features[i].name, expected[i].name);
        cr_expect_eq (view->features[i].window, expected[i].window);
    }
    cr_expect_eq (view->version, 1);
    cr_expect_eq (view->horizon, 36 * TIME_HOUR);
    cr_expect_eq (view->ttl, 30 * TIME_DAY);
    cr_expect_str_eq (view->features[6].about.description, "no");
    cr_expect_eq (definitions_view (definitions, text_of ("beat"))->horizon, TIME_DAY);
    cr_expect_eq (definitions_view (definitions, text_of ("beat"))->ttl, 0);
    definitions_destroy (&definitions);
}

Test (definitions, of_all_files_are_one)
{
    definition_file_t files[] = {
        { "v.yaml", text_of ("views:\n  v:\n    from: s\n    features:\n      x: count()\n") },
        { "empty.yaml", text_of ("") },
        { "comment.yaml", text_of ("# nothing\n") },
        { "s.yaml",
          text_of ("\xef\xbb\xbfstreams:\n  s:\n    key: k\n    time: t\n    fields: {k: bool, "
                   "t: timestamp}\r\n") },
    };
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (files, 4, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_expect_eq (definitions->streams_count, 1);
    cr_expect_eq (definitions->views_count, 1);
    definitions_destroy (&definitions);
}

Test (definitions, have_a_canonical_text_that_reads_back_to_itself)
{
    definitions_t *first = read_text (example);
    definition_file_t files[4];
    size_t count = 0;
    for (size_t i = 0; i < first->streams_count; i++)
        files[count++] = (definition_file_t){ "s.yaml", text_of (first->streams[i].text) };
    for (size_t i = 0; i < first->views_count; i++)
        files[count++] = (definition_file_t){ "v.yaml", text_of (first->views[i].text) };
    definitions_t *second = NULL;
    error_t error;
    status_t status = definitions_read (files, count, &second, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    for (size_t i = 0; i < first->streams_count; i++) {
        cr_expect_str_eq (second->streams[i].text, first->streams[i].text);
        cr_expect_eq (second->streams[i].fingerprint, first->streams[i].fingerprint);
    }
    for (size_t i = 0; i < first->views_count; i++) {
        cr_expect_str_eq (second->views[i].text, first->views[i].text);
        cr_expect_eq (second->views[i].meaning, first->views[i].meaning);
    }
    cr_expect_str_eq (second->streams[0].fields[2].description,
                      "in \"euro\"\n \303\251\342\200\250");
    definitions_destroy (&first);
    definitions_destroy (&second);
}

Test (definitions, canonical_text_is_pinned)
{
    definitions_t *definitions = read_text (example);
    cr_expect_str_eq (definitions->streams[0].text,
                      "streams:\n"
                      "  payments:\n"
                      "    key: [user_id, shop]\n"
                      "    time: ts\n"
                      "    unknown: ignore\n"
                      "    fields:\n"
                      "      user_id:\n"
                      "        type: string\n"
                      "        required: true\n"
                      "      shop: int64\n"
                      "      amount:\n"
                      "        type: float64\n"
                      "        column: Amount\n"
                      "        description: \"in \\\"euro\\\"\\n \303\251\\u2028\"\n"
                      "      status: string\n"
                      "      seen:\n"
                      "        type: timestamp\n"
                      "        unit: us\n"
                      "        zone: Europe/Berlin\n"
                      "      ts:\n"
                      "        type: timestamp\n"
                      "        unit: s\n");
    cr_expect_str_eq (definitions->views[0].text,
                      "views:\n"
                      "  spend:\n"
                      "    from: payments\n"
                      "    key: [user_id, shop]\n"
                      "    where: \"status is distinct from 'declined: #1'\"\n"
                      "    horizon: 36h\n"
                      "    ttl: 30d\n"
                      "    features:\n"
                      "      n: count() over 1h, 24h, 1d, lifetime\n"
                      "      total: sum(amount) where amount > 0 over 7d\n"
                      "      ever: mean(amount)\n"
                      "      last_seen:\n"
                      "        expr: last(seen)\n"
                      "        description: no\n");
    definitions_destroy (&definitions);
}

#define HEAD                                                                                       \
    "streams:\n  s:\n    key: k\n    time: t\n    fields: {k: string, a: float64, b: int64, t: "   \
    "timestamp}\n"                                                                                 \
    "views:\n  v:\n    from: s\n"

typedef struct hashes {
    uint64_t fingerprint, meaning, plan, slot;
} hashes_t;

static hashes_t hashes_of (const char *text)
{
    definitions_t *definitions = read_text (text);
    plan_t *plan = plan_new (&definitions->views[0]);
    hashes_t hashes = { definitions->streams[0].fingerprint, definitions->views[0].meaning,
                        plan->hash, plan->slots[0].hash };
    plan_destroy (&plan);
    definitions_destroy (&definitions);
    return hashes;
}

Test (definitions, hashes_follow_meaning_and_not_spelling)
{
    hashes_t base = hashes_of (HEAD "    where: a > 1\n    features: {x: sum(a) over 1h}\n");
    hashes_t same = hashes_of (HEAD "    where: ((a>1))\n    horizon: 2d\n    features:\n"
                                    "      y: {expr: mean( (a) ) OVER 60m, description: other}\n");
    cr_expect (memcmp (&same, &base, sizeof base) == 0);
    hashes_t more = hashes_of (HEAD "    where: a > 1\n    features: {x: 'sum(a) over 1h, 2h'}\n");
    hashes_t filter = hashes_of (HEAD "    where: a > 2\n    features: {x: sum(a) over 1h}\n");
    hashes_t none = hashes_of (HEAD "    features: {x: sum(a) over 1h}\n");
    hashes_t other = hashes_of (HEAD "    where: a > 1\n    features: {x: min(a) over 1h}\n");
    hashes_t input = hashes_of (HEAD "    where: a > 1\n    features: {x: sum(b) over 1h}\n");
    cr_expect_eq (more.slot, base.slot, "a window is not in a slot");
    cr_expect_eq (more.meaning, base.meaning, "a feature is not in a view's meaning");
    cr_expect_neq (more.plan, base.plan);
    cr_expect_neq (filter.meaning, base.meaning);
    cr_expect_neq (filter.slot, base.slot);
    cr_expect_neq (none.meaning, base.meaning);
    cr_expect_neq (other.slot, base.slot);
    cr_expect_neq (input.slot, base.slot);
    cr_expect_eq (other.meaning, base.meaning);
    cr_expect_eq (input.fingerprint, base.fingerprint);
}

Test (definitions, a_new_field_changes_the_rows_and_no_view)
{
    static const char tail[] = "views:\n  v:\n    from: s\n    where: a > 1\n"
                               "    features: {x: sum(a + b) over 1h}\n";
    static const char *const fields[] = {
        "{k: string, a: float64, b: int64, t: timestamp}",
        "{c: int64, t: timestamp, b: int64, a: float64, k: string}", /* more, and moved */
        "{k: string, a: int64, b: int64, t: timestamp}",             /* another type */
    };
    hashes_t hashes[3];
    for (size_t i = 0; i < 3; i++) {
        buf_t text;
        buf_init (&text, 4096);
        buf_printf (&text, "streams:\n  s:\n    key: k\n    time: t\n    fields: %s\n%s", fields[i],
                    tail);
        hashes[i] = hashes_of (buf_string (&text));
        buf_release (&text);
    }
    cr_expect_neq (hashes[1].fingerprint, hashes[0].fingerprint);
    cr_expect_eq (hashes[1].meaning, hashes[0].meaning);
    cr_expect_eq (hashes[1].plan, hashes[0].plan);
    cr_expect_neq (hashes[2].meaning, hashes[0].meaning);
    cr_expect_neq (hashes[2].slot, hashes[0].slot);
}

Test (definitions, key_of_a_row_is_its_fields_encoded_and_none_with_a_null)
{
    definitions_t *definitions = read_text (example);
    const stream_t *stream = &definitions->streams[0];
    type_t types[6];
    for (size_t i = 0; i < 6; i++)
        types[i] = stream->fields[i].type;
    arena_t *arena = arena_new (4096);
    batch_t batch = batch_new (arena, types, 6, 2);
    value_t user = { .type = TYPE_STRING, .s = text_of ("u") };
    value_t shop = { .type = TYPE_INT64, .i = 7 };
    column_set (&batch.column[0], 0, &user);
    column_set (&batch.column[1], 0, &shop);
    column_set (&batch.column[0], 1, &user);
    buf_t got, expected;
    buf_init (&got, 100);
    buf_init (&expected, 100);
    key_put (&expected, &user);
    key_put (&expected, &shop);
    cr_expect (stream_key (stream, &batch, 0, &got));
    cr_expect_eq (got.size, expected.size);
    cr_expect_arr_eq (got.data, expected.data, expected.size);
    cr_expect_not (stream_key (stream, &batch, 1, &got));
    cr_expect_eq (got.size, expected.size, "nothing is appended");
    buf_release (&got);
    buf_release (&expected);
    arena_destroy (&arena);
    definitions_destroy (&definitions);
}
