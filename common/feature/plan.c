/* plan.c - compiles a checked view: equal parts are made once, then places are laid out. */
#include "feature/plan.h"

#include "base/check.h"
#include "base/mem.h"
#include "feature/stream_scope.h"
#include "feature/view_scope.h"

#include <stdlib.h>
#include <xxhash.h>

enum {
    PLAN_CHUNK = 16 * 1024,     /* bytes of an arena chunk */
    PLAN_MEANING_MAX = 1 << 20, /* bytes hashed for one plan */
    PLACE_ALIGNMENT = 16,
};

/* What is known only while a plan is made. */
typedef struct compiler {
    plan_t *plan;
    const view_t *view;
    stream_scope_t scope;
    const char **lane_texts; /* borrowed from the view */
    const char **filter_texts;
} compiler_t;

static expr_t *compile (const expr_scope_t *scope, const char *text)
{
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    status_t status = expr_parse (text_of (text), scope, &expr, &at, &error);
    CHECK (status == STATUS_OK); /* the view has been checked */
    return expr;
}

/* The index of `text` among `texts`, added when it is new; -1 for NULL. */
static int32_t intern (const compiler_t *compiler, const char *text, const char **texts,
                       expr_t **exprs, size_t *count)
{
    if (text == NULL)
        return -1;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp (texts[i], text) == 0)
            return (int32_t)i;
    }
    texts[*count] = text;
    exprs[*count] = compile (&compiler->scope.scope, text);
    return (int32_t)(*count)++;
}

static uint64_t slot_hash (const compiler_t *compiler, const plan_slot_t *slot)
{
    const plan_t *plan = compiler->plan;
    const stream_t *stream = compiler->view->stream;
    buf_t buf;
    buf_init (&buf, PLAN_MEANING_MAX);
    buf_put_u64 (&buf, compiler->view->meaning);
    buf_put_u8 (&buf, slot->spec.kind);
    buf_put_u8 (&buf, slot->spec.input);
    buf_put_u8 (&buf, slot->spec.second);
    buf_put_u8 (&buf, slot->spec.by);
    buf_put_u16 (&buf, slot->spec.rows);
    buf_put_i64 (&buf, slot->spec.param);
    for (uint32_t i = 0; i < slot->inputs; i++)
        stream_put_meaning (stream, plan->lanes[slot->lane[i]], &buf);
    stream_put_meaning (stream, slot->filter < 0 ? NULL : plan->filters[slot->filter], &buf);
    buf_put_i64 (&buf, slot->delay);
    CHECK (!buf.bad);
    uint64_t hash = XXH3_64bits (buf.data, buf.size);
    buf_release (&buf);
    return hash;
}

/* Adds a lane to the slot; the type of its values, NONE when there is no expression. */
static type_t add_input (compiler_t *compiler, plan_slot_t *slot, const char *text)
{
    plan_t *plan = compiler->plan;
    int32_t lane = intern (compiler, text, compiler->lane_texts, plan->lanes, &plan->lanes_count);
    if (lane < 0)
        return TYPE_NONE;
    slot->lane[slot->inputs++] = (uint32_t)lane;
    return expr_type (plan->lanes[lane]);
}

static uint32_t add_slot (compiler_t *compiler, const feature_t *feature)
{
    plan_t *plan = compiler->plan;
    plan_slot_t slot = { .delay = feature->delay };
    type_t by = add_input (compiler, &slot, feature->by);
    type_t input = add_input (compiler, &slot, feature->input);
    type_t second = add_input (compiler, &slot, feature->second);
    int64_t parameter = feature->parameter.type == TYPE_INT64 ? feature->parameter.i : 0;
    slot.spec = aggregate_spec (feature->aggregate, input, second, parameter);
    slot.spec.by = by;
    slot.spec.rows = feature->rows;
    CHECK (slot.inputs == state_inputs (slot.spec));
    slot.filter = intern (compiler, feature->filter, compiler->filter_texts, plan->filters,
                          &plan->filters_count);
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        const plan_slot_t *other = &plan->slots[i];
        if (state_spec_equal (other->spec, slot.spec) && other->filter == slot.filter &&
            other->delay == slot.delay && memcmp (other->lane, slot.lane, sizeof slot.lane) == 0)
            return i;
    }
    slot.hash = slot_hash (compiler, &slot);
    plan->slots[plan->slots_count] = slot;
    return (uint32_t)plan->slots_count++;
}

