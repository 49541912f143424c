#include "tests/unit/catalog/model.h"

#include "base/buf.h"
#include "base/mem.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const logs[] = { "payments/user_id", "legs/origin,destination" };

#define OK(call)                                                                                   \
    do {                                                                                           \
        error_t ok_error;                                                                          \
        error_clear (&ok_error);                                                                   \
        cr_assert_eq ((call), STATUS_OK, "%s", ok_error.text);                                     \
    } while (0)

status_t model_open (fs_t *fs, catalog_t **catalog, error_t *error)
{
    catalog_leader_t leader;
    const catalog_leader_t us = { .name = "model", .endpoint = "tcp://model", .lease = 1 };
    status_t status =
        catalog_open (fs, "meta/catalog.db", "test", MODEL_PARTITIONS, catalog, error);
    if (status == STATUS_OK)
        status = catalog_leader (*catalog, &leader, error);
    if (status == STATUS_OK)
        status = catalog_lead (*catalog, &leader, &us, error);
    if (status != STATUS_OK)
        catalog_close (catalog);
    return status;
}

static const char *word (random_t *random, arena_t *arena)
{
    char text[64];
    (void)snprintf (text, sizeof text, "it's \"%" PRIx64 "\"; --", random_next (random) >> 40);
    return arena_string (arena, text_of (text));
}

static status_t step_apply (catalog_t *catalog, random_t *random, arena_t *arena, error_t *error)
{
    catalog_object_t objects[4];
    size_t count = random_below (random, 5);
    for (size_t i = 0; i < count; i++)
        objects[i] = (catalog_object_t){ .kind = i % 2 ? "view" : "stream",
                                         .name = i < 2 ? "one" : "two",
                                         .version = (uint32_t)random_below (random, 9),
                                         .meaning = random_next (random),
                                         .text = word (random, arena) };
    uint64_t version;
    return catalog_apply (catalog, catalog_definitions_version (catalog), 5, word (random, arena),
                          objects, count, &version, error);
}

static status_t step_assign (catalog_t *catalog, random_t *random, arena_t *arena, error_t *error)
{
    catalog_assignment_t *held;
    size_t held_count;
    status_t status = catalog_assignments (catalog, arena, &held, &held_count, error);
    if (status != STATUS_OK)
        return status;
    catalog_assignment_t rows[MODEL_PARTITIONS];
    for (uint32_t p = 0; p < MODEL_PARTITIONS; p++)
        rows[p] = (catalog_assignment_t){ .partition = p,
                                          .epoch = (held_count ? held[p].epoch : 0) + 1 +
                                                   random_below (random, 3),
                                          .node = word (random, arena),
                                          .incarnation = random_next (random),
                                          .endpoint = word (random, arena) };
    return catalog_assign (catalog, rows, MODEL_PARTITIONS, error);
}

static status_t step_recompute (catalog_t *catalog, random_t *random, arena_t *arena,
                                error_t *error)
{
    static const char *const states[] = { "queued", "building", "trimmed", "failed" };
    catalog_recompute_t recompute = { .id = random_below (random, 3),
                                      .log = logs[random_below (random, 2)],
                                      .reason = word (random, arena),
                                      .state = states[random_below (random, 4)],
                                      .created = (int64_t)random_next (random),
                                      .error = word (random, arena),
                                      .full = random_chance (random, 0.5) };
    return catalog_put_recompute (catalog, &recompute, error);
}

static status_t step_controls (catalog_t *catalog, random_t *random, arena_t *arena, error_t *error)
{
    if (random_chance (random, 0.2))
        return catalog_forget_control (catalog, logs[0], "cut-1", error);
    catalog_control_t rows[4];
    for (uint32_t i = 0; i < 4; i++)
        rows[i] =
            (catalog_control_t){ .log = logs[random_below (random, 2)],
                                 .partition = i,
                                 .id = random_chance (random, 0.5) ? "cut-1" : word (random, arena),
                                 .offset = random_next (random),
                                 .clock = (int64_t)random_next (random) };
    return catalog_put_controls (catalog, rows, 4, error);
}

