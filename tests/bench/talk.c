#include "tests/bench/talk.h"

#include "tests/bench/measure.h"

#include <errno.h>

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
