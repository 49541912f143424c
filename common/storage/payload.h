/* payload.h - what stands inside the log's records (docs/formats.md, Payloads).
 *
 * Encoders append to a buffer; decoders borrow from the bytes given and refuse, with CORRUPT, all
 * that is not a whole payload of a version they know (VERSION for a newer one). */
#ifndef WEIR_STORAGE_PAYLOAD_H
#define WEIR_STORAGE_PAYLOAD_H

#include "base/buf.h"
#include "base/key.h"
#include "base/status.h"
#include "block/block.h"

enum {
    PAYLOAD_VERSION = 1,
    PAYLOAD_VERSION_IDS = 2, /* of an EVENTS record whose columns are not fields 0, 1, 2, … */
    PAYLOAD_FORWARDED = 3,   /* that of an EVENTS record in a re-keyed log */
    PRODUCER_SIZE = 16,      /* bytes of a producer id */
    PAYLOAD_REFUSED_MAX = 100,
    CONTROL_ID_MAX = 63, /* bytes of "cut-7", "load-<hash>.2" or "forget-<id>" */
};

typedef struct payload_refused {
    uint32_t row; /* in the batch that the client sent */
    text_t reason;
} payload_refused_t;

/* An EVENTS record: one producer's batch as far as it belongs to the partition. */
typedef struct events_payload {
    uint8_t producer[PRODUCER_SIZE];
    uint64_t sequence;
    uint32_t accepted;
    uint32_t refused_count;  /* all */
    uint32_t refused_listed; /* those in `refused` */
    payload_refused_t refused[PAYLOAD_REFUSED_MAX];
    text_t block; /* the accepted events, without keys; empty when accepted is 0 */
    bool has_ids; /* false: the block's columns are the fields 0, 1, 2, … */
    uint16_t ids[BLOCK_COLUMNS_MAX]; /* the numbers of its columns' fields */
    size_t ids_count;
} events_payload_t;

void events_payload_encode (const events_payload_t *payload, buf_t *out);
MUST_CHECK status_t events_payload_decode (text_t bytes, events_payload_t *payload, error_t *error);

/* An EVENTS record of a re-keyed log: what one partition of the primary log has for this one at
 * offsets [from, to). */
typedef struct forwarded_payload {
    uint32_t source; /* the partition */
    uint64_t from;
    uint64_t to;
    uint32_t accepted; /* events in the block */
    text_t block;      /* without keys, with positions in the source; empty without events */
    uint16_t ids[BLOCK_COLUMNS_MAX]; /* the numbers of its columns' fields */
    size_t ids_count;
} forwarded_payload_t;

void forwarded_payload_encode (const forwarded_payload_t *payload, buf_t *out);
MUST_CHECK status_t forwarded_payload_decode (text_t bytes, forwarded_payload_t *payload,
                                              error_t *error);

/* The marks of a re-keyed log: below marks[p], it holds everything of partition p of the primary
 * log. They stand in every cut record of it, in the place of producers. */
void marks_encode (const uint64_t *marks, uint32_t partitions, buf_t *out);
MUST_CHECK status_t marks_decode (text_t bytes, uint64_t *marks, uint32_t partitions,
                                  error_t *error);

/* A CUT or LOAD_COMMIT record. */
typedef struct control_payload {
    text_t id;
    int64_t clock;    /* µs: the owner's clock when it was appended */
    text_t producers; /* CUT: the producer table (dedupe_encode) of everything below it, or the
                         marks of a re-keyed log; else empty */
} control_payload_t;

void control_payload_encode (const control_payload_t *payload, buf_t *out);
MUST_CHECK status_t control_payload_decode (text_t bytes, control_payload_t *payload,
                                            error_t *error);

/* A FORGET record: events of one entity at lower offsets of this log, and with event times below
 * `before`, are to be erased. In a re-keyed log it came from a partition of the primary log, as
 * events do: there it stands at `to` - 1, and what is at [from, to - 1) has nothing for this one.
 */
typedef struct forget_payload {
    text_t id; /* "forget-<id>" */
    int64_t clock;
    text_t key;     /* by the stream's own key, 1 to KEY_SIZE_MAX bytes (base/key.h) */
    int64_t before; /* µs; INT64_MAX: whatever their time */
    bool forwarded;
    uint32_t source; /* these three only when it is forwarded */
    uint64_t from;
    uint64_t to;
} forget_payload_t;

void forget_payload_encode (const forget_payload_t *payload, buf_t *out);
MUST_CHECK status_t forget_payload_decode (text_t bytes, forget_payload_t *payload, error_t *error);

#endif
