/* shadow.h - the inside of the checker, for its own files only. */
#ifndef WEIR_SIM_SHADOW_H
#define WEIR_SIM_SHADOW_H

#include "storage/log.h"
#include "tests/oracle/oracle.h"
#include "tests/sim/check.h"

/* A record that is known to be durable. */
typedef struct shadow_record {
    uint64_t offset;
    uint64_t hash;
    uint32_t count;
} shadow_record_t;

/* Where an event of a log came from. */
typedef struct shadow_origin {
    const sim_batch_t *batch; /* that it was sent in */
    const sim_row_t *row;
    uint32_t source; /* of a re-keyed log: the partition of the stream's own … */
    uint64_t offset; /* … and the offset there */
} shadow_origin_t;

/* One partition of one log, as it must be for ever. */
typedef struct shadow {
    size_t log;
    uint32_t partition;
    char dir[64];
    uint64_t end;      /* synced up to there */
    uint64_t base;     /* the log may be trimmed up to there */
    uint64_t acked;    /* positions that clients were told */
    uint64_t answered; /* the furthest that a complete answer stood at */
    shadow_record_t *records;
    size_t records_count;
    size_t records_capacity;
    oracle_event_t *events; /* sent and accepted, by offset */
    size_t events_count;
    size_t events_capacity;
    shadow_origin_t *origins;       /* of each event */
    uint64_t marks[SIM_PARTITIONS]; /* of a re-keyed log: what it has of each source */
    uint64_t begin[SIM_PARTITIONS]; /* of it: where it begins; what is below came as one load … */
    uint64_t history;               /* … at this offset; UINT64_MAX: none */
    char (*controls)[CONTROL_ID_MAX + 1];
    size_t controls_count;
} shadow_t;

typedef struct sim_dataset {
    size_t log;
    char id[WIRE_NAME_MAX + 1];
    uint64_t manifest;
    uint64_t cut[SIM_PARTITIONS];
    sim_load_t **loads; /* included */
    size_t loads_count;
    const sim_forget_t **forgets; /* listed */
    size_t forgets_count;
    bool history;      /* the load of what was there before the log is in it */
    const char **runs; /* paths of its files */
    const char **views;
    size_t runs_count;
    size_t views_count;
    struct sim_dataset *next;
} sim_dataset_t;

/* The partitions that a process was told to own. */
typedef struct sim_held {
    uint64_t incarnation;
    uint64_t epoch[SIM_PARTITIONS];
} sim_held_t;

/* Who was given a partition last, or answered last for it. */
typedef struct sim_owner {
    uint64_t epoch;
    char node[32];
} sim_owner_t;

enum { EPOCHS_MAX = 4096, LEASE_BEATS = 16 };

typedef struct sim_beat {
    uint64_t id;
    int64_t time; /* of sending */
} sim_beat_t;

/* For which partitions a speed worker may act, and until when. */
typedef struct sim_lease {
    uint64_t incarnation;
    sim_beat_t sent[LEASE_BEATS];
    uint64_t term;
    uint64_t orders; /* the beat whose answer is followed */
    int64_t until;
    uint64_t epoch[SIM_PARTITIONS];  /* 0: not for this one */
    uint64_t failed[SIM_PARTITIONS]; /* the highest epoch that has failed there */
    uint64_t let_go[SIM_PARTITIONS]; /* the highest that orders have taken from it */
} sim_lease_t;

struct sim_check {
    bool second_active; /* version 2 of `changes` was told to be */
    sim_t *sim;
    arena_t *arena;   /* for the whole run */
    arena_t *scratch; /* for one message */
    wire_decoder_t *decoder;
    fs_t *fs;
    sim_data_t *data;
    shadow_t shadows[DATA_LOGS][SIM_PARTITIONS]; /* those of the streams' own keys first */
    /* Loads of a stream's own log that are in the history of another. */
    sim_load_t **history_loads[DATA_LOGS];
    size_t history_loads_count[DATA_LOGS];
    sim_batch_t *batches; /* newest first */
    sim_load_t *loads;
    sim_forget_t *forgets;
    sim_dataset_t *datasets;
    bool ordered[DATA_LOGS]; /* in orders for a partition, once */
    sim_held_t held[SIM_NODES_MAX];
    sim_owner_t answered[SIM_PARTITIONS];
    sim_lease_t leases[SIM_NODES_MAX];
    uint64_t term;                              /* the highest in which a beat was answered */
    char given[SIM_PARTITIONS][EPOCHS_MAX][16]; /* epoch -> node */
    uint64_t answers;
    uint64_t acks; /* batches acknowledged */
    unsigned calm; /* how many are reading, one for another */
};

