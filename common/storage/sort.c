#include "storage/sort.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"

enum {
    INSERTION_MAX = 16,
    DIGIT_BITS = 8, /* of a radix pass: as many places are written to at a time */
    HALF_BITS = 11, /* of one of two passes that tell all: their counts fit the nearest cache */
    DEEPER_MAX = 8, /* further looks into the keys, after which they are compared whole */
    AHEAD = 8,      /* rows that are fetched ahead */
    A_TURN = 256,   /* so many take long enough to look whether others wait for the processor */
};

/* ---- a few items ---- */

/* What there is to know about a level: items are alike in the bytes of their keys before `skip`. */
typedef struct level {
    const sort_rows_t *rows;
    size_t skip;
    unsigned deeper; /* looks into the keys so far */
} level_t;

/* The order of two rows of one key. */
static inline bool time_is_after (const sort_rows_t *rows, const sort_item_t *a,
                                  const sort_item_t *b)
{
    if (a->time != b->time)
        return a->time > b->time;
    int order = rows->compare != NULL ? rows->compare (rows->arg, sort_at (a), sort_at (b)) : 0;
    return order != 0 ? order > 0 : a->place > b->place;
}

static bool key_is_after (const sort_rows_t *rows, const sort_item_t *a, const sort_item_t *b)
{
    text_t x = rows->key (rows->arg, sort_at (a));
    text_t y = rows->key (rows->arg, sort_at (b));
    return text_equal (x, y) ? time_is_after (rows, a, b) : text_compare (x, y) > 0;
}

/* Is `a` after `b`? Both have the same prefix; `same_key`: and the same key. */
static inline bool is_after (const sort_rows_t *rows, bool same_key, const sort_item_t *a,
                             const sort_item_t *b)
{
    return same_key ? time_is_after (rows, a, b) : key_is_after (rows, a, b);
}

/* Puts two halves, each in order, in order. What is in its place already is left there, so that
 * rows that come nearly in order are hardly moved. */
static void merge_halves (const sort_rows_t *rows, bool same_key, sort_item_t *items,
                          sort_item_t *spare, size_t half, size_t count)
{
    size_t low = 0;
    size_t high = half;
    while (low < high) { /* the first of the left half that is after the right half's first */
        size_t middle = low + (high - low) / 2;
        if (is_after (rows, same_key, &items[middle], &items[half]))
            high = middle;
        else
            low = middle + 1;
    }
    size_t out = low;
    size_t moved = half - low;
    memcpy (spare, items + low, moved * sizeof *spare);
    size_t left = 0;
    size_t right = half;
    while (left < moved && right < count)
        items[out++] =
            is_after (rows, same_key, &spare[left], &items[right]) ? items[right++] : spare[left++];
    memcpy (items + out, spare + left, (moved - left) * sizeof *items);
}

