/* dedupe.h - the producer table: a batch that is sent again counts once and gets the same answer.
 *
 * Per producer it keeps the highest sequence, a map of which of the last 64 were seen, and what
 * came of them. Below those it cannot tell: so a batch is recorded only under dedupe_in_window,
 * which makes all below acknowledged ones (docs/protocol.md, `send`). A producer's id is the time
 * of its creation (µs since 1970, big-endian u64) and 8 random bytes; after DEDUPE_AGE it is
 * refused, so the table can forget it. The table is a function of what was recorded: it is rebuilt
 * by replaying a log's EVENTS records, and goes whole into every cut record, so that it survives
 * trimming (docs/formats.md has the encoding).
 *
 * An outcome is recorded when its record is appended, so it may not be durable yet: who answers a
 * repeat waits until log_durable has passed the outcome's offset. */
#ifndef WEIR_STORAGE_DEDUPE_H
#define WEIR_STORAGE_DEDUPE_H

#include "base/timestamp.h"
#include "storage/log.h"
#include "storage/payload.h"

enum {
    DEDUPE_WINDOW = 64,            /* sequences of a producer that are told apart */
    DEDUPE_PRODUCERS_MAX = 100000, /* over it, the oldest by creation are refused from then on */
    DEDUPE_OUTCOMES_MAX = 1 << 18, /* over it, the first recorded become unknown */
    DEDUPE_DETAILS_MAX = 4 << 20,  /* bytes of reasons; over it, the first recorded are dropped */
    DEDUPE_REASON_MAX = 200,       /* bytes; a longer reason is cut */
    DEDUPE_ENCODED_MAX = 15 << 20, /* bytes that dedupe_encode appends at most */
};

#define DEDUPE_AGE       (2 * TIME_DAY)    /* since its creation, that a producer is taken */
#define DEDUPE_AHEAD     (5 * TIME_MINUTE) /* that its creation may be past our clock */
#define DEDUPE_NO_OFFSET UINT64_MAX        /* the outcome is not known any more */

typedef struct dedupe_outcome {
    uint64_t offset;        /* of the record, or DEDUPE_NO_OFFSET: it is durable, all else is 0 */
    uint32_t accepted;      /* rows */
    uint32_t refused_count; /* rows, all */
    size_t refused_listed;  /* of these, in `refused`; may be less than what was recorded */
    const payload_refused_t *refused;
} dedupe_outcome_t;

typedef enum dedupe_verdict {
    DEDUPE_NEW,
    DEDUPE_REPEAT, /* seen */
    DEDUPE_BELOW, /* the window: it cannot be told whether it was seen. It was acknowledged, if what
                     the producer said with a later batch is true */
    DEDUPE_EXPIRED, /* the producer was created too long ago, too far ahead, or is no producer id */
} dedupe_verdict_t;

typedef struct dedupe dedupe_t;

dedupe_t *dedupe_new (void);
void dedupe_destroy (dedupe_t **self_p);

/* May a batch be recorded whose producer has all below `oldest` acknowledged? Else INVALID, with
 * what to do. */
MUST_CHECK status_t dedupe_in_window (uint64_t sequence, uint64_t oldest, error_t *error);

/* Has this batch been recorded? REPEAT fills `outcome`, borrowed until the table is next changed;
 * BELOW fills `outcome` with what is known, which is nothing, and `error` with what to do for who
 * does not take the producer's word; EXPIRED fills `error`. `now` is the wall clock, µs. */
dedupe_verdict_t dedupe_check (const dedupe_t *self, text_t producer, uint64_t sequence,
                               int64_t now, dedupe_outcome_t *outcome, error_t *error);

/* Records a batch whose record has been appended at outcome->offset, above that of any recorded
 * before. Everything is copied. A batch that is recorded already, or below the window, changes
 * nothing. `producer` has PRODUCER_SIZE bytes. */
void dedupe_record (dedupe_t *self, text_t producer, uint64_t sequence,
                    const dedupe_outcome_t *outcome);

/* dedupe_record of what an EVENTS record says. */
void dedupe_replay (dedupe_t *self, const log_record_t *record, const events_payload_t *payload);

/* Forgets the producers that dedupe_check refuses as too old at `now`, and has it refuse them and
 * older ones from then on at any time: another owner's clock may be behind, or ours was ahead. */
void dedupe_expire (dedupe_t *self, int64_t now);

size_t dedupe_producers (const dedupe_t *self);
size_t dedupe_memory (const dedupe_t *self); /* bytes, about */

/* Appends the table: equal tables give equal bytes. */
void dedupe_encode (const dedupe_t *self, buf_t *out);

/* Replaces what is in the table. CORRUPT, or VERSION, leaves it empty. */
MUST_CHECK status_t dedupe_decode (text_t bytes, dedupe_t *self, error_t *error);

#endif
