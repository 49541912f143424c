/* sample_segment.h - the head and the name of a segment. Private to the library. */
#ifndef WEIR_SKEW_SAMPLE_SEGMENT_H
#define WEIR_SKEW_SAMPLE_SEGMENT_H

#include "skew/sample_files.h"

/* Appends a segment's header. */
void sample_segment_put (buf_t *out, uint64_t place, uint32_t partitions, int64_t created);

/* The number in a segment's name; false: it is the name of none. */
bool sample_segment_number (const char *name, uint64_t *number);

#endif
