/* inject.c - a preloaded library that counts the system calls and allocations of a weir program,
 * and at the Nth kills the process, stops it, or lets the call fail or do half of its work.
 *
 * Everything is off without a control page (control.h). With WEIR_SWEEP_TRACE, each call that
 * counts is a line of that file. What a library does inside the C library is not seen: the calls
 * of stdio count as one each. */
#define _GNU_SOURCE
#include "control.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The C library's own, so that an allocation inside dlsym does not come back here. */
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t count, size_t size);
extern void *__libc_realloc (void *pointer, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);

enum { FDS_MAX = 65536, LINE_MAX_ = 512 };

static control_t *control; /* NULL: nothing is injected */
static int trace = -1;
static _Atomic unsigned char is_file[FDS_MAX]; /* descriptors that open gave */

/* Errors that a call can end with, as a mask. */
enum {
    CAN_EIO = 1,
    CAN_ENOSPC = 2,
    CAN_EINTR = 4,
    CAN_EAGAIN = 8,
    CAN_ENOMEM = 16,
    CAN_EMFILE = 32,
    CAN_ECONNRESET = 64,
    CAN_ECONNREFUSED = 128,
    CAN_SHORT = 1 << 16,
    CAN_TEAR = 1 << 17,
};

static const struct {
    int error;
    unsigned mask;
} errors[] = {
    { EIO, CAN_EIO },
    { ENOSPC, CAN_ENOSPC },
    { EINTR, CAN_EINTR },
    { EAGAIN, CAN_EAGAIN },
    { ENOMEM, CAN_ENOMEM },
    { EMFILE, CAN_EMFILE },
    { ECONNRESET, CAN_ECONNRESET },
    { ECONNREFUSED, CAN_ECONNREFUSED },
};

/* ---- the control page ---- */

