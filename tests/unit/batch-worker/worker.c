#include "tests/unit/batch-worker/worker.h"

#include "storage/log.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODE_CLUSTER_ID = 77 };

static void check (status_t status, const error_t *error)
{
    cr_assert_eq (status, STATUS_OK, "%s", error->text);
}

/* ---- the world ---- */

static int64_t clock_us (env_t *env)
{
    (void)env;
    return CLOCK;
}

static int64_t boot_us (env_t *env)
{
    return ((worker_t *)env)->boot;
}

static uint64_t env_random (env_t *env)
{
    return random_next (&((worker_t *)env)->random);
}

static void env_send (env_t *env, const peer_t *to, const void *data, size_t size)
{
    worker_t *self = (worker_t *)env;
    cr_assert (peer_equal (to, &self->coordinator));
    cr_assert_lt (self->sent_count, SENT_MAX);
    struct sent *sent = &self->sent[self->sent_count++];
    *sent = (struct sent){ .data = malloc (size), .size = size };
    memcpy (sent->data, data, size);
}

static void env_submit (env_t *env, job_t *job)
{
    worker_t *self = (worker_t *)env;
    cr_assert_lt (self->jobs_count, JOBS_MAX);
    self->jobs[self->jobs_count++] = job;
}

static void env_write (env_t *env, log_level_t level, const char *text)
{
    (void)env;
    (void)level;
    (void)text;
}

static void start (worker_t *self, fs_t *fs, uint64_t memory_limit, unsigned threads)
{
    batch_options_t options = { .node = "batch-1",
                                .cluster = "test",
                                .cluster_id = NODE_CLUSTER_ID,
                                .partitions = PARTITIONS,
                                .coordinator = self->coordinator,
                                .max_ahead = 5 * TIME_MINUTE,
                                .disk_reserve = WORKER_RESERVE,
                                .data = "/data",
                                .memory_limit = memory_limit,
                                .tasks_max = 2,
                                .fold_memory = 32 << 20,
                                .threads = threads };
    self->env.fs = fs;
    self->core = batch_core_new (&self->env, &options);
}

static void stop (worker_t *self)
{
    batch_core_destroy (&self->core);
    for (size_t i = 0; i < self->jobs_count; i++)
        self->jobs[i]->discard (self->jobs[i]);
    self->jobs_count = 0;
    worker_forget_sent (self);
}

void worker_init (worker_t *self, uint64_t seed, uint64_t memory_limit)
{
    *self = (worker_t){ .boot = TIME_HOUR, .next_task = 1 };
    self->env = (env_t){ .clock_us = clock_us,
                         .boot_us = boot_us,
                         .random = env_random,
                         .send = env_send,
                         .submit = env_submit,
                         .log = env_write };
    self->disk = sim_disk_new (seed, 0);
    self->fs = sim_disk_fs (self->disk);
    random_seed (&self->random, seed);
    self->arena = arena_new (1 << 16);
    definition_file_t files[] = { { "pay.yaml", text_of (WORKER_STREAM) } };
    error_t error;
    check (definitions_read (files, 1, &self->definitions, &error), &error);
    self->stream = definitions_stream (self->definitions, text_of ("pay"));
    cr_assert (keyed_log_find (self->definitions, text_of (self->stream->log_name), &self->keyed));
    self->coordinator = peer_of_endpoint ("ipc://coordinator");
    self->writer = wire_writer_new ();
    self->decoder = wire_decoder_new ();
    start (self, sim_disk_mount (self->disk), memory_limit, 1);
}

void worker_release (worker_t *self)
{
    stop (self);
    wire_writer_destroy (&self->writer);
    wire_decoder_destroy (&self->decoder);
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
    free (self->events);
    cr_expect_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
}

void worker_restart (worker_t *self, uint64_t memory_limit)
{
    stop (self);
    start (self, sim_disk_mount (self->disk), memory_limit, 1);
}

