/* What a `get` asks for: a view, or a service, which is views in roles. */
#include "intake/given.h"
#include "serving/node.h"

#include <inttypes.h>
#include <stdio.h>

/* Room for the features that were asked for; of a query that names none, `count`. */
static void make_features (query_t *query, query_target_t *target, size_t count)
{
    if (!query->feature_names)
        query->features_count = count;
    target->features = arena_alloc (query->arena, query->features_count * sizeof *target->features);
}

/* ---- a view ---- */

static status_t bind_features (query_t *query, query_target_t *target, error_t *error)
{
    const plan_t *plan = target->plan;
    make_features (query, target, plan->features_count);
    for (size_t i = 0; i < query->features_count; i++) {
        int index =
            query->feature_names ? plan_feature_index (plan, query->feature_names[i]) : (int)i;
        if (index < 0) {
            text_t name = query->feature_names[i];
            const char *nearest = plan_nearest_feature (plan, name);
            return error_set (error, STATUS_NOT_FOUND,
                              "view '%s' has no feature '" TEXT_FORMAT "'%s%s%s", plan->view,
                              TEXT_ARGS (name), nearest ? "; did you mean '" : "",
                              nearest ? nearest : "", nearest ? "'?" : "");
        }
        target->features[i] = (uint32_t)index;
    }
    return STATUS_OK;
}

/* The role's view, without what is asked of it. */
static void bind_role (const model_t *model, const view_t *view, query_role_t *role)
{
    role->view = view;
    role->plans = model_plans (model, view, &role->plans_count);
    role->plan = role->plans[0];
}

static status_t bind_view (query_t *query, const model_t *model, const view_t *view,
                           query_target_t *target, error_t *error)
{
    query_role_t *role = arena_zero (query->arena, 1, sizeof *role);
    bind_role (model, view, role);
    target->roles = role;
    target->roles_count = 1;
    target->plan = role->plan;
    status_t status = bind_features (query, target, error);
    if (status != STATUS_OK)
        return status;
    role->features = target->features;
    role->features_count = query->features_count;
    role->task = outcome_task_new (role->plan, role->features, role->features_count, query->arena);
    target->task = role->task;
    target->reads = arena_alloc (query->arena, query->features_count * sizeof *target->reads);
    for (size_t i = 0; i < query->features_count; i++)
        target->reads[i] = target->plan->features[target->features[i]].of_events;
    return STATUS_OK;
}

/* ---- a service ---- */

