/* erase.h - the rows of entities that are to be erased, told from all others. */
#ifndef WEIR_BATCH_WORKER_ERASE_H
#define WEIR_BATCH_WORKER_ERASE_H

#include "feature/keyed_log.h"
#include "member/model.h"

/* ERASURE on the protocol page: rows of the entity at lower offsets and with times below. */
typedef struct erasure {
    text_t key; /* by the stream's own key */
    uint64_t offset;
    int64_t before; /* µs; INT64_MAX: all */
} erasure_t;

/* Embedded. Everything is borrowed. */
typedef struct eraser {
    const erasure_t *list;
    size_t count;
    keyed_log_t own; /* the stream's own log, by whose key entities are named */
    bool keyed;      /* rows have that key already: it is the log's */
    buf_t key;
} eraser_t;

/* For rows of `log`, which the model has, with the stream's columns. NOT_FOUND without the stream's
 * own log. Release it also after an error. */
MUST_CHECK status_t eraser_init (eraser_t *self, model_t *model, const keyed_log_t *log,
                                 const erasure_t *list, size_t count, error_t *error);
void eraser_release (eraser_t *self);

/* The columns that rows have to have for eraser_find: bits as in block_decode. */
void eraser_wanted (const eraser_t *self, uint64_t *wanted);

/* The number of the erasure that takes the row; -1: it stays. */
int eraser_find (eraser_t *self, const batch_t *batch, size_t row);

#endif
