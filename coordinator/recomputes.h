/* recomputes.h - recomputes of a log, from the question to the publish: schedule.c, recompute.c,
 * layers.c, build.c, folds.c, parts.c.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_RECOMPUTES_H
#define WEIR_COORDINATOR_RECOMPUTES_H

#include "coordinator/logs.h"

typedef struct task task_t;
typedef struct partition partition_t;

typedef enum recompute_state {
    RECOMPUTE_QUEUED,
    RECOMPUTE_CUTTING,
    RECOMPUTE_BUILDING,
    RECOMPUTE_PUBLISHED,
    RECOMPUTE_TRIMMED,
    RECOMPUTE_FAILED
} recompute_state_t;

/* One partition of a recompute. */
typedef struct build {
    catalog_run_t *inputs; /* of the layers that are replaced, and of loads */
    size_t inputs_count;
    uint64_t from;
    size_t kept;  /* layers that stay: 0 when it writes a base */
    task_t *task; /* NULL when finished */
    bool finished;
    bool again;  /* after an attempt that could not read a layer */
    bool behind; /* it could not be built: its part is that of the manifest before */
    bool folded; /* its part has the layer that a fold made (folds.c) */
    uint64_t events;
    uint64_t *erased;    /* of each of the recompute's forgets; NULL */
    catalog_part_t part; /* what it will be in the manifest */
} build_t;

typedef struct recompute {
    uint64_t id;
    char *log;
    char *reason;
    recompute_state_t state;
    int64_t created;  /* wall clock µs */
    int64_t finished; /* 0 */
    char *error;      /* "" */
    uint64_t manifest;
    bool full;          /* bases are written, whatever is new */
    bool asked;         /* by somebody, who wants all to be tried */
    bool *behind;       /* per partition: it is stuck, and not even cut */
    placed_t *cuts;     /* per partition */
    build_t *builds;    /* per partition, while BUILDING */
    arena_t *arena;     /* of the builds */
    const char **loads; /* that its dataset will include */
    size_t loads_count;
    const char **unloaded; /* whose rows it leaves out */
    size_t unloaded_count;
    const char **forgets; /* control ids of those that it erases */
    size_t forgets_count;
    uint64_t definitions; /* version when the builds began */
    uint64_t done;        /* events */
    uint64_t total;
    int64_t retry_at; /* boot µs, of a publish that the catalog refused */
} recompute_t;

/* ---- layers.c ---- */
/* Has the part a file of the view, with that plan, in each of its layers? */
bool layers_have_view (const catalog_part_t *part, const view_t *view, uint64_t plan);
/* A view of which some layer of the current manifest has no file, while a build could make one: the
 * definitions are newer than the latest build. NULL: none. */
const char *layers_view_missing (const coordinator_core_t *self, const log_t *log);
/* What becomes of a partition's layers. */
typedef struct layers_plan {
    size_t kept; /* of them, below the new layer, which is of what is new and of those above; 0: it
                    is a base */
    size_t fold_first; /* those from it up to `fold_end` are to become one meanwhile; none when */
    size_t fold_end;   /* these are equal */
} layers_plan_t;

/* When `new_rows` come in at a cut of that clock. The lowest `pinned` layers stay, because a fold
 * of some of them is under way, unless all have to go. Without `may_fold` none begins. `present`
 * may be NULL. */
layers_plan_t layers_plan (const coordinator_core_t *self, const recompute_t *recompute,
                           const log_t *log, const catalog_part_t *present, int64_t clock,
                           uint64_t new_rows, size_t pinned, bool may_fold);

/* ---- folds.c: layers that become one while recomputes go on above them ---- */
/* The lowest layers, which may not be replaced because a worker has the fold of some of them. */
size_t folds_pinned (const log_t *log, uint32_t partition);
/* May another fold be planned? One that no worker has yet is planned anew. */
bool folds_may_begin (const coordinator_core_t *self, const log_t *log, uint32_t partition);
/* What one made that no manifest has yet; NULL. */
const catalog_part_t *folds_made (const log_t *log, uint32_t partition);
/* Should what was made be published for its own sake? */
bool folds_wait (const coordinator_core_t *self, const log_t *log);
/* The partition in the current manifest, with the layer that a fold made in the place of those that
 * it was made of; NULL: there is no manifest. */
const catalog_part_t *folds_present (const log_t *log, uint32_t partition, arena_t *arena);
/* Begins what the plan says, as of that clock, or ends one under way of layers that go. False when
 * the catalog failed. */
bool folds_begin (coordinator_core_t *self, log_t *log, uint32_t partition, int64_t clock,
                  const layers_plan_t *plan);
