#include "trainset/trainset.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum { CHUNK = 1 << 14 };

/* ---- what rows are ---- */

static uint32_t add_field (trainset_t *self, const field_t *like, const char *name, type_t type)
{
    stream_t *stream = &self->stream;
    uint32_t at = (uint32_t)stream->fields_count++;
    field_t *field = &stream->fields[at];
    *field = like ? *like : (field_t){ .type = type };
    field->name = field->column = field->origin = arena_string (self->arena, text_of (name));
    field->required = false;
    field->aliases = NULL;
    field->aliases_count = 0;
    field->expr = NULL;
    field->computed = NULL;
    field->id = (uint16_t)at;
    return at;
}

/* A column of times, which may be a value of the request as well. */
static status_t add_time (trainset_t *self, const char *name, uint32_t *at, error_t *error)
{
    int there = stream_field (&self->stream, text_of (name));
    *at = there >= 0 ? (uint32_t)there : add_field (self, NULL, name, TYPE_TIMESTAMP);
    const field_t *field = &self->stream.fields[*at];
    if (field->type != TYPE_TIMESTAMP)
        return error_set (error, STATUS_INVALID, "the column %s is a %s here, and no time", name,
                          type_word (field->type));
    if (there < 0)
        self->stream.fields[*at].unit = UNIT_MS;
    return STATUS_OK;
}

static status_t add_times (trainset_t *self, const trainset_options_t *options, error_t *error)
{
    uint32_t known = 0;
    self->known = TRAINSET_NONE;
    if (options->time == NULL)
        return STATUS_OK;
    status_t status = add_time (self, options->time, &self->stream.time, error);
    if (status != STATUS_OK || options->known == NULL)
        return status;
    status = add_time (self, options->known, &known, error);
    self->known = (int32_t)known;
    return status;
}

static void make_stream (trainset_t *self, const char *name, size_t fields)
{
    self->stream = (stream_t){ .name = name, .unknown = UNKNOWN_IGNORE };
    self->stream.fields = arena_zero (self->arena, fields + 2, sizeof *self->stream.fields);
}

/* ---- a view ---- */

static void add_output (trainset_t *self, const plan_feature_t *feature, const char *name)
{
    self->outputs[self->outputs_count++] = (trainset_output_t){
        .name = arena_string (self->arena, text_of (name)),
        .type = arena_string (self->arena, text_of (feature->type_text)),
        .of = feature->type.type,
    };
}

/* Those that are wanted, in their order. */
static status_t choose_features (trainset_t *self, const trainset_options_t *options,
                                 error_t *error)
{
    trainset_role_t *role = self->roles;
    const plan_t *plan = role->plan;
    size_t count = options->features ? options->features_count : plan->features_count;
    if (count == 0)
        return error_set (error, STATUS_INVALID, "no feature of %s is asked for", plan->view);
    role->features = arena_zero (self->arena, count + 1, sizeof *role->features);
    self->outputs = arena_zero (self->arena, count + 1, sizeof *self->outputs);
    for (size_t i = 0; i < count; i++) {
        text_t name = text_of (options->features ? options->features[i] : plan->features[i].name);
        int at = options->features ? plan_feature_index (plan, name) : (int)i;
        const char *nearest = at < 0 ? plan_nearest_feature (plan, name) : NULL;
        if (at < 0)
            return error_set (error, STATUS_NOT_FOUND,
                              "view %s has no feature \"" TEXT_FORMAT "\"%s%s%s", plan->view,
                              TEXT_ARGS (name), nearest ? "; did you mean \"" : "",
                              nearest ? nearest : "", nearest ? "\"?" : "");
        if (trainset_output (self, name) >= 0)
            return error_set (error, STATUS_INVALID,
                              "feature \"" TEXT_FORMAT "\" is asked for twice", TEXT_ARGS (name));
        role->features[role->features_count++] = (uint32_t)at;
        add_output (self, &plan->features[at], plan->features[at].name);
    }
    return STATUS_OK;
}

static status_t of_view (trainset_t *self, const trainset_options_t *options, error_t *error)
{
    const view_t *view = self->view;
    trainset_role_t *role = self->roles = arena_zero (self->arena, 1, sizeof *role);
    self->roles_count = 1;
    *role = (trainset_role_t){ .view = view, .plan = plan_new (view) };
    self->before = options->before;
    make_stream (self, view->name, view->key_count + view->request_count);
    uint32_t *key = arena_zero (self->arena, view->key_count + 1, sizeof *key);
    for (size_t i = 0; i < view->key_count; i++) {
        const field_t *field = view_key_field (view, i);
        key[i] = add_field (self, field, field->name, field->type);
    }
    uint32_t *request = arena_zero (self->arena, view->request_count + 1, sizeof *request);
    role->request_names = arena_zero (self->arena, view->request_count + 1, sizeof (char *));
    for (size_t i = 0; i < view->request_count; i++) {
        int there = stream_field (&self->stream, text_of (view->request[i].name));
        request[i] = there >= 0 ? (uint32_t)there
                                : add_field (self, &view->request[i], view->request[i].name,
                                             view->request[i].type);
        role->request_names[i] = view->request[i].name;
    }
    role->key = key;
    role->request = request;
    role->request_count = view->request_count;
    self->keys_count = view->key_count;
    self->request_count = self->stream.fields_count - view->key_count;
    status_t status = choose_features (self, options, error);
    return status == STATUS_OK ? add_times (self, options, error) : status;
}

/* ---- a service ---- */

