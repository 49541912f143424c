#include "transport/monitor.h"

#include "base/check.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum {
    FAILED = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
             ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
    WATCHED = FAILED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
              ZMQ_EVENT_CLOSED,
};

void *monitor_open (void *context, void *socket)
{
    char name[64];
    int none = 0;
    snprintf (name, sizeof name, "inproc://monitor-%p", socket);
    void *monitor = zmq_socket (context, ZMQ_PAIR);
    if (!monitor)
        return NULL;
    CHECK (zmq_setsockopt (monitor, ZMQ_LINGER, &none, sizeof none) == 0);
    CHECK (zmq_setsockopt (monitor, ZMQ_RCVHWM, &none, sizeof none) == 0); /* no limit */
    if (zmq_socket_monitor (socket, name, WATCHED) == 0 && zmq_connect (monitor, name) == 0) {
        /* Its descriptor tells of what comes after it was found empty, and nothing has come yet. */
        CHECK (monitor_next (monitor) == MONITOR_NOTHING);
        return monitor;
    }
    monitor_close (socket, monitor);
    return NULL;
}

void monitor_close (void *socket, void *monitor)
{
    if (!monitor)
        return;
    (void)zmq_socket_monitor (socket, NULL, 0);
    zmq_close (monitor);
}

static monitor_event_t event_of (uint16_t number)
{
    switch (number) {
    case ZMQ_EVENT_ACCEPTED:
        return MONITOR_ACCEPTED;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return MONITOR_SUCCEEDED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return MONITOR_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return MONITOR_FAILED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return MONITOR_BROKEN_OFF;
    case ZMQ_EVENT_DISCONNECTED:
        return MONITOR_DISCONNECTED;
    case ZMQ_EVENT_CLOSED:
        return MONITOR_CLOSED;
    default:
        return MONITOR_NOTHING;
    }
}

monitor_event_t monitor_next (void *monitor)
{
    zmq_msg_t part;
    monitor_event_t event = MONITOR_NOTHING;
    CHECK (zmq_msg_init (&part) == 0);
    /* two frames: number and value, then the endpoint; "stopped monitoring" is none of ours */
    while (event == MONITOR_NOTHING && zmq_msg_recv (&part, monitor, ZMQ_DONTWAIT) >= 0) {
        uint16_t number = 0;
        if (zmq_msg_size (&part) >= sizeof number)
            memcpy (&number, zmq_msg_data (&part), sizeof number);
        event = event_of (number);
        while (zmq_msg_more (&part) && zmq_msg_recv (&part, monitor, ZMQ_DONTWAIT) >= 0) {
            /* the endpoint */
        }
    }
    zmq_msg_close (&part);
    return event;
}
