/* hosts - several hosts on one machine, for scenarios: a network namespace each, and between any
 * two of them a link whose faults can be set while it runs, one direction apart from the other.
 *
 *     weir-hosts COUNT SEED
 *
 * Host N (from 1) has the address 127.1.0.N on a TUN device; what it sends is read here, delayed,
 * lost, doubled or let overtake, and written to the device of the receiver. The first line of the
 * output is `hosts PID FD...`: a program runs on host N by `nsenter --net=/proc/PID/fd/FD`. Then a
 * line of the input is a command, each answered by a line:
 *
 *     set FROM TO DELAY_US LOSS DUPLICATE OVERTAKE   of packets from host FROM to TO, 0 for all;
 *                                                    shares in millionths. Loss 1000000 is a cut
 *     counts                                         packets: passed, lost, doubled, overtaken
 *
 * At the end of the input, or when this is killed, all of it is gone: devices live as long as their
 * descriptor, namespaces as long as somebody is in them. Status 77: not permitted here. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HOSTS_MAX = 32,
    PACKET_MAX = 1500,
    PACKETS_MAX = 16384, /* under way; what is over it is lost, as in any router */
    COMMAND_MAX = 256,
    BURST = 64, /* packets read from one device before the others are looked at */
    MILLION = 1000000,
    LATE_US = 10000, /* how much later a packet comes, at most, that others overtake */
    NOT_PERMITTED = 77,
    DESTINATION = 16, /* where it stands in an IPv4 header */
    HEADER = 20,
};

typedef struct direction {
    int64_t delay_us;
    uint32_t loss, duplicate, overtake; /* millionths */
    uint64_t dice;
    int64_t last_due; /* packets keep their order but for those that are overtaken */
} direction_t;

typedef struct packet {
    int64_t due; /* µs */
    uint64_t order;
    int to;
    uint16_t size;
    uint8_t data[PACKET_MAX];
} packet_t;

static int count;
static int devices[HOSTS_MAX];
static int namespaces[HOSTS_MAX];
static direction_t directions[HOSTS_MAX][HOSTS_MAX];
static packet_t packets[PACKETS_MAX];
static packet_t *heap[PACKETS_MAX]; /* the first `waiting` by due time, then those that are free */
static size_t waiting;
static uint64_t orders, passed, lost, doubled, overtaken;

static void fail (const char *what)
{
    int code = errno;
    fprintf (stderr, "weir-hosts: %s: %s\n", what, strerror (code));
    exit (code == EPERM || code == EACCES || code == ENOENT || code == ENODEV ? NOT_PERMITTED : 1);
}

static int64_t now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MILLION + now.tv_nsec / 1000;
}

