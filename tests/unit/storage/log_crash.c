/* Crashes at random places: what was durable is there, and what is there was appended. */
#include "storage/log.h"
#include "tests/unit/storage/log_model.h"

#include <criterion/criterion.h>
#include <string.h>

static error_t error;

typedef struct trial {
    random_t random;
    sim_disk_t *disk;
    fs_t *fs;
    log_limits_t limits;
    log_model_t model;
    uint64_t epoch;
    log_t *log;
    uint64_t trimmed; /* the log may begin here, not later */
} trial_t;

static void trial_init (trial_t *self, uint64_t seed)
{
    *self = (trial_t){ .disk = sim_disk_new (seed, 0) };
    self->fs = sim_disk_fs (self->disk);
    random_seed (&self->random, seed);
    self->limits.segment_size = 700 + random_below (&self->random, 5000);
}

static void trial_release (trial_t *self)
{
    log_destroy (&self->log);
    model_release (&self->model);
    cr_assert_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
}

static void trim_some (trial_t *self)
{
    uint64_t start = log_start (self->log);
    uint64_t below = start + random_below (&self->random, log_durable (self->log) - start + 1);
    log_trim_t *trim = log_trim_begin (self->log, below);
    if (trim == NULL)
        return;
    self->trimmed = below > self->trimmed ? below : self->trimmed;
    model_run (log_trim_job (trim));
    (void)!log_trim_end (self->log, &trim, &error);
}

/* Appends, flushes and trims until something fails or it is enough. The durable part of the model
 * grows only when a flush said so. */
static void work (trial_t *self, int steps)
{
    for (int i = 0; i < steps && !log_failed (self->log); i++) {
        size_t size_max = random_chance (&self->random, 0.1) ? 3000 : 200;
        if (random_chance (&self->random, 0.05))
            trim_some (self);
        else if (random_chance (&self->random, 0.3))
            (void)!model_flush (&self->model, self->log, &error);
        else if (model_append (&self->model, self->log, &self->random, size_max) != STATUS_OK)
            break;
    }
}

/* Opens until it works. Every attempt is a new owner; faults and crashes may strike it too. */
static void reopen (trial_t *self, bool strike)
{
    log_destroy (&self->log);
    for (int attempt = 0; self->log == NULL; attempt++) {
        if (strike && attempt < 4)
            sim_disk_fail_after (self->fs, random_below (&self->random, 60));
        status_t status = log_open (self->fs, MODEL_DIR, &model_identity, ++self->epoch,
                                    &self->limits, &self->log, &error);
        cr_assert (status == STATUS_OK || status == STATUS_IO || status == STATUS_NO_SPACE, "%s",
                   error.text);
        cr_assert (status == STATUS_OK || (strike && attempt < 4), "%s", error.text);
        if (status != STATUS_OK && random_chance (&self->random, 0.5))
            sim_disk_crash (self->disk, &self->random);
        sim_disk_fail_after (self->fs, SIM_DISK_NEVER);
    }
    model_check_recovered (&self->model, self->fs, self->log);
    cr_assert_leq (log_start (self->log), self->trimmed, "the log lost its beginning");
}

Test (log_crash, at_any_call_loses_nothing_durable)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        trial_t trial;
        trial_init (&trial, seed);
        reopen (&trial, true);
        for (int crash = 0; crash < 8; crash++) {
            sim_disk_fail_after (trial.fs, random_below (&trial.random, 100));
            work (&trial, 200);
            log_destroy (&trial.log);
            if (random_chance (&trial.random, 0.7)) /* else only the process died */
                sim_disk_crash (trial.disk, &trial.random);
            sim_disk_fail_after (trial.fs, SIM_DISK_NEVER);
            reopen (&trial, random_chance (&trial.random, 0.5));
        }
        trial_release (&trial);
    }
}

/* A log with a few segments, whose owner has died. */
static void begin_log (trial_t *self, uint64_t seed)
{
    trial_init (self, seed);
    self->limits.segment_size = 700;
    reopen (self, false);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq (model_append (&self->model, self->log, &self->random, 200), STATUS_OK);
        cr_assert_eq (model_flush (&self->model, self->log, &error), STATUS_OK, "%s", error.text);
    }
    log_destroy (&self->log);
}

static void open_and_die (trial_t *self, uint64_t calls)
{
    sim_disk_fail_after (self->fs, calls);
    (void)!log_open (self->fs, MODEL_DIR, &model_identity, ++self->epoch, &self->limits, &self->log,
                     &error);
    log_destroy (&self->log);
    sim_disk_fail_after (self->fs, SIM_DISK_NEVER);
}

