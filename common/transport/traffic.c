#include "transport/traffic.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    TRAFFIC_MAGIC = 0x54524146,
    PLACES = 4 * TRAFFIC_CONNECTIONS_MAX, /* of ids; a power of two */
    LOOK_SHARE = 20,                      /* looks take at most 1 in so many of a processor */
    HEADER_SHORT = 2,
    HEADER_LONG = 9,    /* of a frame over 255 bytes */
    SECURED_FRAME = 33, /* what CURVE adds to one */
    /* Bytes that are of no message, which are forgiven: the handshake, and heartbeats. */
    SPARE_MAX = 4096,
    SPARE_PER_SECOND = 64,
};

/* One that was made to us; by its descriptor, which libzmq owns. */
typedef struct connection {
    uint64_t cookie; /* the kernel's number for it; 0: none here */
    uint64_t id;     /* hash of what a ROUTER calls it; 0: it said nothing yet */
    uint64_t look;   /* the one that saw it last */
    bool going;      /* it was cut: libzmq has not closed it yet, and it does not count */
    int64_t since_ms;
    uint64_t came;       /* bytes that libzmq has read, as of the last look … */
    uint64_t taken;      /* … those of messages taken since … */
    uint64_t held;       /* … and what of all was not taken then */
    uint64_t spare;      /* bytes that are forgiven yet, … */
    int64_t measured_ms; /* … as of then */
    uint64_t went;       /* bytes that the other side has acknowledged, as of the last look … */
    uint64_t sent;       /* … those sent since … */
    uint64_t unread;     /* … and what of all was not acknowledged then */
} connection_t;

struct traffic {
    uint32_t magic;
    uint16_t port; /* in the network's order */
    bool secured;
    connection_t *connection; /* by descriptor */
    int connections_room;
    int *place;    /* descriptor of an id, by hash; of two with the same place, the one seen last */
    uint64_t seed; /* of the hash: clients may choose their ids */
    uint64_t looks;
    int64_t next_ms;
    size_t count;
    uint64_t held; /* all … */
    uint64_t unread;
    uint64_t cut;
};

