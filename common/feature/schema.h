/* schema.h - the fields of a stream under the numbers by which stored rows name them.
 *
 * A field keeps its number (id) for as long as its log exists, whatever it is called and wherever
 * it stands in the definition; no number is given twice. So a stored row can be read under any
 * later definition: a field that it has no column for is null, an int64 of a field that is float64
 * by now is widened, and a column of no field is left alone. A field also keeps the name that it
 * was defined with first (its origin), by which meanings are hashed: renaming changes none. */
#ifndef WEIR_FEATURE_SCHEMA_H
#define WEIR_FEATURE_SCHEMA_H

#include "feature/definition.h"

#define SCHEMA_IDS_MAX UINT16_MAX /* numbers below it are given */

typedef struct schema_field {
    uint16_t id;
    type_t type;
    bool required;
    bool time;
    const char *name;
    const char *origin;
    uint64_t computed; /* hash of what it is computed as, over origins; 0: it is sent */
} schema_field_t;

typedef struct schema {
    schema_field_t fields[FIELDS_MAX];
    size_t count;
    uint32_t next; /* the number that a new field gets */
} schema_t;

/* Of a stream whose fields have the numbers that they have; `next` is above all of them. Names are
 * borrowed. */
void schema_of (const stream_t *stream, schema_t *schema);

/* The text that the catalog keeps of it, and back (strings in `arena`). CORRUPT when it is not one.
 */
void schema_format (const schema_t *schema, buf_t *out);
MUST_CHECK status_t schema_read (text_t text, arena_t *arena, schema_t *schema, error_t *error);

/* Gives the stream's fields their numbers and origins, and its views the meanings that follow.
 * CORRUPT when the schema is not of just these fields. */
MUST_CHECK status_t schema_take (const schema_t *schema, definitions_t *definitions,
                                 stream_t *stream, error_t *error);

/* What becomes of a stream's fields under a new definition. Texts are in the arena. */
typedef struct evolution {
    const char *refusal; /* why stored rows cannot be read so, and what to do; NULL: they can */
    const char *detail;  /* "field channel added; amount widened to float64", "" for nothing */
    bool widened;        /* some field was */
} evolution_t;

/* Continues `past` with the fields of `next` in *schema: by name, or by an alias that is the past
 * name. What cannot be continued is given a new number, which is right only for a log without
 * rows: evolution->refusal says the first reason why not. */
void schema_evolve (const schema_t *past, const stream_t *next, arena_t *arena, schema_t *schema,
                    evolution_t *evolution);

#endif
