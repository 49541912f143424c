/* trained.h - rows with their features as CSV or NDJSON: a file that is there when it is whole. */
#ifndef WEIR_CLI_TRAINED_H
#define WEIR_CLI_TRAINED_H

#include "client/cli/spine.h"

#include <stdio.h>

typedef struct trained {
    const char *path;
    char *temporary;
    FILE *file; /* NULL: it is not open */
    text_format_t format;
    const trainset_t *set;
    const char *prefix;
    bool *shown; /* per output: it is written */
    buf_t line;
    uint64_t rows;
    uint64_t errors;  /* values that could not be computed */
    char reason[512]; /* of the first */
} trained_t;

/* `format` "csv", "ndjson" or NULL: by the path's ending, else CSV. INVALID, with the reason: it is
 * neither, the ending is that of another format, or the path is "-". */
MUST_CHECK status_t trained_format (const char *path, const char *word, text_format_t *format,
                                    error_t *error);

/* The format as above. The temporary file is beside it, and removed by any end of the program but
 * SIGKILL. What is at the path is left alone, and INVALID, when it is no regular file. */
MUST_CHECK status_t trained_open (trained_t *self, const char *path, const char *format,
                                  const trainset_t *set, const char *prefix, error_t *error);
/* What is not whole is removed. */
void trained_release (trained_t *self);

/* The head of a CSV: of the spine's columns and the features, or of fields that have these names.
 */
MUST_CHECK status_t trained_head (trained_t *self, const spine_t *spine, error_t *error);
MUST_CHECK status_t trained_head_of (trained_t *self, const char *const *names, size_t count,
                                     error_t *error);

/* Rows of the pass under way, with what they came to. */
MUST_CHECK status_t trained_rows (trained_t *self, const spine_t *spine, const outcome_t *outcomes,
                                  error_t *error);
/* A row of values of its own. */
MUST_CHECK status_t trained_row_of (trained_t *self, const char *const *names,
                                    const value_t *values, size_t count, const outcome_t *outcomes,
                                    error_t *error);

/* Makes it durable under its name. */
MUST_CHECK status_t trained_end (trained_t *self, error_t *error);

/* The name of an output as it is written. */
void trained_name (const trained_t *self, size_t output, buf_t *out);

#endif
