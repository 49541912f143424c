#include "base/decimal.h"

#include "base/check.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

enum {
    EXACT_TENS = 22,        /* 10^22 is the largest a float64 holds exactly */
    EXPONENT_MAX = 1 << 20, /* of a text; beyond, the result is the same */
};

#define EXACT_INTEGER_MAX ((int128_t)1 << 53) /* up to here float64 has every integer */

int128_t decimal_power (unsigned digits)
{
    CHECK (digits <= DECIMAL_DIGITS_MAX);
    static const int64_t small[] = {
        1,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
    };
    int128_t power = 1;
    for (; digits > 18; digits -= 18)
        power *= small[18];
    return power * small[digits];
}

bool decimal_fits (int128_t value)
{
    int128_t end = decimal_power (DECIMAL_DIGITS_MAX);
    return value < end && value > -end;
}

static uint128_t magnitude_of (int128_t value)
{
    return value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
}

/* ---- text ---- */

/* A number as it is written: digit and point places in the text, without the zeros at its ends. */
typedef struct written {
    text_t digits; /* may have the point among them */
    int64_t count; /* of digits */
    int64_t power; /* of ten, of the last one */
    bool negative;
} written_t;

static bool is_digit (char c)
{
    return c >= '0' && c <= '9';
}

static text_t skip (text_t text, uint32_t count)
{
    return (text_t){ text.data + count, text.size - count };
}

static bool take_sign (text_t *text)
{
    bool negative = text->size > 0 && text->data[0] == '-';
    if (negative || (text->size > 0 && text->data[0] == '+'))
        *text = skip (*text, 1);
    return negative;
}

/* All that is left: nothing, or e and an integer. */
static bool take_exponent (text_t text, int64_t *exponent)
{
    *exponent = 0;
    if (text.size == 0)
        return true;
    if (text.data[0] != 'e' && text.data[0] != 'E')
        return false;
    text = skip (text, 1);
    bool negative = take_sign (&text);
    if (text.size == 0)
        return false;
    for (; text.size > 0; text = skip (text, 1)) {
        if (!is_digit (text.data[0]))
            return false;
        if (*exponent < EXPONENT_MAX)
            *exponent = 10 * *exponent + (text.data[0] - '0');
    }
    *exponent = negative ? -*exponent : *exponent;
    return true;
}

/* Drops zeros, and a point, at both ends. */
static void trim (written_t *written)
{
    text_t *digits = &written->digits;
    while (digits->size > 0 && (digits->data[0] == '0' || digits->data[0] == '.')) {
        written->count -= digits->data[0] == '0';
        *digits = skip (*digits, 1);
    }
    while (digits->size > 0 &&
           (digits->data[digits->size - 1] == '0' || digits->data[digits->size - 1] == '.')) {
        bool zero = digits->data[digits->size - 1] == '0';
        written->count -= zero;
        written->power += zero;
        digits->size--;
    }
}

static bool read_written (text_t text, written_t *written)
{
    *written = (written_t){ 0 };
    written->negative = take_sign (&text);
    written->digits = (text_t){ text.data, 0 };
    bool point = false;
    int64_t after_point = 0;
    for (; text.size > 0 && (is_digit (text.data[0]) || (text.data[0] == '.' && !point));
         text = skip (text, 1)) {
        bool digit = text.data[0] != '.';
        written->count += digit;
        after_point += digit && point;
        point |= !digit;
        written->digits.size++;
    }
    if (written->count == 0 || !take_exponent (text, &written->power))
        return false;
    written->power -= after_point;
    trim (written);
    return true;
}

decimal_fault_t decimal_parse (text_t text, unsigned precision, unsigned scale, unscaled_t *value)
{
    CHECK (precision >= 1 && precision <= DECIMAL_DIGITS_MAX);
    CHECK (scale <= precision);
    written_t written;
    *value = 0;
    if (!read_written (text, &written))
        return DECIMAL_NO_NUMBER;
    if (written.count == 0)
        return DECIMAL_GOOD;
    int64_t zeros = written.power + (int64_t)scale;
    if (zeros < 0)
        return DECIMAL_TOO_FINE;
    if (written.count + zeros > (int64_t)precision)
        return DECIMAL_TOO_LONG;
    int128_t number = 0;
    for (uint32_t i = 0; i < written.digits.size; i++)
        if (written.digits.data[i] != '.')
            number = 10 * number + (written.digits.data[i] - '0');
    number *= decimal_power ((unsigned)zeros);
    *value = written.negative ? -number : number;
    return DECIMAL_GOOD;
}

