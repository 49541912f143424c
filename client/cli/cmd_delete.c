/* weir delete - takes a definition away. */
#include "client/cli/command.h"

#include "base/mem.h"

static int run_delete (call_t *call)
{
    bool yes = false;
    const option_spec_t specs[] = { { 'y', "yes", NULL, "do not ask", NULL, &yes } };
    int exit_status;
    if (!call_options (call, specs, 1, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    char *question = mem_format ("delete %s from the cluster's definitions?", call->words[0]);
    bool agreed = call_agreed (call, yes, question, "nothing was deleted");
    mem_free (question);
    if (!agreed)
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    wire_writer_t *writer = client_begin (call->weir, MESSAGE_DELETE);
    wire_field_string (writer, "name", call->words[0]);
    if (client_call (call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, &error) !=
        STATUS_OK)
        return call_failed (call, &error);
    if (call->json)
        print_json (reply.body);
    else
        printf ("deleted %s: version %llu\n", call->words[0],
                (unsigned long long)wire_uint (reply.body, "version", 0));
    return EXIT_DONE;
}

const command_t command_delete = {
    .name = "delete",
    .group = "Definitions",
    .operands = "NAME",
    .purpose = "Removes a view, service or stream from the cluster's definitions",
    .details = "All of its versions go. The events stay. Files of definitions are not changed: "
               "`weir apply` "
               "would add\nit again, as the next version.",
    .examples = "  weir delete user_spend",
    .least = 1,
    .most = 1,
    .run = run_delete,
};
