/* page.h - a page of documentation, read as test cases. */
#ifndef WEIR_TESTS_EXPR_PAGE_H
#define WEIR_TESTS_EXPR_PAGE_H

#include <stdbool.h>

enum { PAGE_CELLS_MAX = 8 };

typedef struct page page_t;

/* Reads a file, from the top of the source tree, where tests are run. Fails the test without it. */
page_t *page_read (const char *path);
void page_destroy (page_t **self_p);

/* Makes page_next_row answer the rows of every table that begins with the line `head`. */
void page_seek_table (page_t *self, const char *head);

/* The next row's cells, without the backquotes around a cell that is all code and with `\|` read as
 * `|`; false after the last one. They live until the next call. */
bool page_next_row (page_t *self, const char **cells);

/* Does the page have `words` anywhere; a table with `head` a row that has them; a line that begins
 * with `first` and has them? */
bool page_has (page_t *self, const char *words);
bool page_has_row (page_t *self, const char *head, const char *words);
bool page_has_line (page_t *self, const char *first, const char *words);

/* Does the word stand by itself between `after` and the next heading? */
bool page_has_word (page_t *self, const char *after, const char *word);

/* The text of the first block of code that begins with ```kind; the page owns it. */
const char *page_block (page_t *self, const char *kind);

#endif
