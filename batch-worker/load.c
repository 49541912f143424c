/* load.c - a file becomes sorted runs, a few for every partition that it has rows of. */
#include "batch-worker/task.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"
#include "storage/rows.h"
#include "storage/sorter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    CHUNK_SIZE = 1 << 20,     /* bytes read at once */
    TABLE_ROWS = 4096,        /* rows converted at once */
    TEXT_CHUNK = 1 << 20,     /* bytes of an arena's chunk */
    REJECTS_BUFFER = 1 << 18, /* bytes of rejects written at once */
    HASH_DIGITS = 32,         /* hex, of an XXH3-128 */
};

/* Rows that were refused, as they were, for the user to mend and load again. */
typedef struct rejects {
    const char *path; /* of this attempt, until it is whole; NULL before the first */
    file_t *file;
    uint64_t at;
    buf_t buffer;
} rejects_t;

/* One of the stream's keyed logs. */
typedef struct load_log {
    keyed_log_t keyed;
    const char *name;   /* in the order */
    sorter_t **sorters; /* per partition */
    uint32_t *spills;   /* runs per partition so far */
} load_log_t;

typedef struct load {
    task_t *task;
    fs_t *fs;
    const stream_t *stream;
    file_t *file;
    text_reader_t *reader;
    arena_t *scratch; /* of one table */
    load_log_t *logs;
    size_t logs_count;
    rejects_t rejects;
} load_t;

/* ---- runs ---- */

static sorter_t *new_sorter (const load_t *self)
{
    columns_t columns = stream_columns (self->stream, self->scratch);
    return sorter_new (columns.types, columns.count, self->task->setting.kept);
}

static status_t write_partition (load_t *self, load_log_t *log, uint32_t partition, error_t *error)
{
    task_t *task = self->task;
    sorter_t **sorter = &log->sorters[partition];
    char *dir = logged_dir (task->arena, "history", log->name, partition);
    const char *path = task_format (task, "%s/%" PRIu64 "-%" PRIu64 "-load-%u.run", dir, task->id,
                                    task->attempt, log->spills[partition]++);
    columns_t columns = stream_columns (self->stream, self->scratch);
    run_schema_t schema = { .log = text_of (log->name),
                            .fingerprint = log->keyed.fingerprint,
                            .partition = partition,
                            .partitions = task->setting.partitions,
                            .types = columns.types,
                            .ids = columns.ids,
                            .columns = columns.count };
    run_info_t info;
    status_t status = fs_make_dir (self->fs, dir, error);
    if (status == STATUS_OK)
        status = sorter_write (*sorter, self->fs, path, &schema, &info, error);
    if (status != STATUS_OK)
        return status;
    sorter_destroy (sorter); /* other partitions may need the memory next */
    *sorter = new_sorter (self);
    task_wrote (task, path);
    task_run_t run = { .path = path,
                       .size = info.size,
                       .rows = info.rows,
                       .offset = RUN_OFFSET_AS_WRITTEN,
                       .partition = partition,
                       .log = log->name };
    task_runs_add (&task->runs, &run);
    return STATUS_OK;
}

