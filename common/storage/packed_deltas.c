#include "storage/packed_deltas.h"

#include "base/check.h"
#include "base/mem.h"

/* A tile is how many rows it has, their sizes, the numbers before their keys one after the other,
 * and what is behind these a word at a time, of those rows that have as many. Or it is a zero, how
 * many bytes there are, and the rows as they are. */
enum {
    TILE = PACKED_DELTAS_TILE,
    WIDE = 8,         /* bytes of a number, at most */
    TEXT = 4,         /* bytes of a string's size */
    WORDS = 16,       /* from a key's beginning on that are numbers; more are copied */
    BEGIN = 1 + WIDE, /* bytes of a number's width and of the first of it */
    AS_IT_IS = 1 + (int)sizeof (uint32_t),
};

/* Of a row: where it is read from, or written to. */
typedef union place {
    const uint8_t *from;
    uint8_t *to;
} place_t;

typedef struct tile {
    size_t count;
    place_t row[TILE];
    size_t size[TILE];
    uint64_t value[TILE]; /* a number of theirs */
} tile_t;

/* ---- numbers ---- */

static void add_number (packed_deltas_t *self, packed_number_t number)
{
    self->numbers[self->count++] = number;
}

static void add_cell (packed_deltas_t *self, size_t c)
{
    type_t type = self->packed->types[c];
    packed_number_t number = { PACKED_PLAIN, (uint32_t)self->packed->cell[c], WIDE, 0 };
    if (type == TYPE_STRING)
        number = (packed_number_t){ PACKED_TEXT_SIZE, number.at, TEXT, 0 };
    else if (type == TYPE_TIMESTAMP)
        number = (packed_number_t){ PACKED_TIME, number.at, WIDE, PACKED_EVENT_TIME };
    else if (type == TYPE_FLOAT64)
        number.kind = PACKED_TURNED;
    add_number (self, number);
    number.at += WIDE;
    if (type != TYPE_STRING && type_size (type) > WIDE)
        add_number (self, number);
}

void packed_deltas_init (packed_deltas_t *self, const packed_t *packed)
{
    uint32_t cells = (uint32_t)(PACKED_NULLS + (packed->columns + 7) / 8);
    *self = (packed_deltas_t){ .packed = packed };
    self->numbers = mem_zero (2 * packed->columns + cells, sizeof *self->numbers);
    self->rest = (WIDE - packed->fixed % WIDE) % WIDE;
    add_number (self, (packed_number_t){ PACKED_PLAIN, PACKED_INGEST_TIME, WIDE, 0 });
    add_number (self,
                (packed_number_t){ PACKED_TIME, PACKED_EVENT_TIME, WIDE, PACKED_INGEST_TIME });
    add_number (self, (packed_number_t){ PACKED_PLAIN, PACKED_OFFSET, WIDE, 0 });
    for (uint32_t at = PACKED_ROW; at < cells; at += WIDE) /* row, key's size and nulls */
        add_number (
            self, (packed_number_t){ PACKED_PLAIN, at, cells - at < WIDE ? cells - at : WIDE, 0 });
    for (size_t c = 0; c < packed->columns; c++)
        add_cell (self, c);
}

void packed_deltas_release (packed_deltas_t *self)
{
    mem_free (self->numbers);
    *self = (packed_deltas_t){ .count = 0 };
}

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

static inline uint64_t load_turned (const uint8_t *from)
{
    return __builtin_bswap64 (load (from));
}

static inline uint64_t mask_of (size_t bytes)
{
    return bytes > 0 ? UINT64_MAX >> 8 * (WIDE - bytes) : 0;
}

static inline size_t words_of (const packed_deltas_t *self, size_t size)
{
    return (size - self->packed->fixed) / WIDE;
}

static inline size_t least_row (const packed_deltas_t *self)
{
    return (self->packed->fixed + WIDE - 1) / WIDE * WIDE;
}

/* ---- encoding ---- */

/* A number has no more bytes in a tile than in its rows, but for what each begins with; sizes have
 * more, and words behind the keys and the rest begin, too. */
size_t packed_deltas_room (const packed_deltas_t *self, size_t size)
{
    return size + TILE * WIDE + (self->count + WORDS + 2) * BEGIN + AS_IT_IS + WIDE;
}

/* Puts numbers of so many bytes each. Differences may be of either sign, and go round. */
static uint8_t *put_numbers (uint64_t *value, size_t count, size_t bytes, uint8_t *to)
{
    size_t same = 1;
    while (same < count && value[same] == value[0])
        same++;
    store (to + 1, value[0]);
    *to = 0;
    if (same == count)
        return to + BEGIN;
    size_t unused = 8 * (WIDE - bytes);
    uint64_t before = value[0];
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t up = (value[i] - before) << unused;
        uint64_t sign = (uint64_t)((int64_t)up >> 63);
        before = value[i];
        value[i] = (up << 1 ^ sign) >> unused; /* small for small ones of either sign */
        all |= value[i];
    }
    size_t width = (size_t)(63 - __builtin_clzll (all | 1)) / 8 + 1;
    *to = (uint8_t)width;
    to += BEGIN;
    for (size_t i = 0; i < count; i++) {
        store (to, value[i]);
        to += width;
    }
    return to;
}

