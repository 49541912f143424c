/* Whatever a caller gets wrong is INVALID, and harms nothing. */
#include "tests/unit/api/played.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite (arguments, .timeout = 60);

static weir_error_t error;

static void expect_invalid (weir_status_t status, const char *part)
{
    cr_expect_eq (status, WEIR_INVALID, "%s: %s", part, error.text);
    cr_expect_eq (error.status, WEIR_INVALID);
    cr_expect_not_null (strstr (error.text, part), "\"%s\" does not say \"%s\"", error.text, part);
}

Test (arguments, without_a_handle_are_invalid)
{
    weir_t *weir = NULL;
    weir_sender_t *sender = NULL;
    weir_event_t *event = NULL;
    weir_answer_t *answer = NULL;
    weir_value_t value = weir_null ();
    expect_invalid (weir_get (NULL, played_get (1), &answer, &error), "a handle");
    expect_invalid (weir_get_submit (NULL, played_get (1), 1, &error), "a handle");
    expect_invalid (weir_poll (NULL, 0, &event, &error), "a handle");
    expect_invalid (weir_sender_open (NULL, NULL, &sender, &error), "a handle");
    expect_invalid (weir_sender_put (NULL, &value, 0, &error), "a sender");
    expect_invalid (weir_sender_push (NULL, &error), "a sender");
    expect_invalid (weir_sender_flush (NULL, 0, &error), "a sender");
    expect_invalid (weir_producer_new (NULL, &error), "a place");
    expect_invalid (weir_open (NULL, &weir, &error), "weir_options_init");
    expect_invalid (weir_open (NULL, NULL, &error), "a place");
    cr_expect_eq (weir_open (NULL, &weir, NULL), WEIR_INVALID, "without an error to fill");
    cr_expect_null (weir_sender_report (NULL));
    cr_expect_eq (weir_fd (NULL), -1);
    cr_expect_eq (weir_pending (NULL), 0);
    cr_expect_eq (weir_answer_keys (NULL), 0);
    cr_expect_eq (weir_answer_features (NULL), 0);
    cr_expect_null (weir_answer_value (NULL, 0, 0));
    cr_expect_null (weir_answer_error (NULL, 0, 0));
    cr_expect_null (weir_answer_view (NULL));
    weir_close (NULL);
    weir_close (&weir);
    weir_sender_close (NULL);
    weir_sender_close (&sender);
    weir_event_destroy (NULL);
    weir_event_destroy (&event);
    weir_answer_destroy (NULL);
    weir_answer_destroy (&answer);
}

Test (arguments, of_an_opening_are_checked)
{
    weir_options_t options;
    weir_t *weir;
    const char *endpoints[] = { "tcp://10.1.2.3:7600", NULL };
    weir_options_init (&options);
    expect_invalid (weir_open (&options, &weir, &error), "either the directory");
    options.coordinators = endpoints;
    options.coordinators_count = 1;
    expect_invalid (weir_open (&options, &weir, &error), "10.1.2.3"); /* far, and without keys */
    options.coordinators_count = 2;
    expect_invalid (weir_open (&options, &weir, &error), "coordinator 1");
    options.coordinators_count = 17;
    options.coordinators = NULL;
    expect_invalid (weir_open (&options, &weir, &error), "NULL");
    options.project = "/nowhere";
    expect_invalid (weir_open (&options, &weir, &error), "either the directory");
    options.coordinators_count = 0;
    cr_expect_eq (weir_open (&options, &weir, &error), WEIR_NOT_FOUND);
    options.gets_max = 1025;
    expect_invalid (weir_open (&options, &weir, &error), "gets_max");
    options.size = 3;
    expect_invalid (weir_open (&options, &weir, &error), "weir_options_init");
    cr_expect_null (weir);
}

/* Of a later version what is set and unknown is refused; what is not set is no matter. */
Test (arguments, may_be_of_a_later_version)
{
    struct {
        weir_options_t known;
        uint64_t unknown;
    } later;
    weir_t *weir;
    const char *endpoint = "ipc:///tmp/weir-api-nobody";
    memset (&later, 0, sizeof later);
    later.known.size = sizeof later;
    later.known.coordinators = &endpoint;
    later.known.coordinators_count = 1;
    cr_expect_eq (weir_open (&later.known, &weir, &error), WEIR_OK, "%s", error.text);
    weir_close (&weir);
    later.unknown = 1;
    expect_invalid (weir_open (&later.known, &weir, &error), "later version");
}

static void expect_bad_get (weir_t *weir, const weir_get_t *get, const char *part)
{
    weir_answer_t *answer;
    expect_invalid (weir_get (weir, get, &answer, &error), part);
    cr_expect_null (answer);
    expect_invalid (weir_get_submit (weir, get, 1, &error), part);
}

