/* docs/aggregates.md says what the tables in aggregate.h say. */
#include "aggregate/aggregate.h"

#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void read_page (buf_t *page)
{
    FILE *file = fopen ("docs/aggregates.md", "rb");
    cr_assert_not_null (file, "run from the checkout");
    buf_init (page, 1 << 20);
    for (int byte; (byte = fgetc (file)) != EOF;)
        buf_put_u8 (page, (uint8_t)byte);
    fclose (file);
    cr_assert (!page->bad);
}

static const char *state_name (state_kind_t kind)
{
    switch (kind) {
#define X(name, number, large)                                                                     \
    case STATE_##name:                                                                             \
        return #name;
        STATE_TABLE (X)
#undef X
    default:
        return "?";
    }
}

Test (documentation, has_a_row_for_every_aggregate)
{
    buf_t page, row;
    read_page (&page);
    buf_init (&row, 1 << 10);
    size_t count;
    const char *const *words = aggregate_words (&count);
    cr_assert_eq (count, AGGREGATE_COUNT_OF - 1);
    for (size_t i = 0; i < count; i++) {
        aggregate_t aggregate = aggregate_from_word (text_of (words[i]));
        cr_assert_neq (aggregate, AGGREGATE_NONE);
        const aggregate_info_t *info = aggregate_info (aggregate);
        cr_assert_str_eq (info->word, words[i]);
        buf_clear (&row);
        buf_printf (&row, "\n| `%s` | %s | %s | %s |", info->word, state_name (info->state),
                    info->inputs == AGGREGATE_NUMBERS ? "numbers" : "any",
                    info->output == TYPE_NONE ? "the input's" : type_word (info->output));
        cr_expect_not_null (strstr (buf_string (&page), buf_string (&row)), "missing:%s",
                            buf_string (&row));
    }
    cr_assert_eq (aggregate_from_word (text_of ("median")), AGGREGATE_NONE);
    buf_release (&page);
    buf_release (&row);
}

Test (documentation, has_a_section_for_every_state)
{
    buf_t page, heading;
    read_page (&page);
    buf_init (&heading, 1 << 10);
#define X(name, number, large)                                                                     \
    buf_clear (&heading);                                                                          \
    buf_printf (&heading, "\n| %s | %d | %s |", #name, number, (large) ? "large" : "small");       \
    cr_expect_not_null (strstr (buf_string (&page), buf_string (&heading)), "missing:%s",          \
                        buf_string (&heading));
    STATE_TABLE (X)
#undef X
    buf_release (&page);
    buf_release (&heading);
}