static int compare_cells (const void *left, const void *right)
{
    const plan_cell_t *a = left, *b = right;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    return (a->window > b->window) - (a->window < b->window);
}

static int compare_windows (const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Sorts `count` items and drops repeats; returns how many are left. */
static size_t sort_unique (void *items, size_t count, size_t size,
                           int (*compare) (const void *, const void *))
{
    qsort (items, count, size, compare);
    uint8_t *bytes = items;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && compare (bytes + (kept - 1) * size, bytes + i * size) == 0)
            continue;
        memmove (bytes + kept * size, bytes + i * size, size);
        kept++;
    }
    return kept;
}

static const char *type_text (plan_t *plan, const result_type_t *type)
{
    buf_t text;
    buf_init (&text, RESULT_TYPE_TEXT_MAX);
    result_type_format (type, &text);
    CHECK (!text.bad);
    const char *kept = arena_string (plan->arena, text_of (buf_string (&text)));
    buf_release (&text);
    return kept;
}

/* A string goes into the plan. */
static value_t own_value (plan_t *plan, value_t value)
{
    if (value.type == TYPE_STRING)
        value.s = arena_text (plan->arena, value.s);
    return value;
}

static void add_features (compiler_t *compiler)
{
    plan_t *plan = compiler->plan;
    const view_t *view = compiler->view;
    size_t count = view->features_count;
    plan_cell_t *wanted = arena_zero (plan->arena, count, sizeof *wanted);
    for (size_t i = 0; i < count; i++) {
        wanted[i].slot = add_slot (compiler, &view->features[i]);
        wanted[i].window = view->features[i].window;
        plan->cells[i] = wanted[i];
        plan->windows[i] = wanted[i].window;
    }
    plan->cells_count = sort_unique (plan->cells, count, sizeof *plan->cells, compare_cells);
    plan->windows_count =
        sort_unique (plan->windows, count, sizeof *plan->windows, compare_windows);
    for (size_t i = 0; i < count; i++) {
        const feature_t *feature = &view->features[i];
        const plan_cell_t *cell = bsearch (&wanted[i], plan->cells, plan->cells_count,
                                           sizeof *plan->cells, compare_cells);
        CHECK (cell != NULL);
        plan->features[i] = (plan_feature_t){
            .name = arena_string (plan->arena, text_of (feature->name)),
            .aggregate = feature->aggregate,
            .cell = (uint32_t)(cell - plan->cells),
            .of_events = true,
            .type = feature->type,
            .type_text = type_text (plan, &feature->type),
            .parameter = feature->parameter,
            .default_value = own_value (plan, feature->default_value),
        };
    }
    plan->features_count = count;
}

static void count_read (void *arg, uint32_t column)
{
    (void)column;
    ++*(size_t *)arg;
}

static void add_read (void *arg, uint32_t column)
{
    plan_feature_t *feature = arg;
    feature->reads[feature->reads_count++] = column;
}

plan_feature_t *plan_add_feature (plan_t *self, const char *name, const result_type_t *type,
                                  const value_t *default_value)
{
    plan_feature_t *feature = &self->features[self->features_count++];
    *feature = (plan_feature_t){
        .name = arena_string (self->arena, text_of (name)),
        .type = *type,
        .type_text = type_text (self, type),
        .default_value = default_value != NULL ? own_value (self, *default_value)
                                               : (value_t){ .type = TYPE_NONE },
    };
    return feature;
}

void plan_set_type (plan_t *self, plan_feature_t *feature, result_type_t type)
{
    feature->type = type;
    feature->type_text = type_text (self, &type);
}

