#include "base/random.h"

#include <criterion/criterion.h>

/* splitmix64 of seed 0 begins with e220a8397b1dcdaf (Vigna's reference). The first output of
 * xoshiro256** follows from its second word alone. */
Test (random, the_sequence_of_a_seed_is_pinned)
{
    random_t random;
    random_seed (&random, 0);
    cr_assert_eq (random.word[0], UINT64_C (0xe220a8397b1dcdaf));
    cr_assert_eq (random.word[1], UINT64_C (0x6e789e6aa1b965f4));
    cr_assert_eq (random_next (&random), UINT64_C (0x99ec5f36cb75f2b4));
}

Test (random, below_is_uniform_and_below)
{
    random_t random;
    random_seed (&random, 3);
    int seen[7] = { 0 };
    for (int i = 0; i < 70000; i++) {
        uint64_t value = random_below (&random, 7);
        cr_assert_lt (value, 7);
        seen[value]++;
    }
    for (int i = 0; i < 7; i++)
        cr_assert (seen[i] > 9500 && seen[i] < 10500, "%d was seen %d times", i, seen[i]);
    cr_assert_eq (random_below (&random, 1), 0);
}

Test (random, unit_and_chance_keep_their_probability)
{
    random_t random;
    random_seed (&random, 4);
    int hits = 0;
    for (int i = 0; i < 100000; i++) {
        double unit = random_unit (&random);
        cr_assert (unit >= 0 && unit < 1);
        hits += random_chance (&random, 0.25);
    }
    cr_assert (hits > 24000 && hits < 26000);
    cr_assert_not (random_chance (&random, 0));
    cr_assert (random_chance (&random, 1));
}
