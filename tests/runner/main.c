/* The runner of tests in builds with sanitizers: each in a child process, as many at a time as
 * there are processors.
 *
 * usage: PROGRAM [--quiet] [TEXT]; only tests whose suite::name contains TEXT. Without --quiet the
 * processor time of those that take long is told. */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EXIT_SKIPPED = 77,
    SECONDS_MAX = 900,
    SLOWER = 10, /* what was measured without sanitizers takes as many times longer */
    JOBS_MAX = 16,
};

typedef struct job {
    pid_t child; /* 0: nobody */
    const criterion_test_t *test;
} job_t;

typedef struct tally {
    job_t jobs[JOBS_MAX];
    unsigned width; /* of jobs */
    unsigned running;
    unsigned tested;
    unsigned failed;
    unsigned skipped;
    bool quiet;
} tally_t;

static criterion_test_t *tests;
static bool expectation_failed;

void criterion_register (criterion_test_t *test)
{
    criterion_test_t **last = &tests;
    while (*last)
        last = &(*last)->next;
    *last = test;
}

void criterion_failed (const char *file, int line, bool fatal, const char *condition,
                       const char *format, ...)
{
    fprintf (stderr, "%s:%d: %s", file, line, condition);
    if (format) {
        va_list arguments;
        va_start (arguments, format);
        fprintf (stderr, ": ");
        vfprintf (stderr, format, arguments);
        va_end (arguments);
    }
    fprintf (stderr, "\n");
    expectation_failed = true;
    if (fatal)
        exit (EXIT_FAILURE);
}

void criterion_skip (const char *reason)
{
    fprintf (stderr, "skipped: %s\n", reason);
    exit (EXIT_SKIPPED);
}

static const criterion_options_t *suite_options (const char *suite)
{
    static const criterion_options_t none;
    for (const criterion_test_t *test = tests; test; test = test->next)
        if (!test->name && strcmp (test->suite, suite) == 0)
            return &test->options;
    return &none;
}

static void run_here (const criterion_test_t *test, const criterion_options_t *suite)
{
    double timeout = test->options.timeout > 0 ? test->options.timeout : suite->timeout;
    alarm (timeout > 0 ? (unsigned)(timeout * SLOWER) + 1 : SECONDS_MAX);
    if (suite->init)
        suite->init ();
    if (test->options.init)
        test->options.init ();
    test->run ();
    if (test->options.fini)
        test->options.fini ();
    if (suite->fini)
        suite->fini ();
    exit (expectation_failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- several at a time ---- */

static const char *name_of (const criterion_test_t *test)
{
    static char name[512];
    snprintf (name, sizeof name, "%s::%s", test->suite, test->name ? test->name : "");
    return name;
}

static void fail (tally_t *self, const criterion_test_t *test)
{
    self->failed++;
    fprintf (stderr, "[FAIL] %s\n", name_of (test));
}

/* True when it went as the test says that it must. */
static bool is_good (const criterion_test_t *test, int status)
{
    const criterion_options_t *suite = suite_options (test->suite);
    int wanted = test->options.signal ? test->options.signal : suite->signal;
    if (wanted)
        return WIFSIGNALED (status) && WTERMSIG (status) == wanted;
    if (WIFSIGNALED (status))
        fprintf (stderr, "ended by signal %d%s\n", WTERMSIG (status),
                 WTERMSIG (status) == SIGALRM ? ": it took too long" : "");
    return WIFEXITED (status) &&
           (WEXITSTATUS (status) == EXIT_SUCCESS || WEXITSTATUS (status) == EXIT_SKIPPED);
}

static void start (tally_t *self, const criterion_test_t *test)
{
    unsigned idle = 0;
    while (self->jobs[idle].child != 0)
        idle++;
    self->tested++;
    fflush (NULL);
    pid_t child = fork ();
    if (child == 0)
        run_here (test, suite_options (test->suite));
    if (child < 0) {
        perror ("starting a test");
        fail (self, test);
        return;
    }
    self->jobs[idle] = (job_t){ child, test };
    self->running++;
}

/* Waits for one of those that run. */
static void collect (tally_t *self)
{
    struct rusage usage;
    int status;
    unsigned which = 0;
    pid_t child = wait4 (-1, &status, 0, &usage);
    if (child < 0) {
        perror ("waiting for a test");
        abort ();
    }
    while (which < self->width && self->jobs[which].child != child)
        which++;
    if (which == self->width)
        return; /* nobody's: what a test left behind */
    const criterion_test_t *test = self->jobs[which].test;
    long seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    self->jobs[which].child = 0;
    self->running--;
    self->skipped += WIFEXITED (status) && WEXITSTATUS (status) == EXIT_SKIPPED;
    if (!is_good (test, status))
        fail (self, test);
    if (!self->quiet && seconds > 0)
        fprintf (stderr, "%5ld s  %s\n", seconds, name_of (test));
}

int main (int argc, char **argv)
{
    long processors = sysconf (_SC_NPROCESSORS_ONLN);
    tally_t tally = { .quiet = argc > 1 && strcmp (argv[1], "--quiet") == 0 };
    const char *part = argc > 1 + tally.quiet ? argv[1 + tally.quiet] : "";
    tally.width = processors < 1 ? 1 : processors > JOBS_MAX ? JOBS_MAX : (unsigned)processors;
    for (const criterion_test_t *test = tests; test; test = test->next) {
        if (!test->name || !strstr (name_of (test), part))
            continue;
        if (tally.running == tally.width)
            collect (&tally);
        start (&tally, test);
    }
    while (tally.running > 0)
        collect (&tally);
    if (!tally.quiet || tally.failed > 0)
        fprintf (stderr, "Tested: %u | Failing: %u | Skipped: %u\n", tally.tested, tally.failed,
                 tally.skipped);
    return tally.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
