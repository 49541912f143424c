/* mistakes.h - definitions with mistakes, and the lines that they must be told with. */
#ifndef WEIR_TEST_FEATURE_MISTAKES_H
#define WEIR_TEST_FEATURE_MISTAKES_H

#include "feature/definition.h"

#define STREAM                                                                                     \
    "streams:\n"                                                                                   \
    "  payments:\n"                                                                                \
    "    key: user_id\n"                                                                           \
    "    time: ts\n"                                                                               \
    "    fields:\n"                                                                                \
    "      user_id: string\n"                                                                      \
    "      amount: float64\n"                                                                      \
    "      n: int64\n"                                                                             \
    "      ok: bool\n"                                                                             \
    "      ts: timestamp\n"

/* A view's features begin at line 14, its `where` may stand at line 13. */
#define VIEW                                                                                       \
    STREAM "views:\n"                                                                              \
           "  v:\n"

typedef struct mistake_case {
    const char *yaml;
    const char *lines;
} mistake_case_t;

/* `yaml` must be refused with these lines and that status. */
void mistake_check (const mistake_case_t *at, status_t expected);

#endif
