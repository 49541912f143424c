#include "feature/endpoint.h"

#include "base/number.h"

enum {
    IPC_PATH_MAX = 100, /* bytes: sockaddr_un has 108 with its NUL */
    PORT_MAX = 65535,
    HOST_MAX = 200, /* bytes; an endpoint has up to 255 */
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

/* 127.a.b.c with parts from 0 to 255. Without leading zeros: 0127 is 87 to some resolvers. */
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
        } else if (c >= '0' && c <= '9' && part != 0 && part <= 255) {
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
    if (path.data[0] == '@')
        return error_set (error, STATUS_INVALID,
                          "the path after ipc:// begins with \"@\", which is no file and has no "
                          "mode that keeps others out");
    for (uint32_t i = 0; i < path.size; i++) {
        if ((uint8_t)path.data[i] <= ' ' || path.data[i] == 0x7f)
            return error_set (error, STATUS_INVALID, "the path after ipc:// has blanks");
    }
    return STATUS_OK;
}

/* Of host:port; false when there is no colon in it. */
static bool split (text_t address, text_t *host, text_t *port)
{
    uint32_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    *host = (text_t){ address.data, colon - 1 };
    *port = without (address, colon);
    return true;
}

/* A name, an address, or an IPv6 address in brackets. */
static bool is_host (text_t host)
{
    bool in_brackets = host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    for (uint32_t i = in_brackets; i + in_brackets < host.size; i++) {
        char c = host.data[i];
        bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_word && !(in_brackets ? c == ':' || c == '.' : c == '.' || c == '-'))
            return false;
    }
    return host.size > 0 && host.size <= HOST_MAX && host.data[0] != '-';
}

static status_t check_tcp (text_t address, error_t *error)
{
    int64_t port = 0;
    text_t host, digits;
    if (!split (address, &host, &digits) || !number_parse_int (digits, &port) || port < 1 ||
        port > PORT_MAX || digits.data[0] == '+' || host.size == 0)
        return error_set (error, STATUS_INVALID,
                          "expected tcp://host:port with a port from 1 to %d, as in "
                          "tcp://127.0.0.1:7600",
                          PORT_MAX);
    if (text_is (host, "*") || text_is (host, "0.0.0.0") || text_is (host, "[::]"))
        return error_set (error, STATUS_INVALID,
                          "\"" TEXT_FORMAT "\" is every address of a machine and none that others "
                          "can reach: give the one by which they do",
                          TEXT_ARGS (host));
    if (!is_host (host))
        return error_set (error, STATUS_INVALID,
                          "\"" TEXT_FORMAT "\" is no host: expected a name, an address as in "
                          "192.0.2.7, or one in brackets as in [2001:db8::7]",
                          TEXT_ARGS (host));
    return STATUS_OK;
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

bool endpoint_is_local (text_t endpoint)
{
    text_t host, port;
    if (!begins_with (endpoint, "tcp://"))
        return begins_with (endpoint, "ipc://");
    return split (without (endpoint, 6), &host, &port) &&
           (text_is (host, "localhost") || text_is (host, "[::1]") || is_loopback_v4 (host));
}

status_t endpoint_check_reach (text_t endpoint, bool is_secured, error_t *error)
{
    if (is_secured || endpoint_is_local (endpoint))
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "this is beyond this machine, and there are no keys: make some with `weir "
                      "keygen` and say `security: {keys: ./keys}` in weir.yaml (docs/security.md); "
                      "or use 127.0.0.1 or ipc://; or let everybody in who can connect, with "
                      "`security: {open: true}`");
}
