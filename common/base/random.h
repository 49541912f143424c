/* random.h - a small seeded generator (xoshiro256**, Blackman and Vigna 2018) for simulations,
 * generators and jitter. Not for secrets. The same seed gives the same sequence everywhere. */
#ifndef WEIR_BASE_RANDOM_H
#define WEIR_BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct random_state {
    uint64_t word[4];
} random_t;

void random_seed (random_t *self, uint64_t seed); /* expanded with splitmix64 */
uint64_t random_next (random_t *self);
uint64_t random_below (random_t *self, uint64_t bound); /* uniform in [0, bound); bound > 0 */
double random_unit (random_t *self);                    /* uniform in [0, 1), 53 bits */
bool random_chance (random_t *self, double probability);

#endif
