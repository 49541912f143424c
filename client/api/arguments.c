#include "client/api/state.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The public numbers are those of status_t. */
_Static_assert((int)WEIR_OK == STATUS_OK && (int)WEIR_INVALID == STATUS_INVALID &&
                   (int)WEIR_NOT_FOUND == STATUS_NOT_FOUND && (int)WEIR_EXISTS == STATUS_EXISTS &&
                   (int)WEIR_CORRUPT == STATUS_CORRUPT &&
                   (int)WEIR_OTHER_VERSION == STATUS_VERSION &&
                   (int)WEIR_TOO_LARGE == STATUS_TOO_LARGE && (int)WEIR_RANGE == STATUS_RANGE &&
                   (int)WEIR_IO == STATUS_IO && (int)WEIR_NO_SPACE == STATUS_NO_SPACE &&
                   (int)WEIR_BUSY == STATUS_BUSY && (int)WEIR_STALE == STATUS_STALE &&
                   (int)WEIR_FENCED == STATUS_FENCED && (int)WEIR_TIMEOUT == STATUS_TIMEOUT &&
                   (int)WEIR_UNAVAILABLE == STATUS_UNAVAILABLE &&
                   (int)WEIR_CANCELLED == STATUS_CANCELLED &&
                   (int)WEIR_UNSUPPORTED == STATUS_UNSUPPORTED &&
                   (int)WEIR_DENIED == STATUS_DENIED && STATUS_END == WEIR_DENIED + 1,
               "they never change");
_Static_assert((int)WEIR_KEYS_MAX == WIRE_KEYS_MAX &&
                   (int)WEIR_WINDOW_MAX == CLIENT_UNACKNOWLEDGED_MAX &&
                   (int)WEIR_PRODUCER_SIZE == CLIENT_PRODUCER_SIZE &&
                   (int)WEIR_BATCH_ROWS_MAX == WIRE_ELEMENTS_MAX &&
                   (int)WEIR_REFUSED_LISTED == WIRE_REFUSED_MAX,
               "the limits of the protocol");
_Static_assert(sizeof (weir_value_t) == 16 && sizeof (weir_error_t) == 1032, "for ever");

const char *weir_status_word (weir_status_t status)
{
    return (unsigned)status < STATUS_END ? status_word ((status_t)status) : "unknown";
}

void api_error (weir_error_t *to, const error_t *from)
{
    to->status = (int32_t)from->status;
    to->retry_ms = from->retry_ms;
    snprintf (to->text, sizeof to->text, "%s", from->text);
}

weir_status_t api_fail (weir_error_t *to, const error_t *from)
{
    if (to)
        api_error (to, from);
    return (weir_status_t)from->status;
}

weir_status_t api_invalid (weir_error_t *to, const char *format, ...)
{
    va_list args;
    if (!to)
        return WEIR_INVALID;
    to->status = WEIR_INVALID;
    to->retry_ms = 0;
    va_start (args, format);
    vsnprintf (to->text, sizeof to->text, format, args);
    va_end (args);
    return WEIR_INVALID;
}

weir_status_t api_ok (weir_error_t *to)
{
    if (to) {
        to->status = WEIR_OK;
        to->retry_ms = 0;
        to->text[0] = '\0';
    }
    return WEIR_OK;
}

bool api_options (void *own, size_t own_size, size_t least, const void *given)
{
    size_t size;
    if (!given)
        return false;
    memcpy (&size, given, sizeof size);
    if (size < least || size > 4096)
        return false;
    for (size_t i = own_size; i < size; i++)
        if (((const uint8_t *)given)[i] != 0)
            return false;
    memset (own, 0, own_size);
    memcpy (own, given, size < own_size ? size : own_size);
    return true;
}

bool api_name (const char *name)
{
    if (!name)
        return false;
    size_t size = strnlen (name, WIRE_NAME_MAX + 1);
    return size > 0 && size <= WIRE_NAME_MAX && text_is_utf8 ((text_t){ name, (uint32_t)size });
}

bool api_scalar (const weir_value_t *value)
{
    switch (value->type) {
    case WEIR_NULL:
    case WEIR_INT64:
    case WEIR_FLOAT64:
    case WEIR_TIMESTAMP:
        return true;
    case WEIR_BOOL:
        return value->as.i == 0 || value->as.i == 1;
    case WEIR_STRING:
    case WEIR_DECIMAL:
        return value->size == 0 ||
               (value->as.text && text_is_utf8 ((text_t){ value->as.text, value->size }));
    default:
        return false;
    }
}
