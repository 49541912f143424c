/* Copies of files that are loaded: what a killed command left, and what is still somebody's. */
#include "client/cli/incoming.h"

#include "base/mem.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static scratch_t scratch;
static char *file; /* that is loaded */

static void write_file (const char *path)
{
    FILE *out = fopen (path, "w");
    cr_assert_not_null (out);
    cr_assert (fputs ("a,b\n1,2\n", out) >= 0);
    cr_assert_eq (fclose (out), 0);
}

static void make (void)
{
    scratch_make (&scratch);
    file = mem_format ("%s/file.csv", scratch.path);
    write_file (file);
}

static void clean (void)
{
    scratch_remove (&scratch);
    mem_free (file);
}

TestSuite (incoming, .init = make, .fini = clean);

static incoming_t copy (void)
{
    source_t source;
    incoming_t incoming;
    error_t error;
    cr_assert_eq (source_open (&source, file, NULL, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (incoming_copy (scratch.path, 0, &source, &incoming, &error), STATUS_OK, "%s",
                  error.text);
    source_close (&source);
    return incoming;
}

static bool exists (const char *below)
{
    struct stat about;
    char *path = mem_format ("%s/%s", scratch.path, below);
    bool there = stat (path, &about) == 0;
    mem_free (path);
    return there;
}

static bool yes (void *arg, const char *hash)
{
    cr_assert_str_eq (hash, arg);
    return true;
}

static bool no (void *arg, const char *hash)
{
    cr_assert_str_eq (hash, arg);
    return false;
}

Test (incoming, copies_that_nobody_holds_and_no_load_wants_are_removed)
{
    incoming_t incoming = copy ();
    incoming_clean (scratch.path, no, incoming.id);
    cr_assert (exists (incoming.path), "it is held");
    incoming_release (&incoming);
    incoming_clean (scratch.path, yes, incoming.id);
    cr_assert (exists (incoming.path), "a load wants it");
    incoming_clean (scratch.path, no, incoming.id);
    cr_assert (!exists (incoming.path));
}

Test (incoming, halves_of_copies_are_removed_and_what_is_no_copy_stays)
{
    static const char *const names[] = { "incoming/.0123abcd.tmp", "incoming/.0123abcd.tmp2",
                                         "incoming/mine.csv", "incoming/.tmp" };
    char *path = mem_format ("%s/incoming", scratch.path);
    cr_assert_eq (mkdir (path, 0777), 0);
    mem_free (path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path = mem_format ("%s/%s", scratch.path, names[i]);
        write_file (path);
        mem_free (path);
    }
    incoming_clean (scratch.path, no, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_eq (exists (names[i]), i > 0, "%s", names[i]);
}

Test (incoming, cleaning_where_nothing_was_loaded_yet_is_nothing)
{
    incoming_clean (scratch.path, no, NULL);
    cr_assert (!exists ("incoming"));
}
