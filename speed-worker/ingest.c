/* A batch comes to any worker. Its rows are split by the partition of their key, always in the same
 * way; our own partitions' parts are appended here, the others go to their owners; when every part
 * is durable, the sender is told. Each part is deduplicated by its owner, so that sending the whole
 * batch again is always safe. */
#include "speed-worker/worker.h"

#include "intake/intake.h"
#include "storage/dedupe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- answering ---- */

static void finish (speed_core_t *self, request_t *request)
{
    if (request->error.status != STATUS_OK) {
        worker_send_error (self, &request->from, request->client_id, &request->error);
    } else {
        wire_writer_t *writer = self->writer;
        wire_begin (writer, MESSAGE_SEND_OK, request->client_id);
        outcome_write (&request->outcome, writer);
        wire_field_map (writer, "positions");
        for (size_t i = 0; i < request->parts_count; i++) {
            const request_part_t *part = &request->parts[i];
            char name[sizeof part->log_name + 16];
            int size = snprintf (name, sizeof name, "%s/%u", part->log_name, part->partition);
            wire_key_text (writer, (text_t){ .data = name, .size = (uint32_t)size });
            wire_put_uint (writer, part->position);
        }
        wire_close (writer);
        worker_send (self, &request->from);
    }
    request_free (self->requests, request);
}

bool ingest_leased (void *core)
{
    speed_core_t *self = core;
    return member_leased (self->member);
}

bool ingest_current (void *core)
{
    speed_core_t *self = core;
    return member_model_current (self->member);
}

/* Who is told that there is no room is told when to ask again. */
static void tell_when (speed_core_t *self, status_t status, const char *reason, error_t *error)
{
    uint32_t retry_ms = status == STATUS_BUSY ? pressure_retry_ms (worker_pressure (self)) : 0;
    (void)error_set_retry (error, status, retry_ms, "%s", reason);
}

static void tell_peer (speed_core_t *self, const waiter_t *waiter, status_t status,
                       const char *reason, const outcome_t *outcome, uint64_t position)
{
    if (status != STATUS_OK) {
        error_t error;
        tell_when (self, status, reason, &error);
        worker_send_error (self, &waiter->from, waiter->id, &error);
        return;
    }
    wire_begin (self->writer, MESSAGE_APPEND_OK, waiter->id);
    outcome_write (outcome, self->writer);
    wire_field_uint (self->writer, "position", position);
    worker_send (self, &waiter->from);
}

void ingest_tell (void *core, const waiter_t *waiter, const char *log_name, uint32_t partition,
                  status_t status, const char *reason, const outcome_t *outcome, uint64_t position)
{
    speed_core_t *self = core;
    CHECK_OBJECT (self, SPEED_MAGIC);
    (void)log_name;
    if (waiter->forward) {
        forwarding_tell (self, waiter, status, reason, position);
        return;
    }
    if (status == STATUS_BUSY)
        self->metrics.busy++;
    if (status == STATUS_OK) {
        self->metrics.rows_accepted += outcome->accepted;
        self->metrics.rows_refused += outcome->refused_count;
    }
    if (waiter->request == 0) {
        tell_peer (self, waiter, status, reason, outcome, position);
        return;
    }
    request_t *request = request_find (self->requests, waiter->request);
    if (!request)
        return; /* its deadline passed: the sender has been told that nobody knows */
    error_t error;
    if (status != STATUS_OK)
        tell_when (self, status, reason, &error);
    for (size_t i = 0; i < request->parts_count; i++) {
        if (request->parts[i].partition != partition)
            continue;
        if (status == STATUS_OK)
            request_part_done (request, i, outcome, position);
        else
            request_part_failed (request, i, &error);
    }
    if (request->waiting == 0)
        finish (self, request);
}

static void expire (void *arg, request_t *request)
{
    speed_core_t *self = arg;
    error_t error;
    (void)error_set (&error, STATUS_TIMEOUT,
                     "no answer from its owner in time; send the same batch again");
    for (size_t i = 0; i < request->parts_count; i++)
        request_part_failed (request, i, &error);
    finish (self, request);
}

int64_t ingest_expire (speed_core_t *self, int64_t now)
{
    return request_expired (self->requests, now, expire, self);
}

void ingest_append_answered (speed_core_t *self, const message_t *message)
{
    size_t part;
    request_t *request = request_of_message (self->requests, message->id, &part);
    if (!request)
        return;
    if (message->kind == MESSAGE_APPEND_OK) {
        outcome_t outcome;
        outcome_init (&outcome);
        outcome_add_message (&outcome, message->body);
        request_part_done (request, part, &outcome, wire_uint (message->body, "position", 0));
        outcome_release (&outcome);
    } else {
        char word[WIRE_NAME_MAX + 1];
        wire_copy (message->body, "status", word, sizeof word);
        text_t text = wire_text (message->body, "text");
        uint64_t retry_ms = wire_uint (message->body, "retry_ms", 0);
        error_t error;
        (void)error_set_retry (&error, status_from_word (word),
                               retry_ms < PRESSURE_RETRY_MAX ? (uint32_t)retry_ms
                                                             : PRESSURE_RETRY_MAX,
                               TEXT_FORMAT, TEXT_ARGS (text));
        request_part_failed (request, part, &error);
    }
    if (request->waiting == 0)
        finish (self, request);
}