static void gather (tile_t *tile, const packed_number_t *number)
{
    const place_t *row = tile->row;
    uint64_t *value = tile->value;
    size_t count = tile->count;
    size_t at = number->at;
    size_t after = number->after;
    uint64_t mask = mask_of (number->bytes);
    switch (number->kind) {
    case PACKED_PLAIN:
        for (size_t i = 0; i < count; i++)
            value[i] = load (row[i].from + at) & mask;
        break;
    case PACKED_TURNED:
        for (size_t i = 0; i < count; i++)
            value[i] = load_turned (row[i].from + at);
        break;
    case PACKED_TIME:
        for (size_t i = 0; i < count; i++)
            value[i] = load (row[i].from + at) - load (row[i].from + after);
        break;
    case PACKED_TEXT_SIZE:
        for (size_t i = 0; i < count; i++) {
            uint32_t size;
            memcpy (&size, row[i].from + at, sizeof size);
            value[i] = size;
        }
        break;
    }
}

/* Rows of the tile that have more than so many words behind their fixed part: no others stay. */
static void keep_longer (const packed_deltas_t *self, tile_t *tile, size_t words)
{
    size_t kept = 0;
    for (size_t i = 0; i < tile->count; i++) {
        tile->row[kept] = tile->row[i];
        tile->size[kept] = tile->size[i];
        kept += words_of (self, tile->size[i]) > words;
    }
    tile->count = kept;
}

static uint8_t *put_rest (const packed_deltas_t *self, tile_t *tile, uint8_t *to)
{
    if (self->rest == 0)
        return to;
    for (size_t i = 0; i < tile->count; i++)
        tile->value[i] =
            load_turned (tile->row[i].from + tile->size[i] - WIDE) & mask_of (self->rest);
    return put_numbers (tile->value, tile->count, self->rest, to);
}

static uint8_t *put_texts (const packed_deltas_t *self, tile_t *tile, uint8_t *to)
{
    packed_number_t number = { PACKED_TURNED, (uint32_t)self->packed->fixed, WIDE, 0 };
    for (size_t words = 0; words < WORDS; words++) {
        keep_longer (self, tile, words);
        if (tile->count == 0)
            return to;
        gather (tile, &number);
        to = put_numbers (tile->value, tile->count, WIDE, to);
        number.at += WIDE;
    }
    keep_longer (self, tile, WORDS);
    for (size_t i = 0; i < tile->count; i++) {
        size_t size = (words_of (self, tile->size[i]) - WORDS) * WIDE;
        memcpy (to, tile->row[i].from + number.at, size);
        to += size;
    }
    return to;
}

static uint8_t *put_tile (const packed_deltas_t *self, tile_t *tile, uint8_t *to)
{
    *to++ = (uint8_t)tile->count;
    for (size_t i = 0; i < tile->count; i++)
        tile->value[i] = tile->size[i] / WIDE;
    to = put_numbers (tile->value, tile->count, WIDE, to);
    for (size_t i = 0; i < self->count; i++) {
        gather (tile, &self->numbers[i]);
        to = put_numbers (tile->value, tile->count, self->numbers[i].bytes, to);
    }
    to = put_rest (self, tile, to);
    return put_texts (self, tile, to);
}

static uint8_t *put_as_it_is (const uint8_t *const *rows, const size_t *sizes, size_t count,
                              size_t total, uint8_t *to)
{
    uint32_t size = (uint32_t)total;
    *to++ = 0;
    memcpy (to, &size, sizeof size);
    to += sizeof size;
    for (size_t i = 0; i < count; i++) {
        memcpy (to, rows[i], sizes[i]);
        to += sizes[i];
    }
    return to;
}

size_t packed_deltas_encode (const packed_deltas_t *self, const uint8_t *const *rows,
                             const size_t *sizes, size_t count, uint8_t *to)
{
    tile_t tile;
    size_t total = 0;
    CHECK (count > 0 && count <= TILE);
    tile.count = count;
    for (size_t i = 0; i < count; i++) {
        tile.row[i].from = rows[i];
        tile.size[i] = sizes[i];
        total += sizes[i];
    }
    CHECK (total <= UINT32_MAX);
    uint8_t *end = put_tile (self, &tile, to);
    CHECK (end + WIDE <= to + packed_deltas_room (self, total));
    if ((size_t)(end - to) > AS_IT_IS + total)
        end = put_as_it_is (rows, sizes, count, total, to);
    return (size_t)(end - to);
}

/* ---- decoding ---- */

typedef struct coded {
    const uint8_t *at;
    const uint8_t *end;
} coded_t;

