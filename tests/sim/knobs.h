/* knobs.h - what a run is like: what goes wrong in it, how often, and what its users do.
 *
 * Swarm testing (Groce and others 2012): each seed turns on its own kinds of faults, because a run
 * with everything at once hides what a run with two things shows. All knobs stand in one table, by
 * name: so that a run can be shown, and can be made smaller one knob at a time. */
#ifndef WEIR_SIM_KNOBS_H
#define WEIR_SIM_KNOBS_H

#include "base/random.h"
#include "base/status.h"
#include "tests/sim/disk/disk.h"

#include <stdio.h>

typedef enum sim_role {
    ROLE_COORDINATOR,
    ROLE_SPEED,
    ROLE_BATCH,
    ROLE_SERVING,
    ROLE_CLIENT,
    ROLES
} sim_role_t;

/* Faults that strike again and again: word, what a strike does. */
#define SIM_STRIKES(X)                                                                             \
    X (CRASH_COORDINATOR, "crash-coordinator", "a coordinator dies, also inside what it writes")   \
    X (CRASH_SPEED, "crash-speed", "a speed worker dies")                                          \
    X (CRASH_BATCH, "crash-batch", "a batch worker dies")                                          \
    X (CRASH_SERVING, "crash-serving", "a serving node dies")                                      \
    X (PAUSE, "pause", "a process is stopped, for up to three leases")                             \
    X (STOP_COORDINATOR, "stop-coordinator", "a coordinator is stopped, for about a lease")        \
    X (CUT, "cut", "nothing passes between two nodes, or one way only")                            \
    X (POWER_CUT, "power-cut", "all die at once, and unsynced writes are torn")                    \
    X (CLOCK_JUMP, "clock-jump", "a wall clock is set")                                            \
    X (BAD_DISK, "bad-disk", "a node's disk begins to fail, or is well again")                     \
    X (DISK_FULL, "disk-full", "the disk has no room any more, for a while")                       \
    X (ROT, "rot", "a bit of a log, a run or a view is inverted, until faults stop")               \
    X (SLOW_NODE, "slow-node", "all that a node does takes long, for a while")                     \
    X (SLOW_LINK, "slow-link", "messages from one node to another take long, for a while")         \
    X (SPLIT, "split", "nothing passes between two halves of the nodes, for a while")

typedef enum sim_strike {
#define SIM_STRIKE_ENUM(name, word, is) STRIKE_##name,
    SIM_STRIKES (SIM_STRIKE_ENUM)
#undef SIM_STRIKE_ENUM
        STRIKES
} sim_strike_t;

enum {
    SIM_NODES_OF_ROLE_MAX = 4,
    SIM_PRODUCERS_MAX = 4,
    SIM_BOOT_DRIFT_MAX = 4500, /* µs a second: two clocks differ by less than the 1 % of a lease
                                  that docs/coordination.md allows for */
};

/* Chances are per message, call or job; times are µs, and 0 is never. */
typedef struct sim_knobs {
    unsigned nodes[ROLES];
    int64_t lease;
    int64_t recompute_every;
    uint64_t fold_least;    /* rows that a recompute may fold itself, whatever is new */
    int64_t active;         /* how long faults and clients go on */
    int64_t every[STRIKES]; /* the mean time between two strikes of a kind */
    double loss;
    double duplicate;
    double slow_message; /* chance of a message that takes up to a few seconds */
    bool reorder;
    double slow_job;
    int64_t slow_batch;  /* that each job of the first batch worker takes, to the end of the run */
    int64_t slow_fold;   /* that folds of layers take at most, in all batch workers */
    int64_t skew;        /* wall clocks are off by up to this */
    unsigned drift;      /* wall clocks go wrong by up to so many µs a second */
    unsigned boot_drift; /* and boot clocks, within what leases stand */
    sim_disk_faults_t disk_faults[ROLES]; /* while a node's disk is bad */
    uint64_t segment_size;
    uint64_t memory_limit; /* of a speed worker */
    uint32_t slow_max;
    bool calm; /* nothing goes wrong: then nothing may be refused either */
    unsigned producers;
    int64_t send_every;
    int64_t forgetful; /* producers end so often, and go on with less than was acknowledged */
    bool ahead;        /* the first producer sends ahead of the window */
    bool untrue;       /* the last one says that batches are acknowledged that are not */
    bool wild_floats;
    bool loads;
    bool unloads;
    unsigned forgets; /* entities that are erased at a time */
    bool trains;      /* training sets are made */
    bool second_apply;
    bool evolves;  /* streams and views change on the way */
    bool watch;    /* serving nodes keep answers, which are computed again */
    uint64_t salt; /* another run of the same knobs */
} sim_knobs_t;

/* Those of a seed; with `all`, every kind of fault is on. `active` as above. */
void knobs_choose (sim_knobs_t *self, uint64_t seed, bool all, int64_t active);

/* "NAME=VALUE": a number, a time with a unit ("250ms", "3s"), `on` or `off`. INVALID with what is
 * wrong; then nothing has changed. "faults=off" is for all kinds of faults. */
status_t knobs_set (sim_knobs_t *self, const char *text, error_t *error);

/* The knobs by place, NULL past the last: their names, whether they make a fault, whether they are
 * on. The value as knobs_set takes it goes to `value`. */
const char *knobs_name (size_t place);
bool knobs_is_fault (size_t place);
bool knobs_is_on (const sim_knobs_t *self, size_t place);
void knobs_value (const sim_knobs_t *self, size_t place, char value[32]);

/* All that are on, with what they are, as a table. */
void knobs_print (const sim_knobs_t *self, FILE *out);

const char *strike_word (sim_strike_t strike);
/* STRIKES when there is none of the name of that length. */
sim_strike_t strike_of (const char *word, size_t size);

#endif
