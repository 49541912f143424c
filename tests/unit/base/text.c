#include "base/text.h"
#include "base/random.h"

#include <criterion/criterion.h>

static const char *nearest (const char *word)
{
    static const char *const candidates[] = { "count", "mean", "stddev", "sum", "first" };
    return text_nearest (word, candidates, sizeof candidates / sizeof candidates[0]);
}

Test (text, nearest_finds_likely_slips)
{
    cr_assert_str_eq (nearest ("cuont"), "count");
    cr_assert_str_eq (nearest ("counts"), "count");
    cr_assert_str_eq (nearest ("stdev"), "stddev");
    cr_assert_str_eq (nearest ("smu"), "sum");
    cr_assert_str_eq (nearest ("mean"), "mean");
}

Test (text, nearest_is_silent_when_nothing_is_near)
{
    cr_assert_null (nearest ("quantile"));
    cr_assert_null (nearest ("xyz"));
    cr_assert_null (nearest (""));
    char long_word[1000];
    memset (long_word, 'c', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    cr_assert_null (nearest (long_word));
}

Test (text, compare_is_by_bytes_then_size)
{
    cr_assert (text_compare (text_of ("a"), text_of ("b")) < 0);
    cr_assert (text_compare (text_of ("a"), text_of ("ab")) < 0);
    cr_assert (text_compare (text_of ("\xff"), text_of ("a")) > 0);
    cr_assert (text_compare ((text_t){ NULL, 0 }, text_of ("")) == 0);
    cr_assert (text_compare ((text_t){ NULL, 0 }, text_of ("a")) < 0);
}

/* Encodes any number up to 0x1fffff, good or not. */
static uint32_t encode (uint32_t code, uint32_t size, char *out)
{
    static const unsigned leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (uint32_t i = size; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(leads[size] | code);
    return size;
}

Test (text, utf8_is_exactly_the_scalar_values_in_their_shortest_form)
{
    static const uint32_t ends[] = { 0, 0x80, 0x800, 0x10000, 0x110000 };
    for (uint32_t size = 1; size <= 4; size++) {
        uint32_t end = size == 1 ? 0x80 : 1U << (size == 2 ? 11 : size == 3 ? 16 : 21);
        for (uint32_t code = 0; code < end; code++) {
            char bytes[4];
            text_t text = { bytes, encode (code, size, bytes) };
            bool surrogate = code >= 0xd800 && code <= 0xdfff;
            bool good = code >= ends[size - 1] && code < ends[size] && !surrogate;
            if (text_utf8_step (text) != (good ? size : 0) ||
                text_is_utf8 (text) != (good && code != 0))
                cr_assert_fail ("code %x in %u bytes", code, size);
            if (size > 1 && text_utf8_step ((text_t){ bytes, size - 1 }) != 0)
                cr_assert_fail ("code %x cut", code);
        }
    }
    cr_assert_not (text_is_utf8 (text_of ("ok\x80")));
    cr_assert (text_is_utf8 (text_of ("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x8c\x8a")));
    cr_assert (text_is_utf8 ((text_t){ NULL, 0 }));
}

/* Eight bytes are looked at together: one odd byte at any place is as bad as alone. */
Test (text, utf8_of_long_texts_is_that_of_their_characters)
{
    random_t random;
    random_seed (&random, 3);
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[40];
        text_t text = { bytes, (uint32_t)random_below (&random, sizeof bytes) };
        for (uint32_t i = 0; i < text.size; i++)
            bytes[i] = (char)(1 + random_below (&random, 0x7f));
        if (text.size > 0 && random_chance (&random, 0.7))
            bytes[random_below (&random, text.size)] = (char)random_below (&random, 0x100);
        if (text.size > 2 && random_chance (&random, 0.5))
            memcpy (bytes + random_below (&random, text.size - 1), "\xc3\xaf", 2);
        bool good = true;
        for (uint32_t at = 0, step; good && at < text.size; at += step) {
            step = text_utf8_step ((text_t){ bytes + at, text.size - at });
            good = step > 0 && bytes[at] != '\0';
        }
        cr_assert_eq (text_is_utf8 (text), good, "round %u", round);
    }
}
