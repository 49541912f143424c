#include "timeline/series.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum {
    ARENA_CHUNK = 64 << 10,
    CACHE_MIN = 32, /* bytes of the smallest cache block */
};

typedef enum cache_state {
    CACHE_NONE,   /* rows came in since anyone looked */
    CACHE_SEEN,   /* a query needed the whole node once */
    CACHE_FILLED, /* `cache` holds the partials of all rows below */
} cache_state_t;

struct inner {
    node_t node;
    int64_t first[NODE_FANOUT]; /* least time below each child */
    node_t *child[NODE_FANOUT];
};

/* ---- memory ---- */

void series_store_init (series_store_t *self, const plan_t *plan)
{
    *self = (series_store_t){ .arena = arena_new (ARENA_CHUNK) };
    self->strings = (row_strings_t){ .arena = self->arena };
    slab_init (&self->slab);
    row_layout_init (&self->layout, plan);
    self->pool =
        (leaf_pool_t){ .layout = &self->layout, .slab = &self->slab, .arena = self->arena };
    self->build = mem_alloc (plan->slots_size);
    plan_slots_init (plan, self->build);
    buf_init (&self->partial, AGGREGATE_PARTIAL_MAX);
    buf_init (&self->partials, (size_t)(AGGREGATE_PARTIAL_MAX + 10) * (plan->slots_count + 1));
}

void series_store_release (series_store_t *self)
{
    plan_slots_release (self->layout.plan, self->build);
    mem_free (self->build);
    self->build = NULL;
    buf_release (&self->partial);
    buf_release (&self->partials);
    row_layout_release (&self->layout);
    arena_destroy (&self->arena);
    slab_release (&self->slab);
}

size_t series_store_memory (const series_store_t *self)
{
    const plan_t *plan = self->layout.plan;
    return arena_held (self->arena) + slab_held (&self->slab) + plan->slots_size +
           self->partial.capacity + self->partials.capacity + row_layout_memory (&self->layout);
}

double series_footprint (size_t row_size, size_t rows)
{
    size_t each = leaf_rows (row_size);
    size_t leaves = (rows + each - 1) / each;
    double bytes = leaf_footprint (row_size, rows - (leaves - 1) * each) +
                   (double)(leaves - 1) * leaf_footprint (row_size, each);
    for (size_t nodes = leaves; nodes > 1;) {
        nodes = (nodes + NODE_FANOUT - 1) / NODE_FANOUT;
        bytes += (double)nodes * slab_footprint (sizeof (inner_t));
    }
    return bytes;
}

static inner_t *inner_new (series_store_t *store, uint8_t height)
{
    inner_t *inner = slab_take (&store->slab, SLAB_FIXED, sizeof *inner);
    inner->node = (node_t){ .height = height };
    return inner;
}

static size_t cache_class (size_t capacity)
{
    return (size_t)__builtin_ctzl (capacity / CACHE_MIN);
}

static void cache_give (series_store_t *store, node_t *node)
{
    if (node->cache != NULL)
        free_give (&store->free_cache[cache_class (node->cache_capacity)], node->cache);
    node->cache = NULL;
    node->cache_capacity = 0;
}

static void cache_put (series_store_t *store, node_t *node, const buf_t *partials)
{
    if (partials->size > node->cache_capacity) {
        cache_give (store, node);
        uint32_t capacity = CACHE_MIN;
        while (capacity < partials->size)
            capacity *= 2;
        void **given = &store->free_cache[cache_class (capacity)];
        node->cache = *given != NULL ? free_take (given) : arena_alloc (store->arena, capacity);
        node->cache_capacity = capacity;
    }
    if (partials->size > 0)
        memcpy (node->cache, partials->data, partials->size);
    node->cache_size = (uint32_t)partials->size;
    node->state = CACHE_FILLED;
}

/* ---- adding a row ---- */

/* The leaf whose range `time` falls into; behind others of its time. */
static leaf_t *leaf_at (const series_t *self, int64_t time)
{
    node_t *node = self->root;
    while (node->height > 0) {
        const inner_t *inner = (const inner_t *)node;
        size_t child = 0;
        while (child + 1 < node->count && inner->first[child + 1] <= time)
            child++;
        node = inner->child[child];
    }
    return (leaf_t *)node;
}

/* Voids the caches above a row that comes in. */
static void node_touch (node_t *node)
{
    while (node != NULL && node->state != CACHE_NONE) {
        node->state = CACHE_NONE;
        node = (node_t *)node->parent;
    }
}

static size_t child_index (const inner_t *parent, const node_t *child)
{
    size_t at = 0;
    while (parent->child[at] != child)
        at++;
    CHECK (at < parent->node.count);
    return at;
}

/* `time` has become the least below `node`. */
static void lower_first (const node_t *node, int64_t time)
{
    for (inner_t *parent = node->parent; parent != NULL; parent = node->parent) {
        size_t at = child_index (parent, node);
        parent->first[at] = time;
        if (at > 0)
            return;
        node = &parent->node;
    }
}

