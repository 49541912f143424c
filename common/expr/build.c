#include "expr/build.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/decimal.h"
#include "expr/decimals.h"

const char *const binary_text[BINARY_COUNT] = {
#define X(name, text, precedence) text,
    BINARY_TABLE (X)
#undef X
};

const precedence_t binary_precedence[BINARY_COUNT] = {
#define X(name, text, precedence) precedence,
    BINARY_TABLE (X)
#undef X
};

/* What arithmetic there is, and operators on strings. A null operand takes the first row that fits
 * the other one, so rows in which both have one type come first; so does an int64 beside a float64,
 * after all exact fits. */
static const struct rule {
    binary_t binary;
    type_t left, right, result;
    kernel_t *kernel;
} rules[] = {
    { BINARY_ADD, TYPE_INT64, TYPE_INT64, TYPE_INT64, eval_add_int },
    { BINARY_ADD, TYPE_FLOAT64, TYPE_FLOAT64, TYPE_FLOAT64, eval_add_float },
    { BINARY_ADD, TYPE_DURATION, TYPE_DURATION, TYPE_DURATION, eval_add_int },
    { BINARY_ADD, TYPE_TIMESTAMP, TYPE_DURATION, TYPE_TIMESTAMP, eval_add_int },
    { BINARY_ADD, TYPE_DURATION, TYPE_TIMESTAMP, TYPE_TIMESTAMP, eval_add_int },
    { BINARY_SUBTRACT, TYPE_INT64, TYPE_INT64, TYPE_INT64, eval_subtract_int },
    { BINARY_SUBTRACT, TYPE_FLOAT64, TYPE_FLOAT64, TYPE_FLOAT64, eval_subtract_float },
    { BINARY_SUBTRACT, TYPE_DURATION, TYPE_DURATION, TYPE_DURATION, eval_subtract_int },
    { BINARY_SUBTRACT, TYPE_TIMESTAMP, TYPE_TIMESTAMP, TYPE_DURATION, eval_subtract_int },
    { BINARY_SUBTRACT, TYPE_TIMESTAMP, TYPE_DURATION, TYPE_TIMESTAMP, eval_subtract_int },
    { BINARY_MULTIPLY, TYPE_INT64, TYPE_INT64, TYPE_INT64, eval_multiply_int },
    { BINARY_MULTIPLY, TYPE_FLOAT64, TYPE_FLOAT64, TYPE_FLOAT64, eval_multiply_float },
    { BINARY_MULTIPLY, TYPE_DURATION, TYPE_INT64, TYPE_DURATION, eval_multiply_int },
    { BINARY_MULTIPLY, TYPE_INT64, TYPE_DURATION, TYPE_DURATION, eval_multiply_int },
    { BINARY_DIVIDE, TYPE_INT64, TYPE_INT64, TYPE_FLOAT64, eval_divide_int },
    { BINARY_DIVIDE, TYPE_FLOAT64, TYPE_FLOAT64, TYPE_FLOAT64, eval_divide_float },
    { BINARY_DIVIDE, TYPE_DURATION, TYPE_DURATION, TYPE_FLOAT64, eval_divide_int },
    { BINARY_REMAINDER, TYPE_INT64, TYPE_INT64, TYPE_INT64, eval_remainder_int },
    { BINARY_REMAINDER, TYPE_FLOAT64, TYPE_FLOAT64, TYPE_FLOAT64, eval_remainder_float },
    { BINARY_CONCAT, TYPE_STRING, TYPE_STRING, TYPE_STRING, call_concat },
    { BINARY_LIKE, TYPE_STRING, TYPE_STRING, TYPE_BOOL, eval_like },
};

enum { RULES = sizeof rules / sizeof *rules };

const char *build_type_name (type_t type)
{
    return type == TYPE_NONE ? "null" : type_word (type);
}

bool build_is_number (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64 || type_is_decimal (type);
}

