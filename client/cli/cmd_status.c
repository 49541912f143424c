/* weir status - nodes, partitions, loads, recomputes. */
#include "client/cli/status_view.h"
#include "client/cli/work.h"

#include "base/mem.h"

enum { RECENT = 5 };

/* Those that go on, and the newest of those that have ended. */
static wire_list_t recent (wire_list_t all, const char *const *ended, wire_value_t *kept)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all.count; i++) {
        text_t state = wire_text (&all.items[i], "state");
        bool goes_on = true;
        for (size_t k = 0; ended[k]; k++)
            goes_on = goes_on && !text_is (state, ended[k]);
        if (goes_on || i + RECENT >= all.count)
            kept[count++] = all.items[i];
    }
    return (wire_list_t){ kept, count };
}

static void print_recent (const wire_value_t *body)
{
    static const char *const loads_ended[] = { "visible", "failed", "unloaded", NULL };
    static const char *const recomputes_ended[] = { "trimmed", "failed", NULL };
    wire_list_t loads = wire_list (body, "loads");
    wire_list_t recomputes = wire_list (body, "recomputes");
    wire_value_t *kept = mem_zero (loads.count + recomputes.count + 1, sizeof *kept);
    wire_list_t some = recent (loads, loads_ended, kept);
    if (some.count > 0)
        puts ("");
    print_loads (some);
    some = recent (recomputes, recomputes_ended, kept);
    if (some.count > 0)
        puts ("");
    print_recomputes (some);
    mem_free (kept);
}

static int run (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    if (client_status (call->weir, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    if (call->json) {
        print_json (reply.body);
        return EXIT_DONE;
    }
    printf ("%s: definitions version %llu, %llu partitions\n\n", call->project->cluster,
            (unsigned long long)wire_uint (reply.body, "version", 0),
            (unsigned long long)wire_uint (reply.body, "partitions", 0));
    print_nodes (reply.body);
    puts ("");
    print_disk (reply.body);
    print_partitions (reply.body);
    print_damaged (reply.body);
    print_stuck (reply.body);
    print_folds (reply.body);
    print_skew (reply.body);
    print_building (reply.body);
    print_recent (reply.body);
    return EXIT_DONE;
}

const command_t command_status = {
    .name = "status",
    .group = "A cluster on this machine",
    .operands = "",
    .purpose = "Nodes, partitions, positions, lag, memory, loads, recomputes",
    .details =
        "UNCOVERED counts the events that no batch view covers yet: the real-time views hold "
        "them.",
    .examples = "  weir status\n  weir status --json",
    .least = 0,
    .most = 0,
    .run = run,
};
