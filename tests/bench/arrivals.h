/* arrivals.h - questions that are due at random times (Poisson), whether or not those before are
 * answered: a stall is felt by all who come meanwhile. Latency counts from when each was due. */
#ifndef WEIR_TESTS_BENCH_ARRIVALS_H
#define WEIR_TESTS_BENCH_ARRIVALS_H

#include "tests/bench/side.h"

typedef struct arrivals arrivals_t;

/* An answer came that is no refusal; those are counted by the side. `tag` is what was said to
 * arrivals_tag last when the question was due. */
typedef void arrivals_fn (void *arg, int64_t latency_ns, unsigned tag);

/* Asks the side's first askers in turn, `per_second` times on the average; calls `answered`. The
 * side was prepared, and outlives it. */
arrivals_t *arrivals_new (side_t *side, double per_second, uint64_t seed, arrivals_fn *answered,
                          void *arg);
void arrivals_destroy (arrivals_t **self_p);

/* Goes with all that are due from now on. */
void arrivals_tag (arrivals_t *self, unsigned tag);

/* Asks what is due before that time of measure_now_ns and takes answers until then, or until `file`
 * (-1: none) has something to read. */
void arrivals_run (arrivals_t *self, int64_t until_ns, int file);

/* Takes the answers that are missing; nothing more is due until it runs again, and then from then
 * on. */
void arrivals_finish (arrivals_t *self);

#endif
