#include "transport/transport_state.h"

#include "base/check.h"
#include "base/mem.h"
#include "transport/guard.h"
#include "transport/monitor.h"
#include "transport/probe.h"
#include "wire/wire.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    RECONNECT_MS = 20, /* first; doubled up to the next */
    RECONNECT_MAX_MS = 500,
    /* A host that vanished, or a link that is cut, is noticed by TCP. ZeroMQ's own heartbeats would
     * do it too, but libzmq 4.3.4 aborts when one is due on a connection that broke while its queue
     * was full. */
    CONNECT_MS = 2000,    /* else the kernel waits longer and longer between its tries */
    UNANSWERED_MS = 6000, /* bytes without an acknowledgement: the connection is given up */
    IDLE_S = 2,           /* without bytes: from then on the peer's kernel is asked */
    PROBE_S = 1,          /* how often */
    PROBES = 4,           /* without an answer */
    HANDSHAKE_MS = 3000,  /* of who was stopped just then; ZeroMQ waits for 30 s */
    JUNK_MAX = 64,        /* messages passed over in one transport_receive, of each peer's socket */
};

/* ---- sockets ---- */

static void set (void *socket, int option, int value)
{
    CHECK (zmq_setsockopt (socket, option, &value, sizeof value) == 0);
}

/* With keys, `server` is whom a DEALER takes the other side for. */
void *line_socket (transport_t *self, int type, const char *endpoint, const char *server)
{
    void *socket = zmq_socket (self->context, type);
    if (!socket)
        return NULL; /* out of file descriptors */
    int64_t size_max = WIRE_MESSAGE_MAX;
    CHECK (zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0);
    set (socket, ZMQ_LINGER, 0);
    set (socket, ZMQ_SNDHWM, TRANSPORT_SEND_QUEUE);
    set (socket, ZMQ_RCVHWM, TRANSPORT_RECEIVE_QUEUE);
    set (socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set (socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    set (socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
    set (socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set (socket, ZMQ_TCP_MAXRT, UNANSWERED_MS);
    set (socket, ZMQ_TCP_KEEPALIVE, 1);
    set (socket, ZMQ_TCP_KEEPALIVE_IDLE, IDLE_S);
    set (socket, ZMQ_TCP_KEEPALIVE_INTVL, PROBE_S);
    set (socket, ZMQ_TCP_KEEPALIVE_CNT, PROBES);
    if (type == ZMQ_ROUTER)
        set (socket, ZMQ_ROUTER_MANDATORY, 1); /* what has nobody to go to is told, and counted */
    set (socket, ZMQ_IPV6, strchr (endpoint, '[') != NULL);
    if (self->keyring && type == ZMQ_ROUTER)
        guard_server (socket, self->keyring);
    else if (self->keyring)
        guard_client (socket, self->keyring, server);
    return socket;
}

int line_fd (void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    CHECK (zmq_getsockopt (socket, ZMQ_FD, &fd, &size) == 0);
    return fd;
}

void line_drop (transport_t *self, size_t at)
{
    CHECK (at > 0);
    line_close (&self->lines[at]);
    self->lines[at] = self->lines[--self->count];
}

static void make_room (transport_t *self)
{
    size_t oldest = 1;
    if (self->count < SOCKETS_MAX)
        return;
    for (size_t i = 2; i < self->count; i++) {
        if (self->lines[i].used < self->lines[oldest].used)
            oldest = i;
    }
    line_drop (self, oldest);
}

line_t *line_to (transport_t *self, const peer_t *endpoint)
{
    char name[PEER_SIZE_MAX + 1];
    for (size_t i = 1; i < self->count; i++) {
        if (peer_equal (&self->lines[i].endpoint, endpoint)) {
            line_retry (self, &self->lines[i]);
            return &self->lines[i];
        }
    }
    memcpy (name, endpoint->bytes, endpoint->size);
    name[endpoint->size] = '\0';
    if (strncmp (name, "tcp://", 6) != 0 && strncmp (name, "ipc://", 6) != 0)
        return NULL;
    make_room (self);
    line_t *line = &self->lines[self->count];
    *line = (line_t){ .endpoint = *endpoint, .monitor_fd = -1 };
    if (!line_open (self, line, name))
        return NULL;
    self->count++;
    return line;
}

/* ---- listening ---- */

static status_t bind_failed (const char *listen, int code, error_t *error)
{
    switch (code) {
    case EADDRINUSE:
        return error_set (error, STATUS_EXISTS,
                          "cannot listen at %s: a program listens there already, perhaps this node "
                          "started before; stop it, or choose another place (nodes in weir.yaml, "
                          "or --listen)",
                          listen);
    case EINVAL:
    case ENODEV:
    case EPROTONOSUPPORT:
    case ENAMETOOLONG:
        return error_set (error, STATUS_INVALID,
                          "cannot listen at \"%s\": expected an address of this machine, as in "
                          "tcp://127.0.0.1:7600 or ipc:///run/weir/serving",
                          listen);
    default:
        return error_set (error, STATUS_IO, "cannot listen at %s: %s", listen, zmq_strerror (code));
    }
}

/* ZeroMQ binds to addresses and not to names. */
static void numeric (const char *listen, char *out, size_t size)
{
    static const char local[] = "tcp://localhost:";
    if (strncmp (listen, local, sizeof local - 1) == 0)
        snprintf (out, size, "tcp://127.0.0.1:%s", listen + sizeof local - 1);
    else
        snprintf (out, size, "%s", listen);
}

/* A ROUTER counts the names that it gives to connections from a number of rand(), which libzmq
 * never seeds, and aborts when one that it gives is held by a client that named itself so. */
static void start_names_anywhere (void)
{
    unsigned seed;
    CHECK (getrandom (&seed, sizeof seed, 0) == sizeof seed);
    srand (seed);
}

static status_t start_listening (transport_t *self, const char *listen, error_t *error)
{
    char address[PEER_SIZE_MAX + 1];
    if (strlen (listen) >= sizeof address - 16)
        return bind_failed (listen, ENAMETOOLONG, error);
    if (strncmp (listen, "tcp://", 6) != 0 && strncmp (listen, "ipc://", 6) != 0)
        return bind_failed (listen, EINVAL, error);
    if (strncmp (listen, "ipc://", 6) == 0 && listen[6] != '*' && endpoint_may_answer (listen))
        return bind_failed (listen, EADDRINUSE, error);
    numeric (listen, address, sizeof address);
    start_names_anywhere ();
    void *socket = line_socket (self, ZMQ_ROUTER, address, NULL);
    if (!socket)
        return bind_failed (listen, zmq_errno (), error);
    self->lines[0].socket = socket;
    self->lines[0].fd = line_fd (socket);
    size_t size = sizeof self->endpoint;
    if (!guard_listener (self) || zmq_bind (socket, address) != 0 ||
        zmq_getsockopt (socket, ZMQ_LAST_ENDPOINT, self->endpoint, &size) != 0)
        return bind_failed (listen, zmq_errno (), error);
    self->bound = true;
    self->traffic = traffic_new (self->endpoint, self->keyring != NULL);
    return STATUS_OK;
}

status_t transport_new (const char *listen, transport_t **transport, error_t *error)
{
    keyring_t *none = NULL;
    return transport_new_secured (listen, &none, transport, error);
}

status_t transport_new_secured (const char *listen, keyring_t **keyring, transport_t **transport,
                                error_t *error)
{
    *transport = NULL;
    void *context = zmq_ctx_new ();
    if (!context) {
        keyring_destroy (keyring);
        return error_set_errno (error, errno, "cannot start ZeroMQ");
    }
    transport_t *self = mem_zero (1, sizeof *self);
    self->magic = TRANSPORT_MAGIC;
    self->context = context;
    self->count = 1;
    self->keyring = *keyring;
    *keyring = NULL;
    self->lines[0].monitor_fd = -1;
    self->guard_fd = -1;
    CHECK (zmq_ctx_set (context, ZMQ_BLOCKY, 0) == 0);
    CHECK (zmq_msg_init (&self->part) == 0);
    if (listen && start_listening (self, listen, error) != STATUS_OK) {
        transport_destroy (&self);
        return error->status;
    }
    *transport = self;
    return STATUS_OK;
}

void transport_destroy (transport_t **self_p)
{
    transport_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    zmq_msg_close (&self->part);
    for (size_t i = 0; i < self->count; i++)
        line_close (&self->lines[i]);
    guard_close (self->guard);
    traffic_destroy (&self->traffic);
    while (zmq_ctx_term (self->context) != 0 && zmq_errno () == EINTR) {
        /* a signal came: again */
    }
    keyring_destroy (&self->keyring);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

const char *transport_endpoint (const transport_t *self)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    return self->endpoint;
}

uint64_t transport_dropped (const transport_t *self)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    return self->counts.dropped;
}

transport_counts_t transport_counts (const transport_t *self)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    transport_counts_t counts = self->counts;
    counts.cut = self->traffic ? traffic_cut (self->traffic) : 0;
    counts.held = self->traffic ? traffic_held (self->traffic) : 0;
    counts.present = self->traffic ? traffic_connections (self->traffic) : 0;
    return counts;
}

const keyring_t *transport_keyring (const transport_t *self)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    return self->keyring;
}

/* ---- receiving ---- */

static bool has_message (line_t *line)
{
    int events = 0;
    size_t size = sizeof events;
    while (zmq_getsockopt (line->socket, ZMQ_EVENTS, &events, &size) != 0)
        CHECK (zmq_errno () == EINTR);
    return events & ZMQ_POLLIN;
}

/* Asked again, and not as the last round left it: messages may have come since. */
static bool is_empty (void *context)
{
    line_t *line = context;
    line->drained = !has_message (line);
    return line->drained;
}

/* zmq_poll asks every socket before and after it waits, each time with a system call. A socket that
 * was found empty and not used since need not be asked: its descriptor tells when it has news. */
void transport_poll (transport_t *self, int timeout_ms, const int *fds, size_t count, bool *ready)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    CHECK (count <= TRANSPORT_FDS_MAX);
    struct pollfd items[2 * SOCKETS_MAX + 1 + TRANSPORT_FDS_MAX];
    size_t first = self->lines[0].socket ? 0 : 1;
    size_t used = 0;
    if (self->traffic) {
        int look_ms = traffic_look (self->traffic, is_empty, &self->lines[0]);
        timeout_ms = timeout_ms < 0 || look_ms < timeout_ms ? look_ms : timeout_ms;
    }
    for (size_t i = 0; i < count; i++)
        items[used++] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
    for (size_t i = first; i < self->count; i++) {
        line_t *line = &self->lines[i];
        line->ready = !line->drained && has_message (line);
        line->drained = !line->ready;
        if (line->ready)
            timeout_ms = 0;
        items[used++] = (struct pollfd){ .fd = line->fd, .events = POLLIN };
    }
    size_t sockets = used;
    if (self->keyring)
        used += connections_watch (self, items + used);
    bool failed = poll (items, used, timeout_ms) < 0; /* by a signal */
    for (size_t i = 0; i < count; i++)
        ready[i] = !failed && items[i].revents != 0;
    for (size_t i = first; i < self->count && !failed; i++)
        if (items[count + i - first].revents != 0) {
            self->lines[i].ready = true; /* or news of another kind: then nothing is received */
            self->lines[i].drained = false;
        }
    if (self->keyring && !failed)
        connections_look (self, items + sockets);
}

