/* Shrinking: a run that fails made smaller, as long as it fails in the same way. First what leaves
 * most out, then one thing after the other (delta debugging, Zeller 2002, over kinds of faults and
 * over strikes). A smaller run is another run: what it leaves out changes the order of the rest. So
 * each is tried with a few salts, which give other runs of the same knobs. */
#include "tests/sim/trial.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SALTS = 3, KNOBS_MAX = 128 };

typedef struct shrinker {
    trial_t *run;
    sim_setup_t best; /* the smallest that fails */
    sim_strike_list_t only;
    char kind[512];
    char text[4096];
    unsigned tries; /* left */
    unsigned tried;
} shrinker_t;

/* Runs it; when it fails in the same way, it is the best from now on. */
static bool fails (shrinker_t *self, const sim_setup_t *setup)
{
    if (self->tries == 0)
        return false;
    self->tries--;
    self->tried++;
    const trial_result_t *result = trial_and_wait (self->run, setup);
    if (result->passed || strcmp (result->kind, self->kind) != 0)
        return false;
    self->best = *setup;
    snprintf (self->text, sizeof self->text, "%s", result->text);
    return true;
}

static bool fails_somehow (shrinker_t *self, sim_setup_t setup)
{
    uint64_t salt = setup.knobs.salt;
    for (uint64_t i = 0; i < SALTS; i++) {
        setup.knobs.salt = salt + i;
        if (fails (self, &setup))
            return true;
    }
    return false;
}

/* ---- knobs ---- */

static bool set (sim_setup_t *setup, const char *name, const char *value)
{
    char text[96];
    error_t error;
    sim_knobs_t before = setup->knobs;
    snprintf (text, sizeof text, "%s=%s", name, value);
    return knobs_set (&setup->knobs, text, &error) == STATUS_OK &&
           memcmp (&before, &setup->knobs, sizeof before) != 0;
}

/* Turns off some of a list of knobs; false when that changes nothing. */
static bool without (sim_setup_t *setup, const size_t *places, size_t count)
{
    bool changed = false;
    for (size_t i = 0; i < count; i++)
        changed |= set (setup, knobs_name (places[i]), "off");
    return changed;
}

static size_t faults_on (const shrinker_t *self, size_t *places)
{
    size_t count = 0;
    for (size_t i = 0; knobs_name (i); i++)
        if (knobs_is_fault (i) && knobs_is_on (&self->best.knobs, i))
            places[count++] = i;
    return count;
}

/* All kinds of faults off, then halves, quarters, single ones. */
static void fewer_kinds (shrinker_t *self)
{
    size_t places[KNOBS_MAX];
    size_t count = faults_on (self, places);
    for (size_t part = count; part > 0; part = part > 1 ? (part + 1) / 2 : 0)
        for (size_t from = 0; from < count; from += part) {
            sim_setup_t setup = self->best;
            size_t some = count - from < part ? count - from : part;
            if (without (&setup, places + from, some))
                fails_somehow (self, setup);
        }
}

static void fewer_users (shrinker_t *self)
{
    static const struct {
        const char *name;
        const char *value;
    } less[] = {
        { "evolves", "off" },     { "second-apply", "off" }, { "loads", "off" },
        { "unloads", "off" },     { "forgets", "0" },        { "recompute-every", "off" },
        { "wild-floats", "off" }, { "producers", "1" },      { "serving", "1" },
        { "batch", "1" },         { "speed", "1" },          { "speed", "2" },
        { "coordinators", "1" },  { "segment-size", "off" }, { "memory-limit", "268435456" }
    };
    for (size_t i = 0; i < sizeof less / sizeof *less; i++) {
        sim_setup_t setup = self->best;
        if (set (&setup, less[i].name, less[i].value))
            fails_somehow (self, setup);
    }
}

/* Half the time, and fewer events, as long as that goes. */
static void shorter (shrinker_t *self)
{
    while (self->best.knobs.active > TIME_SECOND) {
        sim_setup_t setup = self->best;
        setup.knobs.active /= 2;
        if (!fails_somehow (self, setup))
            break;
    }
    while (self->best.knobs.send_every < 5 * TIME_SECOND) {
        sim_setup_t setup = self->best;
        setup.knobs.send_every *= 2;
        if (!fails_somehow (self, setup))
            break;
    }
}

/* ---- strikes ---- */

static sim_strike_list_t copy_but (const sim_strike_list_t *list, size_t from, size_t count)
{
    sim_strike_list_t copy = { mem_zero (list->count + 1, sizeof *copy.items), 0 };
    for (size_t i = 0; i < list->count; i++)
        if (i < from || i >= from + count)
            copy.items[copy.count++] = list->items[i];
    return copy;
}

