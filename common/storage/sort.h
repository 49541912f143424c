/* sort.h - rows into (key, event time, offset, row) order, by small items that stand for them. */
#ifndef WEIR_STORAGE_SORT_H
#define WEIR_STORAGE_SORT_H

#include "base/key.h"
#include "base/value.h"

enum { SORT_SIZE_BITS = 11 };
_Static_assert(KEY_SIZE_MAX < 1 << SORT_SIZE_BITS, "a key's size fits into an item's place");

/* A row: what nearly always decides, so that rows, which lie anywhere in memory, are looked at
 * where it does not. */
typedef struct sort_item {
    uint64_t prefix; /* bytes of the key, see sort_prefix */
    int64_t time;    /* the event time */
    uint64_t place;  /* see sort_place */
} sort_item_t;

/* Where a row is, by a number that goes up in the order in which rows came, with its key's size. */
static inline uint64_t sort_place (uint64_t at, uint32_t key_size)
{
    return at << SORT_SIZE_BITS | key_size;
}

static inline uint64_t sort_at (const sort_item_t *item)
{
    return item->place >> SORT_SIZE_BITS;
}

static inline uint32_t sort_size (const sort_item_t *item)
{
    return item->place & ((1 << SORT_SIZE_BITS) - 1);
}

/* The key's eight bytes from `skip` on as a big-endian number; zeros where it has ended. */
static inline uint64_t sort_prefix (text_t key, size_t skip)
{
    uint64_t prefix = 0;
    size_t size = key.size > skip ? key.size - skip : 0;
    if (size >= sizeof prefix)
        memcpy (&prefix, key.data + skip, sizeof prefix);
    else if (size > 0)
        memcpy (&prefix, key.data + skip, size);
    return __builtin_bswap64 (prefix);
}

/* Bytes that two keys begin with alike, `most` at most. */
static inline size_t sort_common (text_t a, text_t b, size_t most)
{
    most = a.size < most ? a.size : most;
    most = b.size < most ? b.size : most;
    size_t common = 0;
    while (common < most && a.data[common] == b.data[common])
        common++;
    return common;
}

/* The rows that items stand for. */
typedef struct sort_rows {
    /* The key of the row at a place, in memory that stays. */
    text_t (*key) (const void *arg, uint64_t at);
    /* The order of two rows by offset, then row: negative, 0 or positive. NULL when rows came in
     * that order. */
    int (*compare) (const void *arg, uint64_t a, uint64_t b);
    const void *arg;
    size_t skip; /* bytes that all keys begin with, from which the items' prefixes are taken */
} sort_rows_t;

/* Sorts; rows equal in all stay in the order in which they came, which is that of `items`. `spare`
 * is as large, for scratch.
 *
 * Radix sort by the highest bits in which prefixes differ, down to what fits a cache and then to a
 * handful; then by time, and by further bytes of keys that are longer. Rows that come nearly in
 * time order, as they do from the log, take a single look. */
void sort_items (sort_item_t *items, sort_item_t *spare, size_t count, const sort_rows_t *rows);

/* Event times of rows, `step` numbers apart. */
typedef struct sort_times {
    const int64_t *first;
    size_t step;
} sort_times_t;

/* The order of rows 0 to `count` (at most UINT32_MAX) that came in the order of their numbers,
 * which are their places: order[i] is the row that comes i-th. `prefix` is that of each row's key
 * (after rows->skip), with room for as many again: it is scratch.
 *
 * Where prefixes differ in few bits, as numbers that are given one after the other do, a row is the
 * eight bytes of these and its number, so that three times as many fit a cache as there are items.
 */
void sort_order (uint64_t *prefix, const sort_times_t *times, size_t count, const sort_rows_t *rows,
                 uint32_t *order);

/* The order of a batch's rows, which have keys, as sort_order has it. `order` has batch->rows
 * entries and is the caller's. */
void sort_batch (const batch_t *batch, uint32_t *order);

#endif
