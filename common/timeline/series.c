#include "timeline/series.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum {
    ARENA_CHUNK = 64 << 10,
    TINY_ROWS = 8,
    CACHE_MIN = 32, /* bytes of the smallest cache block */
};

typedef enum cache_state {
    CACHE_NONE,   /* rows came in since anyone looked */
    CACHE_SEEN,   /* a query needed the whole node once */
    CACHE_FILLED, /* `cache` holds the partials of all rows below */
} cache_state_t;

struct node {
    inner_t *parent;
    uint8_t *cache; /* per slot: varint size and bytes */
    uint32_t cache_size;
    uint32_t cache_capacity;
    uint16_t count;    /* rows or children */
    uint16_t capacity; /* rows of a leaf */
    uint8_t height;    /* 0: a leaf */
    uint8_t state;     /* cache_state_t */
};

struct leaf {
    node_t node;
    _Alignas(8) uint8_t rows[];
};

struct inner {
    node_t node;
    int64_t first[NODE_FANOUT]; /* least time below each child */
    node_t *child[NODE_FANOUT];
};

/* ---- memory ---- */

void series_store_init (series_store_t *self, const plan_t *plan)
{
    *self = (series_store_t){ .arena = arena_new (ARENA_CHUNK) };
    row_layout_init (&self->layout, plan);
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
}

size_t series_store_memory (const series_store_t *self)
{
    const plan_t *plan = self->layout.plan;
    return arena_held (self->arena) + plan->slots_size + self->partial.capacity +
           self->partials.capacity + (plan->lanes_count + 1) * sizeof (type_t);
}

/* Blocks given back are kept in lists by size class; the first word of a free block is its next. */
static void *block_take (void **free_list, arena_t *arena, size_t size)
{
    void *block = *free_list;
    if (block == NULL)
        return arena_alloc (arena, size);
    memcpy (free_list, block, sizeof *free_list);
    return block;
}

static void block_give (void **free_list, void *block)
{
    memcpy (block, free_list, sizeof *free_list);
    *free_list = block;
}

static size_t leaf_class (size_t capacity)
{
    return (size_t)__builtin_ctzl (capacity);
}

static leaf_t *leaf_new (series_store_t *store, size_t capacity)
{
    leaf_t *leaf = block_take (&store->free_leaf[leaf_class (capacity)], store->arena,
                               sizeof *leaf + capacity * store->layout.size);
    leaf->node = (node_t){ .capacity = (uint16_t)capacity };
    return leaf;
}

static inner_t *inner_new (series_store_t *store, uint8_t height)
{
    inner_t *inner = arena_alloc (store->arena, sizeof *inner);
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
        block_give (&store->free_cache[cache_class (node->cache_capacity)], node->cache);
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
        node->cache =
            block_take (&store->free_cache[cache_class (capacity)], store->arena, capacity);
        node->cache_capacity = capacity;
    }
    if (partials->size > 0)
        memcpy (node->cache, partials->data, partials->size);
    node->cache_size = (uint32_t)partials->size;
    node->state = CACHE_FILLED;
}

/* ---- adding a row ---- */

static row_t *leaf_row (const series_store_t *store, const leaf_t *leaf, size_t at)
{
    return (row_t *)(void *)((uintptr_t)leaf->rows + at * store->layout.size);
}

