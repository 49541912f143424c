#include "feature/fit.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "feature/fit_numbers.h"

#include <math.h>

enum { FIT_CHUNK = 1 << 16 };

/* Where a column stands with the values that it holds. */
typedef enum held_state {
    HELD_NOT,   /* none are wanted */
    HELD_NOW,   /* in this pass */
    HELD_LATER, /* there was no room: in another one */
    HELD_DONE,
} held_state_t;

typedef struct categories {
    value_t *list; /* ascending, each once; strings in the arena */
    size_t count;
    uint64_t nulls;
    uint64_t values;
} categories_t;

typedef struct fit_column {
    uint32_t feature; /* of the service */
    bool is_encoded;
    fit_numbers_t numbers;
    held_state_t state;
    categories_t categories;
} fit_column_t;

struct fit {
    const service_t *service;
    size_t memory;
    size_t held; /* bytes, of all columns */
    bool first;  /* the first pass */
    fit_column_t *columns;
    size_t columns_count;
    arena_t *arena; /* of categories */
};

fit_t *fit_new (const service_t *service, size_t memory)
{
    fit_t *self = mem_zero (1, sizeof *self);
    self->service = service;
    self->memory = memory;
    self->first = true;
    self->arena = arena_new (FIT_CHUNK);
    self->columns = mem_zero (service->features_count, sizeof *self->columns);
    for (uint32_t i = 0; i < service->features_count; i++) {
        const preprocess_t *steps = &service->features[i].preprocess;
        if (!preprocess_is_fitted_kind (steps))
            continue;
        fit_column_t *column = &self->columns[self->columns_count++];
        column->feature = i;
        column->is_encoded = steps->encode != ENCODE_NONE;
        fit_numbers_init (&column->numbers, steps);
        column->state = fit_numbers_holds (&column->numbers) ? HELD_NOW : HELD_NOT;
    }
    return self;
}

void fit_destroy (fit_t **self_p)
{
    fit_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    for (size_t i = 0; i < self->columns_count; i++) {
        fit_numbers_release (&self->columns[i].numbers);
        mem_free (self->columns[i].categories.list);
    }
    arena_destroy (&self->arena);
    mem_free (self->columns);
    mem_free (self);
}

size_t fit_columns (const fit_t *self)
{
    return self->columns_count;
}

const service_feature_t *fit_column (const fit_t *self, size_t column)
{
    CHECK (column < self->columns_count);
    return &self->service->features[self->columns[column].feature];
}

bool fit_wants (const fit_t *self, size_t column)
{
    CHECK (column < self->columns_count);
    return self->first || self->columns[column].state == HELD_NOW;
}

void fit_counts (const fit_t *self, size_t column, uint64_t *nulls, uint64_t *values)
{
    CHECK (column < self->columns_count);
    const fit_column_t *of = &self->columns[column];
    *nulls = of->is_encoded ? of->categories.nulls : of->numbers.nulls;
    *values = of->is_encoded ? of->categories.values : of->numbers.count;
}

/* ---- categories ---- */

static status_t add_category (fit_t *self, categories_t *categories, const value_t *value,
                              error_t *error)
{
    size_t from = 0, to = categories->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = value_compare (&categories->list[middle], value);
        if (order == 0)
            return STATUS_OK;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    const char *refusal = value->type == TYPE_STRING ? category_refusal (value->s) : NULL;
    if (refusal != NULL)
        return error_set (error, STATUS_INVALID, "%s", refusal);
    if (categories->count > FIT_COUNTED_MAX)
        return STATUS_OK; /* too many, as will be said */
    if (categories->list == NULL)
        categories->list = mem_zero (FIT_COUNTED_MAX + 1, sizeof *categories->list);
    value_t *at = &categories->list[from];
    memmove (at + 1, at, (categories->count - from) * sizeof *at);
    *at = category_copy (value, self->arena);
    categories->count++;
    return STATUS_OK;
}

static status_t add_encoded (fit_t *self, fit_column_t *column, const value_t *value,
                             error_t *error)
{
    const value_t *imputed = &column->numbers.steps.imputed;
    column->categories.nulls += value->null;
    column->categories.values += !value->null;
    if (!value->null)
        return add_category (self, &column->categories, value, error);
    if (imputed->type == TYPE_NONE)
        return STATUS_OK;
    return add_category (self, &column->categories, imputed, error);
}

/* ---- numbers ---- */

static double number_of (const value_t *value)
{
    if (type_is_decimal (value->type))
        return decimal_to_float (value->d, type_scale (value->type));
    return value->type == TYPE_INT64 ? (double)value->i : value->f;
}

/* Makes room for one more value that the column holds: the last columns wait for another pass.
 * False when this one does. */