/* Of two numbers, the type that holds both: float64 beside any, of decimals that of more digits
 * after the point. */
static type_t wider (type_t a, type_t b)
{
    if (a == TYPE_FLOAT64 || b == TYPE_FLOAT64)
        return TYPE_FLOAT64;
    if (!type_is_decimal (a) || !type_is_decimal (b))
        return type_is_decimal (a) ? a : b;
    return type_scale (a) > type_scale (b) ? a : b;
}

bool build_agree (type_t *common, type_t type)
{
    if (*common == type || type == TYPE_NONE)
        return true;
    if (*common == TYPE_NONE) {
        *common = type;
        return true;
    }
    bool numbers = build_is_number (*common) && build_is_number (type);
    if (numbers)
        *common = wider (*common, type);
    return numbers;
}

node_t *build_operand (builder_t *self, size_t depth)
{
    CHECK (depth < self->stack_count);
    return &self->nodes[self->stack[self->stack_count - 1 - depth]];
}

status_t build_node (builder_t *self, node_kind_t kind, type_t type, size_t count, size_t at,
                     node_t **node_p)
{
    self->at = at;
    if (self->nodes_count == EXPR_NODES_MAX)
        return error_set (self->error, STATUS_TOO_LARGE,
                          "the expression has more than %d operators and operands", EXPR_NODES_MAX);
    CHECK (count <= self->stack_count);
    self->stack_count = (uint16_t)(self->stack_count - count);
    node_t *node = &self->nodes[self->nodes_count];
    *node = (node_t){ .kind = kind,
                      .type = type,
                      .constant = kind != NODE_FIELD,
                      .strict = true,
                      .first = self->args_count,
                      .count = (uint16_t)count,
                      .at = (uint32_t)at,
                      .start = (uint32_t)at };
    for (size_t i = 0; i < count; i++) {
        uint16_t arg = self->stack[self->stack_count + i];
        self->args[self->args_count++] = arg;
        node->constant = node->constant && self->nodes[arg].constant;
        if (self->nodes[arg].start < node->start)
            node->start = self->nodes[arg].start;
    }
    self->stack[self->stack_count++] = self->nodes_count++;
    *node_p = node;
    return STATUS_OK;
}

status_t build_widen (builder_t *self, size_t depth, type_t type)
{
    const node_t *narrow = build_operand (self, depth);
    type_t from = narrow->type;
    if (from == type || !build_is_number (from) || !build_is_number (type))
        return STATUS_OK;
    /* build_node works on the top of the stack: bring the operand there and the node back. */
    uint16_t *place = &self->stack[self->stack_count - 1 - depth];
    uint16_t *top = &self->stack[self->stack_count - 1];
    uint16_t moved = *place;
    *place = *top;
    *top = moved;
    node_t *node;
    status_t status = build_node (self, NODE_WIDEN, type, 1, narrow->start, &node);
    if (status != STATUS_OK)
        return status;
    node->kernel = widen_find (from, type);
    moved = *top;
    *top = *place;
    *place = moved;
    return STATUS_OK;
}

status_t build_literal (builder_t *self, const value_t *value, size_t at)
{
    node_t *node;
    type_t type = value->null ? TYPE_NONE : value->type;
    status_t status = build_node (self, NODE_LITERAL, type, 0, at, &node);
    if (status != STATUS_OK)
        return status;
    node->literal = *value;
    if (type == TYPE_STRING)
        node->literal.s = arena_text (self->arena, value->s);
    return STATUS_OK;
}

status_t build_float (builder_t *self, double value, text_t written, size_t at)
{
    value_t literal = { .type = TYPE_FLOAT64, .f = value_float (value) };
    status_t status = build_literal (self, &literal, at);
    if (status == STATUS_OK)
        build_operand (self, 0)->written = arena_text (self->arena, written);
    return status;
}

