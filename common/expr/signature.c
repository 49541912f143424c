/* Typing of function calls by the signatures of functions.h. */
#include "base/arena.h"
#include "base/check.h"
#include "expr/build.h"
#include "expr/decimals.h"

#include <stdio.h>
#include <string.h>

enum { LETTERS_MAX = 8 };

/* A signature taken apart. */
typedef struct signature {
    char letters[LETTERS_MAX];
    size_t count;    /* of letters */
    size_t optional; /* how many of the last may be left out */
    size_t many;     /* the letter that may stand more than once; `count` when none may */
    char result;
} signature_t;

static signature_t read_signature (const char *text)
{
    signature_t self = { .many = SIZE_MAX };
    for (; *text != '>'; text++) {
        if (*text == '*') {
            self.many = self.count - 1;
        } else if (*text == '?') {
            self.optional++;
        } else {
            CHECK (self.count < LETTERS_MAX);
            self.letters[self.count++] = *text;
        }
    }
    if (self.many == SIZE_MAX)
        self.many = self.count;
    self.result = text[1];
    return self;
}

/* The letter for argument `index` of `given`. */
static char letter_at (const signature_t *self, size_t index, size_t given)
{
    if (index > self->many) {
        size_t repeats = given + 1 - self->count;
        index = index < self->many + repeats ? self->many : index + 1 - repeats;
    }
    return self->letters[index];
}

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
    case 'z':
    case 'u':
        return "string";
    case 't':
        return "timestamp";
    case 'd':
        return "duration";
    case 'n':
    case 'r':
        return "int64, float64 or decimal";
    case 'm':
        return "int64, float64, decimal or duration";
    case 'o':
    case 'e':
        return "int64, float64, decimal, timestamp or duration";
    case 'h':
        return "bool, int64, float64, decimal, string or timestamp";
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
    if (letter == 'f' && build_is_number (type))
        return true;
    return strstr (letter_words (letter), type_word (type_family (type))) != NULL;
}

static bool letter_varies (char letter)
{
    return letter == 'n' || letter == 'r' || letter == 'm' || letter == 'a';
}

/* Are its arguments compared or combined, so that a literal among them may be a decimal? */
static bool letter_meets (char letter)
{
    return letter_varies (letter) || letter == 'o' || letter == 'e';
}

static void meet_decimals (builder_t *self, const signature_t *signature, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        if (letter_meets (letter_at (signature, i, count)))
            any = any || type_is_decimal (build_operand (self, count - 1 - i)->type);
    for (size_t i = 0; i < count && any; i++)
        if (letter_meets (letter_at (signature, i, count)))
            build_decimal_literal (self, count - 1 - i);
}

static status_t check_count (builder_t *self, const function_t *function,
                             const signature_t *signature, size_t count, size_t at)
{
    bool more = signature->many < signature->count;
    size_t most = signature->count;
    size_t least = most - signature->optional;
    if (count >= least && (more || count <= most))
        return STATUS_OK;
    self->at = at;
    char wanted[48];
    if (least == most)
        snprintf (wanted, sizeof wanted, "%s%zu argument%s", more ? "at least " : "", least,
                  least == 1 ? "" : "s");
    else
        snprintf (wanted, sizeof wanted, "%zu or %zu arguments", least, most);
    return error_set (self->error, STATUS_INVALID, "%s takes %s, not %zu: %s(%s)", function->name,
                      wanted, count, function->name, function->arguments);
}

/* ---- literals with a meaning of their own ---- */

static bool is_literal (const node_t *node, type_t type)
{
    return node->kind == NODE_LITERAL && node->type == type;
}

static status_t open_zone (builder_t *self, const node_t *name, const zone_t **zone)
{
    if (!is_literal (name, TYPE_STRING))
        return error_set (self->error, STATUS_INVALID,
                          "a time zone is written out, as in 'Europe/Berlin'");
    const char *text = arena_string (self->arena, name->literal.s);
    for (size_t i = 0; i < self->zones_count; i++) {
        if (strcmp (self->zone_names[i], text) == 0) {
            *zone = self->zones[i];
            return STATUS_OK;
        }
    }
    if (self->zones_count == EXPR_ZONES_MAX)
        return error_set (self->error, STATUS_TOO_LARGE,
                          "the expression has more than %d different time zones", EXPR_ZONES_MAX);
    zone_t *opened = NULL;
    status_t status = zone_open (text, &opened, self->error);
    if (status != STATUS_OK)
        return status;
    self->zone_names[self->zones_count] = arena_string (self->arena, name->literal.s);
    self->zones[self->zones_count++] = opened;
    *zone = opened;
    return STATUS_OK;
}

