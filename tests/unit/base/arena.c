#include "base/arena.h"
#include "base/mem.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <signal.h>

/* One round of allocations of many sizes, each filled with a byte of its own and checked at the
 * end, so that two that overlap are seen. */
static void use (arena_t *arena, uint64_t seed)
{
    enum { ALLOCATIONS = 500 };
    static char *data[ALLOCATIONS];
    static size_t sizes[ALLOCATIONS];
    random_t random;
    random_seed (&random, seed);
    for (int i = 0; i < ALLOCATIONS; i++) {
        sizes[i] = random_below (&random, random_chance (&random, 0.05) ? 10000 : 100);
        data[i] = arena_alloc (arena, sizes[i]);
        cr_assert_eq ((uintptr_t)data[i] % _Alignof(max_align_t), 0);
        memset (data[i], i, sizes[i]);
    }
    for (int i = 0; i < ALLOCATIONS; i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            if (data[i][j] != (char)i)
                cr_assert_fail ("allocation %d was overwritten", i);
        }
    }
}

Test (arena, allocations_are_aligned_and_apart)
{
    arena_t *arena = arena_new (1000);
    for (uint64_t seed = 0; seed < 20; seed++) {
        use (arena, seed);
        arena_reset (arena);
    }
    arena_destroy (&arena);
    cr_assert_null (arena);
    arena_destroy (&arena);
}

Test (arena, the_same_round_again_needs_no_more_memory)
{
    arena_t *arena = arena_new (1000);
    use (arena, 1);
    size_t held = arena_held (arena);
    for (int i = 0; i < 10; i++) {
        arena_reset (arena);
        use (arena, 1);
        cr_assert_eq (arena_held (arena), held);
    }
    arena_destroy (&arena);
}

Test (arena, growing_rounds_do_not_pile_up)
{
    arena_t *arena = arena_new (64);
    for (size_t size = 100; size < 10000; size += 100) {
        arena_reset (arena);
        arena_alloc (arena, size);
        cr_assert_lt (arena_held (arena), size + 1000);
    }
    arena_destroy (&arena);
}

Test (arena, zero_and_copies)
{
    arena_t *arena = arena_new (100);
    use (arena, 3);
    arena_reset (arena);
    const uint8_t *zero = arena_zero (arena, 70, 10);
    for (int i = 0; i < 700; i++)
        cr_assert_eq (zero[i], 0);
    text_t copy = arena_text (arena, text_of ("river"));
    cr_assert (text_is (copy, "river"));
    cr_assert_str_eq (arena_string (arena, (text_t){ NULL, 0 }), "");
    arena_destroy (&arena);
}

Test (mem, formats_copies_and_zeroes)
{
    char *text = mem_format ("%s-%d", "a", 5);
    cr_assert_str_eq (text, "a-5");
    char *copy = mem_string_n (text, 2);
    cr_assert_str_eq (copy, "a-");
    copy = mem_resize (copy, 100, 2);
    cr_assert_str_eq (copy, "a-");
    char *zero = mem_zero (3, 3);
    for (int i = 0; i < 9; i++)
        cr_assert_eq (zero[i], 0);
    mem_free (zero);
    mem_free (copy);
    mem_free (text);
    mem_free (NULL);
    mem_free (mem_alloc (0));
}

Test (mem, an_overflowing_product_ends_the_program, .signal = SIGABRT)
{
    volatile size_t many = SIZE_MAX / 2;
    mem_free (mem_resize (NULL, many, 3));
}
