/* weir-sim - runs seeds, several at a time, and says which fail and how to run them again. */
#include "tests/sim/trial.h"

#include "base/mem.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, SETS_MAX = 128, SHRINK_TRIES = 400, FAILED_MAX = 1000, SAY_EVERY = 60 };

typedef struct options {
    uint64_t seeds;
    uint64_t seed_base;
    double minutes;
    double soak; /* minutes of real time; 0: as many seeds as are asked for */
    unsigned jobs;
    bool verbose;
    bool trace; /* print each seed's trace */
    bool show;
    bool shrink;
    bool all_faults;
    bool keep_going;
    const char *sets[SETS_MAX];
    size_t sets_count;
    bool some_strikes;
    sim_strike_list_t strikes;
} options_t;

static const char usage[] =
    "weir-sim [--seeds N] [--seed-base B] [--minutes M] [--jobs J] [--all-faults] [--set "
    "KNOB=VALUE]...\n"
    "         [--strikes LIST] [--show | --shrink | --verbose] [--trace] [--keep-going] [--soak "
    "M]\n"
    "\n"
    "Runs N seeds from B on: each a cluster in one process on simulated time, network and disk,\n"
    "with faults for M simulated minutes (default 1), and held against the oracle. A seed that\n"
    "fails is printed with the command that runs it again; the exit status is then 1.\n"
    "\n"
    "  weir-sim --seeds 500              500 seeds, two at a time\n"
    "  weir-sim --seed-base 77 --verbose one seed, with everything that happens\n"
    "  weir-sim --seed-base 77 --show    what the seed turns on: knobs and their values\n"
    "  weir-sim --seed-base 77 --shrink  a run of it as small as can be that fails in the same "
    "way,\n"
    "                                    and the command line that runs exactly that\n"
    "  weir-sim --seed-base 77 --trace   a hash of all that happened: equal for equal seeds\n"
    "  weir-sim --soak 30                half an hour of fresh seeds, from the clock on; a line a\n"
    "                                    minute, and what failed in the end or after Ctrl-C\n"
    "\n"
    "  --all-faults                      every kind of fault in every seed\n"
    "  --set loss=0.1 --set speed=1      knobs that are not what the seed chooses (`--show`)\n"
    "  --strikes crash-speed:3,cut:0     only these strikes happen (`--verbose` says which do)\n"
    "  --keep-going                      run all seeds, even when some have failed\n";

static volatile sig_atomic_t interrupted;

static void on_interrupt (int number)
{
    (void)number;
    interrupted = 1;
}

static int64_t active_of (const options_t *options)
{
    return (int64_t)(options->minutes * (double)TIME_MINUTE);
}

static void setup_for (const options_t *options, uint64_t seed, sim_setup_t *setup)
{
    *setup = (sim_setup_t){ .seed = seed, .verbose = options->verbose };
    knobs_choose (&setup->knobs, seed, options->all_faults, active_of (options));
    for (size_t i = 0; i < options->sets_count; i++) {
        error_t error;
        if (knobs_set (&setup->knobs, options->sets[i], &error) == STATUS_OK)
            continue;
        fprintf (stderr, "weir-sim: --set %s: %s\n", options->sets[i], error.text);
        exit (2);
    }
    setup->only = options->some_strikes ? &options->strikes : NULL;
}

/* ---- one ---- */

static void shrink_and_say (const options_t *options, uint64_t seed)
{
    sim_setup_t setup;
    setup_for (options, seed, &setup);
    const sim_strike_list_t *given = setup.only;
    shrink (&setup, SHRINK_TRIES);
    printf ("  smallest: ");
    print_command (&setup, options->all_faults, active_of (options));
    if (setup.only != given) {
        mem_free (setup.only->items);
        mem_free ((void *)(uintptr_t)setup.only);
    }
}

