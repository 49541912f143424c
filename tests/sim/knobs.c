/* What a run is like: chosen by the seed, shown, and set by name. */
#include "tests/sim/knobs.h"

#include "base/text.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

typedef enum knob_type { KNOB_COUNT, KNOB_SIZE, KNOB_TIME, KNOB_CHANCE, KNOB_FLAG } knob_type_t;

typedef struct knob {
    const char *name;
    size_t offset;
    knob_type_t type;
    bool fault;
    const char *is;
} knob_t;

#define AT(field) offsetof (sim_knobs_t, field)
#define DISK_KNOB(role, word, what)                                                                \
    {                                                                                              \
        "disk-" word "-" #what, AT (disk_faults[role].what), KNOB_CHANCE, true,                    \
            "of a " word " whose disk is bad"                                                      \
    }
#define DISK_KNOBS(role, word)                                                                     \
    DISK_KNOB (role, word, read_error), DISK_KNOB (role, word, write_error),                       \
        DISK_KNOB (role, word, no_space), DISK_KNOB (role, word, name_error),                      \
        DISK_KNOB (role, word, sync_error), DISK_KNOB (role, word, bit_flip)
#define STRIKE_KNOB(name, word, is) { word, AT (every[STRIKE_##name]), KNOB_TIME, true, is },

static const knob_t table[] = {
    SIM_STRIKES (STRIKE_KNOB){ "loss", AT (loss), KNOB_CHANCE, true, "of a message" },
    { "duplicate", AT (duplicate), KNOB_CHANCE, true, "of a message" },
    { "slow-message", AT (slow_message), KNOB_CHANCE, true, "that takes up to four seconds" },
    { "reorder", AT (reorder), KNOB_FLAG, true, "messages overtake each other" },
    { "slow-job", AT (slow_job), KNOB_CHANCE, true, "that takes up to three seconds" },
    { "slow-batch", AT (slow_batch), KNOB_TIME, true, "of each job of one of two batch workers" },
    { "slow-fold", AT (slow_fold), KNOB_TIME, true, "that a fold of layers takes at most" },
    { "skew", AT (skew), KNOB_TIME, true, "by which wall clocks are off" },
    { "drift", AT (drift), KNOB_COUNT, true, "µs a second by which wall clocks go wrong" },
    { "boot-drift", AT (boot_drift), KNOB_COUNT, true, "µs a second, of boot clocks" },
    { "forgetful", AT (forgetful), KNOB_TIME, true,
      "producers end, and go on with what they had saved" },
    { "ahead", AT (ahead), KNOB_FLAG, true, "the first producer sends ahead of its window" },
    { "untrue", AT (untrue), KNOB_FLAG, true,
      "the last one says that what is lost is acknowledged" },
    DISK_KNOBS (ROLE_COORDINATOR, "coordinator"),
    DISK_KNOBS (ROLE_SPEED, "speed"),
    DISK_KNOBS (ROLE_BATCH, "batch"),
    DISK_KNOBS (ROLE_SERVING, "serving"),
    { "coordinators", AT (nodes[ROLE_COORDINATOR]), KNOB_COUNT, false, "" },
    { "speed", AT (nodes[ROLE_SPEED]), KNOB_COUNT, false, "workers" },
    { "batch", AT (nodes[ROLE_BATCH]), KNOB_COUNT, false, "workers" },
    { "serving", AT (nodes[ROLE_SERVING]), KNOB_COUNT, false, "nodes" },
    { "producers", AT (producers), KNOB_COUNT, false, "" },
    { "send-every", AT (send_every), KNOB_TIME, false, "of each producer" },
    { "active", AT (active), KNOB_TIME, false, "faults and users go on for so long" },
    { "lease", AT (lease), KNOB_TIME, false, "" },
    { "recompute-every", AT (recompute_every), KNOB_TIME, false, "by the schedule" },
    { "fold-least", AT (fold_least), KNOB_SIZE, false, "rows that a recompute folds itself" },
    { "segment-size", AT (segment_size), KNOB_SIZE, false, "of logs; 0 is the default" },
    { "memory-limit", AT (memory_limit), KNOB_SIZE, false, "of a speed worker" },
    { "slow-max", AT (slow_max), KNOB_COUNT, false, "slow paths at once" },
    { "calm", AT (calm), KNOB_FLAG, false, "nothing may be refused or incomplete" },
    { "wild-floats", AT (wild_floats), KNOB_FLAG, false, "" },
    { "loads", AT (loads), KNOB_FLAG, false, "" },
    { "unloads", AT (unloads), KNOB_FLAG, false, "" },
    { "forgets", AT (forgets), KNOB_COUNT, false, "entities that are erased at a time" },
    { "trains", AT (trains), KNOB_FLAG, false, "training sets are made" },
    { "second-apply", AT (second_apply), KNOB_FLAG, false, "a later view, perhaps of a new key" },
    { "evolves", AT (evolves), KNOB_FLAG, false, "streams and views change on the way" },
    { "watch", AT (watch), KNOB_FLAG, false, "answers are kept, and computed again" },
    { "salt", AT (salt), KNOB_SIZE, false, "another run of the same knobs" },
};

