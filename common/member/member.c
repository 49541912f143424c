#include "member/member.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <inttypes.h>

enum {
    MEMBER_MAGIC = 0x4d454d42,
    BEATS_KEPT = 16, /* unanswered beats whose sending times are remembered */
    LEASE_FRACTION = 6,
    SOON_FRACTION = 4, /* of the interval, that a beat without answer puts off one wanted soon */
};

/* Before the first answer the lease's length is not known. */
#define FIRST_INTERVAL (200 * TIME_MS)
#define RETRY_INTERVAL (500 * TIME_MS)
#define BEAT_SPACING   (10 * TIME_MS) /* between beats, however soon the next is wanted */

typedef struct beat {
    uint64_t id;
    int64_t sent; /* boot µs */
} beat_t;

struct member {
    uint32_t magic;
    env_t *env;
    member_options_t options;
    member_ops_t ops;
    void *core;
    uint64_t incarnation;
    peer_t leader; /* the coordinator that answered last */
    uint64_t term; /* the highest in which orders came */
    uint64_t next_id;
    beat_t beats[BEATS_KEPT];
    uint64_t last_beat_id;
    uint64_t orders_id;  /* of the newest beat whose answer was taken as orders */
    int64_t interval;    /* µs between beats */
    int64_t last_beat;   /* boot µs of the latest */
    bool answered;       /* the latest */
    bool soon;           /* another is wanted before the interval is over */
    int64_t lease_until; /* boot µs; 0: never had one */
    uint64_t lapses;     /* answers that came when there was none */
    uint64_t mark;     /* of the latest poke that had one: whoever reads it in a beat knows that it
                          was sent after that */
    uint64_t fetch_id; /* of the outstanding `definitions`, 0 none */
    int64_t fetch_again; /* boot µs */
    uint64_t wanted;     /* version of the definitions in the latest orders */
    model_t *model;
    wire_writer_t *writer;
};

member_t *member_new (env_t *env, const member_options_t *options, const member_ops_t *ops,
                      void *core)
{
    member_t *self = mem_zero (1, sizeof *self);
    self->magic = MEMBER_MAGIC;
    self->env = env;
    self->options = *options;
    self->options.node = mem_string (options->node);
    self->options.kind = mem_string (options->kind);
    self->options.cluster = mem_string (options->cluster);
    self->options.endpoint = options->endpoint ? mem_string (options->endpoint) : NULL;
    CHECK (options->standbys_count <= MEMBER_STANDBYS_MAX);
    peer_t *standbys = mem_zero (options->standbys_count, sizeof *standbys);
    for (size_t i = 0; i < options->standbys_count; i++)
        standbys[i] = options->standbys[i];
    self->options.standbys = standbys;
    self->leader = options->coordinator;
    self->ops = *ops;
    self->core = core;
    self->incarnation = env->random (env) >> 1; /* stays positive in languages without uint64 */
    self->next_id = UINT64_C (1) << 40;         /* apart from the ids of the core it is in */
    self->interval = FIRST_INTERVAL;
    self->answered = true;
    self->soon = true;
    self->last_beat = env->boot_us (env) - BEAT_SPACING; /* the first is due at once */
    self->model = model_empty ();
    self->writer = wire_writer_new ();
    return self;
}

static void string_free (const char *string)
{
    mem_free ((void *)(uintptr_t)string);
}

void member_destroy (member_t **self_p)
{
    member_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, MEMBER_MAGIC);
    string_free (self->options.node);
    string_free (self->options.kind);
    string_free (self->options.cluster);
    string_free (self->options.endpoint);
    mem_free ((void *)(uintptr_t)self->options.standbys);
    model_unref (&self->model);
    wire_writer_destroy (&self->writer);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* To the coordinator that leads, or to all when it is not known which does. */
