#include "wire/shapes.h"

#include "base/check.h"
#include "base/key.h"

enum {
    PRODUCER_SIZE = 16,
    PATH_SIZE_MAX = 4096,
    PROBLEM_SIZE_MAX = 8192,        /* a reason or an error that is told */
    REPORT_SIZE_MAX = 1 << 20,      /* of a look at answers */
    ALERTS_MAX = 100,               /* that it tells */
    DEFINITIONS_SIZE_MAX = 4 << 20, /* all texts of one apply */
};

/* Fields of one shape. `title` is its name on the protocol page, NULL when it is written in place
 * there. */
#define SHAPE(shape, title, ...)                                                                   \
    static const field_t shape##_fields[] = { __VA_ARGS__ };                                       \
    static const record_t shape = { title, shape##_fields,                                         \
                                    sizeof shape##_fields / sizeof shape##_fields[0] };            \
    _Static_assert(sizeof shape##_fields / sizeof shape##_fields[0] <= RECORD_FIELDS_MAX, "")

#define EMPTY(shape) static const record_t shape = { NULL, NULL, 0 }

#define FIELD(field, kind, marks, ...)                                                             \
    {                                                                                              \
        .name = field, .type = SHAPE_##kind, .flags = marks, __VA_ARGS__                           \
    }

#define UINT(name)         FIELD (name, UINT, 0)
#define UINT_OR_NOT(name)  FIELD (name, UINT, FIELD_OPTIONAL)
#define UINTS(name)        FIELD (name, UINT, FIELD_LIST)
#define UINTS_OR_NOT(name) FIELD (name, UINT, FIELD_LIST | FIELD_OPTIONAL)
#define INT(name)          FIELD (name, INT, 0)
#define INT_OR_NOT(name)   FIELD (name, INT, FIELD_OPTIONAL)
#define INTS(name)         FIELD (name, INT, FIELD_LIST)
#define INTS_OR_NOT(name)  FIELD (name, INT, FIELD_LIST | FIELD_OPTIONAL)
#define BOOL(name)         FIELD (name, BOOL, 0)
#define BOOL_OR_NOT(name)  FIELD (name, BOOL, FIELD_OPTIONAL)
#define NAME(name)         FIELD (name, NAME, 0)
#define NAME_OR_NOT(name)  FIELD (name, NAME, FIELD_OPTIONAL)
#define NAMES(name)        FIELD (name, NAME, FIELD_LIST)
#define NAMES_OR_NOT(name) FIELD (name, NAME, FIELD_LIST | FIELD_OPTIONAL)
#define TEXT(name)         FIELD (name, TEXT, 0)
#define PATH(name)         FIELD (name, TEXT, FIELD_PATH, .bytes_max = PATH_SIZE_MAX)
#define PATH_OR_NOT(name)                                                                          \
    FIELD (name, TEXT, FIELD_PATH | FIELD_EMPTY | FIELD_OPTIONAL, .bytes_max = PATH_SIZE_MAX)
#define PATH_OR_EMPTY(name)  FIELD (name, TEXT, FIELD_PATH | FIELD_EMPTY, .bytes_max = PATH_SIZE_MAX)
#define PROBLEM(name)        FIELD (name, TEXT, 0, .bytes_max = PROBLEM_SIZE_MAX)
#define PROBLEM_OR_NOT(name) FIELD (name, TEXT, FIELD_OPTIONAL, .bytes_max = PROBLEM_SIZE_MAX)
#define PRODUCER(name)       FIELD (name, BIN, 0, .bytes_min = PRODUCER_SIZE, .bytes_max = PRODUCER_SIZE)
#define KEY(name)            FIELD (name, BIN, 0, .bytes_min = 1, .bytes_max = KEY_SIZE_MAX)
#define KEY_OR_NOT(name)                                                                           \
    FIELD (name, BIN, FIELD_OPTIONAL, .bytes_min = 1, .bytes_max = KEY_SIZE_MAX)
#define ANYTHINGS(name)            FIELD (name, ANY, FIELD_LIST)
#define ANYTHING_OR_NOT(name)      FIELD (name, ANY, FIELD_OPTIONAL)
#define MAP(name)                  FIELD (name, MAP, 0)
#define MAP_OR_NOT(name)           FIELD (name, MAP, FIELD_OPTIONAL)
#define MAPS(name)                 FIELD (name, MAP, FIELD_LIST)
#define ROWS(name)                 FIELD (name, ROW, FIELD_LIST)
#define RECORD_OR_NOT(name, shape) FIELD (name, RECORD, FIELD_OPTIONAL, .record = &shape)
#define RECORDS(name, shape)       FIELD (name, RECORD, FIELD_LIST, .record = &shape)
#define RECORDS_OR_NOT(name, shape)                                                                \
    FIELD (name, RECORD, FIELD_LIST | FIELD_OPTIONAL, .record = &shape)

/* ---- everybody ---- */

EMPTY (shape_PING);
SHAPE (shape_PING_OK, NULL, NAME ("node"), NAME ("kind"), NAME ("cluster"), UINT ("incarnation"));
EMPTY (shape_METRICS);
SHAPE (shape_METRICS_OK, NULL, MAP ("values"));
SHAPE (shape_ERROR, NULL, NAME ("status"), PROBLEM ("text"), UINT_OR_NOT ("retry_ms"),
       NAME_OR_NOT ("leader"));
SHAPE (shape_POKE, NULL, UINT_OR_NOT ("mark"));

/* ---- clients to serving ---- */

SHAPE (shape_GET, NULL, NAME ("view"), FIELD ("keys", MAP, FIELD_LIST, .items_max = WIRE_KEYS_MAX),
       NAMES_OR_NOT ("features"), ANYTHING_OR_NOT ("as_of"), INTS_OR_NOT ("as_ofs"),
       FIELD ("request", MAP, FIELD_LIST | FIELD_OPTIONAL, .items_max = WIRE_KEYS_MAX),
       BOOL_OR_NOT ("before"), UINT_OR_NOT ("deadline_ms"), BOOL_OR_NOT ("refuse_incomplete"),
       NAME_OR_NOT ("part"));
SHAPE (shape_incomplete, NULL, NAME ("log"), PROBLEM ("reason"));
SHAPE (shape_result, "RESULT", MAP ("key"), ANYTHINGS ("values"), INT ("as_of"), BOOL ("complete"),
       MAP ("positions"), PROBLEM ("dataset"), INTS ("latest"), UINTS_OR_NOT ("expired"),
       MAP_OR_NOT ("errors"), RECORDS_OR_NOT ("incomplete", shape_incomplete));
SHAPE (shape_GET_OK, NULL, NAME ("view"), NAME ("version"), MAP ("versions"), NAMES ("features"),
       NAMES ("types"), NAMES ("roles"), UINTS ("reads"), RECORDS ("results", shape_result));

/* ---- clients and speed workers to speed workers ---- */

SHAPE (shape_refused, "REFUSED", UINT ("row"), PROBLEM ("reason"));
SHAPE (shape_SEND, NULL, NAME ("stream"), PRODUCER ("producer"), UINT ("sequence"), UINT ("oldest"),
       BOOL_OR_NOT ("resumed"), NAMES ("columns"), ROWS ("rows"));
SHAPE (shape_SEND_OK, NULL, UINT ("accepted"), UINT ("refused_count"),
       FIELD ("refused", RECORD, FIELD_LIST, .items_max = WIRE_REFUSED_MAX,
              .record = &shape_refused),
       MAP ("positions"));
SHAPE (shape_APPEND, NULL, NAME ("stream"), UINT ("partition"), PRODUCER ("producer"),
       UINT ("sequence"), UINT ("oldest"), BOOL_OR_NOT ("resumed"), NAMES ("columns"),
       UINTS ("indexes"), ROWS ("rows"), UINT_OR_NOT ("definitions"));
SHAPE (shape_APPEND_OK, NULL, UINT ("accepted"), UINT ("refused_count"),
       FIELD ("refused", RECORD, FIELD_LIST, .items_max = WIRE_REFUSED_MAX,
              .record = &shape_refused),
       UINT ("position"));

SHAPE (shape_forget_mark, NULL, NAME ("id"), KEY ("key"), INT ("before"), INT ("clock"));
SHAPE (shape_FORWARD, NULL, NAME ("log"), UINT ("partition"), UINT ("source"), UINT ("from"),
       UINT ("to"), FIELD ("block", BIN, 0), UINT ("definitions"),
       RECORD_OR_NOT ("forget", shape_forget_mark));
SHAPE (shape_FORWARD_OK, NULL, UINT ("mark"));

/* ---- serving to speed workers ---- */

SHAPE (shape_query_part, NULL, UINT ("partition"), UINT ("cut"),
       FIELD ("keys", BIN, FIELD_LIST, .items_max = WIRE_KEYS_MAX, .bytes_max = KEY_SIZE_MAX),
       INTS ("as_of"));
SHAPE (shape_part, "PART", UINT ("partition"), NAME ("status"), PROBLEM_OR_NOT ("reason"),
       UINT_OR_NOT ("position"), FIELD ("answers", BIN, FIELD_OPTIONAL));
SHAPE (shape_question, NULL, UINT ("id"), NAME ("view"), NAME ("log"), UINT ("plan"),
       RECORDS ("parts", shape_query_part));
SHAPE (shape_answer, NULL, UINT ("id"), NAME ("log"), RECORDS ("parts", shape_part));
SHAPE (shape_QUERY, NULL, RECORDS ("questions", shape_question));
SHAPE (shape_QUERY_OK, NULL, RECORDS ("answers", shape_answer));

/* ---- clients to the coordinator ---- */

SHAPE (shape_file, NULL, NAME ("name"), TEXT ("text"));
SHAPE (shape_APPLY, NULL,
       FIELD ("files", RECORD, FIELD_LIST, .sum_max = DEFINITIONS_SIZE_MAX, .record = &shape_file),
       BOOL_OR_NOT ("dry_run"), BOOL_OR_NOT ("prune"), PROBLEM_OR_NOT ("message"),
       NAME_OR_NOT ("author"));
SHAPE (shape_change, NULL, NAME ("kind"), NAME ("name"), NAME ("change"),
       FIELD ("detail", TEXT, FIELD_OPTIONAL), FIELD ("before", TEXT, FIELD_OPTIONAL),
       FIELD ("after", TEXT, FIELD_OPTIONAL));
SHAPE (shape_APPLY_OK, NULL, UINT ("version"), RECORDS ("changes", shape_change));
SHAPE (shape_FIT, NULL, NAME ("service"), UINT ("version"),
       FIELD ("text", TEXT, 0, .bytes_max = DEFINITIONS_SIZE_MAX), BOOL_OR_NOT ("dry_run"),
       PROBLEM_OR_NOT ("message"), NAME_OR_NOT ("author"));
SHAPE (shape_FIT_OK, NULL, UINT ("version"), RECORDS ("changes", shape_change));
EMPTY (shape_DEFINITIONS);
SHAPE (shape_object, NULL, NAME ("kind"), NAME ("name"), UINT ("version"), TEXT ("text"),
       FIELD ("fields", TEXT, FIELD_OPTIONAL), NAME_OR_NOT ("state"));
SHAPE (shape_DEFINITIONS_OK, NULL, UINT ("version"), RECORDS ("objects", shape_object));
SHAPE (shape_DELETE, NULL, NAME ("name"));
SHAPE (shape_DELETE_OK, NULL, UINT ("version"));
SHAPE (shape_annotation, NULL, NAME ("name"), PROBLEM ("value"), INT ("time"), NAME ("author"));
SHAPE (shape_version, "VERSION", NAME ("kind"), NAME ("name"), UINT ("version"), NAME ("state"),
       INT ("created"), NAME ("author"), PROBLEM ("message"), UINT_OR_NOT ("done"),
       UINT_OR_NOT ("total"), PROBLEM_OR_NOT ("waits"),
       FIELD ("features", TEXT, FIELD_LIST | FIELD_OPTIONAL), NAME_OR_NOT ("preprocess"),
       FIELD ("text", TEXT, FIELD_OPTIONAL), RECORDS ("annotations", shape_annotation));
SHAPE (shape_version_after, NULL, NAME ("kind"), NAME ("name"), UINT ("version"));
SHAPE (shape_VERSIONS, NULL, NAME_OR_NOT ("name"), RECORD_OR_NOT ("after", shape_version_after));
SHAPE (shape_VERSIONS_OK, NULL, RECORDS ("versions", shape_version), BOOL_OR_NOT ("more"));
SHAPE (shape_PROMOTE, NULL, NAME ("name"), UINT ("version"));
SHAPE (shape_PROMOTE_OK, NULL, UINT ("version"));
SHAPE (shape_RETIRE, NULL, NAME ("name"), UINT ("version"));
SHAPE (shape_RETIRE_OK, NULL, UINT ("version"));
SHAPE (shape_annotated, NULL, NAME ("name"), PROBLEM ("value"));
SHAPE (shape_ANNOTATE, NULL, NAME ("name"), UINT ("version"),
       RECORDS ("annotations", shape_annotated), NAME_OR_NOT ("author"));
EMPTY (shape_ANNOTATE_OK);
EMPTY (shape_ROUTES);
SHAPE (shape_owner, NULL, UINT ("partition"), NAME ("endpoint"), UINT ("epoch"));
SHAPE (shape_ROUTES_OK, NULL, UINT ("version"), UINT ("partitions"),
       RECORDS ("owners", shape_owner), NAMES ("serving"), NAMES ("speed"));
SHAPE (shape_LOAD, NULL, NAME ("stream"), PATH ("path"), NAME ("id"), NAME ("name"),
       NAME ("format"), BOOL_OR_NOT ("skip"), BOOL_OR_NOT ("again"), NAME_OR_NOT ("ingest_time"));
SHAPE (shape_LOAD_OK, NULL, NAME ("id"));
SHAPE (shape_load, "LOAD", NAME ("id"), NAME ("stream"), NAME ("name"), NAME ("state"),
       UINT ("rows"), UINT ("refused"), UINT ("bytes_done"), UINT ("bytes_total"), INT ("created"),
       UINT_OR_NOT ("took"), PROBLEM_OR_NOT ("error"), PATH_OR_NOT ("rejects"),
       UINT_OR_NOT ("recompute"));
SHAPE (shape_LOADS, NULL, NAME_OR_NOT ("id"));
SHAPE (shape_LOADS_OK, NULL, RECORDS ("loads", shape_load));
SHAPE (shape_UNLOAD, NULL, NAME ("id"));
SHAPE (shape_UNLOAD_OK, NULL, UINT ("recompute"));
SHAPE (shape_FORGET, NULL, NAME ("stream"), NAME ("id"), MAP ("key"), INT_OR_NOT ("before"),
       PROBLEM_OR_NOT ("message"));
SHAPE (shape_FORGET_OK, NULL, NAME ("id"));
SHAPE (shape_forgotten_log, NULL, NAME ("log"), NAME ("dataset"));
SHAPE (shape_forget, "FORGET", NAME ("id"), NAME ("stream"), NAME ("state"), INT ("created"),
       INT_OR_NOT ("finished"), PROBLEM_OR_NOT ("key"), INT_OR_NOT ("before"),
       PROBLEM_OR_NOT ("message"), UINT ("rows"), UINT_OR_NOT ("files"), UINT_OR_NOT ("scanned"),
       PROBLEM_OR_NOT ("waits"), PROBLEM_OR_NOT ("error"),
       RECORDS ("datasets", shape_forgotten_log));
SHAPE (shape_FORGETS, NULL, NAME_OR_NOT ("id"));
SHAPE (shape_FORGETS_OK, NULL, RECORDS ("forgets", shape_forget));
SHAPE (shape_RECOMPUTE, NULL, NAME_OR_NOT ("stream"), BOOL_OR_NOT ("full"));
SHAPE (shape_RECOMPUTE_OK, NULL, UINTS ("ids"));
SHAPE (shape_recompute, "RECOMPUTE", UINT ("id"), NAME ("log"), PROBLEM ("reason"), NAME ("state"),
       UINT ("done"), UINT ("total"), INT ("created"), INT_OR_NOT ("finished"),
       PROBLEM_OR_NOT ("error"));
SHAPE (shape_RECOMPUTES, NULL, UINTS_OR_NOT ("ids"));
SHAPE (shape_RECOMPUTES_OK, NULL, RECORDS ("recomputes", shape_recompute));
SHAPE (shape_skew_told, NULL, NAME ("name"), INT ("time"), UINT ("compared"), UINT ("mismatches"),
       UINT ("late"),
       FIELD ("alerts", TEXT, FIELD_LIST, .items_max = ALERTS_MAX, .bytes_max = PROBLEM_SIZE_MAX));
EMPTY (shape_STATUS);
SHAPE (shape_STATUS_OK, NULL, NAME ("cluster"), UINT ("partitions"), UINT ("version"),
       MAPS ("nodes"), MAPS ("logs"), RECORDS ("loads", shape_load),
       RECORDS ("recomputes", shape_recompute), UINT_OR_NOT ("disk_free"),
       UINT_OR_NOT ("disk_reserve"), RECORDS_OR_NOT ("skew", shape_skew_told),
       RECORDS_OR_NOT ("building", shape_version), RECORDS_OR_NOT ("unfitted", shape_version));

SHAPE (shape_SKEW, NULL, UINT_OR_NOT ("id"), NAME_OR_NOT ("name"), INT_OR_NOT ("since"),
       PATH_OR_NOT ("training"));
SHAPE (shape_SKEW_OK, NULL, UINT ("id"), NAME ("state"), UINT ("done"), UINT ("total"),
       PROBLEM_OR_NOT ("error"),
       FIELD ("report", TEXT, FIELD_OPTIONAL, .bytes_max = REPORT_SIZE_MAX));

SHAPE (shape_BACKUP, NULL, UINT_OR_NOT ("id"), BOOL_OR_NOT ("end"));
SHAPE (shape_BACKUP_OK, NULL, UINT ("id"), PATH ("catalog"), UINT ("lease_us"));

SHAPE (shape_run, "RUN", PATH ("path"), UINT ("size"), UINT ("rows"), UINT_OR_NOT ("offset"));
SHAPE (shape_pinned, "PINNED", NAME ("log"), NAME ("dataset"), UINT ("manifest"),
       UINTS ("positions"), UINT ("unloaded"), UINT ("forgets"), NAMES ("without"));
SHAPE (shape_spine_part, "SPINE_PART", UINT ("partition"), PATH ("path"), UINT ("size"),
       UINT ("rows"));
SHAPE (shape_spine_role, "SPINE_ROLE", NAME ("view"), UINT ("version"), NAMES ("features"),
       NAMES ("request"), BOOL ("known"), BOOL ("before"), INT_OR_NOT ("as_of"),
       RECORDS ("parts", shape_spine_part));
SHAPE (shape_TRAINING, NULL, UINT_OR_NOT ("id"), NAMES_OR_NOT ("views"),
       RECORDS_OR_NOT ("version", shape_pinned), RECORDS_OR_NOT ("spine", shape_spine_role),
       BOOL_OR_NOT ("end"));
SHAPE (shape_trained, "TRAINED", UINT ("role"), UINT ("partition"), PATH ("path"), UINT ("rows"));
SHAPE (shape_TRAINING_OK, NULL, UINT ("id"), NAME ("state"), UINT ("definitions"),
       UINT ("lease_us"), UINT ("done"), UINT ("total"), RECORDS ("pinned", shape_pinned),
       RECORDS ("trained", shape_trained), PROBLEM_OR_NOT ("waits"), PROBLEM_OR_NOT ("error"));

/* ---- nodes to the coordinator ---- */

SHAPE (shape_held_control, NULL, NAME ("id"), UINT ("offset"), INT ("clock"));
SHAPE (shape_held_log, NULL, NAME ("log"), UINT ("start"), UINT ("end"), UINTS ("cuts"),
       RECORDS ("controls", shape_held_control), UINT ("events"), UINT ("memory"),
       UINT_OR_NOT ("keys"), NAMES_OR_NOT ("forwarded"), UINT_OR_NOT ("kept"),
       UINT_OR_NOT ("definitions"));
SHAPE (shape_held, "HELD", UINT ("partition"), UINT ("epoch"), NAME ("state"),
       PROBLEM_OR_NOT ("reason"), RECORDS ("logs", shape_held_log));
SHAPE (shape_task_progress, NULL, UINT ("task"), UINT ("attempt"), UINT ("done"), UINT ("total"),
       UINT_OR_NOT ("rows"), UINT_OR_NOT ("took"), BOOL_OR_NOT ("fold"));
SHAPE (shape_dataset_held, NULL, NAME ("log"), UINT ("manifest"));
SHAPE (shape_damaged, "DAMAGED", NAME ("log"), UINT ("manifest"), UINT ("partition"), NAME ("kind"),
       PATH ("path"), PROBLEM ("reason"));
SHAPE (shape_BEAT, "BEAT", NAME ("node"), NAME ("kind"), UINT ("incarnation"), NAME ("cluster"),
       UINT_OR_NOT ("place"), NAME_OR_NOT ("endpoint"), UINT_OR_NOT ("mark"), UINT ("definitions"),
       RECORDS_OR_NOT ("partitions", shape_held), RECORDS_OR_NOT ("tasks", shape_task_progress),
       RECORDS_OR_NOT ("datasets", shape_dataset_held), RECORDS_OR_NOT ("damaged", shape_damaged),
       BOOL_OR_NOT ("stale_sample"), MAP_OR_NOT ("metrics"));

SHAPE (shape_order_control, NULL, NAME ("id"), NAME ("kind"), KEY_OR_NOT ("key"),
       INT_OR_NOT ("before"), BOOL_OR_NOT ("segment"));
SHAPE (shape_order_log, NULL, NAME ("log"), UINT ("base"),
       RECORDS ("controls", shape_order_control), UINTS_OR_NOT ("marks"));
SHAPE (shape_order_partition, NULL, UINT ("partition"), UINT ("epoch"),
       RECORDS ("logs", shape_order_log));
SHAPE (shape_erasure, "ERASURE", KEY ("key"), UINT ("offset"), INT ("before"));
SHAPE (shape_build, "BUILD", NAME ("log"), UINT ("partition"), UINT ("from"), UINT ("cut"),
       INT ("clock"), RECORDS ("runs", shape_run), UINTS ("excluded"), INT_OR_NOT ("latest"),
       RECORDS_OR_NOT ("forgets", shape_erasure));
SHAPE (shape_verify, "VERIFY", NAME ("log"), UINT ("partition"), UINT ("before_task"),
       RECORDS ("runs", shape_run), KEY ("key"), UINT ("offset"), INT ("before"));
SHAPE (shape_history_load, NULL, UINT ("offset"), UINT ("rows"));
SHAPE (shape_history, "HISTORY", UINT ("partition"), UINT ("first"), RECORDS ("runs", shape_run),
       UINTS ("excluded"), RECORDS ("loads", shape_history_load));
SHAPE (shape_load_task, "LOAD_TASK", NAME ("stream"), PATH_OR_EMPTY ("path"), NAME ("id"),
       NAME ("format"), BOOL ("skip"), INT ("clock"), NAME_OR_NOT ("ingest_time"), NAMES ("logs"));
SHAPE (shape_train, "TRAIN", NAME ("view"), UINT ("version"), NAMES ("features"), NAMES ("request"),
       BOOL ("known"), BOOL ("before"), INT_OR_NOT ("as_of"), UINT ("partition"),
       PATH_OR_EMPTY ("spine"), UINT ("rows"));
SHAPE (shape_train_source, "TRAIN_SOURCE", NAME ("log"), UINT ("position"),
       RECORDS ("runs", shape_run), UINTS ("excluded"));
SHAPE (shape_skew_part, "SKEW_PART", NAME ("log"), UINT ("manifest"), UINT ("removed"),
       UINT ("partition"), UINT ("cut"), RECORDS ("runs", shape_run), UINTS ("excluded"),
       UINTS ("loads"));
SHAPE (shape_skew_task, "SKEW_TASK", NAME ("name"), INT ("since"), PATH_OR_NOT ("training"));
SHAPE (shape_task, "TASK", UINT ("task"), UINT ("attempt"), NAME ("kind"), UINT ("definitions"),
       BOOL_OR_NOT ("urgent"), RECORD_OR_NOT ("build", shape_build),
       RECORD_OR_NOT ("load", shape_load_task), RECORDS_OR_NOT ("history", shape_history),
       RECORD_OR_NOT ("verify", shape_verify), RECORD_OR_NOT ("train", shape_train),
       RECORDS_OR_NOT ("sources", shape_train_source), RECORD_OR_NOT ("skew", shape_skew_task),
       RECORDS_OR_NOT ("parts", shape_skew_part));
SHAPE (shape_dataset_wanted, NULL, NAME ("log"), UINT ("manifest"), BOOL_OR_NOT ("filling"));
SHAPE (shape_skew_counts, NULL, UINT ("mismatches"), UINT ("alerts"));
SHAPE (shape_BEAT_OK, "ORDERS", UINT ("lease_us"), UINT ("definitions"), UINT ("routes"),
       UINT_OR_NOT ("term"), RECORDS_OR_NOT ("partitions", shape_order_partition),
       RECORDS_OR_NOT ("tasks", shape_task), RECORDS ("datasets", shape_dataset_wanted),
       RECORD_OR_NOT ("skew", shape_skew_counts));

SHAPE (shape_dataset_view, NULL, NAME ("view"), UINT ("version"), UINT ("plan"), PATH ("path"));
SHAPE (shape_dataset_layer, NULL, UINT ("cut"), UINT ("runs"), UINT ("views"));
SHAPE (shape_dataset_part, "DATASET_PART", UINT ("partition"), UINT ("cut"), INT ("clock"),
       RECORDS ("runs", shape_run), UINTS ("excluded"), RECORDS ("views", shape_dataset_view),
       RECORDS_OR_NOT ("layers", shape_dataset_layer), UINTS_OR_NOT ("absent"));
SHAPE (shape_DATASET, NULL, NAME ("log"));
SHAPE (shape_DATASET_OK, NULL, NAME ("log"), UINT ("manifest"), NAME ("id"),
       RECORDS ("partitions", shape_dataset_part), UINT_OR_NOT ("definitions"),
       NAMES_OR_NOT ("forgets"));

SHAPE (shape_built_view, NULL, NAME ("view"), UINT ("version"), UINT ("plan"), PATH ("path"),
       UINT ("size"));
SHAPE (shape_loaded, NULL, NAME ("log"), UINT ("partition"), RECORDS ("runs", shape_run));
SHAPE (shape_left_out, NULL, NAME ("view"), UINT_OR_NOT ("version"), PROBLEM ("reason"));
SHAPE (shape_skewed, "SKEWED", FIELD ("report", TEXT, 0, .bytes_max = REPORT_SIZE_MAX),
       UINT ("compared"), UINT ("mismatches"), UINT ("late"),
       FIELD ("alerts", TEXT, FIELD_LIST, .items_max = ALERTS_MAX, .bytes_max = PROBLEM_SIZE_MAX));
SHAPE (shape_outputs, "OUTPUTS", RECORDS_OR_NOT ("runs", shape_run),
       RECORDS_OR_NOT ("views", shape_built_view), RECORDS_OR_NOT ("loaded", shape_loaded),
       UINT_OR_NOT ("rows"), UINT_OR_NOT ("refused"), PATH_OR_NOT ("rejects"),
       UINTS_OR_NOT ("erased"), UINT_OR_NOT ("files"), PROBLEM_OR_NOT ("found"),
       INT_OR_NOT ("latest"), RECORDS_OR_NOT ("left_out", shape_left_out),
       RECORD_OR_NOT ("skew", shape_skewed));
SHAPE (shape_TASK_DONE, NULL, UINT ("task"), UINT ("attempt"), NAME ("status"),
       PROBLEM_OR_NOT ("error"), PATH_OR_NOT ("damaged"), RECORD_OR_NOT ("outputs", shape_outputs));
EMPTY (shape_TASK_DONE_OK);

static const record_t *const shapes[MESSAGE_KINDS] = {
#define X(name, word, access)                                                                      \
    [MESSAGE_##name] = &shape_##name, [MESSAGE_##name##_OK] = &shape_##name##_OK,
    MESSAGE_TABLE (X)
#undef X
        [MESSAGE_POKE] = &shape_POKE,
    [MESSAGE_ERROR] = &shape_ERROR,
};

static const char *const type_words[] = {
#define X(name, word) [SHAPE_##name] = word,
    SHAPE_TABLE (X)
#undef X
};

const record_t *shape_of (message_kind_t kind)
{
    CHECK (kind > MESSAGE_NONE && kind < MESSAGE_KINDS);
    return shapes[kind];
}

const char *shape_word (shape_type_t type)
{
    return type_words[type];
}
