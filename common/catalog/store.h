/* store.h - the inside of a catalog, for this library's own files only. */
#ifndef WEIR_CATALOG_STORE_H
#define WEIR_CATALOG_STORE_H

#include "catalog/catalog.h"
#include "catalog/database.h"

enum { CATALOG_MAGIC = 0x43415441, SCHEMA_VERSION = 4 };

struct catalog {
    uint32_t magic;
    database_t database;
    char *path;
    uint64_t definitions;
};

/* Sets a row of `meta`. */
void meta_put (database_t *database, const char *name, uint64_t number, const char *text);

/* Objects of schema 3 and before become versions. */
void upgrade_versions (database_t *database);

/* Rows of an unknown number, in an arena. `rows` is the array so far; returns it with room for one
 * more after `count`, zeroed. */
void *rows_grow (arena_t *arena, void *rows, size_t count, size_t size);

#endif
