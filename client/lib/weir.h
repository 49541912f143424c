/* weir.h - the C client of a weir cluster: synchronous, one thread per weir_t.
 *
 *     weir_t *weir;
 *     error_t error;
 *     if (weir_open ("my-project", &weir, &error) != STATUS_OK) …
 *     text_t field = text_of ("user_id");
 *     value_t key = { .type = TYPE_STRING, .s = text_of ("u1") };
 *     weir_get_t get = { .view = "user_spend", .fields = &field, .fields_count = 1,
 *                        .keys = &key, .keys_count = 1 };
 *     message_t answer;
 *     if (weir_get (weir, &get, &answer, &error) == STATUS_OK) …
 *     weir_close (&weir);
 *
 * Nothing is sent before the first call. Replies are messages whose shape was checked
 * (docs/protocol.md, wire/wire.h); they are valid until the next call with the same weir_t. */
#ifndef WEIR_CLIENT_WEIR_H
#define WEIR_CLIENT_WEIR_H

#include "base/status.h"
#include "base/value.h"
#include "feature/project.h"
#include "intake/intake.h"
#include "wire/wire.h"

enum {
    WEIR_TIMEOUT_MS = 5000,       /* that a call waits for its reply, where it does not say */
    WEIR_UNACKNOWLEDGED_MAX = 64, /* batches of one producer */
    WEIR_PRODUCER_SIZE = 16,      /* bytes of a producer's id */
};

typedef struct weir weir_t;

/* By a project's directory (its weir.yaml). */
MUST_CHECK status_t weir_open (const char *directory, weir_t **weir, error_t *error);
/* By what was read from there; the project may be destroyed afterwards. */
weir_t *weir_of_project (const project_t *project);
/* By the endpoint of a coordinator alone, on this machine: the other nodes are asked of it, and if
 * it stands by, which one leads. */
MUST_CHECK status_t weir_connect (const char *coordinator, weir_t **weir, error_t *error);
/* The same of a cluster with security: `keys` is a directory with the nodes' public keys in
 * accepted/ (docs/security.md), `key` our secret key's file, or NULL as with weir_use_key. */
MUST_CHECK status_t weir_connect_secured (const char *coordinator, const char *keys,
                                          const char *key, weir_t **weir, error_t *error);
/* Says which secret key to use, before the first call; NULL and without it: the environment's
 * WEIR_KEY, otherwise client.secret in the directory of keys. Where the project sets no security,
 * no key is used. A key is read anew when its file changes, or the nodes' do. */
void weir_use_key (weir_t *self, const char *key);
/* Reads the keys now and not at the first call, where there is security. NOT_FOUND or INVALID,
 * saying what to do, when they are not as they should be. */
MUST_CHECK status_t weir_check_keys (weir_t *self, error_t *error);
void weir_close (weir_t **self_p);

/* Did the last call that failed get no reply from anybody? */
bool weir_unreachable (const weir_t *self);
/* Did it fail because a node of another cluster listens there? Looked at for a weir_t of a project,
 * once for each node, before anything else is asked of it. */
bool weir_foreign (const weir_t *self);

/* ---- any request ---- */

typedef enum weir_role { WEIR_COORDINATOR, WEIR_SERVING, WEIR_SPEED } weir_role_t;

/* Begins a request; its open body map is to be filled. Ended and sent by weir_call. */
wire_writer_t *weir_begin (weir_t *self, message_kind_t kind);

/* Sends what was begun to a node of the role and waits for the reply. A node that is not there is
 * passed over for the next of its role; so is a coordinator that stands by. UNAVAILABLE or TIMEOUT
 * with weir_unreachable() when nobody replied, otherwise the status that the node answered with. */
MUST_CHECK status_t weir_call (weir_t *self, weir_role_t role, int timeout_ms, message_t *reply,
                               error_t *error);

/* ---- the coordinator ---- */

MUST_CHECK status_t weir_status (weir_t *self, message_t *reply, error_t *error);

