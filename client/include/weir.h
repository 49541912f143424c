/* weir.h - the C client of a weir cluster: queries and events, waiting for them or not.
 *
 *     weir_options_t options;
 *     weir_t *weir;
 *     weir_error_t error;
 *     weir_options_init (&options);
 *     options.project = "my-project";
 *     if (weir_open (&options, &weir, &error) != WEIR_OK) …
 *
 *     const char *field = "user_id";
 *     weir_value_t key = weir_string ("u1");
 *     weir_answer_t *answer;
 *     weir_get_t get;
 *     weir_get_init (&get);
 *     get.view = "user_spend";
 *     get.key_fields = &field, get.key_fields_count = 1;
 *     get.keys = &key, get.keys_count = 1;
 *     if (weir_get (weir, &get, &answer, &error) != WEIR_OK) …
 *     const weir_value_t *spend = weir_answer_value (answer, 0, 0);
 *     weir_answer_destroy (&answer);
 *     weir_close (&weir);
 *
 * The contract of all of it:
 *
 * - Handles. What ends in _open or comes out through a pointer to a pointer is the caller's, until
 *   the function ending in _close or _destroy, which takes a pointer to the handle, makes it NULL,
 *   and does nothing to one that is NULL. What a function returns as const, or says is borrowed, is
 *   not the caller's.
 * - Arguments are borrowed until the call returns. Strings are UTF-8.
 * - Errors. What can fail returns a weir_status_t and fills the weir_error_t, unless that is NULL.
 *   Arguments that make no sense are WEIR_INVALID. Nothing that arrives from the network ends or
 *   harms the process; running out of memory does end it.
 * - Threads. A handle, with its senders, is used by one thread at a time; two handles by two
 *   threads, without a lock. There is no state outside handles. After a fork only the parent goes
 *   on using a handle.
 * - Waiting. Only functions with a timeout, and weir_get, wait for the network. Timeouts are in
 *   milliseconds: 0 does not wait, a negative one waits for as long as it takes. What does not wait
 *   for the network still may wait for the resolver, once for each name of a host: use addresses
 *   where that matters.
 * - Structures that the caller fills begin with their size, set by a function ending in _init that
 *   also clears the rest: later versions of the library take those of earlier ones. Others are
 *   only ever read through pointers that the library gives, and may grow at their end. Numbers of
 *   enumerations never change; ones that a program does not know may be added.
 *
 * docs/client.md is the guide: how retries, windows, positions and event loops work. */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API __attribute__ ((visibility ("default")))
#else
#define WEIR_API
#endif

/* The version of the library that runs: "0.1.0". Borrowed for ever. */
WEIR_API const char *weir_version (void);

/* ---- errors ---- */

typedef enum weir_status {
    WEIR_OK = 0,
    WEIR_INVALID = 1,       /* arguments, or a request that breaks a rule; again will not help */
    WEIR_NOT_FOUND = 2,     /* no such view, stream, feature, project or key file */
    WEIR_EXISTS = 3,        /* it is there already */
    WEIR_CORRUPT = 4,       /* what came is no answer to what was asked */
    WEIR_OTHER_VERSION = 5, /* the other side speaks another version of the protocol */
    WEIR_TOO_LARGE = 6,     /* over a limit of one message */
    WEIR_RANGE = 7,         /* a number outside what its type can hold */
    WEIR_IO = 8,            /* the disk or the network of this machine failed */
    WEIR_NO_SPACE = 9,      /* a node's disk is full: ask again later */
    WEIR_BUSY = 10,         /* the window is full, or a node has no room: ask again later */
    WEIR_STALE = 11,        /* ask again */
    WEIR_FENCED = 12,       /* ask again */
    WEIR_TIMEOUT = 13,      /* nobody answered in time; it may have been done all the same */
    WEIR_UNAVAILABLE = 14,  /* nobody is there who can answer */
    WEIR_CANCELLED = 15,    /* the handle was closed */
    WEIR_UNSUPPORTED = 16,  /* not done by the version that answered */
    WEIR_DENIED = 17        /* the key is not accepted, or may not do that */
} weir_status_t;

/* A status as the one word that weir's programs print: "not-found". Borrowed for ever; "unknown"
 * for a number that is none. */
WEIR_API const char *weir_status_word (weir_status_t status);

typedef struct weir_error {
    int32_t status;    /* a weir_status_t */
    uint32_t retry_ms; /* of WEIR_BUSY and WEIR_NO_SPACE: not sooner than this; 0: not known */
    char text[1024];   /* a sentence for people, ending in a NUL */
} weir_error_t;

