/* secured.c - transports with keys: who gets in, as what, and for how long. */
#include "base/check.h"
#include "transport/probe.h"
#include "transport/transport.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

enum { PATIENCE_MS = 10000, QUIET_MS = 300 };

static error_t error;
static key_pair_t node_pair, other_node_pair, reader_pair, stranger_pair;

static void set_up (void)
{
    key_pair_t *const pairs[] = { &node_pair, &other_node_pair, &reader_pair, &stranger_pair };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_assert_eq (zmq_curve_keypair (pairs[i]->public, pairs[i]->secret), 0);
}

TestSuite (secured, .init = set_up, .timeout = 120);

static accepted_key_t accepted_as (const key_pair_t *pair, const char *name, peer_role_t role)
{
    accepted_key_t key = { .role = role };
    snprintf (key.key, sizeof key.key, "%s", pair->public);
    snprintf (key.name, sizeof key.name, "%s", name);
    return key;
}

enum { OLD_NODE = 1, NEW_NODE = 2, READER = 4 };

/* The pair's ring, in which some are accepted. */
static keyring_t *ring (const key_pair_t *own, unsigned who)
{
    accepted_key_t keys[3];
    size_t count = 0;
    if (who & OLD_NODE)
        keys[count++] = accepted_as (&node_pair, "node", ROLE_NODE);
    if (who & NEW_NODE)
        keys[count++] = accepted_as (&other_node_pair, "node2", ROLE_NODE);
    if (who & READER)
        keys[count++] = accepted_as (&reader_pair, "team", ROLE_READER);
    return keyring_of (own, keys, count);
}

static transport_t *start (const char *listen, keyring_t *keyring)
{
    transport_t *transport;
    cr_assert_eq (transport_new_secured (listen, &keyring, &transport, &error), STATUS_OK, "%s",
                  error.text);
    cr_assert_null (keyring);
    return transport;
}

static void rekey (transport_t *transport, keyring_t *keyring)
{
    cr_assert_eq (transport_rekey (transport, &keyring, &error), STATUS_OK, "%s", error.text);
    cr_assert_null (keyring);
}

/* Lets both work until `node` has a message that begins with `mark` (0: any), or the time is over.
 */
static bool meet (transport_t *node, transport_t *asker, char mark, int patience_ms, peer_t *from)
{
    const void *data;
    size_t size;
    for (int waited = 0; waited < patience_ms; waited += 10) {
        while (transport_receive (node, from, &data, &size))
            if (mark == 0 || *(const char *)data == mark)
                return true;
        transport_poll (node, 5, NULL, 0, NULL);
        transport_poll (asker, 5, NULL, 0, NULL);
    }
    return false;
}

/* Asks again and again, as a core does. What was sent for an earlier call does not count. */
static bool reaches (transport_t *asker, transport_t *node, peer_t *from)
{
    static char mark = 'a';
    peer_t to = peer_of_endpoint (transport_endpoint (node));
    mark++;
    for (int waited = 0; waited < PATIENCE_MS; waited += 100) {
        transport_send (asker, &to, &mark, 1);
        if (meet (node, asker, mark, 100, from))
            return true;
    }
    return false;
}

static void one_round (const char *listen)
{
    peer_t from, back;
    transport_t *node = start (listen, ring (&node_pair, OLD_NODE | READER));
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE));
    cr_assert (reaches (asker, node, &from));
    cr_assert_eq (from.role, ROLE_READER);
    cr_assert_eq (from.incoming, 1);
    transport_send (node, &from, "y", 1);
    cr_assert (meet (asker, node, 0, PATIENCE_MS, &back));
    cr_assert_eq (back.incoming, 0);
    cr_assert_eq (back.role, ROLE_NODE);
    transport_t *peer = start (NULL, ring (&node_pair, OLD_NODE));
    cr_assert (reaches (peer, node, &from));
    cr_assert_eq (from.role, ROLE_NODE);
    cr_assert_eq (transport_counts (node).succeeded, 2);
    cr_assert_eq (transport_counts (node).refused, 0);
    transport_destroy (&peer);
    transport_destroy (&asker);
    transport_destroy (&node);
}

Test (secured, an_accepted_key_gets_in_with_its_role_over_tcp)
{
    one_round ("tcp://127.0.0.1:*");
}

Test (secured, an_accepted_key_gets_in_with_its_role_over_ipc)
{
    one_round ("ipc://*");
}

