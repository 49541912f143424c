#include "transport/transport.h"

#include "base/mem.h"
#include "wire/wire.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum { PATIENCE_MS = 10000 };

static error_t error;
static char directory[] = "/tmp/weir-transport-XXXXXX";
static char local[128]; /* an ipc endpoint in a directory of our own */

static void set_up (void)
{
    cr_assert_not_null (mkdtemp (directory));
    snprintf (local, sizeof local, "ipc://%s/node", directory);
}

static void tear_down (void)
{
    unlink (local + strlen ("ipc://"));
    cr_assert_eq (rmdir (directory), 0);
}

TestSuite (transport, .init = set_up, .fini = tear_down, .timeout = 60);

static transport_t *start (const char *listen)
{
    transport_t *transport;
    cr_assert_eq (transport_new (listen, &transport, &error), STATUS_OK, "%s", error.text);
    return transport;
}

/* Waits for a message; its bytes as a string that the caller frees. */
static char *expect (transport_t *transport, peer_t *from)
{
    const void *data;
    size_t size;
    for (int waited = 0; waited < PATIENCE_MS; waited += 100) {
        if (transport_receive (transport, from, &data, &size))
            return mem_string_n (data, size);
        transport_poll (transport, 100, NULL, 0, NULL);
    }
    cr_assert_fail ("no message came");
    return NULL;
}

static void expect_text (transport_t *transport, peer_t *from, const char *text)
{
    char *got = expect (transport, from);
    cr_assert_str_eq (got, text);
    mem_free (got);
}

static void ask_and_answer (const char *listen)
{
    transport_t *node = start (listen);
    transport_t *asker = start (NULL);
    peer_t to = peer_of_endpoint (transport_endpoint (node));
    peer_t from;
    transport_send (asker, &to, "question", 8);
    expect_text (node, &from, "question");
    cr_assert_eq (from.incoming, 1);
    transport_send (node, &from, "answer", 6);
    transport_send (node, &from, "and more", 8);
    peer_t back;
    expect_text (asker, &back, "answer");
    cr_assert (peer_equal (&back, &to));
    expect_text (asker, &back, "and more");
    transport_destroy (&asker);
    transport_send (node, &from, "nobody is there any more", 24);
    transport_destroy (&node);
    cr_assert_null (node);
}

Test (transport, a_question_is_answered_over_tcp)
{
    ask_and_answer ("tcp://127.0.0.1:*");
}

Test (transport, a_question_is_answered_over_ipc)
{
    ask_and_answer (local);
}

Test (transport, localhost_is_an_address_to_listen_at)
{
    ask_and_answer ("tcp://localhost:*");
}

/* What libzmq would start with by itself is the same in every process, and who guesses the name of
 * the next connection and takes it for his own ends the process. */
Test (transport, the_names_of_connections_cannot_be_foreseen)
{
    peer_t from[2];
    for (size_t i = 0; i < 2; i++) {
        srand (1);
        transport_t *node = start ("tcp://127.0.0.1:*");
        transport_t *asker = start (NULL);
        peer_t to = peer_of_endpoint (transport_endpoint (node));
        transport_send (asker, &to, "hello", 5);
        expect_text (node, &from[i], "hello");
        transport_destroy (&asker);
        transport_destroy (&node);
    }
    cr_assert_eq (from[0].size, 6);
    cr_assert_not (peer_equal (&from[0], &from[1]));
}

