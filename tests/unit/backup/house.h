/* house.h - a stopped cluster on a disk that can fail, and what its backups must be. */
#ifndef WEIR_TEST_BACKUP_HOUSE_H
#define WEIR_TEST_BACKUP_HOUSE_H

#include "backup/backup.h"
#include "base/random.h"
#include "tests/sim/disk/disk.h"

/* Why the latest call failed, of those that the tests make. */
extern error_t error;

#define OK(call) cr_assert_eq ((call), STATUS_OK, "%s", error.text)

/* A stopped cluster in data/ of a disk. */
typedef struct house {
    sim_disk_t *disk;
    fs_t *fs;
    fs_t *data;
    random_t random;
} house_t;

house_t house_new (uint64_t seed);
void house_release (house_t *self);

/* An order for a backup of it. */
backup_order_t order_of (const house_t *self, const char *target);

/* Nothing in the directory is damaged; there may be files that nothing needs. */
void expect_whole (fs_t *fs, const char *directory);

#endif
