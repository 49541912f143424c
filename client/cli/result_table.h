/* result_table.h - answers for people. */
#ifndef WEIR_CLI_RESULT_TABLE_H
#define WEIR_CLI_RESULT_TABLE_H

#include "client/lib/client.h"

/* Appends one result as a page: what it is, then a feature a line. `body` is a reply to `get`. */
void result_page (const wire_value_t *body, uint32_t result, buf_t *out);
/* Appends all results as a table: an entity a line. */
void result_rows (const wire_value_t *body, buf_t *out);

#endif
