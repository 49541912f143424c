/* catalog.h - what the cluster remembers: one SQLite database over the filesystem seam.
 *
 * The coordinators' alone. Several may have it open, in several processes; only the one that leads
 * can change it, and each of its transactions proves that it still does (docs/coordination.md).
 * Each function that changes something is one transaction that is durable when it returns OK. All
 * texts are copied on the way in and live in the caller's arena on the way out. Calls block for a
 * disk sync: they are few (definitions, assignments, publishes), never per event.
 *
 * A call that fails has changed nothing, unless it failed with IO or NO_SPACE: then it may have
 * been done after all, and what is so is what the next calls read. NO_SPACE says what to do. BUSY:
 * another process is stopped in the middle of a transaction.
 * FENCED: another process leads, and this one can change nothing. */
#ifndef WEIR_CATALOG_CATALOG_H
#define WEIR_CATALOG_CATALOG_H

#include "base/arena.h"
#include "base/fs.h"
#include "base/status.h"
#include "base/text.h"

typedef struct catalog catalog_t;

/* Opens or makes `path`; `cluster` and `partitions` must be those it was made with (P never
 * changes). It can only be read until catalog_lead. VERSION when the schema is newer than this
 * program's. */
MUST_CHECK status_t catalog_open (fs_t *fs, const char *path, const char *cluster,
                                  uint32_t partitions, catalog_t **catalog, error_t *error);
void catalog_close (catalog_t **self_p);
/* The term in which this process leads, or did; 0 when it never has. */
uint64_t catalog_term (const catalog_t *self);

/* ---- who leads ---- */

enum { CATALOG_LEADER_MAX = 255 }; /* bytes of a name, an endpoint */

/* What the catalog says of the coordinator that leads, or led last. */
typedef struct catalog_leader {
    uint64_t term;     /* 0: there was none yet. Each that leads has a higher one */
    uint64_t renewals; /* how often it wrote that it is there, over all terms */
    bool watched;      /* somebody stands by in this term: it has to write that it is there */
    bool resigned;     /* it has said that it does nothing any more */
    int64_t lease;     /* µs: how long the leases are that it gives to nodes */
    char name[CATALOG_LEADER_MAX + 1];
    char endpoint[CATALOG_LEADER_MAX + 1];
} catalog_leader_t;

/* Needs no write, also where one failed before. */
MUST_CHECK status_t catalog_leader (catalog_t *self, catalog_leader_t *leader, error_t *error);
/* Makes the leader of `term` write that it is there: from then on somebody watches it. STALE when
 * it does not lead any more. */
MUST_CHECK status_t catalog_watch (catalog_t *self, uint64_t term, error_t *error);
/* Leads from now on, with the next term; `next` names us and our leases. STALE, and nothing is
 * changed, unless the term and the renewals are still those of `seen`. */
MUST_CHECK status_t catalog_lead (catalog_t *self, const catalog_leader_t *seen,
                                  const catalog_leader_t *next, error_t *error);
/* Writes that we are there, and how long the leases are that may be running now. FENCED when
 * another leads. */
MUST_CHECK status_t catalog_renew (catalog_t *self, int64_t lease, error_t *error);
/* Says that we do nothing any more: whoever stands by need not wait. */
MUST_CHECK status_t catalog_resign (catalog_t *self, error_t *error);

/* ---- definitions ---- */

typedef struct catalog_object {
    const char *kind; /* "stream", "view" */
    const char *name;
    uint32_t version; /* of one kind and name each is there once */
    uint64_t meaning; /* view_t.meaning or stream_t.fingerprint */
    const char *text; /* canonical YAML */
    /* Of a version of a view or service; NULL or 0: nothing is known. */
    const char *state;   /* a word of feature/version.h; "" of other objects */
    int64_t created;     /* wall clock µs */
    const char *author;  /* as the client that applied it called itself */
    const char *message; /* why */
} catalog_object_t;

/* The cluster's definitions version (0: nothing was ever applied). */
uint64_t catalog_definitions_version (const catalog_t *self);
MUST_CHECK status_t catalog_objects (catalog_t *self, arena_t *arena, catalog_object_t **objects,
                                     size_t *count, error_t *error);
/* Replaces the whole set of objects and raises the version, keeping the old texts as history with
 * time and message. STALE unless `based_on` is the current version. */
MUST_CHECK status_t catalog_apply (catalog_t *self, uint64_t based_on, int64_t time,
                                   const char *message, const catalog_object_t *objects,
                                   size_t count, uint64_t *version, error_t *error);

/* What a user has said of a version, under a label: the latest of each. */
typedef struct catalog_annotation {
    const char *kind;
    const char *name;
    uint32_t version;
    const char *label;
    const char *value;
    int64_t time; /* wall clock µs */
    const char *author;
} catalog_annotation_t;
/* An empty value takes away what was said. */
MUST_CHECK status_t catalog_annotate (catalog_t *self, const catalog_annotation_t *rows,
                                      size_t count, error_t *error);
