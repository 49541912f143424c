#include "aggregate/sorted_items.h"

/* Of two sorted runs, one. */
static void merge_runs (const item_t *a, size_t a_count, const item_t *b, size_t b_count,
                        item_t *out, int (*compare) (const item_t *, const item_t *))
{
    while (a_count > 0 && b_count > 0) {
        bool first = compare (a, b) <= 0;
        *out++ = first ? *a++ : *b++;
        a_count -= first;
        b_count -= !first;
    }
    if (a_count > 0)
        memcpy (out, a, a_count * sizeof *out);
    if (b_count > 0)
        memcpy (out, b, b_count * sizeof *out);
}

void items_sort (arena_t *arena, item_t *items, size_t count,
                 int (*compare) (const item_t *a, const item_t *b))
{
    item_t *from = items;
    item_t *to = arena_alloc (arena, count * sizeof *to);
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t a = count - at < run ? count - at : run;
            size_t b = count - at - a < run ? count - at - a : run;
            merge_runs (from + at, a, from + at + a, b, to + at, compare);
        }
        item_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy (items, from, count * sizeof *items);
}

int item_compare_keys (const item_t *a, const item_t *b)
{
    return value_compare (&a->key, &b->key);
}

static const value_t *values_in_arena (arena_t *arena, const value_t *values, size_t count)
{
    value_t *copy = arena_alloc (arena, count * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = value_in_arena (arena, &values[i]);
    return copy;
}

value_t value_in_arena (arena_t *arena, const value_t *value)
{
    value_t copy = *value;
    if (value->null)
        return copy;
    if (value->type == TYPE_STRING) {
        copy.s = arena_text (arena, value->s);
    } else if (value->type == TYPE_LIST) {
        value_list_t *list = arena_alloc (arena, sizeof *list);
        *list = *value->list;
        list->items = values_in_arena (arena, list->items, list->count);
        copy.list = list;
    } else if (value->type == TYPE_MAP) {
        value_map_t *map = arena_alloc (arena, sizeof *map);
        *map = *value->map;
        map->keys = values_in_arena (arena, map->keys, map->count);
        map->values = values_in_arena (arena, map->values, map->count);
        copy.map = map;
    }
    return copy;
}
