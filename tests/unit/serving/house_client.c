/* The client of a house: what it asks, and what it must be told. */
#include "tests/unit/serving/house.h"

#include "tests/oracle/oracle.h"

#include <stdio.h>

uint64_t house_get (house_t *self, const char *view, const unsigned *users, size_t count)
{
    uint64_t id = self->next_id++;
    wire_begin (self->writer, MESSAGE_GET, id);
    wire_field_string (self->writer, "view", view);
    wire_field_list (self->writer, "keys");
    for (unsigned i = 0; i < (users ? count : PAYMENTS_USERS); i++) {
        wire_open_map (self->writer);
        wire_field_string (self->writer, "user", payments_user (users ? users[i] : i));
        wire_close (self->writer);
    }
    wire_close (self->writer);
    return id;
}

void house_ask_as (house_t *self, const char *name)
{
    peer_t client = rig_incoming (name);
    house_give (self, &client);
    house_run (self);
}

void house_ask (house_t *self)
{
    house_ask_as (self, "client");
}

bool house_answered (const house_t *self)
{
    return self->replies != NULL;
}

message_t house_reply (house_t *self, message_kind_t kind)
{
    message_t message;
    error_t error;
    reply_t *reply = self->replies;
    cr_assert_not_null (reply, "no reply, but %s was expected", message_word (kind));
    self->replies = reply->next;
    mem_free (self->kept);
    self->kept = mem_alloc (reply->size);
    memcpy (self->kept, reply->data, reply->size);
    status_t status = wire_decode (self->decoder, self->kept, reply->size, &message, &error);
    mem_free (reply);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    if (message.kind != kind && message.kind == MESSAGE_ERROR)
        cr_assert_fail ("%s expected, but: " TEXT_FORMAT, message_word (kind),
                        TEXT_ARGS (wire_text (message.body, "text")));
    cr_assert_eq (message.kind, kind, "%s", message_word (message.kind));
    return message;
}

void house_expect_error (house_t *self, status_t status, const char *part_of_text)
{
    message_t message = house_reply (self, MESSAGE_ERROR);
    char text[2048];
    wire_copy (message.body, "text", text, sizeof text);
    cr_assert (text_is (wire_text (message.body, "status"), status_word (status)),
               TEXT_FORMAT ": %s", TEXT_ARGS (wire_text (message.body, "status")), text);
    cr_assert_not_null (strstr (text, part_of_text), "%s", text);
}

static value_t value_of (const wire_value_t *given)
{
    switch (given->type) {
    case MSGPACK_OBJECT_NIL:
        return (value_t){ .null = true };
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return (value_t){ .type = TYPE_FLOAT64, .f = given->via.f64 };
    default:
        return (value_t){ .type = TYPE_INT64, .i = wire_item_int (given) };
    }
}

/* The view has all payments; from its second version on those of more than three items. */
static void check_latest (const wire_value_t *result, const payment_t *payments, size_t count,
                          uint64_t definitions, unsigned user, uint64_t from, uint64_t to,
                          int64_t as_of)
{
    int64_t latest = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        const payment_t *at = &payments[i];
        if (at->user == user && (definitions == 1 || at->items > 3) && at->offset >= from &&
            at->offset < to && at->time <= as_of && at->time > latest)
            latest = at->time;
    }
    wire_list_t told = wire_list (result, "latest");
    cr_assert_leq (told.count, 1);
    if (told.count == 1) /* of one layer alone nothing is told */
        cr_assert_eq (wire_item_int (&told.items[0]), latest);
    cr_assert_not (wire_has (result, "expired"));
}

void house_check_values (house_t *self, const wire_value_t *result, uint64_t definitions,
                         unsigned user, uint64_t from, uint64_t to, int64_t as_of)
{
    wire_list_t values = wire_list (result, "values");
    cr_assert_eq (values.count, PAYMENTS_FEATURES);
    /* an event that a manifest leaves out is in no answer that stands on it */
    uint64_t number = 0;
    char dataset[32];
    wire_copy (result, "dataset", dataset, sizeof dataset);
    cr_assert_eq (sscanf (dataset, "d%lu", &number), 1);
    payment_t *counted = mem_zero (self->payments_count, sizeof *counted);
    size_t count = 0;
    for (size_t i = 0; i < self->payments_count; i++)
        if (number == 0 || house_counts (self, number, &self->payments[i]))
            counted[count++] = self->payments[i];
    for (size_t f = 0; f < PAYMENTS_FEATURES; f++) {
        value_t got = value_of (&values.items[f]);
        value_t wanted = payments_expected (definitions, f, counted, count, user, from, to, as_of);
        cr_assert (oracle_agree (&got, &wanted), "feature %zu of %s: %lld %g, not %lld %g", f,
                   payments_user (user), (long long)got.i, got.f, (long long)wanted.i, wanted.f);
    }
    check_latest (result, counted, count, definitions, user, from, to, as_of);
    mem_free (counted);
}

void house_check (house_t *self, const unsigned *users, size_t count, const int64_t *as_of)
{
    message_t message = house_reply (self, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    char version[8];
    wire_copy (message.body, "version", version, sizeof version);
    cr_assert_eq (results.count, users ? count : PAYMENTS_USERS);
    cr_assert_eq (wire_list (message.body, "roles").count, 1);
    for (uint32_t i = 0; i < results.count; i++) {
        const wire_value_t *result = &results.items[i];
        unsigned user = users ? users[i] : i;
        char name[64];
        snprintf (name, sizeof name, PAYMENTS_LOG "/%u", payments_partition (user, PARTITIONS));
        cr_assert (wire_bool (result, "complete", false));
        cr_assert_not (wire_has (result, "incomplete"));
        cr_assert (text_is (wire_text (wire_map (result, "key"), "user"), payments_user (user)));
        int64_t asked = as_of ? as_of[i] : self->rig.clock;
        cr_assert_eq (wire_int (result, "as_of", 0), asked);
        uint64_t position = wire_uint (wire_map (result, "positions"), name, UINT64_MAX);
        cr_assert_eq (position, self->next_offset[payments_partition (user, PARTITIONS)]);
        house_check_values (self, result, version[1] == '1' ? 1 : 2, user, 0, position, asked);
    }
}

const char *house_reason (const message_t *message)
{
    static char reason[512];
    wire_list_t results = wire_list (message->body, "results");
    cr_assert_eq (results.count, 1);
    cr_assert_not (wire_bool (&results.items[0], "complete", true));
    wire_list_t incomplete = wire_list (&results.items[0], "incomplete");
    cr_assert_eq (incomplete.count, 1);
    wire_copy (&incomplete.items[0], "reason", reason, sizeof reason);
    return reason;
}

uint64_t house_metric (house_t *self, const char *name)
{
    wire_begin (self->writer, MESSAGE_METRICS, 3);
    house_ask (self);
    message_t message = house_reply (self, MESSAGE_METRICS_OK);
    return wire_uint (wire_map (message.body, "values"), name, UINT64_MAX);
}
