#include "coordinator/state.h"

#include <string.h>

/* ---- one partition ---- */

static void forget_report (partition_t *self)
{
    for (size_t i = 0; i < self->logs_count; i++) {
        mem_free (self->logs[i].log);
        mem_free (self->logs[i].controls);
    }
    mem_free (self->logs);
    self->logs = NULL;
    self->logs_count = 0;
}

void partition_release (partition_t *self)
{
    forget_report (self);
    mem_free (self->node);
    mem_free (self->endpoint);
    mem_free (self->reason);
    *self = (partition_t){ 0 };
}

static bool owned_by (const partition_t *self, const node_t *node)
{
    return self->incarnation == node->incarnation && strcmp (self->node, node->name) == 0;
}

bool partition_listed (const partition_t *self, const node_t *node)
{
    return owned_by (self, node) && self->epoch > 0 && !self->releasing && !self->free &&
           !self->unsure && self->state != HELD_FAILED;
}

const held_log_t *partition_log (const partition_t *self, const char *log)
{
    for (size_t i = 0; i < self->logs_count; i++)
        if (strcmp (self->logs[i].log, log) == 0)
            return &self->logs[i];
    return NULL;
}

/* ---- what its owner reports ---- */

static void read_log (held_log_t *log, const wire_value_t *held)
{
    wire_list_t controls = wire_list (held, "controls");
    log->log = core_text (wire_text (held, "log"));
    log->start = wire_uint (held, "start", 0);
    log->end = wire_uint (held, "end", 0);
    log->events = wire_uint (held, "events", 0);
    log->memory = wire_uint (held, "memory", 0);
    log->keys = wire_uint (held, "keys", 0);
    log->kept = wire_uint (held, "kept", 0);
    log->definitions = wire_uint (held, "definitions", 0);
    log->controls = mem_zero (controls.count, sizeof *log->controls);
    log->controls_count = controls.count;
    for (uint32_t i = 0; i < controls.count; i++)
        log->controls[i] = wire_uint (&controls.items[i], "offset", 0);
}

static void set_state (coordinator_core_t *self, node_t *node, partition_t *partition,
                       const wire_value_t *held)
{
    text_t word = wire_text (held, "state");
    held_state_t state = text_is (word, "serving")  ? HELD_SERVING
                         : text_is (word, "failed") ? HELD_FAILED
                                                    : HELD_OPENING;
    if (partition->state == HELD_FAILED)
        return; /* it is not in the orders any more; another epoch is to come */
    partition->state = state;
    if (state == HELD_SERVING)
        partition->failures = 0;
    if (state != HELD_FAILED)
        return;
    char *reason = core_text (wire_text (held, "reason"));
    mem_free (partition->reason);
    partition->reason = reason;
    int64_t wait = partition->failures == 0   ? 0
                   : partition->failures < 16 ? RETRY_FIRST << partition->failures
                                              : RETRY_LAST;
    partition->retry_at = core_now (self) + (wait < RETRY_LAST ? wait : RETRY_LAST);
    partition->failures++;
    node->avoid_until = core_now (self) + AVOID_TIME;
    self->routes_version++;
    env_log (self->env, LOG_ERROR, "partition %" PRIu32 " failed at %s: %s", partition->number,
             partition->node, reason);
}

/* Where a control record that is waited for is kept; NULL when it is not waited for. */
static placed_t *place_wanted (coordinator_core_t *self, const char *log, uint32_t partition,
                               text_t id)
{
    recompute_t *recompute = recompute_running (self, log);
    if (recompute && recompute->state == RECOMPUTE_CUTTING) {
        char *cut = mem_format ("cut-%" PRIu64, recompute->id);
        bool same = text_is (id, cut);
        mem_free (cut);
        if (same)
            return &recompute->cuts[partition];
    }
    if (id.size <= 5 || memcmp (id.data, "load-", 5) != 0)
        return forgets_place (self, log, partition, id, true);
    load_t *load = load_find (self, (text_t){ id.data + 5, id.size - 5 });
    load_log_t *of_log = load && load->state == LOAD_COMMITTING ? load_log (load, log) : NULL;
    return of_log ? &of_log->places[partition] : NULL;
}

