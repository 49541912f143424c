/* Views by other keys than their stream's, and the logs that these make. */
#include "feature/keyed_log.h"
#include "feature/plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define STREAM                                                                                     \
    "streams:\n"                                                                                   \
    "  pay:\n"                                                                                     \
    "    key: user\n"                                                                              \
    "    time: ts\n"                                                                               \
    "    fields: {user: string, shop: string, n: int64, ts: timestamp}\n"                          \
    "views:\n"

static definitions_t *read_text (const char *text)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions;
    error_t error;
    status_t status = definitions_read (&file, 1, &definitions, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return definitions;
}

static void assert_refused (const char *text, const char *reason)
{
    definition_file_t file = { "f.yaml", text_of (text) };
    definitions_t *definitions = NULL;
    error_t error;
    cr_assert_neq (definitions_read (&file, 1, &definitions, &error), STATUS_OK);
    cr_assert_not_null (strstr (error.text, reason), "%s", error.text);
}

Test (keys, of_a_view_name_its_log_in_the_order_written)
{
    definitions_t *definitions =
        read_text (STREAM "  a: {from: pay, features: {n: count()}}\n"
                          "  b: {from: pay, key: shop, features: {n: count()}}\n"
                          "  c:\n    from: pay\n    key: [shop, user]\n    features: {n: count()}\n"
                          "  d:\n    from: pay\n    key: []\n    features: {n: count()}\n"
                          "  e: {from: pay, key: user, features: {n: count()}}\n");
    static const char *const names[] = { "pay/user", "pay/shop", "pay/shop,user", "pay/_",
                                         "pay/user" };
    for (size_t i = 0; i < 5; i++) {
        const view_t *view = &definitions->views[i];
        plan_t *plan = plan_new (view);
        keyed_log_t log;
        cr_expect_str_eq (view->log_name, names[i]);
        cr_expect_str_eq (plan->log_name, names[i]);
        cr_expect_eq (plan->keyed, i != 3);
        cr_assert (keyed_log_find (definitions, text_of (names[i]), &log));
        cr_expect_str_eq (log.name, names[i]);
        cr_expect_eq (log.primary, i == 0 || i == 4);
        cr_expect_eq (log.fingerprint == definitions->streams[0].fingerprint, log.primary);
        for (size_t k = 0; k < i; k++) /* another key is another meaning */
            cr_expect_eq (view->meaning == definitions->views[k].meaning, i == 4 && k == 0);
        /* and it is written so */
        cr_expect_not_null (strstr (view->text, "key: "));
        plan_destroy (&plan);
    }
    definitions_destroy (&definitions);
}

Test (keys, that_are_wrong_are_told_at_their_place)
{
    assert_refused (STREAM "  v:\n    from: pay\n    key: shp\n    features: {n: count()}\n",
                    "f.yaml:9:10: 'pay' has no field 'shp'; did you mean 'shop'?");
    assert_refused (STREAM "  v:\n    from: pay\n    key: [n, n]\n    features: {n: count()}\n",
                    "f.yaml:9:14: 'n' is in the key twice");
}

Test (keys, of_a_stream_are_bounded)
{
    char text[8192] =
        "streams:\n  s:\n    key: []\n    time: ts\n    fields:\n      ts: timestamp\n";
    size_t size = strlen (text);
    for (int i = 0; i < KEYED_LOGS_MAX; i++)
        size += (size_t)snprintf (text + size, sizeof text - size, "      f%d: int64\n", i);
    size += (size_t)snprintf (text + size, sizeof text - size, "views:\n");
    for (int i = 0; i < KEYED_LOGS_MAX - 1; i++)
        size += (size_t)snprintf (text + size, sizeof text - size,
                                  "  v%d: {from: s, key: f%d, features: {n: count()}}\n"
                                  "  w%d: {from: s, key: f%d, features: {n: count()}}\n",
                                  i, i, i, i);
    definitions_t *definitions = read_text (text);
    definitions_destroy (&definitions);
    (void)snprintf (text + size, sizeof text - size,
                    "  last: {from: s, key: f%d, features: {n: count()}}\n", KEYED_LOGS_MAX - 1);
    assert_refused (text, "views of 's' have too many different keys (at most 15)");
}

Test (keys, logs_are_found_by_name_whether_a_view_is_over_them_or_not)
{
    static const char *const wrong[] = { "pay",           "pay/",       "pay/shop,",
                                         "pay/shop,shop", "pay/_,shop", "other/shop",
                                         "pay/none",      "",           "/" };
    definitions_t *definitions = read_text (STREAM "  a: {from: pay, features: {n: count()}}\n");
    keyed_log_t log;
    cr_assert (keyed_log_find (definitions, text_of ("pay/n,shop"), &log));
    cr_expect_eq (log.key_count, 2);
    cr_expect_eq (log.key[0], 2);
    cr_expect_eq (log.key[1], 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not (keyed_log_find (definitions, text_of (wrong[i]), &log), "%s", wrong[i]);
    cr_expect (keyed_log_is_of (text_of ("pay/shop"), "pay"));
    cr_expect_not (keyed_log_is_of (text_of ("payments/shop"), "pay"));
    definitions_destroy (&definitions);
}

Test (keys, an_event_without_one_or_with_too_long_a_one_is_of_no_entity)
{
    definitions_t *definitions = read_text (STREAM "  a: {from: pay, features: {n: count()}}\n");
    type_t types[] = { TYPE_STRING, TYPE_STRING, TYPE_INT64, TYPE_TIMESTAMP };
    arena_t *arena = arena_new (4096);
    batch_t batch = batch_new (arena, types, 4, 3);
    static char large[KEY_SIZE_MAX + 1];
    memset (large, 'x', KEY_SIZE_MAX);
    value_t value = { .type = TYPE_STRING, .s = text_of ("a") };
    column_set (&batch.column[1], 0, &value);
    value.s = text_of (large);
    column_set (&batch.column[1], 2, &value);
    keyed_log_t log;
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    cr_assert (keyed_log_find (definitions, text_of ("pay/shop"), &log));
    cr_expect (keyed_log_key (&log, &batch, 0, &key));
    cr_expect_gt (key.size, 0);
    buf_clear (&key);
    cr_expect_not (keyed_log_key (&log, &batch, 1, &key));
    cr_expect_not (keyed_log_key (&log, &batch, 2, &key));
    cr_expect_eq (key.size, 0);
    cr_expect_not (key.bad);
    cr_assert (keyed_log_find (definitions, text_of ("pay/_"), &log));
    cr_expect (keyed_log_key (&log, &batch, 1, &key));
    cr_expect_eq (key.size, 0);
    buf_release (&key);
    arena_destroy (&arena);
    definitions_destroy (&definitions);
}