__attribute__ ((constructor)) static void begin (void)
{
    const char *path = getenv ("WEIR_SWEEP");
    const char *lines = getenv ("WEIR_SWEEP_TRACE");
    if (!path || strncmp (program_invocation_short_name, "weir", 4) != 0)
        return;
    int fd = (int)syscall (SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    void *page = (void *)syscall (SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE,
                                  MAP_SHARED, fd, 0L);
    syscall (SYS_close, fd);
    if (page == MAP_FAILED || ((control_t *)page)->magic != CONTROL_MAGIC)
        return;
    if (lines) /* high, so that the program's descriptors are those that it has without us */
        trace = (int)syscall (SYS_openat, AT_FDCWD, lines,
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace >= 0) {
        int high = (int)syscall (SYS_fcntl, trace, F_DUPFD_CLOEXEC, 900L);
        syscall (SYS_close, trace);
        trace = high;
    }
    control = page;
}

static bool can (action_t action, unsigned mask)
{
    switch (action) {
    case ACTION_NONE:
        return false;
    case ACTION_TORN:
        return mask & CAN_TEAR;
    case ACTION_SHORT:
        return mask & CAN_SHORT;
    case ACTION_ERROR:
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
            if (errors[i].error == control->error)
                return mask & errors[i].mask;
        return false;
    default:
        return true;
    }
}

static void name_fd (int fd, char *out, size_t size)
{
    char link[64];
    snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall (SYS_readlinkat, AT_FDCWD, link, out, size - 1);
    out[length > 0 ? length : 0] = '\0';
}

static int write_what (char *out, size_t size, const char *function, int fd, const char *path)
{
    char name[200] = "";
    if (!path && fd >= 0)
        name_fd (fd, name, sizeof name);
    return snprintf (out, size, "%s %s", function, path ? path : name);
}

static _Noreturn void die (void)
{
    syscall (SYS_kill, getpid (), SIGKILL);
    for (;;)
        syscall (SYS_pause);
}

/* What is to be done at this call: nothing, as a rule. */
static action_t meet (const char *function, unsigned kind, unsigned mask, int fd, const char *path)
{
    if (!control || !(control->kinds & kind))
        return ACTION_NONE;
    action_t action = atomic_load (&control->action);
    if (!can (action, mask))
        return ACTION_NONE;
    int saved = errno;
    uint64_t number = atomic_fetch_add (&control->count, 1) + 1;
    if (trace >= 0) {
        char line[LINE_MAX_];
        int size = snprintf (line, sizeof line, "%llu ", (unsigned long long)number);
        size += write_what (line + size, sizeof line - 1 - (size_t)size, function, fd, path);
        size = size > (int)sizeof line - 2 ? (int)sizeof line - 2 : size;
        line[size] = '\n';
        syscall (SYS_write, trace, line, (size_t)size + 1);
    }
    bool due =
        control->at != 0 && (number == control->at || (control->sticky && number > control->at));
    if (due && number == control->at)
        write_what (control->what, sizeof control->what, function, fd, path);
    if (due)
        atomic_fetch_add (&control->fired, 1);
    errno = saved;
    if (!due)
        return ACTION_NONE;
    if (action == ACTION_KILL)
        die ();
    if (action == ACTION_STOP) {
        syscall (SYS_kill, getpid (), SIGSTOP);
        return ACTION_NONE;
    }
    return action;
}

/* ---- the calls ---- */

#define REAL(name) ((__typeof__ (&name))real (#name, &real_##name))
#define SLOT(name) static void *_Atomic real_##name

static void *real (const char *name, void *_Atomic *slot)
{
    void *found = atomic_load (slot);
    if (!found) {
        found = dlsym (RTLD_NEXT, name);
        atomic_store (slot, found);
    }
    return found;
}

static unsigned char fd_is_file (int fd)
{
    return fd >= 0 && fd < FDS_MAX ? atomic_load (&is_file[fd]) : 0;
}

static void note_fd (int fd, unsigned char file)
{
    if (fd >= 0 && fd < FDS_MAX)
        atomic_store (&is_file[fd], file);
}

/* A call without a size, that says -1 (or `failed`) when it fails. */
#define CALL(type, name, parameters, arguments, kind, mask, fd, path, failed)                      \
    SLOT (name);                                                                                   \
    type name parameters                                                                           \
    {                                                                                              \
        action_t action = meet (#name, kind, mask, fd, path);                                      \
        if (action == ACTION_ERROR) {                                                              \
            errno = control->error;                                                                \
            return failed;                                                                         \
        }                                                                                          \
        type result = REAL (name) arguments;                                                       \
        if (action == ACTION_AFTER)                                                                \
            die ();                                                                                \
        return result;                                                                             \
    }

/* A connection that was reset is no more, whoever asks next. */
static ssize_t fail_move (int fd)
{
    if (control->error == ECONNRESET)
        syscall (SYS_shutdown, fd, SHUT_RDWR);
    errno = control->error;
    return -1;
}

/* A call that moves `size` bytes; `half` are the arguments for half of them. */
#define MOVE(name, parameters, whole, half, kind, mask, fd)                                        \
    SLOT (name);                                                                                   \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        unsigned more = size > 1 ? (mask) : (mask) & ~(unsigned)(CAN_SHORT | CAN_TEAR);            \
        action_t action = fd == STDERR_FILENO ? ACTION_NONE : meet (#name, kind, more, fd, NULL);  \
        if (action == ACTION_ERROR)                                                                \
            return fail_move (fd);                                                                 \
        if (action == ACTION_NONE)                                                                 \
            return REAL (name) whole;                                                              \
        ssize_t result = action == ACTION_AFTER ? REAL (name) whole : REAL (name) half;            \
        if (action != ACTION_SHORT)                                                                \
            die ();                                                                                \
        return result;                                                                             \
    }

enum {
    READS = CAN_EIO | CAN_EINTR | CAN_SHORT,
    WRITES = CAN_EIO | CAN_ENOSPC | CAN_EINTR | CAN_SHORT | CAN_TEAR,
    RECEIVES = CAN_EAGAIN | CAN_EINTR | CAN_ECONNRESET | CAN_SHORT,
    SENDS = RECEIVES,
    SYNCS = CAN_EIO | CAN_ENOSPC | CAN_EINTR,
    OPENS = CAN_EIO | CAN_EINTR | CAN_EMFILE | CAN_ENOMEM,
};

MOVE (pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at),
      (fd, data, size / 2, at), KIND_DISK, READS, fd)
MOVE (pread64, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at),
      (fd, data, size / 2, at), KIND_DISK, READS, fd)
MOVE (pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at),
      (fd, data, size / 2, at), KIND_DISK, WRITES, fd)
MOVE (pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at),
      (fd, data, size / 2, at), KIND_DISK, WRITES, fd)
/* of what is no file, only the eventfds of weir and ZeroMQ are read so: in one piece, or not */
MOVE (read, (int fd, void *data, size_t size), (fd, data, size), (fd, data, size / 2),
      fd_is_file (fd) ? KIND_DISK : KIND_NET, fd_is_file (fd) ? READS : CAN_EINTR, fd)
MOVE (write, (int fd, const void *data, size_t size), (fd, data, size), (fd, data, size / 2),
      fd_is_file (fd) ? KIND_DISK : KIND_NET, fd_is_file (fd) ? WRITES : CAN_EINTR, fd)
