#include "base/decimal.h"
#include "base/key.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <float.h>
#include <gmp.h>
#include <math.h>
#include <mpfr.h>
#include <stdio.h>

enum { CASES = 20000 };

/* ---- numbers of any size ---- */

static void set_int128 (mpz_t out, int128_t value)
{
    uint128_t magnitude = value < 0 ? 0 - (uint128_t)value : (uint128_t)value;
    mpz_set_ui (out, (unsigned long)(magnitude >> 64));
    mpz_mul_2exp (out, out, 64);
    mpz_add_ui (out, out, (unsigned long)magnitude);
    if (value < 0)
        mpz_neg (out, out);
}

static void set_decimal (mpq_t out, int128_t value, unsigned scale)
{
    set_int128 (mpq_numref (out), value);
    mpz_ui_pow_ui (mpq_denref (out), 10, scale);
    mpq_canonicalize (out);
}

static int128_t random_unscaled (random_t *random)
{
    unsigned digits = (unsigned)random_below (random, DECIMAL_DIGITS_MAX + 1);
    int128_t value = 0;
    for (unsigned i = 0; i < digits; i++) {
        uint64_t digit =
            random_chance (random, 0.3) ? 9 * random_below (random, 2) : random_below (random, 10);
        value = 10 * value + (int128_t)digit;
    }
    return random_chance (random, 0.5) ? value : -value;
}

static unsigned random_scale (random_t *random)
{
    return random_chance (random, 0.5) ? (unsigned)random_below (random, 4)
                                       : (unsigned)random_below (random, DECIMAL_DIGITS_MAX + 1);
}

/* ---- text ---- */

static decimal_fault_t fault_of (const char *text, unsigned precision, unsigned scale)
{
    unscaled_t value;
    return decimal_parse (text_of (text), precision, scale, &value);
}

static bool reads (const char *text, unsigned precision, unsigned scale, int64_t expected)
{
    unscaled_t value;
    return decimal_parse (text_of (text), precision, scale, &value) == DECIMAL_GOOD &&
           value == expected;
}

Test (decimal, text_is_read_exactly)
{
    cr_assert (reads ("10.50", 12, 2, 1050));
    cr_assert (reads ("10.5", 12, 2, 1050));
    cr_assert (reads ("-10.5", 12, 2, -1050));
    cr_assert (reads ("+7", 12, 2, 700));
    cr_assert (reads (".5", 12, 2, 50));
    cr_assert (reads ("5.", 12, 2, 500));
    cr_assert (reads ("0", 1, 1, 0));
    cr_assert (reads ("-0.00", 1, 0, 0));
    cr_assert (reads ("000012.3400000", 4, 2, 1234));
    cr_assert (reads ("1.05e1", 12, 2, 1050));
    cr_assert (reads ("1050E-2", 12, 2, 1050));
    cr_assert (reads ("1e10", 12, 1, 100000000000));
    cr_assert (reads ("0e999999999999", 12, 1, 0));
    cr_assert (reads ("9999999999.99", 12, 2, 999999999999));
}

