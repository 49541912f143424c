/* wire.h - messages: docs/protocol.md in C.
 *
 * What is sent is written with a wire_writer_t straight into bytes. What is received is decoded and
 * checked against the declared shape of its kind (shapes.h) in one step, so that handlers read
 * fields that are there and of their type: the getters CHECK. Everything hostile ends in
 * wire_decode. */
#ifndef WEIR_WIRE_WIRE_H
#define WEIR_WIRE_WIRE_H

#include "base/buf.h"
#include "base/env.h"
#include "base/status.h"
#include "base/value.h"
#include "wire/roles.h"

#include <msgpack/object.h>

enum {
    WIRE_VERSION = 1,
    WIRE_MESSAGE_MAX = 16 << 20, /* bytes */
    WIRE_DEPTH_MAX = 8,
    WIRE_ELEMENTS_MAX = 65536, /* of one array or map */
    WIRE_VALUES_MAX = 4 << 20, /* of one message, containers and names of fields counted too */
    WIRE_NAME_MAX = 255,       /* bytes of a str that a shape calls a name */
    WIRE_KEYS_MAX = 4096,      /* keys in one get */
    WIRE_CELLS_MAX = 1 << 20,  /* rows x columns in one send */
    WIRE_REFUSED_MAX = 100,    /* refused rows that are told one by one */
};

/* Kinds. name, word, who may send it (an ACCESS_TABLE line of roles.h). Each but POKE and ERROR has
 * a reply kind word ".ok" (MESSAGE_x_OK). The shapes of request and reply bodies are in shapes.c,
 * one declaration a kind, checked against docs/protocol.md. */
#define MESSAGE_TABLE(X)                                                                           \
    X (PING, "ping", ANYONE)                                                                       \
    X (METRICS, "metrics", READERS)                                                                \
    X (GET, "get", READERS)                                                                        \
    X (SEND, "send", PRODUCERS)                                                                    \
    X (APPEND, "append", NODES)                                                                    \
    X (FORWARD, "forward", NODES)                                                                  \
    X (QUERY, "query", NODES)                                                                      \
    X (APPLY, "apply", ADMINS)                                                                     \
    X (FIT, "fit", ADMINS)                                                                         \
    X (DEFINITIONS, "definitions", ANYONE)                                                         \
    X (DELETE, "delete", ADMINS)                                                                   \
    X (VERSIONS, "versions", READERS)                                                              \
    X (PROMOTE, "promote", ADMINS)                                                                 \
    X (RETIRE, "retire", ADMINS)                                                                   \
    X (ANNOTATE, "annotate", ADMINS)                                                               \
    X (ROUTES, "routes", ANYONE)                                                                   \
    X (LOAD, "load", ADMINS)                                                                       \
    X (LOADS, "loads", READERS)                                                                    \
    X (UNLOAD, "unload", ADMINS)                                                                   \
    X (FORGET, "forget", ADMINS)                                                                   \
    X (FORGETS, "forgets", ADMINS)                                                                 \
    X (RECOMPUTE, "recompute", ADMINS)                                                             \
    X (RECOMPUTES, "recomputes", READERS)                                                          \
    X (STATUS, "status", READERS)                                                                  \
    X (SKEW, "skew", ADMINS)                                                                       \
    X (BACKUP, "backup", ADMINS)                                                                   \
    X (TRAINING, "training", ADMINS)                                                               \
    X (BEAT, "beat", NODES)                                                                        \
    X (DATASET, "dataset", NODES)                                                                  \
    X (TASK_DONE, "task.done", NODES)

typedef enum message_kind {
    MESSAGE_NONE = 0,
#define X(name, word, access) MESSAGE_##name, MESSAGE_##name##_OK,
    MESSAGE_TABLE (X)
#undef X
        MESSAGE_POKE,
    MESSAGE_ERROR,
    MESSAGE_KINDS
} message_kind_t;

const char *message_word (message_kind_t kind);
/* The reply kind of a request kind. */
message_kind_t message_reply (message_kind_t request);

/* Is it a kind that is answered? Not replies, errors and pokes. */
bool message_is_request (message_kind_t kind);

/* Who may send that request. */
access_t message_access (message_kind_t request);
/* May a peer of this role send that request? False for what is no request. */
bool message_allowed (message_kind_t kind, peer_role_t role);

/* ---- receiving ---- */

/* A decoded value: msgpack's own object (nil, boolean, integers, float, str, bin, array, map). */
typedef msgpack_object wire_value_t;

typedef struct wire_list {
    const wire_value_t *items;
    uint32_t count;
} wire_list_t;

typedef struct message {
    message_kind_t kind;
    uint64_t id;
    const wire_value_t *body; /* a map that has the kind's shape */
} message_t;

/* One decoder per thread, reused: it owns the memory of the message decoded last. */
typedef struct wire_decoder wire_decoder_t;
wire_decoder_t *wire_decoder_new (void);
void wire_decoder_destroy (wire_decoder_t **self_p);

