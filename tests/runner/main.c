/* The runner of tests in builds with sanitizers: each in a child process, one after the other.
 *
 * usage: PROGRAM [--quiet] [TEXT]; only tests whose suite::name contains TEXT */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    EXIT_SKIPPED = 77,
    SECONDS_MAX = 900,
    SLOWER = 10, /* what was measured without sanitizers takes as many times longer */
};

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

/* True when it went as the test says that it must. */
static bool run (const criterion_test_t *test, unsigned *skipped)
{
    const criterion_options_t *suite = suite_options (test->suite);
    int wanted = test->options.signal ? test->options.signal : suite->signal;
    int status = 0;
    fflush (NULL);
    pid_t child = fork ();
    if (child == 0)
        run_here (test, suite);
    if (child < 0 || waitpid (child, &status, 0) != child) {
        perror ("running a test");
        return false;
    }
    *skipped += WIFEXITED (status) && WEXITSTATUS (status) == EXIT_SKIPPED;
    if (wanted)
        return WIFSIGNALED (status) && WTERMSIG (status) == wanted;
    if (WIFSIGNALED (status))
        fprintf (stderr, "ended by signal %d%s\n", WTERMSIG (status),
                 WTERMSIG (status) == SIGALRM ? ": it took too long" : "");
    return WIFEXITED (status) &&
           (WEXITSTATUS (status) == EXIT_SUCCESS || WEXITSTATUS (status) == EXIT_SKIPPED);
}

int main (int argc, char **argv)
{
    bool quiet = argc > 1 && strcmp (argv[1], "--quiet") == 0;
    const char *part = argc > 1 + quiet ? argv[1 + quiet] : "";
    unsigned tested = 0;
    unsigned failed = 0;
    unsigned skipped = 0;
    for (const criterion_test_t *test = tests; test; test = test->next) {
        char name[512];
        snprintf (name, sizeof name, "%s::%s", test->suite, test->name ? test->name : "");
        if (!test->name || !strstr (name, part))
            continue;
        tested++;
        if (!run (test, &skipped)) {
            failed++;
            fprintf (stderr, "[FAIL] %s\n", name);
        }
    }
    if (!quiet || failed > 0)
        fprintf (stderr, "Tested: %u | Failing: %u | Skipped: %u\n", tested, failed, skipped);
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
