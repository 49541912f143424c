#include "wire/wire.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/scan.h"
#include "wire/shapes.h"

#include <msgpack/unpack.h>
#include <msgpack/zone.h>

enum {
    MAGIC = 0x57495245,
    KIND_SIZE_MAX = 32,
    ZONE_CHUNK = 64 << 10, /* bytes; an ordinary message decodes without an allocation */
};

struct wire_decoder {
    uint32_t magic;
    msgpack_zone zone;
    msgpack_object root;
};

/* ---- kinds ---- */

static const char *const words[MESSAGE_KINDS] = {
#define X(name, word, access) [MESSAGE_##name] = word, [MESSAGE_##name##_OK] = word ".ok",
    MESSAGE_TABLE (X)
#undef X
        [MESSAGE_NONE] = "none",
    [MESSAGE_POKE] = "poke",
    [MESSAGE_ERROR] = "error",
};

const char *message_word (message_kind_t kind)
{
    CHECK ((unsigned)kind < MESSAGE_KINDS);
    return words[kind];
}

message_kind_t message_reply (message_kind_t request)
{
    switch (request) {
#define X(name, word, access)                                                                      \
    case MESSAGE_##name:                                                                           \
        return MESSAGE_##name##_OK;
        MESSAGE_TABLE (X)
#undef X
    default:
        check_failed (__FILE__, __LINE__, __func__, "request kind");
    }
}

bool message_is_request (message_kind_t kind)
{
    switch (kind) {
#define X(name, word, access)                                                                      \
    case MESSAGE_##name:                                                                           \
        return true;
        MESSAGE_TABLE (X)
#undef X
    default:
        return false;
    }
}

static message_kind_t kind_of (text_t word)
{
    for (unsigned kind = MESSAGE_NONE + 1; kind < MESSAGE_KINDS; kind++) {
        if (text_is (word, words[kind]))
            return (message_kind_t)kind;
    }
    return MESSAGE_NONE;
}

/* Is this the kind of a message that asks nothing? Also of kinds that we do not know. */
static bool is_answer (text_t word)
{
    return text_is (word, "error") || text_is (word, "poke") ||
           (word.size > 3 && memcmp (word.data + word.size - 3, ".ok", 3) == 0);
}

/* ---- the four elements before the body ---- */

typedef struct head {
    text_t magic;
    uint64_t version;
    text_t kind;
    uint64_t id;
} head_t;

static bool head_str (const uint8_t **at, size_t *left, text_t *text)
{
    element_t element = element_at (*at, *left);
    if (element.type != ELEMENT_STR)
        return false;
    *text = (text_t){ (const char *)*at + element.header, element.size };
    *at += element.header + element.size;
    *left -= element.header + element.size;
    return true;
}

static bool head_uint (const uint8_t **at, size_t *left, uint64_t *value)
{
    element_t element = element_at (*at, *left);
    if (element.type != ELEMENT_SCALAR)
        return false;
    bool is_fixed = element.tag <= 0x7f;
    bool is_uint = element.tag >= 0xcc && element.tag <= 0xcf;
    bool is_positive_int = element.tag >= 0xd0 && element.tag <= 0xd3 && (*at)[1] <= 0x7f;
    if (!is_fixed && !is_uint && !is_positive_int)
        return false;
    *value = is_fixed ? element.tag : 0;
    for (uint32_t i = 0; i < element.size; i++)
        *value = *value << 8 | (*at)[element.header + i];
    *at += element.header + element.size;
    *left -= element.header + element.size;
    return true;
}

/* Read from the bytes, so that a message whose body is refused can be answered under its id. */
static bool read_head (const void *data, size_t size, head_t *head)
{
    const uint8_t *at = data;
    element_t array = element_at (at, size);
    if (array.type != ELEMENT_ARRAY || array.size != 5)
        return false;
    size_t left = size - array.header;
    at += array.header;
    return head_str (&at, &left, &head->magic) && text_is (head->magic, "weir") &&
           head_uint (&at, &left, &head->version) && head_str (&at, &left, &head->kind) &&
           head->kind.size <= KIND_SIZE_MAX && head_uint (&at, &left, &head->id);
}

bool wire_peek (const void *data, size_t size, message_kind_t *kind, uint64_t *id)
{
    head_t head;
    if (!read_head (data, size, &head))
        return false;
    *kind = kind_of (head.kind);
    *id = head.id;
    return true;
}

/* ---- decoding ---- */

wire_decoder_t *wire_decoder_new (void)
{
    wire_decoder_t *self = mem_zero (1, sizeof *self);
    self->magic = MAGIC;
    CHECK (msgpack_zone_init (&self->zone, ZONE_CHUNK));
    return self;
}

void wire_decoder_destroy (wire_decoder_t **self_p)
{
    wire_decoder_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, MAGIC);
    msgpack_zone_destroy (&self->zone);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

static status_t check_head (const head_t *head, message_kind_t *kind, error_t *error)
{
    if (head->version != WIRE_VERSION)
        return error_set (error, STATUS_VERSION,
                          "the message is of protocol version %llu; this node speaks version %d",
                          (unsigned long long)head->version, WIRE_VERSION);
    *kind = kind_of (head->kind);
    if (*kind == MESSAGE_NONE)
        return error_set (error, STATUS_INVALID, "no such kind of message");
    return STATUS_OK;
}

/* The bytes were scanned, so that msgpack-c allocates in proportion to what came. */
static status_t unpack (wire_decoder_t *self, const void *data, size_t size, error_t *error)
{
    size_t offset = 0;
    msgpack_zone_clear (&self->zone);
    msgpack_unpack_return got = msgpack_unpack (data, size, &offset, &self->zone, &self->root);
    CHECK (got != MSGPACK_UNPACK_NOMEM_ERROR); /* as in mem_alloc: a good message is no bad one */
    if (got != MSGPACK_UNPACK_SUCCESS)
        return error_set (error, STATUS_CORRUPT, "not a whole msgpack object");
    if (self->root.via.array.ptr[4].type != MSGPACK_OBJECT_MAP)
        return error_set (error, STATUS_INVALID, "the body must be a map");
    return STATUS_OK;
}

status_t wire_decode (wire_decoder_t *self, const void *data, size_t size, message_t *message,
                      error_t *error)
{
    CHECK_OBJECT (self, MAGIC);
    *message = (message_t){ .kind = MESSAGE_NONE };
    if (size > WIRE_MESSAGE_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a message of %zu bytes; the most is %d", size,
                          WIRE_MESSAGE_MAX);
    head_t head;
    if (!read_head (data, size, &head))
        return error_set (error, STATUS_CORRUPT, "not a message of the weir protocol");
    if (!is_answer (head.kind))
        message->id = head.id;
    message_kind_t kind;
    status_t status = check_head (&head, &kind, error);
    if (status == STATUS_OK)
        status = scan_message (data, size, error);
    if (status == STATUS_OK)
        status = unpack (self, data, size, error);
    if (status != STATUS_OK)
        return status;
    const wire_value_t *body = &self->root.via.array.ptr[4];
    status = shape_check (shape_of (kind), body, error);
    if (status != STATUS_OK)
        return error_prefix (error, "%s", words[kind]);
    *message = (message_t){ .kind = kind, .id = head.id, .body = body };
    return STATUS_OK;
}
