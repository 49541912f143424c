/* What goes wrong, and when. */
#include "tests/sim/world.h"

#include "base/mem.h"

#include <string.h>
#include <xxhash.h>

/* A kind of fault that strikes again and again. Its times come from a generator of its own, and
 * what each strike does from another one, so that no strike depends on the rest of the run. */
typedef struct fault {
    sim_strike_t kind;
    uint32_t next; /* the number of the next strike */
    random_t times;
} fault_t;

typedef void (strike_call_t) (sim_t *sim, random_t *random);

static uint64_t pick (random_t *random, uint64_t least, uint64_t most)
{
    return least + random_below (random, most - least + 1);
}

static int64_t pick_ms (random_t *random, uint64_t least, uint64_t most)
{
    return (int64_t)pick (random, least, most) * TIME_MS;
}

static sim_node_t *any_node (sim_t *sim, random_t *random)
{
    size_t count = 0;
    while (sim_node_at (sim, count))
        count++;
    for (;;) {
        sim_node_t *node = sim_node_at (sim, pick (random, 0, count - 1));
        if (node->role != ROLE_CLIENT)
            return node;
    }
}

static void restart (sim_t *sim, void *arg)
{
    if (!sim_finished (sim))
        process_start (arg);
}

/* Either now, or in the middle of what it does to the disk next. */
static void crash (sim_t *sim, random_t *random, sim_role_t role)
{
    sim_node_t *node = sim_node (sim, role, pick (random, 0, sim_count (sim, role) - 1));
    uint64_t calls = pick (random, 0, 40);
    int64_t away = pick_ms (random, 50, 8000);
    if (!node->core)
        return;
    if (random_chance (random, 0.6)) {
        node->doomed_at = sim_disk_calls (node->mount) + calls;
        sim_disk_fail_after (node->mount, calls);
        return;
    }
    process_crash (node);
    sim_at (sim, sim_now (sim) + away, restart, node);
}

static void strike_CRASH_COORDINATOR (sim_t *sim, random_t *random)
{
    crash (sim, random, ROLE_COORDINATOR);
}

static void strike_CRASH_SPEED (sim_t *sim, random_t *random)
{
    crash (sim, random, ROLE_SPEED);
}

static void strike_CRASH_BATCH (sim_t *sim, random_t *random)
{
    crash (sim, random, ROLE_BATCH);
}

static void strike_CRASH_SERVING (sim_t *sim, random_t *random)
{
    crash (sim, random, ROLE_SERVING);
}

static void strike_PAUSE (sim_t *sim, random_t *random)
{
    sim_node_t *node = any_node (sim, random);
    int64_t time = (int64_t)pick (random, 1, 3 * (uint64_t)sim_knobs (sim)->lease);
    sim_log (sim, "%s: stopped for %.3f s", node->name, (double)time / 1e6);
    node->paused_until = sim_now (sim) + time;
}

static void strike_STOP_COORDINATOR (sim_t *sim, random_t *random)
{
    leaders_stop (sim, random);
}

static void strike_CUT (sim_t *sim, random_t *random)
{
    sim_node_t *one = any_node (sim, random);
    sim_node_t *other = any_node (sim, random);
    int64_t time = pick_ms (random, 100, 12000);
    bool one_way = random_chance (random, 0.3);
    sim_log (sim, "%s and %s: cut %sfor %.3f s", one->name, other->name, one_way ? "one way " : "",
             (double)time / 1e6);
    net_cut (sim_net (sim), one, other, one_way, sim_now (sim) + time);
}

/* Users reach both sides. */
static void strike_SPLIT (sim_t *sim, random_t *random)
{
    uint64_t side = random_next (random); /* a bit for each node */
    int64_t time = pick_ms (random, 100, 12000);
    sim_log (sim, "nodes are split for %.3f s", (double)time / 1e6);
    for (size_t a = 0; sim_node_at (sim, a); a++)
        for (size_t b = 0; b < a; b++) {
            const sim_node_t *one = sim_node_at (sim, a);
            const sim_node_t *other = sim_node_at (sim, b);
            bool apart = ((side >> a ^ side >> b) & 1) != 0;
            if (apart && one->role != ROLE_CLIENT && other->role != ROLE_CLIENT)
                net_cut (sim_net (sim), one, other, false, sim_now (sim) + time);
        }
}

