/* service_scope.h - what the names in a service's derived features mean: features of its roles
 * ("sender.spent_7d"), derived ones, fields of its key, values of its request, and `now`. */
#ifndef WEIR_FEATURE_SERVICE_SCOPE_H
#define WEIR_FEATURE_SERVICE_SCOPE_H

#include "feature/view_scope.h"

enum { SERVICE_NAMES_MAX = FEATURES_MAX + SERVICE_KEYS_MAX + REQUEST_FIELDS_MAX + 1 };

/* Columns are numbered so: the service's inputs, then `plain` of them where there are more places
 * for these; derived ones and whatever features a plan has after them; keys, request's, now. */
typedef struct service_scope {
    const service_t *service;
    service_t
        *adding;     /* the same, when inputs that are named first are added; NULL: all are there */
    arena_t *arena;  /* where inputs that are named first are added; NULL: all are there */
    size_t inputs;   /* places for inputs */
    size_t features; /* places for inputs, derived ones and others */
    const char *names[SERVICE_NAMES_MAX]; /* but for those of inputs */
    expr_scope_t scope;                   /* points into this structure: do not copy */
    const bool *mistaken;                 /* per derived one; NULL: none is */
    scope_note_t *note;                   /* the caller's */
} service_scope_t;

/* For reading a service: what its expressions read is added to its inputs, in `arena`, which have
 * room for SERVICE_INPUTS_MAX. Borrows all. */
void service_scope_init_reading (service_scope_t *self, service_t *service, arena_t *arena,
                                 const bool *mistaken, scope_note_t *note);
/* For a service that has been read, as a plan with so many features numbers it. */
void service_scope_init (service_scope_t *self, const service_t *service, size_t features,
                         scope_note_t *note);

/* The index of the input that is this feature of the role, added when it is new; -1 when there are
 * too many. */
int service_input (service_t *service, uint32_t role, uint32_t feature, arena_t *arena);

#endif