void worker_restart_on (worker_t *self, fs_t *fs, uint64_t memory_limit, unsigned threads)
{
    stop (self);
    self->fs = fs;
    start (self, fs, memory_limit, threads);
}

/* ---- the coordinator ---- */

void worker_forget_sent (worker_t *self)
{
    for (size_t i = 0; i < self->sent_count; i++)
        free (self->sent[i].data);
    self->sent_count = 0;
}

static void deliver (worker_t *self)
{
    const void *data;
    size_t size;
    cr_assert (wire_end (self->writer, &data, &size));
    batch_core_receive (self->core, &self->coordinator, data, size);
}

/* The latest message of that kind that was sent; its id is 0 when there is none. */
static message_t last_sent (worker_t *self, message_kind_t kind)
{
    error_t error;
    for (size_t i = self->sent_count; i-- > 0;) {
        message_t message;
        check (
            wire_decode (self->decoder, self->sent[i].data, self->sent[i].size, &message, &error),
            &error);
        if (message.kind == kind)
            return message;
    }
    return (message_t){ .id = 0 };
}

static void put_object (wire_writer_t *writer, const char *kind, const char *name, const char *text,
                        const char *fields)
{
    wire_open_map (writer);
    wire_field_string (writer, "kind", kind);
    wire_field_string (writer, "name", name);
    wire_field_uint (writer, "version", 3);
    wire_field_string (writer, "text", text);
    if (fields)
        wire_field_string (writer, "fields", fields);
    wire_close (writer);
}

static uint64_t version_of (const worker_t *self)
{
    return self->era == ERA_BEFORE ? 4 : 5;
}

static void give_definitions (worker_t *self, uint64_t id)
{
    wire_begin (self->writer, MESSAGE_DEFINITIONS_OK, id);
    wire_field_uint (self->writer, "version", version_of (self));
    wire_field_list (self->writer, "objects");
    if (self->era == ERA_BEFORE) {
        put_object (self->writer, "stream", "pay", WORKER_STREAM_BEFORE, NULL);
    } else {
        put_object (self->writer, "stream", "pay", WORKER_STREAM,
                    self->era == ERA_AFTER ? WORKER_FIELDS : NULL);
        put_object (self->writer, "view", "spend", WORKER_SPEND, NULL);
        put_object (self->writer, "view", "large", WORKER_LARGE, NULL);
    }
    wire_close (self->writer);
    deliver (self);
}

static void answer_beat (worker_t *self, put_tasks_fn *put, const void *arg)
{
    self->boot += TIME_SECOND;
    (void)batch_core_tick (self->core);
    message_t beat = last_sent (self, MESSAGE_BEAT);
    cr_assert_neq (beat.id, 0);
    wire_begin (self->writer, MESSAGE_BEAT_OK, beat.id);
    wire_field_uint (self->writer, "lease_us", 3 * TIME_SECOND);
    wire_field_uint (self->writer, "definitions", version_of (self));
    wire_field_uint (self->writer, "routes", 0);
    wire_field_list (self->writer, "tasks");
    put (self, self->writer, arg);
    wire_close (self->writer);
    wire_field_list (self->writer, "datasets");
    wire_close (self->writer);
    deliver (self);
}

void worker_order (worker_t *self, put_tasks_fn *put, const void *arg)
{
    answer_beat (self, put, arg);
    (void)batch_core_tick (self->core);
    message_t wanted = last_sent (self, MESSAGE_DEFINITIONS);
    if (wanted.id == 0)
        return;
    give_definitions (self, wanted.id);
    worker_forget_sent (self);
    answer_beat (self, put, arg);
}

void worker_run (worker_t *self)
{
    for (size_t i = 0; i < self->jobs_count; i++) {
        self->jobs[i]->run (self->jobs[i]);
        batch_core_job_done (self->core, self->jobs[i]);
    }
    self->jobs_count = 0;
}

