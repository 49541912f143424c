#include "base/buf.h"
#include "base/mem.h"
#include "wire/scan.h"
#include "wire/wire.h"

#include <criterion/criterion.h>

static wire_writer_t *writer;
static wire_decoder_t *decoder;
static error_t error;
static const void *data;
static size_t size;

static void set_up (void)
{
    writer = wire_writer_new ();
    decoder = wire_decoder_new ();
}

static void tear_down (void)
{
    wire_writer_destroy (&writer);
    wire_decoder_destroy (&decoder);
}

TestSuite (limits, .init = set_up, .fini = tear_down);

static status_t decode_written (void)
{
    message_t message;
    cr_assert (wire_end (writer, &data, &size));
    return wire_decode (decoder, data, size, &message, &error);
}

static status_t get_with_keys (unsigned keys)
{
    wire_begin (writer, MESSAGE_GET, 1);
    wire_field_string (writer, "view", "v");
    wire_field_list (writer, "keys");
    for (unsigned i = 0; i < keys; i++) {
        wire_open_map (writer);
        wire_close (writer);
    }
    wire_close (writer);
    return decode_written ();
}

Test (limits, keys_of_a_get)
{
    cr_assert_eq (get_with_keys (WIRE_KEYS_MAX), STATUS_OK);
    cr_assert_eq (get_with_keys (WIRE_KEYS_MAX + 1), STATUS_TOO_LARGE);
}

static status_t send_with_cells (unsigned rows, unsigned columns)
{
    wire_begin (writer, MESSAGE_SEND, 1);
    wire_field_string (writer, "stream", "s");
    wire_field_bin (writer, "producer", (text_t){ "0123456789abcdef", 16 });
    wire_field_uint (writer, "sequence", 1);
    wire_field_uint (writer, "oldest", 1);
    wire_field_list (writer, "columns");
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (unsigned row = 0; row < rows; row++) {
        wire_open_list (writer);
        for (unsigned column = 0; column < columns; column++)
            wire_put_uint (writer, 1);
        wire_close (writer);
    }
    wire_close (writer);
    return decode_written ();
}

Test (limits, cells_of_a_send)
{
    cr_assert_eq (send_with_cells (65536, 16), STATUS_OK, "%s", error.text);
    cr_assert_eq (send_with_cells (65536, 17), STATUS_TOO_LARGE);
    cr_assert (strstr (error.text, "send: rows: has 1114112 cells"), "%s", error.text);
}

static status_t apply_with_text (uint32_t bytes)
{
    char *text = mem_zero (1, bytes);
    memset (text, ' ', bytes);
    wire_begin (writer, MESSAGE_APPLY, 1);
    wire_field_list (writer, "files");
    for (int i = 0; i < 2; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "name", "features/a.yaml");
        wire_field_text (writer, "text", (text_t){ text, bytes });
        wire_close (writer);
    }
    wire_close (writer);
    mem_free (text);
    return decode_written ();
}

Test (limits, text_of_an_apply)
{
    cr_assert_eq (apply_with_text (2 << 20), STATUS_OK);
    cr_assert_eq (apply_with_text ((2 << 20) + 1), STATUS_TOO_LARGE);
}

static status_t delete_of_name (uint32_t bytes)
{
    char name[300];
    memset (name, 'n', sizeof name);
    wire_begin (writer, MESSAGE_DELETE, 1);
    wire_field_text (writer, "name", (text_t){ name, bytes });
    return decode_written ();
}

Test (limits, bytes_of_a_name)
{
    cr_assert_eq (delete_of_name (WIRE_NAME_MAX), STATUS_OK);
    cr_assert_eq (delete_of_name (WIRE_NAME_MAX + 1), STATUS_TOO_LARGE);
}

Test (limits, a_name_is_utf8_without_nul)
{
    wire_begin (writer, MESSAGE_DELETE, 1);
    wire_field_text (writer, "name", (text_t){ "a\0b", 3 });
    cr_assert_eq (decode_written (), STATUS_INVALID);
    wire_begin (writer, MESSAGE_DELETE, 1);
    wire_field_text (writer, "name", (text_t){ "a\xff", 2 });
    cr_assert_eq (decode_written (), STATUS_INVALID);
}

static status_t load_of_path (text_t path)
{
    wire_begin (writer, MESSAGE_LOAD, 1);
    wire_field_string (writer, "stream", "s");
    wire_field_text (writer, "path", path);
    wire_field_string (writer, "id", "0f");
    wire_field_string (writer, "name", "n");
    wire_field_string (writer, "format", "csv");
    return decode_written ();
}

