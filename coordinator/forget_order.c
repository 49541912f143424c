/* Where forgets stand in the order of the logs, and which recomputes erase them. */
#include "coordinator/forgets.h"

#include <string.h>

bool forget_comes_after (const forget_t *forget, const load_t *load)
{
    size_t size = strlen (load->row.id);
    for (const char *at = forget->row.after; *at != '\0'; at = strchr (at, ' ') + 1)
        if (strncmp (at, load->row.id, size) == 0 && at[size] == ' ')
            return true;
    return false;
}

/* ---- what others may do meanwhile ---- */

bool forgets_hold_load (const coordinator_core_t *self, const load_t *load)
{
    for (size_t i = 0; i < self->forgets_count && !load_is_history (load); i++) {
        const forget_t *forget = self->forgets[i];
        if (forget->state <= FORGET_PLACING && strcmp (forget->row.stream, load->row.stream) == 0 &&
            !forget_comes_after (forget, load))
            return true;
    }
    return false;
}

bool forgets_hold_key (const coordinator_core_t *self, const char *stream)
{
    for (size_t i = 0; i < self->forgets_count; i++) {
        const forget_t *forget = self->forgets[i];
        if ((forget->state == FORGET_PLACING || forget->state == FORGET_ERASING) &&
            strcmp (forget->row.stream, stream) == 0)
            return true;
    }
    return false;
}

void forgets_write_controls (coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    wire_writer_t *writer = self->writer;
    for (size_t i = 0; i < self->forgets_count && log->primary; i++) {
        const forget_t *forget = self->forgets[i];
        const forget_log_t *of_log = forget_log (forget, log->name);
        if (forget->state != FORGET_PLACING || forget->partition != partition || !of_log ||
            of_log->places[partition].known)
            continue;
        wire_open_map (writer);
        wire_field_string (writer, "id", forget->control);
        wire_field_string (writer, "kind", "forget");
        wire_field_bin (writer, "key", forget->key);
        wire_field_int (writer, "before", forget->row.before);
        wire_close (writer);
    }
}

placed_t *forgets_place (const coordinator_core_t *self, const char *log, uint32_t partition,
                         text_t control, bool waited)
{
    if (control.size <= 7 || memcmp (control.data, "forget-", 7) != 0)
        return NULL;
    const forget_t *forget = forget_find (self, (text_t){ control.data + 7, control.size - 7 });
    forget_log_t *of_log = forget ? forget_log (forget, log) : NULL;
    if (!of_log || (waited && forget->state != FORGET_PLACING))
        return NULL;
    return of_log->primary && partition != forget->partition ? NULL : &of_log->places[partition];
}

/* ---- with recomputes ---- */

bool forget_is_placed (const coordinator_core_t *self, const forget_t *forget,
                       const forget_log_t *log, const placed_t *below)
{
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const placed_t *place = &log->places[p];
        if (log->primary && p != forget->partition)
            continue;
        if (!place->known || (below && place->offset >= below[p].offset))
            return false;
    }
    return true;
}

/* Rows of a load that were placed before it come with the load: not after the forget. */
static bool loads_are_in (const coordinator_core_t *self, const recompute_t *recompute,
                          const log_t *log, const forget_log_t *of_log)
{
    for (size_t i = 0; i < self->loads_count; i++) {
        const load_t *load = self->loads[i];
        const load_log_t *place = load_log (load, log->name);
        if (load->state != LOAD_WAITING || !place || log_has_load (log, load->row.id))
            continue;
        bool joins = false;
        for (size_t k = 0; k < recompute->loads_count && !joins; k++)
            joins = strcmp (recompute->loads[k], load->row.id) == 0;
        for (uint32_t p = 0; p < self->options.partitions && !joins; p++)
            if (of_log->places[p].known && place->places[p].known &&
                place->places[p].offset < of_log->places[p].offset)
                return false;
    }
    return true;
}

