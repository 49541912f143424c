/* Files of tokens, and who is let in by them. */
#include "serving/http/tokens.h"
#include "serving/http/limits.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static error_t error;

#define GOOD "0123456789abcdef"

Test (tokens, have_the_role_of_their_line)
{
    tokens_t *tokens;
    cr_assert_eq (tokens_parse (text_of ("# a comment\n\nreader " GOOD "\r\n  producer\t" GOOD
                                         "x  \nadmin " GOOD "0"),
                                &tokens, &error),
                  STATUS_OK, "%s", error.text);
    cr_assert_eq (tokens_count (tokens), 3);
    cr_expect_eq (tokens_role (tokens, "Bearer " GOOD), ROLE_READER);
    cr_expect_eq (tokens_role (tokens, "bearer   " GOOD "x "), ROLE_PRODUCER);
    cr_expect_eq (tokens_role (tokens, "Bearer " GOOD "0"), ROLE_ADMIN);
    static const char *const others[] = {
        "", "Bearer", "Bearer ", GOOD, "Basic " GOOD, "Bearer 0123456789abcde", "Bearer x" GOOD
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect_eq (tokens_role (tokens, others[i]), ROLE_NONE, "%s", others[i]);
    cr_expect_eq (tokens_role (tokens, NULL), ROLE_NONE);
    char large[HTTP_TOKEN_MAX + 64] = "Bearer ";
    memset (large + 7, 'x', sizeof large - 8);
    cr_expect_eq (tokens_role (tokens, large), ROLE_NONE);
    tokens_destroy (&tokens);
}

Test (tokens, in_lines_that_are_wrong_are_refused_and_never_repeated)
{
    static const char *const bad[] = { "reader\n",
                                       "reader short\n",
                                       GOOD "\n",
                                       "node " GOOD "\n",
                                       "reader " GOOD " " GOOD "\n",
                                       "reader " GOOD "\xc3\xa9\n",
                                       "reader " GOOD "\nadmin " GOOD "\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tokens_t *tokens;
        cr_expect_eq (tokens_parse (text_of (bad[i]), &tokens, &error), STATUS_INVALID, "%s",
                      bad[i]);
        cr_expect_null (tokens);
        cr_expect_null (strstr (error.text, GOOD));
    }
}

Test (tokens, are_read_from_a_file_that_is_its_owners_alone_and_seen_to_change)
{
    scratch_t scratch;
    tokens_t *tokens;
    scratch_make (&scratch);
    char path[4096];
    snprintf (path, sizeof path, "%s", scratch_path (&scratch, "tokens"));
    cr_expect_eq (tokens_read (path, &tokens, &error), STATUS_NOT_FOUND);
    FILE *file = fopen (path, "w");
    cr_assert_geq (fputs ("reader " GOOD "\n", file), 0);
    cr_assert_eq (fclose (file), 0);
    cr_assert_eq (chmod (path, 0640), 0);
    cr_expect_eq (tokens_read (path, &tokens, &error), STATUS_INVALID);
    cr_expect_not_null (strstr (error.text, "chmod 600"));
    cr_assert_eq (chmod (path, 0600), 0);
    cr_assert_eq (tokens_read (path, &tokens, &error), STATUS_OK, "%s", error.text);
    cr_expect_not (tokens_changed (tokens));
    cr_assert_eq (chmod (path, 0400), 0);
    cr_expect (tokens_changed (tokens));
    cr_assert_eq (unlink (path), 0);
    cr_expect (tokens_changed (tokens));
    tokens_destroy (&tokens);
    cr_expect_eq (tokens_read (scratch.path, &tokens, &error), STATUS_INVALID, "a directory");
    scratch_remove (&scratch);
}