bool decimal_parse_literal (text_t text, type_t *type, unscaled_t *value)
{
    const char *point = text.size > 0 ? memchr (text.data, '.', text.size) : NULL;
    int64_t scale = 0;
    int64_t exponent = 0;
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == 'e' || text.data[i] == 'E') {
            if (!take_exponent (skip (text, i), &exponent))
                return false;
            break;
        }
        scale += point != NULL && text.data + i > point;
    }
    scale -= exponent;
    scale = scale < 0 ? 0 : scale;
    if (scale > DECIMAL_DIGITS_MAX)
        return false;
    *type = type_decimal ((unsigned)scale);
    return decimal_parse (text, DECIMAL_DIGITS_MAX, (unsigned)scale, value) == DECIMAL_GOOD;
}

text_t decimal_text (int128_t value, unsigned scale, char *bytes)
{
    CHECK (scale <= DECIMAL_DIGITS_MAX);
    uint32_t at = DECIMAL_TEXT_MAX;
    uint128_t left = magnitude_of (value);
    for (unsigned digit = 0; digit <= scale || left > 0; digit++, left /= 10) {
        if (digit == scale && scale > 0)
            bytes[--at] = '.';
        bytes[--at] = (char)('0' + (int)(left % 10));
    }
    if (value < 0)
        bytes[--at] = '-';
    return (text_t){ bytes + at, DECIMAL_TEXT_MAX - at };
}

void decimal_format (buf_t *out, int128_t value, unsigned scale)
{
    char bytes[DECIMAL_TEXT_MAX];
    text_t text = decimal_text (value, scale, bytes);
    buf_put (out, text.data, text.size);
}

/* ---- order ---- */

int decimal_compare (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale)
{
    if (a_scale == b_scale)
        return (a > b) - (a < b);
    /* whole numbers first; then the fractions, which have fewer digits than the finer scale */
    int128_t a_unit = decimal_power (a_scale);
    int128_t b_unit = decimal_power (b_scale);
    int128_t a_part = a / a_unit;
    int128_t b_part = b / b_unit;
    if (a_part == b_part) {
        a_part = a % a_unit * (a_scale < b_scale ? decimal_power (b_scale - a_scale) : 1);
        b_part = b % b_unit * (b_scale < a_scale ? decimal_power (a_scale - b_scale) : 1);
    }
    return (a_part > b_part) - (a_part < b_part);
}

/* The order of part / unit and fraction, both at least 0 and below 1, bit by bit. */
static int compare_fractions (uint128_t part, uint128_t unit, double fraction)
{
    while (part != 0 && fraction != 0) {
        part *= 2;
        fraction *= 2;
        bool a = part >= unit;
        bool b = fraction >= 1;
        if (a != b)
            return a - b;
        part -= a ? unit : 0;
        fraction -= b;
    }
    return (part != 0) - (fraction != 0);
}

int decimal_compare_float (int128_t a, unsigned scale, double b)
{
    double nearest = decimal_to_float (a, scale);
    if (isnan (b))
        return -1;
    if (nearest != b)
        return nearest < b ? -1 : 1;
    /* rounding keeps the order, so only here can the exact values say otherwise */
    int128_t unit = decimal_power (scale);
    double whole = trunc (b);
    int128_t a_whole = a / unit;
    int128_t b_whole = (int128_t)whole; /* not over 10^38 */
    if (a_whole != b_whole)
        return a_whole < b_whole ? -1 : 1;
    int order = compare_fractions (magnitude_of (a % unit), (uint128_t)unit, fabs (b - whole));
    return b < 0 ? -order : order;
}

/* ---- arithmetic ---- */

/* The absolute value at a larger scale; false past 128 bits. */
static bool scaled_up (int128_t value, unsigned digits, uint128_t *out)
{
    return !__builtin_mul_overflow (magnitude_of (value), (uint128_t)decimal_power (digits), out);
}

