#include "fsck/fsck.h"

#include "base/buf.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "storage/log_check.h"
#include "tests/sim/disk/disk.h"
#include "tests/unit/fsck/stored.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static error_t error;

typedef struct findings {
    buf_t text; /* a line each: kind path; what (holds) */
    size_t wrong;
    size_t orphans;
    const char *only; /* all that are wrong must name it */
    bool others;
} findings_t;

static void found (void *arg, const fsck_finding_t *finding)
{
    findings_t *self = arg;
    buf_printf (&self->text, "%s %s byte %llu: %s (%s); %s\n", fsck_kind_word (finding->kind),
                finding->path, (unsigned long long)finding->byte, finding->what, finding->holds,
                finding->remedy);
    if (finding->kind == FSCK_ORPHAN) {
        self->orphans++;
        return;
    }
    self->wrong++;
    size_t size = strlen (finding->path);
    if (self->only && strcmp (self->only, finding->path) != 0 && /* or the directory of a log */
        !(strncmp (self->only, finding->path, size) == 0 && self->only[size] == '/'))
        self->others = true;
}

static findings_t check (fs_t *fs, bool repair, const char *only)
{
    findings_t self = { .only = only };
    fsck_options_t options = { .repair = repair, .found = found, .arg = &self };
    fsck_summary_t summary;
    buf_init (&self.text, 1 << 20);
    status_t status = fsck_run (fs, &options, &summary, &error);
    cr_assert (status == STATUS_OK || self.wrong > 0, "%s", error.text);
    cr_assert_eq (summary.wrong, self.wrong);
    cr_assert_eq (summary.orphans, self.orphans);
    return self;
}

Test (fsck, a_cluster_that_is_whole_is_clean)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        sim_disk_t *disk = sim_disk_new (seed, 0);
        stored_build (sim_disk_fs (disk), seed);
        findings_t findings = check (sim_disk_fs (disk), false, NULL);
        cr_assert_eq (findings.wrong + findings.orphans, 0, "%s", buf_string (&findings.text));
        buf_release (&findings.text);
        sim_disk_destroy (&disk);
    }
}

static void become_leader (fs_t *fs, catalog_t **catalog)
{
    catalog_leader_t seen;
    catalog_leader_t leader = { .lease = 1, .name = "coordinator" };
    cr_assert_eq (catalog_open (fs, "catalog.db", "shop", STORED_PARTITIONS, catalog, &error),
                  STATUS_OK, "%s", error.text);
    cr_assert_eq (catalog_leader (*catalog, &seen, &error), STATUS_OK);
    cr_assert_eq (catalog_lead (*catalog, &seen, &leader, &error), STATUS_OK);
}

/* A record that was confirmed has to be there, of whatever kind. */
Test (fsck, the_end_of_a_log_that_was_confirmed_is_missed)
{
    static const char *const ids[] = { "cut-9", "load-9", "forget-9" };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        sim_disk_t *disk = sim_disk_new (1, 0);
        fs_t *fs = sim_disk_fs (disk);
        catalog_t *catalog;
        catalog_control_t row = { STORED_LOG, 0, ids[i], 1 << 30, STORED_CLOCK };
        stored_build (fs, 1);
        become_leader (fs, &catalog);
        cr_assert_eq (catalog_put_controls (catalog, &row, 1, &error), STATUS_OK);
        catalog_close (&catalog);
        findings_t findings = check (fs, false, NULL);
        cr_expect_eq (findings.wrong, 1, "%s: %s", ids[i], buf_string (&findings.text));
        cr_expect (strstr (buf_string (&findings.text), "once went to"), "%s", ids[i]);
        buf_release (&findings.text);
        sim_disk_destroy (&disk);
    }
}

/* SQLite has no checksums: whatever a text has become is told, and opens no file. */
Test (fsck, a_catalog_whose_names_are_none_is_damaged)
{
    static const char *const names[] = { "pay//user", "pay/", "/pay", "pay/..", "pay/./user", "" };
    for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        sim_disk_t *disk = sim_disk_new (1, 0);
        fs_t *fs = sim_disk_fs (disk);
        catalog_t *catalog;
        const char *name = names[i / 2];
        catalog_control_t row = { name, 0, "cut-9", 1, STORED_CLOCK };
        catalog_load_t load = { .id = "waits",
                                .stream = "pay",
                                .log = STORED_LOG,
                                .name = "",
                                .path = name,
                                .format = "csv",
                                .ingest_time = "",
                                .state = "queued",
                                .error = "",
                                .rejects = "",
                                .runs = "" };
        if (i % 2 == 1 && name[0] == '\0')
            load.rejects = "incoming/";
        stored_build (fs, 1);
        become_leader (fs, &catalog);
        cr_assert_eq (i % 2 == 0 ? catalog_put_controls (catalog, &row, 1, &error)
                                 : catalog_put_load (catalog, &load, &error),
                      STATUS_OK);
        catalog_close (&catalog);
        findings_t findings = check (fs, false, "catalog.db");
        cr_expect_eq (findings.wrong, 1, "%s: %s", name, buf_string (&findings.text));
        cr_expect_not (findings.others, "%s: %s", name, buf_string (&findings.text));
        buf_release (&findings.text);
        sim_disk_destroy (&disk);
    }
}

