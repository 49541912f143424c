/* sorter_few.c - a sorter's newest rows, as they came: all of them while they are few, and then
 * until they are coded and put into parts. */
#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"
#include "storage/sort.h"
#include "storage/sorter_state.h"

enum {
    FEW_BYTES = 4 << 20,    /* of rows */
    SAMPLE = 8192,          /* rows whose keys are looked at to part the others */
    TILE_BYTES = 128 << 10, /* of a tile, unless it is one row */
    SORTING = 2 * sizeof (uint64_t) + 2 * sizeof (sort_item_t) + sizeof (uint32_t), /* of a row */
};

size_t few_bytes (const sorter_t *self)
{
    return gathered_bytes (&self->few) + self->few.rows * SORTING;
}

bool few_are_many (const sorter_t *self)
{
    return gathered_bytes (&self->few) >= FEW_BYTES;
}

void sorter_expect (sorter_t *self, size_t rows)
{
    size_t least = (GATHERED_INGEST_TIME + 1 + self->few.columns) * sizeof (int64_t);
    size_t most = FEW_BYTES / least;
    if (self->few.rows == 0)
        gathered_expect (&self->few, rows < most ? rows : most);
}

/* ---- sorting ---- */

static text_t key_at (const void *arg, uint64_t at)
{
    return gathered_key (arg, at);
}

static int compare_places (const void *arg, uint64_t a, uint64_t b)
{
    return gathered_compare (arg, a, b);
}

void few_make_room (sorter_t *self)
{
    size_t rows = self->few.rows;
    if (rows <= self->order_room)
        return;
    mem_free (self->order);
    mem_free (self->prefix);
    self->order_room = rows + rows / 4;
    self->order = mem_alloc (self->order_room * sizeof *self->order);
    self->prefix = mem_alloc (2 * self->order_room * sizeof *self->prefix);
}

void few_sort (sorter_t *self)
{
    const gathered_t *few = &self->few;
    size_t skip = gathered_skip (few);
    few_make_room (self);
    for (size_t i = 0; i < few->rows; i++)
        self->prefix[i] = gathered_prefix (few, i, skip);
    sort_rows_t rows = { key_at, self->in_position ? NULL : compare_places, few, skip };
    sort_times_t times = { few->words + GATHERED_EVENT_TIME, few->step };
    sort_order (self->prefix, &times, few->rows, &rows, self->order);
}

/* ---- tiles ---- */

/* How many of the rows make the next tile. */
static size_t rows_of_tile (const sorter_t *self, const uint32_t *which, size_t count, size_t *room)
{
    count = count < CODED_ROWS ? count : CODED_ROWS;
    while ((*room = coded_room (&self->few, which, count)) > TILE_BYTES && count > 1)
        count /= 2;
    return count;
}

/* Rows which[0..count) of them are about to be coded. */
static void fetch_rows (const gathered_t *few, const uint32_t *which, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t *row = gathered_row (few, which[i]);
        __builtin_prefetch (row);
        __builtin_prefetch (row + few->step - 1);
    }
}

static void take_keys (sorter_t *self, size_t part, const uint32_t *which, size_t rows)
{
    uint8_t number[KEY_NUMBER_SIZE];
    const part_t *of = &self->parts.part[part];
    /* then their prefix is all of them */
    bool numbers =
        self->few.key_column != GATHERED_KEYS_APART && self->parts.skip >= GATHERED_NUMBER_SKIP;
    for (size_t i = 0; i < (numbers ? 1 : rows) && of->in_time; i++)
        parts_take_key (&self->parts, part, gathered_whole_key (&self->few, which[i], number));
}

static coded_times_t times_of (const gathered_t *few, const uint32_t *which, size_t rows)
{
    coded_times_t times = CODED_NO_TIMES;
    for (size_t i = 0; i < rows; i++) {
        int64_t time = gathered_row (few, which[i])[GATHERED_EVENT_TIME];
        coded_times_add (&times, (coded_times_t){ time, time });
    }
    return times;
}

/* Those behind them are, too: the next part's are fetched meanwhile. */
static void put_in_part (sorter_t *self, size_t part, const uint32_t *which, size_t rows)
{
    size_t room;
    const part_t *of = &self->parts.part[part];
    if (rows > 0 && of->in_time)
        take_keys (self, part, which, rows);
    const uint32_t *last = self->order + self->few.rows;
    for (size_t at = 0, count; at < rows; at += count) {
        count = rows_of_tile (self, which + at, rows - at, &room);
        size_t left = (size_t)(last - (which + at + count));
        fetch_rows (&self->few, which + at + count, left < count ? left : count);
        uint8_t *to = parts_room (&self->parts, room);
        coded_times_t times = CODED_NO_TIMES;
        if (of->in_time)
            times = times_of (&self->few, which + at, count);
        size_t size = coded_put (&self->few, which + at, count, to);
        parts_add (&self->parts, part, size, count, times);
    }
}

/* Those from `from` on in order that make the next tile, which `tile` is then; its bytes. */
static size_t code_tile (sorter_t *self, size_t from, size_t *count)
{
    size_t room;
    scheduling_give_way ();
    *count = rows_of_tile (self, self->order + from, self->few.rows - from, &room);
    if (room > self->tile_room) {
        mem_free (self->tile);
        self->tile = mem_alloc (room);
        self->tile_room = room;
    }
    return coded_put (&self->few, self->order + from, *count, self->tile);
}

