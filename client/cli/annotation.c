#include "client/cli/annotation.h"
#include "client/cli/author.h"

#include "base/check.h"

bool call_version (const call_t *call, const char *word, text_t *name, uint32_t *version,
                   int *exit_status)
{
    if (version_reference (text_of (word), name, version) && *version != 0)
        return true;
    *exit_status = call_usage (call, "'%s': a version is written user_spend@v2", word);
    return false;
}

int annotate (call_t *call, const char *reference, const annotation_t *list, size_t count)
{
    text_t name;
    uint32_t version;
    char author[AUTHOR_MAX + 1];
    bool good = version_reference (text_of (reference), &name, &version);
    CHECK (good);
    author_name (author);
    message_t reply;
    error_t error;
    wire_writer_t *writer = client_begin (call->weir, MESSAGE_ANNOTATE);
    wire_field_text (writer, "name", name);
    wire_field_uint (writer, "version", version);
    wire_field_list (writer, "annotations");
    for (size_t i = 0; i < count; i++) {
        wire_open_map (writer);
        wire_field_text (writer, "name", list[i].name);
        wire_field_string (writer, "value", list[i].value);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_string (writer, "author", author);
    if (client_call (call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, &error) !=
        STATUS_OK)
        return call_failed (call, &error);
    if (call->json)
        print_json (reply.body);
    else
        printf ("noted of %s\n", reference);
    return EXIT_DONE;
}
