/* Another value in a message that stays well-formed: decoders let it through, and the cores have to
 * stand it. */
#include "tests/fuzz/town/town.h"

#include "base/mem.h"

#include <msgpack.h>
#include <string.h>

enum { LONG_TEXT = 255, BODY = 4 };

typedef struct editing {
    msgpack_packer packer;
    int32_t left; /* values until the one that is edited */
    uint8_t how;
} editing_t;

static void put_text (msgpack_packer *packer, const char *data, size_t size)
{
    msgpack_pack_str (packer, size);
    msgpack_pack_str_body (packer, data, size);
}

/* Texts and bytes, in ways that depend on what was there. */
static void put_other_bytes (editing_t *self, const msgpack_object *was, uint8_t how)
{
    bool is_text = was->type == MSGPACK_OBJECT_STR;
    const char *data = is_text ? was->via.str.ptr : was->via.bin.ptr;
    size_t size = is_text ? was->via.str.size : was->via.bin.size;
    char *other = mem_alloc (2 * size + 1);
    memcpy (other, data, size);
    memcpy (other + size, data, size);
    size_t other_size = how == 0 ? size - (size > 0) : how == 1 ? 2 * size : size;
    if (how == 2 && size > 0)
        other[size / 2] = (char)(other[size / 2] ^ 1);
    if (how == 3 && size > 0)
        other[0] = '/';
    if (is_text) {
        put_text (&self->packer, other, other_size);
    } else {
        msgpack_pack_bin (&self->packer, other_size);
        msgpack_pack_bin_body (&self->packer, other, other_size);
    }
    mem_free (other);
}

static void put_other_number (editing_t *self, const msgpack_object *was, uint8_t how)
{
    uint64_t value = was->via.u64;
    value = how == 0 ? value + 1 : how == 1 ? value - 1 : how == 2 ? value * 2 : value ^ 64;
    msgpack_pack_uint64 (&self->packer, value);
}

/* A value that has nothing to do with what was there. */
static void put_edge (msgpack_packer *packer, uint8_t how)
{
    static const uint64_t numbers[] = { 0,         1,         3, 63, 65535, UINT64_C (1) << 32,
                                        INT64_MAX, UINT64_MAX };
    static const char zeros[16];
    char text[LONG_TEXT];
    memset (text, 'a', sizeof text);
    switch (how) {
    case 8:
        msgpack_pack_int64 (packer, INT64_MIN);
        break;
    case 9:
        msgpack_pack_int64 (packer, -1);
        break;
    case 10:
        msgpack_pack_nil (packer);
        break;
    case 11:
        msgpack_pack_true (packer);
        break;
    case 12:
        put_text (packer, "", 0);
        break;
    case 13:
        put_text (packer, text, sizeof text);
        break;
    case 14:
        msgpack_pack_bin (packer, sizeof zeros);
        msgpack_pack_bin_body (packer, zeros, sizeof zeros);
        break;
    case 15:
        msgpack_pack_double (packer, 1e308);
        break;
    default:
        msgpack_pack_uint64 (packer, numbers[how % 8]);
    }
}

static void put (editing_t *self, const msgpack_object *value);

/* Lists: empty, without the last, the first twice, backwards. */
static void put_other_list (editing_t *self, const msgpack_object *was, uint8_t how)
{
    uint32_t size = was->via.array.size;
    const msgpack_object *items = was->via.array.ptr;
    uint32_t other = how == 0               ? 0
                     : how == 1             ? size - (size > 0)
                     : how == 2 && size > 0 ? size + 1
                                            : size;
    msgpack_pack_array (&self->packer, other);
    for (uint32_t i = 0; i < other; i++)
        put (self, &items[how == 2 ? (i > 0 ? i - 1 : 0) : how == 3 ? size - 1 - i : i]);
}

static void put_map (editing_t *self, const msgpack_object *was, uint32_t size)
{
    msgpack_pack_map (&self->packer, size);
    for (uint32_t i = 0; i < size; i++) {
        msgpack_pack_object (&self->packer, was->via.map.ptr[i].key);
        put (self, &was->via.map.ptr[i].val);
    }
}

static void put_other (editing_t *self, const msgpack_object *was)
{
    uint8_t how = self->how & 31;
    if (how < 16)
        put_edge (&self->packer, how);
    else if (was->type == MSGPACK_OBJECT_STR || was->type == MSGPACK_OBJECT_BIN)
        put_other_bytes (self, was, how % 4);
    else if (was->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        put_other_number (self, was, how % 4);
    else if (was->type == MSGPACK_OBJECT_ARRAY)
        put_other_list (self, was, how % 4);
    else if (was->type == MSGPACK_OBJECT_MAP)
        put_map (self, was, how % 2 ? 0 : was->via.map.size - (was->via.map.size > 0));
    else
        put_edge (&self->packer, how % 16);
}

static void put (editing_t *self, const msgpack_object *value)
{
    if (self->left-- == 0) {
        put_other (self, value);
        return;
    }
    switch (value->type) {
    case MSGPACK_OBJECT_ARRAY:
        msgpack_pack_array (&self->packer, value->via.array.size);
        for (uint32_t i = 0; i < value->via.array.size; i++)
            put (self, &value->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        put_map (self, value, value->via.map.size);
        break;
    default:
        msgpack_pack_object (&self->packer, *value);
    }
}

static int32_t count_values (const msgpack_object *value)
{
    int32_t count = 1;
    if (value->type == MSGPACK_OBJECT_ARRAY)
        for (uint32_t i = 0; i < value->via.array.size; i++)
            count += count_values (&value->via.array.ptr[i]);
    if (value->type == MSGPACK_OBJECT_MAP)
        for (uint32_t i = 0; i < value->via.map.size; i++)
            count += count_values (&value->via.map.ptr[i].val);
    return count;
}

uint8_t *edit_message (const uint8_t *data, size_t *size, uint8_t value, uint8_t how)
{
    msgpack_unpacked message;
    msgpack_unpacked_init (&message);
    uint8_t *edited = NULL;
    if (msgpack_unpack_next (&message, (const char *)data, *size, NULL) == MSGPACK_UNPACK_SUCCESS &&
        message.data.type == MSGPACK_OBJECT_ARRAY && message.data.via.array.size == BODY + 1) {
        const msgpack_object *items = message.data.via.array.ptr;
        msgpack_sbuffer out;
        msgpack_sbuffer_init (&out);
        editing_t editing = { .left = value % count_values (&items[BODY]), .how = how };
        msgpack_packer_init (&editing.packer, &out, msgpack_sbuffer_write);
        msgpack_pack_array (&editing.packer, BODY + 1);
        for (int i = 0; i < BODY; i++)
            msgpack_pack_object (&editing.packer, items[i]);
        put (&editing, &items[BODY]);
        *size = out.size;
        edited = mem_alloc (out.size);
        memcpy (edited, out.data, out.size);
        msgpack_sbuffer_destroy (&out);
    }
    msgpack_unpacked_destroy (&message);
    return edited;
}
