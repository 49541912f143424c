/* plan.h - a view compiled: the one plan that every layer runs.
 *
 *   batch of events --plan_project--> projection --fold--> slots (one state per distinct aggregate)
 *
 * A *lane* is a distinct input expression, a *filter* a distinct `where` of a feature, a *slot* a
 * distinct (state, lanes, filter, delay), a *cell* a distinct (slot, window), a *feature* a cell
 * and the aggregate that finalises it. sum(x) and mean(x) over the same window share one cell.
 * *Derived* features are computed from others when they are answered (outcome.h).
 *
 * Plans are immutable and may be used by several threads. */
#ifndef WEIR_FEATURE_PLAN_H
#define WEIR_FEATURE_PLAN_H

#include "aggregate/aggregate.h"
#include "expr/expr.h"
#include "feature/definition.h"

typedef struct plan_slot {
    state_spec_t spec;
    uint32_t lane[STATE_INPUTS_MAX]; /* one per input of the state */
    uint32_t inputs;
    int32_t filter; /* -1: none */
    int64_t delay;  /* µs that its windows end before as-of */
    uint64_t hash;  /* of what it means, view's meaning included: names its state in files */
    size_t place;   /* byte offset of its accumulator in a set of slots (16-aligned) */
} plan_slot_t;

typedef struct plan_cell {
    uint32_t slot;
    int64_t window; /* µs or WINDOW_LIFETIME */
    size_t place;   /* byte offset of its accumulator in an answer (16-aligned) */
} plan_cell_t;

typedef struct plan_feature {
    const char *name;
    aggregate_t aggregate; /* NONE: it is derived, or an input of a service */
    uint32_t cell;         /* of one that is not derived */
    result_type_t type;    /* of the value */
    const char *type_text; /* as result_type_format */
    value_t parameter;     /* of the aggregate; of type NONE when it takes none */
    value_t default_value; /* what stands for null; of type NONE: null does */
    expr_t *derived;       /* over columns that are numbered so: features, request's, now; NULL: it
                              is not derived */
    uint32_t *reads;       /* the columns that it reads */
    size_t reads_count;
    bool of_events; /* of a view: some event may count in it, or in what it is derived from */
    const encoding_t *encoding; /* what `derived` gives is answered as; NULL: as it is */
    const char *refusal;        /* why it cannot be answered, whatever it is; NULL: it can */
} plan_feature_t;

typedef struct plan {
    const char *view;
    uint32_t version;
    const char *log_name;
    uint64_t hash;        /* of all slots and cells in order: two nodes with equal hashes exchange
                             partials cell by cell */
    int64_t horizon;      /* µs */
    int64_t ttl;          /* µs, 0: none. It is no part of any state: answers are asked for it */
    type_t *column_types; /* the stream's columns */
    uint16_t *column_ids; /* the numbers of their fields */
    size_t columns;
    uint64_t columns_used[(FIELDS_MAX + 63) / 64]; /* bit per column that any expression reads */
    expr_t *where;                                 /* NULL: all rows */
    expr_t **lanes;
    size_t lanes_count;
    expr_t **filters;
    size_t filters_count;
    plan_slot_t *slots;
    size_t slots_count;
    size_t slots_size;  /* bytes of a set of slot accumulators */
    plan_cell_t *cells; /* by slot, then window ascending */
    size_t cells_count;
    size_t cells_size;   /* bytes of an answer's accumulators */
    bool cells_may_grow; /* some of them can hold much beside these */
    int64_t *windows;    /* distinct, ascending, WINDOW_LIFETIME last if used */
    size_t windows_count;
    plan_feature_t *features; /* in the view's order, then the derived ones in theirs */
    size_t features_count;
    uint32_t *derived; /* indexes of the derived ones, each after those that it needs */
    size_t derived_count;
    type_t *request_types; /* of the values that a request brings along */
    size_t request_count;
    bool keyed;     /* false: the view is global, and the empty key is its entity */
    arena_t *arena; /* owns it all */
} plan_t;

/* Compiles a checked view over one of its sources; cannot fail. The plans over the sources of one
 * view have the same slots, cells and features in the same places, so that an answer of one can be
 * merged into one of another; their hashes differ, because their events do. */
plan_t *plan_new_over (const view_t *view, size_t source);
/* Over the first source, which mostly is the only one. */
plan_t *plan_new (const view_t *view);
void plan_destroy (plan_t **self_p);

/* For who makes a plan, which has room in `features`: one more of them, with a name and a type
 * text of its own … (a NULL default is none) */
plan_feature_t *plan_add_feature (plan_t *self, const char *name, const result_type_t *type,
                                  const value_t *default_value);
/* … and one that is computed by `expr`, which the plan takes. */
void plan_add_derived (plan_t *self, const char *name, const result_type_t *type,
                       const value_t *default_value, expr_t *expr);

/* Its values become those of another type (`encoding`, `refusal`). */
void plan_set_type (plan_t *self, plan_feature_t *feature, result_type_t type);

/* Index of a feature, or -1; and the likeliest intended name, or NULL. */
int plan_feature_index (const plan_t *self, text_t name);
const char *plan_nearest_feature (const plan_t *self, text_t name);

/* The rows of a batch that belong to the view, as the plan sees them. */
typedef struct projection {
    size_t rows;
    column_t *lane;   /* lanes_count columns of `rows` */
    uint8_t **filter; /* filters_count arrays: 1 where the filter is true */
    int64_t *time;
    int64_t *ingest; /* NULL where the batch's are */
    uint64_t *offset;
    uint32_t *row;
    text_t *key;
    const uint32_t *key_start; /* as those of a batch */
    size_t keys;
} projection_t;

/* Does any slot's state depend on offsets and numbers of rows? */
bool plan_reads_positions (const plan_t *self);

/* Evaluates where, lanes and filters a column at a time. Columns of the batch that columns_used
 * does not name are not touched; offset and row are NULL where the batch's are. The result lives in
 * `arena` and borrows strings and arrays from the batch, which must outlive it. */
projection_t plan_project (const plan_t *self, const batch_t *batch, arena_t *arena);

/* Does row `row` count for the slot (filter true, no input null unless the state takes nulls)? */
bool plan_row_counts (const plan_t *self, uint32_t slot, const projection_t *rows, size_t row);

/* Adds one row to the slot's accumulator if it counts. */
void plan_fold_slot (const plan_t *self, uint32_t slot, void *acc, const projection_t *rows,
                     size_t row);

/* A set of slot accumulators at `slots` (slots_size bytes, 16-aligned). */
void plan_slots_init (const plan_t *self, void *slots);
void plan_slots_release (const plan_t *self, void *slots);
void plan_slots_reset (const plan_t *self, void *slots);
/* Adds one row to every slot. */
void plan_fold (const plan_t *self, void *slots, const projection_t *rows, size_t row);

#endif
