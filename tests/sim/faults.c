/* What goes wrong, and how often: chosen by the seed. Swarm testing: a run with everything at once
 * hides what a run with two things shows. */
#include "tests/sim/world.h"

#include "base/mem.h"

#include <string.h>

/* ---- choosing ---- */

static int64_t some_time (random_t *random, int64_t least, int64_t most)
{
    return least + (int64_t)random_below (random, (uint64_t)(most - least) + 1);
}

/* A mean interval with chance 1/2, else never. */
static int64_t sometimes (random_t *random, double chance, int64_t least, int64_t most)
{
    int64_t interval = some_time (random, least, most);
    return random_chance (random, chance) ? interval : 0;
}

static double some_chance (random_t *random, double chance, double most)
{
    double unit = random_unit (random);
    return random_chance (random, chance) ? most * unit : 0;
}

static void choose_disk (sim_knobs_t *knobs, random_t *random)
{
    knobs->disk_faults_every = sometimes (random, 0.3, 5 * TIME_SECOND, 30 * TIME_SECOND);
    sim_disk_faults_t *coordinator = &knobs->disk_faults[ROLE_COORDINATOR];
    coordinator->read_error = some_chance (random, 0.3, 0.01);
    coordinator->write_error = some_chance (random, 0.3, 0.02);
    coordinator->no_space = some_chance (random, 0.3, 0.02);
    coordinator->name_error = some_chance (random, 0.3, 0.02);
    coordinator->sync_error = some_chance (random, 0.3, 0.02);
    sim_disk_faults_t *speed = &knobs->disk_faults[ROLE_SPEED];
    speed->read_error = some_chance (random, 0.3, 0.02);
    speed->write_error = some_chance (random, 0.5, 0.05);
    speed->no_space = some_chance (random, 0.3, 0.05);
    speed->name_error = some_chance (random, 0.3, 0.05);
    speed->sync_error = some_chance (random, 0.5, 0.05);
    sim_disk_faults_t *batch = &knobs->disk_faults[ROLE_BATCH];
    batch->read_error = some_chance (random, 0.3, 0.02);
    batch->write_error = some_chance (random, 0.3, 0.02);
    batch->no_space = some_chance (random, 0.3, 0.02);
    batch->name_error = some_chance (random, 0.3, 0.02);
    batch->sync_error = some_chance (random, 0.3, 0.02);
    batch->bit_flip = some_chance (random, 0.3, 0.02);
    sim_disk_faults_t *serving = &knobs->disk_faults[ROLE_SERVING];
    serving->read_error = some_chance (random, 0.5, 0.1);
    serving->bit_flip = some_chance (random, 0.3, 0.1);
}

static void choose_crashes (sim_knobs_t *knobs, random_t *random)
{
    knobs->crash_every[ROLE_COORDINATOR] =
        sometimes (random, 0.4, 5 * TIME_SECOND, 40 * TIME_SECOND);
    knobs->crash_every[ROLE_SPEED] = sometimes (random, 0.5, 3 * TIME_SECOND, 30 * TIME_SECOND);
    knobs->crash_every[ROLE_BATCH] = sometimes (random, 0.4, 3 * TIME_SECOND, 30 * TIME_SECOND);
    knobs->crash_every[ROLE_SERVING] = sometimes (random, 0.4, 3 * TIME_SECOND, 30 * TIME_SECOND);
    knobs->pause_every = sometimes (random, 0.4, 4 * TIME_SECOND, 30 * TIME_SECOND);
    knobs->power_cut_every = sometimes (random, 0.25, 15 * TIME_SECOND, 60 * TIME_SECOND);
}

/* A run in which nothing goes wrong: then nothing may be refused either. */
static void choose_calm (sim_knobs_t *knobs)
{
    knobs->calm = true;
    knobs->loss = knobs->duplicate = knobs->slow_message = knobs->slow_job = 0;
    knobs->reorder = false;
    knobs->partition_every = knobs->pause_every = knobs->power_cut_every = 0;
    knobs->disk_faults_every = knobs->clock_jump_every = 0;
    knobs->memory_limit = 256 << 20;
    memset (knobs->crash_every, 0, sizeof knobs->crash_every);
}

void knobs_choose (sim_knobs_t *knobs, random_t *random, int64_t active)
{
    static const uint64_t segment_sizes[] = { 0, 512, 4096, 65536 };
    *knobs = (sim_knobs_t){
        .nodes = { [ROLE_COORDINATOR] = 1,
                   [ROLE_SPEED] = 2 + (unsigned)random_below (random, 2),
                   [ROLE_BATCH] = 1 + (unsigned)random_below (random, 2),
                   [ROLE_SERVING] = 1 + (unsigned)random_below (random, 2) },
        .lease = some_time (random, TIME_SECOND, 5 * TIME_SECOND),
        .recompute_every = sometimes (random, 0.6, 5 * TIME_SECOND, 20 * TIME_SECOND),
        .active = active,
        .loss = some_chance (random, 0.4, 0.1),
        .duplicate = some_chance (random, 0.3, 0.1),
        .slow_message = some_chance (random, 0.4, 0.05),
        .reorder = random_chance (random, 0.3),
        .partition_every = sometimes (random, 0.4, 3 * TIME_SECOND, 20 * TIME_SECOND),
        .slow_job = some_chance (random, 0.4, 0.2),
        .skew = random_chance (random, 0.5) ? some_time (random, 0, 5 * TIME_SECOND) : 0,
        .memory_limit = random_chance (random, 0.2) ? (uint64_t)some_time (random, 5 << 20, 8 << 20)
                                                    : 256 << 20,
        .segment_size = segment_sizes[random_below (random, 4)],
        .slow_max = 1 + (uint32_t)random_below (random, 4),
        .producers = 1 + (unsigned)random_below (random, 3),
        .send_every = some_time (random, 50 * TIME_MS, 500 * TIME_MS),
        .wild_floats = random_chance (random, 0.3),
        .loads = random_chance (random, 0.6),
        .unloads = random_chance (random, 0.5),
        .second_apply = random_chance (random, 0.6),
        .evolves = random_chance (random, 0.5),
    };
    if (knobs->skew > 0)
        knobs->clock_jump_every = sometimes (random, 0.5, 5 * TIME_SECOND, 30 * TIME_SECOND);
    choose_crashes (knobs, random);
    choose_disk (knobs, random);
    if (random_chance (random, 0.1))
        choose_calm (knobs);
}

