/* Strings: UTF-8, counted in characters. A character begins at every byte that does not continue
 * one, so that bytes that are not UTF-8 cannot harm either. What is a part of an argument borrows
 * its bytes; what is new is written into one allocation for all rows. */
#include "base/arena.h"
#include "base/value.h"
#include "expr/tree.h"

static const text_t empty = { "", 0 };

static text_t text_at (const call_t *call, size_t index, size_t row)
{
    const vector_t *arg = call->args[index];
    return arg->column.s[row * arg->step];
}

static int64_t int_at (const call_t *call, size_t index, size_t row)
{
    const vector_t *arg = call->args[index];
    return arg->column.i[row * arg->step];
}

static void set_bool (column_t *out, size_t row, bool value)
{
    out->i[row] = out->valid[row] && value;
}

static void set_text (column_t *out, size_t row, bool ok, text_t text)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->s[row] = ok ? text : (text_t){ NULL, 0 };
}

static bool continues (char byte)
{
    return ((uint8_t)byte & 0xc0) == 0x80;
}

static int64_t characters_of (text_t text)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < text.size; i++)
        count += !continues (text.data[i]);
    /* Continuations that begin a text make a character of their own. */
    return count + (text.size > 0 && continues (text.data[0]));
}

/* Bytes of the first `count` characters, all there are when that is more. */
static uint32_t bytes_of (text_t text, int64_t count)
{
    uint32_t at = 0;
    for (; count > 0 && at < text.size; count--) {
        at++;
        while (at < text.size && continues (text.data[at]))
            at++;
    }
    return at;
}

static text_t text_from (text_t text, uint32_t at)
{
    return at == 0 ? text : (text_t){ text.data + at, text.size - at };
}

static text_t text_to (text_t text, uint32_t size)
{
    return (text_t){ text.data, size };
}

/* Where `part` begins in `text`, from byte `from` on; -1 when nowhere. */
static int64_t find (text_t text, uint32_t from, text_t part)
{
    if (part.size == 0)
        return from;
    if (text.size - from < part.size)
        return -1;
    const char *found = memmem (text.data + from, text.size - from, part.data, part.size);
    return found != NULL ? found - text.data : -1;
}

/* ---- parts of a text ---- */

void call_length (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++)
        out->i[r] = out->valid[r] ? characters_of (text_at (call, 0, r)) : 0;
}

/* The characters whose numbers, from 1, are in [from, from + count). */
void call_substring (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        int64_t from = int_at (call, 1, r);
        int64_t count = call->count == 3 ? int_at (call, 2, r) : INT64_MAX;
        bool ok = count >= 0;
        if (!ok || (call->count == 3 && from < 1 && /* what lies before the text counts too */
                    __builtin_add_overflow (from, count - 1, &count)))
            count = 0;
        if (from > 1)
            text = text_from (text, bytes_of (text, from - 1));
        set_text (out, r, ok, text_to (text, bytes_of (text, count)));
    }
}

void call_left (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        int64_t count = int_at (call, 1, r);
        if (count < 0) /* all but so many; no text has 2^32 */
            count += characters_of (text);
        set_text (out, r, true, text_to (text, bytes_of (text, count)));
    }
}

void call_right (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        int64_t count = int_at (call, 1, r);
        int64_t skipped = count == INT64_MIN ? INT64_MAX : -count;
        if (count >= 0)
            skipped = characters_of (text) - count;
        set_text (out, r, true, text_from (text, bytes_of (text, skipped)));
    }
}

/* Is the first character of `text`, of `size` bytes, one of `set`? */
static bool is_among (text_t text, uint32_t size, text_t set)
{
    while (set.size > 0) {
        uint32_t step = bytes_of (set, 1);
        if (step == size && memcmp (set.data, text.data, size) == 0)
            return true;
        set = text_from (set, step);
    }
    return false;
}