/* ---- receiving ---- */

/* The parsed head of a `send` or `append`. All in the scratch arena. */
typedef struct incoming {
    const stream_t *stream;
    raw_table_t table;
    int32_t *columns; /* raw column -> field */
    text_t producer;
    uint64_t sequence;
    uint64_t oldest;
    bool resumed;
} incoming_t;

static status_t parse (speed_core_t *self, const message_t *message, incoming_t *incoming,
                       error_t *error)
{
    const wire_value_t *body = message->body;
    const definitions_t *definitions = member_model (self->member)->definitions;
    text_t name = wire_text (body, "stream");
    incoming->stream = definitions_stream (definitions, name);
    if (!incoming->stream && !member_model_current (self->member))
        return error_set (error, STATUS_UNAVAILABLE,
                          "stream '" TEXT_FORMAT "' is not known here yet: newer definitions are "
                          "on their way",
                          TEXT_ARGS (name));
    if (!incoming->stream) {
        const char *nearest = definitions_nearest_stream (definitions, name);
        return error_set (error, STATUS_NOT_FOUND, "there is no stream '" TEXT_FORMAT "'%s%s%s",
                          TEXT_ARGS (name), nearest ? "; did you mean '" : "",
                          nearest ? nearest : "", nearest ? "'?" : "");
    }
    incoming->producer = wire_text (body, "producer");
    incoming->sequence = wire_uint (body, "sequence", 0);
    if (incoming->producer.size != PRODUCER_SIZE || incoming->sequence == 0)
        return error_set (error, STATUS_INVALID,
                          "a producer id has %d bytes and sequences start at 1", PRODUCER_SIZE);
    incoming->oldest = wire_uint (body, "oldest", 0);
    incoming->resumed = wire_bool (body, "resumed", false);
    status_t status = dedupe_in_window (incoming->sequence, incoming->oldest, error);
    if (status == STATUS_OK)
        status = intake_from_wire (wire_list (body, "columns"), wire_list (body, "rows"),
                                   self->scratch, &incoming->table, error);
    if (status != STATUS_OK)
        return status;
    incoming->columns =
        arena_zero (self->scratch, incoming->table.columns_count, sizeof *incoming->columns);
    /* A column that is unknown or missing concerns the rows for which it matters: the others go in.
     */
    intake_map_names (incoming->stream, incoming->table.columns, incoming->table.columns_count,
                      (text_t){ 0 }, incoming->columns);
    return STATUS_OK;
}

const pressure_t *worker_pressure (speed_core_t *self)
{
    int64_t now = self->env->boot_us (self->env);
    if (!pressure_due (&self->pressure, now))
        return &self->pressure;
    memory_t memory = { .requests = request_memory (self->requests) };
    for (uint32_t p = 0; p < self->options.partitions; p++)
        for (size_t i = 0; self->partitions[p] && i < self->partitions[p]->shards_count; i++)
            shard_measure (self->partitions[p]->shards[i], &memory);
    retired_measure (self->retired, &memory);
    pressure_take (&self->pressure, &memory, now);
    return &self->pressure;
}

static bool is_of_producers (message_kind_t kind)
{
    return kind == MESSAGE_SEND || kind == MESSAGE_APPEND;
}

bool ingest_refused (speed_core_t *self, const peer_t *from, message_kind_t kind, uint64_t id,
                     size_t size)
{
    error_t error;
    if (!is_of_producers (kind))
        return false;
    (void)worker_pressure (self);
    /* In this order: what was reserved of memory is counted anew in a moment, and what was taken of
     * the disk only when two looks have passed. */
    status_t status = STATUS_OK;
    if (kind == MESSAGE_SEND) /* of what was passed on, other parts may be in already */
        status = pressure_check_size (&self->pressure, size, &error);
    if (status == STATUS_OK)
        status = pressure_reserve (&self->pressure, size, &error);
    if (status == STATUS_OK)
        status = space_take (self->space, size, &error);
    if (status == STATUS_OK)
        return false;
    self->metrics.busy += status == STATUS_BUSY;
    self->metrics.no_space += status == STATUS_NO_SPACE;
    worker_send_error (self, from, id, &error);
    return true;
}

