/* client.h - the client of a weir cluster from inside: what the `weir` command and the C library
 * (client/api) are made of. One thread per client_t.
 *
 *     client_t *weir;
 *     error_t error;
 *     if (client_open ("my-project", &weir, &error) != STATUS_OK) …
 *     text_t field = text_of ("user_id");
 *     value_t key = { .type = TYPE_STRING, .s = text_of ("u1") };
 *     client_get_t get = { .view = "user_spend", .fields = &field, .fields_count = 1,
 *                        .keys = &key, .keys_count = 1 };
 *     message_t answer;
 *     if (client_get (weir, &get, &answer, &error) == STATUS_OK) …
 *     client_close (&weir);
 *
 * Nothing is sent before the first call. Replies are messages whose shape was checked
 * (docs/protocol.md, wire/wire.h); they are valid until the next call with the same client_t. */
#ifndef WEIR_CLIENT_CLIENT_H
#define WEIR_CLIENT_CLIENT_H

#include "base/status.h"
#include "base/value.h"
#include "feature/project.h"
#include "intake/intake.h"
#include "wire/wire.h"

enum {
    CLIENT_TIMEOUT_MS = 5000,       /* that a call waits for its reply, where it does not say */
    CLIENT_UNACKNOWLEDGED_MAX = 64, /* batches of one producer */
    CLIENT_PRODUCER_SIZE = 16,      /* bytes of a producer's id */
};

typedef struct client client_t;

/* By a project's directory (its weir.yaml). */
MUST_CHECK status_t client_open (const char *directory, client_t **weir, error_t *error);
/* By what was read from there; the project may be destroyed afterwards. */
client_t *client_of_project (const project_t *project);
/* By the endpoint of a coordinator alone, on this machine: the other nodes are asked of it, and if
 * it stands by, which one leads. */
MUST_CHECK status_t client_connect (const char *coordinator, client_t **weir, error_t *error);
/* The same of a cluster with security: `keys` is a directory with the nodes' public keys in
 * accepted/ (docs/security.md), `key` our secret key's file, or NULL as with client_use_key. */
MUST_CHECK status_t client_connect_secured (const char *coordinator, const char *keys,
                                            const char *key, client_t **weir, error_t *error);
/* By the endpoints of several, 16 at most, with a name for the cluster (NULL: any) and a directory
 * of keys (NULL: no security). */
MUST_CHECK status_t client_connect_any (const char *const *coordinators, size_t count,
                                        const char *cluster, const char *keys, client_t **client,
                                        error_t *error);
/* Says which secret key to use, before the first call; NULL and without it: the environment's
 * WEIR_KEY, otherwise client.secret in the directory of keys. Where the project sets no security,
 * no key is used. A key is read anew when its file changes, or the nodes' do. */
void client_use_key (client_t *self, const char *key);
/* Reads the keys now and not at the first call, where there is security. NOT_FOUND or INVALID,
 * saying what to do, when they are not as they should be. */
MUST_CHECK status_t client_check_keys (client_t *self, error_t *error);
void client_close (client_t **self_p);

/* Did the last call that failed get no reply from anybody? */
bool client_unreachable (const client_t *self);
/* Did it fail because a node of another cluster listens there? Looked at for a client_t of a
 * project, once for each node, before anything else is asked of it. */
bool client_foreign (const client_t *self);

/* ---- any request ---- */

typedef enum client_role { CLIENT_COORDINATOR, CLIENT_SERVING, CLIENT_SPEED } client_role_t;

/* Begins a request; its open body map is to be filled. Ended and sent by client_call. */
wire_writer_t *client_begin (client_t *self, message_kind_t kind);

/* Sends what was begun to a node of the role and waits for the reply. A node that is not there is
 * passed over for the next of its role; so is a coordinator that stands by. UNAVAILABLE or TIMEOUT
 * with client_unreachable() when nobody replied, otherwise the status that the node answered with.
 */
MUST_CHECK status_t client_call (client_t *self, client_role_t role, int timeout_ms,
                                 message_t *reply, error_t *error);

/* ---- the coordinator ---- */

MUST_CHECK status_t client_status (client_t *self, message_t *reply, error_t *error);

/* Asks for the versions of views and services: those that are not retired, or all of a name with
 * their texts, page by page. Each is handed to `take` in order; it is valid until that returns, and
 * `take` may not use the client_t. On failure some may have been handed over. */
