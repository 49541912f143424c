/* What the coordinator knows, told to whoever asks. */
#include "coordinator/skews.h"
#include "coordinator/versions.h"

#include <stdio.h>
#include <string.h>

enum { PROBLEM_MAX = 1024, SHORT_MAX = 128 };

#define CUT_USUAL TIME_SECOND /* that a cut may take before it is told why it is not there */

/* ---- loads and recomputes ---- */

/* Why it does not come in, or go, though a recompute tried to have it so. */
static const char *load_waits (const log_t *log, const load_t *load)
{
    const char *reason = load->state == LOAD_UNLOADING ? log->leave.reason
                         : load->damaged.reason        ? load->damaged.reason
                                                       : log->join.reason;
    return reason ? reason : "";
}

static void write_load (const coordinator_core_t *self, const load_t *load)
{
    wire_writer_t *writer = self->writer;
    const catalog_load_t *row = &load->row;
    uint64_t done = load->state >= LOAD_COMMITTING ? row->bytes_total : 0;
    uint64_t rows = row->rows;
    const attempt_t *attempt = load->task ? task_furthest (load->task) : NULL;
    if (attempt) {
        done = attempt->done;
        rows = attempt->rows;
    }
    wire_open_map (writer);
    wire_field_string (writer, "id", row->id);
    wire_field_string (writer, "stream", row->stream);
    wire_field_string (writer, "name", row->name);
    wire_field_string (writer, "state", load_told (self, load));
    wire_field_uint (writer, "rows", rows);
    wire_field_uint (writer, "refused", row->refused);
    wire_field_uint (writer, "bytes_done", done < row->bytes_total ? done : row->bytes_total);
    wire_field_uint (writer, "bytes_total", row->bytes_total);
    wire_field_int (writer, "created", row->created);
    if (attempt && attempt->took > 0)
        wire_field_uint (writer, "took", attempt->took);
    const char *problem = row->error[0] ? row->error : tasks_wait_for (self, NULL, load);
    const log_t *log = log_named (self, text_of (row->log));
    if (problem[0] == '\0' && log && (load->state == LOAD_WAITING || load->state == LOAD_UNLOADING))
        problem = load_waits (log, load);
    if (problem[0] != '\0')
        wire_field_string (writer, "error", problem);
    if (row->rejects[0] != '\0')
        wire_field_string (writer, "rejects", row->rejects);
    if (load->recompute != 0)
        wire_field_uint (writer, "recompute", load->recompute);
    wire_close (writer);
}

static void write_loads (coordinator_core_t *self, text_t id)
{
    size_t first = self->loads_count > LOADS_TOLD_MAX ? self->loads_count - LOADS_TOLD_MAX : 0;
    wire_field_list (self->writer, "loads");
    for (size_t i = id.size ? 0 : first; i < self->loads_count; i++)
        if (id.size == 0 || text_is (id, self->loads[i]->row.id))
            write_load (self, self->loads[i]);
    wire_close (self->writer);
}

void status_loads (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    wire_begin (self->writer, MESSAGE_LOADS_OK, message->id);
    write_loads (self, wire_text (message->body, "id"));
    core_reply (self, from, message->id);
}

/* The workers' own counts while they build. */
static void count_events (const coordinator_core_t *self, const recompute_t *recompute,
                          uint64_t *done, uint64_t *total)
{
    *done = recompute->done;
    *total = recompute->total;
    for (uint32_t p = 0; recompute->builds && p < self->options.partitions; p++) {
        const build_t *build = &recompute->builds[p];
        if (!build->finished && !build->task)
            continue; /* it is about to be built again */
        uint64_t of_task = build->events;
        *done += build->finished ? build->events : task_progress (build->task, &of_task);
        *total += of_task;
    }
}

