/* backup.h - a copy of a cluster's data directory, taken while it runs, and a directory made from
 * one (docs/backup.md says why it is consistent).
 *
 * A backup is a directory: BACKUP, which lists every file with size and hash, and the files in
 * data/, laid out as in a data directory. BACKUP is written last: without it there is no backup.
 * Paths are below `fs`, which holds both; it may be the root of all. */
#ifndef WEIR_BACKUP_BACKUP_H
#define WEIR_BACKUP_BACKUP_H

#include "base/fs.h"

#define BACKUP_FILE       "BACKUP"
#define BACKUP_UNFINISHED "UNFINISHED"

/* How long work is told of and stopped. Any may be NULL. */
typedef struct backup_watch {
    /* Called often. `done` and `total` are bytes. */
    void (*progress) (void *arg, const char *path, uint64_t done, uint64_t total);
    /* Called often: anything but OK ends the work with that, and what was made is removed. */
    status_t (*go_on) (void *arg, error_t *error);
    /* Nothing of the data directory is needed any more: what follows reads the backup alone.
     * Anything but OK, as when it is not known that all was held until now, ends the work with
     * that. */
    status_t (*taken) (void *arg, error_t *error);
    void *arg;
} backup_watch_t;

typedef struct backup_order {
    fs_t *fs;
    const char *data;    /* the data directory */
    const char *catalog; /* below it: the catalog, or a copy of it that the coordinator made */
    const char *target;  /* the backup's directory: empty, not there, or left unfinished */
    const char *base;    /* an earlier backup, to share files with by links; or NULL */
    bool copy;           /* no links: everything is copied */
    int64_t time;        /* µs, when it was begun */
    backup_watch_t watch;
} backup_order_t;

typedef struct backup_summary {
    bool begun; /* the directory was found empty, or unfinished, and taken into use: when it fails,
                   empty directories are all that is left of it. Else nothing there was touched. */
    uint64_t files;
    uint64_t bytes;
    uint64_t copied; /* bytes of these; the others are shared with the directory, or the base */
    uint64_t events;
    int64_t time;
} backup_summary_t;

/* Takes a backup and verifies it. EXISTS for a target that is in use; BUSY for one that another
 * call writes into; INVALID for a base of another cluster; CORRUPT, naming the file, when something
 * damaged would go into it; NOT_FOUND (and to be tried again) when a file went meanwhile. On
 * failure nothing stays that looks like a backup. */
MUST_CHECK status_t backup_make (const backup_order_t *order, backup_summary_t *summary,
                                 error_t *error);

/* Reads all of a backup: sizes, hashes, and everything that fsck looks at. CORRUPT, naming the
 * file; NOT_FOUND when there is no backup. */
MUST_CHECK status_t backup_verify (fs_t *fs, const char *directory, const backup_watch_t *watch,
                                   backup_summary_t *summary, error_t *error);

/* Makes a data directory of a backup. Every file is verified while it is copied. `place` (not 0)
 * is the mark of the new directory: nodes that work on another one are refused by its coordinator.
 * EXISTS unless the directory is empty, not there, or left by a restore that was not finished; BUSY
 * when one is under way. When it fails, what it made is removed. */
MUST_CHECK status_t backup_restore (fs_t *fs, const char *backup, const char *data, uint64_t place,
                                    const backup_watch_t *watch, backup_summary_t *summary,
                                    error_t *error);

#endif
