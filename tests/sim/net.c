/* Messages on their way: late, lost, twice, out of order, or not at all between two nodes. */
#include "tests/sim/world.h"

#include "tests/sim/check.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct sim_net {
    sim_t *sim;
    int64_t cut_until[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
    int64_t slow_until[SIM_NODES_MAX][SIM_NODES_MAX];
    int64_t slow_by[SIM_NODES_MAX][SIM_NODES_MAX];
    int64_t last_arrival[SIM_NODES_MAX][SIM_NODES_MAX]; /* while messages keep their order */
};

typedef struct packet {
    sim_node_t *from;
    sim_node_t *to;
    uint64_t from_incarnation;
    uint64_t to_incarnation; /* of a reply, or once it has arrived: it finds nobody else */
    bool reply;
    bool arrived; /* at a process that is stopped */
    size_t size;
    uint8_t data[];
} packet_t;

sim_net_t *net_new (sim_t *sim)
{
    sim_net_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    return self;
}

void net_destroy (sim_net_t **self_p)
{
    mem_free (*self_p);
    *self_p = NULL;
}

void net_cut (sim_net_t *self, const sim_node_t *from, const sim_node_t *to, bool one_way,
              int64_t until)
{
    self->cut_until[from->number][to->number] = until;
    if (!one_way)
        self->cut_until[to->number][from->number] = until;
}

void net_slow (sim_net_t *self, const sim_node_t *from, const sim_node_t *to, int64_t by,
               int64_t until)
{
    self->slow_by[from->number][to->number] = by;
    self->slow_until[from->number][to->number] = until;
}

void net_heal (sim_net_t *self)
{
    memset (self->slow_until, 0, sizeof self->slow_until);
    memset (self->cut_until, 0, sizeof self->cut_until);
}

/* The return address of who asks: good as long as that process lives. */
static peer_t asker_of (const packet_t *packet)
{
    peer_t peer = { .incoming = 1 };
    int size = snprintf (peer.bytes, sizeof peer.bytes, "%zu.%" PRIu64, packet->from->number,
                         packet->from_incarnation);
    peer.size = (uint8_t)size;
    return peer;
}

static bool find_target (const sim_node_t *from, const peer_t *to, packet_t *packet)
{
    char text[PEER_SIZE_MAX + 1] = { 0 };
    memcpy (text, to->bytes, to->size);
    packet->reply = to->incoming;
    size_t number;
    if (to->incoming) {
        int found = sscanf (text, "%zu.%" SCNu64, &number, &packet->to_incarnation);
        CHECK (found == 2);
        packet->to = sim_node_at (from->sim, number);
    } else {
        packet->to = sim_node_of (from->sim, text);
    }
    return packet->to != NULL;
}

static void deliver (sim_t *sim, void *arg)
{
    packet_t *packet = arg;
    sim_node_t *to = packet->to;
    bool bound = packet->reply || packet->arrived;
    bool gone = !to->core || (bound && to->incarnation != packet->to_incarnation);
    if (sim_finished (sim) || gone) {
        mem_free (packet);
        return;
    }
    if (to->paused_until > sim_now (sim)) {
        packet->arrived = true; /* it waits with that process, and goes with it */
        packet->to_incarnation = to->incarnation;
        sim_at (sim, to->paused_until, deliver, packet);
        return;
    }
    sim_trace_add (sim, packet->data, packet->size);
    peer_t from = packet->reply ? peer_of_endpoint (packet->from->endpoint) : asker_of (packet);
    check_received (sim_check (sim), to, packet->data, packet->size);
    process_receive (to, &from, packet->data, packet->size);
    mem_free (packet);
}

static int64_t delay (sim_net_t *self, sim_node_t *from, sim_node_t *to)
{
    const sim_knobs_t *knobs = sim_knobs (self->sim);
    int64_t time = (int64_t)sim_chosen (self->sim, 100, 2000);
    bool calm = sim_healed (self->sim);
    if (!calm && sim_chance (self->sim, knobs->slow_message))
        time = (int64_t)sim_chosen (self->sim, 5, 4000) * TIME_MS;
    time += process_slowness (from) + process_slowness (to);
    if (self->slow_until[from->number][to->number] > sim_now (self->sim))
        time +=
            (int64_t)sim_chosen (self->sim, 0, (uint64_t)self->slow_by[from->number][to->number]);
    int64_t arrival = sim_now (self->sim) + time;
    int64_t *last = &self->last_arrival[from->number][to->number];
    if (!knobs->reorder && arrival <= *last)
        arrival = *last + 1;
    *last = arrival;
    return arrival;
}

static void post (sim_net_t *self, const packet_t *head, const void *data, size_t size)
{
    packet_t *packet = mem_alloc (sizeof *packet + size);
    *packet = *head;
    packet->size = size;
    memcpy (packet->data, data, size);
    sim_at (self->sim, delay (self, packet->from, packet->to), deliver, packet);
}

void net_send (sim_net_t *self, sim_node_t *from, const peer_t *to, const void *data, size_t size)
{
    const sim_knobs_t *knobs = sim_knobs (self->sim);
    packet_t head = { .from = from, .from_incarnation = from->incarnation };
    if (!find_target (from, to, &head))
        return;
    check_sent (sim_check (self->sim), from, head.to, data, size);
    bool calm = sim_healed (self->sim);
    if (!calm && self->cut_until[from->number][head.to->number] > sim_now (self->sim))
        return;
    if (!calm && sim_chance (self->sim, knobs->loss))
        return;
    post (self, &head, data, size);
    if (!calm && sim_chance (self->sim, knobs->duplicate))
        post (self, &head, data, size);
}