void build_decimal_literal (builder_t *self, size_t depth)
{
    node_t *node = build_operand (self, depth);
    type_t type;
    unscaled_t value;
    if (node->kind != NODE_LITERAL || node->type != TYPE_FLOAT64 ||
        !decimal_parse_literal (node->written, &type, &value))
        return;
    /* without digits after the point it is printed as an integer */
    if (type_scale (type) == 0 && value != (int64_t)value)
        return;
    bool negative = node->literal.f < 0;
    node->type = type;
    node->literal = (value_t){ .type = type, .d = negative ? -value : value };
}

/* Among the `count` topmost operands. */
static void meet_decimals (builder_t *self, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any = any || type_is_decimal (build_operand (self, i)->type);
    for (size_t i = 0; i < count && any; i++)
        build_decimal_literal (self, i);
}

status_t build_field (builder_t *self, text_t name, type_t type, uint32_t column, size_t at)
{
    node_t *node;
    status_t status = build_node (self, NODE_FIELD, type, 0, at, &node);
    if (status != STATUS_OK)
        return status;
    node->field.name = arena_text (self->arena, name);
    node->field.column = column;
    return STATUS_OK;
}

/* Makes a literal number negative in its place; false when it is something else. */
static bool negate_literal (node_t *node, size_t start)
{
    if (node->kind != NODE_LITERAL)
        return false;
    value_t *value = &node->literal;
    if (node->type == TYPE_FLOAT64)
        value->f = value_float (-value->f);
    else if ((node->type == TYPE_INT64 || node->type == TYPE_DURATION) && value->i != INT64_MIN)
        value->i = -value->i;
    else
        return false;
    node->at = node->start = (uint32_t)start;
    return true;
}

status_t build_negate (builder_t *self, size_t start)
{
    if (negate_literal (build_operand (self, 0), start))
        return STATUS_OK;
    type_t type = build_operand (self, 0)->type;
    if (!build_is_number (type) && type != TYPE_DURATION && type != TYPE_NONE) {
        self->at = start;
        return error_set (self->error, STATUS_INVALID, "'-' cannot take %s",
                          build_type_name (type));
    }
    node_t *node;
    status_t status = build_node (self, NODE_NEGATE, type, 1, start, &node);
    if (status == STATUS_OK)
        node->kernel = type == TYPE_FLOAT64     ? eval_negate_float
                       : type_is_decimal (type) ? eval_negate_decimal
                                                : eval_negate_int;
    return status;
}

status_t build_not (builder_t *self, size_t at)
{
    type_t type = build_operand (self, 0)->type;
    if (type != TYPE_BOOL && type != TYPE_NONE) {
        self->at = at;
        return error_set (self->error, STATUS_INVALID, "'not' takes bool, not %s",
                          build_type_name (type));
    }
    node_t *node;
    status_t status = build_node (self, NODE_NOT, TYPE_BOOL, 1, at, &node);
    if (status == STATUS_OK)
        node->kernel = eval_not;
    return status;
}

static status_t add_binary (builder_t *self, binary_t binary, type_t type, bool strict, size_t at,
                            kernel_t *kernel)
{
    node_t *node;
    status_t status = build_node (self, NODE_BINARY, type, 2, at, &node);
    if (status != STATUS_OK)
        return status;
    node->binary = binary;
    node->strict = strict;
    node->kernel = kernel;
    return STATUS_OK;
}

static status_t build_logic (builder_t *self, binary_t binary, size_t at)
{
    type_t left = build_operand (self, 1)->type;
    type_t right = build_operand (self, 0)->type;
    if ((left != TYPE_BOOL && left != TYPE_NONE) || (right != TYPE_BOOL && right != TYPE_NONE)) {
        self->at = at;
        return error_set (self->error, STATUS_INVALID, "'%s' takes bool and bool, not %s and %s",
                          binary_text[binary], build_type_name (left), build_type_name (right));
    }
    return add_binary (self, binary, TYPE_BOOL, false, at,
                       binary == BINARY_AND ? eval_and : eval_or);
}

