#include "base/text.h"

enum { NEAREST_WORD_MAX = 128 }; /* bytes; nobody mistypes a longer word usefully */

int text_compare_bytes (text_t a, text_t b)
{
    uint32_t both = a.size < b.size ? a.size : b.size;
    int order = both > 0 ? memcmp (a.data, b.data, both) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static size_t smaller (size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between two words: insert, delete, replace, and swap of neighbours count one each (optimal
 * string alignment). Both are at most NEAREST_WORD_MAX bytes. */
static size_t edit_distance (const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *recycled = before;
        before = above;
        above = row;
        row = recycled;
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller (replaced, smaller (above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller (row[j], before[j - 2] + 1);
        }
    }
    return row[b_size];
}

const char *text_nearest (const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    size_t size = strlen (word);
    if (size > NEAREST_WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen (candidates[i]);
        if (other > NEAREST_WORD_MAX)
            continue;
        size_t distance = edit_distance (word, size, candidates[i], other);
        if (distance < nearest_distance && 3 * distance <= (size > other ? size : other)) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}

static bool in_range (uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

uint32_t text_utf8_step (text_t text)
{
    if (text.size == 0)
        return 0;
    uint8_t b[4] = { 0 };
    memcpy (b, text.data, text.size < 4 ? text.size : 4);
    if (b[0] < 0x80)
        return 1;
    if (in_range (b[0], 0xc2, 0xdf))
        return in_range (b[1], 0x80, 0xbf) ? 2 : 0;
    if (in_range (b[0], 0xe0, 0xef)) {
        /* e0 would be overlong below a0; ed is a surrogate above 9f */
        uint8_t low = b[0] == 0xe0 ? 0xa0 : 0x80;
        uint8_t high = b[0] == 0xed ? 0x9f : 0xbf;
        return in_range (b[1], low, high) && in_range (b[2], 0x80, 0xbf) ? 3 : 0;
    }
    if (in_range (b[0], 0xf0, 0xf4)) {
        /* f0 would be overlong below 90; f4 is past U+10FFFF above 8f */
        uint8_t low = b[0] == 0xf0 ? 0x90 : 0x80;
        uint8_t high = b[0] == 0xf4 ? 0x8f : 0xbf;
        bool good = in_range (b[1], low, high) && in_range (b[2], 0x80, 0xbf) &&
                    in_range (b[3], 0x80, 0xbf);
        return good ? 4 : 0;
    }
    return 0;
}

/* Are the eight bytes ASCII, and none of them NUL? */
static bool is_plain_word (const char *data)
{
    const uint64_t ones = UINT64_C (0x0101010101010101);
    const uint64_t tops = ones << 7;
    uint64_t word;
    memcpy (&word, data, sizeof word);
    return ((word | (word - ones)) & tops) == 0;
}

bool text_is_utf8 (text_t text)
{
    uint32_t at = 0;
    while (at < text.size) {
        if (text.size - at >= 8 && is_plain_word (text.data + at)) {
            at += 8;
            continue;
        }
        text_t rest = { text.data + at, text.size - at };
        uint32_t step = (int8_t)rest.data[0] > 0 ? 1 : text_utf8_step (rest);
        if (step == 0 || rest.data[0] == '\0')
            return false;
        at += step;
    }
    return true;
}
