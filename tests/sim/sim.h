/* sim.h - a whole cluster in one process, on simulated time, network and disk.
 *
 * A sim_t is one run of one seed: the real cores as nodes, clients beside them, a queue of events
 * in the order of simulated time, and what goes wrong. Nothing in it looks at a real clock or at
 * real randomness, so a seed gives the same run every time (sim_trace says which). */
#ifndef WEIR_SIM_SIM_H
#define WEIR_SIM_SIM_H

#include "base/env.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "tests/sim/disk/disk.h"
#include "tests/sim/knobs.h"
#include "wire/wire.h"

typedef struct sim sim_t;
typedef struct sim_node sim_node_t;
typedef struct sim_check sim_check_t;

enum {
    SIM_NODES_MAX = 32,
    SIM_PARTITIONS = 4,
    SIM_CLUSTER_ID = 7,
};

#define SIM_CLUSTER   "sim"
#define SIM_MAX_AHEAD (5 * TIME_MINUTE)
enum { SIM_BATCH_LANES = 2 };      /* of a batch worker; the next one is for folds */
#define SIM_DISK_RESERVE (1 << 16) /* bytes of a disk that has as much as it wants */

/* Simulated wall time at simulated instant 0: 2026-01-02T03:04:05Z. */
#define SIM_WALL_START INT64_C (1767323045000000)

/* One strike of a fault: the so many-th of its kind, from 0. When it strikes and what it does is in
 * its seed alone, so it stays the same when others are left out. */
typedef struct sim_strike_id {
    sim_strike_t kind;
    uint32_t number;
} sim_strike_id_t;

enum { SIM_STRIKES_MAX = 4096 };

typedef struct sim_strike_list {
    sim_strike_id_t *items; /* the owner's */
    size_t count;
} sim_strike_list_t;

/* What a run is made from. */
typedef struct sim_setup {
    uint64_t seed;
    sim_knobs_t knobs;
    const sim_strike_list_t *only; /* the strikes that happen; NULL: all */
    bool verbose;
} sim_setup_t;

/* ---- world.c: time, nodes ---- */

/* The setup is copied, but for `only`, which must outlive the run. */
sim_t *sim_new (const sim_setup_t *setup);
void sim_destroy (sim_t **self_p);

/* Runs until the end; false when a check failed (sim_failure says how). */
bool sim_run (sim_t *self);
const char *sim_failure (const sim_t *self);
/* The failure without what differs from run to run: its format. Static storage. */
const char *sim_failure_kind (const sim_t *self);
/* The strikes that happened, in order. Borrowed. */
sim_strike_list_t sim_struck (const sim_t *self);
/* A hash of everything that happened. */
uint64_t sim_trace (const sim_t *self);

/* A check failed: what is said first counts, and ends the run. */
void sim_fail (sim_t *self, const char *format, ...) PRINTF_LIKE (2, 3);
bool sim_failed (const sim_t *self);
void sim_log (sim_t *self, const char *format, ...) PRINTF_LIKE (2, 3); /* when verbose */

/* The end was reached: everything that had to hold did. */
void sim_finish (sim_t *self);

int64_t sim_now (const sim_t *self);  /* µs since the start */
int64_t sim_wall (const sim_t *self); /* the true wall time */
random_t *sim_random (sim_t *self);
const sim_knobs_t *sim_knobs (const sim_t *self);
const sim_setup_t *sim_setup (const sim_t *self);
bool sim_has_bad_disks (const sim_t *self); /* at times: then jobs may fail for good */
sim_disk_t *sim_disk (sim_t *self);
sim_check_t *sim_check (sim_t *self);
uint64_t sim_chosen (sim_t *self, uint64_t least, uint64_t most); /* both included */
bool sim_chance (sim_t *self, double chance);

/* Calls `call` at that time; `arg` is the caller's. */
void sim_at (sim_t *self, int64_t time, void (*call) (sim_t *sim, void *arg), void *arg);

/* Faults stop, what is down comes up, what is cut off is joined again. */
void sim_heal (sim_t *self);
bool sim_healed (const sim_t *self);

/* Nodes of a role, and one of them. */
size_t sim_count (const sim_t *self, sim_role_t role);
sim_node_t *sim_node (const sim_t *self, sim_role_t role, size_t index);
sim_node_t *sim_node_at (const sim_t *self, size_t number); /* of all; NULL past the end */
sim_node_t *sim_node_of (const sim_t *self, const char *endpoint);