/* Rows of the leaf with time <= `time`. */
static size_t leaf_count_to (const series_store_t *store, const leaf_t *leaf, int64_t time)
{
    size_t low = 0;
    size_t high = leaf->node.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (leaf_row (store, leaf, middle)->time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

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

/* A bigger block for the only leaf of a small series. */
static leaf_t *leaf_grow (series_store_t *store, series_t *series, leaf_t *leaf)
{
    leaf_t *bigger = leaf_new (store, 2 * (size_t)leaf->node.capacity);
    memcpy (bigger->rows, leaf->rows, leaf->node.count * store->layout.size);
    bigger->node.count = leaf->node.count;
    cache_give (store, &leaf->node);
    block_give (&store->free_leaf[leaf_class (leaf->node.capacity)], leaf);
    series->root = &bigger->node;
    series->last = bigger;
    return bigger;
}

/* Makes room in a full leaf; the leaf that a row of `time` then belongs to. */
static leaf_t *leaf_split (series_store_t *store, series_t *series, leaf_t *leaf, int64_t time)
{
    if (leaf->node.capacity < LEAF_ROWS)
        return leaf_grow (store, series, leaf);
    bool append = leaf == series->last && time >= series->last_time;
    size_t keep = append ? LEAF_ROWS : LEAF_ROWS / 2;
    leaf_t *right = leaf_new (store, LEAF_ROWS);
    right->node.count = (uint16_t)(LEAF_ROWS - keep);
    memcpy (right->rows, leaf_row (store, leaf, keep), right->node.count * store->layout.size);
    leaf->node.count = (uint16_t)keep;
    int64_t first = append ? time : leaf_row (store, right, 0)->time;
    link_sibling (store, series, &leaf->node, &right->node, first, leaf_row (store, leaf, 0)->time,
                  append);
    if (leaf == series->last)
        series->last = right;
    return time >= first ? right : leaf;
}

void series_insert (series_store_t *store, series_t *self, const projection_t *rows, size_t at)
{
    int64_t time = rows->time[at];
    if (self->root == NULL) {
        self->last = leaf_new (store, 1);
        self->root = &self->last->node;
        self->last_time = time;
    }
    leaf_t *leaf = time >= self->last_time ? self->last : leaf_at (self, time);
    node_touch (&leaf->node);
    if (leaf->node.count == leaf->node.capacity)
        leaf = leaf_split (store, self, leaf, time);
    size_t place = leaf_count_to (store, leaf, time);
    size_t size = store->layout.size;
    memmove ((uint8_t *)leaf_row (store, leaf, place) + size, leaf_row (store, leaf, place),
             (leaf->node.count - place) * size);
    row_pack (&store->layout, leaf_row (store, leaf, place), rows, at, store->arena);
    leaf->node.count++;
    if (place == 0)
        lower_first (&leaf->node, time);
    if (time > self->last_time)
        self->last_time = time;
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

static void node_fill (series_store_t *store, node_t *node)
{
    const plan_t *plan = store->layout.plan;
    const inner_t *inner = (const inner_t *)node;
    for (size_t i = 0; node->height > 0 && i < node->count; i++)
        if (inner->child[i]->state != CACHE_FILLED)
            node_fill (store, inner->child[i]);
    plan_slots_reset (plan, store->build);
    for (size_t i = 0; i < node->count; i++) {
        if (node->height > 0) {
            cache_merge_all (plan, inner->child[i], store->build);
            continue;
        }
        const row_t *row = leaf_row (store, (const leaf_t *)node, i);
        for (uint32_t slot = 0; slot < plan->slots_count; slot++)
            row_fold (&store->layout, row, slot, (uint8_t *)store->build + plan->slots[slot].place);
    }
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

static void add_rows (const series_range_t *range, const leaf_t *leaf, size_t from, size_t to)
{
    const row_layout_t *layout = &range->store->layout;
    for (uint32_t s = 0; s < range->slots_count; s++) {
        uint32_t slot = range->slots[s];
        void *acc = (uint8_t *)range->accs + layout->plan->slots[slot].place;
        for (size_t i = from; i < to; i++)
            row_fold (layout, leaf_row (range->store, leaf, i), slot, acc);
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
        add_rows (range, (const leaf_t *)node, 0, node->count);
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
        add_rows (range, leaf, leaf_count_to (range->store, leaf, range->left),
                  leaf_count_to (range->store, leaf, range->right));
        return;
    }
    const inner_t *inner = (const inner_t *)node;
    for (size_t i = 0; i < node->count; i++)
        add_node (range, inner->child[i], inner->first[i],
                  i + 1u < node->count ? inner->first[i + 1] : last);
}

static int64_t node_first (const series_store_t *store, const node_t *node)
{
    return node->height > 0 ? ((const inner_t *)node)->first[0]
                            : leaf_row (store, (const leaf_t *)node, 0)->time;
}

void series_add_range (const series_range_t *range, const series_t *self)
{
    if (self->root != NULL && range->left < range->right)
        add_node (range, self->root, node_first (range->store, self->root), self->last_time);
}

bool series_is_tiny (const series_t *self)
{
    return self->root->height == 0 && self->root->count <= TINY_ROWS;
}

const row_t *series_rows (const series_t *self, size_t *count)
{
    CHECK (self->root->height == 0);
    *count = self->root->count;
    return (const row_t *)(const void *)((const leaf_t *)self->root)->rows;
}
