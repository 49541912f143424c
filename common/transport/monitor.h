/* monitor.h - what becomes of a socket's connections, as libzmq tells. */
#ifndef WEIR_TRANSPORT_MONITOR_H
#define WEIR_TRANSPORT_MONITOR_H

typedef enum monitor_event {
    MONITOR_NOTHING,
    MONITOR_ACCEPTED,     /* a connection came in; nothing is known of who it is */
    MONITOR_SUCCEEDED,    /* a handshake */
    MONITOR_REFUSED,      /* a handshake: the client's key is not accepted */
    MONITOR_FAILED,       /* a handshake: another mechanism, bad cryptography, not the protocol */
    MONITOR_BROKEN_OFF,   /* a handshake: the other side hung up, as a server does with whoever has
                             another key of it in mind */
    MONITOR_DISCONNECTED, /* after either */
    MONITOR_CLOSED,       /* it does not listen any more */
} monitor_event_t;

/* Watches `socket` from now on. NULL when there are no descriptors left. Its queue has no limit,
 * for a full one would stop libzmq's own thread: it is to be read whenever its owner is awake. */
void *monitor_open (void *context, void *socket);
/* Before `socket` is closed. */
void monitor_close (void *socket, void *monitor);

/* What happened next; NOTHING when nothing has. Does not wait. */
monitor_event_t monitor_next (void *monitor);

#endif
