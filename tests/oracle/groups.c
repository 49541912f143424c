/* groups.c - the newest rows, and a value for each key. */
#include "tests/oracle/parts.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { KEYS_MAX = 1000, KEYS_BYTES_MAX = 65536 };

uint64_t oracle_hash (const value_t *value)
{
    buf_t key;
    buf_init (&key, 1 << 20);
    key_put (&key, value);
    CHECK (!key.bad);
    uint64_t hash = XXH3_64bits (key.data, key.size);
    buf_release (&key);
    return hash;
}

size_t oracle_size (const value_t *value)
{
    if (value->type == TYPE_FLOAT64 || value->type == TYPE_BOOL)
        return value->type == TYPE_BOOL ? 1 : 8;
    bool is_string = value->type == TYPE_STRING;
    __int128 whole = type_is_decimal (value->type) ? value->d : value->i;
    unsigned __int128 number = 2 * (unsigned __int128)whole;
    if (is_string)
        number = value->s.size;
    else if (whole < 0)
        number = ~number; /* 2 |whole| - 1 */
    size_t size = is_string ? value->s.size : 0;
    do
        size++;
    while ((number /= 128) > 0);
    return size;
}

/* Of events that all count already: nothing is left to test but nulls. (The window stays: a rate is
 * by its length.) */
static oracle_feature_t of_all (const oracle_feature_t *feature)
{
    oracle_feature_t all = *feature;
    all.filters_count = 0;
    all.rows = 0;
    return all;
}

static int newest_first (const void *left, const void *right, void *feature)
{
    return oracle_compare_rows (feature, right, left);
}

static status_t of_newest (const oracle_feature_t *feature, const oracle_event_t *events,
                           size_t count, int64_t as_of, value_t *out)
{
    oracle_event_t *kept = mem_zero (count + 1, sizeof *kept);
    oracle_feature_t any = *feature; /* nulls too */
    any.field = -1;
    any.aggregate = "count";
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (oracle_counts (&any, &events[i], as_of))
            kept[found++] = events[i];
    oracle_feature_t all = of_all (feature);
    qsort_r (kept, found, sizeof *kept, newest_first, &all);
    size_t newest = found < feature->rows ? found : feature->rows;
    status_t status = oracle_value (&all, kept, newest, as_of, out);
    mem_free (kept);
    return status;
}

/* ---- by ---- */

typedef struct group {
    value_t key;
    uint64_t hash;
} group_t;

static int by_hash (const void *left, const void *right)
{
    const group_t *a = left;
    const group_t *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return oracle_compare_values (&a->key, &b->key);
}

static int by_key (const void *left, const void *right)
{
    return oracle_compare_values (&((const group_t *)left)->key, &((const group_t *)right)->key);
}

/* The distinct keys of the events, which fit the cap, ascending; *capped when not all do. */
static group_t *groups_of (const oracle_feature_t *feature, const oracle_event_t *events,
                           size_t count, size_t *found, bool *capped)
{
    group_t *group = mem_zero (count + 1, sizeof *group);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        const value_t *key = &events[i].values[feature->by - 1];
        group[i] = (group_t){ *key, oracle_hash (key) };
    }
    qsort (group, count, sizeof *group, by_hash);
    for (size_t i = 0; i < count; i++)
        if (distinct == 0 || by_hash (&group[distinct - 1], &group[i]) != 0)
            group[distinct++] = group[i];
    size_t most = feature->keys_max > 0 ? feature->keys_max : KEYS_MAX;
    size_t bytes = 0;
    for (*found = 0; *found < distinct && *found < most; ++*found) {
        bytes += oracle_size (&group[*found].key);
        if (bytes > KEYS_BYTES_MAX)
            break;
    }
    *capped = *found < distinct;
    qsort (group, *found, sizeof *group, by_key);
    return group;
}

static status_t value_of_key (const oracle_feature_t *feature, const oracle_event_t *events,
                              size_t count, const value_t *key, int64_t as_of, value_t *out)
{
    oracle_feature_t all = of_all (feature);
    oracle_event_t *of_key = mem_zero (count + 1, sizeof *of_key);
    size_t found = 0;
    all.by = 0;
    for (size_t i = 0; i < count; i++)
        if (oracle_compare_values (&events[i].values[feature->by - 1], key) == 0)
            of_key[found++] = events[i];
    status_t status = oracle_value (&all, of_key, found, as_of, out);
    mem_free (of_key);
    return status;
}

static status_t map_of (const oracle_feature_t *feature, const oracle_event_t *events, size_t count,
                        int64_t as_of, value_t *out)
{
    size_t found;
    bool capped;
    group_t *group = groups_of (feature, events, count, &found, &capped);
    value_t *keys = arena_zero (feature->arena, found + 1, sizeof *keys);
    value_t *values = arena_zero (feature->arena, found + 1, sizeof *values);
    status_t status = STATUS_OK;
    for (size_t i = 0; i < found && status == STATUS_OK; i++) {
        keys[i] = group[i].key;
        status = value_of_key (feature, events, count, &keys[i], as_of, &values[i]);
    }
    mem_free (group);
    value_map_t *map = arena_zero (feature->arena, 1, sizeof *map);
    *map = (value_map_t){ found, keys, values, capped, count };
    if (status == STATUS_OK)
        *out = (value_t){ .type = TYPE_MAP, .map = map };
    return status;
}

static status_t of_keys (const oracle_feature_t *feature, const oracle_event_t *events,
                         size_t count, int64_t as_of, value_t *out)
{
    oracle_event_t *kept = mem_zero (count + 1, sizeof *kept);
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (oracle_counts (feature, &events[i], as_of) && !events[i].values[feature->by - 1].null)
            kept[found++] = events[i];
    *out = (value_t){ .null = true };
    status_t status = found == 0 ? STATUS_OK : map_of (feature, kept, found, as_of, out);
    mem_free (kept);
    return status;
}

status_t oracle_grouped (const oracle_feature_t *feature, const oracle_event_t *events,
                         size_t count, int64_t as_of, value_t *out)
{
    CHECK (feature->by == 0 || feature->arena != NULL);
    return feature->rows > 0 ? of_newest (feature, events, count, as_of, out)
                             : of_keys (feature, events, count, as_of, out);
}
