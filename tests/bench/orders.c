#include "tests/bench/orders.h"

#include "block/block.h"
#include "intake/logged.h"
#include "storage/posix_fs.h"
#include "tests/bench/measure.h"

#include <stdlib.h>

enum { FLUSH_BYTES = 8 << 20, CLUSTER = 1, KEPT_PIECES = (384 << 20) / KEPT_PIECE };

void orders_must (orders_t *self, status_t status, const char *what)
{
    if (status != STATUS_OK)
        measure_fail ("%s: %s", what, self->error.text);
}

static status_t no_sync (fs_t *fs, file_t *file, error_t *error)
{
    (void)fs;
    (void)file;
    (void)error;
    return STATUS_OK;
}

static status_t no_sync_dir (fs_t *fs, const char *path, error_t *error)
{
    (void)fs;
    (void)path;
    (void)error;
    return STATUS_OK;
}

/* The message that was written, as a node sees it. */
static const wire_value_t *sent (orders_t *self)
{
    const void *data;
    size_t size;
    message_t message;
    if (!wire_end (self->writer, &data, &size))
        measure_fail ("a message is too large");
    orders_must (self, wire_decode (self->decoder, data, size, &message, &self->error), "message");
    return message.body;
}

/* Definitions are one stream and one view, which say their names first: "streams:\n  NAME:". */
static const char *name_of (const char *text, char *name, size_t size)
{
    const char *at = strchr (text, '\n');
    const char *end = at ? strchr (at, ':') : NULL;
    while (at && *at && strchr (" \n", *at))
        at++;
    if (end == NULL || (size_t)(end - at) >= size)
        measure_fail ("a definition does not begin as it should: %.40s", text);
    memcpy (name, at, (size_t)(end - at));
    name[end - at] = 0;
    return name;
}

static void put_object (orders_t *self, const char *kind, const char *text)
{
    char name[NAME_MAX_SIZE + 1];
    wire_open_map (self->writer);
    wire_field_string (self->writer, "kind", kind);
    wire_field_string (self->writer, "name", name_of (text, name, sizeof name));
    wire_field_uint (self->writer, "version", 1);
    wire_field_string (self->writer, "text", text);
    wire_close (self->writer);
}

static void make_model (orders_t *self, const char *stream, const char *view)
{
    wire_begin (self->writer, message_reply (MESSAGE_DEFINITIONS), 1);
    wire_field_uint (self->writer, "version", 1);
    wire_field_list (self->writer, "objects");
    put_object (self, "stream", stream);
    put_object (self, "view", view);
    wire_close (self->writer);
    orders_must (self, model_from_message (sent (self), &self->model, &self->error), "definitions");
    if (self->model->plans_count != 1 ||
        !model_log (self->model, text_of (self->model->plans[0]->log_name), &self->log))
        measure_fail ("the definitions are not one view of one stream");
    self->stream = self->log.stream;
}

void orders_init (orders_t *self, const char *directory, const char *stream, const char *view)
{
    *self = (orders_t){ .kept = kept_new (KEPT_PIECES),
                        .writer = wire_writer_new (),
                        .decoder = wire_decoder_new () };
    orders_must (self, posix_fs_open (directory, &self->fs, &self->error), "directory");
    self->ops = *self->fs->ops;
    self->ops.sync = no_sync;
    self->ops.sync_dir = no_sync_dir;
    self->fs->ops = &self->ops;
    make_model (self, stream, view);
}

void orders_release (orders_t *self)
{
    kept_unref (&self->kept);
    wire_writer_destroy (&self->writer);
    wire_decoder_destroy (&self->decoder);
    model_unref (&self->model);
    posix_fs_destroy (&self->fs);
}

/* ---- builds ---- */

static void put_runs (wire_writer_t *writer, const orders_build_t *build)
{
    wire_field_list (writer, "runs");
    for (size_t i = 0; i < build->runs_count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "path", build->runs[i].path);
        wire_field_uint (writer, "size", build->runs[i].size);
        wire_field_uint (writer, "rows", build->runs[i].rows);
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_build (orders_t *self, const orders_build_t *build)
{
    wire_writer_t *writer = self->writer;
    wire_field_map (writer, "build");
    wire_field_string (writer, "log", self->stream->log_name);
    wire_field_uint (writer, "partition", build->partition);
    wire_field_uint (writer, "from", build->from);
    wire_field_uint (writer, "cut", build->cut);
    wire_field_int (writer, "clock", build->clock);
    if (build->latest != NULL)
        wire_field_int (writer, "latest", *build->latest);
    put_runs (writer, build);
    wire_field_list (writer, "excluded");
    wire_close (writer);
    wire_close (writer);
}

static void begin_task (orders_t *self, uint64_t task, const char *kind)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, message_reply (MESSAGE_BEAT), 1);
    wire_field_uint (writer, "lease_us", 1);
    wire_field_uint (writer, "definitions", 1);
    wire_field_uint (writer, "routes", 1);
    wire_field_list (writer, "tasks");
    wire_open_map (writer);
    wire_field_uint (writer, "task", task);
    wire_field_uint (writer, "attempt", 1);
    wire_field_string (writer, "kind", kind);
    wire_field_uint (writer, "definitions", 1);
}

