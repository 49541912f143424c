/* A worker that dies or fails anywhere leaves no report and nothing that a later attempt trips
 * over; what was reported is durable. */
#include "tests/unit/batch-worker/worker.h"

#include <criterion/criterion.h>

enum { LARGE = 64 << 20, TINY = 1 };

typedef struct scene {
    worker_t worker;
    build_wish_t wish;
    struct output_run runs[EVENT_RUNS_MAX];
} scene_t;

static void scene_init (scene_t *self, uint64_t seed, uint64_t memory_limit)
{
    worker_t *worker = &self->worker;
    worker_init (worker, seed, memory_limit);
    worker_send (worker, 60);
    worker_file (worker, "incoming/a.csv", FORMAT_CSV, 60, 0);
    load_wish_t load = {
        .task = 1, .attempt = 1, .path = "incoming/a.csv", .id = "a", .format = "csv"
    };
    outputs_t loaded = worker_load (worker, &load);
    uint64_t offset = worker_control (worker, 0, LOG_KIND_LOAD_COMMIT, 0);
    self->wish = (build_wish_t){ .task = 2, .attempt = 1, .clock = CLOCK, .runs = self->runs };
    for (size_t i = 0; i < loaded.runs_count; i++)
        if (loaded.runs[i].partition == 0) {
            self->runs[self->wish.runs_count] = loaded.runs[i];
            self->runs[self->wish.runs_count++].offset = offset;
        }
    self->wish.cut = worker_control (worker, 0, LOG_KIND_CUT, -1);
    worker_restart (worker, memory_limit);
}

static void expect_views (scene_t *self, const outputs_t *outputs)
{
    cr_assert_str_eq (outputs->status, "ok", "%s", outputs->error);
    cr_assert_eq (outputs->views_count, 2);
    for (size_t i = 0; i < outputs->views_count; i++)
        worker_expect_view (&self->worker, &outputs->views[i], 0, self->wish.cut, CLOCK, -1);
    for (size_t i = 0; i < outputs->runs_count; i++) {
        run_t *run;
        error_t error;
        cr_assert_eq (run_open (self->worker.fs, outputs->runs[i].path, NULL, &run, &error),
                      STATUS_OK, "%s", error.text);
        cr_assert_eq (run_verify (run, &error), STATUS_OK, "%s", error.text);
        run_destroy (&run);
    }
}

/* Dies after `calls` calls to the disk; false when the task was done before. */
static bool crash_after (uint64_t memory_limit, uint64_t calls)
{
    scene_t scene;
    uint64_t seed = 5;
    scene_init (&scene, seed, memory_limit);
    worker_t *worker = &scene.worker;
    random_t random;
    random_seed (&random, calls + 1);
    sim_disk_fail_after (worker->env.fs, calls);
    outputs_t outputs = worker_build (worker, &scene.wish);
    bool died = strcmp (outputs.status, "ok") != 0;
    sim_disk_crash (worker->disk, &random);
    if (!died)
        expect_views (&scene, &outputs);
    worker_restart (worker, memory_limit);
    scene.wish.attempt = 2;
    outputs = worker_build (worker, &scene.wish);
    expect_views (&scene, &outputs);
    worker_release (worker);
    return died;
}

static void expect_crashes_do_no_harm (uint64_t memory_limit)
{
    uint64_t calls = 0;
    while (crash_after (memory_limit, calls))
        calls += calls < 20 ? 1 : 1 + calls / 20;
    cr_expect_gt (calls, 20);
}

Test (crashes, of_a_build_do_no_harm, .timeout = 120)
{
    expect_crashes_do_no_harm (LARGE);
}

Test (crashes, of_a_build_with_merges_do_no_harm, .timeout = 240)
{
    expect_crashes_do_no_harm (TINY);
}

static void count_name (void *arg, const char *name)
{
    (void)name;
    ++*(size_t *)arg;
}

static size_t count_files (worker_t *worker, const char *dir)
{
    size_t count = 0;
    error_t error;
    status_t status = fs_list (worker->fs, dir, count_name, &count, &error);
    cr_assert (status == STATUS_OK || status == STATUS_NOT_FOUND, "%s", error.text);
    return count;
}

