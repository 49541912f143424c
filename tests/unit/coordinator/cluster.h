/* cluster.h - a coordinator on a simulated clock, network and disk, with nodes that are played:
 * they follow orders as docs/coordination.md says and do no work. */
#ifndef WEIR_TESTS_COORDINATOR_CLUSTER_H
#define WEIR_TESTS_COORDINATOR_CLUSTER_H

#include "base/timestamp.h"
#include "coordinator/core.h"
#include "tests/rig/env.h"
#include "tests/sim/disk/disk.h"
#include "wire/wire.h"

enum { PARTITIONS = 4, ACTORS_MAX = 12, LOGS_PLAYED = 4, CONTROLS_PLAYED = 64, TASKS_PLAYED = 64 };

#define LEASE (600 * TIME_MS)
/* What a lease lasts, by the coordinator's clock, at a node whose own runs 1 % slower: the most
 * that docs/coordination.md allows. */
#define LEASE_HELD(us) ((us) + (us) / 100)
#define STEP           TIME_MS

typedef struct played_control {
    char id[64];
    uint64_t offset;
    int64_t clock;
} played_control_t;

/* A log of a partition, as it is on the disk: whoever owns it next finds it. */
typedef struct played_log {
    char name[128];
    uint64_t end;
    uint64_t epoch; /* the highest that has opened it */
    played_control_t controls[CONTROLS_PLAYED];
    size_t controls_count;
} played_log_t;

typedef struct played_partition {
    bool held;
    uint64_t epoch;
    uint64_t base[LOGS_PLAYED]; /* of each log, as last ordered */
    bool listed[LOGS_PLAYED];   /* in the latest orders */
    int64_t opened;             /* boot µs; it serves a little later */
    bool failed;
} played_partition_t;

typedef struct played_task {
    uint64_t task;
    uint64_t attempt;
    bool urgent;
    bool load;
    bool verify;
    bool train;
    bool skew;
    uint64_t rows; /* of a part of a training set */
    char log[128]; /* or the stream of a load */
    char name[64]; /* of what answers are looked at … */
    char training[128];
    int64_t since;
    size_t parts;
    uint64_t manifest; /* … and of the log of its parts */
    uint64_t removed;
    size_t loads; /* in all parts */
    uint32_t partition;
    uint64_t from;
    uint64_t cut;
    size_t runs;
    size_t excluded;
    size_t forgets;
    char logs[LOGS_PLAYED][128]; /* of a load */
    size_t logs_count;
    size_t history; /* parts of it, of a load that is a history */
    bool listed;    /* in the latest orders */
    bool done;      /* task.done was sent */
    bool spoilt;    /* it reads what is damaged */
} played_task_t;

typedef struct actor {
    const char *name;
    const char *kind;
    char endpoint[64];
    bool there;   /* the process exists */
    bool cut_off; /* no message comes or goes */
    uint64_t incarnation;
    uint64_t mark; /* of the latest poke */
    uint64_t next_id;
    uint64_t orders_id;
    uint64_t term;
    int64_t sent[16]; /* of beats, by id */
    int64_t next_beat;
    int64_t lease_until;
    uint64_t definitions; /* in the orders */
    uint64_t routes;
    /* speed */
    played_partition_t partitions[PARTITIONS];
    bool fail_to_open;
    bool rebuilds;              /* its views are those of definitions 1, whatever it has got */
    bool keeps_back;            /* forwards nothing to logs of other keys */
    uint64_t marks[PARTITIONS]; /* in the orders for the latest log that has any */
    uint64_t memory;
    uint64_t memory_limit;
    /* batch */
    played_task_t tasks[TASKS_PLAYED];
    size_t tasks_count;
    bool lazy;          /* finishes no tasks */
    bool keeps_folds;   /* finishes no folds: builds without anything new */
    bool keeps_trains;  /* nor parts of training sets */
    bool keeps_skews;   /* nor looks at answers */
    bool tells_nothing; /* of the answers that it looked at */
    const char *report; /* of a look; NULL: an empty one */
    uint64_t compared;
    uint64_t mismatches;
    uint64_t late;
    size_t alerts;          /* how many there are */
    bool stubborn;          /* runs tasks on that orders do not list */
    bool forgetful;         /* does not list them */
    const char *fails_with; /* status of task.done; NULL: ok */
    /* serving */
    char dataset_log[LOGS_PLAYED][128];
    uint64_t datasets[LOGS_PLAYED];
    uint64_t wanted[LOGS_PLAYED];
    bool filling[LOGS_PLAYED];
    size_t datasets_count;
    bool skew_told; /* in the orders */
    uint64_t skew_mismatches;
    uint64_t skew_alerts;
    bool has_sample;   /* keeps answers … */
    bool sample_stale; /* … and has still to remove what it has of an erased entity */
    bool stays;        /* takes no newer manifest */
    bool damaged;      /* finds a view of whichever manifest damaged */
} actor_t;

