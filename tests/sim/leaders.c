/* Several coordinators: the faults that are for them, and what must hold of those who lead: answers
 * go out in the order of terms, and no partition has two owners. */
#include "tests/sim/shadow.h"

#include "base/check.h"

#include <inttypes.h>
#include <string.h>

void leaders_stop (sim_t *self, random_t *random)
{
    size_t count = sim_count (self, ROLE_COORDINATOR);
    sim_node_t *node = sim_node (self, ROLE_COORDINATOR, random_below (random, count));
    uint64_t lease = (uint64_t)sim_knobs (self)->lease;
    int64_t time = (int64_t)(lease / 3 + random_below (random, 2 * lease));
    sim_log (self, "%s: stopped for %.3f s", node->name, (double)time / 1e6);
    node->paused_until = sim_now (self) + time;
}

const sim_node_t *leaders_any (sim_t *self, const sim_node_t *not_this)
{
    size_t count = sim_count (self, ROLE_COORDINATOR);
    for (;;) {
        const sim_node_t *node = sim_node (self, ROLE_COORDINATOR, sim_chosen (self, 0, count - 1));
        if (node != not_this || count == 1)
            return node;
    }
}

/* ---- what must hold ---- */

static sim_lease_t *lease_of (sim_check_t *self, const sim_node_t *node)
{
    sim_lease_t *lease = &self->leases[node->number];
    if (lease->incarnation != node->incarnation)
        *lease = (sim_lease_t){ .incarnation = node->incarnation };
    return lease;
}

/* A speed worker says what it holds: what has failed there it does not act for any more. */
void leaders_take_beat (sim_check_t *self, const sim_node_t *from, const message_t *message)
{
    sim_lease_t *lease = lease_of (self, from);
    lease->sent[message->id % LEASE_BEATS] = (sim_beat_t){ message->id, sim_now (self->sim) };
    wire_list_t held = wire_list (message->body, "partitions");
    for (uint32_t i = 0; i < held.count; i++) {
        uint64_t partition = wire_uint (&held.items[i], "partition", UINT64_MAX);
        uint64_t epoch = wire_uint (&held.items[i], "epoch", 0);
        bool released = text_is (wire_text (&held.items[i], "state"), "released");
        if (partition < SIM_PARTITIONS && epoch <= lease->let_go[partition] && !released)
            sim_fail (self->sim,
                      "%s has partition %" PRIu64 " with epoch %" PRIu64 ", which it had let go",
                      from->name, partition, epoch);
        if (partition >= SIM_PARTITIONS ||
            !text_is (wire_text (&held.items[i], "state"), "failed") ||
            epoch < lease->epoch[partition])
            continue;
        lease->epoch[partition] = 0;
        lease->failed[partition] = epoch;
    }
}

/* A coordinator answers a beat. */
void leaders_take_answer (sim_check_t *self, const sim_node_t *from, const wire_value_t *body)
{
    uint64_t term = wire_uint (body, "term", 0);
    if (term < self->term)
        sim_fail (self->sim,
                  "%s answers a beat in term %" PRIu64 ", after somebody did in %" PRIu64,
                  from->name, term, self->term);
    self->term = term;
}

static void check_alone (sim_check_t *self, const sim_node_t *owner, uint32_t partition)
{
    for (size_t i = 0; sim_node_at (self->sim, i); i++) {
        const sim_node_t *other = sim_node_at (self->sim, i);
        if (other == owner || other->role != ROLE_SPEED || !other->core)
            continue;
        const sim_lease_t *lease = lease_of (self, other);
        if (lease->epoch[partition] > 0 && sim_now (self->sim) < lease->until)
            sim_fail (self->sim,
                      "partition %u: %s gets it with epoch %" PRIu64 " while %s has it with epoch "
                      "%" PRIu64 " until %.6f",
                      partition, owner->name, self->leases[owner->number].epoch[partition],
                      other->name, lease->epoch[partition], (double)lease->until / 1e6);
    }
}

/* Orders reach a speed worker, which follows them as member.h says: it may act for what they list
 * until its lease ends. */
void leaders_take_orders (sim_check_t *self, const sim_node_t *to, const message_t *message)
{
    sim_lease_t *lease = lease_of (self, to);
    const sim_beat_t *beat = &lease->sent[message->id % LEASE_BEATS];
    uint64_t term = wire_uint (message->body, "term", 0);
    if (beat->id != message->id || term < lease->term)
        return;
    lease->term = term;
    int64_t until = beat->time + (int64_t)wire_uint (message->body, "lease_us", 0);
    if (until > lease->until)
        lease->until = until;
    if (message->id < lease->orders)
        return;
    lease->orders = message->id;
    uint64_t epochs[SIM_PARTITIONS] = { 0 };
    wire_list_t partitions = wire_list (message->body, "partitions");
    for (uint32_t i = 0; i < partitions.count; i++) {
        uint64_t partition = wire_uint (&partitions.items[i], "partition", UINT64_MAX);
        uint64_t epoch = wire_uint (&partitions.items[i], "epoch", 0);
        /* orders may be from before the failure, or a release, and come late */
        if (partition < SIM_PARTITIONS && epoch > lease->failed[partition] &&
            epoch > lease->let_go[partition])
            epochs[partition] = epoch;
    }
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
        if (lease->epoch[p] > 0 && epochs[p] == 0)
            lease->let_go[p] = lease->epoch[p];
    memcpy (lease->epoch, epochs, sizeof epochs);
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
        if (epochs[p] > 0 && sim_now (self->sim) < lease->until)
            check_alone (self, to, p);
}
