/* Owners that have been replaced and do not know it. */
#include "storage/log.h"
#include "tests/unit/storage/log_model.h"

#include <criterion/criterion.h>
#include <inttypes.h>

static error_t error;

Test (log_fence, an_epoch_opens_a_log_once)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_t *log = model_open (fs, 5, NULL);
    log_t *other;
    cr_assert_eq (log_open (fs, MODEL_DIR, &model_identity, 5, NULL, &other, &error),
                  STATUS_FENCED);
    cr_assert_eq (log_open (fs, MODEL_DIR, &model_identity, 4, NULL, &other, &error),
                  STATUS_FENCED);
    cr_assert_null (other);
    cr_assert_eq (log_fence_check (fs, MODEL_DIR, 5, &error), STATUS_OK);
    other = model_open (fs, 6, NULL);
    cr_assert_eq (log_fence_check (fs, MODEL_DIR, 5, &error), STATUS_FENCED);
    log_destroy (&log);
    log_destroy (&other);
    sim_disk_destroy (&disk);
}

/* The old owner appends and flushes on after it has been replaced. */
static void check_late_writes (uint64_t seed, const log_limits_t *limits)
{
    random_t random;
    random_seed (&random, seed);
    sim_disk_t *disk = sim_disk_new (seed, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_model_t model = { 0 };
    log_t *old = model_open (fs, 1, limits);
    size_t flushes = random_below (&random, 4);
    for (size_t i = 0; i < flushes; i++) {
        for (int j = 0; j < 5; j++)
            cr_assert_eq (model_append (&model, old, &random, 100), STATUS_OK);
        cr_assert_eq (model_flush (&model, old, &error), STATUS_OK);
    }
    log_t *new = model_open (fs, 2, limits);
    model_check_recovered (&model, fs, new);
    for (int i = 0; i < 40; i++) {
        uint64_t offset;
        cr_assert_eq (log_append (old, LOG_KIND_EVENTS, "late", 4, 3, 0, &offset, &error),
                      STATUS_OK);
        if (random_chance (&random, 0.5))
            cr_assert_eq (model_append (&model, new, &random, 100), STATUS_OK);
        log_flush_t *flush = random_chance (&random, 0.5) ? log_flush_begin (old) : NULL;
        if (flush != NULL) {
            model_run (log_flush_job (flush));
            cr_assert_eq (log_flush_end (old, &flush, &error), STATUS_OK);
        }
        if (random_chance (&random, 0.5))
            cr_assert_eq (model_flush (&model, new, &error), STATUS_OK);
        model_check_read (&model, fs, 0, log_durable (new));
    }
    log_destroy (&old);
    model_forget_pending (&model);
    log_destroy (&new);
    log_t *third = model_open (fs, 3, limits);
    model_check_recovered (&model, fs, third);
    /* what the late owner left goes when the log is trimmed past it */
    log_trim_t *trim = log_trim_begin (third, log_durable (third));
    if (trim != NULL) {
        model_run (log_trim_job (trim));
        cr_assert_eq (log_trim_end (third, &trim, &error), STATUS_OK);
    }
    model_check_read (&model, fs, log_start (third), log_end (third));
    log_destroy (&third);
    model_release (&model);
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

Test (log_fence, what_a_replaced_owner_still_writes_is_never_read)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        check_late_writes (seed, &(log_limits_t){ 0 });
        check_late_writes (seed, &(log_limits_t){ .segment_size = 1200 });
    }
}

static void count_name (void *arg, const char *name)
{
    (void)name;
    ++*(size_t *)arg;
}

/* The old owner begins a segment after it has been replaced, and dies at call `calls` of that;
 * false when it takes fewer. Then the new one trims its log above what the old one began. */
static bool check_unfinished (uint64_t calls)
{
    random_t random;
    random_seed (&random, calls);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    fs_t *old_fs = sim_disk_mount (disk);
    log_model_t model = { 0 };
    log_t *old = model_open (old_fs, 1, NULL);
    cr_assert_eq (model_append (&model, old, &random, 100), STATUS_OK);
    cr_assert_eq (model_flush (&model, old, &error), STATUS_OK);
    uint64_t late;
    log_begin_segment (old);
    cr_assert_eq (log_append (old, LOG_KIND_EVENTS, "late", 4, 1, 0, &late, &error), STATUS_OK);

    log_t *new = model_open (fs, 2, NULL);
    sim_disk_fail_after (old_fs, calls);
    log_flush_t *flush = log_flush_begin (old);
    model_run (log_flush_job (flush));
    bool died = log_flush_end (old, &flush, &error) != STATUS_OK;
    log_destroy (&old);

    cr_assert_eq (model_append (&model, new, &random, 100), STATUS_OK);
    log_begin_segment (new);
    uint64_t cut = log_end (new);
    cr_assert_gt (cut, late);
    cr_assert_eq (model_append (&model, new, &random, 100), STATUS_OK);
    cr_assert_eq (model_flush (&model, new, &error), STATUS_OK);
    log_trim_t *trim = log_trim_begin (new, cut);
    model_run (log_trim_job (trim));
    cr_assert_eq (log_trim_end (new, &trim, &error), STATUS_OK);
    size_t files = 0;
    cr_assert_eq (fs_list (fs, MODEL_DIR, count_name, &files, &error), STATUS_OK);
    cr_assert_eq (files, 1, "%zu files are left with %" PRIu64 " calls of the old owner", files,
                  calls);
    model_check_read (&model, fs, cut, log_durable (new));
    log_destroy (&new);
    model_release (&model);
    sim_disk_destroy (&disk);
    return died;
}

Test (log_fence, a_segment_that_a_replaced_owner_began_goes_when_the_log_is_trimmed)
{
    uint64_t calls = 0;
    while (check_unfinished (calls))
        calls++;
    cr_assert_gt (calls, 4, "it opens, writes, syncs, renames");
}

/* A reader that has the chain of before the takeover gets what was durable, whoever wrote it. */
Test (log_fence, a_reader_reads_on_across_a_takeover)
{
    random_t random;
    random_seed (&random, 31);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_model_t model = { 0 };
    log_t *old = model_open (fs, 1, NULL);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq (model_append (&model, old, &random, 100), STATUS_OK);
        cr_assert_eq (model_flush (&model, old, &error), STATUS_OK);
    }
    log_reader_t *reader;
    cr_assert_eq (log_reader_open (fs, MODEL_DIR, &model_identity, 0, UINT64_MAX, &reader, &error),
                  STATUS_OK);
    log_record_t record;
    for (int i = 0; i < 10; i++)
        cr_assert_eq (log_reader_next (reader, &record, &error), STATUS_OK);
    log_t *new = model_open (fs, 2, NULL);
    model_check_recovered (&model, fs, new);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq (model_append (&model, new, &random, 100), STATUS_OK);
        cr_assert_eq (model_flush (&model, new, &error), STATUS_OK);
    }
    for (size_t i = 10; i < model.count; i++) {
        cr_assert_eq (log_reader_next (reader, &record, &error), STATUS_OK, "%s", error.text);
        cr_assert_eq (record.offset, model.record[i].offset);
    }
    cr_assert_eq (log_reader_next (reader, &record, &error), STATUS_CORRUPT,
                  "it was told of more than there is");
    log_reader_destroy (&reader);
    log_destroy (&old);
    log_destroy (&new);
    model_release (&model);
    sim_disk_destroy (&disk);
}
