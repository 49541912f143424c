/* The operator, and how a run goes from the first apply to the last answer. */
#include "tests/sim/clients.h"

#include "tests/sim/check.h"
#include "tests/sim/data.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum { RECOMPUTES_MAX = 16, TEXT_SIZE_MAX = 64 << 10 };

/* An apply that was under way for long must not undo a later one. */
#define APPLY_APART (8 * TIME_SECOND)

/* By when what serving nodes have answered is in their samples. */
#define KEPT_WITHIN (3 * TIME_SECOND)

/* How long a recompute may be building although one of two batch workers needs much longer for its
 * part, with what waits before it. */
#define STRAGGLER_MAX (25 * TIME_SECOND)

/* Simulated time from the last fault on by which everything must be well; and jobs that a batch
 * worker that stays slow may have besides, as nothing tells yet that it is: what it has in hand
 * when faults end, a load and its removal, of which too few were done to measure it by. */
#define HEAL_MAX (2 * TIME_MINUTE)
enum { HEAL_SLOW_JOBS = 3 };
/* And parts of training sets, which run one by one where folds do, with one fold before them: a set
 * that is under way then, and one that is made again. What they read stays until then, and an
 * erasure waits for it. */
enum { HEAL_TRAINED_JOBS = 2 * (SIM_PARTITIONS + 1) };
enum { WATCH_JOBS = 16 };

typedef enum phase {
    PHASE_APPLY,     /* the definitions are being applied */
    PHASE_ACTIVE,    /* faults and work */
    PHASE_DRAIN,     /* no more faults: what was begun must end */
    PHASE_RECOMPUTE, /* one more recompute must go through */
    PHASE_SETTLE,    /* and reach the serving nodes */
    PHASE_ASK,       /* every key */
    PHASE_WATCH,     /* and what was kept of all answers */
} phase_t;

struct sim_clients {
    sim_t *sim;
    sim_client_t *operator;
    sim_producer_t *producers[SIM_PRODUCERS_MAX];
    sim_querier_t *querier;
    sim_loader_t *loader;
    sim_forgetter_t *forgetter;
    sim_trainer_t *trainer;
    sim_watcher_t *watcher;
    phase_t phase;
    bool applying;      /* a later apply is on its way */
    unsigned steps;     /* that it is after */
    unsigned applied;   /* steps that have been applied */
    unsigned to_come;   /* steps that are still to be taken */
    int64_t apply_from; /* the next apply is not sent before */
    int64_t phase_since;
    uint64_t recomputes[RECOMPUTES_MAX];
    int64_t building[RECOMPUTES_MAX]; /* since when; 0: it is not */
    size_t recomputes_count;
    bool watched; /* the last round of the watcher has begun */
};

static void look (sim_t *sim, void *arg);

static void enter (sim_clients_t *self, phase_t phase)
{
    self->phase = phase;
    self->phase_since = sim_now (self->sim);
    sim_log (self->sim, "phase: %s", clients_waiting (self));
}

const char *clients_waiting (const sim_clients_t *self)
{
    switch (self->phase) {
    case PHASE_APPLY:
        return "the definitions to be applied";
    case PHASE_ACTIVE:
        return "the time of faults to be over";
    case PHASE_DRAIN:
        if (!loader_is_done (self->loader))
            return "a load to be visible";
        if (!forgetter_is_done (self->forgetter))
            return "an entity to be erased";
        if (!trainer_is_done (self->trainer))
            return "a training set to be made";
        return self->applying ? "a later apply to be done" : "all batches to be acknowledged";
    case PHASE_RECOMPUTE:
        return "a recompute to be published";
    case PHASE_SETTLE:
        return "serving nodes to take the new dataset";
    case PHASE_WATCH:
        return "kept answers to be computed again";
    default:
        return "complete answers for all keys";
    }
}

/* ---- applying ---- */

static void apply (sim_clients_t *self);

static void apply_call (sim_t *sim, void *arg)
{
    sim_clients_t *self = arg;
    if (sim_finished (sim))
        return;
    if (self->phase == PHASE_APPLY || self->applying)
        apply (self);
}

