/* build.h - makes typed nodes, the last operand on a stack first (private).
 *
 * The parser calls these in the order in which a stack machine would run the expression. Each call
 * takes its operands from the stack and leaves one node there. On a type error `*at` of the builder
 * is where to point. */
#ifndef WEIR_EXPR_BUILD_H
#define WEIR_EXPR_BUILD_H

#include "expr/tree.h"

typedef struct builder {
    arena_t *arena; /* the expression's */
    node_t nodes[EXPR_NODES_MAX];
    uint16_t args[EXPR_NODES_MAX];
    uint16_t stack[EXPR_NODES_MAX];
    uint16_t nodes_count;
    uint16_t args_count;
    uint16_t stack_count;
    uint16_t zones_count;
    zone_t *zones[EXPR_ZONES_MAX];
    char *zone_names[EXPR_ZONES_MAX]; /* in the arena */
    size_t at;
    error_t *error;
} builder_t;

/* A string in `value` is copied. */
MUST_CHECK status_t build_literal (builder_t *self, const value_t *value, size_t at);
/* A number with a point or an exponent: a float64, or a decimal where it meets one. `written` is
 * copied. */
MUST_CHECK status_t build_float (builder_t *self, double value, text_t written, size_t at);
/* `name` is copied. */
MUST_CHECK status_t build_field (builder_t *self, text_t name, type_t type, uint32_t column,
                                 size_t at);
/* `start` is the minus sign. A minus before a number makes a negative number. */
MUST_CHECK status_t build_negate (builder_t *self, size_t start);
MUST_CHECK status_t build_not (builder_t *self, size_t at);
MUST_CHECK status_t build_binary (builder_t *self, binary_t binary, size_t at);
MUST_CHECK status_t build_is_null (builder_t *self, size_t at);
/* `count` elements lie above the operand that is looked for. */
MUST_CHECK status_t build_in (builder_t *self, size_t count, size_t at);
/* Below it lie x, low and high. */
MUST_CHECK status_t build_between (builder_t *self, size_t at);
/* Below it lie, in this order, an operand if there is one, `arms` times a condition (or a value to
 * compare the operand with) and a result, and the result of `else` if there is one. */
MUST_CHECK status_t build_case (builder_t *self, bool operand, size_t arms, bool has_else,
                                size_t at);
MUST_CHECK status_t build_cast (builder_t *self, type_t type, unsigned precision, size_t at);
MUST_CHECK status_t build_call (builder_t *self, const function_t *function, size_t count,
                                size_t at);

/* ---- what the above are made of ---- */

/* "null" for TYPE_NONE. */
const char *build_type_name (type_t type);
bool build_is_number (type_t type);
/* The type that both have, for two numbers the one that holds both; false when there is none. */
bool build_agree (type_t *common, type_t type);
/* May the two types be compared? Fills the error, at `at`, when not. */
MUST_CHECK status_t build_comparable (builder_t *self, const char *what, type_t left, type_t right,
                                      size_t at);
/* The operand `depth` places below the top of the stack. */
node_t *build_operand (builder_t *self, size_t depth);
/* Makes a strict node of the top `count` operands, which it takes. The caller fills in what is
 * special to its kind. TOO_LARGE when there are too many. */
MUST_CHECK status_t build_node (builder_t *self, node_kind_t kind, type_t type, size_t count,
                                size_t at, node_t **node_p);
/* Puts a NODE_WIDEN on the operand `depth` places down when it is a number of another type. */
MUST_CHECK status_t build_widen (builder_t *self, size_t depth, type_t type);
/* Makes the operand `depth` places down a decimal, if it is a literal float64 that can be one. */
void build_decimal_literal (builder_t *self, size_t depth);

#endif
