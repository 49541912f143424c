#include "node/node.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/scheduling.h"
#include "node/jobs.h"
#include "node/place.h"
#include "node/security.h"
#include "transport/transport.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    MAGIC = 0x4e4f4445,
    BATCH_MAX = 256,  /* messages, and jobs, that are handled before the next tick */
    ROUND_US = 20000, /* and for so long at most, each: a node that is flooded still has to beat */
    LOG_LINE_MAX = 4096,
    MAKE_AGAIN_MS = 200, /* a core that waits for another process */
};

/* What is watched beside the sockets. */
enum { WATCH_JOBS, WATCH_SIGNALS, WATCH_TIMER, WATCHES };

typedef struct shell {
    env_t env; /* first: the core gets a pointer to it */
    uint32_t magic;
    const node_program_t *program;
    log_level_t log_level;
    place_t place;
    security_t security;
    transport_t *transport;
    jobs_t *jobs;
    node_t node;
    void *core;
    peer_t standbys[PROJECT_COORDINATORS_MAX];
    int fds[WATCHES];
    int64_t timer_at; /* boot time µs that the timer is set to */
} shell_t;

static const char *const kind_words[] = {
#define X(name, word) [NODE_##name] = word,
    NODE_TABLE (X)
#undef X
};

const char *node_kind_word (node_kind_t kind)
{
    return kind_words[kind];
}

/* ---- the env ---- */

static shell_t *shell_of (env_t *env)
{
    shell_t *self = (shell_t *)(void *)env;
    CHECK_OBJECT (self, MAGIC);
    return self;
}