static int run_one (const options_t *options)
{
    sim_setup_t setup;
    setup_for (options, options->seed_base, &setup);
    if (options->show) {
        printf ("seed %" PRIu64 "\n", setup.seed);
        knobs_print (&setup.knobs, stdout);
        return 0;
    }
    trial_result_t *result = mem_zero (1, sizeof *result);
    if (options->verbose) {
        trial_here (&setup, result);
    } else {
        trial_t *run = trial_new ();
        *result = *trial_and_wait (run, &setup);
        trial_destroy (&run);
    }
    bool passed = result->passed;
    if (!passed)
        printf ("seed %" PRIu64 " FAILED %s\n", setup.seed, result->text);
    if (options->trace)
        printf ("seed %" PRIu64 " trace %016" PRIx64 "\n", setup.seed, result->trace);
    mem_free (result);
    if (options->shrink)
        shrink_and_say (options, options->seed_base);
    return passed ? 0 : 1;
}

/* ---- many ---- */

typedef struct tally {
    uint64_t begun;
    uint64_t done;
    uint64_t failed;
    uint64_t failed_seeds[FAILED_MAX];
    time_t since;
    time_t said;
} tally_t;

static void say_failed (const options_t *options, const trial_t *run)
{
    const sim_setup_t *setup = trial_setup (run);
    printf ("seed %" PRIu64 " FAILED %s\n  again: ", setup->seed, trial_result (run)->text);
    sim_setup_t again = *setup;
    print_command (&again, options->all_faults, active_of (options));
    fflush (stdout);
}

/* Waits for one of the runs. */
static void collect (const options_t *options, trial_t **runs, tally_t *tally)
{
    int status = 0;
    pid_t process = wait (&status);
    for (unsigned i = 0; i < options->jobs && process > 0; i++) {
        if (trial_process (runs[i]) != process)
            continue;
        trial_ended (runs[i], status);
        tally->done++;
        uint64_t seed = trial_setup (runs[i])->seed;
        if (options->trace)
            printf ("seed %" PRIu64 " trace %016" PRIx64 "\n", seed, trial_result (runs[i])->trace);
        if (trial_result (runs[i])->passed)
            return;
        say_failed (options, runs[i]);
        if (tally->failed < FAILED_MAX)
            tally->failed_seeds[tally->failed] = seed;
        tally->failed++;
    }
}

static void say_rate (const options_t *options, tally_t *tally)
{
    time_t now = time (NULL);
    if (options->soak == 0 || now < tally->said + SAY_EVERY)
        return;
    tally->said = now;
    double minutes = (double)(now - tally->since) / 60;
    printf ("%.0f min: %" PRIu64 " seeds, %.1f a minute, %" PRIu64 " failed\n", minutes,
            tally->done, (double)tally->done / minutes, tally->failed);
    fflush (stdout);
}

static bool goes_on (const options_t *options, const tally_t *tally)
{
    if (interrupted || (tally->failed > 0 && !options->keep_going))
        return false;
    if (options->soak > 0)
        return (double)(time (NULL) - tally->since) < options->soak * 60;
    return tally->begun < options->seeds;
}

static unsigned count_running (const options_t *options, trial_t *const *runs)
{
    unsigned running = 0;
    for (unsigned i = 0; i < options->jobs; i++)
        running += trial_process (runs[i]) != 0;
    return running;
}

static void run_seeds (const options_t *options, trial_t **runs, tally_t *tally)
{
    for (;;) {
        unsigned running = count_running (options, runs);
        bool more = goes_on (options, tally);
        if (!more && running == 0)
            return;
        if (!more || running == options->jobs) {
            collect (options, runs, tally);
            say_rate (options, tally);
            continue;
        }
        trial_t **idle = runs;
        while (trial_process (*idle) != 0)
            idle++;
        sim_setup_t setup;
        setup_for (options, options->seed_base + tally->begun++, &setup);
        trial_start (*idle, &setup);
    }
}

