#include "feature/endpoint.h"

#include "base/number.h"

enum {
    IPC_PATH_MAX = 100, /* bytes: sockaddr_un has 108 with its NUL */
    PORT_MAX = 65535,
};

static bool begins_with (text_t text, const char *start)
{
    size_t size = strlen (start);
    return text.size >= size && memcmp (text.data, start, size) == 0;
}

static text_t without (text_t text, size_t size)
{
    return (text_t){ text.data + size, text.size - (uint32_t)size };
}

/* 127.a.b.c with parts from 0 to 255 */
static bool is_loopback_v4 (text_t host)
{
    size_t parts = 0;
    int part = -1;
    for (uint32_t i = 0; i <= host.size; i++) {
        char c = i < host.size ? host.data[i] : '.';
        if (c == '.') {
            if (part < 0 || part > 255 || (parts == 0 && part != 127))
                return false;
            parts++;
            part = -1;
        } else if (c >= '0' && c <= '9' && part <= 255) {
            part = (part < 0 ? 0 : part * 10) + (c - '0');
        } else {
            return false;
        }
    }
    return parts == 4;
}

static status_t check_ipc (text_t path, error_t *error)
{
    if (path.size == 0 || path.size > IPC_PATH_MAX)
        return error_set (error, STATUS_INVALID, "the path after ipc:// must have 1 to %d bytes",
                          IPC_PATH_MAX);
    for (uint32_t i = 0; i < path.size; i++) {
        if ((uint8_t)path.data[i] <= ' ' || path.data[i] == 0x7f)
            return error_set (error, STATUS_INVALID, "the path after ipc:// has blanks");
    }
    return STATUS_OK;
}

static status_t check_tcp (text_t address, error_t *error)
{
    uint32_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    int64_t port = 0;
    if (colon < 2 || !number_parse_int (without (address, colon), &port) || port < 1 ||
        port > PORT_MAX || address.data[colon] == '+')
        return error_set (error, STATUS_INVALID,
                          "expected tcp://host:port with a port from 1 to %d, as in "
                          "tcp://127.0.0.1:7600",
                          PORT_MAX);
    text_t host = { address.data, colon - 1 };
    if (text_is (host, "localhost") || text_is (host, "[::1]") || is_loopback_v4 (host))
        return STATUS_OK;
    return error_set (error, STATUS_UNSUPPORTED,
                      "this version does not support listening beyond this machine: connections "
                      "are neither authenticated nor encrypted; use 127.0.0.1 or ipc://");
}

status_t endpoint_check (text_t endpoint, error_t *error)
{
    if (begins_with (endpoint, "tcp://"))
        return check_tcp (without (endpoint, 6), error);
    if (begins_with (endpoint, "ipc://"))
        return check_ipc (without (endpoint, 6), error);
    return error_set (error, STATUS_INVALID,
                      "an endpoint is tcp://host:port or ipc://path, as in tcp://127.0.0.1:7600");
}
