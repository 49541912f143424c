/* listen.c - what the server needs of the system: its socket and its files. */
#include "serving/http/state.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 512, PEM_MAX = 256 << 10 /* bytes */, HOST_SIZE = 256 };

/* ---- the socket ---- */

/* Of "host:port" and "[address]:port", which the project has checked. */
static void split (const char *address, char host[HOST_SIZE], const char **port)
{
    const char *colon = strrchr (address, ':');
    size_t size = (size_t)(colon - address);
    bool in_brackets = address[0] == '[' && size > 2;
    size_t skip = in_brackets ? 1 : 0;
    size -= 2 * skip;
    size = size < HOST_SIZE ? size : HOST_SIZE - 1;
    memcpy (host, address + skip, size);
    host[size] = '\0';
    *port = colon + 1;
}

static int open_one (const struct addrinfo *at)
{
    const int on = 1;
    int fd = socket (at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->ai_family == AF_INET6)
        (void)setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind (fd, at->ai_addr, at->ai_addrlen) == 0 && listen (fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close (fd);
    errno = why;
    return -1;
}

status_t listen_at (const char *address, int *fd, error_t *error)
{
    const struct addrinfo wanted = { .ai_family = AF_UNSPEC,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found;
    char host[HOST_SIZE];
    const char *port;
    split (address, host, &port);
    *fd = -1;
    int code = getaddrinfo (host, port, &wanted, &found);
    if (code != 0)
        return error_set (error, STATUS_INVALID, "http: %s: %s", address, gai_strerror (code));
    for (const struct addrinfo *at = found; at && *fd < 0; at = at->ai_next)
        *fd = open_one (at);
    int why = errno;
    freeaddrinfo (found);
    if (*fd >= 0)
        return STATUS_OK;
    return error_set_errno (error, why, "http: cannot listen at %s", address);
}

/* ---- files ---- */

status_t read_pem (const char *path, bool is_secret, char **text, error_t *error)
{
    struct stat stat;
    *text = NULL;
    int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno (error, errno, "http: %s", path);
    if (fstat (fd, &stat) != 0 || !S_ISREG (stat.st_mode) || stat.st_size > PEM_MAX) {
        close (fd);
        return error_set (error, STATUS_INVALID, "http: %s is no PEM file", path);
    }
    if (is_secret && (stat.st_mode & 077) != 0) {
        close (fd);
        return error_set (error, STATUS_INVALID,
                          "http: %s is a private key and others than its owner can read or write "
                          "it: `chmod 600` it",
                          path);
    }
    char *bytes = mem_zero (1, PEM_MAX + 1);
    size_t size = 0;
    ssize_t got;
    while ((got = read (fd, bytes + size, PEM_MAX - size)) > 0)
        size += (size_t)got;
    int why = errno;
    close (fd);
    if (got < 0) {
        mem_free (bytes);
        return error_set_errno (error, why, "http: %s", path);
    }
    *text = bytes;
    return STATUS_OK;
}
