/* Who leads: rows of `meta`, which catalogs of earlier versions lack. */
#include "base/check.h"
#include "catalog/store.h"

#include <string.h>

static void get_text (database_t *database, const char *sql, char out[CATALOG_LEADER_MAX + 1])
{
    out[0] = '\0';
    statement_t found = statement_of (database, sql);
    if (!statement_row (&found))
        return;
    arena_t *arena = arena_new (1024);
    const char *text = column_string (&found, arena);
    if (strlen (text) <= CATALOG_LEADER_MAX)
        memcpy (out, text, strlen (text) + 1);
    arena_destroy (&arena);
    statement_end (&found);
}

static void read_leader (database_t *database, catalog_leader_t *leader)
{
    *leader = (catalog_leader_t){ 0 };
    leader->term = database_number (database, "SELECT number FROM meta WHERE name = 'term'", 0);
    leader->renewals =
        database_number (database, "SELECT number FROM meta WHERE name = 'renewals'", 0);
    /* of which term somebody watches, and which one was given up */
    uint64_t watched =
        database_number (database, "SELECT number FROM meta WHERE name = 'watched'", 0);
    uint64_t resigned =
        database_number (database, "SELECT number FROM meta WHERE name = 'resigned'", 0);
    leader->watched = leader->term != 0 && watched == leader->term;
    leader->resigned = leader->term != 0 && resigned == leader->term;
    leader->lease = (int64_t)database_number (
        database, "SELECT number FROM meta WHERE name = 'leader_lease'", 0);
    get_text (database, "SELECT text FROM meta WHERE name = 'leader'", leader->name);
    get_text (database, "SELECT text FROM meta WHERE name = 'leader_endpoint'", leader->endpoint);
}

status_t catalog_leader (catalog_t *self, catalog_leader_t *leader, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    status_t status = database_peek (&self->database, error);
    if (status != STATUS_OK)
        return status;
    read_leader (&self->database, leader);
    return database_commit (&self->database, error);
}

static void refuse_changed (database_t *database)
{
    (void)database_refuse (database, STATUS_STALE, "somebody leads who did not a moment ago");
}

status_t catalog_watch (catalog_t *self, uint64_t term, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    catalog_leader_t now;
    if (database_begin_any (&self->database, error) == STATUS_OK) {
        read_leader (&self->database, &now);
        if (now.term != term)
            refuse_changed (&self->database);
        else if (!now.watched)
            meta_put (&self->database, "watched", term, "");
    }
    return database_commit (&self->database, error);
}

status_t catalog_lead (catalog_t *self, const catalog_leader_t *seen, const catalog_leader_t *next,
                       error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    database_t *database = &self->database;
    catalog_leader_t now;
    uint64_t definitions = 0;
    if (database_begin_any (database, error) == STATUS_OK) {
        read_leader (database, &now);
        if (now.term != seen->term || now.renewals != seen->renewals)
            refuse_changed (database);
        meta_put (database, "term", now.term + 1, "");
        meta_put (database, "renewals", now.renewals + 1, "");
        meta_put (database, "leader", 0, next->name);
        meta_put (database, "leader_endpoint", 0, next->endpoint);
        meta_put (database, "leader_lease", (uint64_t)next->lease, "");
        definitions =
            database_number (database, "SELECT number FROM meta WHERE name = 'definitions'", 0);
    }
    status_t status = database_commit (database, error);
    if (status == STATUS_OK) {
        database->term = seen->term + 1;
        self->definitions = definitions;
    }
    return status;
}

status_t catalog_renew (catalog_t *self, int64_t lease, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    if (database_begin (&self->database, error) == STATUS_OK) {
        database_run (&self->database,
                      "UPDATE meta SET number = number + 1 WHERE name = 'renewals'");
        meta_put (&self->database, "leader_lease", (uint64_t)lease, "");
    }
    return database_commit (&self->database, error);
}

status_t catalog_resign (catalog_t *self, error_t *error)
{
    CHECK_OBJECT (self, CATALOG_MAGIC);
    if (database_begin (&self->database, error) == STATUS_OK)
        meta_put (&self->database, "resigned", self->database.term, "");
    return database_commit (&self->database, error);
}
