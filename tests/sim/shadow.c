/* Every log as it must be: read as soon as it is acknowledged, and compared for ever after. */
#include "tests/sim/shadow.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

/* ---- events against what was sent ---- */

static sim_batch_t *find_batch (const sim_check_t *self, const events_payload_t *payload)
{
    for (sim_batch_t *batch = self->batches; batch; batch = batch->next)
        if (batch->sequence == payload->sequence &&
            memcmp (batch->producer, payload->producer, PRODUCER_SIZE) == 0)
            return batch;
    return NULL;
}

static bool is_refused (const events_payload_t *payload, size_t row)
{
    for (uint32_t i = 0; i < payload->refused_listed; i++)
        if (payload->refused[i].row == row)
            return true;
    return false;
}

static void add_event (shadow_t *shadow, oracle_event_t event, shadow_origin_t origin)
{
    if (shadow->events_count == shadow->events_capacity) {
        shadow->events_capacity = shadow->events_capacity * 2 + 64;
        shadow->events =
            mem_resize (shadow->events, shadow->events_capacity, sizeof *shadow->events);
        shadow->origins =
            mem_resize (shadow->origins, shadow->events_capacity, sizeof *shadow->origins);
    }
    shadow->origins[shadow->events_count] = origin;
    shadow->events[shadow->events_count++] = event;
}

static bool values_are_stored (const sim_data_t *data, size_t log, const value_t *values,
                               const batch_t *events, size_t i)
{
    for (size_t c = 0; c < data->stream[data->log_stream[log]]->fields_count; c++) {
        value_t stored = column_get (&events->column[c], i);
        value_t sent = data_widened (data, data->log_stream[log], c, &values[c]);
        if (!oracle_agree (&stored, &sent))
            return false;
    }
    return true;
}

static bool row_is_stored (const sim_data_t *data, size_t log, const sim_row_t *row,
                           const batch_t *events, size_t i)
{
    return events->event_time[i] == row->time && text_equal (events->key[i], row->key[log]) &&
           values_are_stored (data, log, row->values, events, i);
}

/* The rows of the batch that belong here, in order, less the refused ones: exactly what is stored.
 */
static void take_rows (sim_check_t *self, shadow_t *shadow, sim_batch_t *batch,
                       const events_payload_t *payload, const batch_t *events)
{
    size_t stored = 0;
    size_t refused = 0;
    for (size_t i = 0; i < batch->count; i++) {
        sim_row_t *row = &batch->rows[i];
        if (row->partition[shadow->log] != shadow->partition)
            continue;
        bool out = is_refused (payload, i);
        if (out ? row->class == ROW_GOOD : row->class != ROW_GOOD)
            sim_fail (self->sim, "%s: row %zu of batch %" PRIu64 " was %s", shadow->dir, i,
                      batch->sequence, out ? "refused, and is good" : "accepted, and is bad");
        refused += out;
        if (out)
            continue;
        if (stored >= events->rows ||
            !row_is_stored (self->data, shadow->log, row, events, stored)) {
            sim_fail (self->sim, "%s: row %zu of batch %" PRIu64 " is not stored as it was sent",
                      shadow->dir, i, batch->sequence);
            return;
        }
        add_event (shadow,
                   (oracle_event_t){ .key = row->key[shadow->log],
                                     .time = row->time,
                                     .offset = events->offset[stored],
                                     .values = row->values },
                   (shadow_origin_t){ .batch = batch, .row = row });
        stored++;
    }
    if (stored != events->rows || refused != payload->refused_count)
        sim_fail (self->sim, "%s: batch %" PRIu64 " has %zu rows and %u refused, not %zu and %zu",
                  shadow->dir, batch->sequence, events->rows, payload->refused_count, stored,
                  refused);
    batch->accepted_in_log += stored;
    batch->refused_in_log += refused;
}

