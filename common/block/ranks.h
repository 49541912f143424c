/* ranks.h - integers of which there are few, as ranks by how often they come. Private to the
 * library. */
#ifndef WEIR_BLOCK_RANKS_H
#define WEIR_BLOCK_RANKS_H

#include <stddef.h>
#include <stdint.h>

enum { RANKS_MAX = 256 };

/* Fills distinct[] with the different values, those that come most often first, and ranks[] with
 * the place of each value there. Returns how many are different, or 0 as soon as there are over
 * `most` (at most RANKS_MAX). */
size_t ranks_find (const int64_t *values, size_t count, size_t most, int64_t *ranks,
                   int64_t *distinct);

#endif
