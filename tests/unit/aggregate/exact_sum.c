/* The superaccumulator and the rounding of what comes out, against GMP and MPFR. */
#include "aggregate/exact_number.h"

#include "reference.h"

#include <criterion/criterion.h>
#include <math.h>

static double random_double (random_t *random)
{
    for (;;) {
        uint64_t bits = random_next (random);
        if (random_chance (random, 0.2))
            bits &= ~(UINT64_C (0x7fe) << 52); /* subnormal, or just above */
        double value;
        memcpy (&value, &bits, sizeof value);
        if (isfinite (value))
            return value;
    }
}

static void set_int128 (mpq_t number, int128_t value)
{
    mpz_t low;
    mpz_init_set_ui (low, (uint64_t)value);
    mpz_set_si (mpq_numref (number), (int64_t)(value >> 64));
    mpz_mul_2exp (mpq_numref (number), mpq_numref (number), 64);
    mpz_add (mpq_numref (number), mpq_numref (number), low);
    mpz_set_ui (mpq_denref (number), 1);
    mpz_clear (low);
}

/* Adds one random term to both. */
static void add_term (random_t *random, exact_sum_t *sum, mpq_t expected)
{
    mpq_t term, factor;
    mpq_init (term);
    mpq_init (factor);
    double a = random_double (random), b = random_double (random);
    int64_t i = (int64_t)random_next (random) >> random_below (random, 64);
    int64_t j = random_chance (random, 0.2) ? INT64_MIN : (int64_t)random_next (random);
    switch (random_below (random, 4)) {
    case 0:
        exact_sum_add_float (sum, a);
        mpq_set_d (term, a);
        break;
    case 1:
        exact_sum_add_float_product (sum, a, b);
        mpq_set_d (term, a);
        mpq_set_d (factor, b);
        mpq_mul (term, term, factor);
        break;
    case 2: {
        int128_t wide = (int128_t)((uint128_t)random_next (random) << 64 | random_next (random));
        wide >>= random_below (random, 128);
        exact_sum_add_int128 (sum, wide);
        set_int128 (term, wide);
        break;
    }
    default:
        exact_sum_add_int_product (sum, i, j);
        set_int128 (term, (int128_t)i * j);
    }
    mpq_add (expected, expected, term);
    mpq_clear (term);
    mpq_clear (factor);
}

static void check_rounding (const exact_sum_t *sum, const mpq_t expected)
{
    exact_number_t number;
    double ours = -1, theirs = -2;
    exact_number_of_sum (&number, sum);
    bool fits = exact_number_round (&number, &ours);
    cr_assert_eq (fits, reference_round (expected, &theirs));
    cr_assert (!fits || ours == theirs, "%a, expected %a", ours, theirs);
    double quick;
    if (exact_sum_round (sum, &quick))
        cr_assert (fits && memcmp (&quick, &ours, sizeof ours) == 0, "%a, expected %a", quick,
                   ours);
}

Test (exact_sum, of_any_terms_is_exact)
{
    random_t random;
    random_seed (&random, 3);
    for (int round = 0; round < 400; round++) {
        exact_sum_t sum;
        exact_sum_init (&sum);
        mpq_t expected;
        mpq_init (expected);
        for (int terms = 0; terms < 12; terms++) {
            add_term (&random, &sum, expected);
            check_rounding (&sum, expected);
        }
        mpq_clear (expected);
        exact_sum_release (&sum);
    }
}

Test (exact_sum, keeps_its_carries_through_many_additions_and_merges)
{
    exact_sum_t sum, other;
    exact_sum_init (&sum);
    exact_sum_init (&other);
    mpq_t expected, term;
    mpq_init (expected);
    mpq_init (term);
    const double most = 0x1.fffffffffffffp+19; /* fills its chunks as far as one number can */
    mpq_set_d (term, most);
    for (int i = 0; i < 100000; i++) {
        exact_sum_add_float (&sum, most);
        mpq_add (expected, expected, term);
    }
    check_rounding (&sum, expected);
    for (int i = 0; i < 60; i++) {
        exact_sum_reset (&other);
        exact_sum_merge (&other, &sum);
        exact_sum_merge (&sum, &other);
        mpq_add (expected, expected, expected);
        check_rounding (&sum, expected);
    }
    for (int i = 0; i < 6000; i++) {
        /* every one passes through a fresh sum, so none is propagated by additions */
        exact_sum_reset (&other);
        exact_sum_add_float (&other, -most);
        exact_sum_merge (&other, &sum);
        exact_sum_t swap = sum;
        sum = other;
        other = swap;
        mpq_sub (expected, expected, term);
    }
    check_rounding (&sum, expected);
    mpq_clear (expected);
    mpq_clear (term);
    exact_sum_release (&sum);
    exact_sum_release (&other);
}

