#include "feature/outcome.h"

#include "base/check.h"

#include <xxhash.h>

enum { OUTCOME_KEYS = 64 };

struct outcome_task {
    const plan_t *plan;
    uint32_t *asked; /* places in `order` */
    size_t asked_count;
    uint32_t *order; /* every feature that is needed, each after those that it reads */
    size_t order_count;
    size_t plain_count; /* of them that are not derived: the first */
    uint32_t *place;    /* in `order`, per feature of the plan */
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

static void add_needed (outcome_task_t *self, uint32_t feature, const bool *needed)
{
    if (!needed[feature])
        return;
    self->place[feature] = (uint32_t)self->order_count;
    self->order[self->order_count++] = feature;
}

outcome_task_t *outcome_task_new (const plan_t *plan, const uint32_t *features, size_t count,
                                  arena_t *arena)
{
    outcome_task_t *self = arena_zero (arena, 1, sizeof *self);
    bool *needed = arena_zero (arena, plan->features_count, sizeof *needed);
    size_t plain = plan->features_count - plan->derived_count;
    self->plan = plan;
    self->asked = arena_alloc (arena, count * sizeof *self->asked);
    self->asked_count = count;
    self->order = arena_alloc (arena, plan->features_count * sizeof *self->order);
    self->place = arena_alloc (arena, plan->features_count * sizeof *self->place);
    for (size_t i = 0; i < count; i++) {
        CHECK (features[i] < plan->features_count);
        needed[features[i]] = true;
        self->has_collections |= is_collection (&plan->features[features[i]]);
    }
    mark_needed (plan, needed);
    for (uint32_t i = 0; i < plain; i++)
        add_needed (self, i, needed);
    self->plain_count = self->order_count;
    for (size_t i = 0; i < plan->derived_count; i++)
        add_needed (self, plan->derived[i], needed);
    for (size_t i = 0; i < count; i++)
        self->asked[i] = self->place[features[i]];
    return self;
}

void outcome_task_cells (const outcome_task_t *self, bool *cells)
{
    for (size_t i = 0; i < self->plain_count; i++)
        cells[self->plan->features[self->order[i]].cell] = true;
}

void outcome_task_plain (const outcome_task_t *self, bool *features)
{
    for (size_t i = 0; i < self->plain_count; i++)
        features[self->order[i]] = true;
}

uint64_t outcome_task_meaning (const outcome_task_t *self)
{
    uint64_t meaning = 0;
    for (size_t i = 0; i < self->plain_count; i++) {
        const plan_feature_t *feature = &self->plan->features[self->order[i]];
        if (feature->aggregate == AGGREGATE_NONE)
            continue; /* an input of a service */
        uint64_t hash = self->plan->slots[self->plan->cells[feature->cell].slot].hash;
        meaning += XXH3_64bits (&hash, sizeof hash);
    }
    return meaning;
}

size_t outcome_task_keys (const outcome_task_t *self)
{
    return self->has_collections ? 1 : OUTCOME_KEYS;
}

/* One call of outcome_compute. */
typedef struct computation {
    const outcome_task_t *task;
    const plan_t *plan;
    const outcome_key_t *keys;
    const value_t *finals; /* NULL: none */
    size_t count;
    arena_t *arena;
    outcome_t *outcomes; /* of one key after the other, in the task's order */
    column_t *columns;   /* of what derived features read, once it is made */
} computation_t;

static outcome_t *outcome_at (const computation_t *self, size_t key, uint32_t feature)
{
    return &self->outcomes[key * self->task->order_count + self->task->place[feature]];
}

/* What an answer has of a feature. */
static void finalise_answer (const computation_t *self, const outcome_key_t *at, uint32_t feature,
                             outcome_t *out)
{
    error_t error;
    out->error = NULL;
    if (answer_final (at->answer, feature, at->as_of, self->arena, &out->value, &error) ==
        STATUS_OK)
        return;
    out->value = (value_t){ .type = self->plan->features[feature].type.type, .null = true };
    out->error = arena_string (self->arena, text_of (error.text));
}

/* All that is not derived, of one key. */
static void finalise (const computation_t *self, size_t key)
{
    const outcome_key_t *at = &self->keys[key];
    const plan_feature_t *features = self->plan->features;
    const uint32_t *order = self->task->order;
    size_t count = self->task->plain_count;
    outcome_t *out = &self->outcomes[key * self->task->order_count];
    const value_t *finals =
        self->finals != NULL ? self->finals + key * self->plan->cells_count : NULL;
    bool expired = at->inputs == NULL && !at->partial && answer_expired (at->answer, at->as_of);
    for (size_t i = 0; i < count; i++) {
        const plan_feature_t *of = &features[order[i]];
        if (expired) {
            bool other = of->default_value.type != TYPE_NONE;
            const value_t null = { .type = of->type.type, .null = true };
            out[i] = (outcome_t){ .value = other ? of->default_value : null };
        } else if (at->inputs != NULL) {
            out[i] = at->inputs[order[i]];
        } else if (finals == NULL || finals[of->cell].type == TYPE_NONE) {
            finalise_answer (self, at, order[i], &out[i]);
        } else {
            const value_t *value = &finals[of->cell];
            bool other = value->null && of->default_value.type != TYPE_NONE;
            out[i].value = other ? of->default_value : *value;
            out[i].error = NULL;
        }
    }
}

static value_t column_value (const computation_t *self, uint32_t column, size_t key)
{
    const plan_t *plan = self->plan;
    if (column < plan->features_count)
        return outcome_at (self, key, column)->value;
    size_t at = column - plan->features_count;
    if (at == plan->request_count)
        return (value_t){ .type = TYPE_TIMESTAMP, .i = self->keys[key].as_of };
    const value_t *request = self->keys[key].request;
    return request != NULL ? request[at]
                           : (value_t){ .type = plan->request_types[at], .null = true };
}

static type_t column_type (const plan_t *plan, uint32_t column)
{
    if (column < plan->features_count)
        return plan->features[column].type.type;
    column -= (uint32_t)plan->features_count;
    return column < plan->request_count ? plan->request_types[column] : TYPE_TIMESTAMP;
}

static void make_column (const computation_t *self, uint32_t column)
{
    if (self->columns[column].valid != NULL)
        return;
    self->columns[column] = column_new (self->arena, column_type (self->plan, column), self->count);
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
        if (column < self->plan->features_count && outcome_at (self, key, column)->error != NULL)
            return self->plan->features[column].name;
    }
    return NULL;
}

