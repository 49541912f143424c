/* transport_state.h - a transport from inside, for the files that it is made of. */
#ifndef WEIR_TRANSPORT_STATE_H
#define WEIR_TRANSPORT_STATE_H

#include "transport/traffic.h"
#include "transport/transport.h"

#include <poll.h>
#include <zmq.h>

enum {
    TRANSPORT_MAGIC = 0x54524e53,
    SOCKETS_MAX = TRANSPORT_ENDPOINTS_MAX + 1,
};

/* The first is the ROUTER, with a NULL socket when the node does not listen. */
typedef struct line {
    void *socket;
    peer_t endpoint;
    uint64_t used; /* a count of sends: the least is longest ago */
    int fd;        /* can be read when ZeroMQ has news for the socket since it was last used */
    bool ready;
    bool drained;  /* it had no message, and has not been used since: the fd will tell */
    bool answered; /* a request of ours was, here */
    /* with keys only: */
    void *monitor;
    int monitor_fd;
    char server[KEY_TEXT_SIZE + 1]; /* whom it takes the other side for */
    bool proven;                    /* there is a connection, and it is */
    bool failed;                    /* the handshake: to be opened anew, with the next server */
    bool denied;                    /* the last one because our key is not accepted there */
    bool lost;                      /* a proven connection, or what was queued for one, since
                                       somebody reset this */
    uint32_t failures;              /* one after the other */
    int64_t again_ms;               /* not before */
} line_t;

struct transport {
    uint32_t magic;
    void *context;
    line_t lines[SOCKETS_MAX];
    size_t count;
    size_t next; /* the line that is looked at first */
    uint64_t sends;
    uint64_t opened; /* lines, as far as they have other descriptors now */
    transport_counts_t counts;
    zmq_msg_t part;     /* the last frame of the message received last */
    keyring_t *keyring; /* NULL: no security */
    void *guard;
    int guard_fd;
    char trusted[KEY_TEXT_SIZE + 1]; /* the server that was met last: the first guess for others */
    bool bound;
    traffic_t *traffic; /* NULL where nobody connects over TCP */
    char endpoint[PEER_SIZE_MAX + 1];
};

/* ---- transport.c ---- */

/* A socket with all options set. With keys, `server` is whom a DEALER takes the other side for.
 * NULL when there are no descriptors left. */
void *line_socket (transport_t *self, int type, const char *endpoint, const char *server);
int line_fd (void *socket);

/* The line to an endpoint, connected when it is not there; NULL when it is no endpoint. */
line_t *line_to (transport_t *self, const peer_t *endpoint);
/* Takes a line out and closes its socket. */
void line_drop (transport_t *self, size_t at);

typedef enum taken { TAKEN_NOTHING, TAKEN_MESSAGE, TAKEN_JUNK } taken_t;
/* Reads the frames of one message up to the last, which stays in self->part. */
taken_t line_take (transport_t *self, const line_t *line, bool is_incoming, peer_t *from);

/* ---- connections.c: who is at the other end ---- */

/* Connects a line whose endpoint is set, as text in `name`. With keys: taking it for the server in
 * line->server, or for the one that was met last. */
MUST_CHECK bool line_open (transport_t *self, line_t *line, const char *name);
void line_close (line_t *line); /* its sockets; idempotent */

/* With keys: takes note of what has become of the line's connection. */
void line_look (transport_t *self, line_t *line);
/* With keys: opens a line whose handshake failed anew, with the next server, when it is time. What
 * was queued for it is lost. True when it did. */
bool line_retry (transport_t *self, line_t *line);

/* With keys: opens the guard and the monitor of the ROUTER, before it listens. */
MUST_CHECK bool guard_listener (transport_t *self);

/* With keys: fills what else a poll has to watch and says how many; does what came of it. */
size_t connections_watch (const transport_t *self, struct pollfd *items);
void connections_look (transport_t *self, const struct pollfd *items);

int64_t connections_now_ms (void); /* CLOCK_BOOTTIME */

#endif
