/* Who leads (docs/coordination.md, Several coordinators): proving it, standing by, taking over. */
#include "coordinator/state.h"

#include <string.h>

/* How long one proof is good for. Shorter than the leases of nodes, so that who takes over finds
 * most of them good. */
static int64_t hold_of (int64_t lease)
{
    return lease / 2;
}

/* For how long nothing must have changed before somebody who stands by takes over: longer than a
 * proof is good for, by what two clocks may differ in speed. */
static int64_t wait_of (int64_t lease)
{
    return hold_of (lease) + hold_of (lease) / 4;
}

static bool is_ours (const coordinator_core_t *self, const catalog_leader_t *leader)
{
    return leader->name[0] != '\0' && strcmp (leader->name, self->options.node) == 0 &&
           strcmp (leader->endpoint, self->options.endpoint) == 0;
}

/* ---- leading ---- */

static bool renew (coordinator_core_t *self)
{
    leadership_t *lead = &self->lead;
    int64_t began = core_now (self);
    catalog_leader_t row;
    error_t error;
    status_t status = STATUS_OK;
    if (!lead->watched) { /* to read that nobody watches is enough: who begins to has to wait */
        status = catalog_leader (self->catalog, &row, &error);
        if (status == STATUS_OK && row.term != catalog_term (self->catalog))
            status = error_set (&error, STATUS_FENCED, "%s leads now (term %" PRIu64 ")", row.name,
                                row.term);
        lead->watched = status == STATUS_OK && row.watched;
    }
    bool shorter =
        lead->ready && lead->told_lease != self->options.lease && began >= lead->earlier_until;
    if (status == STATUS_OK && (lead->watched || shorter)) {
        int64_t lease = shorter ? self->options.lease : lead->told_lease;
        status = catalog_renew (self->catalog, lease, &error);
        if (status == STATUS_OK)
            lead->told_lease = lease;
    }
    lead->due = began + hold_of (self->options.lease) / 4;
    if (status == STATUS_OK) {
        lead->until = began + hold_of (self->options.lease);
        return core_now (self) < lead->until;
    }
    if (status == STATUS_FENCED)
        (void)core_failed (self, &error);
    else if (core_now (self) >= lead->until)
        self->problem = error;
    return false;
}

bool leader_confirm (coordinator_core_t *self)
{
    if (!self->lead.ready || self->fenced)
        return false;
    return core_now (self) < self->lead.until || renew (self);
}

/* Who has asked while we stood by is told to ask again: it knows nobody else who would answer. */
static void poke_askers (coordinator_core_t *self)
{
    leadership_t *lead = &self->lead;
    for (size_t i = 0; i < lead->askers_count; i++)
        nodes_poke_peer (self, &lead->askers[i], 0);
    mem_free (lead->askers);
    lead->askers = NULL;
    lead->askers_count = 0;
}

/* Makes memory from the catalog. Leases that the leader before gave run from here at the latest. */
static status_t make_ready (coordinator_core_t *self, error_t *error)
{
    leadership_t *lead = &self->lead;
    status_t status = core_restore (self, error);
    if (status != STATUS_OK) {
        self->problem = *error;
        self->reload_at = core_now (self) + RELOAD_INTERVAL;
        return status;
    }
    lead->ready = true;
    lead->earlier_until = core_now (self) + lease_drifted (lead->earlier_lease);
    if (self->version > 0) /* without definitions there was nothing to tell */
        self->promised = lead->earlier_until;
    poke_askers (self);
    return STATUS_OK;
}

/* Takes over from the leader that `seen` tells of, unless it is there after all. */
static status_t take_over (coordinator_core_t *self, const catalog_leader_t *seen, error_t *error)
{
    leadership_t *lead = &self->lead;
    int64_t longest = seen->lease > self->options.lease ? seen->lease : self->options.lease;
    catalog_leader_t next = { .lease = longest };
    memcpy (next.name, self->options.node, strlen (self->options.node) + 1);
    memcpy (next.endpoint, self->options.endpoint, strlen (self->options.endpoint) + 1);
    int64_t began = core_now (self);
    status_t status = catalog_lead (self->catalog, seen, &next, error);
    if (status != STATUS_OK)
        return status;
    lead->leads = true;
    lead->watched = false;
    lead->earlier_lease = longest;
    lead->told_lease = longest;
    lead->until = began + hold_of (self->options.lease);
    lead->due = began + hold_of (self->options.lease) / 4;
    self->routes_version = catalog_term (self->catalog) << 32; /* goes up over all terms */
    if (seen->term > 0)
        env_log (self->env, LOG_INFO, "leads from now on (term %" PRIu64 "), after %s",
                 catalog_term (self->catalog),
                 seen->name[0] != '\0' ? seen->name : "another coordinator");
    return make_ready (self, error);
}

