#include "tests/unit/fsck/stored.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "batchview/batchview.h"
#include "block/block.h"
#include "storage/dedupe.h"
#include "storage/log.h"
#include "storage/run.h"
#include "storage/sort.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { COLUMNS = 4, ROWS_MAX = 2000, SEGMENT = 4096 };

static error_t error;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != STATUS_OK) {                                                                 \
            fprintf (stderr, "%s\n", error.text);                                                  \
            abort ();                                                                              \
        }                                                                                          \
    } while (0)

static const char definitions_text[] = "streams:\n"
                                       "  pay:\n"
                                       "    key: user\n"
                                       "    time: ts\n"
                                       "    fields:\n"
                                       "      user: string\n"
                                       "      shop: string\n"
                                       "      amount: int64\n"
                                       "      ts: {type: timestamp, unit: us}\n"
                                       "views:\n"
                                       "  spend:\n"
                                       "    from: pay\n"
                                       "    key: user\n"
                                       "    features:\n"
                                       "      total: sum(amount) over 1d, lifetime\n"
                                       "  sales:\n"
                                       "    from: pay\n"
                                       "    key: shop\n"
                                       "    features:\n"
                                       "      n: count() over 7d, lifetime\n";

static const type_t types[COLUMNS] = { TYPE_STRING, TYPE_STRING, TYPE_INT64, TYPE_TIMESTAMP };

/* One log of one partition while it is written. */
typedef struct shelf {
    const char *name;
    uint32_t partition;
    bool primary;
    log_t *log;
    uint64_t epoch;
    uint64_t cut;
    uint64_t load_at; /* offset of its load's control record */
    dedupe_t *producers;
    uint64_t marks[STORED_PARTITIONS];
    batch_t rows; /* all events of it so far, with keys */
} shelf_t;

typedef struct store {
    fs_t *fs;
    random_t random;
    arena_t *arena;
    definitions_t *definitions;
    catalog_t *catalog;
    shelf_t shelf[2][STORED_PARTITIONS]; /* [0] the primary log */
    uint64_t sequence;
} store_t;

/* ---- events ---- */

static value_t string_value (store_t *self, const char *prefix, uint64_t number)
{
    char *text = mem_format ("%s%" PRIu64, prefix, number);
    value_t value = { .type = TYPE_STRING, .s = arena_text (self->arena, text_of (text)) };
    mem_free (text);
    return value;
}

static text_t key_of (store_t *self, const column_t *column, size_t row)
{
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    value_t value = column_get (column, row);
    key_put (&bytes, &value);
    text_t key =
        arena_text (self->arena, (text_t){ (const char *)bytes.data, (uint32_t)bytes.size });
    buf_release (&bytes);
    return key;
}

static void fill_row (store_t *self, batch_t *batch, size_t row)
{
    int64_t time = STORED_CLOCK - (int64_t)random_below (&self->random, 20 * (uint64_t)TIME_DAY);
    value_t user = string_value (self, "user-", random_below (&self->random, 40));
    value_t shop = string_value (self, "shop-", random_below (&self->random, 10));
    value_t amount = { .type = TYPE_INT64, .i = (int64_t)random_below (&self->random, 1000) };
    value_t ts = { .type = TYPE_TIMESTAMP, .i = time };
    column_set (&batch->column[0], row, &user);
    column_set (&batch->column[1], row, &shop);
    column_set (&batch->column[2], row, &amount);
    column_set (&batch->column[3], row, &ts);
    batch->event_time[row] = batch->ingest_time[row] = time;
}

/* Copies a row, places and key too. */
static void copy_row (batch_t *to, size_t at, const batch_t *from, size_t row)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        value_t value = column_get (&from->column[c], row);
        column_set (&to->column[c], at, &value);
    }
    to->event_time[at] = from->event_time[row];
    to->ingest_time[at] = from->ingest_time[row];
    to->offset[at] = from->offset[row];
    to->row[at] = from->row[row];
    to->key[at] = from->key[row];
}

/* ---- logs ---- */

