/* tables.h - the tables of docs/aggregates.md, as the tables in aggregate.h have them. */
#ifndef WEIR_TESTS_AGGREGATE_TABLES_H
#define WEIR_TESTS_AGGREGATE_TABLES_H

#include "base/buf.h"

/* Appends the page with every table between its two marks written anew. False, with the name of
 * the table in *missing, when the page has not the marks of one. */
bool tables_rewrite (text_t page, buf_t *out, const char **missing);

#endif
