/* Simulated time, and the nodes that live in it. */
#include "tests/sim/world.h"

#include "tests/sim/check.h"
#include "tests/sim/clients.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

typedef struct event {
    int64_t time;
    uint64_t number; /* in which they were made: the order of one instant */
    void (*call) (sim_t *sim, void *arg);
    void *arg;
} event_t;

struct sim {
    sim_setup_t setup;
    bool finished;
    bool healed;
    char failure[4096];
    const char *failure_kind;
    int64_t now;
    random_t random;
    sim_strike_id_t *struck;
    size_t struck_count;
    event_t *events; /* a heap */
    size_t events_count;
    size_t events_capacity;
    uint64_t next_number;
    sim_node_t *nodes[SIM_NODES_MAX];
    size_t nodes_count;
    sim_disk_t *disk;
    const sim_node_t *disk_user; /* whose call it is */
    sim_net_t *net;
    sim_check_t *check;
    sim_clients_t *clients;
    uint64_t trace;
};

/* Simulated time after which a run has failed, whatever it still waits for. */
#define RUN_MAX (20 * TIME_MINUTE)

/* ---- what happened ---- */

void sim_trace_add (sim_t *self, const void *data, size_t size)
{
    self->trace = XXH3_64bits_withSeed (data, size, self->trace ^ (uint64_t)self->now);
}

uint64_t sim_trace (const sim_t *self)
{
    return self->trace;
}

void sim_log (sim_t *self, const char *format, ...)
{
    if (!self->setup.verbose)
        return;
    va_list args;
    va_start (args, format);
    fprintf (stderr, "%10.6f ", (double)self->now / 1e6);
    vfprintf (stderr, format, args);
    fputc ('\n', stderr);
    va_end (args);
}

void sim_fail (sim_t *self, const char *format, ...)
{
    if (self->failure[0] != '\0')
        return;
    self->failure_kind = format;
    int size =
        snprintf (self->failure, sizeof self->failure, "at %.6f s: ", (double)self->now / 1e6);
    va_list args;
    va_start (args, format);
    vsnprintf (self->failure + size, sizeof self->failure - (size_t)size, format, args);
    va_end (args);
    sim_log (self, "FAILED %s", self->failure);
}

bool sim_failed (const sim_t *self)
{
    return self->failure[0] != '\0';
}

const char *sim_failure (const sim_t *self)
{
    return self->failure;
}

const char *sim_failure_kind (const sim_t *self)
{
    return self->failure_kind;
}

void sim_strike_note (sim_t *self, sim_strike_id_t strike)
{
    if (self->struck_count == SIM_STRIKES_MAX)
        return;
    self->struck = mem_resize (self->struck, self->struck_count + 1, sizeof *self->struck);
    self->struck[self->struck_count++] = strike;
}

sim_strike_list_t sim_struck (const sim_t *self)
{
    return (sim_strike_list_t){ self->struck, self->struck_count };
}

void sim_finish (sim_t *self)
{
    self->finished = true;
}

/* ---- the queue ---- */

static bool is_before (const event_t *a, const event_t *b)
{
    return a->time < b->time || (a->time == b->time && a->number < b->number);
}

static void swap (event_t *a, event_t *b)
{
    event_t kept = *a;
    *a = *b;
    *b = kept;
}

