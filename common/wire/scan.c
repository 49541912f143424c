#include "wire/scan.h"

#include "wire/wire.h"

/* The big-endian integer of `bytes` bytes. */
static uint32_t big_endian (const uint8_t *data, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | data[i];
    return value;
}

/* Elements whose size stands in the `bytes` bytes after the tag. */
static element_t sized (element_t element, const uint8_t *data, size_t left, unsigned bytes)
{
    element.header = 1 + bytes;
    if (left < element.header)
        return (element_t){ .type = ELEMENT_BAD };
    element.size = big_endian (data + 1, bytes);
    return element;
}

static element_t header_at (const uint8_t *data, size_t left)
{
    static const uint8_t scalar_sizes[] = { 4, 8, 1, 2, 4, 8, 1, 2, 4, 8 }; /* 0xca to 0xd3 */
    uint8_t tag = data[0];
    element_t element = { .type = ELEMENT_SCALAR, .tag = tag, .header = 1 };
    if (tag <= 0x7f || tag >= 0xe0 || tag == 0xc0 || tag == 0xc2 || tag == 0xc3)
        return element;
    if (tag <= 0x9f) {
        element.type = tag <= 0x8f ? ELEMENT_MAP : ELEMENT_ARRAY;
        element.size = tag & 0x0f;
    } else if (tag <= 0xbf) {
        element.type = ELEMENT_STR;
        element.size = tag & 0x1f;
    } else if (tag >= 0xc4 && tag <= 0xc6) {
        element.type = ELEMENT_BIN;
        return sized (element, data, left, 1u << (tag - 0xc4));
    } else if (tag >= 0xca && tag <= 0xd3) {
        element.size = scalar_sizes[tag - 0xca];
    } else if (tag >= 0xd9 && tag <= 0xdb) {
        element.type = ELEMENT_STR;
        return sized (element, data, left, 1u << (tag - 0xd9));
    } else if (tag >= 0xdc) {
        element.type = tag <= 0xdd ? ELEMENT_ARRAY : ELEMENT_MAP;
        return sized (element, data, left, tag & 1 ? 4 : 2);
    } else {
        element.type = tag == 0xc1 ? ELEMENT_BAD : ELEMENT_EXT;
    }
    return element;
}

element_t element_at (const uint8_t *data, size_t left)
{
    if (left == 0)
        return (element_t){ .type = ELEMENT_BAD };
    element_t element = header_at (data, left);
    bool has_bytes = element.type == ELEMENT_SCALAR || element.type == ELEMENT_STR ||
                     element.type == ELEMENT_BIN;
    if (has_bytes && left - element.header < element.size)
        element.type = ELEMENT_BAD;
    return element;
}

/* An array or map that is open. */
typedef struct level {
    uint32_t left; /* elements that are to come: two for each pair of a map */
    bool is_map;
} level_t;

typedef struct scan {
    level_t levels[WIRE_DEPTH_MAX];
    unsigned depth;
    uint32_t values;
} scan_t;

static status_t open_level (scan_t *scan, const element_t *element, error_t *error)
{
    if (scan->depth == WIRE_DEPTH_MAX)
        return error_set (error, STATUS_TOO_LARGE, "nested more than %d deep", WIRE_DEPTH_MAX);
    if (element->size > WIRE_ELEMENTS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%u elements in one list or map; the most is %d",
                          element->size, WIRE_ELEMENTS_MAX);
    level_t *level = &scan->levels[scan->depth++];
    level->is_map = element->type == ELEMENT_MAP;
    level->left = level->is_map ? element->size * 2 : element->size;
    return STATUS_OK;
}

static status_t check_element (scan_t *scan, const element_t *element, error_t *error)
{
    if (element->type == ELEMENT_BAD)
        return error_set (error, STATUS_CORRUPT, "not a whole msgpack object");
    if (element->type == ELEMENT_EXT)
        return error_set (error, STATUS_INVALID, "msgpack extension types have no meaning here");
    if (++scan->values > WIRE_VALUES_MAX)
        return error_set (error, STATUS_TOO_LARGE, "more than %d values in one message",
                          WIRE_VALUES_MAX);
    if (scan->depth > 0) {
        level_t *level = &scan->levels[scan->depth - 1];
        if (level->is_map && level->left % 2 == 0) {
            if (element->type != ELEMENT_STR)
                return error_set (error, STATUS_INVALID, "the name of a field must be a str");
            if (element->size > WIRE_NAME_MAX)
                return error_set (error, STATUS_TOO_LARGE,
                                  "the name of a field has %u bytes; the most is %d", element->size,
                                  WIRE_NAME_MAX);
        }
        level->left--;
    }
    if (element->type == ELEMENT_ARRAY || element->type == ELEMENT_MAP)
        return open_level (scan, element, error);
    return STATUS_OK;
}

status_t scan_message (const void *data, size_t size, error_t *error)
{
    const uint8_t *at = data;
    size_t left = size;
    scan_t scan = { .depth = 0 };
    do {
        element_t element = element_at (at, left);
        status_t status = check_element (&scan, &element, error);
        if (status != STATUS_OK)
            return status;
        bool is_open = element.type == ELEMENT_ARRAY || element.type == ELEMENT_MAP;
        size_t step = element.header + (is_open ? 0 : element.size);
        at += step;
        left -= step;
        while (scan.depth > 0 && scan.levels[scan.depth - 1].left == 0)
            scan.depth--;
    } while (scan.depth > 0);
    if (left > 0)
        return error_set (error, STATUS_CORRUPT, "%zu bytes after the message", left);
    return STATUS_OK;
}
