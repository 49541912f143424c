#include "timeline/slab.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <string.h>

enum { PIECES = 20000, STEPS = 200000 };

/* Pieces that are in use, each filled with a number of its own. */
typedef struct model {
    slab_t slab;
    random_t random;
    uint8_t *piece[PIECES];
    size_t size[PIECES];
    slab_kind_t kind[PIECES];
} model_t;

static void fill (model_t *self, size_t at)
{
    memset (self->piece[at], (int)(at % 251), self->size[at]);
}

static void check (const model_t *self, size_t at)
{
    for (size_t i = 0; i < self->size[at]; i++)
        cr_assert_eq (self->piece[at][i], at % 251, "byte %zu of piece %zu", i, at);
}

static void take (model_t *self, size_t at, size_t size)
{
    self->size[at] = size;
    self->kind[at] = random_chance (&self->random, 0.2) ? SLAB_FIXED : SLAB_MOVING;
    self->piece[at] = slab_take (&self->slab, self->kind[at], size);
    cr_assert_eq ((uintptr_t)self->piece[at] % SLAB_UNIT, 0);
    fill (self, at);
}

/* Mostly a small one. */
static size_t size_of (random_t *random)
{
    size_t most = random_chance (random, 0.1) ? SLAB_SIZE_MAX : 400;
    return 1 + random_below (random, most);
}

static void move (model_t *self, size_t size)
{
    void *pieces[SLAB_PIECES_MAX];
    size_t count = slab_leave (&self->slab, size, pieces);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (self->piece[at] != pieces[i])
            at++;
        cr_assert_eq (self->kind[at], SLAB_MOVING);
        cr_assert_eq (slab_size (self->size[at]), slab_size (size));
        check (self, at);
        self->piece[at] = slab_take (&self->slab, SLAB_MOVING, self->size[at]);
        slab_give (&self->slab, SLAB_MOVING, pieces[i], self->size[at]);
        fill (self, at);
    }
}

static void give (model_t *self, size_t at)
{
    check (self, at);
    slab_give (&self->slab, self->kind[at], self->piece[at], self->size[at]);
    self->piece[at] = NULL;
    move (self, self->size[at]);
}

Test (slab, pieces_keep_their_bytes_while_others_come_go_and_are_moved)
{
    static model_t model;
    slab_init (&model.slab);
    random_seed (&model.random, 1);
    for (size_t i = 0; i < STEPS; i++) {
        size_t most = i / (STEPS / 4) % 2 == 0 ? 2000 : 200; /* many are given back in between */
        size_t at = random_below (&model.random, 2000);
        if (model.piece[at] != NULL)
            give (&model, at);
        else if (at < most)
            take (&model, at, size_of (&model.random));
    }
    for (size_t at = 0; at < PIECES; at++)
        if (model.piece[at] != NULL)
            check (&model, at);
    slab_release (&model.slab);
    cr_assert_eq (slab_held (&model.slab), 0);
}

static void *growing[PIECES];

/* Pieces that all grow, in turn, take what they have now and not what they had. */
Test (slab, what_pieces_grow_out_of_is_used_again)
{
    slab_t slab;
    slab_init (&slab);
    for (size_t at = 0; at < PIECES; at++)
        growing[at] = slab_take (&slab, SLAB_MOVING, 32);
    for (size_t size = 64; size <= 320; size += 32) {
        for (size_t at = 0; at < PIECES; at++) {
            void *grown = slab_take (&slab, SLAB_MOVING, size);
            slab_give (&slab, SLAB_MOVING, growing[at], size - 32);
            growing[at] = grown;
        }
    }
    cr_assert_lt (slab_held (&slab), PIECES * slab_footprint (320) * 1.1);
    cr_assert_geq (slab_held (&slab), PIECES * 320);
    slab_release (&slab);
}

/* Nor do those that are left of a size keep pages that are mostly empty. */
Test (slab, a_size_that_has_become_rare_has_few_pages)
{
    slab_t slab;
    random_t random;
    void *pieces[SLAB_PIECES_MAX];
    size_t left = PIECES;
    slab_init (&slab);
    random_seed (&random, 2);
    for (size_t at = 0; at < PIECES; at++)
        growing[at] = slab_take (&slab, SLAB_MOVING, 100);
    size_t full = slab_held (&slab);
    while (left > PIECES / 100) {
        size_t at = random_below (&random, left);
        slab_give (&slab, SLAB_MOVING, growing[at], 100);
        growing[at] = growing[--left];
        size_t count = slab_leave (&slab, 100, pieces);
        for (size_t i = 0; i < count; i++) {
            size_t from = 0;
            while (growing[from] != pieces[i])
                from++;
            growing[from] = slab_take (&slab, SLAB_MOVING, 100);
            slab_give (&slab, SLAB_MOVING, pieces[i], 100);
        }
    }
    for (size_t i = 0; i < PIECES / 2; i++) /* their room is there for others */
        (void)slab_take (&slab, SLAB_FIXED, 180);
    cr_assert_lt (slab_held (&slab), full + full / 10);
    slab_release (&slab);
}
