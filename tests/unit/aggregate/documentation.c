/* docs/aggregates.md says what the tables in aggregate.h say. */
#include "tables.h"

#include "aggregate/aggregate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char path[] = "docs/aggregates.md";

static text_t read_page (buf_t *page)
{
    FILE *file = fopen (path, "rb");
    cr_assert_not_null (file, "run from the checkout");
    buf_init (page, 1 << 20);
    for (int byte; (byte = fgetc (file)) != EOF;)
        buf_put_u8 (page, (uint8_t)byte);
    fclose (file);
    cr_assert (!page->bad);
    return (text_t){ (const char *)page->data, (uint32_t)page->size };
}

static void write_page (text_t page)
{
    FILE *file = fopen (path, "wb");
    cr_assert_not_null (file);
    cr_assert_eq (fwrite (page.data, 1, page.size, file), page.size);
    cr_assert_eq (fclose (file), 0);
}

/* `make docs-aggregates` is this test with WRITE_DOCS set. */
Test (documentation, has_the_tables_of_the_source)
{
    buf_t page, written;
    const char *missing = NULL;
    text_t is = read_page (&page);
    buf_init (&written, 1 << 20);
    cr_assert (tables_rewrite (is, &written, &missing), "%s has no table of %s between its marks",
               path, missing);
    text_t should = { (const char *)written.data, (uint32_t)written.size };
    if (getenv ("WRITE_DOCS") != NULL)
        write_page (should);
    else
        cr_assert (text_equal (is, should),
                   "%s is not as aggregate.h has it: run make docs-aggregates; it should be\n%s",
                   path, buf_string (&written));
    buf_release (&page);
    buf_release (&written);
}

/* "COUNT: count, rate": the state, then all aggregates of it */
Test (documentation, has_a_section_for_every_state)
{
    buf_t page, heading;
    read_page (&page);
    buf_init (&heading, 1 << 10);
    static const struct {
        state_kind_t kind;
        const char *name;
    } states[] = {
#define X(name, number, large) { STATE_##name, #name },
        STATE_TABLE (X)
#undef X
    };
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        buf_clear (&heading);
        buf_printf (&heading, "\n## %s", states[s].name);
        const char *before = ": ";
        for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
            const aggregate_info_t *info = aggregate_info ((aggregate_t)i);
            if (info->state != states[s].kind)
                continue;
            buf_printf (&heading, "%s%s", before, info->word);
            before = ", ";
        }
        buf_put_u8 (&heading, '\n');
        cr_expect_not_null (strstr (buf_string (&page), buf_string (&heading)), "missing:%s",
                            buf_string (&heading));
    }
    buf_release (&page);
    buf_release (&heading);
}

Test (words, are_each_of_one_aggregate)
{
    size_t count;
    const char *const *words = aggregate_words (&count);
    cr_assert_eq (count, AGGREGATE_COUNT_OF - 1);
    for (size_t i = 0; i < count; i++) {
        aggregate_t aggregate = aggregate_from_word (text_of (words[i]));
        cr_assert_eq (aggregate, (aggregate_t)(i + 1));
        cr_assert_str_eq (aggregate_info (aggregate)->word, words[i]);
    }
    cr_assert_eq (aggregate_from_word (text_of ("median")), AGGREGATE_NONE);
}

Test (words, that_mean_an_aggregate_are_taken_for_it)
{
#define X(word, name)                                                                              \
    cr_expect_eq (aggregate_from_word (text_of (word)), AGGREGATE_##name, "%s", word);
    AGGREGATE_ALIAS_TABLE (X)
#undef X
    cr_expect_str_eq (aggregate_info (aggregate_from_word (text_of ("avg")))->word, "mean");
}