static void append_here (speed_core_t *self, const incoming_t *incoming, shard_t *shard,
                         const raw_table_t *rows, const uint32_t *indexes, const waiter_t *waiter)
{
    (void)self;
    shard_append_t append = { .producer = incoming->producer,
                              .sequence = incoming->sequence,
                              .resumed = incoming->resumed,
                              .table = rows,
                              .columns = incoming->columns,
                              .indexes = indexes };
    shard_append (shard, &append, waiter);
}

/* Whoever passed the rows on has other definitions than we: what is wrong here may be right there.
 */
static status_t check_definitions (const speed_core_t *self, const message_t *message, bool older,
                                   error_t *error)
{
    uint64_t version = member_model (self->member)->version;
    uint64_t theirs = wire_uint (message->body, "definitions", version);
    if (older ? theirs >= version : theirs <= version)
        return STATUS_OK;
    return error_set (error, STATUS_UNAVAILABLE,
                      "definitions change just now; send the same batch again");
}

/* Whoever passed the rows on may be of another opinion about where keys belong; a row in the wrong
 * partition would never be found again. */
static status_t check_placed (speed_core_t *self, const incoming_t *incoming, uint32_t partition,
                              error_t *error)
{
    for (size_t i = 0; i < incoming->table.rows; i++) {
        text_t key = intake_raw_key (incoming->stream, &incoming->table, incoming->columns, i,
                                     self->scratch);
        if (key_partition (key_hash (key), self->options.partitions) != partition)
            return error_set (error, STATUS_INVALID,
                              "row %zu does not belong to partition %" PRIu32, i, partition);
    }
    return STATUS_OK;
}

void ingest_append (speed_core_t *self, const peer_t *from, const message_t *message)
{
    self->metrics.appends++;
    incoming_t incoming;
    error_t error;
    error_t again;
    waiter_t waiter = { .from = *from, .id = message->id };
    uint32_t partition = (uint32_t)wire_uint (message->body, "partition", UINT32_MAX);
    wire_list_t indexes = wire_list (message->body, "indexes");
    status_t status = check_definitions (self, message, false, &error);
    if (status == STATUS_OK)
        status = parse (self, message, &incoming, &error);
    if (status == STATUS_OK && indexes.count != incoming.table.rows)
        status = error_set (&error, STATUS_INVALID, "%u indexes for %zu rows", indexes.count,
                            incoming.table.rows);
    if (status == STATUS_OK)
        status = check_placed (self, &incoming, partition, &error);
    if (status == STATUS_INVALID && check_definitions (self, message, true, &again) != STATUS_OK) {
        status = STATUS_UNAVAILABLE;
        error = again;
    }
    shard_t *shard =
        status == STATUS_OK ? worker_shard (self, incoming.stream->log_name, partition) : NULL;
    if (status == STATUS_OK && !shard)
        status = error_set (&error, STATUS_FENCED, "partition %" PRIu32 " is not here", partition);
    if (status != STATUS_OK) {
        worker_send_error (self, from, message->id, &error);
        return;
    }
    uint32_t *places = arena_zero (self->scratch, indexes.count, sizeof *places);
    for (uint32_t i = 0; i < indexes.count; i++)
        places[i] = (uint32_t)wire_item_uint (&indexes.items[i]);
    append_here (self, &incoming, shard, &incoming.table, places, &waiter);
}

/* ---- splitting ---- */

typedef struct part {
    uint32_t partition;
    uint32_t rows;
    uint32_t filled;
    uint32_t *indexes; /* rows of the whole table */
} part_t;

/* Groups the rows by partition; parts are in the order of their partitions. */
static part_t *split (speed_core_t *self, const incoming_t *incoming, size_t *parts_count)
{
    uint32_t partitions = self->options.partitions;
    size_t rows = incoming->table.rows;
    uint32_t *partition_of = arena_zero (self->scratch, rows, sizeof *partition_of);
    uint32_t *counts = arena_zero (self->scratch, partitions, sizeof *counts);
    for (size_t i = 0; i < rows; i++) {
        text_t key = intake_raw_key (incoming->stream, &incoming->table, incoming->columns, i,
                                     self->scratch);
        partition_of[i] = key_partition (key_hash (key), partitions);
        counts[partition_of[i]]++;
    }
    part_t *parts = arena_zero (self->scratch, partitions, sizeof *parts);
    part_t **by_partition = arena_zero (self->scratch, partitions, sizeof (part_t *));
    *parts_count = 0;
    for (uint32_t p = 0; p < partitions; p++) {
        if (counts[p] == 0)
            continue;
        part_t *part = &parts[(*parts_count)++];
        part->partition = p;
        part->rows = counts[p];
        part->indexes = arena_zero (self->scratch, counts[p], sizeof *part->indexes);
        by_partition[p] = part;
    }
    for (size_t i = 0; i < rows; i++) {
        part_t *part = by_partition[partition_of[i]];
        part->indexes[part->filled++] = (uint32_t)i;
    }
    return parts;
}

