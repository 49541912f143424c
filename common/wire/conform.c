/* conform.c - does a body have its shape? */
#include "wire/shapes.h"

#include "base/check.h"
#include "base/fs.h"

static const char *const object_words[] = {
    [MSGPACK_OBJECT_NIL] = "nil",
    [MSGPACK_OBJECT_BOOLEAN] = "a bool",
    [MSGPACK_OBJECT_POSITIVE_INTEGER] = "an integer",
    [MSGPACK_OBJECT_NEGATIVE_INTEGER] = "a negative integer",
    [MSGPACK_OBJECT_FLOAT64] = "a float",
    [MSGPACK_OBJECT_STR] = "a str",
    [MSGPACK_OBJECT_ARRAY] = "a list",
    [MSGPACK_OBJECT_MAP] = "a map",
    [MSGPACK_OBJECT_BIN] = "a bin",
    [MSGPACK_OBJECT_EXT] = "an extension",
    [MSGPACK_OBJECT_FLOAT32] = "a float",
};

static status_t wrong_type (const char *wanted, const wire_value_t *value, error_t *error)
{
    return error_set (error, STATUS_INVALID, "must be a %s and is %s", wanted,
                      object_words[value->type]);
}

static status_t check_name (const wire_value_t *value, error_t *error)
{
    if (value->type != MSGPACK_OBJECT_STR)
        return wrong_type ("str", value, error);
    text_t text = { value->via.str.ptr, value->via.str.size };
    if (text.size > WIRE_NAME_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a name of %u bytes; the most is %d", text.size,
                          WIRE_NAME_MAX);
    if (!text_is_utf8 (text))
        return error_set (error, STATUS_INVALID, "must be UTF-8 without NUL");
    return STATUS_OK;
}

static status_t check_bytes (const field_t *field, uint32_t size, error_t *error)
{
    if (size < field->bytes_min)
        return error_set (error, STATUS_INVALID, "has %u bytes; the least is %u", size,
                          field->bytes_min);
    if (field->bytes_max > 0 && size > field->bytes_max)
        return error_set (error, STATUS_TOO_LARGE, "has %u bytes; the most is %u", size,
                          field->bytes_max);
    return STATUS_OK;
}

static status_t check_text (const field_t *field, const wire_value_t *value, error_t *error)
{
    text_t text = { value->via.str.ptr, value->via.str.size };
    bool none = text.size == 0 && (field->flags & FIELD_EMPTY);
    if (check_bytes (field, text.size, error) != STATUS_OK)
        return error->status;
    if ((field->flags & FIELD_PATH) && !none && !fs_is_path (text))
        return error_set (error, STATUS_INVALID,
                          "must be a path below the data directory, without \"..\"");
    return STATUS_OK;
}

static status_t check_int (const wire_value_t *value, error_t *error)
{
    if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return STATUS_OK;
    if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return wrong_type ("int", value, error);
    if (value->via.u64 > INT64_MAX)
        return error_set (error, STATUS_INVALID, "must be below 2^63");
    return STATUS_OK;
}

/* One value, or one item of a list. */
static status_t check_value (const field_t *field, const wire_value_t *value, error_t *error)
{
    static const msgpack_object_type wanted[] = {
        [SHAPE_UINT] = MSGPACK_OBJECT_POSITIVE_INTEGER,
        [SHAPE_BOOL] = MSGPACK_OBJECT_BOOLEAN,
        [SHAPE_TEXT] = MSGPACK_OBJECT_STR,
        [SHAPE_BIN] = MSGPACK_OBJECT_BIN,
        [SHAPE_MAP] = MSGPACK_OBJECT_MAP,
        [SHAPE_ROW] = MSGPACK_OBJECT_ARRAY,
        [SHAPE_RECORD] = MSGPACK_OBJECT_MAP,
    };
    if (field->type == SHAPE_ANY)
        return STATUS_OK;
    if (field->type == SHAPE_INT)
        return check_int (value, error);
    if (field->type == SHAPE_NAME)
        return check_name (value, error);
    if (value->type != wanted[field->type])
        return wrong_type (field->type == SHAPE_RECORD ? "map"
                           : field->type == SHAPE_ROW  ? "list"
                                                       : shape_word (field->type),
                           value, error);
    if (field->type == SHAPE_TEXT)
        return check_text (field, value, error);
    if (field->type == SHAPE_BIN)
        return check_bytes (field, value->via.bin.size, error);
    if (field->type == SHAPE_RECORD)
        return shape_check (field->record, value, error);
    return STATUS_OK;
}

