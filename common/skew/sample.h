/* sample.h - answers that a serving node kept, to be computed again: what was asked, where the
 * answer stood, and what it was, to the bit (docs/formats.md, Sample).
 *
 * Answers come in blocks that stand alone. A block says once what its answers have in common: of
 * what they are (shapes), and which datasets they stood on. */
#ifndef WEIR_SKEW_SAMPLE_H
#define WEIR_SKEW_SAMPLE_H

#include "base/status.h"
#include "base/value.h"

enum {
    SAMPLE_BLOCK_MAX = 1 << 20, /* bytes of a block before it is packed */
    SAMPLE_HEADER = 64,         /* bytes of a block's header */
    SAMPLE_FIELDS_MAX = 1024,   /* of a shape's lists each */
    SAMPLE_PLACES_MAX = 512,    /* of an answer */
    SAMPLE_DEFINED_MAX = 256,   /* shapes of a block; datasets likewise */
    SAMPLE_DEPTH_MAX = 4,       /* of lists and maps in each other */
};

/* A name and its type, as `get` words it. */
typedef struct sample_field {
    text_t name;
    text_t type;
} sample_field_t;

/* A view and its version. */
typedef struct sample_view {
    text_t name;
    uint32_t version;
} sample_view_t;

/* What answers are of. */
typedef struct sample_shape {
    text_t name; /* of the view or service */
    uint32_t version;
    bool service;
    uint64_t meaning; /* of the states that the features are made of; changes when a field of theirs
                         is widened, which makes no new version */
    const sample_view_t *views; /* that a service's answer is made of, with their versions */
    size_t views_count;
    const text_t *keys; /* names of the fields of its key, and then of the request's values */
    size_t keys_count;
    size_t request_count;
    const sample_field_t *features; /* that were asked for */
    size_t features_count;
} sample_shape_t;

/* A dataset that answers stood on. */
typedef struct sample_dataset {
    text_t log;
    uint64_t manifest;
} sample_dataset_t;

/* Where an answer stood in a partition of a log. */
typedef struct sample_place {
    uint32_t dataset; /* number in the block */
    uint32_t partition;
    uint64_t cut;           /* of the dataset; at most the position */
    uint64_t position;      /* below it everything is in the answer … */
    const uint64_t *absent; /* … but rows of loads that the dataset lacks though their record, at
                               this offset, is below its cut; ascending */
    size_t absent_count;
} sample_place_t;

enum {
    SAMPLE_COMPLETE = 1,
    SAMPLE_BEFORE = 2, /* as_of is a microsecond before the time that was asked about */
};

typedef struct sample_answer {
    uint32_t shape; /* number in the block */
    int64_t time;   /* wall clock, µs, at which it was given */
    int64_t as_of;  /* µs */
    unsigned flags;
    const value_t *fields; /* of the key, then of the request */
    const sample_place_t *places;
    size_t places_count;
    const value_t *values; /* of the features */
    const text_t *errors;  /* likewise; empty where there is none. NULL: there is none at all */
} sample_answer_t;

/* Appends a value; false when it is too deep. A float's bits stay what they are. */
bool sample_put_value (buf_t *out, const value_t *value);
/* The meaning of a shape is the sum of these: of what a role reads (outcome_task_meaning). */
uint64_t sample_meaning (uint32_t role, uint64_t meaning);
/* Reads one; strings are borrowed from the bytes, lists and maps are in `arena`. False: it is
 * none. */
bool sample_read_value (reader_t *in, arena_t *arena, value_t *value);

/* ---- writing ---- */

/* A block that is being gathered. */
typedef struct sample_writer sample_writer_t;
sample_writer_t *sample_writer_new (void);
void sample_writer_destroy (sample_writer_t **self_p);

/* The number of a shape or dataset in the block, which is told once; -1 when there is no room. */
int sample_writer_shape (sample_writer_t *self, const sample_shape_t *shape);
int sample_writer_dataset (sample_writer_t *self, const sample_dataset_t *dataset);
/* Adds an answer that has the shape. False, and the block is as before, when it does not fit. */
bool sample_writer_add (sample_writer_t *self, const sample_shape_t *shape,
                        const sample_answer_t *answer);

size_t sample_writer_size (const sample_writer_t *self);      /* bytes, not packed */
uint32_t sample_writer_answers (const sample_writer_t *self); /* in the block */
/* The records of the block, not packed; borrowed until it changes. */
text_t sample_writer_records (const sample_writer_t *self);
/* Appends the block as it is stored, with header and checksum. False when `out` is full. */
bool sample_writer_end (const sample_writer_t *self, buf_t *out);
/* Another block begins. */
void sample_writer_clear (sample_writer_t *self);

/* ---- reading ---- */

/* What a header says. */
typedef struct sample_header {
    uint32_t size; /* of the block, with it */
    uint32_t unpacked;
    uint32_t answers;
    int64_t first; /* times of its answers */
    int64_t last;
} sample_header_t;

/* Of SAMPLE_HEADER bytes. CORRUPT, or VERSION. */
MUST_CHECK status_t sample_header_read (const void *data, sample_header_t *header, error_t *error);

typedef struct sample_block sample_block_t;

/* Unpacks a whole block. It borrows nothing. CORRUPT. */
MUST_CHECK status_t sample_block_open (const void *data, size_t size, sample_block_t **block,
                                       error_t *error);
void sample_block_destroy (sample_block_t **self_p);
const sample_header_t *sample_block_header (const sample_block_t *self);
/* The next answer, or END. It lives as long as the block. */
MUST_CHECK status_t sample_block_next (sample_block_t *self, sample_answer_t *answer,
                                       error_t *error);
const sample_shape_t *sample_block_shape (const sample_block_t *self, uint32_t number);
const sample_dataset_t *sample_block_dataset (const sample_block_t *self, uint32_t number);
/* The bytes of the answer that came last; borrowed. */
text_t sample_block_bytes (const sample_block_t *self);

#endif
