/* load.h - the inside of a load, for its own files: what they share.
 *
 *   load.c          the order of things, and what is prepared
 *   load_file.c     the text: read ahead in rounds of pieces, which the crew reads apart
 *   load_piece.c    a piece of text as rows, by the rules of intake
 *   load_history.c  or rows of a dataset, for a key that is new to the stream
 *   load_runs.c     rows gathered per log and partition, sorted and written
 *   load_rejects.c  records that were refused
 */
#ifndef WEIR_BATCH_WORKER_LOAD_H
#define WEIR_BATCH_WORKER_LOAD_H

#include "batch-worker/crew.h"
#include "batch-worker/task.h"
#include "intake/logged.h"
#include "storage/sorter.h"

enum {
    TABLE_ROWS = 4096,    /* rows converted at once */
    TEXT_CHUNK = 1 << 18, /* bytes of an arena's chunk */
};

/* One of the stream's keyed logs. */
typedef struct load_log {
    keyed_log_t keyed;
    const char *name;   /* in the order */
    sorter_t **sorters; /* per partition */
    uint32_t *spills;   /* runs per partition so far */
} load_log_t;

typedef struct rejects rejects_t;

typedef struct load {
    task_t *task;
    fs_t *fs;
    const stream_t *stream;
    load_log_t *logs;
    size_t logs_count;
    crew_t *crew;
    rejects_t *rejects; /* NULL before the first one */
} load_t;

/* ---- rows, and where they go ---- */

/* Rows that were converted together. They live in an arena of whoever made them. */
typedef struct load_part {
    batch_t batch; /* keys are those of the stream's own log */
    uint64_t first_row;
    /* of each log */
    struct load_group {
        text_t *key;
        uint32_t *rows;  /* by partition: those of p are rows[begin[p], begin[p + 1]) */
        uint32_t *begin; /* entries: one more than partitions */
    } * groups;
} load_part_t;

/* Fills part->groups for its batch, in `arena`. On any thread. */
void load_group (const load_t *self, load_part_t *part, arena_t *arena);

/* Adds the rows of all parts, in their order, to those that are to be written. */
void load_gather (load_t *self, const load_part_t *const *parts, size_t count);

/* Do the gathered rows take as much memory as they may? */
bool load_is_full (const load_t *self);

/* Writes what is gathered, a run for every log and partition that has rows. */
MUST_CHECK status_t load_spill (load_t *self, error_t *error);

/* Sorters for the logs of the order. NOT_FOUND: a log is none of the stream's. */
MUST_CHECK status_t load_runs_prepare (load_t *self, error_t *error);
void load_runs_release (load_t *self);

/* ---- records that are refused ---- */

/* Adds a record, as it was, to a file that the user can mend and load again; a CSV's begins with
 * `header`. */
MUST_CHECK status_t load_reject (load_t *self, text_t header, text_t record, error_t *error);
/* Makes the file whole and tells the task of it, if there were any. */
MUST_CHECK status_t load_rejects_close (load_t *self, error_t *error);
void load_rejects_release (load_t *self);

/* ---- where rows come from ---- */

MUST_CHECK status_t load_read_file (load_t *self, error_t *error);
MUST_CHECK status_t load_read_history (load_t *self, error_t *error);

#endif