static bool signed_of (uint128_t magnitude, bool negative, unscaled_t *out)
{
    if (magnitude >= (uint128_t)decimal_power (DECIMAL_DIGITS_MAX))
        return false;
    *out = negative ? -(int128_t)magnitude : (int128_t)magnitude;
    return true;
}

bool decimal_add (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale, unscaled_t *out)
{
    /* What passes 128 bits, 3.4 * 10^38, cannot come back below 10^38 by adding less than 10^38. */
    uint128_t x, y, sum;
    unsigned scale = a_scale > b_scale ? a_scale : b_scale;
    if (!scaled_up (a, scale - a_scale, &x) || !scaled_up (b, scale - b_scale, &y))
        return false;
    if ((a < 0) != (b < 0))
        return x >= y ? signed_of (x - y, a < 0, out) : signed_of (y - x, b < 0, out);
    return !__builtin_add_overflow (x, y, &sum) && signed_of (sum, a < 0, out);
}

bool decimal_multiply (int128_t a, int128_t b, unscaled_t *out)
{
    uint128_t product;
    return !__builtin_mul_overflow (magnitude_of (a), magnitude_of (b), &product) &&
           signed_of (product, (a < 0) != (b < 0), out);
}

/* a + b modulo m, of numbers below m, which is below 10^38. */
static uint128_t add_modulo (uint128_t a, uint128_t b, uint128_t m)
{
    uint128_t sum = a + b;
    return sum >= m ? sum - m : sum;
}

bool decimal_remainder (int128_t a, unsigned a_scale, int128_t b, unsigned b_scale, unscaled_t *out)
{
    if (b == 0)
        return false;
    uint128_t rest = magnitude_of (a);
    uint128_t by = magnitude_of (b);
    if (a_scale >= b_scale) {
        /* a divisor past 128 bits is larger than all that can be divided */
        if (scaled_up (b, a_scale - b_scale, &by))
            rest %= by;
    } else {
        rest %= by;
        for (unsigned digits = b_scale - a_scale; digits > 0; digits--) {
            uint128_t twice = add_modulo (rest, rest, by);
            uint128_t five = add_modulo (add_modulo (twice, twice, by), rest, by);
            rest = add_modulo (five, five, by);
        }
    }
    return signed_of (rest, a < 0, out);
}

/* Is a value with `rest` past `whole` units rounded away from zero? */
static bool rounds_away (int128_t rest, int128_t unit, decimal_rounding_t rounding)
{
    switch (rounding) {
    case DECIMAL_DOWN:
        return rest < 0;
    case DECIMAL_UP:
        return rest > 0;
    case DECIMAL_TO_ZERO:
        return false;
    case DECIMAL_NEAREST:
        return magnitude_of (rest) >= (uint128_t)unit - magnitude_of (rest);
    }
    return false;
}

bool decimal_round (int128_t value, unsigned scale, int64_t digits, decimal_rounding_t rounding,
                    unscaled_t *out)
{
    if (digits >= (int64_t)scale) {
        *out = value;
        return true;
    }
    if (digits < (int64_t)scale - DECIMAL_DIGITS_MAX) {
        /* the unit is larger than twice any value */
        *out = 0;
        return value == 0 || rounding == DECIMAL_NEAREST || rounding == DECIMAL_TO_ZERO ||
               (rounding == DECIMAL_DOWN) == (value > 0);
    }
    int128_t unit = decimal_power ((unsigned)((int64_t)scale - digits));
    int128_t rest = value % unit;
    uint128_t rounded = magnitude_of (value - rest);
    bool away = rest != 0 && rounds_away (rest, unit, rounding);
    return signed_of (rounded + (away ? (uint128_t)unit : 0), value < 0, out);
}

/* ---- conversion ---- */

bool decimal_rescale (int128_t value, unsigned from, unsigned to, unscaled_t *out)
{
    if (to >= from) {
        int128_t scaled;
        if (__builtin_mul_overflow (value, decimal_power (to - from), &scaled) ||
            !decimal_fits (scaled))
            return false;
        *out = scaled;
        return true;
    }
    int128_t unit = decimal_power (from - to);
    int128_t rest = value % unit;
    int128_t scaled = value / unit;
    if (magnitude_of (rest) >= (uint128_t)unit - magnitude_of (rest))
        scaled += value < 0 ? -1 : 1;
    *out = scaled;
    return decimal_fits (scaled);
}

