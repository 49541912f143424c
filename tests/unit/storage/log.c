#include "storage/log.h"
#include "tests/unit/storage/log_model.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static error_t error;

#define OK(call) cr_assert_eq ((call), STATUS_OK, "%s", error.text)

static void trim (log_t *log, uint64_t below)
{
    log_trim_t *job = log_trim_begin (log, below);
    if (job == NULL)
        return;
    model_run (log_trim_job (job));
    OK (log_trim_end (log, &job, &error));
}

Test (log, an_empty_log_opens_again)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    for (uint64_t epoch = 1; epoch < 4; epoch++) {
        log_t *log = model_open (fs, epoch, NULL);
        cr_assert_eq (log_start (log), 0);
        cr_assert_eq (log_end (log), 0);
        cr_assert_null (log_flush_begin (log));
        log_destroy (&log);
        cr_assert_null (log);
    }
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

static void random_step (log_model_t *model, fs_t *fs, log_t **log, uint64_t *epoch,
                         random_t *random, const log_limits_t *limits)
{
    uint64_t start = log_start (*log);
    uint64_t durable = log_durable (*log);
    switch (random_below (random, 10)) {
    case 0:
        model_forget_pending (model);
        log_destroy (log);
        *log = model_open (fs, ++*epoch, limits);
        model_check_recovered (model, fs, *log);
        break;
    case 1:
        trim (*log, start + random_below (random, durable - start + 1));
        cr_assert_geq (log_start (*log), start);
        break;
    case 2:
    case 3:
        OK (model_flush (model, *log, &error));
        break;
    case 4:
        start += random_below (random, durable - start + 1);
        model_check_read (model, fs, start, start + random_below (random, durable - start + 1));
        break;
    default:
        if (random_chance (random, 0.1))
            log_begin_segment (*log);
        OK (model_append (model, *log, random, random_chance (random, 0.1) ? 3000 : 100));
        break;
    }
}

Test (log, holds_what_was_appended_through_rotation_trimming_and_reopening)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        random_t random;
        random_seed (&random, seed);
        log_limits_t limits = { .segment_size = 600 + random_below (&random, 8000) };
        sim_disk_t *disk = sim_disk_new (seed, 0);
        fs_t *fs = sim_disk_fs (disk);
        log_model_t model = { 0 };
        uint64_t epoch = 1;
        log_t *log = model_open (fs, epoch, &limits);
        for (int step = 0; step < 300; step++)
            random_step (&model, fs, &log, &epoch, &random, &limits);
        log_destroy (&log);
        model_forget_pending (&model);
        model_release (&model);
        cr_assert_eq (sim_disk_open_files (disk), 0);
        sim_disk_destroy (&disk);
    }
}

Test (log, segments_fill_and_rotate)
{
    random_t random;
    random_seed (&random, 3);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_limits_t limits = { .segment_size = 4096 };
    log_model_t model = { 0 };
    log_t *log = model_open (fs, 1, &limits);
    for (int i = 0; i < 400; i++)
        OK (model_append (&model, log, &random, 100));
    OK (model_flush (&model, log, &error));
    cr_assert_gt (model_segments (fs), 8);
    model_check_read (&model, fs, 0, log_durable (log));
    /* a record larger than a segment has one to itself */
    size_t segments = model_segments (fs);
    uint8_t large[10000] = { 7 };
    uint64_t offset;
    OK (log_append (log, LOG_KIND_EVENTS, large, sizeof large, 1, 0, &offset, &error));
    OK (log_append (log, LOG_KIND_EVENTS, large, 1, 1, 0, &offset, &error));
    log_flush_t *flush = log_flush_begin (log);
    model_run (log_flush_job (flush));
    OK (log_flush_end (log, &flush, &error));
    cr_assert_eq (model_segments (fs), segments + 2);
    log_destroy (&log);
    model_release (&model);
    sim_disk_destroy (&disk);
}

