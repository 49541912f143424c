/* A message of each kind: once with what it must have, once with all that it may have. */
#include "base/check.h"
#include "tests/fuzz/driver/seeds.h"
#include "wire/shapes.h"

static void write_record (wire_writer_t *writer, const record_t *record, bool all);

static void write_any (wire_writer_t *writer)
{
    wire_open_list (writer);
    wire_put_nil (writer);
    wire_put_int (writer, -5);
    wire_put_float (writer, 1.5);
    wire_put_bool (writer, true);
    wire_put_string (writer, "text");
    wire_put_bin (writer, (text_t){ "\x00\xff", 2 });
    wire_close (writer);
}

static void write_value (wire_writer_t *writer, const field_t *field, bool all)
{
    switch (field->type) {
    case SHAPE_ANY:
    case SHAPE_ROW:
        write_any (writer);
        break;
    case SHAPE_UINT:
        wire_put_uint (writer, all ? UINT64_C (1) << 40 : 3);
        break;
    case SHAPE_INT:
        wire_put_int (writer, all ? -300 : 1);
        break;
    case SHAPE_BOOL:
        wire_put_bool (writer, all);
        break;
    case SHAPE_NAME:
        wire_put_string (writer, "name");
        break;
    case SHAPE_TEXT:
        wire_put_string (writer, "a text");
        break;
    case SHAPE_BIN:
        wire_put_bin (writer, (text_t){ "0123456789abcdef", 16 });
        break;
    case SHAPE_MAP:
        wire_open_map (writer);
        wire_field_string (writer, "user", "ann");
        wire_field_uint (writer, "n", 70000);
        wire_close (writer);
        break;
    case SHAPE_RECORD:
        wire_open_map (writer);
        write_record (writer, field->record, all);
        wire_close (writer);
        break;
    }
}

static void write_record (wire_writer_t *writer, const record_t *record, bool all)
{
    for (uint32_t i = 0; i < record->count; i++) {
        const field_t *field = &record->fields[i];
        if (!all && (field->flags & FIELD_OPTIONAL))
            continue;
        wire_key (writer, field->name);
        if (!(field->flags & FIELD_LIST)) {
            write_value (writer, field, all);
            continue;
        }
        wire_open_list (writer);
        for (unsigned items = all ? 2 : 0; items > 0; items--)
            write_value (writer, field, all);
        wire_close (writer);
    }
}

void seeds_of_wire (void)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    for (unsigned kind = MESSAGE_NONE + 1; kind < MESSAGE_KINDS; kind++) {
        for (int all = 0; all < 2; all++) {
            const void *data;
            size_t size;
            message_t message;
            error_t error;
            wire_begin (writer, (message_kind_t)kind, all ? UINT64_C (1) << 33 : 7);
            write_record (writer, shape_of ((message_kind_t)kind), all);
            CHECK (wire_end (writer, &data, &size));
            CHECK (wire_decode (decoder, data, size, &message, &error) == STATUS_OK);
            seed_write ("wire", data, size);
        }
    }
    wire_writer_destroy (&writer);
    wire_decoder_destroy (&decoder);
}
