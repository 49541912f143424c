#include "base/number.h"

#include "base/check.h"
#include "base/mem.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    FLOAT_DIGITS_MAX = 17,   /* always enough to read a float64 back */
    FLOAT_STACK_TEXT = 128,  /* longer texts to parse are copied to the heap */
    POINT_EXPONENT_MIN = -4, /* below, or from the next on, the text has an exponent */
    POINT_EXPONENT_END = 16,
};

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale (void)
{
    c_locale = newlocale (LC_ALL_MASK, "C", (locale_t)0);
    CHECK (c_locale != (locale_t)0);
}

/* A library that links us may have called setlocale; a point must stay a point. */
static locale_t the_c_locale (void)
{
    pthread_once (&c_locale_once, make_c_locale);
    return c_locale;
}

static bool is_digit (char c)
{
    return c >= '0' && c <= '9';
}

bool number_parse_int (text_t text, int64_t *value)
{
    uint32_t at = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    bool negative = at == 1 && text.data[0] == '-';
    if (at == text.size)
        return false;
    int64_t sum = 0; /* below zero, where there is room for INT64_MIN */
    for (; at < text.size; at++) {
        if (!is_digit (text.data[at]) || __builtin_mul_overflow (sum, 10, &sum) ||
            __builtin_sub_overflow (sum, text.data[at] - '0', &sum))
            return false;
    }
    if (!negative && sum == INT64_MIN)
        return false;
    *value = negative ? sum : -sum;
    return true;
}

static uint32_t skip_digits (text_t text, uint32_t at)
{
    while (at < text.size && is_digit (text.data[at]))
        at++;
    return at;
}

/* digits [. digits], . digits, and an exponent; after the sign. */
static bool is_decimal (text_t text)
{
    uint32_t whole = skip_digits (text, 0);
    uint32_t at = whole;
    uint32_t digits = whole;
    if (at < text.size && text.data[at] == '.') {
        at = skip_digits (text, whole + 1);
        digits += at - whole - 1;
    }
    if (digits == 0)
        return false;
    if (at < text.size && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        at += at < text.size && (text.data[at] == '-' || text.data[at] == '+');
        uint32_t end = skip_digits (text, at);
        if (end == at)
            return false;
        at = end;
    }
    return at == text.size;
}

static bool is_word (text_t text, const char *word)
{
    return text.size == strlen (word) && strncasecmp (text.data, word, text.size) == 0;
}

/* Powers of ten that a float64 holds exactly, as far as they are used here. An integer below 2^53
 * divided by one is correctly rounded (Clinger, How to Read Floating Point Numbers Accurately,
 * 1990), which spares most numbers the long way. */
static const double exact_tens[] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };

/* Reads up to DBL_DIG digits with or without a point. False when there is more to the text. */
static bool read_short_decimal (text_t text, double *value)
{
    int64_t digits = 0;
    size_t after_point = 0;
    bool point = false;
    if (text.size > DBL_DIG + 1)
        return false;
    for (uint32_t i = 0; i < text.size; i++) {
        if (is_digit (text.data[i])) {
            digits = 10 * digits + (text.data[i] - '0');
            after_point += point;
        } else if (text.data[i] == '.') {
            point = true;
        } else {
            return false;
        }
    }
    if (!point && text.size > DBL_DIG)
        return false;
    *value = (double)digits / exact_tens[after_point];
    return true;
}

static double read_decimal (text_t text)
{
    double short_value;
    if (read_short_decimal (text, &short_value))
        return short_value;
    char stack[FLOAT_STACK_TEXT];
    char *copy = text.size < sizeof stack ? stack : mem_alloc ((size_t)text.size + 1);
    memcpy (copy, text.data, text.size);
    copy[text.size] = '\0';
    double value = strtod_l (copy, NULL, the_c_locale ());
    if (copy != stack)
        mem_free (copy);
    return value;
}

bool number_parse_float (text_t text, double *value)
{
    uint32_t sign = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    if (sign == text.size)
        return false;
    text_t rest = { text.data + sign, text.size - sign };
    double magnitude;
    if (is_decimal (rest))
        magnitude = read_decimal (rest);
    else if (is_word (rest, "inf") || is_word (rest, "infinity"))
        magnitude = INFINITY;
    else if (is_word (rest, "nan"))
        magnitude = NAN;
    else
        return false;
    *value = sign && text.data[0] == '-' ? -magnitude : magnitude;
    return true;
}

/* A positive decimal: d.ddd * 10^exponent, without zeros at the end. */
typedef struct decimal {
    char digits[FLOAT_DIGITS_MAX + 1];
    int count;
    int exponent;
} decimal_t;

static double decimal_value (const decimal_t *decimal)
{
    char text[FLOAT_DIGITS_MAX + 16];
    snprintf (text, sizeof text, "%se%d", decimal->digits, decimal->exponent - decimal->count + 1);
    return strtod_l (text, NULL, the_c_locale ());
}

/* The nearest decimal of `count` digits. The thread is in the C locale. */
static decimal_t decimal_nearest (double value, int count)
{
    char text[FLOAT_DIGITS_MAX + 16]; /* d.ddde-308 */
    snprintf (text, sizeof text, "%.*e", count - 1, value);
    decimal_t decimal = { .count = count };
    decimal.digits[0] = text[0];
    if (count > 1)
        memcpy (decimal.digits + 1, text + 2, (size_t)count - 1);
    decimal.exponent = (int)strtol (strchr (text, 'e') + 1, NULL, 10);
    while (decimal.count > 1 && decimal.digits[decimal.count - 1] == '0')
        decimal.digits[--decimal.count] = '\0';
    return decimal;
}

