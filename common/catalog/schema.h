/* schema.h - the catalog's tables. */
#ifndef WEIR_CATALOG_SCHEMA_H
#define WEIR_CATALOG_SCHEMA_H

/* Since version 4: several versions of an object, with who made each when and why. */
#define CATALOG_SCHEMA_OBJECT                                                                      \
    "CREATE TABLE object (kind TEXT, name TEXT, version INTEGER, meaning INTEGER, text TEXT, "     \
    "state TEXT, created INTEGER, author TEXT, message TEXT, "                                     \
    "PRIMARY KEY (kind, name, version)) STRICT"
#define CATALOG_SCHEMA_HISTORY                                                                     \
    "CREATE TABLE history (definitions INTEGER, kind TEXT, name TEXT, version INTEGER, meaning "   \
    "INTEGER, text TEXT, state TEXT, PRIMARY KEY (definitions, kind, name, version)) STRICT"
#define CATALOG_SCHEMA_ANNOTATION                                                                  \
    "CREATE TABLE annotation (kind TEXT, name TEXT, version INTEGER, label TEXT, value TEXT, "     \
    "time INTEGER, author TEXT, PRIMARY KEY (kind, name, version, label)) STRICT"

/* Since version 3. */
#define CATALOG_SCHEMA_LAYER                                                                       \
    "CREATE TABLE IF NOT EXISTS layer (log TEXT, number INTEGER, partition INTEGER, place "        \
    "INTEGER, cut INTEGER, clock INTEGER, latest INTEGER, runs INTEGER, views INTEGER, "           \
    "PRIMARY KEY (log, number, partition, place)) STRICT"
#define CATALOG_SCHEMA_FULL "ALTER TABLE recompute ADD COLUMN full INTEGER NOT NULL DEFAULT 0"

/* Since version 2. */
#define CATALOG_SCHEMA_FORGET                                                                      \
    "CREATE TABLE IF NOT EXISTS forget (id TEXT PRIMARY KEY, stream TEXT, before INTEGER, "        \
    "message TEXT, state TEXT, created INTEGER, finished INTEGER, rows INTEGER, files INTEGER, "   \
    " scanned INTEGER, error TEXT, datasets TEXT, after TEXT) STRICT"

/* One statement an entry. Numbers above 2^63 are stored as their negative twin. */
#define CATALOG_SCHEMA                                                                             \
    "CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER, text TEXT) STRICT",                 \
        CATALOG_SCHEMA_OBJECT,                                                                     \
        "CREATE TABLE application (definitions INTEGER PRIMARY KEY, time INTEGER, message TEXT) "  \
        "STRICT",                                                                                  \
        CATALOG_SCHEMA_HISTORY, CATALOG_SCHEMA_ANNOTATION,                                         \
        "CREATE TABLE assignment (partition INTEGER PRIMARY KEY, epoch INTEGER, node TEXT, "       \
        "incarnation INTEGER, endpoint TEXT) STRICT",                                              \
        "CREATE TABLE recompute (id INTEGER PRIMARY KEY, log TEXT, reason TEXT, state TEXT, "      \
        "created INTEGER, finished INTEGER, error TEXT, manifest INTEGER) STRICT",                 \
        CATALOG_SCHEMA_FULL,                                                                       \
        "CREATE TABLE control (log TEXT, partition INTEGER, id TEXT, place INTEGER, clock "        \
        "INTEGER, PRIMARY KEY (log, id, partition)) STRICT",                                       \
        "CREATE TABLE load (id TEXT PRIMARY KEY, stream TEXT, log TEXT, name TEXT, path TEXT, "    \
        "format TEXT, ingest_time TEXT, skip INTEGER, state TEXT, rows INTEGER, refused INTEGER, " \
        "bytes_total INTEGER, created INTEGER, error TEXT, rejects TEXT, runs TEXT) STRICT",       \
        "CREATE TABLE manifest (log TEXT, number INTEGER, dataset TEXT, time INTEGER, "            \
        "PRIMARY KEY (log, number)) STRICT",                                                       \
        "CREATE TABLE included (log TEXT, number INTEGER, place INTEGER, id TEXT, "                \
        "PRIMARY KEY (log, number, place)) STRICT",                                                \
        "CREATE TABLE part (log TEXT, number INTEGER, partition INTEGER, cut INTEGER, clock "      \
        "INTEGER, PRIMARY KEY (log, number, partition)) STRICT",                                   \
        "CREATE TABLE run (log TEXT, number INTEGER, partition INTEGER, place INTEGER, path "      \
        "TEXT, "                                                                                   \
        "size INTEGER, rows INTEGER, at INTEGER, "                                                 \
        "PRIMARY KEY (log, number, partition, place)) STRICT",                                     \
        "CREATE TABLE excluded (log TEXT, number INTEGER, partition INTEGER, place INTEGER, "      \
        "at INTEGER, PRIMARY KEY (log, number, partition, place)) STRICT",                         \
        "CREATE TABLE view_file (log TEXT, number INTEGER, partition INTEGER, place INTEGER, "     \
        "view TEXT, version INTEGER, plan INTEGER, path TEXT, size INTEGER, "                      \
        "PRIMARY KEY (log, number, partition, place)) STRICT",                                     \
        CATALOG_SCHEMA_FORGET, CATALOG_SCHEMA_LAYER

#endif