static void inner_put (inner_t *self, size_t at, node_t *child, int64_t first)
{
    size_t behind = self->node.count - at;
    CHECK (self->node.count < NODE_FANOUT);
    memmove (&self->child[at + 1], &self->child[at], behind * sizeof self->child[0]);
    memmove (&self->first[at + 1], &self->first[at], behind * sizeof self->first[0]);
    self->child[at] = child;
    self->first[at] = first;
    self->node.count++;
    child->parent = self;
}

/* Moves the children from `at` on to a new node. */
static inner_t *inner_split (series_store_t *store, inner_t *self, size_t at)
{
    inner_t *right = inner_new (store, self->node.height);
    for (size_t i = at; i < self->node.count; i++)
        inner_put (right, i - at, self->child[i], self->first[i]);
    self->node.count = (uint16_t)at;
    return right;
}

/* Makes `right`, whose least time is `first`, the sibling after `left`. When rows arrive in order,
 * `append`, full nodes stay full. */
static void link_sibling (series_store_t *store, series_t *series, node_t *left, node_t *right,
                          int64_t first, int64_t left_first, bool append)
{
    for (;;) {
        inner_t *parent = left->parent;
        if (parent == NULL) {
            parent = inner_new (store, (uint8_t)(left->height + 1));
            inner_put (parent, 0, left, left_first);
            inner_put (parent, 1, right, first);
            series->root = &parent->node;
            return;
        }
        size_t at = child_index (parent, left) + 1;
        if (parent->node.count < NODE_FANOUT) {
            inner_put (parent, at, right, first);
            return;
        }
        size_t middle = append ? NODE_FANOUT : NODE_FANOUT / 2;
        inner_t *uncle = inner_split (store, parent, middle);
        if (at <= middle && !append)
            inner_put (parent, at, right, first);
        else
            inner_put (uncle, at - middle, right, first);
        left = &parent->node;
        right = &uncle->node;
        left_first = parent->first[0];
        first = uncle->first[0];
    }
}

/* Makes room in a full leaf; the leaf that a row of `time` then belongs to. */
static leaf_t *make_room (series_store_t *store, series_t *series, leaf_t *leaf, int64_t time)
{
    bool append = leaf == series->last && time >= series->last_time;
    size_t rows = leaf->node.count;
    leaf_t *right = leaf_split (&store->pool, leaf, append ? rows : rows / 2);
    int64_t first = append ? time : leaf_first_time (right);
    link_sibling (store, series, &leaf->node, &right->node, first, leaf_first_time (leaf), append);
    if (leaf == series->last)
        series->last = right;
    return time >= first ? right : leaf;
}

/* The leaf, which has become full, in a larger one. */
static leaf_t *grow_leaf (series_store_t *store, series_t *series, leaf_t *leaf)
{
    inner_t *parent = leaf->node.parent;
    node_t **link =
        parent != NULL ? &parent->child[child_index (parent, &leaf->node)] : &series->root;
    leaf_t *grown = leaf_grow (&store->pool, leaf);
    *link = &grown->node;
    if (series->last == leaf)
        series->last = grown;
    return grown;
}

void series_begin (series_store_t *store, series_t *self, size_t rows)
{
    size_t most = leaf_rows (store->layout.size);
    self->last = leaf_new (&store->pool, rows < most ? rows : most);
    self->root = &self->last->node;
    self->last_time = INT64_MIN;
}

uint8_t *series_insert (series_store_t *store, series_t *self, int64_t time)
{
    leaf_t *leaf = time >= self->last_time ? self->last : leaf_at (self, time);
    node_touch (&leaf->node);
    if (leaf_is_full (leaf) && leaf_is_largest (leaf))
        leaf = make_room (store, self, leaf, time);
    if (leaf_is_full (leaf))
        leaf = grow_leaf (store, self, leaf);
    size_t place;
    uint8_t *row = leaf_insert (&store->pool, leaf, time, &place);
    if (place == 0)
        lower_first (&leaf->node, time);
    if (time > self->last_time)
        self->last_time = time;
    return row;
}

/* ---- ranges ---- */

static void partial_merge (const plan_slot_t *slot, void *accs, text_t partial)
{
    error_t error;
    if (partial.size == 0)
        return;
    status_t status =
        state_merge_partial (slot->spec, (uint8_t *)accs + slot->place, partial, &error);
    CHECK (status == STATUS_OK);
}

/* Merges a cache into all slots of a set. */
static void cache_merge_all (const plan_t *plan, const node_t *node, void *accs)
{
    reader_t reader = reader_of (node->cache, node->cache_size);
    for (uint32_t slot = 0; slot < plan->slots_count; slot++)
        partial_merge (&plan->slots[slot], accs, reader_text (&reader));
    CHECK (!reader.bad);
}

/* Merges a cache into the range's slots. */
static void cache_merge (const series_range_t *range, const node_t *node)
{
    const plan_t *plan = range->store->layout.plan;
    reader_t reader = reader_of (node->cache, node->cache_size);
    uint32_t slot = 0;
    for (uint32_t i = 0; i < range->slots_count; i++, slot++) {
        for (; slot < range->slots[i]; slot++)
            (void)reader_text (&reader);
        partial_merge (&plan->slots[slot], range->accs, reader_text (&reader));
    }
    CHECK (!reader.bad);
}

