#include "storage/parts.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

#include <stdlib.h>

enum {
    LARGE_PAGE = 2 << 20,
    EVEN = 4,  /* parts that begin in a step, at most, where keys lie evenly */
    BACK = 32, /* tiles that later ones reach back over, at most, in a part that is in time */
};

void parts_init (parts_t *self, kept_t *kept)
{
    memset (self, 0, sizeof *self);
    self->kept = kept;
    parts_clear (self);
}

/* The last one first: those that were filled are taken before one that was so in part, which the
 * system has not given all memory of. */
static void give_slots (parts_t *self)
{
    while (self->slots_count > 0)
        kept_give (self->kept, self->slots[--self->slots_count]);
}

void parts_release (parts_t *self)
{
    parts_clear (self);
    give_slots (self);
    mem_free (self->slots);
    mem_free (self->tiles);
    mem_free (self->ranges);
    memset (self, 0, sizeof *self);
}

/* ---- memory ---- */

/* Slots that have been there before the rows were dropped are filled again. */
static void next_slot (parts_t *self)
{
    if (self->slots_used == self->slots_count) {
        self->slots = mem_resize (self->slots, self->slots_count + 1, sizeof *self->slots);
        self->slots[self->slots_count++] = kept_take (self->kept);
    }
    self->range = (parts_range_t){ (uint64_t)self->slots_used++ * KEPT_PIECE, KEPT_PIECE };
}

uint8_t *parts_room (parts_t *self, size_t size)
{
    CHECK (size <= KEPT_PIECE);
    while (self->range.size < size && self->ranges_count > 0)
        self->range = self->ranges[--self->ranges_count];
    if (self->range.size < size)
        next_slot (self);
    return self->slots[self->range.at / KEPT_PIECE] + self->range.at % KEPT_PIECE;
}

/* Do they go on where these end? */
static bool go_on (const parts_t *self, const parts_tiles_t *tiles, size_t size)
{
    return tiles->at + tiles->size == self->range.at && self->range.at % KEPT_PIECE != 0 &&
           tiles->size + size <= PARTS_TOGETHER;
}

static void add_tiles (parts_t *self, part_t *part, size_t size, size_t rows)
{
    if (self->tiles_count == self->tiles_room) {
        self->tiles_room = self->tiles_room > 0 ? 2 * self->tiles_room : PARTS_MAX;
        self->tiles = mem_resize (self->tiles, self->tiles_room, sizeof *self->tiles);
    }
    CHECK (self->tiles_count < PARTS_NONE);
    uint32_t here = (uint32_t)self->tiles_count++;
    self->tiles[here] = (parts_tiles_t){ .at = self->range.at,
                                         .size = (uint32_t)size,
                                         .rows = (uint32_t)rows,
                                         .next = PARTS_NONE,
                                         .before = part->last,
                                         .times = CODED_NO_TIMES };
    if (part->last == PARTS_NONE)
        part->first = here;
    else
        self->tiles[part->last].next = here;
    part->last = here;
}

/* The last tiles of a part have more rows, with these times: how many rows do not lie before them
 * all? */
static void look_back (parts_t *self, part_t *part, coded_times_t times)
{
    parts_tiles_t *last = &self->tiles[part->last];
    if (last->before != PARTS_NONE && self->tiles[last->before].times.most > times.most)
        times.most = self->tiles[last->before].times.most;
    coded_times_add (&last->times, times);
    size_t rows = last->rows;
    uint32_t i = last->before;
    for (int back = 0; i != PARTS_NONE && self->tiles[i].times.most >= last->times.least; back++) {
        if (back == BACK) {
            part->in_time = false;
            return;
        }
        rows += self->tiles[i].rows;
        i = self->tiles[i].before;
    }
    part->at_once = rows > part->at_once ? rows : part->at_once;
}

void parts_take_key (parts_t *self, size_t which, text_t key)
{
    part_t *part = &self->part[which];
    CHECK (part->in_time);
    if (part->key.data == NULL)
        part->key = (text_t){ mem_string_n (key.data, key.size), key.size };
    part->in_time = text_equal (part->key, key);
}

void parts_add (parts_t *self, size_t which, size_t size, size_t rows, coded_times_t times)
{
    part_t *part = &self->part[which];
    parts_tiles_t *last = part->last != PARTS_NONE ? &self->tiles[part->last] : NULL;
    CHECK (self->parted && size <= self->range.size);
    if (last != NULL && go_on (self, last, size)) {
        last->size += (uint32_t)size;
        last->rows += (uint32_t)rows;
    } else {
        add_tiles (self, part, size, rows);
    }
    self->range.at += size;
    self->range.size -= size;
    part->rows += rows;
    self->rows += rows;
    if (part->in_time)
        look_back (self, part, times);
    size_t at_once = parts_at_once (part);
    self->largest = at_once > self->largest ? at_once : self->largest;
}