Test (secured, without_keys_everybody_has_the_open_role)
{
    peer_t from;
    transport_t *node = start ("tcp://127.0.0.1:*", NULL);
    transport_t *asker = start (NULL, NULL);
    cr_assert (reaches (asker, node, &from));
    cr_assert_eq (from.role, ROLE_OPEN);
    transport_destroy (&asker);
    transport_destroy (&node);
}

static void expect_nobody (transport_t *node, transport_t *asker, const char *what)
{
    peer_t from, to = peer_of_endpoint (transport_endpoint (node));
    transport_send (asker, &to, "x", 1);
    cr_assert_not (meet (node, asker, 0, QUIET_MS, &from), "%s got in", what);
    transport_destroy (&asker);
}

Test (secured, strangers_stay_outside_and_are_counted)
{
    transport_t *node = start ("tcp://127.0.0.1:*", ring (&node_pair, OLD_NODE | READER));
    expect_nobody (node, start (NULL, ring (&stranger_pair, OLD_NODE)),
                   "a key that is not accepted");
    cr_assert_geq (transport_counts (node).refused, 1);
    cr_assert_eq (transport_counts (node).failed, 0);
    expect_nobody (node, start (NULL, NULL), "no key");
    /* which of the two hangs up first is chance */
    cr_assert_geq (transport_counts (node).failed + transport_counts (node).broken_off, 1);
    uint64_t failed = transport_counts (node).failed;
    expect_nobody (node, start (NULL, ring (&reader_pair, NEW_NODE)), "who takes it for another");
    cr_assert_gt (transport_counts (node).failed, failed);
    cr_assert_eq (transport_counts (node).succeeded, 0);
    transport_destroy (&node);
}

Test (secured, a_client_talks_to_nobody_it_does_not_trust)
{
    transport_t *impostor = start ("tcp://127.0.0.1:*", ring (&stranger_pair, OLD_NODE | READER));
    expect_nobody (impostor, start (NULL, ring (&reader_pair, OLD_NODE)), "to an impostor, it");
    transport_t *open = start ("tcp://127.0.0.1:*", NULL);
    expect_nobody (open, start (NULL, ring (&reader_pair, OLD_NODE)), "to an open node, it");
    expect_nobody (open, start (NULL, ring (&reader_pair, 0)), "trusting nobody, it");
    transport_destroy (&open);
    transport_destroy (&impostor);
}

Test (secured, a_key_that_is_removed_has_no_role_over_its_old_connection)
{
    peer_t from;
    transport_t *node = start ("tcp://127.0.0.1:*", ring (&node_pair, OLD_NODE | READER));
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE));
    cr_assert (reaches (asker, node, &from));
    cr_assert_eq (from.role, ROLE_READER);
    rekey (node, ring (&node_pair, OLD_NODE));
    cr_assert (reaches (asker, node, &from), "the connection itself stays");
    cr_assert_eq (from.role, ROLE_NONE);
    cr_assert_eq (transport_counts (node).succeeded, 1);
    transport_destroy (&asker);
    transport_destroy (&node);
}

Test (secured, a_key_that_is_accepted_late_gets_in_without_being_restarted)
{
    peer_t from, to;
    transport_t *node = start ("tcp://127.0.0.1:*", ring (&node_pair, OLD_NODE));
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE));
    to = peer_of_endpoint (transport_endpoint (node));
    transport_send (asker, &to, "x", 1);
    cr_assert_not (meet (node, asker, 0, QUIET_MS, &from));
    rekey (node, ring (&node_pair, OLD_NODE | READER));
    cr_assert (reaches (asker, node, &from));
    transport_destroy (&asker);
    transport_destroy (&node);
}

/* Both keys are known on both sides, then the node changes its own, then the old one is forgotten.
 */
static void rotate (const char *listen)
{
    peer_t from;
    char endpoint[PEER_SIZE_MAX + 1];
    transport_t *node = start (listen, ring (&node_pair, OLD_NODE | READER));
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE));
    cr_assert (reaches (asker, node, &from));
    snprintf (endpoint, sizeof endpoint, "%s", transport_endpoint (node));
    rekey (node, ring (&node_pair, OLD_NODE | NEW_NODE | READER));
    rekey (asker, ring (&reader_pair, OLD_NODE | NEW_NODE));
    cr_assert (reaches (asker, node, &from));
    cr_assert_eq (transport_counts (node).succeeded, 1, "nothing was made anew");
    rekey (node, ring (&other_node_pair, OLD_NODE | NEW_NODE | READER));
    cr_assert_str_eq (transport_endpoint (node), endpoint);
    cr_assert (reaches (asker, node, &from));
    cr_assert_eq (from.role, ROLE_READER);
    rekey (asker, ring (&reader_pair, NEW_NODE));
    rekey (node, ring (&other_node_pair, NEW_NODE | READER));
    cr_assert (reaches (asker, node, &from));
    cr_assert_eq (from.role, ROLE_READER);
    expect_nobody (node, start (NULL, ring (&reader_pair, OLD_NODE)), "who trusts the old key");
    transport_destroy (&asker);
    transport_destroy (&node);
}

