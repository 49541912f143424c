/* handle.c - a cluster as the library's users hold it: opening, working, telling. */
#include "base/version.h"

#include "client/api/state.h"

#include "base/check.h"
#include "base/mem.h"

#include <stddef.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    GETS_DEFAULT = 64,
    GETS_ASKED_MAX = 1024,
    SCRATCH_CHUNK = 16 << 10,
    ARM_NEVER_MS = 1 << 28,
    WAIT_MAX_MS = 60000,
};

const char *weir_version (void)
{
    return WEIR_VERSION;
}

/* ---- opening and closing ---- */

static weir_status_t check_options (const weir_options_t *options, weir_error_t *error)
{
    if (!options->project == (options->coordinators_count == 0))
        return api_invalid (error, "either the directory of a project is given, or coordinators");
    if (options->coordinators_count > 0 && !options->coordinators)
        return api_invalid (error, "coordinators is NULL");
    for (size_t i = 0; i < options->coordinators_count && i < 16; i++)
        if (!api_name (options->coordinators[i]))
            return api_invalid (error, "coordinator %zu is no endpoint", i);
    if (options->cluster && !api_name (options->cluster))
        return api_invalid (error, "the name of a cluster is 1 to %d bytes of UTF-8",
                            WIRE_NAME_MAX);
    if (options->gets_max > GETS_ASKED_MAX)
        return api_invalid (error, "gets_max is at most %d", GETS_ASKED_MAX);
    return WEIR_OK;
}

/* A client of the options, with its own key, and the keys read. */
static status_t open_client (const weir_options_t *options, client_t **client, error_t *error)
{
    status_t status = options->project
                          ? client_open (options->project, client, error)
                          : client_connect_any (options->coordinators, options->coordinators_count,
                                                options->cluster, options->keys, client, error);
    if (status != STATUS_OK)
        return status;
    client_t *self = *client;
    if (options->project && options->cluster) {
        mem_free (self->cluster);
        self->cluster = mem_string (options->cluster);
    }
    if (options->project && options->keys) {
        mem_free (self->keys);
        self->keys = mem_string (options->keys);
    }
    char *usual = self->keys ? mem_format ("%s/client.secret", self->keys) : NULL;
    client_use_key (self, options->key ? options->key : usual);
    mem_free (usual);
    status = client_check_keys (self, error);
    if (status != STATUS_OK)
        client_close (client);
    return status;
}

weir_status_t weir_open (const weir_options_t *options, weir_t **weir, weir_error_t *error)
{
    weir_options_t own;
    client_t *client;
    error_t why;
    if (!weir)
        return api_invalid (error, "weir_open takes a place for the handle");
    *weir = NULL;
    if (!api_options (&own, sizeof own, sizeof own, options))
        return api_invalid (error, "weir_options_init was not called for the options, or they are "
                                   "of a later version");
    weir_status_t checked = check_options (&own, error);
    if (checked != WEIR_OK)
        return checked;
    if (open_client (&own, &client, &why) != STATUS_OK)
        return api_fail (error, &why);
    weir_t *self = mem_zero (1, sizeof *self);
    self->magic = HANDLE_MAGIC;
    self->client = client;
    self->gets_max = own.gets_max > 0 ? own.gets_max : GETS_DEFAULT;
    self->gets = gets_new (client, self->gets_max, api_get_told, self);
    self->scratch = arena_new (SCRATCH_CHUNK);
    self->epoll = -1;
    self->timer = -1;
    *weir = self;
    return api_ok (error);
}

static told_t *take_told (weir_t *self)
{
    told_t *told = self->first;
    if (!told)
        return NULL;
    self->first = told->next;
    if (!self->first)
        self->last = NULL;
    self->told--;
    self->answers_told -= told->event.kind == WEIR_EVENT_ANSWER;
    if (told->sender && told->event.kind == WEIR_EVENT_ACK)
        api_sender_collected (told->sender);
    told->sender = NULL;
    told->next = NULL;
    return told;
}

void weir_close (weir_t **weir_p)
{
    weir_t *self = weir_p ? *weir_p : NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, HANDLE_MAGIC);
    *weir_p = NULL;
    api_senders_close (self);
    api_asks_close (self);
    gets_destroy (&self->gets);
    gets_destroy (&self->single);
    for (told_t *told; (told = take_told (self));) {
        weir_event_t *event = &told->event;
        weir_event_destroy (&event);
    }
    client_close (&self->client);
    arena_destroy (&self->scratch);
    if (self->timer >= 0)
        close (self->timer);
    if (self->epoll >= 0)
        close (self->epoll);
    self->magic = 0;
    mem_free (self);
}

/* ---- events ---- */