static status_t no_such_output (const service_t *service, text_t name, error_t *error)
{
    const char *names[FEATURES_MAX];
    char word[2 * NAME_MAX_SIZE + 2];
    for (size_t i = 0; i < service->outputs_count; i++)
        names[i] = service->outputs[i].name;
    bool is_long = name.size >= sizeof word;
    if (!is_long)
        snprintf (word, sizeof word, TEXT_FORMAT, TEXT_ARGS (name));
    const char *nearest = is_long ? NULL : text_nearest (word, names, service->outputs_count);
    return error_set (error, STATUS_NOT_FOUND,
                      "service '%s' has no feature '" TEXT_FORMAT "'%s%s%s", service->name,
                      TEXT_ARGS (name), nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static status_t bind_outputs (query_t *query, const service_plan_t *plan, query_target_t *target,
                              error_t *error)
{
    const service_t *service = target->service;
    make_features (query, target, service->outputs_count);
    for (size_t i = 0; i < query->features_count; i++) {
        size_t at = query->feature_names ? 0 : i;
        while (query->feature_names && at < service->outputs_count &&
               !text_is (query->feature_names[i], service->outputs[at].name))
            at++;
        if (at == service->outputs_count)
            return no_such_output (service, query->feature_names[i], error);
        target->features[i] = plan->outputs[at];
    }
    return STATUS_OK;
}

/* What of the role's view is needed; a role of which nothing is does not become one of the query's.
 */
static void add_role (query_t *query, const model_t *model, uint32_t number, const bool *needed,
                      query_target_t *target)
{
    const service_t *service = target->service;
    query_role_t *role = &target->roles[target->roles_count];
    role->number = number;
    role->features = arena_alloc (query->arena, service->inputs_count * sizeof *role->features);
    role->inputs = arena_alloc (query->arena, service->inputs_count * sizeof *role->inputs);
    for (uint32_t i = 0; i < service->inputs_count; i++) {
        if (!needed[i] || service->inputs[i].role != number)
            continue;
        role->inputs[role->features_count] = i;
        role->features[role->features_count++] = service->inputs[i].feature;
    }
    if (role->features_count == 0)
        return;
    bind_role (model, service->roles[number].view, role);
    role->task = outcome_task_new (role->plan, role->features, role->features_count, query->arena);
    target->roles_count++;
}

/* Which roles features are made of, through those that they are derived from. */
static void find_reads (const query_t *query, query_target_t *target)
{
    const plan_t *plan = target->plan;
    uint32_t *reads = arena_zero (query->arena, plan->features_count, sizeof *reads);
    for (size_t r = 0; r < target->roles_count; r++) {
        const query_role_t *role = &target->roles[r];
        for (size_t i = 0; i < role->features_count; i++)
            if (role->plan->features[role->features[i]].of_events)
                reads[role->inputs[i]] = UINT32_C (1) << r;
    }
    for (size_t d = 0; d < plan->derived_count; d++) {
        const plan_feature_t *derived = &plan->features[plan->derived[d]];
        for (size_t i = 0; i < derived->reads_count; i++)
            if (derived->reads[i] < plan->features_count)
                reads[plan->derived[d]] |= reads[derived->reads[i]];
    }
    target->reads = arena_alloc (query->arena, query->features_count * sizeof *target->reads);
    for (size_t i = 0; i < query->features_count; i++)
        target->reads[i] = reads[target->features[i]];
}

static status_t bind_service (query_t *query, const model_t *model, const service_t *service,
                              query_target_t *target, error_t *error)
{
    const service_plan_t *plan = model_service (model, service);
    target->service = service;
    target->plan = plan->plan;
    status_t status = bind_outputs (query, plan, target, error);
    if (status != STATUS_OK)
        return status;
    bool *needed = arena_zero (query->arena, plan->plan->features_count, sizeof *needed);
    target->task =
        outcome_task_new (plan->plan, target->features, query->features_count, query->arena);
    outcome_task_plain (target->task, needed);
    target->roles = arena_zero (query->arena, service->roles_count, sizeof *target->roles);
    for (uint32_t i = 0; i < service->roles_count; i++)
        add_role (query, model, i, needed, target);
    find_reads (query, target);
    return STATUS_OK;
}

/* ---- either ---- */

/* Of a query that names no version: should another become the active one before all is answered,
 * the answer is of the one that it began with, as long as there is that. */
static uint32_t bound_version (const query_t *query, const model_t *model)
{
    const definitions_t *all = model->definitions;
    return query->bound != 0 && (definitions_view_version (all, query->name, query->bound) ||
                                 definitions_service_version (all, query->name, query->bound))
               ? query->bound
               : 0;
}

status_t target_bind (query_t *query, const model_t *model, query_target_t *target, error_t *error)
{
    const view_t *view;
    const service_t *service;
    uint32_t version = query->version != 0 ? query->version : bound_version (query, model);
    *target = (query_target_t){ 0 };
    status_t status =
        definitions_find (model->definitions, query->name, version, &view, &service, error);
    if (status == STATUS_OK)
        status = view ? bind_view (query, model, view, target, error)
                      : bind_service (query, model, service, target, error);
    if (status != STATUS_OK)
        return status;
    query->bound = target->plan->version;
    if (query->feature_names)
        return STATUS_OK;
    query->feature_names =
        arena_alloc (query->arena, query->features_count * sizeof *query->feature_names);
    for (size_t i = 0; i < query->features_count; i++)
        query->feature_names[i] =
            arena_text (query->arena, text_of (target->plan->features[target->features[i]].name));
    return STATUS_OK;
}

/* Is the view over the same logs as it was, with keys of the same types? */
static bool same_sources (const view_t *a, const view_t *b)
{
    bool same = a->sources_count == b->sources_count;
    for (size_t i = 0; same && i < a->sources_count; i++)
        same = strcmp (a->sources[i].log_name, b->sources[i].log_name) == 0 &&
               stream_same_key (a->sources[i].stream, b->sources[i].stream);
    return same;
}

bool target_same (const query_target_t *a, const query_target_t *b)
{
    bool same = a->roles_count == b->roles_count && !a->service == !b->service;
    if (same && a->service)
        same = strcmp (a->service->text, b->service->text) == 0;
    for (size_t i = 0; same && i < a->roles_count; i++)
        same = a->roles[i].number == b->roles[i].number &&
               same_sources (a->roles[i].view, b->roles[i].view) &&
               given_same_request (a->roles[i].view, b->roles[i].view);
    return same;
}
