/* yaml_tree.h - a YAML file as a bounded tree in which every node knows its place.
 *
 * All scalars are texts as written: `no`, `on` and `1e3` mean themselves. Tags, anchors, aliases,
 * repeated keys and several documents are refused, and so is what YAML would misread in silence
 * (a comma that ends a text inside { }). */
#ifndef WEIR_FEATURE_YAML_TREE_H
#define WEIR_FEATURE_YAML_TREE_H

#include "feature/definition.h"
#include "feature/mistakes.h"

enum {
    TREE_DEPTH_MAX = 16,
    TREE_NODES_MAX = 32768,  /* per file */
    TREE_ENTRIES_MAX = 2048, /* per list or mapping */
};

_Static_assert((int)TREE_ENTRIES_MAX > (int)VIEWS_MAX && (int)TREE_ENTRIES_MAX > (int)FEATURES_MAX,
               "a file can hold all views, and a view all features");

typedef struct tree_file {
    const char *name;
    uint32_t order;
    text_t text;
} tree_file_t;

typedef enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP } tree_kind_t;
typedef enum tree_style { TREE_PLAIN, TREE_SINGLE, TREE_DOUBLE, TREE_BLOCK } tree_style_t;

typedef struct tree_node tree_node_t;
struct tree_node {
    tree_kind_t kind;
    tree_style_t style; /* of a text */
    const tree_file_t *file;
    uint32_t line, column; /* from 1 */
    uint32_t at;           /* byte offset in the file */
    uint32_t end;
    text_t text;
    bool comment_after;       /* a plain text that " #" ends */
    const tree_node_t *first; /* items of a list, keys of a map */
    const tree_node_t *next;
    const tree_node_t *value; /* of a key */
    uint32_t count;           /* items or keys */
};

/* Reads a file into `arena`, which must outlive the tree, as must the file's bytes. NULL when the
 * file is empty or mistakes were added. */
const tree_node_t *tree_read (const definition_file_t *file, uint32_t order, arena_t *arena,
                              mistakes_t *mistakes);

/* Where a node begins, and where byte `offset` of its text stands in the file. */
place_t tree_place (const tree_node_t *node);
place_t tree_place_in (const tree_node_t *node, size_t offset);

/* A plain text of no characters, which is what `key:` alone gives? */
bool tree_is_empty (const tree_node_t *node);

/* The value of a map's key, or NULL. */
const tree_node_t *tree_get (const tree_node_t *map, const char *key);

#endif
