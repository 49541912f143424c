/* weir forget, weir forgets - erasing an entity. */
#include "client/cli/registered.h"
#include "client/cli/work.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { KEY_FIELDS = 8, QUESTION_MAX = 4096 };

typedef struct wanted {
    const char *before, *message;
    bool no_wait, yes;
    client_forget_t request;
    text_t fields[KEY_FIELDS];
    text_t values[KEY_FIELDS];
    char id[17];
} wanted_t;

/* ---- asking ---- */

/* FIELD=VALUE, each field once; false after printing. */
static bool read_key (const call_t *call, wanted_t *wanted)
{
    size_t count = call->words_count - 1;
    for (size_t i = 0; i < count; i++) {
        const char *word = call->words[i + 1];
        size_t name = strcspn (word, "=");
        if (name == 0 || word[name] == '\0') {
            (void)call_usage (call, "\"%s\" is not FIELD=VALUE", word);
            return false;
        }
        wanted->fields[i] = (text_t){ word, (uint32_t)name };
        wanted->values[i] = text_of (word + name + 1);
        for (size_t k = 0; k < i; k++)
            if (text_equal (wanted->fields[k], wanted->fields[i])) {
                (void)call_usage (call, TEXT_FORMAT " is given twice",
                                  TEXT_ARGS (wanted->fields[i]));
                return false;
            }
    }
    wanted->request.stream = call->words[0];
    wanted->request.fields = wanted->fields;
    wanted->request.values = wanted->values;
    wanted->request.count = count;
    return true;
}

static bool read_before (const call_t *call, wanted_t *wanted)
{
    struct timespec now;
    error_t error;
    wanted->request.before = INT64_MAX;
    if (!wanted->before)
        return true;
    (void)clock_gettime (CLOCK_REALTIME, &now);
    int64_t now_us = (int64_t)now.tv_sec * TIME_SECOND + now.tv_nsec / 1000;
    if (time_parse_argument (text_of (wanted->before), now_us, &wanted->request.before, &error) ==
        STATUS_OK)
        return true;
    (void)call_usage (call, "--before: %s", error.text);
    return false;
}

static bool is_key_field (const stream_t *stream, text_t name)
{
    for (size_t i = 0; i < stream->key_count; i++)
        if (text_is (name, stream->fields[stream->key[i]].name))
            return true;
    return false;
}

static status_t check_named (const definitions_t *definitions, const wanted_t *wanted,
                             error_t *error)
{
    const client_forget_t *request = &wanted->request;
    const stream_t *stream = definitions_stream (definitions, text_of (request->stream));
    if (!stream)
        return definitions_no_stream (definitions, text_of (request->stream), error);
    for (size_t i = 0; stream->key_count > 0 && i < request->count; i++) {
        const char *names[KEY_FIELDS_MAX];
        if (is_key_field (stream, wanted->fields[i]))
            continue;
        for (size_t k = 0; k < stream->key_count; k++)
            names[k] = stream->fields[stream->key[k]].name;
        char *name = mem_string_n (wanted->fields[i].data, wanted->fields[i].size);
        const char *nearest = text_nearest (name, names, stream->key_count);
        status_t status = error_set (
            error, STATUS_INVALID, "'%s' is not a field of the stream's own key%s%s%s", name,
            nearest ? "; did you mean '" : ", which is ", nearest ? nearest : names[0],
            nearest                 ? "'?"
            : stream->key_count > 1 ? " and others"
                                    : "");
        mem_free (name);
        return status;
    }
    return STATUS_OK;
}

/* Before anybody is asked whether it is meant. */
static status_t check_entity (call_t *call, const wanted_t *wanted, error_t *error)
{
    registered_t registered;
    status_t status = registered_read (call, &registered, error);
    if (status == STATUS_OK)
        status = check_named (registered.definitions, wanted, error);
    registered_release (&registered);
    return status;
}

