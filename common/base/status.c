#include "base/status.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {
#define X(name, word) [STATUS_##name] = word,
    STATUS_TABLE (X)
#undef X
};

const char *status_word (status_t status)
{
    CHECK ((unsigned)status < STATUS_COUNT);
    return words[status];
}

status_t status_from_word (const char *word)
{
    for (unsigned i = 0; i < STATUS_COUNT; i++) {
        if (strcmp (words[i], word) == 0)
            return (status_t)i;
    }
    return STATUS_INVALID;
}

void error_clear (error_t *error)
{
    error->status = STATUS_OK;
    error->retry_ms = 0;
    error->text[0] = '\0';
}

/* Messages quote users' text and travel as UTF-8, so a cut must not leave half a character. */
static void drop_cut_character (char *text)
{
    size_t size = strlen (text);
    size_t start = size;
    while (start > 0 && size - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (whole > size - start + 1)
        text[start - 1] = '\0';
}

static void format_text (char *text, const char *format, va_list args)
{
    int size = vsnprintf (text, ERROR_TEXT_MAX, format, args);
    if (size >= ERROR_TEXT_MAX)
        drop_cut_character (text);
    else if (size < 0)
        text[0] = '\0';
}

/* Puts `head`, and ": " and `tail` unless that is NULL, into the error, cut to fit. */
static void join (error_t *error, const char *head, const char *tail)
{
    size_t size = strlen (head);
    memcpy (error->text, head, size + 1);
    if (!tail)
        return;
    int more = snprintf (error->text + size, ERROR_TEXT_MAX - size, ": %s", tail);
    if (more >= 0 && size + (size_t)more >= ERROR_TEXT_MAX)
        drop_cut_character (error->text);
}

status_t error_set (error_t *error, status_t status, const char *format, ...)
{
    CHECK ((unsigned)status < STATUS_COUNT);
    if (!error)
        return status;
    /* Formatted aside, because the arguments may be the old message. */
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start (args, format);
    format_text (text, format, args);
    va_end (args);
    error->status = status;
    error->retry_ms = 0;
    join (error, text, NULL);
    return status;
}

status_t error_set_retry (error_t *error, status_t status, uint32_t retry_ms, const char *format,
                          ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start (args, format);
    format_text (text, format, args);
    va_end (args);
    (void)error_set (error, status, "%s", text);
    if (error)
        error->retry_ms = retry_ms;
    return status;
}

status_t error_prefix (error_t *error, const char *format, ...)
{
    char head[ERROR_TEXT_MAX];
    char tail[ERROR_TEXT_MAX];
    va_list args;
    va_start (args, format);
    format_text (head, format, args);
    va_end (args);
    memcpy (tail, error->text, strlen (error->text) + 1);
    join (error, head, tail);
    return error->status;
}

static status_t status_of_errno (int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return STATUS_NO_SPACE;
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EEXIST:
        return STATUS_EXISTS;
    default:
        return STATUS_IO;
    }
}

status_t error_set_errno (error_t *error, int code, const char *format, ...)
{
    status_t status = status_of_errno (code);
    if (!error)
        return status;
    char head[ERROR_TEXT_MAX];
    char buffer[256];
    va_list args;
    va_start (args, format);
    format_text (head, format, args);
    va_end (args);
    error->status = status;
    error->retry_ms = 0;
    join (error, head, strerror_r (code, buffer, sizeof buffer));
    return status;
}
