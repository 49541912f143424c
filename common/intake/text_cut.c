/* text_cut.c - where a text can be cut, by counting quotes at the speed of memory.
 *
 * To know where the records of a CSV begin one has to read it from its beginning; but where quoting
 * is right, a line's end is the end of a record exactly if the quotes before it are even in number.
 * Where it is wrong a cut may be in the middle of a record. That costs time and no more: who reads
 * the pieces sees how one ends, and reads the next one as its continuation. */
#include "intake/intake.h"

#include <string.h>

enum {
    STRETCH = 64, /* bytes that are counted together */
    LOOK_MAX =
        1 << 16, /* bytes to look through for even quotes, after which any line's end will do */
};

typedef struct counts {
    size_t lines; /* CR LF counts as two */
    size_t quotes;
} counts_t;

static inline counts_t count_bytes (const char *data, size_t size)
{
    uint8_t lines = 0;
    uint8_t quotes = 0;
    for (size_t i = 0; i < size; i++) {
        lines = (uint8_t)(lines + (data[i] == '\n') + (data[i] == '\r'));
        quotes = (uint8_t)(quotes + (data[i] == '"'));
    }
    return (counts_t){ lines, quotes };
}

/* The size is nearly always the same, so that the compiler can make vectors of the loop. */
static counts_t count_stretch (const char *data, size_t size)
{
    return size == STRETCH ? count_bytes (data, STRETCH) : count_bytes (data, size);
}

/* After the first line's end, or 0; of those with even quotes before them, if one is near. */
static size_t next_line (const char *data, size_t size, size_t quotes)
{
    size_t any = 0;
    for (size_t i = 0; i < size && (any == 0 || i < LOOK_MAX); i++) {
        quotes += data[i] == '"';
        if (data[i] != '\n' && data[i] != '\r')
            continue;
        if (quotes % 2 == 0)
            return i + 1;
        any = any > 0 ? any : i + 1;
    }
    return size >= LOOK_MAX ? any : 0;
}

size_t text_cut (text_format_t format, const char *data, size_t size, size_t bytes, size_t lines)
{
    counts_t sum = { 0, 0 };
    size_t at = 0;
    while (at < size && at < bytes && sum.lines < lines) {
        size_t stretch = size - at < STRETCH ? size - at : STRETCH;
        counts_t here = count_stretch (data + at, stretch);
        sum.lines += here.lines;
        sum.quotes += here.quotes;
        at += stretch;
    }
    if (format == FORMAT_NDJSON) {
        const char *end = memchr (data + at, '\n', size - at);
        return end != NULL ? (size_t)(end - data) + 1 : 0;
    }
    size_t line = next_line (data + at, size - at, sum.quotes);
    return line > 0 ? at + line : 0;
}