static int run_all (const options_t *options)
{
    trial_t *runs[JOBS_MAX];
    for (unsigned i = 0; i < options->jobs; i++)
        runs[i] = trial_new ();
    tally_t *tally = mem_zero (1, sizeof *tally);
    tally->since = tally->said = time (NULL);
    signal (SIGINT, on_interrupt);
    run_seeds (options, runs, tally);
    for (unsigned i = 0; i < options->jobs; i++)
        trial_destroy (&runs[i]);
    double seconds = (double)(time (NULL) - tally->since);
    printf ("%" PRIu64 " seeds from %" PRIu64 " on: %" PRIu64 " failed\n", tally->done,
            options->seed_base, tally->failed);
    if (options->soak > 0)
        printf ("%.0f s, %.1f seeds a minute\n", seconds,
                seconds > 0 ? (double)tally->done * 60 / seconds : 0.0);
    bool failed = tally->failed > 0;
    uint64_t first = failed ? tally->failed_seeds[0] : 0;
    mem_free (tally);
    signal (SIGINT, SIG_DFL);
    if (failed && options->shrink)
        shrink_and_say (options, first);
    return failed ? 1 : 0;
}

/* ---- what is asked for ---- */

static bool parse_strikes (options_t *options, const char *text)
{
    options->some_strikes = true;
    if (strcmp (text, "none") == 0)
        return true;
    while (*text) {
        size_t word = strcspn (text, ":");
        sim_strike_t kind = strike_of (text, word);
        char *end = NULL;
        if (kind == STRIKES || text[word] != ':')
            return false;
        unsigned long number = strtoul (text + word + 1, &end, 10);
        if (end == text + word + 1 || (*end != ',' && *end != '\0'))
            return false;
        sim_strike_list_t *list = &options->strikes;
        list->items = mem_resize (list->items, list->count + 1, sizeof *list->items);
        list->items[list->count++] = (sim_strike_id_t){ kind, (uint32_t)number };
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

static bool take_option (options_t *options, int option)
{
    switch (option) {
    case 'n':
        options->seeds = strtoull (optarg, NULL, 10);
        return true;
    case 'b':
        options->seed_base = strtoull (optarg, NULL, 10);
        return true;
    case 'm':
        options->minutes = strtod (optarg, NULL);
        return true;
    case 'o':
        options->soak = strtod (optarg, NULL);
        options->keep_going = true;
        return options->soak > 0;
    case 'j':
        options->jobs = (unsigned)strtoul (optarg, NULL, 10);
        return true;
    case 's':
        if (options->sets_count == SETS_MAX)
            return false;
        options->sets[options->sets_count++] = optarg;
        return true;
    case 'x':
        return parse_strikes (options, optarg);
    case 'v':
        return options->verbose = true;
    case 't':
        return options->trace = true;
    case 'k':
        return options->keep_going = true;
    case 'w':
        return options->show = true;
    case 'r':
        return options->shrink = true;
    case 'a':
        return options->all_faults = true;
    default:
        return false;
    }
}

int main (int argc, char **argv)
{
    static const struct option known[] = { { "seeds", required_argument, NULL, 'n' },
                                           { "seed-base", required_argument, NULL, 'b' },
                                           { "minutes", required_argument, NULL, 'm' },
                                           { "jobs", required_argument, NULL, 'j' },
                                           { "soak", required_argument, NULL, 'o' },
                                           { "set", required_argument, NULL, 's' },
                                           { "strikes", required_argument, NULL, 'x' },
                                           { "verbose", no_argument, NULL, 'v' },
                                           { "trace", no_argument, NULL, 't' },
                                           { "keep-going", no_argument, NULL, 'k' },
                                           { "show", no_argument, NULL, 'w' },
                                           { "shrink", no_argument, NULL, 'r' },
                                           { "all-faults", no_argument, NULL, 'a' },
                                           { "help", no_argument, NULL, 'h' },
                                           { 0 } };
    options_t options = { .seeds = 1, .minutes = 1, .jobs = 2 };
    int option;
    while ((option = getopt_long (argc, argv, "h", known, NULL)) != -1)
        if (!take_option (&options, option)) {
            fputs (usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    if (options.jobs == 0 || options.jobs > JOBS_MAX || !(options.minutes > 0) || optind < argc) {
        fputs (usage, stderr);
        return 2;
    }
    if (options.soak > 0 && options.seed_base == 0)
        options.seed_base = (uint64_t)time (NULL) * 1000000;
    bool one = options.seeds == 1 && options.soak == 0;
    int status = one ? run_one (&options) : run_all (&options);
    mem_free (options.strikes.items);
    return status;
}
