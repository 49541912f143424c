/* server.c - the thread, its loop, and how both begin and end. */
#include "serving/http/state.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/api/ask.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    SWEEP_EVERY_MS = 250,
    TOKENS_LOOK_MS = 1000,
};

/* ---- the loop ---- */

static void take_events (http_t *self)
{
    weir_event_t *event;
    weir_error_t error;
    while (weir_poll (self->weir, 0, &event, &error) == WEIR_OK && event) {
        if (event->kind == WEIR_EVENT_ANSWER)
            tags_told (self, event);
        else
            pushes_told (self->pushes, self, event);
        weir_event_destroy (&event);
    }
}

static void look_at_tokens (http_t *self, int64_t now)
{
    tokens_t *tokens;
    error_t error;
    if (!self->tokens || now < self->tokens_look_ms)
        return;
    self->tokens_look_ms = now + TOKENS_LOOK_MS;
    if (!tokens_changed (self->tokens))
        return;
    if (tokens_read (self->options.project->http.tokens, &tokens, &error) != STATUS_OK) {
        if (strcmp (self->problem, error.text) != 0)
            env_log (self->options.env, LOG_ERROR, "http: the tokens of before stay: %s",
                     error.text);
        snprintf (self->problem, sizeof self->problem, "%s", error.text);
        return;
    }
    tokens_destroy (&self->tokens);
    self->tokens = tokens;
    self->problem[0] = '\0';
    env_log (self->options.env, LOG_INFO, "http: tokens read again: %zu", tokens_count (tokens));
}

/* What is due; returns in how many ms the next is. */
static int step (http_t *self)
{
    int64_t now = http_now_ms (self);
    if (now >= self->sweep_ms) {
        connections_sweep (self, now);
        self->sweep_ms = now + SWEEP_EVERY_MS;
    }
    look_at_tokens (self, now);
    int64_t due = definitions_step (self, now), other = pushes_step (self->pushes, self);
    due = other < due ? other : due;
    other = line_step (self, now);
    due = other < due ? other : due;
    due = self->sweep_ms < due ? self->sweep_ms : due;
    MHD_UNSIGNED_LONG_LONG wait;
    if (MHD_get_timeout (self->daemon, &wait) == MHD_YES && (int64_t)wait < due - now)
        due = now + (int64_t)wait;
    return due > now ? (int)(due - now) : 0;
}

/* Who is still there is told. */
static void end (http_t *self)
{
    exchanges_end (self);
    weir_close (&self->weir); /* nothing is told after this */
    pushes_destroy (&self->pushes);
    (void)MHD_run (self->daemon);
    (void)MHD_run (self->daemon);
    MHD_stop_daemon (self->daemon);
    self->daemon = NULL;
}

static void *run (void *arg)
{
    http_t *self = arg;
    for (;;) {
        struct pollfd fds[] = { { .fd = self->stop_fd, .events = POLLIN },
                                { .fd = self->weir_fd, .events = POLLIN },
                                { .fd = self->epoll, .events = POLLIN } };
        (void)poll (fds, sizeof fds / sizeof *fds, step (self));
        if (fds[0].revents)
            break;
        take_events (self);
        (void)MHD_run (self->daemon);
    }
    end (self);
    return NULL;
}

/* ---- starting ---- */

static void log_of_daemon (void *arg, const char *format, va_list args)
{
    http_t *self = arg;
    char text[512];
    vsnprintf (text, sizeof text, format, args);
    text[strcspn (text, "\n")] = '\0';
    env_log (self->options.env, LOG_DEBUG, "http: %s", text);
}

static status_t read_files (http_t *self, error_t *error)
{
    const project_http_t *http = &self->options.project->http;
    status_t status = STATUS_OK;
    if (http->certificate)
        status = read_pem (http->certificate, false, &self->certificate, error);
    if (status == STATUS_OK && http->private_key)
        status = read_pem (http->private_key, true, &self->private_key, error);
    if (status == STATUS_OK && http->tokens &&
        tokens_read (http->tokens, &self->tokens, error) != STATUS_OK)
        status = error_prefix (error, "http: tokens");
    return status;
}

