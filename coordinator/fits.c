/* fits.c - a service gets the numbers of its `preprocess` that were found in a training set.
 * Nothing else of it may change with them. */
#include "coordinator/changes.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

/* The newest version of the service, if the numbers are meant for that. */
static status_t find_service (const coordinator_core_t *self, const wire_value_t *body,
                              const service_t **service, error_t *error)
{
    text_t name = wire_text (body, "service");
    uint64_t version = wire_uint (body, "version", 0);
    *service = definitions_service_version (self->definitions, name, 0);
    if (!*service)
        return error_set (error, STATUS_NOT_FOUND, "there is no service \"" TEXT_FORMAT "\"",
                          TEXT_ARGS (name));
    if ((*service)->version != version)
        return error_set (error, STATUS_INVALID,
                          "service %s: it has version %" PRIu32 " by now, and the numbers are for "
                          "version %" PRIu64 "; fit it again",
                          (*service)->name, (*service)->version, version);
    return STATUS_OK;
}

/* All that is stored, with the text in place of the service's. */
static status_t read_with (const coordinator_core_t *self, const service_t *service, text_t text,
                           definitions_t **next, error_t *error)
{
    definition_file_t *files = mem_zero (self->objects_count + 1, sizeof *files);
    definition_version_t *versions = mem_zero (self->objects_count + 1, sizeof *versions);
    size_t count = 0;
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        bool is_it = strcmp (object->kind, "service") == 0 && object->version == service->version &&
                     strcmp (object->name, service->name) == 0;
        if (!definitions_is_told (object) || is_it)
            continue;
        files[count] = (definition_file_t){ object->name, text_of (object->text) };
        versions[count++] = (definition_version_t){ object->version, object_state (object) };
    }
    files[count] = (definition_file_t){ "(fitted)", text };
    versions[count++] = (definition_version_t){ service->version, service->state };
    definitions_input_t input = { files, versions, count, NULL, NULL };
    status_t status = definitions_check_all (&input, next, NULL, error);
    mem_free (versions);
    mem_free (files);
    return status;
}

/* Does the service have all of its numbers, and is everything else as it was? */
static status_t check_fitted (const coordinator_core_t *self, const service_t *before,
                              const definitions_t *next, error_t *error)
{
    const definitions_t *now = self->definitions;
    const service_t *after =
        definitions_service_version (next, text_of (before->name), before->version);
    bool same = after && next->streams_count == now->streams_count &&
                next->views_count == now->views_count &&
                next->services_count == now->services_count && service_same_kind (before, after);
    if (!same)
        return error_set (error, STATUS_INVALID,
                          "service %s: more than its numbers would change; apply that first",
                          before->name);
    if (service_unfitted (after) > 0)
        return error_set (error, STATUS_INVALID, "service %s: some of its numbers are missing",
                          before->name);
    return STATUS_OK;
}

void fit_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    definitions_t *next = NULL;
    const service_t *service;
    error_t error;
    status_t status = find_service (self, message->body, &service, &error);
    if (status == STATUS_OK)
        status = read_with (self, service, wire_text (message->body, "text"), &next, &error);
    if (status == STATUS_OK)
        status = check_fitted (self, service, next, &error);
    definitions_destroy (&next);
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    text_t why = wire_text (message->body, "message"), who = wire_text (message->body, "author");
    char *message_text = mem_string_n (why.data, why.size);
    char *author = mem_string_n (who.data, who.size);
    definition_file_t file = { "(fitted)", wire_text (message->body, "text") };
    const change_request_t request = {
        .files = &file, .files_count = 1, .author = author, .message = message_text
    };
    definitions_change (self, from, message, &request);
    mem_free (message_text);
    mem_free (author);
}