static void send_written (member_t *self, bool to_all)
{
    const void *data;
    size_t size;
    if (!wire_end (self->writer, &data, &size)) {
        env_log (self->env, LOG_ERROR, "a message to the coordinator is over the size limit");
        return;
    }
    if (!to_all) {
        self->env->send (self->env, &self->leader, data, size);
        return;
    }
    self->env->send (self->env, &self->options.coordinator, data, size);
    for (size_t i = 0; i < self->options.standbys_count; i++)
        self->env->send (self->env, &self->options.standbys[i], data, size);
}

static void send_beat (member_t *self, int64_t now)
{
    uint64_t id = self->next_id++;
    self->beats[id % BEATS_KEPT] = (beat_t){ .id = id, .sent = now };
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_BEAT, id);
    wire_field_string (writer, "node", self->options.node);
    wire_field_string (writer, "kind", self->options.kind);
    wire_field_uint (writer, "incarnation", self->incarnation);
    wire_field_string (writer, "cluster", self->options.cluster);
    if (self->options.place != 0)
        wire_field_uint (writer, "place", self->options.place);
    if (self->options.endpoint)
        wire_field_string (writer, "endpoint", self->options.endpoint);
    if (self->mark != 0)
        wire_field_uint (writer, "mark", self->mark);
    wire_field_uint (writer, "definitions", self->model->version);
    self->ops.fill_beat (self->core, writer);
    send_written (self, !self->answered);
    self->last_beat = now;
    self->last_beat_id = id;
    self->answered = false;
    self->soon = false;
}

/* A beat that is wanted soon waits for the answer to the one before, or for a part of the interval:
 * so a coordinator that is slow is not sent more beats than BEATS_KEPT remembers, whose answers
 * would then be no good for the lease. */
static int64_t beat_due (const member_t *self)
{
    int64_t wait = self->answered ? BEAT_SPACING : self->interval / SOON_FRACTION + BEAT_SPACING;
    return self->last_beat + (self->soon && wait < self->interval ? wait : self->interval);
}

static void fetch_definitions (member_t *self, int64_t now)
{
    self->fetch_id = self->next_id++;
    self->fetch_again = now + RETRY_INTERVAL;
    wire_begin (self->writer, MESSAGE_DEFINITIONS, self->fetch_id);
    send_written (self, false);
}

int64_t member_tick (member_t *self)
{
    CHECK_OBJECT (self, MEMBER_MAGIC);
    int64_t now = self->env->boot_us (self->env);
    if (now >= beat_due (self))
        send_beat (self, now);
    if (self->wanted <= self->model->version)
        return beat_due (self);
    if (now >= self->fetch_again)
        fetch_definitions (self, now);
    return beat_due (self) < self->fetch_again ? beat_due (self) : self->fetch_again;
}

void member_beat_soon (member_t *self)
{
    self->soon = true;
}

/* An answer of an earlier term counts for nothing, not even for the lease: who leads now may have
 * let go already what that one lists. */
static bool is_of_the_past (member_t *self, const peer_t *from, const message_t *message)
{
    uint64_t term = wire_uint (message->body, "term", 0);
    if (term < self->term)
        return true;
    if (term > self->term && self->term != 0)
        env_log (self->env, LOG_INFO, "another coordinator leads (term %" PRIu64 ")", term);
    self->term = term;
    self->leader = *from;
    return false;
}

static void take_orders (member_t *self, const peer_t *from, const message_t *message)
{
    beat_t *beat = &self->beats[message->id % BEATS_KEPT];
    if (beat->id != message->id || message->id == 0)
        return; /* an answer that was long under way */
    if (is_of_the_past (self, from, message))
        return;
    beat->id = 0;
    if (message->id == self->last_beat_id)
        self->answered = true;
    uint64_t granted = wire_uint (message->body, "lease_us", 0);
    if (granted == 0 || granted > TIME_HOUR)
        return;
    int64_t lease = (int64_t)granted;
    self->interval = lease / LEASE_FRACTION;
    if (!member_leased (self))
        self->lapses++;
    if (beat->sent + lease > self->lease_until)
        self->lease_until = beat->sent + lease;
    if (message->id < self->orders_id)
        return; /* overtaken by the answer to a later beat: what it orders is not in force any more
                 */
    self->orders_id = message->id;
    self->wanted = wire_uint (message->body, "definitions", 0);
    self->ops.orders (self->core, message->body);
}

