/* The evaluator: one walk over the nodes for every EVAL_ROWS rows, each node writing a vector that
 * is used again for the next rows, so that memory depends on the expression and not on the batch.
 * What reads no field was computed when the expression was made: its nodes stay for the canonical
 * text, and are passed over here. */
#include "base/arena.h"
#include "base/check.h"
#include "expr/tree.h"

enum { EVAL_ROWS = 1024 };

typedef struct eval {
    const expr_t *expr;
    arena_t *arena;
    vector_t *vectors;     /* one for each node */
    const vector_t **args; /* as expr->args */
    column_t scratch;
} eval_t;

/* As column_new, and TYPE_NONE has cells too. */
static column_t new_column (arena_t *arena, type_t type, size_t rows)
{
    return (column_t){ .type = type,
                       .valid = arena_zero (arena, rows, 1),
                       .data = arena_zero (arena, rows, type_size (type)) };
}

/* The column from row `start` on. */
static column_t column_from (const column_t *column, size_t start)
{
    column_t from = *column;
    from.valid += start;
    from.data = (char *)column->data + start * type_size (column->type);
    return from;
}

static void set_null (column_t *out, size_t rows)
{
    memset (out->valid, 0, rows);
    memset (out->data, 0, rows * type_size (out->type));
}

static void and_valid (const vector_t *arg, column_t *out, size_t rows)
{
    if (arg->step == 0 && arg->column.valid[0])
        return;
    for (size_t r = 0; r < rows; r++)
        out->valid[r] &= arg->column.valid[r * arg->step];
}

static void copy_rows (const vector_t *from, column_t *out, size_t rows)
{
    for (size_t r = 0; r < rows; r++) {
        value_t value = column_get (&from->column, r * from->step);
        column_set (out, r, &value);
    }
}

/* Evaluates one operator or call for `rows` rows into `out`. */
static void run_node (const eval_t *self, const node_t *node, size_t rows, column_t *out)
{
    column_t scratch = self->scratch;
    call_t call = { .node = node,
                    .args = self->args + node->first,
                    .count = node->count,
                    .rows = rows,
                    .arena = self->arena,
                    .scratch = &scratch };
    if (node->strict) {
        memset (out->valid, 1, rows);
        for (size_t i = 0; i < call.count; i++) {
            if (call.args[i]->column.type == TYPE_NONE) {
                set_null (out, rows);
                return;
            }
            and_valid (call.args[i], out, rows);
        }
    }
    node->kernel (&call, out);
}

static void set_literal (const node_t *node, column_t *out)
{
    if (node->type == TYPE_NONE)
        return;
    out->valid[0] = 1;
    if (node->type == TYPE_STRING)
        out->s[0] = node->literal.s;
    else if (node->type == TYPE_FLOAT64)
        out->f[0] = node->literal.f;
    else if (type_is_decimal (node->type))
        out->d[0] = node->literal.d;
    else
        out->i[0] = node->literal.i;
}

/* Makes the vectors. */
static void prepare (eval_t *self, size_t rows)
{
    const expr_t *expr = self->expr;
    size_t nodes = expr->nodes_count;
    bool lenient = false;
    self->vectors = arena_alloc (self->arena, nodes * sizeof *self->vectors);
    self->args = arena_alloc (self->arena, nodes * sizeof *self->args);
    for (size_t i = 0; i < nodes; i++) {
        const node_t *node = &expr->nodes[i];
        vector_t *vector = &self->vectors[i];
        if (node->constant) {
            *vector = expr->constants[i];
            continue;
        }
        for (size_t k = 0; k < node->count; k++)
            self->args[node->first + k] = &self->vectors[expr->args[node->first + k]];
        *vector = (vector_t){ .column = { .type = node->type }, .step = 1 };
        bool is_result = i + 1 == nodes; /* it has the caller's column */
        if (node->kind != NODE_FIELD && !is_result)
            vector->column = new_column (self->arena, node->type, rows);
        lenient = lenient || !node->strict;
    }
    if (lenient)
        self->scratch = new_column (self->arena, TYPE_BOOL, rows);
}

void eval_constants (expr_t *self)
{
    size_t nodes = self->nodes_count;
    eval_t eval = { .expr = self, .arena = self->arena };
    eval.vectors = self->constants = arena_zero (self->arena, nodes, sizeof *self->constants);
    eval.args = arena_zero (self->arena, nodes, sizeof *eval.args);
    eval.scratch = new_column (self->arena, TYPE_BOOL, 1);
    for (size_t i = 0; i < nodes; i++) {
        const node_t *node = &self->nodes[i];
        vector_t *vector = &self->constants[i];
        if (!node->constant)
            continue;
        for (size_t k = 0; k < node->count; k++)
            eval.args[node->first + k] = &self->constants[self->args[node->first + k]];
        vector->column = new_column (self->arena, node->type, 1);
        if (node->kind == NODE_LITERAL)
            set_literal (node, &vector->column);
        else
            run_node (&eval, node, 1, &vector->column);
    }
}

/* Rows [start, start + rows): `out` is the result's column from `start` on. */
static void run_rows (eval_t *self, const column_t *columns, size_t start, size_t rows,
                      column_t *out)
{
    const expr_t *expr = self->expr;
    size_t root = expr->nodes_count - 1u;
    for (size_t i = 0; i <= root; i++) {
        const node_t *node = &expr->nodes[i];
        vector_t *vector = &self->vectors[i];
        if (node->kind == NODE_FIELD) {
            const column_t *column = &columns[node->field.column];
            CHECK (column->type == node->type);
            vector->column = column_from (column, start);
        } else if (!node->constant) {
            if (i == root)
                vector->column = *out;
            run_node (self, node, rows, &vector->column);
        }
    }
    const node_t *last = &expr->nodes[root];
    if (last->type != TYPE_NONE && (last->kind == NODE_FIELD || last->constant))
        copy_rows (&self->vectors[root], out, rows);
}

int32_t expr_column (const expr_t *self)
{
    CHECK_OBJECT (self, EXPR_MAGIC);
    const node_t *root = &self->nodes[self->nodes_count - 1u];
    return root->kind == NODE_FIELD ? (int32_t)root->field.column : -1;
}

column_t expr_eval (const expr_t *self, const column_t *columns, size_t rows, arena_t *arena)
{
    CHECK_OBJECT (self, EXPR_MAGIC);
    column_t result = new_column (arena, expr_type (self), rows);
    if (rows == 0)
        return result;
    eval_t eval = { .expr = self, .arena = arena };
    prepare (&eval, rows < EVAL_ROWS ? rows : EVAL_ROWS);
    for (size_t start = 0; start < rows; start += EVAL_ROWS) {
        size_t some = rows - start < EVAL_ROWS ? rows - start : EVAL_ROWS;
        column_t out = column_from (&result, start);
        run_rows (&eval, columns, start, some, &out);
    }
    return result;
}