static int64_t read_clock (clockid_t clock)
{
    struct timespec now;
    CHECK (clock_gettime (clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t shell_clock_us (env_t *env)
{
    (void)env;
    return read_clock (CLOCK_REALTIME);
}

static int64_t shell_boot_us (env_t *env)
{
    (void)env;
    return read_clock (CLOCK_BOOTTIME);
}

static uint64_t shell_random (env_t *env)
{
    (void)env;
    uint64_t value = 0;
    CHECK (getrandom (&value, sizeof value, 0) == sizeof value);
    return value;
}

static void shell_send (env_t *env, const peer_t *to, const void *data, size_t size)
{
    transport_send (shell_of (env)->transport, to, data, size);
}

static void shell_submit (env_t *env, job_t *job)
{
    jobs_submit (shell_of (env)->jobs, job);
}

static void shell_log (env_t *env, log_level_t level, const char *text)
{
    static const char *const words[] = { "debug", "info", "warning", "error" };
    shell_t *self = shell_of (env);
    if (level < self->log_level)
        return;
    int64_t now = read_clock (CLOCK_REALTIME);
    time_t seconds = (time_t)(now / 1000000);
    struct tm utc;
    char date[32], line[LOG_LINE_MAX];
    gmtime_r (&seconds, &utc);
    strftime (date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    int size = snprintf (line, sizeof line - 1, "%s.%03dZ %s %s: %s", date,
                         (int)(now / 1000 % 1000), words[level], self->place.name, text);
    if (size < 0)
        return;
    if ((size_t)size > sizeof line - 2)
        size = (int)sizeof line - 2;
    line[size] = '\n';
    /* In one piece, so that the lines of several nodes on one terminal do not mix. */
    (void)!write (STDERR_FILENO, line, (size_t)size + 1);
}

static size_t shell_counters (env_t *env, env_counter_t counters[ENV_COUNTERS_MAX])
{
    shell_t *self = shell_of (env);
    return security_counters (&self->security, self->transport, counters);
}

static void fill_env (shell_t *self)
{
    self->env = (env_t){ .clock_us = shell_clock_us,
                         .boot_us = shell_boot_us,
                         .random = shell_random,
                         .send = shell_send,
                         .submit = shell_submit,
                         .log = shell_log,
                         .counters = shell_counters,
                         .fs = self->place.fs };
}

/* ---- the process ---- */

/* Each connection, log segment and mapped file takes a descriptor. */
static void raise_file_limit (void)
{
    struct rlimit limit;
    if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit (RLIMIT_NOFILE, &limit);
    }
}

static void stop_signals (sigset_t *set)
{
    sigemptyset (set);
    sigaddset (set, SIGINT);
    sigaddset (set, SIGTERM);
}

/* Signals are blocked before any thread starts, so that all inherit it. */
static status_t watch (shell_t *self, const project_t *project, error_t *error)
{
    sigset_t stops;
    stop_signals (&stops);
    if (self->security.directory)
        sigaddset (&stops, SIGHUP); /* the keys are to be read again */
    CHECK (pthread_sigmask (SIG_BLOCK, &stops, NULL) == 0);
    CHECK (signal (SIGPIPE, SIG_IGN) != SIG_ERR);
    self->fds[WATCH_SIGNALS] = signalfd (-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    self->fds[WATCH_TIMER] = timerfd_create (CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (self->fds[WATCH_SIGNALS] < 0 || self->fds[WATCH_TIMER] < 0)
        return error_set_errno (error, errno, "cannot watch for signals and time");
    status_t status =
        jobs_new (self->program->threads, (int)project->batch_nice, &self->jobs, error);
    if (status == STATUS_OK)
        self->fds[WATCH_JOBS] = jobs_fd (self->jobs);
    return status;
}

/* ---- the event loop ---- */

/* A timer and not the timeout of the poll, which is in whole milliseconds. One that is set for an
 * earlier time stays: a tick too many costs less than a system call for each message. */
static void set_timer (shell_t *self, int64_t at)
{
    if (at >= self->timer_at && self->timer_at != INT64_MIN)
        return;
    struct itimerspec when = { .it_value = { .tv_sec = 0 } };
    if (at != INT64_MAX) {
        int64_t future = at > 0 ? at : 1; /* a time of 0 would disarm it */
        when.it_value.tv_sec = future / 1000000;
        when.it_value.tv_nsec = future % 1000000 * 1000;
    }
    CHECK (timerfd_settime (self->fds[WATCH_TIMER], TFD_TIMER_ABSTIME, &when, NULL) == 0);
    self->timer_at = at;
}

static bool round_ends (shell_t *self, int64_t began)
{
    return shell_boot_us (&self->env) - began >= ROUND_US;
}

/* True when there may be more. */
static bool receive_some (shell_t *self)
{
    int64_t began = shell_boot_us (&self->env);
    peer_t from;
    const void *data;
    size_t size;
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        if (!transport_receive (self->transport, &from, &data, &size))
            return false;
        if (security_admits (&self->security, &self->env, &from, data, size))
            self->program->core->receive (self->core, &from, data, size);
        if (round_ends (self, began))
            return true;
    }
    return true;
}

static bool finish_some (shell_t *self)
{
    int64_t began = shell_boot_us (&self->env);
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        job_t *job = jobs_finished (self->jobs);
        if (!job)
            return false;
        self->program->core->job_done (self->core, job);
        if (round_ends (self, began))
            return true;
    }
    return true;
}

/* True when it is one to stop on. */
static bool take_signal (shell_t *self)
{
    struct signalfd_siginfo info;
    while (read (self->fds[WATCH_SIGNALS], &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGHUP)
            return true;
        security_look (&self->security, &self->env, self->transport, true);
    }
    return false;
}

static void loop (shell_t *self)
{
    bool more = true; /* of messages or jobs, beyond what one round handles */
    for (;;) {
        bool ready[WATCHES];
        int64_t due = self->program->core->tick (self->core);
        int64_t look = security_due (&self->security);
        set_timer (self, look < due ? look : due);
        transport_poll (self->transport, more ? 0 : -1, self->fds, WATCHES, ready);
        if (ready[WATCH_SIGNALS] && take_signal (self))
            return;
        if (ready[WATCH_JOBS])
            jobs_acknowledge (self->jobs);
        if (ready[WATCH_TIMER]) {
            uint64_t count;
            (void)!read (self->fds[WATCH_TIMER], &count, sizeof count);
            self->timer_at = INT64_MIN; /* it has to be set again, to the same time too */
        }
        security_look (&self->security, &self->env, self->transport, false);
        more = receive_some (self);
        more |= finish_some (self);
    }
}

/* ---- start and stop ---- */

static status_t make_core (shell_t *self, const project_t *project, error_t *error)
{
    self->node = (node_t){ .env = &self->env,
                           .project = project,
                           .name = self->place.name,
                           .cluster = project->cluster,
                           .cluster_id = self->place.cluster.id,
                           .place = self->place.cluster.place,
                           .endpoint = transport_endpoint (self->transport) };
    for (size_t i = 0; i < project->coordinators_count; i++) {
        size_t size = strlen (project->coordinators[i]);
        if (size == 0 || size > PEER_SIZE_MAX)
            return error_set (error, STATUS_INVALID, "the coordinator's endpoint is too long");
        peer_t peer = peer_of_endpoint (project->coordinators[i]);
        if (i == 0)
            self->node.coordinator = peer;
        else
            self->standbys[self->node.standbys_count++] = peer;
    }
    self->node.standbys = self->standbys;
    status_t status = self->program->make (&self->node, &self->core, error);
    if (status == STATUS_BUSY)
        env_log (&self->env, LOG_WARNING, "waits: %s", error->text);
    while (status == STATUS_BUSY) {
        struct pollfd signals = { .fd = self->fds[WATCH_SIGNALS], .events = POLLIN };
        if (poll (&signals, 1, MAKE_AGAIN_MS) > 0 && take_signal (self))
            return error_set (error, STATUS_CANCELLED, "stopped before it had started");
        status = self->program->make (&self->node, &self->core, error);
    }
    return status;
}

static status_t start (shell_t *self, const project_t *project, const node_options_t *options,
                       error_t *error)
{
    keyring_t *keyring = NULL;
    status_t status = place_open (&self->place, self->program->kind, options, project, error);
    if (status == STATUS_OK)
        status = security_open (&self->security, project, self->place.name, options->key, &keyring,
                                error);
    if (status == STATUS_OK) {
        fill_env (self);
        status = watch (self, project, error);
    }
    if (status == STATUS_OK)
        status = transport_new_secured (self->place.listen, &keyring, &self->transport, error);
    keyring_destroy (&keyring);
    if (status == STATUS_OK)
        status = make_core (self, project, error);
    return status;
}

/* The core goes before the jobs that it waits for are discarded, and after those that run ended,
 * which it has end soon. */
static void stop (shell_t *self)
{
    sigset_t stops;
    stop_signals (&stops);
    CHECK (pthread_sigmask (SIG_UNBLOCK, &stops, NULL) == 0);
    if (self->core && self->program->stop)
        self->program->stop (self->core);
    if (self->jobs)
        jobs_stop (self->jobs);
    if (self->core)
        self->program->core->destroy (self->core);
    jobs_destroy (&self->jobs);
    transport_destroy (&self->transport);
    security_release (&self->security);
    for (int i = WATCH_SIGNALS; i <= WATCH_TIMER; i++) {
        if (self->fds[i] >= 0)
            close (self->fds[i]);
    }
    place_release (&self->place);
}

static void discard_signals (int fd)
{
    struct signalfd_siginfo info;
    while (read (fd, &info, sizeof info) > 0) {
        /* the one that stopped us */
    }
}

/* Before there are threads, which have it from this one. What is urgent of a batch worker's tasks
 * has its share, and leaves turns to others all the same. */
static void take_turns (const node_program_t *program)
{
    if (program->kind == NODE_BATCH_WORKER)
        scheduling_behind (0);
    else
        scheduling_short_turns ();
}

status_t node_run (const node_program_t *program, const node_options_t *options, error_t *error)
{
    shell_t self = { .magic = MAGIC,
                     .program = program,
                     .log_level = options->log_level,
                     .fds = { -1, -1, -1 },
                     .timer_at = INT64_MIN };
    project_t *project = NULL;
    raise_file_limit ();
    status_t status = project_read (options->directory ? options->directory : ".", &project, error);
    if (status == STATUS_OK) {
        take_turns (program);
        status = start (&self, project, options, error);
    }
    if (status == STATUS_OK) {
        env_log (&self.env, LOG_INFO, "started; cluster %s, data in %s, listening at %s%s",
                 project->cluster, options->data ? options->data : project->data,
                 self.place.listen ? transport_endpoint (self.transport) : "no endpoint",
                 project->keys   ? ", with keys"
                 : project->open ? ", open to everybody who can connect"
                                 : "");
        loop (&self);
        discard_signals (self.fds[WATCH_SIGNALS]);
        env_log (&self.env, LOG_INFO, "stopping");
    }
    stop (&self);
    project_destroy (&project);
    return status == STATUS_CANCELLED ? STATUS_OK : status;
}

int node_main (const node_program_t *program, int argc, char **argv)
{
    node_options_t options;
    error_t error;
    node_parse (program, argc, argv, &options);
    if (node_run (program, &options, &error) == STATUS_OK)
        return 0;
    fprintf (stderr, "%s: %s\n", argv[0], error.text);
    return 1;
}
