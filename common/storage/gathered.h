/* gathered.h - rows in the order in which they came, in a few words each: for as many as fit a near
 * cache. More are kept as coded.h has them.
 *
 * A row is a few words of eight bytes, so that a row that is looked at anywhere is a line of memory
 * or two. What follows from something else is not kept: places of rows that follow one another,
 * columns that are the event time, and keys that are the number in a column. Texts stand apart. */
#ifndef WEIR_STORAGE_GATHERED_H
#define WEIR_STORAGE_GATHERED_H

#include "base/key.h"
#include "base/value.h"
#include "storage/sort.h"

enum {
    /* words that a row begins with */
    GATHERED_EVENT_TIME = 0,
    GATHERED_INGEST_TIME = 1,
    GATHERED_KEYS_APART = -1,
};

/* Texts, one behind the other; where each begins, and its size, is a word of its row. */
typedef struct gathered_texts {
    uint8_t *bytes;
    size_t size;
    size_t room;
    uint32_t longest; /* bytes */
} gathered_texts_t;

typedef struct gathered_column {
    type_t type;
    bool is_time;   /* its values are the event times: it has no word */
    bool was_apart; /* of rows before gathered_next they were not: it has a word for good … */
    bool had_nulls; /* … and some were null */
    size_t word;    /* the first of its cell */
    uint8_t *valid; /* NULL: all are */
    gathered_texts_t texts;
} gathered_column_t;

typedef struct gathered {
    size_t rows;
    size_t room;    /* rows that there is memory for */
    size_t step;    /* words of a row */
    int64_t *words; /* in `memory`, at the beginning of a line */
    void *memory;
    bool in_line;   /* offsets go up by one from the first, and rows are 0: neither is kept … */
    uint64_t first; /* … but for this offset */
    uint64_t *offset;
    uint32_t *row;
    int key_column;  /* of whose numbers keys are made, or GATHERED_KEYS_APART … */
    size_t key_word; /* … and where they are then */
    gathered_texts_t keys;
    gathered_column_t *column;
    size_t columns;
} gathered_t;

void gathered_init (gathered_t *self, const type_t *types, size_t columns);
void gathered_release (gathered_t *self);
/* Forgets the rows; the memory is for the next ones. */
void gathered_clear (gathered_t *self);
/* The same, but the next rows go into batches with those before. */
void gathered_next (gathered_t *self);
/* For rows that go into batches with those of `other`; made anew. */
void gathered_init_like (gathered_t *self, const gathered_t *other);
/* Takes memory for so many rows when the first is added. */
void gathered_expect (gathered_t *self, size_t rows);

/* Adds rows which[0..count) of a batch that has keys and the same columns. Everything is copied.
 * Texts of one column or of keys are below 4 GiB. */
void gathered_add (gathered_t *self, const batch_t *batch, const uint32_t *which, size_t count);

/* What is known of rows that are added, and need not be looked for. */
typedef struct gathered_known {
    int key_column;      /* as in gathered_t */
    const bool *is_time; /* a column */
} gathered_known_t;
/* gathered_add of rows (one at least) that follow one another, of which that is known. Columns that
 * are the event time are not looked at, nor are keys that are a column's numbers when those of the
 * rows that are there are, too. */
void gathered_add_known (gathered_t *self, const batch_t *batch, const uint32_t *which,
                         size_t count, const gathered_known_t *known);

/* Bytes that the rows take. */
size_t gathered_bytes (const gathered_t *self);

static inline const int64_t *gathered_row (const gathered_t *self, size_t row)
{
    return self->words + row * self->step;
}

/* The row's place. */
static inline uint64_t gathered_offset (const gathered_t *self, size_t row)
{
    return self->in_line ? self->first + row : self->offset[row];
}
static inline uint32_t gathered_number (const gathered_t *self, size_t row)
{
    return self->in_line ? 0 : self->row[row];
}

static inline text_t gathered_text (const gathered_texts_t *texts, int64_t word)
{
    return (text_t){ (const char *)texts->bytes + ((uint64_t)word >> 32), (uint32_t)word };
}

/* The row's key; of keys that are numbers of a column, a text of their size: all of them are told
 * by their prefix after GATHERED_NUMBER_SKIP bytes. */
enum { GATHERED_NUMBER_SKIP = 1 };
text_t gathered_key (const gathered_t *self, size_t row);
/* The key itself, which is made in `number` (KEY_NUMBER_SIZE bytes) when it is one of these. */
text_t gathered_whole_key (const gathered_t *self, size_t row, uint8_t *number);
/* sort_prefix of its key after `skip` bytes, which gathered_skip gave. */
static inline uint64_t gathered_prefix (const gathered_t *self, size_t row, size_t skip)
{
    if (self->key_column == GATHERED_KEYS_APART)
        return sort_prefix (gathered_key (self, row), skip);
    size_t word = self->column[self->key_column].word;
    return (uint64_t)gathered_row (self, row)[word] ^ UINT64_C (1) << 63;
}
/* Bytes that all keys begin with, without the last eight of the first one. */
size_t gathered_skip (const gathered_t *self);

/* The order of two rows by offset, then row: negative, 0 or positive. */
int gathered_compare (const gathered_t *self, size_t a, size_t b);

/* A batch of these columns with room for rows, all in the arena. Nothing of it is set but that rows
 * are valid. */
batch_t gathered_batch (const gathered_t *self, arena_t *arena, size_t rows);

/* Puts rows which[0..count) into the batch, which gathered_batch made, from row `at` on. Strings
 * and keys stay where they are, but for short keys, which are put into `texts`, one behind the
 * other, as they are read again and again (gathered_copies_keys); those of equal neighbours are in
 * one place, `keys` and `key_start` say where each begins. Columns that are the event time have its
 * array. */
bool gathered_copies_keys (const gathered_t *self);
void gathered_pick (const gathered_t *self, const uint32_t *which, size_t count, batch_t *batch,
                    size_t at, arena_t *texts);

#endif
