/* ranges.h - states over ranges of one key's events: a tree of partials, made where it is needed.
 *
 * A node of level l stands for LEAF * FANOUT^l events whose numbers begin at a multiple of that; it
 * has each slot's partial of them, made when it is first needed, and their least and greatest
 * ingest time, or offset. */
#ifndef WEIR_TRAINING_RANGES_H
#define WEIR_TRAINING_RANGES_H

#include "batch-worker/training/events.h"
#include "batch-worker/training/limit.h"

enum {
    RANGES_LEAF = 256, /* events */
    RANGES_FANOUT = 16,
};

typedef struct ranges ranges_t;

/* `memory`: bytes of partials over which they are forgotten, and made again when needed. */
ranges_t *ranges_new (const plan_t *plan, size_t memory);
void ranges_destroy (ranges_t **self_p);

/* Another key's events follow. */
void ranges_clear (ranges_t *self);
/* Those below the number were let go. */
void ranges_let_go (ranges_t *self, uint64_t number);

/* Adds events [from, to), all of which are there, to an accumulator of the slot. */
void ranges_add (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                 uint64_t from, uint64_t to);

/* The same of those that were ingested up to `known`. The projection has ingest times. */
void ranges_add_known (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                       uint64_t from, uint64_t to, int64_t known);

/* From now on ranges_add_limited is asked, and ranges_add_known is not. `loads` (borrowed) are the
 * offsets of the log's loads. */
void ranges_by_offset (ranges_t *self, offsets_t loads);
/* The same of those that count for who stands there. The projection has offsets. */
void ranges_add_limited (ranges_t *self, uint32_t slot, void *acc, const event_rows_t *events,
                         uint64_t from, uint64_t to, const training_limit_t *limit);

/* The number after that of the last of events [from, to) that counts so; 0: there is none. */
uint64_t ranges_latest_known (ranges_t *self, const event_rows_t *events, uint64_t from,
                              uint64_t to, int64_t known);
uint64_t ranges_latest_limited (ranges_t *self, const event_rows_t *events, uint64_t from,
                                uint64_t to, const training_limit_t *limit);

size_t ranges_memory (const ranges_t *self);

#endif
