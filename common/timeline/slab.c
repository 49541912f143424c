#include "timeline/slab.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"

#include <string.h>

enum {
    CHUNK = 32 << 10,      /* bytes, while there is little … */
    CHUNK_LARGE = 1 << 20, /* … and at most … */
    CHUNK_SHARE = 4,       /* … when 1 in so many of what is held is more */
    RARE = 2,              /* times as much room as is used is too much … */
    RARE_PAGES = 2,        /* … of so many pages at least */
    LOOKED_AT = 8,         /* pages, for one with few pieces */
};

/* Stands at the page's beginning, which is aligned to SLAB_PAGE. */
struct slab_page {
    slab_page_t *next;
    slab_page_t *previous; /* in a list with_room */
    void *given;           /* pieces given back: the first word of each is the next */
    uint16_t used;         /* pieces that are not there to be taken */
    uint16_t begun;        /* pieces from the beginning that have ever been taken */
    uint16_t pieces;
    bool leaving; /* it is in no list */
};

typedef struct slab_chunk {
    struct slab_chunk *next;
    uint8_t *pages;
} slab_chunk_t;

_Static_assert(sizeof (slab_page_t) % SLAB_UNIT == 0, "pieces follow it, aligned");
_Static_assert(CHUNK % SLAB_PAGE == 0 && CHUNK_LARGE % SLAB_PAGE == 0, "whole pages");
_Static_assert(sizeof (slab_page_t) == SLAB_PAGE - SLAB_ROOM, "the head's room");
_Static_assert(SLAB_ROOM / 4 / SLAB_UNIT * SLAB_UNIT == SLAB_SIZE_MAX, "four of the largest");

void slab_init (slab_t *self)
{
    *self = (slab_t){ .chunks = NULL };
}

void slab_release (slab_t *self)
{
    while (self->chunks != NULL) {
        slab_chunk_t *chunk = self->chunks;
        self->chunks = chunk->next;
        scheduling_give_way ();
        mem_free (chunk->pages);
        mem_free (chunk);
    }
    slab_init (self);
}

/* ---- pages ---- */

static slab_class_t *class_of (slab_t *self, slab_kind_t kind, size_t size)
{
    CHECK (size > 0 && size <= SLAB_SIZE_MAX);
    size = slab_size (size);
    size_t number = size <= SLAB_SMALL ? size / SLAB_UNIT : SLAB_SMALL_CLASSES + SLAB_ROOM / size;
    return &self->classes[kind][number];
}

static size_t pieces_in (size_t size)
{
    return SLAB_ROOM / slab_size (size);
}

static void chunk_add (slab_t *self)
{
    size_t size = CHUNK;
    while (size < CHUNK_LARGE && size * 2 * CHUNK_SHARE <= self->held)
        size *= 2;
    slab_chunk_t *chunk = mem_alloc (sizeof *chunk);
    chunk->pages = mem_alloc_aligned (size, SLAB_PAGE);
    chunk->next = self->chunks;
    self->chunks = chunk;
    self->unused = size / SLAB_PAGE;
    self->held += sizeof *chunk + size;
}

static slab_page_t *page_take (slab_t *self)
{
    slab_page_t *page = self->empty;
    if (page != NULL) {
        self->empty = page->next;
        return page;
    }
    if (self->unused == 0)
        chunk_add (self);
    return (slab_page_t *)(void *)(self->chunks->pages + --self->unused * SLAB_PAGE);
}

static void list_put (slab_class_t *of, slab_page_t *page)
{
    page->next = of->with_room;
    page->previous = NULL;
    if (page->next != NULL)
        page->next->previous = page;
    of->with_room = page;
}

static void list_drop (slab_class_t *of, slab_page_t *page)
{
    if (page->next != NULL)
        page->next->previous = page->previous;
    if (page->previous != NULL)
        page->previous->next = page->next;
    else
        of->with_room = page->next;
}

static slab_page_t *page_begin (slab_t *self, slab_class_t *of, size_t size)
{
    slab_page_t *page = page_take (self);
    *page = (slab_page_t){ .pieces = (uint16_t)pieces_in (size) };
    list_put (of, page);
    of->pages++;
    return page;
}

static void page_end (slab_t *self, slab_class_t *of, slab_page_t *page)
{
    if (!page->leaving)
        list_drop (of, page);
    of->pages--;
    page->next = self->empty;
    self->empty = page;
}

/* ---- pieces ---- */

static uint8_t *piece_at (slab_page_t *page, size_t size, size_t at)
{
    return (uint8_t *)(page + 1) + at * slab_size (size);
}

/* The one that was given back before. */
static uint8_t *next_given (const uint8_t *piece)
{
    uint8_t *next;
    memcpy (&next, piece, sizeof next);
    return next;
}

void *slab_take (slab_t *self, slab_kind_t kind, size_t size)
{
    slab_class_t *of = class_of (self, kind, size);
    slab_page_t *page = of->with_room != NULL ? of->with_room : page_begin (self, of, size);
    void *piece = page->given;
    if (piece != NULL)
        page->given = next_given (piece);
    else
        piece = piece_at (page, size, page->begun++);
    of->used++;
    if (++page->used == page->pieces)
        list_drop (of, page);
    return piece;
}

void slab_give (slab_t *self, slab_kind_t kind, void *piece, size_t size)
{
    slab_class_t *of = class_of (self, kind, size);
    slab_page_t *page = (slab_page_t *)((uintptr_t)piece & ~(uintptr_t)(SLAB_PAGE - 1));
    CHECK (page->pieces == pieces_in (size) && page->used > 0);
    if (page->used == page->pieces)
        list_put (of, page);
    memcpy (piece, &page->given, sizeof page->given);
    page->given = piece;
    of->used--;
    if (--page->used == 0)
        page_end (self, of, page);
}

/* Of the first pages that have room, the one with fewest pieces. */
static slab_page_t *page_with_few (const slab_class_t *of)
{
    slab_page_t *few = of->with_room;
    slab_page_t *page = few;
    for (size_t i = 0; i < LOOKED_AT && page != NULL; i++, page = page->next)
        if (page->used < few->used)
            few = page;
    return few;
}

size_t slab_leave (slab_t *self, size_t size, void *pieces[SLAB_PIECES_MAX])
{
    slab_class_t *of = class_of (self, SLAB_MOVING, size);
    if (of->pages < RARE_PAGES || (size_t)of->used * RARE > of->pages * pieces_in (size))
        return 0;
    slab_page_t *page = page_with_few (of);
    list_drop (of, page);
    page->leaving = true;
    bool given[SLAB_PIECES_MAX] = { false };
    for (const uint8_t *at = page->given; at != NULL; at = next_given (at))
        given[(size_t)(at - (const uint8_t *)(page + 1)) / slab_size (size)] = true;
    size_t count = 0;
    for (size_t i = 0; i < page->begun; i++)
        if (!given[i])
            pieces[count++] = piece_at (page, size, i);
    CHECK (count == page->used);
    return count;
}

double slab_footprint (size_t size)
{
    return (double)SLAB_PAGE / (double)pieces_in (size);
}

size_t slab_held (const slab_t *self)
{
    return self->held - self->unused * SLAB_PAGE;
}
