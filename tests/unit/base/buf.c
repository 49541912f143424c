#include "base/buf.h"
#include "base/random.h"

#include <criterion/criterion.h>

enum { ROUNDS = 20000 };

/* Numbers of all magnitudes. */
static uint64_t any_number (random_t *random)
{
    return random_next (random) >> random_below (random, 64);
}

Test (buf, what_is_written_is_read_back)
{
    random_t writing, reading;
    random_seed (&writing, 1);
    reading = writing;
    buf_t buf;
    buf_init (&buf, SIZE_MAX);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t n = any_number (&writing);
        buf_put_u8 (&buf, (uint8_t)n);
        buf_put_u16 (&buf, (uint16_t)n);
        buf_put_u32 (&buf, (uint32_t)n);
        buf_put_u64 (&buf, n);
        buf_put_i64 (&buf, -(int64_t)(n / 2));
        buf_put_f64 (&buf, (double)n / 3);
        buf_put_varint (&buf, n);
        buf_put_zigzag (&buf, (int64_t)n);
        buf_put_zigzag (&buf, (int64_t)~n);
        buf_put_text (&buf, (text_t){ (const char *)&n, (uint32_t)(n % 9) });
    }
    cr_assert_not (buf.bad);
    reader_t in = reader_of (buf.data, buf.size);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t n = any_number (&reading);
        cr_assert_eq (reader_u8 (&in), (uint8_t)n);
        cr_assert_eq (reader_u16 (&in), (uint16_t)n);
        cr_assert_eq (reader_u32 (&in), (uint32_t)n);
        cr_assert_eq (reader_u64 (&in), n);
        cr_assert_eq (reader_i64 (&in), -(int64_t)(n / 2));
        cr_assert_eq (reader_f64 (&in), (double)n / 3);
        cr_assert_eq (reader_varint (&in), n);
        cr_assert_eq (reader_zigzag (&in), (int64_t)n);
        cr_assert_eq (reader_zigzag (&in), (int64_t)~n);
        cr_assert (text_equal (reader_text (&in), (text_t){ (const char *)&n, (uint32_t)(n % 9) }));
    }
    cr_assert_not (in.bad);
    cr_assert_eq (reader_left (&in), 0);
    buf_release (&buf);
    buf_release (&buf);
}

/* Sizes on both sides of where a varint takes another byte, one part within another. */
Test (buf, parts_are_as_texts_of_the_same_bytes)
{
    static const uint32_t sizes[] = { 0, 1, 127, 128, 16383, 16384, (1 << 21) - 1, 1 << 21 };
    static char bytes[1 << 21];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 / 5);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        buf_t inner, expected, buf;
        buf_init (&inner, SIZE_MAX);
        buf_init (&expected, SIZE_MAX);
        buf_init (&buf, SIZE_MAX);
        buf_put_text (&inner, (text_t){ bytes, sizes[i] });
        buf_put_u8 (&expected, 9);
        buf_put_text (&expected, (text_t){ (const char *)inner.data, (uint32_t)inner.size });
        buf_put_u8 (&buf, 9);
        size_t outside = buf_part_begin (&buf), inside = buf_part_begin (&buf);
        buf_put (&buf, bytes, sizes[i]);
        buf_part_end (&buf, inside);
        buf_part_end (&buf, outside);
        cr_expect (buf.size == expected.size && memcmp (buf.data, expected.data, buf.size) == 0,
                   "%u bytes", sizes[i]);
        buf_release (&inner);
        buf_release (&expected);
        buf_release (&buf);
    }
}

Test (buf, a_part_whose_size_does_not_fit_makes_it_bad)
{
    static const char bytes[128];
    buf_t buf;
    buf_init (&buf, 1 + sizeof bytes);
    size_t part = buf_part_begin (&buf);
    buf_put (&buf, bytes, sizeof bytes);
    cr_assert_not (buf.bad);
    buf_part_end (&buf, part);
    cr_assert (buf.bad);
    buf_part_end (&buf, part);
    buf_release (&buf);
}

