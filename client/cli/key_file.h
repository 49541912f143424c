/* key_file.h - the keys of many entities, from a CSV: a header with the key's fields, a row each.
 */
#ifndef WEIR_CLI_KEY_FILE_H
#define WEIR_CLI_KEY_FILE_H

#include "client/lib/client.h"

/* Rows in one question: few enough that those who answer it have time for others in between. */
enum { KEY_FILE_CHUNK = 256 };
_Static_assert((int)KEY_FILE_CHUNK *(int)ROLES_MAX <= (int)WIRE_KEYS_MAX,
               "they may be of a service of many roles");

/* "amount=12.5" as a value of a request, a text, and its name. "amount=" is the empty text,
 * "amount" null. */
value_t request_value (const char *word, text_t *name);

typedef struct key_file key_file_t;

/* What the columns are that are no fields of the key. Borrowed as long as the file is open. */
typedef struct key_file_columns {
    const char *time;            /* holds each row's as-of; NULL: none does */
    int64_t now;                 /* µs: what relative times there are relative to */
    const char *const *requests; /* NULL-terminated: "amount" is a column of request values,
                                    "amount=12.5" the value of every row */
} key_file_columns_t;

/* `path` "-" is stdin. *file is NULL on failure. */
MUST_CHECK status_t key_file_open (const char *path, const key_file_columns_t *columns,
                                   key_file_t **file, error_t *error);
void key_file_close (key_file_t **self_p);

/* Fills the keys, as-of times and request values of up to KEY_FILE_CHUNK rows into `get`; they are
 * the file's until the next call. END when there are no more. An error names the row. */
MUST_CHECK status_t key_file_next (key_file_t *self, client_get_t *get, error_t *error);

/* The row (1 is the first after the header) that the last keys begin with. */
uint64_t key_file_row (const key_file_t *self);

#endif
