/* weir restore - a data directory from a backup. */
#include "client/cli/command.h"
#include "client/cli/terminal.h"
#include "client/cli/work.h"
#include "client/cli/world.h"

#include "backup/backup.h"
#include "backup/listing.h"
#include "storage/posix_fs.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

static status_t go_on (void *arg, error_t *error)
{
    (void)arg;
    return interrupt_came ()
               ? error_set (error, STATUS_CANCELLED, "interrupted: nothing was restored")
               : STATUS_OK;
}

static status_t random_place (uint64_t *place, error_t *error)
{
    do {
        if (getrandom (place, sizeof *place, 0) != sizeof *place)
            return error_set_errno (error, errno, "cannot get random bytes");
    } while (*place == 0);
    return STATUS_OK;
}

static void print_done (const call_t *call, const char *directory, const listing_t *listing,
                        const backup_summary_t *summary)
{
    buf_t text;
    buf_init (&text, 256);
    format_bytes (&text, summary->bytes);
    if (call->json)
        printf ("{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"time\":%" PRId64
                ",\"partitions\":%" PRIu32 "}\n",
                summary->files, summary->bytes, summary->time, listing->cluster.partitions);
    else {
        printf ("%s: %" PRIu64 " files, %s, of the cluster %s (%" PRIu32 " partitions)\n",
                directory, summary->files, buf_string (&text), listing->cluster.name,
                listing->cluster.partitions);
        buf_clear (&text);
        format_time (&text, summary->time);
        printf ("it is of %s: what was sent after that is missing, and entities that were erased "
                "after that are there again (`weir forget`)\n",
                buf_string (&text));
    }
    buf_release (&text);
}

static status_t restore (world_t *world, const char *backup, const char *directory,
                         backup_summary_t *summary, listing_t **listing, error_t *error)
{
    uint64_t place = 0;
    backup_watch_t watch = { .progress = progress_bytes, .go_on = go_on };
    status_t status = posix_fs_refuse_network (directory, error);
    if (status == STATUS_OK)
        status = random_place (&place, error);
    if (status == STATUS_OK)
        status = listing_read (world->fs, world_path (world, backup), listing, error);
    if (status == STATUS_OK)
        status = backup_restore (world->fs, world_path (world, backup),
                                 world_path (world, directory), place, &watch, summary, error);
    return status;
}

static int run (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (call->words_count < 2 && !call_project (call))
        return EXIT_FAILED;
    const char *directory = call->words_count > 1 ? call->words[1] : call->project->data;
    backup_summary_t summary = { .begun = false };
    listing_t *listing = NULL;
    world_t world;
    error_t error;
    interrupt_waits ();
    status_t status = world_open (&world, &error);
    if (status == STATUS_OK)
        status = restore (&world, call->words[0], directory, &summary, &listing, &error);
    progress_end ();
    if (status != STATUS_OK && summary.begun)
        world_remove_empty (directory);
    if (status != STATUS_OK)
        world_explain (&world, &error);
    world_release (&world);
    if (status == STATUS_OK)
        print_done (call, directory, listing, &summary);
    listing_destroy (&listing);
    if (status == STATUS_OK)
        return EXIT_DONE;
    exit_status = call_failed (call, &error);
    return status == STATUS_CANCELLED ? EXIT_INTERRUPTED : exit_status;
}

const command_t command_restore = {
    .name = "restore",
    .group = "Keeping it safe",
    .operands = "BACKUP [DIR]",
    .purpose = "Makes a data directory of a backup",
    .details = "DIR must be empty or not there; without it, it is the project's data directory. "
               "Every file is verified while it is\ncopied. Nodes start on it as on any other; "
               "those that still run on the old directory are refused by its coordinator.\nWhat "
               "was acknowledged after the backup is not in it. What was forgotten, unloaded or "
               "deleted after it is there again,\nand so are entities that were being erased just "
               "then: `weir forgets` has those as failed. Erase them again.",
    .examples = "  weir restore /mnt/safe/monday\n  weir restore /mnt/safe/monday /srv/shop/data",
    .least = 1,
    .most = 2,
    .run = run,
};