static void copy_runs (outputs_t *outputs, wire_list_t runs, uint32_t partition)
{
    for (uint32_t i = 0; i < runs.count; i++) {
        const wire_value_t *item = &runs.items[i];
        cr_assert_lt (outputs->runs_count, EVENT_RUNS_MAX);
        struct output_run *run = &outputs->runs[outputs->runs_count++];
        *run = (struct output_run){ .size = wire_uint (item, "size", 0),
                                    .rows = wire_uint (item, "rows", 0),
                                    .offset = wire_uint (item, "offset", RUN_OFFSET_AS_WRITTEN),
                                    .partition = partition };
        wire_copy (item, "path", run->path, sizeof run->path);
    }
}

static void copy_outputs (outputs_t *outputs, const wire_value_t *map)
{
    copy_runs (outputs, wire_list (map, "runs"), 0);
    wire_list_t loaded = wire_list (map, "loaded");
    for (uint32_t i = 0; i < loaded.count; i++)
        copy_runs (outputs, wire_list (&loaded.items[i], "runs"),
                   (uint32_t)wire_uint (&loaded.items[i], "partition", 0));
    wire_list_t views = wire_list (map, "views");
    for (uint32_t i = 0; i < views.count; i++) {
        struct output_view *view = &outputs->views[outputs->views_count++];
        wire_copy (&views.items[i], "view", view->view, sizeof view->view);
        wire_copy (&views.items[i], "path", view->path, sizeof view->path);
        view->plan = wire_uint (&views.items[i], "plan", 0);
        view->size = wire_uint (&views.items[i], "size", 0);
        cr_expect_eq (wire_uint (&views.items[i], "version", 0), 3);
    }
    outputs->rows = wire_uint (map, "rows", 0);
    outputs->refused = wire_uint (map, "refused", 0);
    outputs->latest = wire_int (map, "latest", INT64_MIN);
    wire_copy (map, "rejects", outputs->rejects, sizeof outputs->rejects);
    wire_list_t left_out = wire_list (map, "left_out");
    if (left_out.count > 0) {
        wire_copy (&left_out.items[0], "view", outputs->left_out, sizeof outputs->left_out);
        wire_copy (&left_out.items[0], "reason", outputs->why, sizeof outputs->why);
    }
}

bool worker_reported (worker_t *self, uint64_t *task, outputs_t *outputs, bool acknowledge)
{
    message_t message = last_sent (self, MESSAGE_TASK_DONE);
    if (message.id == 0)
        return false;
    memset (outputs, 0, sizeof *outputs);
    *task = wire_uint (message.body, "task", 0);
    wire_copy (message.body, "status", outputs->status, sizeof outputs->status);
    wire_copy (message.body, "error", outputs->error, sizeof outputs->error);
    wire_copy (message.body, "damaged", outputs->damaged, sizeof outputs->damaged);
    if (wire_has (message.body, "outputs"))
        copy_outputs (outputs, wire_map (message.body, "outputs"));
    uint64_t id = message.id;
    worker_forget_sent (self);
    if (acknowledge) {
        wire_begin (self->writer, MESSAGE_TASK_DONE_OK, id);
        deliver (self);
    }
    return true;
}

void put_nothing (worker_t *self, wire_writer_t *writer, const void *arg)
{
    (void)self;
    (void)writer;
    (void)arg;
}

void put_load (worker_t *self, wire_writer_t *writer, const void *arg)
{
    const load_wish_t *wish = arg;
    wire_open_map (writer);
    wire_field_uint (writer, "task", wish->task);
    wire_field_uint (writer, "attempt", wish->attempt);
    wire_field_string (writer, "kind", "load");
    wire_field_uint (writer, "definitions", version_of (self));
    wire_field_map (writer, "load");
    wire_field_string (writer, "stream", "pay");
    wire_field_string (writer, "path", wish->path);
    wire_field_string (writer, "id", wish->id);
    wire_field_string (writer, "format", wish->format);
    wire_field_bool (writer, "skip", wish->skip);
    wire_field_int (writer, "clock", CLOCK);
    wire_field_list (writer, "logs");
    wire_put_string (writer, self->stream->log_name);
    for (size_t i = 0; i < wish->other_logs_count; i++)
        wire_put_string (writer, wish->other_logs[i]);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
}