/* Less is free on the disk than is to be kept: "" otherwise, or when it cannot be told. */
static const char *disk_waits (const coordinator_core_t *self, char text[SHORT_MAX])
{
    uint64_t free;
    error_t error;
    text[0] = '\0';
    if (fs_free_space (self->env->fs, &free, &error) == STATUS_OK &&
        free < self->options.disk_reserve)
        (void)snprintf (text, SHORT_MAX, "; the disk is full: %.1f MiB are free of %.1f in reserve",
                        (double)free / (1 << 20), (double)self->options.disk_reserve / (1 << 20));
    return text;
}

/* Which partition has no cut yet, and why, when that takes long. */
static const char *cut_waits (const coordinator_core_t *self, const recompute_t *recompute,
                              char text[PROBLEM_MAX])
{
    const log_t *log = log_named (self, text_of (recompute->log));
    char disk[SHORT_MAX];
    uint32_t p = 0;
    text[0] = '\0';
    if (recompute->state != RECOMPUTE_CUTTING || !log || core_now (self) < log->started + CUT_USUAL)
        return text;
    while (p < self->options.partitions && (recompute->cuts[p].known || recompute->behind[p]))
        p++;
    if (p == self->options.partitions)
        return text;
    const partition_t *partition = &self->partitions[p];
    bool owned = node_of (self, partition->node, partition->incarnation) != NULL;
    const char *who = owned ? partition->node : "nobody";
    const char *does = partition->state == HELD_FAILED    ? "it failed there: "
                       : !owned                           ? "it waits for an owner"
                       : partition->state == HELD_SERVING ? "its owner has not written the cut yet"
                                                          : "its owner is opening it";
    (void)snprintf (text, PROBLEM_MAX, "partition %" PRIu32 ", of %s, is not cut: %s%s%s", p, who,
                    does, partition->state == HELD_FAILED ? partition->reason : "",
                    disk_waits (self, disk));
    return text;
}

/* A dataset that a new key's history is read from stays until that is done. */
static const char *history_waits (const coordinator_core_t *self, const recompute_t *recompute)
{
    const log_t *log = log_named (self, text_of (recompute->log));
    bool waits = recompute->state == RECOMPUTE_BUILDING && log && keys_need_dataset (self, log);
    return waits ? "it waits until a new key has read the history that it replaces" : "";
}

/* One of a log goes after the other. */
static const char *turn_waits (const coordinator_core_t *self, const recompute_t *recompute,
                               char text[PROBLEM_MAX])
{
    const recompute_t *first = recompute_running (self, recompute->log);
    text[0] = '\0';
    if (recompute->state != RECOMPUTE_QUEUED || !first || first == recompute)
        return text;
    const char *waits = tasks_wait_for (self, first, NULL);
    (void)snprintf (text, PROBLEM_MAX, "recompute %" PRIu64 " of the log goes first%s%s", first->id,
                    waits[0] ? ", and waits: " : "", waits);
    return text;
}

static void write_recompute (coordinator_core_t *self, const recompute_t *recompute)
{
    char cut[PROBLEM_MAX];
    wire_writer_t *writer = self->writer;
    uint64_t done;
    uint64_t total;
    count_events (self, recompute, &done, &total);
    wire_open_map (writer);
    wire_field_uint (writer, "id", recompute->id);
    wire_field_string (writer, "log", recompute->log);
    wire_field_string (writer, "reason", recompute->reason);
    wire_field_string (writer, "state", recompute_word (recompute->state));
    wire_field_uint (writer, "done", done);
    wire_field_uint (writer, "total", total);
    wire_field_int (writer, "created", recompute->created);
    if (recompute->finished != 0)
        wire_field_int (writer, "finished", recompute->finished);
    const char *problem =
        recompute->error[0] ? recompute->error : tasks_wait_for (self, recompute, NULL);
    if (problem[0] == '\0')
        problem = turn_waits (self, recompute, cut);
    if (problem[0] == '\0')
        problem = cut_waits (self, recompute, cut);
    if (problem[0] == '\0')
        problem = history_waits (self, recompute);
    if (problem[0] != '\0')
        wire_field_string (writer, "error", problem);
    wire_close (writer);
}

