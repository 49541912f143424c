/* disk.h - a disk in memory that fails the way disks do.
 *
 * It keeps, for every file, what is durable and the writes made since the last fs_sync, and for
 * every directory the durable names and the changes since the last fs_sync_dir. While all is well
 * it behaves like a filesystem. sim_disk_crash is a power cut:
 *   - of the unsynced writes to a file, each 512-byte sector holds what it held after some number
 *     of them (none, some or all, chosen per sector), and the file's size is anything between the
 *     durable size and the last one, the gap read as zeros;
 *   - of the unsynced names, each creation, rename and removal has happened or has not; a rename
 *     within a directory is one change.
 * A lock (fs_lock) goes when its handle is closed, as whoever stages the death of a process does
 * with all that it had open. Everything that it does at random comes from its seed or from the
 * generator passed in, so a run can be repeated. It is used from one thread. */
#ifndef WEIR_SIM_DISK_H
#define WEIR_SIM_DISK_H

#include "base/fs.h"
#include "base/random.h"

enum { SIM_DISK_SECTOR = 512 };

#define SIM_DISK_NEVER UINT64_MAX

typedef struct sim_disk sim_disk_t;

/* Chances, 0 to 1, per call. All 0 at first. */
typedef struct sim_disk_faults {
    double read_error;  /* read, size, map and list: IO */
    double write_error; /* write and truncate: IO, and any part of the write may have been done */
    double no_space;    /* write, and open that creates: NO_SPACE */
    double name_error;  /* open, rename, remove, make_dir and sync_dir: IO */
    double sync_error;  /* sync: IO. Each unsynced write is then durable or lost for good, while
                           reads go on showing all of them until a crash, as Linux does */
    double bit_flip;    /* read and map: one bit of what is returned is wrong, this time only */
} sim_disk_faults_t;

/* An empty disk of `capacity` bytes (0: 1 TiB). */
sim_disk_t *sim_disk_new (uint64_t seed, uint64_t capacity);

/* Every file must be closed and every map unmapped. */
void sim_disk_destroy (sim_disk_t **self_p);

/* The disk as a filesystem; it lives as long as the disk. The root directory is ".". */
fs_t *sim_disk_fs (sim_disk_t *self);

/* The same files through another fs, for a process with a crash point of its own. It lives until
 * the disk is destroyed. */
fs_t *sim_disk_mount (sim_disk_t *self);

/* Faults from now on, on every mount. */
void sim_disk_set_faults (sim_disk_t *self, const sim_disk_faults_t *faults);

/* After `calls` more calls through `fs`, every call that can fail fails with IO and does nothing:
 * the process has died there. SIM_DISK_NEVER takes this back. */
void sim_disk_fail_after (fs_t *fs, uint64_t calls);

/* After `calls` more calls through `fs`, the process is stopped before it makes the next: `stop` is
 * called, once, and the call goes on when that returns. Meanwhile others may do to the disk what
 * they like, through mounts of their own. */
void sim_disk_stop_after (fs_t *fs, uint64_t calls, void (*stop) (void *arg), void *arg);

/* Calls that can fail made through `fs` so far: the number of its possible crash points. */
uint64_t sim_disk_calls (const fs_t *fs);

/* A power cut, and power again: see above. Open files are stale afterwards: every call on them
 * fails with IO, and they must still be closed. Maps keep what they held. Crash points are taken
 * back, faults stay. */
void sim_disk_crash (sim_disk_t *self, random_t *random);

/* Makes everything durable as it is, as if all had been synced. */
void sim_disk_settle (sim_disk_t *self);

/* Inverts one bit of a file for good, in what is read now and in what is durable: rot. The file
 * must exist and be longer than `bit / 8`. */
void sim_disk_rot (sim_disk_t *self, const char *path, uint64_t bit);

/* Inverts one bit of the file, which must exist, wherever it is mapped now, and nowhere else. */
void sim_disk_rot_mapped (sim_disk_t *self, const char *path, uint64_t bit);

/* Would a power cut leave the file its name? */
bool sim_disk_name_is_durable (sim_disk_t *self, const char *path);

/* Bytes of a file that are durable: those that rot stays in whatever happens. 0 for no file. */
uint64_t sim_disk_durable_size (sim_disk_t *self, const char *path);

/* While `hidden`, files read as if nothing had rotted, and there is room as at first: for somebody
 * who looks from outside. Calls do not nest. */
void sim_disk_hide (sim_disk_t *self, bool hidden);

/* Takes all rot back where the file still has it, and gives all room. */
void sim_disk_mend (sim_disk_t *self);

/* From now on there is room for `bytes` more than are in use, or as at first (SIM_DISK_NEVER). */
void sim_disk_set_room (sim_disk_t *self, uint64_t bytes);

/* Files open through any mount: 0 when nobody forgot one. */
uint64_t sim_disk_open_files (const sim_disk_t *self);

#endif
