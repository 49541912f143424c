#include "transport/probe.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    PROBE_MAGIC = 0x70726f62,
    CONNECT_TIMEOUT_MS = 1000,
    GREETING_TIMEOUT_MS = 500,
    ADDRESSES_MAX = 8, /* of one name */
    /* A greeting is a signature of 10 bytes, two of a version, and 20 with the name of the
     * mechanism, which comes when the other side's major version is known. */
    MECHANISM = 12,
    MECHANISM_SIZE = 20,
    WAIT_MS = 50, /* the blocking calls look again */
};

typedef enum stage { STAGE_CONNECTING, STAGE_GREETING } stage_t;

typedef struct address {
    struct sockaddr_storage bytes;
    socklen_t size;
} address_t;

struct probe {
    uint32_t magic;
    char *endpoint;
    address_t addresses[ADDRESSES_MAX];
    size_t count;
    bool fresh; /* they were looked up for this probe, not an earlier one */
    size_t at;  /* the address that is tried */
    int fd;     /* -1: no connection */
    stage_t stage;
    bool greet;
    int64_t deadline_ms;
    uint8_t greeting[MECHANISM + MECHANISM_SIZE];
    size_t got;
    bool over;
    probed_t result;
};

static int64_t now_ms (void)
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- addresses ---- */

static void add_address (probe_t *self, const void *address, size_t size)
{
    if (self->count == ADDRESSES_MAX || size > sizeof self->addresses->bytes)
        return;
    memcpy (&self->addresses[self->count].bytes, address, size);
    self->addresses[self->count++].size = (socklen_t)size;
}

static void find_path (probe_t *self, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen (path);
    if (size >= sizeof address.sun_path)
        return;
    memcpy (address.sun_path, path, size + 1);
    add_address (self, &address, sizeof address);
}

/* `place` is host:port; a host in brackets is IPv6. */
static void find_port (probe_t *self, const char *place)
{
    char host[256];
    const char *colon = strrchr (place, ':');
    if (!colon || colon == place || (size_t)(colon - place) >= sizeof host)
        return;
    bool has_brackets = place[0] == '[' && colon[-1] == ']';
    size_t size = (size_t)(colon - place) - (has_brackets ? 2 : 0);
    memcpy (host, place + (has_brackets ? 1 : 0), size);
    host[size] = '\0';
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    if (getaddrinfo (host, colon + 1, &hints, &found) != 0)
        return;
    for (const struct addrinfo *each = found; each; each = each->ai_next)
        add_address (self, each->ai_addr, each->ai_addrlen);
    freeaddrinfo (found);
}

static void find (probe_t *self)
{
    self->count = 0;
    self->fresh = true;
    if (strncmp (self->endpoint, "ipc://", 6) == 0)
        find_path (self, self->endpoint + 6);
    else if (strncmp (self->endpoint, "tcp://", 6) == 0)
        find_port (self, self->endpoint + 6);
}

/* ---- one address ---- */

static void hang_up (probe_t *self)
{
    if (self->fd >= 0)
        close (self->fd);
    self->fd = -1;
}

/* What became of the connect, as an errno value; EINPROGRESS: nothing yet. */
static int connected (const probe_t *self)
{
    struct pollfd ready = { .fd = self->fd, .events = POLLOUT };
    int result = 0;
    socklen_t size = sizeof result;
    if (poll (&ready, 1, 0) != 1)
        return now_ms () < self->deadline_ms ? EINPROGRESS : ETIMEDOUT;
    return getsockopt (self->fd, SOL_SOCKET, SO_ERROR, &result, &size) == 0 ? result : errno;
}

static bool begin_greeting (probe_t *self)
{
    static const uint8_t ours[] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3 };
    self->stage = STAGE_GREETING;
    self->got = 0;
    self->deadline_ms = now_ms () + GREETING_TIMEOUT_MS;
    return send (self->fd, ours, sizeof ours, MSG_NOSIGNAL) == (ssize_t)sizeof ours;
}

