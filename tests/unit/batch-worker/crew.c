#include "batch-worker/crew.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 1000, ROUNDS = 200 };

typedef struct tally {
    unsigned members;
    int done[ITEMS]; /* not atomic: each item is one member's, and crew_end shows them to the caller
                      */
    atomic_uint sum;
} tally_t;

static void count (void *arg, size_t item, unsigned member)
{
    tally_t *tally = arg;
    if (member >= tally->members)
        abort ();
    tally->done[item]++;
    atomic_fetch_add (&tally->sum, 1);
}

static void work_and_count (unsigned threads)
{
    crew_t *crew = crew_new (threads);
    cr_assert_leq (crew_size (crew), threads);
    for (size_t round = 0; round < ROUNDS; round++) {
        static tally_t tally;
        size_t items = round * 7 % ITEMS;
        memset (&tally, 0, sizeof tally);
        tally.members = crew_size (crew);
        if (round % 2) {
            crew_run (crew, items, count, &tally);
        } else {
            crew_begin (crew, items, count, &tally);
            crew_end (crew);
        }
        for (size_t i = 0; i < ITEMS; i++)
            cr_assert_eq (tally.done[i], i < items);
        cr_assert_eq (atomic_load (&tally.sum), items);
    }
    crew_destroy (&crew);
    cr_expect_null (crew);
}

Test (crew, does_every_item_once_before_its_work_ends)
{
    work_and_count (1);
    work_and_count (2);
    work_and_count (CREW_MAX);
}
