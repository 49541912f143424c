/* data.h - what the simulated users define, send, load and ask for. */
#ifndef WEIR_SIM_DATA_H
#define WEIR_SIM_DATA_H

#include "feature/keyed_log.h"
#include "tests/oracle/question.h"
#include "tests/sim/sim.h"

enum {
    DATA_STREAMS = 2,
    DATA_LOGS = 7,    /* keyed logs: first those of the streams' own keys */
    DATA_VIEWS = 11,  /* two versions of one counted apart */
    DATA_CHANGES = 9, /* version 1 of the view that gets another meaning; version 2 follows it */
    DATA_SOURCES = 2, /* streams of a view */
    DATA_FIELDS_MAX = 9,
};

/* What later applies change, in any order: bits of a set. */
enum {
    STEP_VIEW = 1,     /* one more view */
    STEP_FIELD = 2,    /* pay has `channel` as well, first of its fields; and features of it */
    STEP_WIDEN = 4,    /* its `n` is float64 */
    STEP_RENAME = 8,   /* its `tag` is called `label`, with the alias */
    STEP_FEATURE = 16, /* one more feature of `spend` */
    STEP_KEY = 32,     /* one more view, of a key that is new to its stream */
    STEP_MEANING = 64, /* the view `changes` means something else */
    STEPS_ALL = 127,
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
    int64_t time; /* µs */
    /* in each log of its stream: */
    bool in[DATA_LOGS];    /* of a re-keyed one: no field of the key is null */
    text_t key[DATA_LOGS]; /* encoded; empty when a field of it is null */
    uint32_t partition[DATA_LOGS];
} sim_row_t;

typedef struct sim_data {
    arena_t *arena;
    /* after all steps, but with the new field last: a row's values are in this order */
    definitions_t *definitions;
    const stream_t *stream[DATA_STREAMS];
    keyed_log_t log[DATA_LOGS];
    size_t log_stream[DATA_LOGS];
    size_t view_log[DATA_VIEWS]; /* of its first stream */
    size_t view_sources[DATA_VIEWS];
    size_t view_logs[DATA_VIEWS][DATA_SOURCES];
    const char *view_name[DATA_VIEWS]; /* as it is asked for: of `changes` with the version */
    /* What the oracle is asked, of all features that there may be; `widened` of a float64 `n`. */
    question_t *view[DATA_VIEWS];
    question_t *widened[DATA_VIEWS];
    int64_t view_ttl[DATA_VIEWS]; /* µs; 0: it has none */
    unsigned usable;              /* steps of which senders may make use */
} sim_data_t;

sim_data_t *data_new (void);
void data_destroy (sim_data_t **self_p);

/* The YAML of an `apply`, after these steps. */
void data_definitions (unsigned steps, buf_t *out);
/* Is there the view then? */
bool data_has_view (size_t view, unsigned steps);
/* How many features the view has then. */
size_t data_features (const sim_data_t *self, size_t view, unsigned steps);

/* Of which of the usable steps a sender makes use now. */
unsigned data_some_steps (const sim_data_t *self, sim_t *sim);

/* A row for `stream`, its memory in `arena`; `wall` is the user's clock. `used` are the steps that
 * the sender makes use of. */
void data_row (const sim_data_t *self, sim_t *sim, size_t stream, unsigned used, int64_t wall,
               bool good, arena_t *arena, sim_row_t *row);

/* A value of a row as one of the field's type after all steps. */
value_t data_widened (const sim_data_t *self, size_t stream, size_t field, const value_t *value);

/* A key of a log that may have events; in fields of the log's key. */
void data_key (const sim_data_t *self, sim_t *sim, size_t log, arena_t *arena, value_t *values,
               text_t *key);

/* The i-th of the keys that are asked about; false past the last. */
bool data_key_at (const sim_data_t *self, size_t log, size_t i, arena_t *arena, value_t *values,
                  text_t *key);

/* The source's name for a field; NULL: it does not send it. */
const char *data_column (const sim_data_t *self, size_t stream, unsigned used, size_t field);
/* A row of a `send`. */
void data_write_row (const sim_data_t *self, size_t stream, unsigned used, const sim_row_t *row,
                     wire_writer_t *writer);
/* A row of a CSV, and its header. */
void data_write_csv (const sim_data_t *self, size_t stream, unsigned used, const sim_row_t *row,
                     buf_t *out);
void data_write_header (const sim_data_t *self, size_t stream, unsigned used, buf_t *out);

#endif