typedef struct confirmed {
    catalog_control_t *rows; /* ids owned, logs borrowed */
    size_t count;
} confirmed_t;

static void find_confirmed (coordinator_core_t *self, const held_log_t *log, uint32_t partition,
                            wire_list_t controls, confirmed_t *out)
{
    for (uint32_t i = 0; i < controls.count; i++) {
        const wire_value_t *control = &controls.items[i];
        text_t id = wire_text (control, "id");
        placed_t *place = place_wanted (self, log->log, partition, id);
        if (!place || place->known)
            continue;
        out->rows = mem_resize (out->rows, out->count + 1, sizeof *out->rows);
        out->rows[out->count++] = (catalog_control_t){ .log = log->log,
                                                       .partition = partition,
                                                       .id = core_text (id),
                                                       .offset = wire_uint (control, "offset", 0),
                                                       .clock = wire_int (control, "clock", 0) };
    }
}

/* Re-keyed logs that hold everything which was in the partition when forwarding to them began. */
static void find_forwarded (coordinator_core_t *self, uint32_t partition, wire_list_t logs,
                            confirmed_t *out)
{
    for (uint32_t i = 0; i < logs.count; i++) {
        const log_t *log = log_named (self, wire_item_text (&logs.items[i]));
        if (!log || log->dropped || !log->begun || log->forwarded[partition])
            continue; /* a log that goes may be told of once more */
        out->rows = mem_resize (out->rows, out->count + 1, sizeof *out->rows);
        out->rows[out->count++] = (catalog_control_t){
            .log = log->name, .partition = partition, .id = core_text (text_of (CONTROL_FORWARDED))
        };
    }
}

static void place_confirmed (coordinator_core_t *self, const catalog_control_t *row)
{
    if (strcmp (row->id, CONTROL_FORWARDED) == 0) {
        log_t *log = log_named (self, text_of (row->log));
        CHECK (log != NULL);
        log->forwarded[row->partition] = true;
        if (log_is_filled (self, log))
            nodes_poke (self, ROLE_SERVING);
        return;
    }
    placed_t *place = place_wanted (self, row->log, row->partition, text_of (row->id));
    if (place)
        *place = (placed_t){ .known = true, .offset = row->offset, .clock = row->clock };
}

/* Durable first, in one transaction for all that a beat tells. */
static void keep_confirmed (coordinator_core_t *self, confirmed_t *confirmed)
{
    error_t error;
    if (confirmed->count > 0 && core_writable (self, &error) == STATUS_OK) {
        if (catalog_put_controls (self->catalog, confirmed->rows, confirmed->count, &error) !=
            STATUS_OK)
            (void)core_failed (self, &error); /* it will be told of again */
        else
            for (size_t i = 0; i < confirmed->count; i++)
                place_confirmed (self, &confirmed->rows[i]);
    }
    for (size_t i = 0; i < confirmed->count; i++)
        mem_free ((void *)(uintptr_t)confirmed->rows[i].id);
    mem_free (confirmed->rows);
}

static void take_held (coordinator_core_t *self, node_t *node, partition_t *partition,
                       const wire_value_t *held, confirmed_t *confirmed)
{
    wire_list_t logs = wire_list (held, "logs");
    if (text_is (wire_text (held, "state"), "released")) {
        partition->free = true; /* and stays so: the node takes it under no epoch that it had */
        return;
    }
    partition->reported = true;
    set_state (self, node, partition, held);
    forget_report (partition);
    partition->logs = mem_zero (logs.count, sizeof *partition->logs);
    partition->logs_count = logs.count;
    for (uint32_t i = 0; i < logs.count; i++) {
        read_log (&partition->logs[i], &logs.items[i]);
        find_confirmed (self, &partition->logs[i], partition->number,
                        wire_list (&logs.items[i], "controls"), confirmed);
        find_forwarded (self, partition->number, wire_list (&logs.items[i], "forwarded"),
                        confirmed);
    }
}

