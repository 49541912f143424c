/* sections.c - keys with so many events that their record is in sections. */
#include "batchview/batchview.h"
#include "batchview/viewfile.h"
#include "tests/unit/batchview/built.h"

#include <criterion/criterion.h>

static const char *const FEATURES = "      n: count() over 1h, 5h, lifetime\n"
                                    "      s: sum(a) where b > 0 over 1h, 5h\n"
                                    "      m: min(c) over 90s, 2h\n"
                                    "      d: approx_count_distinct(c) over 2h\n"
                                    "      v: variance(a)\n";

static void build (built_t *built, test_case_t *c, batchview_sections_t sections)
{
    *built = (built_t){ .sections = sections };
    built_init (built, c, UINT64_MAX, CASE_START + CASE_RANGE * 3 / 4);
}

/* What a file says of a key. */
static bool ask (const batchview_t *view, test_case_t *c, unsigned key, int64_t as_of,
                 answer_t *answer)
{
    error_t error;
    bool exact = false;
    batchview_binding_t *binding = batchview_bind (view, c->plan);
    answer_reset (answer);
    cr_assert_eq (batchview_merge (view, binding, case_key (c, key), as_of, answer, &exact, &error),
                  STATUS_OK, "%s", error.text);
    batchview_binding_destroy (&binding);
    return exact;
}

/* Two files of the same events answer the same, and to the same questions. */
static void check_same_answers (test_case_t *c, built_t *one, built_t *other, unsigned keys)
{
    batchview_t *first = built_open (one);
    batchview_t *second = built_open (other);
    answer_t *expected = answer_new (c->plan);
    answer_t *actual = answer_new (c->plan);
    for (unsigned i = 0; i < 200; i++) {
        unsigned key = (unsigned)random_below (&c->random, keys + 1);
        int64_t as_of =
            i % 2 == 0 ? case_as_of (c)
                       : one->info.latest +
                             (int64_t)random_below (&c->random, 1 + (uint64_t)c->plan->horizon);
        bool exact = ask (first, c, key, as_of, expected);
        cr_assert_eq (ask (second, c, key, as_of, actual), exact, "as of %ld", (long)as_of);
        cr_assert (case_equal (expected, actual), "as of %ld", (long)as_of);
    }
    cr_assert_eq (batchview_info (first)->atoms, batchview_info (second)->atoms);
    answer_destroy (&expected);
    answer_destroy (&actual);
    batchview_unref (&first);
    batchview_unref (&second);
}

Test (sections, of_any_size_answer_as_one_record_does)
{
    static const int64_t horizons[] = { TIME_SECOND, 10 * TIME_MINUTE, TIME_DAY };
    for (uint64_t seed = 100; seed < 160; seed++) {
        test_case_t c;
        built_t whole, parted;
        unsigned keys = 1 + (unsigned)(seed % 2);
        case_init_delayed (&c, seed, seed % 3 == 0 ? NULL : FEATURES,
                           seed % 4 == 0 ? TIME_HOUR : -1, 2000, keys, ORDER_RANDOM);
        c.plan->horizon = horizons[seed % 3];
        build (&whole, &c, (batchview_sections_t){ 1 << 20, 1 << 20, 1 << 20, SIZE_MAX });
        build (&parted, &c, built_sections (&c.random));
        check_same_answers (&c, &whole, &parted, keys);
        built_release (&whole);
        built_release (&parted);
        case_release (&c);
    }
}

/* Of the format's own size. */
Test (sections, of_the_usual_size_answer_as_one_record_does)
{
    test_case_t c;
    built_t whole, parted;
    case_init (&c, 7, FEATURES, 30000, 1, ORDER_LATE);
    build (&whole, &c, (batchview_sections_t){ 1 << 20, 1 << 20, 1 << 20, SIZE_MAX });
    build (&parted, &c, (batchview_sections_t){ .atoms = 0 });
    batchview_t *view = built_open (&parted);
    cr_assert_gt (batchview_info (view)->atoms, 3 * BATCHVIEW_SECTION_ATOMS);
    batchview_unref (&view);
    check_same_answers (&c, &whole, &parted, 1);
    built_release (&whole);
    built_release (&parted);
    case_release (&c);
}

