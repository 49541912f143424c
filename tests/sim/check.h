/* check.h - what must hold, held against what the cluster does.
 *
 * The checker keeps a shadow of every log: it reads what is acknowledged from the disk itself
 * before it can be trimmed, and holds it against what the producers sent. From the shadow and the
 * loads it works out, with the oracle, what each complete answer must be. */
#ifndef WEIR_SIM_CHECK_H
#define WEIR_SIM_CHECK_H

#include "storage/payload.h"
#include "tests/sim/data.h"
#include "tests/sim/sim.h"

sim_check_t *check_new (sim_t *sim);
void check_destroy (sim_check_t **self_p);

const sim_data_t *check_data (const sim_check_t *self);
/* Senders may make use of these steps from now on. */
void check_allow (sim_check_t *self, unsigned steps);
/* For what must live as long as the run. */
arena_t *check_arena (sim_check_t *self);

/* ---- told by the world ---- */

/* A message leaves a node. */
void check_sent (sim_check_t *self, const sim_node_t *from, const sim_node_t *to, const void *data,
                 size_t size);
/* A message reaches a node. */
void check_received (sim_check_t *self, const sim_node_t *to, const void *data, size_t size);
/* A node is about to remove a file. */
void check_before_remove (sim_check_t *self, const char *path);

/* ---- told by clients ---- */

/* What a batch was answered. */
typedef struct sim_outcome {
    uint64_t accepted;
    uint64_t refused_count;
    uint32_t refused[PAYLOAD_REFUSED_MAX];
    uint64_t reason[PAYLOAD_REFUSED_MAX]; /* hashes */
    uint32_t listed;
} sim_outcome_t;

typedef struct sim_batch {
    uint8_t producer[PRODUCER_SIZE];
    uint64_t sequence;
    size_t stream;
    unsigned used; /* steps that its rows make use of */
    sim_row_t *rows;
    size_t count;
    bool sent; /* as the protocol allows: it may be in the log */
    bool lost; /* its producer cannot have it acknowledged any more, by a fault of its own */
    bool acked;
    uint64_t ack;             /* its number among acknowledgements, from 1 */
    sim_outcome_t outcome;    /* if acked */
    uint32_t in_log;          /* bit per partition: seen there */
    uint64_t accepted_in_log; /* rows */
    uint64_t refused_in_log;  /* rows */
    struct sim_batch *next;
} sim_batch_t;

/* Before it is sent first. Batches of a producer are told apart by the sequence. */
void check_add_batch (sim_check_t *self, sim_batch_t *batch);
/* A `send.ok` came. */
void check_acked (sim_check_t *self, sim_batch_t *batch, const wire_value_t *body);

typedef struct sim_load {
    char id[64];
    size_t stream;
    sim_row_t *rows;
    size_t count;
    int64_t asked; /* first */
    int64_t taken; /* it was first said to be; 0: not yet */
    bool failed;   /* it said so */
    bool visible;  /* it said so */
    int64_t visible_at;
    bool undone;   /* `unload` was asked for */
    bool unloaded; /* it said so */
    int64_t unloaded_at;
    /* of its commit, in the logs of its stream; UINT64_MAX not seen */
    uint64_t offset[DATA_LOGS][SIM_PARTITIONS];
    struct sim_load *next;
} sim_load_t;

void check_add_load (sim_check_t *self, sim_load_t *load);

/* An entity that is to be erased. */
typedef struct sim_forget {
    char id[17];
    size_t stream;
    text_t key; /* by the stream's own key */
    int64_t before;
    uint32_t partition; /* of the stream's own log */
    int64_t asked;      /* first */
    int64_t taken;      /* it was first said to be; 0: not yet */
    bool erased;        /* it said so */
    int64_t erased_at;
    /* of its record, in the logs of its stream; UINT64_MAX not seen */
    uint64_t offset[DATA_LOGS][SIM_PARTITIONS];
    struct sim_forget *next;
} sim_forget_t;

/* Before it is asked for. */
void check_add_forget (sim_check_t *self, sim_forget_t *forget);
/* It is told to be erased, with so many rows: no file holds any. */
void check_erased (sim_check_t *self, const sim_forget_t *forget, uint64_t rows);

/* What a query must at least see. */
typedef struct sim_floor {
    uint64_t position[DATA_LOGS][SIM_PARTITIONS]; /* of streams' own logs */
    /* what complete answers stood at, by any serving node, that came before it was asked */
    uint64_t answered[DATA_LOGS][SIM_PARTITIONS];
    uint64_t acks; /* the first so many batches that were acknowledged */
    int64_t asked; /* what was said of loads before */
} sim_floor_t;
void check_floor (const sim_check_t *self, sim_floor_t *floor);

enum { ASKED_KEYS_MAX = 16 };

/* What was asked; an answer has just this, in this order. */
typedef struct sim_question {
    size_t view;
    size_t keys_count;
    text_t keys[ASKED_KEYS_MAX];    /* as logs have them; in the run's arena */
    int64_t as_ofs[ASKED_KEYS_MAX]; /* INT64_MIN: by the clock of the serving node */
    const text_t *features;         /* in the run's arena */
    size_t features_count;          /* 0: all of the view */
    bool settled;                   /* these are those of the steps that have been allowed */
    sim_floor_t floor;
} sim_question_t;

/* A `get.ok` came; *complete says whether all of it was. */
void check_answer (sim_check_t *self, const sim_question_t *question, const wire_value_t *body,
                   bool *complete);

/* The stored logs once more, against the shadow. */
void check_logs (sim_check_t *self);
/* All that was acknowledged is there, and nothing else. */
void check_end (sim_check_t *self);

#endif
