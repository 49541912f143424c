/* state.h - the inside of the coordinator's core, for its own files only.
 *
 * Memory follows the catalog: what must last is written there first, and only then acted upon or
 * answered. core_restore makes all of it again from the catalog. */
#ifndef WEIR_COORDINATOR_STATE_H
#define WEIR_COORDINATOR_STATE_H

#include "base/check.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "catalog/catalog.h"
#include "coordinator/leadership.h"
#include "coordinator/loads.h"
#include "coordinator/logs.h"
#include "coordinator/recomputes.h"
#include "coordinator/tasks.h"
#include "feature/keyed_log.h"
#include "wire/wire.h"

#include <inttypes.h>

enum {
    COORDINATOR_MAGIC = 0x434f4f52,
    NODES_MAX = 1024,
    RETIRED_KEPT = 8,         /* incarnations of a node that are known to be over */
    TASKS_PER_NODE = 4,       /* given to a batch worker at the same time */
    TASK_FAILURES_MAX = 5,    /* of a kind that may pass; then the task has failed */
    TASK_MISSING_MAX = 2,     /* beats without a task that its worker had listed */
    FINISHED_KEPT = 100,      /* finished recomputes that are told */
    LOADS_MAX = 10000,        /* remembered; more are refused */
    LOADS_TOLD_MAX = 1000,    /* in one message, the newest */
    PINS_MAX = 4,             /* backups at the same time */
    DAMAGES_MAX = 1000,       /* files of a serving node that are remembered as damaged */
    TEXTS_MAX = 8 << 20,      /* bytes of all definitions' texts */
    TASK_BLOCK = 1024,        /* numbers of tasks that one number of the catalog stands for */
    LEASE_DRIFT_PART = 64,    /* of a lease: what it is held for granted beyond its end */
    MEMORY_HIGH_PERCENT = 80, /* of a speed worker's limit, from which on a recompute is early */
    REPLAY_EVENTS =
        4000000,    /* that a speed worker would have to replay, seconds of work: likewise */
    DELTAS_MAX = 8, /* above a base */
};

#define RELOAD_INTERVAL (500 * TIME_MS) /* between tries after the catalog failed */
#define RETRY_FIRST     (100 * TIME_MS) /* of what failed; doubles */
#define RETRY_NO_SPACE                                                                             \
    (2 * TIME_SECOND) /* of what a full disk keeps waiting, for as long as it is */
#define RETRY_LAST     (10 * TIME_SECOND)
#define AVOID_TIME     (10 * TIME_SECOND) /* a worker where a partition failed gets no more */
#define BACKOFF_LAST   TIME_HOUR          /* of recomputes that fail */
#define FORGET_NODES   (10 * TIME_MINUTE) /* after their lease has ended */
#define EARLY_INTERVAL (5 * TIME_SECOND)  /* at least, between recomputes before their time */

/* ---- nodes ---- */

typedef enum role { ROLE_SPEED, ROLE_BATCH, ROLE_SERVING, ROLE_COORDINATOR } role_t;

typedef struct dataset_held {
    char *log;
    uint64_t manifest;
} dataset_held_t;

/* A file that a serving node found damaged, and does not use. */
typedef struct damage {
    char *log;
    uint64_t manifest;
    uint32_t partition;
    bool view; /* else a run */
    char *path;
    char *reason;
} damage_t;

typedef struct node {
    char *name;
    role_t role;
    char *endpoint; /* "" */
    uint64_t incarnation;
    uint64_t mark;      /* in pokes to this incarnation: a beat that has it is no old message */
    bool proven;        /* one has come */
    uint64_t beat_id;   /* of the latest; older ones that come late are dropped */
    uint64_t candidate; /* another incarnation that has beaten once, 0 none */
    uint64_t candidate_id;
    uint64_t candidate_mark; /* in the pokes that it is sent */
    uint64_t retired[RETIRED_KEPT];
    size_t retired_next;
    peer_t peer;         /* where its latest beat came from */
    int64_t lease_until; /* by core_heard */
    int64_t avoid_until; /* boot µs: a partition failed there lately */
    uint64_t definitions;
    dataset_held_t *datasets;
    size_t datasets_count;
    damage_t *damages;
    size_t damages_count;
    bool samples;      /* it keeps answers, and removes what it has of who is erased … */
    bool stale_sample; /* … which it has not yet */
    size_t given_up;   /* a batch worker's attempts that nobody waits for, and that it still runs */
    uint64_t memory;   /* of a speed worker's timelines */
    uint64_t memory_limit;
    bool poke;
} node_t;

/* ---- partitions ---- */