static void take_events (sim_check_t *self, shadow_t *shadow, const log_record_t *record)
{
    events_payload_t payload;
    batch_t events;
    error_t error;
    arena_reset (self->scratch);
    if (logged_events (&self->data->log[shadow->log], record, self->scratch, &payload, &events,
                       &error) != STATUS_OK) {
        sim_fail (self->sim, "%s: a record at %" PRIu64 " does not read: %s", shadow->dir,
                  record->offset, error.text);
        return;
    }
    sim_batch_t *batch = find_batch (self, &payload);
    if (!batch || batch->stream != self->data->log_stream[shadow->log]) {
        sim_fail (self->sim, "%s: a record at %" PRIu64 " that nobody sent", shadow->dir,
                  record->offset);
        return;
    }
    if (batch->in_log & 1u << shadow->partition)
        sim_fail (self->sim, "%s: batch %" PRIu64 " counts twice, again at %" PRIu64, shadow->dir,
                  batch->sequence, record->offset);
    if (!batch->sent)
        sim_fail (self->sim,
                  "%s: batch %" PRIu64 " is there, and was only sent ahead of its window",
                  shadow->dir, batch->sequence);
    batch->in_log |= 1u << shadow->partition;
    take_rows (self, shadow, batch, &payload, &events);
}

/* ---- forwarded events against those of the stream's own log ---- */

/* What the source has for this partition at [from, to), in order: exactly what came. */
static void compare_forwarded (sim_check_t *self, shadow_t *shadow, const shadow_t *source,
                               const forwarded_payload_t *payload, const batch_t *events)
{
    size_t stored = 0;
    for (size_t i = 0; i < source->events_count && !sim_failed (self->sim); i++) {
        const oracle_event_t *event = &source->events[i];
        if (event->offset < payload->from || event->offset >= payload->to)
            continue;
        const sim_row_t *row = source->origins[i].row;
        if (!row->in[shadow->log] || row->partition[shadow->log] != shadow->partition)
            continue;
        if (stored >= events->rows || events->event_time[stored] != event->time ||
            !text_equal (events->key[stored], row->key[shadow->log]) ||
            !values_are_stored (self->data, shadow->log, event->values, events, stored)) {
            sim_fail (self->sim, "%s: what stands at %" PRIu64 " of %s did not come as it is",
                      shadow->dir, event->offset, source->dir);
            break;
        }
        oracle_event_t copy = *event;
        copy.key = row->key[shadow->log];
        copy.offset = events->offset[stored];
        add_event (
            shadow, copy,
            (shadow_origin_t){ source->origins[i].batch, row, payload->source, event->offset });
        stored++;
    }
    if (stored != events->rows && !sim_failed (self->sim))
        sim_fail (self->sim, "%s: %zu events came of %s at %" PRIu64 " to %" PRIu64 ", not %zu",
                  shadow->dir, events->rows, source->dir, payload->from, payload->to, stored);
}

static void take_forwarded (sim_check_t *self, shadow_t *shadow, const log_record_t *record)
{
    forwarded_payload_t payload;
    batch_t events;
    error_t error;
    arena_t *arena = arena_new (1 << 14); /* the source is read meanwhile, with the scratch arena */
    if (logged_forwarded (&self->data->log[shadow->log], record, arena, &payload, &events,
                          &error) != STATUS_OK)
        sim_fail (self->sim, "%s: a record at %" PRIu64 " does not read: %s", shadow->dir,
                  record->offset, error.text);
    else if (payload.source >= SIM_PARTITIONS || payload.from != shadow->marks[payload.source])
        sim_fail (self->sim, "%s: events of partition %u come from %" PRIu64 " on, not %" PRIu64,
                  shadow->dir, payload.source, payload.from,
                  payload.source < SIM_PARTITIONS ? shadow->marks[payload.source] : 0);
    if (!sim_failed (self->sim)) {
        shadow_t *source = &self->shadows[self->data->log_stream[shadow->log]][payload.source];
        shadow_sync (self, source, payload.to);
        compare_forwarded (self, shadow, source, &payload, &events);
        shadow->marks[payload.source] = payload.to;
    }
    arena_destroy (&arena);
}

/* ---- control records ---- */