/* Another coordinator on the same catalog, with a boot clock of its own. */
typedef struct played_second {
    rig_env_t rig;
    coordinator_core_t *core; /* NULL: there is none */
    coordinator_options_t options;
    int64_t next_tick;
    bool stopped;
} played_second_t;

typedef struct cluster {
    rig_env_t rig;
    sim_disk_t *disk;
    coordinator_core_t *core;
    coordinator_options_t options;
    bool stopped; /* the coordinator's process is: what is sent to it then is lost */
    played_second_t second;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    actor_t actors[ACTORS_MAX];
    size_t actors_count;
    played_log_t logs[PARTITIONS][LOGS_PLAYED];
    int64_t next_tick;
    uint64_t incarnations;
    bool keeps_segments;    /* owners trim nothing */
    bool places_no_forgets; /* owners write no record of an entity that is to be erased */
    char damaged[256];      /* path of a run that cannot be read; "" */
    bool damaged_logs[PARTITIONS];
    uint64_t left; /* rows that a look for an erased entity finds */
    double loss;   /* of messages, each way */
    random_t random;
    rig_message_t *reply; /* that the latest answer borrows from */
    const peer_t *caller; /* who waits for it, while it is asked for */
    uint64_t next_id;
} cluster_t;

void cluster_init (cluster_t *self, uint64_t seed, int64_t recompute_every);
void cluster_release (cluster_t *self);
/* The coordinator's process ends (and its disk loses what was not synced), and starts again. */
void cluster_restart (cluster_t *self);
/* A second coordinator starts; nodes beat to both from now on. */
void cluster_add_second (cluster_t *self);
/* The process of the second one, or (false) of the first, dies. */
void cluster_end (cluster_t *self, bool second);

/* A node that starts; its kind is "speed", "batch" or "serving". */
actor_t *cluster_add (cluster_t *self, const char *name, const char *kind);
/* The process is started anew. */
void actor_restart (cluster_t *self, actor_t *actor);

/* Lets time go by, all playing their part; checks all the while that nobody else owns what a node
 * may still think that it owns. */
void cluster_run (cluster_t *self, int64_t time_us);
/* Runs until `condition` holds; fails after `most` µs. Returns the µs that it took. */
int64_t cluster_until (cluster_t *self, bool (*condition) (cluster_t *self), int64_t most,
                       const char *what);

/* Asks as a client and returns the reply, which is valid until the next call. */
wire_writer_t *call_begin (cluster_t *self, message_kind_t kind);
message_t call_end (cluster_t *self);
/* The same for a node's message, given whole. */
message_t call_as (cluster_t *self, const char *peer);

/* Applies one file of definitions, which must be right; the version. */
uint64_t cluster_apply (cluster_t *self, const char *text);
/* Asks for a recompute of all logs; the first id. */
uint64_t cluster_recompute (cluster_t *self);
uint64_t cluster_recompute_full (cluster_t *self);
/* State of a recompute ("" when there is none). */
const char *cluster_recompute_state (cluster_t *self, uint64_t id);
const char *cluster_load_state (cluster_t *self, const char *id);
/* A field of the first log's partition in the status. */
uint64_t cluster_log_number (cluster_t *self, uint32_t partition, const char *field);
/* The first log's manifest. */
uint64_t cluster_manifest (cluster_t *self);
/* Events of that number come into every partition of the first log. */
void cluster_send (cluster_t *self, uint64_t events);
/* Puts a file where a client puts its copy and asks for its load, which must be accepted; its id.
 */
const char *cluster_load (cluster_t *self, char digit);

/* How many partitions it holds and serves with a good lease. */
size_t actor_serves (const cluster_t *self, const actor_t *actor);

extern const char *const payments_definitions;
#define PAYMENTS "payments/user_id"

#endif
