/* A batch view file of any bytes is refused or read without harm. Checksums would keep a fuzzer out
 * of all else, so they are made to hold: input with an even first byte is a list of changes (u16
 * place, u8 value) to a good file, any other is the contents, behind a good header or not. */
#include "batchview/batchview.h"
#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "batchview/viewfile.h"
#include "tests/unit/batchview/memory_file.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

enum { KEYS = 5, ROWS = 60 }; /* a key */

/* So that the keys with many rows have sections, in up to three layers. */
static const batchview_sections_t SECTIONS = {
    .atoms = 5, .sections = 3, .least = 2, .bytes = 100
};

static const char DEFINITIONS[] =
    "streams:\n  s:\n    key: k\n    time: ts\n    fields:\n      k: string\n      a: float64\n"
    "      c: string\n      ts: timestamp\n"
    "views:\n  v:\n    from: s\n    key: k\n    features:\n"
    "      n: count() over 10s, 1h, lifetime\n      s: sum(a) over 10s, 1h\n"
    "      m: min(c) over 1h\n      l: last(c)\n      v: variance(a) over 20s\n"
    "      d: approx_count_distinct(c) over 10s, 1h\n";

static definitions_t *definitions;
static plan_t *plan;
static memory_file_t good;
static size_t good_body; /* bytes before the index */
static viewfile_footer_t good_footer;

static text_t key_of (unsigned number, buf_t *key)
{
    char name = (char)('a' + number);
    value_t value = { .type = TYPE_STRING, .s = { &name, 1 } };
    buf_clear (key);
    key_put (key, &value);
    return (text_t){ (char *)key->data, (uint32_t)key->size };
}

static batch_t rows_new (arena_t *arena, unsigned number, buf_t *key)
{
    batch_t batch = batch_new (arena, plan->column_types, plan->columns, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        value_t a = { .type = TYPE_FLOAT64, .f = 1.5 * (double)i };
        value_t c = { .type = TYPE_STRING,
                      .s = { "abcdefghijklmnopqrstuvwxyz", (uint32_t)i % 26 } };
        column_set (&batch.column[1], i, &a);
        column_set (&batch.column[2], i, &c);
        batch.event_time[i] = (int64_t)i * TIME_SECOND;
        batch.offset[i] = i;
        batch.key[i] = arena_text (arena, key_of (number, key));
    }
    return batch;
}

static void good_init (void)
{
    error_t error;
    arena_t *arena = arena_new (64 << 10);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    definition_file_t file = { "fuzz.yaml", { DEFINITIONS, sizeof DEFINITIONS - 1 } };
    CHECK (definitions_read (&file, 1, &definitions, &error) == STATUS_OK);
    const view_t *view = definitions_view (definitions, text_of ("v"));
    for (size_t i = 0; i < view->features_count; i += 3)
        view->features[i].delay = 7 * TIME_SECOND;
    plan = plan_new (view);
    plan->horizon = 30 * TIME_SECOND;
    memory_file_init (&good);
    batchview_writer_t *writer = NULL;
    batchview_info_t info = { .view = "v",
                              .clock_at_cut = 45 * TIME_SECOND,
                              .latest = 45 * TIME_SECOND };
    CHECK (batchview_writer_new (&good.fs, "v", plan, &info, &writer, &error) == STATUS_OK);
    batchview_writer_sections (writer, SECTIONS);
    for (unsigned i = 0; i < KEYS; i++) {
        batch_t batch = rows_new (arena, i, &key);
        projection_t rows = plan_project (plan, &batch, arena);
        /* two are kept as rows, and one has no sections */
        const size_t few[] = { 1, BATCHVIEW_ROWS_MAX, SECTIONS.atoms };
        size_t count = i < sizeof few / sizeof *few ? few[i] : ROWS;
        CHECK (batchview_writer_add (writer, &rows, 0, count, &error) == STATUS_OK);
    }
    uint64_t written = 0;
    CHECK (batchview_writer_finish (writer, &written, &error) == STATUS_OK);
    batchview_writer_destroy (&writer);
    CHECK (viewfile_verify (good.bytes.data, written, &good_footer, &error) == STATUS_OK);
    good_body = good_footer.index_at + 8 * good_footer.index_size;
    buf_release (&key);
    arena_destroy (&arena);
}

/* Ends the contents with checksums that hold. */
static void seal (buf_t *bytes, const viewfile_footer_t *footer)
{
    size_t blocks = 0;
    uint64_t *checksums = mem_zero (bytes->size / BATCHVIEW_BLOCK + 1, sizeof *checksums);
    for (size_t at = 0; at < bytes->size; at += BATCHVIEW_BLOCK) {
        size_t left = bytes->size - at;
        checksums[blocks++] = viewfile_checksum (
            bytes->data + at, left < BATCHVIEW_BLOCK ? left : (size_t)BATCHVIEW_BLOCK);
    }
    viewfile_tail_encode (footer, checksums, blocks, bytes);
    mem_free (checksums);
}

static void changed (memory_file_t *file, const uint8_t *data, size_t size)
{
    reader_t reader = reader_of (data, size);
    buf_put (&file->bytes, good.bytes.data, good_body);
    while (reader_left (&reader) >= 3) {
        uint16_t place = reader_u16 (&reader);
        file->bytes.data[place % good_body] = reader_u8 (&reader);
    }
    seal (&file->bytes, &good_footer);
}

static void raw (memory_file_t *file, const uint8_t *data, size_t size)
{
    viewfile_footer_t footer = { .index_size = 1, .keys = 0 };
    if (size % 2 == 0)
        buf_put (&file->bytes, good.bytes.data, viewfile_u32 (good.bytes.data + 12));
    size_t words = size / 8;
    if (words > 4)
        footer.index_size = words / 4;
    buf_put (&file->bytes, data, words * 8);
    while (file->bytes.size < 8 * footer.index_size)
        buf_put_u64 (&file->bytes, 0);
    footer.index_at = file->bytes.size - 8 * footer.index_size;
    seal (&file->bytes, &footer);
}

static void query (const batchview_t *view)
{
    error_t error;
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    batchview_binding_t *binding = batchview_bind (view, plan);
    answer_t *answer = answer_new (plan);
    for (unsigned i = 0; i <= KEYS; i++) {
        for (int64_t as_of = 15; as_of < 90; as_of += 7) {
            bool exact = false;
            answer_reset (answer);
            if (batchview_merge (view, binding, key_of (i, &key), as_of * TIME_SECOND, answer,
                                 &exact, &error) != STATUS_OK)
                CHECK (error.status == STATUS_CORRUPT);
        }
    }
    answer_destroy (&answer);
    batchview_binding_destroy (&binding);
    buf_release (&key);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    error_t error;
    memory_file_t file;
    batchview_t *view = NULL;
    if (plan == NULL)
        good_init ();
    if (size == 0)
        return 0;
    memory_file_init (&file);
    file.exists = true;
    if (data[0] % 2 == 0)
        changed (&file, data + 1, size - 1);
    else
        raw (&file, data + 1, size - 1);
    if (batchview_open (&file.fs, "v", &view, &error) == STATUS_OK)
        query (view);
    else
        CHECK (error.status == STATUS_CORRUPT || error.status == STATUS_VERSION);
    batchview_unref (&view);
    memory_file_release (&file);
    return 0;
}
