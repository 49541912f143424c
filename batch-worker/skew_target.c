#include "batch-worker/skew.h"

#include "base/check.h"

static void bind_plans (const model_t *model, const view_t *view, skew_role_t *role)
{
    role->view = view;
    role->plans = model_plans (model, view, &role->plans_count);
}

/* All features, each in its own place. */
static void bind_view (skew_t *self, const view_t *view)
{
    skew_target_t *target = &self->target;
    arena_t *arena = self->task->arena;
    skew_role_t *role = arena_zero (arena, 1, sizeof *role);
    bind_plans (self->task->model, view, role);
    const plan_t *plan = role->plans[0];
    size_t count = plan->features_count;
    role->features = arena_zero (arena, count + 1, sizeof *role->features);
    for (uint32_t i = 0; i < count; i++)
        role->features[i] = i;
    role->inputs = role->features;
    role->features_count = count;
    *target = (skew_target_t){ .plan = plan,
                               .version = plan->version,
                               .keys_count = view->key_count,
                               .request_count = view->request_count,
                               .roles = role,
                               .roles_count = 1,
                               .inputs_count = count,
                               .outputs = role->features,
                               .outputs_count = count };
}

/* What of the role's view is needed; a role of which nothing is does not become one of ours. */
static void add_role (skew_t *self, const service_t *service, uint32_t number, const bool *needed)
{
    skew_target_t *target = &self->target;
    arena_t *arena = self->task->arena;
    skew_role_t *role = &target->roles[target->roles_count];
    role->number = number;
    role->features = arena_zero (arena, service->inputs_count + 1, sizeof *role->features);
    role->inputs = arena_zero (arena, service->inputs_count + 1, sizeof *role->inputs);
    for (uint32_t i = 0; i < service->inputs_count; i++) {
        if (!needed[i] || service->inputs[i].role != number)
            continue;
        role->inputs[role->features_count] = i;
        role->features[role->features_count++] = service->inputs[i].feature;
    }
    if (role->features_count == 0)
        return;
    bind_plans (self->task->model, service->roles[number].view, role);
    target->roles_count++;
}

static void bind_service (skew_t *self, const service_t *service)
{
    arena_t *arena = self->task->arena;
    const service_plan_t *plan = model_service (self->task->model, service);
    bool *needed = arena_zero (arena, plan->plan->features_count + 1, sizeof *needed);
    self->target = (skew_target_t){
        .service = service,
        .plan = plan->plan,
        .version = service->version,
        .keys_count = service->keys_count,
        .request_count = service->request_count,
        .roles = arena_zero (arena, service->roles_count + 1, sizeof (skew_role_t)),
        .inputs_count = service->inputs_count,
        .task = outcome_task_new (plan->plan, plan->outputs, plan->outputs_count, arena),
        .outputs = plan->outputs,
        .outputs_count = plan->outputs_count,
    };
    outcome_task_plain (self->target.task, needed);
    for (uint32_t i = 0; i < service->roles_count; i++)
        add_role (self, service, i, needed);
}

status_t skew_bind (skew_t *self, error_t *error)
{
    const definitions_t *definitions = self->task->model->definitions;
    const view_t *view;
    const service_t *service;
    text_t name;
    uint32_t version;
    if (!version_reference (self->order->name, &name, &version))
        name = self->order->name;
    status_t status = definitions_find (definitions, name, version, &view, &service, error);
    if (status != STATUS_OK)
        return status;
    if (view != NULL)
        bind_view (self, view);
    else
        bind_service (self, service);
    return STATUS_OK;
}

static bool same_views (const skew_target_t *self, const sample_shape_t *shape)
{
    for (size_t i = 0; i < shape->views_count; i++) {
        const sample_view_t *view = &shape->views[i];
        bool same = false;
        for (size_t r = 0; r < self->roles_count; r++)
            same = same || (text_is (view->name, self->roles[r].view->name) &&
                            view->version == self->roles[r].plans[0]->version);
        if (!same)
            return false;
    }
    return true;
}

static const char *field_name (const skew_target_t *self, size_t at)
{
    if (self->service)
        return at < self->keys_count ? self->service->keys[at].name
                                     : self->service->request[at - self->keys_count].name;
    const view_t *view = self->roles->view;
    return at < self->keys_count ? view_key_field (view, at)->name
                                 : view->request[at - self->keys_count].name;
}

/* Of the states that these features (of the role's view) are made of. */
static uint64_t meaning_of_role (const skew_role_t *role, const uint32_t *features, size_t count,
                                 arena_t *arena)
{
    return sample_meaning (role->number, outcome_task_meaning (outcome_task_new (
                                             role->plans[0], features, count, arena)));
}

/* What the shape's features are made of, as the definitions are now. */
static uint64_t meaning_of (const skew_target_t *self, const sample_shape_t *shape, arena_t *arena)
{
    const service_t *service = self->service;
    uint32_t *outputs = arena_alloc (arena, (shape->features_count + 1) * sizeof *outputs);
    for (size_t i = 0; i < shape->features_count; i++)
        outputs[i] = self->outputs[skew_output (self, shape->features[i].name)];
    if (service == NULL)
        return meaning_of_role (self->roles, outputs, shape->features_count, arena);
    bool *needed = arena_zero (arena, self->plan->features_count + 1, sizeof *needed);
    outcome_task_plain (outcome_task_new (self->plan, outputs, shape->features_count, arena),
                        needed);
    uint64_t meaning = 0;
    for (size_t r = 0; r < self->roles_count; r++) {
        const skew_role_t *role = &self->roles[r];
        uint32_t *features = arena_alloc (arena, (role->features_count + 1) * sizeof *features);
        size_t count = 0;
        for (size_t i = 0; i < role->features_count; i++)
            if (needed[role->inputs[i]])
                features[count++] = role->features[i];
        if (count > 0)
            meaning += meaning_of_role (role, features, count, arena);
    }
    return meaning;
}

/* Are its features there, of the same types and made of the same? */
static bool same_features (const skew_target_t *self, const sample_shape_t *shape)
{
    for (size_t i = 0; i < shape->features_count; i++) {
        int at = skew_output (self, shape->features[i].name);
        if (at < 0 ||
            !text_is (shape->features[i].type, self->plan->features[self->outputs[at]].type_text))
            return false;
    }
    arena_t *arena = arena_new (1 << 12);
    bool same = shape->meaning == meaning_of (self, shape, arena);
    arena_destroy (&arena);
    return same;
}

static bool is_version (const skew_target_t *self, const sample_shape_t *shape)
{
    if (shape->service != (self->service != NULL) || shape->version != self->version ||
        shape->keys_count != self->keys_count || shape->request_count != self->request_count ||
        !same_views (self, shape))
        return false;
    for (size_t i = 0; i < shape->keys_count + shape->request_count; i++)
        if (!text_is (shape->keys[i], field_name (self, i)))
            return false;
    return same_features (self, shape);
}

/* Answers of one shape mostly come together. */
bool skew_is_version (skew_t *self, const sample_shape_t *shape)
{
    if (shape != self->shape) {
        self->shape = shape;
        self->is_version = is_version (&self->target, shape);
    }
    return self->is_version;
}

int skew_output (const skew_target_t *self, text_t name)
{
    for (size_t i = 0; i < self->outputs_count; i++)
        if (text_is (name, self->plan->features[self->outputs[i]].name))
            return (int)i;
    return -1;
}