status_t few_put (sorter_t *self, size_t from, spill_list_t *list, error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t at = from, count; status == STATUS_OK && at < self->few.rows; at += count) {
        size_t size = code_tile (self, at, &count);
        status =
            spill_put (self->spilled->spill, list, self->tile, size, count, CODED_NO_TIMES, error);
    }
    return status == STATUS_OK ? spill_end (self->spilled->spill, list, error) : status;
}

void few_keep (sorter_t *self, size_t from)
{
    static const uint8_t more[CODED_MORE];
    buf_t *kept = &self->few_kept;
    buf_clear (kept);
    for (size_t at = from, count; at < self->few.rows; at += count) {
        size_t size = code_tile (self, at, &count);
        buf_put (kept, self->tile, size);
    }
    size_t size = kept->size;
    buf_put (kept, more, sizeof more); /* may be read */
    CHECK (!kept->bad);
    gathered_next (&self->few);
    few_take (self, kept->data, size);
}

void few_take (sorter_t *self, const uint8_t *tiles, size_t size)
{
    for (size_t at = 0; at < size;) {
        scheduling_give_way ();
        at += coded_take (&self->coded, tiles + at, size - at, &self->few);
    }
}

/* ---- parts ---- */

/* Where parts begin, by the keys of some. */
static void part_by_few (sorter_t *self)
{
    const gathered_t *few = &self->few;
    uint8_t number[KEY_NUMBER_SIZE];
    text_t first = { NULL, 0 };
    uint64_t *sample = mem_alloc (SAMPLE * sizeof *sample);
    size_t step = (few->rows + SAMPLE - 1) / SAMPLE;
    size_t skip = 0;
    size_t count = 0;
    if (few->rows > 0) {
        skip = gathered_skip (few);
        first = gathered_whole_key (few, 0, number);
    }
    for (size_t i = 0; i < few->rows; i += step)
        sample[count++] = gathered_prefix (few, i, skip);
    CHECK (count <= SAMPLE);
    parts_part (&self->parts, sample, count, first, skip);
    mem_free (sample);
}

/* Do keys that are numbers begin as those did by which parts were made? */
static bool numbers_go_on (const sorter_t *self)
{
    uint8_t number[KEY_NUMBER_SIZE];
    const parts_t *parts = &self->parts;
    if (self->few.key_column == GATHERED_KEYS_APART || parts->skip != GATHERED_NUMBER_SKIP)
        return false;
    gathered_whole_key (&self->few, 0, number);
    return memcmp (number, parts->begin, GATHERED_NUMBER_SKIP) == 0;
}

/* The part of each row, and how many rows each has. What is read is not reached through what is
 * written, of which a compiler has to think that it may be anything. */
static void look_for_parts (const sorter_t *self, uint8_t *part, size_t *count)
{
    const gathered_t few = self->few;
    const parts_t *parts = &self->parts;
    uint8_t number[KEY_NUMBER_SIZE];
    memset (count, 0, PARTS_MAX * sizeof *count);
    if (numbers_go_on (self)) {
        const int64_t *at = few.words + few.column[few.key_column].word;
        for (size_t i = 0; i < few.rows; i++, at += few.step)
            count[part[i] = (uint8_t)parts_of_prefix (parts, (uint64_t)*at ^ UINT64_C (1) << 63)]++;
        return;
    }
    for (size_t i = 0; i < few.rows; i++)
        count[part[i] = (uint8_t)parts_of_key (parts, gathered_whole_key (&few, i, number))]++;
}

/* Rows by their parts, in the order in which they came: part p's are order[end[p - 1]] to
 * order[end[p] - 1]. */
static void order_by_parts (sorter_t *self, size_t *end)
{
    uint8_t *part = (uint8_t *)self->prefix;
    uint32_t *order = self->order;
    size_t rows = self->few.rows;
    look_for_parts (self, part, end);
    size_t sum = 0;
    for (size_t p = 0; p < PARTS_MAX; p++) {
        size_t here = end[p];
        end[p] = sum; /* where the part begins, until it is filled */
        sum += here;
    }
    for (size_t i = 0; i < rows; i++)
        order[end[part[i]]++] = (uint32_t)i;
}

void few_part (sorter_t *self)
{
    size_t end[PARTS_MAX];
    size_t rows = self->few.rows;
    if (!self->parts.parted)
        part_by_few (self);
    if (rows == 0)
        return;
    size_t bytes = gathered_bytes (&self->few) / rows + SORTING;
    bytes += self->few.in_line ? sizeof *self->few.offset + sizeof *self->few.row : 0;
    self->row_bytes = bytes > self->row_bytes ? bytes : self->row_bytes;
    few_make_room (self);
    order_by_parts (self, end);
    size_t from = 0;
    for (size_t p = 0; p < PARTS_MAX; p++) {
        put_in_part (self, p, self->order + from, end[p] - from);
        from = end[p];
    }
    gathered_next (&self->few);
}
