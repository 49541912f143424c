/* naive.h - random trees of the language, and a second evaluation of them that shares no code with
 * the library: it walks a tree of its own making row by row and is written for being plainly right.
 */
#ifndef WEIR_TESTS_EXPR_NAIVE_H
#define WEIR_TESTS_EXPR_NAIVE_H

#include "base/random.h"
#include "fixture.h"

enum { TREE_CHILDREN_MAX = 7 };

typedef struct tree {
    const char *op; /* "lit", "field", "neg", "not", "case", "cast", an operator, or a function */
    type_t type;    /* TYPE_NONE: the null literal */
    size_t count;
    struct tree *child[TREE_CHILDREN_MAX];
    value_t literal;
    field_t field;
    bool call;    /* op is a function's name */
    bool operand; /* of a case: child[0] is compared with the others */
} tree_t;

/* ---- grow.c ---- */

value_t random_value (random_t *random, type_t type);
type_t random_type (random_t *random);
tree_t *grow (random_t *random, arena_t *arena, type_t type, int height);
/* With all parentheses there can be: what the library leaves out of them is tested by parsing the
 * canonical text. */
void write_tree (buf_t *out, const tree_t *tree);

/* ---- naive.c ---- */

value_t naive (const tree_t *tree, const column_t *columns, size_t row, arena_t *arena);

/* ---- naive_calls.c: a function of arguments none of which is null ---- */

value_t naive_call (const tree_t *tree, const value_t *args, arena_t *arena);
value_t naive_like (text_t text, text_t pattern);

/* ---- naive_casts.c ---- */

value_t naive_cast (type_t to, value_t from, arena_t *arena);

/* ---- shared ---- */

extern const value_t null_value;
value_t bool_of (bool value);
value_t float_of (double value);
value_t int_of (__int128 value);
/* What was written, which is released. */
value_t string_of (buf_t *buf, arena_t *arena);
double number_of (value_t value);
int naive_order (value_t a, value_t b);

static inline bool is_op (const tree_t *tree, const char *op)
{
    return strcmp (tree->op, op) == 0;
}

#endif
