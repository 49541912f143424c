/* weir recompute - schedules a recompute now. */
#include "client/cli/work.h"

#include "base/mem.h"

#include <inttypes.h>

static int run (call_t *call)
{
    bool wait = false, full = false;
    const option_spec_t specs[] = {
        { 'w', "wait", NULL, "until queries stand on it", NULL, &wait },
        { 0, "full", NULL, "from all events, not only what is new", NULL, &full },
    };
    int exit_status;
    if (!call_options (call, specs, 2, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    const char *stream = call->words_count > 0 ? call->words[0] : NULL;
    if (client_recompute (call->weir, stream, full, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    wire_list_t given = wire_list (reply.body, "ids");
    size_t count = given.count;
    if (!wait && call->json)
        print_json (reply.body);
    else if (count == 0)
        puts (call->json ? "{\"ids\":[]}" : "there is nothing to recompute");
    else if (!wait)
        printf ("scheduled %zu recompute%s; `weir list recomputes` tells how far they are\n", count,
                count == 1 ? "" : "s");
    if (!wait || count == 0)
        return EXIT_DONE;
    uint64_t *ids = mem_alloc (count * sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = wire_item_uint (&given.items[i]);
    exit_status = follow_recomputes (call, ids, count, false);
    mem_free (ids);
    return exit_status;
}

const command_t command_recompute = {
    .name = "recompute",
    .group = "Events",
    .operands = "[STREAM]",
    .purpose = "Schedules a recompute now, of one stream or all",
    .details =
        "Recomputes also run by themselves, as weir.yaml says. Answers are the same before, "
        "during and after. What is new is built on top of what there is, which is built anew "
        "by itself now and then, and with --full.",
    .examples = "  weir recompute --wait\n  weir recompute payments --full",
    .least = 0,
    .most = 1,
    .run = run,
};