/* Takes some of the steps that are to come. */
static void step_call (sim_t *sim, void *arg)
{
    sim_clients_t *self = arg;
    if (sim_finished (sim) || self->phase != PHASE_ACTIVE || self->to_come == 0)
        return;
    if (!self->applying && sim_now (sim) >= self->apply_from) {
        unsigned some = self->to_come & (unsigned)sim_chosen (sim, 1, STEPS_ALL);
        self->to_come &= ~some;
        self->steps |= some;
        self->applying = some != 0;
        if (self->applying)
            apply (self);
    }
    sim_at (sim, sim_now (sim) + (int64_t)sim_chosen (sim, 1, 15) * TIME_SECOND, step_call, self);
}

static void begin_work (sim_clients_t *self)
{
    enter (self, PHASE_ACTIVE);
    for (size_t i = 0; i < SIM_PRODUCERS_MAX && self->producers[i]; i++)
        producer_start (self->producers[i]);
    querier_start (self->querier);
    loader_start (self->loader);
    forgetter_start (self->forgetter);
    trainer_start (self->trainer);
    watcher_start (self->watcher);
    const sim_knobs_t *knobs = sim_knobs (self->sim);
    if (knobs->second_apply)
        self->to_come |= sim_chance (self->sim, 0.5) ? STEP_VIEW : STEP_VIEW | STEP_KEY;
    if (knobs->evolves)
        self->to_come |= (unsigned)sim_chosen (self->sim, 1, STEPS_ALL) & ~(unsigned)STEP_VIEW;
    sim_at (self->sim,
            sim_now (self->sim) + (int64_t)sim_chosen (self->sim, 0, (uint64_t)knobs->active / 2),
            step_call, self);
}

/* By then no owner has a lease that it got before the apply: none refuses what is new. */
static void allow_call (sim_t *sim, void *arg)
{
    sim_clients_t *self = arg;
    if (!sim_finished (sim))
        check_allow (sim_check (sim), self->applied);
}

static void applied (void *arg, const message_t *reply)
{
    sim_clients_t *self = arg;
    if (reply && reply->kind == MESSAGE_APPLY_OK && self->phase == PHASE_APPLY) {
        begin_work (self);
    } else if (reply && reply->kind == MESSAGE_APPLY_OK) {
        sim_log (self->sim, "steps %x are applied", self->steps);
        self->applying = false;
        self->applied = self->steps;
        querier_steps (self->querier, self->applied);
        trainer_steps (self->trainer, self->applied);
        self->apply_from = sim_now (self->sim) + APPLY_APART;
        sim_at (self->sim, sim_now (self->sim) + sim_knobs (self->sim)->lease + 100 * TIME_MS,
                allow_call, self);
    } else if (client_may_retry (self->sim, "an apply", reply)) {
        sim_at (self->sim, sim_now (self->sim) + 300 * TIME_MS, apply_call, self);
    }
}