void forgets_choose (coordinator_core_t *self, recompute_t *recompute, const log_t *log)
{
    recompute->forgets = arena_zero (recompute->arena, self->forgets_count, sizeof (char *));
    recompute->forgets_count = 0;
    for (size_t i = 0; i < self->forgets_count; i++) {
        const forget_t *forget = self->forgets[i];
        forget_log_t *of_log = forget_log (forget, log->name);
        if (of_log)
            of_log->again = false;
        if (forget->state == FORGET_ERASING && of_log && !log_has_load (log, forget->control) &&
            forget_is_placed (self, forget, of_log, recompute->cuts) &&
            loads_are_in (self, recompute, log, of_log))
            recompute->forgets[recompute->forgets_count++] =
                arena_string (recompute->arena, text_of (forget->control));
    }
}

static void write_erasure (coordinator_core_t *self, const forget_t *forget,
                           const forget_log_t *of_log, uint32_t partition)
{
    wire_field_bin (self->writer, "key", forget->key);
    wire_field_uint (self->writer, "offset", of_log->places[partition].offset);
    wire_field_int (self->writer, "before", forget->row.before);
}

static const forget_t *of_control (const coordinator_core_t *self, const char *control)
{
    return forget_find (self, text_of (control + strlen ("forget-")));
}

void forgets_write_build (coordinator_core_t *self, const recompute_t *recompute,
                          uint32_t partition)
{
    if (recompute->forgets_count == 0)
        return;
    wire_field_list (self->writer, "forgets");
    for (size_t i = 0; i < recompute->forgets_count; i++) {
        const forget_t *forget = of_control (self, recompute->forgets[i]);
        const forget_log_t *of_log = forget ? forget_log (forget, recompute->log) : NULL;
        wire_open_map (self->writer);
        if (of_log && of_log->places[partition].known) {
            write_erasure (self, forget, of_log, partition);
        } else { /* of another partition: it has its place in the list, and erases nothing */
            wire_field_bin (self->writer, "key", forget ? forget->key : text_of ("-"));
            wire_field_uint (self->writer, "offset", 0);
            wire_field_int (self->writer, "before", INT64_MIN);
        }
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

status_t forgets_publishing (coordinator_core_t *self, const recompute_t *recompute, error_t *error)
{
    const log_t *log = log_named (self, text_of (recompute->log));
    for (size_t i = 0; i < recompute->forgets_count && log && log->primary; i++) {
        forget_t *forget = forget_find (self, text_of (recompute->forgets[i] + strlen ("forget-")));
        uint64_t rows = 0;
        for (uint32_t p = 0; p < self->options.partitions; p++)
            if (recompute->builds[p].erased)
                rows += recompute->builds[p].erased[i];
        if (!forget || forget->row.rows == rows)
            continue;
        forget->row.rows = rows;
        if (forget_store (self, forget, forget->state, error) != STATUS_OK)
            return error->status;
    }
    return STATUS_OK;
}

const char *forgets_reason (const coordinator_core_t *self, const log_t *log)
{
    for (size_t i = 0; i < self->forgets_count; i++) {
        const forget_t *forget = self->forgets[i];
        const forget_log_t *of_log = forget_log (forget, log->name);
        if (forget->state != FORGET_ERASING || !of_log)
            continue;
        if (!log_has_load (log, forget->control) || of_log->again)
            return forget->row.id;
        if (core_now (self) < log->started + EARLY_INTERVAL)
            continue;
        /* a new owner copied what it was to be trimmed with: the next cut parts them */
        for (uint32_t p = 0; p < self->options.partitions; p++) {
            const held_log_t *held = partition_log (&self->partitions[p], log->name);
            const placed_t *place = &of_log->places[p];
            if (place->known && held && held->kept <= place->offset &&
                held->start > place->offset && log_base (log, p) > place->offset)
                return forget->row.id;
        }
    }
    return NULL;
}

bool forgets_in_manifest (const coordinator_core_t *self, const char *control)
{
    return strncmp (control, "forget-", 7) != 0 || of_control (self, control) != NULL;
}
