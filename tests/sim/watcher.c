/* Somebody who has answers computed again that serving nodes kept: none may differ where it stood.
 */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/data.h"
#include "tests/sim/world.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 20, LAST_ROUND = DATA_VIEWS + 1 };

struct sim_watcher {
    sim_t *sim;
    sim_client_t *client;
    bool all; /* the last round: `left` of the views and the service are still to be looked at */
    size_t left;
    size_t next;       /* which is; the service is the last */
    uint64_t id;       /* of the look under way; 0: none */
    unsigned failed;   /* in a row */
    uint64_t compared; /* in the last round */
};

static void ask (sim_t *sim, void *arg);
static void look (sim_t *sim, void *arg);

static void later (sim_watcher_t *self, uint64_t least_ms, uint64_t most_ms,
                   void (*call) (sim_t *sim, void *arg))
{
    sim_t *sim = self->sim;
    sim_at (sim, sim_now (sim) + (int64_t)sim_chosen (sim, least_ms, most_ms) * TIME_MS, call,
            self);
}

static const char *name_of (const sim_watcher_t *self, size_t at)
{
    return at < DATA_VIEWS ? check_data (sim_check (self->sim))->view_name[at] : "pair";
}

static void go_on (sim_watcher_t *self)
{
    self->id = 0;
    self->failed = 0;
    self->next = self->next == DATA_VIEWS ? 0 : self->next + 1;
    if (!self->all)
        later (self, 1000, 15000, ask);
    else if (--self->left > 0)
        later (self, 1, 10, ask);
}

/* ---- what is told ---- */

static uint64_t number_in (const char *report, const char *name)
{
    const char *at = strstr (report, name);
    return at ? strtoull (at + strlen (name), NULL, 10) : UINT64_MAX;
}

static void check_report (sim_watcher_t *self, text_t text)
{
    char *report = mem_string_n (text.data, text.size);
    uint64_t compared = number_in (report, "\"compared\":");
    sim_log (self->sim, "skew: %.300s", report);
    if (number_in (report, "\"mismatches\":") != 0)
        sim_fail (self->sim, "answers are not what history gives where they stood: %.1200s",
                  report);
    if (number_in (report, "\"damaged\":") != 0)
        sim_fail (self->sim, "answers were kept that make no sense: %.300s", report);
    self->compared += compared;
    mem_free (report);
}

/* Disks that fail may fail a look, too; and one that was begun by a coordinator that is gone is not
 * known any more. */
static void try_again (sim_watcher_t *self)
{
    self->id = 0;
    if (++self->failed > TRIES_MAX && self->all)
        sim_fail (self->sim, "answers of %s cannot be looked at", name_of (self, self->next));
    later (self, 500, 2000, ask);
}

static void looked (void *arg, const message_t *reply)
{
    sim_watcher_t *self = arg;
    if (sim_finished (self->sim))
        return;
    if (reply && reply->kind == MESSAGE_ERROR && client_status (reply) == STATUS_NOT_FOUND) {
        try_again (self);
        return;
    }
    if (!reply || reply->kind != MESSAGE_SKEW_OK) {
        if (client_may_retry (self->sim, "a look at answers", reply))
            later (self, 100, 1000, look);
        return;
    }
    text_t state = wire_text (reply->body, "state");
    if (text_is (state, "running")) {
        later (self, 100, 1000, look);
    } else if (text_is (state, "failed")) {
        sim_log (self->sim, "the look failed: " TEXT_FORMAT,
                 TEXT_ARGS (wire_text (reply->body, "error")));
        try_again (self);
    } else {
        check_report (self, wire_text (reply->body, "report"));
        go_on (self);
    }
}

static void look (sim_t *sim, void *arg)
{
    sim_watcher_t *self = arg;
    if (sim_finished (sim))
        return;
    wire_writer_t *writer = client_begin (self->client, MESSAGE_SKEW);
    wire_field_uint (writer, "id", self->id);
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, looked, self);
}

/* ---- asking ---- */

static void asked (void *arg, const message_t *reply)
{
    sim_watcher_t *self = arg;
    if (sim_finished (self->sim))
        return;
    if (reply && reply->kind == MESSAGE_SKEW_OK) {
        self->id = wire_uint (reply->body, "id", 0);
        later (self, 10, 500, look);
    } else if (reply && client_status (reply) == STATUS_NOT_FOUND) {
        go_on (self); /* a view that comes later, or never */
    } else if (client_may_retry (self->sim, "a question about answers", reply)) {
        later (self, 500, 1500, ask);
    }
}

static void ask (sim_t *sim, void *arg)
{
    sim_watcher_t *self = arg;
    if (sim_finished (sim))
        return;
    wire_writer_t *writer = client_begin (self->client, MESSAGE_SKEW);
    wire_field_string (writer, "name", name_of (self, self->next));
    wire_field_int (writer, "since", 0);
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, asked, self);
}

/* ---- life ---- */

sim_watcher_t *watcher_new (sim_t *sim)
{
    if (!sim_knobs (sim)->watch)
        return NULL;
    sim_watcher_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->client = client_new (sim, "watcher");
    return self;
}

void watcher_destroy (sim_watcher_t **self_p)
{
    sim_watcher_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    client_destroy (&self->client);
    mem_free (self);
}

void watcher_start (sim_watcher_t *self)
{
    if (self)
        later (self, 5000, 20000, ask);
}

void watcher_look_at_all (sim_watcher_t *self)
{
    if (!self)
        return;
    self->all = true;
    self->left = LAST_ROUND;
    self->compared = 0;
}

bool watcher_is_done (const sim_watcher_t *self)
{
    if (self && self->all && self->left == 0 && self->compared == 0)
        sim_fail (self->sim, "no answer was kept that could be computed again");
    return !self || (self->all && self->left == 0);
}
