/* result.c - values of replies, and their JSON. */
#include "client/lib/client.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <math.h>

enum { VALUES_CHUNK = 16 << 10 };

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

static value_t single_of (const wire_value_t *given, type_t type)
{
    value_t value = { .type = own_type (given) };
    if (type_is_decimal (type) && value.type == TYPE_STRING) {
        text_t text = { given->via.str.ptr, given->via.str.size };
        value.type = type;
        value.null = decimal_parse (text, DECIMAL_DIGITS_MAX, type_scale (type), &value.d) !=
                     DECIMAL_GOOD; /* no serving node sends that */
        return value;
    }
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

/* What stands between < and > of "list<int64>"; false when the type is not that. */
static bool type_inside (text_t type, const char *word, text_t *inside)
{
    uint32_t size = (uint32_t)strlen (word);
    if (type.size < size + 2 || memcmp (type.data, word, size) != 0 || type.data[size] != '<' ||
        type.data[type.size - 1] != '>')
        return false;
    *inside = (text_t){ type.data + size + 1, type.size - size - 2 };
    return true;
}

static value_t *values_of (const wire_value_t *given, text_t type, arena_t *arena)
{
    value_t *values = arena_zero (arena, given->via.array.size, sizeof *values);
    for (uint32_t i = 0; i < given->via.array.size; i++)
        values[i] = client_value_of (&given->via.array.ptr[i], type, arena);
    return values;
}

static value_t list_of (const wire_value_t *given, text_t item, arena_t *arena)
{
    if (given->type != MSGPACK_OBJECT_ARRAY)
        return (value_t){ .type = TYPE_LIST, .null = true };
    value_list_t *list = arena_zero (arena, 1, sizeof *list);
    list->count = given->via.array.size;
    list->items = values_of (given, item, arena);
    return (value_t){ .type = TYPE_LIST, .list = list };
}

/* A field of a map whose shape nobody has checked; NULL when it is not there. */
static const wire_value_t *field_of (const wire_value_t *map, const char *name)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        if (text_is (wire_item_text (&map->via.map.ptr[i].key), name))
            return &map->via.map.ptr[i].val;
    }
    return NULL;
}

static value_t map_of (const wire_value_t *given, text_t key, text_t item, arena_t *arena)
{
    const value_t none = { .type = TYPE_MAP, .null = true };
    if (given->type != MSGPACK_OBJECT_MAP)
        return none;
    const wire_value_t *keys = field_of (given, "keys"), *values = field_of (given, "values");
    const wire_value_t *capped = field_of (given, "capped"), *total = field_of (given, "total");
    if (!keys || !values || keys->type != MSGPACK_OBJECT_ARRAY ||
        values->type != MSGPACK_OBJECT_ARRAY || keys->via.array.size != values->via.array.size)
        return none;
    value_map_t *map = arena_zero (arena, 1, sizeof *map);
    map->count = keys->via.array.size;
    map->keys = values_of (keys, key, arena);
    map->values = values_of (values, item, arena);
    map->capped = capped && capped->type == MSGPACK_OBJECT_BOOLEAN && capped->via.boolean;
    map->total = total && total->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? total->via.u64 : 0;
    return (value_t){ .type = TYPE_MAP, .map = map };
}

/* The first comma that is not between parentheses, as that of decimal(38,2); NULL without. */
static const char *comma_outside (text_t text)
{
    int depth = 0;
    for (uint32_t i = 0; i < text.size; i++) {
        depth += (text.data[i] == '(') - (text.data[i] == ')');
        if (text.data[i] == ',' && depth == 0)
            return text.data + i;
    }
    return NULL;
}

value_t client_value_of (const wire_value_t *given, text_t type, arena_t *arena)
{
    text_t inside;
    if (type_inside (type, "list", &inside))
        return list_of (given, inside, arena);
    const char *comma = NULL;
    if (type_inside (type, "map", &inside) && inside.size > 0)
        comma = comma_outside (inside);
    if (!comma)
        return single_of (given, type_from_word (type));
    uint32_t key = (uint32_t)(comma - inside.data);
    return map_of (given, (text_t){ inside.data, key },
                   (text_t){ comma + 1, inside.size - key - 1 }, arena);
}

value_t client_result_value (const wire_value_t *body, uint32_t result, uint32_t feature,
                             arena_t *arena)
{
    wire_list_t results = wire_list (body, "results");
    wire_list_t types = wire_list (body, "types");
    CHECK (result < results.count);
    wire_list_t values = wire_list (&results.items[result], "values");
    CHECK (feature < values.count);
    CHECK (feature < types.count);
    return client_value_of (&values.items[feature], wire_item_text (&types.items[feature]), arena);
}

bool client_value_capped (const value_t *value)
{
    if (value->null || value->type != TYPE_MAP)
        return false;
    bool capped = value->map->capped;
    for (size_t i = 0; i < value->map->count && !capped; i++)
        capped = client_value_capped (&value->map->values[i]);
    return capped;
}

/* ---- JSON ---- */

static void values_json (const value_list_t *list, buf_t *out)
{
    buf_put_u8 (out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        client_value_json (&list->items[i], out);
    }
    buf_put_u8 (out, ']');
}