/* ---- values ---- */

typedef enum weir_type {
    WEIR_NULL = 0,
    WEIR_BOOL = 1,      /* i: 0 or 1 */
    WEIR_INT64 = 2,     /* i */
    WEIR_FLOAT64 = 3,   /* f */
    WEIR_STRING = 4,    /* text, of `size` bytes */
    WEIR_TIMESTAMP = 5, /* i: µs since 1970-01-01 UTC */
    WEIR_DECIMAL = 7,   /* text: digits, as in "-12.50"; exact */
    WEIR_LIST = 8,      /* items: `size` values; in answers only */
    WEIR_MAP = 9        /* map; in answers only */
} weir_type_t;

typedef struct weir_value weir_value_t;
typedef struct weir_map weir_map_t;

/* One value. In answers, text ends in a NUL that `size` does not count, and all that it points to
 * lives as long as the answer. In arguments it is borrowed. */
struct weir_value {
    int32_t type;  /* a weir_type_t */
    uint32_t size; /* bytes of text, or values of a list */
    union {
        int64_t i;
        double f;
        const char *text;
        const weir_value_t *items;
        const weir_map_t *map;
    } as;
};

/* Keys ascend, each once. */
struct weir_map {
    uint64_t count;
    const weir_value_t *keys;
    const weir_value_t *values;
    uint64_t total; /* rows of all keys, also of those that are not kept */
    uint8_t capped; /* 1: there were more keys than are kept */
};

static inline weir_value_t weir_null (void)
{
    weir_value_t value;
    memset (&value, 0, sizeof value);
    return value;
}

static inline weir_value_t weir_number (weir_type_t type, int64_t i)
{
    weir_value_t value = weir_null ();
    value.type = type;
    value.as.i = i;
    return value;
}

static inline weir_value_t weir_bool (bool b)
{
    return weir_number (WEIR_BOOL, b);
}

static inline weir_value_t weir_int (int64_t i)
{
    return weir_number (WEIR_INT64, i);
}

static inline weir_value_t weir_timestamp (int64_t us)
{
    return weir_number (WEIR_TIMESTAMP, us);
}

static inline weir_value_t weir_float (double f)
{
    weir_value_t value = weir_null ();
    value.type = WEIR_FLOAT64;
    value.as.f = f;
    return value;
}

/* Borrows `bytes`. More than 4 GiB becomes null, and then whoever takes it says what is wrong. */
static inline weir_value_t weir_text (weir_type_t type, const char *bytes, size_t size)
{
    weir_value_t value = weir_null ();
    if (!bytes || size > UINT32_MAX)
        return value;
    value.type = type;
    value.size = (uint32_t)size;
    value.as.text = bytes;
    return value;
}

/* A string that ends in a NUL; NULL is null. A field of another type than string takes its text,
 * as in "2026-01-02T03:04:05Z" or "12.50". */
static inline weir_value_t weir_string (const char *text)
{
    return weir_text (WEIR_STRING, text, text ? strlen (text) : 0);
}

/* The digits of a decimal, as in "12.50". */
static inline weir_value_t weir_decimal (const char *digits)
{
    return weir_text (WEIR_DECIMAL, digits, digits ? strlen (digits) : 0);
}

/* A place in the log of one partition: of an answer, every event below it is in the answer; of an
 * acknowledgement, every row of the batch that fell to the partition is below it. So an answer
 * whose positions are not lower than those of an acknowledgement has its rows. */
typedef struct weir_position {
    const char *log; /* "payments/user_id": the stream and its key */
    uint64_t position;
    uint32_t partition;
} weir_position_t;

/* ---- a cluster ---- */

typedef struct weir weir_t;

typedef struct weir_options {
    size_t size;
    const char *project;             /* the directory of a weir.yaml; or NULL, and instead … */
    const char *const *coordinators; /* … their endpoints, "tcp://host:port" or "ipc://path" */
    size_t coordinators_count;
    const char *cluster; /* its name: nodes of others are refused; NULL: that of the project, any */
    const char *keys;    /* directory of keys (docs/security.md); NULL: that of the project, none */
    const char *key;     /* our secret key's file; NULL: client.secret in there. (The environment is
                            not looked at.) */
    uint32_t gets_max;   /* gets at a time, 1 to 1024; 0: 64 */
} weir_options_t;

