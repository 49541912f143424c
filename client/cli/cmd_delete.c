/* weir delete - takes a definition away. */
#include "client/cli/registered.h"

#include "base/mem.h"

/* Nobody is asked whether something shall go that is not there. */
static status_t look (call_t *call, error_t *error)
{
    registered_t registered;
    const char *name = call->words[0];
    status_t status = registered_read (call, &registered, error);
    const definitions_t *all = registered.definitions;
    if (status == STATUS_OK && !definitions_view (all, text_of (name)) &&
        !definitions_service (all, text_of (name)) && !definitions_stream (all, text_of (name)))
        status = registered_not_there (all, name, error);
    registered_release (&registered);
    return status;
}

static int run_delete (call_t *call)
{
    bool yes = false;
    const option_spec_t specs[] = { { 'y', "yes", NULL, "do not ask", NULL, &yes } };
    int exit_status;
    if (!call_options (call, specs, 1, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    error_t error;
    if (look (call, &error) != STATUS_OK)
        return call_failed (call, &error);
    char *question = mem_format ("delete %s from the cluster's definitions?", call->words[0]);
    bool agreed = call_agreed (call, yes, question, "nothing was deleted");
    mem_free (question);
    if (!agreed)
        return EXIT_FAILED;
    message_t reply;
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
