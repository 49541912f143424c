/* given.h - values that a question brings along: of a key's fields and of a view's requests. */
#ifndef WEIR_INTAKE_GIVEN_H
#define WEIR_INTAKE_GIVEN_H

#include "feature/definition.h"
#include "wire/wire.h"

/* What was sent as a value of the field's type; a text is taken for another type's. Nil is null.
 * INVALID when it is none; the message says what `what` ("key field", …) takes. A string is copied
 * to `arena`. */
MUST_CHECK status_t given_value (const field_t *field, const char *what, const wire_value_t *given,
                                 arena_t *arena, value_t *value, error_t *error);

/* A map of a view's request values by name, as the view's request_count values; those that are not
 * in it are null. NOT_FOUND for a name that the view does not know. */
MUST_CHECK status_t given_request (const view_t *view, const wire_value_t *map, arena_t *arena,
                                   value_t **values, error_t *error);

/* Do two views' requests bring along the same values? */
bool given_same_request (const view_t *a, const view_t *b);

#endif
