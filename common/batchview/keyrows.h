/* keyrows.h - a bounded run of one key's projected rows, copied so that they outlive a call. */
#ifndef WEIR_BATCHVIEW_KEYROWS_H
#define WEIR_BATCHVIEW_KEYROWS_H

#include "feature/plan.h"

enum { KEYROWS_MAX = 1024 };

typedef struct keyrows {
    projection_t rows; /* rows.rows of KEYROWS_MAX; `key` is NULL */
    const plan_t *plan;
    arena_t *arena;   /* the columns */
    arena_t *strings; /* the bytes of string inputs */
} keyrows_t;

void keyrows_init (keyrows_t *self, const plan_t *plan);
void keyrows_release (keyrows_t *self);
void keyrows_clear (keyrows_t *self);

/* Appends rows from [from, to), as many as there is room for; returns how many. */
size_t keyrows_append (keyrows_t *self, const projection_t *rows, size_t from, size_t to);

#endif
