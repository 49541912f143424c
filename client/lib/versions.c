/* Versions of views and services come in pages, each behind the last version of the one before. */
#include "client/lib/client.h"

#include "base/mem.h"

/* The last version that came; "" before the first. */
typedef struct place {
    char kind[WIRE_NAME_MAX + 1];
    char name[WIRE_NAME_MAX + 1];
    uint64_t version;
} place_t;

static bool is_behind (const place_t *self, const wire_value_t *version)
{
    int order = text_compare (wire_text (version, "kind"), text_of (self->kind));
    if (order == 0)
        order = text_compare (wire_text (version, "name"), text_of (self->name));
    return order != 0 ? order > 0 : wire_uint (version, "version", 0) > self->version;
}

static void write_question (client_t *weir, const char *name, const place_t *after)
{
    wire_writer_t *writer = client_begin (weir, MESSAGE_VERSIONS);
    if (name)
        wire_field_string (writer, "name", name);
    if (after->kind[0] == '\0')
        return;
    wire_field_map (writer, "after");
    wire_field_string (writer, "kind", after->kind);
    wire_field_string (writer, "name", after->name);
    wire_field_uint (writer, "version", after->version);
    wire_close (writer);
}

/* A page that does not go on, and says that more follow, would have no end. */
static status_t take_page (wire_list_t page, place_t *last,
                           void (*take) (void *arg, const wire_value_t *version), void *arg,
                           error_t *error)
{
    for (uint32_t i = 0; i < page.count; i++) {
        const wire_value_t *version = &page.items[i];
        if (!is_behind (last, version))
            return error_set (error, STATUS_CORRUPT,
                              "the coordinator tells of versions out of their order");
        wire_copy (version, "kind", last->kind, sizeof last->kind);
        wire_copy (version, "name", last->name, sizeof last->name);
        last->version = wire_uint (version, "version", 0);
        take (arg, version);
    }
    return STATUS_OK;
}

status_t client_versions (client_t *self, const char *name,
                          void (*take) (void *arg, const wire_value_t *version), void *arg,
                          error_t *error)
{
    place_t last = { 0 };
    bool more = true;
    status_t status = STATUS_OK;
    while (more && status == STATUS_OK) {
        message_t reply;
        write_question (self, name, &last);
        status = client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, error);
        if (status != STATUS_OK)
            return status;
        wire_list_t page = wire_list (reply.body, "versions");
        more = wire_bool (reply.body, "more", false);
        if (more && page.count == 0)
            return error_set (error, STATUS_CORRUPT,
                              "the coordinator tells of no version, and of more");
        status = take_page (page, &last, take, arg, error);
    }
    return status;
}
