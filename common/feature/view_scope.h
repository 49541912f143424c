/* view_scope.h - what the names in a derived feature's expression mean: the view's features, its
 * derived ones, what a request brings along, and `now`. */
#ifndef WEIR_FEATURE_VIEW_SCOPE_H
#define WEIR_FEATURE_VIEW_SCOPE_H

#include "expr/expr.h"
#include "feature/definition.h"

enum { VIEW_NAMES_MAX = FEATURES_MAX + REQUEST_FIELDS_MAX + 1 };

/* The name that a parse met last and could not use, and why. */
typedef struct scope_note {
    char name[2 * NAME_MAX_SIZE + 2]; /* or its beginning; dotted in a service */
    type_t collection;                /* it is a LIST or MAP */
    bool is_mistaken;                 /* it is a derived feature that has a mistake itself */
    bool is_over;                     /* it would be one feature too many that is read */
} scope_note_t;

/* Columns are numbered so: features, derived ones, request's, now. */
typedef struct view_scope {
    const view_t *view;
    const char *names[VIEW_NAMES_MAX];
    expr_scope_t scope;   /* points into this structure: do not copy */
    const bool *mistaken; /* per derived one; NULL: none is */
    scope_note_t *note;   /* the caller's */
} view_scope_t;

/* Fills the note; returns TYPE_NONE, at which a parse ends. */
type_t scope_note_refuse (scope_note_t *note, text_t name);

/* Borrows the view, the note and `mistaken`. */
void view_scope_init (view_scope_t *self, const view_t *view, const bool *mistaken,
                      scope_note_t *note);

#endif
