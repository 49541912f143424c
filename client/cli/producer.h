/* producer.h - who sends a file, remembered: so that sending it again goes on where it was
 * interrupted, under the same id and sequence numbers, and counts no row twice.
 *
 * A small text file, replaced as a whole. It is written before the first batch is sent: an id that
 * was used is never forgotten by a crash. */
#ifndef WEIR_CLI_PRODUCER_H
#define WEIR_CLI_PRODUCER_H

#include "client/lib/client.h"

/* The owners refuse ids that are older than two days: a producer must be done before that. */
#define PRODUCER_AGE_MAX (2 * TIME_DAY - TIME_HOUR)

typedef struct producer {
    uint8_t id[CLIENT_PRODUCER_SIZE];
    uint32_t batch_rows;   /* of every batch: what a sequence number stands for */
    uint64_t acknowledged; /* the batches 1 to this one are acknowledged … */
    uint64_t accepted;     /* … and so many of their rows were taken … */
    uint64_t refused;      /* … or not … */
    uint64_t earlier;      /* … or either, which is not remembered any more */
    bool done;             /* nothing of the file is left */
} producer_t;

/* When its id was made, µs. */
int64_t producer_created (const producer_t *producer);

/* NOT_FOUND when there is none; CORRUPT. */
MUST_CHECK status_t producer_read (const char *path, producer_t *producer, error_t *error);
/* Replaces the file; with `sync`, durably. */
MUST_CHECK status_t producer_write (const char *path, const producer_t *producer, bool sync,
                                    error_t *error);

/* <directory>/producers/<stream>-<content hash>, making directories; freed by the caller. */
char *producer_path (const char *directory, const char *stream, const char *hash);

#endif
