/* weir versions, promote, retire and annotate - versions of views and services. */
#include "client/cli/annotation.h"
#include "client/cli/applied.h"
#include "client/cli/terminal.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <string.h>

enum {
    ANNOTATIONS_MAX = 64, /* at once */
    LISTING_MAX = 1 << 30,
};

/* ---- versions ---- */

static void add_time (table_t *table, int64_t time)
{
    buf_t text;
    buf_init (&text, 64);
    if (time > 0)
        time_format (&text, time);
    /* to the second: 2026-01-02T03:04:05 */
    table_add (table, (text_t){ buf_string (&text), text.size > 19 ? 19 : (uint32_t)text.size });
    buf_release (&text);
}

static void add_state (table_t *table, const wire_value_t *version)
{
    text_t state = wire_text (version, "state");
    if (wire_has (version, "total"))
        table_addf (table, TEXT_FORMAT " %" PRIu64 "/%" PRIu64, TEXT_ARGS (state),
                    wire_uint (version, "done", 0), wire_uint (version, "total", 0));
    else
        table_add (table, state);
}

static void add_annotations (table_t *table, const wire_value_t *version)
{
    wire_list_t list = wire_list (version, "annotations");
    buf_t text;
    buf_init (&text, 1 << 17);
    for (uint32_t i = 0; i < list.count; i++)
        buf_printf (&text, "%s" TEXT_FORMAT "=" TEXT_FORMAT, i > 0 ? ", " : "",
                    TEXT_ARGS (wire_text (&list.items[i], "name")),
                    TEXT_ARGS (wire_text (&list.items[i], "value")));
    table_add (table, text_of (buf_string (&text)));
    buf_release (&text);
}

/* What is made of the versions as they come: a table and what they wait for, or JSON. */
typedef struct listing {
    bool json;
    table_t *table;
    buf_t waits;
    buf_t out;
} listing_t;

static void add_version (void *arg, const wire_value_t *version)
{
    listing_t *self = arg;
    text_t name = wire_text (version, "name"), waits = wire_text (version, "waits");
    uint64_t number = wire_uint (version, "version", 0);
    if (self->json) {
        buf_put_string (&self->out, self->out.size > 0 ? "," : "{\"versions\":[");
        client_any_json (version, &self->out);
        return;
    }
    table_addf (self->table, TEXT_FORMAT "@v%" PRIu64, TEXT_ARGS (name), number);
    add_state (self->table, version);
    table_addf (self->table, wire_has (version, "features") ? "%u" : "",
                wire_list (version, "features").count);
    add_time (self->table, wire_int (version, "created", 0));
    table_add (self->table, wire_text (version, "author"));
    table_add (self->table, wire_text (version, "message"));
    add_annotations (self->table, version);
    if (waits.size > 0)
        buf_printf (&self->waits, "\n" TEXT_FORMAT "@v%" PRIu64 " waits for " TEXT_FORMAT "\n",
                    TEXT_ARGS (name), number, TEXT_ARGS (waits));
}

static status_t end_listing (listing_t *self, error_t *error)
{
    if (self->json)
        buf_put_string (&self->out, self->out.size > 0 ? "]}\n" : "{\"versions\":[]}\n");
    if (self->out.bad || self->waits.bad)
        return error_set (error, STATUS_TOO_LARGE,
                          "all versions are over %d MiB; name one view or service",
                          LISTING_MAX >> 20);
    if (!self->json)
        table_print (self->table);
    print_buf (self->json ? &self->out : &self->waits);
    return STATUS_OK;
}

