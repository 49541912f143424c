#include "trainset/outcome_row.h"

enum { NOTHING, CONTENT, ERROR, DEPTH_MAX = 4 };

/* ---- writing ---- */

static void put_content (const value_t *value, buf_t *out);

static void put_item (const value_t *value, buf_t *out)
{
    buf_put_u8 (out, (uint8_t)value->type);
    buf_put_u8 (out, value->null ? NOTHING : CONTENT);
    if (!value->null)
        put_content (value, out);
}

static void put_list (const value_list_t *list, buf_t *out)
{
    buf_put_varint (out, list->count);
    for (size_t i = 0; i < list->count; i++)
        put_item (&list->items[i], out);
}

static void put_map (const value_map_t *map, buf_t *out)
{
    buf_put_varint (out, map->count);
    buf_put_u8 (out, map->capped);
    buf_put_varint (out, map->total);
    for (size_t i = 0; i < map->count; i++) {
        put_item (&map->keys[i], out);
        put_item (&map->values[i], out);
    }
}

static void put_content (const value_t *value, buf_t *out)
{
    if (value->type == TYPE_LIST)
        put_list (value->list, out);
    else if (value->type == TYPE_MAP)
        put_map (value->map, out);
    else if (value->type == TYPE_STRING)
        buf_put_text (out, value->s);
    else if (type_is_decimal (value->type))
        buf_put (out, &value->d, sizeof value->d);
    else
        buf_put_i64 (out, value->i); /* a float's bits too */
}

void outcome_row_put (const outcome_t *outcome, buf_t *out)
{
    buf_put_u8 (out, (uint8_t)outcome->value.type);
    if (outcome->error != NULL) {
        buf_put_u8 (out, ERROR);
        buf_put_text (out, text_of (outcome->error));
        return;
    }
    buf_put_u8 (out, outcome->value.null ? NOTHING : CONTENT);
    if (!outcome->value.null)
        put_content (&outcome->value, out);
}

/* ---- reading ---- */

static bool get_content (reader_t *reader, type_t type, arena_t *arena, unsigned depth,
                         value_t *value);

static bool get_item (reader_t *reader, arena_t *arena, unsigned depth, value_t *value)
{
    type_t type = (type_t)reader_u8 (reader);
    uint8_t what = reader_u8 (reader);
    *value = (value_t){ .type = type, .null = true };
    if (reader->bad || what > CONTENT || depth == DEPTH_MAX)
        return false;
    return what == NOTHING || get_content (reader, type, arena, depth, value);
}

static bool get_list (reader_t *reader, arena_t *arena, unsigned depth, value_t *value)
{
    uint64_t count = reader_varint (reader);
    if (reader->bad || count > reader_left (reader)) /* each takes more than a byte */
        return false;
    value_list_t *list = arena_zero (arena, 1, sizeof *list);
    value_t *items = arena_zero (arena, (size_t)count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++)
        if (!get_item (reader, arena, depth + 1, &items[i]))
            return false;
    *list = (value_list_t){ .count = (size_t)count, .items = items };
    value->list = list;
    return true;
}

static bool get_map (reader_t *reader, arena_t *arena, unsigned depth, value_t *value)
{
    uint64_t count = reader_varint (reader);
    bool capped = reader_u8 (reader) != 0;
    uint64_t total = reader_varint (reader);
    if (reader->bad || count > reader_left (reader))
        return false;
    value_map_t *map = arena_zero (arena, 1, sizeof *map);
    value_t *keys = arena_zero (arena, (size_t)count + 1, sizeof *keys);
    value_t *values = arena_zero (arena, (size_t)count + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        if (!get_item (reader, arena, depth + 1, &keys[i]) ||
            !get_item (reader, arena, depth + 1, &values[i]))
            return false;
    *map = (value_map_t){
        .count = (size_t)count, .keys = keys, .values = values, .capped = capped, .total = total
    };
    value->map = map;
    return true;
}

static bool get_content (reader_t *reader, type_t type, arena_t *arena, unsigned depth,
                         value_t *value)
{
    value->null = false;
    if (type == TYPE_LIST)
        return get_list (reader, arena, depth, value);
    if (type == TYPE_MAP)
        return get_map (reader, arena, depth, value);
    if (type == TYPE_STRING) {
        value->s = reader_text (reader);
    } else if (type_is_decimal (type)) {
        const uint8_t *bytes = reader_bytes (reader, sizeof value->d);
        if (bytes != NULL)
            memcpy (&value->d, bytes, sizeof value->d);
    } else {
        value->i = reader_i64 (reader);
    }
    return !reader->bad;
}

static status_t damaged (error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "a row of a result is damaged");
}

status_t outcome_row_get (reader_t *reader, type_t type, arena_t *arena, outcome_t *outcome,
                          error_t *error)
{
    type_t written = (type_t)reader_u8 (reader);
    uint8_t what = reader_u8 (reader);
    *outcome = (outcome_t){ .value = { .type = type, .null = true } };
    if (reader->bad || what > ERROR)
        return damaged (error);
    if (what == CONTENT && written != type)
        return error_set (error, STATUS_STALE,
                          "a feature is %s by now, and was %s: the definitions were changed while "
                          "the rows were computed",
                          type_word (written), type_word (type));
    if (what == CONTENT && !get_content (reader, type, arena, 0, &outcome->value))
        return damaged (error);
    if (what == ERROR)
        outcome->error = arena_string (arena, reader_text (reader));
    return reader->bad ? damaged (error) : STATUS_OK;
}
