/* run_check.h - a run looked at whole, over what is damaged: for weir fsck and backups. */
#ifndef WEIR_STORAGE_RUN_CHECK_H
#define WEIR_STORAGE_RUN_CHECK_H

#include "storage/run.h"

/* A block that cannot be read, and what the index says that it holds. Borrowed for the call. */
typedef struct run_damage {
    status_t status;
    uint64_t byte;
    uint32_t bytes;
    const char *what;
    uint64_t rows;
    text_t first_key; /* encoded */
    text_t last_key;
    int64_t min_time; /* µs, event time */
    int64_t max_time;
    uint64_t min_offset; /* as written */
    uint64_t max_offset;
} run_damage_t;

typedef struct run_watch {
    void (*damage) (void *arg, const run_damage_t *damage);
    /* `bytes` more have been read. */
    void (*progress) (void *arg, uint64_t bytes);
    void *arg;
} run_watch_t;

/* As run_verify, but every block is looked at, and each damaged one told. True when there is none.
 */
bool run_check (const run_t *run, const run_watch_t *watch);

#endif
