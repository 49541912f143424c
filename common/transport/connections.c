/* connections.c - handshakes: whom a socket takes the other side for, and what became of it. */
#include "transport/transport_state.h"

#include "base/check.h"
#include "base/mem.h"
#include "transport/guard.h"
#include "transport/monitor.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    RETRY_MS = 100,      /* when all servers were tried; doubled up to the next */
    RETRY_MAX_MS = 1600, /* so soon a key that is accepted late is taken up */
    CLOSED_MS = 2000,    /* for libzmq to give up an address */
    NAME_SIZE = PEER_SIZE_MAX + 1,
};

int64_t connections_now_ms (void)
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_BOOTTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- a line ---- */

static bool is_trusted (const keyring_t *keyring, const char *server)
{
    const accepted_key_t *accepted = keyring_find (keyring, server);
    return accepted && accepted->role == ROLE_NODE;
}

/* The server after this one; the first when it is none, or the last. */
static const char *next_server (const keyring_t *keyring, const char *server)
{
    size_t count = keyring_servers (keyring);
    for (size_t i = 0; i < count; i++)
        if (strcmp (keyring_server (keyring, i), server) == 0)
            return keyring_server (keyring, (i + 1) % count);
    return keyring_server (keyring, 0);
}

static bool watch_line (transport_t *self, line_t *line)
{
    line->monitor = monitor_open (self->context, line->socket);
    line->monitor_fd = line->monitor ? line_fd (line->monitor) : -1;
    return line->monitor != NULL;
}

bool line_open (transport_t *self, line_t *line, const char *name)
{
    if (self->keyring && !is_trusted (self->keyring, line->server)) {
        const char *server = is_trusted (self->keyring, self->trusted)
                                 ? self->trusted
                                 : keyring_server (self->keyring, 0);
        if (!server)
            return false; /* nobody is trusted */
        memcpy (line->server, server, sizeof line->server);
    }
    line->socket = line_socket (self, ZMQ_DEALER, name, line->server);
    if (!line->socket)
        return false;
    line->fd = line_fd (line->socket);
    self->opened++;
    if ((!self->keyring || watch_line (self, line)) && zmq_connect (line->socket, name) == 0)
        return true;
    line_close (line);
    return false;
}

void line_close (line_t *line)
{
    if (!line->socket)
        return;
    monitor_close (line->socket, line->monitor);
    zmq_close (line->socket);
    line->socket = NULL;
    line->monitor = NULL;
    line->monitor_fd = -1;
}

/* libzmq tries again by itself where a handshake was broken off, and never where it was refused;
 * with the same server's key in both cases. */
static void handshake_failed (transport_t *self, line_t *line, monitor_event_t how)
{
    size_t servers = keyring_servers (self->keyring);
    self->counts.unmet++;
    line->failures++;
    line->proven = false;
    line->denied = how == MONITOR_REFUSED;
    line->failed = servers > 1 || how != MONITOR_BROKEN_OFF;
    size_t rounds = servers > 0 && !line->denied ? line->failures / servers : line->failures;
    int64_t wait = rounds > 4 ? RETRY_MAX_MS : RETRY_MS << (rounds > 0 ? rounds - 1 : 0);
    bool is_round = line->denied || servers < 2 || line->failures % servers == 0;
    line->again_ms = is_round ? connections_now_ms () + wait : 0;
}

void line_look (transport_t *self, line_t *line)
{
    monitor_event_t event;
    while (line->monitor && (event = monitor_next (line->monitor)) != MONITOR_NOTHING) {
        switch (event) {
        case MONITOR_SUCCEEDED:
            line->proven = true;
            line->failed = false;
            line->denied = false;
            line->failures = 0;
            memcpy (self->trusted, line->server, sizeof self->trusted);
            break;
        case MONITOR_REFUSED:
        case MONITOR_FAILED:
        case MONITOR_BROKEN_OFF:
            handshake_failed (self, line, event);
            break;
        case MONITOR_DISCONNECTED:
            line->lost = line->lost || line->proven;
            line->proven = false;
            break;
        default:
            break;
        }
    }
}

bool line_retry (transport_t *self, line_t *line)
{
    char name[NAME_SIZE];
    if (!line->failed || connections_now_ms () < line->again_ms)
        return false;
    memcpy (name, line->endpoint.bytes, line->endpoint.size);
    name[line->endpoint.size] = '\0';
    line_t next = { .endpoint = line->endpoint,
                    .used = line->used,
                    .monitor_fd = -1,
                    .lost = true, /* what was queued */
                    .denied = line->denied,
                    .failures = line->failures };
    const char *server = line->denied ? line->server : next_server (self->keyring, line->server);
    if (server)
        memcpy (next.server, server, sizeof next.server);
    if (!line_open (self, &next, name)) {
        line->again_ms = connections_now_ms () + RETRY_MAX_MS;
        return false;
    }
    line_close (line);
    *line = next;
    return true;
}

