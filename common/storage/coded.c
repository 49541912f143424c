#include "storage/coded.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    WIDE = 8,         /* bytes of a number, at most */
    BEGIN = 1 + WIDE, /* bytes of a column's width and of its least number */
    HEAD = 4,         /* bytes of how many rows there are, and of the key's column and one */

    /* what a column begins with */
    IS_TIME = 1,
    HAS_NULLS = 2,
    SCALED = 4, /* floats: there is a number of them and their scale */
};

/* What floats are multiplied with to be whole numbers: amounts of money have few places. */
static const double SCALES[] = { 1, 100, 10000 };
enum { SCALES_COUNT = sizeof SCALES / sizeof SCALES[0] };

static inline uint64_t load (const uint8_t *from)
{
    uint64_t word;
    memcpy (&word, from, sizeof word);
    return word;
}

static inline void store (uint8_t *to, uint64_t word)
{
    memcpy (to, &word, sizeof word);
}

/* ---- putting ---- */

/* Rows that are coded. */
typedef struct putting {
    const gathered_t *rows;
    const uint32_t *which;
    size_t count;
    int64_t value[CODED_ROWS]; /* a number of theirs */
} putting_t;

/* The numbers' least and largest one. */
typedef struct range {
    int64_t least;
    int64_t most;
} range_t;

static inline void widen (range_t *range, int64_t value)
{
    range->least = value < range->least ? value : range->least;
    range->most = value > range->most ? value : range->most;
}

static uint8_t *put_numbers (const putting_t *self, const range_t *of, uint8_t *to)
{
    const int64_t *value = self->value;
    size_t count = self->count;
    uint64_t least = (uint64_t)of->least;
    uint64_t range = (uint64_t)of->most - least;
    size_t width = range == 0 ? 0 : (size_t)(63 - __builtin_clzll (range)) / 8 + 1;
    *to = (uint8_t)width;
    store (to + 1, least);
    to += BEGIN;
    for (size_t i = 0; width > 0 && i < count; i++) {
        store (to, (uint64_t)value[i] - least);
        to += width;
    }
    return to;
}

static uint8_t *put_word (putting_t *self, size_t word, uint8_t *to)
{
    const int64_t *from = self->rows->words + word;
    const uint32_t *which = self->which;
    size_t step = self->rows->step;
    size_t count = self->count;
    range_t range = { from[which[0] * step], from[which[0] * step] };
    for (size_t i = 0; i < count; i++) {
        int64_t value = from[which[i] * step];
        self->value[i] = value;
        widen (&range, value);
    }
    return put_numbers (self, &range, to);
}

/* Of numbers that are there already. */
static uint8_t *put_values (const putting_t *self, uint8_t *to)
{
    range_t range = { self->value[0], self->value[0] };
    for (size_t i = 1; i < self->count; i++)
        widen (&range, self->value[i]);
    return put_numbers (self, &range, to);
}

static uint8_t *put_times (putting_t *self, uint8_t *to)
{
    to = put_word (self, GATHERED_EVENT_TIME, to);
    for (size_t i = 0; i < self->count; i++) {
        const int64_t *row = gathered_row (self->rows, self->which[i]);
        self->value[i] =
            (int64_t)((uint64_t)row[GATHERED_INGEST_TIME] - (uint64_t)row[GATHERED_EVENT_TIME]);
    }
    return put_values (self, to);
}

static uint8_t *put_places (putting_t *self, uint8_t *to)
{
    const gathered_t *rows = self->rows;
    for (size_t i = 0; i < self->count; i++) {
        size_t row = self->which[i];
        self->value[i] = (int64_t)gathered_offset (rows, row);
    }
    to = put_values (self, to);
    for (size_t i = 0; i < self->count; i++)
        self->value[i] = gathered_number (rows, self->which[i]);
    return put_values (self, to);
}

static uint8_t *put_texts (putting_t *self, const gathered_texts_t *texts, size_t word, uint8_t *to)
{
    for (size_t i = 0; i < self->count; i++)
        self->value[i] = (uint32_t)gathered_row (self->rows, self->which[i])[word];
    to = put_values (self, to);
    for (size_t i = 0; i < self->count; i++) {
        text_t text = gathered_text (texts, gathered_row (self->rows, self->which[i])[word]);
        text_copy (to, text);
        to += text.size;
    }
    return to;
}

/* Makes whole numbers of the floats; false, with any numbers there: of one this would not give back
 * all bits. */