/* The stream is deleted, and what it had removed, as people are told to do. */
Test (fsck, nobody_misses_what_a_deleted_stream_had)
{
    for (int deleted = 0; deleted < 2; deleted++) {
        sim_disk_t *disk = sim_disk_new (1, 0);
        sim_disk_t *rest = sim_disk_new (1, 0);
        fs_t *fs = sim_disk_fs (rest);
        arena_t *arena = arena_new (1 << 16);
        size_t count;
        stored_build (sim_disk_fs (disk), 1);
        char **files = stored_files (sim_disk_fs (disk), arena, &count);
        cr_assert_eq (fs_make_dir (fs, "incoming", &error), STATUS_OK);
        for (size_t i = 0; i < count; i++)
            if (strncmp (files[i], "incoming/", 9) == 0 || !strchr (files[i], '/'))
                stored_write (fs, files[i], stored_read (sim_disk_fs (disk), arena, files[i]));
        catalog_t *catalog;
        uint64_t version;
        catalog_object_t left[] = {
            { .kind = "log", .name = STORED_LOG, .version = 1, .text = "" }
        };
        catalog_load_t load = { .id = "waits",
                                .stream = "pay",
                                .log = STORED_LOG,
                                .name = "",
                                .path = "",
                                .format = "csv",
                                .ingest_time = "",
                                .state = "waiting",
                                .error = "",
                                .rejects = "",
                                .runs = "{\"" STORED_LOG "\":[[[\"history/" STORED_LOG
                                        "/0/1-1-load-0.run\",10,1]],[]]}" };
        become_leader (fs, &catalog);
        cr_assert_eq (catalog_put_load (catalog, &load, &error), STATUS_OK);
        if (deleted)
            cr_assert_eq (catalog_apply (catalog, catalog_definitions_version (catalog),
                                         STORED_CLOCK, "", left, 1, &version, &error),
                          STATUS_OK);
        catalog_close (&catalog);
        findings_t findings = check (fs, false, NULL);
        cr_expect_eq (findings.wrong == 0, deleted, "%s", buf_string (&findings.text));
        buf_release (&findings.text);
        arena_destroy (&arena);
        sim_disk_destroy (&disk);
        sim_disk_destroy (&rest);
    }
}

typedef enum harm { HARM_FLIP, HARM_CUT_OFF, HARM_ZEROS, HARM_REMOVED, HARM_KINDS } harm_t;

/* Does something to a file; what, for messages. False when it changed nothing. */
static bool harm (sim_disk_t *disk, random_t *random, const char *path, harm_t kind, uint64_t *byte,
                  char *text, size_t size)
{
    fs_t *fs = sim_disk_fs (disk);
    arena_t *arena = arena_new (1 << 16);
    text_t content = stored_read (fs, arena, path);
    char *changed = arena_alloc (arena, content.size + 1);
    memcpy (changed, content.data, content.size);
    bool done = content.size > 0; /* a lock has nothing in it */
    if (!done) {
        arena_destroy (&arena);
        return false;
    }
    uint64_t at = random_below (random, content.size);
    *byte = at;
    switch (kind) {
    case HARM_FLIP:
        at = at * 8 + random_below (random, 8);
        snprintf (text, size, "%s: bit %llu", path, (unsigned long long)at);
        sim_disk_rot (disk, path, at);
        break;
    case HARM_CUT_OFF:
        snprintf (text, size, "%s: cut off at %llu", path, (unsigned long long)at);
        stored_write (fs, path, (text_t){ content.data, (uint32_t)at });
        break;
    case HARM_ZEROS:
        at = at / 512 * 512;
        for (*byte = at; *byte < content.size && content.data[*byte] == 0; ++*byte)
            continue;
        snprintf (text, size, "%s: zeros from %llu", path, (unsigned long long)at);
        memset (changed + at, 0, content.size - at < 512 ? content.size - at : 512);
        done = memcmp (changed, content.data, content.size) != 0;
        stored_write (fs, path, (text_t){ changed, content.size });
        break;
    default:
        snprintf (text, size, "%s: removed", path);
        cr_assert_eq (fs_remove (fs, path, &error), STATUS_OK);
    }
    arena_destroy (&arena);
    return done;
}