MOVE (recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags),
      (fd, data, size / 2, flags), KIND_NET, RECEIVES, fd)
MOVE (send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags),
      (fd, data, size / 2, flags), KIND_NET, SENDS, fd)

static unsigned opens (int flags)
{
    return (flags & O_CREAT) ? OPENS | CAN_ENOSPC : OPENS;
}

#define OPEN(name, parameters, arguments)                                                          \
    SLOT (name);                                                                                   \
    int name parameters                                                                            \
    {                                                                                              \
        va_list list;                                                                              \
        va_start (list, flags);                                                                    \
        mode_t rights = (flags & (O_CREAT | O_TMPFILE)) ? va_arg (list, mode_t) : 0;               \
        va_end (list);                                                                             \
        action_t action = meet (#name, KIND_DISK, opens (flags), -1, path);                        \
        if (action == ACTION_ERROR) {                                                              \
            errno = control->error;                                                                \
            return -1;                                                                             \
        }                                                                                          \
        int fd = REAL (name) arguments;                                                            \
        if (action == ACTION_AFTER)                                                                \
            die ();                                                                                \
        note_fd (fd, 1);                                                                           \
        return fd;                                                                                 \
    }

OPEN (open, (const char *path, int flags, ...), (path, flags, rights))
OPEN (open64, (const char *path, int flags, ...), (path, flags, rights))
OPEN (openat, (int directory, const char *path, int flags, ...), (directory, path, flags, rights))

/* Closed all the same, as Linux does. */
SLOT (close);
int close (int fd)
{
    unsigned char file = fd_is_file (fd);
    action_t action =
        meet ("close", file ? KIND_DISK : KIND_NET, file ? CAN_EIO | CAN_EINTR : 0, fd, NULL);
    note_fd (fd, 0);
    int result = REAL (close) (fd);
    if (action == ACTION_AFTER)
        die ();
    if (action != ACTION_ERROR)
        return result;
    errno = control->error;
    return -1;
}

CALL (int, fdatasync, (int fd), (fd), KIND_DISK, SYNCS, fd, NULL, -1)
CALL (int, fsync, (int fd), (fd), KIND_DISK, SYNCS, fd, NULL, -1)
CALL (int, ftruncate, (int fd, off_t size), (fd, size), KIND_DISK, SYNCS, fd, NULL, -1)
CALL (int, rename, (const char *from, const char *to), (from, to), KIND_DISK, CAN_EIO | CAN_ENOSPC,
      -1, to, -1)
CALL (int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), KIND_DISK,
      CAN_EIO | CAN_ENOSPC, -1, to, -1)
CALL (int, unlink, (const char *path), (path), KIND_DISK, CAN_EIO, -1, path, -1)
CALL (int, unlinkat, (int directory, const char *path, int flags), (directory, path, flags),
      KIND_DISK, CAN_EIO, -1, path, -1)
CALL (int, mkdir, (const char *path, mode_t rights), (path, rights), KIND_DISK,
      CAN_EIO | CAN_ENOSPC, -1, path, -1)
CALL (int, mkdirat, (int directory, const char *path, mode_t rights), (directory, path, rights),
      KIND_DISK, CAN_EIO | CAN_ENOSPC, -1, path, -1)
CALL (int, fstat, (int fd, struct stat *about), (fd, about), KIND_DISK, CAN_EIO, fd, NULL, -1)
CALL (int, stat, (const char *path, struct stat *about), (path, about), KIND_DISK,
      CAN_EIO | CAN_ENOMEM, -1, path, -1)
CALL (int, fstatat, (int directory, const char *path, struct stat *about, int flags),
      (directory, path, about, flags), KIND_DISK, CAN_EIO, -1, path, -1)
CALL (int, fstatvfs, (int fd, struct statvfs *space), (fd, space), KIND_DISK, CAN_EIO | CAN_EINTR,
      fd, NULL, -1)
CALL (int, statfs, (const char *path, struct statfs *space), (path, space), KIND_DISK,
      CAN_EIO | CAN_EINTR, -1, path, -1)
CALL (int, flock, (int fd, int what), (fd, what), KIND_DISK, CAN_EINTR | CAN_ENOMEM, fd, NULL, -1)
CALL (DIR *, fdopendir, (int fd), (fd), KIND_DISK, CAN_ENOMEM, fd, NULL, NULL)
CALL (struct dirent *, readdir, (DIR * directory), (directory), KIND_DISK, CAN_EIO,
      dirfd (directory), NULL, NULL)
CALL (void *, mmap, (void *place, size_t size, int rights, int flags, int fd, off_t at),
      (place, size, rights, flags, fd, at), fd >= 0 ? KIND_DISK : KIND_MEMORY, CAN_ENOMEM, fd, NULL,
      MAP_FAILED)