/* splitmix64 */
static uint64_t roll (uint64_t *dice)
{
    uint64_t z = (*dice += UINT64_C (0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool happens (direction_t *direction, uint32_t share)
{
    return roll (&direction->dice) % MILLION < share;
}

/* ---- hosts ---- */

static void allow (const char *path, const char *value)
{
    int fd = open (path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write (fd, value, strlen (value)) < 0)
        fail (path);
    close (fd);
}

static void set_address (int fd, const char *device, uint32_t address, uint32_t mask)
{
    struct ifreq request = { 0 };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (address) };
    snprintf (request.ifr_name, sizeof request.ifr_name, "%s", device);
    memcpy (&request.ifr_addr, &in, sizeof in);
    if (ioctl (fd, SIOCSIFADDR, &request) != 0)
        fail ("an address");
    in.sin_addr.s_addr = htonl (mask);
    memcpy (&request.ifr_netmask, &in, sizeof in);
    if (ioctl (fd, SIOCSIFNETMASK, &request) != 0)
        fail ("a netmask");
    request.ifr_flags = IFF_UP;
    if (ioctl (fd, SIOCSIFFLAGS, &request) != 0)
        fail ("a device");
}

/* The kernel keeps 127.0.0.0/8 within a host unless told otherwise: `lo` gives up all of it but
 * 127.0.0.1, and the other devices may carry it. So nodes need not listen beyond loopback. */
static void make_host (int host)
{
    if (unshare (CLONE_NEWNET) != 0)
        fail ("a network namespace");
    namespaces[host] = open ("/proc/self/ns/net", O_RDONLY);
    devices[host] = open ("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = { .ifr_name = "weir0", .ifr_flags = IFF_TUN | IFF_NO_PI };
    if (namespaces[host] < 0 || devices[host] < 0 ||
        ioctl (devices[host], TUNSETIFF, &request) != 0)
        fail ("a TUN device");
    allow ("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
    allow ("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
    int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail ("a socket");
    set_address (fd, "lo", 0x7f000001, 0xffffffff);
    set_address (fd, "weir0", 0x7f010001 + (uint32_t)host, 0xffffff00);
    close (fd);
}

/* ---- packets under way ---- */

static bool before (const packet_t *a, const packet_t *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void swap (size_t a, size_t b)
{
    packet_t *packet = heap[a];
    heap[a] = heap[b];
    heap[b] = packet;
}

static void sink (size_t at)
{
    for (size_t child; (child = 2 * at + 1) < waiting; at = child) {
        if (child + 1 < waiting && before (heap[child + 1], heap[child]))
            child++;
        if (!before (heap[child], heap[at]))
            return;
        swap (at, child);
    }
}

/* Puts what lies in the first free packet among those that wait. */
static void add (int64_t due, int to)
{
    size_t at = waiting++;
    heap[at]->due = due;
    heap[at]->order = ++orders;
    heap[at]->to = to;
    for (; at > 0 && before (heap[at], heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap (at, (at - 1) / 2);
}

static void copy (int64_t due, int to, const packet_t *original)
{
    if (waiting == PACKETS_MAX)
        return;
    memcpy (heap[waiting]->data, original->data, original->size);
    heap[waiting]->size = original->size;
    doubled++;
    add (due, to);
}

/* What its direction does with the packet in the first free place. */
static void forward (int from)
{
    packet_t *packet = heap[waiting];
    int to = packet->size < HEADER ? -1 : packet->data[DESTINATION + 3] - 1;
    if (to < 0 || to >= count || to == from || packet->data[0] >> 4 != 4)
        return; /* of another protocol, or to nobody */
    direction_t *direction = &directions[from][to];
    if (happens (direction, direction->loss)) {
        lost++;
        return;
    }
    int64_t due = now_us () + direction->delay_us;
    bool twice = happens (direction, direction->duplicate);
    if (happens (direction, direction->overtake)) {
        overtaken++;
        due += (int64_t)(roll (&direction->dice) % LATE_US);
    } else {
        due = due > direction->last_due ? due : direction->last_due;
        direction->last_due = due;
    }
    add (due, to);
    if (twice)
        copy (due, to, packet);
}

static void receive (int host)
{
    for (int i = 0; i < BURST; i++) {
        static uint8_t over[PACKET_MAX];
        bool full = waiting == PACKETS_MAX;
        ssize_t size = read (devices[host], full ? over : heap[waiting]->data, PACKET_MAX);
        if (size <= 0)
            return;
        if (full) {
            lost++;
            continue;
        }
        heap[waiting]->size = (uint16_t)size;
        forward (host);
    }
}

/* µs until the next is due, -1 when there is none. */
static int64_t deliver (void)
{
    while (waiting > 0) {
        int64_t left = heap[0]->due - now_us ();
        if (left > 0)
            return left;
        ssize_t size = write (devices[heap[0]->to], heap[0]->data, heap[0]->size);
        passed += size > 0;
        swap (0, --waiting);
        sink (0);
    }
    return -1;
}

/* ---- commands ---- */

static const char *set (int from, int to, const direction_t *wanted)
{
    if (from < 0 || to < 0 || from > count || to > count || wanted->delay_us < 0)
        return "error no such host, or a delay below 0";
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            if ((from != 0 && from != i + 1) || (to != 0 && to != j + 1))
                continue;
            directions[i][j].delay_us = wanted->delay_us;
            directions[i][j].loss = wanted->loss;
            directions[i][j].duplicate = wanted->duplicate;
            directions[i][j].overtake = wanted->overtake;
        }
    return "ok";
}

static void command (const char *line)
{
    int from, to;
    direction_t wanted = { 0 };
    if (sscanf (line, "set %d %d %ld %u %u %u", &from, &to, &wanted.delay_us, &wanted.loss,
                &wanted.duplicate, &wanted.overtake) == 6)
        puts (set (from, to, &wanted));
    else if (strcmp (line, "counts") == 0)
        printf ("%lu %lu %lu %lu\n", passed, lost, doubled, overtaken);
    else
        puts ("error expected: set FROM TO DELAY_US LOSS DUPLICATE OVERTAKE, or counts");
}

/* Reads what there is of the input. False at its end. */
static bool obey (void)
{
    static char text[COMMAND_MAX];
    static size_t size;
    ssize_t got = read (STDIN_FILENO, text + size, sizeof text - 1 - size);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    size += (size_t)got;
    for (char *end; (end = memchr (text, '\n', size)) != NULL;) {
        *end = '\0';
        command (text);
        size -= (size_t)(end + 1 - text);
        memmove (text, end + 1, size);
    }
    return size < sizeof text - 1;
}

static void run (void)
{
    struct pollfd items[HOSTS_MAX + 1];
    for (int i = 0; i < count; i++)
        items[i] = (struct pollfd){ .fd = devices[i], .events = POLLIN };
    items[count] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    for (;;) {
        int64_t left = deliver ();
        struct timespec wait = { left / MILLION, left % MILLION * 1000 };
        if (ppoll (items, (nfds_t)count + 1, left < 0 ? NULL : &wait, NULL) < 0 && errno != EINTR)
            fail ("poll");
        if (items[count].revents != 0 && !obey ())
            return;
        for (int i = 0; i < count; i++)
            if (items[i].revents & POLLIN)
                receive (i);
    }
}

int main (int argc, char **argv)
{
    count = argc == 3 ? atoi (argv[1]) : 0;
    if (count < 1 || count > HOSTS_MAX) {
        fprintf (stderr, "usage: weir-hosts COUNT SEED, with 1 to %d hosts\n", HOSTS_MAX);
        return 2;
    }
    uint64_t seed = strtoull (argv[2], NULL, 10);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++)
            directions[i][j].dice = seed * HOSTS_MAX * HOSTS_MAX + (uint64_t)(i * HOSTS_MAX + j);
    for (size_t i = 0; i < PACKETS_MAX; i++)
        heap[i] = &packets[i];
    setvbuf (stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < count; i++)
        make_host (i);
    printf ("hosts %d", getpid ());
    for (int i = 0; i < count; i++)
        printf (" %d", namespaces[i]);
    printf ("\n");
    run ();
    return 0;
}
