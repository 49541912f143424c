#include "tests/unit/backup/house.h"

#include "base/fs_below.h"
#include "fsck/fsck.h"
#include "tests/unit/fsck/stored.h"

#include <criterion/criterion.h>

error_t error;

house_t house_new (uint64_t seed)
{
    house_t self = { .disk = sim_disk_new (seed, 0) };
    self.fs = sim_disk_fs (self.disk);
    self.data = fs_below_new (self.fs, "data");
    random_seed (&self.random, seed);
    OK (fs_make_dir (self.fs, "data", &error));
    stored_build (self.data, seed);
    sim_disk_settle (self.disk);
    return self;
}

void house_release (house_t *self)
{
    fs_below_destroy (&self->data);
    cr_assert_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
}

backup_order_t order_of (const house_t *self, const char *target)
{
    return (backup_order_t){ .fs = self->fs,
                             .data = "data",
                             .catalog = "catalog.db",
                             .target = target,
                             .time = STORED_CLOCK };
}

static void found (void *arg, const fsck_finding_t *finding)
{
    (void)arg;
    cr_assert_eq (finding->kind, FSCK_ORPHAN, "%s: %s", finding->path, finding->what);
}

void expect_whole (fs_t *fs, const char *directory)
{
    fs_t *below = fs_below_new (fs, directory);
    fsck_options_t options = { .found = found };
    fsck_summary_t summary;
    OK (fsck_run (below, &options, &summary, &error));
    fs_below_destroy (&below);
}
