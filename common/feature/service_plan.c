#include "feature/service_plan.h"

#include "base/check.h"
#include "feature/service_scope.h"

#include <stdio.h>

enum { PLAN_CHUNK = 16 * 1024 };

typedef struct compiler {
    const service_t *service;
    bool raw;
    plan_t *plan;
    service_scope_t scope;
    scope_note_t note;
} compiler_t;

/* Is what is answered there something of its own, and not just an input or a derived feature? */
static bool is_own (const compiler_t *self, const service_feature_t *feature)
{
    return feature->kind == OUTPUT_REQUEST || feature->default_text != NULL ||
           (feature->is_preprocessed && !self->raw);
}

static size_t count_places (const compiler_t *self)
{
    return self->raw ? self->service->features_count : self->service->outputs_count;
}

/* The output that is answered in a place; of raw ones, the feature itself. */
static service_output_t place_of (const compiler_t *self, size_t place)
{
    const service_t *service = self->service;
    if (!self->raw)
        return service->outputs[place];
    return (service_output_t){ .name = service->features[place].name, .feature = (uint32_t)place };
}

static size_t count_features (const compiler_t *self)
{
    const service_t *service = self->service;
    size_t count = service->inputs_count + service->derived_count;
    for (size_t i = 0; i < count_places (self); i++)
        count += is_own (self, &service->features[place_of (self, i).feature]);
    return count;
}

static void add_input (compiler_t *self, const service_input_t *input)
{
    const service_role_t *role = &self->service->roles[input->role];
    const result_type_t type = view_feature_type (role->view, input->feature);
    (void)plan_add_feature (self->plan, input->name, &type, NULL);
}

/* A feature that is computed from `text`. */
static plan_feature_t *add_computed (compiler_t *self, const char *name, const char *text,
                                     const value_t *default_value)
{
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    status_t status = expr_parse (text_of (text), &self->scope.scope, &expr, &at, &error);
    CHECK (status == STATUS_OK); /* the service has been checked */
    const result_type_t type = result_type_single (expr_type (expr));
    plan_add_derived (self->plan, name, &type, default_value, expr);
    return &self->plan->features[self->plan->features_count - 1];
}

static void make_encoding (compiler_t *self, const preprocess_t *preprocess, uint32_t category,
                           plan_feature_t *out)
{
    arena_t *arena = self->plan->arena;
    encoding_t *encoding = arena_zero (arena, 1, sizeof *encoding);
    value_t *categories = arena_zero (arena, preprocess->categories_count, sizeof *categories);
    for (size_t i = 0; i < preprocess->categories_count; i++)
        categories[i] = category_copy (&preprocess->categories[i], arena);
    *encoding = (encoding_t){ .kind = preprocess->encode,
                              .categories = categories,
                              .count = preprocess->categories_count,
                              .category = category };
    if (preprocess->impute != IMPUTE_NONE)
        encoding->imputed = category_copy (&preprocess->imputed, arena);
    out->encoding = encoding;
}

static void refuse (compiler_t *self, plan_feature_t *out)
{
    const service_t *service = self->service;
    error_t error;
    (void)error_set (&error, STATUS_INVALID,
                     "%s: not fitted yet in %s@v%u: weir fit %s --on TRAINING_SET", out->name,
                     service->name, service->version, service->name);
    out->refusal = arena_string (self->plan->arena, text_of (error.text));
}

/* What is answered there, as an expression of its own: "sender.spent_7d", or a request's value, or
 * what becomes of that. */
static void add_output (compiler_t *self, const service_output_t *output)
{
    const service_feature_t *feature = &self->service->features[output->feature];
    const preprocess_t *preprocess = &feature->preprocess;
    bool raw = self->raw || !feature->is_preprocessed;
    bool computed = !raw && preprocess->encode == ENCODE_NONE;
    char name[2 * NAME_MAX_SIZE + 2];
    int size = snprintf (name, sizeof name, "%s", feature->name);
    buf_t text;
    CHECK ((size_t)size < sizeof name);
    if (feature->kind == OUTPUT_INPUT)
        *strchr (name, ':') = '.';
    buf_init (&text, EXPR_TEXT_MAX);
    if (computed && !preprocess_lacks_numbers (preprocess))
        preprocess_put_expression (preprocess, name, &text);
    else
        buf_put_string (&text, name);
    CHECK (!text.bad);
    plan_feature_t *out =
        add_computed (self, output->name, buf_string (&text), &feature->default_value);
    buf_release (&text);
    if (raw)
        return;
    plan_set_type (self->plan, out, result_type_single (TYPE_FLOAT64));
    if (preprocess_lacks_numbers (preprocess))
        refuse (self, out);
    else if (!computed)
        make_encoding (self, preprocess, output->category, out);
}

static void add_outputs (compiler_t *self, service_plan_t *out)
{
    const service_t *service = self->service;
    plan_t *plan = self->plan;
    for (size_t i = 0; i < out->outputs_count; i++) {
        const service_output_t output = place_of (self, i);
        const service_feature_t *feature = &service->features[output.feature];
        size_t derived = service->inputs_count + feature->index;
        bool own = is_own (self, feature);
        out->outputs[i] = own                               ? (uint32_t)plan->features_count
                          : feature->kind == OUTPUT_DERIVED ? (uint32_t)derived
                                                            : feature->index;
        if (own) {
            plan->derived[plan->derived_count++] = (uint32_t)plan->features_count;
            add_output (self, &output);
        }
    }
}

static service_plan_t *compile (const service_t *service, bool raw)
{
    arena_t *arena = arena_new (PLAN_CHUNK);
    service_plan_t *self = arena_zero (arena, 1, sizeof *self);
    plan_t *plan = arena_zero (arena, 1, sizeof *plan);
    compiler_t compiler = { .service = service, .raw = raw, .plan = plan };
    size_t count = count_features (&compiler);
    self->plan = plan;
    self->outputs_count = count_places (&compiler);
    self->outputs = arena_zero (arena, self->outputs_count, sizeof *self->outputs);
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
        (void)add_computed (&compiler, derived->name, derived->expr, &derived->default_value);
    }
    plan->derived_count = service->derived_count;
    add_outputs (&compiler, self);
    CHECK (plan->features_count == count);
    return self;
}

service_plan_t *service_plan_new (const service_t *service)
{
    return compile (service, false);
}

service_plan_t *service_plan_new_raw (const service_t *service)
{
    return compile (service, true);
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
