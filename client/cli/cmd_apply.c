/* weir apply - registers what the files define. */
#include "client/cli/applied.h"
#include "client/cli/author.h"
#include "client/cli/terminal.h"

#include "base/buf.h"

#include <inttypes.h>
#include <string.h>

enum { LINES_MAX = 1 << 20 };

/* What a service reads of a version that it names, the cluster alone knows. */
static bool names_versions (const project_t *project)
{
    for (size_t i = 0; i < project->files_count; i++)
        if (memmem (project->files[i].text.data, project->files[i].text.size, "@v", 2))
            return true;
    return false;
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
    else if (names_versions (call->project))
        status = STATUS_OK; /* the cluster looks at them */
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
        print_changes (changes, true);
    if (dry_run || count_changes (changes, "same") == changes.count)
        return done (call, &reply, "would be applied");
    *more = call_agreed (call, yes, "apply?", "nothing was applied");
    return *more ? EXIT_DONE : EXIT_FAILED;
}

static int run (call_t *call)
{
    bool dry_run = false, yes = false, prune = false, more;
    const char *text = NULL;
    const option_spec_t specs[] = {
        { 0, "dry-run", NULL, "show what would change, and change nothing", NULL, &dry_run },
        { 'y', "yes", NULL, "do not ask", NULL, &yes },
        { 0, "prune", NULL, "remove what the files do not define", NULL, &prune },
        { 'm', "message", "TEXT", "why, for the versions that it makes", &text, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!call_weir (call) || !check_files (call))
        return EXIT_FAILED;
    char author[AUTHOR_MAX + 1];
    author_name (author);
    client_apply_t apply = { .files = call->project->files,
                             .files_count = call->project->files_count,
                             .prune = prune,
                             .message = text,
                             .author = author };
    exit_status = preview (call, apply, yes, dry_run, &more);
    if (!more)
        return exit_status;
    message_t reply;
    error_t error;
    if (client_apply (call->weir, &apply, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    uint64_t version = wire_uint (reply.body, "version", 0);
    exit_status = done (call, &reply, "applied");
    await_definitions (call, version);
    return exit_status;
}

const command_t command_apply = {
    .name = "apply",
    .group = "Definitions",
    .operands = "",
    .purpose = "Shows what changes, asks, and registers the definitions",
    .details =
        "Nothing is removed without --prune. A new feature is answered at once, from history "
        "until the next\nrecompute. What is to mean something else makes a new version, beside the "
        "one there is: that is answered\nuntil all of history is in the new one (`weir versions`). "
        "A stream that has events can get fields, int64 can become "
        "float64, and a field can be renamed\nwith its old name as `alias`; what cannot change "
        "is refused with the reason.",
    .examples =
        "  weir apply\n  weir apply --yes -m 'spend over 30 days'\n  weir apply --dry-run --prune",
    .least = 0,
    .most = 0,
    .run = run,
};
