/* Functions of the naive evaluation: characters one by one, exact decimals as digits, the
 * C library's calendar and zones, MPFR with many digits. */
#include "base/buf.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <xxhash.h>

/* ---- numbers ---- */

/* A function of one or two numbers by MPFR with five times the digits, cut off: what is cut moves
 * the result a little on, so that what lies just beside a tie is not taken for one. */
static double mpfr_of (const char *name, double x, double y)
{
    mpfr_t a, b, result;
    mpfr_inits2 (256, a, b, result, (mpfr_ptr)NULL);
    mpfr_set_d (a, x, MPFR_RNDN);
    mpfr_set_d (b, y, MPFR_RNDN);
    int inexact = 0;
#define ONE(function, with)                                                                        \
    if (strcmp (name, #function) == 0)                                                             \
        inexact = with (result, a, MPFR_RNDZ);
    ONE (acos, mpfr_acos)
    ONE (asin, mpfr_asin)
    ONE (atan, mpfr_atan)
    ONE (cos, mpfr_cos)
    ONE (exp, mpfr_exp)
    ONE (expm1, mpfr_expm1)
    ONE (ln, mpfr_log)
    ONE (log10, mpfr_log10)
    ONE (log1p, mpfr_log1p)
    ONE (log2, mpfr_log2)
    ONE (sin, mpfr_sin)
    ONE (tan, mpfr_tan)
#undef ONE
    if (strcmp (name, "pow") == 0)
        inexact = mpfr_pow (result, a, b, MPFR_RNDZ);
    if (strcmp (name, "atan2") == 0)
        inexact = mpfr_atan2 (result, a, b, MPFR_RNDZ);
    if (inexact != 0) {
        mpfr_prec_round (result, 320, MPFR_RNDZ);
        if (mpfr_signbit (result))
            mpfr_nextbelow (result);
        else
            mpfr_nextabove (result);
    }
    double value = mpfr_get_d (result, MPFR_RNDN);
    mpfr_clears (a, b, result, (mpfr_ptr)NULL);
    return value;
}

static bool is_defined (const char *name, double x, double y)
{
    bool trigonometric =
        strcmp (name, "sin") == 0 || strcmp (name, "cos") == 0 || strcmp (name, "tan") == 0;
    if (isnan (x) && strcmp (name, "pow") != 0)
        return true;
    if (trigonometric)
        return !isinf (x);
    if (strcmp (name, "asin") == 0 || strcmp (name, "acos") == 0)
        return x >= -1 && x <= 1;
    if (strcmp (name, "ln") == 0 || strcmp (name, "log10") == 0 || strcmp (name, "log2") == 0)
        return x > 0;
    if (strcmp (name, "log1p") == 0)
        return x > -1;
    if (strcmp (name, "pow") != 0)
        return true;
    bool whole = isinf (y) || isnan (y) || floor (y) == y;
    return !(x == 0 && y < 0) && !(x < 0 && !isinf (x) && !whole);
}

/* The decimal digits of a magnitude, all of them, rounded by hand. */
static double round_digits (double value, int64_t digits)
{
    static char text[1600];
    if (!isfinite (value))
        return value;
    int written = snprintf (text, sizeof text, "%.1100f", fabs (value));
    cr_assert (written > 0 && (size_t)written < sizeof text);
    int64_t point = strchr (text, '.') - text;
    int64_t last = digits > 0 ? point + digits : point - 1 + digits; /* the digit that stays */
    int64_t next = last + 1 == point ? point + 1 : last + 1;
    bool up = next >= 0 && text[next] >= '5';
    char number[1700];
    size_t size = 0;
    number[size++] = '0';
    for (int64_t i = 0; i <= last; i++)
        number[size++] = text[i];
    for (int64_t i = last < 0 ? 0 : last + 1; i < point; i++)
        number[size++] = '0';
    number[size] = '\0';
    if (up) { /* add one to the digit that stays */
        int64_t at = 1 + last;
        if (at < 0)
            at = 0;
        while (number[at] == '9' || number[at] == '.') {
            if (number[at] == '9')
                number[at] = '0';
            at--;
        }
        number[at]++;
    }
    return copysign (strtod (number, NULL), value);
}

static value_t round_integer (int64_t value, int64_t digits)
{
    __int128 power = 1;
    for (int64_t i = digits; i < 0; i++)
        power *= 10;
    __int128 size = value < 0 ? -(__int128)value : value;
    size = (size + power / 2) / power * power;
    return int_of (value < 0 ? -size : size);
}

static value_t naive_round (const tree_t *tree, const value_t *args)
{
    int64_t digits = tree->count == 2 ? args[1].i : 0;
    if (digits < -22 || digits > 22)
        return null_value;
    if (args[0].type == TYPE_FLOAT64)
        return float_of (round_digits (args[0].f, digits));
    return round_integer (args[0].i, digits);
}

/* Functions that keep the type of a number. */
static value_t naive_number (const tree_t *tree, const value_t *args)
{
    value_t a = args[0];
    bool is_float = a.type == TYPE_FLOAT64;
    if (is_op (tree, "abs"))
        return is_float ? float_of (a.f < 0 ? -a.f : a.f) : int_of (a.i < 0 ? -(__int128)a.i : a.i);
    if (is_op (tree, "sign"))
        return is_float ? float_of (isnan (a.f) ? a.f
                                    : a.f < 0   ? -1
                                    : a.f > 0   ? 1
                                                : 0)
                        : int_of (a.i < 0   ? -1
                                  : a.i > 0 ? 1
                                            : 0);
    if (is_op (tree, "mod")) {
        if (number_of (args[1]) == 0)
            return null_value;
        if (is_float || args[1].type == TYPE_FLOAT64)
            return float_of (fmod (number_of (a), number_of (args[1])));
        return int_of ((__int128)a.i % args[1].i);
    }
    if (!is_float)
        return a;
    double whole = a.f; /* towards zero, for what is not whole already */
    if (fabs (a.f) < 0x1p52)
        whole = (double)(int64_t)a.f;
    if (is_op (tree, "floor") && whole > a.f)
        whole -= 1;
    if (is_op (tree, "ceil") && whole < a.f)
        whole += 1;
    return float_of (whole);
}

/* ---- strings, as arrays of characters ---- */

typedef struct characters {
    size_t count;
    text_t at[1 << 12];
} characters_t;

static size_t size_of_character (char first)
{
    unsigned char c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static const characters_t *split (text_t text, characters_t *out)
{
    out->count = 0;
    for (size_t i = 0; i < text.size; i += size_of_character (text.data[i])) {
        cr_assert_lt (out->count, sizeof out->at / sizeof *out->at);
        out->at[out->count++] =
            (text_t){ text.data + i, (uint32_t)size_of_character (text.data[i]) };
    }
    return out;
}

static bool has_at (const characters_t *text, size_t at, const characters_t *part)
{
    if (at + part->count > text->count)
        return false;
    for (size_t i = 0; i < part->count; i++) {
        if (!text_equal (text->at[at + i], part->at[i]))
            return false;
    }
    return true;
}

value_t string_of (buf_t *buf, arena_t *arena)
{
    value_t value = { .type = TYPE_STRING };
    value.s = arena_text (arena, (text_t){ (const char *)buf->data, (uint32_t)buf->size });
    buf_release (buf);
    return value.s.size > 16384 ? null_value : value;
}

/* The characters [from, to) that there are. */
static value_t slice (const characters_t *text, __int128 from, __int128 to, arena_t *arena)
{
    buf_t buf;
    buf_init (&buf, 1 << 20);
    for (__int128 i = 0; i < (__int128)text->count; i++) {
        if (i >= from && i < to)
            buf_put (&buf, text->at[(size_t)i].data, text->at[(size_t)i].size);
    }
    return string_of (&buf, arena);
}

static bool is_in (text_t character, const characters_t *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (text_equal (set->at[i], character))
            return true;
    }
    return false;
}

static value_t naive_trim (const tree_t *tree, const characters_t *text, const characters_t *set,
                           arena_t *arena)
{
    size_t from = 0, to = text->count;
    while (!is_op (tree, "rtrim") && from < to && is_in (text->at[from], set))
        from++;
    while (!is_op (tree, "ltrim") && to > from && is_in (text->at[to - 1], set))
        to--;
    return slice (text, (__int128)from, (__int128)to, arena);
}

static value_t naive_split_part (const characters_t *text, const characters_t *separator,
                                 int64_t number, arena_t *arena)
{
    __int128 parts = 1, found = 0;
    if (number == 0)
        return null_value;
    for (size_t i = 0; separator->count > 0 && i < text->count; i++) {
        if (has_at (text, i, separator)) {
            parts++;
            i += separator->count - 1;
        }
    }
    __int128 wanted = number > 0 ? (__int128)number - 1 : parts + number;
    size_t start = 0;
    for (size_t i = 0; separator->count > 0 && i < text->count; i++) {
        if (!has_at (text, i, separator))
            continue;
        if (found++ == wanted)
            return slice (text, (__int128)start, (__int128)i, arena);
        start = i + separator->count;
        i += separator->count - 1;
    }
    if (wanted != found)
        return slice (text, 0, 0, arena);
    return slice (text, (__int128)start, (__int128)text->count, arena);
}

static value_t naive_replace (const characters_t *text, const characters_t *from, text_t to,
                              arena_t *arena)
{
    buf_t buf;
    buf_init (&buf, 1 << 24);
    for (size_t i = 0; i < text->count; i++) {
        if (from->count > 0 && has_at (text, i, from)) {
            buf_put (&buf, to.data, to.size);
            i += from->count - 1;
        } else {
            buf_put (&buf, text->at[i].data, text->at[i].size);
        }
    }
    return string_of (&buf, arena);
}

static value_t naive_parts (const tree_t *tree, const value_t *args, arena_t *arena)
{
    static characters_t a, b;
    static const text_t blank = { " ", 1 };
    split (args[0].s, &a);
    split (tree->count > 1 && args[1].type == TYPE_STRING ? args[1].s : blank, &b);
    __int128 count = (__int128)a.count;
    __int128 n = tree->count > 1 && args[1].type == TYPE_INT64 ? args[1].i : 0;
    if (is_op (tree, "substring")) {
        __int128 length = tree->count == 3 ? args[2].i : count + 1 - (n < 1 ? n : 1);
        return length < 0 ? null_value : slice (&a, n - 1, n - 1 + length, arena);
    }
    if (is_op (tree, "left"))
        return slice (&a, 0, n >= 0 ? n : count + n, arena);
    if (is_op (tree, "right"))
        return slice (&a, n >= 0 ? count - n : -n, count, arena);
    if (is_op (tree, "replace"))
        return naive_replace (&a, &b, args[2].s, arena);
    if (is_op (tree, "split_part"))
        return naive_split_part (&a, &b, args[2].i, arena);
    return naive_trim (tree, &a, &b, arena);
}

static value_t naive_find (const tree_t *tree, const value_t *args)
{
    static characters_t a, b;
    split (args[0].s, &a);
    split (args[1].s, &b);
    if (is_op (tree, "starts_with"))
        return bool_of (has_at (&a, 0, &b));
    if (is_op (tree, "ends_with"))
        return bool_of (a.count >= b.count && has_at (&a, a.count - b.count, &b));
    size_t at = 0;
    while (at <= a.count && !has_at (&a, at, &b))
        at++;
    bool found = at <= a.count;
    return is_op (tree, "contains") ? bool_of (found) : int_of (found ? (__int128)at + 1 : 0);
}

static value_t naive_letters (const tree_t *tree, const value_t *args, arena_t *arena)
{
    buf_t buf;
    buf_init (&buf, 1 << 20);
    for (size_t k = 0; k < tree->count; k++) {
        for (uint32_t i = 0; i < args[k].s.size; i++) {
            char c = args[k].s.data[i];
            if (is_op (tree, "lower") && c >= 'A' && c <= 'Z')
                c = (char)(c - 'A' + 'a');
            else if (is_op (tree, "upper") && c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
            buf_put_u8 (&buf, (uint8_t)c);
        }
    }
    return string_of (&buf, arena);
}

static bool like (const text_t *text, size_t text_count, const text_t *pattern, size_t count)
{
    if (count == 0)
        return text_count == 0;
    if (text_is (pattern[0], "%")) {
        for (size_t skip = 0; skip <= text_count; skip++) {
            if (like (text + skip, text_count - skip, pattern + 1, count - 1))
                return true;
        }
        return false;
    }
    size_t escaped = text_is (pattern[0], "\\") && count > 1;
    bool any = text_is (pattern[0], "_");
    return text_count > 0 && (any || text_equal (text[0], pattern[escaped])) &&
           like (text + 1, text_count - 1, pattern + 1 + escaped, count - 1 - escaped);
}

value_t naive_like (text_t text, text_t pattern)
{
    static characters_t a, b;
    split (text, &a);
    split (pattern, &b);
    return bool_of (like (a.at, a.count, b.at, b.count));
}

/* ---- times ---- */

static int64_t seconds_of (int64_t time)
{
    int64_t seconds = time / 1000000;
    return time % 1000000 < 0 ? seconds - 1 : seconds;
}

/* The C library's idea of the zone. */
static struct tm clock_of (int64_t time, text_t zone, arena_t *arena)
{
    static char *last;
    if (last == NULL || !text_is (zone, last)) {
        free (last);
        last = strdup (arena_string (arena, zone));
        setenv ("TZ", last, 1);
        tzset ();
    }
    time_t seconds = seconds_of (time);
    struct tm result;
    cr_assert_not_null (localtime_r (&seconds, &result));
    return result;
}

static int64_t number_in (const char *format, const struct tm *clock)
{
    char text[32];
    cr_assert_gt (strftime (text, sizeof text, format, clock), 0u);
    return strtoll (text, NULL, 10);
}

static value_t naive_part (const tree_t *tree, const value_t *args, arena_t *arena)
{
    struct tm clock = clock_of (args[0].i, tree->count == 2 ? args[1].s : text_of ("UTC"), arena);
    if (int_of (args[0].i + (__int128)clock.tm_gmtoff * 1000000).null)
        return null_value; /* the clock shows what no timestamp does */
    if (is_op (tree, "year"))
        return int_of ((__int128)clock.tm_year + 1900);
    if (is_op (tree, "quarter"))
        return int_of (clock.tm_mon / 3 + 1);
    if (is_op (tree, "month"))
        return int_of (clock.tm_mon + 1);
    if (is_op (tree, "day"))
        return int_of (clock.tm_mday);
    if (is_op (tree, "hour"))
        return int_of (clock.tm_hour);
    if (is_op (tree, "minute"))
        return int_of (clock.tm_min);
    if (is_op (tree, "second"))
        return int_of (clock.tm_sec);
    if (is_op (tree, "yearday"))
        return int_of (clock.tm_yday + 1);
    if (is_op (tree, "weekday"))
        return int_of (number_in ("%u", &clock));
    if (is_op (tree, "week"))
        return int_of (number_in ("%V", &clock));
    return bool_of (clock.tm_wday == 0 || clock.tm_wday == 6);
}

static value_t time_of (__int128 time)
{
    value_t value = int_of (time);
    value.type = TYPE_TIMESTAMP;
    return value;
}

/* In UTC: back to the beginning of the unit by broken-down time. */
static value_t naive_trunc (const value_t *args, arena_t *arena)
{
    struct tm clock = clock_of (args[1].i, text_of ("UTC"), arena);
    text_t unit = args[0].s;
    bool minute = !text_is (unit, "second");
    bool hour = minute && !text_is (unit, "minute");
    bool day = hour && !text_is (unit, "hour");
    if (minute)
        clock.tm_sec = 0;
    if (hour)
        clock.tm_min = 0;
    if (day)
        clock.tm_hour = 0;
    if (text_is (unit, "week"))
        clock.tm_mday -= (clock.tm_wday + 6) % 7;
    if (text_is (unit, "month") || text_is (unit, "quarter") || text_is (unit, "year"))
        clock.tm_mday = 1;
    if (text_is (unit, "quarter"))
        clock.tm_mon -= clock.tm_mon % 3;
    if (text_is (unit, "year"))
        clock.tm_mon = 0;
    return time_of ((__int128)timegm (&clock) * 1000000);
}

static value_t naive_from_unix (value_t number, int64_t unit)
{
    if (number.type == TYPE_INT64)
        return time_of ((__int128)number.i * unit);
    double scaled = nearbyint (number.f * (double)unit);
    if (!(fabs (scaled) <= 0x1p63))
        return null_value;
    return time_of ((__int128)scaled);
}

static value_t naive_to_unix (int64_t time, int64_t unit)
{
    int64_t whole = time / unit;
    return int_of (time < 0 && whole * unit != time ? (__int128)whole - 1 : whole);
}

/* ---- hashes ---- */

static void encode (buf_t *out, value_t value)
{
    uint64_t bits;
    memcpy (&bits, &value.i, sizeof bits);
    buf_put_u8 (out, (uint8_t)value.type);
    if (value.type == TYPE_STRING) {
        buf_put (out, value.s.data, value.s.size);
        buf_put_u16 (out, 0);
        return;
    }
    if (value.type == TYPE_FLOAT64 && bits >> 63)
        bits = ~bits;
    else
        bits ^= UINT64_C (1) << 63;
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_put_u8 (out, (uint8_t)(bits >> shift));
}

static value_t naive_hash (const tree_t *tree, const value_t *args)
{
    bool bucket = is_op (tree, "hash_bucket");
    buf_t buf;
    buf_init (&buf, 1 << 20);
    for (size_t k = 0; k < tree->count - bucket; k++)
        encode (&buf, args[k]);
    uint64_t hash = XXH3_64bits (buf.data, buf.size);
    buf_release (&buf);
    if (!bucket)
        return (value_t){ .type = TYPE_INT64, .i = (int64_t)hash };
    int64_t count = args[tree->count - 1].i;
    return count <= 0 ? null_value : int_of ((__int128)(hash % (uint64_t)count));
}

/* ---- all ---- */

static bool is_one_of (const tree_t *tree, const char *names)
{
    size_t size = strlen (tree->op);
    for (const char *at = strstr (names, tree->op); at != NULL; at = strstr (at + 1, tree->op)) {
        if ((at == names || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    }
    return false;
}

value_t naive_call (const tree_t *tree, const value_t *args, arena_t *arena)
{
    if (is_one_of (tree, "abs sign mod floor ceil trunc"))
        return naive_number (tree, args);
    if (is_op (tree, "round"))
        return naive_round (tree, args);
    if (is_op (tree, "sqrt"))
        return number_of (args[0]) < 0 ? null_value : float_of (sqrt (number_of (args[0])));
    if (is_op (tree, "pi"))
        return float_of (acos (-1.0));
    if (is_op (tree, "is_nan"))
        return bool_of (isnan (number_of (args[0])));
    if (is_op (tree, "is_finite"))
        return bool_of (isfinite (number_of (args[0])));
    if (is_one_of (tree, "acos asin atan cos exp expm1 ln log10 log1p log2 sin tan pow atan2")) {
        double x = number_of (args[0]), y = tree->count > 1 ? number_of (args[1]) : 0;
        return is_defined (tree->op, x, y) ? float_of (mpfr_of (tree->op, x, y)) : null_value;
    }
    if (is_op (tree, "length")) {
        static characters_t text;
        return int_of ((__int128)split (args[0].s, &text)->count);
    }
    if (is_one_of (tree, "lower upper concat"))
        return naive_letters (tree, args, arena);
    if (is_one_of (tree, "contains starts_with ends_with position"))
        return naive_find (tree, args);
    if (is_one_of (tree, "substring left right trim ltrim rtrim replace split_part"))
        return naive_parts (tree, args, arena);
    if (is_one_of (tree, "to_unix to_unix_ms"))
        return naive_to_unix (args[0].i, is_op (tree, "to_unix") ? 1000000 : 1000);
    if (is_one_of (tree, "from_unix from_unix_ms"))
        return naive_from_unix (args[0], is_op (tree, "from_unix") ? 1000000 : 1000);
    if (is_op (tree, "to_seconds"))
        return float_of ((double)args[0].i / 1e6);
    if (is_op (tree, "date_trunc"))
        return naive_trunc (args, arena);
    if (is_one_of (tree, "hash hash_bucket"))
        return naive_hash (tree, args);
    if (is_op (tree, "clamp")) {
        if (naive_order (args[1], args[2]) > 0)
            return null_value;
        return naive_order (args[0], args[1]) < 0   ? args[1]
               : naive_order (args[0], args[2]) > 0 ? args[2]
                                                    : args[0];
    }
    if (is_op (tree, "bucketize")) {
        int64_t index = 0;
        for (size_t k = 1; k < tree->count; k++)
            index += naive_order (args[0], args[k]) >= 0;
        return int_of (index);
    }
    return naive_part (tree, args, arena);
}