static inline void weir_options_init (weir_options_t *options)
{
    memset (options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* Reads the project and the keys. Nothing is sent: the cluster need not be up. Other nodes than
 * those that the project names are asked of the coordinators when they are needed. */
WEIR_API weir_status_t weir_open (const weir_options_t *options, weir_t **weir,
                                  weir_error_t *error);

/* Gives up what is under way and closes the connections; does not wait. Senders go with it: rows
 * that are not acknowledged may or may not be in, and gets are not answered. Answers and events
 * that the caller holds stay. */
WEIR_API void weir_close (weir_t **weir_p);

/* ---- queries ---- */

enum {
    WEIR_GET_BEFORE = 1,            /* leave out events at exactly the as-of */
    WEIR_GET_REFUSE_INCOMPLETE = 2, /* an error instead of an answer that is not complete */
    WEIR_KEYS_MAX = 4096            /* in one get */
};

typedef struct weir_get {
    size_t size;
    const char *view; /* "user_spend", or "user_spend@v2"; or a service */
    const char *const *key_fields;
    size_t key_fields_count;
    const weir_value_t *keys; /* row by row: keys_count × key_fields_count */
    size_t keys_count;        /* 1 to WEIR_KEYS_MAX */
    const char *const *features;
    size_t features_count;             /* 0: all of the view or service */
    const char *const *request_fields; /* values that it takes with the question; those of a service
                                          may stand among the key's fields instead */
    size_t request_fields_count;
    const weir_value_t *request; /* row by row, as keys; null is not given */
    const char *as_of;           /* "2026-01-02T03:04:05Z", "-1h", …; NULL: now */
    const int64_t *as_ofs;       /* µs, one for each key, instead of as_of; or NULL */
    uint32_t deadline_ms;        /* for the serving node: then it answers with what it has, and says
                                    what is missing; 0: its own. Waited for 1 s longer */
    uint32_t patience_ms;        /* to go on for when nobody can answer; 0: that is told at once */
    uint32_t flags;              /* WEIR_GET_… */
} weir_get_t;

static inline void weir_get_init (weir_get_t *get)
{
    memset (get, 0, sizeof *get);
    get->size = sizeof *get;
}

typedef struct weir_answer weir_answer_t;

/* Asks, and waits for the answer. A serving node that is gone or does not answer is passed over for
 * another. Other gets and senders of the handle get on meanwhile; what came of them is for the next
 * weir_poll. */
WEIR_API weir_status_t weir_get (weir_t *weir, const weir_get_t *get, weir_answer_t **answer,
                                 weir_error_t *error);

/* Asks, and does not wait: the answer comes as an event that has `tag`. WEIR_BUSY when gets_max are
 * under way or were answered and not collected with weir_poll. */
WEIR_API weir_status_t weir_get_submit (weir_t *weir, const weir_get_t *get, uint64_t tag,
                                        weir_error_t *error);

WEIR_API void weir_answer_destroy (weir_answer_t **answer_p);

/* What follows is borrowed from the answer. Keys are in the order asked, numbered from 0; features
 * as asked, or as the view has them. A number past the end gives NULL, 0 or false. */
WEIR_API size_t weir_answer_keys (const weir_answer_t *answer);
WEIR_API size_t weir_answer_features (const weir_answer_t *answer);
WEIR_API const char *weir_answer_view (const weir_answer_t *answer);    /* "user_spend" */
WEIR_API const char *weir_answer_version (const weir_answer_t *answer); /* "v1" */
/* Of a view that the answer is made of, or of the service that was asked: "v1". NULL for others. */
WEIR_API const char *weir_answer_version_of (const weir_answer_t *answer, const char *name);
WEIR_API const char *weir_answer_feature (const weir_answer_t *answer, size_t feature);
/* "float64", "decimal(38,2)", "list<int64>", "map<string,float64>" */
WEIR_API const char *weir_answer_type (const weir_answer_t *answer, size_t feature);

WEIR_API const weir_value_t *weir_answer_value (const weir_answer_t *answer, size_t key,
                                                size_t feature);
/* Why the feature could not be computed, its value then being null; NULL where nothing is wrong. */
WEIR_API const char *weir_answer_error (const weir_answer_t *answer, size_t key, size_t feature);

WEIR_API int64_t weir_answer_as_of (const weir_answer_t *answer, size_t key); /* µs */
/* Is the feature's entity known? Of one that is made of several entities (roles of a service): is
 * any of them? One that is made of the request alone is always SEEN. An answer that is not complete
 * may know of none; a `default` stands for null wherever there is one. */
typedef enum weir_presence {
    WEIR_SEEN,       /* it has an event at or before as-of, whether or not the feature counts it */
    WEIR_NEVER_SEEN, /* it has none: what is counted is 0 (null with a `ttl`), the rest null */
    WEIR_EXPIRED,    /* its latest one is older than the view's `ttl`: aggregates are null */
} weir_presence_t;
WEIR_API weir_presence_t weir_answer_presence (const weir_answer_t *answer, size_t key,
                                               size_t feature);
/* When the entity's latest event at or before as-of was (µs), or the latest of those of several.
 * False: NEVER_SEEN, or the feature is made of the request alone. */
WEIR_API bool weir_answer_event_time (const weir_answer_t *answer, size_t key, size_t feature,
                                      int64_t *time);
/* The entities of an answer: "sender", "receiver" of a service, the view's name of a view. With
 * weir_answer_role_time, when the latest event of the key in that role was. */
WEIR_API size_t weir_answer_roles (const weir_answer_t *answer);
WEIR_API const char *weir_answer_role (const weir_answer_t *answer, size_t role);
WEIR_API bool weir_answer_role_time (const weir_answer_t *answer, size_t key, size_t role,
                                     int64_t *time);
/* Is every event in it that it ought to have? */
WEIR_API bool weir_answer_complete (const weir_answer_t *answer, size_t key);
/* What is missing, the i-th: "payments/user_id/3: its owner is being replaced". NULL past the
 * last. */
WEIR_API const char *weir_answer_missing (const weir_answer_t *answer, size_t key, size_t i);
/* The dataset that its batch part stands on; with several streams, those of all: "d12,d7". */
WEIR_API const char *weir_answer_dataset (const weir_answer_t *answer, size_t key);
WEIR_API size_t weir_answer_positions (const weir_answer_t *answer, size_t key);
WEIR_API const weir_position_t *weir_answer_position (const weir_answer_t *answer, size_t key,
                                                      size_t i);

/* ---- events in ---- */

enum {
    WEIR_SEND_ACKS = 1,    /* each acknowledgement comes as an event */
    WEIR_SEND_RESUMED = 2, /* the producer was used before, by a program that ended */
    WEIR_WINDOW_MAX = 64,  /* batches under way */
    WEIR_BATCH_ROWS_MAX = 65536,
    WEIR_PRODUCER_SIZE = 16,
    WEIR_REFUSED_LISTED = 100 /* refused rows that are told one by one */
};

typedef struct weir_sender weir_sender_t;

typedef struct weir_sender_options {
    size_t size;
    const char *stream;
    const char *const *columns; /* fields of the stream; others of its fields are null */
    size_t columns_count;
    uint32_t batch_rows;  /* that make a batch; 0: 500 */
    uint32_t linger_ms;   /* then a batch goes with the rows that it has; 0: 5 */
    uint32_t window;      /* batches under way at a time, 1 to WEIR_WINDOW_MAX; 0: 16. With 1 they
                             get in one after the other, in the order given */
    uint32_t patience_ms; /* without any acknowledgement until the sender gives up; 0: a minute.
                             Ten times as long while nodes say that they have no room */
    uint32_t flags;       /* WEIR_SEND_… */
    uint64_t tag;         /* of its events */
    uint64_t first_sequence; /* 0: 1; of a producer that goes on: docs/client.md, Exactly once */
    const uint8_t *producer; /* WEIR_PRODUCER_SIZE bytes; NULL: a new one */
} weir_sender_options_t;

static inline void weir_sender_options_init (weir_sender_options_t *options)
{
    memset (options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* A new producer's id, for those who keep it. */
WEIR_API weir_status_t weir_producer_new (uint8_t producer[WEIR_PRODUCER_SIZE],
                                          weir_error_t *error);

/* Sends rows of one stream, in batches, several under way at a time. A batch that gets lost, or
 * finds no room, is sent again, to another node, ever more slowly: it counts once however often it
 * arrives. Does not wait. The sender belongs to the handle as well: weir_close closes it. */
WEIR_API weir_status_t weir_sender_open (weir_t *weir, const weir_sender_options_t *options,
                                         weir_sender_t **sender, weir_error_t *error);
/* Gives up what is not acknowledged, rows of a batch that has not gone included: flush first. */
WEIR_API void weir_sender_close (weir_sender_t **sender_p);

/* Adds a row: a value for each column, copied. It goes with its batch: when that has batch_rows or
 * enough bytes, after linger_ms (at the next call that waits or polls), or by weir_sender_push.
 * Rows are numbered from 0 in the order put. Waits up to `timeout_ms` while the window is full;
 * WEIR_BUSY when it stays so, and the row is not taken. With WEIR_SEND_ACKS the window also counts
 * what is acknowledged and not collected with weir_poll, and a wait for that ends at once.
 * WEIR_INVALID for a row that cannot be sent, which harms nothing; any other error is the sender's
 * end (see weir_sender_flush). */
WEIR_API weir_status_t weir_sender_put (weir_sender_t *sender, const weir_value_t *row,
                                        int timeout_ms, weir_error_t *error);

/* Sends the rows put so far without waiting for more: the end of a batch. WEIR_BUSY when the window
 * is full: they go when there is room. */
WEIR_API weir_status_t weir_sender_push (weir_sender_t *sender, weir_error_t *error);

/* Pushes, and waits until everything is acknowledged: durable, and visible to queries. WEIR_TIMEOUT
 * when that takes longer than `timeout_ms`, and WEIR_BUSY when acknowledgements have to be
 * collected with weir_poll before the last rows can go: then it may be asked again. Other errors
 * are the sender's end: a batch was refused as a whole (no such stream, a key that may not send),
 * or nothing was acknowledged for patience_ms (WEIR_UNAVAILABLE); of rows that were not
 * acknowledged nothing is known, and all that is left is to close it. With WEIR_SEND_ACKS the
 * acknowledgements are events then. */
WEIR_API weir_status_t weir_sender_flush (weir_sender_t *sender, int timeout_ms,
                                          weir_error_t *error);

typedef struct weir_refused {
    const char *reason;
    uint64_t row; /* as numbered by the sender */
} weir_refused_t;

/* What has come of all rows of a sender. */
typedef struct weir_report {
    uint64_t rows;         /* put */
    uint64_t acknowledged; /* of these: in batches that were */
    uint64_t accepted;     /* of these; with `refused` less than acknowledged only where a producer
                              goes on: what came of the others is not remembered any more */
    uint64_t refused;
    const weir_refused_t *refused_rows; /* those told first, at most WEIR_REFUSED_LISTED */
    uint64_t refused_rows_count;
    const weir_position_t *positions; /* the highest acknowledged of each partition */
    uint64_t positions_count;
} weir_report_t;

/* Borrowed until the next call with the sender or its handle; NULL for a NULL sender. */
WEIR_API const weir_report_t *weir_sender_report (weir_sender_t *sender);

/* ---- events out ---- */

/* An acknowledgement of one batch: rows first_row to first_row + rows - 1 of its sender. */
typedef struct weir_ack {
    uint64_t sequence;
    uint64_t first_row;
    uint64_t rows;
    uint64_t accepted;
    uint64_t refused;
    const weir_refused_t *refused_rows; /* the first ones */
    uint64_t refused_rows_count;
    const weir_position_t *positions; /* of the partitions that rows fell to */
    uint64_t positions_count;
} weir_ack_t;

typedef enum weir_event_kind {
    WEIR_EVENT_ANSWER = 1, /* to a get: `answer`, or NULL and `error` */
    WEIR_EVENT_ACK = 2,    /* of a sender with WEIR_SEND_ACKS: `ack` */
    WEIR_EVENT_FAILED = 3  /* of a sender with WEIR_SEND_ACKS, once, its last: `error` */
} weir_event_kind_t;

typedef struct weir_event {
    int32_t kind;              /* a weir_event_kind_t */
    int32_t status;            /* WEIR_OK, or that of `error` */
    uint64_t tag;              /* of the get or the sender */
    const weir_error_t *error; /* never NULL */
    weir_answer_t *answer;     /* the event's; who sets this to NULL has taken it */
    const weir_ack_t *ack;
} weir_event_t;

/* Does what there is to do, waiting up to `timeout_ms` for something to be told: *event is the next
 * event, or NULL when there was none. To be called again and again while anything is under way, and
 * until it gives no event when the descriptor of weir_fd can be read. Returns WEIR_OK, with an
 * event or without; WEIR_IO and WEIR_DENIED where the handle cannot work at all. */
WEIR_API weir_status_t weir_poll (weir_t *weir, int timeout_ms, weir_event_t **event,
                                  weir_error_t *error);
WEIR_API void weir_event_destroy (weir_event_t **event_p);

/* A descriptor for an event loop (poll, epoll, kqueue's like): while it can be read, weir_poll with
 * a timeout of 0 has something to do, timers included; nothing else is to be done with it. Stays
 * the same, and is the handle's. -1 when there are no descriptors left. */
WEIR_API int weir_fd (weir_t *weir);

/* How many gets and batches are under way, or told and not collected: 0 is nothing to poll for. */
WEIR_API size_t weir_pending (const weir_t *weir);

#ifdef __cplusplus
}
#endif

#endif
