#include "client/cli/registered.h"

#include "base/mem.h"

static void take_versions (wire_list_t objects, definitions_t *definitions)
{
    for (uint32_t i = 0; i < objects.count; i++) {
        char kind[WIRE_NAME_MAX + 1];
        wire_copy (&objects.items[i], "kind", kind, sizeof kind);
        definitions_set_version (definitions, kind, wire_text (&objects.items[i], "name"),
                                 (uint32_t)wire_uint (&objects.items[i], "version", 1));
    }
}

status_t registered_read (call_t *call, registered_t *registered, error_t *error)
{
    message_t reply;
    *registered = (registered_t){ 0 };
    (void)client_begin (call->weir, MESSAGE_DEFINITIONS);
    status_t status =
        client_call (call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, error);
    if (status != STATUS_OK)
        return status;
    wire_list_t objects = wire_list (reply.body, "objects");
    definition_file_t *files = mem_zero (objects.count + 1, sizeof *files);
    char **names = mem_zero (objects.count + 1, sizeof *names);
    for (uint32_t i = 0; i < objects.count; i++) {
        text_t name = wire_text (&objects.items[i], "name");
        names[i] = mem_string_n (name.data, name.size);
        files[i] = (definition_file_t){ names[i], wire_text (&objects.items[i], "text") };
    }
    status = definitions_read (files, objects.count, &registered->definitions, error);
    if (status == STATUS_OK)
        take_versions (objects, registered->definitions);
    registered->version = wire_uint (reply.body, "version", 0);
    for (uint32_t i = 0; i < objects.count; i++)
        mem_free (names[i]);
    mem_free (names);
    mem_free (files);
    return status;
}

void registered_release (registered_t *registered)
{
    if (registered->definitions)
        definitions_destroy (&registered->definitions);
}