enum { KNOBS = sizeof table / sizeof *table };

static const struct {
    const char *word;
} strikes[STRIKES] = {
#define STRIKE_WORD(name, word, is) { word },
    SIM_STRIKES (STRIKE_WORD)
#undef STRIKE_WORD
};

const char *strike_word (sim_strike_t strike)
{
    return strikes[strike].word;
}

sim_strike_t strike_of (const char *word, size_t size)
{
    for (size_t i = 0; i < STRIKES; i++)
        if (strlen (strikes[i].word) == size && memcmp (strikes[i].word, word, size) == 0)
            return (sim_strike_t)i;
    return STRIKES;
}

/* ---- values ---- */

static void *field_of (sim_knobs_t *self, const knob_t *knob)
{
    return (char *)self + knob->offset;
}

static double number_of (const sim_knobs_t *self, const knob_t *knob)
{
    const void *field = (const char *)self + knob->offset;
    switch (knob->type) {
    case KNOB_COUNT:
        return *(const unsigned *)field;
    case KNOB_SIZE:
        return (double)*(const uint64_t *)field;
    case KNOB_TIME:
        return (double)*(const int64_t *)field;
    case KNOB_CHANCE:
        return *(const double *)field;
    default:
        return *(const bool *)field;
    }
}

const char *knobs_name (size_t place)
{
    return place < KNOBS ? table[place].name : NULL;
}

bool knobs_is_fault (size_t place)
{
    return table[place].fault;
}

bool knobs_is_on (const sim_knobs_t *self, size_t place)
{
    return number_of (self, &table[place]) != 0;
}

void knobs_value (const sim_knobs_t *self, size_t place, char value[32])
{
    const knob_t *knob = &table[place];
    double number = number_of (self, knob);
    if (knob->type == KNOB_FLAG)
        snprintf (value, 32, "%s", number != 0 ? "on" : "off");
    else if (knob->type == KNOB_TIME && number != 0)
        snprintf (value, 32, "%.0fus", number);
    else
        snprintf (value, 32, "%.17g", number);
}

static bool parse_time (const char *text, int64_t *time, error_t *error)
{
    *time = 0;
    return strcmp (text, "0") == 0 || duration_parse (text_of (text), time, error) == STATUS_OK;
}

static bool parse_number (const char *text, double most, double *number, error_t *error)
{
    char *end = NULL;
    *number = strtod (text, &end);
    if (end != text && *end == '\0' && *number >= 0 && *number <= most)
        return true;
    error_set (error, STATUS_INVALID, "'%s' is not a number from 0 to %.0f", text, most);
    return false;
}

static bool set_value (sim_knobs_t *self, const knob_t *knob, const char *text, error_t *error)
{
    bool off = strcmp (text, "off") == 0;
    text = off ? "0" : text;
    double number = 0;
    switch (knob->type) {
    case KNOB_TIME:
        return parse_time (text, field_of (self, knob), error);
    case KNOB_FLAG:
        *(bool *)field_of (self, knob) = !off;
        if (!off && strcmp (text, "on") != 0)
            error_set (error, STATUS_INVALID, "'%s' is neither `on` nor `off`", text);
        return off || strcmp (text, "on") == 0;
    case KNOB_CHANCE:
        return parse_number (text, 1, field_of (self, knob), error);
    case KNOB_COUNT:
        if (!parse_number (text, 100000, &number, error))
            return false;
        *(unsigned *)field_of (self, knob) = (unsigned)number;
        return true;
    default:
        if (!parse_number (text, 1e15, &number, error))
            return false;
        *(uint64_t *)field_of (self, knob) = (uint64_t)number;
        return true;
    }
}

