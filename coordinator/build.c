/* From cuts to files: what each partition is built from, and what came of it. */
#include "coordinator/state.h"

#include <stdlib.h>
#include <string.h>

/* ---- what a build is made from ---- */

/* Is the load's place below the cut in every partition? */
static bool is_below (const coordinator_core_t *self, const load_t *load,
                      const recompute_t *recompute)
{
    const load_log_t *log = load_log (load, recompute->log);
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (!log->places[p].known || log->places[p].offset >= recompute->cuts[p].offset)
            return false;
    return true;
}

/* Is what has failed left alone this time? Who asks has it tried. */
static bool rests (const coordinator_core_t *self, const recompute_t *recompute,
                   const put_off_t *what)
{
    return !recompute->asked && put_off_rests (self, what);
}

/* Loads that come in and that go out. */
static void choose_loads (coordinator_core_t *self, recompute_t *recompute, const log_t *log)
{
    bool joins = !rests (self, recompute, &log->join);
    bool leaves = !rests (self, recompute, &log->leave);
    size_t most = self->loads_count;
    recompute->loads = arena_zero (recompute->arena, most, sizeof (char *));
    recompute->unloaded = arena_zero (recompute->arena, most, sizeof (char *));
    for (size_t i = 0; i < self->loads_count; i++) {
        load_t *load = self->loads[i];
        if (!load_log (load, log->name))
            continue;
        bool there = log_has_load (log, load->row.id);
        if (joins && load->state == LOAD_WAITING && !there && is_below (self, load, recompute) &&
            !put_off_rests (self, &load->damaged)) {
            ids_add (&recompute->loads, &recompute->loads_count, load->row.id, recompute->arena);
            load->recompute = log->primary ? recompute->id : load->recompute;
        } else if (leaves && load->state == LOAD_UNLOADING &&
                   (there || load_settled (self, load, log->name, true))) {
            ids_add (&recompute->unloaded, &recompute->unloaded_count, load->row.id,
                     recompute->arena);
            load->recompute = log->primary ? recompute->id : load->recompute;
        }
    }
}

