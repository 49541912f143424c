#include "coordinator/state.h"

#include <jansson.h>
#include <stdlib.h>

/* ---- written ---- */

/* Out of memory is the end, as in mem_alloc. jansson by itself leaves values out of a list, and
 * text out of a dump: runs that were left out would be rows lost when the coordinator reads its
 * catalog again. */
static void use_our_memory (void)
{
    json_set_alloc_funcs (mem_alloc, mem_free);
}

static void append (json_t *list, json_t *value)
{
    CHECK (json_array_append_new (list, value) == 0);
}

static json_t *runs_of_log (const load_log_t *log, uint32_t partitions)
{
    json_t *all = json_array ();
    for (uint32_t p = 0; p < partitions; p++) {
        json_t *runs = json_array ();
        for (size_t i = 0; i < log->parts[p].runs_count; i++) {
            const catalog_run_t *run = &log->parts[p].runs[i];
            append (runs, json_pack ("[s, I, I]", run->path, (json_int_t)run->size,
                                     (json_int_t)run->rows));
        }
        append (all, runs);
    }
    return all;
}

/* {log: [[[path, size, rows], …] of partition 0, …], …} */
const char *load_runs_text (const load_t *load, uint32_t partitions)
{
    use_our_memory ();
    json_t *logs = json_object ();
    for (size_t l = 0; l < load->logs_count; l++)
        CHECK (json_object_set_new (logs, load->logs[l].name,
                                    runs_of_log (&load->logs[l], partitions)) == 0);
    char *text = json_dumps (logs, JSON_COMPACT);
    CHECK (text != NULL);
    const char *copy = arena_string (load->arena, text_of (text));
    mem_free (text);
    json_decref (logs);
    return copy;
}

/* ---- and read ---- */

static bool read_part (load_t *load, json_t *runs, load_part_t *part)
{
    part->runs_count = json_array_size (runs);
    part->runs = arena_zero (load->arena, part->runs_count, sizeof *part->runs);
    for (size_t i = 0; i < part->runs_count; i++) {
        const char *path;
        json_int_t size;
        json_int_t rows;
        if (json_unpack (json_array_get (runs, i), "[s, I, I]", &path, &size, &rows) != 0)
            return false;
        part->runs[i] = (catalog_run_t){ .path = arena_string (load->arena, text_of (path)),
                                         .size = (uint64_t)size,
                                         .rows = (uint64_t)rows,
                                         .offset = UINT64_MAX };
    }
    return true;
}

static bool read_log (load_t *load, const char *name, json_t *parts, uint32_t partitions)
{
    if (load->logs_count == KEYED_LOGS_MAX || json_array_size (parts) != partitions)
        return false;
    load_log_t *log = load_add_log (load, name, partitions);
    for (uint32_t p = 0; p < partitions; p++)
        if (!read_part (load, json_array_get (parts, p), &log->parts[p]))
            return false;
    return true;
}

static bool read_logs (load_t *load, json_t *logs, uint32_t partitions)
{
    if (json_is_array (logs)) /* of when streams had one key */
        return read_log (load, load->row.log, logs, partitions);
    bool good = json_is_object (logs);
    const char *name;
    json_t *parts;
    json_object_foreach (logs, name, parts)
    {
        good = good && read_log (load, name, parts, partitions);
    }
    return good;
}

status_t load_runs_read (load_t *load, uint32_t partitions, error_t *error)
{
    if (load->row.runs[0] == '\0')
        return STATUS_OK;
    use_our_memory ();
    json_t *logs = json_loads (load->row.runs, 0, NULL);
    bool good = read_logs (load, logs, partitions);
    json_decref (logs);
    if (good)
        return STATUS_OK;
    return error_set (error, STATUS_CORRUPT, "the catalog's runs of load %s", load->row.id);
}
