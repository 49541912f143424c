/* weir backup - a consistent copy of a cluster's data, taken while it runs. */
#include "client/cli/command.h"
#include "client/cli/data_place.h"
#include "client/cli/terminal.h"
#include "client/cli/world.h"

#include "backup/backup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum {
    ATTEMPTS = 5,        /* when the coordinator, or a file, goes away meanwhile */
    BEGIN_MS = 60000,    /* for a coordinator that is busy or just starting */
    BEGIN_WAIT_MS = 200, /* between two tries */
    RENEW_MS = 2000,
};

typedef struct taking {
    call_t *call;
    world_t world;
    backup_order_t order;
    uint64_t id;     /* of the coordinator's pin; 0: none, no node runs */
    int64_t renewed; /* ms */
    bool lost;       /* the coordinator does not know of it any more */
    char catalog[512];
} taking_t;

/* ---- the coordinator's side ---- */

static status_t begin (taking_t *self, error_t *error)
{
    int64_t give_up = monotonic_ms () + BEGIN_MS;
    for (;;) {
        message_t reply;
        status_t status = client_backup (self->call->weir, 0, false, &reply, error);
        if (status == STATUS_OK) {
            self->id = wire_uint (reply.body, "id", 0);
            wire_copy (reply.body, "catalog", self->catalog, sizeof self->catalog);
            self->renewed = monotonic_ms ();
            self->lost = false;
            return STATUS_OK;
        }
        bool passes =
            status == STATUS_BUSY || status == STATUS_UNAVAILABLE || status == STATUS_TIMEOUT;
        if (!passes || interrupt_came () || monotonic_ms () > give_up)
            return status;
        progress ("waiting for the coordinator: %s", error->text);
        wait_ms (BEGIN_WAIT_MS);
    }
}

static status_t go_on (void *arg, error_t *error)
{
    taking_t *self = arg;
    message_t reply;
    error_t ignored;
    if (interrupt_came ())
        return error_set (error, STATUS_CANCELLED, "interrupted: there is no backup in %s",
                          self->call->words[0]);
    if (self->id == 0 || monotonic_ms () - self->renewed < RENEW_MS)
        return STATUS_OK;
    /* One that does not answer just now has not given it up yet. */
    self->renewed = monotonic_ms ();
    self->lost =
        client_backup (self->call->weir, self->id, false, &reply, &ignored) == STATUS_NOT_FOUND;
    return self->lost ? error_set (error, STATUS_STALE, "%s", ignored.text) : STATUS_OK;
}

static void end_pin (taking_t *self)
{
    message_t reply;
    error_t ignored;
    if (self->id != 0 && !self->lost) /* else it runs out by itself */
        (void)!client_backup (self->call->weir, self->id, true, &reply, &ignored);
    self->id = 0;
}

/* Was all held until now? Files and segments may have gone since it was last renewed, if another
 * coordinator leads: what was copied may then not belong together. */
static status_t taken (void *arg, error_t *error)
{
    taking_t *self = arg;
    message_t reply;
    error_t why;
    if (self->id == 0)
        return STATUS_OK;
    self->lost = client_backup (self->call->weir, self->id, false, &reply, &why) != STATUS_OK;
    if (self->lost)
        return error_set (error, STATUS_STALE, "%s", why.text);
    end_pin (self);
    return STATUS_OK;
}

/* ---- taking it ---- */

static status_t take (taking_t *self, backup_summary_t *summary, error_t *error)
{
    status_t status = STATUS_STALE;
    for (int i = 0; i < ATTEMPTS; i++) {
        status = begin (self, error);
        if (status != STATUS_OK)
            return status;
        self->order.catalog = self->catalog;
        status = backup_make (&self->order, summary, error);
        end_pin (self);
        if (status != STATUS_STALE && status != STATUS_NOT_FOUND)
            return status;
    }
    return status;
}

/* Of a directory that no node works on, and none can begin to meanwhile. */
static status_t take_stopped (taking_t *self, backup_summary_t *summary, bool *running,
                              error_t *error)
{
    data_place_t place;
    status_t status = data_place_open (&place, self->call->project->data, error);
    if (status != STATUS_OK)
        return status;
    *running = place.running;
    self->order.catalog = "catalog.db";
    if (!place.running)
        status = backup_make (&self->order, summary, error);
    data_place_release (&place);
    return status;
}

/* Does the coordinator answer? Asked before any lock is touched, which a node that starts wants. */
static bool answers (call_t *call)
{
    message_t reply;
    error_t ignored;
    return client_status (call->weir, &reply, &ignored) == STATUS_OK ||
           !client_unreachable (call->weir);
}

