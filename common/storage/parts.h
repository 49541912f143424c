/* parts.h - memory of packed rows, apart by ranges of their keys.
 *
 * The keys of the first rows decide between which keys the parts are; a row goes behind the last
 * one of its part. So the rows of a part, which are sorted and picked together, come from a few
 * places that fit a near cache, however many rows there are. */
#ifndef WEIR_STORAGE_PARTS_H
#define WEIR_STORAGE_PARTS_H

#include "base/kept.h"
#include "storage/packed.h"
#include "storage/sort.h"

enum {
    PARTS_MAX = 256,
    SLOT_BITS = 22, /* of a place in a slot, in units of the alignment */
    SLOT_MASK = (1 << SLOT_BITS) - 1,
};
_Static_assert(KEPT_PIECE == PACKED_ALIGNMENT << SLOT_BITS, "a place is one in a piece");

typedef struct part {
    uint8_t *to;    /* where its next row goes … */
    size_t left;    /* … and bytes that are left there */
    uint32_t first; /* chunks; those behind the last one are for the next rows */
    uint32_t last;
    size_t rows;
} part_t;

typedef struct parts_chunk {
    uint64_t at; /* its first row's place */
    size_t size; /* bytes; of one that is full, those that rows take */
    size_t room; /* bytes of memory */
    uint32_t next;
} parts_chunk_t;

typedef struct parts {
    const packed_t *packed;
    kept_t *kept;
    uint8_t **slots; /* pieces of `kept`, in which chunks are */
    size_t slots_count;
    size_t slot; /* the one that is being filled … */
    size_t used; /* … and bytes of it */
    bool parted;
    bool begun; /* there was a row since parts_clear */
    part_t part[PARTS_MAX];
    uint64_t split[PARTS_MAX]; /* the key's bytes that each but the first part begins with; the
                                * last entry is none */
    size_t split_skip;         /* bytes that keys begin with before those */
    size_t skip;               /* bytes that all keys begin with */
    uint8_t first_key[KEY_SIZE_MAX];
    uint32_t first_key_size;
    parts_chunk_t *chunks;
    size_t chunks_count;
    size_t chunks_room;
    size_t rows;
    size_t largest; /* rows of a part */
} parts_t;

/* `packed` and `kept` (NULL: nothing is kept) outlive it. */
void parts_init (parts_t *self, const packed_t *packed, kept_t *kept);
void parts_release (parts_t *self);
/* Forgets the rows; the memory is for the next ones. */
void parts_clear (parts_t *self);

/* Decides where parts begin, before any row is placed, so that each gets about as many of the
 * sample, but for keys that are the same so far: prefixes of `count` keys after `skip` bytes, which
 * all of these begin with, and so does the key that is placed first. It is sorted. */
void parts_part (parts_t *self, uint64_t *sample, size_t count, size_t skip);

/* Forgets the rows as well, and goes on with the next ones in the same parts. */
void parts_drop (parts_t *self);

/* Forgets the rows of a part; its memory is for its next ones. Only when they are parted. */
void parts_drop_part (parts_t *self, size_t part);

/* Gives up memory of rows that were forgotten. */
void parts_give_back (parts_t *self);

/* Room for rows that were in such a part before, `size` bytes of them (at most KEPT_PIECE), behind
 * the part's; when they are there, they are counted. */
uint8_t *parts_room (parts_t *self, size_t part, size_t size);
void parts_add_rows (parts_t *self, size_t part, size_t rows);

/* The rows of a part as they lie, some at a time: 0 bytes when there are no more. `chunk` is where
 * it stands, PARTS_BEGIN at first. Only when they are parted. */
#define PARTS_BEGIN UINT32_MAX
size_t parts_rows_at (const parts_t *self, size_t part, uint32_t *chunk, const uint8_t **rows);

/* Decides where the tile's rows go, which are measured and have keys. Only when they are parted. */
void parts_place (parts_t *self, packed_tile_t *tile);

/* Bytes of memory that rows are in. */
size_t parts_bytes (const parts_t *self);

/* The row at a place. Places go up in the order in which rows of a part came. */
static inline const uint8_t *parts_row (const parts_t *self, uint64_t at)
{
    return self->slots[at >> SLOT_BITS] + (at & SLOT_MASK) * PACKED_ALIGNMENT;
}

/* Writes an item for each row of a part, in the order in which they came; their prefixes begin
 * after `skip`. There is room for part[i].rows. */
void parts_items (const parts_t *self, size_t part, sort_item_t *items);

#endif
