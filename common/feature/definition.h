/* definition.h - what users define: streams, views and services, read from YAML and checked.
 *
 * Definitions are read from files by a client and by the coordinator with the same code. A
 * definitions_t is immutable once made; all its memory is its own. Positions in messages are
 * file:line:column. */
#ifndef WEIR_FEATURE_DEFINITION_H
#define WEIR_FEATURE_DEFINITION_H

#include "aggregate/aggregate.h"
#include "base/key.h"
#include "base/status.h"
#include "base/timestamp.h"
#include "base/value.h"
#include "base/zone.h"
#include "expr/expr.h"
#include "feature/preprocess.h"
#include "feature/result_type.h"
#include "feature/version.h"

enum {
    NAME_MAX_SIZE = 63, /* bytes of an identifier */
    STREAMS_MAX = 256,
    VIEWS_MAX = 1024,
    SOURCES_MAX = 8,         /* streams of a view */
    FIELDS_MAX = 200,        /* per stream */
    ALIASES_MAX = 16,        /* per field */
    FEATURES_MAX = 500,      /* per view, after windows are spelled out, derived ones too */
    REQUEST_FIELDS_MAX = 64, /* per view */
    SERVICES_MAX = 1024,
    ROLES_MAX = 16,                /* of a service */
    SERVICE_KEYS_MAX = 32,         /* fields of its key */
    SERVICE_INPUTS_MAX = 2000,     /* features of its roles that it reads */
    TAGS_MAX = 16,                 /* per feature */
    DEFINITION_FILE_MAX = 1 << 20, /* bytes */
};

typedef enum unknown_policy { UNKNOWN_REFUSE, UNKNOWN_IGNORE } unknown_policy_t;

typedef struct field {
    const char *name;
    const char *column; /* its name in the source; the same as name unless given */
    type_t type;
    uint8_t precision; /* of a decimal: how many digits it takes */
    bool required;
    time_unit_t unit;        /* of integer timestamps */
    const char *zone_name;   /* NULL: UTC */
    zone_t *zone;            /* of local timestamps; NULL: UTC */
    const char *description; /* NULL when not given */
    const char **aliases;    /* former names, of the field or its column: sources may use them */
    size_t aliases_count;
    /* A computed field is not sent: it is made of the others of its event when that comes in. */
    const char *expr; /* canonical expression text; NULL: it is sent */
    expr_t *computed; /* the same, over the stream's columns; NULL: it is sent */
    /* What the catalog says (schema.h); a stream that is read from files has its fields' places and
     * names here. */
    uint16_t id;        /* among all fields that the stream ever had: what stored columns name */
    const char *origin; /* unique among them; what meanings are hashed from. First its name */
} field_t;

typedef struct stream {
    const char *name;
    field_t *fields; /* in the order of definition; a batch_t's columns have this order */
    size_t fields_count;
    uint32_t key[KEY_FIELDS_MAX]; /* indexes of the key's fields */
    size_t key_count;             /* 0: one global entity */
    uint32_t time;                /* index of the event time's field */
    unknown_policy_t unknown;
    uint64_t fingerprint; /* of fields, key and time: equal means batches are laid out the same */
    const char *log_name; /* of its own key's log (keyed_log.h): "payments/user_id" */
    const char *text;     /* canonical YAML of this one definition, as the catalog keeps it */
} stream_t;

#define WINDOW_LIFETIME INT64_MAX /* µs: everything */

/* What people are told of a feature, and nothing else depends on. */
typedef struct about {
    const char *description; /* NULL when not given */
    const char *owner;       /* NULL when not given */
    const char *const *tags;
    size_t tags_count;
} about_t;

