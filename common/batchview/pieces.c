#include "batchview/pieces.h"

#include "base/mem.h"

enum { CAPACITY_MIN = 64 };

void track_init (track_t *self, bool future)
{
    *self = (track_t){ .future = future, .last = INT64_MIN };
}

void track_release (track_t *self)
{
    mem_free (self->piece);
    mem_free (self->span);
    track_init (self, self->future);
}

void track_clear (track_t *self)
{
    self->pieces = 0;
    self->atoms = 0;
    self->collapsed = false;
    self->span_at = 0;
    self->last = INT64_MIN;
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

static void piece_put (track_t *self, piece_t piece)
{
    if (self->pieces == self->capacity) {
        self->capacity = self->capacity == 0 ? CAPACITY_MIN : 2 * self->capacity;
        self->piece = mem_resize (self->piece, self->capacity, sizeof *self->piece);
    }
    self->piece[self->pieces++] = piece;
    self->atoms += piece.starts;
    self->collapsed |= piece.first < piece.last || (!piece.starts && self->last < piece.first);
    self->last = piece.last;
}

void track_rows (track_t *self, const int64_t *time, size_t from, size_t to)
{
    while (from < to) {
        bool starts = self->pieces == 0 || atom_end (self, self->last) < time[from];
        int64_t until = atom_end (self, time[from]);
        size_t end = until >= time[to - 1] ? to : row_after (time, from, to, until);
        piece_put (self, (piece_t){ .first = time[from],
                                    .last = time[end - 1],
                                    .from = (uint32_t)from,
                                    .count = (uint32_t)(end - from),
                                    .starts = starts });
        from = end;
    }
}
