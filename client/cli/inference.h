/* inference.h - guesses a stream from a sample of its rows: types, time and key. */
#ifndef WEIR_CLI_INFERENCE_H
#define WEIR_CLI_INFERENCE_H

#include "base/buf.h"
#include "intake/intake.h"

enum { INFERENCE_ROWS_MAX = 10000 };

/* Appends the YAML of a stream called `name` that takes the rows of the sample, with comments where
 * there was a choice. INVALID when there is nothing to guess from, or no column can be the time. */
MUST_CHECK status_t infer_stream (const raw_table_t *sample, const char *name, buf_t *out,
                                  error_t *error);

/* A file's name without directories and ending, as an identifier. */
void infer_name (const char *path, char *name, size_t size);

#endif
