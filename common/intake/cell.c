#include "intake/cell.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    SHOWN_MAX = 40,   /* bytes of a value that a reason repeats */
    REASON_MAX = 512, /* bytes of a reason */
};

static bool is_blank (char c)
{
    return c == ' ' || c == '\t';
}

/* A number, time or bool of a CSV may have blanks around it; a string keeps its own. */
static text_t trimmed (const raw_t *raw)
{
    text_t text = raw->s;
    while (raw->loose && text.size > 0 && is_blank (text.data[0]))
        text = (text_t){ text.data + 1, text.size - 1 };
    while (raw->loose && text.size > 0 && is_blank (text.data[text.size - 1]))
        text.size--;
    return text;
}

static bool bool_value (const raw_t *raw, value_t *value)
{
    value->i = raw->i;
    if (raw->kind == RAW_BOOL)
        return true;
    if (raw->kind != RAW_TEXT || !raw->loose)
        return false;
    text_t text = trimmed (raw);
    value->i = text_is (text, "true") || text_is (text, "True") || text_is (text, "TRUE");
    return value->i || text_is (text, "false") || text_is (text, "False") ||
           text_is (text, "FALSE");
}

static bool int_value (const raw_t *raw, value_t *value)
{
    value->i = raw->i;
    if (raw->kind == RAW_INT)
        return true;
    return raw->kind == RAW_TEXT && raw->loose && number_parse_int (trimmed (raw), &value->i);
}

/* JSON has no other way to write these than the strings that answers are printed with. */
static bool is_not_finite (text_t text)
{
    return text_is (text, "NaN") || text_is (text, "Infinity") || text_is (text, "-Infinity");
}

static bool float_value (const raw_t *raw, value_t *value)
{
    double number = 0;
    bool good = true;
    if (raw->kind == RAW_FLOAT)
        number = raw->f;
    else if (raw->kind == RAW_INT)
        number = (double)raw->i;
    else
        good = raw->kind == RAW_TEXT && (raw->loose || is_not_finite (raw->s)) &&
               number_parse_float (trimmed (raw), &number);
    value->f = value_float (number);
    return good;
}

static decimal_fault_t decimal_value (const field_t *field, const raw_t *raw, value_t *value)
{
    unsigned scale = type_scale (field->type);
    int128_t end = decimal_power (field->precision);
    if (raw->kind == RAW_TEXT)
        return decimal_parse (trimmed (raw), field->precision, scale, &value->d);
    if (raw->kind == RAW_FLOAT && raw->s.size > 0)
        return decimal_parse (raw->s, field->precision, scale, &value->d);
    if (raw->kind != RAW_INT)
        return DECIMAL_NO_NUMBER;
    bool fits = decimal_rescale (raw->i, 0, scale, &value->d) && value->d < end && value->d > -end;
    return fits ? DECIMAL_GOOD : DECIMAL_TOO_LONG;
}

static bool string_value (const raw_t *raw, value_t *value)
{
    if (raw->kind != RAW_TEXT || raw->s.size > STRING_VALUE_MAX || !text_is_utf8 (raw->s))
        return false;
    value->s = raw->s;
    return true;
}

static bool timestamp_value (const field_t *field, const raw_t *raw, value_t *value)
{
    if (raw->kind == RAW_INT)
        return time_from_integer (raw->i, field->unit, &value->i, NULL) == STATUS_OK;
    return raw->kind == RAW_TEXT &&
           time_parse (trimmed (raw), field->zone, field->unit, &value->i, NULL) == STATUS_OK;
}

bool cell_value (const field_t *field, const raw_t *raw, value_t *value)
{
    *value = (value_t){ .type = field->type, .null = raw->kind == RAW_NULL };
    if (value->null)
        return true;
    switch (type_family (field->type)) {
    case TYPE_BOOL:
        return bool_value (raw, value);
    case TYPE_INT64:
        return int_value (raw, value);
    case TYPE_FLOAT64:
        return float_value (raw, value);
    case TYPE_DECIMAL:
        return decimal_value (field, raw, value) == DECIMAL_GOOD;
    case TYPE_STRING:
        return string_value (raw, value);
    case TYPE_TIMESTAMP:
        return timestamp_value (field, raw, value);
    case TYPE_NONE:
    case TYPE_DURATION:
    case TYPE_LIST:
    case TYPE_MAP:
        break;
    }
    CHECK (type_is_field (field->type));
    return false;
}

const char *cell_format (arena_t *arena, const char *format, ...)
{
    char text[REASON_MAX];
    va_list arguments;
    va_start (arguments, format);
    int size = vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    CHECK (size >= 0);
    return arena_string (arena, text_of (text));
}

