/* spine.h - the rows of a training set from a file, read from the beginning as often as wanted. */
#ifndef WEIR_CLI_SPINE_H
#define WEIR_CLI_SPINE_H

#include "client/cli/source.h"
#include "trainset/trainset.h"

typedef struct spine {
    const char *shown; /* as the user called it */
    const char *format;
    const trainset_t *set;
    const char *prefix; /* of the features' names in what is written */
    bool skip;          /* bad rows, instead of stopping at the first */
    int copy;           /* what came from stdin, in a file of no name; -1 */
    char path[64];      /* of that; "": `shown` is one */
    char hash[33];      /* of its content, after the first pass */
    int64_t now;        /* µs */

    /* after the first pass */
    uint64_t rows;
    uint64_t refused;
    char reason[512]; /* of the first that was */
    arena_t *arena;
    text_t *columns; /* names of all that any row has, the first seen first */
    size_t columns_count;

    /* the pass under way */
    source_t source;
    bool open;
    text_reader_t *reader;
    raw_table_t table;
    bool has_table;
    uint64_t first_row;
    int32_t *map;
    arena_t *batch_arena;
    intake_result_t result;
} spine_t;

/* `path` "-" is stdin, which is copied to a temporary file. */
MUST_CHECK status_t spine_open (spine_t *self, const char *path, const char *format, bool skip,
                                const char *prefix, const trainset_t *set, error_t *error);
void spine_release (spine_t *self);

/* Begins a pass: the first one, which counts rows and columns, or another over the same bytes. */
MUST_CHECK status_t spine_begin (spine_t *self, error_t *error);

/* The next rows, checked and typed, in `self->result.batch`: at least one, or END. Of a pass after
 * the first, self->table has them as they were written: row i is raw row result.raw_row[i]. INVALID
 * names the row that is refused, and why. */
MUST_CHECK status_t spine_next (spine_t *self, error_t *error);

/* After the first pass: INVALID when no row has a field of the key, which would make all features
 * those of an entity without events. A field of the request that no row has is told on stderr, as
 * by `weir training-set`. */
MUST_CHECK status_t spine_check (const spine_t *self, error_t *error);

/* The text of a row of it, without its end. */
text_t spine_record (const spine_t *self, size_t row);
/* A CSV's header, as it was written. */
text_t spine_header (const spine_t *self);

#endif
