#include "transport/probe.h"

#include "base/check.h"

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

enum { PROBE_TIMEOUT_MS = 1000, GREETING_TIMEOUT_MS = 500 };

/* What is to be known of an address. */
typedef bool (look_t) (const struct sockaddr *address, socklen_t size);

/* Waits for the end of a connect that is under way. Its errno value, 0 when it succeeded. */
static int finish_connect (int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    if (poll (&wait, 1, PROBE_TIMEOUT_MS) != 1)
        return ETIMEDOUT;
    int result = 0;
    socklen_t size = sizeof result;
    if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0)
        return errno;
    return result;
}

/* A socket, -1 when there is none left; *result is what became of the connect, as finish_connect.
 */
static int open_to (const struct sockaddr *address, socklen_t size, int *result)
{
    int fd = socket (address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *result = fd < 0 || connect (fd, address, size) != 0 ? errno : 0;
    if (fd >= 0 && *result == EINPROGRESS)
        *result = finish_connect (fd);
    return fd;
}

static bool may_answer (const struct sockaddr *address, socklen_t size)
{
    int result;
    int fd = open_to (address, size, &result);
    if (fd < 0)
        return true;
    close (fd);
    return result != ECONNREFUSED && result != ENOENT;
}

/* ---- a greeting ---- */

static int64_t now_ms (void)
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The first `size` bytes that come; false when not all do in time. */
static bool receive (int fd, uint8_t *bytes, size_t size)
{
    int64_t deadline = now_ms () + GREETING_TIMEOUT_MS;
    size_t got = 0;
    while (got < size) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        int64_t left = deadline - now_ms ();
        if (left <= 0 || (poll (&wait, 1, (int)left) < 0 && errno != EINTR))
            return false;
        ssize_t part = recv (fd, bytes + got, size - got, 0);
        if (part == 0 || (part < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (part > 0)
            got += (size_t)part;
    }
    return true;
}

/* A greeting is a signature of 10 bytes, two of a version, and 20 with the name of the mechanism,
 * which comes when the other side's major version is known. */
static bool wants_key (const struct sockaddr *address, socklen_t size)
{
    static const uint8_t ours[] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3 };
    static const char curve[] = "CURVE"; /* with the NUL after it */
    enum { MECHANISM = 12, MECHANISM_SIZE = 20 };
    uint8_t theirs[MECHANISM + MECHANISM_SIZE];
    int result;
    int fd = open_to (address, size, &result);
    if (fd < 0)
        return false;
    bool wants = result == 0 &&
                 send (fd, ours, sizeof ours, MSG_NOSIGNAL) == (ssize_t)sizeof ours &&
                 receive (fd, theirs, sizeof theirs) && theirs[0] == 0xff && theirs[9] == 0x7f &&
                 memcmp (theirs + MECHANISM, curve, sizeof curve) == 0;
    close (fd);
    return wants;
}

/* ---- addresses ---- */

static bool look_at_path (const char *path, look_t *look, bool otherwise)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen (path);
    if (size >= sizeof address.sun_path)
        return otherwise;
    memcpy (address.sun_path, path, size + 1);
    return look ((const struct sockaddr *)&address, sizeof address);
}

/* `place` is host:port; a host in brackets is IPv6. */
static bool look_at_port (const char *place, look_t *look, bool otherwise)
{
    char host[256];
    const char *colon = strrchr (place, ':');
    if (!colon || colon == place || (size_t)(colon - place) >= sizeof host)
        return otherwise;
    bool has_brackets = place[0] == '[' && colon[-1] == ']';
    size_t size = (size_t)(colon - place) - (has_brackets ? 2 : 0);
    memcpy (host, place + (has_brackets ? 1 : 0), size);
    host[size] = '\0';
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    if (getaddrinfo (host, colon + 1, &hints, &found) != 0)
        return otherwise;
    bool is_so = false;
    for (const struct addrinfo *each = found; each && !is_so; each = each->ai_next)
        is_so = look (each->ai_addr, each->ai_addrlen);
    freeaddrinfo (found);
    return is_so;
}

/* Is it so of any address of the endpoint? `otherwise` where it has none that can be looked at. */
static bool look_at (const char *endpoint, look_t *look, bool otherwise)
{
    if (strncmp (endpoint, "ipc://", 6) == 0)
        return look_at_path (endpoint + 6, look, otherwise);
    if (strncmp (endpoint, "tcp://", 6) == 0)
        return look_at_port (endpoint + 6, look, otherwise);
    return otherwise;
}

bool endpoint_may_answer (const char *endpoint)
{
    return look_at (endpoint, may_answer, true);
}

bool endpoint_wants_key (const char *endpoint)
{
    return look_at (endpoint, wants_key, false);
}