void put_build (worker_t *self, wire_writer_t *writer, const void *arg)
{
    const build_wish_t *wish = arg;
    wire_open_map (writer);
    wire_field_uint (writer, "task", wish->task);
    wire_field_uint (writer, "attempt", wish->attempt);
    wire_field_string (writer, "kind", wish->fold ? "fold" : "build");
    wire_field_uint (writer, "definitions", version_of (self));
    wire_field_map (writer, "build");
    wire_field_string (writer, "log", self->stream->log_name);
    wire_field_uint (writer, "partition", wish->partition);
    wire_field_uint (writer, "from", wish->from);
    wire_field_uint (writer, "cut", wish->cut);
    wire_field_int (writer, "clock", wish->clock);
    wire_field_list (writer, "runs");
    for (size_t i = 0; i < wish->runs_count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "path", wish->runs[i].path);
        wire_field_uint (writer, "size", wish->runs[i].size);
        wire_field_uint (writer, "rows", wish->runs[i].rows);
        if (wish->runs[i].offset != RUN_OFFSET_AS_WRITTEN)
            wire_field_uint (writer, "offset", wish->runs[i].offset);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_list (writer, "excluded");
    for (size_t i = 0; i < wish->excluded_count; i++)
        wire_put_uint (writer, wish->excluded[i]);
    wire_close (writer);
    if (wish->latest)
        wire_field_int (writer, "latest", *wish->latest);
    wire_close (writer);
    wire_close (writer);
}

static outputs_t run_one (worker_t *self, put_tasks_fn *put, const void *wish, uint64_t task)
{
    outputs_t outputs;
    uint64_t reported = 0;
    worker_forget_sent (self);
    worker_order (self, put, wish);
    worker_run (self);
    cr_assert (worker_reported (self, &reported, &outputs, true));
    cr_assert_eq (reported, task);
    return outputs;
}

outputs_t worker_load (worker_t *self, const load_wish_t *wish)
{
    return run_one (self, put_load, wish, wish->task);
}

outputs_t worker_build (worker_t *self, const build_wish_t *wish)
{
    return run_one (self, put_build, wish, wish->task);
}

/* ---- events ---- */

static void set_cell (column_t *column, size_t row, type_t type, bool null, int64_t i, double f,
                      text_t s)
{
    value_t value = { .type = type, .null = null };
    if (type == TYPE_FLOAT64)
        value.f = f;
    else if (type == TYPE_STRING)
        value.s = s;
    else
        value.i = i;
    column_set (column, row, &value);
}

static text_t user_name (worker_t *self, int user)
{
    char name[16];
    (void)snprintf (name, sizeof name, "u%d", user);
    return arena_text (self->arena, text_of (name));
}

batch_t worker_batch (worker_t *self, const event_t *const *events, size_t count)
{
    batch_t batch =
        batch_new (self->arena, stream_columns (self->stream, self->arena).types, 4, count);
    for (size_t i = 0; i < count; i++) {
        const event_t *event = events[i];
        set_cell (&batch.column[0], i, TYPE_STRING, event->user < 0, 0, 0,
                  user_name (self, event->user));
        set_cell (&batch.column[1], i, TYPE_FLOAT64, !event->has_amount, 0, event->amount,
                  (text_t){ NULL, 0 });
        set_cell (&batch.column[2], i, TYPE_STRING, event->before, 0, 0,
                  user_name (self, (int)(event->time % 1000)));
        set_cell (&batch.column[3], i, TYPE_TIMESTAMP, false, event->time, 0, (text_t){ NULL, 0 });
        batch.event_time[i] = event->time;
        batch.ingest_time[i] = event->time;
        batch.offset[i] = event->offset;
        batch.row[i] = event->row;
    }
    batch_set_keys (&self->keyed, &batch, self->arena);
    return batch;
}

