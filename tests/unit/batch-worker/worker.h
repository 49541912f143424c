/* worker.h - a batch worker on a simulated disk, its coordinator played by the test, and the events
 * that it ought to have counted. */
#ifndef WEIR_TESTS_BATCH_WORKER_H
#define WEIR_TESTS_BATCH_WORKER_H

#include "base/random.h"
#include "batch-worker/core.h"
#include "batch-worker/task.h"
#include "intake/logged.h"
#include "storage/run.h"
#include "tests/sim/disk/disk.h"

enum { PARTITIONS = 2, SENT_MAX = 64, JOBS_MAX = 16, EVENT_RUNS_MAX = 64, WORKER_USERS = 12 };

#define CLOCK INT64_C (1767225600000000) /* 2026-01-01 */

/* The definitions of the cluster: a stream and two views of it. */
#define WORKER_STREAM                                                                              \
    "streams:\n"                                                                                   \
    "  pay:\n"                                                                                     \
    "    key: user\n"                                                                              \
    "    time: ts\n"                                                                               \
    "    fields:\n"                                                                                \
    "      user: string\n"                                                                         \
    "      amount: float64\n"                                                                      \
    "      note: string\n"                                                                         \
    "      ts: {type: timestamp, unit: us}\n"
/* What the stream was before: the amount was int64, there was a field that was given up before the
 * first event that counts, and no note. */
#define WORKER_STREAM_BEFORE                                                                       \
    "streams:\n"                                                                                   \
    "  pay:\n"                                                                                     \
    "    key: user\n"                                                                              \
    "    time: ts\n"                                                                               \
    "    fields:\n"                                                                                \
    "      user: string\n"                                                                         \
    "      amount: int64\n"                                                                        \
    "      junk: bool\n"                                                                           \
    "      ts: {type: timestamp, unit: us}\n"
#define WORKER_FIELDS                                                                              \
    "next 6\n0 string nullable user user\n1 float64 nullable amount amount\n"                      \
    "5 string nullable note note\n3 timestamp time ts ts\n"
#define WORKER_SPEND                                                                               \
    "views:\n"                                                                                     \
    "  spend:\n"                                                                                   \
    "    from: pay\n"                                                                              \
    "    key: user\n"                                                                              \
    "    features:\n"                                                                              \
    "      n: count() over 1h, 1d, lifetime\n"                                                     \
    "      total: sum(amount) over 1h, 7d\n"                                                       \
    "      most: max(amount) over 1d\n"                                                            \
    "      note: last(note) over lifetime\n"
#define WORKER_LARGE                                                                               \
    "views:\n"                                                                                     \
    "  large:\n"                                                                                   \
    "    from: pay\n"                                                                              \
    "    key: user\n"                                                                              \
    "    where: amount > 0\n"                                                                      \
    "    features:\n"                                                                              \
    "      mean: mean(amount) over 1d, lifetime\n"

typedef struct event {
    int user; /* -1: null */
    bool has_amount;
    double amount;
    int64_t time; /* µs */
    uint32_t partition;
    uint64_t offset;
    uint32_t row;
    int load;    /* -1: sent */
    bool before; /* under WORKER_STREAM_BEFORE: the amount is whole, there is no note */
} event_t;

#define WORKER_RESERVE (UINT64_C (8) << 20) /* bytes */

/* Outputs of a task, copied from its report. */
typedef struct outputs {
    char status[32];
    char error[1024];
    struct output_run {
        char path[128];
        uint64_t size, rows, offset;
        uint32_t partition;
    } runs[EVENT_RUNS_MAX];
    size_t runs_count;
    struct output_view {
        char view[64];
        char path[128];
        uint64_t plan, size;
    } views[4];
    size_t views_count;
    uint64_t rows, refused;
    int64_t latest;
    char rejects[128];
    char damaged[128];
    char left_out[64]; /* the first view */
    char why[256];
} outputs_t;

/* Which definitions are in force. */
typedef enum era { ERA_PLAIN, ERA_BEFORE, ERA_AFTER } era_t;