/* A client: messages for it go to `receive`. Never crashes. */
sim_node_t *sim_client_node (sim_t *self, const char *name,
                             void (*receive) (void *arg, const peer_t *from, const void *data,
                                              size_t size),
                             void *arg);

/* ---- a node ---- */

/* A job that was submitted. */
typedef struct sim_job {
    job_t *job;
    struct sim_job *next;
    bool started;
    bool at_end; /* run() is called when it ends, not when it starts */
    bool ran;
} sim_job_t;

struct sim_node {
    env_t env; /* first */
    sim_t *sim;
    size_t number;
    sim_role_t role;
    char name[32];
    char endpoint[48];
    void *core; /* NULL while down */
    uint64_t incarnation;
    fs_t *mount;
    struct sim_fs *fs; /* over the mount */
    random_t random;
    int64_t skew;         /* of its wall clock */
    int64_t drift;        /* of it, µs a second */
    int64_t boot;         /* its boot clock at simulated instant 0 */
    int64_t boot_drift;   /* of it, µs a second */
    int64_t slow_until;   /* all that it does takes long */
    int64_t paused_until; /* SIGSTOP */
    int64_t tick_at;      /* of the tick in the queue that counts */
    uint64_t doomed_at;   /* calls of its mount at which it dies; SIM_DISK_NEVER */
    bool dying;           /* it may say nothing any more */
    bool faulty;          /* the disk fails for it just now */
    sim_job_t *jobs;
    void (*receive) (void *arg, const peer_t *from, const void *data, size_t size);
    void *arg;
};

/* Has it made its last call? What it does from then on never happened. */
bool process_is_doomed (const sim_node_t *self);

/* cores.c: which core a node runs. False when it could not start (the coordinator's disk). */
bool process_core_new (sim_node_t *self);
void process_core_destroy (sim_node_t *self);
void process_core_receive (sim_node_t *self, const peer_t *from, const void *data, size_t size);
void process_core_job_done (sim_node_t *self, job_t *job);
int64_t process_core_tick (sim_node_t *self);

void process_start (sim_node_t *self);
/* kill -9: what it wrote stays, what it knew is gone. */
void process_crash (sim_node_t *self);
void process_receive (sim_node_t *self, const peer_t *from, const void *data, size_t size);
/* A tick is due `after` µs from now at the latest. */
void process_tick_within (sim_node_t *self, int64_t after);

/* What has to be added to the time that something of this node takes, while it is slow. */
int64_t process_slowness (sim_node_t *self);

/* ---- env.c: what a node may ask of the world; jobs ---- */

void env_init_node (sim_node_t *self);
/* All jobs back by discard; the core is gone. */
void jobs_discard (sim_node_t *self);

/* A filesystem over the node's mount that tells the checker before a log is trimmed. */
struct sim_fs *sim_fs_new (sim_t *sim, fs_t *below);
void sim_fs_destroy (struct sim_fs **self_p);
fs_t *sim_fs_of (struct sim_fs *self);

/* ---- net.c: messages on their way ---- */

typedef struct sim_net sim_net_t;

sim_net_t *net_new (sim_t *sim);
void net_destroy (sim_net_t **self_p);
void net_send (sim_net_t *self, sim_node_t *from, const peer_t *to, const void *data, size_t size);
/* Nothing passes between the two (one way only, when `one_way`) until `until`. */
void net_cut (sim_net_t *self, const sim_node_t *from, const sim_node_t *to, bool one_way,
              int64_t until);
/* Messages from one to the other take up to `by` longer until then. */
void net_slow (sim_net_t *self, const sim_node_t *from, const sim_node_t *to, int64_t by,
               int64_t until);
void net_heal (sim_net_t *self);
sim_net_t *sim_net (sim_t *self);

/* Adds to the trace. */
void sim_trace_add (sim_t *self, const void *data, size_t size);

/* ---- faults.c, rot.c ---- */
void faults_start (sim_t *self);
/* Notes that a fault strikes now. */
void sim_strike_note (sim_t *self, sim_strike_id_t strike);
/* Inverts one bit of a file that the cluster must be able to tell is damaged. */
void rot_somewhere (sim_t *self, random_t *random);

/* ---- leaders.c: several coordinators ---- */
/* Stops one of them for so long that another takes over, or nearly. */
void leaders_stop (sim_t *self, random_t *random);
/* Any of them but `not_this`, if there is another. */
const sim_node_t *leaders_any (sim_t *self, const sim_node_t *not_this);

#endif
