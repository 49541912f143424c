/* tree.h - a typed expression as the files of this library see it (private).
 *
 * The nodes are in an array in which children come before their parents, so that evaluating is one
 * walk over the array and needs no recursion. */
#ifndef WEIR_EXPR_TREE_H
#define WEIR_EXPR_TREE_H

#include "base/zone.h"
#include "expr/expr.h"
#include "expr/functions.h"

typedef enum precedence {
    PRECEDENCE_LOWEST = 1,
    PRECEDENCE_OR = PRECEDENCE_LOWEST,
    PRECEDENCE_AND,
    PRECEDENCE_NOT,
    PRECEDENCE_COMPARE, /* with `is` and `in`; does not chain */
    PRECEDENCE_ADD,
    PRECEDENCE_MULTIPLY,
    PRECEDENCE_NEGATE,
    PRECEDENCE_PRIMARY,
} precedence_t;

/* Binary operators: name, canonical spelling, precedence. */
#define BINARY_TABLE(X)                                                                            \
    X (OR, "or", PRECEDENCE_OR)                                                                    \
    X (AND, "and", PRECEDENCE_AND)                                                                 \
    X (EQUAL, "=", PRECEDENCE_COMPARE)                                                             \
    X (UNEQUAL, "<>", PRECEDENCE_COMPARE)                                                          \
    X (LESS, "<", PRECEDENCE_COMPARE)                                                              \
    X (LESS_EQUAL, "<=", PRECEDENCE_COMPARE)                                                       \
    X (GREATER, ">", PRECEDENCE_COMPARE)                                                           \
    X (GREATER_EQUAL, ">=", PRECEDENCE_COMPARE)                                                    \
    X (DISTINCT, "is distinct from", PRECEDENCE_COMPARE)                                           \
    X (LIKE, "like", PRECEDENCE_COMPARE)                                                           \
    X (ADD, "+", PRECEDENCE_ADD)                                                                   \
    X (SUBTRACT, "-", PRECEDENCE_ADD)                                                              \
    X (CONCAT, "||", PRECEDENCE_ADD)                                                               \
    X (MULTIPLY, "*", PRECEDENCE_MULTIPLY)                                                         \
    X (DIVIDE, "/", PRECEDENCE_MULTIPLY)                                                           \
    X (REMAINDER, "%", PRECEDENCE_MULTIPLY)

typedef enum binary {
#define X(name, text, precedence) BINARY_##name,
    BINARY_TABLE (X)
#undef X
        BINARY_COUNT
} binary_t;

extern const char *const binary_text[BINARY_COUNT];
extern const precedence_t binary_precedence[BINARY_COUNT];

typedef enum node_kind {
    NODE_LITERAL,
    NODE_FIELD,
    NODE_WIDEN, /* a number to a wider type, put in by typing; has no text of its own */
    NODE_NEGATE,
    NODE_NOT,
    NODE_BINARY,
    NODE_IS_NULL,
    NODE_IN, /* `is not null`, `not in` … are these under a NODE_NOT */
    NODE_BETWEEN,
    NODE_CASE, /* [operand] { condition or value, result } [else]: an odd one out is the else */
    NODE_CAST, /* to its own type */
    NODE_CALL,
} node_kind_t;

typedef enum unit {
#define X(name, word) UNIT_OF_##name,
    UNIT_TABLE (X)
#undef X
        UNIT_OF_COUNT
} unit_t;

/* Values of one node: `step` is 1, or 0 where a single cell stands for every row. A column of
 * TYPE_NONE (nothing but nulls) has cells of zero in `i`. */
typedef struct vector {
    column_t column;
    size_t step;
} vector_t;

typedef struct node node_t;

typedef struct call {
    const node_t *node;
    const vector_t *const *args;
    size_t count;
    size_t rows;
    arena_t *arena;    /* for the strings that a kernel makes */
    column_t *scratch; /* a bool column for the nodes that are not strict */
} call_t;

