/* payments.h - a small stream with one view, events of it, and what the view's features must be.
 *
 * Definitions have two versions: in the second the view has a filter (and version 2), and there is
 * a second view. */
#ifndef WEIR_TESTS_RIG_PAYMENTS_H
#define WEIR_TESTS_RIG_PAYMENTS_H

#include "base/random.h"
#include "member/model.h"
#include "wire/wire.h"

#define PAYMENTS_LOG "payments/user"

enum { PAYMENTS_USERS = 12, PAYMENTS_FEATURES = 6 };

typedef struct payment {
    unsigned user; /* below PAYMENTS_USERS */
    bool no_amount;
    double amount;
    int64_t items;
    int64_t time; /* µs */
    uint32_t partition;
    uint64_t offset;
} payment_t;

/* Writes the body of a `definitions.ok` of that version into the open map. */
void payments_write_definitions (wire_writer_t *writer, uint64_t version);
/* The same with another stream (NULL: none). */
void payments_write_definitions_and (wire_writer_t *writer, uint64_t version,
                                     const char *other_name, const char *other_text);
/* The definitions of version 1 under another, but for one more field, which comes first in the
 * stream and which no view is about: the plans' hashes are the same. */
void payments_write_wide (wire_writer_t *writer, uint64_t version);
/* Definitions of this version are those of 1, but for one more feature of the view, which is no
 * other version of it: `least: min(items) over 1h`. */
enum { PAYMENTS_GROWN = 9 };
/* The payments with a field `extra` more, which is int64 in version 1 and float64 in later ones. */
void payments_write_widened (wire_writer_t *writer, uint64_t version);
/* The model of it; the caller holds the one reference. */
model_t *payments_model (uint64_t version);

/* The user's name (static), and key as bytes (in `key`, which is cleared). */
const char *payments_user (unsigned user);
text_t payments_key (unsigned user, buf_t *key);
uint32_t payments_partition (unsigned user, uint32_t partitions);

/* One payment of a random user, up to `spread` µs before `latest`; partition is filled. */
payment_t payments_random (random_t *random, int64_t latest, int64_t spread, uint32_t partitions);

/* Those of `payments` as a batch with keys, in `arena`. */
batch_t payments_batch (const model_t *model, const payment_t *payments, size_t count,
                        arena_t *arena);

/* The value that a feature of view `spend` must have, by the oracle: over the user's payments with
 * from <= offset < to. */
value_t payments_expected (uint64_t version, size_t feature, const payment_t *payments,
                           size_t count, unsigned user, uint64_t from, uint64_t to, int64_t as_of);

#endif