static status_t step_load (catalog_t *catalog, random_t *random, arena_t *arena, error_t *error)
{
    catalog_load_t load = { .id = random_chance (random, 0.5) ? "aa" : "bb",
                            .stream = "payments",
                            .log = logs[0],
                            .name = word (random, arena),
                            .path = "incoming/x",
                            .format = "csv",
                            .ingest_time = "",
                            .skip = random_chance (random, 0.5),
                            .state = "parsing",
                            .rows = random_next (random),
                            .created = 7,
                            .error = "",
                            .rejects = "",
                            .runs = word (random, arena) };
    return catalog_put_load (catalog, &load, error);
}

static status_t step_publish (catalog_t *catalog, random_t *random, arena_t *arena, error_t *error)
{
    catalog_manifest_t next = { 0 };
    const char *log = logs[random_below (random, 2)];
    status_t status = catalog_manifest (catalog, log, arena, &next, error);
    if (status != STATUS_OK)
        return status;
    next.number++;
    next.dataset = word (random, arena);
    catalog_part_t parts[MODEL_PARTITIONS] = { 0 };
    for (uint32_t p = 0; p < MODEL_PARTITIONS; p++) {
        catalog_part_t *part = &parts[p];
        *part = (catalog_part_t){ .partition = p, .cut = random_next (random) >> 1, .clock = -3 };
        part->runs_count = random_below (random, 4);
        part->runs = arena_zero (arena, 4, sizeof *part->runs);
        for (size_t i = 0; i < part->runs_count; i++)
            part->runs[i] = (catalog_run_t){ .path = word (random, arena), .offset = UINT64_MAX };
        part->views_count = random_below (random, 4);
        part->views = arena_zero (arena, 4, sizeof *part->views);
        for (size_t i = 0; i < part->views_count; i++)
            part->views[i] = (catalog_view_file_t){ .view = "v",
                                                    .plan = random_next (random),
                                                    .path = word (random, arena) };
        part->layers = arena_zero (arena, 2, sizeof *part->layers);
        part->layers_count = 1 + random_below (random, 2);
        part->layers[0] = (catalog_layer_t){
            .cut = random_next (random) >> 1,
            .clock = -4,
            .latest = INT64_MIN,
            .runs_count = part->layers_count == 1 ? part->runs_count
                                                  : random_below (random, part->runs_count + 1),
            .views_count = part->layers_count == 1 ? part->views_count
                                                   : random_below (random, part->views_count + 1),
        };
        part->layers[1] = (catalog_layer_t){
            .cut = part->cut,
            .latest = (int64_t)random_below (random, 1000),
            .runs_count = part->runs_count - part->layers[0].runs_count,
            .views_count = part->views_count - part->layers[0].views_count,
        };
        part->excluded_count = random_below (random, 3);
        part->excluded = arena_zero (arena, 4, sizeof *part->excluded);
        for (size_t i = 0; i < part->excluded_count; i++)
            part->excluded[i] = random_next (random);
    }
    next.parts = parts;
    next.parts_count = MODEL_PARTITIONS;
    const char *loads[] = { "aa", "bb" };
    next.loads = loads;
    next.loads_count = random_below (random, 3);
    return catalog_publish (catalog, &next, 1, loads, 1, loads + 1, 1, 99, error);
}

status_t model_step (catalog_t *catalog, uint64_t seed, error_t *error)
{
    random_t random;
    random_seed (&random, seed);
    arena_t *arena = arena_new (4096);
    uint64_t number;
    status_t status = STATUS_OK;
    switch (random_below (&random, 8)) {
    case 0:
        status = step_apply (catalog, &random, arena, error);
        break;
    case 1:
        status = step_assign (catalog, &random, arena, error);
        break;
    case 2:
        status = step_recompute (catalog, &random, arena, error);
        break;
    case 3:
        status = step_controls (catalog, &random, arena, error);
        break;
    case 4:
        status = step_load (catalog, &random, arena, error);
        break;
    case 5:
        status = catalog_drop_manifests (catalog, logs[0], random_below (&random, 9), error);
        break;
    case 6:
        status = catalog_next_task (catalog, &number, error);
        break;
    default:
        status = step_publish (catalog, &random, arena, error);
        break;
    }
    arena_destroy (&arena);
    return status;
}

/* ---- all that it holds ---- */

