/* The coordinator dies at any of its calls to the disk, while a load, a recompute, an unload and a
 * new key are under way, and comes back, or another takes over: all of it comes to its end, once.
 */
#include "base/mem.h"
#include "tests/rig/cases.h"
#include "tests/unit/coordinator/cluster.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#define OTHER "payments/amount"

enum { CALLS_APART = 11, CALLS_MOST = 4000 };

static const char by_amount[] = "views:\n"
                                "  same:\n"
                                "    from: payments\n"
                                "    key: amount\n"
                                "    features:\n"
                                "      n: count()\n";
static const char id[] = "dddddddddddddddddddddddddddddddd";
static const char path[] = "incoming/dddddddddddddddddddddddddddddddd";

/* One run. What is asked for is asked again until it is answered. */
typedef struct run {
    cluster_t cluster;
    fs_t *fs; /* of the coordinator that dies */
    uint64_t dies_at;
    bool dead;   /* it has died and was replaced */
    bool second; /* by another, which stood by */
    actor_t *serving;
    uint64_t published; /* the highest manifest that was told */
} run_t;

/* Who has made its last call is gone: nothing of what it does from then on counts. */
static void bury (run_t *self)
{
    if (self->dead || sim_disk_calls (self->fs) <= self->dies_at)
        return;
    self->dead = true;
    if (self->second)
        cluster_end (&self->cluster, false);
    else
        cluster_restart (&self->cluster);
}

static void pass (run_t *self, int64_t time_us)
{
    for (int64_t passed = 0; passed < time_us; passed += STEP) {
        cluster_run (&self->cluster, STEP);
        bury (self);
        for (size_t i = 0; i < self->serving->datasets_count; i++)
            if (strcmp (self->serving->dataset_log[i], PAYMENTS) == 0) {
                cr_assert_geq (self->serving->datasets[i], self->published, "a dataset went back");
                self->published = self->serving->datasets[i];
            }
    }
}

/* Until it is answered with anything but what may pass; the reply. */
static message_t insist (run_t *self, void (*write) (wire_writer_t *writer), message_kind_t kind)
{
    static const char *const passing[] = { "unavailable", "io", "no-space", "busy", "fenced" };
    for (int i = 0; i < 4000; i++) {
        wire_writer_t *writer = call_begin (&self->cluster, kind);
        if (write)
            write (writer);
        message_t reply = call_end (&self->cluster);
        bury (self);
        bool again = reply.kind == MESSAGE_NONE;
        for (size_t p = 0; p < sizeof passing / sizeof passing[0] && !again; p++)
            again = reply.kind == MESSAGE_ERROR &&
                    text_is (wire_text (reply.body, "status"), passing[p]);
        if (!again)
            return reply;
        pass (self, 5 * TIME_MS);
    }
    cr_assert_fail ("not answered");
    return (message_t){ 0 };
}

static void write_load (wire_writer_t *writer)
{
    wire_field_string (writer, "stream", "payments");
    wire_field_string (writer, "path", path);
    wire_field_string (writer, "id", id);
    wire_field_string (writer, "name", "payments.csv");
    wire_field_string (writer, "format", "csv");
}

static void write_id (wire_writer_t *writer)
{
    wire_field_string (writer, "id", id);
}

static void write_apply (wire_writer_t *writer)
{
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "test.yaml");
    wire_field_string (writer, "text", by_amount);
    wire_close (writer);
    wire_close (writer);
}

static void await_load (run_t *self, const char *state)
{
    for (int i = 0; i < 4000; i++) {
        message_t reply = insist (self, write_id, MESSAGE_LOADS);
        wire_list_t loads = wire_list (reply.body, "loads");
        if (loads.count == 1 && text_is (wire_text (&loads.items[0], "state"), state))
            return;
        cr_assert (loads.count != 1 || !text_is (wire_text (&loads.items[0], "state"), "failed"));
        pass (self, 5 * TIME_MS);
    }
    cr_assert_fail ("the load is not %s, dead %d at %" PRIu64, state, self->dead, self->dies_at);
}