MUST_CHECK status_t client_versions (client_t *self, const char *name, /* NULL: all */
                                     void (*take) (void *arg, const wire_value_t *version),
                                     void *arg, error_t *error);

typedef struct client_apply {
    const definition_file_t *files;
    size_t files_count;
    bool dry_run; /* tells the changes and makes none */
    bool prune;   /* removes what the files do not define */
    const char *message;
    const char *author; /* how whoever applies is called; NULL */
} client_apply_t;
MUST_CHECK status_t client_apply (client_t *self, const client_apply_t *apply, message_t *reply,
                                  error_t *error);

typedef struct client_load {
    const char *stream;
    const char *path; /* in the data directory, below incoming/: "incoming/..." */
    const char *id;   /* hex XXH3-128 of the content */
    const char *name; /* what the user calls it */
    const char *format;
    bool skip;               /* bad rows, instead of stopping at the first */
    bool again;              /* also if it was loaded before */
    const char *ingest_time; /* column, or NULL */
} client_load_t;
/* The reply names the load; client_loads tells how it goes. EXISTS when it was loaded before. */
MUST_CHECK status_t client_load (client_t *self, const client_load_t *load, message_t *reply,
                                 error_t *error);
/* `id` NULL is all. */
MUST_CHECK status_t client_loads (client_t *self, const char *id, message_t *reply, error_t *error);

/* The erasure of one entity. All is borrowed. */
typedef struct client_forget {
    const char *stream;
    const char *id; /* 16 digits of hex, the caller's own: the same again is the same question */
    const text_t *fields; /* of the stream's own key, and their values as texts */
    const text_t *values;
    size_t count;
    int64_t before;      /* µs: only events with times below; INT64_MAX all */
    const char *message; /* NULL: none */
} client_forget_t;
/* OK: it will be done, whatever fails; client_forgets tells how far it is. */
MUST_CHECK status_t client_forget (client_t *self, const client_forget_t *forget, message_t *reply,
                                   error_t *error);
/* `id` NULL: all. */
MUST_CHECK status_t client_forgets (client_t *self, const char *id, message_t *reply,
                                    error_t *error);

/* `stream` NULL is all streams. `full`: of all events, whatever is new (docs/coordination.md, Bases
 * and deltas). */
MUST_CHECK status_t client_recompute (client_t *self, const char *stream, bool full,
                                      message_t *reply, error_t *error);
MUST_CHECK status_t client_recomputes (client_t *self, const uint64_t *ids, size_t count,
                                       message_t *reply, error_t *error);

/* Begins a look at the answers that serving kept, or asks for one: docs/protocol.md, `skew`. */
typedef struct client_skew {
    uint64_t id;          /* 0: it begins one */
    const char *name;     /* of the view or service */
    int64_t since;        /* µs */
    const char *training; /* below the data directory; NULL: none */
} client_skew_t;
MUST_CHECK status_t client_skew (client_t *self, const client_skew_t *skew, message_t *reply,
                                 error_t *error);

/* Begins a backup (`id` 0), renews it, or ends it: docs/protocol.md, `backup`. */
MUST_CHECK status_t client_backup (client_t *self, uint64_t id, bool end, message_t *reply,
                                   error_t *error);

/* ---- queries ---- */

typedef struct client_get {
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
    uint32_t patience_ms;  /* to go on for when nobody can answer; 0: that is told at once */
    bool refuse_incomplete;
    const char *part; /* "batch" or "realtime": that layer alone; NULL: the answer */
} client_get_t;

/* Results are in the order of the keys. */
MUST_CHECK status_t client_get (client_t *self, const client_get_t *get, message_t *reply,
                                error_t *error);

/* The body of a `get`, into one that was begun. */
void client_put_get (wire_writer_t *writer, const client_get_t *get);
/* CORRUPT unless the lengths in a reply's body go together and it has so many results: what the
 * getters below take for granted, and a shape cannot say. */
MUST_CHECK status_t client_check_results (const wire_value_t *body, size_t keys, error_t *error);

/* A value of a reply by the type that the reply names: as client_result_value. */
value_t client_value_of (const wire_value_t *given, text_t type, arena_t *arena);
/* The value of one feature of one result of a reply to `get`: strings are borrowed from the reply,
 * lists and maps made in `arena`. What does not have the type that the reply names is null. */
value_t client_result_value (const wire_value_t *body, uint32_t result, uint32_t feature,
                             arena_t *arena);

/* Is it a map that lacks keys, or one of such maps? */
bool client_value_capped (const value_t *value);