static int run_versions (call_t *call)
{
    static const char *const heads[] = { "VERSION", "STATE", ">FEATURES",  "CREATED",
                                         "BY",      "WHY",   "SAID OF IT", NULL };
    int exit_status;
    error_t error;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    listing_t listing = { .json = call->json, .table = table_new (heads) };
    buf_init (&listing.waits, LISTING_MAX);
    buf_init (&listing.out, LISTING_MAX);
    status_t status = client_versions (call->weir, call->words_count > 0 ? call->words[0] : NULL,
                                       add_version, &listing, &error);
    if (status == STATUS_OK)
        status = end_listing (&listing, &error);
    buf_release (&listing.out);
    buf_release (&listing.waits);
    table_destroy (&listing.table);
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

const command_t command_versions = {
    .name = "versions",
    .group = "Definitions",
    .operands = "[NAME]",
    .purpose = "Lists versions of views and services: who made each, when, why, and how good it is",
    .details = "With NAME also those that are retired. `building` is not answered yet: it says how "
               "many partitions have it.\n--json lists the features of each, and of a "
               "service the SHA-256 of its preprocessing with all numbers.\nWhat waits for its "
               "numbers is answered when it is named; "
               "`weir fit` makes the version that becomes active.",
    .examples = "  weir versions\n  weir versions user_spend\n  weir versions fraud_model --json",
    .least = 0,
    .most = 1,
    .run = run_versions,
};

/* ---- promote and retire ---- */

static int ask_version (call_t *call, message_kind_t kind, const char *done)
{
    text_t name;
    uint32_t version;
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status) ||
        !call_version (call, call->words[0], &name, &version, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    wire_writer_t *writer = client_begin (call->weir, kind);
    wire_field_text (writer, "name", name);
    wire_field_uint (writer, "version", version);
    if (client_call (call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, &error) !=
        STATUS_OK)
        return call_failed (call, &error);
    uint64_t now = wire_uint (reply.body, "version", 0);
    if (call->json)
        print_json (reply.body);
    else
        printf ("%s %s: version %" PRIu64 " of the definitions\n", done, call->words[0], now);
    await_definitions (call, now);
    return EXIT_DONE;
}

/* A newer version that is being built takes the place of the promoted one. */
static void tell_building (void *arg, const wire_value_t *version)
{
    const char *promoted = arg;
    if (text_is (wire_text (version, "state"), "building"))
        fprintf (stderr,
                 TEXT_FORMAT "@v%" PRIu64
                             " is being built, and becomes the active one when it is complete: "
                             "`weir retire` it, and %s stays\n",
                 TEXT_ARGS (wire_text (version, "name")), wire_uint (version, "version", 0),
                 promoted);
}

static int run_promote (call_t *call)
{
    text_t name;
    uint32_t version;
    error_t error;
    int exit_status = ask_version (call, MESSAGE_PROMOTE, "promoted");
    if (exit_status != EXIT_DONE || !call->weir || /* --help */
        !version_reference (text_of (call->words[0]), &name, &version))
        return exit_status;
    char *bare = mem_string_n (name.data, name.size);
    char *promoted = mem_string (call->words[0]);
    if (client_versions (call->weir, bare, tell_building, promoted, &error) != STATUS_OK)
        exit_status = call_failed (call, &error);
    mem_free (promoted);
    mem_free (bare);
    return exit_status;
}

const command_t command_promote = {
    .name = "promote",
    .group = "Definitions",
    .operands = "NAME@vN",
    .purpose = "Makes a version the active one, which is answered when none is named",
    .details = "An older one stays active until the next promote, or until the next new version is "
               "complete.",
    .examples = "  weir promote user_spend@v1",
    .least = 1,
    .most = 1,
    .run = run_promote,
};

static int run_retire (call_t *call)
{
    return ask_version (call, MESSAGE_RETIRE, "retired");
}

const command_t command_retire = {
    .name = "retire",
    .group = "Definitions",
    .operands = "NAME@vN",
    .purpose = "Ends a version: it is not answered any more, and its files are removed",
    .details = "Refused of the active version, and of one that a version of a service needs. What "
               "it was is kept for\n`weir versions` and `weir diff`.",
    .examples = "  weir retire user_spend@v1",
    .least = 1,
    .most = 1,
    .run = run_retire,
};

/* ---- annotate ---- */

static int run_annotate (call_t *call)
{
    text_t name;
    uint32_t version;
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status) ||
        !call_version (call, call->words[0], &name, &version, &exit_status))
        return exit_status;
    for (size_t i = 1; i < call->words_count; i++)
        if (!strchr (call->words[i], '=') || call->words[i][0] == '=')
            return call_usage (call, "'%s': what is said of a version is written accuracy=0.89",
                               call->words[i]);
    annotation_t list[ANNOTATIONS_MAX];
    size_t count = call->words_count - 1;
    for (size_t i = 0; i < count; i++) {
        const char *word = call->words[i + 1], *equals = strchr (word, '=');
        list[i] = (annotation_t){ { word, (uint32_t)(equals - word) }, equals + 1 };
    }
    return call_weir (call) ? annotate (call, call->words[0], list, count) : EXIT_FAILED;
}

const command_t command_annotate = {
    .name = "annotate",
    .group = "Definitions",
    .operands = "NAME@vN NAME=VALUE...",
    .purpose = "Keeps with a version what is said of it: how good a model was with it, a note",
    .details = "An empty value takes away what was said under the name.",
    .examples = "  weir annotate fraud_model@v3 accuracy=0.89 note='trained on May'",
    .least = 2,
    .most = 1 + ANNOTATIONS_MAX,
    .run = run_annotate,
};
