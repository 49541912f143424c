/* Typing of function calls by the signatures of functions.h. */
#include "base/check.h"
#include "expr/build.h"

#include <string.h>

/* The types that a letter stands for, "" when it is any. */
static const char *letter_words (char letter)
{
    switch (letter) {
    case 'b':
        return "bool";
    case 'i':
        return "int64";
    case 'f':
        return "float64";
    case 's':
        return "string";
    case 't':
        return "timestamp";
    case 'd':
        return "duration";
    case 'n':
        return "int64 or float64";
    case 'm':
        return "int64, float64 or duration";
    default:
        CHECK (letter == 'a');
        return "";
    }
}

/* Does an argument of `type` do for `letter`? */
static bool letter_takes (char letter, type_t type)
{
    if (letter == 'a' || type == TYPE_NONE)
        return true;
    if (letter == 'f' && type == TYPE_INT64)
        return true;
    return strstr (letter_words (letter), type_word (type)) != NULL;
}

static bool letter_varies (char letter)
{
    return letter == 'n' || letter == 'm' || letter == 'a';
}

/* The letter for argument `index`. */
static char letter_at (const char *signature, size_t index)
{
    for (size_t i = 0;; i++) {
        CHECK (signature[i] != '>');
        if (i == index || signature[i + 1] == '*')
            return signature[i];
    }
}

/* The type that both have, float64 for int64 and float64; false when there is none. */
static bool agree (type_t *common, type_t type)
{
    if (*common == type || type == TYPE_NONE)
        return true;
    if (*common == TYPE_NONE) {
        *common = type;
        return true;
    }
    bool numbers = (*common == TYPE_INT64 || *common == TYPE_FLOAT64) &&
                   (type == TYPE_INT64 || type == TYPE_FLOAT64);
    if (numbers)
        *common = TYPE_FLOAT64;
    return numbers;
}

static status_t check_count (builder_t *self, const function_t *function, size_t count, size_t at)
{
    const char *end = strchr (function->signature, '>');
    CHECK (end != NULL);
    bool more = end[-1] == '*';
    size_t wanted = (size_t)(end - function->signature) - more;
    if (count == wanted || (more && count >= wanted))
        return STATUS_OK;
    self->at = at;
    return error_set (self->error, STATUS_INVALID, "%s takes %s%zu argument%s, not %zu",
                      function->name, more ? "at least " : "", wanted, wanted == 1 ? "" : "s",
                      count);
}

/* Checks every argument; `common` is what those of the varying letter agree on. */
static status_t check_arguments (builder_t *self, const function_t *function, size_t count,
                                 type_t *common)
{
    for (size_t i = 0; i < count; i++) {
        const node_t *arg = build_operand (self, count - 1 - i);
        char letter = letter_at (function->signature, i);
        self->at = arg->start;
        if (!letter_takes (letter, arg->type))
            return error_set (self->error, STATUS_INVALID, "%s takes %s, not %s", function->name,
                              letter_words (letter), build_type_name (arg->type));
        if (letter_varies (letter) && !agree (common, arg->type))
            return error_set (self->error, STATUS_INVALID,
                              "%s takes arguments of one type, not %s and %s", function->name,
                              build_type_name (*common), build_type_name (arg->type));
    }
    return STATUS_OK;
}

static type_t letter_type (char letter, type_t common)
{
    return letter_varies (letter) ? common : type_from_word (text_of (letter_words (letter)));
}

status_t build_call (builder_t *self, const function_t *function, size_t count, size_t at)
{
    type_t common = TYPE_NONE;
    status_t status = check_count (self, function, count, at);
    if (status == STATUS_OK)
        status = check_arguments (self, function, count, &common);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        char letter = letter_at (function->signature, i);
        if (letter_type (letter, common) == TYPE_FLOAT64)
            status = build_widen (self, count - 1 - i);
    }
    if (status != STATUS_OK)
        return status;
    type_t result = letter_type (strchr (function->signature, '>')[1], common);
    node_t *node;
    status = build_node (self, NODE_CALL, result, count, at, &node);
    if (status != STATUS_OK)
        return status;
    node->strict = function->strict;
    node->kernel = function->kernel;
    node->function = function;
    return STATUS_OK;
}
