#include "storage/sort.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/rows.h"

enum {
    INSERTION_MAX = 16,
    RADIX_MIN = 128, /* rows from which counting bytes pays */
};

typedef struct item {
    uint64_t prefix; /* eight bytes of the key, as a big-endian number */
    uint32_t row;
} item_t;

/* Bytes that all keys begin with, capped at the shortest key. */
static size_t common_prefix (const batch_t *batch)
{
    text_t first = batch->key[0];
    size_t common = first.size;
    for (size_t i = 1; i < batch->rows && common > 0; i++) {
        text_t key = batch->key[i];
        common = key.size < common ? key.size : common;
        while (common > 0 && memcmp (key.data, first.data, common) != 0)
            common--;
    }
    return common;
}

static uint64_t prefix_of (text_t key, size_t skip)
{
    uint64_t prefix = 0;
    size_t size = key.size - skip;
    if (size > 0)
        memcpy (&prefix, key.data + skip, size < 8 ? size : 8);
    return __builtin_bswap64 (prefix);
}

/* One stable pass by the byte at `shift`; false when it is the same everywhere. */
static bool radix_pass (const item_t *from, item_t *to, size_t count, unsigned shift)
{
    size_t at[256] = { 0 };
    for (size_t i = 0; i < count; i++)
        at[(from[i].prefix >> shift) & 0xff]++;
    if (at[(from[0].prefix >> shift) & 0xff] == count)
        return false;
    size_t sum = 0;
    for (size_t i = 0; i < 256; i++) {
        size_t here = at[i];
        at[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        to[at[(from[i].prefix >> shift) & 0xff]++] = from[i];
    return true;
}

static void insertion_sort (const batch_t *batch, uint32_t *order, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t row = order[i];
        size_t at = i;
        for (; at > 0 && rows_compare (batch, order[at - 1], batch, row) > 0; at--)
            order[at] = order[at - 1];
        order[at] = row;
    }
}

/* A stable merge sort that leaves what is in order alone. */
static void merge_sort (const batch_t *batch, uint32_t *order, uint32_t *scratch, size_t count)
{
    if (count <= INSERTION_MAX) {
        insertion_sort (batch, order, count);
        return;
    }
    size_t half = count / 2;
    merge_sort (batch, order, scratch, half);
    merge_sort (batch, order + half, scratch, count - half);
    if (rows_compare (batch, order[half - 1], batch, order[half]) <= 0)
        return;
    memcpy (scratch, order, half * sizeof *order);
    size_t left = 0;
    size_t right = half;
    size_t out = 0;
    while (left < half && right < count) {
        bool take_right = rows_compare (batch, scratch[left], batch, order[right]) > 0;
        order[out++] = take_right ? order[right++] : scratch[left++];
    }
    memcpy (order + out, scratch + left, (half - left) * sizeof *order);
}

/* Do all keys have one size, of which the prefix is the rest? Then equal prefixes are equal keys,
 * and the keys, which lie anywhere in memory, need not be looked at again. */
static bool prefix_is_whole (const batch_t *batch, size_t skip)
{
    uint32_t size = batch->key[0].size;
    if (size > skip + sizeof (uint64_t))
        return false;
    for (size_t i = 1; i < batch->rows; i++)
        if (batch->key[i].size != size)
            return false;
    return true;
}

/* Is row `a` before row `b`, or with it, when their prefixes are equal? */
static bool tie_in_order (const batch_t *batch, bool same_key, uint32_t a, uint32_t b)
{
    if (same_key && batch->event_time[a] != batch->event_time[b])
        return batch->event_time[a] < batch->event_time[b];
    return rows_compare (batch, a, batch, b) <= 0;
}

/* Sorts the stretches of equal prefix, which the radix passes left in their first order. */
static void sort_ties (const batch_t *batch, bool same_key, const item_t *items, uint32_t *order,
                       uint32_t *scratch)
{
    size_t from = 0;
    bool ordered = true;
    for (size_t i = 1; i <= batch->rows; i++) {
        if (i < batch->rows && items[i].prefix == items[from].prefix) {
            ordered = ordered && tie_in_order (batch, same_key, order[i - 1], order[i]);
            continue;
        }
        if (!ordered)
            merge_sort (batch, order + from, scratch, i - from);
        from = i;
        ordered = true;
    }
}

void sort_batch (const batch_t *batch, uint32_t *order)
{
    size_t count = batch->rows;
    CHECK (count <= UINT32_MAX);
    if (count == 0)
        return;
    if (count < RADIX_MIN) {
        uint32_t scratch[RADIX_MIN];
        for (size_t i = 0; i < count; i++)
            order[i] = (uint32_t)i;
        merge_sort (batch, order, scratch, count);
        return;
    }
    size_t skip = common_prefix (batch);
    item_t *items = mem_alloc (count * sizeof *items);
    item_t *other = mem_alloc (count * sizeof *other);
    for (size_t i = 0; i < count; i++)
        items[i] = (item_t){ prefix_of (batch->key[i], skip), (uint32_t)i };
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (radix_pass (items, other, count, shift)) {
            item_t *sorted = other;
            other = items;
            items = sorted;
        }
    }
    for (size_t i = 0; i < count; i++)
        order[i] = items[i].row;
    sort_ties (batch, prefix_is_whole (batch, skip), items, order, (uint32_t *)other);
    mem_free (items);
    mem_free (other);
}