void plan_add_derived (plan_t *self, const char *name, const result_type_t *type,
                       const value_t *default_value, expr_t *expr)
{
    plan_feature_t *feature = plan_add_feature (self, name, type, default_value);
    size_t count = 0;
    feature->derived = expr;
    expr_columns (expr, count_read, &count);
    feature->reads = arena_zero (self->arena, count, sizeof *feature->reads);
    expr_columns (expr, add_read, feature);
}

/* After the others, which have the numbers that the view's scope gives them. */
static void add_derived (plan_t *plan, const view_t *view)
{
    scope_note_t note;
    view_scope_t scope;
    view_scope_init (&scope, view, NULL, &note);
    for (size_t i = 0; i < view->derived_count; i++) {
        const derived_t *derived = &view->derived[i];
        const result_type_t type = result_type_single (derived->type);
        plan->derived[derived->rank] = (uint32_t)plan->features_count;
        plan_add_derived (plan, derived->name, &type, &derived->default_value,
                          compile (&scope.scope, derived->expr));
    }
    plan->derived_count = view->derived_count;
    for (size_t i = 0; i < plan->derived_count; i++) {
        plan_feature_t *feature = &plan->features[plan->derived[i]];
        for (size_t k = 0; k < feature->reads_count; k++)
            feature->of_events |= feature->reads[k] < plan->features_count &&
                                  plan->features[feature->reads[k]].of_events;
    }
    for (size_t i = 0; i < view->request_count; i++)
        plan->request_types[i] = view->request[i].type;
    plan->request_count = view->request_count;
}

static size_t aligned (size_t size)
{
    return (size + PLACE_ALIGNMENT - 1) / PLACE_ALIGNMENT * PLACE_ALIGNMENT;
}

static void lay_out (plan_t *plan)
{
    for (size_t i = 0; i < plan->slots_count; i++) {
        plan->slots[i].place = plan->slots_size;
        plan->slots_size += aligned (state_size (plan->slots[i].spec));
    }
    for (size_t i = 0; i < plan->cells_count; i++) {
        plan->cells[i].place = plan->cells_size;
        state_spec_t spec = plan->slots[plan->cells[i].slot].spec;
        plan->cells_size += aligned (state_size (spec));
        plan->cells_may_grow |= state_is_large (spec) || spec.input == TYPE_STRING;
    }
}

static uint64_t plan_hash (const plan_t *plan)
{
    buf_t buf;
    buf_init (&buf, PLAN_MEANING_MAX);
    buf_put_varint (&buf, plan->slots_count);
    for (size_t i = 0; i < plan->slots_count; i++)
        buf_put_u64 (&buf, plan->slots[i].hash);
    buf_put_varint (&buf, plan->cells_count);
    for (size_t i = 0; i < plan->cells_count; i++) {
        buf_put_u32 (&buf, plan->cells[i].slot);
        buf_put_i64 (&buf, plan->cells[i].window);
    }
    CHECK (!buf.bad);
    uint64_t hash = XXH3_64bits (buf.data, buf.size);
    buf_release (&buf);
    return hash;
}

static void use_column (void *arg, uint32_t column)
{
    plan_t *plan = arg;
    plan->columns_used[column / 64] |= UINT64_C (1) << column % 64;
}

static void find_columns_used (plan_t *plan)
{
    if (plan->where != NULL)
        expr_columns (plan->where, use_column, plan);
    for (size_t i = 0; i < plan->lanes_count; i++)
        expr_columns (plan->lanes[i], use_column, plan);
    for (size_t i = 0; i < plan->filters_count; i++)
        expr_columns (plan->filters[i], use_column, plan);
}

