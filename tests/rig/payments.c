#include "tests/rig/payments.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "tests/oracle/oracle.h"

#include <stdio.h>

enum { USER, AMOUNT, ITEMS, TIME, COLUMNS };

#define FIELDS                                                                                     \
    "      user: {type: string, required: true}\n"                                                 \
    "      amount: float64\n"                                                                      \
    "      items: int64\n"                                                                         \
    "      ts: {type: timestamp, unit: us}\n"

static const char stream_text[] = "streams:\n"
                                  "  payments:\n"
                                  "    key: user\n"
                                  "    time: ts\n"
                                  "    fields:\n" FIELDS;
static const char wide_fields[] =
    "next 5\n4 string nullable note note\n0 string required user user\n"
    "1 float64 nullable amount amount\n2 int64 nullable items items\n"
    "3 timestamp time ts ts\n";
static const char extra_text[] = "streams:\n  payments:\n    key: user\n    time: ts\n"
                                 "    fields:\n" FIELDS "      extra: ";
static const char wide_text[] = "streams:\n  payments:\n    key: user\n    time: ts\n"
                                "    fields:\n      note: string\n" FIELDS;

#define FEATURES                                                                                   \
    "    features:\n"                                                                              \
    "      n: count() over 1h, lifetime\n"                                                         \
    "      s: sum(amount) over 1h, 7d\n"                                                           \
    "      m: max(items) over 1h\n"                                                                \
    "      l: last(items)\n"

static const char view_text_1[] = "views:\n  spend:\n    from: payments\n    key: user\n" FEATURES;
static const char grown_text[] = "views:\n  spend:\n    from: payments\n    key: user\n" FEATURES
                                 "      least: min(items) over 1h\n";
static const char view_text_2[] = "views:\n  spend:\n    from: payments\n    key: user\n"
                                  "    where: items > 3\n" FEATURES;
static const char second_view_text[] = "views:\n  visits:\n    from: payments\n    key: user\n"
                                       "    request: {extra: int64, note: string}\n"
                                       "    features:\n      visits: count()\n"
                                       "      by_items: count() by items\n"
                                       "    derived:\n      more: visits + extra\n"
                                       "      twice: more * 2\n"
                                       "      noted: coalesce(note, 'nothing')\n"
                                       "      age: (now - time '2000-01-01') / 1us\n";

static const oracle_feature_t features[PAYMENTS_FEATURES] = {
    { .aggregate = "count", .field = -1, .window = TIME_HOUR },
    { .aggregate = "count", .field = -1, .window = ORACLE_LIFETIME },
    { .aggregate = "sum", .field = AMOUNT, .window = TIME_HOUR },
    { .aggregate = "sum", .field = AMOUNT, .window = 7 * TIME_DAY },
    { .aggregate = "max", .field = ITEMS, .window = TIME_HOUR },
    { .aggregate = "last", .field = ITEMS, .window = ORACLE_LIFETIME },
};

static void write_object_with (wire_writer_t *writer, const char *kind, const char *name,
                               uint64_t version, const char *text, const char *fields)
{
    wire_open_map (writer);
    wire_field_string (writer, "kind", kind);
    wire_field_string (writer, "name", name);
    wire_field_uint (writer, "version", version);
    wire_field_string (writer, "text", text);
    if (fields)
        wire_field_string (writer, "fields", fields);
    wire_close (writer);
}

static void write_object (wire_writer_t *writer, const char *kind, const char *name,
                          uint64_t version, const char *text)
{
    write_object_with (writer, kind, name, version, text, NULL);
}

void payments_write_definitions_and (wire_writer_t *writer, uint64_t version,
                                     const char *other_name, const char *other_text)
{
    wire_field_uint (writer, "version", version);
    wire_field_list (writer, "objects");
    if (other_name)
        write_object (writer, "stream", other_name, 1, other_text);
    write_object (writer, "stream", "payments", 1, stream_text);
    if (version == PAYMENTS_GROWN)
        write_object (writer, "view", "spend", 1, grown_text);
    else
        write_object (writer, "view", "spend", version, version == 1 ? view_text_1 : view_text_2);
    if (version > 1 && version != PAYMENTS_GROWN)
        write_object (writer, "view", "visits", 1, second_view_text);
    wire_close (writer);
}

void payments_write_definitions (wire_writer_t *writer, uint64_t version)
{
    payments_write_definitions_and (writer, version, NULL, NULL);
}

void payments_write_wide (wire_writer_t *writer, uint64_t version)
{
    wire_field_uint (writer, "version", version);
    wire_field_list (writer, "objects");
    write_object_with (writer, "stream", "payments", 1, wide_text, wide_fields);
    write_object (writer, "view", "spend", 1, view_text_1);
    wire_close (writer);
}