/* Whoever opens it takes any other for a bug of its own. */
Test (limits, a_path_stays_below_the_data_directory)
{
    static const char *const bad[] = { "",  "/",   "/a", "a/",     "a//b",
                                       ".", "a/.", "..", "a/../b", "../a" };
    static const char *const good[] = { "a", "a/b", "...", "a/..b/c.", ".a" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq (load_of_path (text_of (bad[i])), STATUS_INVALID, "%s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_eq (load_of_path (text_of (good[i])), STATUS_OK, "%s", good[i]);
    cr_assert_eq (load_of_path ((text_t){ "a\0b", 3 }), STATUS_INVALID);
}

Test (limits, a_producer_has_16_bytes)
{
    for (uint32_t bytes = 15; bytes <= 17; bytes++) {
        wire_begin (writer, MESSAGE_SEND, 1);
        wire_field_string (writer, "stream", "s");
        wire_field_bin (writer, "producer", (text_t){ "0123456789abcdefg", bytes });
        wire_field_uint (writer, "sequence", 1);
        wire_field_uint (writer, "oldest", 1);
        wire_field_list (writer, "columns");
        wire_close (writer);
        wire_field_list (writer, "rows");
        wire_close (writer);
        cr_assert_eq (decode_written () == STATUS_OK, bytes == 16);
    }
}

Test (limits, an_int_is_below_two_to_the_63)
{
    for (uint64_t above = 0; above < 2; above++) {
        wire_begin (writer, MESSAGE_GET, 1);
        wire_field_string (writer, "view", "v");
        wire_field_list (writer, "keys");
        wire_close (writer);
        wire_field_list (writer, "as_ofs");
        wire_put_uint (writer, (uint64_t)INT64_MAX + above);
        wire_close (writer);
        cr_assert_eq (decode_written (), above ? STATUS_INVALID : STATUS_OK);
    }
}

/* A few bytes that claim to be a list or map of 2^32 - 1, or nested too deep, are refused while
 * they are walked: nothing is allocated for what they claim. */
Test (limits, claims_without_the_bytes_are_refused)
{
    cr_assert_eq (scan_message ("\xdd\xff\xff\xff\xff", 5, &error), STATUS_TOO_LARGE);
    cr_assert_eq (scan_message ("\xdf\xff\xff\xff\xff", 5, &error), STATUS_TOO_LARGE);
    cr_assert_eq (scan_message ("\xdd\x00\x01\x00\x01", 5, &error), STATUS_TOO_LARGE);
    cr_assert_eq (scan_message ("\xdd\x00\x01\x00\x00", 5, &error), STATUS_CORRUPT);
    cr_assert_eq (scan_message ("\xdb\xff\xff\xff\xff", 5, &error), STATUS_CORRUPT);
    cr_assert_eq (scan_message ("\xc6\xff\xff\xff\xff", 5, &error), STATUS_CORRUPT);
    cr_assert_eq (scan_message ("", 0, &error), STATUS_CORRUPT);
}

Test (limits, nesting)
{
    const char *eight = "\x91\x91\x91\x91\x91\x91\x91\x90";
    const char *nine = "\x91\x91\x91\x91\x91\x91\x91\x91\x90";
    cr_assert_eq (scan_message (eight, 8, &error), STATUS_OK);
    cr_assert_eq (scan_message (nine, 9, &error), STATUS_TOO_LARGE);
}

Test (limits, the_name_of_a_field_is_a_str)
{
    cr_assert_eq (scan_message ("\x81\xa1k\x01", 4, &error), STATUS_OK);
    cr_assert_eq (scan_message ("\x81\x01\x01", 3, &error), STATUS_INVALID);
    cr_assert_eq (scan_message ("\x81\x81\xa1k\x01\x01", 6, &error), STATUS_INVALID);
}

Test (limits, extension_types_are_refused)
{
    cr_assert_eq (scan_message ("\xd4\x00\x00", 3, &error), STATUS_INVALID);
    cr_assert_eq (scan_message ("\xc7\x01\x00\x00", 4, &error), STATUS_INVALID);
    cr_assert_eq (scan_message ("\xc1", 1, &error), STATUS_CORRUPT);
}

/* Many small values make objects much larger than the bytes that they came in. */
Test (limits, values_of_a_message)
{
    buf_t bytes;
    buf_init (&bytes, WIRE_MESSAGE_MAX);
    for (unsigned lists = 63; lists <= 64; lists++) {
        buf_clear (&bytes);
        buf_put_u8 (&bytes, 0xdc);
        buf_put_u8 (&bytes, 0);
        buf_put_u8 (&bytes, (uint8_t)lists);
        for (unsigned i = 0; i < lists; i++) {
            buf_put (&bytes, "\xdd\x00\x01\x00\x00", 5);
            memset (buf_extend (&bytes, WIRE_ELEMENTS_MAX), 0xc0, WIRE_ELEMENTS_MAX);
        }
        cr_assert_eq (scan_message (bytes.data, bytes.size, &error),
                      lists == 63 ? STATUS_OK : STATUS_TOO_LARGE);
    }
    buf_release (&bytes);
}

Test (limits, the_writer_says_when_a_message_is_too_large)
{
    char *text = mem_zero (1, WIRE_MESSAGE_MAX);
    wire_begin (writer, MESSAGE_DELETE, 1);
    wire_field_text (writer, "name", (text_t){ text, WIRE_MESSAGE_MAX });
    cr_assert_not (wire_end (writer, &data, &size));
    mem_free (text);
    cr_assert_eq (delete_of_name (10), STATUS_OK); /* and is good for the next one */
}

Test (limits, the_writer_says_when_a_list_is_too_long_or_too_deep)
{
    wire_begin (writer, MESSAGE_RECOMPUTE_OK, 1);
    wire_field_list (writer, "ids");
    for (int i = 0; i <= WIRE_ELEMENTS_MAX; i++)
        wire_put_uint (writer, 1);
    wire_close (writer);
    cr_assert_not (wire_end (writer, &data, &size));
    for (int deep = 6; deep <= 9; deep++) {
        wire_begin (writer, MESSAGE_METRICS_OK, 1);
        wire_key (writer, "values");
        for (int i = 0; i < deep; i++)
            wire_open_list (writer);
        wire_put_uint (writer, 1);
        for (int i = 0; i < deep; i++)
            wire_close (writer);
        cr_assert_eq (wire_end (writer, &data, &size), deep == 6);
    }
}