void sim_at (sim_t *self, int64_t time, void (*call) (sim_t *sim, void *arg), void *arg)
{
    if (self->events_count == self->events_capacity) {
        self->events_capacity = self->events_capacity * 2 + 256;
        self->events = mem_resize (self->events, self->events_capacity, sizeof *self->events);
    }
    size_t i = self->events_count++;
    self->events[i] =
        (event_t){ time > self->now ? time : self->now, self->next_number++, call, arg };
    while (i > 0 && is_before (&self->events[i], &self->events[(i - 1) / 2])) {
        swap (&self->events[i], &self->events[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static event_t take_next (sim_t *self)
{
    event_t first = self->events[0];
    self->events[0] = self->events[--self->events_count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < self->events_count; child++)
            if (is_before (&self->events[child], &self->events[least]))
                least = child;
        if (least == i)
            return first;
        swap (&self->events[i], &self->events[least]);
        i = least;
    }
}

/* ---- small things ---- */

int64_t sim_now (const sim_t *self)
{
    return self->now;
}

int64_t sim_wall (const sim_t *self)
{
    return SIM_WALL_START + self->now;
}

random_t *sim_random (sim_t *self)
{
    return &self->random;
}

const sim_knobs_t *sim_knobs (const sim_t *self)
{
    return &self->setup.knobs;
}

const sim_setup_t *sim_setup (const sim_t *self)
{
    return &self->setup;
}

bool sim_has_bad_disks (const sim_t *self)
{
    const int64_t *every = self->setup.knobs.every;
    return every[STRIKE_BAD_DISK] || every[STRIKE_ROT] || every[STRIKE_DISK_FULL];
}

sim_disk_t *sim_disk (sim_t *self)
{
    return self->disk;
}

sim_net_t *sim_net (sim_t *self)
{
    return self->net;
}

sim_check_t *sim_check (sim_t *self)
{
    return self->check;
}

uint64_t sim_chosen (sim_t *self, uint64_t least, uint64_t most)
{
    CHECK (least <= most);
    return least + random_below (&self->random, most - least + 1);
}

bool sim_chance (sim_t *self, double chance)
{
    return chance > 0 && random_chance (&self->random, chance);
}

/* ---- nodes ---- */

size_t sim_count (const sim_t *self, sim_role_t role)
{
    size_t count = 0;
    for (size_t i = 0; i < self->nodes_count; i++)
        count += self->nodes[i]->role == role;
    return count;
}

sim_node_t *sim_node (const sim_t *self, sim_role_t role, size_t index)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (self->nodes[i]->role == role && index-- == 0)
            return self->nodes[i];
    return NULL;
}

sim_node_t *sim_node_at (const sim_t *self, size_t number)
{
    return number < self->nodes_count ? self->nodes[number] : NULL;
}

sim_node_t *sim_node_of (const sim_t *self, const char *endpoint)
{
    for (size_t i = 0; i < self->nodes_count; i++)
        if (strcmp (self->nodes[i]->endpoint, endpoint) == 0)
            return self->nodes[i];
    return NULL;
}

/* From -most to most. */
static int64_t some_offset (sim_t *self, uint64_t most)
{
    return (int64_t)sim_chosen (self, 0, 2 * most) - (int64_t)most;
}

static sim_node_t *add_node (sim_t *self, sim_role_t role, const char *name)
{
    CHECK (self->nodes_count < SIM_NODES_MAX);
    sim_node_t *node = mem_zero (1, sizeof *node);
    node->sim = self;
    node->number = self->nodes_count;
    node->role = role;
    snprintf (node->name, sizeof node->name, "%s", name);
    snprintf (node->endpoint, sizeof node->endpoint, "sim://%s", name);
    node->mount = sim_disk_mount (self->disk);
    node->fs = sim_fs_new (self, node->mount);
    node->doomed_at = SIM_DISK_NEVER;
    node->boot = (int64_t)sim_chosen (self, 1, 1000) * TIME_SECOND;
    node->skew = some_offset (self, (uint64_t)self->setup.knobs.skew);
    node->drift = some_offset (self, self->setup.knobs.drift);
    node->boot_drift = some_offset (self, self->setup.knobs.boot_drift);
    random_seed (&node->random, random_next (&self->random));
    env_init_node (node);
    self->nodes[self->nodes_count++] = node;
    return node;
}

sim_node_t *sim_client_node (sim_t *self, const char *name,
                             void (*receive) (void *arg, const peer_t *from, const void *data,
                                              size_t size),
                             void *arg)
{
    sim_node_t *node = add_node (self, ROLE_CLIENT, name);
    node->receive = receive;
    node->arg = arg;
    node->core = node; /* it is up */
    return node;
}

/* The disk is the same for all, but it fails only for whom it is to fail. */
static void disk_faults_for (sim_t *self, const sim_node_t *node)
{
    static const sim_disk_faults_t none = { 0 };
    self->disk_user = node;
    sim_disk_set_faults (self->disk,
                         node && node->faulty ? &self->setup.knobs.disk_faults[node->role] : &none);
}

void sim_disk_calm (sim_t *self, bool calm)
{
    static const sim_disk_faults_t none = { 0 };
    sim_disk_hide (self->disk, calm);
    if (calm)
        sim_disk_set_faults (self->disk, &none);
    else
        disk_faults_for (self, self->disk_user);
}

bool process_is_doomed (const sim_node_t *self)
{
    return self->dying || sim_disk_calls (self->mount) > self->doomed_at;
}

void process_crash (sim_node_t *self)
{
    if (!self->core)
        return;
    sim_log (self->sim, "%s: crashes", self->name);
    self->dying = true;
    sim_disk_fail_after (self->mount, 0);
    process_core_destroy (self);
    self->core = NULL;
    jobs_discard (self);
    self->dying = false;
    self->doomed_at = SIM_DISK_NEVER;
    self->incarnation++;
    self->tick_at = INT64_MAX;
    sim_disk_fail_after (self->mount, SIM_DISK_NEVER);
    uint8_t what = 1;
    sim_trace_add (self->sim, &what, 1);
}

static void start_call (sim_t *sim, void *arg)
{
    (void)sim;
    process_start (arg);
}

void process_start (sim_node_t *self)
{
    if (self->core)
        return;
    sim_log (self->sim, "%s: starts", self->name);
    self->paused_until = 0;
    self->tick_at = INT64_MAX;
    disk_faults_for (self->sim, self);
    bool started = process_core_new (self);
    disk_faults_for (self->sim, NULL);
    if (started) {
        process_tick_within (self, 0);
        return;
    }
    process_crash (self);
    sim_at (self->sim, self->sim->now + TIME_SECOND, start_call, self);
}

/* Something was done by the node: it may have died of it. */
static void after_call (sim_node_t *self)
{
    disk_faults_for (self->sim, NULL);
    if (!process_is_doomed (self))
        return;
    process_crash (self);
    sim_at (self->sim, self->sim->now + (int64_t)sim_chosen (self->sim, 1, 4000) * TIME_MS,
            start_call, self);
}

int64_t process_slowness (sim_node_t *self)
{
    if (self->slow_until <= self->sim->now)
        return 0;
    return (int64_t)sim_chosen (self->sim, 5, 800) * TIME_MS;
}

typedef struct tick {
    sim_node_t *node;
    int64_t at;
} tick_t;

static void tick_call (sim_t *sim, void *arg)
{
    tick_t tick = *(tick_t *)arg;
    mem_free (arg);
    sim_node_t *node = tick.node;
    if (!node->core || node->tick_at != tick.at)
        return;
    node->tick_at = INT64_MAX;
    if (node->paused_until > sim->now) {
        process_tick_within (node, node->paused_until - sim->now);
        return;
    }
    disk_faults_for (sim, node);
    int64_t next = process_core_tick (node) - node->env.boot_us (&node->env);
    after_call (node);
    /* an event loop sleeps for a while, whatever the core says */
    if (node->core && next < TIME_HOUR)
        process_tick_within (node, (next < TIME_MS ? TIME_MS : next) + process_slowness (node));
}

void process_tick_within (sim_node_t *self, int64_t after)
{
    int64_t at = self->sim->now + after;
    if (self->role == ROLE_CLIENT || at >= self->tick_at)
        return;
    self->tick_at = at;
    tick_t *tick = mem_alloc (sizeof *tick);
    *tick = (tick_t){ self, at };
    sim_at (self->sim, at, tick_call, tick);
}

void process_receive (sim_node_t *self, const peer_t *from, const void *data, size_t size)
{
    CHECK (self->core != NULL);
    if (self->role == ROLE_CLIENT) {
        self->receive (self->arg, from, data, size);
        return;
    }
    disk_faults_for (self->sim, self);
    process_core_receive (self, from, data, size);
    after_call (self);
    if (self->core)
        process_tick_within (self, (int64_t)sim_chosen (self->sim, 0, 300));
}

void process_job_done (sim_node_t *self, job_t *job)
{
    disk_faults_for (self->sim, self);
    process_core_job_done (self, job);
    after_call (self);
    if (self->core)
        process_tick_within (self, (int64_t)sim_chosen (self->sim, 0, 300));
}

bool process_run_job (sim_node_t *self, job_t *job)
{
    disk_faults_for (self->sim, self);
    job->run (job);
    after_call (self);
    return self->core != NULL;
}

/* ---- all at once ---- */

void sim_power_cut (sim_t *self, random_t *random)
{
    sim_log (self, "power cut");
    for (size_t i = 0; i < self->nodes_count; i++)
        if (self->nodes[i]->role != ROLE_CLIENT)
            process_crash (self->nodes[i]);
    sim_disk_crash (self->disk, random);
    for (size_t i = 0; i < self->nodes_count; i++) {
        sim_node_t *node = self->nodes[i];
        if (node->role == ROLE_CLIENT)
            continue;
        node->boot = (int64_t)sim_chosen (self, 1, 60) * TIME_SECOND - self->now;
        sim_at (self, self->now + (int64_t)sim_chosen (self, 100, 5000) * TIME_MS, start_call,
                node);
    }
}

bool sim_healed (const sim_t *self)
{
    return self->healed;
}

void sim_heal (sim_t *self)
{
    sim_log (self, "no more faults");
    self->healed = true;
    net_heal (self->net);
    sim_disk_mend (self->disk);
    for (size_t i = 0; i < self->nodes_count; i++) {
        sim_node_t *node = self->nodes[i];
        node->faulty = false;
        node->paused_until = 0;
        node->slow_until = 0;
        if (node->role == ROLE_CLIENT)
            continue;
        if (node->core && node->doomed_at != SIM_DISK_NEVER) {
            node->doomed_at = SIM_DISK_NEVER;
            sim_disk_fail_after (node->mount, SIM_DISK_NEVER);
        }
        process_start (node);
    }
}

/* ---- a run ---- */

static void add_nodes (sim_t *self)
{
    static const char *const names[ROLES] = { "coordinator", "speed", "batch", "serving", "" };
    for (sim_role_t role = 0; role < ROLE_CLIENT; role++)
        for (unsigned i = 0; i < self->setup.knobs.nodes[role]; i++) {
            char name[32];
            snprintf (name, sizeof name, "%s%u", names[role], i + 1);
            sim_node_t *node = add_node (self, role, name);
            sim_at (self, (int64_t)sim_chosen (self, 0, 500) * TIME_MS, start_call, node);
        }
}

sim_t *sim_new (const sim_setup_t *setup)
{
    sim_t *self = mem_zero (1, sizeof *self);
    self->setup = *setup;
    /* not the generator that chose the knobs: a run whose knobs were set goes on as far as it can
     */
    random_seed (&self->random,
                 setup->seed ^ (setup->knobs.salt + 1) * UINT64_C (0x9e3779b97f4a7c15));
    self->disk = sim_disk_new (random_next (&self->random), 0);
    self->net = net_new (self);
    add_nodes (self);
    self->check = check_new (self);
    self->clients = clients_new (self);
    faults_start (self);
    return self;
}

void sim_step (sim_t *self)
{
    if (self->events_count == 0 || self->events[0].time > RUN_MAX) {
        sim_fail (self, "the run does not come to its end: %s", clients_waiting (self->clients));
        return;
    }
    event_t event = take_next (self);
    self->now = event.time;
    event.call (self, event.arg);
}

bool sim_run (sim_t *self)
{
    while (!self->finished && !sim_failed (self))
        sim_step (self);
    return !sim_failed (self);
}

void sim_destroy (sim_t **self_p)
{
    sim_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->nodes_count; i++)
        if (self->nodes[i]->role != ROLE_CLIENT)
            process_crash (self->nodes[i]);
    self->finished = true;
    /* what is in the queue still owns its argument: each gives it back when it finds nobody */
    while (self->events_count > 0) {
        event_t event = take_next (self);
        if (event.call != start_call)
            event.call (self, event.arg);
    }
    clients_destroy (&self->clients);
    check_destroy (&self->check);
    CHECK (sim_disk_open_files (self->disk) == 0);
    for (size_t i = 0; i < self->nodes_count; i++) {
        sim_fs_destroy (&self->nodes[i]->fs);
        mem_free (self->nodes[i]);
    }
    net_destroy (&self->net);
    sim_disk_destroy (&self->disk);
    mem_free (self->events);
    mem_free (self->struck);
    mem_free (self);
}

bool sim_finished (const sim_t *self)
{
    return self->finished;
}
