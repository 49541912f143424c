#include "reference.h"

#include "base/key.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { SET_MAX = 4096, SET_BYTES_MAX = 49152, MAP_MAX = 1000, MAP_BYTES_MAX = 65536 };

static int by_value (const void *left, const void *right)
{
    const row_t *a = left, *b = right;
    return reference_is_less (&b->value, &a->value) - reference_is_less (&a->value, &b->value);
}

static int by_place (const void *left, const void *right)
{
    const row_place_t *a = &((const row_t *)left)->place, *b = &((const row_t *)right)->place;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

static row_t *sorted (const row_t *rows, size_t count, int (*compare) (const void *, const void *),
                      arena_t *arena)
{
    row_t *copy = arena_zero (arena, count + 1, sizeof *copy);
    memcpy (copy, rows, count * sizeof *copy);
    qsort (copy, count, sizeof *copy, compare);
    return copy;
}

static value_t list_of (value_t *items, size_t count, arena_t *arena)
{
    value_list_t *list = arena_zero (arena, 1, sizeof *list);
    *list = (value_list_t){ count, items };
    return (value_t){ .type = TYPE_LIST, .list = list };
}

static value_t ends (aggregate_t aggregate, int64_t k, const row_t *rows, size_t count,
                     arena_t *arena)
{
    bool placed = aggregate == AGGREGATE_FIRST_K || aggregate == AGGREGATE_LAST_K;
    bool from_end = aggregate == AGGREGATE_LAST_K || aggregate == AGGREGATE_MAX_K;
    const row_t *in_order = sorted (rows, count, placed ? by_place : by_value, arena);
    size_t most = count < (size_t)k ? count : (size_t)k;
    value_t *items = arena_zero (arena, most + 1, sizeof *items);
    for (size_t i = 0; i < most; i++)
        items[i] = in_order[from_end ? count - 1 - i : i].value;
    return list_of (items, most, arena);
}

/* ---- values and how often they are there ---- */

typedef struct tally {
    value_t *value; /* ascending, each once */
    uint64_t *rows;
    size_t count;
    size_t bytes; /* as in a partial */
} tally_t;

static size_t bytes_of (const value_t *value)
{
    if (value->type == TYPE_FLOAT64 || value->type == TYPE_BOOL)
        return value->type == TYPE_BOOL ? 1 : 8;
    uint64_t number = value->type == TYPE_STRING ? value->s.size
                      : value->i < 0             ? ~((uint64_t)value->i * 2)
                                                 : (uint64_t)value->i * 2;
    size_t size = 1;
    while (number > 127) {
        number /= 128;
        size++;
    }
    return size + (value->type == TYPE_STRING ? value->s.size : 0);
}

static tally_t tally_of (const row_t *rows, size_t count, arena_t *arena)
{
    const row_t *in_order = sorted (rows, count, by_value, arena);
    tally_t tally = { arena_zero (arena, count + 1, sizeof (value_t)),
                      arena_zero (arena, count + 1, sizeof (uint64_t)), 0, 0 };
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_value (&in_order[i - 1], &in_order[i]) != 0) {
            tally.value[tally.count++] = in_order[i].value;
            tally.bytes += bytes_of (&in_order[i].value);
        }
        tally.rows[tally.count - 1]++;
    }
    return tally;
}

/* The values by how often they are there, by taking the best one again and again. */
static value_t frequent (const tally_t *tally, size_t most, arena_t *arena)
{
    most = most < tally->count ? most : tally->count;
    value_t *items = arena_zero (arena, most + 1, sizeof *items);
    for (size_t taken = 0; taken < most; taken++) {
        size_t best = 0;
        for (size_t i = 1; i < tally->count; i++)
            best = tally->rows[i] > tally->rows[best] ? i : best;
        items[taken] = tally->value[best];
        tally->rows[best] = 0;
    }
    return list_of (items, most, arena);
}

