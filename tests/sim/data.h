/* data.h - what the simulated users define, send, load and ask for. */
#ifndef WEIR_SIM_DATA_H
#define WEIR_SIM_DATA_H

#include "feature/definition.h"
#include "tests/oracle/question.h"
#include "tests/sim/sim.h"

enum {
    DATA_STREAMS = 2,
    DATA_VIEWS = 4,
    DATA_LATE_VIEW = 3, /* the one of the second apply */
    DATA_FIELDS_MAX = 6,
};

typedef enum row_class {
    ROW_GOOD,
    ROW_NO_KEY,    /* a required field of the key is null */
    ROW_NO_NUMBER, /* a text that is no number where there has to be one */
    ROW_NO_TIME,
    ROW_AHEAD, /* an hour in the future */
    ROW_CLASSES
} row_class_t;

/* One row as the user means it. */
typedef struct sim_row {
    row_class_t class;
    value_t values[DATA_FIELDS_MAX];
    text_t key; /* encoded; empty when a field of it is null */
    uint32_t partition;
    int64_t time; /* µs */
} sim_row_t;

typedef struct sim_data {
    arena_t *arena;
    definitions_t *definitions; /* of both applies */
    const stream_t *stream[DATA_STREAMS];
    size_t view_stream[DATA_VIEWS];
    const char *view_name[DATA_VIEWS];
    question_t *view[DATA_VIEWS]; /* what the oracle is asked */
} sim_data_t;

sim_data_t *data_new (void);
void data_destroy (sim_data_t **self_p);

/* The YAML of an `apply`. */
void data_definitions (bool with_late_view, buf_t *out);

/* A row for `stream`, its memory in `arena`; `wall` is the user's clock. */
void data_row (const sim_data_t *self, sim_t *sim, size_t stream, int64_t wall, bool good,
               arena_t *arena, sim_row_t *row);

/* A key that may have events; in fields of the stream's key. */
void data_key (const sim_data_t *self, sim_t *sim, size_t stream, arena_t *arena, value_t *values,
               text_t *key);

/* The i-th of all keys that are used; false past the last. */
bool data_key_at (const sim_data_t *self, size_t stream, size_t i, arena_t *arena, value_t *values,
                  text_t *key);

/* A row of a `send`. */
void data_write_row (const sim_data_t *self, size_t stream, const sim_row_t *row,
                     wire_writer_t *writer);
/* A row of a CSV, and its header. */
void data_write_csv (const sim_data_t *self, size_t stream, const sim_row_t *row, buf_t *out);
void data_write_header (const sim_data_t *self, size_t stream, buf_t *out);

#endif