static void derive (const computation_t *self, uint32_t index)
{
    const plan_feature_t *feature = &self->plan->features[index];
    for (size_t i = 0; i < feature->reads_count; i++)
        make_column (self, feature->reads[i]);
    column_t values = expr_eval (feature->derived, self->columns, self->count, self->arena);
    for (size_t i = 0; i < self->count; i++) {
        outcome_t *out = outcome_at (self, i, index);
        const char *failed = failed_read (self, feature, i);
        *out = (outcome_t){ .value = column_get (&values, i) };
        if (feature->encoding != NULL)
            out->value = encoding_of (feature->encoding, &out->value);
        if (feature->refusal != NULL) {
            out->value = (value_t){ .type = feature->type.type, .null = true };
            out->error = feature->refusal;
        } else if (failed != NULL) {
            error_t error;
            error_set (&error, STATUS_RANGE, "%s: it needs %s, which could not be computed",
                       feature->name, failed);
            out->value = (value_t){ .type = feature->type.type, .null = true };
            out->error = arena_string (self->arena, text_of (error.text));
        } else if (out->value.null && feature->default_value.type != TYPE_NONE) {
            out->value = feature->default_value;
        }
    }
}

const outcome_t *outcome_compute (const outcome_task_t *self, const outcome_key_t *keys,
                                  size_t count, arena_t *arena)
{
    return outcome_compute_finals (self, keys, NULL, count, arena);
}

const outcome_t *outcome_compute_finals (const outcome_task_t *self, const outcome_key_t *keys,
                                         const value_t *finals, size_t count, arena_t *arena)
{
    const plan_t *plan = self->plan;
    computation_t computation = {
        .task = self, .plan = plan, .keys = keys, .finals = finals, .count = count, .arena = arena
    };
    computation.outcomes =
        arena_alloc (arena, count * self->order_count * sizeof *computation.outcomes);
    for (size_t key = 0; key < count; key++)
        finalise (&computation, key);
    if (self->order_count > self->plain_count)
        computation.columns = arena_zero (arena, plan->features_count + plan->request_count + 1,
                                          sizeof *computation.columns);
    for (size_t i = self->plain_count; i < self->order_count; i++)
        derive (&computation, self->order[i]);
    return computation.outcomes;
}

const outcome_t *outcome_of (const outcome_task_t *self, const outcome_t *outcomes, size_t key,
                             size_t place)
{
    CHECK (place < self->asked_count);
    return &outcomes[key * self->order_count + self->asked[place]];
}
