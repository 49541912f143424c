/* outcome.h - what became of a batch, or of a partition's part of it. */
#ifndef WEIR_SPEED_WORKER_OUTCOME_H
#define WEIR_SPEED_WORKER_OUTCOME_H

#include "base/arena.h"
#include "storage/payload.h"
#include "wire/wire.h"

typedef struct outcome {
    uint32_t accepted;
    uint32_t refused_count;
    uint32_t refused_listed;
    payload_refused_t refused[PAYLOAD_REFUSED_MAX]; /* by row; reasons in `reasons` */
    arena_t *reasons;
} outcome_t;

void outcome_init (outcome_t *self);
void outcome_release (outcome_t *self);

/* Takes in a refused row; past PAYLOAD_REFUSED_MAX, the highest rows are only counted. The reason
 * is copied. */
void outcome_refuse (outcome_t *self, uint32_t row, text_t reason);
/* The same for rows that are counted and not told. */
void outcome_refuse_unlisted (outcome_t *self, uint32_t count);

/* Adds what another says. */
void outcome_add (outcome_t *self, const outcome_t *other);
/* Adds a `append.ok` body. */
void outcome_add_message (outcome_t *self, const wire_value_t *body);

/* Writes the fields `accepted`, `refused_count` and `refused` into the open map. */
void outcome_write (const outcome_t *self, wire_writer_t *writer);

#endif
