/* coded.h - gathered rows as few bytes: a tile of them, a column after the other.
 *
 * Of a column's numbers there are the least one, and how much more each is, in as many bytes as the
 * largest of these needs: rows of a range of keys that came one after the other have keys, times
 * and places that are near one another. What is not kept of gathered rows is not in a tile either.
 * Each tile says of itself what it has, so that they may lie behind one another. */
#ifndef WEIR_STORAGE_CODED_H
#define WEIR_STORAGE_CODED_H

#include "storage/gathered.h"

enum {
    CODED_ROWS = 512, /* of a tile, at most: its columns fit the nearest cache */
    CODED_MORE = 8,   /* bytes behind a tile that may be read, and written */
};

/* Event times of rows. */
typedef struct coded_times {
    int64_t least;
    int64_t most;
} coded_times_t;
#define CODED_NO_TIMES ((coded_times_t){ INT64_MAX, INT64_MIN })

static inline void coded_times_add (coded_times_t *self, coded_times_t more)
{
    self->least = more.least < self->least ? more.least : self->least;
    self->most = more.most > self->most ? more.most : self->most;
}

/* Bytes of room that coding the rows which[0..count) takes, with those behind. */
size_t coded_room (const gathered_t *rows, const uint32_t *which, size_t count);
/* Codes them, 1 to CODED_ROWS, to where there is room; returns how many bytes they are. */
size_t coded_put (const gathered_t *rows, const uint32_t *which, size_t count, uint8_t *to);

/* Where rows are while they are added. */
typedef struct coded {
    arena_t *arena;
    arena_t *keys;
    batch_t batch;
    bool *is_time;   /* a column */
    uint8_t **valid; /* a column's */
    uint32_t *which; /* all rows */
} coded_t;

/* For rows like these. */
void coded_init (coded_t *self, const gathered_t *like);
void coded_release (coded_t *self);

/* Adds the rows of a tile; returns how many bytes it is. They are what coded_put gave, up to `size`
 * of them with what follows, and CODED_MORE more. */
size_t coded_take (coded_t *self, const uint8_t *from, size_t size, gathered_t *to);

#endif
