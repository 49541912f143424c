/* Who sent a file, remembered. */
#include "client/cli/producer.h"

#include "base/mem.h"
#include "base/random.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static scratch_t scratch;

static void make (void)
{
    scratch_make (&scratch);
}

static void clean (void)
{
    scratch_remove (&scratch);
}

TestSuite (producer, .init = make, .fini = clean);

Test (producer, is_read_back_as_it_was_written)
{
    random_t random;
    random_seed (&random, 3);
    char *path = producer_path (scratch.path, "payments", "0123");
    for (int i = 0; i < 50; i++) {
        error_t error;
        producer_t back,
            one = { .batch_rows = 1 + (uint32_t)random_below (&random, 65536),
                    .acknowledged = random_next (&random) >> random_below (&random, 60),
                    .accepted = random_next (&random),
                    .refused = random_below (&random, 3),
                    .earlier = random_below (&random, 3),
                    .done = random_chance (&random, 0.5) };
        for (size_t k = 0; k < sizeof one.id; k++)
            one.id[k] = (uint8_t)random_next (&random);
        cr_assert_eq (producer_write (path, &one, i % 2 == 0, &error), STATUS_OK, "%s", error.text);
        cr_assert_eq (producer_read (path, &back, &error), STATUS_OK, "%s", error.text);
        cr_expect_eq (memcmp (one.id, back.id, sizeof one.id), 0);
        cr_expect (one.batch_rows == back.batch_rows && one.acknowledged == back.acknowledged &&
                   one.accepted == back.accepted && one.refused == back.refused &&
                   one.earlier == back.earlier && one.done == back.done);
    }
    mem_free (path);
}

Test (producer, that_is_cut_short_anywhere_is_not_taken)
{
    error_t error;
    producer_t back, one = { .batch_rows = 500, .acknowledged = 12, .accepted = 6000 };
    char *path = producer_path (scratch.path, "s", "ff");
    char whole[1024];
    client_producer_new (one.id);
    cr_assert_eq (producer_write (path, &one, false, &error), STATUS_OK, "%s", error.text);
    FILE *file = fopen (path, "rb");
    size_t size = fread (whole, 1, sizeof whole, file);
    fclose (file);
    for (size_t cut = 0; cut < size; cut++) {
        file = fopen (path, "wb");
        cr_assert_eq (fwrite (whole, 1, cut, file), cut);
        fclose (file);
        cr_expect_eq (producer_read (path, &back, &error), STATUS_CORRUPT, "%zu bytes", cut);
    }
    mem_free (path);
}

Test (producer, knows_when_it_was_made)
{
    error_t error;
    producer_t back, one = { .batch_rows = 1 };
    memcpy (one.id, "\0\x06\x60\xe0\x1a\x07\xf4\x71", 8);
    cr_expect_eq (producer_created (&one), INT64_C (0x000660e01a07f471));
    cr_expect_eq (producer_read ("/tmp/weir-no-such-producer", &back, &error), STATUS_NOT_FOUND);
}

Test (producer, that_cannot_be_written_leaves_no_half_behind)
{
    error_t error;
    producer_t one = { .batch_rows = 500 };
    char *path = producer_path (scratch.path, "payments", "taken");
    char *temporary = mem_format ("%s.tmp", path);
    char *command = mem_format ("mkdir -p %s/in-the-way", path); /* no file replaces that */
    cr_assert_eq (system (command), 0);
    cr_assert_neq (producer_write (path, &one, true, &error), STATUS_OK);
    cr_assert_neq (access (temporary, F_OK), 0);
    mem_free (command);
    mem_free (temporary);
    mem_free (path);
}