Test (log, trimming_removes_whole_segments_below)
{
    random_t random;
    random_seed (&random, 4);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_limits_t limits = { .segment_size = 2048 };
    log_model_t model = { 0 };
    log_t *log = model_open (fs, 1, &limits);
    for (int i = 0; i < 200; i++) {
        OK (model_append (&model, log, &random, 100));
        OK (model_flush (&model, log, &error));
    }
    size_t segments = model_segments (fs);
    uint64_t middle = log_durable (log) / 2;
    trim (log, middle);
    cr_assert_leq (log_start (log), middle);
    cr_assert_gt (log_start (log), 0);
    cr_assert_lt (model_segments (fs), segments);
    log_reader_t *reader;
    cr_assert_eq (log_reader_open (fs, MODEL_DIR, &model_identity, log_start (log) - 1, middle,
                                   &reader, &error),
                  STATUS_NOT_FOUND);
    model_check_read (&model, fs, log_start (log), log_durable (log));
    uint64_t start = log_start (log);
    log_destroy (&log);
    log = model_open (fs, 2, &limits);
    cr_assert_eq (log_start (log), start);
    model_check_recovered (&model, fs, log);
    trim (log, log_durable (log));
    cr_assert_eq (model_segments (fs), 1, "the owner's own segment stays");
    log_destroy (&log);
    model_release (&model);
    sim_disk_destroy (&disk);
}

/* Whatever is flushed with it: nothing of before is left by a trim up to it. */
Test (log, a_record_begins_a_segment_when_it_is_to)
{
    for (size_t flushed_before = 0; flushed_before < 4; flushed_before++) {
        sim_disk_t *disk = sim_disk_new (1, 0);
        fs_t *fs = sim_disk_fs (disk);
        log_model_t model = { 0 };
        random_t random;
        random_seed (&random, flushed_before);
        log_t *log = model_open (fs, 1, NULL);
        for (size_t i = 0; i < 3; i++) {
            OK (model_append (&model, log, &random, 100));
            if (i < flushed_before)
                OK (model_flush (&model, log, &error));
        }
        log_begin_segment (log);
        uint64_t cut = log_end (log);
        OK (model_append (&model, log, &random, 100));
        OK (model_append (&model, log, &random, 100));
        OK (model_flush (&model, log, &error));
        trim (log, cut);
        cr_assert_eq (log_start (log), cut);
        log_destroy (&log);
        log = model_open (fs, 2, NULL);
        cr_assert_eq (log_start (log), cut);
        model_check_read (&model, fs, cut, log_durable (log));
        log_destroy (&log);
        model_release (&model);
        sim_disk_destroy (&disk);
    }
}

Test (log, appends_go_on_while_a_flush_is_under_way)
{
    random_t random;
    random_seed (&random, 5);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_model_t model = { 0 };
    log_t *log = model_open (fs, 1, NULL);
    OK (model_append (&model, log, &random, 100));
    uint64_t first_end = log_end (log);
    log_flush_t *flush = log_flush_begin (log);
    cr_assert_not_null (flush);
    OK (model_append (&model, log, &random, 100));
    cr_assert_null (log_flush_begin (log), "one at a time");
    model_run (log_flush_job (flush));
    cr_assert_eq (log_durable (log), 0, "not before it is taken back");
    OK (log_flush_end (log, &flush, &error));
    cr_assert_eq (log_durable (log), first_end);
    OK (model_flush (&model, log, &error));
    model_check_read (&model, fs, 0, log_end (log));
    log_destroy (&log);
    model_release (&model);
    sim_disk_destroy (&disk);
}

Test (log, a_discarded_job_outlives_the_log)
{
    random_t random;
    random_seed (&random, 6);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_model_t model = { 0 };
    log_t *log = model_open (fs, 1, &(log_limits_t){ .segment_size = 700 });
    OK (model_append (&model, log, &random, 1000));
    OK (model_append (&model, log, &random, 1000));
    OK (model_flush (&model, log, &error));
    OK (model_append (&model, log, &random, 100));
    log_flush_t *flush = log_flush_begin (log);
    log_trim_t *removal = log_trim_begin (log, log_durable (log));
    cr_assert_not_null (removal);
    log_destroy (&log);
    model_run (log_flush_job (flush));
    log_flush_job (flush)->discard (log_flush_job (flush));
    log_trim_job (removal)->discard (log_trim_job (removal));
    cr_assert_eq (sim_disk_open_files (disk), 0);
    model_release (&model);
    sim_disk_destroy (&disk);
}

