#include "storage/parts.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum {
    CHUNK = 16 << 10, /* bytes; larger for a row that needs it */
    LINE = 64,        /* bytes that memory comes in */
    LARGE_PAGE = 2 << 20,
    AHEAD = 2048, /* bytes that are fetched ahead in a chunk */
    NONE = UINT32_MAX,
};

void parts_init (parts_t *self, const packed_t *packed, kept_t *kept)
{
    memset (self, 0, sizeof *self);
    self->packed = packed;
    self->kept = kept;
    parts_clear (self);
}

void parts_release (parts_t *self)
{
    for (size_t i = 0; i < self->slots_count; i++)
        kept_give (self->kept, self->slots[i]);
    mem_free (self->slots);
    mem_free (self->chunks);
    memset (self, 0, sizeof *self);
}

/* ---- chunks ---- */

static uint32_t add_chunk (parts_t *self, uint64_t at, size_t size)
{
    CHECK (self->chunks_count < NONE);
    if (self->chunks_count == self->chunks_room) {
        self->chunks_room = self->chunks_room > 0 ? 2 * self->chunks_room : PARTS_MAX;
        self->chunks = mem_resize (self->chunks, self->chunks_room, sizeof *self->chunks);
    }
    self->chunks[self->chunks_count] = (parts_chunk_t){ .at = at, .room = size, .next = NONE };
    return (uint32_t)self->chunks_count++;
}

/* Slots that have been there before the rows were cleared are filled again. */
static void next_slot (parts_t *self)
{
    self->slot += self->used > 0;
    self->used = 0;
    if (self->slot < self->slots_count)
        return;
    self->slots = mem_resize (self->slots, self->slots_count + 1, sizeof *self->slots);
    self->slots[self->slots_count++] = kept_take (self->kept);
}

static uint32_t new_chunk (parts_t *self, size_t least)
{
    size_t size = least > CHUNK ? (least + LINE - 1) / LINE * LINE : CHUNK;
    CHECK (size <= KEPT_PIECE);
    if (self->slots_count == 0 || size > KEPT_PIECE - self->used)
        next_slot (self);
    uint64_t at =
        (uint64_t)self->slot * (KEPT_PIECE / PACKED_ALIGNMENT) + self->used / PACKED_ALIGNMENT;
    self->used += size;
    return add_chunk (self, at, size);
}

/* A chunk for the part's next row: one that it has had before, or a new one. Either is at a later
 * place than those that it has rows in. */
static void open_chunk (parts_t *self, part_t *part, size_t least)
{
    uint32_t last = part->last;
    uint32_t chunk = last == NONE ? part->first : self->chunks[last].next;
    if (chunk == NONE || self->chunks[chunk].room < least)
        chunk = new_chunk (self, least);
    if (last == NONE)
        part->first = chunk;
    else {
        self->chunks[last].size -= part->left;
        self->chunks[last].next = chunk;
    }
    parts_chunk_t *opened = &self->chunks[chunk];
    opened->size = opened->room;
    part->last = chunk;
    part->left = opened->room;
    part->to = self->slots[opened->at >> SLOT_BITS] + (opened->at & SLOT_MASK) * PACKED_ALIGNMENT;
}

void parts_drop_part (parts_t *self, size_t which)
{
    part_t *part = &self->part[which];
    CHECK (self->parted);
    self->rows -= part->rows;
    *part = (part_t){ .first = part->first, .last = NONE };
    self->largest = 0;
    for (size_t i = 0; i < PARTS_MAX; i++)
        self->largest = self->part[i].rows > self->largest ? self->part[i].rows : self->largest;
}

void parts_drop (parts_t *self)
{
    for (size_t i = 0; i < PARTS_MAX; i++)
        self->part[i] = (part_t){ .first = NONE, .last = NONE };
    self->slot = 0;
    self->used = 0;
    self->chunks_count = 0;
    self->rows = 0;
    self->largest = 0;
}

void parts_clear (parts_t *self)
{
    parts_drop (self);
    self->parted = false;
    self->begun = false;
}

void parts_give_back (parts_t *self)
{
    CHECK (self->rows == 0);
    for (size_t i = 0; i < self->slots_count; i++)
        kept_give (self->kept, self->slots[i]);
    self->slots_count = 0;
}