/* The next decimal up with as many digits; a carry out of the first digit is not needed here. */
static void decimal_step (decimal_t *decimal, int count)
{
    while (decimal->count < count)
        decimal->digits[decimal->count++] = '0';
    int at = count - 1;
    while (at > 0 && decimal->digits[at] == '9')
        decimal->digits[at--] = '0';
    if (decimal->digits[at] < '9')
        decimal->digits[at]++;
}

/* The shortest decimal that reads back as `value`, which is positive and finite. Up to DBL_DIG
 * digits a decimal survives being a normal float64, so if any decimal that short reads back, it is
 * the one of DBL_DIG digits without its zeros; subnormals are tried one length after the other. */
static decimal_t decimal_shortest (double value)
{
    decimal_t decimal;
    for (int count = value < DBL_MIN ? 1 : DBL_DIG; count < FLOAT_DIGITS_MAX; count++) {
        decimal = decimal_nearest (value, count);
        if (decimal_value (&decimal) == value)
            return decimal;
        /* Above a power of two floats are twice as far apart as below, so a decimal above may read
         * back when a nearer one below does not. */
        int exponent;
        if (frexp (value, &exponent) == 0.5) {
            decimal_step (&decimal, count);
            if (decimal_value (&decimal) == value)
                return decimal;
        }
    }
    return decimal_nearest (value, FLOAT_DIGITS_MAX);
}

/* The decimal of `value` when it has few places and at most DBL_DIG digits, as amounts of money do;
 * it is then also the shortest. */
static bool decimal_of_few_places (double value, decimal_t *decimal)
{
    enum { PLACES_MAX = 6 };
    for (int places = 1; places <= PLACES_MAX; places++) {
        double scaled = rint (value * exact_tens[places]);
        if (scaled >= 1e15)
            return false;
        if (scaled / exact_tens[places] != value)
            continue;
        *decimal = (decimal_t){ 0 };
        decimal->count =
            snprintf (decimal->digits, sizeof decimal->digits, "%lld", (long long)scaled);
        decimal->exponent = decimal->count - 1 - places;
        return true;
    }
    return false;
}

static decimal_t decimal_of (double value)
{
    decimal_t decimal;
    if (!decimal_of_few_places (value, &decimal)) {
        locale_t before = uselocale (the_c_locale ());
        decimal = decimal_shortest (value);
        uselocale (before);
    }
    return decimal;
}

static void put_zeros (buf_t *out, int count)
{
    for (int i = 0; i < count; i++)
        buf_put_u8 (out, '0');
}

/* 0.00125, 1250.0, 12.5 */
static void put_with_point (buf_t *out, const decimal_t *decimal)
{
    int whole = decimal->exponent + 1; /* digits before the point */
    if (whole <= 0) {
        buf_put_string (out, "0.");
        put_zeros (out, -whole);
        buf_put_string (out, decimal->digits);
    } else if (whole >= decimal->count) {
        buf_put_string (out, decimal->digits);
        put_zeros (out, whole - decimal->count);
        buf_put_string (out, ".0");
    } else {
        buf_put (out, decimal->digits, (size_t)whole);
        buf_put_u8 (out, '.');
        buf_put_string (out, decimal->digits + whole);
    }
}

/* 1e+300, 1.25e-07 */
static void put_with_exponent (buf_t *out, const decimal_t *decimal)
{
    buf_put_u8 (out, (uint8_t)decimal->digits[0]);
    if (decimal->count > 1)
        buf_put_u8 (out, '.');
    buf_put_string (out, decimal->digits + 1);
    buf_printf (out, "e%+03d", decimal->exponent);
}

void number_format_float (buf_t *out, double value)
{
    if (isnan (value)) {
        buf_put_string (out, "NaN");
        return;
    }
    if (signbit (value))
        buf_put_u8 (out, '-');
    value = fabs (value);
    if (isinf (value)) {
        buf_put_string (out, "Infinity");
    } else if (value < 1e15 && value == floor (value)) {
        buf_printf (out, "%lld.0", (long long)value);
    } else {
        decimal_t decimal = decimal_of (value);
        bool point =
            decimal.exponent >= POINT_EXPONENT_MIN && decimal.exponent < POINT_EXPONENT_END;
        (point ? put_with_point : put_with_exponent) (out, &decimal);
    }
}

/* The letter after the backslash in the short escape of `c`, or 0. */
static char short_escape (char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static void put_json_character (buf_t *out, const char *character, uint32_t size)
{
    char letter = short_escape (character[0]);
    if (size == 0)
        buf_put_string (out, "\xef\xbf\xbd"); /* U+FFFD */
    else if (letter)
        buf_put (out, (const char[]){ '\\', letter }, 2);
    else if (size == 1 && (unsigned char)character[0] < ' ')
        buf_printf (out, "\\u%04x", (unsigned)character[0]);
    else
        buf_put (out, character, size);
}

void number_format_json_string (buf_t *out, text_t text)
{
    buf_put_u8 (out, '"');
    while (text.size > 0) {
        uint32_t size = text_utf8_step (text);
        put_json_character (out, text.data, size);
        size += size == 0;
        text = (text_t){ text.data + size, text.size - size };
    }
    buf_put_u8 (out, '"');
}
