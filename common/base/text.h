/* text.h - a borrowed run of bytes that is not NUL-terminated. */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whoever hands out a text_t says how long its bytes live. `data` may be NULL when size is 0. */
typedef struct text {
    const char *data;
    uint32_t size; /* bytes */
} text_t;

#define TEXT_FORMAT     "%.*s"
#define TEXT_ARGS(text) (int)(text).size, (text).data

static inline text_t text_of (const char *string)
{
    return (text_t){ string, (uint32_t)strlen (string) };
}

static inline bool text_equal (text_t a, text_t b)
{
    if (a.size != b.size)
        return false;
    if (a.size == 0 || a.data == b.data)
        return true;
    if (a.size < 8 || a.size > 16)
        return memcmp (a.data, b.data, a.size) == 0;
    /* as most keys are: two halves that overlap, without a call */
    uint64_t x[2];
    uint64_t y[2];
    memcpy (&x[0], a.data, 8);
    memcpy (&x[1], a.data + a.size - 8, 8);
    memcpy (&y[0], b.data, 8);
    memcpy (&y[1], b.data + b.size - 8, 8);
    return x[0] == y[0] && x[1] == y[1];
}

static inline bool text_is (text_t a, const char *string)
{
    return text_equal (a, text_of (string));
}

/* The end of the texts from `from` on, below `to`, that are equal to that one: quickest when they
 * are the same bytes in memory. */
static inline size_t text_run_end (const text_t *texts, size_t from, size_t to)
{
    const text_t first = texts[from];
    const text_t *at = texts + from + 1;
    const text_t *end = texts + to;
    for (;; at++) {
        while (at < end && at->data == first.data && at->size == first.size)
            at++;
        if (at == end || !text_equal (*at, first))
            return (size_t)(at - texts);
    }
}

/* Copies the text's bytes, as memcpy does, but without a call when they are few. */
static inline void text_copy (void *to, text_t text)
{
    char *bytes = (char *)to;
    if (text.size > 16)
        memcpy (bytes, text.data, text.size);
    else if (text.size >= 8) { /* two halves that overlap, as most keys are of 9 bytes */
        uint64_t first;
        uint64_t last;
        memcpy (&first, text.data, 8);
        memcpy (&last, text.data + text.size - 8, 8);
        memcpy (bytes, &first, 8);
        memcpy (bytes + text.size - 8, &last, 8);
    } else {
        for (uint32_t i = 0; i < text.size; i++)
            bytes[i] = text.data[i];
    }
}

/* text_compare of any texts. */
int text_compare_bytes (text_t a, text_t b);

/* Byte order, shorter first on a tie: negative, 0 or positive. */
static inline int text_compare (text_t a, text_t b)
{
    if (a.size != b.size || a.size < 8 || a.size > 16)
        return text_compare_bytes (a, b);
    /* as most keys are: two halves that overlap, as numbers */
    uint64_t x;
    uint64_t y;
    memcpy (&x, a.data, 8);
    memcpy (&y, b.data, 8);
    if (x == y) {
        memcpy (&x, a.data + a.size - 8, 8);
        memcpy (&y, b.data + b.size - 8, 8);
    }
    x = __builtin_bswap64 (x);
    y = __builtin_bswap64 (y);
    return (x > y) - (x < y);
}

/* The candidate nearest to `word` by edit distance, or NULL when none is near enough to be a likely
 * slip (distance over a third of the longer word). For "did you mean" messages. */
const char *text_nearest (const char *word, const char *const *candidates, size_t count);

/* Bytes of the well-formed UTF-8 character (RFC 3629) that `text` begins with, 1 to 4; 0 when it is
 * empty or begins with none. */
uint32_t text_utf8_step (text_t text);

/* Is it well-formed UTF-8 without NUL (RFC 3629)? */
bool text_is_utf8 (text_t text);

#endif