static void add_control (sim_check_t *self, shadow_t *shadow, text_t id)
{
    for (size_t i = 0; i < shadow->controls_count; i++)
        if (text_is (id, shadow->controls[i]))
            sim_fail (self->sim, "%s: control %s is there twice", shadow->dir, shadow->controls[i]);
    shadow->controls =
        mem_resize (shadow->controls, shadow->controls_count + 1, sizeof *shadow->controls);
    char *text = shadow->controls[shadow->controls_count++];
    memcpy (text, id.data, id.size);
    text[id.size] = '\0';
}

/* In a re-keyed log it stands exactly between what the source has before and after it. */
static void take_forwarded_forget (sim_check_t *self, shadow_t *shadow,
                                   const forget_payload_t *payload, const sim_forget_t *forget)
{
    size_t own = self->data->log_stream[shadow->log];
    shadow_t *source = &self->shadows[own][forget->partition];
    shadow_sync (self, source, payload->to);
    if (sim_failed (self->sim))
        return;
    if (payload->from != shadow->marks[payload->source] ||
        forget->offset[own][payload->source] != payload->to - 1)
        sim_fail (self->sim,
                  "%s: forget %s comes for %" PRIu64 " to %" PRIu64 ", and not from %" PRIu64
                  " to its place %" PRIu64,
                  shadow->dir, forget->id, payload->from, payload->to,
                  shadow->marks[payload->source], forget->offset[own][payload->source]);
    forwarded_payload_t range = { .source = payload->source,
                                  .from = payload->from,
                                  .to = payload->to };
    batch_t none = { 0 };
    compare_forwarded (self, shadow, source, &range, &none);
    shadow->marks[payload->source] = payload->to;
}

static void take_forget (sim_check_t *self, shadow_t *shadow, const log_record_t *record)
{
    forget_payload_t payload;
    error_t error;
    text_t bytes = { (const char *)record->payload, record->size };
    if (forget_payload_decode (bytes, &payload, &error) != STATUS_OK) {
        sim_fail (self->sim, "%s: a forget record does not read: %s", shadow->dir, error.text);
        return;
    }
    add_control (self, shadow, payload.id);
    sim_forget_t *forget =
        payload.id.size > 7 ? forget_of (self, (text_t){ payload.id.data + 7, payload.id.size - 7 })
                            : NULL;
    bool primary = self->data->log[shadow->log].primary;
    if (!forget || forget->stream != self->data->log_stream[shadow->log] ||
        !text_equal (forget->key, payload.key) || forget->before != payload.before ||
        payload.forwarded == primary ||
        (primary ? shadow->partition : payload.source) != forget->partition) {
        sim_fail (self->sim, "%s: a forget at %" PRIu64 " that nobody asked for", shadow->dir,
                  record->offset);
        return;
    }
    forget->offset[shadow->log][shadow->partition] = record->offset;
    for (const sim_load_t *load = self->loads; load; load = load->next)
        check_order (self, shadow, forget, load);
    if (!primary)
        take_forwarded_forget (self, shadow, &payload, forget);
}

static void take_control (sim_check_t *self, shadow_t *shadow, const log_record_t *record)
{
    control_payload_t payload;
    error_t error;
    text_t bytes = { (const char *)record->payload, record->size };
    if (control_payload_decode (bytes, &payload, &error) != STATUS_OK) {
        sim_fail (self->sim, "%s: a control record does not read: %s", shadow->dir, error.text);
        return;
    }
    add_control (self, shadow, payload.id);
    const char *id = shadow->controls[shadow->controls_count - 1];
    if (record->kind != LOG_KIND_LOAD_COMMIT)
        return;
    if (strncmp (id, "load-k", 6) == 0 && !self->data->log[shadow->log].primary) {
        shadow->history = record->offset;
        return;
    }
    for (sim_load_t *load = self->loads; load; load = load->next)
        if (strncmp (id, "load-", 5) == 0 && strcmp (id + 5, load->id) == 0) {
            load->offset[shadow->log][shadow->partition] = record->offset;
            for (const sim_forget_t *forget = self->forgets; forget; forget = forget->next)
                check_order (self, shadow, forget, load);
            return;
        }
    sim_fail (self->sim, "%s: %s commits a load that nobody made", shadow->dir, id);
}

/* ---- reading ---- */

