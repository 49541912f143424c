/* decay_weight.h - what a row weighs within a half-life: 2^(part / whole), in [1, 2].
 *
 * Worked out with integers alone, so that it is the same on every machine: first with 63 bits, and
 * with 127 where these leave open how it rounds. */
#ifndef WEIR_AGGREGATE_DECAY_WEIGHT_H
#define WEIR_AGGREGATE_DECAY_WEIGHT_H

#include <stdint.h>

enum { DECAY_WEIGHT_BITS = 52 }; /* the unit of a weight is 2^-52 */

/* The nearest integer to 2^(part / whole) * 2^52, which makes the weight a float64; part < whole,
 * whole below 2^63. */
uint64_t decay_weight (uint64_t part, uint64_t whole);

#endif
