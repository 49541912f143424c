#include "serving/http/trouble.h"

#include "base/number.h"
#include "client/include/weir.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *class;
    unsigned status;
} kinds[] = {
#define X(name, class, status) [TROUBLE_##name] = { class, status },
    TROUBLE_TABLE (X)
#undef X
};

bool trouble_set (trouble_t *self, trouble_kind_t kind, const char *format, ...)
{
    va_list args;
    self->kind = kind;
    self->retry_ms = 0;
    self->place[0] = '\0';
    va_start (args, format);
    vsnprintf (self->text, sizeof self->text, format, args);
    va_end (args);
    return false;
}

bool trouble_form (trouble_t *self, const char *place, const char *format, ...)
{
    va_list args;
    self->kind = TROUBLE_FORM;
    self->retry_ms = 0;
    snprintf (self->place, sizeof self->place, "%s", place);
    va_start (args, format);
    vsnprintf (self->text, sizeof self->text, format, args);
    va_end (args);
    return false;
}

static trouble_kind_t kind_of (int32_t status)
{
    switch (status) {
    case WEIR_INVALID:
    case WEIR_RANGE:
        return TROUBLE_FORM;
    case WEIR_NOT_FOUND:
        return TROUBLE_FEATURE;
    case WEIR_TOO_LARGE:
        return TROUBLE_TOO_LARGE;
    case WEIR_BUSY:
    case WEIR_NO_SPACE:
    case WEIR_UNAVAILABLE:
    case WEIR_STALE:
    case WEIR_FENCED:
    case WEIR_CANCELLED:
        return TROUBLE_BUSY;
    case WEIR_TIMEOUT:
        return TROUBLE_LATE;
    case WEIR_DENIED:
        return TROUBLE_PERMISSION;
    default:
        return TROUBLE_FAILED;
    }
}

bool trouble_told (trouble_t *self, int32_t status, uint32_t retry_ms, const char *text)
{
    (void)trouble_set (self, kind_of (status), "%s", text);
    self->retry_ms = retry_ms;
    return false;
}

unsigned trouble_status (const trouble_t *self)
{
    return kinds[self->kind].status;
}

void trouble_place (char *place, size_t size, const char *first, const char *name)
{
    buf_t out;
    buf_init (&out, 4096);
    buf_printf (&out, "\"%s\"", first);
    if (name) {
        size_t length = strnlen (name, 64); /* it may have been cut in the middle of a character */
        buf_put_u8 (&out, ',');
        number_format_json_string (&out, (text_t){ name, (uint32_t)length });
    }
    if (out.size + TROUBLE_ROW_SIZE < size)
        snprintf (place, size, "%s", buf_string (&out));
    else
        snprintf (place, size, "\"%s\",\"…\"", first);
    buf_release (&out);
}

static void write_form (const trouble_t *self, buf_t *out)
{
    buf_printf (out, "{\"detail\":[{\"loc\":[\"body\"%s%s],\"msg\":", self->place[0] ? "," : "",
                self->place);
    number_format_json_string (out, text_of (self->text));
    buf_put_string (out, ",\"type\":\"value_error\"}]}");
}

void trouble_write (const trouble_t *self, buf_t *out)
{
    if (self->kind == TROUBLE_FORM) {
        write_form (self, out);
        return;
    }
    buf_t inside;
    buf_init (&inside, 16 * ERROR_TEXT_MAX);
    buf_printf (&inside, "{\"module\":\"feast.errors\",\"class\":\"%s\",\"message\":",
                kinds[self->kind].class);
    number_format_json_string (&inside, text_of (self->text));
    buf_put_u8 (&inside, '}');
    number_format_json_string (out, (text_t){ (const char *)inside.data, (uint32_t)inside.size });
    buf_release (&inside);
}
