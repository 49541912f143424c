/* What the core makes of orders: it starts, cancels, reports and forgets. */
#include "tests/unit/batch-worker/worker.h"

#include <criterion/criterion.h>

enum { LARGE = 64 << 20 };

static const build_wish_t first = { .task = 1, .attempt = 1, .clock = CLOCK };
static const build_wish_t again = { .task = 1, .attempt = 2, .clock = CLOCK };

static void put_three (worker_t *self, wire_writer_t *writer, const void *arg)
{
    (void)arg;
    for (uint64_t task = 1; task <= 3; task++) {
        build_wish_t wish = { .task = task, .attempt = 1, .clock = CLOCK };
        put_build (self, writer, &wish);
    }
}

Test (orders, start_each_task_once_and_no_more_than_allowed)
{
    worker_t worker;
    outputs_t outputs;
    uint64_t task;
    worker_init (&worker, 1, LARGE);
    worker_order (&worker, put_three, NULL);
    cr_expect_eq (worker.jobs_count, 2);
    worker_order (&worker, put_three, NULL);
    cr_expect_eq (worker.jobs_count, 2);
    worker_run (&worker);
    worker_order (&worker, put_three, NULL);
    cr_expect_eq (worker.jobs_count, 1);
    worker_run (&worker);
    cr_expect (worker_reported (&worker, &task, &outputs, true));
    cr_expect_eq (task, 3);
    worker_release (&worker);
}

static void put_folds_and_builds (worker_t *self, wire_writer_t *writer, const void *arg)
{
    (void)arg;
    for (uint64_t task = 1; task <= 5; task++) {
        build_wish_t wish = { .task = task, .attempt = 1, .clock = CLOCK, .fold = task <= 2 };
        put_build (self, writer, &wish);
    }
}

/* Two builds and one fold, whichever are listed first. */
Test (orders, for_a_fold_are_carried_out_beside_others)
{
    worker_t worker;
    worker_init (&worker, 1, LARGE);
    worker_order (&worker, put_folds_and_builds, NULL);
    cr_expect_eq (worker.jobs_count, 3);
    worker_order (&worker, put_folds_and_builds, NULL);
    cr_expect_eq (worker.jobs_count, 3);
    worker_run (&worker);
    worker_order (&worker, put_folds_and_builds, NULL);
    cr_expect_eq (worker.jobs_count, 2); /* the other fold, and the last build */
    worker_run (&worker);
    worker_release (&worker);
}

Test (orders, without_a_running_task_cancel_it)
{
    worker_t worker;
    outputs_t outputs;
    uint64_t task;
    worker_init (&worker, 1, LARGE);
    worker_order (&worker, put_build, &first);
    cr_expect_eq (worker.jobs_count, 1);
    worker_order (&worker, put_build, &again);
    cr_expect_eq (worker.jobs_count, 2);
    worker_forget_sent (&worker);
    worker_run (&worker);
    cr_assert (worker_reported (&worker, &task, &outputs, true));
    cr_expect_str_eq (outputs.status, "ok");
    cr_expect_not_null (strstr (outputs.views[0].path, "/1-2-"));
    worker_release (&worker);
}

/* A node waits for its jobs when it stops. */
Test (orders, of_a_worker_that_stops_end_soon)
{
    worker_t worker;
    outputs_t outputs;
    uint64_t task;
    worker_init (&worker, 1, LARGE);
    worker_order (&worker, put_build, &first);
    cr_expect_eq (worker.jobs_count, 1);
    batch_core_stop (worker.core);
    worker_forget_sent (&worker);
    worker_run (&worker);
    cr_expect_not (worker_reported (&worker, &task, &outputs, true));
    worker_release (&worker);
}

Test (reports, are_repeated_until_they_are_acknowledged)
{
    worker_t worker;
    outputs_t outputs;
    uint64_t task;
    worker_init (&worker, 1, LARGE);
    worker_order (&worker, put_build, &first);
    worker_run (&worker);
    for (int i = 0; i < 5; i++) {
        cr_assert (worker_reported (&worker, &task, &outputs, i == 4));
        worker.boot += 2 * TIME_SECOND;
        (void)batch_core_tick (worker.core);
    }
    cr_expect_not (worker_reported (&worker, &task, &outputs, false));
    /* a late order does not start it again */
    worker_order (&worker, put_build, &first);
    cr_expect_eq (worker.jobs_count, 0);
    worker_release (&worker);
}

Test (reports, end_when_the_task_is_not_listed_any_more)
{
    worker_t worker;
    outputs_t outputs;
    uint64_t task;
    worker_init (&worker, 1, LARGE);
    worker_order (&worker, put_build, &first);
    worker_run (&worker);
    worker_order (&worker, put_nothing, NULL); /* one may have been overtaken */
    worker_order (&worker, put_build, &first);
    worker_forget_sent (&worker);
    worker.boot += 2 * TIME_SECOND;
    (void)batch_core_tick (worker.core);
    cr_assert (worker_reported (&worker, &task, &outputs, false));
    for (int i = 0; i < 3; i++)
        worker_order (&worker, put_nothing, NULL);
    worker_forget_sent (&worker);
    worker.boot += 2 * TIME_SECOND;
    (void)batch_core_tick (worker.core);
    cr_expect_not (worker_reported (&worker, &task, &outputs, false));
    /* who asks for it all the same is told that it is gone */
    worker_order (&worker, put_build, &first);
    cr_expect_eq (worker.jobs_count, 0);
    cr_assert (worker_reported (&worker, &task, &outputs, false));
    cr_expect_str_eq (outputs.status, "cancelled");
    worker_release (&worker);
}

Test (cores, stand_bytes_that_are_no_messages)
{
    worker_t worker;
    worker_init (&worker, 1, LARGE);
    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[64];
        size_t size = (size_t)random_below (&worker.random, sizeof bytes);
        for (size_t b = 0; b < size; b++)
            bytes[b] = (uint8_t)random_next (&worker.random);
        batch_core_receive (worker.core, &worker.coordinator, bytes, size);
        worker_forget_sent (&worker);
    }
    worker_release (&worker);
}
