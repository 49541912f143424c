/* Files and payloads: blocks, runs, log segments, producer tables, batch views. */
#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "storage/dedupe.h"
#include "storage/log.h"
#include "storage/rows.h"
#include "storage/run.h"
#include "storage/sort.h"
#include "tests/fuzz/driver/seeds.h"
#include "tests/sim/disk/disk.h"
#include "tests/unit/block/random_history.h"

enum { COLUMNS = 6 };

static const type_t types[COLUMNS] = {
    TYPE_BOOL,   TYPE_INT64,     TYPE_FLOAT64,
    TYPE_STRING, TYPE_TIMESTAMP, (type_t)(DECIMAL_TYPE_BASE + 2)
};

static void must (status_t status, const error_t *error)
{
    if (status != STATUS_OK)
        fprintf (stderr, "%s\n", error->text);
    CHECK (status == STATUS_OK);
}

static batch_t some_rows (random_t *random, arena_t *arena, size_t rows)
{
    batch_t *batch = arena_zero (arena, 1, sizeof *batch);
    *batch = random_batch (random, arena, types, COLUMNS, rows);
    if (rows == 0)
        return *batch;
    uint32_t *order = arena_zero (arena, rows, sizeof *order);
    rows_place_t *places = arena_zero (arena, rows, sizeof *places);
    sort_batch (batch, order);
    for (size_t i = 0; i < rows; i++)
        places[i].row = order[i];
    return rows_pick (batch, places, rows, arena);
}

static void blocks (random_t *random)
{
    static const size_t sizes[] = { 1, 3, 20, 70 };
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        arena_t *arena = arena_new (1 << 16);
        batch_t batch = some_rows (random, arena, sizes[i / 2]);
        buf_t out;
        error_t error;
        buf_init (&out, BLOCK_SIZE_MAX);
        if (i % 2)
            batch.key = NULL;
        must (block_encode (&batch, 0, batch.rows, &out, &error), &error);
        seed_write ("block", out.data, out.size);
        buf_release (&out);
        arena_destroy (&arena);
    }
}

/* As runs have them: the sizes are such that every encoding comes. */
static void dense_blocks (void)
{
    static const size_t sizes[] = { 2, 70, 200, 400 };
    random_t random;
    random_seed (&random, 2);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        arena_t *arena = arena_new (1 << 16);
        batch_t batch = i % 2 ? some_rows (&random, arena, sizes[i / 2])
                              : random_history (&random, arena, sizes[i / 2], 12);
        for (size_t row = 0; i % 4 == 0 && row < batch.rows; row++)
            batch.key[row].size = KEY_NUMBER_SIZE; /* of the id alone */
        buf_t out;
        error_t error;
        buf_init (&out, BLOCK_SIZE_MAX);
        must (block_encode_dense (&batch, 0, batch.rows, &out, &error), &error);
        seed_write ("block", out.data, out.size);
        buf_release (&out);
        arena_destroy (&arena);
    }
}

/* A file of the disk as a sample. */
static void write_file (const char *name, fs_t *fs, const char *path)
{
    file_t *file;
    error_t error;
    uint64_t size;
    must (fs_open (fs, path, FS_READ, &file, &error), &error);
    must (fs_size (fs, file, &size, &error), &error);
    uint8_t *bytes = mem_alloc (size);
    must (fs_read_all (fs, file, 0, bytes, size, &error), &error);
    seed_write (name, bytes, size);
    mem_free (bytes);
    fs_close (fs, &file);
}

static void runs (random_t *random)
{
    static const size_t sizes[] = { 0, 1, 10, 40, 5 };
    uint16_t ids[COLUMNS];
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        arena_t *arena = arena_new (1 << 16);
        batch_t batch = some_rows (random, arena, sizes[i]);
        run_schema_t schema = { .log = text_of ("payments/user"),
                                .fingerprint = 7,
                                .partition = 1,
                                .partitions = 4,
                                .types = types,
                                .columns = COLUMNS };
        for (uint16_t c = 0; c < COLUMNS; c++)
            ids[c] = (uint16_t)(400 - 3 * c);
        if (i == 4)
            schema.ids = ids;
        run_writer_t *writer;
        error_t error;
        char *path = mem_format ("run%zu", i);
        must (run_writer_new (fs, path, &schema, &writer, &error), &error);
        must (run_writer_add (writer, &batch, 0, batch.rows, &error), &error);
        must (run_writer_finish (writer, NULL, &error), &error);
        run_writer_destroy (&writer);
        write_file ("run", fs, path);
        mem_free (path);
        arena_destroy (&arena);
    }
    sim_disk_destroy (&disk);
}