Test (exact_sum, encodings_depend_on_the_sum_alone)
{
    random_t random;
    random_seed (&random, 4);
    buf_t a, b;
    buf_init (&a, 4096);
    buf_init (&b, 4096);
    exact_range_t wide = { -2176, 2176, true };
    for (int round = 0; round < 400; round++) {
        exact_sum_t sum, copy;
        mpq_t unused;
        mpq_init (unused);
        exact_sum_init (&sum);
        exact_sum_init (&copy);
        for (uint64_t terms = random_below (&random, 6); terms > 0; terms--)
            add_term (&random, &sum, unused);
        buf_clear (&a);
        exact_sum_encode (&sum, &a);
        cr_assert (a.size <= EXACT_SUM_ENCODED_MAX);
        /* through far-away detours that cancel */
        exact_sum_add_float (&copy, 0x1p1000);
        exact_sum_add_float_product (&copy, 0x1p-1074, 0x1p-1074);
        reader_t reader = reader_of (a.data, a.size);
        cr_assert (exact_sum_merge_encoded (&copy, &reader, wide));
        cr_assert_eq (reader_left (&reader), 0);
        exact_sum_add_float_product (&copy, -0x1p-1074, 0x1p-1074);
        exact_sum_add_float (&copy, -0x1p1000);
        buf_clear (&b);
        exact_sum_encode (&copy, &b);
        cr_assert_eq (a.size, b.size);
        cr_assert (memcmp (a.data, b.data, a.size) == 0);
        cr_assert_eq (exact_sum_is_zero (&copy), a.size == 1);
        mpq_clear (unused);
        exact_sum_release (&sum);
        exact_sum_release (&copy);
    }
    buf_release (&a);
    buf_release (&b);
}

static void check_same_bytes (const exact_sum_t *a, const exact_sum_t *b)
{
    buf_t of_a, of_b;
    buf_init (&of_a, EXACT_SUM_ENCODED_MAX);
    buf_init (&of_b, EXACT_SUM_ENCODED_MAX);
    exact_sum_encode (a, &of_a);
    exact_sum_encode (b, &of_b);
    cr_assert_eq (of_a.size, of_b.size);
    cr_assert_eq (memcmp (of_a.data, of_b.data, of_a.size), 0);
    buf_release (&of_a);
    buf_release (&of_b);
}

/* An encoding read into one sum, and the same number added to the other, which has chunks. */
static void merge_both (random_t *random, exact_sum_t *sum, exact_sum_t *chunks)
{
    exact_sum_t part;
    exact_sum_init (&part);
    int exponent = (int)random_below (random, random_chance (random, 0.2) ? 2000 : 90) - 1000;
    double value = ldexp ((double)(random_next (random) >> random_below (random, 64)), exponent);
    exact_sum_add_float (&part, random_chance (random, 0.4) ? -value : value);
    exact_sum_merge (chunks, &part);
    buf_t encoded;
    buf_init (&encoded, EXACT_SUM_ENCODED_MAX);
    exact_sum_encode (&part, &encoded);
    reader_t reader = reader_of (encoded.data, encoded.size);
    exact_sum_t read;
    exact_sum_init (&read);
    switch (random_below (random, 3)) {
    case 0:
        cr_assert (exact_sum_merge_encoded (&read, &reader, EXACT_RANGE_FLOATS));
        exact_sum_merge (sum, &read);
        break;
    case 1:
        exact_sum_merge (sum, &part);
        break;
    default:
        cr_assert (exact_sum_merge_encoded (sum, &reader, EXACT_RANGE_FLOATS));
    }
    exact_sum_release (&read);
    exact_sum_release (&part);
    buf_release (&encoded);
}