size_t transport_descriptors (const transport_t *self, int *fds, size_t most, uint64_t *set)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    size_t count = 0;
    *set = self->opened;
    for (size_t i = 0; i < self->count && count + 2 <= most; i++) {
        const line_t *line = &self->lines[i];
        if (line->socket)
            fds[count++] = line->fd;
        if (line->monitor)
            fds[count++] = line->monitor_fd;
    }
    if (self->guard && count < most)
        fds[count++] = self->guard_fd;
    return count;
}

bool transport_has_news (transport_t *self)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    for (size_t i = self->lines[0].socket ? 0 : 1; i < self->count; i++) {
        line_t *line = &self->lines[i];
        if (line->ready || !(line->drained || is_empty (line)))
            return true;
    }
    return false;
}

/* Keeps one frame of a return address: its size in a byte, then its bytes. */
static bool keep_frame (peer_t *from, zmq_msg_t *frame)
{
    size_t size = zmq_msg_size (frame);
    if ((size_t)from->size + 1 + size > PEER_SIZE_MAX)
        return false;
    from->bytes[from->size] = (char)(uint8_t)size;
    if (size > 0)
        memcpy (from->bytes + from->size + 1, zmq_msg_data (frame), size);
    from->size = (uint8_t)(from->size + 1 + size);
    if (from->connection == 0) /* the first is the ROUTER's */
        from->connection = from->size;
    return true;
}