static bool is_wanted (wire_list_t ids, uint64_t id)
{
    for (uint32_t i = 0; i < ids.count; i++)
        if (wire_item_uint (&ids.items[i]) == id)
            return true;
    return ids.count == 0;
}

static void write_recomputes (coordinator_core_t *self, wire_list_t ids)
{
    wire_field_list (self->writer, "recomputes");
    for (size_t i = 0; i < self->recomputes_count; i++)
        if (is_wanted (ids, self->recomputes[i]->id))
            write_recompute (self, self->recomputes[i]);
    wire_close (self->writer);
}

void status_recomputes (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    wire_begin (self->writer, MESSAGE_RECOMPUTES_OK, message->id);
    write_recomputes (self, wire_list (message->body, "ids"));
    core_reply (self, from, message->id);
}

/* ---- nodes ---- */

static void write_node (coordinator_core_t *self, const node_t *node)
{
    wire_writer_t *writer = self->writer;
    bool alive = node_alive (self, node);
    uint64_t partitions = 0;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        partitions += partition_listed (&self->partitions[p], node);
    wire_open_map (writer);
    wire_field_string (writer, "node", node->name);
    wire_field_string (writer, "kind", role_word (node->role));
    wire_field_string (writer, "endpoint", node->endpoint);
    wire_field_bool (writer, "alive", alive);
    wire_field_int (writer, "lease_left_us", alive ? node->lease_until - core_heard (self) : 0);
    wire_field_uint (writer, "definitions", node->definitions);
    if (node->role == ROLE_SPEED) {
        wire_field_uint (writer, "partitions", partitions);
        wire_field_uint (writer, "memory", node->memory);
        wire_field_uint (writer, "memory_limit", node->memory_limit);
    }
    wire_close (writer);
}

/* This one, which is no node of its own. */
static void write_self (coordinator_core_t *self)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_string (writer, "node", self->options.node);
    wire_field_string (writer, "kind", role_word (ROLE_COORDINATOR));
    wire_field_string (writer, "endpoint", self->options.endpoint);
    wire_field_bool (writer, "alive", true);
    wire_field_bool (writer, "leads", true);
    wire_field_uint (writer, "term", catalog_term (self->catalog));
    wire_close (writer);
}

/* ---- logs ---- */

static const char *state_word (const partition_t *partition)
{
    switch (partition->state) {
    case HELD_OPENING:
        return "opening";
    case HELD_SERVING:
        return "serving";
    case HELD_FAILED:
        return "failed";
    default:
        return "unowned";
    }
}

static void write_log_partition (coordinator_core_t *self, const log_t *log,
                                 const partition_t *partition)
{
    wire_writer_t *writer = self->writer;
    const node_t *node = node_of (self, partition->node, partition->incarnation);
    const held_log_t *held = partition_log (partition, log->name);
    bool listed = node && partition_listed (partition, node);
    wire_open_map (writer);
    wire_field_uint (writer, "partition", partition->number);
    wire_field_string (writer, "owner", listed ? partition->node : "");
    wire_field_uint (writer, "epoch", partition->epoch);
    wire_field_string (writer, "state",
                       listed || partition->state == HELD_FAILED ? state_word (partition)
                                                                 : "unowned");
    if (partition->state == HELD_FAILED)
        wire_field_string (writer, "reason", partition->reason);
    wire_field_uint (writer, "cut",
                     log->manifest.number ? log->manifest.parts[partition->number].cut : 0);
    wire_field_uint (writer, "base", log_base (log, partition->number));
    wire_field_uint (writer, "start", held ? held->start : 0);
    wire_field_uint (writer, "end", held ? held->end : 0);
    wire_field_uint (writer, "events", schedule_uncovered (log, partition));
    wire_field_uint (writer, "memory", held ? held->memory : 0);
    wire_field_uint (writer, "held", held ? held->events : 0);
    wire_field_uint (writer, "keys", held ? held->keys : 0);
    wire_close (writer);
}