double decimal_to_float (int128_t value, unsigned scale)
{
    static const double tens[EXACT_TENS + 1] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    if (value == 0)
        return 0;
    /* one rounding of two exact numbers (Clinger 1990) */
    if (scale <= EXACT_TENS && value <= EXACT_INTEGER_MAX && value >= -EXACT_INTEGER_MAX)
        return (double)value / tens[scale];
    char bytes[DECIMAL_TEXT_MAX];
    double result;
    bool good = number_parse_float (decimal_text (value, scale, bytes), &result);
    CHECK (good);
    return result;
}

enum { FRACTION_LIMBS = 3 }; /* 192 bits after the point, least first */

/* Times ten; returns the digit that comes out. */
static unsigned times_ten (uint64_t *fraction)
{
    uint128_t carry = 0;
    for (unsigned i = 0; i < FRACTION_LIMBS; i++) {
        carry += (uint128_t)fraction[i] * 10;
        fraction[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return (unsigned)carry;
}

bool decimal_of_float (double value, unsigned scale, unscaled_t *out)
{
    if (!(fabs (value) < 1e38))
        return false;
    double whole = trunc (fabs (value));
    double part = fabs (value) - whole;
    uint64_t fraction[FRACTION_LIMBS];
    for (unsigned i = FRACTION_LIMBS; i-- > 0;) {
        /* exact, except for bits so low that no digit comes of them */
        part = ldexp (part, 64);
        fraction[i] = (uint64_t)part;
        part -= (double)fraction[i];
    }
    uint128_t digits = 0;
    for (unsigned i = 0; i < scale; i++)
        digits = 10 * digits + times_ten (fraction);
    digits += fraction[FRACTION_LIMBS - 1] >> 63;
    int128_t number;
    if (__builtin_mul_overflow ((int128_t)whole, decimal_power (scale), &number) ||
        __builtin_add_overflow (number, (int128_t)digits, &number) || !decimal_fits (number))
        return false;
    *out = value < 0 ? -number : number;
    return true;
}

/* ---- types ---- */

static text_t without_blanks (text_t text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = skip (text, 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

static bool read_count (text_t text, unsigned *count)
{
    text = without_blanks (text);
    *count = 0;
    if (text.size == 0 || text.size > 2)
        return false;
    for (uint32_t i = 0; i < text.size; i++) {
        if (!is_digit (text.data[i]))
            return false;
        *count = 10 * *count + (unsigned)(text.data[i] - '0');
    }
    return *count <= DECIMAL_DIGITS_MAX;
}

bool decimal_type_parse (text_t text, type_t *type, unsigned *precision)
{
    static const char head[] = "decimal(";
    enum { HEAD = sizeof head - 1 };
    if (text.size <= HEAD || memcmp (text.data, head, HEAD) != 0 || text.data[text.size - 1] != ')')
        return false;
    text_t inside = { text.data + HEAD, text.size - HEAD - 1 };
    const char *comma = memchr (inside.data, ',', inside.size);
    if (comma == NULL)
        return false;
    uint32_t first = (uint32_t)(comma - inside.data);
    unsigned scale;
    if (!read_count ((text_t){ inside.data, first }, precision) ||
        !read_count (skip (inside, first + 1), &scale) || *precision == 0 || scale > *precision)
        return false;
    *type = type_decimal (scale);
    return true;
}

const char *decimal_type_word (unsigned scale)
{
#define WORD(scale) "decimal(38," #scale ")"
#define WORDS_OF(t)                                                                                \
    WORD (t##0), WORD (t##1), WORD (t##2), WORD (t##3), WORD (t##4), WORD (t##5), WORD (t##6),     \
        WORD (t##7), WORD (t##8)
    static const char *const words[DECIMAL_DIGITS_MAX + 1] = {
        WORDS_OF (), WORD (9), WORDS_OF (1), WORD (19), WORDS_OF (2), WORD (29), WORDS_OF (3),
    };
#undef WORDS_OF
#undef WORD
    CHECK (scale <= DECIMAL_DIGITS_MAX);
    return words[scale];
}
