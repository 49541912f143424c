#include "batchview/pieces.h"

#include "base/mem.h"

enum {
    CAPACITY_MIN = 64,
    NEAR_ROWS = 16,       /* that are looked at one by one */
    KEPT_ATOMS = 1 << 15, /* whose memory is kept from key to key */
};

void track_init (track_t *self, bool future)
{
    *self = (track_t){ .future = future };
}

void track_release (track_t *self)
{
    mem_free (self->atom);
    mem_free (self->span);
    track_init (self, self->future);
}

void track_clear (track_t *self)
{
    if (self->capacity > KEPT_ATOMS) { /* of a key that had very many */
        mem_free (self->atom);
        self->atom = NULL;
        self->capacity = 0;
    }
    self->atoms = 0;
    self->collapsed = false;
    self->span_at = 0;
}

/* Goes on to the first span that does not end before `time`; NULL: there is none. */
static const viewfile_span_t *span_from (track_t *self, int64_t time)
{
    while (self->span_at < self->spans && self->span[self->span_at].last < time)
        self->span_at++;
    return self->span_at < self->spans ? &self->span[self->span_at] : NULL;
}

/* The latest time that is in one atom with `time`: of a later row, some edge E is expected with
 * time <= E < that row's. A window that begins at E holds the later row and not the earlier one,
 * and one that ends there the earlier and not the later. */
static int64_t atom_end (track_t *self, int64_t time)
{
    if (self->future)
        return time;
    const viewfile_span_t *span = span_from (self, time);
    if (span == NULL)
        return INT64_MAX;
    return span->first > time ? span->first : time;
}

/* The first of rows (from, to) that is later than `time`, where row `from` is not; or `to`. Looks
 * near first. */
static size_t row_after (const int64_t *times, size_t from, size_t to, int64_t time)
{
    size_t low = from + 1; /* rows before it are not later */
    size_t near = to - low < NEAR_ROWS ? to : low + NEAR_ROWS;
    while (low < near && times[low] <= time)
        low++;
    if (low < near || near == to)
        return low;
    size_t step = 1;
    while (low < to && times[low] <= time) {
        low += step;
        step *= 2;
    }
    size_t high = low < to ? low : to; /* later, or the end */
    low = low - step / 2 > from ? low - step / 2 : from + 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (times[middle] <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

static void atom_put (track_t *self, track_atom_t atom)
{
    if (self->atoms == self->capacity) {
        self->capacity = self->capacity == 0 ? CAPACITY_MIN : 2 * self->capacity;
        self->atom = mem_resize (self->atom, self->capacity, sizeof *self->atom);
    }
    self->atom[self->atoms++] = atom;
    self->collapsed |= atom.first < atom.last;
}

void track_put (track_t *self, int64_t first, int64_t last)
{
    atom_put (self, (track_atom_t){ .first = first, .last = last });
}

/* The latest atom goes on with rows [from, end). */
static void atom_extend (track_t *self, int64_t last, size_t from, size_t end)
{
    track_atom_t *atom = &self->atom[self->atoms - 1];
    atom->last = last;
    atom->from = (uint32_t)from;
    atom->count = (uint32_t)(end - from);
    self->collapsed |= atom->first < last;
}

size_t track_rows (track_t *self, const int64_t *time, size_t from, size_t to, size_t most,
                   bool *goes_on)
{
    *goes_on = self->atoms > 0 && from < to && atom_end (self, track_last (self)) >= time[from];
    bool extends = *goes_on;
    while (from < to && (extends || self->atoms < most)) {
        int64_t until = atom_end (self, time[from]);
        size_t end = until >= time[to - 1] ? to : row_after (time, from, to, until);
        if (extends)
            atom_extend (self, time[end - 1], from, end);
        else
            atom_put (self, (track_atom_t){ .first = time[from],
                                            .last = time[end - 1],
                                            .from = (uint32_t)from,
                                            .count = (uint32_t)(end - from) });
        extends = false;
        from = end;
    }
    return from;
}
