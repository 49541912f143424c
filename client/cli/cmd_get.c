/* weir get - features of entities. */
#include "client/cli/command.h"
#include "client/cli/key_file.h"
#include "client/cli/result_table.h"
#include "client/cli/terminal.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <string.h>

enum { FEATURES_ASKED_MAX = FEATURES_MAX, DEADLINE_MOST = 60000, LINE_MAX_SIZE = 64 << 20 };

typedef struct wanted {
    const char *as_of, *features, *keys, *time, *deadline, *part;
    const char *request[OPTION_WORDS_MAX + 1];
    bool before;
    text_t names[FEATURES_ASKED_MAX];
    text_t request_names[OPTION_WORDS_MAX];
    value_t request_values[OPTION_WORDS_MAX];
    client_get_t get;
    char view[WIRE_NAME_MAX + 1];
} wanted_t;

typedef struct answers {
    uint64_t entities;
    uint64_t incomplete;
    uint64_t errors; /* features that could not be computed */
} answers_t;

/* ---- printing ---- */

static void count_answers (const wire_value_t *body, answers_t *answers)
{
    wire_list_t results = wire_list (body, "results");
    for (uint32_t i = 0; i < results.count; i++) {
        const wire_value_t *errors = wire_map (&results.items[i], "errors");
        answers->entities++;
        answers->incomplete += !wire_bool (&results.items[i], "complete", false);
        answers->errors += errors ? errors->via.map.size : 0;
    }
}

static void print_answers (const call_t *call, const wire_value_t *body, bool many)
{
    buf_t out;
    buf_init (&out, LINE_MAX_SIZE);
    if (call->json) {
        uint32_t count = wire_list (body, "results").count;
        for (uint32_t i = 0; i < count; i++) {
            buf_clear (&out);
            client_result_json (body, i, &out);
            puts (buf_string (&out));
        }
    } else if (many) {
        result_rows (body, &out);
        print_buf (&out);
    } else {
        result_page (body, 0, &out);
        print_buf (&out);
    }
    buf_release (&out);
}

