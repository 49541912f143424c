/* Text in pieces: read apart they are what they are as a whole, wherever they were cut. */
#include "intake/intake.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 5, FILES = 60, TEXT_MAX = 1 << 22 };

/* ---- texts ---- */

static const char *const csv_lines[] = {
    "a,b,c\n",
    "1,2,3\r\n",
    ",,\n",
    "\"\",\" x\",\"y\"\n",
    "\"a\nb\",1,\"c\r\n\n\"\n",
    "\n",
    "\r",
    "x\"y,1,2\n",
    "\"a\"\"b\",2,\"\"\"\"\n",
    "\"a\"b,2,3\n",
    "1,2\n",
    "1,2,3,4\n",
    "\xff\xfe,z,\r\n",
    "-1, +2 ,#!$\n",
    "\"open,1,2\n",
    "1,2,3\r",
    "long value that is more than eight bytes,\"and, a comma\",x\n",
    "1,\"2\",3\r\n",
};

static const char *const json_lines[] = {
    "{\"a\":0,\"b\":-0,\"c\":01}\n",
    "{\"a\":1.,\"b\":2}\n",
    "{\"a\":-1e5,\"b\":2E-3,\"c\":0.1e+2}\n",
    "{\"c\":1,\"b\":2,\"a\":3}\n",
    "{\"b\":\"\xc3\xa9 \x7f\",\"k\":1e999}\n",
    "{\"a\":1}}\n",
    "{\"a\":\"x\ty\"}\n",
    "{\"b\":9223372036854775808,\"a\":-9223372036854775808}\n",
    "{\"m\":1e-999,\"l\":truex}\n",
    "{\"a\":1,}\n",
    "{,\"a\":1}\n",
    "{\"a\":\"\xed\xa0\x80\"}\n",
    "\t{ \"a\" : 1 , \"b\" : true } \r\n",
    "{\"a\":\"\\u0000\"}\n",
    "{\"b\":+1}\n",
    "{\"a\":.5}\n",

    "{\"a\":1,\"b\":\"x\"}\n",
    "{\"a\":1.50,\"c\":null}\r\n",
    "\n",
    "  \r\n",
    "{\"a\":1,\"a\":2}\n",
    "[1]\n",
    "{\"a\":\n",
    "{\"b\":\"\\u00e9\\n\"}\n",
    "{}\n",
    "{\"d\":{\"x\":[1,2]},\"e\":true}\n",
    "{\"a\":12345678901234567890}\n",
    "{\"f\": false , \"a\" : -0.0 }\n",
    "{\"b\":\"\xff\"}\n",
};

#define PICK(list, random) list[random_below (random, sizeof list / sizeof list[0])]

static void make_text (random_t *random, text_format_t format, bool is_good, size_t lines,
                       buf_t *out)
{
    if (random_below (random, 4) == 0)
        buf_put_string (out, "\xef\xbb\xbf");
    if (format == FORMAT_CSV)
        buf_put_string (out, random_below (random, 2) ? "k,l,m\n" : "\"k\",l,\"m\nn\"\r\n");
    for (size_t i = 0; i < lines; i++) {
        if (format == FORMAT_NDJSON)
            buf_put_string (out, PICK (json_lines, random));
        else if (is_good)
            buf_put_string (out, csv_lines[random_below (random, 5)]);
        else
            buf_put_string (out, PICK (csv_lines, random));
    }
    if (lines > 0 && random_below (random, 3) == 0)
        out->size--; /* the last line does not end */
    cr_assert_not (out->bad);
}

/* ---- what comes out of a reader, as text ---- */

static void put_raw (buf_t *out, const raw_t *raw)
{
    buf_printf (out, "%d%d:", raw->kind, raw->loose);
    if (raw->kind == RAW_TEXT || raw->kind == RAW_FLOAT)
        buf_put (out, raw->s.data, raw->s.size);
    else if (raw->kind != RAW_NULL && raw->kind != RAW_OTHER)
        buf_printf (out, "%" PRId64, raw->i);
    buf_put_u8 (out, '|');
}

