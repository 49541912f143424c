/* bodies.h - random bodies of any shape, and the ways to spoil them. */
#ifndef WEIR_TESTS_WIRE_BODIES_H
#define WEIR_TESTS_WIRE_BODIES_H

#include "base/random.h"
#include "wire/shapes.h"

typedef enum spoil {
    SPOIL_NOTHING,
    SPOIL_MISSING, /* leave a required field out */
    SPOIL_EXTRA,   /* put a field in that the shape does not have */
    SPOIL_TYPE,    /* give a field a value of another type */
    SPOIL_TWICE,   /* put a field in twice */
} spoil_t;

typedef struct body_maker {
    random_t random;
    wire_writer_t *writer;
    spoil_t spoil;
    uint32_t spoil_at; /* which of the fields that can be spoiled so, counted over the whole body */
    uint32_t seen;
    bool spoiled;
} body_maker_t;

/* Writes the fields of a record into the open map. */
void body_fields (body_maker_t *self, const record_t *record, unsigned depth);

/* A whole message of a kind with id 77. The bytes are valid until the next one. */
void body_message (body_maker_t *self, message_kind_t kind, const void **data, size_t *size);

#endif
