/* payments.h - made-up payments that look like a day at a bank: few users pay often and most
 * seldom, nights are quiet, some events come late, and one night somebody empties an account.
 *
 * A function of its options alone: integers only, so that the same options give the same bytes on
 * every machine. */
#ifndef WEIR_CLI_PAYMENTS_H
#define WEIR_CLI_PAYMENTS_H

#include "base/buf.h"
#include "intake/intake.h"

typedef struct payments_options {
    uint64_t events;
    uint32_t users; /* u1 to u<users>; u1 pays most */
    uint64_t seed;
    int64_t from;  /* µs: events are in [from, until), whole ms */
    int64_t until; /* µs */
    text_format_t format;
} payments_options_t;

enum { PAYMENTS_USERS_MAX = 10000000 };

typedef struct payments payments_t;

payments_t *payments_new (const payments_options_t *options);
void payments_destroy (payments_t **self_p);

/* Appends the header line that the format has, or nothing. */
void payments_header (const payments_t *self, buf_t *out);
/* Appends the next event as a line, in the order of arrival. False when there is none. */
bool payments_next (payments_t *self, buf_t *out);
/* The same with `time` (µs) as its event time, and without an end. */
void payments_next_at (payments_t *self, int64_t time, buf_t *out);

#endif