typedef enum held_state { HELD_UNKNOWN, HELD_OPENING, HELD_SERVING, HELD_FAILED } held_state_t;

/* What the owner reports of one log of a partition. */
typedef struct held_log {
    char *log;
    uint64_t start;
    uint64_t end;
    uint64_t events;
    uint64_t memory;
    uint64_t keys;        /* in real-time views; one that is in two epochs counts twice */
    uint64_t kept;        /* the first offset that is in files; 0: it does not say */
    uint64_t definitions; /* whose views it holds; 0: it does not say */
    uint64_t *controls;   /* offsets of control records */
    size_t controls_count;
} held_log_t;

typedef struct partition {
    uint32_t number;
    uint64_t epoch;
    char *node; /* "" for nobody */
    uint64_t incarnation;
    char *endpoint;
    int64_t leased_until; /* boot µs: the owner may act until then */
    bool reported;        /* the owner has told of it under this epoch */
    bool releasing;       /* not listed any more; waits until it is given up */
    bool free;            /* given up: may be given at once */
    bool unsure;          /* the catalog failed while it was being given to somebody */
    held_state_t state;
    char *reason;
    unsigned failures;
    int64_t retry_at; /* boot µs */
    held_log_t *logs;
    size_t logs_count;
} partition_t;

/* ---- backups ---- */

/* A backup that is being taken. */
typedef struct pin {
    uint64_t id;
    int64_t until; /* boot µs: unless it is renewed */
    char *catalog; /* path of the copy */
} pin_t;

struct coordinator_core {
    uint32_t magic;
    env_t *env;
    coordinator_options_t options; /* strings owned */
    uint64_t incarnation;
    leadership_t lead;
    int64_t heard;    /* µs in which beats could be heard */
    int64_t heard_at; /* boot µs up to which that was counted */
    int64_t promised; /* boot µs: until then, what was told before this start may stand */
    catalog_t *catalog;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
    uint64_t messages_refused;

    bool doubtful;     /* the catalog failed: memory may be behind it */
    bool fenced;       /* another coordinator has taken over: steps down with the next settle */
    int64_t reload_at; /* boot µs */
    error_t problem;   /* what the catalog last said */

    arena_t *objects_arena;
    catalog_object_t *objects;
    size_t objects_count;
    uint64_t version;
    definitions_t *definitions;     /* with versions */
    uint64_t (*plans)[SOURCES_MAX]; /* hashes of each view's plans, over each of its sources */

    node_t **nodes;
    size_t nodes_count;
    partition_t *partitions; /* options.partitions */
    uint64_t routes_version;
    log_t **logs;
    size_t logs_count;
    recompute_t **recomputes; /* by id */
    size_t recomputes_count;
    load_t **loads; /* by creation */
    size_t loads_count;
    forget_t **forgets; /* by creation */
    size_t forgets_count;
    training_t **trainings;
    size_t trainings_count;
    task_t **tasks;
    size_t tasks_count;
    pace_t paces[TASK_KINDS];
    uint64_t tasks_copied; /* to a second worker, because the first was slow */
    uint64_t task_block;
    uint32_t task_used;  /* of the block */
    job_t *sweep;        /* under way, or NULL */
    struct skew **skews; /* by creation */
    size_t skews_count;
    uint64_t next_skew;
    pin_t *pins[PINS_MAX]; /* the first pins_count */
    size_t pins_count;
    uint64_t next_pin;
    const char **leftovers; /* copies below incoming/ that are not needed any more; owned */
    size_t leftovers_count;
    bool leftovers_later; /* they could not be removed: with the next sweep of a log again */
};

/* ---- core.c ---- */
int64_t core_now (const coordinator_core_t *self); /* boot µs */
/* How long a lease may last for whoever has it, also when that node's boot clock is slower than
 * ours by 1 % (docs/coordination.md). */
int64_t lease_drifted (int64_t lease);
/* Boot µs at which the lease of a node that is given one now is over. */
int64_t core_lease_end (const coordinator_core_t *self);
/* How long beats could be heard, µs: as boot time, without what this process was stopped or waited
 * for the disk. Leases of nodes are counted by it, so that what was in the queue meanwhile is read
 * before anybody is taken for dead. */
int64_t core_heard (const coordinator_core_t *self);
/* Ends the message in self->writer and sends it, if it is proven at this instant that this
 * coordinator leads; otherwise the asker is told that it does not. */
void core_reply (coordinator_core_t *self, const peer_t *to, uint64_t id);
/* The same, whoever leads: for what decides nothing. */
void core_say (coordinator_core_t *self, const peer_t *to);
void core_reply_error (coordinator_core_t *self, const peer_t *to, uint64_t id,
                       const error_t *error);