static void open_shelf (store_t *self, shelf_t *shelf)
{
    log_identity_t identity = { STORED_CLUSTER_ID, shelf->name, shelf->partition };
    log_limits_t limits = { .segment_size = SEGMENT };
    char *dir = mem_format ("log/%s/%" PRIu32, shelf->name, shelf->partition);
    log_destroy (&shelf->log);
    OK (log_open (self->fs, dir, &identity, ++shelf->epoch, &limits, &shelf->log, &error));
    mem_free (dir);
}

static uint64_t append (shelf_t *shelf, log_kind_t kind, const buf_t *payload, uint32_t count)
{
    uint64_t offset;
    OK (log_append (shelf->log, kind, payload->data, payload->size, count, STORED_CLOCK, &offset,
                    &error));
    log_flush_t *flush = log_flush_begin (shelf->log);
    job_t *job = log_flush_job (flush);
    job->run (job);
    OK (log_flush_end (shelf->log, &flush, &error));
    return offset;
}

static void keep_rows (store_t *self, shelf_t *shelf, const batch_t *batch)
{
    size_t key_column = shelf->primary ? 0 : 1;
    CHECK (shelf->rows.rows + batch->rows <= ROWS_MAX);
    for (size_t i = 0; i < batch->rows; i++) {
        batch->key[i] = key_of (self, &batch->column[key_column], i);
        copy_row (&shelf->rows, shelf->rows.rows++, batch, i);
    }
}

static text_t encoded (const batch_t *batch, buf_t *block)
{
    batch_t bare = *batch;
    bare.key = NULL;
    buf_init (block, BLOCK_SIZE_MAX);
    OK (block_encode (&bare, 0, bare.rows, block, &error));
    return (text_t){ (const char *)block->data, (uint32_t)block->size };
}

/* Events of the re-keyed log's partition `target` among those just appended to a source. */
static void forward (store_t *self, const shelf_t *source, const batch_t *batch, uint64_t to)
{
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
        shelf_t *target = &self->shelf[1][p];
        batch_t some = batch_new (self->arena, types, COLUMNS, batch->rows);
        some.rows = 0;
        for (size_t i = 0; i < batch->rows; i++) {
            text_t key = key_of (self, &batch->column[1], i);
            if (key_partition (key_hash (key), STORED_PARTITIONS) == p)
                copy_row (&some, some.rows++, batch, i);
        }
        forwarded_payload_t payload = { .source = source->partition,
                                        .from = target->marks[source->partition],
                                        .to = to,
                                        .accepted = (uint32_t)some.rows,
                                        .ids = { 0, 1, 2, 3 },
                                        .ids_count = COLUMNS };
        buf_t block;
        buf_t record;
        buf_init (&record, LOG_PAYLOAD_MAX);
        if (some.rows > 0)
            payload.block = encoded (&some, &block);
        forwarded_payload_encode (&payload, &record);
        uint64_t at =
            append (target, LOG_KIND_EVENTS, &record, some.rows > 0 ? (uint32_t)some.rows : 1);
        for (size_t i = 0; i < some.rows; i++)
            some.offset[i] = at + i;
        keep_rows (self, target, &some);
        target->marks[source->partition] = to;
        if (some.rows > 0)
            buf_release (&block);
        buf_release (&record);
    }
}

static void send (store_t *self, shelf_t *shelf, uint32_t rows, bool forwarded)
{
    batch_t batch = batch_new (self->arena, types, COLUMNS, rows);
    uint64_t end = log_end (shelf->log);
    for (uint32_t i = 0; i < rows; i++) {
        do {
            fill_row (self, &batch, i);
            batch.key[i] = key_of (self, &batch.column[0], i);
        } while (key_partition (key_hash (batch.key[i]), STORED_PARTITIONS) != shelf->partition);
        batch.offset[i] = end + i;
    }
    events_payload_t payload = { .sequence = ++self->sequence, .accepted = rows };
    buf_t block;
    buf_t record;
    buf_init (&record, LOG_PAYLOAD_MAX);
    payload.block = encoded (&batch, &block);
    events_payload_encode (&payload, &record);
    CHECK (append (shelf, LOG_KIND_EVENTS, &record, rows) == end);
    keep_rows (self, shelf, &batch);
    if (forwarded)
        forward (self, shelf, &batch, end + rows);
    buf_release (&block);
    buf_release (&record);
}