status_t build_comparable (builder_t *self, const char *what, type_t left, type_t right, size_t at)
{
    if (left == right || left == TYPE_NONE || right == TYPE_NONE ||
        (build_is_number (left) && build_is_number (right)))
        return STATUS_OK;
    self->at = at;
    bool time_as_string = (left == TYPE_TIMESTAMP && right == TYPE_STRING) ||
                          (left == TYPE_STRING && right == TYPE_TIMESTAMP);
    return error_set (self->error, STATUS_INVALID, "'%s' cannot compare %s with %s%s", what,
                      build_type_name (left), build_type_name (right),
                      time_as_string ? "; a time is written time '2026-01-02T00:00:00Z'" : "");
}

static status_t build_comparison (builder_t *self, binary_t binary, size_t at)
{
    meet_decimals (self, 2);
    status_t status = build_comparable (self, binary_text[binary], build_operand (self, 1)->type,
                                        build_operand (self, 0)->type, at);
    if (status != STATUS_OK)
        return status;
    return add_binary (self, binary, TYPE_BOOL, false, at,
                       binary == BINARY_DISTINCT ? eval_distinct : eval_compare);
}

static bool fits (type_t given, type_t wanted, bool widening)
{
    return given == wanted || given == TYPE_NONE ||
           (widening && given == TYPE_INT64 && wanted == TYPE_FLOAT64);
}

static const struct rule *find_rule (binary_t binary, type_t left, type_t right)
{
    for (int widening = 0; widening <= 1; widening++) {
        for (size_t i = 0; i < RULES; i++) {
            const struct rule *rule = &rules[i];
            if (rule->binary == binary && fits (left, rule->left, widening) &&
                fits (right, rule->right, widening))
                return rule;
        }
    }
    return NULL;
}

static bool rule_is_of_strings (binary_t binary)
{
    return binary == BINARY_CONCAT || binary == BINARY_LIKE;
}

/* The type of a result of two decimals, NONE when it would have too many digits after the point. */
static type_t decimal_result (binary_t binary, type_t left, type_t right)
{
    unsigned scale = type_scale (wider (left, right));
    if (binary == BINARY_MULTIPLY)
        scale = type_scale (left) + type_scale (right);
    return scale <= DECIMAL_DIGITS_MAX ? type_decimal (scale) : TYPE_NONE;
}

/* Two numbers, or a number and a null, of which one is a decimal and none is a float64. */
static status_t build_decimals (builder_t *self, binary_t binary, size_t at)
{
    static kernel_t *const kernels[BINARY_COUNT] = {
        [BINARY_ADD] = eval_add_decimal,
        [BINARY_SUBTRACT] = eval_subtract_decimal,
        [BINARY_MULTIPLY] = eval_multiply_decimal,
        [BINARY_REMAINDER] = eval_remainder_decimal,
    };
    status_t status = STATUS_OK;
    type_t types[2];
    for (size_t i = 0; i < 2 && status == STATUS_OK; i++) {
        if (build_operand (self, i)->type == TYPE_INT64)
            status = build_widen (self, i, type_decimal (0));
        types[i] = build_operand (self, i)->type;
    }
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < 2; i++)
        types[i] = types[i] == TYPE_NONE ? types[1 - i] : types[i];
    bool is_null = build_operand (self, 0)->type == TYPE_NONE || //
                   build_operand (self, 1)->type == TYPE_NONE;
    type_t result = is_null ? types[0] : decimal_result (binary, types[1], types[0]);
    CHECK (kernels[binary] != NULL);
    if (result != TYPE_NONE)
        return add_binary (self, binary, result, true, at, kernels[binary]);
    self->at = at;
    return error_set (self->error, STATUS_INVALID,
                      "the product of %s and %s has over %d digits after the point; cast one of "
                      "them to fewer",
                      build_type_name (types[1]), build_type_name (types[0]), DECIMAL_DIGITS_MAX);
}

