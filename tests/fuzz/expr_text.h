/* expr_text.h - expressions that are well typed, mostly, made from the choices that bytes stand
 * for: text that was never near an expression does not get past the parser. */
#ifndef WEIR_FUZZ_EXPR_TEXT_H
#define WEIR_FUZZ_EXPR_TEXT_H

#include "base/buf.h"
#include "base/value.h"
#include "expr/functions.h"

typedef struct maker {
    reader_t choices;
    buf_t *out;
    int depth;
} maker_t;

enum { MAKER_DEPTH_MAX = 12 };

static void make_value (maker_t *self, char type);

static uint8_t choose (maker_t *self, uint8_t count)
{
    uint8_t byte = reader_left (&self->choices) > 0 ? reader_u8 (&self->choices) : 0;
    return byte % count;
}

static const char *pick (maker_t *self, const char *const *list, uint8_t count)
{
    return list[choose (self, count)];
}

#define PICK(self, ...)                                                                            \
    pick (self, (const char *const[]){ __VA_ARGS__ },                                              \
          (uint8_t)(sizeof ((const char *const[]){ __VA_ARGS__ }) / sizeof (char *)))

/* The letters are those of the signatures in functions.h. */
static void make_leaf (maker_t *self, char type)
{
    switch (type) {
    case 'b':
        buf_put_string (self->out, PICK (self, "b", "true", "false", "null"));
        break;
    case 'i':
        buf_put_string (self->out,
                        PICK (self, "i", "0", "1", "2", "-1", "7", "22", "-23", "1000000007",
                              "null", "9223372036854775807", "-9223372036854775808"));
        break;
    case 'f':
        buf_put_string (self->out, PICK (self, "f", "0.0", "0.5", "-2.5", "1e308", "2.675",
                                         "1e-310", "9007199254740993.0", "i", "null"));
        break;
    case 's':
        buf_put_string (self->out,
                        PICK (self, "s", "''", "'a'", "'%a_'", "'\\%'", "'héé'", "'it''s'",
                              "' 12 '", "'1e3'", "'2026-03-29'", "null", "'true'"));
        break;
    case 't':
        buf_put_string (self->out, PICK (self, "t", "time '2026-03-29T01:30:00Z'",
                                         "time '1883-11-18'", "time '9999-12-31'", "null"));
        break;
    case 'z':
        buf_put_string (self->out, PICK (self, "'UTC'", "'Europe/Berlin'", "'Asia/Kolkata'",
                                         "'Pacific/Apia'", "'Nowhere'", "s"));
        break;
    case 'u':
        buf_put_string (self->out, PICK (self, "'second'", "'minute'", "'hour'", "'day'", "'week'",
                                         "'month'", "'quarter'", "'year'", "'eon'", "s"));
        break;
    default:
        buf_put_string (self->out, PICK (self, "d", "1us", "1d", "5w", "-1h", "null"));
        break;
    }
}

/* A type for a letter that stands for several. */
static char narrow (maker_t *self, char letter)
{
    static const char types[] = "bifstd";
    switch (letter) {
    case 'n':
        return types[1 + choose (self, 2)];
    case 'm':
        return "ifd"[choose (self, 3)];
    case 'o':
    case 'e':
        return "iftd"[choose (self, 4)];
    case 'h':
    case 'a':
        return types[choose (self, 6)];
    default:
        return letter;
    }
}

static const struct {
    const char *name, *signature;
} made_functions[] = {
#define X(name, arguments, signature, nulls) { #name, signature },
    FUNCTION_TABLE (X)
#undef X
};

enum { MADE_FUNCTIONS = sizeof made_functions / sizeof *made_functions };

/* A call of one of the functions whose result does for `type`, from a random one on. */
static void make_call (maker_t *self, char type)
{
    uint8_t first = choose (self, MADE_FUNCTIONS);
    for (size_t k = 0; k < MADE_FUNCTIONS; k++) {
        size_t i = (first + k) % MADE_FUNCTIONS;
        const char *letter = made_functions[i].signature;
        char result = letter[strlen (letter) - 1];
        bool varies = strchr ("nma", result) != NULL;
        if (result != type && !(varies && (result == 'a' || type == 'i' || type == 'f')))
            continue;
        buf_printf (self->out, "%s(", made_functions[i].name);
        for (bool more = false; *letter != '>'; letter++) {
            if (letter[1] == '?' && choose (self, 2) == 0) {
                letter++;
                continue;
            }
            uint8_t times = letter[1] == '*' ? (uint8_t)(1 + choose (self, 3)) : 1;
            for (; times > 0; times--, more = true) {
                buf_put_string (self->out, more ? ", " : "");
                bool same = strchr ("nma", *letter) != NULL && varies;
                if (*letter == 'e')
                    buf_printf (self->out, "%d", (int)choose (self, 200) - 100);
                else
                    make_value (self, same ? type : narrow (self, *letter));
            }
            letter += letter[1] == '*' || letter[1] == '?';
        }
        buf_put_string (self->out, ")");
        return;
    }
    make_leaf (self, type);
}