Test (failures, leave_no_files_and_say_which_input_is_corrupt)
{
    scene_t scene;
    scene_init (&scene, 3, LARGE);
    worker_t *worker = &scene.worker;
    size_t before = count_files (worker, "history/pay/user/0");
    sim_disk_rot (worker->disk, scene.runs[0].path, 8 * scene.runs[0].size / 3);
    outputs_t outputs = worker_build (worker, &scene.wish);
    cr_expect_str_eq (outputs.status, "corrupt");
    cr_expect_not_null (strstr (outputs.error, scene.runs[0].path), "%s", outputs.error);
    cr_expect_not_null (strstr (outputs.error, "block "), "%s", outputs.error);
    cr_expect_str_eq (outputs.damaged, scene.runs[0].path);
    cr_expect_eq (count_files (worker, "history/pay/user/0"), before);
    cr_expect_eq (count_files (worker, "views/pay/user/0"), 0);
    worker_release (worker);
}

Test (failures, for_want_of_space_are_said_to_be_so)
{
    scene_t scene;
    scene_init (&scene, 3, LARGE);
    worker_t *worker = &scene.worker;
    size_t before = count_files (worker, "history/pay/user/0");
    sim_disk_set_faults (worker->disk, &(sim_disk_faults_t){ .no_space = 1 });
    outputs_t outputs = worker_build (worker, &scene.wish);
    sim_disk_set_faults (worker->disk, &(sim_disk_faults_t){ .no_space = 0 });
    cr_expect_str_eq (outputs.status, "no-space", "%s", outputs.error);
    cr_expect_eq (count_files (worker, "history/pay/user/0"), before);
    worker_release (worker);
}

/* At any of its writes, also of rows that are put aside. */
Test (failures, of_the_disk_leave_no_files, .timeout = 120)
{
    int failed = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        scene_t scene;
        scene_init (&scene, seed, TINY);
        worker_t *worker = &scene.worker;
        size_t before = count_files (worker, "history/pay/user/0");
        sim_disk_set_faults (worker->disk, &(sim_disk_faults_t){ .no_space = 0.03 });
        outputs_t outputs = worker_build (worker, &scene.wish);
        sim_disk_set_faults (worker->disk, &(sim_disk_faults_t){ .no_space = 0 });
        if (strcmp (outputs.status, "ok") != 0) {
            failed++;
            cr_expect_str_eq (outputs.status, "no-space", "%s", outputs.error);
            cr_expect_eq (count_files (worker, "history/pay/user/0"), before);
        }
        worker_release (worker);
    }
    cr_expect (failed > 5 && failed < 30, "%d", failed);
}

/* Room for rows that are put aside is looked for as well. */
Test (failures, for_want_of_space_come_before_the_start_when_memory_is_short)
{
    scene_t scene;
    scene_init (&scene, 3, TINY);
    worker_t *worker = &scene.worker;
    uint64_t needed = scene.wish.cut - scene.wish.from;
    needed *= 48 + 96;
    for (size_t i = 0; i < scene.wish.runs_count; i++)
        needed += scene.wish.runs[i].size;
    sim_disk_set_room (worker->disk, WORKER_RESERVE / 2 + needed - 1);
    outputs_t outputs = worker_build (worker, &scene.wish);
    cr_expect_str_eq (outputs.status, "no-space", "%s", outputs.error);
    cr_expect_not_null (strstr (outputs.error, " MiB are free in /data"), "%s", outputs.error);
    worker_release (worker);
}

/* Before anything is written; and it goes on when there is room. */
Test (failures, for_want_of_space_come_before_the_start)
{
    scene_t scene;
    scene_init (&scene, 3, LARGE);
    worker_t *worker = &scene.worker;
    uint64_t needed = scene.wish.cut - scene.wish.from;
    needed *= 48;
    for (size_t i = 0; i < scene.wish.runs_count; i++)
        needed += scene.wish.runs[i].size;
    size_t before = count_files (worker, "history/pay/user/0");
    sim_disk_set_room (worker->disk, WORKER_RESERVE / 2 + needed - 1);
    outputs_t outputs = worker_build (worker, &scene.wish);
    cr_expect_str_eq (outputs.status, "no-space", "%s", outputs.error);
    cr_expect_not_null (strstr (outputs.error, " MiB are free in /data"), "%s", outputs.error);
    cr_expect_eq (count_files (worker, "history/pay/user/0"), before);
    sim_disk_set_room (worker->disk, WORKER_RESERVE / 2 + needed);
    scene.wish.attempt++;
    outputs = worker_build (worker, &scene.wish);
    cr_expect_str_eq (outputs.status, "ok", "%s", outputs.error);
    worker_release (worker);
}