/* The other side's greeting: SOMEBODY when it is not one that asks for keys. */
static probed_t read_greeting (probe_t *self)
{
    static const char curve[] = "CURVE"; /* with the NUL after it */
    const uint8_t *theirs = self->greeting;
    while (self->got < sizeof self->greeting) {
        ssize_t part =
            recv (self->fd, self->greeting + self->got, sizeof self->greeting - self->got, 0);
        if (part < 0 && (errno == EAGAIN || errno == EINTR))
            return now_ms () < self->deadline_ms ? PROBED_NOT_YET : PROBED_SOMEBODY;
        if (part <= 0)
            return PROBED_SOMEBODY;
        self->got += (size_t)part;
    }
    bool wants = theirs[0] == 0xff && theirs[9] == 0x7f &&
                 memcmp (theirs + MECHANISM, curve, sizeof curve) == 0;
    return wants ? PROBED_WANTS_KEY : PROBED_SOMEBODY;
}

static void begin_address (probe_t *self)
{
    const address_t *address = &self->addresses[self->at];
    int family = address->bytes.ss_family;
    self->stage = STAGE_CONNECTING;
    self->deadline_ms = now_ms () + CONNECT_TIMEOUT_MS;
    self->fd = socket (family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static probed_t look_at_address (probe_t *self)
{
    const address_t *address = &self->addresses[self->at];
    int result = EINPROGRESS;
    if (self->fd < 0) {
        begin_address (self);
        if (self->fd < 0)
            return PROBED_SOMEBODY;
        if (connect (self->fd, (const struct sockaddr *)&address->bytes, address->size) != 0)
            result = errno;
        else
            result = 0;
    }
    if (self->stage == STAGE_CONNECTING) {
        if (result == EINPROGRESS)
            result = connected (self);
        if (result == EINPROGRESS)
            return PROBED_NOT_YET;
        if (result == ECONNREFUSED || result == ENOENT)
            return PROBED_NOBODY;
        if (!self->greet || result != 0 || !begin_greeting (self))
            return PROBED_SOMEBODY;
    }
    return read_greeting (self);
}

/* ---- all addresses ---- */

probe_t *probe_new (const char *endpoint)
{
    probe_t *self = mem_zero (1, sizeof *self);
    self->magic = PROBE_MAGIC;
    self->endpoint = mem_string (endpoint);
    self->fd = -1;
    self->over = true;
    self->result = PROBED_SOMEBODY;
    return self;
}

void probe_destroy (probe_t **self_p)
{
    probe_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, PROBE_MAGIC);
    hang_up (self);
    mem_free (self->endpoint);
    self->magic = 0;
    mem_free (self);
}

void probe_begin (probe_t *self, bool greet)
{
    CHECK_OBJECT (self, PROBE_MAGIC);
    hang_up (self);
    self->fresh = false;
    if (self->count == 0)
        find (self);
    self->greet = greet;
    self->at = 0;
    self->over = self->count == 0;
    self->result = PROBED_SOMEBODY;
}

/* Is it the answer, whatever the other addresses are? */
static bool settles (const probe_t *self, probed_t found)
{
    return found == PROBED_WANTS_KEY || (found == PROBED_SOMEBODY && !self->greet);
}

probed_t probe_look (probe_t *self)
{
    CHECK_OBJECT (self, PROBE_MAGIC);
    bool somebody = false;
    while (!self->over) {
        probed_t found = look_at_address (self);
        if (found == PROBED_NOT_YET)
            return found;
        hang_up (self);
        somebody |= found == PROBED_SOMEBODY;
        self->at++;
        self->over = settles (self, found) || self->at == self->count;
        if (self->over)
            self->result = settles (self, found) || !somebody ? found : PROBED_SOMEBODY;
        if (self->over && self->result == PROBED_NOBODY && !self->fresh) {
            find (self); /* a name may have moved */
            self->at = 0;
            self->over = self->count == 0;
            self->result = PROBED_SOMEBODY;
        }
    }
    return self->result;
}

static probed_t wait_for (const char *endpoint, bool greet)
{
    probe_t *probe = probe_new (endpoint);
    probed_t found;
    probe_begin (probe, greet);
    while ((found = probe_look (probe)) == PROBED_NOT_YET) {
        short wanted = probe->stage == STAGE_CONNECTING ? POLLOUT : POLLIN;
        struct pollfd wait = { .fd = probe->fd, .events = wanted };
        (void)poll (&wait, 1, WAIT_MS);
    }
    probe_destroy (&probe);
    return found;
}

bool endpoint_may_answer (const char *endpoint)
{
    return wait_for (endpoint, false) != PROBED_NOBODY;
}

bool endpoint_wants_key (const char *endpoint)
{
    return wait_for (endpoint, true) == PROBED_WANTS_KEY;
}