static task_t *end_task (orders_t *self, const task_setting_t *setting)
{
    wire_close (self->writer);
    wire_close (self->writer);
    wire_field_list (self->writer, "datasets");
    wire_close (self->writer);
    wire_list_t tasks = wire_list (sent (self), "tasks");
    return task_new (setting, self->model, &tasks.items[0]);
}

task_t *orders_task (orders_t *self, const orders_build_t *build)
{
    const task_setting_t setting = { .fs = self->fs,
                                     .cluster_id = CLUSTER,
                                     .partitions = build->partitions,
                                     .memory_limit = build->memory,
                                     .kept = self->kept };
    begin_task (self, build->task, "build");
    put_build (self, build);
    return end_task (self, &setting);
}

/* ---- loads ---- */

static void put_load (orders_t *self, const orders_load_t *load)
{
    wire_writer_t *writer = self->writer;
    wire_field_map (writer, "load");
    wire_field_string (writer, "stream", self->stream->name);
    wire_field_string (writer, "path", load->path);
    wire_field_string (writer, "id", "bench"); /* not checked: it is no hash */
    wire_field_string (writer, "format", load->format);
    wire_field_bool (writer, "skip", false);
    wire_field_int (writer, "clock", load->clock);
    wire_field_list (writer, "logs");
    wire_put_string (writer, self->stream->log_name);
    wire_close (writer);
    wire_close (writer);
}

task_t *orders_load_task (orders_t *self, const orders_load_t *load)
{
    const task_setting_t setting = { .fs = self->fs,
                                     .cluster_id = CLUSTER,
                                     .partitions = load->partitions,
                                     .memory_limit = load->memory,
                                     .kept = self->kept,
                                     .threads = load->threads };
    begin_task (self, load->task, "load");
    put_load (self, load);
    return end_task (self, &setting);
}

/* ---- the log ---- */

void orders_log_open (orders_log_t *self, orders_t *orders, uint32_t partition)
{
    log_identity_t identity = logged_identity (&orders->log, CLUSTER, partition);
    arena_t *arena = arena_new (1024);
    const char *dir = logged_dir (arena, "log", orders->stream->log_name, partition);
    self->orders = orders;
    orders_must (orders, log_open (orders->fs, dir, &identity, 1, NULL, &self->log, &orders->error),
                 "log");
    arena_destroy (&arena);
}

static void flush (orders_log_t *self)
{
    log_flush_t *pending = log_flush_begin (self->log);
    if (pending == NULL)
        return;
    job_t *job = log_flush_job (pending);
    job->run (job);
    orders_must (self->orders, log_flush_end (self->log, &pending, &self->orders->error), "flush");
}

void orders_log_append (orders_log_t *self, const batch_t *batch)
{
    orders_t *orders = self->orders;
    uint64_t offset;
    buf_t block, out;
    buf_init (&block, BLOCK_SIZE_MAX);
    buf_init (&out, BLOCK_SIZE_MAX);
    orders_must (orders, block_encode (batch, 0, batch->rows, &block, &orders->error), "block");
    events_payload_t payload = { .sequence = 1, .accepted = (uint32_t)batch->rows };
    payload.block = (text_t){ (char *)block.data, (uint32_t)block.size };
    events_payload_encode (&payload, &out);
    orders_must (orders,
                 log_append (self->log, LOG_KIND_EVENTS, out.data, out.size, (uint32_t)batch->rows,
                             batch->ingest_time[batch->rows - 1], &offset, &orders->error),
                 "append");
    buf_release (&block);
    buf_release (&out);
    if (log_pending (self->log) > FLUSH_BYTES)
        flush (self);
}

void orders_log_close (orders_log_t *self)
{
    flush (self);
    log_destroy (&self->log);
}
