/* load_piece.h - a piece of text as rows, checked and grouped. */
#ifndef WEIR_BATCH_WORKER_LOAD_PIECE_H
#define WEIR_BATCH_WORKER_LOAD_PIECE_H

#include "batch-worker/load.h"

typedef struct load_piece {
    const char *data; /* the caller's, until its rows are gathered */
    size_t size;
    bool is_last; /* the text ends with it */

    /* what came of it: all in the arena */
    arena_t *arena;
    load_part_t *parts;
    size_t parts_count;
    size_t parts_room;
    text_t *refused; /* records, in their order */
    size_t refused_count;
    size_t refused_room;
    uint64_t records;  /* the reader's count after it */
    bool ends_records; /* the next piece begins with a record */
    status_t status;
    error_t error;
} load_piece_t;

/* How a file's rows are read; the same for all of its pieces. */
typedef struct load_rules {
    const load_t *load;
    intake_rules_t intake;
    const int32_t *map; /* of a CSV's columns; NULL: to be made for each table */
} load_rules_t;

void load_piece_init (load_piece_t *self);
void load_piece_release (load_piece_t *self);

/* Reads the piece with the reader, wherever that stands; what was made of another piece before is
 * forgotten. On any thread. The status, which is in the piece too, is INVALID for a header that is
 * none and, unless the load skips them, for a record that is refused; records are numbered as the
 * reader counts them. */
status_t load_piece_read (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader);

#endif