static bool scale_floats (putting_t *self, size_t word, double scale)
{
    enum { MOST = 1 << 30 };
    const int64_t *from = self->rows->words + word;
    size_t step = self->rows->step;
    size_t count = self->count;
    const uint32_t *which = self->which;
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy (&value, &from[which[i] * step], sizeof value);
        double scaled = value * scale;
        if (!(scaled > -MOST && scaled < MOST))
            return false;
        int64_t whole = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
        double back = (double)whole / scale;
        if (memcmp (&back, &value, sizeof back) != 0)
            return false;
        self->value[i] = whole;
    }
    return true;
}

/* The number of the least scale that does; SCALES_COUNT: none. */
static size_t find_scale (putting_t *self, size_t word)
{
    size_t scale = 0;
    while (scale < SCALES_COUNT && !scale_floats (self, word, SCALES[scale]))
        scale++;
    return scale;
}

static uint8_t *put_floats (putting_t *self, size_t word, uint8_t *head, uint8_t *to)
{
    size_t scale = find_scale (self, word);
    if (scale == SCALES_COUNT)
        return put_word (self, word, to);
    *head |= SCALED;
    *to = (uint8_t)scale;
    return put_values (self, to + 1);
}

static uint8_t *put_column (putting_t *self, const gathered_column_t *column, uint8_t *to)
{
    uint8_t *head = to++;
    *head = column->is_time ? IS_TIME : 0;
    if (column->valid != NULL) {
        *head |= HAS_NULLS;
        for (size_t i = 0; i < self->count; i++)
            *to++ = column->valid[self->which[i]];
    }
    if (column->is_time)
        return to;
    if (column->type == TYPE_STRING)
        return put_texts (self, &column->texts, column->word, to);
    if (column->type == TYPE_FLOAT64)
        return put_floats (self, column->word, head, to);
    to = put_word (self, column->word, to);
    return type_is_decimal (column->type) ? put_word (self, column->word + 1, to) : to;
}

static size_t text_bytes (const gathered_t *rows, const uint32_t *which, size_t count, size_t word)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += (uint32_t)gathered_row (rows, which[i])[word];
    return bytes;
}

size_t coded_room (const gathered_t *rows, const uint32_t *which, size_t count)
{
    size_t numbers = rows->step + 2; /* and the places */
    size_t bytes = HEAD + CODED_MORE + numbers * (count * WIDE + BEGIN);
    bytes += rows->columns * (2 + count);
    if (rows->key_column == GATHERED_KEYS_APART)
        bytes += text_bytes (rows, which, count, rows->key_word);
    for (size_t c = 0; c < rows->columns; c++)
        if (rows->column[c].type == TYPE_STRING)
            bytes += text_bytes (rows, which, count, rows->column[c].word);
    return bytes;
}

size_t coded_put (const gathered_t *rows, const uint32_t *which, size_t count, uint8_t *to)
{
    putting_t self;
    self.rows = rows;
    self.which = which;
    self.count = count;
    CHECK (count > 0 && count <= CODED_ROWS);
    uint16_t head[HEAD / sizeof (uint16_t)] = { (uint16_t)count, (uint16_t)(rows->key_column + 1) };
    const uint8_t *begin = to;
    memcpy (to, head, sizeof head);
    to = put_times (&self, to + HEAD);
    to = put_places (&self, to);
    if (rows->key_column == GATHERED_KEYS_APART)
        to = put_texts (&self, &rows->keys, rows->key_word, to);
    for (size_t c = 0; c < rows->columns; c++)
        to = put_column (&self, &rows->column[c], to);
    return (size_t)(to - begin);
}

/* ---- taking ---- */

void coded_init (coded_t *self, const gathered_t *like)
{
    arena_t *arena = arena_new (1 << 16);
    *self = (coded_t){ .arena = arena, .keys = arena_new (CODED_ROWS * KEY_NUMBER_SIZE) };
    self->batch = gathered_batch (like, arena, CODED_ROWS);
    self->is_time = arena_zero (arena, like->columns, sizeof *self->is_time);
    self->valid = arena_zero (arena, like->columns, sizeof *self->valid);
    self->which = arena_alloc (arena, CODED_ROWS * sizeof *self->which);
    for (size_t c = 0; c < like->columns; c++)
        self->valid[c] = self->batch.column[c].valid;
    for (size_t i = 0; i < CODED_ROWS; i++)
        self->which[i] = (uint32_t)i;
}

void coded_release (coded_t *self)
{
    arena_destroy (&self->arena);
    arena_destroy (&self->keys);
}

/* A tile that is read. */
typedef struct taking {
    const uint8_t *at;
    const uint8_t *end;
    size_t count;
} taking_t;

static const uint8_t *take_bytes (taking_t *self, size_t size)
{
    const uint8_t *at = self->at;
    CHECK ((size_t)(self->end - at) >= size);
    self->at += size;
    return at;
}

