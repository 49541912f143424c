/* trouble.h - what is wrong with a request, as Feast's clients expect to be told: a class of
 * feast.errors in JSON inside a JSON string, or the list of places that FastAPI makes. */
#ifndef WEIR_HTTP_TROUBLE_H
#define WEIR_HTTP_TROUBLE_H

#include "base/buf.h"
#include "base/status.h"

/* name, class of feast.errors, status of HTTP */
#define TROUBLE_TABLE(X)                                                                           \
    X (NONE, "", 200)                                                                              \
    X (VIEW, "FeatureViewNotFoundException", 404)                                                  \
    X (VERSION, "FeatureViewVersionNotFound", 404)                                                 \
    X (FEATURE, "FeastObjectNotFoundException", 404)                                               \
    X (SERVICE, "FeatureServiceNotFoundException", 404)                                            \
    X (COLLISION, "FeatureNameCollisionError", 500)                                                \
    X (SOURCE, "PushSourceNotFoundException", 422)                                                 \
    X (PERMISSION, "FeastPermissionError", 403)                                                    \
    X (TOO_LARGE, "FeastError", 413)                                                               \
    X (FAILED, "FeastError", 500)                                                                  \
    X (BUSY, "FeastError", 503)                                                                    \
    X (CHANGED, "FeastError", 503) /* the definitions, meanwhile */                                \
    X (LATE, "FeastError", 504)                                                                    \
    X (FORM, "", 422) /* of the body: FastAPI's form, with the place */

typedef enum trouble_kind {
#define X(name, class, status) TROUBLE_##name,
    TROUBLE_TABLE (X)
#undef X
} trouble_kind_t;

typedef struct trouble {
    trouble_kind_t kind;
    uint32_t retry_ms; /* of BUSY and CHANGED: not sooner than this; 0: not known */
    char place[256];   /* of FORM, as JSON: `"entities","user_id",3` */
    char text[ERROR_TEXT_MAX];
} trouble_t;

/* Fills it and returns false, for `return trouble_set (…)`. */
bool trouble_set (trouble_t *self, trouble_kind_t kind, const char *format, ...) PRINTF_LIKE (3, 4);
/* Of the body: `place` are the names on the way, as JSON and without the brackets. */
bool trouble_form (trouble_t *self, const char *place, const char *format, ...) PRINTF_LIKE (3, 4);
/* What a node or the client said. */
bool trouble_told (trouble_t *self, int32_t status, uint32_t retry_ms, const char *text);

unsigned trouble_status (const trouble_t *self); /* of HTTP */
/* Appends the body of the answer. */
void trouble_write (const trouble_t *self, buf_t *out);

enum { TROUBLE_ROW_SIZE = 12 /* bytes of a row's number, with its comma */ };

/* `"first"` and `"name"`, with what JSON needs escaped: a place, in which there is room for a row
 * behind them. A name that does not fit is "…". `name` NULL: without. */
void trouble_place (char *place, size_t size, const char *first, const char *name);

#endif
