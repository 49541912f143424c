/* fields.c - reading the fields of a body that has its shape. */
#include "wire/wire.h"

#include "base/check.h"

/* The field's value, NULL when it is not there or nil. */
static const wire_value_t *find (const wire_value_t *map, const char *name)
{
    CHECK (map != NULL);
    CHECK (map->type == MSGPACK_OBJECT_MAP);
    size_t size = strlen (name);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.via.str.size == size && memcmp (pair->key.via.str.ptr, name, size) == 0)
            return pair->val.type == MSGPACK_OBJECT_NIL ? NULL : &pair->val;
    }
    return NULL;
}

bool wire_has (const wire_value_t *map, const char *name)
{
    return find (map, name) != NULL;
}

uint64_t wire_item_uint (const wire_value_t *value)
{
    CHECK (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER);
    return value->via.u64;
}

uint64_t wire_uint (const wire_value_t *map, const char *name, uint64_t otherwise)
{
    const wire_value_t *value = find (map, name);
    return value ? wire_item_uint (value) : otherwise;
}

int64_t wire_item_int (const wire_value_t *value)
{
    if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return value->via.i64;
    CHECK (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER);
    CHECK (value->via.u64 <= INT64_MAX);
    return (int64_t)value->via.u64;
}

int64_t wire_int (const wire_value_t *map, const char *name, int64_t otherwise)
{
    const wire_value_t *value = find (map, name);
    return value ? wire_item_int (value) : otherwise;
}

bool wire_bool (const wire_value_t *map, const char *name, bool otherwise)
{
    const wire_value_t *value = find (map, name);
    if (!value)
        return otherwise;
    CHECK (value->type == MSGPACK_OBJECT_BOOLEAN);
    return value->via.boolean;
}

text_t wire_item_text (const wire_value_t *value)
{
    if (value->type == MSGPACK_OBJECT_STR)
        return (text_t){ value->via.str.ptr, value->via.str.size };
    CHECK (value->type == MSGPACK_OBJECT_BIN);
    return (text_t){ value->via.bin.ptr, value->via.bin.size };
}

text_t wire_text (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = find (map, name);
    return value ? wire_item_text (value) : (text_t){ "", 0 };
}

wire_list_t wire_items (const wire_value_t *value)
{
    CHECK (value != NULL);
    CHECK (value->type == MSGPACK_OBJECT_ARRAY);
    return (wire_list_t){ value->via.array.ptr, value->via.array.size };
}

wire_list_t wire_list (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = find (map, name);
    return value ? wire_items (value) : (wire_list_t){ NULL, 0 };
}

const wire_value_t *wire_map (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = find (map, name);
    CHECK (!value || value->type == MSGPACK_OBJECT_MAP);
    return value;
}

const wire_value_t *wire_any (const wire_value_t *map, const char *name)
{
    return find (map, name);
}

void wire_copy (const wire_value_t *map, const char *name, char *out, size_t size)
{
    CHECK (size > 0);
    text_t text = wire_text (map, name);
    size_t length = text.size < size ? text.size : size - 1;
    if (length > 0)
        memcpy (out, text.data, length);
    out[length] = '\0';
}
