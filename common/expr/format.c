/* The canonical text: as few parentheses as precedence needs, so that it nests no deeper than what
 * was written. Walks the tree with a stack of its own, for a chain of operators is a deep tree. */
#include "base/check.h"
#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "expr/tree.h"

/* How fields are called. */
typedef struct names {
    const char *(*name) (const void *arg, uint32_t column); /* NULL: as written */
    const void *arg;
} names_t;

typedef struct frame {
    const node_t *node;
    uint16_t child; /* how many are printed */
    bool parentheses;
    bool negated; /* a predicate under `not`: `is not null` */
} frame_t;

static void put_text (buf_t *out, text_t text)
{
    buf_put (out, text.data, text.size);
}

static void put_quoted (buf_t *out, text_t text)
{
    buf_put_u8 (out, '\'');
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'')
            buf_put_u8 (out, '\'');
        buf_put_u8 (out, (uint8_t)text.data[i]);
    }
    buf_put_u8 (out, '\'');
}

static void put_literal (buf_t *out, const node_t *node)
{
    const value_t *value = &node->literal;
    switch (type_family (node->type)) {
    case TYPE_NONE:
        buf_put_string (out, "null");
        break;
    case TYPE_BOOL:
        buf_put_string (out, value->i ? "true" : "false");
        break;
    case TYPE_INT64:
        buf_printf (out, "%lld", (long long)value->i);
        break;
    case TYPE_FLOAT64:
        number_format_float (out, value->f);
        break;
    case TYPE_DECIMAL:
        decimal_format (out, value->d, type_scale (node->type));
        break;
    case TYPE_STRING:
        put_quoted (out, value->s);
        break;
    case TYPE_TIMESTAMP:
        buf_put_string (out, "time '");
        time_format (out, value->i);
        buf_put_string (out, "'");
        break;
    case TYPE_DURATION:
        buf_printf (out, "%lldus", (long long)value->i);
        break;
    case TYPE_LIST:
    case TYPE_MAP:
        CHECK (node->type != TYPE_LIST && node->type != TYPE_MAP); /* have no literals */
    }
}

/* The end of a cast. */
static void put_type (buf_t *out, const node_t *node)
{
    if (type_is_decimal (node->type))
        buf_printf (out, " as decimal(%u,%u))", node->precision, type_scale (node->type));
    else
        buf_printf (out, " as %s)", type_word (node->type));
}

static bool is_predicate (const node_t *node)
{
    return node->kind == NODE_IS_NULL || node->kind == NODE_IN || node->kind == NODE_BETWEEN ||
           (node->kind == NODE_BINARY &&
            (node->binary == BINARY_DISTINCT || node->binary == BINARY_LIKE));
}

static precedence_t precedence_of (const frame_t *frame)
{
    switch (frame->node->kind) {
    case NODE_BINARY:
        return binary_precedence[frame->node->binary];
    case NODE_NOT:
        return PRECEDENCE_NOT;
    case NODE_IS_NULL:
    case NODE_IN:
    case NODE_BETWEEN:
        return PRECEDENCE_COMPARE;
    case NODE_NEGATE:
        return PRECEDENCE_NEGATE;
    default:
        return PRECEDENCE_PRIMARY;
    }
}

/* How tightly the next child of `frame` must bind to stand without parentheses. */
static precedence_t wanted_precedence (const frame_t *frame)
{
    const node_t *node = frame->node;
    switch (node->kind) {
    case NODE_BINARY:
        /* Operators of one level group to the left; comparisons do not group at all. */
        return binary_precedence[node->binary] +
               (frame->child > 0 || binary_precedence[node->binary] == PRECEDENCE_COMPARE);
    case NODE_NOT:
        return PRECEDENCE_NOT;
    case NODE_IS_NULL:
    case NODE_BETWEEN:
        return PRECEDENCE_ADD;
    case NODE_IN:
        return frame->child == 0 ? PRECEDENCE_ADD : PRECEDENCE_LOWEST;
    case NODE_NEGATE:
        return PRECEDENCE_NEGATE;
    default:
        return PRECEDENCE_LOWEST;
    }
}

static void put_field (buf_t *out, const node_t *node, const names_t *names)
{
    if (names->name)
        buf_put_string (out, names->name (names->arg, node->field.column));
    else
        put_text (out, node->field.name);
}

