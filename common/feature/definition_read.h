/* definition_read.h - what the readers of streams and views share while files are read. */
#ifndef WEIR_FEATURE_DEFINITION_READ_H
#define WEIR_FEATURE_DEFINITION_READ_H

#include "feature/definition.h"
#include "feature/tree_check.h"

#define HORIZON_MIN  TIME_MINUTE
#define HORIZON_MOST (3650 * TIME_DAY)

enum {
    LOG_KEYS_MAX = 200,     /* bytes of a key's names together: they name a directory */
    COLUMN_NAME_MAX = 255,  /* bytes */
    DESCRIPTION_MAX = 4096, /* bytes */
};

typedef struct definition_reader {
    definitions_t *out;
    arena_t *scratch; /* trees, messages, what is forgotten when all is read */
    mistakes_t mistakes;
    const tree_node_t **stream_keys; /* where each stream is defined */
    bool *stream_good;               /* false: views from it are not looked at further */
    const tree_node_t **view_keys;
} definition_reader_t;

/* Reads one stream or view; `key` is its name, with the body as value. False when mistakes were
 * added; what was made may still be given to definitions_destroy. */
bool stream_read (definition_reader_t *reader, const tree_node_t *key, stream_t *stream);
bool view_read (definition_reader_t *reader, const tree_node_t *key, view_t *view);

/* A description that may be kept; NULL, with a mistake, when not. */
const char *description_read (definition_reader_t *reader, const tree_node_t *node);

/* The canonical text in the definitions' arena; NULL, with a mistake at `key`, when it has become
 * too large to be read back. Releases the buffer. */
const char *definition_text (definition_reader_t *reader, const tree_node_t *key, buf_t *text);

#endif
