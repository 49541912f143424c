/* place.h - a node's place: its name, where it listens and the data directory that it may use. */
#ifndef WEIR_NODE_PLACE_H
#define WEIR_NODE_PLACE_H

#include "base/fs.h"
#include "node/node.h"
#include "storage/cluster_file.h"

enum { NODE_NAME_MAX = 64 }; /* bytes */

typedef struct place {
    char name[NODE_NAME_MAX + 1];
    const char *listen; /* NULL: nowhere */
    fs_t *fs;           /* at the data directory */
    file_t *lock;       /* held as long as the node runs */
    cluster_file_t cluster;
} place_t;

/* Chooses name and endpoint, opens the data directory (making it), takes the lock of the name in it
 * and reads or writes its `cluster` file. INVALID for names and endpoints that do not fit and for
 * the directory of another cluster or on a network filesystem; BUSY when the node runs already. */
MUST_CHECK status_t place_open (place_t *place, node_kind_t kind, const node_options_t *options,
                                const project_t *project, error_t *error);
void place_release (place_t *place); /* idempotent */

#endif
