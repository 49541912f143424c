#include "tests/sim/trial.h"

#include "base/check.h"
#include "base/mem.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS_MAX = 120 }; /* of processor time: machines are busy at times */

struct trial {
    trial_result_t *result; /* shared with the process */
    sim_setup_t setup;
    pid_t process;
    int errors; /* what the process wrote to its standard error */
};

trial_t *trial_new (void)
{
    trial_t *self = mem_zero (1, sizeof *self);
    self->result = mmap (NULL, sizeof *self->result, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK (self->result != MAP_FAILED);
    self->errors = memfd_create ("weir-sim-errors", MFD_CLOEXEC);
    CHECK (self->errors >= 0);
    return self;
}

void trial_destroy (trial_t **self_p)
{
    trial_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    trial_stop (self);
    munmap (self->result, sizeof *self->result);
    close (self->errors);
    mem_free (self);
}

void trial_here (const sim_setup_t *setup, trial_result_t *result)
{
    sim_t *sim = sim_new (setup);
    result->passed = sim_run (sim);
    if (!result->passed) {
        snprintf (result->kind, sizeof result->kind, "%s", sim_failure_kind (sim));
        snprintf (result->text, sizeof result->text, "%s", sim_failure (sim));
    }
    result->trace = sim_trace (sim);
    sim_strike_list_t struck = sim_struck (sim);
    result->strikes_count = struck.count;
    if (struck.count > 0)
        memcpy (result->strikes, struck.items, struck.count * sizeof *struck.items);
    sim_destroy (&sim);
    result->ended = true; /* last: a run that dies while it is taken down has failed, too */
}

void trial_start (trial_t *self, const sim_setup_t *setup)
{
    CHECK (self->process == 0);
    self->setup = *setup;
    memset (self->result, 0, sizeof *self->result);
    int cut = ftruncate (self->errors, 0);
    CHECK (cut == 0 && lseek (self->errors, 0, SEEK_SET) == 0);
    fflush (stdout);
    pid_t process = fork ();
    CHECK (process >= 0);
    if (process == 0) {
        signal (SIGINT, SIG_IGN); /* who starts runs decides what ends with it */
        dup2 (self->errors, STDERR_FILENO);
        struct rlimit limit = { SECONDS_MAX, SECONDS_MAX + 1 };
        setrlimit (RLIMIT_CPU, &limit);
        trial_here (setup, self->result);
        _exit (0);
    }
    self->process = process;
}

pid_t trial_process (const trial_t *self)
{
    return self->process;
}

/* What it said last, as its failure; numbers and addresses differ from run to run. */
static void take_errors (trial_t *self, int status)
{
    trial_result_t *result = self->result;
    ssize_t size = pread (self->errors, result->text, sizeof result->text - 1, 0);
    result->text[size > 0 ? size : 0] = '\0';
    size_t length = strlen (result->text);
    while (length > 0 && result->text[length - 1] == '\n')
        result->text[--length] = '\0';
    if (length == 0)
        snprintf (result->text, sizeof result->text, "ended by %s",
                  WIFSIGNALED (status) && WTERMSIG (status) == SIGXCPU
                      ? "a limit of processor time: it hangs"
                      : strsignal (WIFSIGNALED (status) ? WTERMSIG (status) : 0));
    size_t kept = 0;
    for (size_t i = 0; result->text[i] && result->text[i] != '\n' && kept + 1 < sizeof result->kind;
         i++)
        if (!isxdigit ((unsigned char)result->text[i]))
            result->kind[kept++] = result->text[i];
    result->kind[kept] = '\0';
}

void trial_ended (trial_t *self, int status)
{
    self->process = 0;
    if (self->result->ended)
        return;
    self->result->passed = false;
    take_errors (self, status);
}

void trial_stop (trial_t *self)
{
    if (self->process == 0)
        return;
    kill (self->process, SIGKILL);
    int status;
    waitpid (self->process, &status, 0);
    self->process = 0;
}

const trial_result_t *trial_result (const trial_t *self)
{
    return self->result;
}

const sim_setup_t *trial_setup (const trial_t *self)
{
    return &self->setup;
}

const trial_result_t *trial_and_wait (trial_t *self, const sim_setup_t *setup)
{
    trial_start (self, setup);
    int status = 0;
    pid_t ended = waitpid (self->process, &status, 0);
    CHECK (ended == self->process);
    trial_ended (self, status);
    return self->result;
}
