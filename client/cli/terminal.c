#include "client/cli/terminal.h"

#include "base/check.h"
#include "base/mem.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PROGRESS_AFTER_MS = 1000,
    PROGRESS_EVERY_MS = 100,
    PROGRESS_LINE_MS = 5000, /* between lines, and before the first */
    TABLE_COLUMNS_MAX = 1024,
    EXIT_ON_SIGNAL = 130,
};

int64_t monotonic_ms (void)
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_us (void)
{
    struct timespec now;
    CHECK (clock_gettime (CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void wait_ms (int ms)
{
    (void)poll (NULL, 0, ms);
}

/* ---- progress ---- */

static int64_t progress_since = -1; /* of this piece of work */
static int64_t progress_last;
static bool progress_shown;
static bool progress_is_in_lines;

void progress_in_lines (void)
{
    progress_is_in_lines = true;
}

/* Is it time for another line, of one kind or the other? */
static bool progress_is_due (bool in_place)
{
    int64_t now = monotonic_ms ();
    int after = in_place ? PROGRESS_AFTER_MS : PROGRESS_LINE_MS;
    int every = in_place ? PROGRESS_EVERY_MS : PROGRESS_LINE_MS;
    if (progress_since < 0)
        progress_since = now;
    if (now - progress_since < after || now - progress_last < every)
        return false;
    progress_last = now;
    return true;
}

void progress (const char *format, ...)
{
    bool in_place = isatty (STDERR_FILENO);
    if ((!in_place && !progress_is_in_lines) || !progress_is_due (in_place))
        return;
    va_list arguments;
    va_start (arguments, format);
    if (in_place)
        fputs ("\r\033[K", stderr);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    if (!in_place)
        fputc ('\n', stderr);
    fflush (stderr);
    progress_shown = in_place;
}

void progress_bytes (void *unused, const char *path, uint64_t done, uint64_t total)
{
    (void)unused;
    buf_t text;
    buf_init (&text, 128);
    format_bytes (&text, done);
    buf_put_string (&text, " of ");
    format_bytes (&text, total);
    progress ("%s: %s", buf_string (&text), path);
    buf_release (&text);
}

void progress_end (void)
{
    if (progress_shown)
        fputs ("\r\033[K", stderr);
    progress_shown = false;
    progress_since = -1;
}

bool ask_yes (const char *question, bool *asked)
{
    char answer[16];
    *asked = isatty (STDIN_FILENO) && isatty (STDERR_FILENO);
    if (!*asked)
        return false;
    fprintf (stderr, "%s [y/N] ", question);
    fflush (stderr);
    if (!fgets (answer, sizeof answer, stdin))
        return false;
    answer[strcspn (answer, "\r\n")] = '\0';
    return strcmp (answer, "y") == 0 || strcmp (answer, "Y") == 0 || strcmp (answer, "yes") == 0;
}

void print_buf (const buf_t *text)
{
    if (text->size > 0)
        fwrite (text->data, 1, text->size, stdout);
}

/* ---- interruption ---- */

static char removed_path[PATH_MAX];
static volatile sig_atomic_t interrupt_is_kept; /* the first signal is only remembered */
static volatile sig_atomic_t interrupt_seen;

static void interrupted (int number)
{
    (void)number;
    if (interrupt_is_kept && !interrupt_seen) {
        interrupt_seen = 1;
        return;
    }
    static const char clear[] = "\r\033[K";
    if (progress_shown && write (STDERR_FILENO, clear, sizeof clear - 1) < 0)
        _exit (EXIT_ON_SIGNAL);
    if (removed_path[0])
        (void)unlink (removed_path);
    _exit (EXIT_ON_SIGNAL);
}

void interrupt_removes (const char *path)
{
    struct sigaction action = { .sa_handler = interrupted };
    sigset_t signals, before;
    sigemptyset (&signals);
    sigaddset (&signals, SIGINT);
    sigaddset (&signals, SIGTERM);
    sigaddset (&signals, SIGHUP);
    CHECK (sigprocmask (SIG_BLOCK, &signals, &before) == 0);
    snprintf (removed_path, sizeof removed_path, "%s", path ? path : "");
    CHECK (sigaction (SIGINT, &action, NULL) == 0);
    CHECK (sigaction (SIGTERM, &action, NULL) == 0);
    CHECK (sigaction (SIGHUP, &action, NULL) == 0);
    CHECK (sigprocmask (SIG_SETMASK, &before, NULL) == 0);
}

void interrupt_waits (void)
{
    interrupt_is_kept = 1;
    interrupt_removes (NULL);
}

bool interrupt_came (void)
{
    return interrupt_seen != 0;
}

/* ---- sizes ---- */

void format_bytes (buf_t *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 999.5 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        size /= 1000;
    buf_printf (out, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

void format_count (buf_t *out, double count)
{
    static const char *const units[] = { "", "k", "M", "G" };
    size_t unit = 0;
    for (; count >= 9999.5 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        count /= 1000;
    buf_printf (out, unit == 0 ? "%.0f%s" : "%.1f %s", count, units[unit]);
}

void format_seconds (buf_t *out, uint64_t seconds)
{
    uint64_t minutes = seconds / 60, hours = minutes / 60;
    if (hours > 0)
        buf_printf (out, "%llu h %llu min", (unsigned long long)hours,
                    (unsigned long long)(minutes % 60));
    else if (minutes > 0)
        buf_printf (out, "%llu min %llu s", (unsigned long long)minutes,
                    (unsigned long long)(seconds % 60));
    else
        buf_printf (out, "%llu s", (unsigned long long)seconds);
}

const char *plural (uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- tables ---- */

struct table {
    size_t columns;
    char **heads;
    bool right[TABLE_COLUMNS_MAX];
    char **cells;
    size_t cells_count;
    size_t cells_room;
};

table_t *table_new (const char *const *heads)
{
    table_t *self = mem_zero (1, sizeof *self);
    while (heads[self->columns])
        self->columns++;
    CHECK (self->columns > 0);
    CHECK (self->columns <= TABLE_COLUMNS_MAX);
    self->heads = mem_zero (self->columns, sizeof *self->heads);
    for (size_t i = 0; i < self->columns; i++) {
        self->right[i] = heads[i][0] == '>';
        self->heads[i] = mem_string (heads[i] + self->right[i]);
    }
    return self;
}

void table_destroy (table_t **self_p)
{
    table_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < self->columns; i++)
        mem_free (self->heads[i]);
    for (size_t i = 0; i < self->cells_count; i++)
        mem_free (self->cells[i]);
    mem_free (self->heads);
    mem_free (self->cells);
    mem_free (self);
}

void table_add (table_t *self, text_t cell)
{
    if (self->cells_count == self->cells_room) {
        self->cells_room = self->cells_room * 2 + 64;
        self->cells = mem_resize (self->cells, self->cells_room, sizeof *self->cells);
    }
    char *copy = mem_string_n (cell.data, cell.size);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' '; /* one row is one line, whatever a text holds */
    self->cells[self->cells_count++] = copy;
}

void table_addf (table_t *self, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (text, sizeof text, format, arguments);
    va_end (arguments);
    table_add (self, text_of (text));
}

/* Characters, for alignment: one for each first byte of UTF-8. */
static size_t width_of (const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void format_row (const table_t *self, char *const *row, const size_t *widths, buf_t *out)
{
    for (size_t i = 0; i < self->columns; i++) {
        size_t blanks = widths[i] - width_of (row[i]);
        bool last = i + 1 == self->columns;
        if (i > 0)
            buf_put_string (out, "  ");
        if (self->right[i])
            buf_printf (out, "%*s%s", (int)blanks, "", row[i]);
        else
            buf_printf (out, "%s%*s", row[i], last ? 0 : (int)blanks, "");
    }
    while (out->size > 0 && out->data[out->size - 1] == ' ')
        out->size--;
    buf_put_u8 (out, '\n');
}

void table_format (const table_t *self, buf_t *out)
{
    size_t widths[TABLE_COLUMNS_MAX];
    CHECK (self->cells_count % self->columns == 0);
    if (self->cells_count == 0)
        return;
    for (size_t i = 0; i < self->columns; i++)
        widths[i] = width_of (self->heads[i]);
    for (size_t i = 0; i < self->cells_count; i++) {
        size_t width = width_of (self->cells[i]);
        if (width > widths[i % self->columns])
            widths[i % self->columns] = width;
    }
    format_row (self, self->heads, widths, out);
    for (size_t i = 0; i < self->cells_count; i += self->columns)
        format_row (self, self->cells + i, widths, out);
}

void table_print (const table_t *self)
{
    buf_t out;
    buf_init (&out, 256 << 20);
    table_format (self, &out);
    print_buf (&out);
    buf_release (&out);
}
