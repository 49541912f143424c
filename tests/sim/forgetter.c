/* Somebody who has entities erased, and waits until they are. */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/world.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FORGETS_AT_ONCE = 3 };

typedef struct asked {
    struct sim_forgetter *self;
    sim_forget_t *forget;            /* NULL: free */
    value_t values[DATA_FIELDS_MAX]; /* of the key: at the places of its fields */
} asked_t;

struct sim_forgetter {
    sim_t *sim;
    sim_client_t *client;
    bool stopped;
    asked_t asked[FORGETS_AT_ONCE];
};

static void ask (sim_t *sim, void *arg);
static void look (sim_t *sim, void *arg);

static void later (asked_t *asked, uint64_t least_ms, uint64_t most_ms,
                   void (*call) (sim_t *sim, void *arg))
{
    sim_t *sim = asked->self->sim;
    sim_at (sim, sim_now (sim) + (int64_t)sim_chosen (sim, least_ms, most_ms) * TIME_MS, call,
            asked);
}

/* ---- looking ---- */

static void looked (void *arg, const message_t *reply)
{
    asked_t *asked = arg;
    sim_t *sim = asked->self->sim;
    if (!reply || reply->kind != MESSAGE_FORGETS_OK) {
        if (client_may_retry (sim, "`forgets`", reply))
            later (asked, 100, 1000, look);
        return;
    }
    wire_list_t found = wire_list (reply->body, "forgets");
    if (found.count != 1) {
        sim_fail (sim, "forget %s was accepted, and is forgotten itself", asked->forget->id);
        return;
    }
    text_t state = wire_text (&found.items[0], "state");
    if (text_is (state, "failed"))
        sim_fail (sim, "forget %s failed", asked->forget->id);
    if (!text_is (state, "erased")) {
        later (asked, 100, 1000, look);
        return;
    }
    sim_log (sim, "forget %s is erased", asked->forget->id);
    if (wire_has (&found.items[0], "key"))
        sim_fail (sim, "forget %s is erased, and its key is told", asked->forget->id);
    asked->forget->erased = true;
    asked->forget->erased_at = sim_now (sim);
    check_erased (sim_check (sim), asked->forget, wire_uint (&found.items[0], "rows", 0));
    asked->forget = NULL;
    later (asked, 100, 20000, ask);
}

static void look (sim_t *sim, void *arg)
{
    asked_t *asked = arg;
    if (sim_finished (sim))
        return;
    wire_writer_t *writer = client_begin (asked->self->client, MESSAGE_FORGETS);
    wire_field_string (writer, "id", asked->forget->id);
    client_ask (asked->self->client, client_coordinator (asked->self->client), 2 * TIME_SECOND,
                looked, asked);
}

/* ---- asking ---- */

static void answered (void *arg, const message_t *reply)
{
    asked_t *asked = arg;
    bool taken = reply && reply->kind == MESSAGE_FORGET_OK;
    if (taken && asked->forget->taken == 0)
        asked->forget->taken = sim_now (asked->self->sim);
    if (taken)
        later (asked, 100, 1000, look);
    else if (client_may_retry (asked->self->sim, "a forget", reply))
        later (asked, 500, 500, ask);
}

static void choose (asked_t *asked)
{
    sim_t *sim = asked->self->sim;
    sim_check_t *check = sim_check (sim);
    sim_forget_t *forget = arena_zero (check_arena (check), 1, sizeof *forget);
    snprintf (forget->id, sizeof forget->id, "%016" PRIx64, sim_chosen (sim, 0, UINT64_MAX - 1));
    forget->stream = sim_chance (sim, 0.3) ? 1 : 0;
    forget->before = sim_chance (sim, 0.3)
                         ? sim_wall (sim) - (int64_t)sim_chosen (sim, 0, 20) * TIME_MINUTE
                         : INT64_MAX;
    data_key (check_data (check), sim, forget->stream, check_arena (check), asked->values,
              &forget->key);
    check_add_forget (check, forget);
    asked->forget = forget;
    sim_log (sim, "forget %s of %s", forget->id, check_data (check)->stream[forget->stream]->name);
}

static void ask (sim_t *sim, void *arg)
{
    asked_t *asked = arg;
    if (sim_finished (sim) || (!asked->forget && asked->self->stopped))
        return;
    if (!asked->forget)
        choose (asked);
    const sim_data_t *data = check_data (sim_check (sim));
    const keyed_log_t *log = &data->log[asked->forget->stream];
    wire_writer_t *writer = client_begin (asked->self->client, MESSAGE_FORGET);
    wire_field_string (writer, "stream", data->stream[asked->forget->stream]->name);
    wire_field_string (writer, "id", asked->forget->id);
    wire_field_map (writer, "key");
    for (size_t i = 0; i < log->key_count; i++) {
        wire_key (writer, log->stream->fields[log->key[i]].name);
        wire_put_value (writer, &asked->values[log->key[i]]);
    }
    wire_close (writer);
    if (asked->forget->before != INT64_MAX)
        wire_field_int (writer, "before", asked->forget->before);
    client_ask (asked->self->client, client_coordinator (asked->self->client), 2 * TIME_SECOND,
                answered, asked);
}

/* ---- life ---- */

sim_forgetter_t *forgetter_new (sim_t *sim)
{
    sim_forgetter_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->client = client_new (sim, "forgetter");
    return self;
}

void forgetter_destroy (sim_forgetter_t **self_p)
{
    sim_forgetter_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    client_destroy (&self->client);
    mem_free (self);
}

void forgetter_start (sim_forgetter_t *self)
{
    unsigned count = sim_knobs (self->sim)->forgets;
    for (unsigned i = 0; i < count && i < FORGETS_AT_ONCE; i++) {
        self->asked[i].self = self;
        later (&self->asked[i], 100, 20000, ask);
    }
}

void forgetter_stop (sim_forgetter_t *self)
{
    self->stopped = true;
}

bool forgetter_is_done (const sim_forgetter_t *self)
{
    for (size_t i = 0; i < FORGETS_AT_ONCE; i++)
        if (self->asked[i].forget)
            return false;
    return true;
}
