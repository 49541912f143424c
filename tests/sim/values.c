/* Values of an answer, as the oracle has them, and as text. */
#include "tests/sim/shadow.h"

#include "base/decimal.h"
#include "base/number.h"

#include <inttypes.h>
#include <string.h>

/* Those of a list, or the keys and values of a map. */
static void print_values (const value_t *keys, const value_t *values, size_t count, buf_t *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_put_string (out, i > 0 ? ", " : "[");
        print_value (&keys[i], out);
        if (values) {
            buf_put_string (out, ": ");
            print_value (&values[i], out);
        }
    }
    buf_put_u8 (out, ']');
}

void print_value (const value_t *value, buf_t *out)
{
    if (value->null)
        buf_put_string (out, "null");
    else if (value->type == TYPE_FLOAT64)
        number_format_float (out, value->f);
    else if (type_is_decimal (value->type))
        decimal_format (out, value->d, type_scale (value->type));
    else if (value->type == TYPE_STRING)
        buf_printf (out, "'" TEXT_FORMAT "'", TEXT_ARGS (value->s));
    else if (value->type == TYPE_LIST)
        print_values (value->list->items, NULL, value->list->count, out);
    else if (value->type == TYPE_MAP)
        print_values (value->map->keys, value->map->values, value->map->count, out);
    else
        buf_printf (out, "%" PRId64, value->i);
}

value_t value_of (const wire_value_t *given, type_t type)
{
    value_t value = { .type = type };
    switch (given->type) {
    case MSGPACK_OBJECT_NIL:
        value.null = true;
        break;
    case MSGPACK_OBJECT_STR:
        if (!type_is_decimal (type))
            value.s = wire_item_text (given);
        else if (decimal_parse (wire_item_text (given), DECIMAL_DIGITS_MAX, type_scale (type),
                                &value.d) != DECIMAL_GOOD)
            value.type = TYPE_NONE; /* agrees with nothing */
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        value.f = given->via.f64;
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        value.i = given->via.boolean;
        break;
    default:
        value.i = given->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? (int64_t)given->via.u64
                                                                 : given->via.i64;
    }
    return value;
}

/* What is between "KIND<" and ">"; false when it is another type. */
static bool is_of (text_t type, const char *kind, text_t *inside)
{
    uint32_t size = (uint32_t)strlen (kind);
    if (type.size < size + 1 || memcmp (type.data, kind, size) != 0)
        return false;
    *inside = (text_t){ type.data + size, type.size - size - 1 };
    return true;
}

static const value_t *typed_values (wire_list_t list, text_t type, arena_t *arena)
{
    value_t *values = arena_zero (arena, list.count + 1, sizeof *values);
    for (uint32_t i = 0; i < list.count; i++)
        values[i] = typed_value (&list.items[i], type, arena);
    return values;
}

value_t typed_value (const wire_value_t *given, text_t type, arena_t *arena)
{
    text_t item;
    if (given->type == MSGPACK_OBJECT_NIL)
        return (value_t){ .null = true };
    if (is_of (type, "list<", &item)) {
        wire_list_t items = wire_items (given);
        value_list_t *list = arena_zero (arena, 1, sizeof *list);
        *list = (value_list_t){ items.count, typed_values (items, item, arena) };
        return (value_t){ .type = TYPE_LIST, .list = list };
    }
    if (!is_of (type, "map<", &item))
        return value_of (given, type_from_word (type));
    bool decimals = item.size > 8 && memcmp (item.data, "decimal(", 8) == 0;
    const char *from = decimals ? memchr (item.data, ')', item.size) : item.data; /* past its own */
    const char *comma = from ? memchr (from, ',', item.size - (uint32_t)(from - item.data)) : NULL;
    if (comma == NULL)
        return (value_t){ .type = TYPE_MAP, .null = true };
    text_t key = { item.data, (uint32_t)(comma - item.data) };
    item = (text_t){ comma + 1, item.size - key.size - 1 };
    value_map_t *map = arena_zero (arena, 1, sizeof *map);
    wire_list_t keys = wire_list (given, "keys");
    *map = (value_map_t){ .count = keys.count,
                          .keys = typed_values (keys, key, arena),
                          .values = typed_values (wire_list (given, "values"), item, arena),
                          .capped = wire_bool (given, "capped", false),
                          .total = wire_uint (given, "total", 0) };
    return (value_t){ .type = TYPE_MAP, .map = map };
}
