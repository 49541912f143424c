/* Catalogs of before there were versions. */
#include "base/mem.h"
#include "catalog/store.h"
#include "tests/sim/disk/disk.h"
#include "tests/unit/catalog/model.h"

#include <criterion/criterion.h>
#include <string.h>

static error_t error;

#define OK(call) cr_assert_eq ((call), STATUS_OK, "%s", error.text)

/* As schema 3 had it: three applies, of which the second gave spend another meaning, and the third
 * took `gone` away. */
static const char *const old_catalog[] = {
    "DROP TABLE object",
    "DROP TABLE history",
    "DROP TABLE annotation",
    "CREATE TABLE object (kind TEXT, name TEXT, version INTEGER, meaning INTEGER, text TEXT, "
    "PRIMARY KEY (kind, name)) STRICT",
    "CREATE TABLE history (definitions INTEGER, kind TEXT, name TEXT, version INTEGER, "
    "meaning INTEGER, text TEXT, PRIMARY KEY (definitions, kind, name)) STRICT",
    "INSERT INTO application VALUES (1, 100, 'first'), (2, 200, 'second'), (3, 300, 'third')",
    "INSERT INTO history VALUES (1, 'stream', 'pay', 1, 5, 'a stream'), "
    "(1, 'view', 'spend', 1, 6, 'older'), (1, 'view', 'gone', 1, 7, 'of gone'), "
    "(2, 'stream', 'pay', 1, 5, 'a stream'), (2, 'view', 'spend', 2, 8, 'newer'), "
    "(2, 'view', 'gone', 1, 7, 'of gone, described')",
    "INSERT INTO object VALUES ('stream', 'pay', 1, 5, 'a stream'), "
    "('view', 'spend', 2, 8, 'newer'), ('service', 'model', 1, 9, 'a service')",
    "UPDATE meta SET number = 3 WHERE name = 'definitions'",
    "PRAGMA user_version = 3",
};

static void expect_object (const catalog_object_t *object, const char *kind, const char *name,
                           uint32_t version, const char *state, int64_t created, const char *text)
{
    cr_expect_str_eq (object->kind, kind);
    cr_expect_str_eq (object->name, name);
    cr_expect_eq (object->version, version);
    cr_expect_str_eq (object->state, state);
    cr_expect_eq (object->created, created);
    cr_expect_str_eq (object->text, text);
}

Test (catalog, of_an_earlier_program_gets_the_versions_that_its_history_has)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    catalog_t *catalog;
    catalog_object_t *objects;
    size_t count;
    arena_t *arena = arena_new (4096);
    OK (model_open (fs, &catalog, &error));
    OK (database_begin (&catalog->database, &error));
    for (size_t i = 0; i < sizeof old_catalog / sizeof *old_catalog; i++)
        database_run (&catalog->database, old_catalog[i]);
    OK (database_commit (&catalog->database, &error));
    catalog_close (&catalog);
    for (int time = 0; time < 2; time++) { /* upgraded, and read as it is */
        OK (model_open (fs, &catalog, &error));
        cr_assert_eq (catalog_definitions_version (catalog), 3);
        OK (catalog_objects (catalog, arena, &objects, &count, &error));
        cr_assert_eq (count, 5);
        expect_object (&objects[0], "service", "model", 1, "active", 300, "a service");
        cr_expect_str_eq (objects[0].message, "third");
        expect_object (&objects[1], "stream", "pay", 1, "", 100, "a stream");
        expect_object (&objects[2], "view", "gone", 1, "retired", 100, "of gone, described");
        expect_object (&objects[3], "view", "spend", 1, "retired", 100, "older");
        expect_object (&objects[4], "view", "spend", 2, "active", 200, "newer");
        catalog_close (&catalog);
    }
    uint64_t version;
    OK (model_open (fs, &catalog, &error));
    OK (catalog_apply (catalog, 3, 400, "fourth", objects, count, &version, &error));
    catalog_close (&catalog);
    arena_destroy (&arena);
    sim_disk_destroy (&disk);
}