/* Cells by name: a table of JSON has those names that any of its rows has, in any order. */
static void put_row (buf_t *out, const raw_table_t *table, size_t row)
{
    for (const char *name = "abcdefklm"; *name; name++)
        for (size_t c = 0; c < table->columns_count; c++) {
            const raw_t *raw = &table->cells[row * table->columns_count + c];
            if (table->columns[c].data[0] != *name || raw->kind == RAW_NULL)
                continue;
            buf_put_u8 (out, (uint8_t)*name);
            put_raw (out, raw);
        }
}

static bool take_tables (text_reader_t *reader, buf_t *out)
{
    raw_table_t table;
    uint64_t first;
    bool any = false;
    while (text_reader_table (reader, &table, &first)) {
        for (size_t r = 0; r < table.rows; r++) {
            text_t record = text_reader_record (reader, r);
            buf_printf (out, "%" PRIu64 " [", first + r);
            buf_put (out, record.data, record.size);
            buf_put_string (out, "] ");
            put_row (out, &table, r);
            buf_put_u8 (out, '\n');
        }
        text_reader_next (reader);
        any = true;
    }
    return any;
}

/* False when nothing more can come. */
static bool feed (text_reader_t *reader, const char *data, size_t size, size_t *taken, buf_t *out)
{
    error_t error;
    uint64_t bad_row;
    status_t status = text_reader_feed (reader, data, size, taken, &bad_row, &error);
    bool any = take_tables (reader, out);
    if (status == STATUS_OK)
        return any || size > 0;
    text_t bad = text_reader_bad (reader);
    buf_printf (out, "%" PRIu64 " bad, %s [", bad_row, error.text);
    buf_put (out, bad.data, bad.size);
    buf_put_string (out, "]\n");
    return bad_row > 0;
}

static void read_data (text_reader_t *reader, const char *data, size_t size, size_t chunk,
                       buf_t *out)
{
    size_t taken;
    for (size_t at = 0; at < size; at += taken) {
        size_t now = size - at < chunk ? size - at : chunk;
        if (!feed (reader, data + at, now, &taken, out))
            return;
    }
}

static void end_tables (text_reader_t *reader, buf_t *out)
{
    do
        text_reader_end_table (reader);
    while (take_tables (reader, out));
}

static void end_input (text_reader_t *reader, buf_t *out)
{
    size_t taken;
    while (feed (reader, NULL, 0, &taken, out))
        ;
}

static void read_whole (text_format_t format, const buf_t *text, size_t chunk, buf_t *out)
{
    text_reader_t *reader = text_reader_new (format, ROWS_MAX);
    read_data (reader, (const char *)text->data, text->size, chunk, out);
    end_input (reader, out);
    text_reader_destroy (&reader);
}

static void expect_same (const buf_t *expected, buf_t *found, size_t cut)
{
    cr_assert (
        expected->size == found->size &&
            (expected->size == 0 || memcmp (expected->data, found->data, expected->size) == 0),
        "cut at %zu:\n%s\nbut as a whole:\n%s", cut, buf_string (found),
        buf_string ((buf_t *)(uintptr_t)expected));
}

/* ---- the property ---- */

/* Two readers, or one that goes on where no record begins at the cut. True if there were two. */
static bool read_cut (text_format_t format, const buf_t *text, size_t cut, buf_t *out)
{
    arena_t *arenas[] = { arena_new (256), arena_new (256) };
    text_reader_t *first = text_reader_new (format, ROWS_MAX);
    text_reader_t *second = text_reader_new (format, ROWS_MAX);
    const char *data = (const char *)text->data;
    text_reader_use_arena (first, arenas[0]);
    read_data (first, data, cut, SIZE_MAX, out);
    end_tables (first, out);
    bool apart = text_reader_at_start (first);
    text_reader_t *next = first;
    if (apart) {
        text_reader_restart (second, first, text_reader_records (first));
        text_reader_use_arena (second, arenas[1]);
        next = second;
    }
    read_data (next, data + cut, text->size - cut, SIZE_MAX, out);
    end_input (next, out);
    text_reader_destroy (&second);
    text_reader_destroy (&first);
    arena_destroy (&arenas[0]);
    arena_destroy (&arenas[1]);
    return apart;
}