static text_t trim_left (text_t text, text_t set)
{
    while (text.size > 0 && is_among (text, bytes_of (text, 1), set))
        text = text_from (text, bytes_of (text, 1));
    return text;
}

static text_t trim_right (text_t text, text_t set)
{
    while (text.size > 0) {
        uint32_t last = text.size - 1;
        while (last > 0 && continues (text.data[last]))
            last--;
        if (!is_among (text_from (text, last), text.size - last, set))
            break;
        text.size = last;
    }
    return text;
}

static void trim (const call_t *call, column_t *out, bool left, bool right)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        text_t set = call->count == 2 ? text_at (call, 1, r) : (text_t){ " ", 1 };
        if (left)
            text = trim_left (text, set);
        if (right)
            text = trim_right (text, set);
        set_text (out, r, true, text);
    }
}

void call_trim (const call_t *call, column_t *out)
{
    trim (call, out, true, true);
}

void call_ltrim (const call_t *call, column_t *out)
{
    trim (call, out, true, false);
}

void call_rtrim (const call_t *call, column_t *out)
{
    trim (call, out, false, true);
}

/* The part number `index`, from 0; empty when there are fewer. */
static text_t part_of (text_t text, text_t separator, int64_t index)
{
    uint32_t start = 0;
    int64_t end;
    while ((end = find (text, start, separator)) >= 0 && index > 0) {
        start = (uint32_t)end + separator.size;
        index--;
    }
    if (index > 0)
        return empty;
    return text_from (text_to (text, end >= 0 ? (uint32_t)end : text.size), start);
}

static int64_t parts_of (text_t text, text_t separator)
{
    int64_t count = 1;
    int64_t at = 0;
    while ((at = find (text, (uint32_t)at, separator)) >= 0) {
        at += separator.size;
        count++;
    }
    return count;
}

void call_split_part (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        text_t separator = text_at (call, 1, r);
        int64_t number = int_at (call, 2, r);
        int64_t index = number > 0 ? number - 1 : 0;
        if (number < 0)
            index = number + (separator.size > 0 ? parts_of (text, separator) : 1);
        text_t part = empty;
        if (separator.size == 0)
            part = index == 0 ? text : empty;
        else if (index >= 0)
            part = part_of (text, separator, index);
        set_text (out, r, number != 0, part);
    }
}

/* ---- what is in a text ---- */

void call_starts_with (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    const vector_t *b = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = a->column.s[r * a->step];
        text_t prefix = b->column.s[r * b->step];
        bool begins = prefix.size <= text.size;
        if (begins)
            text.size = prefix.size;
        out->i[r] = out->valid[r] && begins && text_equal (text, prefix);
    }
}

void call_ends_with (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        text_t suffix = text_at (call, 1, r);
        set_bool (out, r,
                  suffix.size <= text.size &&
                      text_equal (text_from (text, text.size - suffix.size), suffix));
    }
}

void call_contains (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++)
        set_bool (out, r, find (text_at (call, 0, r), 0, text_at (call, 1, r)) >= 0);
}

void call_position (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++) {
        text_t text = text_at (call, 0, r);
        int64_t at = find (text, 0, text_at (call, 1, r));
        out->i[r] = 0;
        if (out->valid[r] && at >= 0)
            out->i[r] = 1 + characters_of (text_to (text, (uint32_t)at));
    }
}

/* Goes back to the last % only: what lay before it matched already. */
static bool is_like (text_t text, text_t pattern)
{
    uint32_t t = 0, p = 0;
    uint32_t back_t = 0, back_p = 0;
    bool can_go_back = false;
    while (t < text.size || p < pattern.size) {
        char c = p < pattern.size ? pattern.data[p] : '\0';
        if (p < pattern.size && c == '%') {
            back_p = ++p;
            back_t = t;
            can_go_back = true;
            continue;
        }
        if (p < pattern.size && t < text.size) {
            uint32_t escaped = c == '\\' && p + 1 < pattern.size;
            if (c == '_') {
                t += bytes_of (text_from (text, t), 1);
                p++;
                continue;
            }
            if (text.data[t] == pattern.data[p + escaped]) {
                t++;
                p += 1 + escaped;
                continue;
            }
        }
        if (!can_go_back || back_t >= text.size)
            return false;
        t = back_t += bytes_of (text_from (text, back_t), 1);
        p = back_p;
    }
    return true;
}

