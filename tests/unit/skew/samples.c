/* Blocks of answers are read as they were written, and nothing else is taken for one. */
#include "tests/unit/skew/answers.h"

#include "base/mem.h"

#include <criterion/criterion.h>

Test (samples, are_read_as_they_were_written)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        answers_t answers = answers_new (seed, 1 + seed * 3);
        buf_t block;
        buf_init (&block, 4 << 20);
        answers_write (&answers, &block);
        answers_check (&answers, block.data, block.size);
        buf_release (&block);
        answers_release (&answers);
    }
}

/* One that does not fit leaves the block as it was. */
Test (samples, end_where_a_block_is_full)
{
    answers_t answers = answers_new (3, 30);
    sample_writer_t *writer = sample_writer_new ();
    size_t added = 0;
    buf_t block;
    buf_init (&block, 4 << 20);
    for (;;) {
        size_t size = sample_writer_size (writer);
        if (!answers_add (&answers, writer, added % answers.count))
            break;
        cr_assert_leq (size, SAMPLE_BLOCK_MAX);
        added++;
    }
    cr_assert_eq (sample_writer_answers (writer), added);
    cr_assert (sample_writer_end (writer, &block));
    sample_block_t *read;
    sample_answer_t answer;
    error_t error;
    cr_assert_eq (sample_block_open (block.data, block.size, &read, &error), STATUS_OK);
    for (size_t i = 0; i < added; i++) {
        cr_assert_eq (sample_block_next (read, &answer, &error), STATUS_OK);
        answers_check_one (&answers, i % answers.count, read, &answer);
    }
    cr_assert_eq (sample_block_next (read, &answer, &error), STATUS_END);
    sample_block_destroy (&read);
    sample_writer_clear (writer);
    cr_assert (answers_add (&answers, writer, 0));
    cr_assert_eq (sample_writer_answers (writer), 1);
    sample_writer_destroy (&writer);
    buf_release (&block);
    answers_release (&answers);
}

Test (samples, with_a_bit_wrong_are_refused)
{
    answers_t answers = answers_new (9, 8);
    buf_t block;
    buf_init (&block, 4 << 20);
    answers_write (&answers, &block);
    for (size_t bit = 0; bit < block.size * 8; bit++) {
        sample_block_t *read;
        error_t error;
        block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        status_t status = sample_block_open (block.data, block.size, &read, &error);
        cr_assert (status == STATUS_CORRUPT || status == STATUS_VERSION, "bit %zu", bit);
        block.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < block.size; size++) {
        sample_block_t *read;
        error_t error;
        cr_assert_eq (sample_block_open (block.data, size, &read, &error), STATUS_CORRUPT);
    }
    buf_release (&block);
    answers_release (&answers);
}
