/* viewrows.h - a record that is a key's rows: of a few, their values are less than partials, and a
 * state is made of them when it is asked for (docs/formats.md, Batch view). */
#ifndef WEIR_BATCHVIEW_VIEWROWS_H
#define WEIR_BATCHVIEW_VIEWROWS_H

#include "batchview/viewfile.h"

/* Rows as they were read, as columns. Large: it is not made to be cleared. */
typedef struct viewrows {
    size_t count;
    int64_t time[BATCHVIEW_ROWS_MAX]; /* not descending */
    uint64_t offset[BATCHVIEW_ROWS_MAX];
    uint32_t row[BATCHVIEW_ROWS_MAX];
    uint8_t filter[FEATURES_MAX][BATCHVIEW_ROWS_MAX];
    uint8_t valid[BATCHVIEW_LANES_MAX][BATCHVIEW_ROWS_MAX];
    unscaled_t cell[BATCHVIEW_LANES_MAX][BATCHVIEW_ROWS_MAX]; /* room for those of any type */
} viewrows_t;

/* What state_add_rows is given of them for one slot. */
typedef struct viewrows_inputs {
    state_rows_t rows; /* of which the caller sets `from` and `to` */
    column_t lane[STATE_INPUTS_MAX];
} viewrows_inputs_t;

/* How much rows by a header's plan may take. */
typedef struct viewrows_size {
    size_t all;  /* bytes, however many rows */
    size_t each; /* of each row, without what strings have */
    bool strings;
} viewrows_size_t;

viewrows_size_t viewrows_size_of (const viewfile_header_t *header);

/* Bytes that viewrows_put needs room for, of which it may use less. */
size_t viewrows_room (const viewrows_size_t *size, const viewfile_header_t *header,
                      const projection_t *rows, size_t from, size_t to);

/* Writes rows [from, to) of a projection by the header's plan, none later than the clock at the
 * cut, with ages of so many bytes, and returns where they end. */
uint8_t *viewrows_put (const viewfile_header_t *header, const projection_t *rows, size_t from,
                       size_t to, unsigned age_bytes, uint8_t *out);

/* Reads all that is left, `count` rows; texts are borrowed. False: it is not well formed. */
bool viewrows_read (const viewfile_header_t *header, viewfile_shape_t shape, reader_t *reader,
                    viewrows_t *self);

/* The rows as the slot sees them, which borrows from both. */
void viewrows_inputs (viewrows_t *self, const viewfile_header_t *header,
                      const viewfile_slot_t *slot, viewrows_inputs_t *inputs);

/* How many are at or before that time. */
size_t viewrows_to (const viewrows_t *self, int64_t time);

#endif