bool transport_broke (transport_t *self, const peer_t *endpoint)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    for (size_t i = 1; i < self->count; i++) {
        line_t *line = &self->lines[i];
        if (!peer_equal (&line->endpoint, endpoint))
            continue;
        bool lost = line->lost;
        line->lost = false;
        return lost;
    }
    return false;
}

/* ---- the listener ---- */

bool guard_listener (transport_t *self)
{
    if (!self->keyring)
        return true;
    self->guard = guard_open (self->context);
    if (!self->guard)
        return false;
    self->guard_fd = line_fd (self->guard);
    return watch_line (self, &self->lines[0]);
}

/* Has it said that it gave up the address? */
static bool look_at_listener (transport_t *self)
{
    bool closed = false;
    monitor_event_t event;
    void *monitor = self->lines[0].monitor;
    transport_counts_t *counts = &self->counts;
    while (monitor && (event = monitor_next (monitor)) != MONITOR_NOTHING) {
        counts->accepted += event == MONITOR_ACCEPTED;
        counts->succeeded += event == MONITOR_SUCCEEDED;
        counts->refused += event == MONITOR_REFUSED;
        counts->failed += event == MONITOR_FAILED;
        counts->broken_off += event == MONITOR_BROKEN_OFF;
        closed |= event == MONITOR_CLOSED;
    }
    return closed;
}

/* ---- polling ---- */

size_t connections_watch (const transport_t *self, struct pollfd *items)
{
    size_t used = 0;
    items[used++] = (struct pollfd){ .fd = self->guard_fd, .events = POLLIN };
    for (size_t i = 0; i < self->count; i++) /* a descriptor of -1 is passed over */
        items[used++] = (struct pollfd){ .fd = self->lines[i].monitor_fd, .events = POLLIN };
    return used;
}

void connections_look (transport_t *self, const struct pollfd *items)
{
    if (items[0].revents != 0)
        guard_answer (self->guard, self->keyring);
    if (items[1].revents != 0)
        (void)look_at_listener (self);
    for (size_t i = 1; i < self->count; i++) {
        line_t *line = &self->lines[i];
        if (items[1 + i].revents == 0)
            continue;
        line_look (self, line);
        if (line->failed && line->again_ms == 0) /* another server may be the one */
            (void)line_retry (self, line);
    }
}

/* ---- other keys ---- */

/* Ends what is connected to servers that are not trusted any more, or with a pair that is not ours.
 */
static void drop_lines (transport_t *self, bool all)
{
    for (size_t i = self->count; i-- > 1;)
        if (all || !is_trusted (self->keyring, self->lines[i].server))
            line_drop (self, i);
}

/* Gives the address up, which ends the connections made to it. */
static void stop_listening (transport_t *self)
{
    line_t *line = &self->lines[0];
    struct pollfd item = { .fd = line->monitor_fd, .events = POLLIN };
    int64_t deadline = connections_now_ms () + CLOSED_MS;
    if (!self->bound)
        return;
    self->bound = false;
    if (zmq_unbind (line->socket, self->endpoint) != 0)
        return;
    while (!look_at_listener (self)) {
        int64_t left = deadline - connections_now_ms ();
        if (left <= 0)
            return; /* then the bind says what is wrong */
        (void)poll (&item, 1, (int)left);
    }
}

static status_t listen_again (transport_t *self, error_t *error)
{
    line_t *line = &self->lines[0];
    if (!line->socket)
        return STATUS_OK;
    stop_listening (self);
    guard_server (line->socket, self->keyring);
    line->drained = false;
    if (zmq_bind (line->socket, self->endpoint) != 0)
        return error_set (error, STATUS_IO, "cannot listen at %s with the new key: %s",
                          self->endpoint, zmq_strerror (zmq_errno ()));
    self->bound = true;
    return STATUS_OK;
}

bool transport_listens (const transport_t *self)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    return self->bound || !self->lines[0].socket;
}

status_t transport_rekey (transport_t *self, keyring_t **keyring, error_t *error)
{
    CHECK_OBJECT (self, TRANSPORT_MAGIC);
    CHECK (self->keyring != NULL);
    bool is_other = false;
    if (*keyring) {
        is_other = strcmp (keyring_own (*keyring)->public, keyring_own (self->keyring)->public);
        keyring_destroy (&self->keyring);
        self->keyring = *keyring;
        *keyring = NULL;
    }
    drop_lines (self, is_other);
    return is_other || !transport_listens (self) ? listen_again (self, error) : STATUS_OK;
}
