/* Bytes from the network: whatever they are, wire_decode refuses them or gives a body of its kind's
 * shape, which written again is accepted again. */
#include "wire/wire.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void write_body (wire_writer_t *writer, const message_t *message)
{
    wire_begin (writer, message->kind, message->id);
    for (uint32_t i = 0; i < message->body->via.map.size; i++) {
        const msgpack_object_kv *pair = &message->body->via.map.ptr[i];
        wire_key_text (writer, (text_t){ pair->key.via.str.ptr, pair->key.via.str.size });
        wire_put_any (writer, &pair->val);
    }
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    error_t error;
    message_t message;
    wire_decoder_t *decoder = wire_decoder_new ();
    if (wire_decode (decoder, data, size, &message, &error) == STATUS_OK) {
        wire_writer_t *writer = wire_writer_new ();
        message_kind_t kind = message.kind;
        const void *again;
        write_body (writer, &message);
        CHECK (wire_end (writer, &again, &size));
        CHECK (wire_decode (decoder, again, size, &message, &error) == STATUS_OK);
        CHECK (message.kind == kind);
        wire_writer_destroy (&writer);
    } else {
        CHECK (message.kind == MESSAGE_NONE);
        CHECK (error.status != STATUS_OK);
    }
    wire_decoder_destroy (&decoder);
    return 0;
}