/* Whether it is an integer or chunks. */
Test (exact_sum, of_encodings_is_that_of_their_numbers)
{
    random_t random;
    random_seed (&random, 78);
    for (int i = 0; i < 20000; i++) {
        exact_sum_t sum, chunks;
        exact_sum_init (&sum);
        exact_sum_init (&chunks);
        for (uint64_t n = random_below (&random, 7); n > 0; n--) {
            merge_both (&random, &sum, &chunks);
            if (random_chance (&random, 0.1)) { /* nothing, or back to nothing */
                exact_sum_t copy;
                exact_sum_init (&copy);
                exact_sum_merge (&copy, &sum);
                check_same_bytes (&copy, &chunks);
                exact_sum_release (&copy);
            }
            if (random_chance (&random, 0.05)) {
                exact_sum_reset (&sum);
                exact_sum_reset (&chunks);
            }
        }
        check_same_bytes (&sum, &chunks);
        cr_assert_eq (exact_sum_is_zero (&sum), exact_sum_is_zero (&chunks));
        double a, b;
        if (exact_sum_round (&sum, &a) && exact_sum_round (&chunks, &b))
            cr_assert_eq (memcmp (&a, &b, sizeof a), 0, "%a, %a", a, b);
        exact_sum_release (&sum);
        exact_sum_release (&chunks);
    }
}

/* Numbers near each other, or from anywhere; zeros of both signs, subnormals, and what is not
 * finite. */
static double any_number (random_t *random, double scale)
{
    static const double others[] = {
        0.0, -0.0, 5e-324, -2.2e-308, INFINITY, -INFINITY, NAN, 1.7e308
    };
    if (random_chance (random, 0.03))
        return others[random_below (random, sizeof others / sizeof *others)];
    if (random_chance (random, 0.01)) {
        double number = random_double (random);
        return number;
    }
    return ((double)random_below (random, 2000000) - 1000000) / 100 * scale;
}

Test (exact_sum, of_many_at_once_is_that_of_one_by_one)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        random_t random;
        random_seed (&random, seed);
        static double values[3000];
        size_t count = (size_t)random_below (&random, seed % 10 == 0 ? 3000 : 20);
        double scale =
            random_chance (&random, 0.2) ? ldexp (1, (int)random_below (&random, 1800) - 900) : 1;
        size_t finite = 0;
        exact_sum_t sum, squares, sum_at_once, both_at_once, squares_at_once;
        exact_sum_t *all[] = { &sum, &squares, &sum_at_once, &both_at_once, &squares_at_once };
        for (size_t i = 0; i < 5; i++)
            exact_sum_init (all[i]);
        for (size_t i = 0; i < count; i++) {
            values[i] = any_number (&random, scale);
            if (!isfinite (values[i]))
                continue;
            finite++;
            exact_sum_add_float (&sum, values[i]);
            exact_sum_add_float_product (&squares, values[i], values[i]);
        }
        cr_assert_eq (exact_sum_add_floats (&sum_at_once, values, count), finite);
        cr_assert_eq (
            exact_sum_add_floats_and_squares (&both_at_once, &squares_at_once, values, count),
            finite);
        check_same_bytes (&sum, &sum_at_once);
        check_same_bytes (&sum, &both_at_once);
        check_same_bytes (&squares, &squares_at_once);
        for (size_t i = 0; i < 5; i++)
            exact_sum_release (all[i]);
    }
}

/* With room for what is encoded to the byte, and with more. */
Test (exact_sum, encodings_do_not_depend_on_the_room)
{
    random_t random;
    random_seed (&random, 1);
    for (int i = 0; i < 20000; i++) {
        exact_sum_t sum;
        exact_sum_init (&sum);
        for (uint64_t terms = random_below (&random, 4); terms > 0; terms--)
            exact_sum_add_float (&sum, i % 2 == 0 ? random_double (&random)
                                                  : (double)random_below (&random, 1000) - 500.25);
        buf_t roomy, tight;
        buf_init (&roomy, EXACT_SUM_ENCODED_MAX);
        exact_sum_encode (&sum, &roomy);
        buf_init (&tight, roomy.size);
        exact_sum_encode (&sum, &tight);
        cr_assert (!tight.bad && tight.size == roomy.size);
        cr_assert_eq (memcmp (tight.data, roomy.data, tight.size), 0);
        buf_release (&roomy);
        buf_release (&tight);
        exact_sum_release (&sum);
    }
}

