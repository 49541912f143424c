/* cast(x as type): one kernel for each pair of types that there is a way between. What cannot be
 * said in the other type is null. */
#include "base/arena.h"
#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "base/value.h"
#include "expr/decimals.h"

#include <math.h>
#include <strings.h>

static void set_int (column_t *out, size_t row, bool ok, int64_t value)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->i[row] = ok ? value : 0;
}

static void cast_same (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        if (out->type == TYPE_STRING)
            out->s[r] = a->column.s[r * a->step];
        else
            out->i[r] = a->column.i[r * a->step];
    }
}

static void cast_int_to_bool (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_int (out, r, true, a->column.i[r * a->step] != 0);
}

static void cast_float_to_bool (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        double value = a->column.f[r * a->step];
        set_int (out, r, !isnan (value), value != 0.0);
    }
}

/* To the nearest, to the even one of two that are as near. */
static void cast_float_to_int (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        double value = rint (a->column.f[r * a->step]);
        bool ok = value >= -0x1p63 && value < 0x1p63;
        set_int (out, r, ok, ok ? (int64_t)value : 0);
    }
}

static void cast_string_to_bool (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = a->column.s[r * a->step];
        bool is_true = text.size == 4 && strncasecmp (text.data, "true", 4) == 0;
        bool is_false = text.size == 5 && strncasecmp (text.data, "false", 5) == 0;
        set_int (out, r, is_true || is_false, is_true);
    }
}

static void cast_string_to_int (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        int64_t value = 0;
        bool ok = number_parse_int (a->column.s[r * a->step], &value);
        set_int (out, r, ok, value);
    }
}

static void cast_string_to_float (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        double value = 0.0;
        bool ok = number_parse_float (a->column.s[r * a->step], &value) && out->valid[r];
        out->valid[r] = ok;
        out->f[r] = ok ? value_float (value) : 0.0;
    }
}

/* An integer is no time: its unit is not known. */
static bool looks_like_a_time (text_t text)
{
    return text.size > 0 && text.data[0] != '-' && memchr (text.data, '-', text.size) != NULL;
}

static void cast_string_to_time (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = a->column.s[r * a->step];
        int64_t value = 0;
        error_t error;
        bool ok = looks_like_a_time (text) &&
                  time_parse (text, NULL, UNIT_US, &value, &error) == STATUS_OK;
        set_int (out, r, ok, value);
    }
}

/* The longest is a decimal; a year of six digits and more is printed as an integer. */
enum { PRINTED_MAX = 48 };

typedef void print_t (buf_t *out, const vector_t *from, size_t at);

static void print_each (const call_t *call, column_t *out, print_t *print)
{
    const vector_t *a = call->args[0];
    char *to = arena_alloc (call->arena, call->rows * PRINTED_MAX);
    buf_t buf;
    buf_init (&buf, PRINTED_MAX);
    for (size_t r = 0; r < call->rows; r++) {
        out->s[r] = (text_t){ NULL, 0 };
        if (!out->valid[r])
            continue;
        buf_clear (&buf);
        print (&buf, a, r * a->step);
        out->s[r] = (text_t){ memcpy (to, buf.data, buf.size), (uint32_t)buf.size };
        to += buf.size;
    }
    buf_release (&buf);
}

static void print_bool (buf_t *out, const vector_t *from, size_t at)
{
    buf_put_string (out, from->column.i[at] ? "true" : "false");
}

static void print_int (buf_t *out, const vector_t *from, size_t at)
{
    buf_printf (out, "%lld", (long long)from->column.i[at]);
}

static void print_float (buf_t *out, const vector_t *from, size_t at)
{
    number_format_float (out, from->column.f[at]);
}

static void print_time (buf_t *out, const vector_t *from, size_t at)
{
    time_format (out, from->column.i[at]);
}

static void print_decimal (buf_t *out, const vector_t *from, size_t at)
{
    decimal_format (out, from->column.d[at], type_scale (from->column.type));
}