/* Decodes and checks. The message is valid until the next call with the same decoder, and borrows
 * from `data`. On failure kind is MESSAGE_NONE and `message->id` is the id to answer the error
 * under, 0 when there is nobody to answer: no id could be read, or what came is itself an answer
 * (so that two nodes never answer each other's errors). Status VERSION, CORRUPT, INVALID or
 * TOO_LARGE. */
MUST_CHECK status_t wire_decode (wire_decoder_t *self, const void *data, size_t size,
                                 message_t *message, error_t *error);

/* Kind (MESSAGE_NONE when unknown) and id of a message that is not decoded yet; false when it does
 * not begin as one. */
bool wire_peek (const void *data, size_t size, message_kind_t *kind, uint64_t *id);

/* Getters on a map whose shape was checked. The name must be a field of the shape. For an optional
 * field that is not there (or nil): has is false, numbers give `otherwise`, texts are empty, lists
 * have count 0, maps are NULL. */
bool wire_has (const wire_value_t *map, const char *name);
uint64_t wire_uint (const wire_value_t *map, const char *name, uint64_t otherwise);
int64_t wire_int (const wire_value_t *map, const char *name, int64_t otherwise);
bool wire_bool (const wire_value_t *map, const char *name, bool otherwise);
text_t wire_text (const wire_value_t *map, const char *name); /* str or bin; borrowed */
wire_list_t wire_list (const wire_value_t *map, const char *name);
const wire_value_t *wire_map (const wire_value_t *map, const char *name);
/* The same of an item of a list whose shape was checked. */
uint64_t wire_item_uint (const wire_value_t *value);
int64_t wire_item_int (const wire_value_t *value);
text_t wire_item_text (const wire_value_t *value);
wire_list_t wire_items (const wire_value_t *value); /* of a list in a list, as one of `rows` */
const wire_value_t *wire_any (const wire_value_t *map, const char *name);
/* A copy in `out` of `size` bytes with a NUL, cut if longer; for names into fixed arrays. */
void wire_copy (const wire_value_t *map, const char *name, char *out, size_t size);

/* ---- sending ---- */

/* Writes one message into a buffer of its own. Maps and lists are opened and closed; counts are
 * patched in. Misuse (value without key in a map, unclosed levels) is a CHECK. */
typedef struct wire_writer wire_writer_t;
wire_writer_t *wire_writer_new (void);
void wire_writer_destroy (wire_writer_t **self_p);

/* Starts a message (forgetting the one before); its body map is open. */
void wire_begin (wire_writer_t *self, message_kind_t kind, uint64_t id);
/* Bytes of it so far: what tells of many things ends its message in time by that. */
size_t wire_written (const wire_writer_t *self);
/* Ends it. False when it grew over a limit (bytes, nesting, elements or values), which what peers
 * sent can cause: nothing may be sent then. The bytes are valid until the next begin. */
bool wire_end (wire_writer_t *self, const void **data, size_t *size);
/* A whole error message; ends it too. Bytes of the text that are not UTF-8 become "?". A time to
 * wait goes with it when the error has one. */
void wire_error (wire_writer_t *self, uint64_t id, const error_t *error, const void **data,
                 size_t *size);

void wire_key (wire_writer_t *self, const char *name); /* the next value's name */
void wire_key_text (wire_writer_t *self, text_t name); /* the same, for names that are data */
void wire_open_map (wire_writer_t *self);
void wire_open_list (wire_writer_t *self);
void wire_close (wire_writer_t *self); /* the innermost map or list */
void wire_put_nil (wire_writer_t *self);
void wire_put_uint (wire_writer_t *self, uint64_t value);
void wire_put_int (wire_writer_t *self, int64_t value);
void wire_put_float (wire_writer_t *self, double value);
void wire_put_bool (wire_writer_t *self, bool value);
void wire_put_text (wire_writer_t *self, text_t value);        /* str */
void wire_put_string (wire_writer_t *self, const char *value); /* str; NULL is nil */
void wire_put_bin (wire_writer_t *self, text_t value);
void wire_put_value (wire_writer_t *self, const value_t *value);    /* by type; null is nil */
void wire_put_any (wire_writer_t *self, const wire_value_t *value); /* a decoded value again */

/* What the shell counts, as fields of the open map: for the answer to `metrics`. */
void wire_field_counters (wire_writer_t *self, env_t *env);

/* key and value in one call, for maps. */
void wire_field_uint (wire_writer_t *self, const char *name, uint64_t value);
void wire_field_int (wire_writer_t *self, const char *name, int64_t value);
void wire_field_bool (wire_writer_t *self, const char *name, bool value);
void wire_field_text (wire_writer_t *self, const char *name, text_t value);
void wire_field_string (wire_writer_t *self, const char *name, const char *value);
void wire_field_bin (wire_writer_t *self, const char *name, text_t value);
void wire_field_map (wire_writer_t *self, const char *name);  /* opens */
void wire_field_list (wire_writer_t *self, const char *name); /* opens */

#endif
