/* tasks.h - work for batch workers: tasks.c.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_TASKS_H
#define WEIR_COORDINATOR_TASKS_H

#include "base/timestamp.h"
#include "coordinator/loads.h"
#include "coordinator/recomputes.h"

typedef struct forget forget_t;     /* forgets.h */
typedef struct training training_t; /* trainings.h */
typedef struct skew skew_t;         /* skews.h */
typedef struct node node_t;

enum {
    ATTEMPTS_MAX = 2,  /* of a task at the same time: the second is a copy, for the first is slow */
    PACES_KEPT = 32,   /* finished tasks of a kind by which others are measured … */
    PACES_LEAST = 3,   /* … once there are so many */
    TASK_COST = 10000, /* of each task, in rows or bytes: what it takes however little it reads */
    SLOW_TIMES = 2,    /* what its peers take, and a task is slow */
    COPY_AGAIN = 2,    /* what it had taken when it was copied, and it is again if that failed */
};

#define SLOW_LEAST (3 * TIME_SECOND) /* no task is slow before */

/* A task in the hands of a worker. */
typedef struct attempt {
    uint64_t number; /* no other attempt of the task ever has it */
    char *node;
    uint64_t incarnation;
    int64_t given;    /* boot µs */
    bool listed;      /* its worker has told of it */
    unsigned missing; /* beats of its worker without it since */
    uint64_t done;    /* events, or bytes of a load … */
    uint64_t total;
    uint64_t rows; /* … and its rows … */
    uint64_t took; /* … in so many µs */
} attempt_t;

typedef enum task_kind {
    TASK_BUILD,
    TASK_FOLD,
    TASK_LOAD,
    TASK_VERIFY,
    TASK_TRAINING,
    TASK_SKEW,
    TASK_KINDS
} task_kind_t;

struct task {
    uint64_t id;
    recompute_t *recompute; /* of a build … */
    fold_t *fold;           /* … or of a fold … */
    uint32_t partition;
    load_t *load;         /* … or of a load … */
    forget_t *forget;     /* … or the look for one that is erased … */
    const char *log;      /* … in this log … */
    training_t *training; /* … or of a training set … */
    skew_t *skew;         /* … or a look at answers */
    uint64_t definitions;
    uint64_t size;                    /* rows, or bytes of a load, that it reads; 0: not known */
    attempt_t attempts[ATTEMPTS_MAX]; /* oldest first */
    size_t attempts_count;
    uint64_t last;  /* number of the latest attempt; 0: never given */
    int64_t copied; /* boot µs of its latest copy that counts; 0: none */
    bool lost_copy; /* one went with its worker since it was given */
    char *avoid;    /* where it failed last; NULL */
    unsigned failures;
    int64_t retry_at; /* boot µs */
    char waits[256];  /* why it is tried again; "" */
};

/* How fast tasks of a kind were of late: µs for a million units of size. */
typedef struct pace {
    uint64_t kept[PACES_KEPT];
    size_t count; /* that ever were */
} pace_t;

/* ---- tasks.c ---- */
/* NULL when the catalog failed. */
task_t *task_new (coordinator_core_t *self);
void task_remove (coordinator_core_t *self, task_t **task_p);
void tasks_settle (coordinator_core_t *self);
task_kind_t task_kind (const task_t *self);
bool task_is_given (const task_t *self);
/* Does nobody's recompute or load wait for it? Then it has a lane of its own at its worker. */
bool task_is_aside (const task_t *self);
/* Its attempt at that node, or NULL. */
const attempt_t *task_at (const task_t *self, const node_t *node);
/* Gives it to the node, as a new attempt. */
void task_give (coordinator_core_t *self, task_t *task, node_t *node);
/* How far it is, by the attempt that is furthest; `total` may be NULL. */
uint64_t task_progress (const task_t *self, uint64_t *total);
/* That attempt; NULL: nobody has it. */
const attempt_t *task_furthest (const task_t *self);
/* Tasks that the node has: those aside, or those that others wait for. */
size_t tasks_given (const coordinator_core_t *self, const node_t *node, bool aside);
/* What a batch worker lists. */
void tasks_take (coordinator_core_t *self, node_t *node, wire_list_t listed);
void task_done (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* Why the task does not go on, "" when it does. Borrowed from it, or static. */
const char *task_waits (const coordinator_core_t *self, const task_t *task);
/* Why a recompute or a load (the other is NULL) does not get on for the moment; "" it does. */
const char *tasks_wait_for (const coordinator_core_t *self, const recompute_t *recompute,
                            const load_t *load);
/* The next number that a task gets: none has it yet, or a later one. False when the catalog failed.
 */
bool tasks_next (coordinator_core_t *self, uint64_t *number);
/* Takes that number, for something that is no task. False when the catalog failed. */
bool tasks_take_number (coordinator_core_t *self, uint64_t *number);
/* The least number of a task that is not finished, folds apart, which end when what they read is to
 * go; the next number when there is none. */
uint64_t tasks_least (const coordinator_core_t *self);
/* Is it a path of files that tasks write for this log and partition? */
bool task_path_good (text_t path, const char *directory, const char *log, uint32_t partition);

/* ---- stragglers.c ---- */
/* The attempt is done: others are measured by it. */
void straggler_pace (coordinator_core_t *self, const task_t *task, const attempt_t *attempt);
/* Gives tasks that are slow to workers that have nothing to do, as well; when no task waits. */
void stragglers_settle (coordinator_core_t *self);

#endif