static void make_between (maker_t *self, char left, const char *word, char right)
{
    buf_put_string (self->out, "(");
    make_value (self, left);
    buf_printf (self->out, " %s ", word);
    make_value (self, right);
    buf_put_string (self->out, ")");
}

static void make_bool (maker_t *self)
{
    char type = narrow (self, 'a');
    switch (choose (self, 6)) {
    case 0:
        make_between (self, 'b', PICK (self, "and", "or"), 'b');
        break;
    case 1:
        make_between (self, type,
                      PICK (self, "=", "<>", "<", "<=", ">", ">=", "is distinct from",
                            "is not distinct from"),
                      type);
        break;
    case 2:
        make_between (self, 's', PICK (self, "like", "not like"), 's');
        break;
    case 3:
        buf_put_string (self->out, "not ");
        make_value (self, 'b');
        break;
    case 4:
        make_value (self, type);
        buf_put_string (self->out, PICK (self, " between ", " not between "));
        make_value (self, type);
        buf_put_string (self->out, " and ");
        make_value (self, type);
        break;
    default:
        make_value (self, type);
        buf_put_string (self->out, PICK (self, " in (", " not in ("));
        make_value (self, type);
        buf_put_string (self->out, ", ");
        make_value (self, type);
        buf_put_string (self->out, ")");
        break;
    }
}

static void make_operator (maker_t *self, char type)
{
    switch (type) {
    case 'b':
        buf_put_string (self->out, "(");
        make_bool (self);
        buf_put_string (self->out, ")");
        break;
    case 's':
        make_between (self, 's', "||", 's');
        break;
    case 't':
        make_between (self, 't', PICK (self, "+", "-"), 'd');
        break;
    case 'd':
        if (choose (self, 2) == 0)
            make_between (self, 't', "-", 't');
        else
            make_between (self, 'd', PICK (self, "+", "-"), 'd');
        break;
    default:
        make_between (self, type, PICK (self, "+", "-", "*", "/", "%"), type);
        break;
    }
}

static void make_case (maker_t *self, char type)
{
    char compared = choose (self, 2) == 0 ? narrow (self, 'a') : '\0';
    buf_put_string (self->out, "case ");
    if (compared != '\0')
        make_value (self, compared);
    for (uint8_t arms = (uint8_t)(1 + choose (self, 2)); arms > 0; arms--) {
        buf_put_string (self->out, " when ");
        make_value (self, compared != '\0' ? compared : 'b');
        buf_put_string (self->out, " then ");
        make_value (self, type);
    }
    if (choose (self, 2) == 0) {
        buf_put_string (self->out, " else ");
        make_value (self, type);
    }
    buf_put_string (self->out, " end");
}

static void make_cast (maker_t *self, char type)
{
    static const char types[] = "bifst";
    static const char *const words[] = { "bool", "int64", "float64", "string", "timestamp" };
    buf_put_string (self->out, "cast(");
    make_value (self, choose (self, 40) == 0 ? narrow (self, 'h')
                      : type == 't'          ? "st"[choose (self, 2)]
                      : type == 's'          ? "bifst"[choose (self, 5)]
                                             : "bifs"[choose (self, 4)]);
    const char *at = strchr (types, type);
    buf_printf (self->out, " as %s)", at != NULL ? words[at - types] : "duration");
}

static void make_value (maker_t *self, char type)
{
    if (++self->depth >= MAKER_DEPTH_MAX || reader_left (&self->choices) == 0 || type == 'z' ||
        type == 'u') {
        make_leaf (self, type);
    } else {
        switch (choose (self, 8)) {
        case 0:
        case 1:
            make_leaf (self, type);
            break;
        case 2:
        case 3:
            make_operator (self, type);
            break;
        case 4:
            make_case (self, type);
            break;
        case 5:
            if (type == 'd')
                make_leaf (self, type);
            else
                make_cast (self, type);
            break;
        default:
            make_call (self, type);
            break;
        }
    }
    self->depth--;
}

#endif
