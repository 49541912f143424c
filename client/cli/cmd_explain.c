/* weir explain - a view's compiled plan, and what its keys take. */
#include "client/cli/explain.h"
#include "client/cli/loose.h"
#include "client/cli/terminal.h"

#include "client/cli/command.h"

#include "base/number.h"
#include "base/timestamp.h"

enum {
    OUT_MAX = 64 << 20,
    EVENTS_DEFAULT = 10,
    EVENTS_MOST = 1000000000,
    STRING_DEFAULT = 16,
    DISTINCT_DEFAULT = 100,
    STATUS_WAIT_MS = 500, /* a cluster that is not there is done without */
};

typedef struct options {
    const char *events;
    const char *over;
    const char *string_bytes;
    const char *distinct;
} options_t;

/* Is that one of the view's logs? */
static bool is_of_view (const view_t *view, text_t log_name)
{
    for (size_t i = 0; i < view->sources_count; i++)
        if (text_is (log_name, view->sources[i].log_name))
            return true;
    return false;
}

/* Events of a key in the real-time views of the view's logs, if a cluster answers and has any. */
static bool events_of_cluster (call_t *call, const view_t *view, double *events)
{
    message_t reply;
    error_t error;
    if (!call_weir (call))
        return false;
    (void)client_begin (call->weir, MESSAGE_STATUS);
    if (client_call (call->weir, CLIENT_COORDINATOR, STATUS_WAIT_MS, &reply, &error) != STATUS_OK)
        return false;
    uint64_t held = 0, keys = 0;
    wire_list_t logs = wire_list (reply.body, "logs");
    for (uint32_t i = 0; i < logs.count; i++) {
        wire_list_t parts = loose_list (&logs.items[i], "partitions");
        for (uint32_t p = 0;
             p < parts.count && is_of_view (view, loose_text (&logs.items[i], "log")); p++) {
            held += loose_uint (&parts.items[p], "held");
            keys += loose_uint (&parts.items[p], "keys");
        }
    }
    *events = keys > 0 ? (double)held / (double)keys : 0;
    return *events >= 1;
}

/* Reads the options; false after printing what is wrong. */
static bool read_keys (call_t *call, const options_t *options, const view_t *view,
                       explain_keys_t *keys)
{
    int64_t number;
    error_t error;
    *keys = (explain_keys_t){ .events = EVENTS_DEFAULT,
                              .events_of = "assumed",
                              .over = explain_reach (view),
                              .string_bytes = STRING_DEFAULT,
                              .distinct = DISTINCT_DEFAULT };
    if (options->string_bytes) {
        if (!call_number (call, "string-bytes", options->string_bytes, STRING_VALUE_MAX, &number))
            return false;
        keys->string_bytes = (size_t)number;
    }
    if (options->distinct) {
        if (!call_number (call, "distinct", options->distinct, EVENTS_MOST, &number))
            return false;
        keys->distinct = (uint64_t)number;
    }
    if (options->over &&
        (duration_parse (text_of (options->over), &keys->over, &error) != STATUS_OK ||
         keys->over <= 0 || keys->over > 36500 * TIME_DAY)) {
        (void)call_usage (call, "--over takes a duration such as 30d, not \"%s\"", options->over);
        return false;
    }
    if (options->events) {
        bool reads = number_parse_float (text_of (options->events), &keys->events);
        keys->events_of = "given";
        if (reads && keys->events >= 1 && keys->events <= EVENTS_MOST)
            return true;
        (void)call_usage (call, "--events-per-key takes a number from 1 on, not \"%s\"",
                          options->events);
        return false;
    }
    double events;
    if (events_of_cluster (call, view, &events)) {
        keys->events = events;
        keys->events_of = "as in the cluster's real-time views";
    }
    return true;
}

static int print_view (call_t *call, const view_t *view, const options_t *options)
{
    explain_keys_t keys;
    explain_t explain;
    error_t error;
    if (!read_keys (call, options, view, &keys))
        return EXIT_USAGE;
    status_t status = explain_init (&explain, view, &keys, &error);
    if (status == STATUS_OK) {
        buf_t out;
        buf_init (&out, OUT_MAX);
        if (call->json)
            explain_json (&explain, &out);
        else
            explain_text (&explain, &out);
        print_buf (&out);
        buf_release (&out);
    }
    explain_release (&explain);
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

static int no_view (const call_t *call, const definitions_t *definitions, const char *name)
{
    const char *nearest = definitions_nearest_view (definitions, text_of (name));
    const service_t *service = definitions_service (definitions, text_of (name));
    error_t error;
    if (service != NULL) {
        (void)error_set (
            &error, STATUS_INVALID,
            "\"%s\" is a service, which keeps nothing; explain the views that it reads, "
            "such as %s",
            name, service->roles[0].view->name);
        return call_failed (call, &error);
    }
    status_t status = error_set (&error, STATUS_NOT_FOUND, "there is no view \"%s\"%s%s%s", name,
                                 nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                                 nearest ? "\"?" : "");
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

static int run (call_t *call)
{
    options_t options = { 0 };
    const option_spec_t specs[] = {
        { 'n', "events-per-key", "N",
          "events of a key (default: as in the running cluster's real-time views, or else 10)",
          &options.events, NULL },
        { 0, "over", "DURATION", "how long these lie apart (default: the view's longest window)",
          &options.over, NULL },
        { 0, "string-bytes", "N", "bytes of a string (default: 16)", &options.string_bytes, NULL },
        { 0, "distinct", "N", "different values of an input (default: 100)", &options.distinct,
          NULL },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof *specs, &exit_status))
        return exit_status;
    if (!call_project (call))
        return EXIT_FAILED;
    definitions_t *definitions;
    error_t error;
    if (definitions_read (call->project->files, call->project->files_count, &definitions, &error) !=
        STATUS_OK) {
        fprintf (stderr, "%s\n", error.text);
        return EXIT_FAILED;
    }
    const view_t *view = definitions_view (definitions, text_of (call->words[0]));
    exit_status = view != NULL ? print_view (call, view, &options)
                               : no_view (call, definitions, call->words[0]);
    definitions_destroy (&definitions);
    return exit_status;
}

const command_t command_explain = {
    .name = "explain",
    .group = "A project",
    .operands = "VIEW",
    .purpose = "Shows a view's compiled plan and what its keys take, without a cluster",
    .details =
        "Equal inputs, filters and states are made once: a STATE is kept for all of its FEATURES. "
        "PARTIAL and\nOF ALL are the bytes of its partial after one event and after all of a "
        "key's. "
        "ATOMS are what a batch\nview cuts history into, an atom an event where the edge of a "
        "window "
        "is expected before the next\nrecompute, one for all events between. Sizes in real-time "
        "views "
        "are about right for keys whose\nevents come nearly in order; what queries cache in keys "
        "of "
        "more events than 2 kB hold comes on top.",
    .examples =
        "  weir explain user_spend\n  weir explain user_spend --events-per-key 200 --over 90d\n"
        "  weir explain user_spend --json | jq .realtime.bytes_per_key",
    .least = 1,
    .most = 1,
    .run = run,
};