/* A filesystem on which a trim of the owner before runs while the log is being opened. */
static struct {
    fs_ops_t ops;
    const fs_ops_t *real;
    const char *path; /* of the segment … */
    int opens;        /* … that has been opened so often … */
    int at;           /* … and this time it runs before that */
    log_trim_t *trim;
} race;

static status_t racing_open (fs_t *fs, const char *path, fs_mode_t mode, file_t **file,
                             error_t *why)
{
    if (strcmp (path, race.path) == 0 && ++race.opens == race.at)
        model_run (log_trim_job (race.trim));
    return race.real->open (fs, path, mode, file, why);
}

/* The trim runs before the segment's header is read (1), or its records are (2). */
static void open_while_trimmed (int at)
{
    random_t random;
    random_seed (&random, 7);
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_model_t model = { 0 };
    log_t *before = model_open (fs, 1, &(log_limits_t){ .segment_size = 700 });
    for (int i = 0; i < 6; i++) {
        OK (model_append (&model, before, &random, 1000));
        OK (model_flush (&model, before, &error));
    }
    race.trim = log_trim_begin (before, log_durable (before));
    cr_assert_not_null (race.trim);
    race.real = fs->ops;
    race.ops = *fs->ops;
    race.ops.open = racing_open;
    race.path = model_segment (0, 1);
    race.opens = 0;
    race.at = at;
    fs->ops = &race.ops;
    log_t *log = model_open (fs, 2, NULL);
    fs->ops = race.real;
    cr_assert_geq (race.opens, at);
    cr_assert_gt (log_start (log), 0);
    model_check_recovered (&model, fs, log);
    OK (log_trim_end (before, &race.trim, &error));
    log_destroy (&before);
    log_destroy (&log);
    model_release (&model);
    sim_disk_destroy (&disk);
}

Test (log, opens_while_the_owner_before_trims_it)
{
    open_while_trimmed (1);
    open_while_trimmed (2);
}

Test (log, limits_are_kept)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_t *log = model_open (fs, 1, &(log_limits_t){ .pending_max = 1000 });
    static uint8_t payload[LOG_PAYLOAD_MAX + 1];
    uint64_t offset;
    cr_assert_eq (log_append (log, LOG_KIND_EVENTS, payload, sizeof payload, 1, 0, &offset, &error),
                  STATUS_TOO_LARGE);
    OK (log_append (log, LOG_KIND_EVENTS, payload, LOG_PAYLOAD_MAX, 1, 0, &offset, &error));
    cr_assert_eq (log_append (log, LOG_KIND_EVENTS, NULL, 0, 1, 0, &offset, &error), STATUS_BUSY);
    cr_assert_eq (log_end (log), 1);
    log_model_t model = { 0 };
    log_flush_t *flush = log_flush_begin (log);
    OK (log_append (log, LOG_KIND_CUT, NULL, 0, 1, 0, &offset, &error));
    cr_assert_eq (offset, 1);
    model_run (log_flush_job (flush));
    OK (log_flush_end (log, &flush, &error));
    log_destroy (&log);
    log = model_open (fs, 2, NULL);
    cr_assert_eq (log_end (log), 1);
    log_destroy (&log);
    model_release (&model);
    log_identity_t long_name = model_identity;
    char name[LOG_NAME_MAX + 2];
    memset (name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    long_name.name = name;
    cr_assert_eq (log_open (fs, "other", &long_name, 1, NULL, &log, &error), STATUS_TOO_LARGE);
    cr_assert_eq (log_open (fs, "other", &model_identity, 0, NULL, &log, &error), STATUS_INVALID);
    cr_assert_eq (log_open (fs, "other", &model_identity, LOG_EPOCH_MAX + 1, NULL, &log, &error),
                  STATUS_INVALID);
    name[LOG_NAME_MAX] = '\0';
    OK (log_open (fs, "other", &long_name, LOG_EPOCH_MAX, NULL, &log, &error));
    log_destroy (&log);
    sim_disk_destroy (&disk);
}