static void hold_at_every_cut (text_format_t format)
{
    random_t random;
    size_t apart = 0;
    random_seed (&random, format == FORMAT_CSV ? 11 : 12);
    for (int i = 0; i < FILES; i++) {
        buf_t text, whole, bytewise;
        buf_init (&text, TEXT_MAX);
        buf_init (&whole, TEXT_MAX);
        buf_init (&bytewise, TEXT_MAX);
        make_text (&random, format, i % 3 == 0, (size_t)random_below (&random, 25), &text);
        read_whole (format, &text, 1, &bytewise);
        read_whole (format, &text, SIZE_MAX, &whole);
        expect_same (&bytewise, &whole, text.size);
        for (size_t cut = 0; cut <= text.size; cut++) {
            buf_t parts;
            buf_init (&parts, TEXT_MAX);
            apart += read_cut (format, &text, cut, &parts);
            expect_same (&whole, &parts, cut);
            buf_release (&parts);
        }
        buf_release (&text);
        buf_release (&whole);
        buf_release (&bytewise);
    }
    cr_expect_gt (apart, FILES);
}

Test (pieces, of_csv_are_as_in_the_whole_wherever_it_is_cut)
{
    hold_at_every_cut (FORMAT_CSV);
}

Test (pieces, of_ndjson_are_as_in_the_whole_wherever_it_is_cut)
{
    hold_at_every_cut (FORMAT_NDJSON);
}

/* ---- where to cut ---- */

static void expect_records_at_cuts (text_format_t format, const buf_t *text, size_t bytes,
                                    size_t lines)
{
    text_reader_t *reader = text_reader_new (format, ROWS_MAX);
    buf_t ignored;
    buf_init (&ignored, TEXT_MAX);
    size_t at = 0;
    for (;;) {
        const char *data = (const char *)text->data + at;
        size_t size = text_cut (format, data, text->size - at, bytes, lines);
        if (size == 0)
            break;
        read_data (reader, data, size, SIZE_MAX, &ignored);
        end_tables (reader, &ignored);
        cr_expect (text_reader_records (reader) == 0 || text_reader_at_start (reader),
                   "cut at %zu of %zu, at least %zu bytes or %zu lines", at + size, text->size,
                   bytes, lines);
        at += size;
    }
    cr_expect_leq (text->size - at, bytes + 200); /* what is left lacks a line's end, or is small */
    buf_release (&ignored);
    text_reader_destroy (&reader);
}

Test (cuts, are_where_records_begin_if_quoting_is_right)
{
    random_t random;
    random_seed (&random, 13);
    for (int i = 0; i < 2 * FILES; i++) {
        text_format_t format = i % 2 ? FORMAT_CSV : FORMAT_NDJSON;
        buf_t text;
        buf_init (&text, TEXT_MAX);
        make_text (&random, format, true, 200, &text);
        expect_records_at_cuts (format, &text, 1 + (size_t)random_below (&random, 300), 1000);
        expect_records_at_cuts (format, &text, 4000, 1 + (size_t)random_below (&random, 30));
        buf_release (&text);
    }
}

Test (cuts, come_though_a_quote_is_not_closed)
{
    buf_t text;
    buf_init (&text, TEXT_MAX);
    buf_put_string (&text, "a,b\n\"x,y\n");
    for (int i = 0; i < 40000; i++)
        buf_put_string (&text, "1,2\n");
    size_t cut = text_cut (FORMAT_CSV, (const char *)text.data, text.size, 100, 1000);
    cr_expect_gt (cut, 100);
    cr_expect_lt (cut, 300);
    buf_release (&text);
}