/* An empty plan with room for the most that the view's features can need. */
static plan_t *plan_allocate (const view_t *view)
{
    const stream_t *stream = view->stream;
    size_t count = view->features_count;
    arena_t *arena = arena_new (PLAN_CHUNK);
    plan_t *plan = arena_zero (arena, 1, sizeof *plan);
    plan->arena = arena;
    plan->view = arena_string (arena, text_of (view->name));
    plan->version = view->version;
    plan->log_name = arena_string (arena, text_of (view->log_name));
    plan->horizon = view->horizon;
    plan->ttl = view->ttl;
    plan->keyed = view->key_count > 0;
    plan->columns = stream->fields_count;
    plan->column_types = arena_zero (arena, stream->fields_count, sizeof *plan->column_types);
    plan->column_ids = arena_zero (arena, stream->fields_count, sizeof *plan->column_ids);
    for (size_t i = 0; i < stream->fields_count; i++) {
        plan->column_types[i] = stream->fields[i].type;
        plan->column_ids[i] = stream->fields[i].id;
    }
    plan->lanes = arena_zero (arena, STATE_INPUTS_MAX * count, sizeof *plan->lanes);
    plan->filters = arena_zero (arena, count, sizeof *plan->filters);
    plan->slots = arena_zero (arena, count, sizeof *plan->slots);
    plan->cells = arena_zero (arena, count, sizeof *plan->cells);
    plan->windows = arena_zero (arena, count, sizeof *plan->windows);
    plan->features = arena_zero (arena, count + view->derived_count, sizeof *plan->features);
    plan->derived = arena_zero (arena, view->derived_count, sizeof *plan->derived);
    plan->request_types = arena_zero (arena, view->request_count, sizeof *plan->request_types);
    return plan;
}

static plan_t *compile_view (const view_t *view)
{
    compiler_t compiler = { .plan = plan_allocate (view), .view = view };
    plan_t *plan = compiler.plan;
    stream_scope_init (&compiler.scope, view->stream);
    compiler.lane_texts =
        mem_zero (STATE_INPUTS_MAX * view->features_count, sizeof *compiler.lane_texts);
    compiler.filter_texts = mem_zero (view->features_count, sizeof *compiler.filter_texts);
    if (view->where != NULL)
        plan->where = compile (&compiler.scope.scope, view->where);
    add_features (&compiler);
    add_derived (plan, view);
    lay_out (plan);
    find_columns_used (plan);
    plan->hash = plan_hash (plan);
    mem_free (compiler.lane_texts);
    mem_free (compiler.filter_texts);
    return plan;
}

plan_t *plan_new_over (const view_t *view, size_t source)
{
    CHECK (view->features_count > 0);
    CHECK (view->features_count <= FEATURES_MAX);
    view_t over = view_over (view, source);
    return compile_view (&over);
}

plan_t *plan_new (const view_t *view)
{
    return plan_new_over (view, 0);
}

void plan_destroy (plan_t **self_p)
{
    plan_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    expr_destroy (&self->where);
    for (size_t i = 0; i < self->lanes_count; i++)
        expr_destroy (&self->lanes[i]);
    for (size_t i = 0; i < self->filters_count; i++)
        expr_destroy (&self->filters[i]);
    for (size_t i = 0; i < self->features_count; i++)
        expr_destroy (&self->features[i].derived);
    arena_t *arena = self->arena; /* holds the plan itself */
    arena_destroy (&arena);
}

int plan_feature_index (const plan_t *self, text_t name)
{
    for (size_t i = 0; i < self->features_count; i++) {
        if (text_is (name, self->features[i].name))
            return (int)i;
    }
    return -1;
}

const char *plan_nearest_feature (const plan_t *self, text_t name)
{
    CHECK (self->features_count <= FEATURES_MAX); /* that of a view */
    if (name.size > NAME_MAX_SIZE)
        return NULL;
    char word[NAME_MAX_SIZE + 1] = { 0 };
    if (name.size > 0)
        memcpy (word, name.data, name.size);
    const char *candidates[FEATURES_MAX];
    for (size_t i = 0; i < self->features_count; i++)
        candidates[i] = self->features[i].name;
    return text_nearest (word, candidates, self->features_count);
}