/* A key of as many atoms as a section holds has none; one event more, and it has. */
Test (sections, are_made_of_more_atoms_than_one_holds)
{
    for (size_t more = 0; more < 2; more++) {
        test_case_t c;
        built_t usual, small;
        case_init (&c, 8, "      n: count() over 1d\n", BATCHVIEW_SECTION_ATOMS + more, 1,
                   ORDER_ASCENDING);
        for (size_t i = 0; i < c.rows.rows; i++)
            c.rows.time[i] = CASE_START + (int64_t)i;
        build (&usual, &c, (batchview_sections_t){ .atoms = 0 });
        build (&small, &c, (batchview_sections_t){ 1 << 20, 1 << 20, 1 << 20, SIZE_MAX });
        bool equal =
            usual.file.bytes.size == small.file.bytes.size &&
            memcmp (usual.file.bytes.data, small.file.bytes.data, usual.file.bytes.size) == 0;
        cr_assert_eq (equal, more == 0);
        built_release (&usual);
        built_release (&small);
        case_release (&c);
    }
}

/* Of a key with many events, all near edges, less is held than of one with fewer in one record. */
Test (sections, what_is_held_of_a_key_does_not_grow_with_its_events)
{
    batchview_budget_t budget = { .limit = 512 << 10 };
    test_case_t c;
    error_t error;
    built_t built = { .budget = &budget };
    case_init (&c, 9, FEATURES, 300000, 1, ORDER_ASCENDING);
    memory_file_init (&built.file);
    built_deal (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    cr_assert_eq (built_write (&built, &c, SIZE_MAX, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (budget.used, 0);
    cr_assert_gt (built.file.bytes.size, 6 * budget.limit);
    built_release (&built);
    case_release (&c);
}

/* The memory that there is decides whether there is a file, and not which. */
Test (sections, are_the_same_however_much_memory_there_is)
{
    test_case_t c;
    error_t error;
    built_t plenty, scarce;
    batchview_budget_t budget = { .limit = 1 << 20 };
    case_init (&c, 10, FEATURES, 60000, 3, ORDER_LATE);
    build (&plenty, &c, (batchview_sections_t){ .atoms = 0 });
    scarce = (built_t){ .budget = &budget };
    memory_file_init (&scarce.file);
    built_deal (&scarce, &c, UINT64_MAX, CASE_START + CASE_RANGE * 3 / 4);
    cr_assert_eq (built_write (&scarce, &c, 333, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (plenty.file.bytes.size, scarce.file.bytes.size);
    cr_assert (memcmp (plenty.file.bytes.data, scarce.file.bytes.data, plenty.file.bytes.size) ==
               0);
    built_release (&plenty);
    built_release (&scarce);
    case_release (&c);
}

/* One key is long over when another has the latest event, and its first event is before any edge
 * that is expected. A window as of then that has it is not in the file, unless a lifetime needs it.
 */
Test (sections, without_what_no_edge_is_expected_for_are_not_exact_there)
{
    for (unsigned round = 0; round < 6; round++) {
        test_case_t c;
        built_t built = { .sections = { .atoms = round % 2 == 0 ? 7 : 1 << 20,
                                        .sections = 4,
                                        .least = 2,
                                        .bytes = 1 << 20 } };
        bool lifetime = round / 2 == 1;
        int64_t delay = round / 2 == 2 ? TIME_SECOND : 0;
        int64_t latest = CASE_START + CASE_RANGE;
        case_init_delayed (&c, 14,
                           lifetime ? "      n: count() over 1h, 5h, lifetime\n"
                                    : "      n: count() over 5h\n",
                           delay, 300, 2, ORDER_ASCENDING);
        for (size_t i = 0; i < c.rows.rows; i++) {
            bool last = i + 1 == c.rows.rows;
            c.rows.key[i] = case_key (&c, last);
            c.rows.time[i] =
                last ? latest : latest - 5 * TIME_HOUR - TIME_MINUTE + (int64_t)i * 5 * TIME_SECOND;
        }
        built_init (&built, &c, UINT64_MAX, latest);
        batchview_t *view = built_open (&built);
        answer_t *actual = answer_new (c.plan);
        answer_t *expected = answer_new (c.plan);
        cr_assert_eq (ask (view, &c, 0, latest - 3 * TIME_HOUR, actual), lifetime, "%u", round);
        if (lifetime) {
            case_answer (&c, case_key (&c, 0), latest - 3 * TIME_HOUR, SIZE_MAX, expected);
            cr_assert (case_equal (expected, actual));
        }
        cr_assert (ask (view, &c, 0, latest, actual));
        cr_assert_not (ask (view, &c, 0, latest - 5 * TIME_HOUR + 16 * TIME_SECOND, actual));
        answer_destroy (&actual);
        answer_destroy (&expected);
        batchview_unref (&view);
        built_release (&built);
        case_release (&c);
    }
}

/* ---- damage behind good checksums ---- */

static void seal (memory_file_t *file, const viewfile_footer_t *footer)
{
    size_t body = footer->index_at + 8 * footer->index_size;
    uint64_t *checksums = mem_zero (body / BATCHVIEW_BLOCK + 1, sizeof *checksums);
    size_t blocks = 0;
    for (size_t at = 0; at < body; at += BATCHVIEW_BLOCK)
        checksums[blocks++] = viewfile_checksum (
            file->bytes.data + at, body - at < BATCHVIEW_BLOCK ? body - at : BATCHVIEW_BLOCK);
    file->bytes.size = body;
    viewfile_tail_encode (footer, checksums, blocks, &file->bytes);
    mem_free (checksums);
}

/* Asks a file whose contents may be anything. Was it an error? */
static bool ask_damaged (built_t *built, test_case_t *c, int64_t as_of, answer_t *answer)
{
    error_t error;
    bool exact;
    batchview_t *view = built_open (built);
    batchview_binding_t *binding = batchview_bind (view, c->plan);
    answer_reset (answer);
    status_t status =
        batchview_merge (view, binding, case_key (c, 0), as_of, answer, &exact, &error);
    cr_assert (status == STATUS_OK || status == STATUS_CORRUPT, "%s", error.text);
    batchview_binding_destroy (&binding);
    batchview_unref (&view);
    return status != STATUS_OK;
}

Test (sections, that_are_damaged_behind_good_checksums_do_no_harm)
{
    test_case_t c;
    built_t built;
    viewfile_footer_t footer;
    error_t error;
    size_t errors = 0;
    case_init (&c, 11, FEATURES, 600, 1, ORDER_RANDOM);
    build (&built, &c,
           (batchview_sections_t){ .atoms = 5, .sections = 4, .least = 2, .bytes = 99 });
    answer_t *answer = answer_new (c.plan);
    uint8_t *data = built.file.bytes.data;
    cr_assert_eq (viewfile_verify (data, built.file.bytes.size, &footer, &error), STATUS_OK);
    size_t header = viewfile_u32 (data + 12);
    for (unsigned round = 0; round < 20000; round++) {
        size_t at = header + random_below (&c.random, footer.index_at - header);
        uint8_t kept[8];
        size_t count = 1 + random_below (&c.random, sizeof kept);
        if (at + count > footer.index_at)
            continue;
        memcpy (kept, data + at, count);
        for (size_t i = 0; i < count; i++)
            data[at + i] = random_chance (&c.random, 0.3) ? 0xff : (uint8_t)random_next (&c.random);
        seal (&built.file, &footer);
        data = built.file.bytes.data;
        errors += ask_damaged (&built, &c, case_as_of (&c), answer);
        memcpy (data + at, kept, count);
    }
    cr_assert_gt (errors, 100);
    answer_destroy (&answer);
    built_release (&built);
    case_release (&c);
}

/* One that refers to itself, or to what is behind it, is refused rather than followed. */
Test (sections, that_refer_to_themselves_are_refused)
{
    test_case_t c;
    built_t built;
    viewfile_footer_t footer;
    error_t error;
    case_init (&c, 12, "      n: count() over 5h\n", 300, 1, ORDER_RANDOM);
    build (&built, &c,
           (batchview_sections_t){ .atoms = 4, .sections = 4, .least = 2, .bytes = 1 << 20 });
    answer_t *answer = answer_new (c.plan);
    cr_assert_eq (viewfile_verify (built.file.bytes.data, built.file.bytes.size, &footer, &error),
                  STATUS_OK);
    size_t header = viewfile_u32 (built.file.bytes.data + 12);
    size_t changed = 0;
    for (size_t at = header; at + 8 <= footer.index_at; at++) { /* whatever may be a place */
        uint64_t place;
        memcpy (&place, built.file.bytes.data + at, 8);
        if (place < header || place >= at)
            continue;
        uint64_t behind = at;
        memcpy (built.file.bytes.data + at, &behind, 8);
        changed++;
    }
    cr_assert_gt (changed, 10);
    seal (&built.file, &footer);
    cr_assert (ask_damaged (&built, &c, built.info.clock_at_cut + TIME_MINUTE, answer));
    answer_destroy (&answer);
    built_release (&built);
    case_release (&c);
}

/* ---- what is read ---- */

static uint8_t *mapped; /* the latest view's memory */

static status_t map_noted (fs_t *fs, file_t *file, size_t size, const void **data, error_t *error)
{
    status_t status = memory_map (fs, file, size, data, error);
    memcpy (&mapped, data, sizeof mapped);
    return status;
}

/* Blocks of the mapped records which an answer depends on: it is another, or an error, when all of
 * a block's bits are. */
static size_t blocks_read (const batchview_t *view, test_case_t *c, size_t end, int64_t as_of)
{
    enum { BLOCK = 512 };
    error_t error;
    size_t read = 0;
    answer_t *expected = answer_new (c->plan);
    answer_t *actual = answer_new (c->plan);
    batchview_binding_t *binding = batchview_bind (view, c->plan);
    cr_assert (ask (view, c, 0, as_of, expected));
    for (size_t at = 0; at + BLOCK <= end; at += BLOCK) {
        bool exact = false;
        for (size_t i = at; i < at + BLOCK; i++)
            mapped[i] ^= 0xff;
        answer_reset (actual);
        status_t status =
            batchview_merge (view, binding, case_key (c, 0), as_of, actual, &exact, &error);
        read += status != STATUS_OK || !exact || !case_equal (expected, actual);
        for (size_t i = at; i < at + BLOCK; i++)
            mapped[i] ^= 0xff;
    }
    batchview_binding_destroy (&binding);
    answer_destroy (&expected);
    answer_destroy (&actual);
    return read;
}

/* A merge looks at a few places of a key's sections, however many there are. */
Test (sections, of_which_a_merge_reads_a_few_places)
{
    fs_ops_t noting = memory_file_ops;
    test_case_t c;
    built_t built = { .budget = NULL };
    noting.map = map_noted;
    case_init (&c, 13, "      n: count() over 1h, 5h, lifetime\n      m: max(b) over 5h\n", 200000,
               1, ORDER_ASCENDING);
    built_init (&built, &c, UINT64_MAX, CASE_START + CASE_RANGE);
    built.file.fs.ops = &noting;
    batchview_t *view = built_open (&built);
    size_t end = built.file.bytes.size * 9 / 10; /* behind are index and checksums */
    cr_assert_gt (batchview_info (view)->atoms, 100 * BATCHVIEW_SECTION_ATOMS);
    for (int64_t ahead = 0; ahead < 3; ahead++) {
        size_t read = blocks_read (view, &c, end, built.info.latest + ahead * 17 * TIME_MINUTE);
        cr_assert_lt (read, 50, "%zu blocks of %zu", read, end / 512);
    }
    batchview_unref (&view);
    built_release (&built);
    case_release (&c);
}