/* The connection that a frame came over, for who counts its bytes. */
static int source_of (zmq_msg_t *frame)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return zmq_msg_get (frame, ZMQ_SRCFD);
#pragma GCC diagnostic pop
}

/* The frame that a ROUTER puts in front. */
static text_t peer_id (const peer_t *peer)
{
    return (text_t){ peer->bytes + 1, (uint8_t)peer->bytes[0] };
}

taken_t line_take (transport_t *self, const line_t *line, bool is_incoming, peer_t *from)
{
    bool is_good = true;
    bool has_body = !is_incoming; /* a ROUTER puts a frame of its own in front */
    bool is_counted = is_incoming && self->traffic;
    size_t bytes = 0;
    *from = is_incoming ? (peer_t){ .incoming = 1 } : line->endpoint;
    if (zmq_msg_recv (&self->part, line->socket, ZMQ_DONTWAIT) < 0)
        return TAKEN_NOTHING;
    while (zmq_msg_more (&self->part)) {
        if (is_incoming && is_good)
            is_good = keep_frame (from, &self->part);
        if (zmq_msg_recv (&self->part, line->socket, ZMQ_DONTWAIT) < 0)
            return TAKEN_NOTHING;
        has_body = true;
        if (is_counted)
            bytes += traffic_frame (self->traffic, zmq_msg_size (&self->part));
    }
    if (is_counted && from->size > 0)
        traffic_received (self->traffic, peer_id (from), source_of (&self->part), bytes);
    from->role = ROLE_OPEN;
    if (self->keyring)
        from->role = is_incoming ? (uint8_t)guard_role (&self->part, self->keyring) : ROLE_NODE;
    return is_good && has_body ? TAKEN_MESSAGE : TAKEN_JUNK;
}