static void fold_leaf (series_store_t *store, const leaf_t *leaf)
{
    const plan_t *plan = store->layout.plan;
    for (uint32_t slot = 0; slot < plan->slots_count; slot++)
        for (size_t i = 0; i < leaf->node.count; i++)
            row_fold (&store->layout, leaf_row (&store->pool, leaf, i), slot,
                      (uint8_t *)store->build + plan->slots[slot].place);
}

static void node_fill (series_store_t *store, node_t *node)
{
    const plan_t *plan = store->layout.plan;
    const inner_t *inner = (const inner_t *)node;
    for (size_t i = 0; node->height > 0 && i < node->count; i++)
        if (inner->child[i]->state != CACHE_FILLED)
            node_fill (store, inner->child[i]);
    plan_slots_reset (plan, store->build);
    for (size_t i = 0; node->height > 0 && i < node->count; i++)
        cache_merge_all (plan, inner->child[i], store->build);
    if (node->height == 0)
        fold_leaf (store, (const leaf_t *)node);
    buf_clear (&store->partials);
    for (uint32_t slot = 0; slot < plan->slots_count; slot++) {
        const plan_slot_t *info = &plan->slots[slot];
        buf_clear (&store->partial);
        state_encode (info->spec, (uint8_t *)store->build + info->place, &store->partial);
        buf_put_varint (&store->partials, store->partial.size);
        buf_put (&store->partials, store->partial.data, store->partial.size);
        CHECK (!store->partial.bad);
    }
    CHECK (!store->partials.bad);
    cache_put (store, node, &store->partials);
}

void series_add_rows (const series_range_t *range, const uint8_t *first, size_t from, size_t to)
{
    const row_layout_t *layout = &range->store->layout;
    for (uint32_t s = 0; s < range->slots_count; s++) {
        uint32_t slot = range->slots[s];
        void *acc = (uint8_t *)range->accs + layout->plan->slots[slot].place;
        for (size_t i = from; i < to; i++)
            row_fold (layout, first + i * layout->size, slot, acc);
    }
}

/* Adds everything below `node`. The first query that needs a changed node whole adds its parts; the
 * second fills its cache: the end that grows is not encoded anew between any two events. */
static void add_whole (const series_range_t *range, node_t *node)
{
    bool small = node->height == 0 && node->count < LEAF_CACHE_MIN;
    if (node->state == CACHE_SEEN && !small)
        node_fill (range->store, node);
    if (node->state == CACHE_FILLED) {
        cache_merge (range, node);
        return;
    }
    node->state = CACHE_SEEN;
    if (node->height == 0) {
        series_add_rows (range, ((const leaf_t *)node)->rows, 0, node->count);
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        add_whole (range, ((const inner_t *)node)->child[i]);
}

/* Adds the part of `node` in the range, where all its times are in [first, last]. */
static void add_node (const series_range_t *range, node_t *node, int64_t first, int64_t last)
{
    if (last <= range->left || first > range->right)
        return;
    if (first > range->left && last <= range->right) {
        add_whole (range, node);
        return;
    }
    if (node->height == 0) {
        const leaf_t *leaf = (const leaf_t *)node;
        const leaf_pool_t *pool = &range->store->pool;
        series_add_rows (range, leaf->rows, leaf_count_to (pool, leaf, range->left),
                         leaf_count_to (pool, leaf, range->right));
        return;
    }
    const inner_t *inner = (const inner_t *)node;
    for (size_t i = 0; i < node->count; i++)
        add_node (range, inner->child[i], inner->first[i],
                  i + 1u < node->count ? inner->first[i + 1] : last);
}

static int64_t node_first (const node_t *node)
{
    return node->height > 0 ? ((const inner_t *)node)->first[0]
                            : leaf_first_time ((const leaf_t *)node);
}

void series_add_range (const series_range_t *range, const series_t *self)
{
    if (range->left < range->right)
        add_node (range, self->root, node_first (self->root), self->last_time);
}

int64_t series_latest (const series_store_t *store, const series_t *self, int64_t time)
{
    if (self->last_time <= time)
        return self->last_time;
    const leaf_t *leaf = leaf_at (self, time);
    size_t count = leaf_count_to (&store->pool, leaf, time); /* none: the time is before all */
    return count > 0 ? row_time (leaf_row (&store->pool, leaf, count - 1)) : INT64_MIN;
}

static bool node_rows (const leaf_pool_t *pool, const node_t *node, const uint8_t **row,
                       size_t *count, size_t most)
{
    const inner_t *inner = (const inner_t *)node;
    if (node->count > most - *count)
        return false;
    for (size_t i = 0; node->height > 0 && i < node->count; i++)
        if (!node_rows (pool, inner->child[i], row, count, most))
            return false;
    for (size_t i = 0; node->height == 0 && i < node->count; i++)
        row[(*count)++] = leaf_row (pool, (const leaf_t *)node, i);
    return true;
}

bool series_rows (const series_store_t *store, const series_t *self, const uint8_t **row,
                  size_t *count, size_t most)
{
    return node_rows (&store->pool, self->root, row, count, most);
}
