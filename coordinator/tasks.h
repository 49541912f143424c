/* tasks.h - work for batch workers: tasks.c.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_TASKS_H
#define WEIR_COORDINATOR_TASKS_H

#include "coordinator/loads.h"
#include "coordinator/recomputes.h"

typedef struct forget forget_t; /* forgets.h */
typedef struct node node_t;

struct task {
    uint64_t id;
    uint64_t attempt;       /* 0: never given */
    recompute_t *recompute; /* of a build … */
    uint32_t partition;
    load_t *load;     /* … or of a load … */
    forget_t *forget; /* … or the look for one that is erased … */
    const char *log;  /* … in this log */
    uint64_t definitions;
    char *node; /* whom it is given to; "" nobody */
    uint64_t incarnation;
    bool listed;      /* its worker has told of it */
    unsigned missing; /* beats of its worker without it since */
    unsigned failures;
    int64_t retry_at; /* boot µs */
    char waits[256];  /* why it is tried again; "" */
    uint64_t done;
    uint64_t total;
};

/* ---- tasks.c ---- */
/* NULL when the catalog failed. */
task_t *task_new (coordinator_core_t *self);
void task_remove (coordinator_core_t *self, task_t **task_p);
void tasks_settle (coordinator_core_t *self);
/* What a batch worker lists. */
void tasks_take (coordinator_core_t *self, const node_t *node, wire_list_t listed);
void task_done (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* Why a recompute or a load (the other is NULL) does not get on for the moment; "" it does. */
const char *tasks_wait_for (const coordinator_core_t *self, const recompute_t *recompute,
                            const load_t *load);
/* The next number that a task gets; false when the catalog failed. */
bool tasks_next (coordinator_core_t *self, uint64_t *number);
/* The least number of a task that is not finished; the next number when there is none. */
uint64_t tasks_least (const coordinator_core_t *self);
/* Is it a path of files that tasks write for this log and partition? */
bool task_path_good (text_t path, const char *directory, const char *log, uint32_t partition);

#endif
