/* faults - makes one call of a node's disk fail or stop the node, for scenarios (LD_PRELOAD).
 *
 * WEIR_FAULTS names a file that is an order when it is there:
 *
 *     CALL WHEN WHAT ENDING
 *
 * CALL is pwrite or fdatasync, of a file whose name ends so. WHEN is before, after, or half (of the
 * bytes of a pwrite). WHAT is stop (the whole process gets SIGSTOP there) or eio (the call is not
 * made and fails). The first call that fits takes the order, by renaming the file to *.taken. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef struct order {
    char call[16], when[16], what[16], ending[32];
} order_t;

static bool file_ends_with (int fd, const char *ending)
{
    char link[64], path[PATH_MAX];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink (link, path, sizeof path - 1);
    size_t wanted = strlen (ending);
    return size >= 0 && (size_t)size >= wanted &&
           memcmp (path + (size_t)size - wanted, ending, wanted) == 0;
}

/* Takes the order for this call, if there is one. */
static bool ordered (const char *call, int fd, order_t *order)
{
    char taken[PATH_MAX];
    const char *name = getenv ("WEIR_FAULTS");
    FILE *file = name ? fopen (name, "re") : NULL;
    if (!file)
        return false;
    int got =
        fscanf (file, "%15s %15s %15s %31s", order->call, order->when, order->what, order->ending);
    fclose (file);
    if (got != 4 || strcmp (order->call, call) != 0 || !file_ends_with (fd, order->ending))
        return false;
    snprintf (taken, sizeof taken, "%s.taken", name);
    return rename (name, taken) == 0; /* only one thread's succeeds */
}

static bool is (const char *a, const char *b)
{
    return strcmp (a, b) == 0;
}

typedef ssize_t (*pwrite_t) (int, const void *, size_t, off_t);
typedef int (*fdatasync_t) (int);

ssize_t pwrite (int fd, const void *data, size_t size, off_t at);
ssize_t pwrite64 (int fd, const void *data, size_t size, off_t at);
int fdatasync (int fd);

ssize_t pwrite (int fd, const void *data, size_t size, off_t at)
{
    static pwrite_t next;
    if (!next)
        *(void **)&next = dlsym (RTLD_NEXT, "pwrite");
    order_t order;
    if (!ordered ("pwrite", fd, &order))
        return next (fd, data, size, at);
    if (is (order.what, "eio")) {
        errno = EIO;
        return -1;
    }
    size_t first = is (order.when, "before") ? 0 : is (order.when, "half") ? size / 2 : size;
    ssize_t written = next (fd, data, first, at);
    raise (SIGSTOP);
    if (written != (ssize_t)first || first == size)
        return written;
    ssize_t rest = next (fd, (const char *)data + first, size - first, at + (off_t)first);
    return rest < 0 ? rest : written + rest;
}

ssize_t pwrite64 (int fd, const void *data, size_t size, off_t at)
{
    return pwrite (fd, data, size, at);
}

int fdatasync (int fd)
{
    static fdatasync_t next;
    if (!next)
        *(void **)&next = dlsym (RTLD_NEXT, "fdatasync");
    order_t order;
    if (!ordered ("fdatasync", fd, &order))
        return next (fd);
    if (is (order.what, "eio")) {
        errno = EIO;
        return -1;
    }
    if (is (order.when, "before"))
        raise (SIGSTOP);
    int failed = next (fd);
    if (!is (order.when, "before"))
        raise (SIGSTOP);
    return failed;
}
