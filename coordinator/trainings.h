/* trainings.h - training sets that are being made: trainings.c, training_pins.c,
 * training_tasks.c (docs/coordination.md, Training sets).
 *
 * For the coordinator's own files, as state.h. All of it is in memory only: whoever asked for one
 * asks again, with the version that it was told, when it is not known any more. */
#ifndef WEIR_COORDINATOR_TRAININGS_H
#define WEIR_COORDINATOR_TRAININGS_H

#include "coordinator/state.h"

enum {
    TRAININGS_MAX = 16,      /* at the same time; more are told to ask later */
    TRAINING_LOGS_MAX = 128, /* of one */
    TRAINING_ROLES_MAX = 16, /* views of one, each under its own key */
    TRAINING_CUTS_MAX = 3,   /* recomputes of a log that may fail before it has */
    TRAINING_WAITS_MAX = 256,
};

#define TRAINING_LEASE     (30 * TIME_SECOND) /* for which it is kept after it was asked about */
#define TRAINING_DIRECTORY "training"         /* of the files of all */

typedef enum training_state {
    TRAINING_CUTTING, /* a dataset is on its way that has what was acknowledged before */
    TRAINING_READY,   /* all is pinned: the spine may come */
    TRAINING_RUNNING,
    TRAINING_DONE,
    TRAINING_FAILED
} training_state_t;

/* What it reads of a log, from when that is known on. Files of it stay as long as there is the
 * set. */
typedef struct training_log {
    const char *name;
    uint64_t recompute; /* that it waits for; 0: for none */
    unsigned failures;
    bool reached; /* the dataset has what was acknowledged before */
    bool pinned;
    const char *dataset;
    uint64_t manifest;
    uint64_t unloaded;    /* loads below the positions that are not there any more */
    uint64_t forgets;     /* of the stream, that were asked for before */
    const char **without; /* loads with places below the positions that are not in it */
    size_t without_count;
    uint64_t *positions;   /* per partition: rows from there on are not read */
    catalog_part_t *parts; /* per partition: runs; excluded with places of `without` */
    uint64_t bytes;        /* of all runs */
} training_log_t;

/* A part of the spine, and what becomes of it. */
typedef struct training_part {
    uint32_t partition;
    const char *path; /* of the rows' run; "": all keys of the view */
    uint64_t size;
    uint64_t rows;
    task_t *task;       /* NULL when it is done */
    const char *result; /* NULL: not yet */
    uint64_t results;   /* rows of it */
} training_part_t;

/* The rows of one view, under one key of theirs. */
typedef struct training_role {
    const char *view;
    uint32_t version;
    const char **features;
    size_t features_count;
    const char **request; /* names of the columns of its parts: values of the request */
    size_t request_count;
    bool known; /* and a last one: known-at times */
    bool before;
    bool all_keys; /* there is no spine: all keys of the view, as of … */
    int64_t as_of;
    uint32_t logs[SOURCES_MAX]; /* of the set's */
    size_t logs_count;
    training_part_t *parts;
    size_t parts_count;
} training_role_t;

struct training {
    arena_t *arena; /* of all but the tasks */
    uint64_t id;    /* a number that no task has */
    uint64_t since; /* another, of when its logs were pinned; UINT64_MAX: they are not yet */
    training_state_t state;
    uint64_t definitions;
    int64_t until; /* boot µs: unless somebody asks about it */
    training_log_t *logs;
    size_t logs_count;
    training_role_t *roles;
    size_t roles_count;
    uint64_t rows;                  /* of all parts */
    char waits[TRAINING_WAITS_MAX]; /* for what, "" for nothing; while CUTTING */
    const char *error;
};

/* ---- training_pins.c ---- */
/* Begins to pin the logs of a new set: of a dataset that will have what is acknowledged by now, or
 * with `version` (PINNED of the protocol page) of the one that it names. */
MUST_CHECK status_t training_pin_begin (coordinator_core_t *self, training_t *training,
                                        wire_list_t version, error_t *error);
/* Goes on while it is CUTTING. */
void training_pin_go_on (coordinator_core_t *self, training_t *training);

/* ---- training_tasks.c ---- */
/* Takes the spine and makes its tasks. */
MUST_CHECK status_t training_begin (coordinator_core_t *self, training_t *training,
                                    wire_list_t spine, error_t *error);
training_part_t *training_part_of (training_t *training, const task_t *task, uint32_t *role);
void training_fail (coordinator_core_t *self, training_t *training, const char *reason);
/* Its tasks end, and none of them is wanted any more. */
void training_drop_tasks (coordinator_core_t *self, training_t *training);

#endif