static int compare_numbers (const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void add_excluded (catalog_part_t *part, uint64_t offset)
{
    for (size_t i = 0; i < part->excluded_count; i++)
        if (part->excluded[i] == offset)
            return;
    part->excluded[part->excluded_count++] = offset;
}

/* What was left out before, and the rows of loads that are being unloaded. Ascending. */
static void exclude (coordinator_core_t *self, recompute_t *recompute, catalog_part_t *part,
                     const catalog_part_t *present)
{
    size_t before = present ? present->excluded_count : 0;
    part->excluded =
        arena_zero (recompute->arena, before + recompute->unloaded_count, sizeof (uint64_t));
    for (size_t i = 0; i < before; i++)
        add_excluded (part, present->excluded[i]);
    for (size_t i = 0; i < recompute->unloaded_count; i++) {
        const load_t *load = load_find (self, text_of (recompute->unloaded[i]));
        const load_log_t *log = load ? load_log (load, recompute->log) : NULL;
        if (log && log->places[part->partition].known)
            add_excluded (part, log->places[part->partition].offset);
    }
    if (part->excluded_count > 1)
        qsort (part->excluded, part->excluded_count, sizeof (uint64_t), compare_numbers);
}

static bool is_excluded (const catalog_part_t *part, uint64_t offset)
{
    for (size_t i = 0; i < part->excluded_count; i++)
        if (part->excluded[i] == offset)
            return true;
    return false;
}

/* Those of a load that comes in, at its place. */
static void add_load_inputs (recompute_t *recompute, build_t *build, const load_t *load)
{
    uint32_t partition = build->part.partition;
    const load_log_t *log = load_log (load, recompute->log);
    for (size_t r = 0; r < log->parts[partition].runs_count; r++) {
        catalog_run_t *run = &build->inputs[build->inputs_count++];
        *run = part_copy_run (&log->parts[partition].runs[r], recompute->arena);
        run->offset = log->places[partition].offset;
    }
}

/* What comes in: a load is one when it has rows here. */
static size_t loaded_runs (coordinator_core_t *self, const recompute_t *recompute,
                           uint32_t partition, uint64_t *rows)
{
    size_t runs = 0;
    for (size_t i = 0; i < recompute->loads_count; i++) {
        const load_t *load = load_find (self, text_of (recompute->loads[i]));
        const load_part_t *part = &load_log (load, recompute->log)->parts[partition];
        runs += part->runs_count;
        for (size_t r = 0; r < part->runs_count; r++)
            *rows += part->runs[r].rows;
    }
    return runs;
}

/* The runs of the layers that are replaced, without those that hold only what is left out, and
 * those of the new loads at their places. */
static void add_inputs (coordinator_core_t *self, recompute_t *recompute, build_t *build,
                        const catalog_part_t *present, size_t loaded)
{
    size_t most = (present ? present->runs_count - build->part.runs_count : 0) + loaded;
    build->inputs = arena_zero (recompute->arena, most, sizeof *build->inputs);
    for (size_t i = build->part.runs_count; present && i < present->runs_count; i++)
        if (!is_excluded (&build->part, present->runs[i].offset))
            build->inputs[build->inputs_count++] =
                part_copy_run (&present->runs[i], recompute->arena);
    for (size_t i = 0; i < recompute->loads_count; i++)
        add_load_inputs (recompute, build, load_find (self, text_of (recompute->loads[i])));
}

/* Offsets from the dataset's cut to the new one that may be events: the record of that cut is none,
 * nor are those that commit loads. */
static uint64_t sent_rows (const coordinator_core_t *self, const recompute_t *recompute,
                           const build_t *build)
{
    uint64_t rows = build->part.cut - build->from;
    if (rows > 0 && build->from > 0)
        rows--;
    for (size_t i = 0; rows > 0 && i < self->loads_count; i++) {
        const load_log_t *log = load_log (self->loads[i], recompute->log);
        const placed_t *place = log ? &log->places[build->part.partition] : NULL;
        rows -=
            place && place->known && place->offset > build->from && place->offset < build->part.cut;
    }
    return rows;
}

/* What becomes of the layers: those that a stuck partition needs to stay, and none when it is tried
 * again. */
static layers_plan_t plan_layers (const coordinator_core_t *self, const recompute_t *recompute,
                                  const log_t *log, const build_t *build,
                                  const catalog_part_t *present, uint64_t rows)
{
    uint32_t partition = build->part.partition;
    bool stuck = log->stuck[partition].reason != NULL;
    layers_plan_t plan = layers_plan (self, recompute, log, present, build->part.clock, rows,
                                      folds_pinned (log, partition),
                                      !stuck && folds_may_begin (self, log, partition));
    if (!stuck)
        return plan;
    bool tries = recompute->asked || recompute->full || !stuck_rests (self, log, partition);
    size_t least = stuck_layers (log, partition);
    if (recompute_leaves_out (recompute) || (tries && !build->again))
        plan.kept = 0;
    else if (plan.kept < least)
        plan.kept = least;
    return plan;
}

/* The partition stays as it is in the manifest; in the first one it is empty. */
static void leave_behind (recompute_t *recompute, const log_t *log, uint32_t partition)
{
    build_t *build = &recompute->builds[partition];
    const catalog_part_t *present =
        log->manifest.number > 0 ? &log->manifest.parts[partition] : NULL;
    build->part = (catalog_part_t){ .partition = partition };
    build->behind = build->finished = true;
    build->folded = false;
    build->events = 0;
    if (!present) {
        build->part.layers = arena_zero (recompute->arena, 1, sizeof *build->part.layers);
        build->part.layers[build->part.layers_count++] = (catalog_layer_t){ .latest = INT64_MIN };
        return;
    }
    build->part.cut = present->cut;
    build->part.clock = present->clock;
    build->part.excluded_count = present->excluded_count;
    build->part.excluded =
        arena_zero (recompute->arena, present->excluded_count, sizeof (uint64_t));
    for (size_t i = 0; i < present->excluded_count; i++)
        build->part.excluded[i] = present->excluded[i];
    build->kept = present->layers_count;
    part_add_layers (&build->part, present, 0, build->kept, recompute->arena);
}

static bool begin_part (coordinator_core_t *self, recompute_t *recompute, log_t *log,
                        uint32_t partition)
{
    build_t *build = &recompute->builds[partition];
    if (recompute->behind[partition] || log->stuck[partition].reason)
        folds_drop (self, log, partition); /* it is so by the manifest's own layers */
    if (recompute->behind[partition]) {
        leave_behind (recompute, log, partition);
        return true;
    }
    const catalog_part_t *present = folds_present (log, partition, recompute->arena);
    build->part = (catalog_part_t){ .partition = partition,
                                    .cut = recompute->cuts[partition].offset,
                                    .clock = recompute->cuts[partition].clock };
    build->from = present ? present->cut : 0;
    build->folded = folds_made (log, partition) != NULL;
    exclude (self, recompute, &build->part, present);
    uint64_t rows = sent_rows (self, recompute, build);
    size_t loaded = loaded_runs (self, recompute, partition, &rows);
    layers_plan_t plan = plan_layers (self, recompute, log, build, present, rows);
    build->kept = plan.kept;
    if (present)
        part_add_layers (&build->part, present, 0, build->kept, recompute->arena);
    if (!folds_begin (self, log, partition, build->part.clock, &plan))
        return false;
    if (present && build->kept == present->layers_count && rows == 0) {
        build->finished = true; /* nothing is new, and nothing replaced */
        return true;
    }
    add_inputs (self, recompute, build, present, loaded);
    build->task = task_new (self);
    if (!build->task)
        return false;
    build->task->recompute = recompute;
    build->task->partition = partition;
    build->task->size = build->part.cut - build->from;
    for (size_t i = 0; i < build->inputs_count; i++)
        build->task->size += build->inputs[i].rows;
    build->task->size += TASK_COST;
    return true;
}

/* May loads come in, and go, and entities be erased? In all partitions or in none. */
static bool all_join (const coordinator_core_t *self, const recompute_t *recompute)
{
    bool all = true;
    for (uint32_t p = 0; all && p < self->options.partitions; p++)
        all = !recompute->behind[p];
    return all;
}

void build_begin (coordinator_core_t *self, recompute_t *recompute)
{
    log_t *log = log_named (self, text_of (recompute->log));
    CHECK (!recompute->builds);
    recompute->arena = arena_new (1 << 14);
    recompute->builds =
        arena_zero (recompute->arena, self->options.partitions, sizeof *recompute->builds);
    if (all_join (self, recompute)) {
        choose_loads (self, recompute, log);
        if (!rests (self, recompute, &log->leave))
            forgets_choose (self, recompute, log);
    }
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (!begin_part (self, recompute, log, p)) {
            recompute_forget_builds (self, recompute);
            return; /* the catalog failed */
        }
    recompute->state = RECOMPUTE_BUILDING;
    recompute->definitions = self->version;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (recompute->builds[p].folded && folds_definitions (log, p) < recompute->definitions)
            recompute->definitions = folds_definitions (log, p);
}

/* ---- what came of it ---- */

static void take_erased (recompute_t *recompute, build_t *build, wire_list_t erased)
{
    build->erased = arena_zero (recompute->arena, recompute->forgets_count, sizeof (uint64_t));
    for (uint32_t i = 0; i < erased.count && i < recompute->forgets_count; i++)
        build->erased[i] = wire_item_uint (&erased.items[i]);
}

void build_take (coordinator_core_t *self, task_t *task, const char *node,
                 const wire_value_t *outputs)
{
    recompute_t *recompute = task->recompute;
    build_t *build = &recompute->builds[task->partition];
    CHECK (build->task == task);
    catalog_part_t *part = &build->part;
    catalog_layer_t layer = { .cut = part->cut, .clock = part->clock };
    error_t error;
    if (part_add_outputs (part, recompute->log, layer, outputs, recompute->arena, &error) !=
        STATUS_OK) {
        (void)error_prefix (&error, "the batch worker %s reports what it cannot have made", node);
        recompute_fail (self, recompute, error.text);
        return;
    }
    log_t *log = log_named (self, text_of (recompute->log));
    if (build->kept == 0 || stuck_layers (log, task->partition) == 0)
        stuck_clear (log, task->partition);
    stuck_views (log, task->partition, build->kept, wire_list (outputs, "left_out"));
    uint64_t total;
    (void)task_progress (task, &total);
    build->events = wire_uint (outputs, "rows", total);
    take_erased (recompute, build, wire_list (outputs, "erased"));
    build->finished = true;
    task_remove (self, &build->task);
}

/* The load that comes in whose file it is; NULL: the partition's own data is at fault. */
static load_t *load_of_file (const coordinator_core_t *self, const recompute_t *recompute,
                             uint32_t partition, text_t path)
{
    for (size_t i = 0; i < recompute->loads_count; i++) {
        load_t *load = load_find (self, text_of (recompute->loads[i]));
        const load_log_t *has = load ? load_log (load, recompute->log) : NULL;
        for (size_t r = 0; has && r < has->parts[partition].runs_count; r++)
            if (text_is (path, has->parts[partition].runs[r].path))
                return load;
    }
    return NULL;
}

/* It fails with what it would have brought, the next ones go without: without a load that cannot be
 * read; otherwise without what goes, since what comes in needs no layer to be written anew; and
 * only then without what comes. */
static void fail_to_bring (coordinator_core_t *self, recompute_t *recompute, log_t *log,
                           load_t *damaged, const char *reason)
{
    put_off_t *what = damaged                            ? &damaged->damaged
                      : recompute_leaves_out (recompute) ? &log->leave
                                                         : &log->join;
    put_off (self, what, reason);
    recompute_fail (self, recompute, reason);
}

static void build_again (coordinator_core_t *self, recompute_t *recompute, log_t *log,
                         uint32_t partition)
{
    recompute->builds[partition] = (build_t){ .again = true };
    if (!begin_part (self, recompute, log, partition))
        recompute_forget_builds (self, recompute); /* the catalog failed: all is read anew */
}

void build_failed (coordinator_core_t *self, task_t *task, const char *reason, text_t path)
{
    recompute_t *recompute = task->recompute;
    uint32_t partition = task->partition;
    build_t *build = &recompute->builds[partition];
    log_t *log = log_named (self, text_of (recompute->log));
    CHECK (build->task == task);
    load_t *damaged = load_of_file (self, recompute, partition, path);
    task_remove (self, &build->task);
    if (!damaged && build->folded) { /* what a fold made may be at fault */
        folds_drop (self, log, partition);
        build_again (self, recompute, log, partition);
        return;
    }
    if (!damaged)
        stuck_note (self, log, partition, reason, path);
    if (stuck_layers (log, partition) > build->kept && !recompute_leaves_out (recompute)) {
        build_again (self, recompute, log, partition); /* without that file */
        return;
    }
    if (recompute_brings (recompute)) {
        char *text = mem_format ("partition %" PRIu32 ": %s", partition, reason);
        fail_to_bring (self, recompute, log, damaged, text);
        mem_free (text);
        return;
    }
    leave_behind (recompute, log, partition);
}