static const wire_value_t *held_of (wire_list_t held, const partition_t *partition)
{
    for (uint32_t i = 0; i < held.count; i++)
        if (wire_uint (&held.items[i], "partition", UINT64_MAX) == partition->number &&
            wire_uint (&held.items[i], "epoch", 0) == partition->epoch)
            return &held.items[i];
    return NULL;
}

void partitions_take (coordinator_core_t *self, node_t *node, wire_list_t held)
{
    confirmed_t confirmed = { 0 };
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        partition_t *partition = &self->partitions[p];
        if (!owned_by (partition, node) || partition->free)
            continue;
        const wire_value_t *report = held_of (held, partition);
        if (report)
            take_held (self, node, partition, report, &confirmed);
        else if (partition->reported)
            partition->free = true; /* it had it and does not have it any more */
    }
    keep_confirmed (self, &confirmed);
}

void partitions_give_up (coordinator_core_t *self, const node_t *node)
{
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        partition_t *partition = &self->partitions[p];
        if (partition->epoch > 0 && strcmp (partition->node, node->name) == 0 &&
            partition->incarnation != node->incarnation &&
            strcmp (partition->endpoint, node->endpoint) == 0)
            partition->free = true;
    }
}

/* ---- who gets what ---- */

/* May it be given to somebody now? */
static bool available (const coordinator_core_t *self, const partition_t *partition)
{
    int64_t now = core_now (self);
    if (partition->state == HELD_FAILED)
        return now >= partition->retry_at;
    if (partition->epoch == 0 || partition->node[0] == '\0' || partition->free)
        return true;
    if (now < partition->leased_until)
        return false;
    return partition->releasing || !node_of (self, partition->node, partition->incarnation);
}

typedef struct share {
    node_t *node;
    uint32_t count; /* of partitions that it has or will have */
} share_t;

/* Somebody where nothing failed lately, if there is one. */
static share_t *least_share (share_t *shares, size_t count, int64_t now)
{
    share_t *least = &shares[0];
    for (size_t i = 1; i < count; i++) {
        bool avoided = now < shares[i].node->avoid_until;
        bool least_avoided = now < least->node->avoid_until;
        if (avoided != least_avoided ? least_avoided : shares[i].count < least->count)
            least = &shares[i];
    }
    return least;
}

static share_t *most_share (share_t *shares, size_t count)
{
    share_t *most = &shares[0];
    for (size_t i = 1; i < count; i++)
        if (shares[i].count > most->count)
            most = &shares[i];
    return most;
}

/* The live speed workers and what each has; partitions on their way are in nobody's share. */
static share_t *shares_of (const coordinator_core_t *self, size_t *count)
{
    share_t *shares = mem_zero (self->nodes_count, sizeof *shares);
    *count = 0;
    for (size_t i = 0; i < self->nodes_count; i++) {
        node_t *node = self->nodes[i];
        if (node->role != ROLE_SPEED || !node_alive (self, node))
            continue;
        share_t *share = &shares[(*count)++];
        share->node = node;
        for (uint32_t p = 0; p < self->options.partitions; p++)
            share->count += partition_listed (&self->partitions[p], node);
    }
    return shares;
}

static void give (coordinator_core_t *self, partition_t *partition, node_t *node)
{
    forget_report (partition);
    core_set (&partition->node, node->name);
    core_set (&partition->endpoint, node->endpoint);
    core_set (&partition->reason, "");
    partition->epoch++;
    partition->incarnation = node->incarnation;
    partition->leased_until = core_lease_end (self);
    partition->reported = partition->releasing = partition->free = false;
    partition->state = HELD_UNKNOWN;
    node->poke = true;
    env_log (self->env, LOG_INFO, "partition %" PRIu32 " goes to %s (epoch %" PRIu64 ")",
             partition->number, node->name, partition->epoch);
}

