/* Partitions that cannot be built: what is known of why, when they are tried again, and what is
 * told (docs/coordination.md, Tasks). All of it is in memory only. */
#include "coordinator/state.h"

#include <string.h>

void stuck_clear (log_t *self, uint32_t partition)
{
    stuck_t *stuck = &self->stuck[partition];
    mem_free (stuck->reason);
    mem_free (stuck->path);
    *stuck = (stuck_t){ 0 };
}

/* 10 s, then twice as long each time, an hour at most. */
static int64_t backoff (unsigned failures)
{
    int64_t wait = RETRY_LAST << (failures < 16 ? failures : 16);
    return wait < BACKOFF_LAST ? wait : BACKOFF_LAST;
}

void stuck_note (coordinator_core_t *self, log_t *log, uint32_t partition, const char *reason,
                 text_t path)
{
    stuck_t *stuck = &log->stuck[partition];
    unsigned failures = stuck->failures;
    int64_t since = stuck->reason ? stuck->since : self->env->clock_us (self->env);
    stuck_clear (log, partition);
    *stuck = (stuck_t){ .reason = mem_string (reason),
                        .path = path.size > 0 ? core_text (path) : NULL,
                        .since = since,
                        .retry_at = core_now (self) + backoff (failures),
                        .definitions = self->version,
                        .failures = failures + 1 };
    env_log (self->env, LOG_ERROR, "%s/%" PRIu32 " cannot be built: %s", log->name, partition,
             reason);
}

bool stuck_rests (const coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    const stuck_t *stuck = &log->stuck[partition];
    return stuck->reason && core_now (self) < stuck->retry_at &&
           stuck->definitions == self->version;
}

static bool has_file (const catalog_part_t *part, size_t layer, const char *path)
{
    size_t runs = 0;
    for (size_t i = 0; i < layer; i++)
        runs += part->layers[i].runs_count;
    for (size_t i = 0; i < part->layers[layer].runs_count; i++)
        if (strcmp (part->runs[runs + i].path, path) == 0)
            return true;
    return false;
}

static size_t layers_up_to (const log_t *self, uint32_t partition, const char *path)
{
    if (!path || self->manifest.number == 0)
        return 0;
    const catalog_part_t *part = &self->manifest.parts[partition];
    for (size_t layer = 0; layer < part->layers_count && layer < DELTAS_MAX; layer++)
        if (has_file (part, layer, path))
            return layer + 1;
    return 0;
}

size_t stuck_layers (const log_t *self, uint32_t partition)
{
    return layers_up_to (self, partition, self->stuck[partition].path);
}

bool stuck_would (const log_t *self, uint32_t partition, text_t path)
{
    char *copy = core_text (path);
    size_t layers = layers_up_to (self, partition, copy);
    mem_free (copy);
    return layers > 0;
}

bool stuck_holds (const coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    return stuck_rests (self, log, partition) && stuck_layers (log, partition) == 0;
}

uint32_t stuck_due (const coordinator_core_t *self, const log_t *log)
{
    uint32_t p = 0;
    while (p < self->options.partitions && (!log->stuck[p].reason || stuck_rests (self, log, p)))
        p++;
    return p;
}

void put_off (const coordinator_core_t *self, put_off_t *what, const char *failed)
{
    what->failures = failed ? what->failures + 1 : 0;
    what->until = failed ? core_now (self) + backoff (what->failures) : 0;
    mem_free (what->reason);
    what->reason = failed ? mem_string (failed) : NULL;
}

bool put_off_rests (const coordinator_core_t *self, const put_off_t *what)
{
    return core_now (self) < what->until;
}

/* ---- views ---- */

static void drop_left_out (log_t *self, size_t at)
{
    mem_free (self->left_out[at].view);
    mem_free (self->left_out[at].reason);
    self->left_out[at] = self->left_out[--self->left_out_count];
}

void stuck_views (log_t *self, uint32_t partition, size_t kept, wire_list_t left_out)
{
    for (size_t i = self->left_out_count; kept == 0 && i-- > 0;)
        if (self->left_out[i].partition == partition)
            drop_left_out (self, i);
    for (uint32_t i = 0; i < left_out.count && self->left_out_count < DAMAGES_MAX; i++) {
        text_t view = wire_text (&left_out.items[i], "view");
        uint32_t version = (uint32_t)wire_uint (&left_out.items[i], "version", 1);
        for (size_t k = self->left_out_count; k-- > 0;)
            if (self->left_out[k].partition == partition && self->left_out[k].version == version &&
                text_is (view, self->left_out[k].view))
                drop_left_out (self, k);
        self->left_out =
            mem_resize (self->left_out, self->left_out_count + 1, sizeof *self->left_out);
        self->left_out[self->left_out_count++] =
            (left_out_t){ .partition = partition,
                          .view = core_text (view),
                          .version = version,
                          .reason = core_text (wire_text (&left_out.items[i], "reason")) };
    }
}

bool stuck_left_out (const log_t *self, uint32_t partition, const char *view, uint32_t version)
{
    for (size_t i = 0; i < self->left_out_count; i++)
        if (self->left_out[i].partition == partition && self->left_out[i].version == version &&
            strcmp (self->left_out[i].view, view) == 0)
            return true;
    return false;
}

/* ---- telling ---- */

static void write_one (coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    wire_writer_t *writer = self->writer;
    const stuck_t *stuck = &log->stuck[partition];
    int64_t left = stuck->retry_at - core_now (self);
    wire_open_map (writer);
    wire_field_uint (writer, "partition", partition);
    wire_field_string (writer, "reason", stuck->reason);
    if (stuck->path)
        wire_field_string (writer, "path", stuck->path);
    wire_field_bool (writer, "behind", stuck_layers (log, partition) == 0);
    wire_field_int (writer, "since", stuck->since);
    wire_field_uint (writer, "failures", stuck->failures);
    wire_field_uint (writer, "retry_us", left > 0 ? (uint64_t)left : 0);
    wire_close (writer);
}

void stuck_write (coordinator_core_t *self, const log_t *log)
{
    wire_writer_t *writer = self->writer;
    bool any = false;
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        if (!log->stuck[p].reason)
            continue;
        if (!any)
            wire_field_list (writer, "stuck");
        any = true;
        write_one (self, log, p);
    }
    if (any)
        wire_close (writer);
    if (log->left_out_count == 0)
        return;
    wire_field_list (writer, "left_out");
    for (size_t i = 0; i < log->left_out_count; i++) {
        wire_open_map (writer);
        wire_field_uint (writer, "partition", log->left_out[i].partition);
        wire_field_string (writer, "view", log->left_out[i].view);
        wire_field_uint (writer, "version", log->left_out[i].version);
        wire_field_string (writer, "reason", log->left_out[i].reason);
        wire_close (writer);
    }
    wire_close (writer);
}

void stuck_release (log_t *self)
{
    for (uint32_t p = 0; self->stuck && p < self->partitions; p++)
        stuck_clear (self, p);
    while (self->left_out_count > 0)
        drop_left_out (self, 0);
    mem_free (self->left_out);
    mem_free (self->stuck);
    mem_free (self->join.reason);
    mem_free (self->leave.reason);
    mem_free (self->fold.reason);
    self->join = self->leave = self->fold = (put_off_t){ 0 };
    self->left_out = NULL;
    self->stuck = NULL;
}