Test (secured, a_node_changes_its_key_over_tcp)
{
    rotate ("tcp://127.0.0.1:*");
}

Test (secured, a_node_changes_its_key_over_ipc)
{
    char directory[] = "/tmp/weir-secured-XXXXXX", endpoint[64];
    cr_assert_not_null (mkdtemp (directory));
    snprintf (endpoint, sizeof endpoint, "ipc://%s/node", directory);
    rotate (endpoint);
    unlink (endpoint + strlen ("ipc://"));
    cr_assert_eq (rmdir (directory), 0);
}

Test (secured, a_connection_to_a_server_that_is_not_trusted_any_more_ends)
{
    peer_t from, to;
    transport_t *node = start ("tcp://127.0.0.1:*", ring (&node_pair, OLD_NODE | READER));
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE));
    cr_assert (reaches (asker, node, &from));
    rekey (asker, ring (&reader_pair, NEW_NODE));
    to = peer_of_endpoint (transport_endpoint (node));
    transport_send (asker, &to, "x", 1);
    cr_assert_not (meet (node, asker, 0, QUIET_MS, &from));
    transport_destroy (&asker);
    transport_destroy (&node);
}

/* ---- requests ---- */

typedef struct responder {
    transport_t *transport;
    atomic_bool stop;
    atomic_bool drop; /* changes to another key instead of answering, once */
} responder_t;

static void *respond (void *arg)
{
    responder_t *self = arg;
    wire_writer_t *writer = wire_writer_new ();
    while (!self->stop) {
        peer_t from;
        const void *data;
        size_t size;
        uint64_t id;
        message_kind_t kind;
        transport_poll (self->transport, 20, NULL, 0, NULL);
        while (transport_receive (self->transport, &from, &data, &size)) {
            if (!wire_peek (data, size, &kind, &id))
                continue;
            if (atomic_exchange (&self->drop, false)) {
                rekey (self->transport, ring (&other_node_pair, OLD_NODE | NEW_NODE | READER));
                continue;
            }
            wire_begin (writer, MESSAGE_DELETE_OK, id);
            wire_field_uint (writer, "version", 1);
            CHECK (wire_end (writer, &data, &size));
            transport_send (self->transport, &from, data, size);
        }
    }
    wire_writer_destroy (&writer);
    return NULL;
}

static status_t request (transport_t *asker, const char *endpoint, uint64_t id)
{
    wire_writer_t *writer = wire_writer_new ();
    const void *data, *reply;
    size_t size, reply_size;
    wire_begin (writer, MESSAGE_DELETE, id);
    wire_field_string (writer, "name", "x");
    cr_assert (wire_end (writer, &data, &size));
    status_t status =
        transport_request (asker, endpoint, data, size, PATIENCE_MS, &reply, &reply_size, &error);
    wire_writer_destroy (&writer);
    return status;
}

Test (secured, a_request_finds_the_server_among_those_it_trusts)
{
    responder_t responder = { .transport = start ("tcp://127.0.0.1:*",
                                                  ring (&other_node_pair, NEW_NODE | READER)) };
    const char *endpoint = transport_endpoint (responder.transport);
    pthread_t thread;
    cr_assert_eq (pthread_create (&thread, NULL, respond, &responder), 0);
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE | NEW_NODE));
    for (uint64_t id = 1; id < 10; id++)
        cr_assert_eq (request (asker, endpoint, id), STATUS_OK, "%s", error.text);
    transport_destroy (&asker);
    asker = start (NULL, ring (&reader_pair, OLD_NODE));
    cr_assert_eq (request (asker, endpoint, 1), STATUS_DENIED);
    cr_assert (strstr (error.text, "none of the 1 nodes' keys"), "%s", error.text);
    rekey (asker, ring (&reader_pair, OLD_NODE | NEW_NODE));
    cr_assert_eq (request (asker, endpoint, 2), STATUS_OK, "%s", error.text);
    transport_destroy (&asker);
    asker = start (NULL, ring (&stranger_pair, NEW_NODE));
    cr_assert_eq (request (asker, endpoint, 1), STATUS_DENIED);
    cr_assert (strstr (error.text, "does not accept this key"), "%s", error.text);
    transport_destroy (&asker);
    asker = start (NULL, ring (&reader_pair, 0));
    cr_assert_eq (request (asker, endpoint, 1), STATUS_DENIED);
    cr_assert (strstr (error.text, "no node is trusted"), "%s", error.text);
    transport_destroy (&asker);
    responder.stop = true;
    pthread_join (thread, NULL);
    transport_destroy (&responder.transport);
}