/* The part's rows as a table of their own; the cells' texts stay where they are. */
static raw_table_t part_table (speed_core_t *self, const raw_table_t *whole, const part_t *part)
{
    if (part->rows == whole->rows)
        return *whole;
    size_t width = whole->columns_count;
    raw_table_t table = *whole;
    table.rows = part->rows;
    table.cells = arena_alloc (self->scratch, part->rows * width * sizeof *table.cells);
    for (uint32_t i = 0; i < part->rows; i++)
        memcpy (table.cells + i * width, whole->cells + part->indexes[i] * width,
                width * sizeof *table.cells);
    return table;
}

/* False when it does not fit in a message: it has more in it than what came. */
static bool pass_on (speed_core_t *self, const incoming_t *incoming, const message_t *message,
                     const part_t *part, const peer_t *owner, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_list_t rows = wire_list (message->body, "rows");
    wire_begin (writer, MESSAGE_APPEND, id);
    wire_field_string (writer, "stream", incoming->stream->name);
    wire_field_uint (writer, "partition", part->partition);
    wire_field_bin (writer, "producer", incoming->producer);
    wire_field_uint (writer, "sequence", incoming->sequence);
    wire_field_uint (writer, "oldest", incoming->oldest);
    if (incoming->resumed)
        wire_field_bool (writer, "resumed", true);
    wire_key (writer, "columns");
    wire_put_any (writer, wire_any (message->body, "columns"));
    wire_field_list (writer, "indexes");
    for (uint32_t i = 0; i < part->rows; i++)
        wire_put_uint (writer, part->indexes[i]);
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (uint32_t i = 0; i < part->rows; i++)
        wire_put_any (writer, &rows.items[part->indexes[i]]);
    wire_close (writer);
    wire_field_uint (writer, "definitions", member_model (self->member)->version);
    const void *data;
    size_t size;
    if (!wire_end (writer, &data, &size))
        return false;
    self->env->send (self->env, owner, data, size);
    return true;
}

static void place_part (speed_core_t *self, const incoming_t *incoming, const message_t *message,
                        uint64_t request_id, uint64_t message_id, const part_t *part)
{
    shard_t *shard = worker_shard (self, incoming->stream->log_name, part->partition);
    waiter_t waiter = { .request = request_id };
    const peer_t *owner = routes_owner (self->routes, part->partition);
    if (shard) {
        raw_table_t rows = part_table (self, &incoming->table, part);
        append_here (self, incoming, shard, &rows, part->indexes, &waiter);
    } else if (owner->size > 0 && !self->partitions[part->partition]) {
        if (!pass_on (self, incoming, message, part, owner, message_id))
            ingest_tell (
                self, &waiter, incoming->stream->log_name, part->partition, STATUS_TOO_LARGE,
                "passed on to its owner, the batch is over the limit of a message", NULL, 0);
    } else {
        ingest_tell (self, &waiter, incoming->stream->log_name, part->partition, STATUS_UNAVAILABLE,
                     "nobody owns it just now; send the same batch again", NULL, 0);
    }
}

static void place_parts (speed_core_t *self, const incoming_t *incoming, const message_t *message,
                         request_t *request, const part_t *parts, size_t parts_count)
{
    uint64_t id = request->id;
    for (size_t i = 0; i < parts_count; i++) {
        request_part_t *part = &request->parts[i];
        part->partition = parts[i].partition;
        snprintf (part->log_name, sizeof part->log_name, "%s", incoming->stream->log_name);
    }
    /* a part can be told at once, and the last one ends the request */
    for (size_t i = 0; i < parts_count && (request = request_find (self->requests, id)); i++)
        place_part (self, incoming, message, id, request_message_id (request, i), &parts[i]);
}

void ingest_send (speed_core_t *self, const peer_t *from, const message_t *message)
{
    self->metrics.batches_received++;
    incoming_t incoming;
    error_t error;
    status_t status = parse (self, message, &incoming, &error);
    if (status == STATUS_OK && incoming.table.rows == 0)
        status = error_set (&error, STATUS_INVALID, "a batch without rows");
    if (status != STATUS_OK) {
        worker_send_error (self, from, message->id, &error);
        return;
    }
    size_t parts_count;
    part_t *parts = split (self, &incoming, &parts_count);
    int64_t deadline = self->env->boot_us (self->env) + SEND_TIMEOUT;
    request_t *request = request_new (self->requests, from, message->id, parts_count, deadline);
    if (!request) {
        self->metrics.busy++;
        (void)error_set_retry (&error, STATUS_BUSY, pressure_retry_ms (worker_pressure (self)),
                               "%d batches are under way here; try again later", REQUESTS_MAX);
        worker_send_error (self, from, message->id, &error);
        return;
    }
    place_parts (self, &incoming, message, request, parts, parts_count);
}