static status_t make_room (fit_t *self, fit_column_t *column, bool *there, error_t *error)
{
    size_t before = column->numbers.held_capacity * sizeof (double);
    size_t after = fit_numbers_memory (&column->numbers);
    *there = true;
    while (self->held - before + after > self->memory) {
        fit_column_t *last = &self->columns[self->columns_count - 1];
        while (last > column && last->numbers.held_capacity == 0)
            last--;
        if (last == column && self->held == before)
            return error_set (error, STATUS_TOO_LARGE,
                              "its quartiles need more than %zu MiB; allow more, as in --memory "
                              "4096",
                              self->memory >> 20);
        self->held -= last->numbers.held_capacity * sizeof (double);
        fit_numbers_drop (&last->numbers);
        last->state = HELD_LATER;
        *there = last != column;
        if (!*there)
            return STATUS_OK;
    }
    self->held += after - before;
    return STATUS_OK;
}

static status_t add_number (fit_t *self, fit_column_t *column, const value_t *value, error_t *error)
{
    double number = value->null ? 0 : number_of (value);
    bool there = false;
    if (!isfinite (number))
        return error_set (error, STATUS_INVALID,
                          "%s: numbers are fitted to finite values alone; leave such rows out",
                          isnan (number) ? "NaN" : "an infinity");
    if (self->first)
        fit_numbers_add (&column->numbers, value->null ? NULL : &number);
    if (column->state != HELD_NOW || value->null)
        return STATUS_OK;
    status_t status = make_room (self, column, &there, error);
    if (status == STATUS_OK && there)
        fit_numbers_hold (&column->numbers, number);
    return status;
}

status_t fit_add (fit_t *self, size_t column, const value_t *value, error_t *error)
{
    CHECK (column < self->columns_count);
    fit_column_t *to = &self->columns[column];
    CHECK (value->type == fit_column (self, column)->type.type);
    return to->is_encoded ? add_encoded (self, to, value, error)
                          : add_number (self, to, value, error);
}

/* ---- the end of a pass ---- */

static status_t check_categories (const fit_t *self, const fit_column_t *column, error_t *error)
{
    size_t count = column->categories.count;
    if (count <= CATEGORIES_MAX)
        return STATUS_OK;
    bool more = count > FIT_COUNTED_MAX;
    return error_set (
        error, STATUS_TOO_LARGE,
        "%s: %s%zu different values, and at most %d can be encoded; leave the feature "
        "out, or derive one with fewer from it",
        self->service->features[column->feature].name, more ? "more than " : "",
        more ? (size_t)FIT_COUNTED_MAX : count, CATEGORIES_MAX);
}

static status_t finish_column (fit_t *self, fit_column_t *column, error_t *error)
{
    const char *name = self->service->features[column->feature].name;
    uint64_t nulls, values;
    fit_counts (self, (size_t)(column - self->columns), &nulls, &values);
    if (values == 0)
        return error_set (error, STATUS_INVALID,
                          "%s: null in all %llu rows; nothing can be fitted "
                          "to that",
                          name, (unsigned long long)nulls);
    if (column->is_encoded)
        return check_categories (self, column, error);
    status_t status = fit_numbers_finish (&column->numbers, error);
    return status == STATUS_OK ? STATUS_OK : error_prefix (error, "%s", name);
}

status_t fit_end_pass (fit_t *self, bool *again, error_t *error)
{
    status_t status = STATUS_OK;
    *again = false;
    for (size_t i = 0; i < self->columns_count && status == STATUS_OK; i++) {
        fit_column_t *column = &self->columns[i];
        if (column->state == HELD_NOW || (column->state == HELD_NOT && self->first))
            status = finish_column (self, column, error);
        self->held -= column->numbers.held_capacity * sizeof (double);
        fit_numbers_drop (&column->numbers);
        if (column->state == HELD_NOW)
            column->state = HELD_DONE;
        if (column->state == HELD_LATER) {
            column->state = HELD_NOW;
            *again = true;
        }
    }
    self->first = false;
    return status;
}

status_t fit_set (const fit_t *self, service_t *service, arena_t *arena, error_t *error)
{
    CHECK (service->features_count == self->service->features_count);
    for (size_t i = 0; i < self->columns_count; i++) {
        const fit_column_t *column = &self->columns[i];
        preprocess_t *steps = &service->features[column->feature].preprocess;
        preprocess_t fitted = column->numbers.steps;
        CHECK (column->state != HELD_NOW && column->state != HELD_LATER);
        if (column->is_encoded) {
            fitted.categories = column->categories.list;
            fitted.categories_count = column->categories.count;
        }
        preprocess_forget (steps);
        preprocess_take (steps, &fitted, arena);
    }
    return service_set_outputs (service, arena, error);
}