static status_t open_weir (http_t *self, error_t *error)
{
    const project_t *project = self->options.project;
    weir_options_t options;
    weir_error_t why;
    weir_options_init (&options);
    options.project = project->directory;
    options.gets_max = HTTP_GETS_MAX;
    char *key = project->keys && project->http.key
                    ? mem_format ("%s/%s.secret", project->keys, project->http.key)
                    : NULL;
    options.key = key;
    weir_status_t status = weir_open (&options, &self->weir, &why);
    mem_free (key);
    if (status != WEIR_OK)
        return error_set (error, STATUS_INVALID, "http: %s%s", why.text,
                          project->keys ? " (`weir keygen http --role admin` makes the key that "
                                          "HTTP asks with: docs/http.md)"
                                        : "");
    api_ask_only (self->weir, self->options.endpoint);
    self->weir_fd = weir_fd (self->weir);
    return self->weir_fd >= 0 ? STATUS_OK
                              : error_set (error, STATUS_IO, "http: no descriptor is left");
}

static status_t start_daemon (http_t *self, int listener, error_t *error)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, self->certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, self->private_key },
        { MHD_OPTION_HTTPS_PRIORITIES, 0,
          (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
        { MHD_OPTION_END, 0, NULL },
    };
    if (!self->certificate)
        tls[0] = tls[3];
    else
        flags |= MHD_USE_TLS;
    self->daemon = MHD_start_daemon (
        flags, 0, NULL, NULL, http_on_request, self, MHD_OPTION_EXTERNAL_LOGGER, log_of_daemon,
        self, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_HEADERS_MAX, MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, self,
        MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, self, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        self->daemon ? MHD_get_daemon_info (self->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return error_set (error, STATUS_INVALID, "http: cannot start%s",
                          self->certificate ? ": are certificate and private_key PEM files that "
                                              "go together?"
                                            : "");
    self->epoll = info->epoll_fd;
    return STATUS_OK;
}

static status_t start (http_t *self, error_t *error)
{
    int listener = -1;
    status_t status = read_files (self, error);
    if (status == STATUS_OK)
        status = open_weir (self, error);
    if (status == STATUS_OK)
        status = listen_at (self->options.address, &listener, error);
    if (status != STATUS_OK)
        return status;
    status = start_daemon (self, listener, error);
    if (!self->daemon)
        close (listener); /* which is the daemon's otherwise */
    if (status == STATUS_OK) {
        self->stop_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (self->stop_fd < 0)
            status = error_set_errno (error, errno, "http: no descriptor is left");
    }
    return status;
}

static void release (http_t *self)
{
    if (self->daemon)
        MHD_stop_daemon (self->daemon);
    weir_close (&self->weir);
    pushes_destroy (&self->pushes);
    model_unref (&self->model);
    tokens_destroy (&self->tokens);
    if (self->private_key)
        sodium_memzero (self->private_key, strlen (self->private_key));
    mem_free (self->private_key);
    mem_free (self->certificate);
    if (self->stop_fd >= 0)
        close (self->stop_fd);
    self->magic = 0;
    mem_free (self);
}

status_t http_start (const http_options_t *options, http_t **http, error_t *error)
{
    http_t *self = mem_zero (1, sizeof *self);
    self->magic = HTTP_MAGIC;
    self->options = *options;
    self->stop_fd = -1;
    self->pushes = pushes_new ();
    self->asked_ms = INT64_MIN / 2;
    *http = NULL;
    status_t status = start (self, error);
    if (status == STATUS_OK) {
        int code = pthread_create (&self->thread, NULL, run, self);
        if (code != 0)
            status = error_set_errno (error, code, "http: no thread can be made");
    }
    if (status != STATUS_OK) {
        release (self);
        return status;
    }
    env_log (options->env, LOG_INFO, "http: listening at %s%s%s", options->address,
             self->certificate ? ", with TLS" : "", self->tokens ? ", with tokens" : "");
    *http = self;
    return STATUS_OK;
}

void http_stop (http_t **self_p)
{
    http_t *self = *self_p;
    const uint64_t one = 1;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, HTTP_MAGIC);
    CHECK (write (self->stop_fd, &one, sizeof one) == sizeof one);
    CHECK (pthread_join (self->thread, NULL) == 0);
    release (self);
}
