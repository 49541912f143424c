#include "transport/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PROBE_TIMEOUT_MS = 1000 };

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

static bool may_answer (const struct sockaddr *address, socklen_t size)
{
    int fd = socket (address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    int result = connect (fd, address, size) == 0 ? 0 : errno;
    if (result == EINPROGRESS)
        result = finish_connect (fd);
    close (fd);
    return result != ECONNREFUSED && result != ENOENT;
}

static bool path_may_answer (const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen (path);
    if (size >= sizeof address.sun_path)
        return true;
    memcpy (address.sun_path, path, size + 1);
    return may_answer ((const struct sockaddr *)&address, sizeof address);
}

/* `place` is host:port; a host in brackets is IPv6. */
static bool port_may_answer (const char *place)
{
    char host[256];
    const char *colon = strrchr (place, ':');
    if (!colon || colon == place || (size_t)(colon - place) >= sizeof host)
        return true;
    bool has_brackets = place[0] == '[' && colon[-1] == ']';
    size_t size = (size_t)(colon - place) - (has_brackets ? 2 : 0);
    memcpy (host, place + (has_brackets ? 1 : 0), size);
    host[size] = '\0';
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    if (getaddrinfo (host, colon + 1, &hints, &found) != 0)
        return true;
    bool may = false;
    for (const struct addrinfo *each = found; each && !may; each = each->ai_next)
        may = may_answer (each->ai_addr, each->ai_addrlen);
    freeaddrinfo (found);
    return may;
}

bool endpoint_may_answer (const char *endpoint)
{
    if (strncmp (endpoint, "ipc://", 6) == 0)
        return path_may_answer (endpoint + 6);
    if (strncmp (endpoint, "tcp://", 6) == 0)
        return port_may_answer (endpoint + 6);
    return true;
}
