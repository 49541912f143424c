/* dedupe_table.h - the producer table's insides, shared with its codec. */
#ifndef WEIR_STORAGE_DEDUPE_TABLE_H
#define WEIR_STORAGE_DEDUPE_TABLE_H

#include "storage/dedupe.h"

enum { DEDUPE_MAGIC = 0x0ddede0e };

typedef struct dedupe_entry {
    uint64_t sequence;
    uint64_t offset;
    uint32_t accepted;
    uint32_t refused_count;
    uint32_t refused_listed;
    uint32_t details_size;      /* DEDUPE_DETAIL_OVERHEAD and reason, for each listed row */
    payload_refused_t *refused; /* one allocation with the reasons behind; NULL without */
} dedupe_entry_t;

enum { DEDUPE_DETAIL_OVERHEAD = 7 }; /* most bytes that a listed row takes beside its reason */

typedef struct dedupe_id {
    uint64_t created; /* µs */
    uint64_t random;
} dedupe_id_t;

typedef struct dedupe_producer {
    dedupe_id_t id;
    uint64_t highest;
    uint64_t map; /* bit i: sequence highest - i was seen; bit 0 is always set */
    uint8_t count;
    uint8_t capacity;
    dedupe_entry_t *entry; /* highest sequence first; a subset of the map */
} dedupe_producer_t;

/* One recorded outcome, as long as its entry is there. */
typedef struct dedupe_age {
    dedupe_id_t id;
    uint64_t sequence;
    uint64_t offset;
} dedupe_age_t;

struct dedupe {
    uint32_t magic;
    uint64_t floor;           /* producers created at or before are refused: some were forgotten */
    dedupe_producer_t **slot; /* open addressing, linear probing */
    size_t slots;             /* a power of two */
    size_t producers;
    size_t outcomes;
    size_t details_size;
    dedupe_age_t *age; /* in the order of recording; some are of outcomes that have gone */
    size_t ages;
    size_t ages_capacity;
    size_t first_age;    /* those before are done with */
    size_t first_detail; /* those before have no details any more */
};

int dedupe_compare_ids (dedupe_id_t a, dedupe_id_t b);
dedupe_id_t dedupe_id_of (text_t producer); /* PRODUCER_SIZE bytes */

dedupe_producer_t *dedupe_find (const dedupe_t *self, dedupe_id_t id);
dedupe_producer_t *dedupe_add (dedupe_t *self, dedupe_id_t id);
dedupe_entry_t *dedupe_entry (const dedupe_producer_t *producer, uint64_t sequence);

/* Puts an entry in its place, with a copy of the outcome. There must be none for the sequence. */
void dedupe_insert (dedupe_t *self, dedupe_producer_t *producer, uint64_t sequence,
                    const dedupe_outcome_t *outcome);
void dedupe_note_age (dedupe_t *self, dedupe_id_t id, uint64_t sequence, uint64_t offset);
void dedupe_clear (dedupe_t *self);

#endif