static status_t find_unit (builder_t *self, const node_t *name, unit_t *unit)
{
    static const char *const words[] = {
#define X(name, word) word,
        UNIT_TABLE (X)
#undef X
    };
    if (!is_literal (name, TYPE_STRING))
        return error_set (self->error, STATUS_INVALID, "a unit is written out, as in 'day'");
    text_t text = name->literal.s;
    for (size_t i = 0; i < UNIT_OF_COUNT; i++) {
        if (text_is (text, words[i])) {
            *unit = (unit_t)i;
            return STATUS_OK;
        }
    }
    const char *nearest = text_nearest (arena_string (self->arena, text), words, UNIT_OF_COUNT);
    return error_set (self->error, STATUS_INVALID, "unknown unit '%.64s'; %s%s%s",
                      arena_string (self->arena, text), nearest != NULL ? "did you mean '" : "",
                      nearest != NULL ? nearest
                                      : "there are second, minute, hour, day, week, month, quarter "
                                        "and year",
                      nearest != NULL ? "'?" : "");
}

/* An edge of bucketize; `before` is the argument before it, an edge too from the second one on. */
static status_t check_edge (builder_t *self, const node_t *edge, const node_t *before, bool first)
{
    if (edge->kind != NODE_LITERAL || edge->type == TYPE_NONE)
        return error_set (self->error, STATUS_INVALID,
                          "the edges of bucketize are written out, as in bucketize(x, 0, 10)");
    status_t status = build_comparable (self, "bucketize", before->type, edge->type, edge->start);
    if (status != STATUS_OK || first || compare_values (&before->literal, &edge->literal) < 0)
        return status;
    return error_set (self->error, STATUS_INVALID, "the edges of bucketize must ascend");
}

/* What the literals among the arguments stand for. */
static status_t check_literals (builder_t *self, const signature_t *signature, size_t count,
                                const zone_t **zone, unit_t *unit)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        const node_t *arg = build_operand (self, count - 1 - i);
        char letter = letter_at (signature, i, count);
        self->at = arg->start;
        if (letter == 'z')
            status = open_zone (self, arg, zone);
        else if (letter == 'u')
            status = find_unit (self, arg, unit);
        else if (letter == 'e')
            status = check_edge (self, arg, build_operand (self, count - i), i == 1);
    }
    return status;
}

/* ---- types ---- */

/* Checks every argument; `common` is what those of the varying letter agree on. */
static status_t check_arguments (builder_t *self, const function_t *function,
                                 const signature_t *signature, size_t count, type_t *common)
{
    for (size_t i = 0; i < count; i++) {
        const node_t *arg = build_operand (self, count - 1 - i);
        char letter = letter_at (signature, i, count);
        type_t before = *common;
        self->at = arg->start;
        if (!letter_takes (letter, arg->type))
            return error_set (self->error, STATUS_INVALID, "%s takes %s, not %s: %s(%s)",
                              function->name, letter_words (letter), build_type_name (arg->type),
                              function->name, function->arguments);
        if (letter_varies (letter) && !build_agree (common, arg->type))
            return error_set (self->error, STATUS_INVALID,
                              "%s takes arguments of one type, not %s and %s", function->name,
                              build_type_name (before), build_type_name (arg->type));
    }
    return STATUS_OK;
}

static type_t letter_type (char letter, type_t common)
{
    return letter_varies (letter) ? common : type_from_word (text_of (letter_words (letter)));
}

status_t build_call (builder_t *self, const function_t *function, size_t count, size_t at)
{
    signature_t signature = read_signature (function->signature);
    const zone_t *zone = NULL;
    unit_t unit = UNIT_OF_DAY;
    type_t common = TYPE_NONE;
    status_t status = check_count (self, function, &signature, count, at);
    if (status == STATUS_OK)
        meet_decimals (self, &signature, count);
    if (status == STATUS_OK)
        status = check_arguments (self, function, &signature, count, &common);
    if (signature.letters[0] == 'r' && type_is_decimal (common))
        common = TYPE_FLOAT64;
    if (status == STATUS_OK)
        status = check_literals (self, &signature, count, &zone, &unit);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        char letter = letter_at (&signature, i, count);
        type_t type = letter_type (letter, common);
        if (letter == 'f' || letter_varies (letter))
            status = build_widen (self, count - 1 - i, type);
    }
    if (status != STATUS_OK)
        return status;
    node_t *node;
    status = build_node (self, NODE_CALL, letter_type (signature.result, common), count, at, &node);
    if (status != STATUS_OK)
        return status;
    node->strict = function->strict;
    node->kernel = type_is_decimal (common) ? decimal_kernel (function->kernel) : function->kernel;
    node->call.function = function;
    node->call.zone = zone;
    node->call.unit = unit;
    return STATUS_OK;
}