/* What a run cannot be without. */
static status_t check_sizes (const sim_knobs_t *self, error_t *error)
{
    for (sim_role_t role = 0; role < ROLE_CLIENT; role++)
        if (self->nodes[role] < 1 || self->nodes[role] > SIM_NODES_OF_ROLE_MAX)
            return error_set (error, STATUS_INVALID, "each role has from 1 to %d nodes",
                              SIM_NODES_OF_ROLE_MAX);
    if (self->producers > SIM_PRODUCERS_MAX)
        return error_set (error, STATUS_INVALID, "at most %d producers", SIM_PRODUCERS_MAX);
    if (self->lease <= 0 || self->active <= 0 || self->send_every <= 0 || self->slow_max == 0)
        return error_set (error, STATUS_INVALID,
                          "lease, active, send-every and slow-max are more than 0");
    return STATUS_OK;
}

status_t knobs_set (sim_knobs_t *self, const char *text, error_t *error)
{
    size_t size = strcspn (text, "=");
    if (strcmp (text, "faults=off") == 0) {
        for (size_t i = 0; i < KNOBS; i++)
            if (table[i].fault)
                (void)set_value (self, &table[i], "off", error);
        return STATUS_OK;
    }
    if (text[size] != '=')
        return error_set (error, STATUS_INVALID, "'%s' is not NAME=VALUE", text);
    for (size_t i = 0; i < KNOBS; i++) {
        if (strlen (table[i].name) != size || memcmp (table[i].name, text, size) != 0)
            continue;
        sim_knobs_t changed = *self;
        if (!set_value (&changed, &table[i], text + size + 1, error))
            return error_prefix (error, "%s", table[i].name);
        if (check_sizes (&changed, error) != STATUS_OK)
            return error->status;
        if (table[i].fault && knobs_is_on (&changed, i))
            changed.calm = false;
        *self = changed;
        return STATUS_OK;
    }
    return error_set (error, STATUS_INVALID, "'%.*s' is no knob; `weir-sim --show` lists them",
                      (int)size, text);
}

void knobs_print (const sim_knobs_t *self, FILE *out)
{
    for (size_t i = 0; i < KNOBS; i++) {
        const knob_t *knob = &table[i];
        char value[32];
        knobs_value (self, i, value);
        if (knob->type == KNOB_TIME)
            snprintf (value, sizeof value, "%.3fs", number_of (self, knob) / 1e6);
        else if (knob->type == KNOB_CHANCE)
            snprintf (value, sizeof value, "%.2f%%", number_of (self, knob) * 100);
        bool shown = knobs_is_on (self, i) || !knob->fault;
        if (shown)
            fprintf (out, "%-6s %-26s %14s  %s\n", knob->fault ? "fault" : "", knob->name, value,
                     knob->is);
    }
}

/* ---- choosing ---- */

/* The generator, and whether all faults are on. */
typedef struct choice {
    random_t random;
    bool all;
} choice_t;

static int64_t some_time (choice_t *choice, int64_t least, int64_t most)
{
    return least + (int64_t)random_below (&choice->random, (uint64_t)(most - least) + 1);
}

static unsigned some_count (choice_t *choice, unsigned least, unsigned most)
{
    return least + (unsigned)random_below (&choice->random, most - least + 1);
}

/* Drawn in any case, so that `all` changes nothing that was on without it. */
static bool is_on (choice_t *choice, double chance)
{
    bool on = random_chance (&choice->random, chance);
    return on || choice->all;
}

/* A mean interval with that chance, else never. */
static int64_t sometimes (choice_t *choice, double chance, int64_t least, int64_t most)
{
    int64_t interval = some_time (choice, least, most);
    return is_on (choice, chance) ? interval : 0;
}

static double some_chance (choice_t *choice, double chance, double most)
{
    double unit = random_unit (&choice->random);
    return is_on (choice, chance) ? most * unit : 0;
}

