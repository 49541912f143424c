/* shapes.h - what the body of each kind of message must look like: docs/protocol.md as tables.
 *
 * A shape is a list of fields. shapes.c declares one for each kind and each named record of the
 * protocol page; a test compares them with the page, so that neither changes alone. */
#ifndef WEIR_WIRE_SHAPES_H
#define WEIR_WIRE_SHAPES_H

#include "wire/wire.h"

/* name, word on the protocol page */
#define SHAPE_TABLE(X)                                                                             \
    X (ANY, "any")                                                                                 \
    X (UINT, "uint")                                                                               \
    X (INT, "int") /* within int64 */                                                              \
    X (BOOL, "bool")                                                                               \
    X (NAME, "str") /* UTF-8 without NUL, up to WIRE_NAME_MAX bytes */                             \
    X (TEXT, "str") /* any bytes */                                                                \
    X (BIN, "bin")                                                                                 \
    X (MAP, "map")   /* of any fields */                                                           \
    X (ROW, "[any]") /* all rows of a field together have up to WIRE_CELLS_MAX cells */            \
    X (RECORD, "")   /* a map of the fields of `record` */

typedef enum shape_type {
#define X(name, word) SHAPE_##name,
    SHAPE_TABLE (X)
#undef X
} shape_type_t;

enum {
    FIELD_OPTIONAL = 1,
    FIELD_LIST = 2,
    FIELD_PATH = 4,  /* a TEXT that is a path below the data directory (base/fs.h) */
    FIELD_EMPTY = 8, /* or is empty */
};

typedef struct record record_t;

typedef struct field {
    const char *name;
    shape_type_t type;  /* of the value, or of each item of a list */
    unsigned flags;     /* FIELD_… */
    uint32_t items_max; /* of a list; 0 is WIRE_ELEMENTS_MAX */
    uint32_t bytes_max; /* of a TEXT or BIN; 0 is no limit of its own */
    uint32_t bytes_min; /* of a BIN */
    uint32_t sum_max;   /* of a list of records: bytes of all their TEXT fields; 0 is no limit */
    const record_t *record; /* of a RECORD */
} field_t;

enum { RECORD_FIELDS_MAX = 32 };

struct record {
    const char *name; /* in capitals as on the protocol page, or NULL for one without a name */
    const field_t *fields;
    uint32_t count;
};

/* The shape of a kind's body. Static storage. */
const record_t *shape_of (message_kind_t kind);

/* Does `body`, a map, have the shape? The error names the field that breaks it, as in
 * "results[3]: values: …". INVALID, or TOO_LARGE when a limit is broken. */
MUST_CHECK status_t shape_check (const record_t *record, const wire_value_t *body, error_t *error);

/* The word of a type on the protocol page. Static storage. */
const char *shape_word (shape_type_t type);

#endif