/* The version of the definitions by which it was made. */
uint64_t folds_definitions (const log_t *log, uint32_t partition);
/* It is in the manifest, or of no use any more. */
void folds_drop (coordinator_core_t *self, log_t *log, uint32_t partition);
void folds_forget (coordinator_core_t *self, log_t *log);
/* Of logs that are no more none goes on. */
void folds_settle (coordinator_core_t *self);
void folds_take (coordinator_core_t *self, task_t *task, const char *node,
                 const wire_value_t *outputs);
void folds_failed (coordinator_core_t *self, task_t *task, const char *reason, text_t path);
/* The field `build` of its task. */
void folds_write (coordinator_core_t *self, const fold_t *fold);
/* Its part of `status`, when there is something. */
void folds_tell (coordinator_core_t *self, const log_t *log);

/* ---- parts.c ---- */
/* Strings of what is added or copied are in the arena. */
catalog_run_t part_copy_run (const catalog_run_t *run, arena_t *arena);
/* Layers [first, end) of another, with their files. */
void part_add_layers (catalog_part_t *part, const catalog_part_t *from, size_t first, size_t end,
                      arena_t *arena);
/* What a worker made for the log: a layer with that cut and clock. None when it is a delta of
 * nothing. INVALID: these are no paths of the partition's. */
MUST_CHECK status_t part_add_outputs (catalog_part_t *part, const char *log, catalog_layer_t layer,
                                      const wire_value_t *outputs, arena_t *arena, error_t *error);

/* ---- recompute.c ---- */
recompute_t *recompute_find (const coordinator_core_t *self, uint64_t id);
/* The recompute of a log that is under way (cutting or building), or NULL. */
recompute_t *recompute_running (const coordinator_core_t *self, const char *log);
/* Is the manifest of that number in use at all serving nodes, as far as recomputes tell? */
bool recompute_is_served (const coordinator_core_t *self, const char *log, uint64_t manifest);
/* The one that waits, made when there is none. With `full` it writes bases. */
MUST_CHECK status_t recompute_request (coordinator_core_t *self, log_t *log, const char *reason,
                                       bool full, uint64_t *id, error_t *error);
void recomputes_settle (coordinator_core_t *self);
void recompute_fail (coordinator_core_t *self, recompute_t *recompute, const char *reason);
void recompute_destroy (recompute_t **self_p);
void recompute_forget_builds (coordinator_core_t *self, recompute_t *recompute);
MUST_CHECK status_t recompute_store (coordinator_core_t *self, recompute_t *recompute,
                                     error_t *error);
void recompute_start (coordinator_core_t *self, recompute_t *recompute);
const char *recompute_word (recompute_state_t state);
bool recompute_state_of (const char *word, recompute_state_t *state);
void recompute_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);

/* ---- build.c ---- */
void build_begin (coordinator_core_t *self, recompute_t *recompute);
/* What the task made at the worker of that name. */
void build_take (coordinator_core_t *self, task_t *task, const char *node,
                 const wire_value_t *outputs);
/* The task cannot be done. The partition is built in another way, or left behind, or the recompute
 * fails. `path` is that of an input at fault, or empty. */
void build_failed (coordinator_core_t *self, task_t *task, const char *reason, text_t path);
/* All partitions are built, or left behind: publishes, or fails when all are left behind. */
void build_publish (coordinator_core_t *self, recompute_t *recompute);

/* ---- schedule.c ---- */
void schedule_settle (coordinator_core_t *self);
/* Boot time at which a recompute is due next. */
int64_t schedule_next (const coordinator_core_t *self);
/* Events of a partition that no published cut covers; control records do not count. */
uint64_t schedule_uncovered (const log_t *log, const partition_t *partition);
/* Waits anything that comes in or goes with a recompute of the log: a load, an unload, an erasure?
 */
bool schedule_brings (const coordinator_core_t *self, const log_t *log);
/* Does the log hold events that no published cut covers, and that could be built? */
bool schedule_has_new (const coordinator_core_t *self, const log_t *log);
/* Is so much of the log in no batch view that owners are short of memory, or would need seconds to
 * replay it? */
bool schedule_is_urgent (const coordinator_core_t *self, const char *log_name);

/* Lists of loads' ids: adds one, for which there is room; is it there? */
void ids_add (const char ***list, size_t *count, const char *id, arena_t *arena);
bool ids_has (const char *const *list, size_t count, const char *id);
/* Does anything come in or go with it? */
bool recompute_brings (const recompute_t *self);
/* Do rows of before go? Then all layers are written anew. */
bool recompute_leaves_out (const recompute_t *self);

#endif
