/* node.h - the shell around a pure core: command line, project, data directory, sockets, threads,
 * clock and log. A program's main.c says which core it is (see README.md). */
#ifndef WEIR_NODE_NODE_H
#define WEIR_NODE_NODE_H

#include "base/env.h"
#include "base/status.h"
#include "feature/project.h"

/* name, word in the protocol and in names of nodes */
#define NODE_TABLE(X)                                                                              \
    X (COORDINATOR, "coordinator")                                                                 \
    X (SPEED_WORKER, "speed-worker")                                                               \
    X (BATCH_WORKER, "batch-worker")                                                               \
    X (SERVING, "serving")

typedef enum node_kind {
#define X(name, word) NODE_##name,
    NODE_TABLE (X)
#undef X
} node_kind_t;

const char *node_kind_word (node_kind_t kind);

/* What a core is made from. Valid until the core is destroyed. */
typedef struct node {
    env_t *env;
    const project_t *project;
    const char *name;     /* unique in the cluster */
    const char *cluster;  /* its name */
    uint64_t cluster_id;  /* random, the same for all nodes on this data directory; never 0 */
    uint64_t place;       /* of the directory itself: a restored one has another; 0: not known */
    const char *endpoint; /* where others reach this node; "" when it does not listen */
    peer_t coordinator;
    const peer_t *standbys; /* the other coordinators of the project */
    size_t standbys_count;
} node_t;

/* The calls of a core, as each program's core.h describes them. */
typedef struct node_core {
    void (*receive) (void *core, const peer_t *from, const void *data, size_t size);
    void (*job_done) (void *core, job_t *job);
    int64_t (*tick) (void *core); /* called after every batch of messages and jobs, and when due */
    void (*destroy) (void *core);
} node_core_t;

/* Defines `prefix_node_core` for the calls prefix_core_receive and so on. */
#define NODE_CORE(prefix)                                                                          \
    static void prefix##_node_receive (void *core, const peer_t *from, const void *data,           \
                                       size_t size)                                                \
    {                                                                                              \
        prefix##_core_receive (core, from, data, size);                                            \
    }                                                                                              \
    static void prefix##_node_job_done (void *core, job_t *job)                                    \
    {                                                                                              \
        prefix##_core_job_done (core, job);                                                        \
    }                                                                                              \
    static int64_t prefix##_node_tick (void *core)                                                 \
    {                                                                                              \
        return prefix##_core_tick (core);                                                          \
    }                                                                                              \
    static void prefix##_node_destroy (void *core)                                                 \
    {                                                                                              \
        prefix##_core_t *self = core;                                                              \
        prefix##_core_destroy (&self);                                                             \
    }                                                                                              \
    static const node_core_t prefix##_node_core = { prefix##_node_receive, prefix##_node_job_done, \
                                                    prefix##_node_tick, prefix##_node_destroy }

typedef struct node_program {
    node_kind_t kind;
    const char *purpose; /* a sentence for --help */
    const node_core_t *core;
    /* Makes the core; it may block, and send and submit already. BUSY: not before another process
     * has let go of something; it is called again until then, or until a signal stops the node. */
    status_t (*make) (const node_t *node, void **core, error_t *error);
    void (*stop) (void *core); /* NULL: its jobs are short; else has those under way end soon */
    unsigned threads;          /* that run jobs; 1 to 64 */
} node_program_t;

/* The command line, see --help. NULL is the default. */
typedef struct node_options {
    const char *directory; /* of the project; "." */
    const char *name;      /* <kind>-1, or coordinator (then coordinator-2 and so on) */
    const char *listen;    /* what weir.yaml says for the kind and the number in the name */
    const char *data;      /* what weir.yaml says */
    const char *key;       /* <name>.secret in the directory of keys, or node.secret there */
    log_level_t log_level;
} node_options_t;

/* Fills `options` from the command line, whose strings it borrows. Ends the program for --help and
 * --version (status 0) and for wrong usage (status 2, after a line that says what is wrong). */
void node_parse (const node_program_t *program, int argc, char **argv, node_options_t *options);

/* Runs the node until SIGINT or SIGTERM, which the calling thread must not have ignored. On these
 * it waits for the jobs that are running, destroys the core and returns OK; a second signal ends
 * the process at once, which does no more harm than a crash. Changes the process's signal mask,
 * ignores SIGPIPE and raises the limit of open files. */
MUST_CHECK status_t node_run (const node_program_t *program, const node_options_t *options,
                              error_t *error);

/* A program's main: node_parse and node_run; the error is printed. Returns the exit status, 0 or 1.
 */
int node_main (const node_program_t *program, int argc, char **argv);

#endif