/* Fills rows [0, call->rows) of `out`: valid bits and values, 0 or the empty text for a null. For a
 * strict node the valid bits are there already, those of all arguments and-ed. */
typedef void kernel_t (const call_t *call, column_t *out);

typedef struct function {
    const char *name;
    const char *arguments; /* "s, from[, n]" */
    const char *signature; /* see functions.h */
    bool strict;
    kernel_t *kernel;
} function_t;

struct node {
    node_kind_t kind;
    binary_t binary; /* of a NODE_BINARY */
    type_t type;
    bool constant;     /* no field below it */
    bool strict;       /* null when an argument is */
    uint8_t precision; /* of a NODE_CAST to a decimal: how many digits it may have */
    bool operand;      /* of a NODE_CASE: it begins with what all arms are compared with */
    uint16_t first;    /* its arguments are expr->args[first, first + count) */
    uint16_t count;
    uint32_t at;    /* where errors about it point: the operator, or the first byte */
    uint32_t start; /* first byte */
    kernel_t *kernel;
    union {
        struct {
            value_t literal;
            text_t written; /* of a float64: it may turn out to be a decimal */
        };
        struct {
            uint32_t column;
            text_t name;
        } field;
        struct {
            const function_t *function;
            const zone_t *zone; /* NULL is UTC */
            unit_t unit;
        } call;
    };
};

enum { EXPR_ZONES_MAX = 16 }; /* different ones in one expression */

struct expr {
    uint32_t magic;
    arena_t *arena;      /* holds nodes, args, names, strings and constants */
    node_t *nodes;       /* the last one is the root */
    uint16_t *args;      /* node numbers */
    vector_t *constants; /* of each node that is constant its value, in one cell */
    uint16_t nodes_count;
    uint16_t zones_count;
    zone_t *zones[EXPR_ZONES_MAX];
};

#define EXPR_MAGIC 0x45585052u

/* ---- eval.c ---- */

/* Evaluates what is constant, once and for all. */
void eval_constants (expr_t *self);

/* ---- functions.c ---- */

/* The function of that name or alias in any case, or NULL. */
const function_t *function_find (text_t name);

/* What to write in place of a name that is no function's, or NULL. */
const char *function_hint (text_t name);

/* All names, for "did you mean". */
const char *const *function_names (size_t *count);

/* ---- cast.c ---- */

/* The kernel of a cast, or NULL and in *hint what to write instead ("" when nothing is near). */
kernel_t *cast_find (type_t from, type_t to, const char **hint);

/* ---- kernels ---- */

kernel_t eval_add_int, eval_subtract_int, eval_multiply_int, eval_remainder_int, eval_divide_int;
kernel_t eval_add_float, eval_subtract_float, eval_multiply_float, eval_divide_float,
    eval_remainder_float;
kernel_t eval_negate_int, eval_negate_float, eval_widen;
kernel_t eval_compare, eval_distinct, eval_is_null, eval_in, eval_between, eval_and, eval_or,
    eval_not;
kernel_t eval_case, eval_like;

#define X(name, arguments, signature, nulls) kernel_t call_##name;
FUNCTION_TABLE (X)
#undef X

/* Which outcomes of a comparison make it true: bit 0 less, bit 1 equal, bit 2 greater. */
enum { LESS = 1, EQUAL = 2, GREATER = 4 };

/* Compares two vectors (of one type, or two numbers) row by row; null with a null. */
void compare_vectors (const vector_t *a, const vector_t *b, unsigned outcomes, size_t rows,
                      column_t *out);

/* The order of two values of one type, or of two numbers, by exact value; neither is null. */
int compare_values (const value_t *a, const value_t *b);

/* a < b, a = b, a > b as -1, 0, 1 with no rounding; NaN is above all. */
int compare_int_float (int64_t a, double b);

/* The longest string that a function or operator makes, in bytes; a longer one is null. */
enum { EXPR_STRING_MAX = 16384 };

#endif