static uint64_t hash_of (const value_t *value)
{
    buf_t key;
    buf_init (&key, 1 << 14);
    key_put (&key, value);
    uint64_t hash = key_hash ((text_t){ (const char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return hash;
}

/* The hash at which a map of these values is cut, found by taking the least one again and again. */
static uint64_t cut_of (const tally_t *tally)
{
    uint64_t *hash = mem_zero (tally->count + 1, sizeof *hash);
    uint64_t least = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < tally->count; i++)
        hash[i] = hash_of (&tally->value[i]);
    for (size_t taken = 0; taken <= tally->count; taken++) {
        size_t best = tally->count;
        for (size_t i = 0; i < tally->count; i++)
            if ((taken == 0 || hash[i] > least) && (best == tally->count || hash[i] < hash[best]))
                best = i;
        least = best == tally->count ? UINT64_MAX : hash[best];
        bytes += best == tally->count ? 0 : bytes_of (&tally->value[best]);
        if (best == tally->count || taken == MAP_MAX || bytes > MAP_BYTES_MAX)
            break;
    }
    mem_free (hash);
    return least;
}

static value_t map_of (const tally_t *tally, size_t count, arena_t *arena)
{
    value_map_t *map = arena_zero (arena, 1, sizeof *map);
    value_t *keys = arena_zero (arena, tally->count + 1, sizeof *keys);
    value_t *values = arena_zero (arena, tally->count + 1, sizeof *values);
    uint64_t cut = cut_of (tally);
    for (size_t i = 0; i < tally->count; i++) {
        if (hash_of (&tally->value[i]) >= cut)
            continue;
        keys[map->count] = tally->value[i];
        values[map->count++] = (value_t){ .type = TYPE_INT64, .i = (int64_t)tally->rows[i] };
    }
    map->keys = keys;
    map->values = values;
    map->capped = map->count < tally->count;
    map->total = count;
    return (value_t){ .type = TYPE_MAP, .map = map };
}

static answer_t counted (aggregate_t aggregate, int64_t parameter, const row_t *rows, size_t count,
                         arena_t *arena)
{
    tally_t tally = tally_of (rows, count, arena);
    if (aggregate == AGGREGATE_COUNT_DISTINCT)
        return (answer_t){ .range = tally.count > SET_MAX || tally.bytes > SET_BYTES_MAX,
                           .value = { .type = TYPE_INT64, .i = (int64_t)tally.count } };
    if (aggregate == AGGREGATE_HISTOGRAM)
        return (answer_t){ .value = map_of (&tally, count, arena) };
    answer_t answer = { .range = tally.count > MAP_MAX || tally.bytes > MAP_BYTES_MAX };
    if (aggregate == AGGREGATE_TOP_K)
        answer.value = frequent (&tally, (size_t)parameter, arena);
    else
        answer.value = frequent (&tally, 1, arena).list->items[0];
    return answer;
}

/* ---- sessions ---- */

static double seconds (int64_t microseconds, uint64_t divisor)
{
    mpq_t number;
    mpq_init (number);
    mpq_set_si (number, microseconds, 1000000);
    mpz_mul_ui (mpq_denref (number), mpq_denref (number), divisor);
    mpq_canonicalize (number);
    answer_t answer = reference_rounded (number);
    mpq_clear (number);
    return answer.value.f;
}

/* One event after the other. */
static answer_t sessions (aggregate_t aggregate, int64_t gap, const row_t *rows, size_t count,
                          arena_t *arena)
{
    const row_t *in_order = sorted (rows, count, by_place, arena);
    int64_t total = 0, longest = 0, start = 0;
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t time = in_order[i].place.time;
        if (i == 0 || (__int128)time - in_order[i - 1].place.time > gap) {
            found++;
            start = time;
        } else {
            total += time - in_order[i - 1].place.time;
        }
        longest = time - start > longest ? time - start : longest;
    }
    if (aggregate == AGGREGATE_SESSION_COUNT)
        return (answer_t){ .value = { .type = TYPE_INT64, .i = (int64_t)found } };
    answer_t answer = { .value = { .type = TYPE_FLOAT64 } };
    answer.value.f = aggregate == AGGREGATE_SESSION_DURATION_MEAN  ? seconds (total, found)
                     : aggregate == AGGREGATE_SESSION_DURATION_MAX ? seconds (longest, 1)
                                                                   : seconds (total, 1);
    return answer;
}

answer_t reference_of_collections (aggregate_t aggregate, state_spec_t spec, const row_t *rows,
                                   size_t count, const final_context_t *context)
{
    arena_t *arena = context->arena;
    if (spec.kind == STATE_SESSIONS)
        return sessions (aggregate, spec.param, rows, count, arena);
    if (spec.kind == STATE_HISTOGRAM || spec.kind == STATE_DISTINCT_SET)
        return counted (aggregate, context->parameter.i, rows, count, arena);
    return (answer_t){ .value = ends (aggregate, spec.param, rows, count, arena) };
}
