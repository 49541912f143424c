/* Several coordinators, played: who asks finds the one that leads, and waits while none does. */
#include "client/lib/session.h"

#include "base/mem.h"
#include "tests/rig/node.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite (standby, .timeout = 60);
TestSuite (routes, .timeout = 60);

typedef struct played {
    rig_node_t node;
    const char *_Atomic other; /* whom it names when it stands by; NULL: nobody */
    atomic_bool leads;
    atomic_uint asked; /* how often, for the status */
    unsigned leads_after;
    unsigned routes; /* told so far */
} played_t;

static void put_stands_by (played_t *self, wire_writer_t *writer, const message_t *message)
{
    const char *other = atomic_load (&self->other);
    if (atomic_fetch_add (&self->asked, 1) + 1 == self->leads_after)
        atomic_store (&self->leads, true);
    wire_begin (writer, MESSAGE_ERROR, message->id);
    wire_field_string (writer, "status", "unavailable");
    wire_field_string (writer, "text", "it stands by");
    wire_field_string (writer, "leader", other ? other : "");
}

static void put_routes (played_t *self, wire_writer_t *writer, const message_t *message)
{
    wire_begin (writer, MESSAGE_ROUTES_OK, message->id);
    wire_field_uint (writer, "version", 1);
    wire_field_uint (writer, "partitions", 4);
    wire_field_list (writer, "owners");
    wire_close (writer);
    wire_field_list (writer, "serving");
    if (self->routes > 0) { /* they come up later */
        wire_put_string (writer, "");
        wire_put_string (writer, "no endpoint");
        wire_put_string (writer, "ipc:///tmp/serving");
    }
    wire_close (writer);
    wire_field_list (writer, "speed");
    for (unsigned i = 0; i < 2 + self->routes; i++)
        wire_put_string (writer, i % 2 == 0 ? "ipc:///tmp/speed" : "ipc:///tmp/speed-2");
    wire_close (writer);
    self->routes++;
}

static void put_status (wire_writer_t *writer, const message_t *message)
{
    static const char *const lists[] = { "nodes", "logs", "loads", "recomputes" };
    wire_begin (writer, MESSAGE_STATUS_OK, message->id);
    wire_field_string (writer, "cluster", "c");
    wire_field_uint (writer, "partitions", 4);
    wire_field_uint (writer, "version", 1);
    for (size_t i = 0; i < 4; i++) {
        wire_field_list (writer, lists[i]);
        wire_close (writer);
    }
}

static void answer (void *arg, const rig_reply_t *reply, const message_t *message)
{
    played_t *self = arg;
    wire_writer_t *writer = reply->writer;
    if (message->kind == MESSAGE_PING) {
        rig_reply_pong (reply, message, "coordinator", "c");
        return;
    }
    if (!atomic_load (&self->leads)) {
        put_stands_by (self, writer, message);
    } else if (message->kind == MESSAGE_ROUTES) {
        put_routes (self, writer, message);
    } else if (message->kind == MESSAGE_FORGETS) {
        wire_begin (writer, MESSAGE_FORGETS_OK, message->id);
        wire_field_list (writer, "forgets");
        wire_close (writer);
    } else {
        put_status (writer, message);
    }
    rig_reply_send (reply);
}

typedef struct two {
    played_t one;
    played_t other;
    client_t *weir;
} two_t;

static void begin (played_t *self, const char *which)
{
    self->node.answer = answer;
    self->node.arg = self;
    rig_node_start (&self->node, which);
}

/* Both play, and a project names both. */
static void start (two_t *self)
{
    project_t *project;
    error_t error;
    begin (&self->one, "one");
    begin (&self->other, "other");
    char *text = mem_format ("cluster: c\nnodes:\n  coordinators: ['%s', '%s']\n",
                             self->one.node.endpoint, self->other.node.endpoint);
    cr_assert_eq (project_parse ("/tmp", text_of (text), &project, &error), STATUS_OK, "%s",
                  error.text);
    self->weir = client_of_project (project);
    project_destroy (&project);
    mem_free (text);
}