typedef struct worker {
    env_t env; /* first */
    era_t era;
    sim_disk_t *disk;
    fs_t *fs; /* of the test; the worker's is env.fs */
    random_t random;
    int64_t boot;
    arena_t *arena;
    definitions_t *definitions;
    const stream_t *stream;
    keyed_log_t keyed; /* of the stream's own key */
    batch_core_t *core;
    peer_t coordinator;
    job_t *jobs[JOBS_MAX]; /* submitted, not run */
    size_t jobs_count;
    struct sent {
        void *data;
        size_t size;
    } sent[SENT_MAX]; /* to the coordinator, not looked at */
    size_t sent_count;
    wire_writer_t *writer;
    wire_decoder_t *decoder;
    uint64_t next_task;

    event_t *events;
    size_t events_count;
    uint64_t end[PARTITIONS]; /* of the logs */
    uint64_t epoch[PARTITIONS];
} worker_t;

void worker_init (worker_t *self, uint64_t seed, uint64_t memory_limit);
void worker_release (worker_t *self);
/* Another process with the same disk. */
void worker_restart (worker_t *self, uint64_t memory_limit);
/* Another one whose loads have so many threads, on a disk that they may share: the simulated one is
 * for one thread. */
void worker_restart_on (worker_t *self, fs_t *fs, uint64_t memory_limit, unsigned threads);

/* ---- playing the coordinator ---- */

/* Lets the worker beat, and answers with these tasks: `count` open maps are written by `put`. */
typedef void put_tasks_fn (worker_t *self, wire_writer_t *writer, const void *arg);
void worker_order (worker_t *self, put_tasks_fn *put, const void *arg);
/* Runs the jobs that were submitted. */
void worker_run (worker_t *self);
/* The latest task.done not looked at yet; false when there is none. `acknowledge` answers it. */
bool worker_reported (worker_t *self, uint64_t *task, outputs_t *outputs, bool acknowledge);
void worker_forget_sent (worker_t *self);

typedef struct load_wish {
    uint64_t task;
    uint64_t attempt;
    const char *path;
    const char *id;
    const char *format;
    bool skip;
    const char *const *other_logs; /* besides that of the stream's own key */
    size_t other_logs_count;
} load_wish_t;

typedef struct build_wish {
    uint64_t task;
    uint64_t attempt;
    uint32_t partition;
    uint64_t from, cut;
    int64_t clock;
    const int64_t *latest; /* of what stays below the delta; NULL: a base */
    const struct output_run *runs;
    size_t runs_count;
    const uint64_t *excluded;
    size_t excluded_count;
    bool fold; /* nobody waits for it */
} build_wish_t;

void put_load (worker_t *self, wire_writer_t *writer, const void *arg);  /* a load_wish_t */
void put_build (worker_t *self, wire_writer_t *writer, const void *arg); /* a build_wish_t */
void put_nothing (worker_t *self, wire_writer_t *writer, const void *arg);

/* Orders one task, runs it and takes the report. */
outputs_t worker_load (worker_t *self, const load_wish_t *wish);
outputs_t worker_build (worker_t *self, const build_wish_t *wish);

/* ---- events ---- */

/* Events as a batch with keys, in the arena. */
batch_t worker_batch (worker_t *self, const event_t *const *events, size_t count);
/* Appends `count` random events to the logs of their partitions. */
void worker_send (worker_t *self, size_t count);
/* Makes a file of random events of load number `load`. */
void worker_file (worker_t *self, const char *path, text_format_t format, size_t count, int load);
/* Appends a control record; returns its offset. The events of that load (not -1) get it. */
uint64_t worker_control (worker_t *self, uint32_t partition, log_kind_t kind, int load);
void worker_write (worker_t *self, const char *path, text_t text);
/* The bytes of a file, in the arena. */
text_t worker_read (worker_t *self, const char *path);

/* Holds a view file against all events below `cut` but those of the excluded load (-1: none), at
 * many as-ofs. */
void worker_expect_view (worker_t *self, const struct output_view *view, uint32_t partition,
                         uint64_t cut, int64_t clock, int excluded_load);

#endif