Test (decimal, what_does_not_fit_is_told_apart)
{
    cr_assert_eq (fault_of ("10.505", 12, 2), DECIMAL_TOO_FINE);
    cr_assert_eq (fault_of ("1e-3", 12, 2), DECIMAL_TOO_FINE);
    cr_assert_eq (fault_of ("1e-9999999999", 12, 2), DECIMAL_TOO_FINE);
    cr_assert_eq (fault_of ("10000000000", 12, 2), DECIMAL_TOO_LONG);
    cr_assert_eq (fault_of ("1e9999999999", 12, 2), DECIMAL_TOO_LONG);
    cr_assert_eq (fault_of ("10", 2, 1), DECIMAL_TOO_LONG);
    cr_assert_eq (fault_of ("100000000000000000000000000000000000000", 38, 0), DECIMAL_TOO_LONG);
    static const char *const texts[] = { "",    "-",   "+",   ".",   "-.",   "1 ",
                                         " 1",  "1e",  "1e+", "e",   "0x1",  "1.2.3",
                                         "nan", "inf", "--1", "1,5", "1e1.5" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert_eq (fault_of (texts[i], 12, 2), DECIMAL_NO_NUMBER, "%s", texts[i]);
}

Test (decimal, text_has_all_digits_of_the_scale)
{
    static const struct {
        int64_t value;
        unsigned scale;
        const char *text;
    } cases[] = { { 1050, 2, "10.50" }, { -5, 2, "-0.05" }, { 7, 0, "7" },    { 0, 2, "0.00" },
                  { -7, 0, "-7" },      { 0, 0, "0" },      { 5, 3, "0.005" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[DECIMAL_TEXT_MAX];
        text_t text = decimal_text (cases[i].value, cases[i].scale, bytes);
        cr_assert (text_is (text, cases[i].text), TEXT_FORMAT, TEXT_ARGS (text));
    }
}

Test (decimal, text_reads_back)
{
    random_t random;
    random_seed (&random, 1);
    for (int i = 0; i < CASES; i++) {
        int128_t value = random_unscaled (&random);
        unsigned scale = random_scale (&random);
        char bytes[DECIMAL_TEXT_MAX];
        text_t text = decimal_text (value, scale, bytes);
        unscaled_t back;
        cr_assert_eq (decimal_parse (text, DECIMAL_DIGITS_MAX, scale, &back), DECIMAL_GOOD);
        cr_assert (back == value, TEXT_FORMAT, TEXT_ARGS (text));
        const char *point = memchr (text.data, '.', text.size);
        cr_assert_eq (point == NULL ? 0 : text.data + text.size - point - 1, scale);
    }
}

/* ---- values ---- */

static int sign_of (int order)
{
    return (order > 0) - (order < 0);
}

Test (decimal, order_is_that_of_the_values)
{
    random_t random;
    random_seed (&random, 2);
    mpq_t a, b;
    mpq_inits (a, b, NULL);
    for (int i = 0; i < CASES; i++) {
        int128_t x = random_unscaled (&random), y = random_unscaled (&random);
        unsigned x_scale = random_scale (&random), y_scale = random_scale (&random);
        unscaled_t same;
        if (random_chance (&random, 0.5) && decimal_rescale (x, x_scale, y_scale, &same))
            y = same + (int128_t)random_below (&random, 3) - 1;
        set_decimal (a, x, x_scale);
        set_decimal (b, y, y_scale);
        cr_assert_eq (sign_of (decimal_compare (x, x_scale, y, y_scale)), sign_of (mpq_cmp (a, b)));
    }
    mpq_clears (a, b, NULL);
}

static double nearest_of (mpq_t number)
{
    mpfr_t rounded;
    mpfr_init2 (rounded, 53);
    mpfr_set_q (rounded, number, MPFR_RNDN);
    double value = mpfr_get_d (rounded, MPFR_RNDN);
    mpfr_clear (rounded);
    return value;
}

Test (decimal, the_nearest_float_is_the_one_of_mpfr)
{
    random_t random;
    random_seed (&random, 3);
    mpq_t number;
    mpq_init (number);
    for (int i = 0; i < CASES; i++) {
        int128_t value = random_unscaled (&random);
        unsigned scale = random_scale (&random);
        set_decimal (number, value, scale);
        cr_assert_eq (decimal_to_float (value, scale), nearest_of (number));
    }
    mpq_clear (number);
}

static double random_float (random_t *random, int128_t near, unsigned scale)
{
    double value = decimal_to_float (near, scale);
    if (random_chance (random, 0.7))
        return value;
    if (random_chance (random, 0.5))
        return nextafter (value, random_chance (random, 0.5) ? DBL_MAX : -DBL_MAX);
    uint64_t bits = random_next (random);
    memcpy (&value, &bits, sizeof value);
    return isnan (value) ? 0.5 : value;
}

Test (decimal, order_beside_a_float_is_exact)
{
    random_t random;
    random_seed (&random, 4);
    mpq_t a, b;
    mpq_inits (a, b, NULL);
    for (int i = 0; i < CASES; i++) {
        int128_t value = random_unscaled (&random);
        unsigned scale = random_scale (&random);
        double other = random_float (&random, value, scale);
        int order = sign_of (decimal_compare_float (value, scale, other));
        if (isinf (other)) {
            cr_assert_eq (order, other > 0 ? -1 : 1);
            continue;
        }
        set_decimal (a, value, scale);
        mpq_set_d (b, other);
        cr_assert_eq (order, sign_of (mpq_cmp (a, b)), "scale %u, %.17g", scale, other);
    }
    mpq_clears (a, b, NULL);
    cr_assert (decimal_compare_float (5, 0, NAN) < 0);
    cr_assert (decimal_compare_float (1010, 2, 10.10) > 0, "the float is a little below");
    cr_assert (decimal_compare_float (1050, 2, 10.5) == 0);
}

/* number * 10^scale to the nearest integer, halves away from zero. */
static void round_to (mpq_t number, unsigned scale, mpz_t out)
{
    mpz_t numerator, denominator;
    mpz_inits (numerator, denominator, NULL);
    mpz_ui_pow_ui (numerator, 10, scale);
    mpz_mul (numerator, numerator, mpq_numref (number));
    bool negative = mpz_sgn (numerator) < 0;
    mpz_abs (numerator, numerator);
    mpz_mul_ui (denominator, mpq_denref (number), 2);
    mpz_mul_ui (numerator, numerator, 2);
    mpz_add (numerator, numerator, mpq_denref (number));
    mpz_fdiv_q (out, numerator, denominator);
    if (negative)
        mpz_neg (out, out);
    mpz_clears (numerator, denominator, NULL);
}

static void check_rounded (mpq_t number, unsigned scale, bool fits, unscaled_t value)
{
    mpz_t expected, limit, got;
    mpz_inits (expected, limit, got, NULL);
    round_to (number, scale, expected);
    mpz_ui_pow_ui (limit, 10, DECIMAL_DIGITS_MAX);
    cr_assert_eq (fits, mpz_cmpabs (expected, limit) < 0);
    set_int128 (got, value);
    cr_assert (!fits || mpz_cmp (expected, got) == 0);
    mpz_clears (expected, limit, got, NULL);
}

Test (decimal, rescaling_rounds_halves_away_from_zero)
{
    random_t random;
    random_seed (&random, 5);
    mpq_t number;
    mpq_init (number);
    for (int i = 0; i < CASES; i++) {
        int128_t value = random_unscaled (&random);
        unsigned from = random_scale (&random), to = random_scale (&random);
        unscaled_t out = 0;
        bool fits = decimal_rescale (value, from, to, &out);
        set_decimal (number, value, from);
        check_rounded (number, to, fits, out);
    }
    mpq_clear (number);
}

Test (decimal, a_float_becomes_the_nearest_decimal)
{
    random_t random;
    random_seed (&random, 6);
    mpq_t number;
    mpq_init (number);
    for (int i = 0; i < CASES; i++) {
        unsigned scale = random_scale (&random);
        double value = random_float (&random, random_unscaled (&random), random_scale (&random));
        if (random_chance (&random, 0.2))
            value = ((double)random_below (&random, 2000) - 1000) / 8; /* halves */
        unscaled_t out = 0;
        bool fits = decimal_of_float (value, scale, &out);
        if (isinf (value)) {
            cr_assert (!fits);
            continue;
        }
        mpq_set_d (number, value);
        check_rounded (number, scale, fits, out);
    }
    mpq_clear (number);
    unscaled_t out;
    cr_assert (!decimal_of_float (NAN, 2, &out));
}

/* ---- types ---- */

Test (decimal, types_have_words)
{
    type_t type;
    unsigned precision;
    for (unsigned scale = 0; scale <= DECIMAL_DIGITS_MAX; scale++) {
        char word[32];
        snprintf (word, sizeof word, "decimal(38,%u)", scale);
        cr_assert_str_eq (type_word (type_decimal (scale)), word);
        cr_assert_eq (type_from_word (text_of (word)), type_decimal (scale));
        cr_assert (type_is_field (type_decimal (scale)));
    }
    cr_assert (decimal_type_parse (text_of ("decimal( 12 , 2 )"), &type, &precision));
    cr_assert_eq (precision, 12);
    cr_assert_eq (type, type_decimal (2));
    static const char *const texts[] = { "decimal",       "decimal()",      "decimal(12)",
                                         "decimal(12,)",  "decimal(,2)",    "decimal(39,2)",
                                         "decimal(2,12)", "decimal(0,0)",   "decimal(12,2",
                                         "decimal(12;2)", "decimal(12,-1)", "decimal(1 2,2)" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_assert (!decimal_type_parse (text_of (texts[i]), &type, &precision), "%s", texts[i]);
    cr_assert_eq (type_from_word (text_of ("decimal(39,2)")), TYPE_NONE);
    cr_assert (!type_is_field (TYPE_DECIMAL));
}

Test (decimal, keys_sort_as_their_values)
{
    random_t random;
    random_seed (&random, 7);
    arena_t *arena = arena_new (4096);
    for (int i = 0; i < CASES; i++) {
        type_t type = type_decimal (random_scale (&random));
        value_t values[2] = { { .type = type }, { .type = type } };
        text_t keys[2];
        buf_t bytes[2];
        for (int k = 0; k < 2; k++) {
            values[k].d = random_unscaled (&random);
            buf_init (&bytes[k], KEY_SIZE_MAX);
            key_put (&bytes[k], &values[k]);
            keys[k] = (text_t){ (const char *)bytes[k].data, (uint32_t)bytes[k].size };
            value_t back;
            cr_assert (key_get (keys[k], &type, 1, arena, &back));
            cr_assert (value_equal (&back, &values[k]));
        }
        cr_assert_eq (sign_of (text_compare (keys[0], keys[1])),
                      sign_of (value_compare (&values[0], &values[1])));
        buf_release (&bytes[0]);
        buf_release (&bytes[1]);
        arena_reset (arena);
    }
    arena_destroy (&arena);
}

Test (decimal, a_key_of_39_digits_or_another_scale_is_refused)
{
    arena_t *arena = arena_new (256);
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    value_t value = { .type = type_decimal (2), .d = decimal_power (38) };
    key_put (&bytes, &value);
    text_t key = { (const char *)bytes.data, (uint32_t)bytes.size };
    type_t type = type_decimal (2);
    cr_assert (!key_get (key, &type, 1, arena, &value));
    buf_clear (&bytes);
    value = (value_t){ .type = type_decimal (2), .d = 1 };
    key_put (&bytes, &value);
    key = (text_t){ (const char *)bytes.data, (uint32_t)bytes.size };
    cr_assert (key_get (key, &type, 1, arena, &value));
    type = type_decimal (3);
    cr_assert (!key_get (key, &type, 1, arena, &value));
    buf_release (&bytes);
    arena_destroy (&arena);
}
