/* weir-sim - runs seeds, several at a time, and says which fail and how to run them again. */
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64, REAL_SECONDS_MAX = 120 };

typedef struct options {
    uint64_t seeds;
    uint64_t seed_base;
    double minutes;
    unsigned jobs;
    bool verbose;
    bool trace; /* print each seed's trace */
    bool keep_going;
} options_t;

static const char usage[] =
    "weir-sim [--seeds N] [--seed-base B] [--minutes M] [--jobs J] [--verbose] [--trace]\n"
    "\n"
    "Runs N seeds from B on: each a cluster in one process on simulated time, network and disk,\n"
    "with faults for M simulated minutes (default 1), and held against the oracle. A seed that\n"
    "fails is printed with the command that runs it again; the exit status is then 1.\n"
    "\n"
    "  weir-sim --seeds 500              500 seeds, two at a time\n"
    "  weir-sim --seed-base 77 --verbose one seed, with everything that happens\n"
    "  weir-sim --seed-base 77 --trace   a hash of all that happened: equal for equal seeds\n"
    "  --keep-going                      run all seeds, even when some have failed\n";

static int run_seed (const options_t *options, uint64_t seed)
{
    alarm (REAL_SECONDS_MAX);
    sim_t *sim =
        sim_new (seed, (int64_t)(options->minutes * (double)TIME_MINUTE), options->verbose);
    bool passed = sim_run (sim);
    if (!passed) {
        printf ("seed %" PRIu64 " FAILED %s\n", seed, sim_failure (sim));
        fflush (stdout);
    }
    if (options->trace)
        printf ("seed %" PRIu64 " trace %016" PRIx64 "\n", seed, sim_trace (sim));
    sim_destroy (&sim);
    return passed ? 0 : 1;
}

/* Waits for one child; 1 when its seed failed. */
static unsigned collect (const options_t *options, pid_t *children, uint64_t *seeds)
{
    int status = 0;
    pid_t pid = wait (&status);
    for (unsigned i = 0; i < options->jobs; i++) {
        if (children[i] != pid)
            continue;
        children[i] = 0;
        if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
            return 0;
        if (WIFSIGNALED (status))
            printf ("seed %" PRIu64 " FAILED: ended by %s\n", seeds[i],
                    WTERMSIG (status) == SIGALRM ? "a deadline of real time: it hangs"
                                                 : strsignal (WTERMSIG (status)));
        printf ("  again: weir-sim --seed-base %" PRIu64 " --minutes %g --verbose\n", seeds[i],
                options->minutes);
        fflush (stdout);
        return 1;
    }
    return 0;
}

static int run_all (const options_t *options)
{
    pid_t children[JOBS_MAX] = { 0 };
    uint64_t seeds[JOBS_MAX];
    unsigned running = 0;
    uint64_t failed = 0;
    uint64_t next = 0;
    while (next < options->seeds || running > 0) {
        bool more = next < options->seeds && (failed == 0 || options->keep_going);
        if (!more && running == 0)
            break;
        if (!more || running == options->jobs) {
            failed += collect (options, children, seeds);
            running--;
            continue;
        }
        unsigned slot = 0;
        while (children[slot] != 0)
            slot++;
        seeds[slot] = options->seed_base + next++;
        fflush (stdout);
        pid_t pid = fork ();
        if (pid < 0) {
            perror ("weir-sim: fork");
            return 1;
        }
        if (pid == 0)
            exit (run_seed (options, seeds[slot]));
        children[slot] = pid;
        running++;
    }
    printf ("%" PRIu64 " seeds from %" PRIu64 " on: %" PRIu64 " failed\n", next, options->seed_base,
            failed);
    return failed ? 1 : 0;
}

int main (int argc, char **argv)
{
    static const struct option known[] = { { "seeds", required_argument, NULL, 'n' },
                                           { "seed-base", required_argument, NULL, 'b' },
                                           { "minutes", required_argument, NULL, 'm' },
                                           { "jobs", required_argument, NULL, 'j' },
                                           { "verbose", no_argument, NULL, 'v' },
                                           { "trace", no_argument, NULL, 't' },
                                           { "keep-going", no_argument, NULL, 'k' },
                                           { "help", no_argument, NULL, 'h' },
                                           { 0 } };
    options_t options = { .seeds = 1, .minutes = 1, .jobs = 2 };
    int option;
    while ((option = getopt_long (argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 'n':
            options.seeds = strtoull (optarg, NULL, 10);
            break;
        case 'b':
            options.seed_base = strtoull (optarg, NULL, 10);
            break;
        case 'm':
            options.minutes = strtod (optarg, NULL);
            break;
        case 'j':
            options.jobs = (unsigned)strtoul (optarg, NULL, 10);
            break;
        case 'v':
            options.verbose = true;
            break;
        case 't':
            options.trace = true;
            break;
        case 'k':
            options.keep_going = true;
            break;
        default:
            fputs (usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (options.jobs == 0 || options.jobs > JOBS_MAX || options.minutes <= 0) {
        fputs (usage, stderr);
        return 2;
    }
    return options.seeds == 1 ? run_seed (&options, options.seed_base) : run_all (&options);
}
