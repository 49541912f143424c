/* pressure.h - what a speed worker holds, how fast it gets rid of it, and whether more is taken in.
 *
 * All that grows with what is sent is counted against one limit. Producers are told `busy` at
 * PRESSURE_ADMIT_PERCENT of it: what is above is room for what is durable already (events on their
 * way to other keys' logs), for tables that double, and for the allocator. A time to wait goes with
 * a refusal, from how fast bytes went lately. */
#ifndef WEIR_SPEED_WORKER_PRESSURE_H
#define WEIR_SPEED_WORKER_PRESSURE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PRESSURE_ADMIT_PERCENT = 80,
    PRESSURE_GROWTH = 3, /* bytes held for a byte of a message, until they are counted */
    PRESSURE_RETRY_MIN = 20 /* ms */,
    PRESSURE_RETRY_MAX = 10000,
    PRESSURE_RETRY_UNKNOWN = 500, /* when nothing went lately */
};

/* What grows. name, and what it is. The first ones go again by themselves; those from `producers`
 * on may stay, and count up to half of what is admitted: a limit that is too small for them must
 * not stop all events for good. */
#define MEMORY_TABLE(X)                                                                            \
    X (views)     /* timelines, with the caches in their trees */                                  \
    X (building)  /* timelines of a replay under way */                                            \
    X (waiting)   /* batches that wait for the disk */                                             \
    X (kept)      /* batches that a rebuild will need */                                           \
    X (forwards)  /* batches that wait for logs of other keys, and what was read for these */      \
    X (producers) /* tables of producers and their batches */                                      \
    X (logs)      /* buffers of the logs */                                                        \
    X (requests)  /* batches whose parts are with other workers */

typedef struct memory {
#define X(name) size_t name;
    MEMORY_TABLE (X)
#undef X
    /* Bytes that have gone since the start, by where they went. */
    uint64_t trimmed;   /* timelines, after a recompute */
    uint64_t flushed;   /* to the disk */
    uint64_t forwarded; /* to logs of other keys */
} memory_t;

size_t memory_total (const memory_t *self);
/* Of these, what stays when nothing more comes. */
size_t memory_staying (const memory_t *self);

/* Bytes that go, over a window of time. */
typedef struct drain {
    int64_t window; /* µs */
    uint64_t from, middle, latest;
    int64_t from_at, middle_at, latest_at; /* boot µs; from_at 0: nothing seen yet */
} drain_t;

/* `total` bytes have gone so far. A total that is less than before begins anew. */
void drain_look (drain_t *self, uint64_t total, int64_t now);
/* How long until `excess` more have, within the limits above; 0 when it is 0. */
uint32_t drain_wait_ms (const drain_t *self, uint64_t excess);

typedef struct pressure {
    size_t limit;    /* bytes */
    memory_t memory; /* as of the last look … */
    size_t reserved; /* … and for what was taken in since */
    int64_t looked;  /* boot µs */
    drain_t trims, flushes, forwards;
} pressure_t;

void pressure_init (pressure_t *self, size_t limit);

/* Bytes from which on producers are told to wait. */
size_t pressure_admits (const pressure_t *self);

/* Is it time to count again? */
bool pressure_due (const pressure_t *self, int64_t now);
void pressure_take (pressure_t *self, const memory_t *memory, int64_t now);

/* TOO_LARGE when a message of `bytes` is not taken in however long it waits. */
MUST_CHECK status_t pressure_check_size (const pressure_t *self, size_t bytes, error_t *error);
/* Takes a message of `bytes` in, or BUSY with a time to wait. */
MUST_CHECK status_t pressure_reserve (pressure_t *self, size_t bytes, error_t *error);

/* Are the timelines at the whole limit? Then events that are durable elsewhere already are not
 * taken in either; only timelines count, which a recompute makes smaller. */
bool pressure_views_full (const pressure_t *self);

/* When to ask again, for somebody who was refused: when what waits has gone. */
uint32_t pressure_retry_ms (const pressure_t *self);

#endif
