/* side.h - whom queries are asked of: weir, the floor (bytes of the same sizes, floor.c), or Redis
 * (the same values of the same keys, stored by stored.c). All sides get the same questions,
 * prepared before a clock runs.
 *
 * A side has askers: connections, each with any number of questions under way. */
#ifndef WEIR_TESTS_BENCH_SIDE_H
#define WEIR_TESTS_BENCH_SIDE_H

#include "base/buf.h"
#include "base/random.h"
#include "wire/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

enum {
    SIDE_ASKERS_MAX = 256,
    SIDE_SETS_MAX = 16,
    SIDE_UNDER_WAY_MAX = 16384, /* questions of one asker */
};

typedef enum side_kind { SIDE_WEIR, SIDE_FLOOR, SIDE_REDIS } side_kind_t;

/* What is asked: `count` questions about `keys` users each. */
typedef struct questions {
    const char *view;
    uint64_t *user; /* count × keys */
    size_t count;
    size_t keys;
} questions_t;

/* Draws users from `users` of them: enough questions for 50,000 keys, at least 32 and at most
 * SIDE_UNDER_WAY_MAX. */
questions_t questions_draw (const char *view, size_t keys, uint64_t users, random_t *random);

/* A `get` of the view for `count` users, as of `as_of` µs or, with 0, of now. */
void side_write_get (wire_writer_t *writer, uint64_t id, const char *view, const uint64_t *user,
                     size_t count, int64_t as_of);
/* What Redis has a user's values of the view under. */
void side_redis_key (char out[64], const char *view, uint64_t user);

typedef struct side side_t;
typedef struct asker asker_t;

/* `pids` are the processes that answer, with commas between, or NULL: for side_cpu_ns. Both texts
 * are borrowed. */
side_t *side_new (const char *name, side_kind_t kind, const char *endpoint, const char *pids);
void side_destroy (side_t **self_p);
const char *side_name (const side_t *self);
side_kind_t side_kind (const side_t *self);

/* Asks weir the first question and looks at the whole answer: every result must be complete and of
 * `features` features. Returns the answer's size; *names gets the features' names, each with a NUL
 * behind it. */
size_t side_check (side_t *self, const questions_t *questions, size_t features, buf_t *names);

/* Encodes the questions, the side's set number 0, 1, … The floor is asked with messages as large as
 * weir's, and answers with `reply_size` bytes; Redis for the features in `names`. */
void side_prepare (side_t *self, const questions_t *questions, size_t reply_size,
                   const buf_t *names);
/* The set that is asked from now on; nothing may be under way. */
void side_use (side_t *self, size_t set);
/* Of the set that is asked: bytes of its first question, and how many there are. */
size_t side_request_size (const side_t *self);
size_t side_requests (const side_t *self);

/* How many questions were refused since the last time that this was asked. */
uint64_t side_refused (side_t *self);

/* CPU time of the processes that answer, in ns; 0 when they were not given. */
int64_t side_cpu_ns (const side_t *self);

/* The asker of that number, below SIDE_ASKERS_MAX, connected when it is first used. */
asker_t *side_asker (side_t *self, size_t number);

/* Sends the side's next question; returns its number, which its answer has. */
size_t asker_ask (asker_t *self);
typedef enum taken { TAKEN_NONE, TAKEN_ANSWER, TAKEN_REFUSAL } taken_t;
/* Takes an answer: waits for it, or finds that there is none. A refusal is one of weir that has no
 * room (`busy`) or could not answer in time; the program ends at any other. */
taken_t asker_take (asker_t *self, bool wait, size_t *number);
/* To wait for answers at, beside others. */
zmq_pollitem_t asker_item (const asker_t *self);

#endif