void eval_like (const call_t *call, column_t *out)
{
    for (size_t r = 0; r < call->rows; r++)
        set_bool (out, r, out->valid[r] && is_like (text_at (call, 0, r), text_at (call, 1, r)));
}

/* ---- new texts ---- */

/* Maps the bytes `first` to `last` by adding `shift`, all others to themselves. */
static void map_bytes (const call_t *call, column_t *out, char first, char last, int shift)
{
    const vector_t *a = call->args[0];
    size_t size = 0;
    for (size_t r = 0; r < call->rows; r++)
        size += out->valid[r] ? a->column.s[r * a->step].size : 0;
    char *to = arena_alloc (call->arena, size + 1);
    for (size_t r = 0; r < call->rows; r++) {
        text_t from = out->valid[r] ? a->column.s[r * a->step] : (text_t){ NULL, 0 };
        out->s[r] = (text_t){ to, from.size };
        for (uint32_t i = 0; i < from.size; i++) {
            char c = from.data[i];
            *to++ = (char)(c >= first && c <= last ? c + shift : c);
        }
    }
}

void call_lower (const call_t *call, column_t *out)
{
    map_bytes (call, out, 'A', 'Z', 'a' - 'A');
}

void call_upper (const call_t *call, column_t *out)
{
    map_bytes (call, out, 'a', 'z', 'A' - 'a');
}

/* Writes a row's text to `to`, or only answers its size when that is NULL. */
typedef size_t make_t (const call_t *call, size_t row, char *to);

/* Makes a text for each row: sizes first, so that there is one allocation. */
static void make_texts (const call_t *call, column_t *out, make_t *make)
{
    size_t all = 0;
    for (size_t r = 0; r < call->rows; r++) {
        size_t size = out->valid[r] ? make (call, r, NULL) : 0;
        if (size > EXPR_STRING_MAX)
            out->valid[r] = 0;
        out->s[r] = (text_t){ NULL, out->valid[r] ? (uint32_t)size : 0 };
        all += out->s[r].size;
    }
    char *to = arena_alloc (call->arena, all + 1);
    for (size_t r = 0; r < call->rows; r++) {
        if (!out->valid[r])
            continue;
        out->s[r].data = to;
        to += make (call, r, to);
    }
}

static size_t append (char *to, size_t size, text_t text)
{
    if (to != NULL && text.size > 0)
        memcpy (to + size, text.data, text.size);
    return size + text.size;
}

static size_t make_concat (const call_t *call, size_t row, char *to)
{
    size_t size = 0;
    for (size_t k = 0; k < call->count; k++)
        size = append (to, size, text_at (call, k, row));
    return size;
}

void call_concat (const call_t *call, column_t *out)
{
    make_texts (call, out, make_concat);
}

static size_t make_replace (const call_t *call, size_t row, char *to)
{
    text_t text = text_at (call, 0, row);
    text_t from = text_at (call, 1, row);
    text_t with = text_at (call, 2, row);
    size_t size = 0;
    uint32_t done = 0;
    int64_t at;
    while (from.size > 0 && (at = find (text, done, from)) >= 0) {
        size = append (to, size, text_from (text_to (text, (uint32_t)at), done));
        size = append (to, size, with);
        done = (uint32_t)at + from.size;
    }
    return append (to, size, text_from (text, done));
}

void call_replace (const call_t *call, column_t *out)
{
    make_texts (call, out, make_replace);
}
