/* Payloads of re-keyed logs: events that were forwarded, and marks. */
#include "storage/payload.h"

#include <criterion/criterion.h>
#include <string.h>

static text_t text_in (const buf_t *buf)
{
    return (text_t){ (const char *)buf->data, (uint32_t)buf->size };
}

Test (forwarded, payloads_come_back_and_nothing_shorter_or_longer_is_taken)
{
    forwarded_payload_t payload = { .source = 3, .from = 70, .to = 1 << 20, .accepted = 2 };
    payload.block = text_of ("a block");
    payload.ids_count = 3;
    payload.ids[0] = 4;
    payload.ids[1] = 5;
    payload.ids[2] = 1;
    forwarded_payload_t got;
    error_t error;
    buf_t bytes;
    buf_init (&bytes, 4096);
    forwarded_payload_encode (&payload, &bytes);
    cr_assert_eq (forwarded_payload_decode (text_in (&bytes), &got, &error), STATUS_OK, "%s",
                  error.text);
    cr_expect_eq (got.source, 3);
    cr_expect_eq (got.from, 70);
    cr_expect_eq (got.to, 1 << 20);
    cr_expect_eq (got.accepted, 2);
    cr_expect (text_equal (got.block, payload.block));
    cr_assert_eq (got.ids_count, 3);
    cr_expect_eq (memcmp (got.ids, payload.ids, 3 * sizeof *got.ids), 0);
    for (uint32_t size = 0; size < bytes.size; size++)
        cr_expect_neq (
            forwarded_payload_decode ((text_t){ (const char *)bytes.data, size }, &got, &error),
            STATUS_OK);
    buf_put_u8 (&bytes, 0);
    cr_expect_eq (forwarded_payload_decode (text_in (&bytes), &got, &error), STATUS_CORRUPT);
    bytes.data[0] = PAYLOAD_FORWARDED + 1;
    cr_expect_eq (forwarded_payload_decode (text_in (&bytes), &got, &error), STATUS_VERSION);
    buf_release (&bytes);
}

Test (forwarded, payloads_of_no_range_or_of_more_events_than_it_has_are_refused)
{
    static const uint8_t bad[][3] = { { 5, 5, 0 }, { 6, 5, 0 }, { 5, 6, 2 }, { 5, 9, 1 } };
    for (size_t i = 0; i < 4; i++) {
        forwarded_payload_t got;
        error_t error;
        buf_t bytes;
        buf_init (&bytes, 64);
        buf_put_u8 (&bytes, PAYLOAD_FORWARDED);
        buf_put_varint (&bytes, 0);
        for (size_t k = 0; k < 3; k++)
            buf_put_varint (&bytes, bad[i][k]);
        buf_put_varint (&bytes, 0);
        buf_put_text (&bytes, text_of (i == 2 ? "x" : ""));
        cr_expect_eq (forwarded_payload_decode (text_in (&bytes), &got, &error), STATUS_CORRUPT,
                      "%zu", i);
        buf_release (&bytes);
    }
}

Test (forwarded, marks_come_back_for_as_many_partitions_and_no_others)
{
    uint64_t marks[4] = { 0, 5, UINT64_MAX, 1 << 14 };
    uint64_t got[8];
    error_t error;
    buf_t bytes;
    buf_init (&bytes, 256);
    marks_encode (marks, 4, &bytes);
    cr_assert_eq (marks_decode (text_in (&bytes), got, 4, &error), STATUS_OK);
    cr_expect_eq (memcmp (marks, got, sizeof marks), 0);
    cr_expect_eq (marks_decode (text_in (&bytes), got, 3, &error), STATUS_CORRUPT);
    cr_expect_eq (marks_decode (text_in (&bytes), got, 8, &error), STATUS_CORRUPT);
    for (uint32_t size = 0; size < bytes.size; size++)
        cr_expect_neq (marks_decode ((text_t){ (const char *)bytes.data, size }, got, 4, &error),
                       STATUS_OK);
    buf_release (&bytes);
}
