/* Clients that would fill our memory: raw bytes of ZeroMQ's protocol (ZMTP 3, mechanism NULL). */
#include "transport/transport.h"

#include "base/mem.h"
#include "transport/traffic.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

TestSuite (traffic, .timeout = 120);

enum {
    MIB = 1 << 20,
    READ_SIZE = 64 << 10,
    HANDSHAKE_SIZE = 64 + 2 + 41, /* greeting and READY of a ROUTER */
};

static int64_t now_ms (void)
{
    struct timespec now;
    cr_assert_eq (clock_gettime (CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static transport_t *listen_here (void)
{
    transport_t *transport;
    error_t error;
    cr_assert_eq (transport_new ("tcp://127.0.0.1:*", &transport, &error), STATUS_OK, "%s",
                  error.text);
    return transport;
}

/* ---- a client of its own making ---- */

static int connect_raw (const transport_t *transport)
{
    const char *colon = strrchr (transport_endpoint (transport), ':');
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons ((uint16_t)atoi (colon + 1)),
                                   .sin_addr = { htonl (INADDR_LOOPBACK) } };
    int fd = socket (AF_INET, SOCK_STREAM, 0);
    cr_assert_geq (fd, 0);
    cr_assert_eq (connect (fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq (fcntl (fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* Answers what came as `reply` wants, NULL: not at all; how many messages that were. */
static unsigned serve (transport_t *self, int wait_ms, const void *reply, size_t size)
{
    peer_t from;
    const void *data;
    size_t data_size;
    unsigned count = 0;
    transport_poll (self, wait_ms, NULL, 0, NULL);
    for (; transport_receive (self, &from, &data, &data_size); count++)
        if (reply)
            transport_send (self, &from, reply, size);
    return count;
}

/* False: the other side has cut us off. */
static bool put (transport_t *transport, int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send (fd, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return false;
        at += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
        if (sent < 0)
            (void)serve (transport, 1, NULL, 0);
    }
    return true;
}

static void shake_hands (transport_t *transport, int fd)
{
    static const char greeting[64] = { (char)0xff, 0,    0, 0, 0,   0,   0,   0,
                                       0,          0x7f, 3, 0, 'N', 'U', 'L', 'L' };
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06"
                                "DEALER";
    cr_assert (put (transport, fd, greeting, sizeof greeting));
    cr_assert_eq (sizeof ready - 1, 2 + 0x1c);
    cr_assert (put (transport, fd, ready, sizeof ready - 1));
    /* its own: what came before that would be taken for a part of the handshake */
    char theirs[256];
    size_t got = 0;
    for (int64_t until = now_ms () + 20000; got < HANDSHAKE_SIZE && now_ms () < until;) {
        ssize_t more = recv (fd, theirs, sizeof theirs, 0);
        got += more > 0 ? (size_t)more : 0;
        (void)serve (transport, 1, NULL, 0);
    }
    cr_assert_geq (got, HANDSHAKE_SIZE);
}

/* ---- what they try ---- */

Test (traffic, a_message_without_end_is_cut_off_and_others_go_on)
{
    transport_t *transport = listen_here ();
    int fd = connect_raw (transport);
    shake_hands (transport, fd);
    size_t sent = 0;
    static char frame[9 + MIB] = { 3, 0, 0, 0, 0, 0, 0x10, 0, 0 }; /* long, and more follow */
    while (sent < (size_t)1 << 30 && put (transport, fd, frame, sizeof frame))
        sent += MIB;
    cr_assert_geq (sent, TRAFFIC_UNFINISHED_MAX - MIB);
    cr_assert_lt (sent, (size_t)1 << 30, "a GiB of one message was taken");
    cr_assert_eq (transport_counts (transport).cut, 1);
    close (fd);
    int other = connect_raw (transport);
    shake_hands (transport, other);
    cr_assert (put (transport, other, "\x00\x05hello", 7));
    unsigned came = 0;
    for (int64_t until = now_ms () + 10000; came == 0 && now_ms () < until;)
        came = serve (transport, 100, NULL, 0);
    cr_assert_eq (came, 1);
    close (other);
    transport_destroy (&transport);
}

Test (traffic, large_messages_that_end_are_taken)
{
    transport_t *transport = listen_here ();
    int fd = connect_raw (transport);
    shake_hands (transport, fd);
    static char frame[9 + 16 * MIB] = { 2, 0, 0, 0, 0, 1, 0, 0, 0 };
    for (unsigned i = 0; i < 12; i++)
        cr_assert (put (transport, fd, frame, sizeof frame), "cut off after %u", i);
    transport_counts_t counts = transport_counts (transport);
    for (int64_t until = now_ms () + 30000; /* counts are of the last look, which may be long ago */
         (counts.present == 0 || counts.held > 0) && now_ms () < until;) {
        (void)serve (transport, 100, NULL, 0);
        counts = transport_counts (transport);
    }
    cr_assert_eq (counts.cut, 0);
    cr_assert_eq (counts.held, 0);
    cr_assert_eq (counts.present, 1);
    close (fd);
    transport_destroy (&transport);
}

Test (traffic, answers_that_nobody_reads_are_dropped_and_counted)
{
    transport_t *transport = listen_here ();
    int fd = connect_raw (transport);
    shake_hands (transport, fd);
    char *reply = mem_zero (4, MIB);
    unsigned asked = 0, came = 0;
    for (; asked < 200; asked++) {
        if (!put (transport, fd, "\x00\x01?", 3))
            break;
        came += serve (transport, 10, reply, 4 * MIB);
    }
    for (int64_t until = now_ms () + 10000; came < asked && now_ms () < until;)
        came += serve (transport, 100, reply, 4 * MIB);
    transport_counts_t counts = transport_counts (transport);
    cr_assert_eq (came, 200);
    cr_assert_geq (counts.unread, 150);
    cr_assert_eq (counts.unread, counts.dropped);
    cr_assert_leq (counts.held, TRAFFIC_UNREAD_MAX + (size_t)MIB);
    /* who reads again is answered again */
    static char room[READ_SIZE];
    for (int64_t until = now_ms () + 30000;
         transport_counts (transport).held > 0 && now_ms () < until;) {
        while (recv (fd, room, sizeof room, 0) > 0) {
            /* on */
        }
        (void)serve (transport, 10, NULL, 0);
    }
    cr_assert_eq (transport_counts (transport).held, 0);
    cr_assert (put (transport, fd, "\x00\x01?", 3));
    uint64_t dropped = transport_counts (transport).dropped;
    for (int64_t until = now_ms () + 10000; came == 200 && now_ms () < until;)
        came += serve (transport, 100, reply, 4 * MIB);
    cr_assert_eq (came, 201);
    cr_assert_eq (transport_counts (transport).dropped, dropped);
    mem_free (reply);
    close (fd);
    transport_destroy (&transport);
}

static bool yes (void *context)
{
    (void)context;
    return true;
}

/* ---- somebody who listens and is no ZeroMQ ---- */

typedef struct crowd {
    int listener;
    struct sockaddr_in address;
    traffic_t *traffic;
} crowd_t;

static void crowd_init (crowd_t *self)
{
    socklen_t size = sizeof self->address;
    char endpoint[64];
    self->address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl (INADDR_LOOPBACK) } };
    self->listener = socket (AF_INET, SOCK_STREAM, 0);
    cr_assert_eq (bind (self->listener, (struct sockaddr *)&self->address, size), 0);
    cr_assert_eq (listen (self->listener, 16), 0);
    cr_assert_eq (getsockname (self->listener, (struct sockaddr *)&self->address, &size), 0);
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", ntohs (self->address.sin_port));
    self->traffic = traffic_new (endpoint, false);
}

static void crowd_release (crowd_t *self)
{
    close (self->listener);
    traffic_destroy (&self->traffic);
}

static void join (crowd_t *self, int *theirs, int *ours)
{
    *theirs = socket (AF_INET, SOCK_STREAM, 0);
    cr_assert_eq (connect (*theirs, (struct sockaddr *)&self->address, sizeof self->address), 0);
    *ours = accept (self->listener, NULL, NULL);
    cr_assert_geq (*ours, 0);
}

static text_t id_of (const size_t *number)
{
    return (text_t){ (const char *)number, sizeof *number };
}

/* Waits until it is time for one. */
static void look (crowd_t *self)
{
    int wait = traffic_look (self->traffic, yes, NULL);
    for (int64_t until = now_ms () + wait; now_ms () < until;)
        (void)poll (NULL, 0, (int)(until - now_ms ()));
}

static void allow_descriptors (rlim_t count)
{
    struct rlimit limit;
    cr_assert_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit (RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < count)
        cr_skip_test ("too few descriptors are allowed");
}

Test (traffic, of_too_many_connections_the_silent_ones_go)
{
    enum { MANY = TRAFFIC_CONNECTIONS_MAX + 50 };
    static int theirs[MANY], ours[MANY];
    crowd_t crowd;
    allow_descriptors (2 * MANY + 200);
    crowd_init (&crowd);
    for (size_t i = 0; i < MANY; i++) {
        join (&crowd, &theirs[i], &ours[i]);
        if (i < 10) /* the oldest have said something */
            traffic_received (crowd.traffic, id_of (&i), ours[i], 1);
    }
    (void)traffic_look (crowd.traffic, yes, NULL);
    cr_assert_eq (traffic_cut (crowd.traffic), 50);
    cr_assert_eq (traffic_connections (crowd.traffic), TRAFFIC_CONNECTIONS_MAX);
    char byte;
    for (size_t i = 0; i < MANY; i++) {
        bool is_cut = recv (theirs[i], &byte, 1, MSG_DONTWAIT) == 0;
        cr_assert_eq (is_cut, i >= 10 && i < 60, "connection %zu", i);
        close (theirs[i]);
        close (ours[i]);
    }
    crowd_release (&crowd);
}

Test (traffic, what_comes_drop_by_drop_and_never_ends_is_held_too)
{
    enum { DROPS = 6, DROP = 3000, FORGIVEN = 5000 };
    static char bytes[DROP];
    crowd_t crowd;
    int theirs, ours;
    size_t id = 1;
    crowd_init (&crowd);
    join (&crowd, &theirs, &ours);
    traffic_received (crowd.traffic, id_of (&id), ours, 0);
    for (int i = 0; i < DROPS; i++) {
        cr_assert_eq (send (theirs, bytes, DROP, 0), DROP);
        cr_assert_eq (recv (ours, bytes, DROP, MSG_WAITALL), DROP);
        look (&crowd);
    }
    look (&crowd);
    cr_assert_geq (traffic_held (crowd.traffic), DROPS * DROP - FORGIVEN);
    /* and when it ends, nothing is */
    traffic_received (crowd.traffic, id_of (&id), ours, DROPS * DROP);
    look (&crowd);
    cr_assert_eq (traffic_held (crowd.traffic), 0);
    close (theirs);
    close (ours);
    crowd_release (&crowd);
}

/* Of so many, some have the same place in the table of ids. */
Test (traffic, who_does_not_read_is_found_among_many)
{
    enum { MANY = 600 };
    static int theirs[MANY], ours[MANY];
    crowd_t crowd;
    allow_descriptors (2 * MANY + 200);
    crowd_init (&crowd);
    for (size_t i = 0; i < MANY; i++) {
        join (&crowd, &theirs[i], &ours[i]);
        traffic_received (crowd.traffic, id_of (&i), ours[i], 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        cr_assert (traffic_send (crowd.traffic, id_of (&i), 1));
        cr_assert_not (traffic_send (crowd.traffic, id_of (&i), TRAFFIC_UNREAD_MAX + 1), "%zu", i);
    }
    for (size_t i = 0; i < MANY; i++) {
        close (theirs[i]);
        close (ours[i]);
    }
    crowd_release (&crowd);
}

/* A message may be taken after its connection has gone, and the descriptor is another's. */
Test (traffic, a_connection_that_was_not_made_to_us_is_not_counted)
{
    crowd_t crowd, other;
    int theirs, ours;
    size_t id = 1;
    crowd_init (&crowd);
    crowd_init (&other);
    join (&other, &theirs, &ours);
    traffic_received (crowd.traffic, id_of (&id), theirs, 1);
    (void)traffic_look (crowd.traffic, yes, NULL);
    cr_assert_eq (traffic_connections (crowd.traffic), 0);
    close (theirs);
    close (ours);
    crowd_release (&other);
    crowd_release (&crowd);
}