/* Fails without these? Then they are gone. */
static bool drop (shrinker_t *self, size_t from, size_t count)
{
    sim_strike_list_t fewer = copy_but (&self->only, from, count);
    sim_strike_list_t all = self->only;
    sim_setup_t setup = self->best;
    setup.only = &self->only;
    self->only = fewer;
    if (fails_somehow (self, setup)) {
        mem_free (all.items);
        return true;
    }
    self->only = all;
    mem_free (fewer.items);
    return false;
}

/* Those that happen in the best run. */
static bool take_strikes (shrinker_t *self)
{
    const trial_result_t *result = trial_and_wait (self->run, &self->best);
    if (result->passed || result->strikes_count == 0)
        return false;
    sim_strike_list_t list = { mem_zero (result->strikes_count, sizeof *list.items),
                               result->strikes_count };
    memcpy (list.items, result->strikes, list.count * sizeof *list.items);
    mem_free (self->only.items);
    self->only = list;
    self->best.only = &self->only;
    return true;
}

static void fewer_strikes (shrinker_t *self)
{
    if (!take_strikes (self))
        return;
    for (size_t part = self->only.count; part > 0; part = part > 1 ? (part + 1) / 2 : 0)
        for (size_t from = 0; from < self->only.count && self->tries > 0;) {
            size_t left = self->only.count - from;
            if (!drop (self, from, left < part ? left : part))
                from += part;
        }
}

/* ---- all ---- */

static void say (const shrinker_t *self, const char *after)
{
    size_t places[KNOBS_MAX];
    printf ("  %-14s %u runs: %zu kinds of faults, %.3g s, %u nodes, %u producers", after,
            self->tried, faults_on (self, places), (double)self->best.knobs.active / 1e6,
            self->best.knobs.nodes[ROLE_SPEED] + self->best.knobs.nodes[ROLE_BATCH] +
                self->best.knobs.nodes[ROLE_SERVING] + self->best.knobs.nodes[ROLE_COORDINATOR],
            self->best.knobs.producers);
    if (self->best.only)
        printf (", %zu strikes", self->only.count);
    printf ("\n");
    fflush (stdout);
}

void shrink (sim_setup_t *setup, unsigned tries)
{
    shrinker_t self = { .run = trial_new (), .best = *setup, .tries = tries };
    self.best.verbose = false;
    const trial_result_t *result = trial_and_wait (self.run, &self.best);
    if (result->passed) {
        printf ("  it does not fail: nothing to shrink\n");
        trial_destroy (&self.run);
        return;
    }
    snprintf (self.kind, sizeof self.kind, "%s", result->kind);
    snprintf (self.text, sizeof self.text, "%s", result->text);
    say (&self, "as it is");
    for (unsigned round = 0; round < 2 && self.tries > 0; round++) {
        fewer_kinds (&self);
        say (&self, "kinds");
        fewer_users (&self);
        say (&self, "users");
        shorter (&self);
        say (&self, "time");
        fewer_strikes (&self);
        say (&self, "strikes");
    }
    printf ("  fails: %s\n", self.text);
    trial_destroy (&self.run);
    *setup = self.best;
    if (!self.best.only)
        return;
    sim_strike_list_t *only = mem_zero (1, sizeof *only);
    *only = self.only;
    setup->only = only;
}

void print_command (const sim_setup_t *setup, bool all_faults, int64_t active)
{
    sim_knobs_t chosen;
    knobs_choose (&chosen, setup->seed, all_faults, active);
    bool fewer = false; /* kinds of faults than the seed turns on */
    for (size_t i = 0; knobs_name (i); i++)
        fewer |= knobs_is_fault (i) && knobs_is_on (&chosen, i) && !knobs_is_on (&setup->knobs, i);
    error_t error;
    if (fewer)
        fewer = knobs_set (&chosen, "faults=off", &error) == STATUS_OK;
    printf ("weir-sim --seed-base %" PRIu64, setup->seed);
    if (all_faults)
        printf (" --all-faults");
    if (active != TIME_MINUTE)
        printf (" --minutes %g", (double)active / (double)TIME_MINUTE);
    if (fewer)
        printf (" --set faults=off");
    for (size_t i = 0; knobs_name (i); i++) {
        char was[32];
        char is[32];
        knobs_value (&chosen, i, was);
        knobs_value (&setup->knobs, i, is);
        if (strcmp (was, is) != 0)
            printf (" --set %s=%s", knobs_name (i), is);
    }
    for (size_t i = 0; setup->only && i < setup->only->count; i++)
        printf ("%s%s:%" PRIu32, i == 0 ? " --strikes " : ",",
                strike_word (setup->only->items[i].kind), setup->only->items[i].number);
    if (setup->only && setup->only->count == 0)
        printf (" --strikes none");
    printf ("\n");
}
