/* row.h - one event of a key as a timeline keeps it: what the plan's slots need, and no more.
 *
 * A row is fixed-width within one plan: time, position, a presence bit per lane (the input is not
 * null) and per filter (it is true), and for each lane 8 bytes, or 16 for a decimal: the number
 * itself, or for a string the address of its copy (a size and the bytes). */
#ifndef WEIR_TIMELINE_ROW_H
#define WEIR_TIMELINE_ROW_H

#include "feature/plan.h"

typedef struct row {
    int64_t time; /* µs */
    uint64_t offset;
    uint32_t row;
    uint8_t bits[]; /* lanes, then filters; the inputs follow, 8-aligned */
} row_t;

typedef struct row_layout {
    const plan_t *plan;
    type_t *lane_types; /* lanes_count */
    uint16_t *lane_at;  /* of each: byte offset among the inputs */
    size_t values;      /* byte offset of the inputs */
    size_t size;        /* bytes of a row, a multiple of 8 */
} row_layout_t;

void row_layout_init (row_layout_t *self, const plan_t *plan);
void row_layout_release (row_layout_t *self);

/* Fills `to` (layout size bytes) from a projected row; strings are copied to `arena`. */
void row_pack (const row_layout_t *self, row_t *to, const projection_t *rows, size_t at,
               arena_t *arena);

/* Bytes that the copy of a string takes in an arena. */
size_t row_string_size (size_t size);

/* Adds the row to an accumulator of the slot if it counts for it. */
void row_fold (const row_layout_t *self, const row_t *row, uint32_t slot, void *acc);

#endif
