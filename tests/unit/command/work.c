/* How far work is, in words. */
#include "client/cli/work.h"

#include <criterion/criterion.h>

typedef struct told {
    uint64_t rows, done, total, took; /* µs */
} told_t;

static void expect (told_t load, const char *words)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    const void *data;
    size_t size;
    message_t message;
    error_t error;
    buf_t text;
    wire_begin (writer, MESSAGE_LOADS_OK, 1);
    wire_field_list (writer, "loads");
    wire_open_map (writer);
    wire_field_string (writer, "id", "3f6c");
    wire_field_string (writer, "stream", "payments");
    wire_field_string (writer, "name", "a.csv");
    wire_field_string (writer, "state", "parsing");
    wire_field_uint (writer, "rows", load.rows);
    wire_field_uint (writer, "refused", 0);
    wire_field_uint (writer, "bytes_done", load.done);
    wire_field_uint (writer, "bytes_total", load.total);
    wire_field_int (writer, "created", 0);
    if (load.took > 0)
        wire_field_uint (writer, "took", load.took);
    wire_close (writer);
    wire_close (writer);
    cr_assert (wire_end (writer, &data, &size));
    cr_assert_eq (wire_decode (decoder, data, size, &message, &error), STATUS_OK, "%s", error.text);
    buf_init (&text, 256);
    format_load (&text, &wire_list (message.body, "loads").items[0]);
    cr_expect_str_eq (buf_string (&text), words);
    buf_release (&text);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
}

Test (loads, say_how_fast_they_are_and_what_is_left)
{
    expect ((told_t){ 0, 0, 1000000, 0 }, "0 B of 1.0 MB");
    expect ((told_t){ 0, 0, 1000000, 500000 }, "0 B of 1.0 MB");
    expect ((told_t){ 1, 100, 1000000, 0 }, "100 B of 1.0 MB, 1 row");
    expect ((told_t){ 1500000, 50000000, 150000000, 2000000 },
            "50.0 MB of 150.0 MB, 1500.0 k rows, 750.0 k rows/s, 25.0 MB/s, 4 s left");
    expect ((told_t){ 10, 1000, 360000, 20000000 },
            "1.0 kB of 360.0 kB, 10 rows, 0 rows/s, 50 B/s, 1 h 59 min left");
    expect ((told_t){ 10, 1000, 1000, 1000000 }, "1.0 kB of 1.0 kB, 10 rows, 10 rows/s, 1.0 kB/s");
}