typedef struct weir_apply {
    const definition_file_t *files;
    size_t files_count;
    bool dry_run; /* tells the changes and makes none */
    bool prune;   /* removes what the files do not define */
    const char *message;
} weir_apply_t;
MUST_CHECK status_t weir_apply (weir_t *self, const weir_apply_t *apply, message_t *reply,
                                error_t *error);

typedef struct weir_load {
    const char *stream;
    const char *path; /* in the data directory, below incoming/: "incoming/..." */
    const char *id;   /* hex XXH3-128 of the content */
    const char *name; /* what the user calls it */
    const char *format;
    bool skip;               /* bad rows, instead of stopping at the first */
    bool again;              /* also if it was loaded before */
    const char *ingest_time; /* column, or NULL */
} weir_load_t;
/* The reply names the load; weir_loads tells how it goes. EXISTS when it was loaded before. */
MUST_CHECK status_t weir_load (weir_t *self, const weir_load_t *load, message_t *reply,
                               error_t *error);
/* `id` NULL is all. */
MUST_CHECK status_t weir_loads (weir_t *self, const char *id, message_t *reply, error_t *error);

/* The erasure of one entity. All is borrowed. */
typedef struct weir_forget {
    const char *stream;
    const char *id; /* 16 digits of hex, the caller's own: the same again is the same question */
    const text_t *fields; /* of the stream's own key, and their values as texts */
    const text_t *values;
    size_t count;
    int64_t before;      /* µs: only events with times below; INT64_MAX all */
    const char *message; /* NULL: none */
} weir_forget_t;
/* OK: it will be done, whatever fails; weir_forgets tells how far it is. */
MUST_CHECK status_t weir_forget (weir_t *self, const weir_forget_t *forget, message_t *reply,
                                 error_t *error);
/* `id` NULL: all. */
MUST_CHECK status_t weir_forgets (weir_t *self, const char *id, message_t *reply, error_t *error);

/* `stream` NULL is all streams. `full`: of all events, whatever is new (docs/coordination.md, Bases
 * and deltas). */
MUST_CHECK status_t weir_recompute (weir_t *self, const char *stream, bool full, message_t *reply,
                                    error_t *error);
MUST_CHECK status_t weir_recomputes (weir_t *self, const uint64_t *ids, size_t count,
                                     message_t *reply, error_t *error);

/* Begins a backup (`id` 0), renews it, or ends it: docs/protocol.md, `backup`. */
MUST_CHECK status_t weir_backup (weir_t *self, uint64_t id, bool end, message_t *reply,
                                 error_t *error);

/* ---- queries ---- */

typedef struct weir_get {
    const char *view;     /* "user_spend" or "user_spend@v2" */
    const text_t *fields; /* of the key */
    size_t fields_count;
    const value_t *keys;          /* row by row; a string is also taken for another type's text */
    size_t keys_count;            /* rows, at most WIRE_KEYS_MAX */
    const text_t *request_fields; /* values that the view's requests bring along */
    size_t request_fields_count;
    const value_t *request; /* row by row, as keys are; null is not given */
    const text_t *features;
    size_t features_count; /* 0: all */
    const char *as_of;     /* as on the command line; NULL: now */
    const int64_t *as_ofs; /* µs, one per key, instead of as_of; or NULL */
    bool before;           /* each as-of 1 µs earlier */
    uint32_t deadline_ms;  /* 0: the serving node's */
    bool refuse_incomplete;
    const char *part; /* "batch" or "realtime": that layer alone; NULL: the answer */
} weir_get_t;

/* Results are in the order of the keys. */
MUST_CHECK status_t weir_get (weir_t *self, const weir_get_t *get, message_t *reply,
                              error_t *error);

/* The value of one feature of one result of a reply to `get`: strings are borrowed from the reply,
 * lists and maps made in `arena`. What does not have the type that the reply names is null. */
value_t weir_result_value (const wire_value_t *body, uint32_t result, uint32_t feature,
                           arena_t *arena);

