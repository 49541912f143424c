/* keys.c - the client of a cluster with security: its own key, and keys that change under it. */
#include "base/check.h"
#include "base/mem.h"
#include "client/lib/client.h"
#include "tests/rig/scratch.h"
#include "transport/transport.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static error_t error;
static scratch_t scratch;

static void set_up (void)
{
    scratch_make (&scratch);
}

static void tear_down (void)
{
    scratch_remove (&scratch);
}

TestSuite (keys, .init = set_up, .fini = tear_down, .timeout = 120);

static void generate (const char *name, peer_role_t role)
{
    cr_assert_eq (key_generate (scratch.path, name, role, &error), STATUS_OK, "%s", error.text);
}

/* ---- a node that answers `delete` and `metrics`, as the shell of a real one lets it ---- */

typedef struct node {
    transport_t *transport;
    pthread_t thread;
    char secret[256];
    atomic_bool stop;
    atomic_uint changes; /* of its keys */
} node_t;

static void answer (node_t *self, wire_writer_t *writer, const peer_t *from, message_kind_t kind,
                    uint64_t id)
{
    const void *data;
    size_t size;
    error_t why;
    if (kind == MESSAGE_METRICS) {
        wire_begin (writer, MESSAGE_METRICS_OK, id);
        wire_field_map (writer, "values");
        wire_close (writer);
        CHECK (wire_end (writer, &data, &size));
    } else if (from->role == ROLE_ADMIN) {
        wire_begin (writer, MESSAGE_DELETE_OK, id);
        wire_field_uint (writer, "version", 1);
        CHECK (wire_end (writer, &data, &size));
    } else {
        (void)error_set (&why, STATUS_DENIED, "not you");
        wire_error (writer, id, &why, &data, &size);
    }
    transport_send (self->transport, from, data, size);
}

static void *serve (void *arg)
{
    node_t *self = arg;
    wire_writer_t *writer = wire_writer_new ();
    while (!self->stop) {
        peer_t from;
        const void *data;
        size_t size;
        uint64_t id;
        message_kind_t kind;
        transport_poll (self->transport, 10, NULL, 0, NULL);
        while (transport_receive (self->transport, &from, &data, &size))
            if (wire_peek (data, size, &kind, &id))
                answer (self, writer, &from, kind, id);
        if (keyring_changed (transport_keyring (self->transport))) {
            keyring_t *keyring;
            error_t why;
            /* half changed, it is looked at again */
            if (keyring_read (scratch.path, self->secret, &keyring, &why) != STATUS_OK)
                continue;
            CHECK (transport_rekey (self->transport, &keyring, &why) == STATUS_OK);
            self->changes++;
        }
    }
    wire_writer_destroy (&writer);
    return NULL;
}

static void start_at (node_t *self, const char *endpoint)
{
    keyring_t *keyring;
    *self = (node_t){ .stop = false };
    snprintf (self->secret, sizeof self->secret, "%s", scratch_path (&scratch, "node.secret"));
    cr_assert_eq (
        keyring_read (scratch.path, scratch_path (&scratch, "node.secret"), &keyring, &error),
        STATUS_OK);
    cr_assert_eq (transport_new_secured (endpoint, &keyring, &self->transport, &error), STATUS_OK,
                  "%s", error.text);
    cr_assert_eq (pthread_create (&self->thread, NULL, serve, self), 0);
}

static void start (node_t *self)
{
    start_at (self, "tcp://127.0.0.1:*");
}

static void stop (node_t *self)
{
    self->stop = true;
    pthread_join (self->thread, NULL);
    transport_destroy (&self->transport);
}

static client_t *connect_with (const node_t *node, const char *key)
{
    client_t *weir;
    cr_assert_eq (client_connect_secured (transport_endpoint (node->transport), scratch.path,
                                          key ? scratch_path (&scratch, key) : NULL, &weir, &error),
                  STATUS_OK, "%s", error.text);
    return weir;
}

static status_t ask (client_t *weir)
{
    message_t reply;
    wire_field_string (client_begin (weir, MESSAGE_DELETE), "name", "x");
    return client_call (weir, CLIENT_COORDINATOR, PATIENCE_MS, &reply, &error);
}

