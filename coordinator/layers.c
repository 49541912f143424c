/* Bases and deltas: how much of a partition a recompute builds anew (docs/coordination.md, "Bases
 * and deltas"). */
#include "coordinator/state.h"

#include <string.h>

enum {
    LAYERS_KNOWN = 64, /* more than there ever are: those above would go */
    BASES_PART = 16,   /* of the partitions: those whose base is written at once, one at least */
    BASE_WAIT = 2,     /* as much as it holds is new, and no base waits any longer */
};

/* ---- views that a layer lacks ---- */

static bool has_files (const catalog_part_t *part, const view_t *view, uint64_t plan)
{
    size_t files = 0; /* a layer has one at most */
    for (size_t i = 0; i < part->views_count; i++)
        files += part->views[i].plan == plan && part->views[i].version == view->version &&
                 strcmp (part->views[i].view, view->name) == 0;
    return files == part->layers_count;
}

const char *layers_view_missing (const coordinator_core_t *self, const log_t *log)
{
    if (log->manifest.number == 0 || log->built_definitions >= self->version)
        return NULL;
    for (size_t v = 0; v < self->definitions->views_count; v++) {
        const view_t *view = &self->definitions->views[v];
        int source = view_source_of (view, log->stream);
        if (source < 0 || strcmp (view->sources[source].log_name, log->name) != 0)
            continue;
        for (size_t p = 0; p < log->manifest.parts_count; p++)
            if (!has_files (&log->manifest.parts[p], view, self->plans[v][source]))
                return view->name;
    }
    return NULL;
}

/* ---- what stays ---- */

/* The least time for which a view of the log is exact past what its base was built for. */
static int64_t horizon_of (const coordinator_core_t *self, const log_t *log)
{
    int64_t horizon = INT64_MAX;
    for (size_t v = 0; v < self->definitions->views_count; v++) {
        const view_t *view = &self->definitions->views[v];
        int source = view_source_of (view, log->stream);
        if (source >= 0 && strcmp (view->sources[source].log_name, log->name) == 0 &&
            view->horizon < horizon)
            horizon = view->horizon;
    }
    return horizon;
}

/* Do as-of times come near the end of the base's horizon: by the clock, or by the events' own time?
 * It may wait until they are nearer, where recomputes are many until then. */
static bool is_old (const coordinator_core_t *self, const log_t *log, const catalog_part_t *part,
                    int64_t clock, bool waits)
{
    const catalog_layer_t *base = &part->layers[0];
    const catalog_layer_t *top = &part->layers[part->layers_count - 1];
    int64_t horizon = horizon_of (self, log);
    int64_t every = self->options.recompute_every;
    int64_t most = horizon / 2;
    int64_t moved;
    if (waits && every > 0 && every <= horizon / 4 / BASES_PART)
        most += horizon / 4;
    if (__builtin_sub_overflow (clock, base->clock, &moved) || moved > most)
        return true;
    if (top->latest == INT64_MIN)
        return false; /* nothing is covered */
    return __builtin_sub_overflow (top->latest, base->latest, &moved) || moved > most;
}

static uint64_t rows_of (const catalog_part_t *part, size_t layer)
{
    size_t first = 0;
    uint64_t rows = 0;
    for (size_t i = 0; i < layer; i++)
        first += part->layers[i].runs_count;
    for (size_t i = 0; i < part->layers[layer].runs_count; i++)
        rows += part->runs[first + i].rows;
    return rows;
}

/* The delta that grows most for its size when all from it on become one: one of as many as may
 * stay, among `count` layers. */
static size_t cheapest_fold (const uint64_t *rows, size_t count, uint64_t above)
{
    size_t cheapest = DELTAS_MAX;
    double growth = 0;
    for (size_t i = count - 1; i > 0; i--) {
        double of_this = (double)above / (double)rows[i]; /* no layer that stays is empty */
        if (i <= DELTAS_MAX && of_this > growth) {
            cheapest = i;
            growth = of_this;
        }
        above += rows[i];
    }
    return cheapest;
}

/* How many layers stay below what is new. The lowest one that is no larger than all above it and
 * what is new goes, and all above it: so every layer that stays is larger than all above it
 * together. When these are too many, a fold goes deeper still. */
static size_t below_the_new (const uint64_t *rows, size_t count, uint64_t new_rows, bool base_waits)
{
    size_t kept = count;
    uint64_t above = new_rows;
    uint64_t above_kept = new_rows;
    for (size_t i = count; i-- > 0; above += rows[i])
        if (rows[i] <= (i == 0 && base_waits ? above / BASE_WAIT : above)) {
            kept = i;
            above_kept = above + rows[i];
        }
    return kept <= DELTAS_MAX ? kept : cheapest_fold (rows, kept, above_kept);
}

static size_t kept_of (const coordinator_core_t *self, const recompute_t *recompute,
                       const log_t *log, const catalog_part_t *present, int64_t clock,
                       uint64_t new_rows, bool base_waits)
{
    if (!present || recompute->full || recompute->unloaded_count > 0 ||
        recompute->forgets_count > 0 || layers_view_missing (self, log) ||
        is_old (self, log, present, clock, base_waits))
        return 0;
    uint64_t rows[LAYERS_KNOWN];
    size_t count = present->layers_count < LAYERS_KNOWN ? present->layers_count : LAYERS_KNOWN;
    for (size_t i = 0; i < count; i++)
        rows[i] = rows_of (present, i);
    return new_rows > 0 ? below_the_new (rows, count, new_rows, base_waits) : present->layers_count;
}

/* Do other partitions write bases by this recompute, as many as should at once? What is new would
 * wait for all of them. */
static bool are_enough (const coordinator_core_t *self, const recompute_t *recompute,
                        uint32_t partition)
{
    uint32_t bases = 0;
    for (uint32_t p = 0; recompute->builds && p < partition; p++)
        bases += recompute->builds[p].kept == 0 && recompute->builds[p].task;
    return bases >= (self->options.partitions + BASES_PART - 1) / BASES_PART;
}

size_t layers_kept (const coordinator_core_t *self, const recompute_t *recompute, const log_t *log,
                    const catalog_part_t *present, int64_t clock, uint64_t new_rows)
{
    size_t kept = kept_of (self, recompute, log, present, clock, new_rows, false);
    if (kept == 0 && present && are_enough (self, recompute, present->partition))
        kept = kept_of (self, recompute, log, present, clock, new_rows, true);
    return kept;
}