/* Is it a map that lacks keys, or one of such maps? */
bool weir_value_capped (const value_t *value);

/* Appends one result as a line of JSON without its end: key, features, as_of, complete, positions,
 * dataset, versions, and capped, errors and incomplete where there are any. */
void weir_result_json (const wire_value_t *body, uint32_t result, buf_t *out);

/* Appends a value as JSON: floats as the shortest text that reads back to the same bits, with
 * ".0"; those that are not finite as strings; decimals as strings of all their digits; timestamps
 * as RFC 3339 strings. */
void weir_value_json (const value_t *value, buf_t *out);
/* Appends any decoded value as JSON; bytes become hex. */
void weir_any_json (const wire_value_t *value, buf_t *out);

/* ---- sending events ---- */

/* What came of a batch. Everything is borrowed until the callback returns. */
typedef struct weir_acknowledged {
    uint64_t sequence;
    uint64_t tag; /* as given to weir_sender_send */
    uint32_t rows;
    uint64_t accepted; /* less with the next than `rows`: it was acknowledged before, and what */
    uint64_t refused_count; /* came of it is not remembered any more */
    wire_list_t refused;    /* maps of `row` (in the batch) and `reason`: the first of them */
} weir_acknowledged_t;

typedef struct weir_sender_options {
    const char *stream;
    uint8_t producer[WEIR_PRODUCER_SIZE];
    uint64_t first_sequence; /* 1 for a new producer; all below were acknowledged */
    bool resumed;            /* the producer was used before, and more may have been acknowledged:
                                such a batch is acknowledged again, and counts once */
    uint32_t unacknowledged; /* batches on their way, 1 to WEIR_UNACKNOWLEDGED_MAX; 0: 16 */
    uint32_t patience_ms;    /* without any acknowledgement before giving up; 0: a minute. Ten times
                                as long while workers answer that they have no room */
    uint32_t answer_ms;      /* before a batch is sent again; 0: 6 s */
    void (*acknowledged) (void *arg, const weir_acknowledged_t *what); /* or NULL */
    /* A worker had no room for a batch, which is sent again after `wait_ms`; or NULL. */
    void (*waits) (void *arg, uint32_t wait_ms, const char *reason);
    bool (*stopped) (void *arg); /* or NULL; true ends every wait with CANCELLED */
    void *arg;
} weir_sender_options_t;

/* Sends batches of one producer, several under way at once. A batch that is lost, or answered with
 * a status that says to try again, is sent again under the same sequence, to the next speed worker,
 * ever more slowly, and not before the time that a worker without room asked for (a little more, so
 * that senders do not come back together): it counts once however often it arrives. None is sent
 * `unacknowledged` or more past one that is not acknowledged. Owns no rows: they are encoded when
 * given. The weir_t outlives it. */
typedef struct weir_sender weir_sender_t;

/* A new producer's id: now and random bytes. */
void weir_producer_new (uint8_t producer[WEIR_PRODUCER_SIZE]);

/* UNAVAILABLE when no speed worker can be reached. */
MUST_CHECK status_t weir_sender_new (weir_t *weir, const weir_sender_options_t *options,
                                     weir_sender_t **sender, error_t *error);
void weir_sender_destroy (weir_sender_t **self_p);

/* Sends one batch under the next sequence, waiting while too many are unacknowledged. An error is
 * the end of this sender: that of a batch that was refused as a whole, or UNAVAILABLE when patience
 * ran out, and then what is unacknowledged may or may not have been taken. */
MUST_CHECK status_t weir_sender_send (weir_sender_t *self, const raw_table_t *rows, uint64_t tag,
                                      error_t *error);
/* Takes the acknowledgements that came, waiting at most `wait_ms` for one. */
MUST_CHECK status_t weir_sender_pump (weir_sender_t *self, int wait_ms, error_t *error);
/* Waits until every batch is acknowledged. */
MUST_CHECK status_t weir_sender_flush (weir_sender_t *self, error_t *error);

#endif
