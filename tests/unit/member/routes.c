/* Routes: fetched when orders speak of newer ones. */
#include "member/routes.h"
#include "base/timestamp.h"
#include "tests/rig/env.h"

#include <criterion/criterion.h>

enum { PARTITIONS = 4 };

typedef struct fixture {
    rig_env_t rig;
    routes_t *routes;
    peer_t coordinator;
    wire_decoder_t *decoder;
    wire_writer_t *writer;
} fixture_t;

static void setup (fixture_t *self)
{
    self->coordinator = peer_of_endpoint ("tcp://coordinator");
    rig_env_init (&self->rig, NULL, 1);
    self->routes = routes_new (&self->rig.env, &self->coordinator, PARTITIONS);
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
}

static void teardown (fixture_t *self)
{
    routes_destroy (&self->routes);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    rig_env_release (&self->rig);
}

/* The id of the question that was just sent; 0 none. */
static uint64_t asked (fixture_t *self)
{
    rig_message_t *message = rig_env_take (&self->rig);
    message_kind_t kind = MESSAGE_NONE;
    uint64_t id = 0;
    if (message) {
        cr_assert (wire_peek (message->data, message->size, &kind, &id));
        cr_assert_eq (kind, MESSAGE_ROUTES);
    }
    rig_message_free (&message);
    return id;
}

static void answer (fixture_t *self, uint64_t id, uint64_t version, uint64_t partition,
                    const char *endpoint)
{
    wire_begin (self->writer, MESSAGE_ROUTES_OK, id);
    wire_field_uint (self->writer, "version", version);
    wire_field_uint (self->writer, "partitions", PARTITIONS);
    wire_field_list (self->writer, "owners");
    wire_open_map (self->writer);
    wire_field_uint (self->writer, "partition", partition);
    wire_field_string (self->writer, "endpoint", endpoint);
    wire_field_uint (self->writer, "epoch", 1);
    wire_close (self->writer);
    wire_close (self->writer);
    wire_field_list (self->writer, "serving");
    wire_close (self->writer);
    wire_field_list (self->writer, "speed");
    wire_close (self->writer);
    const void *data;
    size_t size;
    message_t message;
    error_t error;
    cr_assert (wire_end (self->writer, &data, &size));
    status_t status = wire_decode (self->decoder, data, size, &message, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_assert (routes_receive (self->routes, &message));
}

Test (routes, are_asked_for_when_newer_ones_exist_and_again_until_they_come)
{
    fixture_t f;
    setup (&f);
    cr_assert_eq (routes_tick (f.routes), INT64_MAX);
    cr_assert_eq (asked (&f), 0);
    routes_want (f.routes, 3);
    int64_t due = routes_tick (f.routes);
    cr_assert_neq (asked (&f), 0);
    routes_tick (f.routes);
    cr_assert_eq (asked (&f), 0);
    rig_env_pass (&f.rig, due - f.rig.boot);
    routes_tick (f.routes);
    uint64_t id = asked (&f);
    cr_assert_neq (id, 0);
    cr_assert_eq (routes_owner (f.routes, 2)->size, 0);
    answer (&f, id, 3, 2, "tcp://w");
    peer_t w = peer_of_endpoint ("tcp://w");
    cr_assert (peer_equal (routes_owner (f.routes, 2), &w));
    cr_assert_eq (routes_owner (f.routes, 1)->size, 0);
    cr_assert_eq (routes_tick (f.routes), INT64_MAX);
    teardown (&f);
}

Test (routes, an_owner_that_is_gone_is_forgotten)
{
    fixture_t f;
    setup (&f);
    routes_want (f.routes, 1);
    routes_tick (f.routes);
    answer (&f, asked (&f), 1, 2, "tcp://w");
    routes_want (f.routes, 2);
    routes_tick (f.routes);
    answer (&f, asked (&f), 2, 1, "tcp://w");
    cr_assert_eq (routes_owner (f.routes, 2)->size, 0);
    cr_assert_gt (routes_owner (f.routes, 1)->size, 0);
    teardown (&f);
}

Test (routes, answers_to_older_questions_and_partitions_that_are_none_change_nothing)
{
    fixture_t f;
    setup (&f);
    routes_want (f.routes, 1);
    routes_tick (f.routes);
    uint64_t id = asked (&f);
    answer (&f, id + 1, 9, 2, "tcp://w");
    cr_assert_eq (routes_owner (f.routes, 2)->size, 0);
    answer (&f, id, 1, UINT64_MAX, "tcp://w");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (routes_owner (f.routes, p)->size, 0);
    teardown (&f);
}
