/* env.h - everything that a pure core may ask of the world.
 *
 * A core is driven by three calls of its own (each program's core.h): a message came, a job is
 * done, time passed. It never blocks, and it touches clock, randomness, network, threads and disk
 * only through this table. The shell (common/node) implements it with czmq, threads and the real
 * disk; the simulator (tests/sim) with one process, simulated time and faults.
 *
 * The owner of an env outlives the core. All calls are made from the core's own thread, except
 * clock_us, boot_us, and fs, which a job may use. */
#ifndef WEIR_BASE_ENV_H
#define WEIR_BASE_ENV_H

#include "base/fs.h"
#include "base/text.h"

#include <stdint.h>

enum { PEER_SIZE_MAX = 255 };

/* Who a message comes from or goes to. Either a node's endpoint as it announced it ("tcp://…",
 * "ipc://…"), or an opaque return address made by the transport for whoever connected to us. Copy
 * it freely. */
typedef struct peer {
    uint8_t size;     /* bytes used; 0 is nobody */
    uint8_t incoming; /* 1: a return address, good for replies while the asker is connected */
    uint8_t role; /* of an incoming message's sender, a peer_role_t (wire/roles.h); not compared */
    uint8_t connection; /* bytes of an incoming one that say which connection it came over; those
                           behind are the asker's own, who may choose them. 0: all; not compared */
    char bytes[PEER_SIZE_MAX];
} peer_t;

peer_t peer_of_endpoint (const char *endpoint); /* CHECKs that it fits */
bool peer_equal (const peer_t *a, const peer_t *b);
/* Did both come over the same connection? For who gives each its share. */
bool peer_same_connection (const peer_t *a, const peer_t *b);

/* Work that blocks or takes long, done off the event loop. The core embeds a job_t first in a
 * structure of its own, fills `run` and submits it. run() gets only what is in that structure: no
 * core state. When it has returned, the shell calls the core's job_done with the same pointer, on
 * the core's thread. Jobs with the same `lane` run one after the other in the order of submission;
 * lanes run concurrently. A core that is destroyed gets its finished jobs back by `discard`
 * instead. */
typedef struct job job_t;
struct job {
    void (*run) (job_t *job);
    void (*discard) (job_t *job); /* frees what the job owns, and the job */
    uint32_t lane;
    bool behind; /* nobody waits for it, nor for others of its lane: it leaves processors to others
                  */
    job_t *next; /* the shell's */
};

/* What the shell has counted: connections, refusals. */
typedef struct env_counter {
    const char *name; /* static storage */
    uint64_t value;
} env_counter_t;
enum { ENV_COUNTERS_MAX = 16 };

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } log_level_t;

typedef struct env env_t;
struct env {
    /* Wall clock, µs since 1970 UTC. May jump. For ingest times and default as-of only. */
    int64_t (*clock_us) (env_t *env);
    /* CLOCK_BOOTTIME: µs that never go back and that count suspended time. For leases, deadlines.
     */
    int64_t (*boot_us) (env_t *env);
    /* 64 random bits, unpredictable in production. */
    uint64_t (*random) (env_t *env);
    /* Sends one message. Never blocks; it may be lost, and the core must live with that. The bytes
     * are copied. */
    void (*send) (env_t *env, const peer_t *to, const void *data, size_t size);
    /* Takes the job until job_done or discard. */
    void (*submit) (env_t *env, job_t *job);
    /* One line to the node's log. */
    void (*log) (env_t *env, log_level_t level, const char *text);
    /* Fills `counters` for the node's metrics and says how many. NULL where there are no sockets.
     */
    size_t (*counters) (env_t *env, env_counter_t counters[ENV_COUNTERS_MAX]);
    fs_t *fs; /* rooted at the data directory */
};

/* env->log with formatting. */
void env_log (env_t *env, log_level_t level, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

#endif
