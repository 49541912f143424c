/* form.h - the body of a request: JSON with fields that one table names, for the reader and for
 * /openapi.json alike. */
#ifndef WEIR_HTTP_FORM_H
#define WEIR_HTTP_FORM_H

#include "base/arena.h"
#include "client/include/weir.h"
#include "serving/http/trouble.h"

#include <jansson.h>

/* name, schema in OpenAPI */
#define FORM_TYPE_TABLE(X)                                                                         \
    X (TEXT, "{\"type\":\"string\"}")                                                              \
    X (TEXT_OR_NULL, "{\"type\":\"string\",\"nullable\":true}")                                    \
    X (BOOL, "{\"type\":\"boolean\"}")                                                             \
    X (TEXTS_OR_NULL, "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"nullable\":true}")    \
    X (COLUMNS, "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\",\"items\":{}}"  \
                "}")

typedef enum form_type {
#define X(name, schema) FORM_##name,
    FORM_TYPE_TABLE (X)
#undef X
} form_type_t;

typedef struct form_field {
    const char *name;
    form_type_t type;
    bool required;
    const char *about;
} form_field_t;

const char *form_schema (form_type_t type);

/* The JSON object that has these fields, of their types, and maybe others, which mean nothing. NULL
 * and what is wrong otherwise. The caller ends it with json_decref. */
json_t *form_read (text_t body, const form_field_t *fields, size_t count, trouble_t *trouble);

/* A field that form_read has seen; NULL when it is not there, or null. */
const json_t *form_get (const json_t *form, const char *name);
const char *form_text (const json_t *form, const char *name); /* NULL when it is not there */
bool form_bool (const json_t *form, const char *name, bool otherwise);

/* Columns of equally many cells, each a number, a text, a truth value or null. */
typedef struct columns {
    size_t count;
    size_t rows; /* 0 where there are no columns */
    const char **names;
    weir_value_t **cells; /* by column, then row */
} columns_t;

/* Those of a field of the type COLUMNS, in `arena`; false with what is wrong. */
bool form_columns (const json_t *form, const char *field, size_t columns_max, size_t rows_max,
                   arena_t *arena, columns_t *columns, trouble_t *trouble);

#endif
