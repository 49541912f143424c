/* row.h - one event of a key as a timeline keeps it: what the plan's slots need, and no more.
 *
 * A row is fixed-width within one plan, without padding, and need not be aligned: its time; its
 * offset and number, if some slot's state reads them; a presence bit per lane (the input is not
 * null) and per filter (it is true); and for each lane 8 bytes, or 16 for a decimal: the number
 * itself, or for a string the address of its copy (varint of the size, and the bytes). A null is
 * zeros. */
#ifndef WEIR_TIMELINE_ROW_H
#define WEIR_TIMELINE_ROW_H

#include "feature/plan.h"

#include <string.h>

typedef struct row_layout {
    const plan_t *plan;
    type_t *lane_types; /* lanes_count */
    uint16_t *lane_at;  /* of each: its byte in the row */
    bool positions;     /* offset and number are kept, after the time */
    size_t bits;        /* the byte where those of lanes, then filters, begin */
    size_t size;        /* bytes of a row */
} row_layout_t;

void row_layout_init (row_layout_t *self, const plan_t *plan);
void row_layout_release (row_layout_t *self);
size_t row_layout_memory (const row_layout_t *self); /* bytes beside itself */

/* Copies of strings, one behind the other without padding. It starts with an arena and zeros. */
typedef struct row_strings {
    arena_t *arena;
    uint8_t *next;
    size_t room; /* bytes there */
} row_strings_t;

/* Fills `to` (layout size bytes) from a projected row; strings are copied. */
void row_pack (const row_layout_t *self, uint8_t *to, const projection_t *rows, size_t at,
               row_strings_t *strings);

/* Bytes that the copy of a string takes. */
size_t row_string_size (size_t size);

static inline int64_t row_time (const uint8_t *row)
{
    int64_t time;
    memcpy (&time, row, sizeof time);
    return time;
}

/* Where it stands among all rows of its key; without positions, by its time alone. */
static inline row_place_t row_place (const row_layout_t *self, const uint8_t *row)
{
    row_place_t place = { .time = row_time (row) };
    if (self->positions) {
        memcpy (&place.offset, row + sizeof place.time, sizeof place.offset);
        memcpy (&place.row, row + sizeof place.time + sizeof place.offset, sizeof place.row);
    }
    return place;
}

/* Of `count` rows in time order from `first` on, how many have a time <= `time`. */
size_t row_count_to (const row_layout_t *self, const uint8_t *first, size_t count, int64_t time);

/* The text that a string lane's 8 bytes stand for; empty for those of a null. */
text_t row_text (uint64_t cell);

/* Adds the row to an accumulator of the slot if it counts for it. */
void row_fold (const row_layout_t *self, const uint8_t *row, uint32_t slot, void *acc);

#endif