/* One feature as it is asked for: one aggregate over one window. */
typedef struct feature {
    const char *name; /* spend_7d */
    aggregate_t aggregate;
    const char *input;     /* canonical expression text; NULL for count() */
    const char *second;    /* of aggregates that take two inputs; else NULL */
    value_t parameter;     /* int64 (a duration in µs) or float64; of type NONE without */
    const char *filter;    /* canonical expression text; NULL without `where` */
    const char *by;        /* canonical expression text; NULL without `by` */
    int64_t window;        /* µs, or WINDOW_LIFETIME */
    uint16_t rows;         /* only the newest so many in the window; 0: all */
    int64_t delay;         /* µs that the window ends before as-of; 0: it ends there */
    value_t default_value; /* what stands for null; of type NONE without `default` */
    result_type_t type;    /* of its values */
    about_t about;
} feature_t;

/* A feature that is computed from others of its view, and from what a request says, when they are
 * answered. */
typedef struct derived {
    const char *name;
    const char *expr; /* canonical, over names of features, derived ones, request's and `now` */
    type_t type;
    uint32_t rank; /* those of lesser ranks are to be computed before: it may need them */
    value_t default_value;
    const char *default_text; /* canonical; NULL without */
    about_t about;
} derived_t;

/* One of the streams that a view is from. */
typedef struct view_source {
    const stream_t *stream;
    uint32_t key[KEY_FIELDS_MAX]; /* indexes of the fields of the view's key in this stream */
    const char *log_name;         /* of the keyed log with these (keyed_log.h) */
    uint64_t meaning;             /* hash of stream, key and where */
} view_source_t;

/* A view of several streams is a union: its events are those of all. What its expressions and its
 * key read has one name and type in all of them. */
typedef struct view {
    const char *name;
    uint32_t version; /* given by the catalog; 1 when read from files */
    version_state_t state;
    view_source_t *sources;
    size_t sources_count;
    /* Those of the first source: */
    const stream_t *stream;
    uint32_t
        key[KEY_FIELDS_MAX]; /* indexes of the fields of its key: the stream's own or another */
    size_t key_count;        /* 0: one global entity */
    const char *log_name;
    const char *where; /* canonical expression text; NULL without */
    int64_t horizon;   /* µs; default a day */
    int64_t ttl; /* µs that a key's features are there for after its latest event; 0: without end */
    feature_t *features;
    size_t features_count;
    derived_t *derived; /* in the order of definition */
    size_t derived_count;
    field_t *request; /* values that a request brings along */
    size_t request_count;
    uint64_t meaning; /* hash of its sources': changing it makes a new version */
    const char *text; /* canonical YAML of this one definition */
} view_t;

/* A view as a service reads it: of one of the entities that a request is about. */
typedef struct service_role {
    const char *name;
    const view_t *view;
    uint32_t version;             /* that is named; 0: none is */
    uint32_t key[KEY_FIELDS_MAX]; /* for each field of the view's key, the service's */
    const int32_t *request;       /* for each value of the view's request, that of the service, as
                                     numbered in its plan (service_plan.h); -1: it has none */
} service_role_t;

/* A feature of a role that is read, to be answered or to derive others. */
typedef struct service_input {
    uint32_t role;
    uint32_t feature; /* of the view; those after its own are its derived ones */
    const char *name; /* "sender:spent_7d" */
} service_input_t;

typedef enum output_kind { OUTPUT_INPUT, OUTPUT_DERIVED, OUTPUT_REQUEST } output_kind_t;

/* What `features` of a service names in one place. */
typedef struct service_feature {
    const char *name;
    output_kind_t kind;
    uint32_t index;           /* of the input, derived feature, or value of the request */
    result_type_t type;       /* before it is preprocessed */
    value_t default_value;    /* what stands for null; of type NONE without */
    const char *default_text; /* canonical; NULL without */
    bool is_preprocessed;
    preprocess_t preprocess;
} service_feature_t;

/* What a service answers in one place: a feature, or one category of it. */
typedef struct service_output {
    const char *name;  /* the feature's; of a category "sender:channel=web" */
    uint32_t feature;  /* among those that are named */
    uint32_t category; /* of a feature that is encoded as one-hot */
    result_type_t type;
} service_output_t;

