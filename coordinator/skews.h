/* skews.h - looks at the answers that serving kept (docs/skew.md): each is a task, and its report
 * is kept in memory, the latest of each view and service for `weir status`.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_SKEWS_H
#define WEIR_COORDINATOR_SKEWS_H

#include "coordinator/tasks.h"

enum {
    SKEWS_MAX = 64,      /* remembered; the oldest that are over are dropped */
    SKEWS_UNDER_WAY = 8, /* at the same time; over it clients are told `busy` */
    SKEW_ALERTS_KEPT = 100,
};

typedef struct skew {
    uint64_t id;
    char *name;     /* of the view or service */
    char *training; /* copy of a training set, "" */
    int64_t since;
    int64_t created;
    task_t *task; /* NULL: it is over */
    char *error;  /* why it failed; NULL: it did not */
    char *report; /* JSON; NULL: there is none */
    uint64_t compared;
    uint64_t mismatches;
    uint64_t late;
    char **alerts;
    size_t alerts_count;
} skew_t;

/* A `skew` message: begins one, or tells how far one is. */
void skew_asked (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* The field `skew` of a task. */
void skew_write (coordinator_core_t *self, const task_t *task);
void skew_take (coordinator_core_t *self, task_t *task, const wire_value_t *outputs);
void skew_failed (coordinator_core_t *self, task_t *task, const char *reason);
/* Those under way end: memory is made again from the catalog. */
void skews_interrupt (coordinator_core_t *self);
/* The same, and the list is `next`'s, which takes the place of `self`. */
void skews_hand_on (coordinator_core_t *self, coordinator_core_t *next);
void skews_release (coordinator_core_t *self);
/* The field `skew` of a status, when there are reports. */
void skews_tell (coordinator_core_t *self);
/* What the latest reports say together; false: there are none. */
bool skews_totals (const coordinator_core_t *self, uint64_t *mismatches, uint64_t *alerts);

#endif