void cell_show (buf_t *out, text_t text)
{
    size_t shown = 0;
    while (text.size > 0 && shown < SHOWN_MAX) {
        uint32_t step = text_utf8_step (text);
        bool plain =
            step > 1 || (step == 1 && (uint8_t)text.data[0] >= ' ' && text.data[0] != 0x7f);
        if (plain)
            buf_put (out, text.data, step);
        else
            buf_put_u8 (out, '?');
        step = step > 0 ? step : 1;
        shown += step;
        text = (text_t){ text.data + step, text.size - step };
    }
    if (text.size > 0)
        buf_put_string (out, "...");
}

static void show_raw (buf_t *out, const raw_t *raw)
{
    switch (raw->kind) {
    case RAW_NULL:
        buf_put_string (out, "null");
        break;
    case RAW_BOOL:
        buf_put_string (out, raw->i ? "true" : "false");
        break;
    case RAW_INT:
        buf_printf (out, "%" PRId64, raw->i);
        break;
    case RAW_FLOAT:
        if (raw->s.size > 0)
            cell_show (out, raw->s);
        else
            number_format_float (out, raw->f);
        break;
    case RAW_TEXT:
        buf_put_u8 (out, '\'');
        cell_show (out, raw->s);
        buf_put_u8 (out, '\'');
        break;
    case RAW_OTHER:
        buf_put_string (out, "a list, an object or bytes");
        break;
    }
}

static const char *timestamp_cause (const field_t *field, const raw_t *raw)
{
    int64_t time;
    if (raw->kind != RAW_INT && raw->kind != RAW_TEXT)
        return NULL;
    status_t status = raw->kind == RAW_INT
                          ? time_from_integer (raw->i, field->unit, &time, NULL)
                          : time_parse (trimmed (raw), field->zone, field->unit, &time, NULL);
    if (status == STATUS_RANGE)
        return "is too far from 1970; is it in another unit than the field's?";
    if (time_parse (trimmed (raw), NULL, field->unit, &time, NULL) == STATUS_OK)
        return "does not exist: the clocks of the field's zone skip it";
    return "is not a timestamp: expected RFC 3339 (2026-01-02T03:04:05Z), YYYY-MM-DD HH:MM:SS, "
           "YYYY-MM-DD or an integer";
}

static const char *decimal_cause (const field_t *field, const raw_t *raw, arena_t *arena)
{
    value_t value;
    unsigned precision = field->precision;
    unsigned scale = type_scale (field->type);
    if (raw->kind == RAW_FLOAT && raw->s.size == 0)
        return "is a float64, which is not exact: a decimal is sent as text or as an integer";
    switch (decimal_value (field, raw, &value)) {
    case DECIMAL_TOO_FINE:
        return cell_format (arena,
                            "has more than the %u digits after the point of a decimal(%u,%u)",
                            scale, precision, scale);
    case DECIMAL_TOO_LONG:
        return cell_format (arena,
                            "has more than the %u digits before the point of a decimal(%u,%u)",
                            precision - scale, precision, scale);
    case DECIMAL_NO_NUMBER:
    case DECIMAL_GOOD:
        break;
    }
    return cell_format (arena, "is not a decimal(%u,%u)", precision, scale);
}

/* Where there is more to say than the type; else NULL. */
static const char *known_cause (const field_t *field, const raw_t *raw, arena_t *arena)
{
    if (type_is_decimal (field->type))
        return decimal_cause (field, raw, arena);
    if (field->type == TYPE_TIMESTAMP)
        return timestamp_cause (field, raw);
    if (field->type == TYPE_STRING && raw->kind == RAW_TEXT)
        return raw->s.size > STRING_VALUE_MAX ? "is longer than 4096 bytes"
                                              : "is not UTF-8 text without NUL";
    return NULL;
}

_Static_assert(STRING_VALUE_MAX == 4096, "the text above says so");

const char *cell_reason (const field_t *field, const raw_t *raw, arena_t *arena)
{
    buf_t shown;
    buf_init (&shown, REASON_MAX);
    show_raw (&shown, raw);
    const char *cause = known_cause (field, raw, arena);
    const char *reason;
    if (cause != NULL)
        reason = cell_format (arena, "column %s: %s %s", field->column, buf_string (&shown), cause);
    else
        reason =
            cell_format (arena, "column %s: %s is not a%s %s", field->column, buf_string (&shown),
                         field->type == TYPE_INT64 ? "n" : "", type_word (field->type));
    buf_release (&shown);
    return reason;
}
