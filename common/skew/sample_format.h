/* sample_format.h - the bytes of a block of answers. Private to the library. */
#ifndef WEIR_SKEW_SAMPLE_FORMAT_H
#define WEIR_SKEW_SAMPLE_FORMAT_H

#include "skew/sample.h"

enum { SAMPLE_VERSION = 1 };

#define SAMPLE_BLOCK_MAGIC UINT32_C (0x504d5357) /* "WSMP" */

enum { RECORD_SHAPE = 1, RECORD_DATASET = 2, RECORD_ANSWER = 3 };

/* Fills the header of the block that begins there, of which all else is in its place. */
void sample_header_put (uint8_t *block, const sample_header_t *header);

#endif