Test (keys, a_client_uses_the_key_that_it_is_given_or_its_own)
{
    node_t node;
    generate ("node", ROLE_NODE);
    generate ("boss", ROLE_ADMIN);
    generate ("team", ROLE_READER);
    start (&node);
    client_t *weir = connect_with (&node, "boss.secret");
    cr_assert_eq (ask (weir), STATUS_OK, "%s", error.text);
    client_close (&weir);
    weir = connect_with (&node, "team.secret");
    cr_assert_eq (ask (weir), STATUS_DENIED);
    cr_assert_not (client_unreachable (weir));
    client_close (&weir);
    weir = connect_with (&node, NULL);
    cr_assert_eq (ask (weir), STATUS_NOT_FOUND);
    cr_assert (strstr (error.text, "weir keygen client"), "%s", error.text);
    client_close (&weir);
    generate ("client", ROLE_ADMIN);
    weir = connect_with (&node, NULL);
    for (int waited = 0; ask (weir) != STATUS_OK; waited++) /* until the node has read the key */
        cr_assert (error.status == STATUS_DENIED && waited < PATIENCE_MS, "%s", error.text);
    client_close (&weir);
    cr_assert_eq (setenv ("WEIR_KEY", scratch_path (&scratch, "team.secret"), 1), 0);
    weir = connect_with (&node, NULL);
    cr_assert_eq (ask (weir), STATUS_DENIED);
    client_close (&weir);
    stop (&node);
}

/* Asks until the node has taken other keys up than it had, and some more. */
static unsigned failures_until (client_t *weir, const node_t *node, unsigned changes)
{
    unsigned failures = 0;
    while (node->changes == changes)
        failures += ask (weir) != STATUS_OK;
    for (int i = 0; i < 20; i++)
        failures += ask (weir) != STATUS_OK;
    return failures;
}

Test (keys, a_client_goes_on_when_keys_change_under_it)
{
    node_t node;
    generate ("node", ROLE_NODE);
    generate ("client", ROLE_ADMIN);
    start (&node);
    client_t *weir = connect_with (&node, NULL);
    cr_assert_eq (ask (weir), STATUS_OK, "%s", error.text);

    /* its own: the new one is in place, and the old one is not accepted any more */
    generate ("client2", ROLE_ADMIN);
    cr_assert_eq (rename (scratch_path (&scratch, "client2.secret"),
                          scratch_path (&scratch, "client.secret")),
                  0);
    unsigned changes = node.changes;
    cr_assert_eq (unlink (scratch_path (&scratch, "accepted/client.admin.pub")), 0);
    cr_assert_eq (failures_until (weir, &node, changes), 0, "%s", error.text);

    /* the node's: first both are known, then it has the new one, then the old one is forgotten */
    changes = node.changes;
    generate ("node2", ROLE_NODE);
    cr_assert_eq (failures_until (weir, &node, changes), 0, "%s", error.text);
    changes = node.changes;
    cr_assert_eq (
        rename (scratch_path (&scratch, "node2.secret"), scratch_path (&scratch, "node.secret")),
        0);
    /* the one that was under way when the node changed, which is not of a kind to be asked twice */
    cr_assert_leq (failures_until (weir, &node, changes), 1);
    changes = node.changes;
    cr_assert_eq (unlink (scratch_path (&scratch, "accepted/node.node.pub")), 0);
    cr_assert_eq (failures_until (weir, &node, changes), 0, "%s", error.text);
    client_close (&weir);
    stop (&node);
}

/* A node that takes another key listens nowhere for an instant. */
typedef struct gap {
    node_t *node;
    char endpoint[64];
} gap_t;

static void *listen_later (void *arg)
{
    gap_t *gap = arg;
    (void)poll (NULL, 0, 300); /* the length of the gap */
    start_at (gap->node, gap->endpoint);
    return NULL;
}

static status_t ask_metrics (client_t *weir)
{
    message_t reply;
    (void)client_begin (weir, MESSAGE_METRICS);
    return client_call (weir, CLIENT_COORDINATOR, PATIENCE_MS, &reply, &error);
}

Test (keys, a_query_waits_for_a_node_that_listens_again)
{
    node_t node;
    gap_t gap = { .node = &node };
    pthread_t later;
    generate ("node", ROLE_NODE);
    generate ("client", ROLE_ADMIN);
    start (&node);
    snprintf (gap.endpoint, sizeof gap.endpoint, "%s", transport_endpoint (node.transport));
    client_t *weir = connect_with (&node, NULL);
    cr_assert_eq (ask_metrics (weir), STATUS_OK, "%s", error.text);
    stop (&node);
    cr_assert_eq (ask (weir), STATUS_UNAVAILABLE, "what writes is not asked again");
    cr_assert_eq (pthread_create (&later, NULL, listen_later, &gap), 0);
    cr_assert_eq (ask_metrics (weir), STATUS_OK, "%s", error.text);
    pthread_join (later, NULL);
    stop (&node);
    cr_assert_eq (ask_metrics (weir), STATUS_UNAVAILABLE, "who stays away is told in the end");
    client_close (&weir);
}

Test (keys, beyond_this_machine_takes_keys)
{
    client_t *weir;
    cr_assert_eq (client_connect ("tcp://192.0.2.1:7600", &weir, &error), STATUS_INVALID);
    cr_assert_null (weir);
    cr_assert_eq (
        client_connect_secured ("tcp://192.0.2.1:7600", scratch.path, NULL, &weir, &error),
        STATUS_OK);
    client_close (&weir);
}