static void *connected (void *context, int type, const char *endpoint)
{
    void *socket = zmq_socket (context, type);
    int linger = 0;
    int patience = PATIENCE_MS;
    zmq_setsockopt (socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt (socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    cr_assert_eq (zmq_connect (socket, endpoint), 0);
    return socket;
}

Test (transport, a_req_socket_gets_its_answer)
{
    transport_t *node = start ("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new ();
    void *req = connected (context, ZMQ_REQ, transport_endpoint (node));
    for (int round = 0; round < 3; round++) {
        char got[16] = "";
        peer_t from;
        cr_assert_eq (zmq_send (req, "ping", 4, 0), 4);
        expect_text (node, &from, "ping");
        transport_send (node, &from, "pong", 4);
        cr_assert_eq (zmq_recv (req, got, sizeof got, 0), 4);
        cr_assert_str_eq (got, "pong");
    }
    zmq_close (req);
    zmq_ctx_term (context);
    transport_destroy (&node);
}

Test (transport, an_envelope_comes_back_whole_and_a_long_one_is_dropped)
{
    transport_t *node = start ("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new ();
    void *dealer = connected (context, ZMQ_DEALER, transport_endpoint (node));
    char frame[256] = { 0 };
    zmq_send (dealer, frame, 250, ZMQ_SNDMORE);
    zmq_send (dealer, "too far", 7, 0);
    zmq_send (dealer, "hop", 3, ZMQ_SNDMORE);
    zmq_send (dealer, "", 0, ZMQ_SNDMORE);
    zmq_send (dealer, "near", 4, 0);
    peer_t from;
    expect_text (node, &from, "near");
    cr_assert_eq (transport_dropped (node), 1);
    transport_send (node, &from, "back", 4);
    cr_assert_eq (zmq_recv (dealer, frame, sizeof frame, 0), 3);
    cr_assert_eq (memcmp (frame, "hop", 3), 0);
    cr_assert_eq (zmq_recv (dealer, frame, sizeof frame, 0), 0);
    cr_assert_eq (zmq_recv (dealer, frame, sizeof frame, 0), 4);
    cr_assert_eq (memcmp (frame, "back", 4), 0);
    zmq_close (dealer);
    zmq_ctx_term (context);
    transport_destroy (&node);
}

/* So that who makes up hops is not taken for many. */
Test (transport, a_connection_is_one_asker_whatever_its_envelopes_say)
{
    transport_t *node = start ("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new ();
    void *dealer = connected (context, ZMQ_DEALER, transport_endpoint (node));
    void *other = connected (context, ZMQ_DEALER, transport_endpoint (node));
    peer_t bare, hop, stranger;
    cr_assert_eq (zmq_send (dealer, "bare", 4, 0), 4);
    expect_text (node, &bare, "bare");
    cr_assert_eq (zmq_send (dealer, "hop", 3, ZMQ_SNDMORE), 3);
    cr_assert_eq (zmq_send (dealer, "far", 3, 0), 3);
    expect_text (node, &hop, "far");
    cr_assert_eq (zmq_send (other, "other", 5, 0), 5);
    expect_text (node, &stranger, "other");
    cr_assert_not (peer_equal (&bare, &hop));
    cr_assert (peer_same_connection (&bare, &hop));
    cr_assert_not (peer_same_connection (&bare, &stranger));
    zmq_close (dealer);
    zmq_close (other);
    zmq_ctx_term (context);
    transport_destroy (&node);
}

Test (transport, who_sends_what_is_no_message_does_not_keep_a_node_from_all_else)
{
    enum { SENDERS = 32, MANY = 200, AT_ONCE = 64 };
    transport_t *node = start ("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new ();
    void *senders[SENDERS];
    char frame[250] = { 0 };
    peer_t from;
    const void *data;
    size_t size;
    unsigned came = 0;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = connected (context, ZMQ_DEALER, transport_endpoint (node));
        for (int j = 0; j < MANY; j++) {
            cr_assert_eq (zmq_send (senders[i], frame, sizeof frame, ZMQ_SNDMORE), sizeof frame);
            cr_assert_eq (zmq_send (senders[i], "too far", 7, 0), 7);
        }
        cr_assert_eq (zmq_send (senders[i], "near", 4, 0), 4);
    }
    for (uint64_t before = 0; came < SENDERS; before = transport_dropped (node)) {
        transport_poll (node, PATIENCE_MS, NULL, 0, NULL);
        came += transport_receive (node, &from, &data, &size);
        cr_assert_leq (transport_dropped (node) - before, AT_ONCE);
    }
    cr_assert_eq (transport_dropped (node), SENDERS * MANY);
    for (int i = 0; i < SENDERS; i++)
        zmq_close (senders[i]);
    zmq_ctx_term (context);
    transport_destroy (&node);
}

Test (transport, a_message_over_the_limit_is_refused_and_the_node_goes_on)
{
    transport_t *node = start ("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new ();
    void *large = connected (context, ZMQ_DEALER, transport_endpoint (node));
    void *small = connected (context, ZMQ_DEALER, transport_endpoint (node));
    char *bytes = mem_zero (1, WIRE_MESSAGE_MAX + 1);
    zmq_send (large, bytes, WIRE_MESSAGE_MAX + 1, 0);
    zmq_send (small, bytes, WIRE_MESSAGE_MAX, 0);
    peer_t from;
    const void *data;
    size_t size = 0;
    for (int waited = 0; waited < PATIENCE_MS && size == 0; waited += 100) {
        transport_poll (node, 100, NULL, 0, NULL);
        if (transport_receive (node, &from, &data, &size))
            cr_assert_eq (size, WIRE_MESSAGE_MAX);
    }
    cr_assert_eq (size, WIRE_MESSAGE_MAX);
    zmq_send (small, "still here", 10, 0);
    expect_text (node, &from, "still here");
    mem_free (bytes);
    zmq_close (large);
    zmq_close (small);
    zmq_ctx_term (context);
    transport_destroy (&node);
}

static void expect_in_use (const char *listen)
{
    transport_t *node = start (listen);
    transport_t *second;
    cr_assert_eq (transport_new (transport_endpoint (node), &second, &error), STATUS_EXISTS);
    cr_assert_null (second);
    cr_assert (strstr (error.text, "listens there already"), "%s", error.text);
    /* and the first one still has it */
    transport_t *asker = start (NULL);
    peer_t to = peer_of_endpoint (transport_endpoint (node));
    peer_t from;
    transport_send (asker, &to, "hello", 5);
    expect_text (node, &from, "hello");
    transport_destroy (&asker);
    transport_destroy (&node);
}

/* ZeroMQ's heartbeats, had we turned them on, would come twice within it: libzmq 4.3.4 sends the
 * second to a connection that it knows to be broken, and aborts. */
enum { LONGER_THAN_HEARTBEATS_MS = 4500 };

Test (transport, a_peer_that_goes_while_its_queue_is_full_ends_nobody)
{
    transport_t *node = start ("tcp://127.0.0.1:*");
    void *context = zmq_ctx_new ();
    void *peer = zmq_socket (context, ZMQ_DEALER);
    static const char message[1000];
    cr_assert_eq (zmq_connect (peer, transport_endpoint (node)), 0);
    for (int i = 0; i < 4 * TRANSPORT_RECEIVE_QUEUE; i++)
        cr_assert_eq (zmq_send (peer, message, sizeof message, 0), sizeof message);
    peer_t from;
    mem_free (expect (node, &from));
    zmq_close (peer);
    zmq_ctx_term (context);
    poll (NULL, 0, LONGER_THAN_HEARTBEATS_MS);
    transport_send (node, &from, "nobody is there any more", 24);
    int received = 0;
    const void *data;
    size_t size;
    while (transport_receive (node, &from, &data, &size))
        received++;
    cr_assert_geq (received, TRANSPORT_RECEIVE_QUEUE - 1);
    transport_destroy (&node);
}

Test (transport, a_port_in_use_is_told_and_not_taken)
{
    expect_in_use ("tcp://127.0.0.1:*");
}

Test (transport, a_local_socket_in_use_is_told_and_not_taken)
{
    expect_in_use (local);
}

Test (transport, a_place_that_cannot_be_listened_at_is_told)
{
    static const char *const places[] = { "",
                                          "udp://1",
                                          "inproc://x",
                                          "tcp://127.0.0.1",
                                          "tcp://no.such.interface:1",
                                          "ipc:///no/such/directory/x",
                                          "tcp://203.0.113.7:7600" };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        transport_t *transport;
        status_t status = transport_new (places[i], &transport, &error);
        cr_assert (status == STATUS_INVALID || status == STATUS_IO, "%s: %s", places[i],
                   error.text);
        cr_assert_null (transport);
    }
}

Test (transport, what_has_nowhere_to_go_is_dropped_and_counted)
{
    transport_t *asker = start (NULL);
    peer_t nowhere = peer_of_endpoint ("nowhere");
    transport_send (asker, &nowhere, "x", 1);
    cr_assert_eq (transport_dropped (asker), 1);
    peer_t silent = peer_of_endpoint (local);
    for (int i = 0; i < TRANSPORT_SEND_QUEUE + 5; i++)
        transport_send (asker, &silent, "x", 1);
    cr_assert_eq (transport_dropped (asker), 6);
    transport_destroy (&asker);
}

Test (transport, more_endpoints_than_lines_are_served)
{
    transport_t *node = start (local);
    transport_t *asker = start (NULL);
    peer_t to = peer_of_endpoint (local);
    for (int i = 0; i < 2 * TRANSPORT_ENDPOINTS_MAX; i++) {
        char endpoint[160];
        snprintf (endpoint, sizeof endpoint, "%s-%d", local, i);
        peer_t other = peer_of_endpoint (endpoint);
        transport_send (asker, &other, "x", 1);
    }
    peer_t from;
    transport_send (asker, &to, "hello", 5);
    expect_text (node, &from, "hello");
    transport_destroy (&asker);
    transport_destroy (&node);
}

Test (transport, a_poll_sees_the_descriptors_of_others)
{
    transport_t *node = start (local);
    int fds[2] = { eventfd (0, EFD_CLOEXEC), eventfd (1, EFD_CLOEXEC) };
    bool ready[2] = { true, false };
    transport_poll (node, -1, fds, 2, ready);
    cr_assert_not (ready[0]);
    cr_assert (ready[1]);
    close (fds[0]);
    close (fds[1]);
    transport_destroy (&node);
}

/* ---- requests ---- */

typedef struct responder {
    transport_t *transport;
    unsigned ignore; /* requests to answer only after the next one was answered */
} responder_t;

static void put_pong (wire_writer_t *writer, uint64_t id, const void **data, size_t *size)
{
    wire_begin (writer, MESSAGE_DELETE_OK, id);
    wire_field_uint (writer, "version", id);
    cr_assert (wire_end (writer, data, size));
}

/* Answers requests until one with id 0 comes. Those to be ignored are answered late, before the
 * answer to the next. */
static void *respond (void *arg)
{
    responder_t *self = arg;
    wire_writer_t *writer = wire_writer_new ();
    uint64_t late = 0;
    uint64_t id = 1;
    while (id != 0) {
        peer_t from;
        message_kind_t kind;
        const void *data;
        size_t size;
        char *got = expect (self->transport, &from);
        cr_assert (wire_peek (got, 64, &kind, &id));
        mem_free (got);
        if (self->ignore > 0) {
            self->ignore--;
            late = id;
            continue;
        }
        if (late > 0) {
            put_pong (writer, late, &data, &size);
            transport_send (self->transport, &from, data, size);
            late = 0;
        }
        put_pong (writer, id, &data, &size);
        transport_send (self->transport, &from, data, size);
    }
    wire_writer_destroy (&writer);
    return NULL;
}

static status_t ask (transport_t *asker, const char *endpoint, uint64_t id, int timeout_ms)
{
    wire_writer_t *writer = wire_writer_new ();
    const void *data, *reply;
    size_t size, reply_size;
    wire_begin (writer, MESSAGE_DELETE, id);
    wire_field_string (writer, "name",
                       "a name that makes the message longer than 64 bytes, so that");
    cr_assert (wire_end (writer, &data, &size));
    status_t status =
        transport_request (asker, endpoint, data, size, timeout_ms, &reply, &reply_size, &error);
    if (status == STATUS_OK) {
        message_kind_t kind;
        uint64_t got;
        cr_assert (wire_peek (reply, reply_size, &kind, &got));
        cr_assert_eq (kind, MESSAGE_DELETE_OK);
        cr_assert_eq (got, id);
    }
    wire_writer_destroy (&writer);
    return status;
}

Test (transport, a_request_gets_the_reply_of_its_id)
{
    responder_t responder = { .transport = start (local), .ignore = 1 };
    transport_t *asker = start (NULL);
    pthread_t thread;
    cr_assert_eq (pthread_create (&thread, NULL, respond, &responder), 0);
    cr_assert_eq (ask (asker, local, 7, 50), STATUS_TIMEOUT);
    cr_assert (strstr (error.text, "did not answer within 50 ms"), "%s", error.text);
    for (uint64_t id = 8; id < 30; id++)
        cr_assert_eq (ask (asker, local, id, PATIENCE_MS), STATUS_OK, "%s", error.text);
    cr_assert_eq (ask (asker, local, 0, PATIENCE_MS), STATUS_OK);
    pthread_join (thread, NULL);
    transport_destroy (&asker);
    transport_destroy (&responder.transport);
}

Test (transport, a_request_to_nobody_fails_at_once)
{
    transport_t *asker = start (NULL);
    cr_assert_eq (ask (asker, local, 1, PATIENCE_MS * 100), STATUS_UNAVAILABLE);
    cr_assert (strstr (error.text, "is the node running?"), "%s", error.text);
    transport_t *node = start ("tcp://127.0.0.1:*");
    char endpoint[64];
    snprintf (endpoint, sizeof endpoint, "%s", transport_endpoint (node));
    transport_destroy (&node);
    cr_assert_eq (ask (asker, endpoint, 1, PATIENCE_MS * 100), STATUS_UNAVAILABLE);
    cr_assert_eq (ask (asker, "nowhere", 1, 10), STATUS_INVALID);
    cr_assert_eq (ask (asker, "", 1, 10), STATUS_INVALID);
    transport_destroy (&asker);
}

/* A process that was stopped, or a host that vanished, just when it was connected to: the
 * connection is there and never becomes one of ZeroMQ's. */
Test (transport, a_connection_on_which_nobody_speaks_is_made_again)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf (address.sun_path, sizeof address.sun_path, "%s/node", directory);
    int listener = socket (AF_UNIX, SOCK_STREAM, 0);
    cr_assert (listener >= 0);
    cr_assert_eq (bind (listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq (listen (listener, 8), 0);
    transport_t *asker = start (NULL);
    peer_t to = peer_of_endpoint (local);
    transport_send (asker, &to, "question", 8);
    int first = accept (listener, NULL, NULL);
    cr_assert (first >= 0);
    struct pollfd again = { .fd = listener, .events = POLLIN };
    cr_assert_eq (poll (&again, 1, PATIENCE_MS), 1, "it waits for who says nothing");
    close (first);
    close (listener);
    transport_destroy (&asker);
}
