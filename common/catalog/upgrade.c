/* From a catalog that had one version of each view and service to one that has several. */
#include "catalog/schema.h"
#include "catalog/store.h"

/* The set of definitions in which the object of the row first was, or the present one. */
#define FIRST_OF(row)                                                                              \
    "COALESCE ((SELECT MIN (h.definitions) FROM history_3 h WHERE h.kind = " row ".kind AND "      \
    "h.name = " row ".name AND h.version = " row ".version), "                                     \
    "(SELECT number FROM meta WHERE name = 'definitions'))"

#define MADE(row)                                                                                  \
    "COALESCE ((SELECT a.time FROM application a WHERE a.definitions = " FIRST_OF (                \
        row) "), 0), "                                                                             \
             "'', COALESCE ((SELECT a.message FROM application a WHERE a.definitions "             \
             "= " FIRST_OF (row) "), '')"

/* Versions that the history still has were retired when the next one came: so their numbers are
 * not used again. Of each the latest text is kept. */
static const char take_retired[] =
    "INSERT INTO object SELECT o.kind, o.name, o.version, o.meaning, o.text, 'retired', " MADE (
        "o") " FROM (SELECT kind, name, version, meaning, text, MAX (definitions) FROM history_3 "
             "WHERE kind IN ('view', 'service') GROUP BY kind, name, version) o "
             "WHERE NOT EXISTS (SELECT 1 FROM object_3 t WHERE t.kind = o.kind AND "
             "t.name = o.name AND t.version = o.version)";

static const char take_objects[] =
    "INSERT INTO object SELECT o.kind, o.name, o.version, o.meaning, o.text, "
    "CASE WHEN o.kind IN ('view', 'service') THEN 'active' ELSE '' END, " MADE (
        "o") " FROM object_3 o";

void upgrade_versions (database_t *database)
{
    database_run (database, "ALTER TABLE object RENAME TO object_3");
    database_run (database, "ALTER TABLE history RENAME TO history_3");
    database_run (database, CATALOG_SCHEMA_OBJECT);
    database_run (database, CATALOG_SCHEMA_HISTORY);
    database_run (database, CATALOG_SCHEMA_ANNOTATION);
    database_run (database, take_objects);
    database_run (database, take_retired);
    database_run (database, "INSERT INTO history SELECT definitions, kind, name, version, meaning, "
                            "text, CASE WHEN kind IN ('view', 'service') THEN 'active' ELSE '' END "
                            "FROM history_3");
    database_run (database, "DROP TABLE object_3");
    database_run (database, "DROP TABLE history_3");
}
