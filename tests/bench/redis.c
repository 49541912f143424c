#include "tests/bench/redis.h"

#include "base/mem.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HELD_MIN = 1 << 16, HELD_MAX = 64 << 20 };

struct redis {
    int file;
    char *held; /* what was received, of which [start, end) is not taken */
    size_t start, end, capacity;
    text_t value[REDIS_VALUES_MAX];
};

/* ---- the connection ---- */

redis_t *redis_connect (const char *endpoint)
{
    char address[64];
    unsigned port = 0;
    struct sockaddr_in to = { .sin_family = AF_INET };
    redis_t *self = mem_zero (1, sizeof *self);
    if (sscanf (endpoint, "tcp://%63[0-9.]:%u", address, &port) != 2 || port > UINT16_MAX ||
        inet_pton (AF_INET, address, &to.sin_addr) != 1)
        measure_fail ("%s is not tcp://ADDRESS:PORT", endpoint);
    to.sin_port = htons ((uint16_t)port);
    int at_once = 1;
    struct timeval patience = { .tv_sec = TALK_PATIENCE_MS / 1000 };
    self->file = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (self->file < 0 || connect (self->file, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt (self->file, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) != 0 ||
        setsockopt (self->file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        measure_fail ("cannot connect to Redis at %s: %s", endpoint, strerror (errno));
    self->capacity = HELD_MIN;
    self->held = mem_alloc (self->capacity);
    return self;
}

void redis_destroy (redis_t **self_p)
{
    if (*self_p == NULL)
        return;
    close ((*self_p)->file);
    mem_free ((*self_p)->held);
    mem_free (*self_p);
    *self_p = NULL;
}

int redis_file (const redis_t *self)
{
    return self->file;
}

void redis_send (redis_t *self, const void *commands, size_t size)
{
    const char *at = commands;
    while (size > 0) {
        ssize_t sent = send (self->file, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            measure_fail ("not sent to Redis: %s", strerror (errno));
        at += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
}

/* ---- commands ---- */

void redis_put_command (buf_t *out, const char *name, size_t arguments)
{
    buf_printf (out, "*%zu\r\n", arguments + 1);
    redis_put_argument (out, text_of (name));
}

void redis_put_argument (buf_t *out, text_t argument)
{
    buf_printf (out, "$%u\r\n", argument.size);
    buf_put (out, argument.data, argument.size);
    buf_put_string (out, "\r\n");
}

/* ---- replies ---- */

/* A line "TYPE NUMBER" at *at; false when it is not here whole. */
static bool take_line (redis_t *self, size_t *at, char *type, long *number)
{
    const char *line = self->held + *at;
    const char *end = *at < self->end ? memchr (line, '\n', self->end - *at) : NULL;
    if (end == NULL)
        return false;
    if (*line == '-')
        measure_fail ("Redis refused: %.*s", (int)(end - line), line);
    if (end - line < 3 || end[-1] != '\r')
        measure_fail ("Redis answered with a line that is none");
    *type = *line;
    *number = strtol (line + 1, NULL, 10);
    *at = (size_t)(end + 1 - self->held);
    return true;
}

/* A bulk string, or none, after its line. */
static bool take_string (redis_t *self, size_t *at, long size, text_t *value)
{
    *value = (text_t){ 0 };
    if (size < 0)
        return true;
    if (size > HELD_MAX)
        measure_fail ("Redis answered with a value of %ld bytes", size);
    if (self->end - *at < (size_t)size + 2)
        return false;
    *value = (text_t){ self->held + *at, (uint32_t)size };
    *at += (size_t)size + 2;
    return true;
}

static bool take_whole (redis_t *self, redis_reply_t *reply)
{
    size_t at = self->start;
    char type;
    long number;
    if (!take_line (self, &at, &type, &number))
        return false;
    bool is_list = type == '*';
    if (is_list && (number < 0 || number > REDIS_VALUES_MAX))
        measure_fail ("Redis answered with a list of %ld values", number);
    size_t count = is_list ? (size_t)number : 1;
    for (size_t i = 0; i < count; i++) {
        if (is_list && !take_line (self, &at, &type, &number))
            return false;
        if (type == '$') {
            if (!take_string (self, &at, number, &self->value[i]))
                return false;
        } else if (type == ':' || (type == '+' && !is_list)) {
            self->value[i] = text_of ("");
        } else {
            measure_fail ("Redis answered with a reply of type '%c'", type);
        }
    }
    *reply = (redis_reply_t){ self->value, count, at - self->start };
    self->start = at;
    return true;
}

static void make_room (redis_t *self)
{
    if (self->start > 0) {
        memmove (self->held, self->held + self->start, self->end - self->start);
        self->end -= self->start;
        self->start = 0;
    }
    if (self->end == self->capacity) {
        if (self->capacity >= HELD_MAX)
            measure_fail ("Redis answered with more than %d bytes", HELD_MAX);
        self->capacity *= 2;
        self->held = mem_resize (self->held, self->capacity, 1);
    }
}

/* Receives more; false when there is nothing yet. */
static bool receive (redis_t *self, bool wait)
{
    if (self->end == self->capacity || self->start == self->end)
        make_room (self);
    ssize_t size = recv (self->file, self->held + self->end, self->capacity - self->end,
                         wait ? 0 : MSG_DONTWAIT);
    if (size < 0 && errno == EINTR)
        return true;
    if (size < 0 && errno == EAGAIN && !wait)
        return false;
    if (size < 0 && errno == EAGAIN)
        measure_fail ("no answer of Redis within %d ms", TALK_PATIENCE_MS);
    if (size <= 0)
        measure_fail ("Redis ended the connection");
    self->end += (size_t)size;
    return true;
}

bool redis_take (redis_t *self, bool wait, redis_reply_t *reply)
{
    while (!take_whole (self, reply))
        if (!receive (self, wait))
            return false;
    return true;
}