static uint64_t record_hash (const log_record_t *record)
{
    return XXH3_64bits_withSeed (record->payload, record->size, (uint64_t)record->kind);
}

static void take_record (sim_check_t *self, shadow_t *shadow, const log_record_t *record)
{
    if (record->offset != shadow->end) {
        sim_fail (self->sim, "%s: offset %" PRIu64 " comes after %" PRIu64, shadow->dir,
                  record->offset, shadow->end);
        return;
    }
    if (shadow->records_count == shadow->records_capacity) {
        shadow->records_capacity = shadow->records_capacity * 2 + 64;
        shadow->records =
            mem_resize (shadow->records, shadow->records_capacity, sizeof *shadow->records);
    }
    shadow->records[shadow->records_count++] =
        (shadow_record_t){ record->offset, record_hash (record), record->count };
    shadow->end = record->offset + record->count;
    if (record->kind == LOG_KIND_EVENTS && self->data->log[shadow->log].primary)
        take_events (self, shadow, record);
    else if (record->kind == LOG_KIND_EVENTS)
        take_forwarded (self, shadow, record);
    else if (record->kind == LOG_KIND_FORGET)
        take_forget (self, shadow, record);
    else
        take_control (self, shadow, record);
}

static void compare_record (sim_check_t *self, const shadow_t *shadow, const log_record_t *record)
{
    size_t low = 0;
    size_t high = shadow->records_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (shadow->records[middle].offset < record->offset)
            low = middle + 1;
        else
            high = middle;
    }
    const shadow_record_t *kept = &shadow->records[low];
    if (low == shadow->records_count || kept->offset != record->offset ||
        kept->hash != record_hash (record) || kept->count != record->count)
        sim_fail (self->sim, "%s: what was durable at offset %" PRIu64 " is not there any more",
                  shadow->dir, record->offset);
}

static void read_log (sim_check_t *self, shadow_t *shadow, uint64_t from, uint64_t to, bool again)
{
    if (from >= to || sim_failed (self->sim))
        return;
    log_reader_t *reader = NULL;
    log_record_t record;
    error_t error;
    log_identity_t identity =
        logged_identity (&self->data->log[shadow->log], SIM_CLUSTER_ID, shadow->partition);
    check_calm (self);
    status_t status = log_reader_open (self->fs, shadow->dir, &identity, from, to, &reader, &error);
    while (status == STATUS_OK && !sim_failed (self->sim)) {
        status = log_reader_next (reader, &record, &error);
        if (status == STATUS_OK && again)
            compare_record (self, shadow, &record);
        else if (status == STATUS_OK)
            take_record (self, shadow, &record);
    }
    log_reader_destroy (&reader);
    check_calm_over (self);
    if (!sim_failed (self->sim) && status != STATUS_END)
        sim_fail (self->sim, "%s: offsets %" PRIu64 " to %" PRIu64 ", which are durable: %s",
                  shadow->dir, from, to, error.text);
}

void shadow_sync (sim_check_t *self, shadow_t *shadow, uint64_t to)
{
    read_log (self, shadow, shadow->end, to, false);
    if (shadow->end < to && !sim_failed (self->sim))
        sim_fail (self->sim, "%s: ends at %" PRIu64 ", but %" PRIu64 " was acknowledged",
                  shadow->dir, shadow->end, to);
}

void shadow_reread (sim_check_t *self, shadow_t *shadow)
{
    read_log (self, shadow, shadow->base, shadow->end, true);
}

shadow_t *shadow_of (sim_check_t *self, const char *path)
{
    for (size_t l = 0; l < DATA_LOGS; l++)
        for (size_t p = 0; p < SIM_PARTITIONS; p++) {
            shadow_t *shadow = &self->shadows[l][p];
            size_t size = strlen (shadow->dir);
            if (strncmp (path, shadow->dir, size) == 0 && path[size] == '/')
                return shadow;
        }
    return NULL;
}

int shadow_log (const sim_check_t *self, text_t log_name)
{
    for (int l = 0; l < DATA_LOGS; l++)
        if (text_is (log_name, self->data->log[l].name))
            return l;
    return -1;
}