/* In `latest` of a result: no event is known of a role's entity. */
#define CLIENT_NEVER INT64_MIN

/* Appends one result as a line of JSON without its end: key, features, as_of, complete, positions,
 * dataset, versions, and capped, errors and incomplete where there are any. */
void client_result_json (const wire_value_t *body, uint32_t result, buf_t *out);

/* Appends a value as JSON: floats as the shortest text that reads back to the same bits, with
 * ".0"; those that are not finite as strings; decimals as strings of all their digits; timestamps
 * as RFC 3339 strings. */
void client_value_json (const value_t *value, buf_t *out);
/* Appends any decoded value as JSON; bytes become hex. */
void client_any_json (const wire_value_t *value, buf_t *out);

/* ---- sending events ---- */

/* What came of a batch. Everything is borrowed until the callback returns. */
typedef struct client_acknowledged {
    uint64_t sequence;
    uint64_t tag; /* as given to client_sender_send */
    uint32_t rows;
    uint64_t accepted; /* less with the next than `rows`: it was acknowledged before, and what */
    uint64_t refused_count; /* came of it is not remembered any more */
    wire_list_t refused;    /* maps of `row` (in the batch) and `reason`: the first of them */
    const wire_value_t *positions; /* a map of `log/partition`: one past its last row there */
} client_acknowledged_t;

typedef struct client_sender_options {
    const char *stream;
    uint8_t producer[CLIENT_PRODUCER_SIZE];
    uint64_t first_sequence; /* 1 for a new producer; all below were acknowledged */
    bool resumed;            /* the producer was used before, and more may have been acknowledged:
                                such a batch is acknowledged again, and counts once */
    uint32_t unacknowledged; /* batches on their way, 1 to CLIENT_UNACKNOWLEDGED_MAX; 0: 16 */
    uint32_t patience_ms;    /* without any acknowledgement before giving up; 0: a minute. Ten times
                                as long while workers answer that they have no room */
    uint32_t answer_ms;      /* before a batch is sent again; 0: 6 s */
    void (*acknowledged) (void *arg, const client_acknowledged_t *what); /* or NULL */
    /* A worker had no room for a batch, which is sent again after `wait_ms`; or NULL. */
    void (*waits) (void *arg, uint32_t wait_ms, const char *reason);
    bool (*stopped) (void *arg); /* or NULL; true ends every wait with CANCELLED */
    void *arg;
} client_sender_options_t;

/* Sends batches of one producer, several under way at once. A batch that is lost, or answered with
 * a status that says to try again, is sent again under the same sequence, to the next speed worker,
 * ever more slowly, and not before the time that a worker without room asked for (a little more, so
 * that senders do not come back together): it counts once however often it arrives. None is sent
 * `unacknowledged` or more past one that is not acknowledged. Owns no rows: they are encoded when
 * given. The client_t outlives it. */
typedef struct client_sender client_sender_t;

/* A new producer's id: now and random bytes. */
void client_producer_new (uint8_t producer[CLIENT_PRODUCER_SIZE]);

/* Waits for a speed worker to be found. UNAVAILABLE when none can be reached. */
MUST_CHECK status_t client_sender_new (client_t *weir, const client_sender_options_t *options,
                                       client_sender_t **sender, error_t *error);
/* The same without waiting, or looking for one. */
client_sender_t *client_sender_begin (client_t *client, const client_sender_options_t *options);
void client_sender_destroy (client_sender_t **self_p);

/* Can a batch be taken without waiting? */
bool client_sender_has_room (const client_sender_t *self);
uint32_t client_sender_under_way (const client_sender_t *self); /* batches */
/* What ended it, or OK. */
MUST_CHECK status_t client_sender_state (const client_sender_t *self, error_t *error);

/* Sends one batch under the next sequence, waiting while too many are unacknowledged. An error is
 * the end of this sender: that of a batch that was refused as a whole, or UNAVAILABLE when patience
 * ran out, and then what is unacknowledged may or may not have been taken. */
MUST_CHECK status_t client_sender_send (client_sender_t *self, const raw_table_t *rows,
                                        uint64_t tag, error_t *error);
/* Takes the acknowledgements that came, waiting at most `wait_ms` for one. Everything else that is
 * under way on the client gets on, too. */
MUST_CHECK status_t client_sender_pump (client_sender_t *self, int wait_ms, error_t *error);
/* Waits until every batch is acknowledged. */
MUST_CHECK status_t client_sender_flush (client_sender_t *self, error_t *error);

#endif
