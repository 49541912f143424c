/* windows.h - the windows of many rows over one key's events, in one go.
 *
 * Rows come in ascending order of as-of, and so both ends of each window only move on. */
#ifndef WEIR_TRAINING_WINDOWS_H
#define WEIR_TRAINING_WINDOWS_H

#include "batch-worker/training/events.h"
#include "batch-worker/training/limit.h"
#include "feature/answer.h"

enum { WINDOWS_ROWS_MAX = 64 }; /* that are answered together */

typedef struct windows windows_t;

/* Of the plan's cells for which cells[i] is true. `memory` as in ranges_new. */
windows_t *windows_new (const plan_t *plan, const bool *cells, size_t memory);
void windows_destroy (windows_t **self_p);

typedef struct window_row {
    int64_t as_of;
    int64_t known; /* WINDOW_ALL_KNOWN, or events that were ingested later do not count */
    const training_limit_t *limit; /* NULL: it stands nowhere, and `known` says what counts */
    answer_t *answer;
    value_t *finals; /* room for a value per cell, of type NONE; NULL: all goes into answers */
} window_row_t;
#define WINDOW_ALL_KNOWN INT64_MAX

/* All rows will have limits, in a log with these loads. */
void windows_by_offset (windows_t *self, offsets_t loads);

/* Rows of another key follow. */
void windows_clear (windows_t *self);

/* Adds to each row's answer the events in its windows, or puts the value of a cell that has a quick
 * way into its finals, if the first row has some. Was anything added to an answer? All of the key's
 * events up to its as-of are there, or were let go by windows_let_go. `count` is at most
 * WINDOWS_ROWS_MAX; as_of does not go down, nor below that of rows before, unless windows_clear is
 * called. */
bool windows_add (windows_t *self, const event_rows_t *events, const window_row_t *rows,
                  size_t count);

/* The number below which rows from that as-of on need no event any more; what lifetimes have to
 * keep of those is taken in here, so they may then be let go. With `known`, lifetimes need all. */
uint64_t windows_let_go (windows_t *self, const event_rows_t *events, int64_t as_of, bool known);

size_t windows_memory (const windows_t *self);

#endif
