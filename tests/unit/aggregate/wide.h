/* wide.h - rows of up to three values, for states that take a key or keep nulls. */
#ifndef WEIR_TESTS_AGGREGATE_WIDE_H
#define WEIR_TESTS_AGGREGATE_WIDE_H

#include "rows.h"

typedef struct wide {
    value_t value[STATE_INPUTS_MAX]; /* of the types that the spec asks for */
    row_place_t place;
} wide_t;

/* How the rows of a set are drawn. */
typedef struct wide_profile {
    profile_t values;
    size_t keys;  /* distinct keys at most */
    double nulls; /* how likely each value is null */
} wide_profile_t;

/* `count` rows for `spec` in `arena`, with places that differ. */
wide_t *wide_random (random_t *random, arena_t *arena, state_spec_t spec,
                     const wide_profile_t *profile, size_t count);
void wide_shuffle (random_t *random, wide_t *rows, size_t count);

/* Adds the rows that count: those with a null only when the spec takes them. */
void wide_add (state_spec_t spec, void *acc, const wide_t *rows, size_t count);

/* The rows cut into parts, each added up by itself, and the parts merged two by two in random
 * order, each time through accumulators or through partials. */
void *wide_tree (state_spec_t spec, random_t *random, const wide_t *rows, size_t count);

/* Holds a state of these rows to all that is promised of states: one partial whatever the order and
 * grouping, also after a reset, and of rows added as columns. The answers too must be one, which is
 * left in *status and *value. Returns an accumulator that the value may borrow from. */
void *wide_check (state_spec_t spec, aggregate_t aggregate, const final_context_t *context,
                  random_t *random, wide_t *rows, size_t count, const char *what, status_t *status,
                  value_t *value);

/* Gives the bytes to a fresh accumulator. If they are taken, they must come out as they went in,
 * and everything else that one can do with the state must end. Were they? */
bool wide_take_bytes (state_spec_t spec, const uint8_t *data, size_t size);

/* Gives damaged copies of the partial to wide_take_bytes. */
void wide_damage (state_spec_t spec, random_t *random, text_t partial, unsigned rounds);

/* Values in the order of value_compare, plainly. */
bool wide_is_less (const value_t *a, const value_t *b);

#endif
