/* scan.h - a walk over msgpack bytes before anything is allocated for them. */
#ifndef WEIR_WIRE_SCAN_H
#define WEIR_WIRE_SCAN_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* One element's header: what it is and what follows it. */
typedef struct element {
    enum {
        ELEMENT_BAD,    /* not msgpack, or the bytes end inside it */
        ELEMENT_SCALAR, /* nil, bool, integer or float: `size` bytes */
        ELEMENT_STR,    /* `size` bytes */
        ELEMENT_BIN,    /* `size` bytes */
        ELEMENT_ARRAY,  /* `size` elements */
        ELEMENT_MAP,    /* `size` pairs */
        ELEMENT_EXT,    /* an extension type */
    } type;
    uint8_t tag;   /* the first byte */
    size_t header; /* bytes of the header */
    uint32_t size;
} element_t;

/* Reads the header at `data`. The bytes of a scalar, str or bin are known to be there. */
element_t element_at (const uint8_t *data, size_t left);

/* Is it exactly one msgpack object, within the limits of nesting, of elements of one array or map
 * and of values of the message, whose map keys are str of at most WIRE_NAME_MAX bytes, and that
 * has no extension types? CORRUPT, INVALID or TOO_LARGE. Uses constant memory. */
MUST_CHECK status_t scan_message (const void *data, size_t size, error_t *error);

#endif
