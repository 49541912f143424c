/* logs.h - keyed logs, their current manifest and what is kept of earlier ones: manifests.c,
 * keys.c.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_LOGS_H
#define WEIR_COORDINATOR_LOGS_H

#include "base/mem.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "coordinator/core.h"
#include "feature/definition.h"
#include "wire/wire.h"

/* A manifest that may still be served from. */
typedef struct kept {
    uint64_t number;
    uint64_t *cuts; /* per partition */
} kept_t;

/* A partition that could not be built, for a reason that comes again. */
typedef struct stuck {
    char *reason;         /* with file and place; NULL: it is not stuck */
    char *path;           /* of an input that cannot be read; NULL */
    int64_t since;        /* wall clock µs */
    int64_t retry_at;     /* boot µs: until then it is left as it is … */
    uint64_t definitions; /* … under this version of them */
    unsigned failures;
} stuck_t;

/* A view that has no file of a partition's newest layers, and why. */
typedef struct left_out {
    uint32_t partition;
    char *view;
    uint32_t version;
    char *reason;
} left_out_t;

/* What comes in or goes with a recompute, when such a one has failed. */
typedef struct put_off {
    int64_t until; /* boot µs; longer than until the next recompute, which goes without */
    unsigned failures;
    char *reason; /* NULL: there is none */
} put_off_t;

typedef struct fold fold_t;

typedef struct log {
    char *name;
    char *stream;    /* the stream that it is of */
    bool primary;    /* it is that of the stream's own key */
    bool begun;      /* it is known where forwarding to it begins (keys.c) */
    uint64_t *marks; /* there, per partition of the primary */
    /* of a re-keyed one, per partition of the primary: all that was there has come */
    bool *forwarded;
    bool dropped;   /* the stream was deleted; its data stay */
    arena_t *arena; /* of the manifest */
    catalog_manifest_t manifest;
    kept_t *kept; /* ascending, the current one last */
    size_t kept_count;
    uint64_t *held;             /* bases that backups hold, per partition; NULL: none */
    uint64_t damage_asked;      /* manifest that a recompute was asked for, for it is damaged */
    unsigned damages;           /* that were asked for one soon after another */
    int64_t damage_at;          /* boot µs: none is asked for before */
    uint64_t built_definitions; /* version when the latest build began */
    int64_t started;            /* boot µs of the latest recompute's cut */
    unsigned failures;
    int64_t retry_at; /* boot µs: nothing is scheduled before, after a failure */
    uint32_t partitions;
    stuck_t *stuck;  /* per partition */
    fold_t **folds;  /* per partition, each NULL: there is none (folds.c) */
    put_off_t fold;  /* such, when one has failed */
    put_off_t join;  /* loads that come in */
    put_off_t leave; /* loads that go, and entities that are erased */
    left_out_t *left_out;
    size_t left_out_count;
    bool sweep;              /* files may be there that nobody refers to */
    bool swept_durably;      /* what sweeps removed until now is gone for good */
    uint64_t swept_manifest; /* those of only earlier ones than this were removed … */
    uint64_t swept_least;    /* … as far as tasks below this number wrote them */
} log_t;

/* A control record's place in one partition. */
typedef struct placed {
    bool known;
    uint64_t offset;
    int64_t clock;
} placed_t;

typedef struct load load_t;

/* ---- keys.c ---- */
/* Lets logs of new keys begin. */
void keys_settle (coordinator_core_t *self);
/* The log's key is the stream's no more, which has no events. Should it be again, the log begins
 * anew: what is sent until then does not go to it. */
MUST_CHECK status_t keys_forget (coordinator_core_t *self, const char *log_name, error_t *error);
/* Is there everything in it that was in the stream before it was made? */
bool log_is_filled (const coordinator_core_t *self, const log_t *log);
/* Have all logs of the stream begun? Before, no rows are loaded into it. */
bool stream_has_begun (const coordinator_core_t *self, const char *stream);
/* Are rows of the log's current dataset being written for a new key? Then it stays the current one.
 */
bool keys_need_dataset (const coordinator_core_t *self, const log_t *log);
/* Is it no file, but a stream's history for a new key? */
bool load_is_history (const load_t *self);
/* The field `history` of its task. */
void keys_write_history (coordinator_core_t *self, const load_t *load);

/* ---- manifests.c ---- */
log_t *log_named (const coordinator_core_t *self, text_t name);
/* Does its current dataset include the load? */
bool log_has_load (const log_t *self, const char *id);
/* A log for every key of every stream of `all`, read from the catalog with these objects; logs of
 * deleted streams are marked. All or nothing: when it fails, the logs are as they were. */
MUST_CHECK status_t logs_refresh (coordinator_core_t *self, const definitions_t *all,
                                  const catalog_object_t *objects, size_t objects_count,
                                  error_t *error);
void log_destroy (log_t **self_p);
/* Do all live serving nodes stand on its current manifest? */
bool log_is_served (const coordinator_core_t *self, const log_t *log);
/* The new current manifest; `arena` holds it, and the log takes it. */
void log_take_manifest (coordinator_core_t *self, log_t *log, arena_t **arena,
                        const catalog_manifest_t *manifest);
uint64_t log_base (const log_t *self, uint32_t partition);
void manifests_settle (coordinator_core_t *self);
void manifests_dataset (coordinator_core_t *self, const peer_t *from, const message_t *message);

/* ---- stuck.c ---- */
/* The partition was not built; `path` is that of an input at fault, or empty. */
void stuck_note (coordinator_core_t *self, log_t *log, uint32_t partition, const char *reason,
                 text_t path);
void stuck_clear (log_t *self, uint32_t partition);
/* Is the partition not to be tried in full yet? */
bool stuck_rests (const coordinator_core_t *self, const log_t *log, uint32_t partition);
/* Is the file in one of the partition's layers, which have to stay if it cannot be read? */
bool stuck_would (const log_t *self, uint32_t partition, text_t path);
/* How many of its layers have to stay so that the file at fault is not read; 0: it is in none, or
 * so high that nothing may go above it. */
size_t stuck_layers (const log_t *self, uint32_t partition);
/* Is it left as it is, its cut included, until it is tried again? */
bool stuck_holds (const coordinator_core_t *self, const log_t *log, uint32_t partition);
/* One of those that are stuck and are to be tried again; the number of partitions: none. */
uint32_t stuck_due (const coordinator_core_t *self, const log_t *log);
/* It failed, and is tried ever more rarely; or (NULL) it went through. */
void put_off (const coordinator_core_t *self, put_off_t *what, const char *failed);
/* Is it not to be tried yet? */
bool put_off_rests (const coordinator_core_t *self, const put_off_t *what);
/* Views that a build left out of the layer above `kept` others. */
void stuck_views (log_t *self, uint32_t partition, size_t kept, wire_list_t left_out);
/* Has the view no file of the partition's newest layers, because it cannot have one? */
bool stuck_left_out (const log_t *self, uint32_t partition, const char *view, uint32_t version);
/* The fields `stuck` and `left_out` of the log, when there is something. */
void stuck_write (coordinator_core_t *self, const log_t *log);
void stuck_release (log_t *self);

#endif
