/* What a speed worker takes in of what the disk has room for. */
#include "speed-worker/space.h"

#include "base/timestamp.h"
#include "tests/rig/env.h"
#include "tests/sim/disk/disk.h"

#include <criterion/criterion.h>

enum { MIB = 1 << 20, RESERVE = 8 * MIB, CAPACITY = 20 * MIB, LANE = 7 };

typedef struct place {
    sim_disk_t *disk;
    fs_t *fs;
    rig_env_t rig;
    space_t *space;
} place_t;

static void place_init (place_t *self)
{
    self->disk = sim_disk_new (1, CAPACITY);
    self->fs = sim_disk_fs (self->disk);
    rig_env_init (&self->rig, self->fs, 1);
    self->space = space_new (&self->rig.env, RESERVE, LANE);
}

static void place_release (place_t *self)
{
    space_destroy (&self->space);
    rig_env_release (&self->rig);
    sim_disk_destroy (&self->disk);
}

/* Somebody writes so much, or removes it again. */
static void others (place_t *self, size_t bytes)
{
    file_t *file;
    error_t error;
    static const char nothing[MIB];
    cr_assert_eq (fs_open (self->fs, "ballast", FS_WRITE, &file, &error), STATUS_OK);
    cr_assert_eq (fs_truncate (self->fs, file, 0, &error), STATUS_OK);
    for (size_t at = 0; at < bytes; at += MIB)
        cr_assert_eq (fs_write (self->fs, file, at, nothing, MIB, &error), STATUS_OK, "%s",
                      error.text);
    fs_close (self->fs, &file);
}

static void look (place_t *self)
{
    rig_env_pass (&self->rig, TIME_SECOND);
    (void)space_tick (self->space);
    job_t *job = rig_env_run (&self->rig);
    cr_assert_not_null (job);
    cr_assert_eq (job->lane, LANE);
    cr_assert (space_job_done (self->space, job));
}

Test (space, a_full_disk_is_refused_until_there_is_room)
{
    place_t place;
    error_t error;
    place_init (&place);
    cr_assert_eq (space_take (place.space, MIB, &error), STATUS_OK, "nothing is known yet");
    look (&place);
    look (&place);
    cr_assert_eq (space_free (place.space), CAPACITY);
    others (&place, 13 * MIB);
    look (&place);
    cr_assert (space_full (place.space));
    cr_assert_eq (space_take (place.space, 1, &error), STATUS_NO_SPACE);
    cr_assert_eq (error.retry_ms, SPACE_RETRY_MS);
    cr_assert_not_null (strstr (error.text, "7.0 MiB free"), "%s", error.text);
    others (&place, 0);
    look (&place);
    cr_assert_eq (space_take (place.space, MIB, &error), STATUS_OK, "%s", error.text);
    place_release (&place);
}

Test (space, what_is_taken_counts_until_a_look_that_has_seen_it)
{
    place_t place;
    error_t error;
    place_init (&place);
    look (&place);
    cr_assert_eq (space_take (place.space, MIB, &error), STATUS_OK);
    cr_assert_eq (space_free (place.space), CAPACITY - MIB);
    look (&place); /* it may not be written yet */
    cr_assert_eq (space_free (place.space), CAPACITY - MIB);
    look (&place);
    cr_assert_eq (space_free (place.space), CAPACITY);
    place_release (&place);
}

Test (space, no_more_than_half_the_reserve_is_taken_without_a_look)
{
    place_t place;
    error_t error;
    place_init (&place);
    look (&place);
    size_t taken = 0;
    while (space_take (place.space, MIB / 4, &error) == STATUS_OK)
        taken += MIB / 4;
    cr_assert_eq (error.status, STATUS_BUSY);
    cr_assert_gt (error.retry_ms, 0);
    cr_assert_leq (taken, RESERVE / 2);
    /* and it is time for one though the clock stands still */
    (void)space_tick (place.space);
    cr_assert_eq (rig_env_jobs (&place.rig), 1);
    place_release (&place);
}

Test (space, a_look_that_fails_is_told_once_and_not_tried_again_at_once)
{
    place_t place;
    error_t error;
    const sim_disk_faults_t broken = { .read_error = 1 };
    const sim_disk_faults_t none = { .read_error = 0 };
    place_init (&place);
    look (&place);
    sim_disk_set_faults (place.disk, &broken);
    while (space_take (place.space, MIB / 4, &error) == STATUS_OK) {
        /* on: as much as is taken unseen */
    }
    look (&place);
    look (&place);
    cr_assert_eq (place.rig.warnings, 1);
    (void)space_tick (place.space);
    cr_assert_eq (rig_env_jobs (&place.rig), 0, "the clock stands still");
    cr_assert_eq (space_take (place.space, MIB / 4, &error), STATUS_BUSY);
    cr_assert_eq (error.retry_ms, SPACE_RETRY_MS);
    sim_disk_set_faults (place.disk, &none);
    look (&place);
    look (&place);
    cr_assert_eq (space_take (place.space, MIB / 4, &error), STATUS_OK, "%s", error.text);
    place_release (&place);
}

Test (space, without_a_reserve_nothing_is_looked_at)
{
    place_t place;
    error_t error;
    place_init (&place);
    space_destroy (&place.space);
    place.space = space_new (&place.rig.env, 0, LANE);
    cr_assert_eq (space_tick (place.space), INT64_MAX);
    cr_assert_eq (rig_env_jobs (&place.rig), 0);
    cr_assert_eq (space_take (place.space, UINT64_C (1) << 60, &error), STATUS_OK);
    place_release (&place);
}