Test (exact_sum, of_ordinary_numbers_needs_no_heap)
{
    exact_sum_t sum;
    exact_sum_init (&sum);
    for (int i = -60; i < 90; i++)
        exact_sum_add_float_product (&sum, ldexp (1.1, i), ldexp (-1.3, i));
    cr_assert_null (sum.spill);
    exact_sum_release (&sum);
}

/* Few terms, near to each other or to what a float64 cannot say: halves, ties, the ends of the
 * range. */
Test (exact_sum, quick_rounding_is_that_of_the_slow_way)
{
    random_t random;
    random_seed (&random, 77);
    unsigned quick = 0;
    for (int i = 0; i < 20000; i++) {
        exact_sum_t sum;
        mpq_t expected, term;
        exact_sum_init (&sum);
        mpq_inits (expected, term, NULL);
        int exponent = (int)random_below (&random, random_chance (&random, 0.5) ? 2100 : 40) - 1080;
        for (uint64_t n = random_below (&random, 6); n > 0; n--) {
            double mantissa = (double)(random_next (&random) >> random_below (&random, 64));
            double value = ldexp (mantissa, exponent - 64 + (int)random_below (&random, 60));
            if (!isfinite (value))
                continue;
            value = random_chance (&random, 0.3) ? -value : value;
            exact_sum_add_float (&sum, value);
            mpq_set_d (term, value);
            mpq_add (expected, expected, term);
        }
        double rounded;
        quick += exact_sum_round (&sum, &rounded);
        check_rounding (&sum, expected);
        exact_sum_release (&sum);
        mpq_clears (expected, term, NULL);
    }
    cr_assert_gt (quick, 10000);
}

Test (exact_number, rounds_ties_to_even_and_subnormals_and_the_last_float)
{
    static const struct {
        double terms[3];
        double expected; /* infinity: past the largest */
    } cases[] = {
        { { 0x1p53, 1.0, 0.0 }, 0x1p53 },
        { { 0x1p53, 1.0, 0x1p-1074 }, 0x1.0000000000001p53 },
        { { 0x1p53, 3.0, 0.0 }, 0x1.0000000000002p53 },
        { { 0x1p53, 3.0, -0x1p-1074 }, 0x1.0000000000001p53 },
        { { 0x1.fffffffffffffp1023, 0x1p969, 0.0 }, 0x1.fffffffffffffp1023 },
        { { 0x1.fffffffffffffp1023, 0x1p970, 0.0 }, INFINITY },
        { { 0x1.fffffffffffffp1023, 0x1p970, -0x1p-1074 }, 0x1.fffffffffffffp1023 },
        { { 0x1p-1022, -0x1p-1074, 0.0 }, 0x0.fffffffffffffp-1022 },
        { { 1.0, -1.0, 0.0 }, 0.0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            exact_sum_t sum;
            exact_sum_init (&sum);
            for (int j = 0; j < 3; j++)
                exact_sum_add_float (&sum, sign * cases[i].terms[j]);
            exact_number_t number;
            double rounded = 0;
            exact_number_of_sum (&number, &sum);
            bool fits = exact_number_round (&number, &rounded);
            cr_expect_eq (fits, isfinite (cases[i].expected), "case %zu", i);
            cr_expect (!fits || rounded == sign * cases[i].expected, "case %zu: %a", i, rounded);
            cr_expect (rounded != 0 || !signbit (rounded), "case %zu: minus zero", i);
            exact_sum_release (&sum);
        }
    }
}

