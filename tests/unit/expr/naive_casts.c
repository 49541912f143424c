/* Casts of the naive evaluation. */
#include "base/buf.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "naive.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* Integers and times that text can be are those of base. */
static value_t cast_text (type_t to, text_t text, arena_t *arena)
{
    value_t value = { .type = to };
    error_t error;
    char *string = arena_string (arena, text);
    bool ok = true;
    if (to == TYPE_BOOL)
        ok = (value.i = strcasecmp (string, "true") == 0) || strcasecmp (string, "false") == 0;
    else if (to == TYPE_INT64)
        ok = number_parse_int (text, &value.i);
    else if (to == TYPE_FLOAT64)
        ok = number_parse_float (text, &value.f);
    else if (to == TYPE_TIMESTAMP)
        ok = strchr (string, '-') > string &&
             time_parse (text, NULL, UNIT_US, &value.i, &error) == STATUS_OK;
    else
        value.s = text;
    return !ok ? null_value : to == TYPE_FLOAT64 ? float_of (value.f) : value;
}

static value_t text_from (value_t from, arena_t *arena)
{
    buf_t buf;
    buf_init (&buf, 100);
    if (from.type == TYPE_BOOL)
        buf_put_string (&buf, from.i ? "true" : "false");
    else if (from.type == TYPE_FLOAT64)
        number_format_float (&buf, from.f);
    else if (from.type == TYPE_TIMESTAMP)
        time_format (&buf, from.i);
    else
        buf_printf (&buf, "%lld", (long long)from.i);
    return string_of (&buf, arena);
}

value_t naive_cast (type_t to, value_t from, arena_t *arena)
{
    if (from.type == TYPE_STRING)
        return cast_text (to, from.s, arena);
    if (to == TYPE_STRING)
        return text_from (from, arena);
    if (to == from.type)
        return from;
    if (to == TYPE_BOOL)
        return isnan (number_of (from)) ? null_value : bool_of (number_of (from) != 0);
    if (to == TYPE_FLOAT64)
        return float_of ((double)from.i);
    if (from.type == TYPE_BOOL)
        return int_of (from.i);
    double whole = nearbyint (from.f);
    return fabs (whole) <= 0x1p63 ? int_of ((__int128)whole) : null_value;
}
