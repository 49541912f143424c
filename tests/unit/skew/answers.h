/* answers.h - random answers for a sample, and whether they came back. */
#ifndef WEIR_TESTS_SKEW_ANSWERS_H
#define WEIR_TESTS_SKEW_ANSWERS_H

#include "base/random.h"
#include "skew/sample.h"

enum { ANSWER_SHAPES = 3, ANSWER_DATASETS = 4 };

typedef struct answers {
    random_t random;
    arena_t *arena;
    sample_shape_t shapes[ANSWER_SHAPES];
    sample_dataset_t datasets[ANSWER_DATASETS];
    sample_answer_t *items; /* numbers of shapes and datasets are those above */
    size_t count;
} answers_t;

answers_t answers_new (uint64_t seed, size_t count);
void answers_release (answers_t *self);

/* Adds one; false: it does not fit. */
bool answers_add (const answers_t *self, sample_writer_t *writer, size_t at);
/* All of them as one block. */
void answers_write (const answers_t *self, buf_t *out);
/* Has the block exactly these? */
void answers_check (const answers_t *self, const void *data, size_t size);
void answers_check_one (const answers_t *self, size_t at, const sample_block_t *block,
                        const sample_answer_t *found);

#endif
