/* columnfile.h - a column of events as a file, which weir and what it is compared with read.
 *
 * int64, timestamp (µs) and float64 are 8 bytes a cell as the machine has them, none null. A string
 * is the uint32 number of a line, from 0, in a file of words beside. Failures end the program. */
#ifndef WEIR_TESTS_BENCH_COLUMNFILE_H
#define WEIR_TESTS_BENCH_COLUMNFILE_H

#include "base/value.h"

typedef struct column_file {
    type_t type;
    uint64_t rows;
    const int64_t *i; /* or the bits of floats */
    const uint32_t *word;
    text_t *words;
    size_t words_count;
} column_file_t;

/* Maps a file for as long as the program lives. */
const void *column_map (const char *path, size_t *size);

/* Maps the file of a column; `words` is the path of a string's words, which are listed in `arena`.
 */
column_file_t column_file_open (arena_t *arena, type_t type, const char *path, const char *words);

/* Copies a cell; a string is borrowed. */
void column_file_cell (const column_file_t *self, uint64_t row, column_t *to, size_t at);

#endif