static void strike_CLOCK_JUMP (sim_t *sim, random_t *random)
{
    sim_node_t *node = any_node (sim, random);
    int64_t most = sim_knobs (sim)->skew;
    node->skew = (int64_t)pick (random, 0, 2 * (uint64_t)most) - most;
    sim_log (sim, "%s: its clock is off by %.3f s", node->name, (double)node->skew / 1e6);
}

static void strike_POWER_CUT (sim_t *sim, random_t *random)
{
    sim_power_cut (sim, random);
}

static void strike_BAD_DISK (sim_t *sim, random_t *random)
{
    sim_node_t *node = any_node (sim, random);
    node->faulty = !node->faulty;
    sim_log (sim, "%s: its disk is %s", node->name, node->faulty ? "bad" : "good again");
}

static void make_room (sim_t *sim, void *arg)
{
    (void)arg;
    sim_log (sim, "the disk has room again");
    sim_disk_set_room (sim_disk (sim), SIM_DISK_NEVER);
}

static void strike_DISK_FULL (sim_t *sim, random_t *random)
{
    uint64_t room = pick (random, 0, 64) << 10;
    int64_t time = pick_ms (random, 500, 10000);
    sim_log (sim, "the disk has room for %llu more bytes", (unsigned long long)room);
    sim_disk_set_room (sim_disk (sim), room);
    sim_at (sim, sim_now (sim) + time, make_room, NULL);
}

static void strike_ROT (sim_t *sim, random_t *random)
{
    rot_somewhere (sim, random);
}

static void strike_SLOW_NODE (sim_t *sim, random_t *random)
{
    sim_node_t *node = any_node (sim, random);
    int64_t time = pick_ms (random, 500, 15000);
    sim_log (sim, "%s: slow for %.3f s", node->name, (double)time / 1e6);
    node->slow_until = sim_now (sim) + time;
}

static void strike_SLOW_LINK (sim_t *sim, random_t *random)
{
    sim_node_t *from = any_node (sim, random);
    sim_node_t *to = any_node (sim, random);
    int64_t time = pick_ms (random, 500, 15000);
    int64_t by = pick_ms (random, 10, 3000);
    sim_log (sim, "%s to %s: up to %.3f s longer for %.3f s", from->name, to->name,
             (double)by / 1e6, (double)time / 1e6);
    net_slow (sim_net (sim), from, to, by, sim_now (sim) + time);
}

/* ---- when ---- */

static strike_call_t *const calls[STRIKES] = {
#define STRIKE_CALL(name, word, is) [STRIKE_##name] = strike_##name,
    SIM_STRIKES (STRIKE_CALL)
#undef STRIKE_CALL
};

static bool happens (const sim_t *sim, const fault_t *fault)
{
    const sim_strike_list_t *only = sim_setup (sim)->only;
    for (size_t i = 0; only && i < only->count; i++)
        if (only->items[i].kind == fault->kind && only->items[i].number == fault->next)
            return true;
    return only == NULL;
}

static void seed_for (random_t *random, const sim_t *sim, uint64_t kind, uint64_t number)
{
    uint64_t parts[3] = { sim_setup (sim)->seed, kind, number };
    random_seed (random, XXH3_64bits (parts, sizeof parts));
}

static void fault_call (sim_t *sim, void *arg);

static void schedule (sim_t *sim, fault_t *fault)
{
    uint64_t every = (uint64_t)sim_knobs (sim)->every[fault->kind];
    sim_at (sim, sim_now (sim) + (int64_t)pick (&fault->times, 0, 2 * every), fault_call, fault);
}

static void fault_call (sim_t *sim, void *arg)
{
    fault_t *fault = arg;
    if (sim_finished (sim) || sim_healed (sim)) {
        mem_free (fault);
        return;
    }
    if (happens (sim, fault)) {
        random_t random;
        seed_for (&random, sim, fault->kind, fault->next);
        sim_log (sim, "strike %s:%u", strike_word (fault->kind), fault->next);
        sim_strike_note (sim, (sim_strike_id_t){ fault->kind, fault->next });
        calls[fault->kind](sim, &random);
    }
    fault->next++;
    schedule (sim, fault);
}

void faults_start (sim_t *self)
{
    for (sim_strike_t kind = 0; kind < STRIKES; kind++) {
        if (sim_knobs (self)->every[kind] == 0)
            continue;
        fault_t *fault = mem_alloc (sizeof *fault);
        *fault = (fault_t){ .kind = kind };
        seed_for (&fault->times, self, kind, UINT64_MAX);
        schedule (self, fault);
    }
}