/* Sorts items of one prefix by comparing them. */
static void merge_sort (const sort_rows_t *rows, bool same_key, sort_item_t *items,
                        sort_item_t *spare, size_t count)
{
    if (count > INSERTION_MAX) {
        size_t half = count / 2;
        merge_sort (rows, same_key, items, spare, half);
        merge_sort (rows, same_key, items + half, spare, count - half);
        if (is_after (rows, same_key, &items[half - 1], &items[half]))
            merge_halves (rows, same_key, items, spare, half, count);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        sort_item_t item = items[i];
        size_t at = i;
        for (; at > 0 && is_after (rows, same_key, &items[at - 1], &item); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* ---- items of one prefix ---- */

static void sort_level (const level_t *level, sort_item_t *items, sort_item_t *spare, size_t count,
                        bool into_spare);

static void fetch_key (const sort_rows_t *rows, const sort_item_t *item)
{
    __builtin_prefetch (rows->key (rows->arg, sort_at (item)).data);
}

/* Bytes that all the keys begin with. */
static size_t common_of (const level_t *level, const sort_item_t *items, size_t count, size_t most)
{
    const sort_rows_t *rows = level->rows;
    text_t first = rows->key (rows->arg, sort_at (items));
    size_t common = most;
    for (size_t i = 1; i < count && common > level->skip; i++) {
        if (i + AHEAD < count)
            fetch_key (rows, &items[i + AHEAD]);
        text_t key = rows->key (rows->arg, sort_at (&items[i]));
        if (memcmp (key.data, first.data, common) != 0)
            common = sort_common (key, first, common);
    }
    return common;
}

/* Items whose keys all go on after the prefix. False when their keys are all the same. */
static bool go_deeper (const level_t *level, sort_item_t *items, sort_item_t *spare, size_t count,
                       uint32_t least)
{
    const sort_rows_t *rows = level->rows;
    level_t next = *level;
    next.skip = common_of (level, items, count, least);
    next.deeper++;
    bool same_size = true;
    for (size_t i = 0; i < count; i++) {
        same_size = same_size && sort_size (&items[i]) == least;
        if (i + AHEAD < count)
            fetch_key (rows, &items[i + AHEAD]);
        items[i].prefix = sort_prefix (rows->key (rows->arg, sort_at (&items[i])), next.skip);
    }
    if (same_size && next.skip == least)
        return false;
    sort_level (&next, items, spare, count, false);
    return true;
}

/* Sorts items of one prefix, in place. */
static void sort_ties (const level_t *level, sort_item_t *items, sort_item_t *spare, size_t count)
{
    uint32_t least = sort_size (items);
    uint32_t most = least;
    for (size_t i = 1; i < count; i++) {
        uint32_t size = sort_size (&items[i]);
        least = size < least ? size : least;
        most = size > most ? size : most;
    }
    size_t seen = level->skip + sizeof items->prefix;
    bool same_key = least == most && most <= seen;
    if (!same_key && least > seen && level->deeper < DEEPER_MAX) {
        if (go_deeper (level, items, spare, count, least))
            return;
        same_key = true;
    }
    merge_sort (level->rows, same_key, items, spare, count);
}

/* ---- by prefix ---- */

/* Sorts the stretches of one prefix of items that are in the order of prefixes. */
static void sort_stretches (const level_t *level, sort_item_t *items, sort_item_t *spare,
                            size_t count)
{
    size_t from = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && items[i].prefix == items[from].prefix)
            continue;
        if (i - from > 1)
            sort_ties (level, items + from, spare + from, i - from);
        from = i;
    }
}

static void sort_few (const level_t *level, sort_item_t *items, sort_item_t *spare, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        sort_item_t item = items[i];
        size_t at = i;
        for (; at > 0 && items[at - 1].prefix > item.prefix; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
    sort_stretches (level, items, spare, count);
}

/* The bits in which prefixes differ, as two digits. */
typedef struct halves {
    unsigned shift[2]; /* of the lower one, and of the higher one */
    uint64_t mask;
} halves_t;

/* False: they are too many for a pass that has no more places than there are about items. */
static bool halves_of (size_t count, uint64_t differing, halves_t *halves)
{
    unsigned low = (unsigned)__builtin_ctzll (differing);
    unsigned bits = (64 - (unsigned)__builtin_clzll (differing) - low + 1) / 2;
    if (bits > HALF_BITS || count >> bits == 0)
        return false;
    unsigned high = low + bits < 64 ? low + bits : 63; /* the only bit once more */
    *halves = (halves_t){ { low, high }, (UINT64_C (1) << bits) - 1 };
    return true;
}

static inline size_t digit_of (const sort_item_t *item, const halves_t *halves, unsigned half)
{
    return item->prefix >> halves->shift[half] & halves->mask;
}

static void move_items (const halves_t *halves, unsigned half, uint32_t *places,
                        const sort_item_t *items, sort_item_t *to, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i <= halves->mask; i++) {
        uint32_t here = places[i];
        places[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[places[digit_of (&items[i], halves, half)]++] = items[i];
}

/* Sorts in place, by the lower digit and then by the higher one: no item is compared with another
 * one unless their prefixes are the same. */
static void sort_halves (const level_t *level, const halves_t *halves, sort_item_t *items,
                         sort_item_t *spare, size_t count)
{
    uint32_t places[2][1 << HALF_BITS];
    for (unsigned half = 0; half < 2; half++)
        memset (places[half], 0, (halves->mask + 1) * sizeof places[half][0]);
    for (size_t i = 0; i < count; i++) {
        places[0][digit_of (&items[i], halves, 0)]++;
        places[1][digit_of (&items[i], halves, 1)]++;
    }
    move_items (halves, 0, places[0], items, spare, count);
    move_items (halves, 1, places[1], spare, items, count);
    sort_stretches (level, items, spare, count);
}

/* As many bits as make parts of a few items, from the highest one of `differing` down. */
static unsigned digit_bits (size_t count, uint64_t differing)
{
    unsigned top = 64 - (unsigned)__builtin_clzll (differing);
    unsigned bits = 63 - (unsigned)__builtin_clzll (count) - 1;
    bits = bits < DIGIT_BITS ? bits : DIGIT_BITS;
    return bits < top ? bits : top;
}

/* Sorts items that are alike in the bytes before the level's; the result is in `items` or in
 * `spare`. Each pass moves them from one to the other, and so nothing is copied back. */
static void sort_level (const level_t *level, sort_item_t *items, sort_item_t *spare, size_t count,
                        bool into_spare)
{
    uint64_t differing = 0;
    if (count > A_TURN)
        scheduling_give_way ();
    if (count > INSERTION_MAX)
        for (size_t i = 1; i < count; i++)
            differing |= items[i].prefix ^ items[0].prefix;
    halves_t halves;
    bool in_halves = differing != 0 && count <= UINT32_MAX && halves_of (count, differing, &halves);
    if (differing == 0 || in_halves) {
        if (in_halves)
            sort_halves (level, &halves, items, spare, count);
        else if (count <= INSERTION_MAX)
            sort_few (level, items, spare, count);
        else
            sort_ties (level, items, spare, count);
        if (into_spare)
            memcpy (spare, items, count * sizeof *items);
        return;
    }
    unsigned bits = digit_bits (count, differing);
    unsigned shift = 64 - (unsigned)__builtin_clzll (differing) - bits;
    size_t parts = (size_t)1 << bits;
    size_t end[1 << DIGIT_BITS];
    memset (end, 0, parts * sizeof *end);
    for (size_t i = 0; i < count; i++)
        end[(items[i].prefix >> shift) & (parts - 1)]++;
    size_t sum = 0;
    for (size_t i = 0; i < parts; i++) {
        size_t here = end[i];
        end[i] = sum; /* where the part begins, until it is filled */
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        spare[end[(items[i].prefix >> shift) & (parts - 1)]++] = items[i];
    size_t from = 0;
    for (size_t i = 0; i < parts; i++) {
        if (end[i] > from)
            sort_level (level, spare + from, items + from, end[i] - from, !into_spare);
        from = end[i];
    }
}

void sort_items (sort_item_t *items, sort_item_t *spare, size_t count, const sort_rows_t *rows)
{
    level_t level = { .rows = rows, .skip = rows->skip };
    sort_level (&level, items, spare, count, false);
}

/* ---- numbers of rows ---- */

static inline int64_t time_of (const sort_times_t *times, size_t row)
{
    return times->first[row * times->step];
}

/* By items of rows `which` (NULL: 0, 1, …), of which the order is put there. */
static void order_items (const uint32_t *which, const uint64_t *prefix, const sort_times_t *times,
                         size_t count, const sort_rows_t *rows, uint32_t *order)
{
    sort_item_t few[2 * INSERTION_MAX];
    sort_item_t *items = count <= INSERTION_MAX ? few : mem_alloc (2 * count * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        uint32_t row = which != NULL ? which[i] : (uint32_t)i;
        text_t key = rows->key (rows->arg, row);
        CHECK (key.size <= KEY_SIZE_MAX);
        uint64_t begin = prefix != NULL ? prefix[i] : sort_prefix (key, rows->skip);
        items[i] = (sort_item_t){ begin, time_of (times, row), sort_place (row, key.size) };
    }
    sort_items (items, items + count, count, rows);
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)sort_at (&items[i]);
    if (items != few)
        mem_free (items);
}

/* Rows whose prefixes are the same, in the order in which they came: mostly those of one key, by
 * time. */
static void order_ties (const sort_times_t *times, size_t count, const sort_rows_t *rows,
                        uint32_t *order)
{
    text_t first = rows->key (rows->arg, order[0]);
    bool in_position = rows->compare == NULL;
    size_t i = 1;
    while (i < count && time_of (times, order[i - 1]) + !in_position <= time_of (times, order[i]) &&
           text_equal (first, rows->key (rows->arg, order[i])))
        i++;
    if (i < count)
        order_items (order, NULL, times, count, rows, order);
}

/* How a row is told in eight bytes: by the bits in which prefixes differ, above its number. */
typedef struct narrow {
    unsigned low;    /* the lowest of these bits in a prefix … */
    unsigned bits;   /* … and how many they are */
    unsigned number; /* bits of a number */
} narrow_t;

/* False: they do not fit, or rows are too few for passes that tell all. */
static bool narrow_of (size_t count, uint64_t differing, narrow_t *narrow)
{
    if (differing == 0 || count < 1 << DIGIT_BITS)
        return false;
    narrow->low = (unsigned)__builtin_ctzll (differing);
    narrow->bits = 64 - (unsigned)__builtin_clzll (differing) - narrow->low;
    narrow->number = 64 - (unsigned)__builtin_clzll (count - 1);
    return narrow->bits + narrow->number <= 64;
}

/* Moves rows by so many of their bits. */
static void move_numbers (const uint64_t *from, uint64_t *to, size_t count, unsigned shift,
                          unsigned bits)
{
    uint32_t places[1 << HALF_BITS];
    uint64_t mask = (UINT64_C (1) << bits) - 1;
    memset (places, 0, (mask + 1) * sizeof *places);
    for (size_t i = 0; i < count; i++)
        places[from[i] >> shift & mask]++;
    uint32_t sum = 0;
    for (size_t i = 0; i <= mask; i++) {
        uint32_t here = places[i];
        places[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[places[from[i] >> shift & mask]++] = from[i];
}

/* From the lowest bits up, in as few passes as there can be. The result is what is returned. */
static uint64_t *sort_numbers (uint64_t *numbers, uint64_t *spare, size_t count,
                               const narrow_t *narrow)
{
    unsigned passes = (narrow->bits + HALF_BITS - 1) / HALF_BITS;
    unsigned bits = (narrow->bits + passes - 1) / passes;
    for (unsigned done = 0; done < narrow->bits; done += bits) {
        unsigned left = narrow->bits - done;
        move_numbers (numbers, spare, count, narrow->number + done, left < bits ? left : bits);
        uint64_t *sorted = spare;
        spare = numbers;
        numbers = sorted;
    }
    return numbers;
}

void sort_order (uint64_t *prefix, const sort_times_t *times, size_t count, const sort_rows_t *rows,
                 uint32_t *order)
{
    CHECK (count <= UINT32_MAX);
    uint64_t differing = 0;
    for (size_t i = 1; i < count; i++)
        differing |= prefix[i] ^ prefix[0];
    narrow_t narrow;
    if (!narrow_of (count, differing, &narrow)) {
        order_items (NULL, prefix, times, count, rows, order);
        return;
    }
    uint64_t keep = UINT64_MAX >> (64 - narrow.bits);
    for (size_t i = 0; i < count; i++)
        prefix[i] = (prefix[i] >> narrow.low & keep) << narrow.number | i;
    const uint64_t *sorted = sort_numbers (prefix, prefix + count, count, &narrow);
    uint64_t number = (UINT64_C (1) << narrow.number) - 1;
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)(sorted[i] & number);
    for (size_t from = 0, to; from < count; from = to) {
        to = from + 1;
        while (to < count && (sorted[to] ^ sorted[from]) >> narrow.number == 0)
            to++;
        if (to - from > 1)
            order_ties (times, to - from, rows, order + from);
    }
}

/* ---- batches ---- */

static text_t key_in_batch (const void *arg, uint64_t at)
{
    const batch_t *batch = arg;
    return batch->key[at];
}

static int compare_in_batch (const void *arg, uint64_t a, uint64_t b)
{
    const batch_t *batch = arg;
    if (batch->offset[a] != batch->offset[b])
        return batch->offset[a] < batch->offset[b] ? -1 : 1;
    return (batch->row[a] > batch->row[b]) - (batch->row[a] < batch->row[b]);
}

void sort_batch (const batch_t *batch, uint32_t *order)
{
    uint64_t *prefix = mem_alloc (2 * batch->rows * sizeof *prefix);
    for (size_t i = 0; i < batch->rows; i++)
        prefix[i] = sort_prefix (batch->key[i], 0);
    sort_rows_t rows = { key_in_batch, compare_in_batch, batch, 0 };
    sort_times_t times = { batch->event_time, 1 };
    sort_order (prefix, &times, batch->rows, &rows, order);
    mem_free (prefix);
}