static void choose_disk (sim_knobs_t *self, choice_t *choice)
{
    self->every[STRIKE_BAD_DISK] = sometimes (choice, 0.3, 5 * TIME_SECOND, 30 * TIME_SECOND);
    sim_disk_faults_t *coordinator = &self->disk_faults[ROLE_COORDINATOR];
    coordinator->read_error = some_chance (choice, 0.3, 0.01);
    coordinator->write_error = some_chance (choice, 0.3, 0.02);
    coordinator->no_space = some_chance (choice, 0.3, 0.02);
    coordinator->name_error = some_chance (choice, 0.3, 0.02);
    coordinator->sync_error = some_chance (choice, 0.3, 0.02);
    sim_disk_faults_t *speed = &self->disk_faults[ROLE_SPEED];
    speed->read_error = some_chance (choice, 0.3, 0.02);
    speed->write_error = some_chance (choice, 0.5, 0.05);
    speed->no_space = some_chance (choice, 0.3, 0.05);
    speed->name_error = some_chance (choice, 0.3, 0.05);
    speed->sync_error = some_chance (choice, 0.5, 0.05);
    sim_disk_faults_t *batch = &self->disk_faults[ROLE_BATCH];
    batch->read_error = some_chance (choice, 0.3, 0.02);
    batch->write_error = some_chance (choice, 0.3, 0.02);
    batch->no_space = some_chance (choice, 0.3, 0.02);
    batch->name_error = some_chance (choice, 0.3, 0.02);
    batch->sync_error = some_chance (choice, 0.3, 0.02);
    batch->bit_flip = some_chance (choice, 0.3, 0.02);
    sim_disk_faults_t *serving = &self->disk_faults[ROLE_SERVING];
    serving->read_error = some_chance (choice, 0.5, 0.1);
    serving->bit_flip = some_chance (choice, 0.3, 0.1);
    self->every[STRIKE_DISK_FULL] = sometimes (choice, 0.15, 10 * TIME_SECOND, 40 * TIME_SECOND);
    self->every[STRIKE_ROT] = sometimes (choice, 0.15, 5 * TIME_SECOND, 30 * TIME_SECOND);
}

static void choose_processes (sim_knobs_t *self, choice_t *choice)
{
    int64_t *every = self->every;
    every[STRIKE_CRASH_COORDINATOR] = sometimes (choice, 0.4, 5 * TIME_SECOND, 40 * TIME_SECOND);
    every[STRIKE_CRASH_SPEED] = sometimes (choice, 0.5, 3 * TIME_SECOND, 30 * TIME_SECOND);
    every[STRIKE_CRASH_BATCH] = sometimes (choice, 0.4, 3 * TIME_SECOND, 30 * TIME_SECOND);
    every[STRIKE_CRASH_SERVING] = sometimes (choice, 0.4, 3 * TIME_SECOND, 30 * TIME_SECOND);
    every[STRIKE_PAUSE] = sometimes (choice, 0.4, 4 * TIME_SECOND, 30 * TIME_SECOND);
    every[STRIKE_POWER_CUT] = sometimes (choice, 0.25, 15 * TIME_SECOND, 60 * TIME_SECOND);
    every[STRIKE_SLOW_NODE] = sometimes (choice, 0.25, 8 * TIME_SECOND, 40 * TIME_SECOND);
    self->slow_job = some_chance (choice, 0.4, 0.2);
}

static void choose_network (sim_knobs_t *self, choice_t *choice)
{
    self->loss = some_chance (choice, 0.4, 0.1);
    self->duplicate = some_chance (choice, 0.3, 0.1);
    self->slow_message = some_chance (choice, 0.4, 0.05);
    self->reorder = is_on (choice, 0.3);
    self->every[STRIKE_CUT] = sometimes (choice, 0.4, 3 * TIME_SECOND, 20 * TIME_SECOND);
    self->every[STRIKE_SLOW_LINK] = sometimes (choice, 0.25, 5 * TIME_SECOND, 30 * TIME_SECOND);
}

static void choose_clocks (sim_knobs_t *self, choice_t *choice)
{
    self->skew = sometimes (choice, 0.5, 0, 5 * TIME_SECOND);
    int64_t jumps = sometimes (choice, 0.5, 5 * TIME_SECOND, 30 * TIME_SECOND);
    self->every[STRIKE_CLOCK_JUMP] = self->skew > 0 ? jumps : 0;
    self->drift = is_on (choice, 0.3) ? some_count (choice, 1, 50000) : 0;
    self->boot_drift = is_on (choice, 0.4) ? some_count (choice, 1, SIM_BOOT_DRIFT_MAX) : 0;
}

