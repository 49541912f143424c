/* generate.h - random views, as text, over one stream, and random events of it. */
#ifndef WEIR_TESTS_FEATURE_GENERATE_H
#define WEIR_TESTS_FEATURE_GENERATE_H

#include "base/random.h"
#include "feature/definition.h"

/* A whole file of definitions: the stream "s" (keyed by k, or global) and the view "v". */
void generate_definitions (random_t *random, bool keyed, buf_t *out);

/* Events of that stream, with nulls, equal times and a few keys; the latest time is at most
 * GENERATE_TIME_MAX. Offsets are unique. */
#define GENERATE_TIME_MAX (100 * TIME_DAY)
batch_t generate_batch (random_t *random, const stream_t *stream, size_t rows, arena_t *arena);

#endif