/* Another leads: nothing of what was known here counts any more. */
static void step_down (coordinator_core_t *self)
{
    env_log (self->env, LOG_WARNING, "stands by from now on");
    core_forget_all (self);
    self->lead.leads = self->lead.ready = false;
    self->fenced = self->doubtful = false;
    self->task_block = 0;
    self->lead.seen = (catalog_leader_t){ 0 };
    self->lead.due = core_now (self);
}

static void go_on_leading (coordinator_core_t *self)
{
    int64_t now = core_now (self);
    error_t error;
    if (!self->lead.ready && now >= self->reload_at)
        (void)make_ready (self, &error);
    if (now >= self->lead.due)
        (void)renew (self);
}

/* ---- standing by ---- */

/* Begins to wait when the leader is known to have to write; from then on, each time it has. */
static status_t look (coordinator_core_t *self, error_t *error)
{
    leadership_t *lead = &self->lead;
    catalog_leader_t row;
    status_t status = catalog_leader (self->catalog, &row, error);
    if (status != STATUS_OK)
        return status;
    if (row.term == 0 || row.resigned || is_ours (self, &row))
        return take_over (self, &row, error); /* whoever it was, it is not there any more */
    bool same = row.watched && lead->seen.watched && row.term == lead->seen.term &&
                row.renewals == lead->seen.renewals;
    int64_t lease = row.lease > self->options.lease ? row.lease : self->options.lease;
    if (same && core_now (self) - lead->seen_at >= wait_of (lease))
        return take_over (self, &row, error);
    if (same)
        return STATUS_OK;
    if (!row.watched)
        status = catalog_watch (self->catalog, row.term, error);
    row.watched = status == STATUS_OK;
    lead->seen = row;
    lead->seen_at = core_now (self);
    return status;
}

/* The leader tells of those who stand by. */
static void beat (coordinator_core_t *self)
{
    leadership_t *lead = &self->lead;
    if (core_now (self) < lead->beat_due || lead->seen.endpoint[0] == '\0' ||
        self->options.endpoint[0] == '\0')
        return;
    lead->beat_due = core_now (self) + self->options.lease / 6;
    peer_t leader = peer_of_endpoint (lead->seen.endpoint);
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_BEAT, ++lead->beat_id);
    wire_field_string (writer, "node", self->options.node);
    wire_field_string (writer, "kind", role_word (ROLE_COORDINATOR));
    wire_field_uint (writer, "incarnation", self->incarnation);
    wire_field_string (writer, "cluster", self->options.cluster);
    wire_field_string (writer, "endpoint", self->options.endpoint);
    wire_field_uint (writer, "definitions", 0);
    core_say (self, &leader);
}

static void stand_by (coordinator_core_t *self)
{
    error_t error;
    int64_t now = core_now (self);
    if (now >= self->lead.due) {
        self->lead.due = now + hold_of (self->options.lease) / 8;
        status_t status = look (self, &error);
        if (status != STATUS_OK && status != STATUS_STALE) {
            if (self->problem.status == STATUS_OK)
                env_log (self->env, LOG_WARNING, "standing by: %s", error.text);
            self->problem = error;
        } else {
            error_clear (&self->problem);
        }
    }
    if (!self->lead.leads)
        beat (self);
}

void leader_settle (coordinator_core_t *self)
{
    if (self->fenced)
        step_down (self);
    if (self->lead.leads)
        go_on_leading (self);
    else
        stand_by (self);
}

status_t leader_start (coordinator_core_t *self, error_t *error)
{
    status_t status = look (self, error);
    if (status == STATUS_OK && !self->lead.leads)
        env_log (self->env, LOG_INFO, "stands by; %s at %s leads", self->lead.seen.name,
                 self->lead.seen.endpoint);
    return status == STATUS_STALE ? STATUS_OK : status;
}

void leader_refer (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    leadership_t *lead = &self->lead;
    wire_writer_t *writer = self->writer;
    if (!message_is_request (message->kind))
        return;
    bool known = !lead->leads && lead->seen.endpoint[0] != '\0';
    char *text =
        known ? mem_format ("%s stands by; %s at %s leads", self->options.node, lead->seen.name,
                            lead->seen.endpoint)
              : mem_format ("%s does not lead just now%s%s", self->options.node,
                            self->problem.status != STATUS_OK ? ": " : "", self->problem.text);
    wire_begin (writer, MESSAGE_ERROR, message->id);
    wire_field_string (writer, "status", status_word (STATUS_UNAVAILABLE));
    wire_field_string (writer, "text", text);
    wire_field_string (writer, "leader", known ? lead->seen.endpoint : "");
    core_say (self, from);
    mem_free (text);
    if (message->kind != MESSAGE_BEAT || lead->askers_count >= NODES_MAX)
        return;
    for (size_t i = 0; i < lead->askers_count; i++)
        if (peer_equal (&lead->askers[i], from))
            return;
    lead->askers = mem_resize (lead->askers, lead->askers_count + 1, sizeof *lead->askers);
    lead->askers[lead->askers_count++] = *from;
}
