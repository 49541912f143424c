/* recordhead.h - what stands before the partials of a record or section (docs/formats.md, Batch
 * view). */
#ifndef WEIR_BATCHVIEW_RECORDHEAD_H
#define WEIR_BATCHVIEW_RECORDHEAD_H

#include "batchview/record.h"

/* Appends that of the record of the builder's key, whose partials and places have been swept. */
void record_head (const record_builder_t *self, buf_t *head);
/* The same of a section of that group and layer. */
void section_head (const record_builder_t *self, size_t group, size_t layer, buf_t *head);

#endif
