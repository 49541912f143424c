/* load.c - a bulk load of one file, without a cluster: what a coordinator orders and a batch worker
 * does. Prints figures.
 *
 *   load --directory=DIR --file=PATH    the file, below the directory; history is written there too
 *        --stream=FILE --view=FILE      definitions, of one stream and of one view over it
 *        --format=csv|ndjson --partitions=N --memory=BYTES --threads=N
 */
#include "base/mem.h"
#include "base/timestamp.h"
#include "tests/bench/columnfile.h"
#include "tests/bench/measure.h"
#include "tests/bench/orders.h"

#include <stdio.h>

static char *text_file (const char *path)
{
    size_t size;
    const void *data = column_map (path, &size);
    return mem_string_n (data, size);
}

static void print_figures (const task_t *task, int64_t start, int64_t cpu)
{
    double rows = (double)task->rows;
    uint64_t bytes = 0;
    for (size_t i = 0; i < task->runs.count; i++)
        bytes += task->runs.items[i].size;
    measure_print ("rows", rows);
    measure_print ("runs", (double)task->runs.count);
    measure_print ("bytes_per_row", (double)bytes / rows);
    measure_print ("rows_per_s", rows / measure_since (start));
    measure_print ("cpu_ns_per_row", (double)(measure_cpu_ns () - cpu) / rows);
    measure_print ("peak_mib", (double)measure_peak_bytes () / (1 << 20));
}

int main (int argc, char **argv)
{
    const char *directory = measure_option (argc, argv, "directory", NULL);
    const char *stream = measure_option (argc, argv, "stream", NULL);
    const char *view = measure_option (argc, argv, "view", NULL);
    orders_load_t load = {
        .task = 1,
        .path = measure_option (argc, argv, "file", NULL),
        .format = measure_option (argc, argv, "format", "csv"),
        .partitions = (uint32_t)measure_number (argc, argv, "partitions", 8),
        .clock = TIME_EVENT_MAX,
        .memory = measure_number (argc, argv, "memory", 256 << 20),
        .threads = (unsigned)measure_number (argc, argv, "threads", 1),
    };
    if (directory == NULL || stream == NULL || view == NULL || load.path == NULL)
        measure_fail ("usage: load --directory=DIR --file=PATH --stream=FILE --view=FILE");
    char *texts[] = { text_file (stream), text_file (view) };
    orders_t orders;
    orders_init (&orders, directory, texts[0], texts[1]);
    task_t *task = orders_load_task (&orders, &load);
    int64_t start = measure_now_ns ();
    int64_t cpu = measure_cpu_ns ();
    task->job.run (&task->job);
    if (task->status != STATUS_OK)
        measure_fail ("the load failed: %s", task->error.text);
    print_figures (task, start, cpu);
    task_destroy (&task);
    orders_release (&orders);
    mem_free (texts[0]);
    mem_free (texts[1]);
    return 0;
}
