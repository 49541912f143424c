/* fit_file.h - a training set as a file, read as often as what is fitted to it needs. */
#ifndef WEIR_CLI_FIT_FILE_H
#define WEIR_CLI_FIT_FILE_H

#include "feature/fit.h"

enum { FIT_HASH_DIGITS = 64 };

/* Reads the CSV at `path`, whose columns are found by the names of features; others are passed
 * over. `hash` gets the SHA-256 of the file in hex, *rows how many rows it has. NOT_FOUND names a
 * column that is missing, INVALID row and column of what is none of the feature's values; also when
 * the file changes between two readings. */
MUST_CHECK status_t fit_file (fit_t *fit, const char *path, char hash[FIT_HASH_DIGITS + 1],
                              uint64_t *rows, error_t *error);

#endif
