#include "bodies.h"

#include "base/mem.h"
#include "wire/scan.h"

#include <criterion/criterion.h>

static body_maker_t maker;
static wire_decoder_t *decoder;
static error_t error;
static message_t message;

static void set_up (void)
{
    random_seed (&maker.random, 20260102);
    maker.writer = wire_writer_new ();
    maker.spoil = SPOIL_NOTHING;
    decoder = wire_decoder_new ();
}

static void tear_down (void)
{
    wire_writer_destroy (&maker.writer);
    wire_decoder_destroy (&decoder);
}

TestSuite (messages, .init = set_up, .fini = tear_down);

#define EACH_KIND(kind)                                                                            \
    message_kind_t kind = MESSAGE_NONE + 1;                                                        \
    kind < MESSAGE_KINDS;                                                                          \
    kind++

static status_t decode (const void *data, size_t size)
{
    error_clear (&error);
    return wire_decode (decoder, data, size, &message, &error);
}

/* Is it an answer, so that a refusal is not told? */
static bool is_answer (message_kind_t kind)
{
    const char *word = message_word (kind);
    return kind == MESSAGE_POKE || kind == MESSAGE_ERROR || strstr (word, ".ok");
}

Test (messages, every_kind_comes_out_as_it_went_in)
{
    wire_writer_t *again = wire_writer_new ();
    for (EACH_KIND (kind)) {
        for (int round = 0; round < 50; round++) {
            const void *data, *copy;
            size_t size, copy_size;
            body_message (&maker, kind, &data, &size);
            cr_assert_eq (decode (data, size), STATUS_OK, "%s: %s", message_word (kind),
                          error.text);
            cr_assert_eq (message.kind, kind);
            cr_assert_eq (message.id, 77);
            wire_begin (again, kind, 77);
            for (uint32_t i = 0; i < message.body->via.map.size; i++) {
                const msgpack_object_kv *pair = &message.body->via.map.ptr[i];
                wire_key_text (again, (text_t){ pair->key.via.str.ptr, pair->key.via.str.size });
                wire_put_any (again, &pair->val);
            }
            cr_assert (wire_end (again, &copy, &copy_size));
            cr_assert_eq (copy_size, size);
            cr_assert_eq (memcmp (copy, data, size), 0, "%s", message_word (kind));
        }
    }
    wire_writer_destroy (&again);
}

/* Spoils one field after the other, at every level of the body. */
static void expect_refusals (spoil_t spoil)
{
    for (EACH_KIND (kind)) {
        for (uint32_t at = 0;; at++) {
            const void *data;
            size_t size;
            maker.spoil = spoil;
            maker.spoil_at = at;
            body_message (&maker, kind, &data, &size);
            if (!maker.spoiled)
                break;
            cr_assert_eq (decode (data, size), STATUS_INVALID, "%s, field %u", message_word (kind),
                          at);
            cr_assert_eq (message.kind, MESSAGE_NONE);
            cr_assert_eq (message.id, is_answer (kind) ? 0 : 77);
            cr_assert_eq (strncmp (error.text, message_word (kind), strlen (message_word (kind))),
                          0);
        }
    }
}

Test (messages, a_missing_field_is_refused)
{
    expect_refusals (SPOIL_MISSING);
}

Test (messages, a_field_that_is_not_listed_is_refused)
{
    expect_refusals (SPOIL_EXTRA);
}

Test (messages, a_value_of_another_type_is_refused)
{
    expect_refusals (SPOIL_TYPE);
}

Test (messages, a_field_twice_is_refused)
{
    expect_refusals (SPOIL_TWICE);
}

Test (messages, every_truncation_is_refused)
{
    for (EACH_KIND (kind)) {
        const void *data;
        size_t size;
        body_message (&maker, kind, &data, &size);
        for (size_t cut = 0; cut < size; cut++) {
            /* Exact memory, so that a read past the end is seen. */
            void *part = mem_alloc (cut);
            memcpy (part, data, cut);
            cr_assert_eq (decode (part, cut), STATUS_CORRUPT, "%s cut at %zu of %zu",
                          message_word (kind), cut, size);
            mem_free (part);
        }
    }
}

Test (messages, bytes_after_the_message_are_refused)
{
    const void *data;
    size_t size;
    body_message (&maker, MESSAGE_GET, &data, &size);
    char *more = mem_alloc (size + 1);
    memcpy (more, data, size);
    more[size] = 0;
    cr_assert_eq (decode (more, size + 1), STATUS_CORRUPT);
    mem_free (more);
}

Test (messages, bytes_changed_at_random_never_do_harm)
{
    unsigned taken = 0;
    for (int round = 0; round < 20000; round++) {
        message_kind_t kind = 1 + (message_kind_t)random_below (&maker.random, MESSAGE_KINDS - 1);
        const void *data;
        size_t size;
        body_message (&maker, kind, &data, &size);
        uint8_t *bytes = mem_alloc (size);
        memcpy (bytes, data, size);
        uint64_t changes = 1 + random_below (&maker.random, 4);
        for (uint64_t i = 0; i < changes; i++)
            bytes[random_below (&maker.random, size)] = (uint8_t)random_next (&maker.random);
        taken += decode (bytes, size) == STATUS_OK;
        cr_assert_eq (message.kind == MESSAGE_NONE, error.status != STATUS_OK);
        mem_free (bytes);
    }
    cr_assert_gt (taken, 0);
}

