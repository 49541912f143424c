/* weir generate - made-up events. */
#include "client/cli/command.h"
#include "client/cli/payments.h"
#include "client/cli/terminal.h"

#include "base/civil.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUT_SIZE = 1 << 16, OUT_MAX = 1 << 20, DEFAULT_EVENTS = 100000, DEFAULT_USERS = 1000 };
enum { RATE_MOST = 1000000 };

typedef struct wanted {
    const char *events, *users, *seed, *from, *until, *format, *rate, *path;
    bool live;
    payments_options_t options;
    int64_t per_second;
} wanted_t;

static bool read_time (const call_t *call, const char *option, const char *text, int64_t now,
                       int64_t *time)
{
    error_t error;
    if (time_parse_argument (text_of (text), now, time, &error) == STATUS_OK && *time >= 0 &&
        *time <= TIME_EVENT_MAX)
        return true;
    (void)call_usage (call, "--%s: \"%s\" is no time from 1970 on", option, text);
    return false;
}

static bool read_span (const call_t *call, wanted_t *wanted)
{
    int64_t now = clock_us ();
    payments_options_t *options = &wanted->options;
    options->until = floor_divide (now, TIME_DAY) * TIME_DAY;
    if (wanted->until && !read_time (call, "until", wanted->until, now, &options->until))
        return false;
    options->from = options->until - 30 * TIME_DAY;
    if (wanted->from && !read_time (call, "from", wanted->from, now, &options->from))
        return false;
    if (options->from >= 0 && options->from < options->until)
        return true;
    (void)call_usage (call, "--from must be before --until");
    return false;
}

static bool read_wanted (const call_t *call, wanted_t *wanted)
{
    payments_options_t *options = &wanted->options;
    int64_t number = DEFAULT_EVENTS;
    if (strcmp (call->words[0], "payments") != 0) {
        (void)call_usage (call,
                          "there is nothing known about \"%s\"; what can be generated is "
                          "payments",
                          call->words[0]);
        return false;
    }
    if (wanted->events && !call_number (call, "events", wanted->events, INT64_MAX, &number))
        return false;
    options->events = wanted->live && !wanted->events ? UINT64_MAX : (uint64_t)number;
    number = DEFAULT_USERS;
    if (wanted->users && !call_number (call, "users", wanted->users, PAYMENTS_USERS_MAX, &number))
        return false;
    options->users = (uint32_t)number;
    number = 1;
    if (wanted->seed && !number_parse_int (text_of (wanted->seed), &number)) {
        (void)call_usage (call, "--seed takes a number, not \"%s\"", wanted->seed);
        return false;
    }
    options->seed = (uint64_t)number;
    wanted->per_second = 10;
    if (wanted->rate && !call_number (call, "rate", wanted->rate, RATE_MOST, &wanted->per_second))
        return false;
    if (wanted->rate && !wanted->live) {
        (void)call_usage (call, "--rate is for --live");
        return false;
    }
    options->format =
        wanted->format && strcmp (wanted->format, "ndjson") == 0 ? FORMAT_NDJSON : FORMAT_CSV;
    if (wanted->format && options->format == FORMAT_CSV && strcmp (wanted->format, "csv") != 0) {
        (void)call_usage (call, "--format is csv or ndjson, not \"%s\"", wanted->format);
        return false;
    }
    return read_span (call, wanted);
}

