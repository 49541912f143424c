/* Payloads of forget records. */
#include "storage/payload.h"

#include <criterion/criterion.h>

static text_t text_in (const buf_t *buf)
{
    return (text_t){ (const char *)buf->data, (uint32_t)buf->size };
}

Test (forget, payloads_come_back_and_nothing_shorter_or_longer_is_taken)
{
    for (int forwarded = 0; forwarded < 2; forwarded++) {
        forget_payload_t payload = { .id = text_of ("forget-00ff"),
                                     .clock = -5,
                                     .key = text_of ("a key"),
                                     .before = INT64_MAX,
                                     .forwarded = forwarded,
                                     .source = forwarded ? 3 : 0,
                                     .from = forwarded ? 70 : 0,
                                     .to = forwarded ? 1 << 20 : 0 };
        forget_payload_t got;
        error_t error;
        buf_t bytes;
        buf_init (&bytes, 4096);
        forget_payload_encode (&payload, &bytes);
        cr_assert_eq (forget_payload_decode (text_in (&bytes), &got, &error), STATUS_OK, "%s",
                      error.text);
        cr_expect (text_equal (got.id, payload.id));
        cr_expect (text_equal (got.key, payload.key));
        cr_expect_eq (got.clock, -5);
        cr_expect_eq (got.before, INT64_MAX);
        cr_expect_eq (got.forwarded, payload.forwarded);
        cr_expect_eq (got.source, payload.source);
        cr_expect_eq (got.from, payload.from);
        cr_expect_eq (got.to, payload.to);
        for (uint32_t size = 0; size < bytes.size; size++)
            cr_expect_neq (
                forget_payload_decode ((text_t){ (const char *)bytes.data, size }, &got, &error),
                STATUS_OK);
        buf_put_u8 (&bytes, 0);
        cr_expect_eq (forget_payload_decode (text_in (&bytes), &got, &error), STATUS_CORRUPT);
        bytes.data[0] = PAYLOAD_VERSION + 1;
        cr_expect_eq (forget_payload_decode (text_in (&bytes), &got, &error), STATUS_VERSION);
        buf_release (&bytes);
    }
}

Test (forget, payloads_without_a_key_or_of_no_range_are_refused)
{
    for (int kind = 0; kind < 3; kind++) {
        forget_payload_t got;
        error_t error;
        buf_t bytes;
        buf_init (&bytes, 256);
        buf_put_u8 (&bytes, PAYLOAD_VERSION);
        buf_put_text (&bytes, text_of (kind == 0 ? "" : "forget-1"));
        buf_put_i64 (&bytes, 0);
        buf_put_text (&bytes, text_of (kind == 1 ? "" : "key"));
        buf_put_i64 (&bytes, 0);
        buf_put_u8 (&bytes, kind == 2);
        for (int i = 0; kind == 2 && i < 3; i++)
            buf_put_varint (&bytes, 5); /* source, from = to */
        cr_expect_eq (forget_payload_decode (text_in (&bytes), &got, &error), STATUS_CORRUPT, "%d",
                      kind);
        buf_release (&bytes);
    }
}
