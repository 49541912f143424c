#include "client/cli/loose.h"

#include <string.h>

const wire_value_t *loose_any (const wire_value_t *map, const char *name)
{
    size_t size = strlen (name);
    if (map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const wire_value_t *key = &map->via.map.ptr[i].key;
        if (key->type == MSGPACK_OBJECT_STR && key->via.str.size == size &&
            memcmp (key->via.str.ptr, name, size) == 0)
            return &map->via.map.ptr[i].val;
    }
    return NULL;
}

text_t loose_text (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = loose_any (map, name);
    if (!value || value->type != MSGPACK_OBJECT_STR)
        return (text_t){ NULL, 0 };
    return (text_t){ value->via.str.ptr, value->via.str.size };
}

uint64_t loose_uint (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = loose_any (map, name);
    return value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? value->via.u64 : 0;
}

wire_list_t loose_list (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = loose_any (map, name);
    if (!value || value->type != MSGPACK_OBJECT_ARRAY)
        return (wire_list_t){ NULL, 0 };
    return (wire_list_t){ value->via.array.ptr, value->via.array.size };
}
