/* fsck_state.h - the inside of fsck, for this library's own files only. */
#ifndef WEIR_FSCK_FSCK_STATE_H
#define WEIR_FSCK_FSCK_STATE_H

#include "fsck/fsck.h"
#include "storage/log_check.h"

/* A control record of a log. */
typedef struct found_control {
    char id[64];
    uint64_t offset;
} found_control_t;

/* What a partition's log turned out to hold. */
typedef struct found_log {
    const stored_log_t *log;
    uint32_t partition;
    log_extent_t extent;
    uint64_t *marks; /* of a re-keyed log: per partition of the primary */
    bool has_marks;  /* they are told by a cut or a record that is there */
    found_control_t *controls;
    size_t controls_count;
} found_log_t;

typedef struct fsck {
    fs_t *fs;
    const fsck_options_t *options;
    fsck_summary_t *summary;
    cluster_file_t cluster;
    catalog_t *catalog;
    inventory_t *inventory;
    found_log_t *found; /* per log and partition */
    uint64_t done;      /* bytes, of `total` */
    uint64_t total;
    bool catalog_behind; /* it is older than the logs: what it says of files proves little */
} fsck_t;

/* Tells a finding and counts it; with `repair`, removes the file when `removable`. */
void fsck_tell (fsck_t *self, fsck_finding_t finding, bool removable);
void fsck_progress (fsck_t *self, const char *path, uint64_t bytes);

/* ---- fsck_files.c ---- */
void fsck_files (fsck_t *self);

/* ---- fsck_logs.c ---- */
void fsck_logs (fsck_t *self);
void fsck_logs_release (fsck_t *self);

/* ---- fsck_orphans.c ---- */
void fsck_orphans (fsck_t *self);

#endif
