/* trainset.h - what a training set is of: a view's or a service's features, the columns that rows
 * have to have, and which of them is what of each view.
 *
 *   spine --trainset_stream--> typed rows --spine_writer--> runs, a view and partition each
 *   runs of results --result_reader--> rows in their order, with all features
 */
#ifndef WEIR_TRAINSET_TRAINSET_H
#define WEIR_TRAINSET_TRAINSET_H

#include "feature/outcome.h"
#include "feature/service_plan.h"

enum { TRAINSET_NONE = -1 };

typedef struct trainset_options {
    const char *name;            /* of a view or service; "user_spend@v2" */
    const char *time;            /* the column of the rows' times; NULL: there are no rows */
    const char *known;           /* that of their known-at times; NULL: all is known */
    bool before;                 /* of a view; a service says so itself */
    bool raw;                    /* of a service: without its preprocessing */
    const char *const *features; /* of a view, those that are wanted; NULL: all */
    size_t features_count;
} trainset_options_t;

/* A view under one key of the rows. */
typedef struct trainset_role {
    const view_t *view;
    plan_t *plan;
    const uint32_t *key;        /* fields of the rows that are its key */
    const uint32_t *request;    /* fields of the rows that are values of its request … */
    const char **request_names; /* … as the view calls them */
    size_t request_count;
    uint32_t *features; /* of the view, that are asked for */
    size_t features_count;
    uint32_t *inputs; /* where they go among a service's inputs */
} trainset_role_t;

typedef struct trainset_output {
    const char *name;
    const char *type; /* "list<int64>" */
    type_t of;
    bool is_given; /* a value of the request, as it is */
} trainset_output_t;

typedef struct trainset {
    arena_t *arena;
    const view_t *view;       /* either … */
    const service_t *service; /* … or */
    service_plan_t *plan;     /* the service's */
    outcome_task_t *task;
    bool before;
    bool is_preprocessed; /* some output is */
    stream_t stream;      /* what rows are: fields of the key, values of the request, times */
    size_t keys_count;    /* the first fields are the key's */
    size_t request_count; /* then those of the request */
    int32_t known;        /* the field of known-at times, or TRAINSET_NONE */
    trainset_role_t *roles;
    size_t roles_count;
    trainset_output_t *outputs;
    size_t outputs_count;
} trainset_t;

/* Borrows the definitions. NOT_FOUND, INVALID with what is wrong and what to do. */
MUST_CHECK status_t trainset_new (const definitions_t *definitions,
                                  const trainset_options_t *options, trainset_t **set,
                                  error_t *error);
void trainset_destroy (trainset_t **self_p);

/* Its place among the outputs, or -1. */
int trainset_output (const trainset_t *self, text_t name);

#endif