static void dump_manifest (catalog_t *catalog, const char *log, arena_t *arena, buf_t *out)
{
    catalog_manifest_t manifest;
    OK (catalog_manifest (catalog, log, arena, &manifest, &ok_error));
    buf_printf (out, "%s %" PRIu64 " %s", log, manifest.number, manifest.dataset);
    for (size_t i = 0; i < manifest.loads_count; i++)
        buf_printf (out, " %s", manifest.loads[i]);
    for (size_t p = 0; p < manifest.parts_count; p++) {
        const catalog_part_t *part = &manifest.parts[p];
        buf_printf (out, "\n  %u %" PRIu64 " %" PRId64, part->partition, part->cut, part->clock);
        for (size_t i = 0; i < part->runs_count; i++)
            buf_printf (out, " r%s:%" PRIu64, part->runs[i].path, part->runs[i].offset);
        for (size_t i = 0; i < part->excluded_count; i++)
            buf_printf (out, " x%" PRIu64, part->excluded[i]);
        for (size_t i = 0; i < part->views_count; i++)
            buf_printf (out, " v%s:%" PRIu64, part->views[i].path, part->views[i].plan);
        for (size_t i = 0; i < part->layers_count; i++)
            buf_printf (out, " l%" PRIu64 ":%" PRId64 ":%" PRId64 ":%zu:%zu", part->layers[i].cut,
                        part->layers[i].clock, part->layers[i].latest, part->layers[i].runs_count,
                        part->layers[i].views_count);
    }
    catalog_cut_t *cuts;
    size_t count;
    OK (catalog_cuts (catalog, log, arena, &cuts, &count, &ok_error));
    for (size_t i = 0; i < count; i++)
        buf_printf (out, " c%" PRIu64 ":%" PRIu64, cuts[i].manifest, cuts[i].cut);
    const char **paths;
    OK (catalog_paths (catalog, log, 1, arena, &paths, &count, &ok_error));
    for (size_t i = 0; i < count; i++)
        buf_printf (out, " p%s", paths[i]);
    buf_put_string (out, "\n");
}

static void dump_work (catalog_t *catalog, arena_t *arena, buf_t *out)
{
    size_t count;
    catalog_recompute_t *recomputes;
    OK (catalog_recomputes (catalog, 100, arena, &recomputes, &count, &ok_error));
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "recompute %" PRIu64 " %s %s %s %" PRId64 " %s\n", recomputes[i].id,
                    recomputes[i].log, recomputes[i].reason, recomputes[i].state,
                    recomputes[i].created, recomputes[i].error);
    catalog_control_t *controls;
    OK (catalog_controls (catalog, arena, &controls, &count, &ok_error));
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "control %s %u %s %" PRIu64 " %" PRId64 "\n", controls[i].log,
                    controls[i].partition, controls[i].id, controls[i].offset, controls[i].clock);
    catalog_load_t *loads;
    OK (catalog_loads (catalog, arena, &loads, &count, &ok_error));
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "load %s %s %s %d %" PRIu64 " %s\n", loads[i].id, loads[i].name,
                    loads[i].state, loads[i].skip, loads[i].rows, loads[i].runs);
}

char *model_dump (catalog_t *catalog)
{
    arena_t *arena = arena_new (4096);
    buf_t out;
    buf_init (&out, 1 << 22);
    size_t count;
    catalog_object_t *objects;
    OK (catalog_objects (catalog, arena, &objects, &count, &ok_error));
    buf_printf (&out, "definitions %" PRIu64 "\n", catalog_definitions_version (catalog));
    for (size_t i = 0; i < count; i++)
        buf_printf (&out, "%s %s %u %" PRIu64 " %s\n", objects[i].kind, objects[i].name,
                    objects[i].version, objects[i].meaning, objects[i].text);
    catalog_assignment_t *rows;
    OK (catalog_assignments (catalog, arena, &rows, &count, &ok_error));
    for (size_t i = 0; i < count; i++)
        buf_printf (&out, "%u %" PRIu64 " %s %" PRIu64 " %s\n", rows[i].partition, rows[i].epoch,
                    rows[i].node, rows[i].incarnation, rows[i].endpoint);
    dump_work (catalog, arena, &out);
    for (size_t i = 0; i < 2; i++)
        dump_manifest (catalog, logs[i], arena, &out);
    cr_assert (!out.bad);
    char *text = mem_string (buf_string (&out));
    buf_release (&out);
    arena_destroy (&arena);
    return text;
}