void payments_write_widened (wire_writer_t *writer, uint64_t version)
{
    char text[sizeof extra_text + 16];
    (void)snprintf (text, sizeof text, "%s%s\n", extra_text, version == 1 ? "int64" : "float64");
    wire_field_uint (writer, "version", version);
    wire_field_list (writer, "objects");
    write_object (writer, "stream", "payments", 1, text);
    write_object (writer, "view", "spend", 1, view_text_1);
    wire_close (writer);
}

model_t *payments_model (uint64_t version)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    message_t message;
    model_t *model;
    error_t error;
    const void *data;
    size_t size;
    wire_begin (writer, MESSAGE_DEFINITIONS_OK, 1);
    payments_write_definitions (writer, version);
    bool good = wire_end (writer, &data, &size);
    CHECK (good);
    status_t status = wire_decode (decoder, data, size, &message, &error);
    CHECK (status == STATUS_OK);
    status = model_from_message (message.body, &model, &error);
    CHECK (status == STATUS_OK);
    wire_writer_destroy (&writer);
    wire_decoder_destroy (&decoder);
    return model;
}

const char *payments_user (unsigned user)
{
    static const char *const names[PAYMENTS_USERS] = { "ann",  "bob",   "cy",   "dee",
                                                       "eve",  "fay",   "gus",  "hal",
                                                       "ivan", "judit", "kofi", "\xc3\xa9lodie" };
    CHECK (user < PAYMENTS_USERS);
    return names[user];
}

text_t payments_key (unsigned user, buf_t *key)
{
    value_t name = { .type = TYPE_STRING, .s = text_of (payments_user (user)) };
    buf_clear (key);
    key_put (key, &name);
    return (text_t){ (const char *)key->data, (uint32_t)key->size };
}

uint32_t payments_partition (unsigned user, uint32_t partitions)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    uint32_t partition = key_partition (key_hash (payments_key (user, &key)), partitions);
    buf_release (&key);
    return partition;
}

payment_t payments_random (random_t *random, int64_t latest, int64_t spread, uint32_t partitions)
{
    payment_t payment = { .user = (unsigned)random_below (random, PAYMENTS_USERS) };
    payment.no_amount = random_chance (random, 0.1);
    payment.amount = (double)random_below (random, 100000) / 7 - 3000;
    payment.items = (int64_t)random_below (random, 10);
    /* some at the same instant, so that the position decides which is last */
    payment.time = latest - (int64_t)random_below (random, (uint64_t)spread / 1000) * 1000;
    payment.partition = payments_partition (payment.user, partitions);
    return payment;
}

static void values_of (const payment_t *payment, value_t values[COLUMNS])
{
    values[USER] = (value_t){ .type = TYPE_STRING, .s = text_of (payments_user (payment->user)) };
    values[AMOUNT] = (value_t){ .type = TYPE_FLOAT64, .f = payment->amount };
    values[AMOUNT].null = payment->no_amount;
    values[ITEMS] = (value_t){ .type = TYPE_INT64, .i = payment->items };
    values[TIME] = (value_t){ .type = TYPE_TIMESTAMP, .i = payment->time };
}

batch_t payments_batch (const model_t *model, const payment_t *payments, size_t count,
                        arena_t *arena)
{
    const plan_t *plan = model->plans[0];
    CHECK (plan->columns == COLUMNS);
    batch_t batch = batch_new (arena, plan->column_types, plan->columns, count);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        value_t values[COLUMNS];
        values_of (&payments[i], values);
        for (size_t c = 0; c < COLUMNS; c++)
            if (!values[c].null)
                column_set (&batch.column[c], i, &values[c]);
        batch.event_time[i] = payments[i].time;
        batch.ingest_time[i] = payments[i].time;
        batch.offset[i] = payments[i].offset;
        batch.key[i] = arena_text (arena, payments_key (payments[i].user, &key));
    }
    buf_release (&key);
    return batch;
}

value_t payments_expected (uint64_t version, size_t feature, const payment_t *payments,
                           size_t count, unsigned user, uint64_t from, uint64_t to, int64_t as_of)
{
    CHECK (feature < PAYMENTS_FEATURES);
    oracle_feature_t asked = features[feature];
    if (version > 1) {
        asked.filters[0] = (oracle_filter_t){ .field = ITEMS, .op = ORACLE_GT };
        asked.filters[0].literal = (value_t){ .type = TYPE_INT64, .i = 3 };
        asked.filters_count = 1;
    }
    oracle_event_t *events = mem_zero (count, sizeof *events);
    value_t (*values)[COLUMNS] = mem_zero (count, sizeof *values);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const payment_t *payment = &payments[i];
        if (payment->user != user || payment->offset < from || payment->offset >= to)
            continue;
        values_of (payment, values[used]);
        events[used] = (oracle_event_t){ .time = payment->time,
                                         .offset = payment->offset,
                                         .values = values[used] };
        used++;
    }
    value_t value;
    status_t status = oracle_value (&asked, events, used, as_of, &value);
    CHECK (status == STATUS_OK);
    mem_free (events);
    mem_free (values);
    return value;
}
