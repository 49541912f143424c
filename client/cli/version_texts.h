/* version_texts.h - how two texts of definitions differ, line by line. */
#ifndef WEIR_CLI_VERSION_TEXTS_H
#define WEIR_CLI_VERSION_TEXTS_H

#include "base/buf.h"
#include "base/text.h"

/* Appends all lines that only `a` has after "- ", those that only `b` has after "+ ", and those of
 * both after "  ", in the order of the texts; of a shortest such list one. Canonical texts have up
 * to some thousands of lines, and it takes time and memory of their product. True: they differ. */
bool version_texts_compare (text_t a, text_t b, buf_t *out);

/* Appends the lines that differ, each after `indent` blanks and "- " or "+ ", below those that they
 * stand under in both texts; at most `most` lines, and how many more there are. Of texts of
 * over VERSION_LINES_MAX lines, that they are. */
enum { VERSION_LINES_MAX = 8192 };
void version_texts_changes (text_t a, text_t b, int indent, size_t most, buf_t *out);
/* How many lines there are. */
size_t version_text_lines (text_t text);

#endif
