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
    for (int64_t until = now_ms () + 10000;
         transport_counts (transport).held > 0 && now_ms () < until;)
        (void)serve (transport, 100, NULL, 0);
    cr_assert_eq (transport_counts (transport).cut, 0);
    cr_assert_eq (transport_counts (transport).held, 0);
    cr_assert_eq (transport_counts (transport).present, 1);
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

/* Somebody who listens and is no ZeroMQ. */
Test (traffic, of_too_many_connections_the_silent_ones_go)
{
    enum { MANY = TRAFFIC_CONNECTIONS_MAX + 50 };
    struct rlimit limit;
    cr_assert_eq (getrlimit (RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit (RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * MANY + 200)
        cr_skip_test ("too few descriptors are allowed");
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl (INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int listener = socket (AF_INET, SOCK_STREAM, 0);
    cr_assert_eq (bind (listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq (listen (listener, 16), 0);
    cr_assert_eq (getsockname (listener, (struct sockaddr *)&address, &size), 0);
    char endpoint[64];
    snprintf (endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", ntohs (address.sin_port));
    traffic_t *traffic = traffic_new (endpoint, false);
    static int theirs[MANY], ours[MANY];
    for (size_t i = 0; i < MANY; i++) {
        theirs[i] = socket (AF_INET, SOCK_STREAM, 0);
        cr_assert_eq (connect (theirs[i], (struct sockaddr *)&address, size), 0);
        ours[i] = accept (listener, NULL, NULL);
        cr_assert_geq (ours[i], 0);
        if (i < 10) /* the oldest have said something */
            traffic_received (traffic, (text_t){ (const char *)&i, sizeof i }, ours[i], 1);
    }
    (void)traffic_look (traffic, true);
    cr_assert_eq (traffic_cut (traffic), 50);
    cr_assert_eq (traffic_connections (traffic), TRAFFIC_CONNECTIONS_MAX);
    char byte;
    for (size_t i = 0; i < MANY; i++) {
        bool is_cut = recv (theirs[i], &byte, 1, MSG_DONTWAIT) == 0;
        cr_assert_eq (is_cut, i >= 10 && i < 60, "connection %zu", i);
        close (theirs[i]);
        close (ours[i]);
    }
    close (listener);
    traffic_destroy (&traffic);
}
