/* Made-up events. */
#include "client/cli/payments.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

enum { EVENTS = 20000, TEXT_MAX = 8 << 20 };

static const payments_options_t usual = { .events = EVENTS,
                                          .users = 500,
                                          .seed = 7,
                                          .from = INT64_C (1767225600000000),
                                          .until = INT64_C (1767225600000000) + TIME_DAY,
                                          .format = FORMAT_CSV };

static void generate (const payments_options_t *options, buf_t *out)
{
    payments_t *payments = payments_new (options);
    buf_init (out, TEXT_MAX);
    payments_header (payments, out);
    while (payments_next (payments, out))
        ;
    cr_assert_not (out->bad);
    payments_destroy (&payments);
}

Test (payments, of_the_same_seed_are_the_same_bytes)
{
    buf_t a, b;
    payments_options_t other = usual;
    generate (&usual, &a);
    generate (&usual, &b);
    cr_expect_eq (a.size, b.size);
    cr_expect_eq (memcmp (a.data, b.data, a.size), 0);
    buf_release (&b);
    other.seed = 8;
    generate (&other, &b);
    cr_expect (a.size != b.size || memcmp (a.data, b.data, a.size) != 0);
    buf_release (&a);
    buf_release (&b);
}

/* By another way than the generator's: what was made is read as a load would read it. */
static raw_table_t read_back (text_reader_t *reader, const buf_t *text)
{
    raw_table_t table = { 0 };
    uint64_t bad_row, first_row;
    size_t at = 0, taken;
    error_t error;
    while (at < text->size) {
        status_t status =
            text_reader_feed (reader, text->data + at, text->size - at, &taken, &bad_row, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        at += taken;
        if (taken == 0)
            break;
    }
    cr_assert_eq (at, text->size);
    if (!text_reader_table (reader, &table, &first_row)) {
        cr_assert_eq (text_reader_feed (reader, NULL, 0, &taken, &bad_row, &error), STATUS_OK);
        cr_assert (text_reader_table (reader, &table, &first_row));
    }
    return table;
}

typedef struct looks {
    size_t late;
    size_t by_user[501];
    size_t by_hour[24];
    size_t refunds;
} looks_t;

static looks_t look_at (const raw_table_t *table, const payments_options_t *options)
{
    looks_t looks = { 0 };
    int64_t latest = 0;
    for (size_t r = 0; r < table->rows; r++) {
        const raw_t *cells = &table->cells[r * table->columns_count];
        int64_t time;
        error_t error;
        cr_assert_eq (time_parse (cells[5].s, NULL, UNIT_MS, &time, &error), STATUS_OK);
        cr_assert (time >= options->from && time < options->until);
        looks.late += time < latest - TIME_MINUTE;
        latest = time > latest ? time : latest;
        looks.by_hour[time / TIME_HOUR % 24]++;
        unsigned long user = strtoul (cells[1].s.data + 1, NULL, 10);
        cr_assert (user >= 1 && user <= 500);
        looks.by_user[user]++;
        looks.refunds += cells[3].s.data[0] == '-';
    }
    return looks;
}

Test (payments, are_skewed_late_and_quiet_at_night)
{
    buf_t text;
    generate (&usual, &text);
    text_reader_t *reader = text_reader_new (FORMAT_CSV, EVENTS + 1);
    raw_table_t table = read_back (reader, &text);
    cr_assert_eq (table.rows, EVENTS);
    cr_assert_eq (table.columns_count, 6);
    looks_t looks = look_at (&table, &usual);
    cr_expect (looks.by_user[1] > 20 * looks.by_user[200] / 2, "u1 pays much more often");
    cr_expect (looks.by_hour[18] > 5 * looks.by_hour[3], "nights are quiet");
    cr_expect (looks.late > EVENTS / 200 && looks.late < EVENTS / 8, "%zu are late", looks.late);
    cr_expect (looks.refunds > 0);
    size_t most = 0;
    for (size_t i = 250; i <= 500; i++)
        most = looks.by_user[i] > most ? looks.by_user[i] : most;
    cr_expect (most > 3 * looks.by_user[200], "a user who seldom pays is robbed: %zu", most);
    text_reader_destroy (&reader);
    buf_release (&text);
}

Test (payments, as_ndjson_are_the_same_events)
{
    buf_t text;
    payments_options_t options = usual;
    options.format = FORMAT_NDJSON;
    options.events = 500;
    generate (&options, &text);
    text_reader_t *reader = text_reader_new (FORMAT_NDJSON, EVENTS);
    raw_table_t table = read_back (reader, &text);
    cr_expect_eq (table.rows, 500);
    text_reader_destroy (&reader);
    buf_release (&text);
}
