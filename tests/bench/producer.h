/* producer.h - batches of events of 100 bytes, as a producer encodes them: made before a clock
 * runs, so that making them does not limit. */
#ifndef WEIR_TESTS_BENCH_PRODUCER_H
#define WEIR_TESTS_BENCH_PRODUCER_H

#include "base/random.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EVENT_STEP_US = 50,               /* between the times of two events */
    PRODUCER_UNACKNOWLEDGED_MAX = 64, /* batches: what owners tell repeats apart of */
};

typedef struct batch_request {
    void *data; /* the owner frees */
    size_t size;
} batch_request_t;

typedef struct producer {
    void *socket;
    random_t random;
    char id[16];
    uint64_t sequence; /* of the batch that was made last */
    uint64_t users;
    bool in_turn; /* every user comes as often as any other; or they are drawn */
    uint64_t turn;
    int64_t time_us; /* of the next event */
} producer_t;

/* A new producer at the speed worker of that endpoint, whose events begin an hour ago. */
void producer_init (producer_t *self, const char *endpoint, uint64_t users, bool in_turn);

/* The next batch of `rows` events. */
batch_request_t producer_make (producer_t *self, wire_writer_t *writer, uint64_t rows);

/* What goes with a sequence as the oldest that may not be acknowledged. The batch must be sent no
 * sooner than that is so (producer_has_room); so it can be written before it is known which one it
 * is. */
uint64_t producer_oldest (uint64_t sequence);
/* May a batch be sent while `oldest` is the oldest that is not acknowledged? */
bool producer_has_room (uint64_t oldest, uint64_t sequence);

/* µs of the wall clock. */
int64_t producer_now_us (void);

#endif
