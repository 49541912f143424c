/* packed_deltas.h - packed rows as what differs from the row before: for where bytes cost more than
 * making fewer of them does.
 *
 * Rows of a range of keys that came one after the other have much in common: keys, the fields that
 * these are made of, offsets; and a row has its event time twice, or three times. So rows are taken
 * as numbers of up to eight bytes, a tile of rows at a time, and of each number there are its first
 * one and the differences from one row to the next, in as many bytes as the largest of these needs.
 * A number's order of bytes is that in which neighbours differ in few: big-endian of keys, strings
 * and floats. Times are taken as what they differ from another time of their row. */
#ifndef WEIR_STORAGE_PACKED_DELTAS_H
#define WEIR_STORAGE_PACKED_DELTAS_H

#include "storage/packed.h"

typedef enum packed_kind {
    PACKED_PLAIN,
    PACKED_TURNED, /* big-endian */
    PACKED_TIME,
    PACKED_TEXT_SIZE,
} packed_kind_t;

/* A number in the part of a row that is before its key. */
typedef struct packed_number {
    packed_kind_t kind;
    uint32_t at;
    uint32_t bytes;
    uint32_t after; /* of a time: where that is from which it is told */
} packed_number_t;

typedef struct packed_deltas {
    const packed_t *packed;
    packed_number_t *numbers; /* in an order in which what is told from others comes later */
    size_t count;
    size_t rest; /* bytes at the end of a row that are not eight */
} packed_deltas_t;

/* `packed` outlives it. */
void packed_deltas_init (packed_deltas_t *self, const packed_t *packed);
void packed_deltas_release (packed_deltas_t *self);

enum { PACKED_DELTAS_TILE = 128 }; /* rows: so few that they stay in the nearest cache meanwhile */

/* Bytes of room that encoding a tile of rows takes, which are `size` bytes. */
size_t packed_deltas_room (const packed_deltas_t *self, size_t size);

/* Encodes a tile of rows, 1 to PACKED_DELTAS_TILE, of these sizes, to where there is room; returns
 * how many bytes they take there: five more than as they are, at most. */
size_t packed_deltas_encode (const packed_deltas_t *self, const uint8_t *const *rows,
                             const size_t *sizes, size_t count, uint8_t *to);

/* Puts the rows of some tiles back, behind one another: `size` bytes. `coded` is what encoding them
 * gave, no other bytes, and eight bytes behind it may be read. */
void packed_deltas_decode (const packed_deltas_t *self, const uint8_t *coded, size_t coded_size,
                           uint8_t *rows, size_t size);

#endif
