/* project.h - a project's directory: weir.yaml and the files of definitions.
 *
 * Read with plain stdio by clients and by the shells of nodes, never by a core. */
#ifndef WEIR_FEATURE_PROJECT_H
#define WEIR_FEATURE_PROJECT_H

#include "feature/definition.h"

#define PROJECT_FILE  "weir.yaml"
#define PROJECT_NEVER INT64_C (0) /* of batch_every */

enum {
    PARTITIONS_MAX = 1024,
    PROJECT_NODES_MAX = 64, /* of one kind */
    PROJECT_COORDINATORS_MAX = 8,
    PROJECT_FILES_MAX = 256,
};

/* HTTP on serving nodes: docs/http.md. */
typedef struct project_http {
    const char **serving;    /* "host:port" of the first serving node, of the second, … */
    size_t serving_count;    /* 0: none speaks HTTP */
    const char *certificate; /* files, as `data` is: PEM; NULL: no TLS */
    const char *private_key;
    const char *tokens; /* file of bearer tokens; NULL: none is asked for */
    const char *key;    /* NAME.secret in the directory of keys is what asks; NULL: no security */
} project_http_t;

/* The watch over serving and training: docs/skew.md. */
typedef struct project_skew {
    double sample;    /* share of the keys whose answers are kept; 0: none */
    int64_t keep;     /* µs */
    uint64_t size;    /* bytes, of each serving node */
    double psi;       /* above these an alert is raised */
    double ks;        /* */
    double null_rate; /* of the difference, either way */
} project_skew_t;

typedef struct project {
    arena_t *arena;        /* owns everything below */
    const char *directory; /* as given to project_read */
    const char *cluster;
    const char *name;
    const char *data; /* the data directory: absolute, or below `directory` joined with it */
    uint32_t partitions;
    const char *coordinator;   /* endpoints: tcp://host:port or ipc://path; the first of the next */
    const char **coordinators; /* of which one leads and the others stand by */
    size_t coordinators_count; /* at least 1, PROJECT_COORDINATORS_MAX at most */
    const char **serving;
    size_t serving_count; /* at least 1 */
    const char **speed_workers;
    size_t speed_workers_count; /* at least 1 */
    uint32_t batch_workers;     /* they connect, and have no endpoint */
    int64_t batch_every;        /* µs between recomputes, or PROJECT_NEVER */
    int64_t batch_nice;         /* of what is not urgent: scheduling_behind (base/scheduling.h) */
    int64_t max_ahead;          /* µs: events further ahead of the clock are refused */
    int64_t lease;              /* µs */
    uint64_t speed_memory;      /* bytes */
    uint64_t batch_memory;      /* bytes */
    const char *keys;           /* the directory of keys, as `data` is; NULL: no security */
    bool open;                  /* may listen beyond this machine without keys */
    project_http_t http;
    project_skew_t skew;
    uint64_t serving_memory;  /* bytes */
    uint64_t disk_reserve;    /* bytes that are to stay free where the data is */
    definition_file_t *files; /* in the order of names; names relative to `directory` */
    size_t files_count;
    const char *const *patterns; /* of those files, relative to `directory` */
    size_t patterns_count;
    bool patterns_given; /* false: the default, which need not match anything */
} project_t;

/* Reads `directory`/weir.yaml and the files of definitions that it names (their bytes, not what
 * they mean: that is definitions_read). NOT_FOUND when there is no weir.yaml; otherwise `error`
 * lists up to 20 mistakes, file:line:column each. */
MUST_CHECK status_t project_read (const char *directory, project_t **project, error_t *error);
void project_destroy (project_t **self_p);

/* The settings alone, from the bytes of a weir.yaml: no file is touched, and `files` stays empty.
 */
MUST_CHECK status_t project_parse (const char *directory, text_t text, project_t **project,
                                   error_t *error);

#endif