bool transport_receive (transport_t *self, peer_t *from, const void **data, size_t *size)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    for (size_t tried = 0; tried < self->count; tried++) {
        size_t at = self->next < self->count ? self->next : 0;
        line_t *line = &self->lines[at];
        self->next = at + 1;
        taken_t taken = TAKEN_NOTHING;
        unsigned junk = 0;
        while (line->ready && junk < JUNK_MAX &&
               (taken = line_take (self, line, at == 0, from)) == TAKEN_JUNK)
            junk++;
        self->counts.dropped += junk;
        if (taken == TAKEN_MESSAGE) {
            *data = zmq_msg_data (&self->part);
            *size = zmq_msg_size (&self->part);
            return true;
        }
        if (taken == TAKEN_JUNK)
            continue; /* whoever goes on with it must not keep us from all else: in the next poll */
        line->drained = line->drained || line->ready;
        line->ready = false;
    }
    return false;
}

/* ---- sending ---- */

/* Bytes on the wire of a message with the rest of the return address in front. */
static size_t wire_size (const traffic_t *traffic, const peer_t *to, size_t size)
{
    size_t bytes = traffic_frame (traffic, size);
    for (size_t at = 1 + (size_t)(uint8_t)to->bytes[0]; at < to->size;
         at += 1 + (size_t)(uint8_t)to->bytes[at])
        bytes += traffic_frame (traffic, (uint8_t)to->bytes[at]);
    return bytes;
}

/* The frames of the return address, then the message. */
static bool answer (transport_t *self, const peer_t *to, const void *data, size_t size)
{
    void *socket = self->lines[0].socket;
    CHECK (socket != NULL);
    if (self->traffic && to->size > 0 &&
        !traffic_send (self->traffic, peer_id (to), wire_size (self->traffic, to, size))) {
        self->counts.unread++;
        return false;
    }
    for (size_t at = 0; at < to->size;) {
        size_t frame = (uint8_t)to->bytes[at];
        CHECK (at + 1 + frame <= to->size);
        if (zmq_send (socket, to->bytes + at + 1, frame, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
            return false;
        at += 1 + frame;
    }
    return zmq_send (socket, data, size, ZMQ_DONTWAIT) >= 0;
}

void transport_send (transport_t *self, const peer_t *to, const void *data, size_t size)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    CHECK (to->size > 0);
    if (to->incoming) {
        self->lines[0].drained = false;
        if (!answer (self, to, data, size))
            self->counts.dropped++;
        return;
    }
    line_t *line = line_to (self, to);
    if (line) {
        line->used = ++self->sends;
        line->drained = false;
    }
    if (!line || zmq_send (line->socket, data, size, ZMQ_DONTWAIT) < 0)
        self->counts.dropped++;
}
