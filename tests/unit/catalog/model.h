/* model.h - random calls on a catalog, and all that it holds as one text. */
#ifndef WEIR_TESTS_CATALOG_MODEL_H
#define WEIR_TESTS_CATALOG_MODEL_H

#include "base/random.h"
#include "catalog/catalog.h"

enum { MODEL_PARTITIONS = 3 };

status_t model_open (fs_t *fs, catalog_t **catalog, error_t *error);

/* One call that changes something. Which one depends on `seed` and on what the catalog holds, so
 * that two catalogs that hold the same do the same. */
status_t model_step (catalog_t *catalog, uint64_t seed, error_t *error);

/* Everything that can be read; the caller frees. */
char *model_dump (catalog_t *catalog);

#endif