static void put_binary (buf_t *out, const frame_t *frame)
{
    if (frame->child != 1)
        return;
    binary_t binary = frame->node->binary;
    const char *text = binary_text[binary];
    if (frame->negated)
        text = binary == BINARY_LIKE ? "not like" : "is not distinct from";
    buf_printf (out, " %s ", text);
}

static void put_between (buf_t *out, const frame_t *frame)
{
    if (frame->child == 1)
        buf_put_string (out, frame->negated ? " not between " : " between ");
    else if (frame->child == 2)
        buf_put_string (out, " and ");
}

static void put_case (buf_t *out, const frame_t *frame)
{
    const node_t *node = frame->node;
    bool odd = (frame->child - node->operand) % 2 != 0;
    if (frame->child == 0)
        buf_put_string (out, "case ");
    if (frame->child == node->count)
        buf_put_string (out, " end");
    else if (frame->child < node->operand)
        return;
    else if (odd)
        buf_put_string (out, " then ");
    else if (frame->child + 1 == node->count)
        buf_put_string (out, " else ");
    else
        buf_put_string (out, frame->child == 0 ? "when " : " when ");
}

/* The part of a node's text that stands before its child number `frame->child`, or at its end. */
static void put_piece (buf_t *out, const frame_t *frame, const names_t *names)
{
    const node_t *node = frame->node;
    bool first = frame->child == 0;
    bool last = frame->child == node->count;
    switch (node->kind) {
    case NODE_LITERAL:
        put_literal (out, node);
        break;
    case NODE_FIELD:
        put_field (out, node, names);
        break;
    case NODE_WIDEN:
        break;
    case NODE_NEGATE:
        buf_put_string (out, first ? "-" : "");
        break;
    case NODE_NOT:
        buf_put_string (out, first ? "not " : "");
        break;
    case NODE_BINARY:
        put_binary (out, frame);
        break;
    case NODE_IS_NULL:
        buf_put_string (out, first ? "" : frame->negated ? " is not null" : " is null");
        break;
    case NODE_IN:
        if (!first && !last)
            buf_put_string (out, frame->child > 1 ? ", " : frame->negated ? " not in (" : " in (");
        buf_put_string (out, last ? ")" : "");
        break;
    case NODE_BETWEEN:
        put_between (out, frame);
        break;
    case NODE_CASE:
        put_case (out, frame);
        break;
    case NODE_CAST:
        if (first)
            buf_put_string (out, "cast(");
        else
            put_type (out, node);
        break;
    case NODE_CALL:
        if (first)
            buf_printf (out, "%s(", node->call.function->name);
        else
            buf_put_string (out, last ? "" : ", ");
        buf_put_string (out, last ? ")" : "");
        break;
    }
}

static const node_t *child_of (const expr_t *self, const node_t *node, size_t index)
{
    return &self->nodes[self->args[node->first + index]];
}

static frame_t frame_for (const expr_t *self, const node_t *node, precedence_t wanted)
{
    frame_t frame = { .node = node };
    if (frame.node->kind == NODE_WIDEN)
        frame.node = child_of (self, frame.node, 0);
    if (frame.node->kind == NODE_NOT && is_predicate (child_of (self, frame.node, 0))) {
        frame.node = child_of (self, frame.node, 0);
        frame.negated = true;
    }
    frame.parentheses = precedence_of (&frame) < wanted;
    return frame;
}

void expr_format (const expr_t *self, buf_t *out)
{
    expr_format_as (self, NULL, NULL, out);
}

void expr_format_as (const expr_t *self, const char *(*name) (const void *arg, uint32_t column),
                     const void *arg, buf_t *out)
{
    CHECK_OBJECT (self, EXPR_MAGIC);
    names_t names = { name, arg };
    frame_t stack[EXPR_NODES_MAX];
    size_t depth = 0;
    stack[depth++] = frame_for (self, &self->nodes[self->nodes_count - 1], PRECEDENCE_LOWEST);
    while (depth > 0) {
        frame_t *top = &stack[depth - 1];
        if (top->child == 0 && top->parentheses)
            buf_put_u8 (out, '(');
        put_piece (out, top, &names);
        if (top->child < top->node->count) {
            CHECK (depth < EXPR_NODES_MAX);
            stack[depth++] =
                frame_for (self, child_of (self, top->node, top->child), wanted_precedence (top));
            top->child++;
        } else {
            if (top->parentheses)
                buf_put_u8 (out, ')');
            depth--;
        }
    }
}
