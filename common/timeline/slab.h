/* slab.h - memory in pieces of many sizes, in pages of pieces of one size.
 *
 * What is given back is taken by the next of its size, and a page of which everything has been
 * given back by any size. Pieces of a size that has become rare are to be moved together, by whom
 * they belong to (slab_leave): so keys that grow from piece to larger piece leave little behind. */
#ifndef WEIR_TIMELINE_SLAB_H
#define WEIR_TIMELINE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_UNIT = 16,             /* bytes that sizes are multiples of */
    SLAB_SMALL = 512,           /* sizes above it are those of which a whole number fills a page */
    SLAB_SIZE_MAX = 2032,       /* bytes of a piece */
    SLAB_PAGE = 8 << 10,        /* bytes; its own head is among them */
    SLAB_ROOM = SLAB_PAGE - 32, /* bytes for pieces */
    SLAB_SMALL_CLASSES = SLAB_SMALL / SLAB_UNIT + 1,
    SLAB_CLASSES = SLAB_SMALL_CLASSES + SLAB_ROOM / SLAB_SMALL + 1,
    SLAB_PIECES_MAX = SLAB_PAGE / SLAB_UNIT, /* in a page */
};

/* Pieces that stay where they are have pages of their own. */
typedef enum slab_kind { SLAB_MOVING, SLAB_FIXED, SLAB_KINDS } slab_kind_t;

typedef struct slab_page slab_page_t;

/* Pages of one size and kind. */
typedef struct slab_class {
    slab_page_t *with_room; /* a list of those that are not full */
    uint32_t pages;
    uint32_t used; /* pieces */
} slab_class_t;

typedef struct slab {
    slab_class_t classes[SLAB_KINDS][SLAB_CLASSES];
    slab_page_t *empty;        /* pages of no size now */
    struct slab_chunk *chunks; /* all memory */
    size_t unused;             /* pages at the beginning of the first chunk */
    size_t held;               /* bytes */
} slab_t;

void slab_init (slab_t *self);
void slab_release (slab_t *self); /* and all pieces with it */

/* A piece of at least `size` bytes, at most SLAB_SIZE_MAX, aligned to SLAB_UNIT. */
void *slab_take (slab_t *self, slab_kind_t kind, size_t size) __attribute__ ((returns_nonnull));

/* Gives back a piece that was taken with this kind and size. */
void slab_give (slab_t *self, slab_kind_t kind, void *piece, size_t size);

/* When too little of the pages of a size is in use, chooses one with few pieces, from which none is
 * taken until it is empty. Returns how many pieces it has; they are to be moved to others of the
 * size, and given back, before anything else is asked of the slab. 0: there is no need. */
size_t slab_leave (slab_t *self, size_t size, void *pieces[SLAB_PIECES_MAX]);

/* The bytes of a piece that was taken with this size, at most SLAB_SIZE_MAX. */
static inline size_t slab_size (size_t size)
{
    size = (size + SLAB_UNIT - 1) / SLAB_UNIT * SLAB_UNIT;
    return size <= SLAB_SMALL ? size : SLAB_ROOM / (SLAB_ROOM / size) / SLAB_UNIT * SLAB_UNIT;
}

/* What such a piece takes of its page. */
double slab_footprint (size_t size);

/* Bytes held from the system, without pages that were never touched: it has not given these yet. */
size_t slab_held (const slab_t *self);

#endif
