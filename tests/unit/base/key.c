#include "base/key.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <math.h>

enum { ROUNDS = 50000 };

static const type_t field_types[] = { TYPE_BOOL, TYPE_INT64, TYPE_FLOAT64, TYPE_STRING,
                                      TYPE_TIMESTAMP };

/* Few letters and short, so that equal, prefixed and zero-holding strings are common. */
static text_t any_string (random_t *random, arena_t *arena)
{
    static const char letters[] = { 0, 1, 'a', (char)0xff };
    uint32_t size = (uint32_t)random_below (random, 5);
    char *data = arena_alloc (arena, size);
    for (uint32_t i = 0; i < size; i++)
        data[i] = letters[random_below (random, sizeof letters)];
    return (text_t){ data, size };
}

static double any_float (random_t *random)
{
    static const double special[] = { 0, 1, -1, INFINITY, -INFINITY, 5e-324, -5e-324, 1e308 };
    if (random_chance (random, 0.5))
        return special[random_below (random, sizeof special / sizeof special[0])];
    uint64_t bits = random_next (random);
    double value;
    memcpy (&value, &bits, sizeof value);
    return value_float (random_chance (random, 0.1) ? NAN : value);
}

static value_t any_value (random_t *random, type_t type, arena_t *arena)
{
    value_t value = { .type = type };
    if (type == TYPE_STRING)
        value.s = any_string (random, arena);
    else if (type == TYPE_FLOAT64)
        value.f = any_float (random);
    else if (type == TYPE_BOOL)
        value.i = (int64_t)random_below (random, 2);
    else
        value.i = (int64_t)(random_next (random) >> random_below (random, 64)) *
                  (random_chance (random, 0.5) ? 1 : -1);
    return value;
}

static int sign (int number)
{
    return (number > 0) - (number < 0);
}

static text_t text_of_buf (const buf_t *buf)
{
    return (text_t){ (const char *)buf->data, (uint32_t)buf->size };
}

/* Two keys of the same random fields. */
typedef struct pair {
    size_t count;
    type_t types[KEY_FIELDS_MAX];
    value_t a[KEY_FIELDS_MAX];
    value_t b[KEY_FIELDS_MAX];
    int order; /* of a and b, field by field */
} pair_t;

static pair_t any_pair (random_t *random, arena_t *arena, buf_t *key_a, buf_t *key_b)
{
    pair_t pair = { .count = random_below (random, 4) };
    buf_clear (key_a);
    buf_clear (key_b);
    for (size_t i = 0; i < pair.count; i++) {
        pair.types[i] = field_types[random_below (random, 5)];
        pair.a[i] = any_value (random, pair.types[i], arena);
        pair.b[i] =
            random_chance (random, 0.3) ? pair.a[i] : any_value (random, pair.types[i], arena);
        key_put (key_a, &pair.a[i]);
        key_put (key_b, &pair.b[i]);
        if (pair.order == 0)
            pair.order = sign (value_compare (&pair.a[i], &pair.b[i]));
    }
    return pair;
}

Test (key, bytes_sort_as_the_values_and_none_begins_another)
{
    random_t random;
    random_seed (&random, 7);
    arena_t *arena = arena_new (4096);
    buf_t a, b;
    buf_init (&a, KEY_SIZE_MAX);
    buf_init (&b, KEY_SIZE_MAX);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        pair_t pair = any_pair (&random, arena, &a, &b);
        cr_assert_eq (sign (text_compare (text_of_buf (&a), text_of_buf (&b))), pair.order);
        size_t both = a.size < b.size ? a.size : b.size;
        if (pair.order != 0)
            cr_assert_neq (memcmp (a.data, b.data, both), 0);
    }
    buf_release (&a);
    buf_release (&b);
    arena_destroy (&arena);
}

Test (key, fields_are_read_back)
{
    random_t random;
    random_seed (&random, 8);
    arena_t *arena = arena_new (4096);
    buf_t key, other;
    buf_init (&key, KEY_SIZE_MAX);
    buf_init (&other, KEY_SIZE_MAX);
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        pair_t pair = any_pair (&random, arena, &key, &other);
        value_t values[KEY_FIELDS_MAX];
        text_t text = text_of_buf (&key);
        cr_assert (key_get (text, pair.types, pair.count, arena, values));
        for (size_t i = 0; i < pair.count; i++)
            cr_assert (value_equal (&values[i], &pair.a[i]));
        if (pair.count > 0) {
            cr_assert_not (key_get (text, pair.types, pair.count - 1, arena, values));
            text.size--;
            cr_assert_not (key_get (text, pair.types, pair.count, arena, values));
        }
    }
    buf_release (&key);
    buf_release (&other);
    arena_destroy (&arena);
}