static void apply (sim_clients_t *self)
{
    buf_t text;
    buf_init (&text, TEXT_SIZE_MAX);
    data_definitions (self->steps, &text);
    wire_writer_t *writer = client_begin (self->operator, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    wire_open_map (writer);
    wire_field_string (writer, "name", "sim.yaml");
    wire_field_text (writer, "text", (text_t){ (char *)text.data, (uint32_t)text.size });
    wire_close (writer);
    wire_close (writer);
    client_ask (self->operator, client_coordinator (self->operator), TIME_SECOND, applied, self);
    buf_release (&text);
}

/* ---- recomputes ---- */

static void ignored (void *arg, const message_t *reply)
{
    sim_clients_t *self = arg;
    if (reply && reply->kind == MESSAGE_ERROR)
        (void)client_may_retry (self->sim, "a recompute", reply);
}

/* Now and then, without looking what becomes of it. */
static void recompute_call (sim_t *sim, void *arg)
{
    sim_clients_t *self = arg;
    if (sim_finished (sim) || sim_healed (sim))
        return;
    if (self->phase == PHASE_ACTIVE) {
        wire_writer_t *writer = client_begin (self->operator, MESSAGE_RECOMPUTE);
        if (sim_chance (sim, 0.5))
            wire_field_string (writer, "stream", sim_chance (sim, 0.5) ? "pay" : "tick");
        client_ask (self->operator, client_coordinator (self->operator), TIME_SECOND, ignored,
                    self);
    }
    sim_at (sim, sim_now (sim) + (int64_t)sim_chosen (sim, 1, 30) * TIME_SECOND, recompute_call,
            self);
}

static void recompute_begun (void *arg, const message_t *reply)
{
    sim_clients_t *self = arg;
    if (!reply || reply->kind != MESSAGE_RECOMPUTE_OK) {
        (void)client_may_retry (self->sim, "a recompute", reply);
        return;
    }
    wire_list_t ids = wire_list (reply->body, "ids");
    self->recomputes_count = 0;
    memset (self->building, 0, sizeof self->building);
    for (uint32_t i = 0; i < ids.count && i < RECOMPUTES_MAX; i++)
        self->recomputes[self->recomputes_count++] = wire_item_uint (&ids.items[i]);
    if (ids.count == 0)
        sim_fail (self->sim, "a recompute of everything recomputes nothing");
}

/* One of two batch workers is slow, and nothing else is: the other builds what it has not built.
 * What a recompute says that it waits for is something else. */
static void check_straggler (sim_clients_t *self, uint64_t id, bool building)
{
    size_t at = 0;
    while (at < self->recomputes_count && self->recomputes[at] != id)
        at++;
    if (at == self->recomputes_count || sim_knobs (self->sim)->slow_batch <= STRAGGLER_MAX)
        return;
    if (!building)
        self->building[at] = 0;
    else if (self->building[at] == 0)
        self->building[at] = sim_now (self->sim);
    else if (sim_now (self->sim) - self->building[at] > STRAGGLER_MAX)
        sim_fail (self->sim, "recompute %" PRIu64 " waits for a slow batch worker for %.0f s", id,
                  (double)STRAGGLER_MAX / 1e6);
}

static void recompute_seen (void *arg, const message_t *reply)
{
    sim_clients_t *self = arg;
    if (!reply || reply->kind != MESSAGE_RECOMPUTES_OK || self->phase != PHASE_RECOMPUTE)
        return;
    wire_list_t list = wire_list (reply->body, "recomputes");
    size_t published = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        text_t state = wire_text (&list.items[i], "state");
        published += text_is (state, "published") || text_is (state, "trimmed");
        check_straggler (self, wire_uint (&list.items[i], "id", 0),
                         text_is (state, "building") && !wire_has (&list.items[i], "error"));
        if (text_is (state, "failed"))
            sim_fail (self->sim, "a recompute failed after all faults: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (&list.items[i], "error")));
    }
    if (published >= self->recomputes_count && published > 0)
        enter (self, PHASE_SETTLE);
}

static void look_at_recompute (sim_clients_t *self)
{
    if (self->recomputes_count == 0) {
        client_begin (self->operator, MESSAGE_RECOMPUTE);
        client_ask (self->operator, client_coordinator (self->operator), TIME_SECOND,
                    recompute_begun, self);
        return;
    }
    wire_writer_t *writer = client_begin (self->operator, MESSAGE_RECOMPUTES);
    wire_field_list (writer, "ids");
    for (size_t i = 0; i < self->recomputes_count; i++)
        wire_put_uint (writer, self->recomputes[i]);
    wire_close (writer);
    client_ask (self->operator, client_coordinator (self->operator), TIME_SECOND, recompute_seen,
                self);
}

/* ---- the run ---- */

static bool is_drained (const sim_clients_t *self)
{
    for (size_t i = 0; i < SIM_PRODUCERS_MAX && self->producers[i]; i++)
        if (!producer_is_done (self->producers[i]))
            return false;
    return loader_is_done (self->loader) && forgetter_is_done (self->forgetter) &&
           trainer_is_done (self->trainer) && !self->applying;
}

static void stop_work (sim_clients_t *self)
{
    sim_heal (self->sim);
    for (size_t i = 0; i < SIM_PRODUCERS_MAX && self->producers[i]; i++)
        producer_stop (self->producers[i]);
    loader_stop (self->loader);
    forgetter_stop (self->forgetter);
    trainer_stop (self->trainer);
    enter (self, PHASE_DRAIN);
}

/* Recomputes that failed again and again of a bad disk are tried later and later: an operator who
 * has mended it does not wait. */
static void help_load (sim_clients_t *self, int64_t in_phase)
{
    bool bad_disks = sim_has_bad_disks (self->sim);
    if (!bad_disks || in_phase < HEAL_MAX / 4 ||
        (loader_is_done (self->loader) && forgetter_is_done (self->forgetter)))
        return;
    client_begin (self->operator, MESSAGE_RECOMPUTE);
    client_ask (self->operator, client_coordinator (self->operator), TIME_SECOND, ignored, self);
}

static void step (sim_clients_t *self)
{
    const sim_knobs_t *knobs = sim_knobs (self->sim);
    int64_t in_phase = sim_now (self->sim) - self->phase_since;
    switch (self->phase) {
    case PHASE_APPLY:
        break;
    case PHASE_ACTIVE:
        check_logs (sim_check (self->sim));
        if (in_phase > knobs->active)
            stop_work (self);
        break;
    case PHASE_DRAIN:
        if (is_drained (self))
            enter (self, PHASE_RECOMPUTE);
        else
            help_load (self, in_phase);
        break;
    case PHASE_RECOMPUTE:
        look_at_recompute (self);
        break;
    case PHASE_SETTLE:
        if (in_phase < 3 * knobs->lease)
            break;
        querier_ask_all (self->querier);
        enter (self, PHASE_ASK);
        break;
    case PHASE_ASK:
        if (querier_is_done (self->querier))
            enter (self, PHASE_WATCH);
        break;
    case PHASE_WATCH:
        if (in_phase < KEPT_WITHIN && sim_knobs (self->sim)->watch)
            break;
        if (!self->watched)
            watcher_look_at_all (self->watcher);
        self->watched = true;
        if (watcher_is_done (self->watcher)) {
            check_end (sim_check (self->sim));
            sim_log (self->sim, "%u answers of changes@v2 to who named no version",
                     querier_seconds (self->querier));
            sim_finish (self->sim);
        }
    }
    in_phase = sim_now (self->sim) - self->phase_since;
    int64_t slow = self->phase == PHASE_DRAIN ? HEAL_SLOW_JOBS * knobs->slow_batch : 0;
    if (self->phase == PHASE_DRAIN && knobs->trains)
        slow += HEAL_TRAINED_JOBS * knobs->slow_fold;
    if (self->phase == PHASE_WATCH) /* looks wait for folds */
        slow += WATCH_JOBS * (knobs->slow_batch + knobs->slow_fold);
    if (self->phase != PHASE_ACTIVE && in_phase > HEAL_MAX + slow)
        sim_fail (self->sim, "%.0f s without faults, and it still waits for %s",
                  (double)in_phase / 1e6, clients_waiting (self));
}

static void look (sim_t *sim, void *arg)
{
    sim_clients_t *self = arg;
    if (sim_finished (sim))
        return;
    step (self);
    sim_at (sim, sim_now (sim) + TIME_SECOND, look, self);
}

sim_clients_t *clients_new (sim_t *sim)
{
    sim_clients_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->operator= client_new (sim, "operator");
    for (unsigned i = 0; i < sim_knobs (sim)->producers; i++)
        self->producers[i] = producer_new (sim, i + 1);
    self->querier = querier_new (sim);
    self->loader = loader_new (sim);
    self->forgetter = forgetter_new (sim);
    self->trainer = trainer_new (sim);
    self->watcher = watcher_new (sim);
    sim_at (sim, 200 * TIME_MS, apply_call, self);
    sim_at (sim, TIME_SECOND, look, self);
    sim_at (sim, TIME_SECOND, recompute_call, self);
    return self;
}

void clients_destroy (sim_clients_t **self_p)
{
    sim_clients_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    client_destroy (&self->operator);
    for (size_t i = 0; i < SIM_PRODUCERS_MAX; i++)
        producer_destroy (&self->producers[i]);
    querier_destroy (&self->querier);
    loader_destroy (&self->loader);
    forgetter_destroy (&self->forgetter);
    trainer_destroy (&self->trainer);
    watcher_destroy (&self->watcher);
    mem_free (self);
}