Test (exact_number, quotients_and_roots_are_correctly_rounded)
{
    random_t random;
    random_seed (&random, 5);
    for (int round = 0; round < 3000; round++) {
        double x = fabs (random_double (&random));
        uint128_t divisor = (uint128_t)random_next (&random) << 64 | random_next (&random);
        divisor = (divisor >> random_below (&random, 128)) | 1;
        bool square = random_chance (&random, 0.3);
        exact_sum_t sum;
        exact_sum_init (&sum);
        mpq_t expected, by;
        mpq_init (expected);
        mpq_init (by);
        mpq_set_d (expected, x);
        if (square) { /* the root is a tie, or very near one */
            exact_sum_add_float_product (&sum, x, x);
            mpq_mul (expected, expected, expected);
            divisor = 1;
        } else {
            exact_sum_add_float (&sum, x);
        }
        set_int128 (by, (int128_t)(divisor >> 1));
        mpz_mul_2exp (mpq_numref (by), mpq_numref (by), 1);
        mpz_add_ui (mpq_numref (by), mpq_numref (by), 1);
        mpq_div (expected, expected, by);
        exact_number_t number;
        exact_number_of_sum (&number, &sum);
        double ours = -1, theirs = -2;
        bool fits = exact_number_round_quotient (&number, divisor, &ours);
        cr_assert_eq (fits, reference_round (expected, &theirs));
        cr_assert (!fits || ours == theirs, "%a, expected %a", ours, theirs);
        fits = exact_number_round_root (&number, divisor, &ours);
        cr_assert_eq (fits, reference_round_root (expected, &theirs));
        cr_assert (!fits || ours == theirs, "%a, expected %a", ours, theirs);
        mpq_clear (expected);
        mpq_clear (by);
        exact_sum_release (&sum);
    }
}

/* number = of * divisor + extra, checked divided and, when `root`, under the root. */
static void check_near_tie (const mpz_t of, const mpz_t divisor, int extra, bool root)
{
    mpq_t expected;
    mpq_init (expected);
    mpz_mul (mpq_numref (expected), of, divisor);
    if (extra < 0)
        mpz_sub_ui (mpq_numref (expected), mpq_numref (expected), 1);
    else
        mpz_add_ui (mpq_numref (expected), mpq_numref (expected), (unsigned)extra);
    uint64_t limbs[8] = { 0 };
    mpz_export (limbs, NULL, -1, sizeof *limbs, 0, 0, mpq_numref (expected));
    mpz_set (mpq_denref (expected), divisor);
    uint64_t by[2] = { 0 };
    mpz_export (by, NULL, -1, sizeof *by, 0, 0, divisor);
    mpq_canonicalize (expected);
    exact_number_t number;
    exact_number_of_limbs (&number, limbs, 8);
    uint128_t wide = (uint128_t)by[1] << 64 | by[0];
    double ours, theirs;
    cr_assert (root ? exact_number_round_root (&number, wide, &ours)
                    : exact_number_round_quotient (&number, wide, &ours));
    cr_assert (root ? reference_round_root (expected, &theirs)
                    : reference_round (expected, &theirs));
    cr_assert (ours == theirs, "%a, expected %a", ours, theirs);
    mpq_clear (expected);
}

Test (exact_number, a_hair_beside_a_tie_decides_it)
{
    random_t random;
    random_seed (&random, 6);
    mpz_t tie, square, divisor;
    mpz_init (tie);
    mpz_init (square);
    mpz_init (divisor);
    for (int round = 0; round < 3000; round++) {
        /* 54 bits, the last set: half way between two float64s */
        mpz_set_ui (tie, UINT64_C (1) << 53 | random_next (&random) >> 11 | 1);
        mpz_mul (square, tie, tie);
        /* the hair is wider or narrower than what 106 bits of the number tell */
        mpz_set_ui (divisor,
                    (random_next (&random) | UINT64_C (1) << 63) >> random_below (&random, 64));
        mpz_mul_2exp (divisor, divisor, random_below (&random, 51));
        for (int extra = -1; extra <= 1; extra++) {
            check_near_tie (tie, divisor, extra, false);
            check_near_tie (square, divisor, extra, true);
        }
    }
    mpz_clear (tie);
    mpz_clear (square);
    mpz_clear (divisor);
}
