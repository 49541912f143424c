#include "coordinator/state.h"

#include <jansson.h>
#include <stdlib.h>

/* [[[path, size, rows], …] of partition 0, …] */
const char *load_runs_text (const load_t *load, uint32_t partitions)
{
    json_t *all = json_array ();
    for (uint32_t p = 0; p < partitions; p++) {
        json_t *runs = json_array ();
        for (size_t i = 0; i < load->parts[p].runs_count; i++) {
            const catalog_run_t *run = &load->parts[p].runs[i];
            json_array_append_new (runs, json_pack ("[s, I, I]", run->path, (json_int_t)run->size,
                                                    (json_int_t)run->rows));
        }
        json_array_append_new (all, runs);
    }
    char *text = json_dumps (all, JSON_COMPACT);
    CHECK (text != NULL);
    const char *copy = arena_string (load->arena, text_of (text));
    mem_free (text);
    json_decref (all);
    return copy;
}

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

status_t load_runs_read (load_t *load, uint32_t partitions, error_t *error)
{
    if (load->row.runs[0] == '\0')
        return STATUS_OK;
    json_t *all = json_loads (load->row.runs, 0, NULL);
    bool good = json_array_size (all) == partitions;
    for (uint32_t p = 0; good && p < partitions; p++)
        good = read_part (load, json_array_get (all, p), &load->parts[p]);
    json_decref (all);
    if (good)
        return STATUS_OK;
    return error_set (error, STATUS_CORRUPT, "the catalog's runs of load %s", load->row.id);
}
