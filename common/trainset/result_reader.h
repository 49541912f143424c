/* result_reader.h - what the rows of a spine came to, in the order of their numbers: parts of all
 * views and partitions together, and what is computed from several of them. */
#ifndef WEIR_TRAINSET_RESULT_READER_H
#define WEIR_TRAINSET_RESULT_READER_H

#include "base/fs.h"
#include "trainset/trainset.h"

typedef struct result_reader result_reader_t;

typedef struct result_file {
    uint32_t role;
    const char *path;
} result_file_t;

/* Opens them. `by_key`: rows go by their keys, and not by numbers (of a view alone). Set and fs
 * outlive it; the files may be removed when it is destroyed. CORRUPT, NOT_FOUND, IO. */
MUST_CHECK status_t result_reader_new (const trainset_t *set, fs_t *fs, const result_file_t *files,
                                       size_t count, bool by_key, result_reader_t **reader,
                                       error_t *error);
void result_reader_destroy (result_reader_t **self_p);

/* Outcomes of the next `rows->rows` rows, of all outputs: outcomes[row * outputs_count + output].
 * `rows` is the batch of the set's stream that they are of: they are computed with its values. Live
 * until the next call. CORRUPT when there are not as many. */
MUST_CHECK status_t result_reader_next (result_reader_t *self, const batch_t *rows,
                                        const outcome_t **outcomes, error_t *error);

/* The next row by its key, of a view; END after the last. All lives until the next call. */
MUST_CHECK status_t result_reader_next_key (result_reader_t *self, text_t *key,
                                            const outcome_t **outcomes, error_t *error);

/* Are there more rows than were asked for? CORRUPT then. */
MUST_CHECK status_t result_reader_end (result_reader_t *self, error_t *error);

#endif