static void write_log (coordinator_core_t *self, const log_t *log)
{
    wire_writer_t *writer = self->writer;
    uint64_t events = 0;
    uint64_t memory = 0;
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        const held_log_t *held = partition_log (&self->partitions[p], log->name);
        events += schedule_uncovered (log, &self->partitions[p]);
        memory += held ? held->memory : 0;
    }
    wire_open_map (writer);
    wire_field_string (writer, "log", log->name);
    wire_field_string (writer, "stream", log->stream);
    wire_field_uint (writer, "manifest", log->manifest.number);
    wire_field_string (writer, "dataset", log->manifest.dataset);
    wire_field_bool (writer, "filling", !log_is_filled (self, log));
    wire_field_uint (writer, "events", events);
    wire_field_uint (writer, "memory", memory);
    damage_write (self, log);
    stuck_write (self, log);
    folds_tell (self, log);
    wire_field_list (writer, "partitions");
    for (uint32_t p = 0; p < self->options.partitions; p++)
        write_log_partition (self, log, &self->partitions[p]);
    wire_close (writer);
    wire_close (writer);
}

void status_tell (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_STATUS_OK, id);
    wire_field_string (writer, "cluster", self->options.cluster);
    wire_field_uint (writer, "partitions", self->options.partitions);
    wire_field_uint (writer, "version", self->version);
    wire_field_list (writer, "nodes");
    write_self (self);
    for (size_t i = 0; i < self->nodes_count; i++)
        write_node (self, self->nodes[i]);
    wire_close (writer);
    wire_field_list (writer, "logs");
    for (size_t i = 0; i < self->logs_count; i++)
        if (!self->logs[i]->dropped)
            write_log (self, self->logs[i]);
    wire_close (writer);
    write_loads (self, (text_t){ 0 });
    write_recomputes (self, (wire_list_t){ 0 });
    skews_tell (self);
    uint64_t free;
    error_t error;
    if (fs_free_space (self->env->fs, &free, &error) == STATUS_OK)
        wire_field_uint (writer, "disk_free", free);
    wire_field_uint (writer, "disk_reserve", self->options.disk_reserve);
    versions_write_waiting (self);
    core_reply (self, from, id);
}

/* ---- about itself ---- */

void status_metrics (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    uint64_t alive = 0;
    uint64_t served = 0;
    for (size_t i = 0; i < self->nodes_count; i++)
        alive += node_alive (self, self->nodes[i]);
    for (uint32_t p = 0; self->partitions && p < self->options.partitions; p++)
        served += self->partitions[p].state == HELD_SERVING;
    wire_begin (writer, MESSAGE_METRICS_OK, id);
    wire_field_map (writer, "values");
    wire_field_uint (writer, "nodes_alive", alive);
    wire_field_uint (writer, "partitions_served", served);
    wire_field_uint (writer, "definitions", self->version);
    wire_field_uint (writer, "tasks", self->tasks_count);
    wire_field_uint (writer, "tasks_copied", self->tasks_copied);
    uint64_t mismatches, alerts;
    (void)skews_totals (self, &mismatches, &alerts);
    wire_field_uint (writer, "skew_mismatches", mismatches);
    wire_field_uint (writer, "skew_alerts", alerts);
    wire_field_uint (writer, "backups", self->pins_count);
    wire_field_uint (writer, "term", catalog_term (self->catalog));
    wire_field_uint (writer, "leads", leader_confirm (self));
    wire_field_uint (writer, "catalog_failing", self->doubtful);
    wire_field_uint (writer, "messages_refused", self->messages_refused);
    wire_field_counters (writer, self->env);
    wire_close (writer);
    core_say (self, from);
}

void status_ping (coordinator_core_t *self, const peer_t *from, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_PING_OK, id);
    wire_field_string (self->writer, "node", self->options.node);
    wire_field_string (self->writer, "kind", "coordinator");
    wire_field_string (self->writer, "cluster", self->options.cluster);
    wire_field_uint (self->writer, "incarnation", self->incarnation);
    core_say (self, from);
}