/* Names in JSON are strings: those of a key that is none are its text. */
static void entries_json (const value_map_t *map, buf_t *out)
{
    buf_put_u8 (out, '{');
    for (size_t i = 0; i < map->count; i++) {
        const value_t *key = &map->keys[i];
        bool quoted = key->type == TYPE_STRING || key->type == TYPE_TIMESTAMP ||
                      type_is_decimal (key->type) ||
                      (key->type == TYPE_FLOAT64 && !isfinite (key->f));
        if (i > 0)
            buf_put_u8 (out, ',');
        if (!quoted)
            buf_put_u8 (out, '"');
        client_value_json (key, out);
        if (!quoted)
            buf_put_u8 (out, '"');
        buf_put_u8 (out, ':');
        client_value_json (&map->values[i], out);
    }
    buf_put_u8 (out, '}');
}

void client_value_json (const value_t *value, buf_t *out)
{
    if (value->null || value->type == TYPE_NONE) {
        buf_put_string (out, "null");
        return;
    }
    switch (type_family (value->type)) {
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
    case TYPE_DECIMAL:
        buf_put_u8 (out, '"');
        decimal_format (out, value->d, type_scale (value->type));
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
        client_any_json (&list->via.array.ptr[i], out);
    }
    buf_put_u8 (out, ']');
}

static void name_json (const wire_value_t *name, buf_t *out)
{
    if (name->type == MSGPACK_OBJECT_STR)
        client_any_json (name, out);
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
        client_any_json (&map->via.map.ptr[i].val, out);
    }
    buf_put_u8 (out, '}');
}

void client_any_json (const wire_value_t *value, buf_t *out)
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
        value_t plain = single_of (value, TYPE_NONE);
        client_value_json (&plain, out);
    }
}

static void features_json (const wire_value_t *body, const value_t *values, buf_t *out)
{
    wire_list_t names = wire_list (body, "features");
    buf_put_string (out, ",\"features\":{");
    for (uint32_t i = 0; i < names.count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        number_format_json_string (out, wire_item_text (&names.items[i]));
        buf_put_u8 (out, ':');
        client_value_json (&values[i], out);
    }
    buf_put_u8 (out, '}');
}

/* Of the maps that lack keys: how many they have, and how many rows those of all are. */
static void capped_json (const wire_value_t *body, const value_t *values, buf_t *out)
{
    wire_list_t names = wire_list (body, "features");
    bool any = false;
    for (uint32_t i = 0; i < names.count; i++) {
        if (!client_value_capped (&values[i]))
            continue;
        buf_put_string (out, any ? "," : ",\"capped\":{");
        number_format_json_string (out, wire_item_text (&names.items[i]));
        buf_printf (out, ":{\"keys\":%zu,\"total\":%" PRIu64 "}", values[i].map->count,
                    values[i].map->total);
        any = true;
    }
    if (any)
        buf_put_u8 (out, '}');
}

/* When the latest event of each role's entity was, and where that is older than the ttl. */
static void latest_json (const wire_value_t *body, const wire_value_t *result, buf_t *out)
{
    wire_list_t roles = wire_list (body, "roles"), latest = wire_list (result, "latest");
    wire_list_t expired = wire_list (result, "expired");
    buf_put_string (out, ",\"latest\":{");
    for (uint32_t r = 0; r < roles.count && r < latest.count; r++) {
        if (r > 0)
            buf_put_u8 (out, ',');
        name_json (&roles.items[r], out);
        int64_t latest_us = wire_item_int (&latest.items[r]);
        value_t time = { .type = TYPE_TIMESTAMP,
                         .null = latest_us == CLIENT_NEVER,
                         .i = latest_us };
        client_value_json (&time, out);
    }
    buf_put_u8 (out, '}');
    for (uint32_t i = 0; i < expired.count; i++) {
        uint64_t role = wire_item_uint (&expired.items[i]);
        buf_put_string (out, i > 0 ? "," : ",\"expired\":[");
        if (role < roles.count)
            client_any_json (&roles.items[role], out);
        else
            buf_put_string (out, "null");
    }
    if (expired.count > 0)
        buf_put_u8 (out, ']');
}

void client_result_json (const wire_value_t *body, uint32_t result, buf_t *out)
{
    wire_list_t results = wire_list (body, "results");
    CHECK (result < results.count);
    const wire_value_t *one = &results.items[result];
    uint32_t count = wire_list (body, "features").count;
    arena_t *arena = arena_new (VALUES_CHUNK);
    value_t *values = arena_zero (arena, count, sizeof *values);
    for (uint32_t i = 0; i < count; i++)
        values[i] = client_result_value (body, result, i, arena);
    value_t as_of = { .type = TYPE_TIMESTAMP, .i = wire_int (one, "as_of", 0) };
    buf_put_string (out, "{\"key\":");
    client_any_json (wire_map (one, "key"), out);
    features_json (body, values, out);
    buf_put_string (out, ",\"as_of\":");
    client_value_json (&as_of, out);
    buf_printf (out, ",\"complete\":%s,\"positions\":",
                wire_bool (one, "complete", false) ? "true" : "false");
    client_any_json (wire_map (one, "positions"), out);
    buf_put_string (out, ",\"dataset\":");
    number_format_json_string (out, wire_text (one, "dataset"));
    buf_put_string (out, ",\"versions\":");
    map_json (wire_map (body, "versions"), out);
    latest_json (body, one, out);
    capped_json (body, values, out);
    arena_destroy (&arena);
    const wire_value_t *errors = wire_map (one, "errors");
    if (errors && errors->via.map.size > 0) {
        buf_put_string (out, ",\"errors\":");
        map_json (errors, out);
    }
    if (wire_list (one, "incomplete").count > 0) {
        buf_put_string (out, ",\"incomplete\":");
        client_any_json (wire_any (one, "incomplete"), out);
    }
    buf_put_u8 (out, '}');
}
