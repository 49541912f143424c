/* sorter_steps.c - a large part of a sorter whose rows are one key's, and came nearly in the order
 * of their times, is given in steps: some tiles at a time are sorted, in a near cache, and given up
 * to the least time that is left. What a hot key costs is then what others do. */
#include "base/check.h"
#include "storage/sorter_state.h"

bool steps_can (const sorter_t *self, size_t part)
{
    const part_t *of = &self->parts.part[part];
    if (self->spilled != NULL && self->spilled->shelf[part].count > 0)
        return false;
    return parts_at_once (of) < of->rows;
}

bool steps_left (const giving_t *giving)
{
    return giving->tiles != PARTS_NONE || giving->stay > 0;
}

/* From the last tiles to the first: the least time of these, and of all that follow. */
static void find_least (parts_t *parts, size_t part)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = parts->part[part].last; i != PARTS_NONE; i = parts->tiles[i].before) {
        least = parts->tiles[i].least < least ? parts->tiles[i].least : least;
        parts->tiles[i].least = least;
    }
}

void steps_begin (sorter_t *self, size_t part)
{
    giving_t *giving = self->giving;
    find_least (&self->parts, part);
    gathered_next (&self->few);
    giving->tiles = self->parts.part[part].first;
    giving->stay = 0;
    giving->rows = 0;
    steps_next (self);
}

static int64_t time_of (const sorter_t *self, size_t at)
{
    return gathered_row (&self->few, self->order[at])[GATHERED_EVENT_TIME];
}

/* Did they come in order of their times, and of their places where these are the same? */
static bool came_in_order (const sorter_t *self)
{
    const gathered_t *few = &self->few;
    const int64_t *time = few->words + GATHERED_EVENT_TIME;
    bool in_order = true;
    for (size_t i = 1; i < few->rows && in_order; i++) {
        int64_t before = *time;
        time += few->step;
        in_order = *time > before || (*time == before && self->in_position);
    }
    return in_order;
}

/* All rows have one key. */
static void sort_times (sorter_t *self)
{
    if (!came_in_order (self)) {
        few_sort (self);
        return;
    }
    few_make_room (self);
    for (size_t i = 0; i < self->few.rows; i++)
        self->order[i] = (uint32_t)i;
}

/* Rows in order before that time. */
static size_t count_before (const sorter_t *self, int64_t time)
{
    size_t from = 0, to = self->few.rows;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (time_of (self, middle) < time)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* As many as fit a near cache, and as many as were there at least: what stays is sorted again. */
static void take_tiles (sorter_t *self)
{
    giving_t *giving = self->giving;
    size_t stay = self->few.rows;
    while (giving->tiles != PARTS_NONE && (self->few.rows < 2 * stay || !few_are_many (self))) {
        const parts_tiles_t *tiles = &self->parts.tiles[giving->tiles];
        few_take (self, parts_at (&self->parts, tiles), tiles->size);
        giving->tiles = tiles->next;
    }
}

void steps_next (sorter_t *self)
{
    giving_t *giving = self->giving;
    if (giving->stay > 0)
        few_keep (self, giving->rows);
    else
        gathered_next (&self->few);
    do {
        take_tiles (self);
        sort_times (self);
        giving->rows = giving->tiles == PARTS_NONE
                           ? self->few.rows
                           : count_before (self, self->parts.tiles[giving->tiles].least);
    } while (giving->rows == 0);
    giving->at = 0;
    giving->stay = self->few.rows - giving->rows;
}