static uint64_t control (store_t *self, shelf_t *shelf, log_kind_t kind, const char *id)
{
    buf_t state;
    buf_t record;
    buf_init (&state, DEDUPE_ENCODED_MAX);
    buf_init (&record, LOG_PAYLOAD_MAX);
    if (kind == LOG_KIND_CUT && shelf->primary)
        dedupe_encode (shelf->producers, &state);
    else if (kind == LOG_KIND_CUT)
        marks_encode (shelf->marks, STORED_PARTITIONS, &state);
    control_payload_t payload = { .id = text_of (id),
                                  .clock = STORED_CLOCK,
                                  .producers = { (const char *)state.data, (uint32_t)state.size } };
    control_payload_encode (&payload, &record);
    uint64_t offset = append (shelf, kind, &record, 1);
    catalog_control_t row = { shelf->name, shelf->partition, id, offset, STORED_CLOCK };
    if (self->catalog)
        OK (catalog_put_controls (self->catalog, &row, 1, &error));
    buf_release (&state);
    buf_release (&record);
    return offset;
}

/* ---- history and views ---- */

static batch_t sorted (store_t *self, const batch_t *rows)
{
    uint32_t *order = mem_zero (rows->rows + 1, sizeof *order);
    batch_t batch = batch_new (self->arena, types, COLUMNS, rows->rows);
    sort_batch (rows, order);
    for (size_t i = 0; i < rows->rows; i++)
        copy_row (&batch, i, rows, order[i]);
    mem_free (order);
    return batch;
}

static catalog_run_t write_run (store_t *self, const shelf_t *shelf, const batch_t *rows,
                                int number)
{
    char *dir = mem_format ("history/%s/%" PRIu32, shelf->name, shelf->partition);
    char *path = mem_format ("%s/1024-1-%d.run", dir, number);
    run_schema_t schema = { .log = text_of (shelf->name),
                            .partition = shelf->partition,
                            .partitions = STORED_PARTITIONS,
                            .types = types,
                            .columns = COLUMNS };
    run_writer_t *writer;
    run_info_t info;
    OK (fs_make_dir (self->fs, dir, &error));
    OK (run_writer_new (self->fs, path, &schema, &writer, &error));
    for (size_t at = 0; at < rows->rows; at += 50) /* several calls, one block: a run is small */
        OK (run_writer_add (writer, rows, at, at + 50 < rows->rows ? at + 50 : rows->rows, &error));
    OK (run_writer_finish (writer, &info, &error));
    run_writer_destroy (&writer);
    catalog_run_t run = { .path = arena_string (self->arena, text_of (path)),
                          .size = info.size,
                          .rows = info.rows,
                          .offset = UINT64_MAX };
    mem_free (path);
    mem_free (dir);
    return run;
}

static catalog_view_file_t write_view (store_t *self, const shelf_t *shelf, const batch_t *rows)
{
    const char *name = shelf->primary ? "spend" : "sales";
    plan_t *plan = plan_new (definitions_view (self->definitions, text_of (name)));
    char *dir = mem_format ("views/%s/%" PRIu32, shelf->name, shelf->partition);
    char *path = mem_format ("%s/1024-1-%s.view", dir, name);
    batchview_info_t info = { .version = 1,
                              .plan_hash = plan->hash,
                              .partition = shelf->partition,
                              .partitions = STORED_PARTITIONS,
                              .cut = shelf->cut,
                              .clock_at_cut = STORED_CLOCK,
                              .latest = STORED_CLOCK };
    batchview_writer_t *writer;
    uint64_t size;
    snprintf (info.view, sizeof info.view, "%s", name);
    OK (fs_make_dir (self->fs, dir, &error));
    OK (batchview_writer_new (self->fs, path, plan, &info, &writer, &error));
    projection_t projected = plan_project (plan, rows, self->arena);
    for (size_t i = 0; i < projected.rows; i++)
        OK (batchview_writer_add (writer, &projected, i, i + 1, &error));
    OK (batchview_writer_finish (writer, &size, &error));
    batchview_writer_destroy (&writer);
    OK (fs_sync_dir (self->fs, dir, &error));
    catalog_view_file_t view = { .view = arena_string (self->arena, text_of (name)),
                                 .version = 1,
                                 .plan = plan->hash,
                                 .path = arena_string (self->arena, text_of (path)),
                                 .size = size };
    plan_destroy (&plan);
    mem_free (path);
    mem_free (dir);
    return view;
}

