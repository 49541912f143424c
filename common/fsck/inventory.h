/* inventory.h - what a data directory holds according to its catalog. */
#ifndef WEIR_FSCK_INVENTORY_H
#define WEIR_FSCK_INVENTORY_H

#include "catalog/catalog.h"

typedef enum stored_kind { STORED_RUN, STORED_VIEW, STORED_INCOMING, STORED_REJECTS } stored_kind_t;

/* A file that the catalog names. */
typedef struct stored_file {
    stored_kind_t kind;
    const char *path;
    const char *log; /* "" for those below incoming/ */
    uint32_t partition;
    uint64_t size;              /* 0: the catalog does not say */
    uint64_t rows;              /* of a run */
    uint64_t offset;            /* of all rows of a load's run, else UINT64_MAX */
    const catalog_part_t *part; /* of the current manifest; NULL: of a load that is under way */
    const catalog_view_file_t *view; /* NULL: none */
    uint64_t cut;                    /* of the layer that a view file is of */
    const catalog_load_t *load;      /* whose it is, or NULL */
} stored_file_t;

typedef struct stored_log {
    const char *name;
    const char *stream;
    bool primary; /* the log of its stream's own key */
    catalog_manifest_t manifest;
    uint64_t *begin; /* per partition of the primary log: where forwarding to this one began */
} stored_log_t;

typedef struct inventory {
    arena_t *arena; /* of all below */
    const char *cluster;
    uint32_t partitions;
    catalog_assignment_t *assignments;
    size_t assignments_count;
    catalog_control_t *controls;
    size_t controls_count;
    catalog_load_t *loads;
    size_t loads_count;
    stored_log_t *logs;
    size_t logs_count;
    const char **removed; /* logs that are left out */
    size_t removed_count;
    stored_file_t *files; /* by path, each once */
    size_t files_count;
    const char **older; /* paths of earlier manifests that are still known, sorted */
    size_t older_count;
} inventory_t;

/* Reads it, of the directory `fs`: logs of a stream that was deleted, and whose directories
 * somebody removed after that, are left out. CORRUPT when the catalog contradicts itself. Destroy
 * it in any case. */
MUST_CHECK status_t inventory_read (catalog_t *catalog, fs_t *fs, inventory_t **inventory,
                                    error_t *error);
void inventory_destroy (inventory_t **self_p);

const stored_log_t *inventory_log (const inventory_t *self, const char *name);
/* The log of the own key of a log's stream, or NULL. */
const stored_log_t *inventory_primary (const inventory_t *self, const stored_log_t *log);
const stored_file_t *inventory_file (const inventory_t *self, const char *path);
/* Does the catalog know the path, if only of a manifest that nobody uses any more? */
bool inventory_knows (const inventory_t *self, const char *path);
/* The epoch of a partition's latest owner; 0 without one. */
uint64_t inventory_epoch (const inventory_t *self, uint32_t partition);
/* From which offset on the log of a partition is needed: the cut of the current manifest. */
uint64_t stored_log_cut (const stored_log_t *self, uint32_t partition);

#endif
