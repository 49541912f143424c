#include "feature/service_scope.h"

#include "base/check.h"

#include <stdio.h>

static int find_input (const service_t *service, uint32_t role, uint32_t feature)
{
    for (size_t i = 0; i < service->inputs_count; i++) {
        const service_input_t *input = &service->inputs[i];
        if (input->role == role && input->feature == feature)
            return (int)i;
    }
    return -1;
}

int service_input (service_t *service, uint32_t role, uint32_t feature, arena_t *arena)
{
    int found = find_input (service, role, feature);
    if (found >= 0 || service->inputs_count == SERVICE_INPUTS_MAX)
        return found;
    char name[2 * NAME_MAX_SIZE + 2];
    const service_role_t *of = &service->roles[role];
    int size =
        snprintf (name, sizeof name, "%s:%s", of->name, view_feature_name (of->view, feature));
    CHECK ((size_t)size < sizeof name);
    service->inputs[service->inputs_count] =
        (service_input_t){ .role = role,
                           .feature = feature,
                           .name = arena_string (arena, (text_t){ name, (uint32_t)size }) };
    return (int)service->inputs_count++;
}

static type_t refuse (const service_scope_t *self, text_t name)
{
    return scope_note_refuse (self->note, name);
}

/* "sender.spent_7d" */
static type_t lookup_input (const service_scope_t *self, text_t name, size_t dot, uint32_t *column)
{
    text_t feature_name = { name.data + dot + 1, name.size - (uint32_t)dot - 1 };
    int role = service_role (self->service, (text_t){ name.data, (uint32_t)dot });
    const view_t *view = role >= 0 ? self->service->roles[role].view : NULL;
    int feature = view != NULL ? view_feature (view, feature_name) : -1;
    if (feature < 0)
        return refuse (self, name);
    type_t type = view_feature_type (view, (size_t)feature).type;
    if (type == TYPE_LIST || type == TYPE_MAP) {
        (void)refuse (self, name);
        self->note->collection = type;
        return TYPE_NONE;
    }
    int input = self->adding != NULL
                    ? service_input (self->adding, (uint32_t)role, (uint32_t)feature, self->arena)
                    : find_input (self->service, (uint32_t)role, (uint32_t)feature);
    if (input < 0) {
        (void)refuse (self, name);
        self->note->is_over = true;
        return TYPE_NONE;
    }
    *column = (uint32_t)input;
    return type;
}

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    const service_scope_t *self = arg;
    const service_t *service = self->service;
    const char *dot = memchr (name.data, '.', name.size);
    if (dot != NULL)
        return lookup_input (self, name, (size_t)(dot - name.data), column);
    size_t at = 0;
    while (at < self->scope.names_count && !text_is (name, self->names[at]))
        at++;
    if (at == self->scope.names_count)
        return refuse (self, name);
    if (at < service->derived_count) {
        *column = (uint32_t)(self->inputs + at);
        if (self->mistaken == NULL || !self->mistaken[at])
            return service->derived[at].type;
        (void)refuse (self, name);
        self->note->is_mistaken = true;
        return TYPE_NONE;
    }
    at -= service->derived_count;
    *column = (uint32_t)(self->features + at);
    if (at < service->keys_count)
        return service->keys[at].type;
    at -= service->keys_count;
    return at < service->request_count ? service->request[at].type : TYPE_TIMESTAMP;
}

static void init (service_scope_t *self)
{
    const service_t *service = self->service;
    size_t count = 0;
    CHECK (service->derived_count <= FEATURES_MAX);
    CHECK (service->keys_count <= SERVICE_KEYS_MAX);
    CHECK (service->request_count <= REQUEST_FIELDS_MAX);
    for (size_t i = 0; i < service->derived_count; i++)
        self->names[count++] = service->derived[i].name;
    for (size_t i = 0; i < service->keys_count; i++)
        self->names[count++] = service->keys[i].name;
    for (size_t i = 0; i < service->request_count; i++)
        self->names[count++] = service->request[i].name;
    self->names[count++] = "now";
    self->scope =
        (expr_scope_t){ .lookup = lookup, .arg = self, .names = self->names, .names_count = count };
}

void service_scope_init_reading (service_scope_t *self, service_t *service, arena_t *arena,
                                 const bool *mistaken, scope_note_t *note)
{
    *self = (service_scope_t){ .service = service,
                               .adding = service,
                               .arena = arena,
                               .inputs = SERVICE_INPUTS_MAX,
                               .features = SERVICE_INPUTS_MAX + service->derived_count,
                               .mistaken = mistaken,
                               .note = note };
    init (self);
}

void service_scope_init (service_scope_t *self, const service_t *service, size_t features,
                         scope_note_t *note)
{
    *self = (service_scope_t){
        .service = service, .inputs = service->inputs_count, .features = features, .note = note
    };
    init (self);
}
