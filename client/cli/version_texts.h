/* version_texts.h - how two texts of definitions differ, line by line. */
#ifndef WEIR_CLI_VERSION_TEXTS_H
#define WEIR_CLI_VERSION_TEXTS_H

#include "base/buf.h"
#include "base/text.h"

/* Appends all lines that only `a` has after "- ", those that only `b` has after "+ ", and those of
 * both after "  ", in the order of the texts; of a shortest such list one. Canonical texts have up
 * to some thousands of lines, and it takes time and memory of their product. True: they differ. */
bool version_texts_compare (text_t a, text_t b, buf_t *out);

#endif