/* What one model reads: ordered features across views, for the entities of one request. */
typedef struct service {
    const char *name;
    uint32_t version; /* given by the catalog; 1 when read from files */
    version_state_t state;
    bool before; /* events at exactly the as-of time are left out */
    about_t about;
    service_role_t *roles;
    size_t roles_count;
    field_t *keys; /* what the roles' keys are of; their zones are borrowed from streams */
    size_t keys_count;
    field_t *request;
    size_t request_count;
    service_input_t *inputs;
    size_t inputs_count;
    derived_t
        *derived; /* over "role.feature", names of derived ones, keys and request, and `now` */
    size_t derived_count;
    service_feature_t *features; /* as they are named */
    size_t features_count;
    service_output_t *outputs; /* as they are answered, which features that are encoded make more */
    size_t outputs_count;
    const char *fitted_on; /* SHA-256 of the training set that numbers are fitted to, in hex; NULL:
                              not said */
    uint64_t fitted_rows;
    const char *text; /* canonical YAML of this one definition */
} service_t;

typedef struct definitions {
    arena_t *arena; /* owns everything below */
    stream_t *streams;
    size_t streams_count;
    view_t *views; /* of each name, all versions that are not retired */
    size_t views_count;
    service_t *services;
    size_t services_count;
} definitions_t;

typedef struct definition_file {
    const char *name; /* for messages */
    text_t text;
} definition_file_t;

/* Reads and checks all files together. On failure nothing is made, and `error` lists up to 20
 * mistakes, a line each (as many as it holds). */
MUST_CHECK status_t definitions_read (const definition_file_t *files, size_t count,
                                      definitions_t **definitions, error_t *error);

/* As definitions_read; all of the up to 20 lines, which may be more than an error_t holds, are also
 * appended to `lines` (NULL: not). The status is UNSUPPORTED when every mistake is something that
 * this version does not support. */
MUST_CHECK status_t definitions_check (const definition_file_t *files, size_t count,
                                       definitions_t **definitions, buf_t *lines, error_t *error);
void definitions_destroy (definitions_t **self_p);

/* The version of the views and services that a text defines, which it does not say itself. */
typedef struct definition_version {
    uint32_t version; /* 0: a user's file. It is 1, unless it is numbered */
    version_state_t state;
} definition_version_t;

/* Texts of the cluster, in which a name may be defined once in each version. */
typedef struct definitions_input {
    const definition_file_t *files;
    const definition_version_t *versions; /* one of each file; NULL: all are users' */
    size_t count;
    /* Called when streams and views have been read, without a mistake, and before services are: it
     * numbers the views of users' files, which have version 0. The services of these keep version 0
     * then. NULL: views and services of users' files are 1. */
    void (*number_views) (void *arg, definitions_t *read);
    void *arg;
} definitions_input_t;

/* As definitions_check. A view that a service names without a version is the newest of its name. */
MUST_CHECK status_t definitions_check_all (const definitions_input_t *input,
                                           definitions_t **definitions, buf_t *lines,
                                           error_t *error);

/* NULL when there is none. Borrowed from the definitions. Of views and services the active one, or,
 * where none is, the newest. */
const stream_t *definitions_stream (const definitions_t *self, text_t name);
const view_t *definitions_view (const definitions_t *self, text_t name);
const service_t *definitions_service (const definitions_t *self, text_t name);

/* That version, or the newest (0); NULL when there is none. */
const view_t *definitions_view_version (const definitions_t *self, text_t name, uint32_t version);
const service_t *definitions_service_version (const definitions_t *self, text_t name,
                                              uint32_t version);

/* What is asked for by a name and perhaps (not 0) a version: sets one of them, the other is NULL.
 * NOT_FOUND when there is none, UNAVAILABLE while it is being built; the message says what there
 * is. */
MUST_CHECK status_t definitions_find (const definitions_t *self, text_t name, uint32_t version,
                                      const view_t **view, const service_t **service,
                                      error_t *error);

/* Appends the versions of a name: "v1, v2". */
void definitions_put_versions (const definitions_t *self, text_t name, buf_t *out);

