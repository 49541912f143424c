#include "feature/outcome.h"

#include "base/check.h"

enum { OUTCOME_KEYS = 64 };

struct outcome_task {
    const plan_t *plan;
    const uint32_t *asked;
    size_t asked_count;
    uint32_t *order; /* every feature that is needed, each after those that it reads */
    size_t order_count;
    bool has_collections;
};

static bool is_collection (const plan_feature_t *feature)
{
    return feature->type.type == TYPE_LIST || feature->type.type == TYPE_MAP;
}

/* Those that are needed, found from the last derived one backwards: each marks what it reads. */
static void mark_needed (const plan_t *plan, bool *needed)
{
    for (size_t i = plan->derived_count; i-- > 0;) {
        const plan_feature_t *feature = &plan->features[plan->derived[i]];
        if (!needed[plan->derived[i]])
            continue;
        for (size_t k = 0; k < feature->reads_count; k++) {
            if (feature->reads[k] < plan->features_count)
                needed[feature->reads[k]] = true;
        }
    }
}

outcome_task_t *outcome_task_new (const plan_t *plan, const uint32_t *features, size_t count,
                                  arena_t *arena)
{
    outcome_task_t *self = arena_zero (arena, 1, sizeof *self);
    bool *needed = arena_zero (arena, plan->features_count, sizeof *needed);
    uint32_t *asked = arena_zero (arena, count, sizeof *asked);
    self->plan = plan;
    self->asked = asked;
    self->asked_count = count;
    self->order = arena_zero (arena, plan->features_count, sizeof *self->order);
    for (size_t i = 0; i < count; i++) {
        CHECK (features[i] < plan->features_count);
        asked[i] = features[i];
        needed[features[i]] = true;
        self->has_collections |= is_collection (&plan->features[features[i]]);
    }
    mark_needed (plan, needed);
    for (uint32_t i = 0; i < plan->features_count; i++) {
        if (needed[i] && plan->features[i].derived == NULL)
            self->order[self->order_count++] = i;
    }
    for (size_t i = 0; i < plan->derived_count; i++) {
        if (needed[plan->derived[i]])
            self->order[self->order_count++] = plan->derived[i];
    }
    return self;
}

void outcome_task_cells (const outcome_task_t *self, bool *cells)
{
    for (size_t i = 0; i < self->order_count; i++) {
        const plan_feature_t *feature = &self->plan->features[self->order[i]];
        if (feature->derived == NULL)
            cells[feature->cell] = true;
    }
}

size_t outcome_task_keys (const outcome_task_t *self)
{
    return self->has_collections ? 1 : OUTCOME_KEYS;
}

/* One call of outcome_compute. */
typedef struct computation {
    const plan_t *plan;
    const outcome_key_t *keys;
    size_t count;
    arena_t *arena;
    outcome_t **outcomes; /* per feature, once computed: one for each key */
    column_t *columns;    /* of what derived features read, once it is made */
} computation_t;

static void finalise (const computation_t *self, uint32_t feature, outcome_t *out)
{
    for (size_t i = 0; i < self->count; i++) {
        const outcome_key_t *key = &self->keys[i];
        error_t error;
        status_t status =
            answer_final (key->answer, feature, key->as_of, self->arena, &out[i].value, &error);
        if (status == STATUS_OK)
            continue;
        out[i].value = (value_t){ .type = self->plan->features[feature].type.type, .null = true };
        out[i].error = arena_string (self->arena, text_of (error.text));
    }
}

static value_t column_value (const computation_t *self, uint32_t column, size_t key)
{
    const plan_t *plan = self->plan;
    if (column < plan->features_count)
        return self->outcomes[column][key].value;
    size_t at = column - plan->features_count;
    if (at == plan->request_count)
        return (value_t){ .type = TYPE_TIMESTAMP, .i = self->keys[key].as_of };
    const value_t *request = self->keys[key].request;
    return request != NULL ? request[at]
                           : (value_t){ .type = plan->request_types[at], .null = true };
}

static void make_column (const computation_t *self, uint32_t column)
{
    if (self->columns[column].valid != NULL)
        return;
    const plan_t *plan = self->plan;
    type_t type = TYPE_TIMESTAMP; /* of now */
    if (column < plan->features_count)
        type = plan->features[column].type.type;
    else if (column - plan->features_count < plan->request_count)
        type = plan->request_types[column - plan->features_count];
    self->columns[column] = column_new (self->arena, type, self->count);
    for (size_t i = 0; i < self->count; i++) {
        value_t value = column_value (self, column, i);
        column_set (&self->columns[column], i, &value);
    }
}

/* The feature that it reads and that could not be computed, or NULL. */
static const char *failed_read (const computation_t *self, const plan_feature_t *feature,
                                size_t key)
{
    for (size_t i = 0; i < feature->reads_count; i++) {
        uint32_t column = feature->reads[i];
        if (column < self->plan->features_count && self->outcomes[column][key].error != NULL)
            return self->plan->features[column].name;
    }
    return NULL;
}

static void derive (const computation_t *self, const plan_feature_t *feature, outcome_t *out)
{
    for (size_t i = 0; i < feature->reads_count; i++)
        make_column (self, feature->reads[i]);
    column_t values = expr_eval (feature->derived, self->columns, self->count, self->arena);
    for (size_t i = 0; i < self->count; i++) {
        const char *failed = failed_read (self, feature, i);
        out[i].value = column_get (&values, i);
        if (failed != NULL) {
            error_t error;
            error_set (&error, STATUS_RANGE, "%s: it needs %s, which could not be computed",
                       feature->name, failed);
            out[i].value = (value_t){ .type = feature->type.type, .null = true };
            out[i].error = arena_string (self->arena, text_of (error.text));
        } else if (out[i].value.null && feature->default_value.type != TYPE_NONE) {
            out[i].value = feature->default_value;
        }
    }
}

outcome_t *outcome_compute (const outcome_task_t *self, const outcome_key_t *keys, size_t count,
                            arena_t *arena)
{
    const plan_t *plan = self->plan;
    size_t columns = plan->features_count + plan->request_count + 1;
    computation_t computation = { .plan = plan, .keys = keys, .count = count, .arena = arena };
    computation.outcomes = arena_zero (arena, plan->features_count, sizeof *computation.outcomes);
    if (plan->derived_count > 0)
        computation.columns = arena_zero (arena, columns, sizeof *computation.columns);
    for (size_t i = 0; i < self->order_count; i++) {
        uint32_t at = self->order[i];
        outcome_t *out = arena_zero (arena, count, sizeof *out);
        if (plan->features[at].derived == NULL)
            finalise (&computation, at, out);
        else
            derive (&computation, &plan->features[at], out);
        computation.outcomes[at] = out;
    }
    outcome_t *result = arena_zero (arena, count * self->asked_count, sizeof *result);
    for (size_t i = 0; i < self->asked_count; i++) {
        for (size_t key = 0; key < count; key++)
            result[key * self->asked_count + i] = computation.outcomes[self->asked[i]][key];
    }
    return result;
}
