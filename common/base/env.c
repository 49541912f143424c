#include "base/env.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LOG_LINE_MAX = 2048 }; /* bytes, with the final NUL; longer lines are cut */

peer_t peer_of_endpoint (const char *endpoint)
{
    size_t size = strlen (endpoint);
    CHECK (size > 0 && size <= PEER_SIZE_MAX);
    peer_t peer = { .size = (uint8_t)size };
    memcpy (peer.bytes, endpoint, size);
    return peer;
}

bool peer_equal (const peer_t *a, const peer_t *b)
{
    return a->size == b->size && a->incoming == b->incoming &&
           memcmp (a->bytes, b->bytes, a->size) == 0;
}

static size_t connection_size (const peer_t *peer)
{
    return peer->connection > 0 ? peer->connection : peer->size;
}

bool peer_same_connection (const peer_t *a, const peer_t *b)
{
    size_t size = connection_size (a);
    return a->incoming == b->incoming && size == connection_size (b) &&
           memcmp (a->bytes, b->bytes, size) == 0;
}

void env_log (env_t *env, log_level_t level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start (args, format);
    int size = vsnprintf (line, sizeof line, format, args);
    va_end (args);
    if (size < 0)
        return;
    /* What peers and users sent must not be able to look like a line of ours. */
    for (char *at = line; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    }
    env->log (env, level, line);
}
