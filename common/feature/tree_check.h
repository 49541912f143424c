/* tree_check.h - the parts of a YAML tree as what they must be, or a mistake at their place. */
#ifndef WEIR_FEATURE_TREE_CHECK_H
#define WEIR_FEATURE_TREE_CHECK_H

#include "feature/yaml_tree.h"

/* The keys that a mapping may have, each list ended by NULL. */
typedef struct tree_keys {
    const char *what;               /* "a stream": for messages */
    const char *const *known;       /* at most 32 */
    const char *const *unsupported; /* known, but refused by this version; may be NULL */
} tree_keys_t;

/* Adds a mistake at the node's place, or at byte `offset` of its text. */
void tree_mistake (mistakes_t *mistakes, const tree_node_t *node, const char *format, ...)
    PRINTF_LIKE (3, 4);
void tree_unsupported (mistakes_t *mistakes, const tree_node_t *node, const char *what);

/* Is it a mapping with none but these keys? `what` says what is expected, "the streams by name". */
bool tree_check_map (mistakes_t *mistakes, const tree_node_t *node, const char *what);
bool tree_check_keys (mistakes_t *mistakes, const tree_node_t *node, const tree_keys_t *keys);

/* A text that is not empty. */
bool tree_check_text (mistakes_t *mistakes, const tree_node_t *node, const char *what);

/* A list of texts that are not empty, or one such text, which is a list of one. Writes up to `max`
 * nodes. */
bool tree_check_texts (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                       const tree_node_t **texts, size_t max, size_t *count);

/* An identifier that is not reserved. */
bool tree_check_name (mistakes_t *mistakes, const tree_node_t *node, const char *what);

/* true or false; a duration, a whole number or a size (64MiB) between the limits. */
bool tree_read_bool (mistakes_t *mistakes, const tree_node_t *node, const char *what, bool *value);
bool tree_read_duration (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                         int64_t least, int64_t most, int64_t *value);
bool tree_read_integer (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                        int64_t least, int64_t most, int64_t *value);
bool tree_read_size (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                     uint64_t least, uint64_t most, uint64_t *value);

/* "; did you mean 'x'?" when one of the candidates is near, and "" otherwise, in `out` (of
 * SUGGESTION_MAX bytes). Returns `out`. */
enum { SUGGESTION_MAX = 160 };
const char *suggestion (text_t word, const char *const *candidates, size_t count, char *out);

#endif