static void append (log_t *log, random_t *random, size_t records)
{
    error_t error;
    uint8_t payload[64];
    uint64_t offset;
    for (size_t i = 0; i < records; i++) {
        size_t size = random_below (random, sizeof payload);
        for (size_t b = 0; b < size; b++)
            payload[b] = (uint8_t)random_next (random);
        must (log_append (log, i % 4 == 3 ? LOG_KIND_CUT : LOG_KIND_EVENTS, payload, size,
                          i % 4 == 3 ? 1 : 1 + (uint32_t)random_below (random, 5),
                          (int64_t)i * TIME_SECOND, &offset, &error),
              &error);
    }
    log_flush_t *flush = log_flush_begin (log);
    if (!flush)
        return;
    log_flush_job (flush)->run (log_flush_job (flush));
    must (log_flush_end (log, &flush, &error), &error);
}

static void logs (random_t *random)
{
    log_identity_t identity = { 1, "s.k", 2 }; /* as in tests/fuzz/log.c */
    for (size_t flushes = 0; flushes < 4; flushes++) {
        sim_disk_t *disk = sim_disk_new (1, 0);
        fs_t *fs = sim_disk_fs (disk);
        log_t *log;
        error_t error;
        must (log_open (fs, "log", &identity, 1, NULL, &log, &error), &error);
        for (size_t i = 0; i < flushes; i++)
            append (log, random, 1 + 2 * i);
        write_file ("log", fs, "log/00000000000000000000-0000000001.seg");
        log_destroy (&log);
        sim_disk_destroy (&disk);
    }
}

static void producer_tables (random_t *random)
{
    for (size_t producers = 0; producers < 5; producers++) {
        dedupe_t *table = dedupe_new ();
        uint8_t producer[PRODUCER_SIZE] = { 0, 6, 9, 7 };
        uint64_t offset = 0;
        for (size_t p = 0; p < producers; p++) {
            producer[PRODUCER_SIZE - 1] = (uint8_t)p;
            for (uint64_t sequence = 1; sequence < 1 + 4 * p; sequence += 1 + p % 2) {
                payload_refused_t refused = { .row = 3, .reason = text_of ("no such thing") };
                dedupe_outcome_t outcome = { .offset = offset += 1 + random_below (random, 9),
                                             .accepted = 5,
                                             .refused_count = (uint32_t)(sequence % 3),
                                             .refused_listed = sequence % 3 ? 1 : 0,
                                             .refused = &refused };
                dedupe_record (table, (text_t){ (char *)producer, PRODUCER_SIZE }, sequence,
                               &outcome);
            }
        }
        buf_t out;
        buf_init (&out, DEDUPE_ENCODED_MAX);
        buf_put (&out, producer, PRODUCER_SIZE); /* whom the entry point asks for */
        dedupe_encode (table, &out);
        seed_write ("dedupe", out.data, out.size);
        buf_release (&out);
        dedupe_destroy (&table);
    }
}

/* Lists of changes to the good file that the entry point makes, and contents of its own. */
static void batchviews (random_t *random)
{
    enum { CHANGED = 28, RAW = 4 };
    for (size_t i = 0; i < CHANGED + RAW; i++) {
        buf_t out;
        buf_init (&out, 4096);
        buf_put_u8 (&out, i < CHANGED ? 0 : 1);
        for (size_t changes = i < CHANGED ? i : 100 * (i - CHANGED + 1); changes > 0; changes--) {
            buf_put_u16 (&out, (uint16_t)random_next (random));
            buf_put_u8 (&out, (uint8_t)(i % 2 ? random_below (random, 4) : random_next (random)));
        }
        seed_write ("batchview", out.data, out.size);
        buf_release (&out);
    }
}

void seeds_of_storage (void)
{
    random_t random;
    random_seed (&random, 1);
    blocks (&random);
    dense_blocks (); /* here, as the samples of one name follow each other */
    runs (&random);
    logs (&random);
    producer_tables (&random);
    batchviews (&random);
}
