/* parts.h - memory of coded rows (coded.h), apart by ranges of their keys.
 *
 * The keys of the first rows decide between which keys the parts are; a tile goes behind the last
 * one of its part. So the rows of a part, which are sorted and picked together, fit a near cache,
 * however many rows there are.
 *
 * A key that many of the first rows have gets a part for itself, or for those that begin alike.
 * While its rows come nearly in order of their times they need not be sorted all together. */
#ifndef WEIR_STORAGE_PARTS_H
#define WEIR_STORAGE_PARTS_H

#include "base/kept.h"
#include "base/key.h"
#include "base/value.h"
#include "storage/coded.h"

enum {
    PARTS_MAX = 256,
    PARTS_STEPS = 4096, /* equal ones, from the first beginning of a part to the last one */
};
#define PARTS_NONE UINT32_MAX

/* Tiles of a part, one behind the other. */
typedef struct parts_tiles {
    uint64_t at;
    uint32_t size; /* bytes: of several tiles, PARTS_TOGETHER at most */
    uint32_t rows;
    uint32_t next; /* of the part; PARTS_NONE: these are the last */
    uint32_t before;
    coded_times_t times; /* of parts in time: `most` is that of all up to these */
} parts_tiles_t;
enum { PARTS_TOGETHER = 256 << 10 };

typedef struct part {
    uint32_t first; /* tiles; PARTS_NONE: there are none */
    uint32_t last;
    size_t rows;
    size_t at_once; /* of a part in time: so many at a time, at most, are before what follows */
    /* of rows that were dropped, too: */
    bool in_time; /* they have one key, and come nearly in order of their times */
    text_t key;   /* then; owned, without data before there are rows */
} part_t;

/* Memory that is free. */
typedef struct parts_range {
    uint64_t at;
    size_t size;
} parts_range_t;

typedef struct parts {
    kept_t *kept;
    uint8_t **slots; /* pieces of `kept`, which have a KEPT_PIECE of places each */
    size_t slots_count;
    size_t slots_used;     /* the others are for the next rows */
    parts_range_t range;   /* that is being filled … */
    parts_range_t *ranges; /* … and those of parts that were dropped */
    size_t ranges_count;
    size_t ranges_room;
    bool parted;
    part_t part[PARTS_MAX];
    uint64_t split[PARTS_MAX];   /* the key's bytes that each but the first part begins with; the
                                  * last entry is none */
    uint8_t begin[KEY_SIZE_MAX]; /* what those keys begin with before that */
    size_t skip;                 /* bytes of it */
    bool even;                   /* keys lie so that this tells parts quickly: */
    unsigned shift;              /* bits of a step, from split[0] on, … */
    uint8_t step[PARTS_STEPS];   /* … and the part that it begins in */
    parts_tiles_t *tiles;
    size_t tiles_count;
    size_t tiles_room;
    size_t rows;
    size_t largest; /* rows of a part that are sorted at once */
} parts_t;

/* `kept` (NULL: nothing is kept) outlives it. */
void parts_init (parts_t *self, kept_t *kept);
void parts_release (parts_t *self);
/* Forgets the rows; the memory is for the next ones. */
void parts_clear (parts_t *self);

/* Decides where parts begin, before there are rows, so that each gets about as many of the sample,
 * but for keys that are the same so far: prefixes of `count` keys after `skip` bytes, which all of
 * these begin with, and `key` does. It is sorted. */
void parts_part (parts_t *self, uint64_t *sample, size_t count, text_t key, size_t skip);

/* Forgets the rows as well, and goes on with the next ones in the same parts. */
void parts_drop (parts_t *self);

/* Forgets the rows of a part; its memory is for the next ones. */
void parts_drop_part (parts_t *self, size_t part);

/* Gives up memory of rows that were forgotten. */
void parts_give_back (parts_t *self);

/* The part of a key that begins as the sample's, by its prefix after `skip` bytes: how many begin
 * at or before it, but for the first. */
static inline size_t parts_of_prefix (const parts_t *self, uint64_t prefix)
{
    size_t part = 0;
    if (prefix < self->split[0])
        return 0;
    if (prefix >= self->split[PARTS_MAX - 2])
        return PARTS_MAX - 1;
    if (self->even) {
        part = self->step[(prefix - self->split[0]) >> self->shift];
        while (self->split[part] <= prefix)
            part++;
        return part;
    }
    for (size_t half = PARTS_MAX / 2; half > 0; half /= 2)
        part += self->split[part + half - 1] <= prefix ? half : 0;
    return part;
}
/* The part of any key. */
size_t parts_of_key (const parts_t *self, text_t key);

/* Memory for a tile, up to KEPT_PIECE bytes, which is asked for anew with the next call … */
uint8_t *parts_room (parts_t *self, size_t size) __attribute__ ((returns_nonnull));
/* … unless it is in a part now, with so many bytes of it. Only when they are parted. Of a part that
 * is in time, `times` are those of the rows. */
void parts_add (parts_t *self, size_t part, size_t size, size_t rows, coded_times_t times);

/* Rows with this key are about to be added to a part that is in time. */
void parts_take_key (parts_t *self, size_t part, text_t key);

/* Rows of a part that are sorted at once, about. */
static inline size_t parts_at_once (const part_t *part)
{
    size_t step = 3 * part->at_once; /* what stays of a step, and as much again or more */
    return part->in_time && step < part->rows ? step : part->rows;
}

static inline const uint8_t *parts_at (const parts_t *self, const parts_tiles_t *tiles)
{
    return self->slots[tiles->at / KEPT_PIECE] + tiles->at % KEPT_PIECE;
}

/* Bytes of memory that rows are in. */
size_t parts_bytes (const parts_t *self);

#endif