Test (messages, random_bytes_never_do_harm)
{
    uint8_t bytes[64];
    for (int round = 0; round < 200000; round++) {
        size_t size = random_below (&maker.random, sizeof bytes + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_next (&maker.random);
        uint8_t *exact = mem_alloc (size);
        memcpy (exact, bytes, size);
        cr_assert_neq (decode (exact, size), STATUS_OK);
        /* What the scan lets pass is what msgpack can be given. */
        (void)!scan_message (exact, size, &error);
        mem_free (exact);
    }
}

Test (messages, an_error_says_its_status_and_is_utf8)
{
    const void *data;
    size_t size;
    error_t sent;
    error_set (&sent, STATUS_NOT_FOUND, "no view \"us\xffr\xc3\" here: \xc3\xa4");
    wire_error (maker.writer, 5, &sent, &data, &size);
    cr_assert_eq (decode (data, size), STATUS_OK);
    cr_assert_eq (message.kind, MESSAGE_ERROR);
    cr_assert_eq (message.id, 5);
    cr_assert (text_is (wire_text (message.body, "status"), "not-found"));
    cr_assert (text_is (wire_text (message.body, "text"), "no view \"us?r?\" here: \xc3\xa4"));
}

Test (messages, another_version_is_told_under_the_id_of_the_asker)
{
    const uint8_t data[] = "\x95\xa4weir\x02\xa4ping\x2a\x80";
    cr_assert_eq (decode (data, sizeof data - 1), STATUS_VERSION);
    cr_assert_eq (message.id, 42);
    cr_assert_eq (message.kind, MESSAGE_NONE);
}

Test (messages, an_unknown_kind_and_another_magic_are_refused)
{
    const uint8_t kind[] = "\x95\xa4weir\x01\xa4pong\x2a\x80";
    cr_assert_eq (decode (kind, sizeof kind - 1), STATUS_INVALID);
    cr_assert_eq (message.id, 42);
    const uint8_t magic[] = "\x95\xa4weit\x01\xa4ping\x2a\x80";
    cr_assert_eq (decode (magic, sizeof magic - 1), STATUS_CORRUPT);
    cr_assert_eq (message.id, 0);
}

Test (messages, a_peek_reads_kind_and_id)
{
    const uint8_t data[] = "\x95\xa4weir\x01\xa7ping.ok\xcd\x12\x34";
    message_kind_t kind;
    uint64_t id;
    cr_assert (wire_peek (data, sizeof data - 1, &kind, &id));
    cr_assert_eq (kind, MESSAGE_PING_OK);
    cr_assert_eq (id, 0x1234);
    cr_assert_not (wire_peek (data, sizeof data - 2, &kind, &id));
}

Test (messages, the_unknown_field_meant_is_guessed)
{
    const void *data;
    size_t size;
    wire_begin (maker.writer, MESSAGE_RECOMPUTE, 1);
    wire_field_string (maker.writer, "strem", "payments");
    cr_assert (wire_end (maker.writer, &data, &size));
    cr_assert_eq (decode (data, size), STATUS_INVALID);
    cr_assert (strstr (error.text, "is \"stream\" meant?"), "%s", error.text);
}

Test (messages, getters_give_what_stands_in_the_body)
{
    const void *data;
    size_t size;
    wire_writer_t *writer = maker.writer;
    wire_begin (writer, MESSAGE_GET, 9);
    wire_field_string (writer, "view", "user_spend");
    wire_field_list (writer, "keys");
    wire_open_map (writer);
    wire_field_int (writer, "user", -5);
    wire_close (writer);
    wire_close (writer);
    wire_field_string (writer, "features", NULL);
    wire_field_list (writer, "as_ofs");
    wire_put_int (writer, INT64_MIN);
    wire_close (writer);
    wire_field_bool (writer, "before", true);
    cr_assert (wire_end (writer, &data, &size));
    cr_assert_eq (decode (data, size), STATUS_OK, "%s", error.text);
    const wire_value_t *body = message.body;
    char name[5];
    wire_copy (body, "view", name, sizeof name);
    cr_assert_str_eq (name, "user");
    cr_assert_eq (wire_int (wire_list (body, "keys").items, "user", 0), -5);
    cr_assert_not (wire_has (body, "features"));
    cr_assert_eq (wire_list (body, "features").count, 0);
    cr_assert_eq (wire_list (body, "as_ofs").items->via.i64, INT64_MIN);
    cr_assert (wire_bool (body, "before", false));
    cr_assert_eq (wire_uint (body, "deadline_ms", 250), 250);
    cr_assert_null (wire_any (body, "as_of"));
}
