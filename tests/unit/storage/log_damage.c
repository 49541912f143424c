/* Torn tails are dropped, damage is refused, and which of the two it is. */
#include "base/mem.h"
#include "storage/log.h"
#include "tests/unit/storage/log_model.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static error_t error;

typedef enum damage { DAMAGE_CUT, DAMAGE_ZERO, DAMAGE_GARBLE, DAMAGE_FLIP, DAMAGE_COUNT } damage_t;

/* One segment of one owner with `durable` flushed records and then one more flush of some. */
typedef struct fixture {
    sim_disk_t *disk;
    fs_t *fs;
    random_t random;
    log_model_t model;
    size_t first_flush;  /* records in it */
    uint64_t first_size; /* bytes of the segment after it */
    uint64_t size;       /* bytes of the segment */
    uint8_t *bytes;
} fixture_t;

static uint64_t file_size (fs_t *fs, const char *path)
{
    file_t *file;
    uint64_t size;
    cr_assert_eq (fs_open (fs, path, FS_READ, &file, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (fs_size (fs, file, &size, &error), STATUS_OK);
    fs_close (fs, &file);
    return size;
}

static void read_file (fs_t *fs, const char *path, uint8_t *bytes, size_t size)
{
    file_t *file;
    cr_assert_eq (fs_open (fs, path, FS_READ, &file, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (fs_read_all (fs, file, 0, bytes, size, &error), STATUS_OK);
    fs_close (fs, &file);
}

static void write_file (fs_t *fs, const char *path, const uint8_t *bytes, size_t size)
{
    file_t *file;
    cr_assert_eq (fs_make_dir (fs, MODEL_DIR, &error), STATUS_OK);
    cr_assert_eq (fs_open (fs, path, FS_WRITE, &file, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (fs_truncate (fs, file, 0, &error), STATUS_OK);
    cr_assert_eq (fs_write (fs, file, 0, bytes, size, &error), STATUS_OK);
    fs_close (fs, &file);
}

static void fixture_init (fixture_t *self, size_t first, size_t second)
{
    *self = (fixture_t){ .disk = sim_disk_new (1, 0), .first_flush = first };
    self->fs = sim_disk_fs (self->disk);
    random_seed (&self->random, 21);
    log_t *log = model_open (self->fs, 1, NULL);
    for (size_t i = 0; i < first; i++)
        cr_assert_eq (model_append (&self->model, log, &self->random, 60), STATUS_OK);
    cr_assert_eq (model_flush (&self->model, log, &error), STATUS_OK);
    self->first_size = file_size (self->fs, model_segment (0, 1));
    for (size_t i = 0; i < second; i++)
        cr_assert_eq (model_append (&self->model, log, &self->random, 60), STATUS_OK);
    cr_assert_eq (model_flush (&self->model, log, &error), STATUS_OK);
    log_destroy (&log);
    self->size = file_size (self->fs, model_segment (0, 1));
    self->bytes = mem_alloc (self->size);
    read_file (self->fs, model_segment (0, 1), self->bytes, self->size);
}

static void fixture_release (fixture_t *self)
{
    mem_free (self->bytes);
    model_release (&self->model);
    sim_disk_destroy (&self->disk);
}

/* Bytes of the segment up to the end of the model's first `count` records. */
static uint64_t extent (const fixture_t *self, size_t count)
{
    uint64_t size = 512;
    for (size_t i = 0; i < count; i++)
        size += (56 + self->model.record[i].size + 7U) / 8 * 8;
    return size;
}

/* The segment with bytes from `at` on damaged; `*size` is its new size. False: nothing changed. */
static bool make_damage (fixture_t *self, damage_t damage, uint64_t at, uint8_t *bytes,
                         uint64_t *size)
{
    memcpy (bytes, self->bytes, self->size);
    *size = self->size;
    switch (damage) {
    case DAMAGE_CUT:
        *size = at;
        break;
    case DAMAGE_ZERO:
        memset (bytes + at, 0, self->size - at);
        break;
    case DAMAGE_GARBLE:
        for (uint64_t i = at; i < self->size; i++)
            bytes[i] = (uint8_t)random_next (&self->random);
        break;
    default:
        bytes[at] = (uint8_t)(bytes[at] ^ (1U << random_below (&self->random, 8)));
        break;
    }
    return *size != self->size || memcmp (bytes, self->bytes, self->size) != 0;
}

/* Opens a copy of the log with that segment: how many of its records are there? */
static status_t try_open (fixture_t *self, const uint8_t *bytes, uint64_t size, size_t *records)
{
    sim_disk_t *disk = sim_disk_new (2, 0);
    fs_t *fs = sim_disk_fs (disk);
    write_file (fs, model_segment (0, 1), bytes, size);
    log_t *log;
    status_t status = log_open (fs, MODEL_DIR, &model_identity, 2, NULL, &log, &error);
    if (status == STATUS_OK) {
        uint64_t end = log_end (log);
        *records = 0;
        while (*records < self->model.count && model_end (&self->model, *records) < end)
            ++*records;
        cr_assert_eq (model_end (&self->model, *records), end);
        model_check_read (&self->model, fs, 0, end);
        log_destroy (&log);
    }
    cr_assert_eq (sim_disk_open_files (disk), 0);
    sim_disk_destroy (&disk);
    return status;
}

Test (log_damage, a_torn_last_flush_leaves_its_whole_records)
{
    fixture_t fixture;
    fixture_init (&fixture, 5, 12);
    uint8_t *bytes = mem_alloc (fixture.size);
    for (uint64_t at = fixture.first_size; at < fixture.size; at++) {
        size_t whole = fixture.first_flush;
        while (extent (&fixture, whole + 1) <= at)
            whole++;
        for (damage_t damage = 0; damage < DAMAGE_COUNT; damage++) {
            uint64_t size;
            size_t records;
            if (!make_damage (&fixture, damage, at, bytes, &size))
                continue;
            cr_assert_eq (try_open (&fixture, bytes, size, &records), STATUS_OK, "%s", error.text);
            /* zeros may happen to be what a record's own end holds */
            uint64_t same = at;
            while (same < size && bytes[same] == fixture.bytes[same])
                same++;
            size_t expected = whole;
            while (expected < fixture.model.count && extent (&fixture, expected + 1) <= same)
                expected++;
            cr_assert_eq (records, expected, "damage %d at %" PRIu64, damage, at);
        }
    }
    mem_free (bytes);
    fixture_release (&fixture);
}

/* A machine that lost power may have written the end of a flush and not its beginning. */
Test (log_damage, a_hole_in_the_last_flush_is_a_torn_tail)
{
    fixture_t fixture;
    fixture_init (&fixture, 5, 12);
    uint8_t *bytes = mem_alloc (fixture.size);
    memcpy (bytes, fixture.bytes, fixture.size);
    memset (bytes + fixture.first_size, 0, 64);
    size_t records;
    cr_assert_eq (try_open (&fixture, bytes, fixture.size, &records), STATUS_OK, "%s", error.text);
    cr_assert_eq (records, fixture.first_flush);
    mem_free (bytes);
    fixture_release (&fixture);
}

Test (log_damage, every_flipped_byte_below_the_last_flush_is_refused)
{
    fixture_t fixture;
    fixture_init (&fixture, 12, 3);
    uint8_t *bytes = mem_alloc (fixture.size);
    for (uint64_t at = 0; at < fixture.first_size; at++) {
        uint64_t size;
        size_t records;
        make_damage (&fixture, DAMAGE_FLIP, at, bytes, &size);
        status_t status = try_open (&fixture, bytes, size, &records);
        cr_assert_eq (status, STATUS_CORRUPT, "byte %" PRIu64 " %s", at, status_word (status));
        cr_assert_not_null (strstr (error.text, model_segment (0, 1)), "%s", error.text);
        size_t damaged = 0;
        while (extent (&fixture, damaged + 1) <= at)
            damaged++;
        char byte[32];
        snprintf (byte, sizeof byte, "byte %" PRIu64, at < 512 ? 0 : extent (&fixture, damaged));
        cr_assert_not_null (strstr (error.text, byte), "%s: %s", error.text, byte);
    }
    mem_free (bytes);
    fixture_release (&fixture);
}

/* Every segment but the last is fenced by the next one's header. */
Test (log_damage, a_damaged_segment_before_the_last_is_refused)
{
    random_t random;
    random_seed (&random, 22);
    for (int round = 0; round < 300; round++) {
        sim_disk_t *disk = sim_disk_new (1, 0);
        fs_t *fs = sim_disk_fs (disk);
        log_model_t model = { 0 };
        log_t *log = model_open (fs, 1, &(log_limits_t){ .segment_size = 1500 });
        for (int i = 0; i < 40; i++)
            cr_assert_eq (model_append (&model, log, &random, 100), STATUS_OK);
        cr_assert_eq (model_flush (&model, log, &error), STATUS_OK);
        log_destroy (&log);
        uint64_t size = file_size (fs, model_segment (0, 1));
        sim_disk_rot (disk, model_segment (0, 1), random_below (&random, size * 8));
        uint64_t end = model_end (&model, model.count);
        cr_assert_eq (log_open (fs, MODEL_DIR, &model_identity, 2, NULL, &log, &error),
                      STATUS_CORRUPT);
        cr_assert_not_null (strstr (error.text, model_segment (0, 1)), "%s", error.text);
        log_reader_t *reader;
        status_t status = log_reader_open (fs, MODEL_DIR, &model_identity, 0, end, &reader, &error);
        log_record_t record;
        while (status == STATUS_OK)
            status = log_reader_next (reader, &record, &error);
        cr_assert_eq (status, STATUS_CORRUPT, "%s", status_word (status));
        log_reader_destroy (&reader);
        model_release (&model);
        sim_disk_destroy (&disk);
    }
}

/* What an owner took over was durable before its segment had a name: it is never a torn tail,
 * though no record follows it. */
Test (log_damage, what_was_taken_over_is_refused_when_it_is_damaged)
{
    fixture_t fixture;
    fixture_init (&fixture, 4, 3);
    log_t *log = model_open (fixture.fs, 2, NULL);
    log_destroy (&log);
    uint64_t first = fixture.model.record[4].offset;
    const char *path = model_segment (first, 2);
    uint64_t size = file_size (fixture.fs, path);
    cr_assert_eq (size, 512 + fixture.size - fixture.first_size);
    uint8_t *bytes = mem_alloc (size);
    uint8_t *damaged = mem_alloc (size);
    read_file (fixture.fs, path, bytes, size);
    for (uint64_t bit = 0; bit < 2 * size * 8; bit++) {
        memcpy (damaged, bytes, size);
        damaged[bit / 8 % size] ^= (uint8_t)(1U << bit % 8);
        bool flip = bit < size * 8;
        write_file (fixture.fs, model_segment (first, 2), flip ? damaged : bytes,
                    flip ? size : bit / 8 - size);
        status_t status = log_open (fixture.fs, MODEL_DIR, &model_identity, 3, NULL, &log, &error);
        cr_assert_eq (status, STATUS_CORRUPT, "bit %" PRIu64 ": %s", bit, status_word (status));
    }
    write_file (fixture.fs, model_segment (first, 2), bytes, size);
    log = model_open (fixture.fs, 3, NULL);
    model_check_recovered (&fixture.model, fixture.fs, log);
    log_destroy (&log);
    uint64_t end = model_end (&fixture.model, fixture.model.count);
    cr_assert_eq (file_size (fixture.fs, model_segment (end, 3)), 512, "copied again for nothing");
    mem_free (bytes);
    mem_free (damaged);
    fixture_release (&fixture);
}

Test (log_damage, a_record_copied_to_another_place_is_refused)
{
    sim_disk_t *disk = sim_disk_new (1, 0);
    fs_t *fs = sim_disk_fs (disk);
    log_t *log = model_open (fs, 1, NULL);
    uint64_t offset;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq (log_append (log, LOG_KIND_EVENTS, "same", 4, 1, 0, &offset, &error),
                      STATUS_OK);
        log_flush_t *flush = log_flush_begin (log);
        model_run (log_flush_job (flush));
        cr_assert_eq (log_flush_end (log, &flush, &error), STATUS_OK);
    }
    log_destroy (&log);
    uint8_t bytes[512 + 3 * 64];
    read_file (fs, model_segment (0, 1), bytes, sizeof bytes);
    memcpy (bytes + 512 + 64, bytes + 512, 64);
    write_file (fs, model_segment (0, 1), bytes, sizeof bytes);
    cr_assert_eq (log_open (fs, MODEL_DIR, &model_identity, 2, NULL, &log, &error), STATUS_CORRUPT);
    cr_assert_not_null (strstr (error.text, "byte 576"), "%s", error.text);
    sim_disk_destroy (&disk);
}
