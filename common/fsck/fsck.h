/* fsck.h - is a data directory whole? Every file that the catalog names and every log, each block
 * of them, and what they say of one another.
 *
 * What is told names one file: the one that is damaged, never one that only suffers from it. */
#ifndef WEIR_FSCK_FSCK_H
#define WEIR_FSCK_FSCK_H

#include "base/fs.h"
#include "fsck/inventory.h"
#include "storage/cluster_file.h"

/* name, word */
#define FSCK_TABLE(X)                                                                              \
    X (DAMAGED, "damaged")     /* bytes of it fail a check, or cannot be read */                   \
    X (MISSING, "missing")     /* it ought to be there */                                          \
    X (DISAGREES, "disagrees") /* it is whole, but not what others say that it is */               \
    X (ORPHAN, "orphan")       /* nobody needs it: no damage */

typedef enum fsck_kind {
#define X(name, word) FSCK_##name,
    FSCK_TABLE (X)
#undef X
} fsck_kind_t;

const char *fsck_kind_word (fsck_kind_t kind);

typedef struct fsck_finding {
    fsck_kind_t kind;
    const char *path; /* below the data directory */
    bool has_place;   /* these two are told: */
    uint64_t byte;
    uint64_t bytes;     /* 0: to the end, or not known */
    const char *log;    /* whose data it is, or "" */
    uint32_t partition; /* when there is a log */
    const char *what;   /* a sentence: what is wrong */
    const char *holds;  /* what of the data it held, as far as known; "" */
    const char *remedy; /* what can be done */
    bool repaired;      /* it was removed, so that it is made again, or because nobody needs it */
} fsck_finding_t;

typedef struct fsck_options {
    bool live;     /* nodes run: no orphans, no repair, and what is being written is let be */
    bool snapshot; /* it is the copy of a running cluster, whose logs may be ahead of its catalog */
    bool repair;   /* removes damaged batch views, and orphans that are not part of a log */
    /* Each is borrowed for the call; NULL for none. */
    void (*found) (void *arg, const fsck_finding_t *finding);
    void (*progress) (void *arg, const char *path, uint64_t done, uint64_t total); /* bytes */
    void (*log) (void *arg, const char *log, uint32_t partition, uint64_t start, uint64_t end);
    void *arg;
} fsck_options_t;

typedef struct fsck_summary {
    uint64_t files;
    uint64_t bytes;
    uint64_t events; /* in runs and logs */
    uint64_t wrong;  /* findings that are damage, repaired ones included */
    uint64_t orphans;
    uint64_t repaired;
} fsck_summary_t;

/* Looks at all of the directory that `fs` is rooted at. OK also when things were found; fails when
 * it cannot be looked at at all: no `cluster` file, a catalog that cannot be read. In that case
 * what could be looked at without it was. */
MUST_CHECK status_t fsck_run (fs_t *fs, const fsck_options_t *options, fsck_summary_t *summary,
                              error_t *error);

/* Is there a file of that name? */
bool fsck_file_exists (fs_t *fs, const char *path);

#endif