/* May something be written now? Otherwise UNAVAILABLE with the reason. */
MUST_CHECK status_t core_writable (coordinator_core_t *self, error_t *error);
/* The catalog failed: nothing more is written until memory was made again from it. Returns the
 * status. */
status_t core_failed (coordinator_core_t *self, const error_t *error);
/* Replaces a string that is owned. */
void core_set (char **string, const char *value);
char *core_text (text_t text); /* owned copy */

/* ---- restore.c ---- */
/* Makes all that follows from the catalog, at the start and after it failed. Nodes, and what they
 * were promised, stay. */
MUST_CHECK status_t core_restore (coordinator_core_t *self, error_t *error);
void core_forget (coordinator_core_t *self);
/* Also nodes and partitions. */
void core_forget_all (coordinator_core_t *self);

/* ---- nodes.c ---- */
void node_beat (coordinator_core_t *self, const peer_t *from, const message_t *message);
bool node_alive (const coordinator_core_t *self, const node_t *node);
/* Has it told of definitions, where there are any? A serving node that just started has none yet.
 */
bool node_informed (const coordinator_core_t *self, const node_t *node);
node_t *node_named (const coordinator_core_t *self, const char *name);
/* The live node of that incarnation, or NULL. */
node_t *node_of (const coordinator_core_t *self, const char *name, uint64_t incarnation);
void nodes_settle (coordinator_core_t *self);
void nodes_poke (coordinator_core_t *self, role_t role);
void nodes_poke_all (coordinator_core_t *self);
void nodes_send_pokes (coordinator_core_t *self);
/* Whoever it is. */
void nodes_poke_peer (coordinator_core_t *self, const peer_t *to, uint64_t mark);
void node_destroy (node_t **self_p);
const char *role_word (role_t role);

/* ---- orders.c ---- */
/* A run of which all rows have that offset, UINT64_MAX: their own. */
void orders_write_run (coordinator_core_t *self, const catalog_run_t *run, uint64_t offset);
/* The fields `runs` and `excluded`, the latter of `part`. */
/* Begins the field `build`, up to its runs. */
void orders_begin_build (coordinator_core_t *self, const char *log, const catalog_part_t *part,
                         uint64_t from);
void orders_write_runs (coordinator_core_t *self, const catalog_run_t *runs, size_t count,
                        const catalog_part_t *part);
void orders_write (coordinator_core_t *self, const node_t *node, uint64_t id);

/* ---- partitions.c ---- */
void partitions_settle (coordinator_core_t *self);
/* What a speed worker reports. */
void partitions_take (coordinator_core_t *self, node_t *node, wire_list_t held);
/* Is the partition in its owner's orders? */
bool partition_listed (const partition_t *self, const node_t *node);
/* Nodes with this name and endpoint and an older incarnation are gone. */
void partitions_give_up (coordinator_core_t *self, const node_t *node);
void partition_release (partition_t *self);
const held_log_t *partition_log (const partition_t *self, const char *log);
void partitions_routes (coordinator_core_t *self, const peer_t *from, uint64_t id);

/* ---- definitions.c ---- */
void definitions_apply (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* Is the object one of what users define, and not retired? */
bool definitions_is_told (const catalog_object_t *object);
void definitions_delete (coordinator_core_t *self, const peer_t *from, const message_t *message);
void definitions_tell (coordinator_core_t *self, const peer_t *from, uint64_t id);
/* Reads the objects of the catalog and compiles them. */
MUST_CHECK status_t definitions_load (coordinator_core_t *self, error_t *error);
void definitions_unload (coordinator_core_t *self);

/* ---- fits.c ---- */
/* A service gets the numbers of its `preprocess`. */
void fit_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);

/* ---- what the catalog has of logs ---- */
/* A log that is not that of its stream's own key has an object of this kind in the catalog from
 * when a view first has the key: it is kept up as long as there is the stream. */
#define KIND_KEY "key"
/* In the catalog's control records: the partition of the primary log has forwarded to the log all
 * that it held when that began. */
#define CONTROL_FORWARDED "forwarded"
/* And: forwarding to the log begins at this offset of the partition of the primary log. */
#define CONTROL_BEGIN "begin"

/* ---- forgets.c ---- */
void forget_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);
void forgets_tell (coordinator_core_t *self, const peer_t *from, const message_t *message);
forget_t *forget_find (const coordinator_core_t *self, text_t id);
void forgets_release (coordinator_core_t *self);
MUST_CHECK status_t forgets_restore (coordinator_core_t *self, arena_t *arena, error_t *error);
/* After the control records, too, are restored. */
void forgets_restored (coordinator_core_t *self);
void forgets_settle (coordinator_core_t *self);