/* Is it arithmetic of numbers (or null) with a decimal among them? */
static bool is_decimal_arithmetic (binary_t binary, type_t left, type_t right)
{
    return (type_is_decimal (left) || type_is_decimal (right)) &&
           (build_is_number (left) || left == TYPE_NONE) &&
           (build_is_number (right) || right == TYPE_NONE) && !rule_is_of_strings (binary);
}

static status_t build_arithmetic (builder_t *self, binary_t binary, size_t at)
{
    meet_decimals (self, 2);
    type_t left = build_operand (self, 1)->type;
    type_t right = build_operand (self, 0)->type;
    if (is_decimal_arithmetic (binary, left, right)) {
        if (left != TYPE_FLOAT64 && right != TYPE_FLOAT64 && binary != BINARY_DIVIDE)
            return build_decimals (self, binary, at);
        left = right = TYPE_FLOAT64;
    }
    const struct rule *rule = find_rule (binary, left, right);
    if (rule == NULL) {
        self->at = at;
        bool as_string =
            rule_is_of_strings (binary) && (left == TYPE_STRING || right == TYPE_STRING);
        return error_set (self->error, STATUS_INVALID, "'%s' cannot combine %s and %s%s",
                          binary_text[binary], build_type_name (left), build_type_name (right),
                          as_string ? "; cast(x as string) makes a string" : "");
    }
    status_t status = STATUS_OK;
    if (rule->left == TYPE_FLOAT64)
        status = build_widen (self, 1, TYPE_FLOAT64);
    if (status == STATUS_OK && rule->right == TYPE_FLOAT64)
        status = build_widen (self, 0, TYPE_FLOAT64);
    if (status != STATUS_OK)
        return status;
    /* Of two nulls only what gives one type knows what it would have given. */
    bool unknown = left == TYPE_NONE && right == TYPE_NONE && binary != BINARY_DIVIDE &&
                   !rule_is_of_strings (binary);
    return add_binary (self, binary, unknown ? TYPE_NONE : rule->result, true, at, rule->kernel);
}

status_t build_binary (builder_t *self, binary_t binary, size_t at)
{
    if (rule_is_of_strings (binary))
        return build_arithmetic (self, binary, at);
    switch (binary_precedence[binary]) {
    case PRECEDENCE_OR:
    case PRECEDENCE_AND:
        return build_logic (self, binary, at);
    case PRECEDENCE_COMPARE:
        return build_comparison (self, binary, at);
    default:
        return build_arithmetic (self, binary, at);
    }
}

status_t build_is_null (builder_t *self, size_t at)
{
    node_t *node;
    status_t status = build_node (self, NODE_IS_NULL, TYPE_BOOL, 1, at, &node);
    if (status != STATUS_OK)
        return status;
    node->strict = false;
    node->kernel = eval_is_null;
    return STATUS_OK;
}

status_t build_in (builder_t *self, size_t count, size_t at)
{
    meet_decimals (self, count + 1);
    type_t wanted = build_operand (self, count)->type;
    for (size_t i = 0; i < count; i++) {
        const node_t *element = build_operand (self, count - 1 - i);
        status_t status = build_comparable (self, "in", wanted, element->type, element->start);
        if (status != STATUS_OK)
            return status;
    }
    node_t *node;
    status_t status = build_node (self, NODE_IN, TYPE_BOOL, count + 1, at, &node);
    if (status != STATUS_OK)
        return status;
    node->strict = false;
    node->kernel = eval_in;
    return STATUS_OK;
}

status_t build_between (builder_t *self, size_t at)
{
    meet_decimals (self, 3);
    type_t type = build_operand (self, 2)->type;
    for (size_t depth = 2; depth-- > 0;) {
        const node_t *bound = build_operand (self, depth);
        status_t status = build_comparable (self, "between", type, bound->type, bound->start);
        if (status != STATUS_OK)
            return status;
    }
    node_t *node;
    status_t status = build_node (self, NODE_BETWEEN, TYPE_BOOL, 3, at, &node);
    if (status != STATUS_OK)
        return status;
    node->strict = false;
    node->kernel = eval_between;
    return STATUS_OK;
}

