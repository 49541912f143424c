/* sorter_state.h - what a sorter is. Private to sorter*.c. */
#ifndef WEIR_STORAGE_SORTER_STATE_H
#define WEIR_STORAGE_SORTER_STATE_H

#include "base/buf.h"
#include "storage/coded.h"
#include "storage/parts.h"
#include "storage/pieces.h"
#include "storage/sorter.h"
#include "storage/spill.h"

/* How far rows have been given. */
typedef struct giving {
    arena_t *arena;
    batch_t batch[2]; /* in turns: what was given stays while the next one is filled */
    arena_t
        *texts[2]; /* strings and keys of theirs, if they are not borrowed from memory that stays */
    unsigned turn;
    size_t room;    /* rows of a batch */
    size_t filled;  /* rows of the one whose turn it is */
    size_t given;   /* rows of all */
    size_t next;    /* part */
    size_t part;    /* that is given now: in `few`, or pieces … */
    size_t rows;    /* … its rows … */
    size_t at;      /* … and those that were picked */
    bool few;       /* the part is all rows, which are few: batches borrow from these */
    bool from_disk; /* the part is there, too */
    uint32_t tiles; /* of a part in time: those that are not in `few` yet; else PARTS_NONE … */
    size_t stay;    /* … and its rows behind `rows`, which what is in the tiles may come before */
    pieces_t *pieces; /* of a part that is not sorted in memory; else NULL */
    gathered_t lent;  /* rows that batches borrow from and that are given no more … */
    unsigned stays;   /* … for so many calls; 0: there are none */
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
    uint8_t *block; /* that is being read … */
    size_t room;    /* … and bytes that it may have */
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
    kept_t *kept;
    gathered_t few;    /* the newest rows, or all of them; while parts are given, those of one */
    uint32_t *order;   /* of these: few_sort */
    uint64_t *prefix;  /* scratch of that */
    size_t order_room; /* rows that there is room for in both */
    uint8_t *tile;     /* that is being coded … */
    size_t tile_room;  /* … and bytes that it may have */
    buf_t few_kept;    /* scratch of few_keep */
    coded_t coded;
    parts_t parts;    /* rows in memory that came before them */
    size_t row_bytes; /* of one that is in a part, while it is sorted, about */
    aside_t aside;
    size_t rows;      /* wherever they are */
    bool in_position; /* rows came by offset and row, of which the last ones are … */
    uint64_t last_offset;
    uint32_t last_row;
    spilled_t *spilled; /* NULL: nothing is on the disk */
    size_t gives;       /* rows of a batch */
    giving_t *giving;   /* NULL: no row was given yet */
};

/* ---- sorter_few.c: of rows that are few ---- */

/* Are they as many as are kept so? */
bool few_are_many (const sorter_t *self);
/* Puts all of them into parts. */
void few_part (sorter_t *self);
/* Adds rows of tiles, `size` bytes. */
void few_take (sorter_t *self, const uint8_t *tiles, size_t size);
/* Room in `order` for all of them. */
void few_make_room (sorter_t *self);
/* Makes `order`. */
void few_sort (sorter_t *self);
/* Puts those from the `from`-th in order on, on the disk. */
MUST_CHECK status_t few_put (sorter_t *self, size_t from, spill_list_t *list, error_t *error);
/* Forgets those before the `from`-th in order; the others are in order then. */
void few_keep (sorter_t *self, size_t from);
/* Bytes that they take, the sorting counted. */
size_t few_bytes (const sorter_t *self);

/* ---- sorter_steps.c: of a part whose rows are one key's and come nearly in time ---- */

/* Can the part be given in steps, and is it worth it? */
bool steps_can (const sorter_t *self, size_t part);
/* Begins to give the part: makes the first step, as steps_next does. */
void steps_begin (sorter_t *self, size_t part);
/* Is there another step of the part that is given? */
bool steps_left (const giving_t *giving);
/* The next rows in order are sorted in `few`: as many as nothing comes before that is left. */
void steps_next (sorter_t *self);

/* ---- sorter_spill.c: of a sorter that has rows on the disk ---- */

/* Rows of a part, there and in memory. */
size_t spilled_rows (const sorter_t *self, size_t part);
/* Begins to give the part: sorted in `few` (*pieces is NULL), or as pieces. */
MUST_CHECK status_t spilled_begin (sorter_t *self, size_t part, pieces_t **pieces, error_t *error);
/* Forgets all of it; without any it is fine. */
void spilled_release (sorter_t *self);
/* The part's rows that are in memory, behind those in `few`. */
void spilled_take_memory (sorter_t *self, size_t part);

#endif