/* As many as the plan answers; a raw one, the features that the service names. */
static void add_outputs (trainset_t *self, bool raw)
{
    const service_t *service = self->service;
    size_t count = self->plan->outputs_count;
    self->outputs = arena_zero (self->arena, count + 1, sizeof *self->outputs);
    for (size_t i = 0; i < count; i++) {
        const service_feature_t *feature =
            &service->features[raw ? i : service->outputs[i].feature];
        add_output (self, &self->plan->plan->features[self->plan->outputs[i]],
                    raw ? feature->name : service->outputs[i].name);
        self->outputs[i].is_given = feature->kind == OUTPUT_REQUEST &&
                                    feature->default_text == NULL &&
                                    (raw || !feature->is_preprocessed);
    }
}

static void add_role (trainset_t *self, uint32_t number, const bool *needed)
{
    const service_t *service = self->service;
    const service_role_t *from = &service->roles[number];
    trainset_role_t *role = &self->roles[self->roles_count];
    size_t most = service->inputs_count + 1;
    *role = (trainset_role_t){ .view = from->view, .key = from->key };
    role->features = arena_zero (self->arena, most, sizeof *role->features);
    role->inputs = arena_zero (self->arena, most, sizeof *role->inputs);
    for (uint32_t i = 0; i < service->inputs_count; i++) {
        if (!needed[i] || service->inputs[i].role != number)
            continue;
        role->inputs[role->features_count] = i;
        role->features[role->features_count++] = service->inputs[i].feature;
    }
    if (role->features_count == 0)
        return;
    size_t requests = from->view->request_count;
    uint32_t *request = arena_zero (self->arena, requests + 1, sizeof *request);
    role->request_names = arena_zero (self->arena, requests + 1, sizeof (char *));
    for (size_t i = 0; i < requests; i++) {
        if (from->request == NULL || from->request[i] < 0)
            continue;
        role->request_names[role->request_count] = from->view->request[i].name;
        request[role->request_count++] = (uint32_t)from->request[i];
    }
    role->request = request;
    role->plan = plan_new (from->view);
    self->roles_count++;
}

static status_t of_service (trainset_t *self, const trainset_options_t *options, error_t *error)
{
    const service_t *service = self->service;
    size_t unfitted = options->raw ? 0 : service_unfitted (service);
    for (size_t i = 0; i < service->features_count && !options->raw; i++)
        self->is_preprocessed = self->is_preprocessed || service->features[i].is_preprocessed;
    if (unfitted > 0)
        return error_set (error, STATUS_INVALID,
                          "%zu feature%s of service %s %s not fitted yet: make the set with --raw, "
                          "and then `weir fit %s --on` it",
                          unfitted, unfitted == 1 ? "" : "s", service->name,
                          unfitted == 1 ? "is" : "are", service->name);
    if (options->before && !service->before)
        return error_set (error, STATUS_INVALID,
                          "--before is for views: service %s says itself, with `as_of`, whether "
                          "events at a row's own time count",
                          service->name);
    if (options->features)
        return error_set (error, STATUS_INVALID,
                          "which features service %s has, and in which order, it says itself",
                          service->name);
    self->before = service->before;
    self->plan = options->raw ? service_plan_new_raw (service) : service_plan_new (service);
    const plan_t *plan = self->plan->plan;
    make_stream (self, service->name, service->keys_count + service->request_count);
    for (size_t i = 0; i < service->keys_count; i++)
        (void)add_field (self, &service->keys[i], service->keys[i].name, service->keys[i].type);
    for (size_t i = 0; i < service->request_count; i++)
        (void)add_field (self, &service->request[i], service->request[i].name,
                         service->request[i].type);
    self->keys_count = service->keys_count;
    self->request_count = service->request_count;
    self->task =
        outcome_task_new (plan, self->plan->outputs, self->plan->outputs_count, self->arena);
    bool *needed = arena_zero (self->arena, plan->features_count + 1, sizeof *needed);
    outcome_task_plain (self->task, needed);
    self->roles = arena_zero (self->arena, service->roles_count + 1, sizeof *self->roles);
    for (uint32_t i = 0; i < service->roles_count; i++)
        add_role (self, i, needed);
    add_outputs (self, options->raw);
    return add_times (self, options, error);
}

/* ---- either ---- */

static status_t find (trainset_t *self, const definitions_t *definitions, const char *name,
                      error_t *error)
{
    text_t bare;
    uint32_t version = 0;
    if (!version_reference (text_of (name), &bare, &version))
        bare = text_of (name);
    return definitions_find (definitions, bare, version, &self->view, &self->service, error);
}

status_t trainset_new (const definitions_t *definitions, const trainset_options_t *options,
                       trainset_t **set, error_t *error)
{
    arena_t *arena = arena_new (CHUNK);
    trainset_t *self = arena_zero (arena, 1, sizeof *self);
    self->arena = arena;
    status_t status = find (self, definitions, options->name, error);
    if (status == STATUS_OK)
        status = self->view ? of_view (self, options, error) : of_service (self, options, error);
    if (status == STATUS_OK)
        *set = self;
    else
        trainset_destroy (&self);
    return status;
}

void trainset_destroy (trainset_t **self_p)
{
    trainset_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    for (size_t i = 0; i < self->roles_count; i++)
        plan_destroy (&self->roles[i].plan);
    service_plan_destroy (&self->plan);
    arena_t *arena = self->arena;
    arena_destroy (&arena);
}

int trainset_output (const trainset_t *self, text_t name)
{
    for (size_t i = 0; i < self->outputs_count; i++)
        if (text_is (name, self->outputs[i].name))
            return (int)i;
    return -1;
}
