/* trial.h - one run in a process of its own, so that a run that dies or hangs is a run that failed.
 */
#ifndef WEIR_SIM_TRIAL_H
#define WEIR_SIM_TRIAL_H

#include "tests/sim/sim.h"

#include <sys/types.h>

typedef struct trial_result {
    bool ended; /* it came to its end, well or not; else it died, or hung */
    bool passed;
    char kind[512]; /* of a failure: what is the same for equal ones */
    char text[4096];
    uint64_t trace;
    size_t strikes_count;
    sim_strike_id_t strikes[SIM_STRIKES_MAX];
} trial_result_t;

typedef struct trial trial_t;

trial_t *trial_new (void);
void trial_destroy (trial_t **self_p);

/* Begins a run; nothing may be under way in this one. */
void trial_start (trial_t *self, const sim_setup_t *setup);
/* The process of the run under way; 0 for none. */
pid_t trial_process (const trial_t *self);
/* The process has ended with `status`, of wait(2). */
void trial_ended (trial_t *self, int status);
/* Ends it now. */
void trial_stop (trial_t *self);

/* Of the last run. Borrowed. */
const trial_result_t *trial_result (const trial_t *self);
const sim_setup_t *trial_setup (const trial_t *self);

/* Starts a run and waits for its end. */
const trial_result_t *trial_and_wait (trial_t *self, const sim_setup_t *setup);

/* Runs in this process. */
void trial_here (const sim_setup_t *setup, trial_result_t *result);

/* ---- shrink.c ---- */

/* Makes a failing run as small as it can within `tries` runs: fewer kinds of faults, less time,
 * fewer nodes and users, then single strikes; each with the same failure. Prints what it does, and
 * the setup that is left goes to `setup`, whose `only` is then the caller's to free with its items.
 */
void shrink (sim_setup_t *setup, unsigned tries);

/* The command line that runs the same again: what differs from what the seed chooses. */
void print_command (const sim_setup_t *setup, bool all_faults, int64_t active);

#endif