Test (buf, stays_bad_after_a_write_past_its_maximum)
{
    buf_t buf;
    buf_init (&buf, 10);
    buf_put_u64 (&buf, 1);
    buf_put_u32 (&buf, 2);
    cr_assert (buf.bad);
    cr_assert_eq (buf.size, 8);
    buf_put_u8 (&buf, 3);
    cr_assert_eq (buf.size, 8, "sticky, although one byte would fit");
    cr_assert_null (buf_extend (&buf, 0));
    buf_printf (&buf, "x");
    cr_assert_eq (buf.size, 8);
    buf_clear (&buf);
    cr_assert_not (buf.bad);
    buf_printf (&buf, "%010d", 5);
    cr_assert_not (buf.bad);
    cr_assert_str_eq (buf_string (&buf), "0000000005");
    cr_assert_eq (buf.size, 10);
    buf_printf (&buf, "%s", "");
    cr_assert_not (buf.bad);
    buf_printf (&buf, "%d", 1);
    cr_assert (buf.bad);
    cr_assert_str_eq (buf_string (&buf), "0000000005");
    buf_release (&buf);
}

Test (buf, of_maximum_zero_takes_nothing_and_is_the_empty_string)
{
    buf_t buf;
    buf_init (&buf, 0);
    cr_assert_str_eq (buf_string (&buf), "");
    buf_put (&buf, NULL, 0);
    cr_assert_not (buf.bad);
    buf_put_u8 (&buf, 0);
    cr_assert (buf.bad);
    buf_release (&buf);
}

Test (buf, printf_grows_as_needed)
{
    random_t random;
    random_seed (&random, 2);
    buf_t buf;
    buf_init (&buf, 1 << 20);
    size_t expected = 0;
    for (int i = 0; i < 1000; i++) {
        int width = (int)random_below (&random, 300) + 1;
        buf_printf (&buf, "%*d", width, 7);
        expected += (size_t)width;
        cr_assert_eq (buf.size, expected);
        cr_assert_eq (buf.data[expected - 1], '7');
    }
    buf_release (&buf);
}

Test (reader, stays_bad_after_a_read_past_the_end)
{
    const uint8_t bytes[] = { 1, 2, 3, 4 };
    reader_t in = reader_of (bytes, sizeof bytes);
    cr_assert_eq (reader_u8 (&in), 1);
    cr_assert_eq (reader_u32 (&in), 0);
    cr_assert (in.bad);
    cr_assert_eq (reader_u8 (&in), 0, "sticky, although a byte is left");
    cr_assert_eq (reader_left (&in), 0);
    cr_assert_null (reader_bytes (&in, 0));
    cr_assert_eq (reader_varint (&in), 0);
    cr_assert_eq (reader_text (&in).size, 0);
}

Test (reader, gives_no_bytes_of_nothing)
{
    reader_t in = reader_of (NULL, 0);
    cr_assert_not_null (reader_bytes (&in, 0));
    cr_assert_not (in.bad);
    reader_u8 (&in);
    cr_assert (in.bad);
}

Test (reader, refuses_varints_past_64_bits)
{
    uint8_t bytes[11];
    memset (bytes, 0xff, sizeof bytes);
    bytes[9] = 1;
    reader_t in = reader_of (bytes, sizeof bytes);
    cr_assert_eq (reader_varint (&in), UINT64_MAX);
    cr_assert_not (in.bad);
    bytes[9] = 2;
    in = reader_of (bytes, sizeof bytes);
    cr_assert_eq (reader_varint (&in), 0);
    cr_assert (in.bad);
    bytes[9] = 0x81;
    bytes[10] = 0;
    in = reader_of (bytes, sizeof bytes);
    reader_varint (&in);
    cr_assert (in.bad);
}

Test (reader, refuses_a_text_longer_than_the_bytes)
{
    const uint8_t bytes[] = { 3, 'a', 'b' };
    reader_t in = reader_of (bytes, sizeof bytes);
    cr_assert_eq (reader_text (&in).size, 0);
    cr_assert (in.bad);
    const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'a' };
    in = reader_of (huge, sizeof huge);
    cr_assert_eq (reader_text (&in).size, 0);
    cr_assert (in.bad);
}
