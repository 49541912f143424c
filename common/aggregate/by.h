/* by.h - a state for each value of a key: the wrapper `by`, for what else is made of it. */
#ifndef WEIR_AGGREGATE_BY_H
#define WEIR_AGGREGATE_BY_H

#include "aggregate/key_map.h"

enum {
    BY_KEYS_MAX = 1000,             /* keys of a map */
    BY_KEYS_MIN = 10,               /* a kind of which so few would not fit is refused */
    BY_KEY_BYTES_MAX = 64 << 10,    /* of all keys together, as values in partials */
    BY_STATES_BYTES_MAX = 896 << 10 /* of all their partials; fewer keys if these may be large */
};

typedef struct by {
    key_shape_t shape;
    key_map_t map;
    uint64_t rows; /* of all keys, those left out too */
} by_t;

#endif