static int finish (const call_t *call, const answers_t *answers)
{
    progress_end ();
    if (answers->incomplete > 0 && answers->entities > 1)
        fprintf (stderr, "weir %s: %" PRIu64 " of %" PRIu64 " answers are incomplete\n",
                 call->command->name, answers->incomplete, answers->entities);
    return answers->incomplete > 0 || answers->errors > 0 ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* ---- asking ---- */

/* Is the name of fields[at] one of those before it? */
static bool is_repeated (const text_t *fields, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (text_equal (fields[i], fields[at]))
            return true;
    return false;
}

/* NAME=VALUE of the request, for one entity; false after printing. */
static bool read_request (const call_t *call, wanted_t *wanted)
{
    size_t count = 0;
    for (; wanted->request[count]; count++) {
        wanted->request_values[count] =
            request_value (wanted->request[count], &wanted->request_names[count]);
        if (wanted->request_values[count].null && !wanted->keys) {
            (void)call_usage (call, "--request %s: for one entity it is NAME=VALUE",
                              wanted->request[count]);
            return false;
        }
        if (is_repeated (wanted->request_names, count)) {
            (void)call_usage (call, "--request " TEXT_FORMAT " is given twice",
                              TEXT_ARGS (wanted->request_names[count]));
            return false;
        }
    }
    wanted->get.request_fields = wanted->request_names;
    wanted->get.request_fields_count = count;
    wanted->get.request = wanted->request_values;
    return true;
}

static int get_one (call_t *call, wanted_t *wanted)
{
    size_t count = call->words_count - 1;
    text_t *fields = mem_zero (count + 1, sizeof *fields);
    value_t *values = mem_zero (count + 1, sizeof *values);
    int exit_status = EXIT_DONE;
    for (size_t i = 0; i < count && exit_status == EXIT_DONE; i++) {
        const char *word = call->words[i + 1];
        size_t name = strcspn (word, "=");
        if (name == 0 || word[name] == '\0')
            exit_status = call_usage (call, "\"%s\" is not FIELD=VALUE", word);
        fields[i] = (text_t){ word, (uint32_t)name };
        if (exit_status == EXIT_DONE && is_repeated (fields, i))
            exit_status = call_usage (call, TEXT_FORMAT " is given twice", TEXT_ARGS (fields[i]));
        values[i] = (value_t){ .type = TYPE_STRING };
        if (exit_status == EXIT_DONE)
            values[i].s = text_of (word + name + 1);
    }
    wanted->get.fields = fields;
    wanted->get.fields_count = count;
    wanted->get.keys = values;
    wanted->get.keys_count = 1;
    if (exit_status == EXIT_DONE && !call_weir (call))
        exit_status = EXIT_FAILED;
    message_t reply;
    error_t error;
    answers_t answers = { 0 };
    if (exit_status == EXIT_DONE &&
        client_get (call->weir, &wanted->get, &reply, &error) != STATUS_OK)
        exit_status = call_failed (call, &error);
    if (exit_status == EXIT_DONE) {
        print_answers (call, reply.body, false);
        count_answers (reply.body, &answers);
        exit_status = finish (call, &answers);
    }
    mem_free (fields);
    mem_free (values);
    return exit_status;
}

static status_t get_chunks (call_t *call, wanted_t *wanted, key_file_t *file, answers_t *answers,
                            error_t *error)
{
    status_t status;
    while ((status = key_file_next (file, &wanted->get, error)) == STATUS_OK) {
        message_t reply;
        status = client_get (call->weir, &wanted->get, &reply, error);
        if (status != STATUS_OK)
            return error_prefix (error, "from row %" PRIu64 " on", key_file_row (file));
        progress_end ();
        print_answers (call, reply.body, true);
        count_answers (reply.body, answers);
        progress ("%" PRIu64 " entities", answers->entities);
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static int get_many (call_t *call, wanted_t *wanted)
{
    key_file_t *file;
    error_t error;
    answers_t answers = { 0 };
    if (!call_weir (call))
        return EXIT_FAILED;
    const key_file_columns_t columns = { wanted->time, clock_us (), wanted->request };
    status_t status = key_file_open (wanted->keys, &columns, &file, &error);
    if (status == STATUS_OK)
        status = get_chunks (call, wanted, file, &answers, &error);
    if (status != STATUS_OK)
        (void)call_failed (call, &error);
    key_file_close (&file);
    if (status == STATUS_OK)
        return finish (call, &answers);
    return client_unreachable (call->weir) ? EXIT_UNREACHABLE : EXIT_FAILED;
}

/* ---- the command line ---- */

/* VIEW, VIEW@v2, VIEW:FEATURE or VIEW@v2:FEATURE; and --features a,b. */
static bool read_features (const call_t *call, wanted_t *wanted)
{
    const char *word = call->words[0];
    const char *colon = strchr (word, ':');
    size_t size = colon ? (size_t)(colon - word) : strlen (word);
    snprintf (wanted->view, sizeof wanted->view, "%.*s", (int)size, word);
    wanted->get.view = wanted->view;
    wanted->get.features = wanted->names;
    if (colon)
        wanted->names[wanted->get.features_count++] = text_of (colon + 1);
    for (const char *at = wanted->features; at && *at;) {
        at += strspn (at, " ");
        size_t name = strcspn (at, ", ");
        if (wanted->get.features_count == FEATURES_ASKED_MAX) {
            (void)call_usage (call, "at most %d features", FEATURES_ASKED_MAX);
            return false;
        }
        if (name > 0)
            wanted->names[wanted->get.features_count++] = (text_t){ at, (uint32_t)name };
        at += name;
        at += strspn (at, " ");
        at += *at == ',';
    }
    return true;
}

static bool read_wanted (const call_t *call, wanted_t *wanted)
{
    int64_t number = 0, time;
    error_t error;
    if (wanted->keys && call->words_count > 1)
        (void)call_usage (call, "either FIELD=VALUE or --keys, not both");
    else if (wanted->time && !wanted->keys)
        (void)call_usage (call, "--time names a column of the file of --keys");
    else if (wanted->time && wanted->as_of)
        (void)call_usage (call, "either --time or --as-of, not both");
    else if (wanted->as_of &&
             time_parse_argument (text_of (wanted->as_of), clock_us (), &time, &error) != STATUS_OK)
        (void)call_usage (call, "--as-of: %s", error.text);
    else if (wanted->part && strcmp (wanted->part, "batch") != 0 &&
             strcmp (wanted->part, "realtime") != 0)
        (void)call_usage (call, "--part is batch or realtime, not \"%s\"", wanted->part);
    else if (!wanted->deadline ||
             call_number (call, "deadline", wanted->deadline, DEADLINE_MOST, &number)) {
        wanted->get.as_of = wanted->as_of;
        wanted->get.before = wanted->before;
        wanted->get.deadline_ms = (uint32_t)number;
        wanted->get.part = wanted->part;
        return read_request (call, wanted) && read_features (call, wanted);
    }
    return false;
}

static int run (call_t *call)
{
    wanted_t *wanted = mem_zero (1, sizeof *wanted);
    const option_spec_t specs[] = {
        { 't', "as-of", "TIME", "the instant that is asked about (default: now)", &wanted->as_of,
          NULL },
        { 0, "before", NULL, "leave out what happened at exactly that instant", NULL,
          &wanted->before },
        { 0, "features", "a,b", "these, in this order (default: all)", &wanted->features, NULL },
        { 'k', "keys", "FILE", "many entities: a CSV with the key's fields (- is stdin)",
          &wanted->keys, NULL },
        { 0, "time", "COLUMN", "of that file: each row's own as-of", &wanted->time, NULL },
        { 'r', "request", "NAME=VALUE...",
          "a value that derived features take; with --keys also NAME, a column", wanted->request,
          NULL },
        { 0, "deadline", "MS", "then answer with what there is, incomplete", &wanted->deadline,
          NULL },
        { 0, "part", "LAYER", "batch or realtime: what that layer alone holds", &wanted->part,
          NULL },
    };
    int exit_status;
    if (call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status)) {
        if (!read_wanted (call, wanted))
            exit_status = EXIT_USAGE;
        else
            exit_status = wanted->keys ? get_many (call, wanted) : get_one (call, wanted);
    }
    mem_free (wanted);
    return exit_status;
}

const command_t command_get = {
    .name = "get",
    .group = "Features",
    .operands = "VIEW_OR_SERVICE[@VERSION][:FEATURE] [FIELD=VALUE...]",
    .purpose = "Prints one entity's features, or with --keys those of many",
    .details =
        "Of a service, FIELD is one of its key or of its request, and so are the columns of "
        "--keys.\n"
        "TIME is RFC 3339, a date, YYYY-MM-DD HH:MM:SS (UTC), an integer in ms, now, or -1h. With "
        "--json, one\nobject an entity, one a line, in the order of the keys. The exit status is 4 "
        "when an answer is\nincomplete or a feature could not be computed.",
    .examples = "  weir get user_spend user_id=u1\n"
                "  weir get user_spend user_id=u1 --as-of 2026-01-02T03:04:05Z --json\n"
                "  weir get user_spend:spend_7d user_id=u1 --as-of -1h\n"
                "  weir get user_spend user_id=u1 --request amount=12.5\n"
                "  weir get user_spend --keys users.csv --request amount --json\n"
                "  weir get transfer_model sender_id=u1 receiver_id=u2 amount=12.5\n"
                "  weir get transfer_model:sender:spend_7d --keys transfers.csv --json\n"
                "  weir get user_spend --keys users.csv --time happened_at --before --json",
    .least = 1,
    .most = 1 + SERVICE_KEYS_MAX + REQUEST_FIELDS_MAX,
    .run = run,
};