/* As the log had it under WORKER_STREAM_BEFORE. */
static batch_t batch_before (worker_t *self, const event_t *const *events, size_t count)
{
    batch_t batch = worker_batch (self, events, count);
    batch.column[1] = column_new (self->arena, TYPE_INT64, count);
    batch.column[2] = column_new (self->arena, TYPE_BOOL, count);
    for (size_t i = 0; i < count; i++) {
        set_cell (&batch.column[1], i, TYPE_INT64, !events[i]->has_amount,
                  (int64_t)events[i]->amount, 0, (text_t){ NULL, 0 });
        set_cell (&batch.column[2], i, TYPE_BOOL, false, i % 2, 0, (text_t){ NULL, 0 });
    }
    return batch;
}

static event_t *new_event (worker_t *self, int load)
{
    size_t count = self->events_count++;
    if ((count & (count - 1)) == 0) /* a power of two, or 0: there is no room for more */
        self->events = realloc (self->events, (2 * count + 1) * sizeof *self->events);
    event_t *event = &self->events[count];
    *event = (event_t){ .load = load, .offset = UINT64_MAX };
    event->user = (int)random_below (&self->random, WORKER_USERS + 1) - 1;
    event->has_amount = random_chance (&self->random, 0.8);
    event->amount = (double)((int64_t)random_below (&self->random, 2001) - 1000) / 10;
    event->before = self->era == ERA_BEFORE;
    if (event->before)
        event->amount = (double)(int64_t)event->amount;
    int64_t ago = (int64_t)random_below (&self->random, 10 * (uint64_t)TIME_DAY);
    if (random_chance (&self->random, 0.3))
        ago /= 1000;
    event->time = CLOCK - ago + (random_chance (&self->random, 0.05) ? 2 * TIME_MINUTE : 0);
    const event_t *one = event;
    batch_t batch = worker_batch (self, &one, 1);
    event->partition = key_partition (key_hash (batch.key[0]), PARTITIONS);
    return event;
}

static uint64_t append (worker_t *self, uint32_t partition, log_kind_t kind, const buf_t *payload,
                        uint32_t count)
{
    log_identity_t identity = logged_identity (&self->keyed, NODE_CLUSTER_ID, partition);
    log_t *log;
    error_t error;
    uint64_t offset;
    check (log_open (self->fs, logged_dir (self->arena, "log", self->stream->log_name, partition),
                     &identity, ++self->epoch[partition], NULL, &log, &error),
           &error);
    check (log_append (log, kind, payload->data, payload->size, count, CLOCK, &offset, &error),
           &error);
    log_flush_t *flush = log_flush_begin (log);
    job_t *job = log_flush_job (flush);
    job->run (job);
    check (log_flush_end (log, &flush, &error), &error);
    log_destroy (&log);
    cr_assert_eq (offset, self->end[partition]);
    self->end[partition] += count;
    return offset;
}

static void send_part (worker_t *self, uint32_t partition, event_t *const *events, size_t count)
{
    if (count == 0)
        return;
    buf_t block, record;
    error_t error;
    buf_init (&block, BLOCK_SIZE_MAX);
    buf_init (&record, LOG_PAYLOAD_MAX);
    for (size_t i = 0; i < count; i++)
        events[i]->offset = self->end[partition] + i;
    const event_t *const *given = (const event_t *const *)(const void *)events;
    batch_t batch = self->era == ERA_BEFORE ? batch_before (self, given, count)
                                            : worker_batch (self, given, count);
    batch.key = NULL;
    check (block_encode (&batch, 0, count, &block, &error), &error);
    events_payload_t payload = { .sequence = 1, .accepted = (uint32_t)count };
    payload.block = (text_t){ .data = (const char *)block.data, .size = (uint32_t)block.size };
    payload.has_ids = self->era == ERA_AFTER;
    payload.ids_count = 4;
    memcpy (payload.ids, (const uint16_t[]){ 0, 1, 5, 3 }, 4 * sizeof (uint16_t));
    events_payload_encode (&payload, &record);
    (void)append (self, partition, LOG_KIND_EVENTS, &record, (uint32_t)count);
    buf_release (&block);
    buf_release (&record);
}