static status_t flush (int fd, buf_t *out, error_t *error)
{
    for (size_t at = 0; at < out->size;) {
        ssize_t wrote = write (fd, out->data + at, out->size - at);
        if (wrote < 0 && errno != EINTR)
            return error_set_errno (error, errno, "the output could not be written");
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    buf_clear (out);
    return STATUS_OK;
}

static status_t all (payments_t *payments, const payments_options_t *options, int fd, buf_t *out,
                     error_t *error)
{
    status_t status = STATUS_OK;
    for (uint64_t made = 1; status == STATUS_OK && payments_next (payments, out); made++) {
        if (out->size < OUT_SIZE)
            continue;
        status = flush (fd, out, error);
        progress ("%" PRIu64 " of %" PRIu64 " events", made, options->events);
    }
    return status == STATUS_OK ? flush (fd, out, error) : status;
}

/* Event times are the clock's: what is due since the last look is written together. */
static status_t live (payments_t *payments, const wanted_t *wanted, int fd, buf_t *out,
                      error_t *error)
{
    int64_t start = monotonic_ms ();
    uint64_t made = 0;
    status_t status = flush (fd, out, error);
    while (status == STATUS_OK && made < wanted->options.events) {
        int64_t elapsed = monotonic_ms () - start;
        uint64_t due = (uint64_t)elapsed * (uint64_t)wanted->per_second / 1000 + 1;
        for (; made < due && made < wanted->options.events && out->size < OUT_SIZE; made++)
            payments_next_at (payments, clock_us (), out);
        status = flush (fd, out, error);
        if (made == due)
            wait_ms (wanted->per_second > 100 ? 10 : (int)(1000 / wanted->per_second));
    }
    return status;
}

/* What is not whole is removed; but no device or pipe. Live events are whole wherever they end. */
static bool is_file (int fd)
{
    struct stat about;
    return fstat (fd, &about) == 0 && S_ISREG (about.st_mode);
}

static status_t generate (const wanted_t *wanted, error_t *error)
{
    int fd = STDOUT_FILENO;
    bool removes = false;
    if (wanted->path && strcmp (wanted->path, "-") != 0) {
        fd = open (wanted->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
            return error_set_errno (error, errno, "%s", wanted->path);
        removes = is_file (fd) && !wanted->live;
        interrupt_removes (removes ? wanted->path : NULL);
    }
    buf_t out;
    buf_init (&out, OUT_MAX);
    payments_t *payments = payments_new (&wanted->options);
    payments_header (payments, &out);
    status_t status = wanted->live ? live (payments, wanted, fd, &out, error)
                                   : all (payments, &wanted->options, fd, &out, error);
    payments_destroy (&payments);
    buf_release (&out);
    if (fd != STDOUT_FILENO && close (fd) != 0 && status == STATUS_OK)
        status = error_set_errno (error, errno, "%s", wanted->path);
    if (status != STATUS_OK && removes)
        (void)unlink (wanted->path);
    progress_end ();
    return status;
}

static int run (call_t *call)
{
    wanted_t wanted = { 0 };
    const option_spec_t specs[] = {
        { 'n', "events", "N", "how many (default: 100000; live: no end)", &wanted.events, NULL },
        { 0, "users", "N", "how many users there are (default: 1000)", &wanted.users, NULL },
        { 0, "seed", "S", "another seed, other events (default: 1)", &wanted.seed, NULL },
        { 0, "from", "TIME", "the first (default: 30 days before the last)", &wanted.from, NULL },
        { 0, "until", "TIME", "before this (default: last midnight, UTC)", &wanted.until, NULL },
        { 'f', "format", "FORMAT", "csv (default) or ndjson", &wanted.format, NULL },
        { 'o', "output", "FILE", "instead of stdout", &wanted.path, NULL },
        { 0, "live", NULL, "as time passes, with the clock's times", NULL, &wanted.live },
        { 0, "rate", "N", "events per second, live (default: 10)", &wanted.rate, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!read_wanted (call, &wanted))
        return EXIT_USAGE;
    error_t error;
    return generate (&wanted, &error) == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

const command_t command_generate = {
    .name = "generate",
    .group = "A project",
    .operands = "payments",
    .purpose = "Makes up events, for trying things out",
    .details =
        "Few users pay often and most seldom, nights are quiet, one event in twenty comes "
        "late, and at\n70 % of the time a stolen card is emptied. The same seed, events, users, "
        "from and until give the\nsame bytes.",
    .examples = "  weir generate payments --events 1000000 --seed 7 -o history.csv\n"
                "  weir generate payments --from 2026-01-01 --until 2026-02-01 --format ndjson\n"
                "  weir generate payments --live --rate 50 | weir send payments -",
    .least = 1,
    .most = 1,
    .run = run,
};