static void take_definitions (member_t *self, const message_t *message)
{
    if (message->id != self->fetch_id)
        return;
    self->fetch_id = 0;
    if (wire_uint (message->body, "version", 0) <= self->model->version)
        return;
    model_t *model;
    error_t error;
    if (model_from_message (message->body, &model, &error) != STATUS_OK) {
        env_log (self->env, LOG_ERROR,
                 "this node does not understand the cluster's definitions (is it older than the "
                 "coordinator?): %s",
                 error.text);
        return; /* asks again after the retry interval */
    }
    self->fetch_again = 0;
    model_unref (&self->model);
    self->model = model;
    env_log (self->env, LOG_INFO, "definitions version %" PRIu64, model->version);
    self->ops.model (self->core, model);
    member_beat_soon (self);
}

const peer_t *member_coordinator (const member_t *self)
{
    return &self->leader;
}

bool member_is_coordinator (const member_t *self, const peer_t *peer)
{
    bool is = peer_equal (peer, &self->options.coordinator);
    for (size_t i = 0; i < self->options.standbys_count; i++)
        is = is || peer_equal (peer, &self->options.standbys[i]);
    return is;
}

/* Who was taken for the leader stands by, and says who leads. It is believed when we know that one.
 */
static void take_referral (member_t *self, const peer_t *from, const message_t *message)
{
    char endpoint[PEER_SIZE_MAX + 1];
    wire_copy (message->body, "leader", endpoint, sizeof endpoint);
    peer_t leader = peer_of_endpoint (endpoint);
    if (!peer_equal (from, &self->leader) || peer_equal (&leader, &self->leader) ||
        !member_is_coordinator (self, &leader))
        return;
    self->leader = leader;
    self->answered = true; /* it is known whom to ask */
    self->soon = true;
}

static void take_refusal (member_t *self, const peer_t *from, const message_t *message)
{
    if (wire_text (message->body, "leader").size > 0)
        take_referral (self, from, message);
    else if (peer_equal (from, &self->leader))
        env_log (self->env, LOG_WARNING, "the coordinator refused a beat: " TEXT_FORMAT,
                 TEXT_ARGS (wire_text (message->body, "text")));
}

bool member_receive (member_t *self, const peer_t *from, const message_t *message)
{
    CHECK_OBJECT (self, MEMBER_MAGIC);
    if (!member_is_coordinator (self, from))
        return false;
    switch (message->kind) {
    case MESSAGE_BEAT_OK:
        take_orders (self, from, message);
        return true;
    case MESSAGE_DEFINITIONS_OK:
        take_definitions (self, message);
        return true;
    case MESSAGE_POKE:
        if (wire_has (message->body, "mark"))
            self->mark = wire_uint (message->body, "mark", 0);
        member_beat_soon (self);
        return true;
    case MESSAGE_ERROR:
        if (self->beats[message->id % BEATS_KEPT].id != message->id)
            return false;
        take_refusal (self, from, message);
        return true;
    default:
        return false;
    }
}

uint64_t member_lapses (const member_t *self)
{
    return self->lapses;
}

bool member_leased (const member_t *self)
{
    return self->env->boot_us (self->env) < self->lease_until;
}

model_t *member_model (const member_t *self)
{
    return self->model;
}

bool member_model_current (const member_t *self)
{
    return self->model->version > 0 && self->model->version >= self->wanted;
}

const member_options_t *member_options (const member_t *self)
{
    return &self->options;
}

uint64_t member_incarnation (const member_t *self)
{
    return self->incarnation;
}
