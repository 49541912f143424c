/* result.c - values of replies, and their JSON. */
#include "client/lib/weir.h"

#include "base/check.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <math.h>

/* ---- values ---- */

static int64_t integer_of (const wire_value_t *value)
{
    if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER && value->via.u64 > INT64_MAX)
        return INT64_MAX;
    return value->via.i64;
}

static bool is_integer (const wire_value_t *value)
{
    return value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
           value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

static bool is_float (const wire_value_t *value)
{
    return value->type == MSGPACK_OBJECT_FLOAT32 || value->type == MSGPACK_OBJECT_FLOAT64;
}

/* The type that a decoded value has by itself. */
static type_t own_type (const wire_value_t *value)
{
    if (value->type == MSGPACK_OBJECT_BOOLEAN)
        return TYPE_BOOL;
    if (is_integer (value))
        return TYPE_INT64;
    if (is_float (value))
        return TYPE_FLOAT64;
    return value->type == MSGPACK_OBJECT_STR ? TYPE_STRING : TYPE_NONE;
}

static value_t value_of (const wire_value_t *given, type_t type)
{
    value_t value = { .type = own_type (given) };
    if (value.type == TYPE_BOOL)
        value.i = given->via.boolean;
    else if (value.type == TYPE_INT64)
        value.i = integer_of (given);
    else if (value.type == TYPE_FLOAT64)
        value.f = given->via.f64;
    else if (value.type == TYPE_STRING)
        value.s = (text_t){ given->via.str.ptr, given->via.str.size };
    else
        value = (value_t){ .type = type, .null = true };
    if (value.type == TYPE_INT64 && (type == TYPE_TIMESTAMP || type == TYPE_DURATION))
        value.type = type;
    if (value.type == TYPE_INT64 && type == TYPE_FLOAT64) {
        value.type = TYPE_FLOAT64;
        value.f = (double)value.i;
    }
    return value;
}

value_t weir_result_value (const wire_value_t *body, uint32_t result, uint32_t feature)
{
    wire_list_t results = wire_list (body, "results");
    wire_list_t types = wire_list (body, "types");
    CHECK (result < results.count);
    wire_list_t values = wire_list (&results.items[result], "values");
    CHECK (feature < values.count);
    CHECK (feature < types.count);
    return value_of (&values.items[feature],
                     type_from_word (wire_item_text (&types.items[feature])));
}

/* ---- JSON ---- */

static void values_json (const value_list_t *list, buf_t *out)
{
    buf_put_u8 (out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        weir_value_json (&list->items[i], out);
    }
    buf_put_u8 (out, ']');
}

/* Names in JSON are strings: those of a key that is none are its text. */
static void entries_json (const value_map_t *map, buf_t *out)
{
    buf_put_u8 (out, '{');
    for (size_t i = 0; i < map->count; i++) {
        bool quoted = map->keys[i].type == TYPE_STRING || map->keys[i].type == TYPE_TIMESTAMP;
        if (i > 0)
            buf_put_u8 (out, ',');
        if (!quoted)
            buf_put_u8 (out, '"');
        weir_value_json (&map->keys[i], out);
        if (!quoted)
            buf_put_u8 (out, '"');
        buf_put_u8 (out, ':');
        weir_value_json (&map->values[i], out);
    }
    buf_put_u8 (out, '}');
}

void weir_value_json (const value_t *value, buf_t *out)
{
    if (value->null || value->type == TYPE_NONE) {
        buf_put_string (out, "null");
        return;
    }
    switch (value->type) {
    case TYPE_BOOL:
        buf_put_string (out, value->i ? "true" : "false");
        break;
    case TYPE_FLOAT64:
        if (!isfinite (value->f))
            buf_put_u8 (out, '"');
        number_format_float (out, value->f);
        if (!isfinite (value->f))
            buf_put_u8 (out, '"');
        break;
    case TYPE_STRING:
        number_format_json_string (out, value->s);
        break;
    case TYPE_TIMESTAMP:
        buf_put_u8 (out, '"');
        time_format (out, value->i);
        buf_put_u8 (out, '"');
        break;
    case TYPE_NONE:
    case TYPE_INT64:
    case TYPE_DURATION:
        buf_printf (out, "%" PRId64, value->i);
        break;
    case TYPE_LIST:
        values_json (value->list, out);
        break;
    case TYPE_MAP:
        entries_json (value->map, out);
        break;
    }
}

static void list_json (const wire_value_t *list, buf_t *out)
{
    buf_put_u8 (out, '[');
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        weir_any_json (&list->via.array.ptr[i], out);
    }
    buf_put_u8 (out, ']');
}

