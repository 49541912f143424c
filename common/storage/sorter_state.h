/* sorter_state.h - what a sorter is. Private to sorter*.c. */
#ifndef WEIR_STORAGE_SORTER_STATE_H
#define WEIR_STORAGE_SORTER_STATE_H

#include "storage/gathered.h"
#include "storage/parts.h"
#include "storage/pieces.h"
#include "storage/sorter.h"
#include "storage/spill.h"

/* Items, with scratch, that a piece of kept memory has room for. */
#define SORTER_ITEMS_KEPT (KEPT_PIECE / 2 / sizeof (sort_item_t))

/* How far rows have been given. */
typedef struct giving {
    arena_t *arena;
    batch_t batch[2]; /* in turns: what was given stays while the next one is filled */
    arena_t
        *texts[2]; /* strings and keys of theirs, if they are not borrowed from memory that stays */
    unsigned turn;
    size_t room;       /* rows of a batch */
    size_t filled;     /* rows of the one whose turn it is */
    size_t given;      /* rows of all */
    size_t next;       /* part */
    size_t part;       /* that is given now … */
    size_t rows;       /* … its rows … */
    size_t at;         /* … and those that were picked */
    bool few;          /* the part is all rows, which are few */
    size_t lines;      /* of a row that are fetched */
    pieces_t *pieces;  /* of a part that is not sorted in memory; else NULL */
    spill_list_t left; /* its rows that were in memory first */
    bool from_disk;    /* the part is in `loaded`, or pieces */
    unsigned stays;    /* calls until memory that batches borrow from is given back */
} giving_t;

/* Rows of a part on the disk, in the order in which they came, or sorted. */
typedef struct stretch {
    spill_list_t list;
    bool sorted;
} stretch_t;

typedef struct shelf {
    stretch_t *stretches; /* in the order in which their rows came */
    size_t count;
} shelf_t;

/* What is on the disk. */
typedef struct spilled {
    spill_t *spill;
    parts_t loaded; /* a part that fits it */
    shelf_t shelf[PARTS_MAX];
} spilled_t;

/* Where rows may be put. */
typedef struct aside {
    fs_t *fs; /* NULL: nowhere */
    char *path;
    size_t memory;
} aside_t;

struct sorter {
    uint32_t magic;
    packed_t packed;
    kept_t *kept;
    gathered_t few;  /* all rows, until they are more */
    size_t few_size; /* bytes, if they were packed */
    uint32_t *order; /* of these: few_sort */
    parts_t parts;   /* rows in memory that are not few */
    aside_t aside;
    size_t rows;        /* wherever they are */
    sort_item_t *items; /* of a part; the second half is scratch of the sorting */
    size_t room;
    bool items_kept;        /* they are a piece of `kept` */
    const parts_t *sorting; /* where their rows are */
    bool in_position;       /* rows came by offset and row, of which the last ones are … */
    uint64_t last_offset;
    uint32_t last_row;
    spilled_t *spilled; /* NULL: nothing is on the disk */
    size_t gives;       /* rows of a batch */
    giving_t *giving;   /* NULL: no row was given yet */
};

/* Makes items of the part's rows, in order. */
void sorter_sort_part (sorter_t *self, const parts_t *parts, size_t part);
static inline const uint8_t *sorter_row (const sorter_t *self, size_t item)
{
    return parts_row (self->sorting, sort_at (&self->items[item]));
}

/* ---- sorter_few.c: of rows that are few ---- */

/* Adds the tile, which is measured; false: rows are not few any more. */
bool few_add (sorter_t *self, const packed_tile_t *tile);
/* Puts all of them into parts. */
void few_part (sorter_t *self);
/* Makes `order`. */
void few_sort (sorter_t *self);
/* Puts those from the `from`-th in order on, on the disk. */
MUST_CHECK status_t few_put (sorter_t *self, size_t from, spill_list_t *list, error_t *error);
/* Forgets them, and gives up their memory. */
void few_give_back (sorter_t *self);
/* Bytes that they take, the sorting counted. */
size_t few_bytes (const sorter_t *self);

/* ---- sorter_spill.c: of a sorter that has rows on the disk ---- */

/* Rows of a part, there and in memory. */
size_t spilled_rows (const sorter_t *self, size_t part);
/* Begins to give the part: sorted in `loaded` (*pieces is NULL), or as pieces. */
MUST_CHECK status_t spilled_begin (sorter_t *self, size_t part, pieces_t **pieces, error_t *error);
/* Forgets all of it; without any it is fine. */
void spilled_release (sorter_t *self);

#endif