/* The condition of an arm, or the value with which the operand is compared. */
static status_t check_when (builder_t *self, const node_t *operand, const node_t *when)
{
    if (operand != NULL)
        return build_comparable (self, "case", operand->type, when->type, when->start);
    if (when->type == TYPE_BOOL || when->type == TYPE_NONE)
        return STATUS_OK;
    self->at = when->start;
    return error_set (self->error, STATUS_INVALID, "'when' takes bool, not %s",
                      build_type_name (when->type));
}

static status_t check_result (builder_t *self, const node_t *result, type_t *common)
{
    type_t before = *common;
    if (build_agree (common, result->type))
        return STATUS_OK;
    self->at = result->start;
    return error_set (self->error, STATUS_INVALID, "'case' gives values of one type, not %s and %s",
                      build_type_name (before), build_type_name (result->type));
}

/* Number `index`, from the bottom, of the `count` topmost operands. */
static const node_t *operand_of (builder_t *self, size_t count, size_t index)
{
    return build_operand (self, count - 1 - index);
}

/* Of a case's operands: is it the operand, a condition or a value, and no result? */
static bool is_compared (bool operand, size_t count, size_t index)
{
    if (operand && index == 0)
        return true;
    bool is_else = index + 1 == count && (count - operand) % 2 != 0;
    return (index - operand) % 2 == 0 && !is_else;
}

/* What is compared meets decimals among itself, and so do the results. */
static void meet_in_case (builder_t *self, bool operand, size_t count, bool compared)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        if (is_compared (operand, count, i) == compared)
            any = any || type_is_decimal (operand_of (self, count, i)->type);
    for (size_t i = 0; i < count && any; i++)
        if (is_compared (operand, count, i) == compared)
            build_decimal_literal (self, count - 1 - i);
}

status_t build_case (builder_t *self, bool operand, size_t arms, bool has_else, size_t at)
{
    size_t count = operand + 2 * arms + has_else;
    meet_in_case (self, operand, count, true);
    meet_in_case (self, operand, count, false);
    const node_t *compared = operand ? operand_of (self, count, 0) : NULL;
    type_t common = TYPE_NONE;
    status_t status = STATUS_OK;
    for (size_t i = operand; i < count && status == STATUS_OK; i++) {
        const node_t *node = operand_of (self, count, i);
        bool is_when = is_compared (operand, count, i);
        status = is_when ? check_when (self, compared, node) : check_result (self, node, &common);
    }
    for (size_t i = operand; i < count && status == STATUS_OK; i++) {
        if (!is_compared (operand, count, i))
            status = build_widen (self, count - 1 - i, common);
    }
    if (status != STATUS_OK)
        return status;
    node_t *node;
    status = build_node (self, NODE_CASE, common, count, at, &node);
    if (status != STATUS_OK)
        return status;
    node->strict = false;
    node->operand = operand;
    node->kernel = eval_case;
    return STATUS_OK;
}

status_t build_cast (builder_t *self, type_t type, unsigned precision, size_t at)
{
    if (type_is_decimal (type))
        build_decimal_literal (self, 0);
    const node_t *from = build_operand (self, 0);
    const char *hint;
    kernel_t *kernel = cast_find (from->type, type, &hint);
    if (kernel == NULL) {
        self->at = from->start;
        return error_set (self->error, STATUS_INVALID, "cast cannot make %s of %s%s",
                          build_type_name (type), build_type_name (from->type), hint);
    }
    node_t *node;
    status_t status = build_node (self, NODE_CAST, type, 1, at, &node);
    if (status != STATUS_OK)
        return status;
    node->precision = (uint8_t)precision;
    node->kernel = kernel;
    return STATUS_OK;
}
