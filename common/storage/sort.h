/* sort.h - batches into (key, event time, offset, row) order. */
#ifndef WEIR_STORAGE_SORT_H
#define WEIR_STORAGE_SORT_H

#include "base/value.h"

/* The order of the batch's rows, which have keys: order[i] is the row that comes i-th. Rows equal
 * in key, event time, offset and row keep their order. `order` has batch->rows entries (at most
 * UINT32_MAX) and is the caller's. Scratch memory of 32 bytes a row is taken and given back.
 *
 * Radix sort on the first eight bytes in which keys differ, then a merge sort of what those leave
 * equal and unordered: rows that come in time order, as they do from the log, need no more. */
void sort_batch (const batch_t *batch, uint32_t *order);

#endif