void worker_send (worker_t *self, size_t count)
{
    size_t first = self->events_count;
    for (size_t i = 0; i < count; i++)
        (void)new_event (self, -1);
    event_t **part = arena_zero (self->arena, count, sizeof (event_t *));
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        size_t in_part = 0;
        for (size_t i = first; i < self->events_count; i++)
            if (self->events[i].partition == p)
                part[in_part++] = &self->events[i];
        /* of very many, more at a time: each opens the log */
        size_t most = 1 + (size_t)random_below (&self->random, count < 1000 ? 40 : count / 10);
        for (size_t from = 0; from < in_part; from += most)
            send_part (self, p, part + from, in_part - from < most ? in_part - from : most);
    }
}

uint64_t worker_control (worker_t *self, uint32_t partition, log_kind_t kind, int load)
{
    buf_t record;
    buf_init (&record, LOG_PAYLOAD_MAX);
    control_payload_t control = { .id = text_of ("some-1"), .clock = CLOCK };
    control_payload_encode (&control, &record);
    uint64_t offset = append (self, partition, kind, &record, 1);
    buf_release (&record);
    for (size_t i = 0; load >= 0 && i < self->events_count; i++)
        if (self->events[i].load == load && self->events[i].partition == partition)
            self->events[i].offset = offset;
    return offset;
}

void worker_write (worker_t *self, const char *path, text_t text)
{
    file_t *file;
    error_t error;
    check (fs_make_dir (self->fs, "incoming", &error), &error);
    check (fs_open (self->fs, path, FS_CREATE, &file, &error), &error);
    check (fs_write (self->fs, file, 0, text.data, text.size, &error), &error);
    check (fs_sync (self->fs, file, &error), &error);
    fs_close (self->fs, &file);
    check (fs_sync_dir (self->fs, "incoming", &error), &error);
}

text_t worker_read (worker_t *self, const char *path)
{
    file_t *file;
    error_t error;
    uint64_t size;
    check (fs_open (self->fs, path, FS_READ, &file, &error), &error);
    check (fs_size (self->fs, file, &size, &error), &error);
    char *data = arena_alloc (self->arena, size + 1);
    check (fs_read_all (self->fs, file, 0, data, size, &error), &error);
    fs_close (self->fs, &file);
    return (text_t){ data, (uint32_t)size };
}

void worker_file (worker_t *self, const char *path, text_format_t format, size_t count, int load)
{
    buf_t text;
    buf_init (&text, 1 << 24);
    if (format == FORMAT_CSV)
        buf_printf (&text, "user,amount,%s,ts\n", self->era == ERA_BEFORE ? "junk" : "note");
    for (size_t i = 0; i < count; i++) {
        event_t *event = new_event (self, load);
        event->row = (uint32_t)i;
        int note = (int)(event->time % 1000);
        char user[16] = "", amount[32] = "";
        if (event->user >= 0)
            (void)snprintf (user, sizeof user, "u%d", event->user);
        if (event->has_amount)
            (void)snprintf (amount, sizeof amount, event->before ? "%.0f" : "%.1f", event->amount);
        if (event->before)
            buf_printf (&text, "%s,%s,true,%" PRId64 "\n", user, amount, event->time);
        else if (format == FORMAT_CSV)
            buf_printf (&text, "%s,%s,u%d,%" PRId64 "\n", user, amount, note, event->time);
        else
            buf_printf (&text,
                        "{\"user\":%s%s%s,\"amount\":%s,\"note\":\"u%d\",\"ts\":%" PRId64 "}\n",
                        event->user >= 0 ? "\"" : "", event->user >= 0 ? user : "null",
                        event->user >= 0 ? "\"" : "", event->has_amount ? amount : "null", note,
                        event->time);
    }
    worker_write (self, path, (text_t){ (const char *)text.data, (uint32_t)text.size });
    buf_release (&text);
}