/* It cannot be undone: who asks for it reads once more what it takes. */
static bool is_meant (const call_t *call, const wanted_t *wanted)
{
    buf_t question;
    buf_init (&question, QUESTION_MAX);
    buf_printf (&question, "erase ");
    for (size_t i = 1; i < call->words_count; i++)
        buf_printf (&question, "%s%s", i > 1 ? ", " : "", call->words[i]);
    buf_printf (&question, " of %s for good, %s", call->words[0],
                wanted->before ? "its events before " : "all its events");
    if (wanted->before)
        time_format (&question, wanted->request.before);
    buf_put_u8 (&question, '?');
    bool meant = call_agreed (call, wanted->yes,
                              question.bad ? "erase that for good?" : buf_string (&question),
                              "nothing was erased");
    buf_release (&question);
    return meant;
}

/* So that asking again is the same question. */
static void make_id (char id[17])
{
    uint64_t number;
    CHECK (getrandom (&number, sizeof number, 0) == sizeof number);
    (void)snprintf (id, 17, "%016" PRIx64, number);
}

/* ---- following ---- */

typedef struct forgetting {
    call_t *call;
    const char *id;
    int64_t start; /* ms */
} forgetting_t;

static int ended (const call_t *call, const wire_value_t *forget, int64_t start)
{
    progress_end ();
    if (call->json)
        print_json (forget);
    if (!text_is (wire_text (forget, "state"), "erased")) {
        fprintf (stderr, "weir forget: " TEXT_FORMAT "\n", TEXT_ARGS (wire_text (forget, "error")));
        return EXIT_FAILED;
    }
    uint64_t rows = wire_uint (forget, "rows", 0);
    if (!call->json)
        printf ("forget " TEXT_FORMAT ": %" PRIu64 " event%s erased after %.1f s; %" PRIu64
                " files with %" PRIu64 " rows were looked through and hold nothing of it\n",
                TEXT_ARGS (wire_text (forget, "id")), rows, plural (rows),
                (double)(monotonic_ms () - start) / 1000, wire_uint (forget, "files", 0),
                wire_uint (forget, "scanned", 0));
    return EXIT_DONE;
}

static void show (const wire_value_t *forget)
{
    text_t waits = wire_text (forget, "waits");
    progress ("forget " TEXT_FORMAT ": " TEXT_FORMAT "%s" TEXT_FORMAT,
              TEXT_ARGS (wire_text (forget, "id")), TEXT_ARGS (wire_text (forget, "state")),
              waits.size > 0 ? ", waits for " : "", TEXT_ARGS (waits));
}

static status_t ask (void *arg, message_t *reply, error_t *error)
{
    const forgetting_t *self = arg;
    return client_forgets (self->call->weir, self->id, reply, error);
}

static bool look (void *arg, const message_t *reply, int *exit_status)
{
    const forgetting_t *self = arg;
    wire_list_t found = wire_list (reply->body, "forgets");
    if (found.count == 0) {
        error_t error;
        (void)error_set (&error, STATUS_NOT_FOUND, "forget %s is not known any more", self->id);
        *exit_status = call_failed (self->call, &error);
        return true;
    }
    text_t state = wire_text (&found.items[0], "state");
    if (text_is (state, "erased") || text_is (state, "failed")) {
        *exit_status = ended (self->call, &found.items[0], self->start);
        return true;
    }
    show (&found.items[0]);
    return false;
}

static void leave (void *arg)
{
    const forgetting_t *self = arg;
    fprintf (stderr, "weir forget: it goes on; `weir forgets %s` tells how far it is\n", self->id);
}

static int run_forget (call_t *call)
{
    wanted_t wanted = { 0 };
    const option_spec_t specs[] = {
        { 0, "before", "TIME", "only its events with earlier times", &wanted.before, NULL },
        { 'm', "message", "WHY", "is kept with the record of it; do not name the entity in it",
          &wanted.message, NULL },
        { 'y', "yes", NULL, "do not ask", NULL, &wanted.yes },
        { 0, "no-wait", NULL, "return when the cluster has taken it", NULL, &wanted.no_wait },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!read_key (call, &wanted) || !read_before (call, &wanted))
        return EXIT_USAGE;
    if (!call_weir (call))
        return EXIT_FAILED;
    error_t error;
    status_t status = check_entity (call, &wanted, &error);
    if (status != STATUS_OK)
        return call_failed (call, &error);
    if (!is_meant (call, &wanted))
        return EXIT_FAILED;
    make_id (wanted.id);
    wanted.request.id = wanted.id;
    wanted.request.message = wanted.message;
    message_t reply;
    status = client_forget (call->weir, &wanted.request, &reply, &error);
    if (status == STATUS_TIMEOUT) /* it may have been taken */
        status = client_forget (call->weir, &wanted.request, &reply, &error);
    if (status != STATUS_OK)
        return call_failed (call, &error);
    if (!wanted.no_wait) {
        forgetting_t forgetting = { call, wanted.id, monotonic_ms () };
        return follow (call, &(following_t){ ask, look, leave, &forgetting });
    }
    if (call->json)
        print_json (reply.body);
    else
        printf ("forget %s is taken; `weir forgets %s` tells how far it is\n", wanted.id,
                wanted.id);
    return EXIT_DONE;
}