/* Rows of a load in the primary log's partitions: at offset 0, with numbers. */
static batch_t load_rows (store_t *self, const shelf_t *shelf)
{
    batch_t batch = batch_new (self->arena, types, COLUMNS, 30);
    for (uint32_t i = 0; i < 30; i++) {
        do {
            fill_row (self, &batch, i);
            batch.key[i] = key_of (self, &batch.column[shelf->primary ? 0 : 1], i);
        } while (key_partition (key_hash (batch.key[i]), STORED_PARTITIONS) != shelf->partition);
        batch.row[i] = i;
    }
    return sorted (self, &batch);
}

static void build_part (store_t *self, shelf_t *shelf, catalog_part_t *part)
{
    size_t covered = 0;
    batch_t below = shelf->rows;
    while (covered < shelf->rows.rows && shelf->rows.offset[covered] < shelf->cut)
        covered++;
    below.rows = covered;
    batch_t rows = sorted (self, &below);
    batch_t loaded = load_rows (self, shelf);
    part->partition = shelf->partition;
    part->cut = shelf->cut;
    part->clock = STORED_CLOCK;
    part->runs = arena_zero (self->arena, 2, sizeof *part->runs);
    part->runs_count = 2;
    part->runs[0] = write_run (self, shelf, &rows, 1);
    part->runs[1] = write_run (self, shelf, &loaded, 2);
    part->runs[1].offset = shelf->load_at;
    part->views = arena_zero (self->arena, 1, sizeof *part->views);
    part->views_count = 1;
    part->layers = arena_zero (self->arena, 1, sizeof *part->layers);
    part->layers_count = 1;
    part->layers[0] = (catalog_layer_t){ .cut = part->cut,
                                         .clock = part->clock,
                                         .latest = INT64_MIN,
                                         .runs_count = 2,
                                         .views_count = 1 };
    part->views[0] = write_view (self, shelf, &rows);
}

static void publish (store_t *self, int which, const char *load)
{
    const char **loads = arena_zero (self->arena, 1, sizeof *loads);
    loads[0] = load;
    catalog_manifest_t manifest = {
        .log = self->shelf[which][0].name,
        .number = 1,
        .dataset = "d1",
        .loads = loads,
        .loads_count = 1,
        .parts = arena_zero (self->arena, STORED_PARTITIONS, sizeof *manifest.parts),
        .parts_count = STORED_PARTITIONS,
    };
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++)
        build_part (self, &self->shelf[which][p], &manifest.parts[p]);
    catalog_recompute_t row = { .log = manifest.log,
                                .reason = "a test",
                                .state = "queued",
                                .created = STORED_CLOCK,
                                .error = "" };
    OK (catalog_put_recompute (self->catalog, &row, &error));
    OK (catalog_publish (self->catalog, &manifest, row.id, NULL, 0, NULL, 0, STORED_CLOCK, &error));
}

/* ---- the catalog ---- */

static void define (store_t *self)
{
    uint64_t version;
    catalog_object_t objects[] = {
        { .kind = "log", .name = STORED_LOG, .version = 1, .text = "" },
        { .kind = "key", .name = STORED_OTHER, .version = 1, .text = "" },
        { .kind = "stream", .name = "pay", .version = 1, .text = definitions_text },
    };
    OK (catalog_apply (self->catalog, 0, STORED_CLOCK, "", objects, 3, &version, &error));
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
        catalog_control_t begin = { STORED_OTHER, p, "begin", 0, 0 };
        OK (catalog_put_controls (self->catalog, &begin, 1, &error));
    }
}

static void put_load (store_t *self, const char *id, const char *path, const char *state)
{
    catalog_load_t load = { .id = id,
                            .stream = "pay",
                            .log = STORED_LOG,
                            .name = "more.csv",
                            .path = path,
                            .format = "csv",
                            .ingest_time = "",
                            .state = state,
                            .bytes_total = 12,
                            .created = STORED_CLOCK,
                            .error = "",
                            .rejects = "",
                            .runs = "" };
    OK (catalog_put_load (self->catalog, &load, &error));
}

