#include "base/kept.h"

#include <criterion/criterion.h>
#include <stdint.h>

enum { LARGE_PAGE = 2 << 20 };

Test (kept, a_piece_that_was_given_back_is_taken_again)
{
    kept_t *kept = kept_new (2);
    char *piece = kept_take (kept);
    cr_assert_eq ((uintptr_t)piece % LARGE_PAGE, 0);
    piece[0] = 1;
    piece[KEPT_PIECE - 1] = 1;
    cr_assert_eq (kept_idle (kept), 0);
    kept_give (kept, piece);
    cr_assert_eq (kept_idle (kept), 1);
    cr_assert_eq (kept_take (kept), piece);
    cr_assert_eq (kept_idle (kept), 0);
    kept_t *other = kept_ref (kept);
    kept_unref (&kept);
    cr_assert_null (kept);
    kept_give (other, piece);
    cr_assert_eq (kept_idle (other), 1);
    kept_unref (&other);
}

Test (kept, no_more_are_kept_than_was_said)
{
    kept_t *kept = kept_new (2);
    void *piece[4];
    for (int i = 0; i < 4; i++)
        piece[i] = kept_take (kept);
    for (int i = 0; i < 4; i++)
        kept_give (kept, piece[i]);
    cr_assert_eq (kept_idle (kept), 2);
    kept_trim (kept);
    cr_assert_eq (kept_idle (kept), 0);
    kept_unref (&kept);
}

Test (kept, without_a_keeper_nothing_is_kept)
{
    char *piece = kept_take (NULL);
    piece[KEPT_PIECE - 1] = 1;
    kept_give (NULL, piece);
}