/* The second builds on what the first may not have made durable, its name included. */
Test (log_crash, of_two_owners_in_a_row_that_die_as_they_open_loses_nothing_durable, .timeout = 60)
{
    trial_t trial;
    begin_log (&trial, 1);
    uint64_t before = sim_disk_calls (trial.fs);
    open_and_die (&trial, SIM_DISK_NEVER);
    uint64_t last = sim_disk_calls (trial.fs) - before;
    trial_release (&trial);
    uint64_t first = last > 8 ? last - 8 : 0; /* its segment gets its name in the last calls */
    for (uint64_t seed = 0; seed < 30; seed++)
        for (uint64_t one = first; one <= last; one++)
            for (uint64_t other = first; other <= last + 20; other++) {
                begin_log (&trial, 1);
                random_seed (&trial.random, seed);
                open_and_die (&trial, one);
                open_and_die (&trial, other);
                sim_disk_crash (trial.disk, &trial.random);
                reopen (&trial, false);
                trial_release (&trial);
            }
}

Test (log_crash, injected_faults_lose_nothing_durable)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        trial_t trial;
        trial_init (&trial, seed);
        reopen (&trial, false);
        for (int round = 0; round < 8; round++) {
            sim_disk_set_faults (trial.disk, &(sim_disk_faults_t){ .write_error = 0.02,
                                                                   .no_space = 0.02,
                                                                   .name_error = 0.05,
                                                                   .sync_error = 0.05 });
            work (&trial, 200);
            log_destroy (&trial.log);
            if (random_chance (&trial.random, 0.5))
                sim_disk_crash (trial.disk, &trial.random);
            sim_disk_set_faults (trial.disk, &(sim_disk_faults_t){ 0 });
            reopen (&trial, false);
        }
        trial_release (&trial);
    }
}

/* After a sync that failed, reads show what the disk does not have. A new owner that believed them
 * would find its log damaged after the next power cut. */
Test (log_crash, what_a_failed_sync_left_in_the_cache_is_made_durable_or_dropped)
{
    int carried = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        trial_t trial;
        trial_init (&trial, seed);
        reopen (&trial, false);
        for (int i = 0; i < 10; i++)
            cr_assert_eq (model_append (&trial.model, trial.log, &trial.random, 40), STATUS_OK);
        cr_assert_eq (model_flush (&trial.model, trial.log, &error), STATUS_OK);
        for (int i = 0; i < 5; i++)
            cr_assert_eq (model_append (&trial.model, trial.log, &trial.random, 40), STATUS_OK);
        sim_disk_set_faults (trial.disk, &(sim_disk_faults_t){ .sync_error = 1 });
        cr_assert_eq (model_flush (&trial.model, trial.log, &error), STATUS_IO);
        cr_assert (log_failed (trial.log));
        uint64_t offset;
        cr_assert_eq (log_append (trial.log, LOG_KIND_EVENTS, NULL, 0, 1, 0, &offset, &error),
                      STATUS_IO);
        cr_assert_null (log_flush_begin (trial.log));
        sim_disk_set_faults (trial.disk, &(sim_disk_faults_t){ 0 });
        size_t durable = trial.model.durable;
        reopen (&trial, false);
        carried += trial.model.durable > durable;
        sim_disk_crash (trial.disk, &trial.random);
        reopen (&trial, false);
        trial_release (&trial);
    }
    cr_assert_gt (carried, 50);
}

/* Bits that flip on the way from the disk may make a call fail, but never make it wrong. */
Test (log_crash, bits_that_flip_in_reads_are_never_believed)
{
    int opened = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        trial_t trial;
        trial_init (&trial, seed);
        reopen (&trial, false);
        work (&trial, 100);
        cr_assert_eq (model_flush (&trial.model, trial.log, &error), STATUS_OK);
        log_destroy (&trial.log);
        sim_disk_set_faults (trial.disk, &(sim_disk_faults_t){ .bit_flip = 0.05 });
        status_t status = log_open (trial.fs, MODEL_DIR, &model_identity, ++trial.epoch,
                                    &trial.limits, &trial.log, &error);
        sim_disk_set_faults (trial.disk, &(sim_disk_faults_t){ 0 });
        cr_assert (status == STATUS_OK || status == STATUS_CORRUPT, "%s", error.text);
        if (status == STATUS_OK) {
            opened++;
            model_check_recovered (&trial.model, trial.fs, trial.log);
        } else {
            reopen (&trial, false);
        }
        trial_release (&trial);
    }
    cr_assert_gt (opened, 180);
}