/* ---- doing ---- */

/* A kind of fault that comes again and again, for one role or for all. */
typedef struct fault {
    void (*strike) (sim_t *sim, sim_role_t role);
    sim_role_t role;
    int64_t every;
} fault_t;

static void fault_call (sim_t *sim, void *arg);

static void schedule (sim_t *sim, fault_t *fault)
{
    int64_t wait = (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)fault->every);
    sim_at (sim, sim_now (sim) + wait, fault_call, fault);
}

static void fault_call (sim_t *sim, void *arg)
{
    fault_t *fault = arg;
    if (sim_finished (sim) || sim_healed (sim)) {
        mem_free (fault);
        return;
    }
    fault->strike (sim, fault->role);
    schedule (sim, fault);
}

static void add (sim_t *sim, void (*strike) (sim_t *sim, sim_role_t role), sim_role_t role,
                 int64_t every)
{
    if (every == 0)
        return;
    fault_t *fault = mem_alloc (sizeof *fault);
    *fault = (fault_t){ strike, role, every };
    schedule (sim, fault);
}

static sim_node_t *any_node (sim_t *sim)
{
    for (;;) {
        sim_node_t *node = sim_node_at (sim, sim_chosen (sim, 0, SIM_NODES_MAX - 1));
        if (node && node->role != ROLE_CLIENT)
            return node;
    }
}

static void restart (sim_t *sim, void *arg)
{
    if (!sim_finished (sim))
        process_start (arg);
}

/* Either now, or in the middle of what it does to the disk next. */
static void crash (sim_t *sim, sim_role_t role)
{
    sim_node_t *node = sim_node (sim, role, sim_chosen (sim, 0, sim_count (sim, role) - 1));
    if (!node->core)
        return;
    if (sim_chance (sim, 0.6)) {
        uint64_t calls = sim_chosen (sim, 0, 40);
        node->doomed_at = sim_disk_calls (node->mount) + calls;
        sim_disk_fail_after (node->mount, calls);
        return;
    }
    process_crash (node);
    sim_at (sim, sim_now (sim) + (int64_t)sim_chosen (sim, 50, 8000) * TIME_MS, restart, node);
}

static void stop_for_a_while (sim_t *sim, sim_role_t role)
{
    (void)role;
    sim_node_t *node = any_node (sim);
    int64_t lease = sim_knobs (sim)->lease;
    int64_t time = (int64_t)sim_chosen (sim, 1, 3 * (uint64_t)lease);
    sim_log (sim, "%s: stopped for %.3f s", node->name, (double)time / 1e6);
    node->paused_until = sim_now (sim) + time;
}

static void cut_pair (sim_t *sim, sim_role_t role)
{
    (void)role;
    sim_node_t *one = any_node (sim);
    sim_node_t *other = any_node (sim);
    int64_t time = (int64_t)sim_chosen (sim, 100, 12000) * TIME_MS;
    bool one_way = sim_chance (sim, 0.3);
    sim_log (sim, "%s and %s: cut %sfor %.3f s", one->name, other->name, one_way ? "one way " : "",
             (double)time / 1e6);
    net_cut (sim_net (sim), one, other, one_way, sim_now (sim) + time);
}

static void jump_clock (sim_t *sim, sim_role_t role)
{
    (void)role;
    sim_node_t *node = any_node (sim);
    int64_t most = sim_knobs (sim)->skew;
    node->skew = (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)most) - most;
    sim_log (sim, "%s: its clock is off by %.3f s", node->name, (double)node->skew / 1e6);
}

static void cut_power (sim_t *sim, sim_role_t role)
{
    (void)role;
    sim_power_cut (sim);
}

static void turn_disk (sim_t *sim, sim_role_t role)
{
    (void)role;
    sim_node_t *node = any_node (sim);
    node->faulty = !node->faulty;
    sim_log (sim, "%s: its disk is %s", node->name, node->faulty ? "bad" : "good again");
}

void faults_start (sim_t *self)
{
    const sim_knobs_t *knobs = sim_knobs (self);
    for (sim_role_t role = 0; role < ROLE_CLIENT; role++)
        add (self, crash, role, knobs->crash_every[role]);
    add (self, stop_for_a_while, 0, knobs->pause_every);
    add (self, cut_pair, 0, knobs->partition_every);
    add (self, cut_power, 0, knobs->power_cut_every);
    add (self, jump_clock, 0, knobs->clock_jump_every);
    add (self, turn_disk, 0, knobs->disk_faults_every);
}