static void print_done (const call_t *call, const backup_summary_t *summary, bool verified)
{
    buf_t text;
    buf_init (&text, 256);
    if (call->json) {
        printf ("{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"copied\":%" PRIu64
                ",\"events\":%" PRIu64 ",\"time\":%" PRId64 "}\n",
                summary->files, summary->bytes, summary->copied, summary->events, summary->time);
        return;
    }
    format_bytes (&text, summary->bytes);
    printf ("%s: %" PRIu64 " files, %s", call->words[0], summary->files, buf_string (&text));
    buf_clear (&text);
    format_bytes (&text, summary->copied);
    if (!verified && summary->copied < summary->bytes)
        printf (" (%s copied, the rest shared by links)", buf_string (&text));
    printf (", %" PRIu64 " events: %s\n", summary->events, verified ? "whole" : "verified");
    buf_release (&text);
}

static int failed (const call_t *call, const error_t *error)
{
    progress_end ();
    int exit_status = call_failed (call, error);
    return error->status == STATUS_CANCELLED ? EXIT_INTERRUPTED : exit_status;
}

/* What is below the data directory is lost with it, and is not the cluster's: fsck would not know.
 */
static status_t check_target (const backup_order_t *order, error_t *error)
{
    size_t size = strlen (order->data);
    if (strncmp (order->target, order->data, size) == 0 && order->target[size] == '/')
        return error_set (error, STATUS_EXISTS,
                          "%s is inside the data directory, and would be lost with it: choose a "
                          "directory elsewhere, best on another disk",
                          order->target);
    return STATUS_OK;
}

static int make (call_t *call, const char *base, bool copy)
{
    taking_t self = { .call = call };
    backup_summary_t summary = { .begun = false };
    error_t error;
    if (!call_weir (call))
        return EXIT_FAILED;
    interrupt_waits ();
    status_t status = world_open (&self.world, &error);
    if (status != STATUS_OK)
        return failed (call, &error);
    self.order = (backup_order_t){ .fs = self.world.fs,
                                   .data = world_path (&self.world, call->project->data),
                                   .target = world_path (&self.world, call->words[0]),
                                   .base = base ? world_path (&self.world, base) : NULL,
                                   .copy = copy,
                                   .time = clock_us (),
                                   .watch = { progress_bytes, go_on, taken, &self } };
    bool running = true;
    status = check_target (&self.order, &error);
    if (status == STATUS_OK && !answers (call))
        status = take_stopped (&self, &summary, &running, &error);
    if (status == STATUS_OK && running)
        status = take (&self, &summary, &error);
    progress_end ();
    if (status != STATUS_OK && summary.begun)
        world_remove_empty (call->words[0]);
    if (status != STATUS_OK)
        world_explain (&self.world, &error);
    int exit_status = EXIT_DONE;
    if (status == STATUS_OK)
        print_done (call, &summary, false);
    else
        exit_status = failed (call, &error);
    world_release (&self.world);
    return exit_status;
}

static int verify (call_t *call)
{
    world_t world;
    backup_summary_t summary;
    error_t error;
    backup_watch_t watch = { .progress = progress_bytes };
    status_t status = world_open (&world, &error);
    if (status == STATUS_OK)
        status =
            backup_verify (world.fs, world_path (&world, call->words[0]), &watch, &summary, &error);
    progress_end ();
    if (status != STATUS_OK)
        world_explain (&world, &error);
    world_release (&world);
    if (status != STATUS_OK)
        return failed (call, &error);
    print_done (call, &summary, true);
    return EXIT_DONE;
}

static int run (call_t *call)
{
    bool only_verify = false;
    bool copy = false;
    const char *base = NULL;
    const option_spec_t specs[] = {
        { 0, "verify", NULL, "look at a backup that is there, and take none", NULL, &only_verify },
        { 0, "copy", NULL, "copy everything: the backup shares no bytes of the disk", NULL, &copy },
        { 0, "base", "BACKUP", "share what has not changed with this earlier backup", &base, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, 3, &exit_status))
        return exit_status;
    if (only_verify && (copy || base))
        return call_usage (call, "--verify only looks at a backup");
    return only_verify ? verify (call) : make (call, base, copy);
}

const command_t command_backup = {
    .name = "backup",
    .group = "Keeping it safe",
    .operands = "DIR",
    .purpose = "Takes a consistent copy of all data while the cluster runs",
    .details =
        "DIR is made. Everything that was acknowledged before is in the backup; it is verified as "
        "it is made, and there is\nnone in DIR until it is whole. On the same filesystem, files "
        "that never change are shared by hard links: keep a\nbackup on another disk, or take it "
        "with --copy, or what damages the one damages the other.\n\nIt runs on the machine of the "
        "cluster, also when no node runs.",
    .examples = "  weir backup /mnt/safe/monday\n  weir backup --base /mnt/safe/monday "
                "/mnt/safe/tuesday\n  weir backup --verify /mnt/safe/monday",
    .least = 1,
    .most = 1,
    .run = run,
};