/* One transaction for all that can be given now. */
static void assign (coordinator_core_t *self, share_t *shares, size_t shares_count)
{
    uint32_t all = self->options.partitions;
    catalog_assignment_t *rows = mem_zero (all, sizeof *rows);
    node_t **to = mem_zero (all, sizeof (node_t *));
    size_t count = 0;
    for (uint32_t p = 0; p < all; p++) {
        partition_t *partition = &self->partitions[p];
        if (!available (self, partition))
            continue;
        share_t *share = least_share (shares, shares_count, core_now (self));
        share->count++;
        to[count] = share->node;
        rows[count++] = (catalog_assignment_t){ .partition = p,
                                                .epoch = partition->epoch + 1,
                                                .node = share->node->name,
                                                .incarnation = share->node->incarnation,
                                                .endpoint = share->node->endpoint };
    }
    error_t error;
    status_t status = count == 0 ? STATUS_OK : catalog_assign (self->catalog, rows, count, &error);
    for (size_t i = 0; i < count; i++) {
        if (status == STATUS_OK)
            give (self, &self->partitions[rows[i].partition], to[i]);
        else
            self->partitions[rows[i].partition].unsure = true; /* until the catalog is read again */
    }
    if (status != STATUS_OK)
        (void)core_failed (self, &error);
    else if (count > 0)
        self->routes_version++;
    mem_free (to);
    mem_free (rows);
}

/* One that `node` has and that is easiest to move: served ones, not those being opened. */
static partition_t *movable (coordinator_core_t *self, const node_t *node)
{
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (partition_listed (&self->partitions[p], node) &&
            self->partitions[p].state == HELD_SERVING)
            return &self->partitions[p];
    return NULL;
}

/* Takes partitions from those who have two more than others; they are given on once released. */
static void even_out (coordinator_core_t *self, share_t *shares, size_t count)
{
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const partition_t *partition = &self->partitions[p];
        bool listed = false;
        for (size_t i = 0; i < count && !listed; i++)
            listed = partition_listed (partition, shares[i].node);
        if (!listed)
            least_share (shares, count, core_now (self))->count++; /* that is where it will go */
    }
    for (;;) {
        share_t *most = most_share (shares, count);
        share_t *least = least_share (shares, count, core_now (self));
        partition_t *partition =
            most->count >= least->count + 2 ? movable (self, most->node) : NULL;
        if (!partition)
            return;
        partition->releasing = true;
        most->node->poke = true;
        self->routes_version++;
        most->count--;
        least->count++;
        env_log (self->env, LOG_INFO, "%s is asked for partition %" PRIu32, most->node->name,
                 partition->number);
    }
}

void partitions_settle (coordinator_core_t *self)
{
    size_t count;
    share_t *shares = shares_of (self, &count);
    if (count > 0) {
        assign (self, shares, count);
        if (!self->doubtful)
            even_out (self, shares, count);
    }
    mem_free (shares);
}

/* ---- routes ---- */

void partitions_routes (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_ROUTES_OK, id);
    wire_field_uint (writer, "version", self->routes_version);
    wire_field_uint (writer, "partitions", self->options.partitions);
    wire_field_list (writer, "owners");
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const partition_t *partition = &self->partitions[p];
        const node_t *node = node_of (self, partition->node, partition->incarnation);
        if (!node || !partition_listed (partition, node))
            continue;
        wire_open_map (writer);
        wire_field_uint (writer, "partition", p);
        wire_field_string (writer, "endpoint", node->endpoint);
        wire_field_uint (writer, "epoch", partition->epoch);
        wire_close (writer);
    }
    wire_close (writer);
    for (int serving = 1; serving >= 0; serving--) {
        wire_field_list (writer, serving ? "serving" : "speed");
        for (size_t i = 0; i < self->nodes_count; i++) {
            const node_t *node = self->nodes[i];
            if (node->role == (serving ? ROLE_SERVING : ROLE_SPEED) && node_alive (self, node) &&
                (!serving || node_informed (self, node)))
                wire_put_string (writer, node->endpoint);
        }
        wire_close (writer);
    }
    core_reply (self, from, id);
}