/* What happened to its end cannot be told from what a crash leaves (docs/formats.md), unless others
 * say how far the log went. */
static bool is_last_segment (char *const *files, size_t count, const char *path)
{
    const char *slash = strrchr (path, '/');
    size_t dir = (size_t)(slash - path) + 1;
    for (size_t i = 0; i < count; i++)
        if (strncmp (files[i], path, dir) == 0 && strcmp (files[i], path) > 0)
            return false;
    return true;
}

/* How much of a segment counts: what its owner may not have made durable stands in the next one
 * again. */
static uint64_t counted (fs_t *fs, const char *path)
{
    char *dir = mem_string_n (path, (size_t)(strrchr (path, '/') - path));
    log_identity_t identity = { STORED_CLUSTER_ID,
                                strncmp (path + 4, STORED_LOG, strlen (STORED_LOG)) == 0
                                    ? STORED_LOG
                                    : STORED_OTHER,
                                (uint32_t)(dir[strlen (dir) - 1] - '0') };
    log_piece_t *pieces;
    size_t count;
    uint64_t size = 0;
    cr_assert_eq (log_pieces (fs, dir, &identity, &pieces, &count, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        if (strcmp (pieces[i].name, path + strlen (dir) + 1) == 0)
            size = pieces[i].size;
    mem_free (pieces);
    mem_free (dir);
    return size;
}

/* One whose events the history has all: without it, the log is as if it had been trimmed. */
static bool is_trimmable (fs_t *fs, char *const *files, size_t count, const char *path)
{
    catalog_t *catalog = NULL;
    inventory_t *inventory = NULL;
    size_t dir = (size_t)(strrchr (path, '/') - path) + 1;
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (strncmp (files[i], path, dir) == 0 && strcmp (files[i], path) > 0) {
            next = strtoull (files[i] + dir, NULL, 10);
            break;
        }
    cr_assert_eq (catalog_open_reading (fs, "catalog.db", false, &catalog, &error), STATUS_OK);
    cr_assert_eq (inventory_read (catalog, fs, &inventory, &error), STATUS_OK);
    const stored_log_t *log = inventory_log (
        inventory,
        strncmp (path + 4, STORED_LOG, strlen (STORED_LOG)) == 0 ? STORED_LOG : STORED_OTHER);
    uint64_t cut = stored_log_cut (log, (uint32_t)(path[dir - 2] - '0'));
    inventory_destroy (&inventory);
    catalog_close (&catalog);
    return next <= cut;
}

Test (fsck, whatever_is_done_to_one_file_it_names_that_one, .timeout = 300)
{
    size_t seen = 0;
    for (uint64_t seed = 0; seed < 240; seed++) {
        sim_disk_t *disk = sim_disk_new (seed, 0);
        fs_t *fs = sim_disk_fs (disk);
        arena_t *arena = arena_new (1 << 12);
        random_t random;
        char text[600];
        size_t count;
        random_seed (&random, seed);
        stored_build (fs, seed % 7);
        char **files = stored_files (fs, arena, &count);
        const char *path = files[random_below (&random, count)];
        /* of the catalog, what is text or unused is no structure that can be broken */
        bool unseen = strncmp (path, "catalog.db", 10) == 0 ||
                      (strstr (path, ".seg") && is_last_segment (files, count, path));
        harm_t kind = (harm_t)random_below (&random, HARM_KINDS);
        uint64_t counts = strstr (path, ".seg") ? counted (fs, path) : UINT64_MAX;
        uint64_t byte;
        if (kind == HARM_REMOVED && strstr (path, ".seg"))
            unseen = unseen || is_trimmable (fs, files, count, path);
        if (harm (disk, &random, path, kind, &byte, text, sizeof text)) {
            findings_t findings = check (fs, false, path);
            unseen = unseen || (byte >= counts && kind != HARM_REMOVED);
            cr_assert (!findings.others, "seed %llu, %s:\n%s", (unsigned long long)seed, text,
                       buf_string (&findings.text));
            cr_assert (findings.wrong > 0 || unseen, "seed %llu, %s: nothing found",
                       (unsigned long long)seed, text);
            seen += findings.wrong > 0;
            buf_release (&findings.text);
        }
        arena_destroy (&arena);
        sim_disk_destroy (&disk);
    }
    cr_assert_gt (seen, 150, "only %zu", seen);
}
