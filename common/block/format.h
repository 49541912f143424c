/* format.h - the block format's numbers (docs/formats.md). Private to the library. */
#ifndef WEIR_BLOCK_FORMAT_H
#define WEIR_BLOCK_FORMAT_H

#include "block/block.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

#define BLOCK_MAGIC UINT32_C (0x4b4c4257) /* "WBLK" */

enum {
    BLOCK_FLAG_KEYS = 1,

    BLOCK_PREAMBLE_SIZE = 40, /* what stands before the directory */
    BLOCK_ENTRY_SIZE = 12,    /* of the directory */
    BLOCK_CHECKSUM_SIZE = 8,

    COLUMN_FLAG_NULLS = 1, /* the body begins with a bitmap of the valid rows */
    COLUMN_FLAG_LZ4 = 2,
    COLUMN_FLAG_ZSTD = 4, /* not both */
};

/* The columns that every block has stand before the stream's own. */
enum { SYSTEM_EVENT_TIME, SYSTEM_INGEST_TIME, SYSTEM_OFFSET, SYSTEM_ROW, SYSTEM_KEY, SYSTEM_MAX };

/* Stored in files: never renumber. Numbers that are not here are refused. */
typedef enum encoding {
    ENCODING_PLAIN = 0,
    ENCODING_CONSTANT = 1,
    ENCODING_RUNS = 2,
    ENCODING_DELTA = 3,
    ENCODING_PACKED = 4,
    ENCODING_DICTIONARY = 5,
    ENCODING_BITMAP = 6,
    ENCODING_SCALED = 7,
    ENCODING_FROM_TIME = 8,
    ENCODING_WIDE = 9,
    ENCODING_TOKENS = 10,
    ENCODING_STEPS = 11,
    ENCODING_KEY_STEPS = 12,
    ENCODING_TREND = 13,
    ENCODING_NUMBERED = 14,
    ENCODING_OF_KEY = 15,
} encoding_t;

/* A line of the directory. */
typedef struct column_entry {
    uint8_t type;
    uint8_t encoding;
    uint8_t flags;
    uint32_t raw_size;    /* of the body before LZ4 */
    uint32_t stored_size; /* as it stands in the block */
} column_entry_t;

/* What is dearer when a block is written: its bytes, or time. */
typedef enum effort {
    EFFORT_LOG,   /* someone waits, and it is kept for a while */
    EFFORT_DENSE, /* few bytes are worth more than the time to find them */
    EFFORT_QUICK, /* it is written anew soon */
} effort_t;

/* Scratch for the codecs of one block: each array has an entry for every row, and texts has two
 * when a block is written. */
typedef struct scratch {
    int64_t *a;
    int64_t *b;
    int64_t *c;
    int64_t *d;      /* only when a block is written */
    uint8_t *tokens; /* one for every row */
    text_t *texts;
    const text_t *key;         /* of the block's rows; NULL as long as keys is 0 */
    uint32_t *starts;          /* the first rows of stretches of equal keys, */
    size_t keys;               /* so many; 0 when they are not known */
    arena_t *arena;            /* where what is read lives; only when a block is read */
    effort_t effort;           /* only when a block is written */
    const int64_t *event_time; /* of the block's rows; NULL until it is known */
} scratch_t;

#endif