/* `step` bytes apart. */
static void take_numbers (taking_t *self, void *to, size_t step)
{
    const uint8_t *head = take_bytes (self, BEGIN);
    size_t width = *head;
    uint64_t least = load (head + 1);
    CHECK (width <= WIDE);
    const uint8_t *from = take_bytes (self, width * self->count);
    uint64_t mask = width > 0 ? UINT64_MAX >> 8 * (WIDE - width) : 0;
    uint8_t *number = to;
    for (size_t i = 0; i < self->count; i++) {
        store (number, least + (load (from) & mask));
        from += width;
        number += step;
    }
}

static void take_places (taking_t *self, batch_t *batch)
{
    uint64_t row[CODED_ROWS];
    take_numbers (self, batch->offset, sizeof *batch->offset);
    take_numbers (self, row, sizeof *row);
    for (size_t i = 0; i < self->count; i++)
        batch->row[i] = (uint32_t)row[i];
}

static void take_times (taking_t *self, batch_t *batch)
{
    take_numbers (self, batch->event_time, sizeof *batch->event_time);
    take_numbers (self, batch->ingest_time, sizeof *batch->ingest_time);
    for (size_t i = 0; i < self->count; i++)
        batch->ingest_time[i] =
            (int64_t)((uint64_t)batch->ingest_time[i] + (uint64_t)batch->event_time[i]);
}

static void take_texts (taking_t *self, text_t *texts)
{
    uint64_t size[CODED_ROWS];
    take_numbers (self, size, sizeof *size);
    for (size_t i = 0; i < self->count; i++)
        texts[i] = (text_t){ (const char *)take_bytes (self, size[i]), (uint32_t)size[i] };
}

static void take_floats (taking_t *self, double *to)
{
    int64_t whole[CODED_ROWS];
    size_t scale = *take_bytes (self, 1);
    CHECK (scale < SCALES_COUNT);
    take_numbers (self, whole, sizeof *whole);
    size_t count = self->count;
    for (size_t i = 0; i < count; i++)
        to[i] = (double)whole[i] / SCALES[scale];
}

static void take_column (coded_t *self, taking_t *taking, size_t c)
{
    column_t *column = &self->batch.column[c];
    uint8_t head = *take_bytes (taking, 1);
    self->is_time[c] = (head & IS_TIME) != 0;
    column->valid = NULL;
    if (head & HAS_NULLS) {
        column->valid = self->valid[c];
        memcpy (column->valid, take_bytes (taking, taking->count), taking->count);
    }
    if (self->is_time[c])
        memcpy (column->i, self->batch.event_time, taking->count * sizeof *column->i);
    else if (column->type == TYPE_STRING)
        take_texts (taking, column->s);
    else if (type_is_decimal (column->type)) {
        take_numbers (taking, column->d, sizeof *column->d);
        take_numbers (taking, (uint8_t *)column->d + WIDE, sizeof *column->d);
    } else if (head & SCALED) {
        take_floats (taking, column->f);
    } else {
        take_numbers (taking, column->i, sizeof *column->i);
    }
}

/* Of keys that are the numbers of a column, where others are not. */
static void make_keys (coded_t *self, size_t count, size_t c)
{
    const column_t *column = &self->batch.column[c];
    arena_reset (self->keys);
    uint8_t *key = arena_alloc (self->keys, count * KEY_NUMBER_SIZE);
    for (size_t i = 0; i < count; i++) {
        key_put_integer (key, column->type, column->i[i]);
        self->batch.key[i] = (text_t){ (const char *)key, KEY_NUMBER_SIZE };
        key += KEY_NUMBER_SIZE;
    }
}

size_t coded_take (coded_t *self, const uint8_t *from, size_t size, gathered_t *to)
{
    uint16_t head[HEAD / sizeof (uint16_t)];
    taking_t taking = { from, from + size, 0 };
    memcpy (head, take_bytes (&taking, HEAD), sizeof head);
    gathered_known_t known = { head[1] - 1, self->is_time };
    taking.count = head[0];
    CHECK (taking.count > 0 && taking.count <= CODED_ROWS);
    CHECK (known.key_column < (int)to->columns);
    take_times (&taking, &self->batch);
    take_places (&taking, &self->batch);
    if (known.key_column == GATHERED_KEYS_APART)
        take_texts (&taking, self->batch.key);
    for (size_t c = 0; c < to->columns; c++)
        take_column (self, &taking, c);
    if (known.key_column != GATHERED_KEYS_APART && to->rows > 0 &&
        to->key_column != known.key_column)
        make_keys (self, taking.count, (size_t)known.key_column);
    self->batch.rows = taking.count;
    gathered_add_known (to, &self->batch, self->which, taking.count, &known);
    return (size_t)(taking.at - from);
}
