/* parts.h - what the files of the oracle share. */
#ifndef WEIR_ORACLE_PARTS_H
#define WEIR_ORACLE_PARTS_H

#include "tests/oracle/oracle.h"

/* Does the event count: is it in the window, through the filters, and its input not null? */
bool oracle_counts (const oracle_feature_t *feature, const oracle_event_t *event, int64_t as_of);

/* false < true, numbers by value with NaN above all, strings by bytes. */
int oracle_compare_values (const value_t *a, const value_t *b);

/* By (time, offset, row). */
int oracle_compare_places (const oracle_event_t *a, const oracle_event_t *b);
/* By place and, of two logs' events that have the same, by what the feature reads: its key first,
 * null least. */
int oracle_compare_rows (const oracle_feature_t *feature, const oracle_event_t *a,
                         const oracle_event_t *b);

/* XXH3-64 of the value's key encoding. */
uint64_t oracle_hash (const value_t *value);

/* Bytes of a value in a partial: a zigzag varint, 8 bytes, one, or a size and so many bytes. */
size_t oracle_size (const value_t *value);

/* Features of the newest rows, or by a key (groups.c). */
status_t oracle_grouped (const oracle_feature_t *feature, const oracle_event_t *events,
                         size_t count, int64_t as_of, value_t *out);

/* Lists, sets, histograms and sessions (collections.c). INVALID when the aggregate is none. */
status_t oracle_collection (const oracle_feature_t *feature, const oracle_event_t *events,
                            size_t count, int64_t as_of, value_t *out);

#endif