static void put_incoming (store_t *self)
{
    static const char content[] = "user,amount\n";
    char id[33];
    XXH128_hash_t hash = XXH3_128bits (content, 12);
    snprintf (id, sizeof id, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
              (uint64_t)hash.low64);
    OK (fs_make_dir (self->fs, "incoming", &error));
    OK (fs_replace (self->fs, "incoming/more.csv", content, 12, &error));
    put_load (self, id, "incoming/more.csv", "queued");
}

static void assign (store_t *self)
{
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
        catalog_assignment_t row = { p, self->shelf[0][p].epoch, "speed-worker-1", 7,
                                     "tcp://127.0.0.1:1" };
        OK (catalog_assign (self->catalog, &row, 1, &error));
    }
}

/* ---- all ---- */

static void open_all (store_t *self)
{
    for (int which = 0; which < 2; which++)
        for (uint32_t p = 0; p < STORED_PARTITIONS; p++)
            open_shelf (self, &self->shelf[which][p]);
}

static void send_some (store_t *self, int records)
{
    for (int i = 0; i < records; i++)
        for (uint32_t p = 0; p < STORED_PARTITIONS; p++)
            send (self, &self->shelf[0][p], 1 + (uint32_t)random_below (&self->random, 40), true);
}

static void controls (store_t *self)
{
    for (int which = 0; which < 2; which++)
        for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
            shelf_t *shelf = &self->shelf[which][p];
            shelf->load_at = control (self, shelf, LOG_KIND_LOAD_COMMIT, "load-done");
            shelf->cut = control (self, shelf, LOG_KIND_CUT, which == 0 ? "cut-1" : "cut-2");
        }
}

static void begin (store_t *self, fs_t *fs, uint64_t seed)
{
    *self = (store_t){ .fs = fs, .arena = arena_new (1 << 16) };
    random_seed (&self->random, seed);
    definition_file_t file = { "f", text_of (definitions_text) };
    OK (definitions_read (&file, 1, &self->definitions, &error));
    for (int which = 0; which < 2; which++)
        for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
            shelf_t *shelf = &self->shelf[which][p];
            shelf->name = which == 0 ? STORED_LOG : STORED_OTHER;
            shelf->partition = p;
            shelf->primary = which == 0;
            shelf->producers = dedupe_new ();
            shelf->rows = batch_new (self->arena, types, COLUMNS, ROWS_MAX);
            shelf->rows.rows = 0;
        }
}

static void end (store_t *self)
{
    for (int which = 0; which < 2; which++)
        for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
            log_destroy (&self->shelf[which][p].log);
            dedupe_destroy (&self->shelf[which][p].producers);
        }
    catalog_close (&self->catalog);
    definitions_destroy (&self->definitions);
    arena_destroy (&self->arena);
}

void stored_build (fs_t *fs, uint64_t seed)
{
    store_t self;
    begin (&self, fs, seed);
    cluster_file_t cluster = {
        .name = "shop", .id = STORED_CLUSTER_ID, .place = 1, .partitions = STORED_PARTITIONS
    };
    OK (cluster_file_write (fs, &cluster, &error));
    catalog_leader_t seen;
    catalog_leader_t leader = { .lease = TIME_SECOND, .name = "coordinator" };
    OK (catalog_open (fs, "catalog.db", "shop", STORED_PARTITIONS, &self.catalog, &error));
    OK (catalog_leader (self.catalog, &seen, &error));
    OK (catalog_lead (self.catalog, &seen, &leader, &error));
    define (&self);
    open_all (&self);
    send_some (&self, 4);
    open_all (&self);
    send_some (&self, 4);
    put_load (&self, "done", "", "visible");
    controls (&self);
    publish (&self, 0, "done");
    publish (&self, 1, "done");
    send_some (&self, 6);
    open_all (&self);
    send_some (&self, 3);
    put_incoming (&self);
    assign (&self);
    end (&self);
}

void stored_append (fs_t *fs, random_t *random, uint32_t partition, uint32_t rows)
{
    store_t self;
    begin (&self, fs, random_next (random));
    shelf_t *shelf = &self.shelf[0][partition];
    static uint64_t epoch = 1000; /* higher each time */
    shelf->epoch = epoch++;
    open_shelf (&self, shelf);
    send (&self, shelf, rows, false);
    end (&self);
}