/* The likeliest intended name of a view (or stream), or NULL. */
const char *definitions_nearest_view (const definitions_t *self, text_t name);
const char *definitions_nearest_stream (const definitions_t *self, text_t name);
/* NOT_FOUND of a stream, with the name that was probably meant, or that there are none yet. */
MUST_CHECK status_t definitions_no_stream (const definitions_t *self, text_t name, error_t *error);
/* Of a view or service. */
const char *definitions_nearest_answer (const definitions_t *self, text_t name);

/* The view as it is over one of its sources alone; it borrows all of its parts. */
view_t view_over (const view_t *self, size_t source);
/* Index of the source that is this stream, or -1. */
int view_source_of (const view_t *self, const char *stream);
/* Appends the names of its streams: "payments, refunds". */
void view_format_sources (const view_t *self, buf_t *out);

/* The field that is the k-th of the view's key. Borrowed. */
const field_t *view_key_field (const view_t *self, size_t k);

/* Index of a value that the view's requests bring along, or -1. */
int view_request_field (const view_t *self, text_t name);

/* Index of a feature of the view, its derived ones after the others; -1: it has none so named. */
int view_feature (const view_t *self, text_t name);
/* The type of that feature. */
result_type_t view_feature_type (const view_t *self, size_t feature);
const char *view_feature_name (const view_t *self, size_t feature);

/* Index of a role, of a field of the service's key, of a value of its request, or -1. */
int service_role (const service_t *self, text_t name);
int service_key_field (const service_t *self, text_t name);
int service_request_field (const service_t *self, text_t name);

/* Makes what is answered, in `arena`, of the features that are named: again when categories of one
 * have become known. TOO_LARGE when they are too many. */
MUST_CHECK status_t service_set_outputs (service_t *self, arena_t *arena, error_t *error);

/* How many features wait for their numbers. */
size_t service_unfitted (const service_t *self);

enum { PREPROCESS_HASH_DIGITS = 64 };
/* The SHA-256, in hex, of what is done to the service's features before they are answered, with all
 * numbers, given or fitted: of two versions with the same one, answers are preprocessed alike.
 * False: nothing is preprocessed, or numbers are lacking. */
bool service_preprocess_hash (const service_t *self, char hash[PREPROCESS_HASH_DIGITS + 1]);

/* Are they the same but for numbers that are fitted? */
bool service_same_kind (const service_t *a, const service_t *b);

/* Numbers that were fitted for `from`, of features that are preprocessed in the same way in `self`
 * and lack theirs: taken over, in `arena`, if the features themselves are the same. Outputs are
 * made anew, as above. */
MUST_CHECK status_t service_take_fitted (service_t *self, const service_t *from, arena_t *arena,
                                         error_t *error);

/* The name of the first feature of `self` with numbers to be fitted that is not there in `from`, or
 * is another one before it is preprocessed: numbers fitted to rows of `from` are not those of
 * `self`. NULL: there is none. Borrowed from `self`. */
const char *service_other_to_fit (const service_t *self, const service_t *from);

/* Does the service read a view of that name, under any role, in this version (0: in any)? */
bool service_reads (const service_t *self, const char *view, uint32_t version);

/* XXH3-64 of what it answers: all but what it is described by. Raised versions go by it. */
uint64_t service_meaning (const service_t *self);

/* Appends the field's type as it is written: "decimal(12,2)". */
void field_type_format (const field_t *self, buf_t *out);

/* Index of the stream's field, or -1. */
int stream_field (const stream_t *self, text_t name);

/* Do sources call the field so: its column, or one of its aliases? None calls a computed one. */
bool field_is_called (const field_t *self, text_t column);

/* Do the two streams have keys of the same fields and types? */
bool stream_same_key (const stream_t *a, const stream_t *b);

/* Appends the key of one row of a batch with this stream's columns. False (nothing appended) when a
 * key field is null: the event belongs to no entity, is kept under the empty key and is in no view.
 */
bool stream_key (const stream_t *self, const batch_t *batch, size_t row, buf_t *out);

#endif