Test (arguments, of_a_get_are_checked)
{
    weir_t *weir = played_open (NULL, NULL, NULL);
    weir_get_t get;
    static const char bad[] = { 'a', (char)0xff, 0 };
    const char *names[2] = { "user_id", bad };
    weir_value_t values[2] = { weir_string ("u"), weir_null () };
    int64_t as_of = 1;
    char name[300];
    memset (name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
#define SET(part, ...)                                                                             \
    do {                                                                                           \
        get = *played_get (1);                                                                     \
        __VA_ARGS__;                                                                               \
        expect_bad_get (weir, &get, part);                                                         \
    } while (0)
    SET ("weir_get_init", get.size = 8);
    SET ("names a view", get.view = NULL);
    SET ("names a view", get.view = "");
    SET ("names a view", get.view = name);
    SET ("names a view", get.view = bad);
    SET ("1 to 4096 keys", get.keys_count = 0);
    SET ("1 to 4096 keys", get.keys_count = 4097);
    SET ("no values", get.keys = NULL);
    SET ("fields of a key", get.key_fields = NULL);
    SET ("fields of a key", get.key_fields_count = SIZE_MAX);
    SET ("fields of a key", get.key_fields = names, get.key_fields_count = 2, get.keys = values);
    SET ("features", get.features_count = 1);
    SET ("features", get.features = &names[1], get.features_count = 1);
    SET ("the request", get.request_fields = names, get.request_fields_count = 1);
    SET ("not both", get.as_of = "now", get.as_ofs = &as_of);
    SET ("as_of is no time", get.as_of = name);
    SET ("flag", get.flags = 1024);
    values[0].type = WEIR_MAP;
    SET ("no type", get.keys = values);
    values[0].type = 99;
    SET ("no type", get.keys = values);
    values[0] = weir_text (WEIR_STRING, bad, 2);
    SET ("UTF-8", get.keys = values);
    values[0] = weir_text (WEIR_STRING, "a\0b", 3);
    SET ("UTF-8", get.keys = values);
    values[0] = weir_number (WEIR_BOOL, 2);
    SET ("no type", get.keys = values);
#undef SET
    cr_expect_eq (weir_pending (weir), 0);
    weir_close (&weir);
}

Test (arguments, that_are_too_much_for_a_message_are_told_so)
{
    weir_t *weir = played_open (NULL, NULL, NULL);
    weir_answer_t *answer;
    enum { SIZE = 20 << 20 };
    char *text = calloc (1, SIZE);
    cr_assert_not_null (text);
    memset (text, 'a', SIZE - 1);
    weir_value_t value = weir_string (text);
    weir_get_t get = *played_get (1);
    get.keys = &value;
    cr_expect_eq (weir_get (weir, &get, &answer, &error), WEIR_TOO_LARGE);
    cr_expect_eq (weir_get_submit (weir, &get, 1, &error), WEIR_TOO_LARGE);
    const char *column = "a";
    weir_sender_options_t options;
    weir_sender_t *sender;
    weir_sender_options_init (&options);
    options.stream = "payments";
    options.columns = &column;
    options.columns_count = 1;
    cr_assert_eq (weir_sender_open (weir, &options, &sender, &error), WEIR_OK, "%s", error.text);
    expect_invalid (weir_sender_put (sender, &value, 0, &error), "the row is over");
    weir_close (&weir);
    free (text);
}

Test (arguments, of_a_sender_are_checked)
{
    weir_t *weir = played_open (NULL, NULL, NULL);
    weir_sender_t *sender;
    weir_sender_options_t options;
    const char *columns[] = { "a", "b", "a", NULL };
#define SET(part, ...)                                                                             \
    do {                                                                                           \
        weir_sender_options_init (&options);                                                       \
        options.stream = "payments";                                                               \
        options.columns = columns;                                                                 \
        options.columns_count = 2;                                                                 \
        __VA_ARGS__;                                                                               \
        expect_invalid (weir_sender_open (weir, &options, &sender, &error), part);                 \
        cr_expect_null (sender);                                                                   \
    } while (0)
    SET ("weir_sender_options_init", options.size = 0);
    SET ("names a stream", options.stream = NULL);
    SET ("1 to 1024 columns", options.columns_count = 0);
    SET ("1 to 1024 columns", options.columns_count = SIZE_MAX);
    SET ("1 to 1024 columns", options.columns = NULL);
    SET ("a is there twice", options.columns_count = 3);
    SET ("column 1", options.columns = columns + 2);
    SET ("at most 65536 rows", options.batch_rows = 65537);
    SET ("a window", options.window = 65);
    SET ("flag", options.flags = 4096);
    SET ("first_sequence", options.first_sequence = UINT64_MAX);
#undef SET
    weir_sender_options_init (&options);
    options.stream = "payments";
    options.columns = columns;
    options.columns_count = 2;
    cr_assert_eq (weir_sender_open (weir, &options, &sender, &error), WEIR_OK, "%s", error.text);
    weir_value_t row[] = { weir_int (1), weir_null () };
    expect_invalid (weir_sender_put (sender, NULL, 0, &error), "a row");
    row[1].type = WEIR_LIST;
    expect_invalid (weir_sender_put (sender, row, 0, &error), "no type");
    row[1] = weir_text (WEIR_DECIMAL, "\xff", 1);
    expect_invalid (weir_sender_put (sender, row, 0, &error), "UTF-8");
    row[1] = weir_null ();
    row[0] = weir_timestamp (INT64_C (253402300800000000));
    expect_invalid (weir_sender_put (sender, row, 0, &error), "years 0 to 9999");
    row[0] = weir_timestamp (INT64_C (-62167219200000001));
    expect_invalid (weir_sender_put (sender, row, 0, &error), "years 0 to 9999");
    row[0] = weir_timestamp (INT64_C (-62167219200000000));
    cr_expect_eq (weir_sender_report (sender)->rows, 0, "none of them was taken");
    cr_expect_eq (weir_sender_put (sender, row, 0, &error), WEIR_OK);
    weir_close (&weir);
}

Test (arguments, status_words_are_those_of_the_programs)
{
    cr_expect_str_eq (weir_status_word (WEIR_OK), "ok");
    cr_expect_str_eq (weir_status_word (WEIR_NOT_FOUND), "not-found");
    cr_expect_str_eq (weir_status_word (WEIR_DENIED), "denied");
    cr_expect_str_eq (weir_status_word ((weir_status_t)18), "unknown");
    cr_expect_str_eq (weir_status_word ((weir_status_t)-1), "unknown");
}