static void take_numbers (coded_t *coded, uint64_t *value, size_t count)
{
    CHECK ((size_t)(coded->end - coded->at) >= BEGIN);
    size_t width = coded->at[0];
    uint64_t number = load (coded->at + 1);
    const uint8_t *from = coded->at + BEGIN;
    CHECK (width <= WIDE && (size_t)(coded->end - from) >= count * width);
    coded->at = from + count * width;
    uint64_t mask = mask_of (width);
    if (width == 0)
        for (size_t i = 0; i < count; i++)
            value[i] = number;
    for (size_t i = 0; width > 0 && i < count; i++) {
        uint64_t folded = load (from) & mask;
        from += width;
        number += folded >> 1 ^ (0 - (folded & 1));
        value[i] = number;
    }
}

/* A number that is not of eight bytes has others behind it in the word, which come later. */
static void spread (const tile_t *tile, const packed_number_t *number)
{
    const place_t *row = tile->row;
    const uint64_t *value = tile->value;
    size_t count = tile->count;
    size_t at = number->at;
    size_t after = number->after;
    switch (number->kind) {
    case PACKED_PLAIN:
        for (size_t i = 0; i < count; i++)
            store (row[i].to + at, value[i]);
        break;
    case PACKED_TURNED:
        for (size_t i = 0; i < count; i++)
            store (row[i].to + at, __builtin_bswap64 (value[i]));
        break;
    case PACKED_TIME:
        for (size_t i = 0; i < count; i++)
            store (row[i].to + at, value[i] + load (row[i].from + after));
        break;
    case PACKED_TEXT_SIZE:
        for (size_t i = 0; i < count; i++) {
            uint32_t size = (uint32_t)value[i];
            memcpy (row[i].to + at, &size, sizeof size);
        }
        break;
    }
}

/* Rows as many as are in the tile, from `to` on: where each is, from their sizes. Returns the bytes
 * of all. */
static size_t take_rows (const packed_deltas_t *self, coded_t *coded, tile_t *tile, uint8_t *to,
                         size_t left)
{
    size_t least = least_row (self);
    size_t total = 0;
    take_numbers (coded, tile->value, tile->count);
    for (size_t i = 0; i < tile->count; i++) {
        CHECK (tile->value[i] <= (left - total) / WIDE);
        tile->row[i].to = to + total;
        tile->size[i] = tile->value[i] * WIDE;
        CHECK (tile->size[i] >= least);
        total += tile->size[i];
    }
    return total;
}

static void take_rest (const packed_deltas_t *self, coded_t *coded, tile_t *tile)
{
    if (self->rest == 0)
        return;
    uint64_t mask = mask_of (self->rest);
    take_numbers (coded, tile->value, tile->count);
    for (size_t i = 0; i < tile->count; i++) {
        uint8_t *last = tile->row[i].to + tile->size[i] - WIDE;
        uint64_t others = load_turned (last) & ~mask;
        store (last, __builtin_bswap64 (others | (tile->value[i] & mask)));
    }
}

static void take_bytes (coded_t *coded, uint8_t *to, size_t size)
{
    CHECK ((size_t)(coded->end - coded->at) >= size);
    memcpy (to, coded->at, size);
    coded->at += size;
}

static void take_texts (const packed_deltas_t *self, coded_t *coded, tile_t *tile)
{
    packed_number_t number = { PACKED_TURNED, (uint32_t)self->packed->fixed, WIDE, 0 };
    for (size_t words = 0; words < WORDS; words++) {
        keep_longer (self, tile, words);
        if (tile->count == 0)
            return;
        take_numbers (coded, tile->value, tile->count);
        spread (tile, &number);
        number.at += WIDE;
    }
    keep_longer (self, tile, WORDS);
    for (size_t i = 0; i < tile->count; i++)
        take_bytes (coded, tile->row[i].to + number.at,
                    (words_of (self, tile->size[i]) - WORDS) * WIDE);
}

static size_t take_as_it_is (coded_t *coded, uint8_t *to, size_t left)
{
    uint32_t size;
    CHECK ((size_t)(coded->end - coded->at) >= sizeof size);
    memcpy (&size, coded->at, sizeof size);
    coded->at += sizeof size;
    CHECK (size > 0 && size <= left);
    take_bytes (coded, to, size);
    return size;
}

static size_t take_tile (const packed_deltas_t *self, coded_t *coded, uint8_t *to, size_t left)
{
    tile_t tile;
    CHECK (coded->at < coded->end);
    tile.count = *coded->at++;
    if (tile.count == 0)
        return take_as_it_is (coded, to, left);
    CHECK (tile.count <= TILE);
    size_t total = take_rows (self, coded, &tile, to, left);
    for (size_t i = 0; i < self->count; i++) {
        take_numbers (coded, tile.value, tile.count);
        spread (&tile, &self->numbers[i]);
    }
    take_rest (self, coded, &tile);
    take_texts (self, coded, &tile);
    return total;
}

void packed_deltas_decode (const packed_deltas_t *self, const uint8_t *coded, size_t coded_size,
                           uint8_t *rows, size_t size)
{
    coded_t from = { coded, coded + coded_size };
    for (size_t done = 0; done < size;)
        done += take_tile (self, &from, rows + done, size - done);
    CHECK (from.at == from.end);
}
