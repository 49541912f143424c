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
    int64_t retry_at;        /* boot µs: nothing is scheduled before, after a failure */
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
/* The new current manifest; `arena` holds it, and the log takes it. */
void log_take_manifest (coordinator_core_t *self, log_t *log, arena_t **arena,
                        const catalog_manifest_t *manifest);
uint64_t log_base (const log_t *self, uint32_t partition);
void manifests_settle (coordinator_core_t *self);
void manifests_dataset (coordinator_core_t *self, const peer_t *from, const message_t *message);

#endif