/* All, by version and label. */
MUST_CHECK status_t catalog_annotations (catalog_t *self, arena_t *arena,
                                         catalog_annotation_t **rows, size_t *count,
                                         error_t *error);

/* ---- partitions: who owns them ---- */

typedef struct catalog_assignment {
    uint32_t partition;
    uint64_t epoch;       /* 0: never assigned */
    const char *node;     /* "" for nobody */
    uint64_t incarnation; /* the node's when it was assigned … */
    const char *endpoint; /* … and where it was reached; "" when nobody */
} catalog_assignment_t;

MUST_CHECK status_t catalog_assignments (catalog_t *self, arena_t *arena,
                                         catalog_assignment_t **rows, size_t *count,
                                         error_t *error);
/* Sets owners with new epochs, all or nothing. An epoch must be higher than the one stored. */
MUST_CHECK status_t catalog_assign (catalog_t *self, const catalog_assignment_t *rows, size_t count,
                                    error_t *error);

/* ---- recomputes and loads: what is going on ---- */

typedef struct catalog_recompute {
    uint64_t id;
    const char *log;
    const char *reason;
    const char *state;
    int64_t created;
    int64_t finished;  /* 0: not yet */
    const char *error; /* "" */
    uint64_t manifest; /* published as; 0 */
    bool full;         /* a base was asked for */
} catalog_recompute_t;

/* id 0 is given the next number, which is returned in recompute->id; otherwise replaces the row. */
MUST_CHECK status_t catalog_put_recompute (catalog_t *self, catalog_recompute_t *recompute,
                                           error_t *error);
/* Unfinished ones and the latest `finished_max` finished, by id. */
MUST_CHECK status_t catalog_recomputes (catalog_t *self, size_t finished_max, arena_t *arena,
                                        catalog_recompute_t **rows, size_t *count, error_t *error);

/* Confirmed control records: at which offset of a partition "cut-7" or "load-ab12" stands. */
typedef struct catalog_control {
    const char *log;
    uint32_t partition;
    const char *id;
    uint64_t offset;
    int64_t clock; /* µs, as in the record */
} catalog_control_t;
MUST_CHECK status_t catalog_put_controls (catalog_t *self, const catalog_control_t *rows,
                                          size_t count, error_t *error);
MUST_CHECK status_t catalog_controls (catalog_t *self, arena_t *arena, catalog_control_t **rows,
                                      size_t *count, error_t *error);
/* The cuts of a finished recompute need not be known any more. */
MUST_CHECK status_t catalog_forget_control (catalog_t *self, const char *log, const char *id,
                                            error_t *error);

typedef struct catalog_load {
    const char *id;
    const char *stream;
    const char *log;
    const char *name; /* as the user called the file */
    const char *path; /* below the data directory */
    const char *format;
    const char *ingest_time; /* column, or "" */
    bool skip;
    const char *state;
    uint64_t rows;
    uint64_t refused;
    uint64_t bytes_total;
    int64_t created;
    const char *error;   /* "" */
    const char *rejects; /* "" or a path */
    const char *runs;    /* "" or JSON: partition -> runs, as reported by the task */
} catalog_load_t;
MUST_CHECK status_t catalog_put_load (catalog_t *self, const catalog_load_t *load, error_t *error);
MUST_CHECK status_t catalog_loads (catalog_t *self, arena_t *arena, catalog_load_t **rows,
                                   size_t *count, error_t *error);

/* The erasure of an entity, whose key the catalog never holds. */
typedef struct catalog_forget {
    const char *id; /* hex, as the client chose it */
    const char *stream;
    int64_t before;      /* µs: of event times; INT64_MAX all */
    const char *message; /* "" */
    const char *state;
    int64_t created;
    int64_t finished;     /* 0: not yet */
    uint64_t rows;        /* events that were erased */
    uint64_t files;       /* that were read to see that it is gone */
    uint64_t scanned;     /* rows of these */
    const char *error;    /* "" */
    const char *datasets; /* "log dataset\n" for each log: the first dataset without it */
    const char *after;    /* "id " for each load that was under way before */
} catalog_forget_t;
/* Replaces a row of the same id. */
MUST_CHECK status_t catalog_put_forget (catalog_t *self, const catalog_forget_t *forget,
                                        error_t *error);
/* By creation. */
MUST_CHECK status_t catalog_forgets (catalog_t *self, arena_t *arena, catalog_forget_t **rows,
                                     size_t *count, error_t *error);
MUST_CHECK status_t catalog_drop_forget (catalog_t *self, const char *id, error_t *error);

/* The next number for a task or attempt; never given twice, over restarts too. */
MUST_CHECK status_t catalog_next_task (catalog_t *self, uint64_t *number, error_t *error);

/* ---- manifests: what a keyed log's batch part consists of ---- */

