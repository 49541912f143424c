#include "client/cli/registered.h"

#include "base/mem.h"

#include <string.h>

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
    definition_version_t *versions = mem_zero (objects.count + 1, sizeof *versions);
    char **names = mem_zero (objects.count + 1, sizeof *names);
    for (uint32_t i = 0; i < objects.count; i++) {
        text_t name = wire_text (&objects.items[i], "name");
        names[i] = mem_string_n (name.data, name.size);
        files[i] = (definition_file_t){ names[i], wire_text (&objects.items[i], "text") };
        versions[i] = (definition_version_t){
            (uint32_t)wire_uint (&objects.items[i], "version", 1),
            version_state_of (wire_text (&objects.items[i], "state")),
        };
    }
    definitions_input_t input = { files, versions, objects.count, NULL, NULL };
    status = definitions_check_all (&input, &registered->definitions, NULL, error);
    registered->version = wire_uint (reply.body, "version", 0);
    for (uint32_t i = 0; i < objects.count; i++)
        mem_free (names[i]);
    mem_free (names);
    mem_free (versions);
    mem_free (files);
    return status;
}

void registered_release (registered_t *registered)
{
    if (registered->definitions)
        definitions_destroy (&registered->definitions);
}

status_t registered_not_there (const definitions_t *definitions, const char *name, error_t *error)
{
    if (strchr (name, '@'))
        return error_set (error, STATUS_NOT_FOUND,
                          "there is no version %s that is not retired; `weir versions %.*s` lists "
                          "all",
                          name, (int)strcspn (name, "@"), name);
    const char *nearest = definitions_nearest_answer (definitions, text_of (name));
    if (!nearest)
        nearest = definitions_nearest_stream (definitions, text_of (name));
    return error_set (error, STATUS_NOT_FOUND, "there is no view, service or stream \"%s\"%s%s%s",
                      name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                      nearest ? "\"?" : "");
}