Test (secured, that_a_key_is_wanted_is_seen_of_who_wants_one_alone)
{
    transport_t *node = start ("tcp://127.0.0.1:*", ring (&node_pair, OLD_NODE | READER));
    cr_assert (endpoint_wants_key (transport_endpoint (node)));
    transport_destroy (&node);
    node = start ("tcp://127.0.0.1:*", NULL);
    cr_assert_not (endpoint_wants_key (transport_endpoint (node)));
    char endpoint[PEER_SIZE_MAX + 1];
    snprintf (endpoint, sizeof endpoint, "%s", transport_endpoint (node));
    transport_destroy (&node);
    cr_assert_not (endpoint_wants_key (endpoint), "nobody listens there");
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int mute = socket (AF_INET, SOCK_STREAM, 0);
    cr_assert_eq (bind (mute, (struct sockaddr *)&address, size), 0);
    cr_assert_eq (listen (mute, 8), 0);
    cr_assert_eq (getsockname (mute, (struct sockaddr *)&address, &size), 0);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", ntohs (address.sin_port));
    cr_assert_not (endpoint_wants_key (endpoint), "who is there says nothing");
    close (mute);
    cr_assert_not (endpoint_wants_key ("inproc://x"));
    cr_assert_not (endpoint_wants_key ("ipc:///nowhere/at/all"));
}

static void refused_without_a_key (const char *listen)
{
    responder_t responder = { .transport = start (listen, ring (&node_pair, OLD_NODE | READER)) };
    char endpoint[PEER_SIZE_MAX + 1];
    pthread_t thread;
    snprintf (endpoint, sizeof endpoint, "%s", transport_endpoint (responder.transport));
    cr_assert_eq (pthread_create (&thread, NULL, respond, &responder), 0);
    transport_t *asker = start (NULL, NULL);
    for (uint64_t id = 1; id < 4; id++) {
        cr_assert_eq (request (asker, endpoint, id), STATUS_DENIED, "%s", error.text);
        cr_assert (strstr (error.text, "wants a key"), "%s", error.text);
        cr_assert (strstr (error.text, "security: {keys: DIR}"), "%s", error.text);
    }
    transport_destroy (&asker);
    responder.stop = true;
    pthread_join (thread, NULL);
    transport_destroy (&responder.transport);
}

Test (secured, who_asks_without_a_key_is_told_that_one_is_wanted_over_tcp)
{
    refused_without_a_key ("tcp://127.0.0.1:*");
}

Test (secured, who_asks_without_a_key_is_told_that_one_is_wanted_over_ipc)
{
    refused_without_a_key ("ipc://*");
}

Test (secured, a_request_over_a_connection_that_is_lost_is_told_at_once)
{
    responder_t responder = {
        .transport = start ("tcp://127.0.0.1:*", ring (&node_pair, OLD_NODE | NEW_NODE | READER))
    };
    char endpoint[PEER_SIZE_MAX + 1];
    pthread_t thread;
    snprintf (endpoint, sizeof endpoint, "%s", transport_endpoint (responder.transport));
    transport_t *asker = start (NULL, ring (&reader_pair, OLD_NODE | NEW_NODE));
    responder.drop = true;
    cr_assert_eq (pthread_create (&thread, NULL, respond, &responder), 0);
    cr_assert_eq (request (asker, endpoint, 1), STATUS_TIMEOUT);
    cr_assert (strstr (error.text, "was lost before it answered"), "%s", error.text);
    cr_assert_eq (request (asker, endpoint, 2), STATUS_OK, "%s", error.text);
    transport_destroy (&asker);
    responder.stop = true;
    pthread_join (thread, NULL);
    transport_destroy (&responder.transport);
}