static void choose_users (sim_knobs_t *self, choice_t *choice)
{
    self->producers = some_count (choice, 1, 3);
    self->send_every = some_time (choice, 50 * TIME_MS, 500 * TIME_MS);
    self->wild_floats = is_on (choice, 0.3);
    self->loads = is_on (choice, 0.6);
    self->unloads = is_on (choice, 0.5);
    self->second_apply = is_on (choice, 0.6);
    self->evolves = is_on (choice, 0.5);
}

static void choose_sizes (sim_knobs_t *self, choice_t *choice)
{
    static const uint64_t segment_sizes[] = { 0, 512, 4096, 65536 };
    self->nodes[ROLE_SPEED] = some_count (choice, 2, 3);
    self->nodes[ROLE_BATCH] = some_count (choice, 1, 2);
    self->nodes[ROLE_SERVING] = some_count (choice, 1, 3);
    self->lease = some_time (choice, TIME_SECOND, 5 * TIME_SECOND);
    self->recompute_every = sometimes (choice, 0.6, 5 * TIME_SECOND, 20 * TIME_SECOND);
    int64_t memory = some_time (choice, 9 << 20, 14 << 20);
    self->memory_limit = random_chance (&choice->random, 0.2) ? (uint64_t)memory : 256 << 20;
    self->segment_size = segment_sizes[some_count (choice, 0, 3)];
    self->slow_max = some_count (choice, 1, 4);
}

/* Drawn last, so that it changes nothing else in a seed. */
static void choose_coordinators (sim_knobs_t *self, choice_t *choice)
{
    self->nodes[ROLE_COORDINATOR] = some_count (choice, 1, 3);
    int64_t stops = sometimes (choice, 0.6, 4 * TIME_SECOND, 20 * TIME_SECOND);
    self->every[STRIKE_STOP_COORDINATOR] = self->nodes[ROLE_COORDINATOR] > 1 ? stops : 0;
}

static void choose_folds (sim_knobs_t *self, choice_t *choice)
{
    static const uint64_t least[] = { 0, 0, 100, UINT64_C (1) << 40 };
    self->fold_least = least[some_count (choice, 0, 3)];
    self->slow_fold = sometimes (choice, 0.5, 5 * TIME_SECOND, 40 * TIME_SECOND);
}

/* A run in which nothing goes wrong. */
static void choose_calm (sim_knobs_t *self)
{
    sim_knobs_t calm = *self;
    calm.loss = calm.duplicate = calm.slow_message = calm.slow_job = 0;
    calm.reorder = false;
    memset (calm.every, 0, sizeof calm.every);
    calm.memory_limit = 256 << 20;
    calm.calm = true;
    *self = calm;
}

static void choose_manners (sim_knobs_t *self, choice_t *choice)
{
    int64_t forgetful = sometimes (choice, 0.4, 3 * TIME_SECOND, 20 * TIME_SECOND);
    bool ahead = is_on (choice, 0.3);
    bool untrue = is_on (choice, 0.3);
    self->forgetful = self->calm ? 0 : forgetful;
    self->ahead = ahead && !self->calm;
    self->untrue = untrue && !self->calm;
}

void knobs_choose (sim_knobs_t *self, uint64_t seed, bool all, int64_t active)
{
    choice_t choice = { .all = all };
    random_seed (&choice.random, seed);
    *self = (sim_knobs_t){ .active = active };
    choose_sizes (self, &choice);
    choose_processes (self, &choice);
    choose_network (self, &choice);
    choose_clocks (self, &choice);
    choose_disk (self, &choice);
    choose_users (self, &choice);
    choose_coordinators (self, &choice);
    if (random_chance (&choice.random, 0.1) && !all)
        choose_calm (self);
    /* last: so that the rest of a seed is as it was before there was this */
    unsigned forgets = some_count (&choice, 1, 3);
    self->forgets = is_on (&choice, 0.6) ? forgets : 0;
    int64_t splits = sometimes (&choice, 0.25, 8 * TIME_SECOND, 40 * TIME_SECOND);
    self->every[STRIKE_SPLIT] = self->calm ? 0 : splits;
    int64_t slow = sometimes (&choice, 0.25, 30 * TIME_SECOND, 40 * TIME_SECOND);
    self->slow_batch = self->calm || self->nodes[ROLE_BATCH] < 2 ? 0 : slow;
    choose_folds (self, &choice);
    choose_manners (self, &choice);
    self->trains = is_on (&choice, 0.5);
    self->watch = is_on (&choice, 0.5);
}