Test (log, files_of_another_log_are_refused)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_t *log = model_open (fs, 1, NULL);
    log_destroy (&log);
    log_identity_t other[3] = { model_identity, model_identity, model_identity };
    other[0].cluster++;
    other[1].name = "payments.merchant";
    other[2].partition++;
    for (int i = 0; i < 3; i++) {
        log_reader_t *reader;
        cr_assert_eq (log_open (fs, MODEL_DIR, &other[i], 2, NULL, &log, &error), STATUS_INVALID);
        cr_assert_eq (log_reader_open (fs, MODEL_DIR, &other[i], 0, 1, &reader, &error),
                      STATUS_INVALID);
    }
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
}

/* Segments in which a reader halves its way to where it begins: of many records, some of them
 * larger than what it looks at. */
Test (log, is_read_from_anywhere_in_large_segments)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        random_t random;
        random_seed (&random, seed);
        log_limits_t limits = { .segment_size = seed % 2 == 0 ? 1 << 20 : 300000 };
        sim_disk_t *disk = sim_disk_new (seed, 0);
        fs_t *fs = sim_disk_fs (disk);
        log_model_t model = { 0 };
        log_t *log = model_open (fs, 1, &limits);
        for (int i = 0; i < 2000; i++) {
            OK (model_append (&model, log, &random,
                              random_chance (&random, 0.01) ? 100000 : (seed + 1) * 100));
            if (random_chance (&random, 0.1))
                OK (model_flush (&model, log, &error));
        }
        OK (model_flush (&model, log, &error));
        uint64_t end = log_durable (log);
        for (int i = 0; i < 100; i++) {
            uint64_t from = random_below (&random, end + 1);
            uint64_t most = end - from < 30 ? end - from : 30;
            model_check_read (&model, fs, from, from + random_below (&random, most + 1));
        }
        log_destroy (&log);
        model_release (&model);
        sim_disk_destroy (&disk);
    }
}

Test (log, a_reader_follows_a_live_owner_and_stops_at_its_end)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        random_t random;
        random_seed (&random, seed);
        sim_disk_t *disk = sim_disk_new (seed, 0);
        fs_t *fs = sim_disk_fs (disk);
        log_limits_t limits = { .segment_size = 1500 };
        log_model_t model = { 0 };
        uint64_t epoch = 1;
        log_t *log = model_open (fs, epoch, &limits);
        for (int i = 0; i < 30; i++)
            OK (model_append (&model, log, &random, 100));
        OK (model_flush (&model, log, &error));
        uint64_t to = log_durable (log);
        log_reader_t *reader;
        OK (log_reader_open (fs, MODEL_DIR, &model_identity, 0, to, &reader, &error));
        for (size_t i = 0;; i++) {
            log_record_t record;
            status_t status = log_reader_next (reader, &record, &error);
            if (status == STATUS_END)
                break;
            OK (status);
            cr_assert_eq (record.offset, model.record[i].offset);
            cr_assert_lt (record.offset, to);
            if (random_chance (&random, 0.3))
                OK (model_append (&model, log, &random, 2000));
            if (random_chance (&random, 0.3))
                OK (model_flush (&model, log, &error));
            if (random_chance (&random, 0.1)) {
                model_forget_pending (&model);
                log_destroy (&log);
                log = model_open (fs, ++epoch, &limits);
            }
            trim (log, record.offset);
        }
        log_reader_destroy (&reader);
        log_destroy (&log);
        model_release (&model);
        sim_disk_destroy (&disk);
    }
}
