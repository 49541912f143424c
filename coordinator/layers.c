/* Bases and deltas: how much of a partition a recompute builds anew (docs/coordination.md, "Bases
 * and deltas"). */
#include "coordinator/state.h"

#include <string.h>

enum {
    LAYERS_KNOWN = 64, /* more than there ever are: those above would go */
    FOLDED_TIMES = 4,  /* what is new: a recompute writes no more of what was there itself … */
    FOLDED_END = 6, /* a fold is of layers below this one, for deltas come above it meanwhile; … */
    FOLDED_LEAST = 3, /* … unless it would be of fewer than so many */
};

/* ---- views that a layer lacks ---- */

bool layers_have_view (const catalog_part_t *part, const view_t *view, uint64_t plan)
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
            if (!layers_have_view (&log->manifest.parts[p], view, self->plans[v][source]))
                return view->name;
    }
    return NULL;
}

/* ---- how old the base is ---- */

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

/* Do as-of times come near the end of a layer's horizon: by the clock, or by the events' own time?
 */
static bool is_old (const coordinator_core_t *self, const log_t *log, const catalog_part_t *part,
                    int64_t clock)
{
    int64_t latest = part->layers[part->layers_count - 1].latest; /* of all */
    int64_t most = horizon_of (self, log) / 2;
    for (size_t i = 0; i < part->layers_count; i++) {
        const catalog_layer_t *layer = &part->layers[i];
        int64_t moved;
        if (__builtin_sub_overflow (clock, layer->clock, &moved) || moved > most)
            return true;
        if (latest != INT64_MIN &&
            (__builtin_sub_overflow (latest, layer->latest, &moved) || moved > most))
            return true;
    }
    return false;
}

/* ---- what stays ---- */

/* The layers of a partition by their rows, the base first. */
typedef struct pile {
    uint64_t rows[LAYERS_KNOWN];
    size_t count;
    uint64_t new_rows; /* that come above them */
} pile_t;

static pile_t pile_of (const catalog_part_t *part, uint64_t new_rows)
{
    pile_t self = { .new_rows = new_rows };
    size_t run = 0;
    self.count = part->layers_count < LAYERS_KNOWN ? part->layers_count : LAYERS_KNOWN;
    for (size_t i = 0; i < self.count; i++)
        for (size_t r = 0; r < part->layers[i].runs_count; r++)
            self.rows[i] += part->runs[run++].rows;
    return self;
}

static uint64_t rows_from (const pile_t *self, size_t first)
{
    uint64_t rows = 0;
    for (size_t i = first; i < self->count; i++)
        rows += self->rows[i];
    return rows;
}

/* The delta that grows most for its size when all from it on become one: one of as many as may
 * stay, among the lowest `count` layers without those that are `pinned`. */
static size_t cheapest_fold (const pile_t *self, size_t pinned, size_t count, uint64_t above)
{
    size_t cheapest = DELTAS_MAX;
    double growth = 0;
    for (size_t i = count - 1; i > 0 && i >= pinned; i--) {
        double of_this = (double)above / (double)self->rows[i]; /* no layer that stays is empty */
        if (i <= DELTAS_MAX && of_this > growth) {
            cheapest = i;
            growth = of_this;
        }
        above += self->rows[i];
    }
    return cheapest;
}

/* How many layers stay below what is new. The lowest one that is no larger than all above it and
 * what is new goes, and all above it: so every layer that stays is larger than all above it
 * together. When these are too many, a fold goes deeper still. Those that are pinned stay. */
static size_t below_the_new (const pile_t *self, size_t pinned)
{
    size_t kept = self->count;
    uint64_t above = self->new_rows;
    uint64_t above_kept = self->new_rows;
    for (size_t i = self->count; i-- > pinned; above += self->rows[i])
        if (self->rows[i] <= above) {
            kept = i;
            above_kept = above + self->rows[i];
        }
    return kept <= DELTAS_MAX ? kept : cheapest_fold (self, pinned, kept, above_kept);
}

/* Can the recompute write these layers again itself, and be hardly later for it? */
static bool are_few (const coordinator_core_t *self, const pile_t *pile, size_t first)
{
    uint64_t rows = rows_from (pile, first);
    return rows <= self->options.fold_least / self->options.partitions ||
           rows / FOLDED_TIMES <= pile->new_rows;
}

/* What the recompute itself makes of layers that no fold has: what the rules say, if that is
 * little, or has to be. */
static size_t kept_above (const coordinator_core_t *self, const pile_t *pile, size_t pinned)
{
    size_t kept = pile->new_rows > 0 ? below_the_new (pile, pinned) : pile->count;
    return are_few (self, pile, kept) || pile->count > DELTAS_MAX ? kept : pile->count;
}

/* All from `first` on should become one, which takes long: the lowest of them do on their own. */
static layers_plan_t begin_fold (const coordinator_core_t *self, const pile_t *pile, size_t first)
{
    size_t end = first + FOLDED_LEAST < FOLDED_END ? FOLDED_END : first + FOLDED_LEAST;
    end = end < DELTAS_MAX ? end : DELTAS_MAX;
    end = end < pile->count ? end : pile->count;
    return (layers_plan_t){ .kept = kept_above (self, pile, end),
                            .fold_first = first,
                            .fold_end = end };
}

layers_plan_t layers_plan (const coordinator_core_t *self, const recompute_t *recompute,
                           const log_t *log, const catalog_part_t *present, int64_t clock,
                           uint64_t new_rows, size_t pinned, bool may_fold)
{
    if (!present || recompute->full || recompute_leaves_out (recompute) ||
        layers_view_missing (self, log))
        return (layers_plan_t){ 0 };
    pile_t pile = pile_of (present, new_rows);
    if (pinned > 0)
        return (layers_plan_t){ .kept = kept_above (self, &pile, pinned) };
    size_t kept = is_old (self, log, present, clock) ? 0
                  : new_rows > 0                     ? below_the_new (&pile, 0)
                                                     : pile.count;
    if (are_few (self, &pile, kept))
        return (layers_plan_t){ .kept = kept };
    if (may_fold && kept + 1 < DELTAS_MAX) /* one delta alone is none the better for it */
        return begin_fold (self, &pile, kept);
    /* until one may begin, deltas pile up */
    return (layers_plan_t){ .kept = pile.count <= DELTAS_MAX ? pile.count : kept };
}