static void await_recomputes (run_t *self)
{
    for (int i = 0; i < 4000; i++) {
        message_t reply = insist (self, NULL, MESSAGE_RECOMPUTES);
        wire_list_t list = wire_list (reply.body, "recomputes");
        uint32_t trimmed = 0;
        for (uint32_t r = 0; r < list.count; r++)
            trimmed += text_is (wire_text (&list.items[r], "state"), "trimmed");
        if (trimmed == list.count && trimmed > 0)
            return;
        pass (self, 5 * TIME_MS);
    }
    cr_assert_fail ("recomputes do not end, dead %d at %" PRIu64, self->dead, self->dies_at);
}

static bool is_filled (const run_t *self)
{
    for (size_t i = 0; i < self->serving->datasets_count; i++)
        if (strcmp (self->serving->dataset_log[i], OTHER) == 0)
            return !self->serving->filling[i] && self->serving->datasets[i] > 0;
    return false;
}

/* Is a control record in the log twice? Its offset is the truth of a load or a cut. */
static void check_controls (const run_t *self)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (size_t l = 0; l < LOGS_PLAYED; l++) {
            const played_log_t *log = &self->cluster.logs[p][l];
            for (size_t i = 0; i < log->controls_count; i++)
                for (size_t k = 0; k < i; k++)
                    cr_assert_str_neq (log->controls[i].id, log->controls[k].id);
        }
}

static void begin (run_t *self, uint64_t dies_at, bool second)
{
    *self = (run_t){ .dies_at = SIM_DISK_NEVER, .second = second };
    cluster_t *cluster = &self->cluster;
    cluster_init (cluster, dies_at, 0);
    cluster_apply (cluster, payments_definitions);
    cluster_add (cluster, "s1", "speed");
    self->serving = cluster_add (cluster, "v1", "serving");
    cluster_add (cluster, "b1", "batch");
    cluster_run (cluster, LEASE);
    if (second)
        cluster_add_second (cluster);
    cluster_run (cluster, LEASE);
    cluster_send (cluster, 4);
    self->fs = sim_disk_fs (cluster->disk);
    file_t *file;
    error_t error;
    cr_assert_eq (fs_make_dir (self->fs, "incoming", &error), STATUS_OK);
    cr_assert_eq (fs_replace (self->fs, path, "x", 1, &error), STATUS_OK);
    cr_assert_eq (fs_open (self->fs, path, FS_READ, &file, &error), STATUS_OK);
    fs_close (self->fs, &file);
    sim_disk_fail_after (self->fs, dies_at);
    self->dies_at = sim_disk_calls (self->fs) + dies_at;
}

/* Everything, with a death after so many calls; false when it did not come to that. */
static bool go (uint64_t dies_at, bool second)
{
    run_t *self = mem_zero (1, sizeof *self);
    begin (self, dies_at, second);
    message_t reply = insist (self, write_load, MESSAGE_LOAD);
    cr_assert (reply.kind == MESSAGE_LOAD_OK ||
               text_is (wire_text (reply.body, "status"), "exists")); /* the answer was lost */
    await_load (self, "visible");
    (void)insist (self, NULL, MESSAGE_RECOMPUTE);
    await_recomputes (self);
    reply = insist (self, write_id, MESSAGE_UNLOAD);
    cr_assert (reply.kind == MESSAGE_UNLOAD_OK || reply.kind == MESSAGE_ERROR);
    await_load (self, "unloaded");
    reply = insist (self, write_apply, MESSAGE_APPLY);
    cr_assert_eq (reply.kind, MESSAGE_APPLY_OK, TEXT_FORMAT,
                  TEXT_ARGS (wire_text (reply.body, "text")));
    for (int i = 0; i < 4000 && !is_filled (self); i++)
        pass (self, 5 * TIME_MS);
    cr_assert (is_filled (self), "the new key's log stays filling, dead %d at %" PRIu64, self->dead,
               dies_at);
    await_recomputes (self);
    check_controls (self);
    bool died = self->dead;
    cluster_release (&self->cluster);
    mem_free (self);
    return died;
}

static void at_every_call (bool second)
{
    uint64_t at = 0;
    while (at < CALLS_MOST && go (at, second))
        at += cases_apart (CALLS_APART);
    cr_assert_gt (at, 200, "it never dies");
    cr_assert_lt (at, CALLS_MOST, "it takes more calls than are tried");
}

Test (restart, whatever_was_under_way_comes_to_its_end, .timeout = 600)
{
    at_every_call (false);
}

Test (restart, whatever_was_under_way_another_coordinator_brings_to_its_end, .timeout = 600)
{
    at_every_call (true);
}