/* They close their descriptor inside the C library; it may be another's the moment after. */
SLOT (closedir);
int closedir (DIR *directory)
{
    action_t action = meet ("closedir", KIND_DISK, 0, dirfd (directory), NULL);
    note_fd (dirfd (directory), 0);
    int result = REAL (closedir) (directory);
    if (action == ACTION_AFTER)
        die ();
    return result;
}

/* stdio: one call each, whatever is below */
CALL (FILE *, fopen, (const char *path, const char *mode), (path, mode), KIND_DISK, OPENS, -1, path,
      NULL)

int dprintf (int fd, const char *format, ...)
{
    va_list list;
    action_t action = meet ("dprintf", KIND_DISK, CAN_EIO | CAN_ENOSPC, fd, NULL);
    if (action == ACTION_ERROR) {
        errno = control->error;
        return -1;
    }
    va_start (list, format);
    int result = vdprintf (fd, format, list);
    va_end (list);
    if (action == ACTION_AFTER)
        die ();
    return result;
}

/* ---- the network, waiting, threads ---- */

CALL (int, socket, (int domain, int type, int protocol), (domain, type, protocol), KIND_NET,
      CAN_EMFILE | CAN_ENOMEM, -1, NULL, -1)
CALL (int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size),
      KIND_NET, CAN_ENOMEM, fd, NULL, -1)
CALL (int, listen, (int fd, int backlog), (fd, backlog), KIND_NET, 0, fd, NULL, -1)
CALL (int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size),
      KIND_NET, CAN_EINTR | CAN_EAGAIN | CAN_ECONNREFUSED, fd, NULL, -1)
CALL (int, accept, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size),
      KIND_NET, CAN_EMFILE | CAN_ENOMEM | CAN_EINTR | CAN_EAGAIN, fd, NULL, -1)
CALL (int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags),
      (fd, address, size, flags), KIND_NET, CAN_EMFILE | CAN_ENOMEM | CAN_EINTR | CAN_EAGAIN, fd,
      NULL, -1)
CALL (int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), KIND_NET,
      CAN_EINTR | CAN_ENOMEM, -1, NULL, -1)
CALL (int, epoll_create1, (int flags), (flags), KIND_NET, CAN_EMFILE | CAN_ENOMEM, -1, NULL, -1)
CALL (int, epoll_ctl, (int fd, int what, int other, struct epoll_event *event),
      (fd, what, other, event), KIND_NET, CAN_ENOMEM, fd, NULL, -1)
CALL (int, epoll_wait, (int fd, struct epoll_event *events, int most, int timeout),
      (fd, events, most, timeout), KIND_NET, CAN_EINTR, fd, NULL, -1)
CALL (int, eventfd, (unsigned count, int flags), (count, flags), KIND_NET, CAN_EMFILE | CAN_ENOMEM,
      -1, NULL, -1)
CALL (int, timerfd_create, (clockid_t clock, int flags), (clock, flags), KIND_NET,
      CAN_EMFILE | CAN_ENOMEM, -1, NULL, -1)
CALL (int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), KIND_NET,
      CAN_EMFILE | CAN_ENOMEM, fd, NULL, -1)

SLOT (pthread_create);
int pthread_create (pthread_t *thread, const pthread_attr_t *how, void *(*body) (void *), void *arg)
{
    action_t action = meet ("pthread_create", KIND_MEMORY, CAN_ENOMEM, -1, NULL);
    if (action == ACTION_ERROR)
        return EAGAIN;
    int result = REAL (pthread_create) (thread, how, body, arg);
    if (action == ACTION_AFTER)
        die ();
    return result;
}

/* ---- memory ---- */

static bool no_memory (const char *function)
{
    action_t action = meet (function, KIND_MEMORY, CAN_ENOMEM, -1, NULL);
    if (action == ACTION_ERROR)
        errno = control->error;
    return action == ACTION_ERROR;
}

void *malloc (size_t size)
{
    return no_memory ("malloc") ? NULL : __libc_malloc (size);
}

void *calloc (size_t count, size_t size)
{
    return no_memory ("calloc") ? NULL : __libc_calloc (count, size);
}

void *realloc (void *pointer, size_t size)
{
    return size > 0 && no_memory ("realloc") ? NULL : __libc_realloc (pointer, size);
}

int posix_memalign (void **pointer, size_t alignment, size_t size)
{
    if (no_memory ("posix_memalign"))
        return ENOMEM;
    *pointer = __libc_memalign (alignment, size);
    return *pointer ? 0 : ENOMEM;
}
