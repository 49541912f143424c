/* What was built becomes a manifest, in one transaction. */
#include "coordinator/state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* "d" and 16 hex digits of what the dataset includes: equal for equal contents. */
static const char *dataset_id (const catalog_manifest_t *manifest, arena_t *arena)
{
    buf_t bytes;
    buf_init (&bytes, 1 << 26);
    buf_put_text (&bytes, text_of (manifest->log));
    for (size_t p = 0; p < manifest->parts_count; p++) {
        const catalog_part_t *part = &manifest->parts[p];
        buf_put_u64 (&bytes, part->cut);
        buf_put_u64 (&bytes, part->excluded_count);
        for (size_t i = 0; i < part->excluded_count; i++)
            buf_put_u64 (&bytes, part->excluded[i]);
    }
    for (size_t i = 0; i < manifest->loads_count; i++)
        buf_put_text (&bytes, text_of (manifest->loads[i]));
    char *id = mem_format ("d%016" PRIx64, (uint64_t)XXH3_64bits (bytes.data, bytes.size));
    const char *copy = arena_string (arena, text_of (id));
    mem_free (id);
    buf_release (&bytes);
    return copy;
}

static int compare_strings (const void *a, const void *b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static catalog_manifest_t next_manifest (coordinator_core_t *self, recompute_t *recompute,
                                         const log_t *log)
{
    arena_t *arena = recompute->arena;
    uint32_t partitions = self->options.partitions;
    const catalog_manifest_t *present = &log->manifest;
    catalog_manifest_t next = { .log = arena_string (arena, text_of (log->name)),
                                .number = present->number + 1,
                                .parts = arena_zero (arena, partitions, sizeof *next.parts),
                                .parts_count = partitions };
    for (uint32_t p = 0; p < partitions; p++)
        next.parts[p] = recompute->builds[p].part;
    size_t most = present->loads_count + recompute->loads_count + recompute->forgets_count;
    next.loads = arena_zero (arena, most, sizeof (char *));
    for (size_t i = 0; i < present->loads_count; i++)
        if (!ids_has (recompute->unloaded, recompute->unloaded_count, present->loads[i]) &&
            forgets_in_manifest (self, present->loads[i]))
            ids_add (&next.loads, &next.loads_count, present->loads[i], arena);
    for (size_t i = 0; i < recompute->loads_count; i++)
        ids_add (&next.loads, &next.loads_count, recompute->loads[i], arena);
    for (size_t i = 0; i < recompute->forgets_count; i++)
        ids_add (&next.loads, &next.loads_count, recompute->forgets[i], arena);
    if (next.loads_count > 1)
        qsort (next.loads, next.loads_count, sizeof (char *), compare_strings);
    next.dataset = dataset_id (&next, arena);
    return next;
}

/* Of the loads that come in or go out, those for which this was the last log to be recomputed. */
static const char **settled_loads (const coordinator_core_t *self, const recompute_t *recompute,
                                   const char *const *ids, size_t count, bool out, size_t *settled)
{
    const char **list = arena_zero (recompute->arena, count, sizeof (char *));
    *settled = 0;
    for (size_t i = 0; i < count; i++) {
        const load_t *load = load_find (self, text_of (ids[i]));
        if (load && load_settled (self, load, recompute->log, out))
            list[(*settled)++] = ids[i];
    }
    return list;
}

static void set_loads (coordinator_core_t *self, const char *const *ids, size_t count,
                       load_state_t state)
{
    for (size_t i = 0; i < count; i++) {
        load_t *load = load_find (self, text_of (ids[i]));
        load->state = state;
        load->row.state = load_word (state);
        load_needs_manifests (self, load);
    }
}

static void published (coordinator_core_t *self, recompute_t *recompute, log_t *log,
                       const catalog_manifest_t *next)
{
    recompute->done = recompute->total = 0;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        recompute->total += recompute->builds[p].events;
    recompute->done = recompute->total;
    recompute->state = RECOMPUTE_PUBLISHED;
    recompute->manifest = next->number;
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (recompute->builds[p].folded)
            folds_drop (self, log, p);
    recompute->builds = NULL;
    bool joined = recompute->loads_count > 0;
    bool left = recompute_leaves_out (recompute);
    recompute->loads = recompute->unloaded = NULL;
    recompute->forgets = NULL;
    recompute->loads_count = recompute->unloaded_count = recompute->forgets_count = 0;
    log_take_manifest (self, log, &recompute->arena, next);
    log->built_definitions = recompute->definitions;
    if (joined)
        put_off (self, &log->join, NULL);
    if (left)
        put_off (self, &log->leave, NULL);
    log->failures = 0;
    log->retry_at = 0;
    env_log (self->env, LOG_INFO, "recompute %" PRIu64 " of %s: manifest %" PRIu64 ", dataset %s",
             recompute->id, log->name, next->number, next->dataset);
    nodes_poke (self, ROLE_SERVING);
}

static bool all_behind (const coordinator_core_t *self, const recompute_t *recompute)
{
    for (uint32_t p = 0; p < self->options.partitions; p++)
        if (!recompute->builds[p].behind)
            return false;
    return true;
}

/* What it does without is told as its error: of the first such partition why, of the others how
 * many they are. */
static void tell_stuck (coordinator_core_t *self, recompute_t *recompute, const log_t *log)
{
    uint32_t first = self->options.partitions;
    unsigned more = 0;
    for (uint32_t p = self->options.partitions; p-- > 0;)
        if (log->stuck[p].reason) {
            more += first < self->options.partitions;
            first = p;
        }
    if (first == self->options.partitions) {
        core_set (&recompute->error, "");
        return;
    }
    char *others = more > 0 ? mem_format ("; and so %u more", more) : mem_string ("");
    char *text = mem_format (
        "partition %" PRIu32 " %s: %s%s", first,
        recompute->builds[first].behind ? "stays as it was" : "gets what is new and keeps the rest",
        log->stuck[first].reason, others);
    core_set (&recompute->error, text);
    mem_free (others);
    mem_free (text);
}

void build_publish (coordinator_core_t *self, recompute_t *recompute)
{
    log_t *log = log_named (self, text_of (recompute->log));
    error_t error;
    tell_stuck (self, recompute, log);
    if (all_behind (self, recompute)) {
        char *text = mem_string (recompute->error);
        recompute_fail (self, recompute, text);
        mem_free (text);
        return;
    }
    catalog_manifest_t next = next_manifest (self, recompute, log);
    if (forgets_publishing (self, recompute, &error) != STATUS_OK) {
        recompute->retry_at = core_now (self) + TIME_SECOND;
        return;
    }
    int64_t time = self->env->clock_us (self->env);
    size_t in_count;
    size_t out_count;
    const char **in =
        settled_loads (self, recompute, recompute->loads, recompute->loads_count, false, &in_count);
    const char **out = settled_loads (self, recompute, recompute->unloaded,
                                      recompute->unloaded_count, true, &out_count);
    status_t status = catalog_publish (self->catalog, &next, recompute->id, in, in_count, out,
                                       out_count, time, &error);
    if (status != STATUS_OK) {
        recompute->retry_at = core_now (self) + TIME_SECOND;
        (void)core_failed (self, &error);
        return;
    }
    recompute->finished = time;
    published (self, recompute, log, &next); /* the ids are in the arena that the log has now */
    set_loads (self, in, in_count, LOAD_VISIBLE);
    set_loads (self, out, out_count, LOAD_UNLOADED);
}
