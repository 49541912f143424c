/* sorter_state.h - what a sorter is. Private to sorter*.c. */
#ifndef WEIR_STORAGE_SORTER_STATE_H
#define WEIR_STORAGE_SORTER_STATE_H

#include "base/buf.h"
#include "storage/coded.h"
#include "storage/parts.h"
#include "storage/pieces.h"
#include "storage/sorter.h"
#include "storage/spill.h"

/* A part's blocks on the disk and its tiles in memory, in the order in which they came, some of
 * which are sorted at a time. */
typedef struct steps {
    int64_t *least; /* event time of each, and of all that follow; NULL: there are no steps */
    size_t count;
    size_t next;    /* the first that is not in `few` yet: … */
    size_t block;   /* … that block on the disk, unless there are no more, … */
    uint32_t tiles; /* … and then these tiles */
    size_t stay;    /* rows in `few` that what follows may come before */
} steps_t;

/* How far rows have been given. */
typedef struct giving {
    arena_t *arena;
    batch_t batch[2]; /* in turns: what was given stays while the next one is filled */
    arena_t
        *texts[2]; /* strings and keys of theirs, if they are not borrowed from memory that stays */
    unsigned turn;
    size_t room;      /* rows of a batch */
    size_t filled;    /* rows of the one whose turn it is */
    size_t given;     /* rows of all */
    size_t next;      /* part */
    size_t part;      /* that is given now: in `few`, or pieces … */
    size_t rows;      /* … its rows … */
    size_t at;        /* … and those that were picked */
    bool few;         /* the part is all rows, which are few: batches borrow from these */
    bool from_disk;   /* the part is there, too */
    steps_t steps;    /* of a part in time: then `rows` are those of one step */
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

/* Begins to give the part that is to be given; false: it cannot be given in steps, or that is not
 * worth it. */
bool steps_begin (sorter_t *self);
/* Is there another step? */
bool steps_left (const steps_t *steps);
/* The next rows in order are sorted in `few`: as many as nothing comes before that is left. */
MUST_CHECK status_t steps_next (sorter_t *self, error_t *error);
void steps_end (steps_t *steps);

/* ---- sorter_spill.c: of a sorter that has rows on the disk ---- */

/* Would so many rows of a part not fit by themselves? */
bool spilled_is_large (const sorter_t *self, size_t rows);
/* The part's rows there when none of them are sorted; NULL: there are none, or some are. */
const spill_list_t *spilled_unsorted (const sorter_t *self, size_t part);
/* Reads a block of it: its rows come behind those in `few`. */
MUST_CHECK status_t spilled_take_block (sorter_t *self, const spill_block_t *block, error_t *error);
/* Rows of a part, there and in memory. */
size_t spilled_rows (const sorter_t *self, size_t part);
/* Begins to give the part: sorted in `few` (*pieces is NULL), or as pieces. */
MUST_CHECK status_t spilled_begin (sorter_t *self, size_t part, pieces_t **pieces, error_t *error);
/* Forgets all of it; without any it is fine. */
void spilled_release (sorter_t *self);
/* The part's rows that are in memory, behind those in `few`. */
void spilled_take_memory (sorter_t *self, size_t part);

#endif
