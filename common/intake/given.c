#include "intake/given.h"

#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <string.h>

/* A number that was sent as text, as the command line does. */
static bool value_from_text (const field_t *field, text_t text, value_t *value)
{
    error_t ignored;
    switch (type_family (field->type)) {
    case TYPE_DECIMAL:
        return decimal_parse (text, field->precision, type_scale (field->type), &value->d) ==
               DECIMAL_GOOD;
    case TYPE_STRING:
        value->s = text;
        return true;
    case TYPE_INT64:
        return number_parse_int (text, &value->i);
    case TYPE_FLOAT64:
        if (!number_parse_float (text, &value->f))
            return false;
        value->f = value_float (value->f);
        return true;
    case TYPE_TIMESTAMP:
        return time_parse (text, field->zone, field->unit, &value->i, &ignored) == STATUS_OK;
    case TYPE_BOOL:
        value->i = text_is (text, "true");
        return value->i || text_is (text, "false");
    default:
        return false;
    }
}

static bool decimal_from_int (const field_t *field, int64_t number, value_t *value)
{
    int128_t end = decimal_power (field->precision);
    return decimal_rescale (number, 0, type_scale (field->type), &value->d) && value->d < end &&
           value->d > -end;
}

static bool value_from_int (const field_t *field, int64_t number, value_t *value)
{
    error_t ignored;
    switch (type_family (field->type)) {
    case TYPE_DECIMAL:
        return decimal_from_int (field, number, value);
    case TYPE_INT64:
        value->i = number;
        return true;
    case TYPE_FLOAT64:
        value->f = (double)number;
        return value->f < 0x1p63 && (int64_t)value->f == number;
    case TYPE_TIMESTAMP:
        return time_from_integer (number, field->unit, &value->i, &ignored) == STATUS_OK;
    default:
        return false;
    }
}

status_t given_value (const field_t *field, const char *what, const wire_value_t *given,
                      arena_t *arena, value_t *value, error_t *error)
{
    *value = (value_t){ .type = field->type };
    bool good = false;
    switch (given->type) {
    case MSGPACK_OBJECT_STR:
        good = value_from_text (field, arena_text (arena, wire_item_text (given)), value);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        good =
            given->via.u64 <= INT64_MAX && value_from_int (field, (int64_t)given->via.u64, value);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        good = value_from_int (field, given->via.i64, value);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        value->i = given->via.boolean;
        good = field->type == TYPE_BOOL;
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        value->f = value_float (given->via.f64);
        good = field->type == TYPE_FLOAT64;
        break;
    case MSGPACK_OBJECT_NIL:
        value->null = true;
        return STATUS_OK;
    default:
        break;
    }
    if (good)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID, "%s '%s' takes a %s", what, field->name,
                      type_word (field->type));
}

static status_t no_such_value (const view_t *view, text_t name, error_t *error)
{
    const char *names[REQUEST_FIELDS_MAX];
    char word[NAME_MAX_SIZE + 1] = "";
    for (size_t i = 0; i < view->request_count; i++)
        names[i] = view->request[i].name;
    if (name.size > 0 && name.size <= NAME_MAX_SIZE)
        memcpy (word, name.data, name.size);
    const char *nearest = text_nearest (word, names, view->request_count);
    if (view->request_count == 0)
        return error_set (error, STATUS_NOT_FOUND,
                          "view '%s' takes no values of a request, and '" TEXT_FORMAT "' is given",
                          view->name, TEXT_ARGS (name));
    return error_set (error, STATUS_NOT_FOUND,
                      "view '%s' takes no request value '" TEXT_FORMAT "'%s%s%s", view->name,
                      TEXT_ARGS (name), nearest ? "; did you mean '" : "", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

status_t given_request (const view_t *view, const wire_value_t *map, arena_t *arena,
                        value_t **values, error_t *error)
{
    value_t *out = arena_zero (arena, view->request_count, sizeof *out);
    for (size_t i = 0; i < view->request_count; i++)
        out[i] = (value_t){ .type = view->request[i].type, .null = true };
    *values = out;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        text_t name = wire_item_text (&map->via.map.ptr[i].key);
        int index = view_request_field (view, name);
        if (index < 0)
            return no_such_value (view, name, error);
        status_t status = given_value (&view->request[index], "request value",
                                       &map->via.map.ptr[i].val, arena, &out[index], error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

bool given_same_request (const view_t *a, const view_t *b)
{
    bool same = a->request_count == b->request_count;
    for (size_t i = 0; i < a->request_count && same; i++)
        same = strcmp (a->request[i].name, b->request[i].name) == 0 &&
               a->request[i].type == b->request[i].type;
    return same;
}