static int64_t read_us (clockid_t clock)
{
    struct timespec now;
    CHECK (clock_gettime (clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_ms (void)
{
    return read_us (CLOCK_MONOTONIC) / 1000;
}

traffic_t *traffic_new (const char *endpoint, bool secured)
{
    const char *colon = strrchr (endpoint, ':');
    if (strncmp (endpoint, "tcp://", 6) != 0 || !colon)
        return NULL;
    traffic_t *self = mem_zero (1, sizeof *self);
    self->magic = TRAFFIC_MAGIC;
    self->port = htons ((uint16_t)strtoul (colon + 1, NULL, 10));
    self->secured = secured;
    self->place = mem_zero (PLACES, sizeof *self->place);
    CHECK (getrandom (&self->seed, sizeof self->seed, 0) == sizeof self->seed);
    return self;
}

void traffic_destroy (traffic_t **self_p)
{
    traffic_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    mem_free (self->connection);
    mem_free (self->place);
    self->magic = 0;
    mem_free (self);
}

size_t traffic_frame (const traffic_t *self, size_t size)
{
    size += self->secured ? SECURED_FRAME : 0;
    return size + (size > 255 ? HEADER_LONG : HEADER_SHORT);
}

/* ---- connections ---- */

static uint64_t cookie_of (int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt (fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* Was it made to where we listen? */
static bool is_ours (const traffic_t *self, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int listens = 0;
    socklen_t listens_size = sizeof listens;
    if (getsockname (fd, (struct sockaddr *)&address, &size) != 0 ||
        getsockopt (fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 || listens)
        return false;
    if (address.ss_family == AF_INET)
        return ((struct sockaddr_in *)&address)->sin_port == self->port;
    return address.ss_family == AF_INET6 &&
           ((struct sockaddr_in6 *)&address)->sin6_port == self->port;
}

static connection_t *at (traffic_t *self, int fd)
{
    if (fd >= self->connections_room) {
        int room = fd + 64;
        self->connection = mem_resize (self->connection, (size_t)room, sizeof *self->connection);
        memset (self->connection + self->connections_room, 0,
                (size_t)(room - self->connections_room) * sizeof *self->connection);
        self->connections_room = room;
    }
    return &self->connection[fd];
}

static void begin (traffic_t *self, connection_t *connection, uint64_t cookie)
{
    int64_t now = now_ms ();
    *connection = (connection_t){ .cookie = cookie,
                                  .look = self->looks,
                                  .since_ms = now,
                                  .spare = SPARE_MAX,
                                  .measured_ms = now };
}

static uint64_t least (uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* `came` is never less than what libzmq has read, so that what was taken is never more than what
 * came, but for what was forgiven: no rounding adds up over the looks at a connection that is busy
 * for days. */
static void measure_in (connection_t *connection, uint64_t came)
{
    uint64_t in = connection->held;
    if (came > connection->came) {
        in += came - connection->came;
        connection->came = came;
    }
    if (connection->taken > in) /* a message's, as it turns out */
        connection->spare += connection->taken - in;
    connection->held = in > connection->taken ? in - connection->taken : 0;
    connection->taken = 0;
    int64_t now = now_ms ();
    uint64_t passed_ms = (uint64_t)(now - connection->measured_ms);
    if (passed_ms >= 1000) {
        connection->spare += passed_ms / 1000 * SPARE_PER_SECOND;
        connection->measured_ms = now;
    }
    connection->spare = least (connection->spare, SPARE_MAX);
    if (connection->held <= connection->spare) {
        connection->spare -= connection->held;
        connection->held = 0;
    }
}

static void measure_out (connection_t *connection, uint64_t went, bool is_leaving)
{
    uint64_t out = connection->unread + connection->sent;
    uint64_t gone = went > connection->went ? went - connection->went : 0;
    connection->unread = is_leaving && out > gone ? out - gone : 0;
    connection->went = went;
    connection->sent = 0;
}

/* What went through it since the last look. What waits in the kernel is asked first: what comes in
 * between is then counted too soon, and not taken for less than libzmq has read already. */
static void measure (connection_t *connection, int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int waits = 0;
    int leaves = 0;
    memset (&info, 0, sizeof info);
    if (ioctl (fd, SIOCINQ, &waits) != 0 || ioctl (fd, SIOCOUTQ, &leaves) != 0 ||
        getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return;
    measure_in (connection,
                info.tcpi_bytes_received - least ((uint64_t)waits, info.tcpi_bytes_received));
    measure_out (connection, info.tcpi_bytes_acked, leaves > 0);
}

/* Through a descriptor of our own, so that it can be no other connection that is cut. Without a
 * goodbye when libzmq closes it: what the kernel holds for it goes at once, and the other side is
 * told and does not wait for room that never comes. */
static void cut (traffic_t *self, int fd)
{
    const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    int own = dup (fd);
    connection_t *connection = at (self, fd);
    if (own < 0)
        return;
    if (cookie_of (own) == connection->cookie) {
        (void)setsockopt (own, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        self->cut += shutdown (own, SHUT_RDWR) == 0;
    }
    close (own);
    self->held -= connection->held;
    self->unread -= connection->unread;
    self->count--;
    *connection =
        (connection_t){ .cookie = connection->cookie, .look = connection->look, .going = true };
}

/* ---- messages ---- */

static uint64_t hash_of (const traffic_t *self, text_t id)
{
    return XXH3_64bits_withSeed (id.data, id.size, self->seed) | 1;
}

/* The descriptor of an id; -1 when it has gone. */
static int find (traffic_t *self, uint64_t hash)
{
    int *place = &self->place[hash & (PLACES - 1)];
    if (*place < self->connections_room && self->connection[*place].id == hash)
        return *place;
    for (int fd = 0; fd < self->connections_room; fd++) {
        if (self->connection[fd].id != hash)
            continue;
        *place = fd;
        return fd;
    }
    return -1;
}

void traffic_received (traffic_t *self, text_t id, int fd, size_t bytes)
{
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    if (fd < 0)
        return;
    uint64_t hash = hash_of (self, id);
    connection_t *connection = at (self, fd);
    if (connection->id != hash) { /* its first message, or the descriptor was another's before */
        uint64_t cookie = cookie_of (fd);
        if (cookie == 0 || !is_ours (self, fd))
            return; /* it has gone, and the descriptor is something else */
        if (connection->cookie != cookie)
            begin (self, connection, cookie);
        connection->id = hash;
    }
    self->place[hash & (PLACES - 1)] = fd;
    connection->taken += bytes;
}

bool traffic_send (traffic_t *self, text_t id, size_t bytes)
{
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    int fd = find (self, hash_of (self, id));
    if (fd < 0)
        return true; /* it has gone: ZeroMQ drops the message */
    connection_t *connection = &self->connection[fd];
    if (connection->unread + connection->sent + bytes > TRAFFIC_UNREAD_MAX &&
        cookie_of (fd) == connection->cookie) {
        self->unread -= connection->unread;
        measure (connection, fd);
        self->unread += connection->unread;
    }
    if (connection->unread + connection->sent + bytes > TRAFFIC_UNREAD_MAX ||
        (self->unread + bytes > TRAFFIC_OUT_MAX && connection->unread > 0))
        return false;
    connection->sent += bytes;
    return true;
}

/* ---- looking ---- */

/* All of the process's sockets that were made to us. */
static bool look_at_all (traffic_t *self)
{
    DIR *descriptors = opendir ("/proc/self/fd");
    if (!descriptors)
        return false;
    self->looks++;
    self->count = 0;
    self->held = self->unread = 0;
    for (const struct dirent *entry; (entry = readdir (descriptors)) != NULL;) {
        int fd = entry->d_name[0] == '.' ? -1 : (int)strtol (entry->d_name, NULL, 10);
        uint64_t cookie = fd < 0 ? 0 : cookie_of (fd);
        if (cookie == 0)
            continue;
        connection_t *connection = at (self, fd);
        if (connection->cookie != cookie) {
            uint64_t taken =
                connection->taken; /* by a namesake on the same descriptor, it may be */
            if (!is_ours (self, fd))
                continue;
            begin (self, connection, cookie);
            connection->taken = taken;
        }
        connection->look = self->looks;
        if (connection->going)
            continue;
        measure (connection, fd);
        self->count++;
        self->held += connection->held;
        self->unread += connection->unread;
    }
    closedir (descriptors);
    return true;
}

/* Forgets those that have gone, and cuts those that hold too much. */
static void cut_hoarders (traffic_t *self, traffic_drained_fn *is_drained, void *context)
{
    int most = -1;
    bool asked = false, drained = false;
    for (int fd = 0; fd < self->connections_room; fd++) {
        connection_t *connection = &self->connection[fd];
        if (connection->cookie == 0)
            continue;
        if (connection->look != self->looks) {
            *connection = (connection_t){ 0 };
            continue;
        }
        if (connection->going)
            continue;
        if (connection->held > TRAFFIC_UNFINISHED_MAX && !asked) {
            drained = is_drained (context);
            asked = true;
        }
        if (drained && connection->held > TRAFFIC_UNFINISHED_MAX)
            cut (self, fd);
        else if (most < 0 || connection->held > self->connection[most].held)
            most = fd;
    }
    if (self->held > TRAFFIC_IN_MAX && most >= 0)
        cut (self, most);
}

static int compare_use (const void *a, const void *b)
{
    const connection_t *const *left = a, *const *right = b;
    bool left_spoke = (*left)->id != 0, right_spoke = (*right)->id != 0;
    if (left_spoke != right_spoke)
        return left_spoke - right_spoke;
    return ((*left)->since_ms > (*right)->since_ms) - ((*left)->since_ms < (*right)->since_ms);
}

/* Too many: those that never said anything go first, the oldest of them before the others. */
static void cut_crowd (traffic_t *self)
{
    if (self->count <= TRAFFIC_CONNECTIONS_MAX)
        return;
    connection_t **all = mem_zero (self->count, sizeof (connection_t *));
    size_t count = 0, excess = self->count - TRAFFIC_CONNECTIONS_MAX;
    for (int fd = 0; fd < self->connections_room && count < self->count; fd++)
        if (self->connection[fd].cookie != 0 && !self->connection[fd].going)
            all[count++] = &self->connection[fd];
    qsort (all, count, sizeof (connection_t *), compare_use);
    for (size_t i = 0; i < excess && i < count; i++)
        cut (self, (int)(all[i] - self->connection));
    mem_free (all);
}

int traffic_look (traffic_t *self, traffic_drained_fn *is_drained, void *context)
{
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    int64_t now = now_ms ();
    if (now < self->next_ms)
        return (int)(self->next_ms - now);
    /* Of our own time: on a busy machine others' would put the next look off for minutes. */
    int64_t began_us = read_us (CLOCK_THREAD_CPUTIME_ID);
    if (look_at_all (self)) {
        cut_hoarders (self, is_drained, context);
        cut_crowd (self);
    }
    int64_t took_us = read_us (CLOCK_THREAD_CPUTIME_ID) - began_us;
    int64_t wait = took_us * LOOK_SHARE / 1000;
    wait = wait > TRAFFIC_LOOK_MS ? wait : TRAFFIC_LOOK_MS;
    self->next_ms = now + wait;
    return (int)wait;
}

size_t traffic_connections (const traffic_t *self)
{
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    return self->count;
}

size_t traffic_held (const traffic_t *self)
{
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    return self->held + self->unread;
}

uint64_t traffic_cut (const traffic_t *self)
{
    CHECK_OBJECT (self, TRAFFIC_MAGIC);
    return self->cut;
}
