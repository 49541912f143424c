#include "skew/sample.h"

#include "base/check.h"

enum { NULL_BIT = 0x80 };

static bool put (buf_t *out, const value_t *value, unsigned depth);

static bool put_all (buf_t *out, const value_t *values, size_t count, unsigned depth)
{
    for (size_t i = 0; i < count; i++)
        if (!put (out, &values[i], depth + 1))
            return false;
    return true;
}

static bool put_map (buf_t *out, const value_map_t *map, unsigned depth)
{
    buf_put_varint (out, map->count);
    buf_put_u8 (out, map->capped);
    buf_put_varint (out, map->total);
    return put_all (out, map->keys, map->count, depth) &&
           put_all (out, map->values, map->count, depth);
}

static bool put (buf_t *out, const value_t *value, unsigned depth)
{
    if (depth > SAMPLE_DEPTH_MAX)
        return false;
    buf_put_u8 (out, (uint8_t)(value->type | (value->null ? NULL_BIT : 0)));
    if (value->null)
        return true;
    switch (type_family (value->type)) {
    case TYPE_FLOAT64:
        buf_put_f64 (out, value->f);
        return true;
    case TYPE_STRING:
        buf_put_text (out, value->s);
        return true;
    case TYPE_DECIMAL:
        buf_put_u64 (out, (uint64_t)value->d);
        buf_put_u64 (out, (uint64_t)((uint128_t)value->d >> 64));
        return true;
    case TYPE_LIST:
        buf_put_varint (out, value->list->count);
        return put_all (out, value->list->items, value->list->count, depth);
    case TYPE_MAP:
        return put_map (out, value->map, depth);
    default:
        buf_put_zigzag (out, value->i);
        return true;
    }
}

bool sample_put_value (buf_t *out, const value_t *value)
{
    return put (out, value, 0);
}

/* ---- reading ---- */

static bool read (reader_t *in, arena_t *arena, value_t *value, unsigned depth);

/* NULL: there are not so many. */
static value_t *read_all (reader_t *in, arena_t *arena, uint64_t count, unsigned depth)
{
    if (in->bad || count > reader_left (in)) /* each has a byte at least */
        return NULL;
    value_t *values = arena_zero (arena, count + 1, sizeof *values);
    for (uint64_t i = 0; i < count; i++)
        if (!read (in, arena, &values[i], depth + 1))
            return NULL;
    return values;
}

static bool read_list (reader_t *in, arena_t *arena, value_t *value, unsigned depth)
{
    value_list_t *list = arena_alloc (arena, sizeof *list);
    list->count = reader_varint (in);
    list->items = read_all (in, arena, list->count, depth);
    value->list = list;
    return list->items != NULL;
}

static bool read_map (reader_t *in, arena_t *arena, value_t *value, unsigned depth)
{
    value_map_t *map = arena_alloc (arena, sizeof *map);
    map->count = reader_varint (in);
    uint8_t capped = reader_u8 (in);
    map->capped = capped != 0;
    map->total = reader_varint (in);
    map->keys = read_all (in, arena, map->count, depth);
    map->values = map->keys ? read_all (in, arena, map->count, depth) : NULL;
    value->map = map;
    return map->values != NULL && capped <= 1;
}

static bool read_decimal (reader_t *in, value_t *value)
{
    uint64_t low = reader_u64 (in);
    uint64_t high = reader_u64 (in);
    value->d = (int128_t)((uint128_t)high << 64 | low);
    return !in->bad;
}

static bool is_type (unsigned type)
{
    return type == TYPE_LIST || type == TYPE_MAP || type_is_field ((type_t)type);
}

static bool read (reader_t *in, arena_t *arena, value_t *value, unsigned depth)
{
    uint8_t type = reader_u8 (in);
    unsigned plain = type & ~(unsigned)NULL_BIT;
    *value = (value_t){ .type = (type_t)plain, .null = (type & NULL_BIT) != 0 };
    if (in->bad || depth > SAMPLE_DEPTH_MAX || !is_type (plain))
        return false;
    if (value->null)
        return true;
    switch (type_family (value->type)) {
    case TYPE_FLOAT64:
        value->f = reader_f64 (in);
        return !in->bad;
    case TYPE_STRING:
        value->s = reader_text (in);
        return !in->bad;
    case TYPE_DECIMAL:
        return read_decimal (in, value);
    case TYPE_LIST:
        return read_list (in, arena, value, depth);
    case TYPE_MAP:
        return read_map (in, arena, value, depth);
    case TYPE_BOOL:
        value->i = reader_zigzag (in);
        return !in->bad && (value->i == 0 || value->i == 1);
    default:
        value->i = reader_zigzag (in);
        return !in->bad;
    }
}

bool sample_read_value (reader_t *in, arena_t *arena, value_t *value)
{
    return read (in, arena, value, 0);
}