told_t *api_tell (weir_t *self, weir_event_kind_t kind, uint64_t tag, const error_t *error)
{
    told_t *told = mem_zero (1, sizeof *told);
    api_error (&told->error, error);
    told->event = (weir_event_t){
        .kind = kind, .status = told->error.status, .tag = tag, .error = &told->error
    };
    if (self->last)
        self->last->next = told;
    else
        self->first = told;
    self->last = told;
    self->told++;
    self->answers_told += kind == WEIR_EVENT_ANSWER;
    return told;
}

void api_forget_sender (weir_t *self, const weir_sender_t *sender)
{
    for (told_t *told = self->first; told; told = told->next)
        if (told->sender == sender)
            told->sender = NULL;
}

void weir_event_destroy (weir_event_t **event_p)
{
    if (!event_p || !*event_p)
        return;
    told_t *told = (told_t *)*event_p;
    *event_p = NULL;
    weir_answer_destroy (&told->event.answer);
    arena_destroy (&told->arena);
    mem_free (told);
}

/* ---- working ---- */

status_t api_work (weir_t *self, int64_t wait_ms, error_t *error)
{
    int64_t linger = api_senders_step (self) - session_now_ms ();
    if (wait_ms < 0 || wait_ms > WAIT_MAX_MS)
        wait_ms = WAIT_MAX_MS;
    if (linger < wait_ms)
        wait_ms = linger > 0 ? linger : 0;
    if (self->told > 0)
        wait_ms = 0;
    status_t status = session_pump (self->client, (int)wait_ms, error);
    api_senders_look (self);
    api_asks_sweep (self);
    return status;
}

weir_status_t weir_poll (weir_t *weir, int timeout_ms, weir_event_t **event, weir_error_t *error)
{
    error_t why;
    if (!weir || !event)
        return api_invalid (error, "weir_poll takes a handle and a place for the event");
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    int64_t now = session_now_ms (), deadline = now + timeout_ms;
    told_t *told = take_told (weir);
    status_t status = STATUS_OK;
    *event = NULL;
    for (bool once = true; status == STATUS_OK && !told; once = false) {
        int64_t left = timeout_ms < 0 ? WAIT_MAX_MS : deadline - now;
        if ((left <= 0 && !once) || (!once && weir_pending (weir) == 0))
            break;
        status = api_work (weir, weir_pending (weir) > 0 && left > 0 ? left : 0, &why);
        told = take_told (weir);
        now = session_now_ms ();
    }
    api_arm (weir);
    if (status != STATUS_OK)
        return api_fail (error, &why);
    *event = told ? &told->event : NULL;
    return api_ok (error);
}

size_t weir_pending (const weir_t *weir)
{
    if (!weir)
        return 0;
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    return gets_under_way (weir->gets) + weir->told + api_senders_pending (weir) +
           api_asks_pending (weir);
}

/* ---- somebody else's event loop ---- */

/* Those that were closed went by themselves. */
static void watch_descriptors (weir_t *self)
{
    int fds[TRANSPORT_OWN_FDS];
    uint64_t set;
    size_t count = transport_descriptors (self->client->transport, fds, TRANSPORT_OWN_FDS, &set);
    if (self->watched == set + 1)
        return;
    self->watched = set + 1;
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };
        (void)epoll_ctl (self->epoll, EPOLL_CTL_ADD, fds[i], &event); /* or it is there already */
    }
}

static void set_timer (weir_t *self, int64_t at_ms)
{
    struct itimerspec when = { .it_value = { .tv_sec = at_ms / 1000,
                                             .tv_nsec = at_ms % 1000 * 1000000 } };
    if (self->armed_ms == at_ms && at_ms > session_now_ms ())
        return;
    self->armed_ms = at_ms;
    CHECK (timerfd_settime (self->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

void api_arm (weir_t *self)
{
    if (self->epoll < 0)
        return;
    int64_t next = session_step (self->client);
    int64_t linger = api_senders_step (self);
    next = linger < next ? linger : next;
    api_senders_look (self);
    if (weir_pending (self) == 0)
        next = session_now_ms () + ARM_NEVER_MS;
    if (self->told > 0 || api_asks_untold (self) || transport_has_news (self->client->transport))
        next = 1; /* long ago: at once */
    watch_descriptors (self);
    set_timer (self, next > 0 ? next : 1);
}

int weir_fd (weir_t *weir)
{
    if (!weir)
        return -1;
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    if (weir->epoll < 0) {
        struct epoll_event event = { .events = EPOLLIN };
        int set = epoll_create1 (EPOLL_CLOEXEC);
        int timer = timerfd_create (CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        event.data.fd = timer;
        if (set < 0 || timer < 0 || epoll_ctl (set, EPOLL_CTL_ADD, timer, &event) != 0) {
            if (set >= 0)
                close (set);
            if (timer >= 0)
                close (timer);
            return -1;
        }
        weir->epoll = set;
        weir->timer = timer;
        api_arm (weir);
    }
    return weir->epoll;
}
