#include "tests/oracle/distinct.h"

#include "base/buf.h"
#include "base/key.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

enum { RANK_MAX = 53, KEY_BYTES_MAX = 1 << 16 };

void distinct_clear (distinct_registers_t *self)
{
    memset (self, 0, sizeof *self);
}

void distinct_add (distinct_registers_t *self, const value_t *value)
{
    buf_t key;
    buf_init (&key, KEY_BYTES_MAX);
    key_put (&key, value);
    uint64_t hash = XXH3_64bits (key.data, key.size);
    buf_release (&key);
    uint8_t rank = 1;
    for (uint64_t bit = UINT64_C (1) << 51; bit != 0 && (hash & bit) == 0; bit >>= 1)
        rank++;
    uint8_t *held = &self->rank[hash >> 52];
    if (rank > *held)
        *held = rank;
}

/* x + sum over k >= 1 of x^(2^k) 2^(k-1); x below 1 (Ertl 2017, equation 10). */
static long double sigma (long double x)
{
    long double sum = x;
    long double power = x;
    for (int k = 1; k <= 64; k++) {
        power *= power;
        sum += power * ldexpl (1, k - 1);
    }
    return sum;
}

/* (1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 2^-k) / 3 (equation 17). */
static long double tau (long double x)
{
    long double sum = 1 - x;
    long double root = x;
    for (int k = 1; k <= 64; k++) {
        root = sqrtl (root);
        sum -= (1 - root) * (1 - root) * ldexpl (1, -k);
    }
    return sum / 3;
}

int64_t distinct_estimate (const distinct_registers_t *self)
{
    long double m = DISTINCT_REGISTERS;
    long double with_rank[RANK_MAX + 1] = { 0 };
    for (int i = 0; i < DISTINCT_REGISTERS; i++)
        with_rank[self->rank[i]] += 1;
    if (with_rank[0] == m)
        return 0;
    long double sum = m * sigma (with_rank[0] / m);
    sum += m * tau (1 - with_rank[RANK_MAX] / m) * ldexpl (1, 1 - RANK_MAX);
    for (int k = 1; k < RANK_MAX; k++)
        sum += with_rank[k] * ldexpl (1, -k);
    return llroundl (m * m / (2 * logl (2) * sum));
}