/* leaders.c: a speed worker beats, a coordinator answers, and that reaches the worker. */
/* What is told of versions and datasets: a version is active only when its files are there. */
void versions_take_definitions (sim_check_t *self, const sim_node_t *from,
                                const wire_value_t *body);
void versions_take_dataset (sim_check_t *self, const wire_value_t *body);
void leaders_take_beat (sim_check_t *self, const sim_node_t *from, const message_t *message);
void leaders_take_answer (sim_check_t *self, const sim_node_t *from, const wire_value_t *body);
void leaders_take_orders (sim_check_t *self, const sim_node_t *to, const message_t *message);

/* Reads the log up to `to`, which somebody has called durable. */
void shadow_sync (sim_check_t *self, shadow_t *shadow, uint64_t to);
/* Reads again all that is still there. */
void shadow_reread (sim_check_t *self, shadow_t *shadow);

shadow_t *shadow_of (sim_check_t *self, const char *path); /* by a path in it; NULL */
int shadow_log (const sim_check_t *self, text_t log_name); /* -1 */

/* A `dataset.ok`: its runs hold what they must. */
void dataset_take (sim_check_t *self, const wire_value_t *body);
/* The files of the newest dataset of each log are there, whole: every checksum in them is right. */
void dataset_verify (sim_check_t *self);
/* NULL when nobody was ever told of it. */
const sim_dataset_t *dataset_find (const sim_check_t *self, size_t log, text_t id);
bool dataset_has (const sim_dataset_t *self, const sim_load_t *load);

/* ---- values.c ---- */
void print_value (const value_t *value, buf_t *out);
/* Of a message; of type TYPE_NONE, which agrees with nothing, when it is none of that type. */
value_t value_of (const wire_value_t *given, type_t type);
/* Of a type in words, as "map<string,list<int64>>". */
value_t typed_value (const wire_value_t *given, text_t type, arena_t *arena);

/* ---- erased.c ---- */
sim_forget_t *forget_of (const sim_check_t *self, text_t id); /* NULL */
/* Do they stand in this log, as far as they do, as they were asked for? Called when one is found.
 */
void check_order (sim_check_t *self, const shadow_t *shadow, const sim_forget_t *forget,
                  const sim_load_t *load);
bool dataset_lists (const sim_dataset_t *self, const sim_forget_t *forget);
/* Does the dataset (NULL: of nothing yet) lack the row, of these values, at the position? */
bool dataset_erases (const sim_check_t *self, const sim_dataset_t *dataset, uint32_t partition,
                     uint64_t offset, const value_t *values, int64_t time);
/* Was the row of a stream's own log erased from what a key's log that begins there has of it? */
bool erased_before (const sim_check_t *self, size_t own, uint32_t source, uint64_t offset,
                    uint64_t begin, const value_t *values, int64_t time);

/* What came to a log as its history. */
typedef struct history_row {
    uint32_t number; /* their order */
    int64_t time;
    text_t key; /* in the run's arena */
    const value_t *values;
} history_row_t;

/* Rows of a re-keyed log's history in one partition; the caller frees. */
history_row_t *history_rows (sim_check_t *self, const shadow_t *shadow, size_t *count);
/* An order to a batch worker, which says what the history consists of. */
void history_take (sim_check_t *self, const wire_value_t *load, wire_list_t parts);
bool history_has (const sim_check_t *self, size_t log, const sim_load_t *load);

/* Faults are off for whoever calls between the two. */
void check_calm (sim_check_t *self);
void check_calm_over (sim_check_t *self);

#endif