/* ---- forget_order.c ---- */
/* Does the load wait until what was forgotten before it has its place? */
bool forgets_hold_load (const coordinator_core_t *self, const load_t *load);
/* Are entities of the stream being erased? Then no key begins: its history would have them. */
bool forgets_hold_key (const coordinator_core_t *self, const char *stream);
/* In the orders of an owner: the records that the partition has to have. */
void forgets_write_controls (coordinator_core_t *self, const log_t *log, uint32_t partition);
/* Where the record's place is kept, NULL when it is of none; with `waited`, of one that is waited
 * for. */
placed_t *forgets_place (const coordinator_core_t *self, const char *log, uint32_t partition,
                         text_t control, bool waited);
/* Which ones a recompute, whose loads are chosen, erases. */
void forgets_choose (coordinator_core_t *self, recompute_t *recompute, const log_t *log);
void forgets_write_build (coordinator_core_t *self, const recompute_t *recompute,
                          uint32_t partition);
/* Before the publish: what was erased is counted. */
MUST_CHECK status_t forgets_publishing (coordinator_core_t *self, const recompute_t *recompute,
                                        error_t *error);
/* The id of one for which the log has to be recomputed, NULL: of none. */
const char *forgets_reason (const coordinator_core_t *self, const log_t *log);
/* Does a manifest go on to say that it lacks it? Is `id` that of a load, it does. */
bool forgets_in_manifest (const coordinator_core_t *self, const char *id);

/* ---- forget_erase.c ---- */
void forget_verified (coordinator_core_t *self, task_t *task, const wire_value_t *outputs);
/* The look failed, and is tried again. */
void forget_not_verified (coordinator_core_t *self, const task_t *task, text_t reason);
/* The field `verify` of a task. */
void forget_write_verify (coordinator_core_t *self, const task_t *task);

/* ---- trainings.c ---- */
void training_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* Goes on with those that wait for a dataset, and ends those that nobody asks about. */
void trainings_settle (coordinator_core_t *self);
/* Forgets all. Their files are orphans. */
void trainings_release (coordinator_core_t *self);
/* The least number of when the logs of one were pinned; UINT64_MAX: of none. */
uint64_t trainings_least (const coordinator_core_t *self);
/* Each path of files that they need, and that tasks which are over wrote. */
typedef void training_path_f (void *arg, const char *path);
void trainings_paths (const coordinator_core_t *self, training_path_f *each, void *arg);

/* ---- training_tasks.c ---- */
void training_take (coordinator_core_t *self, task_t *task, const wire_value_t *outputs);
void training_failed (coordinator_core_t *self, task_t *task, const char *reason);
/* The fields `train` and `sources` of its task. */
void training_write (coordinator_core_t *self, const task_t *task);

/* ---- sweep.c ---- */
/* Starts removing files that nothing refers to, if there may be any. */
void sweep_settle (coordinator_core_t *self);
void sweep_done (coordinator_core_t *self, job_t *job);
/* An attempt that nobody waits for has left files somewhere. */
void sweep_soon (coordinator_core_t *self);
/* A copy below incoming/ is not needed any more. */
void sweep_leftover (coordinator_core_t *self, const char *path);
/* The copies of all loads that have been read: who ended before may not have removed them. */
void sweep_copies (coordinator_core_t *self);

/* ---- backups.c ---- */
void backup_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* Ends those that are not renewed. */
void backups_settle (coordinator_core_t *self);
/* Ends all. What a coordinator before this one left is removed too. */
void backups_end (coordinator_core_t *self);
/* Frees them, and touches no file. */
void backups_release (coordinator_core_t *self);

/* ---- damage.c ---- */
/* What a serving node does not use. */
void damage_take (coordinator_core_t *self, node_t *node, wire_list_t damaged);
void damage_forget (node_t *node);
/* Has damaged views built again. */
void damage_settle (coordinator_core_t *self);
/* A field `damaged` of the log, when there is something. */
void damage_write (coordinator_core_t *self, const log_t *log);

/* ---- status.c ---- */
void status_tell (coordinator_core_t *self, const peer_t *from, uint64_t id);
void status_loads (coordinator_core_t *self, const peer_t *from, const message_t *message);
void status_recomputes (coordinator_core_t *self, const peer_t *from, const message_t *message);
void status_metrics (coordinator_core_t *self, const peer_t *from, uint64_t id);
void status_ping (coordinator_core_t *self, const peer_t *from, uint64_t id);

#endif
