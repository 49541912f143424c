#include "feature/service_plan.h"

#include "base/check.h"
#include "feature/service_scope.h"

#include <stdio.h>

enum { PLAN_CHUNK = 16 * 1024 };

typedef struct compiler {
    const service_t *service;
    plan_t *plan;
    service_scope_t scope;
    scope_note_t note;
} compiler_t;

/* Is what is answered there something of its own, and not just an input or a derived feature? */
static bool is_own (const service_output_t *output)
{
    return output->kind == OUTPUT_REQUEST || output->default_text != NULL ||
           output->is_preprocessed;
}

static size_t count_features (const service_t *service)
{
    size_t count = service->inputs_count + service->derived_count;
    for (size_t i = 0; i < service->outputs_count; i++)
        count += is_own (&service->outputs[i]);
    return count;
}

static void add_input (compiler_t *self, const service_input_t *input)
{
    const service_role_t *role = &self->service->roles[input->role];
    const result_type_t type = view_feature_type (role->view, input->feature);
    (void)plan_add_feature (self->plan, input->name, &type, NULL);
}

/* A feature that is computed from `text`. */
static void add_computed (compiler_t *self, const char *name, const char *text,
                          const value_t *default_value)
{
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    status_t status = expr_parse (text_of (text), &self->scope.scope, &expr, &at, &error);
    CHECK (status == STATUS_OK); /* the service has been checked */
    const result_type_t type = result_type_single (expr_type (expr));
    plan_add_derived (self->plan, name, &type, default_value, expr);
}

/* What is answered there, as an expression of its own: "sender.spent_7d", or a request's value, or
 * what becomes of that. */
static void add_output (compiler_t *self, const service_output_t *output)
{
    char name[2 * NAME_MAX_SIZE + 2];
    int size = snprintf (name, sizeof name, "%s", output->name);
    buf_t text;
    CHECK ((size_t)size < sizeof name);
    if (output->kind == OUTPUT_INPUT)
        *strchr (name, ':') = '.';
    buf_init (&text, EXPR_TEXT_MAX);
    if (output->is_preprocessed)
        preprocess_put_expression (&output->preprocess, name, &text);
    else
        buf_put_string (&text, name);
    CHECK (!text.bad);
    add_computed (self, output->name, buf_string (&text), &output->default_value);
    buf_release (&text);
}

static void add_outputs (compiler_t *self, service_plan_t *out)
{
    const service_t *service = self->service;
    plan_t *plan = self->plan;
    for (size_t i = 0; i < service->outputs_count; i++) {
        const service_output_t *output = &service->outputs[i];
        size_t derived = service->inputs_count + output->index;
        out->outputs[i] = is_own (output)                  ? (uint32_t)plan->features_count
                          : output->kind == OUTPUT_DERIVED ? (uint32_t)derived
                                                           : output->index;
        if (is_own (output)) {
            plan->derived[plan->derived_count++] = (uint32_t)plan->features_count;
            add_output (self, output);
        }
    }
}

service_plan_t *service_plan_new (const service_t *service)
{
    size_t count = count_features (service);
    arena_t *arena = arena_new (PLAN_CHUNK);
    service_plan_t *self = arena_zero (arena, 1, sizeof *self);
    plan_t *plan = arena_zero (arena, 1, sizeof *plan);
    compiler_t compiler = { .service = service, .plan = plan };
    self->plan = plan;
    self->outputs = arena_zero (arena, service->outputs_count, sizeof *self->outputs);
    self->outputs_count = service->outputs_count;
    plan->arena = arena;
    plan->view = arena_string (arena, text_of (service->name));
    plan->version = service->version;
    plan->features = arena_zero (arena, count, sizeof *plan->features);
    plan->derived = arena_zero (arena, count, sizeof *plan->derived);
    plan->request_count = service->keys_count + service->request_count;
    plan->request_types = arena_zero (arena, plan->request_count, sizeof *plan->request_types);
    for (size_t i = 0; i < service->keys_count; i++)
        plan->request_types[i] = service->keys[i].type;
    for (size_t i = 0; i < service->request_count; i++)
        plan->request_types[service->keys_count + i] = service->request[i].type;
    service_scope_init (&compiler.scope, service, count, &compiler.note);
    for (size_t i = 0; i < service->inputs_count; i++)
        add_input (&compiler, &service->inputs[i]);
    for (size_t i = 0; i < service->derived_count; i++) {
        const derived_t *derived = &service->derived[i];
        plan->derived[derived->rank] = (uint32_t)plan->features_count;
        add_computed (&compiler, derived->name, derived->expr, &derived->default_value);
    }
    plan->derived_count = service->derived_count;
    add_outputs (&compiler, self);
    CHECK (plan->features_count == count);
    return self;
}

void service_plan_destroy (service_plan_t **self_p)
{
    service_plan_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    plan_t *plan = self->plan; /* its arena holds all */
    plan_destroy (&plan);
}
