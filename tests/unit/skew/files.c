/* Segments: what is kept, what goes, and what a crash leaves. */
#include "tests/sim/disk/disk.h"
#include "tests/unit/skew/answers.h"

#include "base/mem.h"
#include "base/timestamp.h"
#include "skew/sample_files.h"

#include <criterion/criterion.h>

enum { PLACE = 77, PARTITIONS = 4 };

typedef struct town {
    sim_disk_t *disk;
    fs_t *fs;
    answers_t answers;
    buf_t block;
    sample_log_t *log;
    uint64_t size_max;
    int64_t keep;
} town_t;

static void start (town_t *self)
{
    self->log = sample_log_new (&(sample_log_options_t){ .fs = self->fs,
                                                         .node = "serving-1",
                                                         .place = PLACE,
                                                         .partitions = PARTITIONS,
                                                         .size_max = self->size_max,
                                                         .keep = self->keep });
}

static town_t town_new (uint64_t size_max, int64_t keep)
{
    town_t self = { .disk = sim_disk_new (1, 0), .answers = answers_new (5, 20) };
    self.fs = sim_disk_fs (self.disk);
    self.size_max = size_max;
    self.keep = keep;
    buf_init (&self.block, 4 << 20);
    answers_write (&self.answers, &self.block);
    start (&self);
    return self;
}

static void town_release (town_t *self)
{
    sample_log_destroy (&self->log);
    buf_release (&self->block);
    answers_release (&self->answers);
    sim_disk_destroy (&self->disk);
}

static void append (town_t *self, int64_t now)
{
    error_t error;
    cr_assert_eq (sample_log_append (self->log, self->block.data, self->block.size, now, &error),
                  STATUS_OK, "%s", error.text);
}

typedef struct found {
    size_t segments;
    size_t blocks;
    uint64_t torn;
    char *last; /* path of the last segment */
} found_t;

static found_t look (town_t *self)
{
    found_t found = { 0 };
    arena_t *arena = arena_new (4096);
    const char **paths;
    error_t error;
    cr_assert_eq (sample_list (self->fs, arena, &paths, &found.segments, &error), STATUS_OK);
    for (size_t i = 0; i < found.segments; i++) {
        sample_segment_t *segment;
        sample_block_t *block;
        status_t status =
            sample_segment_open (self->fs, paths[i], PLACE, PARTITIONS, &segment, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        while ((status = sample_segment_next (segment, INT64_MIN, &block, &error)) == STATUS_OK) {
            found.blocks++;
            sample_block_destroy (&block);
        }
        cr_assert_eq (status, STATUS_END);
        found.torn += sample_segment_torn (segment);
        sample_segment_destroy (&segment);
    }
    if (found.segments > 0)
        found.last = mem_string (paths[found.segments - 1]);
    arena_destroy (&arena);
    return found;
}

Test (files, of_a_sample_are_read_as_they_were_written)
{
    town_t town = town_new (1 << 30, TIME_DAY);
    cr_assert_eq (look (&town).segments, 0);
    for (int i = 0; i < 10; i++)
        append (&town, TIME_DAY + i);
    sample_log_destroy (&town.log);
    start (&town);
    append (&town, TIME_DAY + 20);
    found_t found = look (&town);
    cr_assert_eq (found.blocks, 11);
    cr_assert_eq (found.segments, 2);
    cr_assert_eq (found.torn, 0);
    mem_free (found.last);
    town_release (&town);
}

Test (files, that_are_old_go)
{
    town_t town = town_new (1 << 30, TIME_DAY);
    for (int i = 0; i < 100; i++)
        append (&town, TIME_DAY + i * TIME_HOUR);
    found_t found = look (&town);
    cr_assert_geq (found.blocks, 24);
    cr_assert_leq (found.blocks, 24 + 2 * 4, "%zu", found.blocks);
    mem_free (found.last);
    town_release (&town);
}

Test (files, are_never_more_than_may_be_kept)
{
    town_t town = town_new (200 << 10, TIME_DAY);
    for (int i = 0; i < 1000; i++)
        append (&town, TIME_DAY + i);
    found_t found = look (&town);
    cr_assert_leq (found.blocks * town.block.size, 200 << 10);
    cr_assert_geq (found.blocks * town.block.size, 100 << 10);
    mem_free (found.last);
    town_release (&town);
}

/* A power cut at any time: what is there is whole blocks, and the next start goes on. */
Test (files, are_whole_after_a_crash)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        town_t town = town_new (1 << 30, TIME_DAY);
        random_t random;
        random_seed (&random, seed);
        for (int i = 0; i < 20; i++) {
            append (&town, TIME_DAY + i);
            if (i == 9)
                sim_disk_settle (town.disk);
        }
        sample_log_destroy (&town.log);
        sim_disk_crash (town.disk, &random);
        start (&town);
        append (&town, TIME_DAY + 100);
        found_t found = look (&town);
        cr_assert_eq (found.torn, 0, "seed %lu", seed);
        cr_assert_geq (found.blocks, 11);
        mem_free (found.last);
        town_release (&town);
    }
}

Test (files, go_when_an_entity_is_erased)
{
    error_t error;
    town_t town = town_new (1 << 30, TIME_DAY);
    for (int i = 0; i < 5; i++)
        append (&town, TIME_DAY + i * 5 * TIME_HOUR);
    cr_assert_eq (sample_log_remove (town.log, &error), STATUS_OK);
    cr_assert_eq (look (&town).segments, 0);
    append (&town, 3 * TIME_DAY);
    found_t found = look (&town);
    cr_assert_eq (found.blocks, 1);
    mem_free (found.last);
    town_release (&town);
}

/* After any call of the disk that fails, the next start has whole blocks. */
Test (files, survive_a_disk_that_fails)
{
    for (uint64_t calls = 0; calls < 60; calls++) {
        town_t town = town_new (40 << 10, TIME_DAY);
        error_t error;
        status_t status = STATUS_OK;
        for (int i = 0; i < 5; i++)
            append (&town, TIME_DAY + i);
        sim_disk_fail_after (town.fs, calls);
        for (int i = 0; i < 5; i++)
            status = sample_log_append (town.log, town.block.data, town.block.size,
                                        TIME_DAY + 10 + i, &error);
        sim_disk_fail_after (town.fs, SIM_DISK_NEVER);
        append (&town, TIME_DAY + 20);
        cr_assert (status == STATUS_OK || calls < 40);
        found_t found = look (&town);
        cr_assert_eq (found.torn, 0);
        mem_free (found.last);
        town_release (&town);
    }
}
