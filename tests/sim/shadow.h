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

/* One partition of one log, as it must be for ever. */
typedef struct shadow {
    size_t stream;
    uint32_t partition;
    char dir[64];
    uint64_t end;   /* synced up to there */
    uint64_t base;  /* the log may be trimmed up to there */
    uint64_t acked; /* positions that clients were told */
    shadow_record_t *records;
    size_t records_count;
    size_t records_capacity;
    oracle_event_t *events; /* sent and accepted, by offset */
    size_t events_count;
    size_t events_capacity;
    char (*controls)[CONTROL_ID_MAX + 1];
    size_t controls_count;
} shadow_t;

typedef struct sim_dataset {
    size_t stream;
    char id[WIRE_NAME_MAX + 1];
    uint64_t manifest;
    uint64_t cut[SIM_PARTITIONS];
    sim_load_t **loads; /* included */
    size_t loads_count;
    struct sim_dataset *next;
} sim_dataset_t;

/* The partitions that a process was told to own. */
typedef struct sim_held {
    uint64_t incarnation;
    uint64_t epoch[SIM_PARTITIONS];
} sim_held_t;

/* Who answered last for a partition. */
typedef struct sim_owner {
    uint64_t epoch;
    char node[32];
} sim_owner_t;

enum { EPOCHS_MAX = 4096 };

struct sim_check {
    sim_t *sim;
    arena_t *arena;   /* for the whole run */
    arena_t *scratch; /* for one message */
    wire_decoder_t *decoder;
    fs_t *fs;
    sim_data_t *data;
    shadow_t shadows[DATA_STREAMS][SIM_PARTITIONS];
    sim_batch_t *batches; /* newest first */
    sim_load_t *loads;
    sim_dataset_t *datasets;
    sim_held_t held[SIM_NODES_MAX];
    sim_owner_t answered[SIM_PARTITIONS];
    char given[SIM_PARTITIONS][EPOCHS_MAX][16]; /* epoch -> node */
    uint64_t answers;
    uint64_t costly; /* values met that take the oracle long */
};

/* Reads the log up to `to`, which somebody has called durable. */
void shadow_sync (sim_check_t *self, shadow_t *shadow, uint64_t to);
/* Reads again all that is still there. */
void shadow_reread (sim_check_t *self, shadow_t *shadow);

shadow_t *shadow_of (sim_check_t *self, const char *path);    /* by a path in it; NULL */
int shadow_stream (const sim_check_t *self, text_t log_name); /* -1 */

/* A `dataset.ok`: its runs hold what they must. */
void dataset_take (sim_check_t *self, const wire_value_t *body);
/* NULL when nobody was ever told of it. */
const sim_dataset_t *dataset_find (const sim_check_t *self, size_t stream, text_t id);
bool dataset_has (const sim_dataset_t *self, const sim_load_t *load);

/* Faults are off for whoever calls between the two. */
void check_calm (sim_check_t *self);
void check_calm_over (sim_check_t *self);

#endif