static void name_json (const wire_value_t *name, buf_t *out)
{
    if (name->type == MSGPACK_OBJECT_STR)
        weir_any_json (name, out);
    else
        buf_put_string (out, "\"?\"");
    buf_put_u8 (out, ':');
}

static void map_json (const wire_value_t *map, buf_t *out)
{
    buf_put_u8 (out, '{');
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        name_json (&map->via.map.ptr[i].key, out);
        weir_any_json (&map->via.map.ptr[i].val, out);
    }
    buf_put_u8 (out, '}');
}

void weir_any_json (const wire_value_t *value, buf_t *out)
{
    if (value->type == MSGPACK_OBJECT_ARRAY) {
        list_json (value, out);
    } else if (value->type == MSGPACK_OBJECT_MAP) {
        map_json (value, out);
    } else if (value->type == MSGPACK_OBJECT_BIN) {
        buf_put_u8 (out, '"');
        for (uint32_t i = 0; i < value->via.bin.size; i++)
            buf_printf (out, "%02x", (unsigned)(uint8_t)value->via.bin.ptr[i]);
        buf_put_u8 (out, '"');
    } else if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        buf_printf (out, "%" PRIu64, value->via.u64);
    } else {
        value_t plain = value_of (value, TYPE_NONE);
        weir_value_json (&plain, out);
    }
}

static void features_json (const wire_value_t *body, uint32_t result, buf_t *out)
{
    wire_list_t names = wire_list (body, "features");
    buf_put_string (out, ",\"features\":{");
    for (uint32_t i = 0; i < names.count; i++) {
        value_t value = weir_result_value (body, result, i);
        if (i > 0)
            buf_put_u8 (out, ',');
        number_format_json_string (out, wire_item_text (&names.items[i]));
        buf_put_u8 (out, ':');
        weir_value_json (&value, out);
    }
    buf_put_u8 (out, '}');
}

void weir_result_json (const wire_value_t *body, uint32_t result, buf_t *out)
{
    wire_list_t results = wire_list (body, "results");
    CHECK (result < results.count);
    const wire_value_t *one = &results.items[result];
    value_t as_of = { .type = TYPE_TIMESTAMP, .i = wire_int (one, "as_of", 0) };
    buf_put_string (out, "{\"key\":");
    weir_any_json (wire_map (one, "key"), out);
    features_json (body, result, out);
    buf_put_string (out, ",\"as_of\":");
    weir_value_json (&as_of, out);
    buf_printf (out, ",\"complete\":%s,\"positions\":",
                wire_bool (one, "complete", false) ? "true" : "false");
    weir_any_json (wire_map (one, "positions"), out);
    buf_put_string (out, ",\"dataset\":");
    number_format_json_string (out, wire_text (one, "dataset"));
    buf_put_string (out, ",\"versions\":{");
    number_format_json_string (out, wire_text (body, "view"));
    buf_put_u8 (out, ':');
    number_format_json_string (out, wire_text (body, "version"));
    buf_put_u8 (out, '}');
    const wire_value_t *errors = wire_map (one, "errors");
    if (errors && errors->via.map.size > 0) {
        buf_put_string (out, ",\"errors\":");
        map_json (errors, out);
    }
    if (wire_list (one, "incomplete").count > 0) {
        buf_put_string (out, ",\"incomplete\":");
        weir_any_json (wire_any (one, "incomplete"), out);
    }
    buf_put_u8 (out, '}');
}