static status_t spill_log (load_t *self, load_log_t *log, error_t *error)
{
    for (uint32_t p = 0; p < self->task->setting.partitions; p++) {
        if (sorter_rows (log->sorters[p]) == 0)
            continue;
        status_t status = task_go_on (self->task, error);
        if (status == STATUS_OK)
            status = write_partition (self, log, p, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static status_t spill (load_t *self, error_t *error)
{
    for (size_t l = 0; l < self->logs_count; l++) {
        status_t status = spill_log (self, &self->logs[l], error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* ---- rejects ---- */

static status_t rejects_flush (load_t *self, error_t *error)
{
    rejects_t *rejects = &self->rejects;
    status_t status = fs_write (self->fs, rejects->file, rejects->at, rejects->buffer.data,
                                rejects->buffer.size, error);
    rejects->at += rejects->buffer.size;
    buf_clear (&rejects->buffer);
    return status;
}

static status_t rejects_line (load_t *self, text_t line, error_t *error)
{
    buf_t *buffer = &self->rejects.buffer;
    buf_put (buffer, line.data, line.size);
    buf_put_u8 (buffer, '\n');
    CHECK (!buffer->bad);
    return buffer->size < REJECTS_BUFFER ? STATUS_OK : rejects_flush (self, error);
}

static status_t rejects_open (load_t *self, error_t *error)
{
    task_t *task = self->task;
    const char *path =
        task_format (task, "incoming/%" PRIu64 "-%" PRIu64 ".rejects.tmp", task->id, task->attempt);
    status_t status = fs_make_dir (self->fs, "incoming", error);
    if (status == STATUS_OK)
        status = fs_open (self->fs, path, FS_CREATE, &self->rejects.file, error);
    if (status != STATUS_OK)
        return status;
    self->rejects.path = path;
    task_wrote (task, path);
    return task->load.format == FORMAT_CSV
               ? rejects_line (self, text_reader_header (self->reader), error)
               : STATUS_OK;
}

/* The attempts of a load refuse the same rows, so that the last one to rename does no harm. */
static status_t rejects_close (load_t *self, error_t *error)
{
    if (self->rejects.path == NULL)
        return STATUS_OK;
    const char *path = task_format (self->task, "incoming/%s.rejects", self->task->load.id);
    status_t status = rejects_flush (self, error);
    if (status == STATUS_OK)
        status = fs_sync (self->fs, self->rejects.file, error);
    fs_close (self->fs, &self->rejects.file);
    if (status == STATUS_OK)
        status = fs_rename (self->fs, self->rejects.path, path, error);
    if (status == STATUS_OK)
        status = fs_sync_dir (self->fs, "incoming", error);
    self->task->rejects = path;
    return status;
}

/* A row that is not taken: the end of the load, or one for the rejects. */
static status_t refuse (load_t *self, text_t record, const char *reason, error_t *error)
{
    if (!self->task->load.skip)
        return error_set (error, STATUS_INVALID, "%s", reason);
    self->task->refused++;
    status_t status = STATUS_OK;
    if (self->rejects.path == NULL)
        status = rejects_open (self, error);
    return status == STATUS_OK ? rejects_line (self, record, error) : status;
}

/* ---- rows ---- */

static status_t refuse_rows (load_t *self, const intake_result_t *result, uint64_t first_row,
                             error_t *error)
{
    for (size_t i = 0; i < result->refused_count; i++) {
        const refused_row_t *row = &result->refused[i];
        error_t reason;
        (void)error_set (&reason, STATUS_INVALID, "row %" PRIu64 ", %s", first_row + row->row,
                         row->reason);
        status_t status =
            refuse (self, text_reader_record (self->reader, row->row), reason.text, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Rows are numbered in the file from 0, those that were refused too. */
static status_t number_rows (const intake_result_t *result, uint64_t first_row, error_t *error)
{
    for (size_t r = 0; r < result->batch.rows; r++) {
        uint64_t row = first_row - 1 + result->raw_row[r];
        if (row > UINT32_MAX)
            return error_set (error, STATUS_TOO_LARGE, "a file may have up to %" PRIu32 " rows",
                              UINT32_MAX);
        result->batch.row[r] = (uint32_t)row;
    }
    return STATUS_OK;
}

/* The rows of each partition together, those that belong to no entity of another key nowhere: such
 * are in that key's log not at all. Partition p's end up in rows[begin[p], begin[p + 1]). */
static void group_rows (load_t *self, const load_log_t *log, const batch_t *batch, uint32_t *rows,
                        uint32_t *begin)
{
    uint32_t partitions = self->task->setting.partitions;
    uint32_t *partition = arena_alloc (self->scratch, batch->rows * sizeof *partition);
    for (size_t r = 0; r < batch->rows; r++) {
        bool nowhere = !log->keyed.primary && log->keyed.key_count > 0 && batch->key[r].size == 0;
        partition[r] = nowhere ? partitions : key_partition (key_hash (batch->key[r]), partitions);
        if (!nowhere)
            begin[partition[r] + 1]++;
    }
    uint32_t *end = arena_alloc (self->scratch, (partitions + 1) * sizeof *end);
    for (uint32_t p = 0; p < partitions; p++)
        begin[p + 1] += begin[p];
    memcpy (end, begin, (partitions + 1) * sizeof *end);
    for (size_t r = 0; r < batch->rows; r++)
        if (partition[r] < partitions)
            rows[end[partition[r]]++] = (uint32_t)r;
}

static void gather_log (load_t *self, load_log_t *log, const batch_t *rows)
{
    uint32_t partitions = self->task->setting.partitions;
    batch_t batch = *rows;
    if (!log->keyed.primary)
        batch_set_keys (&log->keyed, &batch, self->scratch);
    uint32_t *which = arena_alloc (self->scratch, batch.rows * sizeof *which);
    uint32_t *begin = arena_zero (self->scratch, partitions + 1, sizeof *begin);
    group_rows (self, log, &batch, which, begin);
    for (uint32_t p = 0; p < partitions; p++)
        if (begin[p + 1] > begin[p])
            sorter_add_picked (log->sorters[p], &batch, which + begin[p], begin[p + 1] - begin[p]);
}

/* Bytes that all the rows take that are not written yet. */
static uint64_t gathered_bytes (const load_t *self)
{
    uint64_t bytes = 0;
    for (size_t l = 0; l < self->logs_count; l++)
        for (uint32_t p = 0; p < self->task->setting.partitions; p++)
            bytes += sorter_bytes (self->logs[l].sorters[p]);
    return bytes;
}

static status_t gather (load_t *self, const batch_t *batch, error_t *error)
{
    for (size_t l = 0; l < self->logs_count; l++)
        gather_log (self, &self->logs[l], batch);
    self->task->rows += batch->rows;
    return gathered_bytes (self) < self->task->setting.memory_limit / 2 ? STATUS_OK
                                                                        : spill (self, error);
}

static status_t map_header (load_t *self, const text_t *columns, size_t count, int32_t *map,
                            error_t *error)
{
    const load_order_t *order = &self->task->load;
    if (order->format == FORMAT_CSV)
        return intake_map_columns (self->stream, columns, count, order->ingest_time, map, error);
    intake_map_names (self->stream, columns, count, order->ingest_time, map);
    return STATUS_OK;
}

static status_t take_table (load_t *self, const raw_table_t *table, uint64_t first_row,
                            error_t *error)
{
    const load_order_t *order = &self->task->load;
    int32_t *map = arena_zero (self->scratch, table->columns_count, sizeof *map);
    status_t status = map_header (self, table->columns, table->columns_count, map, error);
    if (status != STATUS_OK)
        return status;
    intake_rules_t rules = { .now = order->clock,
                             .max_ahead = self->task->setting.max_ahead,
                             .ingest_column = order->ingest_time,
                             .ingest_is_event_time = order->ingest_time.size == 0 };
    intake_result_t result;
    intake_convert (self->stream, table, map, &rules, self->scratch, &result);
    status = refuse_rows (self, &result, first_row, error);
    if (status == STATUS_OK)
        status = number_rows (&result, first_row, error);
    return status == STATUS_OK ? gather (self, &result.batch, error) : status;
}

static status_t take_tables (load_t *self, bool *any, error_t *error)
{
    raw_table_t table;
    uint64_t first_row;
    *any = false;
    while (text_reader_table (self->reader, &table, &first_row)) {
        status_t status = take_table (self, &table, first_row, error);
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
        if (status != STATUS_OK)
            return status;
        text_reader_next (self->reader);
        arena_reset (self->scratch);
        *any = true;
    }
    return STATUS_OK;
}

/* ---- history: the rows of the stream's own log, for a key that is new to it ---- */

/* Rows of a load share an offset: room is left for them, so that all keep their order. */
static status_t number_of (const history_part_t *part, uint64_t offset, uint32_t row,
                           uint32_t *number, error_t *error)
{
    uint64_t sum = part->first + offset + row;
    for (size_t i = 0; i < part->loads_count; i++)
        sum += part->loads[i].offset < offset ? part->loads[i].rows : 0;
    if (sum > UINT32_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "the stream has more events than a new key can be given (%" PRIu32 ")",
                          UINT32_MAX);
    *number = (uint32_t)sum;
    return STATUS_OK;
}

static int compare_offset (const void *key, const void *item)
{
    const uint64_t *a = key;
    const uint64_t *b = item;
    return (*a > *b) - (*a < *b);
}

static bool leaves_out (const history_part_t *part, uint64_t offset)
{
    return part->excluded_count > 0 && bsearch (&offset, part->excluded, part->excluded_count,
                                                sizeof offset, compare_offset) != NULL;
}

/* The rows that count, numbered; batch->rows becomes how many they are. Strings are borrowed. */
static status_t take_history (load_t *self, const history_part_t *part, const batch_t *read,
                              batch_t *batch, error_t *error)
{
    rows_place_t *places = arena_alloc (self->scratch, read->rows * sizeof *places);
    size_t count = 0;
    for (size_t r = 0; r < read->rows; r++)
        if (!leaves_out (part, read->offset[r]))
            places[count++] = (rows_place_t){ .row = (uint32_t)r };
    *batch = rows_pick (read, places, count, self->scratch);
    for (size_t r = 0; r < count; r++) {
        status_t status = number_of (part, batch->offset[r], batch->row[r], &batch->row[r], error);
        if (status != STATUS_OK)
            return status;
        batch->offset[r] = 0;
    }
    return STATUS_OK;
}

static status_t gather_run (load_t *self, const history_part_t *part, const run_t *run,
                            error_t *error)
{
    arena_t *arena = arena_new (TEXT_CHUNK);
    columns_t columns = stream_columns (self->stream, arena);
    run_cursor_t *cursor = NULL;
    status_t status = run_cursor_new_as (run, &columns, NULL, &cursor, error);
    while (status == STATUS_OK) {
        batch_t read;
        batch_t batch;
        arena_reset (self->scratch);
        status = run_cursor_next (cursor, &read, error);
        if (status == STATUS_OK)
            status = take_history (self, part, &read, &batch, error);
        if (status == STATUS_OK)
            status = gather (self, &batch, error);
        if (status == STATUS_OK)
            status = task_go_on (self->task, error);
        if (status == STATUS_OK)
            task_progress (self->task, read.rows);
    }
    run_cursor_destroy (&cursor);
    arena_destroy (&arena);
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t read_run (load_t *self, const history_part_t *part, const task_run_t *item,
                          error_t *error)
{
    run_options_t options = { .offset_override = item->offset };
    run_t *run = NULL;
    status_t status = run_open (self->fs, item->path, &options, &run, error);
    if (status != STATUS_OK)
        return status;
    const run_schema_t *found = &run_info (run)->schema;
    if (!text_is (found->log, self->stream->log_name) || found->partition != part->partition)
        status = error_set (error, STATUS_CORRUPT, "it is of " TEXT_FORMAT ", partition %u",
                            TEXT_ARGS (found->log), found->partition);
    else
        status = gather_run (self, part, run, error);
    run_destroy (&run);
    return status == STATUS_OK ? status : error_prefix (error, "run %s", item->path);
}

static status_t read_history (load_t *self, error_t *error)
{
    const load_order_t *order = &self->task->load;
    uint64_t total = 0;
    for (size_t i = 0; i < order->history_count; i++)
        for (size_t r = 0; r < order->history[i].runs.count; r++)
            total += order->history[i].runs.items[r].rows;
    atomic_store (&self->task->total, total);
    for (size_t i = 0; i < order->history_count; i++)
        for (size_t r = 0; r < order->history[i].runs.count; r++) {
            const history_part_t *part = &order->history[i];
            status_t status = read_run (self, part, &part->runs.items[r], error);
            if (status != STATUS_OK)
                return status;
        }
    return spill (self, error);
}

/* ---- the file ---- */

/* Feeds bytes, or the end; *more: call it again at the end of the file. */
static status_t feed (load_t *self, const void *data, size_t size, size_t *taken, bool *more,
                      error_t *error)
{
    uint64_t bad_row;
    error_t problem;
    status_t fed = text_reader_feed (self->reader, data, size, taken, &bad_row, &problem);
    if (fed != STATUS_OK && bad_row == 0)
        return error_set (error, fed, "%s", problem.text);
    /* the bad record's text goes with the next feed, and the rows before it come first */
    status_t status = take_tables (self, more, error);
    if (status == STATUS_OK && fed != STATUS_OK) {
        *more = true;
        status = refuse (self, text_reader_bad (self->reader), problem.text, error);
    }
    return status;
}

static status_t feed_chunk (load_t *self, const char *data, size_t size, error_t *error)
{
    size_t at = 0;
    bool more = size == 0;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && (at < size || more)) {
        size_t taken;
        bool again = false;
        status = feed (self, data + at, size - at, &taken, &again, error);
        at += taken;
        more = size == 0 && again;
    }
    return status;
}

/* A header that is wrong is so without rows too. */
static status_t check_header (load_t *self, error_t *error)
{
    const text_t *columns;
    size_t count;
    int32_t map[TEXT_COLUMNS_MAX];
    if (self->task->load.format != FORMAT_CSV ||
        !text_reader_columns (self->reader, &columns, &count))
        return STATUS_OK;
    return map_header (self, columns, count, map, error);
}

/* A load's id begins with the hash of its content: a disk may give other bytes than were stored. */
static status_t check_content (load_t *self, const XXH3_state_t *hash, error_t *error)
{
    const load_order_t *order = &self->task->load;
    char hex[HASH_DIGITS + 1];
    XXH128_hash_t found = XXH3_128bits_digest (hash);
    (void)snprintf (hex, sizeof hex, "%016" PRIx64 "%016" PRIx64, found.high64, found.low64);
    if (strlen (order->id) < HASH_DIGITS || strncmp (order->id, hex, HASH_DIGITS) == 0)
        return STATUS_OK;
    return error_set (error, STATUS_IO, "%s was read as other bytes than those that were given",
                      order->path);
}

static status_t read_file (load_t *self, error_t *error)
{
    char *chunk = mem_alloc (CHUNK_SIZE);
    XXH3_state_t *hash = XXH3_createState ();
    uint64_t at = 0;
    size_t got = CHUNK_SIZE;
    status_t status = STATUS_OK;
    CHECK (hash != NULL);
    XXH3_128bits_reset (hash);
    while (status == STATUS_OK && got > 0) {
        status = fs_read (self->fs, self->file, at, chunk, CHUNK_SIZE, &got, error);
        at += got;
        if (status == STATUS_OK)
            XXH3_128bits_update (hash, chunk, got);
        if (status == STATUS_OK)
            status = feed_chunk (self, chunk, got, error);
        task_progress (self->task, got);
    }
    mem_free (chunk);
    error_t other; /* than what is wrong with the bytes, if they are not those that were given */
    if (got == 0 && check_content (self, hash, &other) != STATUS_OK) {
        *error = other;
        status = other.status;
    }
    XXH3_freeState (hash);
    if (status == STATUS_OK)
        status = check_header (self, error);
    if (status == STATUS_OK)
        status = spill (self, error);
    return status == STATUS_OK ? rejects_close (self, error) : status;
}

static status_t find_stream (load_t *self, error_t *error)
{
    task_t *task = self->task;
    self->stream = definitions_stream (task->model->definitions, task->load.stream);
    if (self->stream == NULL)
        return error_set (error, STATUS_NOT_FOUND, "there is no stream '" TEXT_FORMAT "'",
                          TEXT_ARGS (task->load.stream));
    return STATUS_OK;
}

static status_t open_file (load_t *self, error_t *error)
{
    task_t *task = self->task;
    uint64_t size;
    status_t status = fs_open (self->fs, task->load.path, FS_READ, &self->file, error);
    if (status == STATUS_OK)
        status = fs_size (self->fs, self->file, &size, error);
    if (status == STATUS_OK)
        atomic_store (&task->total, size);
    return status;
}

static status_t prepare_log (load_t *self, load_log_t *log, const char *name, error_t *error)
{
    uint32_t partitions = self->task->setting.partitions;
    if (!model_log (self->task->model, text_of (name), &log->keyed) ||
        log->keyed.stream != self->stream)
        return error_set (error, STATUS_NOT_FOUND, "there is no log '%s' of stream %s", name,
                          self->stream->name);
    log->name = name;
    log->sorters = mem_zero (partitions, sizeof *log->sorters);
    log->spills = mem_zero (partitions, sizeof *log->spills);
    for (uint32_t p = 0; p < partitions; p++)
        log->sorters[p] = new_sorter (self);
    return STATUS_OK;
}

static status_t prepare (load_t *self, error_t *error)
{
    const load_order_t *order = &self->task->load;
    self->reader = text_reader_new (order->from_history ? FORMAT_CSV : order->format, TABLE_ROWS);
    buf_init (&self->rejects.buffer, REJECTS_BUFFER + 2 * TEXT_LINE_MAX);
    if (order->logs_count == 0)
        return error_set (error, STATUS_INVALID, "a load into no log");
    self->logs = mem_zero (order->logs_count, sizeof *self->logs);
    status_t status = STATUS_OK;
    while (status == STATUS_OK && self->logs_count < order->logs_count) {
        load_log_t *log = &self->logs[self->logs_count];
        status = prepare_log (self, log, order->logs[self->logs_count], error);
        if (status == STATUS_OK)
            self->logs_count++;
    }
    return status;
}

static void release (load_t *self)
{
    for (size_t l = 0; l < self->logs_count; l++) {
        for (uint32_t p = 0; p < self->task->setting.partitions; p++)
            sorter_destroy (&self->logs[l].sorters[p]);
        mem_free (self->logs[l].sorters);
        mem_free (self->logs[l].spills);
    }
    mem_free (self->logs);
    text_reader_destroy (&self->reader);
    buf_release (&self->rejects.buffer);
    fs_close (self->fs, &self->rejects.file);
    fs_close (self->fs, &self->file);
    arena_destroy (&self->scratch);
}

status_t task_load (task_t *task, error_t *error)
{
    load_t self = { .task = task, .fs = task->setting.fs, .scratch = arena_new (TEXT_CHUNK) };
    status_t status = find_stream (&self, error);
    if (status == STATUS_OK && !task->load.from_history)
        status = open_file (&self, error);
    if (status == STATUS_OK)
        status = prepare (&self, error);
    if (status == STATUS_OK)
        status = task->load.from_history ? read_history (&self, error) : read_file (&self, error);
    release (&self);
    return status;
}