static void end (two_t *self)
{
    client_close (&self->weir);
    rig_node_stop (&self->one.node);
    rig_node_stop (&self->other.node);
}

static status_t ask (client_t *weir, int timeout_ms, error_t *error)
{
    message_t reply;
    (void)client_begin (weir, MESSAGE_STATUS);
    return client_call (weir, CLIENT_COORDINATOR, timeout_ms, &reply, error);
}

Test (standby, is_passed_over_for_the_one_that_leads)
{
    static two_t two;
    error_t error;
    atomic_store (&two.other.leads, true);
    start (&two);
    cr_assert_eq (ask (two.weir, 5000, &error), STATUS_OK, "%s", error.text);
    unsigned asked = atomic_load (&two.one.asked);
    for (int i = 0; i < 3; i++)
        cr_assert_eq (ask (two.weir, 5000, &error), STATUS_OK, "%s", error.text);
    cr_assert_eq (atomic_load (&two.one.asked), asked, "it is remembered who leads");
    end (&two);
}

Test (standby, tells_who_leads_to_a_client_that_knows_only_itself)
{
    static two_t two;
    error_t error;
    atomic_store (&two.other.leads, true);
    start (&two);
    atomic_store (&two.one.other, two.other.node.endpoint);
    client_t *weir;
    cr_assert_eq (client_connect (two.one.node.endpoint, &weir, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert_eq (ask (weir, 5000, &error), STATUS_OK, "%s", error.text);
    client_close (&weir);
    end (&two);
}

/* What only asks does no harm when it is asked twice. */
Test (standby, is_asked_for_what_one_that_stands_still_does_not_answer)
{
    static two_t two;
    error_t error;
    message_t reply;
    atomic_store (&two.one.leads, true);
    start (&two);
    cr_assert_eq (ask (two.weir, 5000, &error), STATUS_OK, "%s", error.text);
    atomic_store (&two.one.node.silent, true);
    atomic_store (&two.other.leads, true);
    cr_assert_eq (client_forgets (two.weir, NULL, &reply, &error), STATUS_OK, "%s", error.text);
    end (&two);
}

/* A sender that is under way counts on them. */
Test (routes, leave_the_nodes_alone_that_are_known_and_bring_none_that_is_no_endpoint)
{
    static two_t two;
    error_t error;
    endpoints_t *endpoints;
    atomic_store (&two.one.leads, true);
    start (&two);
    client_t *weir;
    cr_assert_eq (client_connect (two.one.node.endpoint, &weir, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert_eq (client_check_keys (weir, &error), STATUS_OK);
    cr_assert_eq (session_endpoints (weir, CLIENT_SPEED, &endpoints, &error), STATUS_OK);
    cr_assert_eq (endpoints->count, 2);
    cr_assert_eq (session_endpoints (weir, CLIENT_SERVING, &endpoints, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert_eq (endpoints->count, 1);
    cr_assert_str_eq (endpoints->items[0], "ipc:///tmp/serving");
    cr_assert_eq (session_endpoints (weir, CLIENT_SPEED, &endpoints, &error), STATUS_OK);
    cr_assert_eq (endpoints->count, 2);
    client_close (&weir);
    end (&two);
}

Test (standby, is_waited_for_while_none_leads)
{
    static two_t two;
    error_t error;
    two.other.leads_after = 3;
    start (&two);
    cr_assert_eq (ask (two.weir, 5000, &error), STATUS_OK, "%s", error.text);
    cr_assert_geq (atomic_load (&two.other.asked), 3);
    end (&two);
}

Test (standby, where_none_leads_in_time_that_is_said)
{
    static two_t two;
    error_t error;
    start (&two);
    cr_assert_eq (ask (two.weir, 300, &error), STATUS_UNAVAILABLE);
    cr_assert_not_null (strstr (error.text, "no coordinator leads"), "%s", error.text);
    cr_assert (client_unreachable (two.weir));
    end (&two);
}
