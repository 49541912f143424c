#include "base/status.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test (status, every_status_has_a_word_of_its_own_that_reads_back)
{
    for (int i = 0; i < STATUS_COUNT; i++)
        cr_assert_eq (status_from_word (status_word ((status_t)i)), (status_t)i);
    cr_assert_eq (status_from_word ("no such word"), STATUS_INVALID);
}

Test (status, error_set_fills_and_returns)
{
    error_t error;
    cr_assert_eq (error_set (&error, STATUS_RANGE, "%d is too much", 7), STATUS_RANGE);
    cr_assert_eq (error.status, STATUS_RANGE);
    cr_assert_str_eq (error.text, "7 is too much");
    cr_assert_eq (error_set (NULL, STATUS_BUSY, "nobody listens"), STATUS_BUSY);
    error_clear (&error);
    cr_assert_eq (error.status, STATUS_OK);
    cr_assert_str_eq (error.text, "");
}

Test (status, error_set_may_quote_the_old_message)
{
    error_t error;
    error_set (&error, STATUS_IO, "inner");
    error_set (&error, STATUS_CORRUPT, "outer (%s)", error.text);
    cr_assert_str_eq (error.text, "outer (inner)");
}

Test (status, error_prefix_puts_text_in_front_and_keeps_the_status)
{
    error_t error;
    error_set (&error, STATUS_NOT_FOUND, "no such file");
    cr_assert_eq (error_prefix (&error, "reading %s", "x"), STATUS_NOT_FOUND);
    cr_assert_str_eq (error.text, "reading x: no such file");
}

Test (status, long_messages_are_cut_between_characters)
{
    char text[3 * ERROR_TEXT_MAX];
    for (size_t shift = 0; shift < 4; shift++) {
        memset (text, 'a', shift);
        size_t at = shift;
        for (; at + 4 < sizeof text; at += 3)
            memcpy (text + at, "\xe2\x82\xac", 3);
        text[at] = '\0';
        error_t error;
        error_set (&error, STATUS_INVALID, "%s", text);
        for (int prefixes = 0; prefixes < 3; prefixes++) {
            size_t size = strlen (error.text);
            cr_assert (size < ERROR_TEXT_MAX && size > ERROR_TEXT_MAX - 8);
            cr_assert_eq (memcmp (error.text + size - 3, "\xe2\x82\xac", 3), 0);
            error_prefix (&error, "p%d", prefixes);
        }
    }
}

Test (status, errno_values_have_their_status)
{
    error_t error;
    cr_assert_eq (error_set_errno (&error, ENOSPC, "a"), STATUS_NO_SPACE);
    cr_assert_eq (error_set_errno (&error, EDQUOT, "a"), STATUS_NO_SPACE);
    cr_assert_eq (error_set_errno (&error, ENOENT, "a"), STATUS_NOT_FOUND);
    cr_assert_eq (error_set_errno (&error, EEXIST, "a"), STATUS_EXISTS);
    cr_assert_eq (error_set_errno (&error, EIO, "writing %s", "b"), STATUS_IO);
    cr_assert_str_eq (error.text, "writing b: Input/output error");
}
