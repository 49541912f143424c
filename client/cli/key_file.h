/* key_file.h - the keys of many entities, from a CSV: a header with the key's fields, a row each.
 */
#ifndef WEIR_CLI_KEY_FILE_H
#define WEIR_CLI_KEY_FILE_H

#include "client/lib/weir.h"

/* Rows in one question: few enough that those who answer it have time for others in between. */
enum { KEY_FILE_CHUNK = 1024 };

typedef struct key_file key_file_t;

/* `path` "-" is stdin. `time` names the column that holds each row's as-of; NULL: none does. `now`
 * (µs) is what relative times there are relative to. *file is NULL on failure. */
MUST_CHECK status_t key_file_open (const char *path, const char *time, int64_t now,
                                   key_file_t **file, error_t *error);
void key_file_close (key_file_t **self_p);

/* Fills the keys, and as-of times, of up to KEY_FILE_CHUNK rows into `get`; they are the file's
 * until the next call. END when there are no more. An error names the row. */
MUST_CHECK status_t key_file_next (key_file_t *self, weir_get_t *get, error_t *error);

/* The row (1 is the first after the header) that the last keys begin with. */
uint64_t key_file_row (const key_file_t *self);

#endif