static void add_range (parts_t *self, const parts_tiles_t *tiles)
{
    parts_range_t *last = self->ranges_count > 0 ? &self->ranges[self->ranges_count - 1] : NULL;
    if (last != NULL && last->at + last->size == tiles->at && tiles->at % KEPT_PIECE != 0) {
        last->size += tiles->size;
        return;
    }
    if (self->ranges_count == self->ranges_room) {
        self->ranges_room = self->ranges_room > 0 ? 2 * self->ranges_room : PARTS_MAX;
        self->ranges = mem_resize (self->ranges, self->ranges_room, sizeof *self->ranges);
    }
    self->ranges[self->ranges_count++] = (parts_range_t){ tiles->at, tiles->size };
}

static void empty_part (part_t *part)
{
    *part = (part_t){
        .first = PARTS_NONE, .last = PARTS_NONE, .in_time = part->in_time, .key = part->key
    };
}

void parts_drop_part (parts_t *self, size_t which)
{
    part_t *part = &self->part[which];
    for (uint32_t i = part->first; i != PARTS_NONE; i = self->tiles[i].next)
        add_range (self, &self->tiles[i]);
    self->rows -= part->rows;
    empty_part (part);
    self->largest = 0;
    for (size_t i = 0; i < PARTS_MAX; i++) {
        size_t at_once = parts_at_once (&self->part[i]);
        self->largest = at_once > self->largest ? at_once : self->largest;
    }
}

void parts_drop (parts_t *self)
{
    for (size_t i = 0; i < PARTS_MAX; i++)
        empty_part (&self->part[i]);
    self->slots_used = 0;
    self->range = (parts_range_t){ .size = 0 };
    self->ranges_count = 0;
    self->tiles_count = 0;
    self->rows = 0;
    self->largest = 0;
}

void parts_clear (parts_t *self)
{
    parts_drop (self);
    for (size_t i = 0; i < PARTS_MAX; i++) {
        mem_free ((char *)(uintptr_t)self->part[i].key.data);
        self->part[i].key = (text_t){ .size = 0 };
        self->part[i].in_time = false;
    }
    self->parted = false;
}

void parts_give_back (parts_t *self)
{
    CHECK (self->rows == 0);
    parts_drop (self);
    give_slots (self);
}

size_t parts_bytes (const parts_t *self)
{
    if (self->rows == 0)
        return 0;
    size_t free = self->range.size / LARGE_PAGE * LARGE_PAGE;
    for (size_t i = 0; i < self->ranges_count; i++)
        free += self->ranges[i].size;
    return self->slots_used * KEPT_PIECE - free;
}

/* ---- parting ---- */

static int compare_numbers (const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void make_steps (parts_t *self)
{
    uint64_t first = self->split[0];
    uint64_t range = self->split[PARTS_MAX - 2] - first;
    unsigned bits = range > 0 ? 64 - (unsigned)__builtin_clzll (range) : 0;
    unsigned most = (unsigned)__builtin_ctz (PARTS_STEPS);
    size_t part = 0;
    self->shift = bits > most ? bits - most : 0;
    self->even = true;
    for (size_t i = 0; i <= range >> self->shift; i++) {
        size_t before = part;
        while (part < PARTS_MAX - 1 && self->split[part] - first <= (uint64_t)i << self->shift)
            part++;
        self->step[i] = (uint8_t)part;
        self->even = self->even && (i == 0 || part - before <= EVEN);
    }
}

/* Where several parts would begin with the same prefix, one has all of it, and nothing else; those
 * before it have nothing. */
static void part_alike (parts_t *self)
{
    for (size_t i = 0, last; i + 1 < PARTS_MAX; i = last + 1) {
        uint64_t prefix = self->split[i];
        for (last = i; last + 2 < PARTS_MAX && self->split[last + 1] == prefix;)
            last++;
        bool alike = last > i && prefix != UINT64_MAX;
        self->part[last].in_time = alike;
        self->split[last] += alike;
    }
}

void parts_part (parts_t *self, uint64_t *sample, size_t count, text_t key, size_t skip)
{
    CHECK (!self->parted && self->rows == 0 && skip <= key.size && key.size <= KEY_SIZE_MAX);
    self->parted = true;
    self->skip = count > 0 ? skip : 0;
    if (self->skip > 0)
        memcpy (self->begin, key.data, skip);
    qsort (sample, count, sizeof *sample, compare_numbers);
    for (size_t i = 0; i + 1 < PARTS_MAX; i++)
        self->split[i] = count > 0 ? sample[count * (i + 1) / PARTS_MAX] : UINT64_MAX;
    self->split[PARTS_MAX - 1] = UINT64_MAX;
    part_alike (self);
    make_steps (self);
}

/* One that does not begin as those did that were looked at comes before or after all of them. */
size_t parts_of_key (const parts_t *self, text_t key)
{
    text_t begin = { (const char *)self->begin, (uint32_t)self->skip };
    text_t same = { key.data, key.size < begin.size ? key.size : begin.size };
    int order = text_compare (same, begin);
    if (order != 0)
        return order < 0 ? 0 : PARTS_MAX - 1;
    return parts_of_prefix (self, sort_prefix (key, self->skip));
}
