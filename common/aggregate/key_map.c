#include "aggregate/key_map.h"

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAPACITY = 4 };

/* Before the state of a key. */
typedef struct slot {
    held_value_t key;
    uint32_t next; /* 1 + the next that is free */
    uint8_t to_16[12];
} slot_t;
_Static_assert(sizeof (slot_t) == 32, "a state after it is aligned to 16");

key_shape_t key_shape (type_t key, state_spec_t inner, uint32_t keys_max, uint32_t bytes_max)
{
    size_t state = inner.kind == STATE_NONE ? 0 : state_size (inner);
    return (key_shape_t){ inner, key, (uint32_t)(sizeof (slot_t) + state), keys_max, bytes_max };
}

static slot_t *slot_at (const key_map_t *self, const key_shape_t *shape, uint32_t slot)
{
    return (slot_t *)(self->slots + (size_t)slot * shape->stride);
}

static void *state_of (slot_t *slot)
{
    return slot + 1;
}

void key_map_release (key_map_t *self, const key_shape_t *shape)
{
    for (uint32_t i = 0; i < self->made; i++) {
        held_value_release (shape->key, &slot_at (self, shape, i)->key);
        if (shape->inner.kind != STATE_NONE)
            state_release (shape->inner, state_of (slot_at (self, shape, i)));
    }
    held_value_release (shape->key, &self->edge);
    mem_free (self->index);
    mem_free (self->spare);
    mem_free (self->slots);
    *self = (key_map_t){ 0 };
}

size_t key_map_memory (const key_map_t *self, const key_shape_t *shape)
{
    size_t bytes = (size_t)self->slots_capacity * shape->stride +
                   ((size_t)self->index_capacity + self->spare_capacity) * sizeof *self->index;
    bool states = shape->inner.kind != STATE_NONE;
    for (uint32_t i = 0; (states || shape->key == TYPE_STRING) && i < self->made; i++) {
        slot_t *slot = slot_at (self, shape, i);
        bytes += held_value_memory (shape->key, &slot->key);
        bytes += states ? state_memory (shape->inner, state_of (slot)) : 0;
    }
    return bytes;
}

/* ---- slots ---- */

static uint32_t slot_take (key_map_t *self, const key_shape_t *shape)
{
    if (self->unused != 0) {
        uint32_t slot = self->unused - 1;
        self->unused = slot_at (self, shape, slot)->next;
        if (shape->inner.kind != STATE_NONE)
            state_reset (shape->inner, state_of (slot_at (self, shape, slot)));
        return slot;
    }
    if (self->made == self->slots_capacity) {
        self->slots_capacity = self->made == 0 ? FIRST_CAPACITY : 2 * self->made;
        self->slots = mem_resize (self->slots, self->slots_capacity, shape->stride);
    }
    slot_t *slot = slot_at (self, shape, self->made);
    held_value_init (&slot->key);
    if (shape->inner.kind != STATE_NONE)
        state_init (shape->inner, state_of (slot));
    return self->made++;
}

static void slot_free (key_map_t *self, const key_shape_t *shape, uint32_t slot)
{
    slot_at (self, shape, slot)->next = self->unused;
    self->unused = slot + 1;
}

void *key_map_scratch (key_map_t *self, const key_shape_t *shape)
{
    uint32_t slot = slot_take (self, shape);
    slot_free (self, shape, slot);
    return state_of (slot_at (self, shape, slot));
}

void key_map_reset (key_map_t *self, const key_shape_t *shape)
{
    for (uint32_t i = 0; i < self->count; i++)
        slot_free (self, shape, self->index[i].slot);
    self->count = 0;
    self->bytes = 0;
    self->cut = false;
}

/* ---- keys ---- */

value_t key_map_key (const key_map_t *self, const key_shape_t *shape, uint32_t place)
{
    return held_value_get (shape->key, &slot_at (self, shape, self->index[place].slot)->key);
}

void *key_map_state (const key_map_t *self, const key_shape_t *shape, uint32_t place)
{
    return state_of (slot_at (self, shape, self->index[place].slot));
}

/* The order of the key in `entry` against a given one. */
static int entry_order (const key_map_t *self, const key_shape_t *shape, const key_entry_t *entry,
                        uint64_t hash, const value_t *key)
{
    if (entry->hash != hash)
        return entry->hash < hash ? -1 : 1;
    const held_value_t *held = &slot_at (self, shape, entry->slot)->key;
    return held_value_is (shape->key, held, key) ? 0 : -held_value_order (shape->key, held, key);
}

/* The first place whose key is not before the given one. By hashes the search has nothing to branch
 * on, which is worth more than an early end: where a hash will be cannot be guessed. */
static uint32_t find_place (const key_map_t *self, const key_shape_t *shape, uint64_t hash,
                            const value_t *key)
{
    const key_entry_t *at = self->index;
    for (uint32_t left = self->count; left > 0;) {
        uint32_t half = (left + 1) / 2;
        at += half & (0u - (uint32_t)(at[half - 1].hash < hash));
        left -= half;
    }
    uint32_t place = (uint32_t)(at - self->index);
    while (place < self->count && entry_order (self, shape, &self->index[place], hash, key) < 0)
        place++; /* another key of this hash */
    return place;
}

