#include "tests/bench/measure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

clocks_t measure_clocks (const char *pids)
{
    clocks_t clocks = { .count = 0 };
    while (pids != NULL && *pids != 0) {
        char *end;
        long pid = strtol (pids, &end, 10);
        if (end == pids || (*end != 0 && *end != ',') || clocks.count == CLOCKS_MAX)
            measure_fail ("%s are no process numbers, or too many", pids);
        if (clock_getcpuclockid ((pid_t)pid, &clocks.clock[clocks.count++]) != 0)
            measure_fail ("there is no process %ld", pid);
        pids = *end == ',' ? end + 1 : end;
    }
    return clocks;
}

int64_t measure_clocks_ns (const clocks_t *clocks)
{
    int64_t sum = 0;
    for (size_t i = 0; i < clocks->count; i++) {
        struct timespec used;
        if (clock_gettime (clocks->clock[i], &used) != 0)
            measure_fail ("a process that is measured has ended");
        sum += (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
    }
    return sum;
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

uint64_t measure_told (const char *path, const char *name, uint64_t unit)
{
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen (path, "r");
    if (file == NULL)
        measure_fail ("%s: %m", path);
    while (fgets (line, sizeof line, file))
        if (strncmp (line, name, strlen (name)) == 0)
            value = strtoull (line + strlen (name), NULL, 10) * unit;
    fclose (file);
    return value;
}

uint64_t measure_peak_bytes (void)
{
    return measure_told ("/proc/self/status", "VmHWM:", 1024);
}
