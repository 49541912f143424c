#include "base/random.h"

#include "base/check.h"

static uint64_t splitmix64 (uint64_t *state)
{
    uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void random_seed (random_t *self, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        self->word[i] = splitmix64 (&seed);
}

static uint64_t rotate (uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t random_next (random_t *self)
{
    uint64_t *s = self->word;
    uint64_t result = rotate (s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate (s[3], 45);
    return result;
}

/* Lemire, Fast Random Integer Generation in an Interval (2019). */
uint64_t random_below (random_t *self, uint64_t bound)
{
    CHECK (bound > 0);
    unsigned __int128 product = (unsigned __int128)random_next (self) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = (0 - bound) % bound;
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)random_next (self) * bound;
    }
    return (uint64_t)(product >> 64);
}

double random_unit (random_t *self)
{
    return (double)(random_next (self) >> 11) * 0x1p-53;
}

bool random_chance (random_t *self, double probability)
{
    return random_unit (self) < probability;
}