/* Whatever key_get accepts, key_put writes in the same bytes: a key has one spelling. */
Test (key, mutated_bytes_are_refused_or_are_another_key)
{
    random_t random;
    random_seed (&random, 9);
    arena_t *arena = arena_new (4096);
    buf_t key, again;
    buf_init (&key, KEY_SIZE_MAX);
    buf_init (&again, KEY_SIZE_MAX);
    int refused = 0, accepted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        arena_reset (arena);
        pair_t pair = any_pair (&random, arena, &key, &again);
        if (key.size == 0)
            continue;
        uint8_t *byte = &key.data[random_below (&random, key.size)];
        *byte = (uint8_t)(*byte ^ (1U << random_below (&random, 8)));
        value_t values[KEY_FIELDS_MAX];
        if (!key_get (text_of_buf (&key), pair.types, pair.count, arena, values)) {
            refused++;
            continue;
        }
        accepted++;
        buf_clear (&again);
        for (size_t i = 0; i < pair.count; i++)
            key_put (&again, &values[i]);
        cr_assert (text_equal (text_of_buf (&again), text_of_buf (&key)));
    }
    cr_assert (refused > 1000 && accepted > 1000);
    buf_release (&key);
    buf_release (&again);
    arena_destroy (&arena);
}

Test (key, negative_zero_and_odd_nans_have_one_encoding)
{
    buf_t a, b;
    buf_init (&a, KEY_SIZE_MAX);
    buf_init (&b, KEY_SIZE_MAX);
    key_put (&a, &(value_t){ .type = TYPE_FLOAT64, .f = 0.0 });
    key_put (&a, &(value_t){ .type = TYPE_FLOAT64, .f = NAN });
    key_put (&b, &(value_t){ .type = TYPE_FLOAT64, .f = -0.0 });
    key_put (&b, &(value_t){ .type = TYPE_FLOAT64, .f = -NAN });
    cr_assert (text_equal (text_of_buf (&a), text_of_buf (&b)));
    buf_release (&a);
    buf_release (&b);
}

/* These are on disks: they must never change. */
Test (key, encoding_hash_and_partition_are_pinned)
{
    static const uint8_t expected[] = { 4,    'u',  0,    0xff, '1',  0,    0,    2,
                                        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    key_put (&key, &(value_t){ .type = TYPE_STRING,
                               .s = { "u\0"
                                      "1",
                                      3 } });
    key_put (&key, &(value_t){ .type = TYPE_INT64, .i = -1 });
    cr_assert_eq (key.size, sizeof expected);
    cr_assert_eq (memcmp (key.data, expected, sizeof expected), 0);
    cr_assert_eq (key_hash ((text_t){ NULL, 0 }), UINT64_C (0x2d06800538d394c2));
    cr_assert_eq (key_hash (text_of ("weir")), UINT64_C (0x9831dc741817118));
    cr_assert_eq (key_partition (0, 7), 0);
    cr_assert_eq (key_partition (UINT64_MAX, 7), 6);
    cr_assert_eq (key_partition (UINT64_C (1) << 63, 64), 32);
    buf_release (&key);
}

Test (key, a_string_without_zero_bytes_is_put_in_one_go_as_any)
{
    random_t random;
    random_seed (&random, 11);
    for (int round = 0; round < ROUNDS; round++) {
        char bytes[40];
        uint8_t quick[sizeof bytes + KEY_STRING_MORE];
        value_t value = { .type = TYPE_STRING,
                          .s = { bytes, (uint32_t)random_below (&random, sizeof bytes + 1) } };
        bool zero = false;
        for (uint32_t i = 0; i < value.s.size; i++) {
            bytes[i] = (char)random_below (&random, 256 - (unsigned)(round % 2));
            bytes[i] = (char)(bytes[i] + round % 2); /* every other time without */
            zero |= bytes[i] == 0;
        }
        buf_t key;
        buf_init (&key, KEY_SIZE_MAX);
        key_put (&key, &value);
        cr_assert_eq (key_put_plain_string (quick, value.s), !zero);
        if (!zero) {
            cr_assert_eq (key.size, value.s.size + KEY_STRING_MORE);
            cr_assert_eq (memcmp (quick, key.data, key.size), 0);
        }
        buf_release (&key);
    }
}