static bool is_past_edge (const key_map_t *self, const key_shape_t *shape, uint64_t hash,
                          const value_t *key)
{
    if (!self->cut || hash < self->edge_hash)
        return false;
    return hash > self->edge_hash || held_value_order (shape->key, &self->edge, key) >= 0;
}

static void set_edge (key_map_t *self, uint64_t hash, const value_t *key)
{
    held_value_set (&self->edge, key);
    self->edge_hash = hash;
    self->cut = true;
}

static void drop_last (key_map_t *self, const key_shape_t *shape)
{
    value_t key = key_map_key (self, shape, --self->count);
    self->bytes -= held_value_size (&key);
    set_edge (self, self->index[self->count].hash, &key);
    slot_free (self, shape, self->index[self->count].slot);
}

void key_map_cut (key_map_t *self, const key_shape_t *shape, uint64_t hash, const value_t *key)
{
    if (is_past_edge (self, shape, hash, key))
        return;
    uint32_t place = find_place (self, shape, hash, key);
    while (self->count > place)
        drop_last (self, shape);
    set_edge (self, hash, key);
}

static void *insert (key_map_t *self, const key_shape_t *shape, uint32_t place, uint64_t hash,
                     const value_t *key)
{
    if (self->count == self->index_capacity) {
        self->index_capacity = self->count == 0 ? FIRST_CAPACITY : 2 * self->count;
        self->index = mem_resize (self->index, self->index_capacity, sizeof *self->index);
    }
    uint32_t slot = slot_take (self, shape);
    held_value_set (&slot_at (self, shape, slot)->key, key);
    memmove (self->index + place + 1, self->index + place,
             (self->count - place) * sizeof *self->index);
    self->index[place] = (key_entry_t){ hash, slot };
    self->count++;
    self->bytes += held_value_size (key);
    return state_of (slot_at (self, shape, slot));
}

void *key_map_take (key_map_t *self, const key_shape_t *shape, const value_t *key)
{
    uint64_t hash = held_value_hash (key);
    if (is_past_edge (self, shape, hash, key))
        return NULL;
    uint32_t place = find_place (self, shape, hash, key);
    if (place < self->count && entry_order (self, shape, &self->index[place], hash, key) == 0)
        return key_map_state (self, shape, place);
    uint32_t size = held_value_size (key);
    while (self->count > place && !key_map_fits (shape, self->count, self->bytes, size))
        drop_last (self, shape);
    if (!key_map_fits (shape, self->count, self->bytes, size)) {
        set_edge (self, hash, key);
        return NULL;
    }
    return insert (self, shape, place, hash, key);
}

/* ---- weaving ---- */

key_weave_t key_weave_begin (key_map_t *self, const key_shape_t *shape, uint32_t more)
{
    uint32_t most = self->count + more;
    most = most > shape->keys_max ? shape->keys_max : most;
    if (self->spare_capacity < most) {
        self->spare_capacity = most;
        self->spare = mem_resize (self->spare, most, sizeof *self->spare);
    }
    return (key_weave_t){ 0 };
}

/* Writes an entry, of which the key is `key`; if it does not fit, it is the edge. */
static bool weave_put (key_map_t *self, const key_shape_t *shape, key_weave_t *weave, uint64_t hash,
                       const value_t *key)
{
    uint32_t size = held_value_size (key);
    if (!key_map_fits (shape, weave->count, weave->bytes, size)) {
        set_edge (self, hash, key);
        weave->full = true;
        return false;
    }
    weave->bytes += size;
    return true;
}

/* Writes the next own entry. */
static void weave_own (key_map_t *self, const key_shape_t *shape, key_weave_t *weave)
{
    value_t key = key_map_key (self, shape, weave->at);
    key_entry_t entry = self->index[weave->at];
    if (weave_put (self, shape, weave, entry.hash, &key)) {
        self->spare[weave->count++] = entry;
        weave->at++;
    }
}

void *key_weave_take (key_map_t *self, const key_shape_t *shape, key_weave_t *weave, uint64_t hash,
                      const value_t *key)
{
    int order = 1;
    while (!weave->full && weave->at < self->count) {
        order = entry_order (self, shape, &self->index[weave->at], hash, key);
        if (order > 0)
            break;
        weave_own (self, shape, weave);
        if (order == 0)
            break;
    }
    if (weave->full || is_past_edge (self, shape, hash, key))
        return NULL;
    uint32_t slot;
    if (order == 0 && weave->count > 0) {
        slot = self->spare[weave->count - 1].slot;
    } else {
        if (!weave_put (self, shape, weave, hash, key))
            return NULL;
        slot = slot_take (self, shape);
        held_value_set (&slot_at (self, shape, slot)->key, key);
        self->spare[weave->count++] = (key_entry_t){ hash, slot };
    }
    return state_of (slot_at (self, shape, slot));
}

void key_weave_end (key_map_t *self, const key_shape_t *shape, key_weave_t *weave)
{
    while (!weave->full && weave->at < self->count)
        weave_own (self, shape, weave);
    for (; weave->at < self->count; weave->at++)
        slot_free (self, shape, self->index[weave->at].slot);
    key_entry_t *index = self->index;
    uint32_t capacity = self->index_capacity;
    self->index = self->spare;
    self->index_capacity = self->spare_capacity;
    self->spare = index;
    self->spare_capacity = capacity;
    self->count = weave->count;
    self->bytes = weave->bytes;
}
