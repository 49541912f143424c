/* key_map.h - a capped set of keys with a state for each: what `by`, histogram and count_distinct
 * are made of.
 *
 * The order of keys is (XXH3-64 of the key encoding, value). Of all keys that were ever given, the
 * map keeps the longest beginning of that order that has at most `keys_max` keys of at most
 * `bytes_max` bytes together, and the *edge*, which is the first key after it. What is kept is
 * thereby a function of the set of keys alone: a key that was once left out has its edge, or an
 * earlier one, in the map for ever, so it cannot come back with a part of its rows. */
#ifndef WEIR_AGGREGATE_KEY_MAP_H
#define WEIR_AGGREGATE_KEY_MAP_H

#include "aggregate/held_value.h"

/* What all maps of one spec have in common. */
typedef struct key_shape {
    state_spec_t inner; /* the state of each key; of kind NONE when there is none */
    type_t key;
    uint32_t stride; /* bytes of a slot */
    uint32_t keys_max;
    uint32_t bytes_max; /* of keys, as held_value_size has them */
} key_shape_t;

key_shape_t key_shape (type_t key, state_spec_t inner, uint32_t keys_max, uint32_t bytes_max);

typedef struct key_entry {
    uint64_t hash;
    uint32_t slot;
} key_entry_t;

/* May be moved with memcpy. All 0 is empty. */
typedef struct key_map {
    key_entry_t *index; /* owned; of the keys kept, ascending */
    key_entry_t *spare; /* owned; what a weave writes */
    uint8_t *slots;     /* owned; a key, then its state */
    uint32_t index_capacity;
    uint32_t spare_capacity;
    uint32_t slots_capacity;
    uint32_t made; /* slots that were ever in use: their states are there, and keep their memory */
    uint32_t unused; /* 1 + the first slot that is free, which has the next; 0: none */
    uint32_t count;  /* keys kept */
    uint32_t bytes;  /* of them */
    bool cut;        /* there were more, and this is the first of them: */
    uint64_t edge_hash;
    held_value_t edge;
} key_map_t;

void key_map_release (key_map_t *self, const key_shape_t *shape);
/* Bytes on the heap, those of the states' own too. */
size_t key_map_memory (const key_map_t *self, const key_shape_t *shape);
/* Back to empty; keeps memory. */
void key_map_reset (key_map_t *self, const key_shape_t *shape);

/* The state of a key (in its stored form), made when it is new; NULL when the key is left out. It
 * is good until the next call. */
void *key_map_take (key_map_t *self, const key_shape_t *shape, const value_t *key);

/* The key and the state at a place below `count`. */
value_t key_map_key (const key_map_t *self, const key_shape_t *shape, uint32_t place);
void *key_map_state (const key_map_t *self, const key_shape_t *shape, uint32_t place);

/* Leaves out `key` and everything after it. */
void key_map_cut (key_map_t *self, const key_shape_t *shape, uint64_t hash, const value_t *key);

/* Taking many keys in one pass. They come in ascending order; between begin and end nothing else is
 * done with the map. `more` is how many there are at most. */
typedef struct key_weave {
    uint32_t at;    /* own entries looked at */
    uint32_t count; /* entries written */
    uint32_t bytes;
    bool full;
} key_weave_t;

key_weave_t key_weave_begin (key_map_t *self, const key_shape_t *shape, uint32_t more);
void *key_weave_take (key_map_t *self, const key_shape_t *shape, key_weave_t *weave, uint64_t hash,
                      const value_t *key);
void key_weave_end (key_map_t *self, const key_shape_t *shape, key_weave_t *weave);

/* An empty state that belongs to no key, for a look at bytes. Good until the next call. */
void *key_map_scratch (key_map_t *self, const key_shape_t *shape);

/* Would one more key of `size` bytes fit? */
static inline bool key_map_fits (const key_shape_t *shape, uint32_t count, uint32_t bytes,
                                 uint32_t size)
{
    return count < shape->keys_max && size <= shape->bytes_max - bytes;
}

/* The order of keys. */
static inline int key_order (uint64_t a_hash, const value_t *a, uint64_t b_hash, const value_t *b)
{
    if (a_hash != b_hash)
        return a_hash < b_hash ? -1 : 1;
    return value_compare (a, b);
}

#endif
