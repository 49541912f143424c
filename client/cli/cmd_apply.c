/* weir apply - registers what the files define. */
#include "client/cli/command.h"
#include "client/cli/loose.h"
#include "client/cli/terminal.h"

#include "base/buf.h"

#include <inttypes.h>

enum { LINES_MAX = 1 << 20, NODES_WAIT_MS = 5000, NODES_LOOK_MS = 20 };

static size_t count_changes (wire_list_t changes, const char *what)
{
    size_t count = 0;
    for (uint32_t i = 0; i < changes.count; i++)
        count += text_is (wire_text (&changes.items[i], "change"), what);
    return count;
}

static void print_changes (wire_list_t changes)
{
    for (uint32_t i = 0; i < changes.count; i++) {
        const wire_value_t *change = &changes.items[i];
        text_t what = wire_text (change, "change");
        text_t detail = wire_text (change, "detail");
        if (text_is (what, "same"))
            continue;
        const char *sign = text_is (what, "add") ? "+" : text_is (what, "remove") ? "-" : "~";
        printf ("  %s " TEXT_FORMAT " " TEXT_FORMAT "%s" TEXT_FORMAT "\n", sign,
                TEXT_ARGS (wire_text (change, "kind")), TEXT_ARGS (wire_text (change, "name")),
                detail.size > 0 ? ": " : "", TEXT_ARGS (detail));
    }
    fflush (stdout);
}

/* The mistakes of all files, before anything is sent. */
static bool check_files (const call_t *call)
{
    definitions_t *definitions;
    error_t error;
    buf_t lines;
    buf_init (&lines, LINES_MAX);
    status_t status = definitions_check (call->project->files, call->project->files_count,
                                         &definitions, &lines, &error);
    if (status == STATUS_OK)
        definitions_destroy (&definitions);
    else
        fprintf (stderr, "%s\n", lines.size > 0 ? buf_string (&lines) : error.text);
    buf_release (&lines);
    return status == STATUS_OK;
}

static int done (const call_t *call, const message_t *reply, const char *how)
{
    wire_list_t changes = wire_list (reply->body, "changes");
    uint64_t version = wire_uint (reply->body, "version", 0);
    if (call->json)
        print_json (reply->body);
    else if (count_changes (changes, "same") == changes.count)
        printf ("nothing changes: version %" PRIu64 "\n", version);
    else
        printf ("%s: version %" PRIu64 ", %zu added, %zu altered, %zu removed\n", how, version,
                count_changes (changes, "add"), count_changes (changes, "alter"),
                count_changes (changes, "remove"));
    return EXIT_DONE;
}

/* Shows what would change. *more: there is something to do, and it was agreed to. */
static int preview (call_t *call, client_apply_t apply, bool yes, bool dry_run, bool *more)
{
    message_t reply;
    error_t error;
    *more = false;
    apply.dry_run = true;
    if (client_apply (call->weir, &apply, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    wire_list_t changes = wire_list (reply.body, "changes");
    if (!call->json)
        print_changes (changes);
    if (dry_run || count_changes (changes, "same") == changes.count)
        return done (call, &reply, "would be applied");
    *more = call_agreed (call, yes, "apply?", "nothing was applied");
    return *more ? EXIT_DONE : EXIT_FAILED;
}

/* Has every node that takes events or queries got that version? */
static bool nodes_have (wire_list_t nodes, uint64_t version)
{
    for (uint32_t i = 0; i < nodes.count; i++) {
        const wire_value_t *node = &nodes.items[i];
        bool concerned = text_is (loose_text (node, "kind"), "speed") ||
                         text_is (loose_text (node, "kind"), "serving");
        if (concerned && loose_uint (node, "lease_left_us") > 0 &&
            loose_uint (node, "definitions") < version)
            return false;
    }
    return true;
}

/* Nodes fetch definitions by themselves, within moments; who sends or asks next should find them
 * there. */
static void await_nodes (call_t *call, uint64_t version)
{
    for (int waited = 0; waited < NODES_WAIT_MS; waited += NODES_LOOK_MS) {
        message_t status;
        error_t error;
        if (client_status (call->weir, &status, &error) != STATUS_OK ||
            nodes_have (wire_list (status.body, "nodes"), version))
            return;
        wait_ms (NODES_LOOK_MS);
    }
}

static int run (call_t *call)
{
    bool dry_run = false, yes = false, prune = false, more;
    const char *text = NULL;
    const option_spec_t specs[] = {
        { 0, "dry-run", NULL, "show what would change, and change nothing", NULL, &dry_run },
        { 'y', "yes", NULL, "do not ask", NULL, &yes },
        { 0, "prune", NULL, "remove what the files do not define", NULL, &prune },
        { 'm', "message", "TEXT", "why, for the history of definitions", &text, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!call_weir (call) || !check_files (call))
        return EXIT_FAILED;
    client_apply_t apply = { .files = call->project->files,
                             .files_count = call->project->files_count,
                             .prune = prune,
                             .message = text };
    exit_status = preview (call, apply, yes, dry_run, &more);
    if (!more)
        return exit_status;
    message_t reply;
    error_t error;
    if (client_apply (call->weir, &apply, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    uint64_t version = wire_uint (reply.body, "version", 0);
    exit_status = done (call, &reply, "applied");
    await_nodes (call, version);
    return exit_status;
}

const command_t command_apply = {
    .name = "apply",
    .group = "Definitions",
    .operands = "",
    .purpose = "Shows what changes, asks, and registers the definitions",
    .details =
        "Nothing is removed without --prune. A new feature is answered at once, from history "
        "until the next\nrecompute. A stream that has events can get fields, int64 can become "
        "float64, and a field can be renamed\nwith its old name as `alias`; what cannot change "
        "is refused with the reason.",
    .examples =
        "  weir apply\n  weir apply --yes -m 'spend over 30 days'\n  weir apply --dry-run --prune",
    .least = 0,
    .most = 0,
    .run = run,
};
