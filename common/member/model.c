#include "member/model.h"

#include "base/check.h"
#include "base/mem.h"
#include "feature/schema.h"

#include <string.h>

enum { OBJECTS_MAX = STREAMS_MAX + VIEWS_MAX + SERVICES_MAX };

/* Numbers of fields, which the texts do not carry. A coordinator that does not tell them has never
 * changed a stream's fields: they are as they stand. */
static status_t take_fields (definitions_t *definitions, wire_list_t objects, error_t *error)
{
    status_t status = STATUS_OK;
    arena_t *arena = arena_new (4096);
    schema_t *schema = mem_alloc (sizeof *schema);
    for (uint32_t i = 0; i < objects.count && status == STATUS_OK; i++) {
        const wire_value_t *object = &objects.items[i];
        text_t name = wire_text (object, "name");
        if (!wire_has (object, "fields") || !text_is (wire_text (object, "kind"), "stream"))
            continue;
        for (size_t s = 0; s < definitions->streams_count && status == STATUS_OK; s++) {
            if (!text_is (name, definitions->streams[s].name))
                continue;
            status = schema_read (wire_text (object, "fields"), arena, schema, error);
            if (status == STATUS_OK)
                status = schema_take (schema, definitions, &definitions->streams[s], error);
        }
    }
    mem_free (schema);
    arena_destroy (&arena);
    return status;
}

static model_t *model_of (uint64_t version, definitions_t *definitions)
{
    model_t *self = mem_zero (1, sizeof *self);
    self->version = version;
    self->definitions = definitions;
    self->references = 1;
    size_t count = 0;
    for (size_t i = 0; i < definitions->views_count; i++)
        count += definitions->views[i].sources_count;
    self->plans = mem_zero (count, sizeof *self->plans);
    for (size_t i = 0; i < definitions->views_count; i++)
        for (size_t s = 0; s < definitions->views[i].sources_count; s++)
            self->plans[self->plans_count++] = plan_new_over (&definitions->views[i], s);
    self->services = mem_zero (definitions->services_count, sizeof (service_plan_t *));
    for (size_t i = 0; i < definitions->services_count; i++)
        self->services[i] = service_plan_new (&definitions->services[i]);
    return self;
}

status_t model_from_message (const wire_value_t *body, model_t **model, error_t *error)
{
    *model = NULL;
    wire_list_t objects = wire_list (body, "objects");
    if (objects.count > OBJECTS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%u definitions, over the limit of %d",
                          objects.count, OBJECTS_MAX);
    definition_file_t *files = mem_zero (objects.count, sizeof *files);
    definition_version_t *versions = mem_zero (objects.count, sizeof *versions);
    char (*names)[WIRE_NAME_MAX + 1] = mem_zero (objects.count, sizeof *names);
    for (uint32_t i = 0; i < objects.count; i++) {
        wire_copy (&objects.items[i], "name", names[i], sizeof names[i]);
        files[i].name = names[i];
        files[i].text = wire_text (&objects.items[i], "text");
        /* texts do not carry their versions */
        versions[i].version = (uint32_t)wire_uint (&objects.items[i], "version", 1);
        versions[i].state = version_state_of (wire_text (&objects.items[i], "state"));
    }
    definitions_t *definitions = NULL;
    definitions_input_t input = { files, versions, objects.count, NULL, NULL };
    status_t status = definitions_check_all (&input, &definitions, NULL, error);
    if (status == STATUS_OK)
        status = take_fields (definitions, objects, error);
    if (status != STATUS_OK) {
        definitions_destroy (&definitions);
    } else {
        *model = model_of (wire_uint (body, "version", 0), definitions);
    }
    mem_free (names);
    mem_free (versions);
    mem_free (files);
    return status;
}

model_t *model_empty (void)
{
    definitions_t *definitions = NULL;
    error_t error;
    status_t status = definitions_read (NULL, 0, &definitions, &error);
    CHECK (status == STATUS_OK);
    return model_of (0, definitions);
}

model_t *model_ref (model_t *self)
{
    CHECK (self->references > 0);
    self->references++;
    return self;
}

void model_unref (model_t **self_p)
{
    model_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK (self->references > 0);
    if (--self->references > 0)
        return;
    for (size_t i = 0; i < self->plans_count; i++)
        plan_destroy (&self->plans[i]);
    for (size_t i = 0; i < self->definitions->services_count; i++)
        service_plan_destroy (&self->services[i]);
    mem_free (self->services);
    mem_free (self->plans);
    definitions_destroy (&self->definitions);
    mem_free (self);
}

plan_t *const *model_plans (const model_t *self, const view_t *view, size_t *count)
{
    const view_t *views = self->definitions->views;
    CHECK (view >= views && view < views + self->definitions->views_count);
    size_t first = 0;
    for (const view_t *before = views; before < view; before++)
        first += before->sources_count;
    *count = view->sources_count;
    return &self->plans[first];
}

static const view_t *view_of (const model_t *self, text_t view, uint32_t version)
{
    return version != 0 ? definitions_view_version (self->definitions, view, version)
                        : definitions_view (self->definitions, view);
}

const plan_t *model_plan (const model_t *self, text_t view, uint32_t version)
{
    const view_t *found = view_of (self, view, version);
    size_t count;
    return found ? model_plans (self, found, &count)[0] : NULL;
}

const plan_t *model_plan_over (const model_t *self, text_t view, uint32_t version, text_t log_name)
{
    const view_t *found = view_of (self, view, version);
    size_t count = 0;
    plan_t *const *plans = found ? model_plans (self, found, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (text_is (log_name, plans[i]->log_name))
            return plans[i];
    return NULL;
}

bool model_has_view (const model_t *self, text_t view, text_t log_name)
{
    for (size_t i = 0; i < self->plans_count; i++)
        if (text_is (view, self->plans[i]->view) && text_is (log_name, self->plans[i]->log_name))
            return true;
    return false;
}

const service_plan_t *model_service (const model_t *self, const service_t *service)
{
    size_t at = (size_t)(service - self->definitions->services);
    CHECK (at < self->definitions->services_count);
    return self->services[at];
}

bool model_log (const model_t *self, text_t log_name, keyed_log_t *log)
{
    return keyed_log_find (self->definitions, log_name, log);
}