const command_t command_forget = {
    .name = "forget",
    .group = "Events",
    .operands = "STREAM FIELD=VALUE...",
    .purpose = "Asks, and erases one entity: its events, every copy, and what was made of them",
    .details =
        "FIELD=VALUE names the entity by the stream's own key. What was sent or loaded before is "
        "erased for good,\nby the recomputes that the forget schedules; what is sent later is new "
        "and stays. It returns when\nevery file was looked through and holds nothing of it. "
        "Backups made before still do. Without a terminal\nto ask at, --yes is needed.",
    .examples = "  weir forget payments user_id=u1 -m \"request 4711\"\n"
                "  weir forget payments user_id=u1 --before 2025-01-01\n"
                "  weir forget payments user_id=u1 --yes --no-wait --json\n"
                "  weir forgets",
    .least = 2,
    .most = 1 + KEY_FIELDS,
    .run = run_forget,
};

/* ---- forgets ---- */

static void add_when (table_t *table, int64_t time)
{
    buf_t text;
    buf_init (&text, 64);
    format_time (&text, time);
    table_add (table, (text_t){ (const char *)text.data, (uint32_t)text.size });
    buf_release (&text);
}

static void print_forgets (wire_list_t forgets)
{
    static const char *const heads[] = { "FORGET",   "STREAM",    "ENTITY",     "STATE",
                                         ">EVENTS",  ">FILES",    ">ROWS READ", "ASKED",
                                         "FINISHED", "WAITS FOR", "WHY",        NULL };
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < forgets.count; i++) {
        const wire_value_t *forget = &forgets.items[i];
        table_add (table, wire_text (forget, "id"));
        table_add (table, wire_text (forget, "stream"));
        table_add (table, wire_text (forget, "key"));
        table_add (table, wire_text (forget, "state"));
        table_addf (table, "%" PRIu64, wire_uint (forget, "rows", 0));
        table_addf (table, "%" PRIu64, wire_uint (forget, "files", 0));
        table_addf (table, "%" PRIu64, wire_uint (forget, "scanned", 0));
        add_when (table, wire_int (forget, "created", 0));
        add_when (table, wire_int (forget, "finished", 0));
        table_add (table, wire_text (forget, "waits"));
        table_add (table, wire_text (forget, wire_has (forget, "error") ? "error" : "message"));
    }
    table_print (table);
    table_destroy (&table);
}

static int run_forgets (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    const char *id = call->words_count > 0 ? call->words[0] : NULL;
    if (client_forgets (call->weir, id, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    wire_list_t forgets = wire_list (reply.body, "forgets");
    if (id && forgets.count == 0) {
        (void)error_set (&error, STATUS_NOT_FOUND,
                         "there is no forget %s; `weir forgets` lists them", id);
        return call_failed (call, &error);
    }
    if (call->json)
        print_json (reply.body);
    else if (forgets.count == 0)
        puts ("nothing was forgotten");
    else
        print_forgets (forgets);
    return EXIT_DONE;
}

const command_t command_forgets = {
    .name = "forgets",
    .group = "Events",
    .operands = "[ID]",
    .purpose = "Lists entities that are being erased, and the records of those that were",
    .details = "The entity is shown until it is erased; after that nobody knows which one it was. "
               "--json tells the first\ndataset of each log that lacks it.",
    .examples = "  weir forgets\n  weir forgets --json",
    .least = 0,
    .most = 1,
    .run = run_forgets,
};
