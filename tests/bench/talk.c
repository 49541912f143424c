#include "tests/bench/talk.h"

#include "tests/bench/measure.h"
#include "transport/keys.h"

#include <errno.h>
#include <stdlib.h>

enum { QUEUE = 4096 };

static void *open_socket (int type)
{
    static void *context;
    if (context == NULL)
        context = zmq_ctx_new ();
    void *socket = context != NULL ? zmq_socket (context, type) : NULL;
    if (socket == NULL)
        measure_fail ("no socket: %s", zmq_strerror (zmq_errno ()));
    int none = 0;
    int queue = QUEUE;
    int patience = TALK_PATIENCE_MS;
    (void)zmq_setsockopt (socket, ZMQ_LINGER, &none, sizeof none);
    (void)zmq_setsockopt (socket, ZMQ_SNDHWM, &queue, sizeof queue);
    (void)zmq_setsockopt (socket, ZMQ_RCVHWM, &queue, sizeof queue);
    (void)zmq_setsockopt (socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    return socket;
}

void *talk_bind (int type, const char *endpoint)
{
    void *socket = open_socket (type);
    if (zmq_bind (socket, endpoint) != 0)
        measure_fail ("cannot listen at %s: %s", endpoint, zmq_strerror (zmq_errno ()));
    return socket;
}

void *talk_connect (int type, const char *endpoint)
{
    void *socket = open_socket (type);
    if (zmq_connect (socket, endpoint) != 0)
        measure_fail ("cannot connect to %s: %s", endpoint, zmq_strerror (zmq_errno ()));
    return socket;
}

static void use_keys (void *socket, const char *key_file, const char *server_file)
{
    key_pair_t own;
    char server[KEY_TEXT_SIZE + 1];
    error_t error;
    if (key_read_pair (key_file, &own, &error) != STATUS_OK ||
        key_read_public (server_file, server, &error) != STATUS_OK)
        measure_fail ("%s", error.text);
    if (zmq_setsockopt (socket, ZMQ_CURVE_SERVERKEY, server, sizeof server) != 0 ||
        zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, own.public, sizeof own.public) != 0 ||
        zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, own.secret, sizeof own.secret) != 0)
        measure_fail ("the keys do not fit: %s", zmq_strerror (zmq_errno ()));
}

void *talk_connect_node (int type, const char *endpoint)
{
    const char *key_file = getenv ("WEIR_BENCH_KEY"), *server_file = getenv ("WEIR_BENCH_SERVER");
    void *socket = open_socket (type);
    if (key_file && server_file)
        use_keys (socket, key_file, server_file);
    if (zmq_connect (socket, endpoint) != 0)
        measure_fail ("cannot connect to %s: %s", endpoint, zmq_strerror (zmq_errno ()));
    return socket;
}

void talk_send (void *socket, const void *data, size_t size, int flags)
{
    while (zmq_send (socket, data, size, flags) < 0)
        if (zmq_errno () != EINTR)
            measure_fail ("not sent: %s", zmq_strerror (zmq_errno ()));
}

static bool receive (void *socket, zmq_msg_t *message, int flags)
{
    do {
        while (zmq_msg_recv (message, socket, flags) < 0) {
            if (zmq_errno () == EAGAIN)
                return false;
            if (zmq_errno () != EINTR)
                measure_fail ("nothing received: %s", zmq_strerror (zmq_errno ()));
        }
    } while (zmq_msg_more (message));
    return true;
}

void talk_receive (void *socket, zmq_msg_t *message)
{
    if (!receive (socket, message, 0))
        measure_fail ("no answer within %d ms", TALK_PATIENCE_MS);
}

bool talk_receive_now (void *socket, zmq_msg_t *message)
{
    return receive (socket, message, ZMQ_DONTWAIT);
}
