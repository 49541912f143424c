/* sorter_steps.c - a large part of a sorter whose rows are one key's, and came nearly in the order
 * of their times, is given in steps: some of its blocks on the disk and tiles in memory at a time
 * are sorted, in a near cache, and given up to the least time that is left. What a hot key costs is
 * then what others do. */
#include "base/mem.h"
#include "storage/sorter_state.h"

/* One of those ahead. */
typedef struct ahead {
    size_t rows;
    coded_times_t times; /* the least of these and all that follow, the most of all up to these */
} ahead_t;

static size_t count_ahead (const sorter_t *self, size_t part, const spill_list_t *list)
{
    size_t count = list != NULL ? list->count : 0;
    for (uint32_t i = self->parts.part[part].first; i != PARTS_NONE; i = self->parts.tiles[i].next)
        count++;
    return count;
}

static ahead_t *list_ahead (const sorter_t *self, size_t part, const spill_list_t *list,
                            size_t count)
{
    ahead_t *ahead = mem_alloc (count * sizeof *ahead);
    size_t at = 0;
    for (size_t i = 0; list != NULL && i < list->count; i++)
        ahead[at++] = (ahead_t){ list->blocks[i].rows, list->blocks[i].times };
    for (uint32_t i = self->parts.part[part].first; i != PARTS_NONE; i = self->parts.tiles[i].next)
        ahead[at++] = (ahead_t){ self->parts.tiles[i].rows, self->parts.tiles[i].times };
    for (size_t i = 1; i < count; i++)
        if (ahead[i - 1].times.most > ahead[i].times.most)
            ahead[i].times.most = ahead[i - 1].times.most;
    for (size_t i = count - 1; i > 0; i--)
        if (ahead[i].times.least < ahead[i - 1].times.least)
            ahead[i - 1].times.least = ahead[i].times.least;
    return ahead;
}

/* How many rows are held at once, at most: some of those ahead, and before these all that they may
 * come before. */
static size_t rows_at_once (const ahead_t *ahead, size_t count)
{
    size_t rows = 0, most = 0, first = 0;
    for (size_t i = 0; i < count; i++) {
        rows += ahead[i].rows;
        while (ahead[first].times.most < ahead[i].times.least)
            rows -= ahead[first++].rows;
        most = rows > most ? rows : most;
    }
    return most;
}

/* A step takes what stayed of the one before, and as much again or more. */
static bool is_worth_it (const sorter_t *self, size_t part, size_t at_once)
{
    enum { STEP = 3 };
    size_t rows = self->spilled != NULL ? spilled_rows (self, part) : self->parts.part[part].rows;
    bool fits = self->spilled == NULL || !spilled_is_large (self, STEP * at_once);
    return fits && STEP * at_once < rows;
}

bool steps_begin (sorter_t *self)
{
    giving_t *giving = self->giving;
    size_t part = giving->part;
    const spill_list_t *list = spilled_unsorted (self, part);
    bool is_sorted = list == NULL && self->spilled != NULL && self->spilled->shelf[part].count > 0;
    if (!self->parts.part[part].in_time || is_sorted)
        return false;
    size_t count = count_ahead (self, part, list);
    ahead_t *ahead = list_ahead (self, part, list, count);
    bool begins = is_worth_it (self, part, rows_at_once (ahead, count));
    if (begins) {
        giving->steps = (steps_t){ .least = mem_alloc (count * sizeof (int64_t)),
                                   .count = count,
                                   .tiles = self->parts.part[part].first };
        for (size_t i = 0; i < count; i++)
            giving->steps.least[i] = ahead[i].times.least;
        gathered_next (&self->few);
        giving->rows = 0;
    }
    mem_free (ahead);
    return begins;
}

bool steps_left (const steps_t *steps)
{
    return steps->next < steps->count || steps->stay > 0;
}

void steps_end (steps_t *steps)
{
    mem_free (steps->least);
    *steps = (steps_t){ .count = 0 };
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

/* The next ones, from the disk or from memory. */
static status_t take_next (sorter_t *self, error_t *error)
{
    steps_t *steps = &self->giving->steps;
    const spill_list_t *list = spilled_unsorted (self, self->giving->part);
    steps->next++;
    if (list != NULL && steps->block < list->count)
        return spilled_take_block (self, &list->blocks[steps->block++], error);
    const parts_tiles_t *tiles = &self->parts.tiles[steps->tiles];
    few_take (self, parts_at (&self->parts, tiles), tiles->size);
    steps->tiles = tiles->next;
    return STATUS_OK;
}

/* As many as fit a near cache, and as many as were there at least: what stays is sorted again. */
static status_t take_some (sorter_t *self, error_t *error)
{
    const steps_t *steps = &self->giving->steps;
    size_t stay = self->few.rows;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && steps->next < steps->count &&
           (self->few.rows < 2 * stay || !few_are_many (self)))
        status = take_next (self, error);
    return status;
}

status_t steps_next (sorter_t *self, error_t *error)
{
    giving_t *giving = self->giving;
    steps_t *steps = &giving->steps;
    if (steps->stay > 0)
        few_keep (self, giving->rows);
    else
        gathered_next (&self->few);
    do {
        status_t status = take_some (self, error);
        if (status != STATUS_OK)
            return status;
        sort_times (self);
        giving->rows = steps->next == steps->count ? self->few.rows
                                                   : count_before (self, steps->least[steps->next]);
    } while (giving->rows == 0);
    giving->at = 0;
    steps->stay = self->few.rows - giving->rows;
    return STATUS_OK;
}