static void cast_decimal_to_string (const call_t *call, column_t *out)
{
    print_each (call, out, print_decimal);
}

static void cast_bool_to_string (const call_t *call, column_t *out)
{
    print_each (call, out, print_bool);
}

static void cast_int_to_string (const call_t *call, column_t *out)
{
    print_each (call, out, print_int);
}

static void cast_float_to_string (const call_t *call, column_t *out)
{
    print_each (call, out, print_float);
}

static void cast_time_to_string (const call_t *call, column_t *out)
{
    print_each (call, out, print_time);
}

_Static_assert((int)DECIMAL_TEXT_MAX <= (int)PRINTED_MAX, "a decimal fits");

/* By families: every decimal is TYPE_DECIMAL here. */
static const struct {
    type_t from, to;
    kernel_t *kernel;
} casts[] = {
    { TYPE_BOOL, TYPE_BOOL, cast_same },
    { TYPE_BOOL, TYPE_INT64, cast_same },
    { TYPE_BOOL, TYPE_FLOAT64, eval_widen },
    { TYPE_BOOL, TYPE_STRING, cast_bool_to_string },
    { TYPE_INT64, TYPE_BOOL, cast_int_to_bool },
    { TYPE_INT64, TYPE_INT64, cast_same },
    { TYPE_INT64, TYPE_FLOAT64, eval_widen },
    { TYPE_INT64, TYPE_STRING, cast_int_to_string },
    { TYPE_FLOAT64, TYPE_BOOL, cast_float_to_bool },
    { TYPE_FLOAT64, TYPE_INT64, cast_float_to_int },
    { TYPE_FLOAT64, TYPE_FLOAT64, cast_same },
    { TYPE_FLOAT64, TYPE_STRING, cast_float_to_string },
    { TYPE_STRING, TYPE_BOOL, cast_string_to_bool },
    { TYPE_STRING, TYPE_INT64, cast_string_to_int },
    { TYPE_STRING, TYPE_FLOAT64, cast_string_to_float },
    { TYPE_STRING, TYPE_STRING, cast_same },
    { TYPE_STRING, TYPE_TIMESTAMP, cast_string_to_time },
    { TYPE_TIMESTAMP, TYPE_STRING, cast_time_to_string },
    { TYPE_TIMESTAMP, TYPE_TIMESTAMP, cast_same },
    { TYPE_INT64, TYPE_DECIMAL, eval_int_to_decimal },
    { TYPE_FLOAT64, TYPE_DECIMAL, eval_float_to_decimal },
    { TYPE_STRING, TYPE_DECIMAL, eval_string_to_decimal },
    { TYPE_DECIMAL, TYPE_DECIMAL, eval_rescale },
    { TYPE_DECIMAL, TYPE_BOOL, eval_decimal_to_bool },
    { TYPE_DECIMAL, TYPE_INT64, eval_decimal_to_int },
    { TYPE_DECIMAL, TYPE_FLOAT64, eval_decimal_to_float },
    { TYPE_DECIMAL, TYPE_STRING, cast_decimal_to_string },
};

static bool is_number (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64 || type == TYPE_DECIMAL;
}

kernel_t *cast_find (type_t from, type_t to, const char **hint)
{
    from = type_family (from);
    to = type_family (to);
    for (size_t i = 0; i < sizeof casts / sizeof *casts; i++) {
        if (casts[i].to == to && (casts[i].from == from || from == TYPE_NONE))
            return casts[i].kernel;
    }
    *hint = "";
    if (from == TYPE_DURATION)
        *hint = "; to_seconds(d) makes a duration a number";
    else if (from == TYPE_TIMESTAMP && is_number (to))
        *hint = "; to_unix(ts) and to_unix_ms(ts) make a time a number";
    else if (is_number (from) && to == TYPE_TIMESTAMP)
        *hint = "; from_unix(seconds) and from_unix_ms(milliseconds) make a number a time";
    return NULL;
}
