#include "tests/bench/measure.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_ns (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t measure_now_ns (void)
{
    return clock_ns (CLOCK_MONOTONIC);
}

int64_t measure_cpu_ns (void)
{
    return clock_ns (CLOCK_PROCESS_CPUTIME_ID);
}

double measure_since (int64_t start_ns)
{
    return (double)(measure_now_ns () - start_ns) / 1e9;
}

void samples_add (samples_t *self, double value)
{
    if (self->count == self->capacity) {
        self->capacity = self->capacity ? 2 * self->capacity : 1024;
        self->value = mem_resize (self->value, self->capacity, sizeof *self->value);
    }
    self->value[self->count++] = value;
}

static int compare (const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

double samples_quantile (samples_t *self, double quantile)
{
    if (self->count == 0)
        measure_fail ("there is nothing to take a quantile of");
    qsort (self->value, self->count, sizeof *self->value, compare);
    size_t at = (size_t)((double)self->count * quantile);
    return self->value[at < self->count ? at : self->count - 1];
}

void samples_release (samples_t *self)
{
    mem_free (self->value);
    *self = (samples_t){ 0 };
}

void measure_print (const char *name, double value)
{
    printf ("%s %.9g\n", name, value);
    fflush (stdout);
}

void measure_fail (const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    vfprintf (stderr, format, arguments);
    va_end (arguments);
    fputc ('\n', stderr);
    exit (1);
}

const char *measure_option (int argc, char **argv, const char *name, const char *otherwise)
{
    size_t size = strlen (name);
    for (int i = 1; i < argc; i++)
        if (strncmp (argv[i], "--", 2) == 0 && strncmp (argv[i] + 2, name, size) == 0 &&
            argv[i][2 + size] == '=')
            return argv[i] + 3 + size;
    return otherwise;
}

uint64_t measure_number (int argc, char **argv, const char *name, uint64_t otherwise)
{
    const char *text = measure_option (argc, argv, name, NULL);
    return text ? strtoull (text, NULL, 10) : otherwise;
}
