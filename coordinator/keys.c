/* A key that is new to a stream: where forwarding to its log begins, and how its history gets
 * there.
 *
 * Forwarding begins at the cuts of the dataset that the stream's own log has just then. What is
 * below comes as one load, of the rows of that dataset, which stays the current one until they are
 * written. A log is in nobody's orders before it has begun. */
#include "coordinator/state.h"

#include <string.h>
#include <xxhash.h>

bool load_is_history (const load_t *self)
{
    return strcmp (self->row.format, "history") == 0;
}

static log_t *primary_of (const coordinator_core_t *self, const char *stream)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (self->logs[i]->primary && strcmp (self->logs[i]->stream, stream) == 0)
            return self->logs[i];
    return NULL;
}

static load_t *history_of (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->loads_count; i++)
        if (load_is_history (self->loads[i]) && strcmp (self->loads[i]->row.log, log->name) == 0)
            return self->loads[i];
    return NULL;
}

bool log_is_filled (const coordinator_core_t *self, const log_t *log)
{
    if (log->primary)
        return true;
    const load_t *history = history_of (self, log);
    if (!log->begun || (history && history->state != LOAD_VISIBLE))
        return false;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (!log->forwarded[p])
            return false;
    return true;
}

bool stream_has_begun (const coordinator_core_t *self, const char *stream)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (!self->logs[i]->dropped && !self->logs[i]->begun &&
            strcmp (self->logs[i]->stream, stream) == 0)
            return false;
    return true;
}

bool keys_need_dataset (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->loads_count && log->primary; i++)
        if (load_is_history (self->loads[i]) && self->loads[i]->state <= LOAD_PARSING &&
            strcmp (self->loads[i]->row.stream, log->stream) == 0)
            return true;
    return false;
}

/* ---- beginning ---- */

static status_t put_history (coordinator_core_t *self, const log_t *log, error_t *error)
{
    if (history_of (self, log))
        return STATUS_OK;
    load_t *load = load_new ();
    char *id = mem_format ("k%016" PRIx64, (uint64_t)XXH3_64bits (log->name, strlen (log->name)));
    char *name = mem_format ("history of %s", log->stream);
    load->row = (catalog_load_t){
        .id = arena_string (load->arena, text_of (id)),
        .stream = arena_string (load->arena, text_of (log->stream)),
        .log = arena_string (load->arena, text_of (log->name)),
        .name = arena_string (load->arena, text_of (name)),
        .format = "history",
        .path = "",
        .ingest_time = "",
        .state = load_word (LOAD_QUEUED),
        .created = self->env->clock_us (self->env),
        .error = "",
        .rejects = "",
        .runs = "",
    };
    mem_free (id);
    mem_free (name);
    status_t status = catalog_put_load (self->catalog, &load->row, error);
    if (status == STATUS_OK)
        load_add (self, load);
    else
        load_destroy (&load);
    return status;
}

static void begin (coordinator_core_t *self, log_t *log)
{
    const log_t *primary = primary_of (self, log->stream);
    uint32_t partitions = self->options.partitions;
    if (!primary)
        return;
    bool history = primary->manifest.number > 0;
    catalog_control_t *rows = mem_zero (partitions, sizeof *rows);
    for (uint32_t p = 0; p < partitions; p++)
        rows[p] = (catalog_control_t){ .log = log->name,
                                       .partition = p,
                                       .id = CONTROL_BEGIN,
                                       .offset = history ? primary->manifest.parts[p].cut : 0 };
    error_t error;
    status_t status = history ? put_history (self, log, &error) : STATUS_OK;
    if (status == STATUS_OK)
        status = catalog_put_controls (self->catalog, rows, partitions, &error);
    if (status == STATUS_OK) {
        for (uint32_t p = 0; p < partitions; p++)
            log->marks[p] = rows[p].offset;
        log->begun = true;
        nodes_poke_all (self);
    } else {
        (void)core_failed (self, &error);
    }
    mem_free (rows);
}

void keys_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->logs_count && !self->doubtful; i++)
        if (!self->logs[i]->begun && !self->logs[i]->dropped &&
            !forgets_hold_key (self, self->logs[i]->stream))
            begin (self, self->logs[i]);
}

/* ---- going ---- */

status_t keys_forget (coordinator_core_t *self, const char *log_name, error_t *error)
{
    status_t status = catalog_forget_control (self->catalog, log_name, CONTROL_FORWARDED, error);
    if (status == STATUS_OK)
        status = catalog_forget_control (self->catalog, log_name, CONTROL_BEGIN, error);
    if (status != STATUS_OK)
        return core_failed (self, error);
    log_t *log = log_named (self, text_of (log_name));
    if (!log)
        return STATUS_OK;
    log->begun = false;
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        log->forwarded[p] = false;
        log->marks[p] = 0;
    }
    return STATUS_OK;
}

/* ---- the order ---- */

/* Numbers that rows below the cut take: one an offset, and those of loads as well. */
static uint64_t span_of (const coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    uint64_t span = log->manifest.parts[partition].cut;
    for (size_t i = 0; i < self->loads_count; i++)
        if (log_has_load (log, self->loads[i]->row.id))
            span += self->loads[i]->row.rows + self->loads[i]->row.refused;
    return span;
}

static void write_loads (coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    wire_writer_t *writer = self->writer;
    wire_field_list (writer, "loads");
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *of_log = load_log (load, log->name);
        if (!log_has_load (log, load->row.id) || !of_log)
            continue;
        wire_open_map (writer);
        wire_field_uint (writer, "offset", of_log->places[partition].offset);
        wire_field_uint (writer, "rows", load->row.rows + load->row.refused);
        wire_close (writer);
    }
    wire_close (writer);
}

void keys_write_history (coordinator_core_t *self, const load_t *load)
{
    wire_writer_t *writer = self->writer;
    const log_t *log = primary_of (self, load->row.stream);
    uint64_t first = 0;
    uint64_t total = 0;
    wire_field_list (writer, "history");
    for (size_t p = 0; log && p < log->manifest.parts_count; p++)
        total += span_of (self, log, (uint32_t)p);
    for (size_t p = 0; log && p < log->manifest.parts_count; p++) {
        const catalog_part_t *part = &log->manifest.parts[p];
        wire_open_map (writer);
        wire_field_uint (writer, "partition", part->partition);
        /* places of events of several partitions are the same only when there is no room for all */
        wire_field_uint (writer, "first", total <= UINT32_MAX ? first : 0);
        orders_write_runs (self, part->runs, part->runs_count, part);
        write_loads (self, log, part->partition);
        wire_close (writer);
        first += span_of (self, log, (uint32_t)p);
    }
    wire_close (writer);
}