/* Bytes of the texts of a record that has its shape. */
static uint64_t text_bytes (const record_t *record, const wire_value_t *map)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        if (record->fields[i].type == SHAPE_TEXT)
            bytes += wire_text (map, record->fields[i].name).size;
    }
    return bytes;
}

/* What an item adds to the sum that the list is limited by. */
static uint64_t item_weight (const field_t *field, const wire_value_t *item)
{
    if (field->type == SHAPE_ROW)
        return item->via.array.size;
    return field->sum_max > 0 ? text_bytes (field->record, item) : 0;
}

static status_t check_list (const field_t *field, const wire_value_t *list, error_t *error)
{
    if (list->type != MSGPACK_OBJECT_ARRAY)
        return wrong_type ("list", list, error);
    uint32_t items_max = field->items_max ? field->items_max : WIRE_ELEMENTS_MAX;
    if (list->via.array.size > items_max)
        return error_set (error, STATUS_TOO_LARGE, "has %u items; the most is %u",
                          list->via.array.size, items_max);
    uint64_t sum_max = field->type == SHAPE_ROW ? WIRE_CELLS_MAX : field->sum_max;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        const wire_value_t *item = &list->via.array.ptr[i];
        if (check_value (field, item, error) != STATUS_OK)
            return error_prefix (error, "item %u", i);
        sum += item_weight (field, item);
    }
    if (sum > sum_max)
        return error_set (
            error, STATUS_TOO_LARGE, "has %llu %s; the most is %llu", (unsigned long long)sum,
            field->type == SHAPE_ROW ? "cells" : "bytes of text", (unsigned long long)sum_max);
    return STATUS_OK;
}

static status_t unknown_field (const record_t *record, text_t name, error_t *error)
{
    const char *known[RECORD_FIELDS_MAX];
    char word[64] = "";
    for (uint32_t i = 0; i < record->count; i++)
        known[i] = record->fields[i].name;
    uint32_t size = name.size < sizeof word - 1 ? name.size : (uint32_t)sizeof word - 1;
    while (size > 0 && !text_is_utf8 ((text_t){ name.data, size }))
        size--; /* the message travels as UTF-8: no half characters */
    if (size > 0)
        memcpy (word, name.data, size);
    const char *near = record->count > 0 ? text_nearest (word, known, record->count) : NULL;
    if (near)
        return error_set (error, STATUS_INVALID, "no field \"%s\" here; is \"%s\" meant?", word,
                          near);
    return error_set (error, STATUS_INVALID, "no field \"%s\" here", word);
}

/* Bodies mostly come with their fields in the order of the table, so the search begins after the
 * field found last. */
static uint32_t find_field (const record_t *record, text_t name, uint32_t from)
{
    for (uint32_t i = 0; i < record->count; i++) {
        uint32_t at = from + i < record->count ? from + i : from + i - record->count;
        if (text_is (name, record->fields[at].name))
            return at;
    }
    return record->count;
}

status_t shape_check (const record_t *record, const wire_value_t *body, error_t *error)
{
    CHECK (body->type == MSGPACK_OBJECT_MAP);
    uint32_t seen = 0; /* a bit for each field */
    uint32_t next = 0;
    for (uint32_t i = 0; i < body->via.map.size; i++) {
        const msgpack_object_kv *pair = &body->via.map.ptr[i];
        text_t name = { pair->key.via.str.ptr, pair->key.via.str.size };
        uint32_t at = find_field (record, name, next);
        if (at == record->count)
            return unknown_field (record, name, error);
        const field_t *field = &record->fields[at];
        if (seen & (1u << at))
            return error_set (error, STATUS_INVALID, "%s: is there twice", field->name);
        seen |= 1u << at;
        next = at + 1 < record->count ? at + 1 : 0;
        if (pair->val.type == MSGPACK_OBJECT_NIL && (field->flags & FIELD_OPTIONAL))
            continue;
        status_t status = field->flags & FIELD_LIST ? check_list (field, &pair->val, error)
                                                    : check_value (field, &pair->val, error);
        if (status != STATUS_OK)
            return error_prefix (error, "%s", field->name);
    }
    for (uint32_t i = 0; i < record->count; i++) {
        if (!(seen & (1u << i)) && !(record->fields[i].flags & FIELD_OPTIONAL))
            return error_set (error, STATUS_INVALID, "%s: is missing", record->fields[i].name);
    }
    return STATUS_OK;
}
