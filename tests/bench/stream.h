/* stream.h - events of now for some time, at full speed or at a rate. What the worker has no room
 * for
 * (`busy`) is sent again. */
#ifndef WEIR_TESTS_BENCH_STREAM_H
#define WEIR_TESTS_BENCH_STREAM_H

#include "tests/bench/producer.h"

/* For `seconds`, with at most `in_flight` batches of `rows` on their way, `rate` events a second
 * (0: as many as there can be). Prints how many were acknowledged, and how many batches were put
 * off. */
void stream_run (producer_t *producer, uint64_t seconds, uint64_t rows, uint64_t in_flight,
                 uint64_t rate);

#endif
