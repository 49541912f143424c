/* Real-time views that are asked no more: a job destroys them, and until then they are held. */
#include "speed-worker/lanes.h"
#include "tests/unit/speed-worker/town.h"

static void cut_and_add (town_t *town)
{
    town_add (town, 0, 300);
    town_order (town, "cut-1", true);
    town_pass (town, 2 * TIME_SECOND);
    town_add (town, 0, 50);
    town_pass (town, 2 * TIME_SECOND);
}

/* The base rises, and no job runs. */
static void trim_without_jobs (town_t *town)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town->base[p] = town_control (town, p, "cut-1");
    town->worker[0].hold_jobs = true;
    town_pass (town, 3 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (town->worker[0].held[p].cuts_count, 1);
}

Test (retired, what_a_trim_drops_is_held_until_a_job_has_destroyed_it)
{
    town_t town;
    town_init (&town, 41, 1);
    worker_t *worker = &town.worker[0];
    town_pass (&town, 2 * TIME_SECOND);
    cut_and_add (&town);
    uint64_t before = worker->memory;
    trim_without_jobs (&town);
    cr_assert_geq (worker->memory, before, "%zu bytes, and then %zu", (size_t)before,
                   (size_t)worker->memory);
    uint64_t least = worker->memory;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        job_t *job = rig_env_run_lane (&worker->rig, RETIRED_LANE);
        cr_assert_not_null (job, "%u of %u", p, PARTITIONS);
        town_pass (&town, TIME_SECOND); /* it has run, and the core does not know yet */
        cr_assert_lt (worker->memory, least);
        least = worker->memory;
        speed_core_job_done (worker->core, job);
        town_pass (&town, TIME_SECOND);
        cr_assert_eq (worker->memory, least);
    }
    cr_assert_null (rig_env_run_lane (&worker->rig, RETIRED_LANE));
    town_check_all (&town, 0);
    worker->hold_jobs = false;
    town_release (&town);
}

Test (retired, a_worker_may_end_before_and_after_what_a_trim_dropped_is_destroyed)
{
    town_t town;
    town_init (&town, 42, 1);
    worker_t *worker = &town.worker[0];
    town_pass (&town, 2 * TIME_SECOND);
    cut_and_add (&town);
    trim_without_jobs (&town);
    job_t *job = rig_env_run_lane (&worker->rig, RETIRED_LANE);
    cr_assert_not_null (job);
    job_t *queued = worker->rig.jobs;
    while (queued && queued->lane != RETIRED_LANE)
        queued = queued->next;
    cr_assert_not_null (queued);
    worker_kill (&town, 0); /* discards what has not run */
    job->discard (job);     /* as the shell does with what has */
    town_release (&town);
}

Test (retired, the_views_of_a_partition_that_is_given_away_are_destroyed_by_a_job)
{
    town_t town;
    town_init (&town, 43, 1);
    worker_t *worker = &town.worker[0];
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    worker->hold_jobs = true;
    town_give_all (&town, -1);
    town_pass (&town, 2 * TIME_SECOND);
    uint64_t before = worker->memory;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        job_t *job = rig_env_run_lane (&worker->rig, RETIRED_LANE);
        cr_assert_not_null (job);
        speed_core_job_done (worker->core, job);
    }
    town_pass (&town, 2 * TIME_SECOND);
    cr_assert_lt (worker->memory, before);
    town_release (&town);
}

/* Nor does the worker's look at the disk's room: nothing but what is removed is in such a lane. */
Test (retired, flushes_do_not_wait_for_old_segments_to_be_removed)
{
    town_t town;
    town_init (&town, 44, 1);
    worker_t *worker = &town.worker[0];
    town_pass (&town, 2 * TIME_SECOND);
    town_add (&town, 0, 300);
    town_add (&town, 0, 300);
    worker_kill (&town, 0); /* the next owner begins segments of its own */
    worker_start (&town, 0);
    town_give_all (&town, 0);
    town_pass (&town, 2 * TIME_SECOND);
    cut_and_add (&town);
    trim_without_jobs (&town);
    payment_t payment = payments_random (&town.random, worker->rig.clock, TIME_HOUR, PARTITIONS);
    town_send (&town, 0, &payment, 1, ++town.sequence);
    town_pass (&town, TIME_SECOND);
    unsigned trims = 0;
    for (const job_t *job = worker->rig.jobs; job != NULL; job = job->next) {
        if ((job->lane & TRIM_LANE) == 0)
            continue;
        cr_expect (job->behind);
        cr_expect_lt (job->lane & ~TRIM_LANE, PARTITIONS);
        trims++;
    }
    cr_expect_eq (trims, PARTITIONS, "%u", trims);
    for (uint32_t lane = 0; lane < PARTITIONS; lane++) {
        job_t *job;
        while ((job = rig_env_run_lane (&worker->rig, lane)) != NULL)
            speed_core_job_done (worker->core, job);
    }
    speed_core_tick (worker->core);
    town_run (&town);
    message_t message = town_reply (&town, MESSAGE_SEND_OK);
    town_note (&town, &message, &payment, 1);
    worker->hold_jobs = false;
    town_pass (&town, 2 * TIME_SECOND);
    town_check_all (&town, 0);
    town_release (&town);
}
