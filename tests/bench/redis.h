/* redis.h - as much of a Redis client as is needed to compare with it: commands in, replies out
 * (RESP 2), many under way on one connection. Nothing is copied or allocated for a value, so that
 * the client does not limit. */
#ifndef WEIR_TESTS_BENCH_REDIS_H
#define WEIR_TESTS_BENCH_REDIS_H

#include "base/buf.h"
#include "base/text.h"

#include <stdbool.h>

enum { REDIS_VALUES_MAX = 1024 }; /* of one reply */

typedef struct redis redis_t;

/* Connects to "tcp://ADDRESS:PORT"; ends the program when that fails. */
redis_t *redis_connect (const char *endpoint);
void redis_destroy (redis_t **self_p);

/* To wait for replies at, beside others. */
int redis_file (const redis_t *self);

/* Appends a command's beginning, with how many arguments follow its name; then each of these. */
void redis_put_command (buf_t *out, const char *name, size_t arguments);
void redis_put_argument (buf_t *out, text_t argument);

/* Sends commands. */
void redis_send (redis_t *self, const void *commands, size_t size);

typedef struct redis_reply {
    const text_t *value; /* of a list, or one; what is not there has no data */
    size_t count;
    size_t size; /* bytes of the reply */
} redis_reply_t;

/* Takes the next reply, valid until the next call. Waits for it, or returns false when it is not
 * here whole. Ends the program on an error, and when none comes within TALK_PATIENCE_MS. */
bool redis_take (redis_t *self, bool wait, redis_reply_t *reply);

#endif