typedef struct catalog_run {
    const char *path;
    uint64_t size;
    uint64_t rows;
    uint64_t offset; /* of all its rows, for a load's run; UINT64_MAX none */
} catalog_run_t;

typedef struct catalog_view_file {
    const char *view;
    uint32_t version;
    uint64_t plan;
    const char *path;
    uint64_t size;
} catalog_view_file_t;

/* A base, or a delta above it: some of the part's runs, and the files of all views over just their
 * rows. */
typedef struct catalog_layer {
    uint64_t cut;      /* with those before it, it covers what is below */
    int64_t clock;     /* µs, at that cut */
    int64_t latest;    /* covered event time, of those before it too; INT64_MIN: none, or unknown */
    size_t runs_count; /* the part's next ones */
    size_t views_count;
} catalog_layer_t;

typedef struct catalog_part {
    uint32_t partition;
    uint64_t cut;
    int64_t clock;
    catalog_layer_t *layers; /* the base first */
    size_t layers_count;
    catalog_run_t *runs;
    size_t runs_count;
    uint64_t *excluded; /* offsets of unloaded loads whose rows may still be in runs */
    size_t excluded_count;
    catalog_view_file_t *views;
    size_t views_count;
} catalog_part_t;

typedef struct catalog_manifest {
    const char *log;
    uint64_t number;     /* 0: nothing published yet */
    const char *dataset; /* its dataset version id */
    const char **loads;  /* ids of the loads that it includes */
    size_t loads_count;
    catalog_part_t *parts; /* one per partition; none when number is 0 */
    size_t parts_count;
} catalog_manifest_t;

/* The current manifest of a log. */
MUST_CHECK status_t catalog_manifest (catalog_t *self, const char *log, arena_t *arena,
                                      catalog_manifest_t *manifest, error_t *error);

/* Where the partitions of each kept manifest of a log were cut, by number and partition. */
typedef struct catalog_cut {
    uint64_t manifest;
    uint32_t partition;
    uint64_t cut;
} catalog_cut_t;
MUST_CHECK status_t catalog_cuts (catalog_t *self, const char *log, arena_t *arena,
                                  catalog_cut_t **rows, size_t *count, error_t *error);

/* One transaction: STALE unless the log's current number is `manifest->number` - 1; stores it as
 * current; marks recompute `recompute` published, loads in `visible` visible and in `unloaded`
 * unloaded. */
MUST_CHECK status_t catalog_publish (catalog_t *self, const catalog_manifest_t *manifest,
                                     uint64_t recompute, const char *const *visible,
                                     size_t visible_count, const char *const *unloaded,
                                     size_t unloaded_count, int64_t time, error_t *error);
/* Paths that a manifest at or above `number` of the log refers to, for removing the others. */
MUST_CHECK status_t catalog_paths (catalog_t *self, const char *log, uint64_t number,
                                   arena_t *arena, const char ***paths, size_t *count,
                                   error_t *error);
/* Forgets the log's manifests below `number` (never the current one). */
MUST_CHECK status_t catalog_drop_manifests (catalog_t *self, const char *log, uint64_t number,
                                            error_t *error);

/* ---- looking at one without being its coordinator, copying it, restoring it ---- */

/* A catalog as it stands in a file, for reading alone: its term stays, and nothing can be changed.
 * With `live` somebody may be writing to it: it is read again while a transaction is under way
 * (BUSY when that does not end), and nothing is written. Without, what a crash left of a
 * transaction is first taken back, as its coordinator would. NOT_FOUND, CORRUPT, VERSION. */
MUST_CHECK status_t catalog_open_reading (fs_t *fs, const char *path, bool live,
                                          catalog_t **catalog, error_t *error);

/* What it says of its cluster; the name in `arena`. */
MUST_CHECK status_t catalog_identity (catalog_t *self, arena_t *arena, const char **cluster,
                                      uint32_t *partitions, error_t *error);

/* Looks at every page, row and index; CORRUPT with what is wrong first. */
MUST_CHECK status_t catalog_check (catalog_t *self, error_t *error);

/* The names of all keyed logs that it knows something of, those of deleted streams too. */
MUST_CHECK status_t catalog_logs (catalog_t *self, arena_t *arena, const char ***names,
                                  size_t *count, error_t *error);

/* Writes all that is committed to a new file, which is synced, and its name too. FENCED as for a
 * change. */
MUST_CHECK status_t catalog_copy (catalog_t *self, const char *to, error_t *error);

/* Makes a copy the beginning of a cluster's further life. Its manifests but the current ones go;
 * nobody owns a partition, and the next epoch of partition p is above epochs[p]; the term and the
 * numbers of tasks and recomputes go on well above what may have been given after the copy was
 * made. One transaction. */
MUST_CHECK status_t catalog_restored (fs_t *fs, const char *path, const uint64_t *epochs,
                                      uint32_t partitions, error_t *error);

#endif