size_t parts_bytes (const parts_t *self)
{
    return self->slot * KEPT_PIECE + (self->used + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
}

/* ---- parting ---- */

static int compare_numbers (const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

void parts_part (parts_t *self, uint64_t *sample, size_t count, size_t skip)
{
    CHECK (!self->parted && self->rows == 0);
    self->parted = true;
    self->split_skip = count > 0 ? skip : 0;
    qsort (sample, count, sizeof *sample, compare_numbers);
    for (size_t i = 0; i + 1 < PARTS_MAX; i++)
        self->split[i] = count > 0 ? sample[count * (i + 1) / PARTS_MAX] : UINT64_MAX;
    self->split[PARTS_MAX - 1] = UINT64_MAX;
}

/* How many parts begin at or before the prefix: it is in the last of them. Without branches, so
 * that those of several rows are looked for at the same time. */
static inline size_t part_of (const parts_t *self, uint64_t prefix)
{
    size_t part = 0;
    for (size_t half = PARTS_MAX / 2; half > 0; half /= 2)
        part += self->split[part + half - 1] <= prefix ? half : 0;
    return part;
}

/* The same of a key that may not begin as those did that were looked at: it comes before or after
 * all of them then. */
static size_t part_of_any (const parts_t *self, text_t key)
{
    text_t begin = { (const char *)self->first_key, (uint32_t)self->split_skip };
    text_t same = { key.data, key.size < begin.size ? key.size : begin.size };
    int order = text_compare (same, begin);
    if (order != 0)
        return order < 0 ? 0 : PARTS_MAX - 1;
    return part_of (self, sort_prefix (key, self->split_skip));
}

/* What all keys begin with has an end where the tile's do not. A prefix that goes past a key's end
 * would serve too, but none of short keys should. */
static void shorten_skip (parts_t *self, const packed_tile_t *tile)
{
    if (!self->begun) {
        self->begun = true;
        text_t key = tile->batch->key[tile->row[0]];
        CHECK (key.size <= KEY_SIZE_MAX);
        if (key.size > 0)
            memcpy (self->first_key, key.data, key.size);
        self->first_key_size = key.size;
        self->skip = key.size > sizeof (uint64_t) ? key.size - sizeof (uint64_t) : 0;
    }
    text_t first = { (const char *)self->first_key, self->first_key_size };
    for (size_t i = 0; i < tile->count; i++)
        self->skip = sort_common (tile->batch->key[tile->row[i]], first, self->skip);
}

static inline uint8_t *put_in (parts_t *self, size_t which, size_t size)
{
    part_t *part = &self->part[which];
    if (size > part->left)
        open_chunk (self, part, size);
    uint8_t *to = part->to;
    part->to += size;
    part->left -= size;
    part->rows++;
    self->largest = part->rows > self->largest ? part->rows : self->largest;
    __builtin_prefetch (to, 1);
    return to;
}

/* ---- placing ---- */

void parts_place (parts_t *self, packed_tile_t *tile)
{
    uint16_t part[PACKED_TILE];
    const text_t *keys = tile->batch->key;
    CHECK (self->parted && tile->count > 0);
    shorten_skip (self, tile);
    if (self->skip >= self->split_skip)
        for (size_t i = 0; i < tile->count; i++)
            part[i] = (uint16_t)part_of (self, sort_prefix (keys[tile->row[i]], self->split_skip));
    else
        for (size_t i = 0; i < tile->count; i++)
            part[i] = (uint16_t)part_of_any (self, keys[tile->row[i]]);
    for (size_t i = 0; i < tile->count; i++)
        tile->to[i] = put_in (self, part[i], tile->size[i]);
    self->rows += tile->count;
}

/* ---- rows as they lie ---- */

uint8_t *parts_room (parts_t *self, size_t which, size_t size)
{
    part_t *part = &self->part[which];
    self->parted = true;
    if (size > part->left)
        open_chunk (self, part, size);
    uint8_t *to = part->to;
    part->to += size;
    part->left -= size;
    return to;
}

void parts_add_rows (parts_t *self, size_t which, size_t rows)
{
    part_t *part = &self->part[which];
    part->rows += rows;
    self->rows += rows;
    self->largest = part->rows > self->largest ? part->rows : self->largest;
}

/* Bytes of rows in a chunk of the part. */
static size_t chunk_bytes (const parts_t *self, const part_t *part, uint32_t chunk)
{
    return self->chunks[chunk].size - (chunk == part->last ? part->left : 0);
}

size_t parts_rows_at (const parts_t *self, size_t which, uint32_t *chunk, const uint8_t **rows)
{
    const part_t *part = &self->part[which];
    CHECK (self->parted);
    if (part->last == NONE || *chunk == part->last)
        return 0;
    *chunk = *chunk == PARTS_BEGIN ? part->first : self->chunks[*chunk].next;
    *rows = parts_row (self, self->chunks[*chunk].at);
    return chunk_bytes (self, part, *chunk);
}

/* ---- items ---- */

static sort_item_t *put_items (const parts_t *self, const parts_chunk_t *chunk, const uint8_t *row,
                               size_t size, sort_item_t *items)
{
    const uint8_t *end = row + size;
    for (uint64_t at = chunk->at; row < end;) {
        text_t key = packed_key (self->packed, row);
        size_t taken = packed_size (self->packed, row);
        __builtin_prefetch (row + AHEAD);
        *items++ = (sort_item_t){ sort_prefix (key, self->skip), packed_time (row),
                                  sort_place (at, key.size) };
        row += taken;
        at += taken / PACKED_ALIGNMENT;
    }
    CHECK (row == end);
    return items;
}

void parts_items (const parts_t *self, size_t part, sort_item_t *items)
{
    const part_t *which = &self->part[part];
    const sort_item_t *end = items + which->rows;
    uint32_t chunk = PARTS_BEGIN;
    const uint8_t *rows;
    size_t size;
    while ((size = parts_rows_at (self, part, &chunk, &rows)) > 0)
        items = put_items (self, &self->chunks[chunk], rows, size, items);
    CHECK (items == end);
}
