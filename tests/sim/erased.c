/* What is erased: which events a dataset must lack, and that no file has them when it was told. */
#include "tests/sim/shadow.h"

#include "base/mem.h"
#include "intake/logged.h"
#include "storage/log_chain.h"
#include "storage/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void check_add_forget (sim_check_t *self, sim_forget_t *forget)
{
    for (size_t l = 0; l < DATA_LOGS; l++)
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
            forget->offset[l][p] = UINT64_MAX;
    forget->partition = key_partition (key_hash (forget->key), SIM_PARTITIONS);
    forget->asked = sim_now (self->sim);
    forget->next = self->forgets;
    self->forgets = forget;
}

void check_order (sim_check_t *self, const shadow_t *shadow, const sim_forget_t *forget,
                  const sim_load_t *load)
{
    uint64_t forgotten = forget->offset[shadow->log][shadow->partition];
    uint64_t loaded = load->offset[shadow->log][shadow->partition];
    if (forget->stream != load->stream || forgotten == UINT64_MAX || loaded == UINT64_MAX)
        return;
    bool first = forget->taken > 0 && forget->taken < load->asked;
    bool last = load->taken > 0 && load->taken < forget->asked;
    if (first ? forgotten > loaded : last && forgotten < loaded)
        sim_fail (self->sim,
                  "%s: forget %s stands at %" PRIu64 " and load %s at %" PRIu64
                  ", which came %s it",
                  shadow->dir, forget->id, forgotten, load->id, loaded, first ? "after" : "before");
}

sim_forget_t *forget_of (const sim_check_t *self, text_t id)
{
    for (sim_forget_t *forget = self->forgets; forget; forget = forget->next)
        if (text_is (id, forget->id))
            return forget;
    return NULL;
}

/* The key in the stream's own log; false when a field of it is null. */
static bool own_key (const sim_check_t *self, size_t stream, const value_t *values, buf_t *out)
{
    const keyed_log_t *log = &self->data->log[stream];
    for (size_t i = 0; i < log->key_count; i++)
        if (values[log->key[i]].null)
            return false;
    for (size_t i = 0; i < log->key_count; i++)
        key_put (out, &values[log->key[i]]);
    return true;
}

static bool is_of (const sim_check_t *self, const sim_forget_t *forget, const value_t *values,
                   int64_t time)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    bool same = time < forget->before && own_key (self, forget->stream, values, &key) &&
                text_equal (forget->key, (text_t){ (const char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return same;
}

bool dataset_lists (const sim_dataset_t *self, const sim_forget_t *forget)
{
    for (size_t i = 0; self && i < self->forgets_count; i++)
        if (self->forgets[i] == forget)
            return true;
    return false;
}

bool dataset_erases (const sim_check_t *self, const sim_dataset_t *dataset, uint32_t partition,
                     uint64_t offset, const value_t *values, int64_t time)
{
    for (size_t i = 0; dataset && i < dataset->forgets_count; i++) {
        const sim_forget_t *forget = dataset->forgets[i];
        uint64_t place = forget->offset[dataset->log][partition];
        if (place != UINT64_MAX && offset < place && is_of (self, forget, values, time))
            return true;
    }
    return false;
}

bool erased_before (const sim_check_t *self, size_t own, uint32_t source, uint64_t offset,
                    uint64_t begin, const value_t *values, int64_t time)
{
    for (const sim_forget_t *forget = self->forgets; forget; forget = forget->next)
        if (forget->stream == own && forget->partition == source &&
            forget->offset[own][source] < begin && offset < forget->offset[own][source] &&
            is_of (self, forget, values, time))
            return true;
    return false;
}

/* ---- files ---- */

typedef struct names {
    sim_check_t *self;
    const sim_forget_t *forget;
    size_t log;
    uint32_t partition;
    const char *dir;
    char **items;
    size_t count;
} names_t;

static void add_name (void *arg, const char *name)
{
    names_t *names = arg;
    names->items = mem_resize (names->items, names->count + 1, sizeof (char *));
    names->items[names->count++] = mem_string (name);
}

/* Rows of a load have no positions as they are written: one that came later may be of the entity.
 */
static bool may_be_later (const names_t *names, const char *name)
{
    if (!strstr (name, "-load-"))
        return false;
    for (const sim_load_t *load = names->self->loads; load; load = load->next) {
        uint64_t offset = load->offset[names->log][names->partition];
        if (load->stream == names->forget->stream &&
            (offset == UINT64_MAX || offset > names->forget->offset[names->log][names->partition]))
            return true;
    }
    return false;
}

static void look_at_run (names_t *names, const char *name)
{
    sim_check_t *self = names->self;
    const keyed_log_t *log = &self->data->log[names->log];
    const keyed_log_t *own = &self->data->log[names->forget->stream];
    uint64_t place = names->forget->offset[names->log][names->partition];
    char *path = mem_format ("%s/%s", names->dir, name);
    run_t *run = NULL;
    run_cursor_t *cursor = NULL;
    error_t error;
    arena_t *arena = arena_new (1 << 12);
    columns_t columns = stream_columns (log->stream, arena);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    batch_t batch;
    if (run_open (self->fs, path, NULL, &run, &error) == STATUS_OK &&
        run_cursor_new_as (run, &columns, NULL, &cursor, &error) == STATUS_OK)
        while (run_cursor_next (cursor, &batch, &error) == STATUS_OK)
            for (size_t i = 0; i < batch.rows; i++) {
                buf_clear (&key);
                text_t text = { 0 };
                if (keyed_log_key (own, &batch, i, &key))
                    text = (text_t){ (const char *)key.data, (uint32_t)key.size };
                if (batch.offset[i] < place && batch.event_time[i] < names->forget->before &&
                    text_equal (text, names->forget->key) && !may_be_later (names, name))
                    sim_fail (self->sim, "forget %s is erased, and %s has a row of it at %" PRIu64,
                              names->forget->id, path, batch.offset[i]);
            }
    buf_release (&key);
    run_cursor_destroy (&cursor);
    run_destroy (&run);
    arena_destroy (&arena);
    mem_free (path);
}

/* Is the segment of the log as its newest owner has it? An owner that was replaced, and was stopped
 * while it was looked for, may begin another when it wakes: that one is void, and goes with a later
 * trim (docs/operations.md, What weir cannot erase). */
static bool is_of_log (const names_t *names, const char *name)
{
    sim_check_t *self = names->self;
    log_identity_t identity =
        logged_identity (&self->data->log[names->log], SIM_CLUSTER_ID, names->partition);
    log_segment_id_t id;
    log_chain_t chain;
    error_t error;
    if (!log_segment_parse_name (name, &id))
        return false;
    if (log_chain_load (self->fs, names->dir, &identity, 0, &chain, &error) != STATUS_OK)
        sim_fail (self->sim, "%s, of which an entity was erased, does not read: %s", names->dir,
                  error.text);
    bool is_there = false;
    for (size_t i = 0; i < chain.count; i++)
        is_there |= chain.link[i].id.first == id.first && chain.link[i].id.epoch == id.epoch;
    log_chain_release (&chain);
    return is_there;
}

static void look_at_segment (names_t *names, const char *name)
{
    if (strtoull (name, NULL, 10) <= names->forget->offset[names->log][names->partition] &&
        is_of_log (names, name))
        sim_fail (names->self->sim, "forget %s is erased, and %s/%s is still there",
                  names->forget->id, names->dir, name);
}

static void look_into (names_t *names, const char *root, void (*each) (names_t *, const char *))
{
    error_t error;
    char *dir =
        mem_format ("%s/%s/%u", root, names->self->data->log[names->log].name, names->partition);
    names->dir = dir;
    names->count = 0;
    status_t status = fs_list (names->self->fs, dir, add_name, names, &error);
    (void)status;
    for (size_t i = 0; i < names->count; i++) {
        if (!sim_failed (names->self->sim))
            each (names, names->items[i]);
    }
    for (size_t i = 0; i < names->count; i++)
        mem_free (names->items[i]);
    mem_free (names->items);
    names->items = NULL;
    mem_free (dir);
}

/* How many events of the stream's own log and its loads it took. */
static uint64_t count_erased (sim_check_t *self, const sim_forget_t *forget)
{
    size_t own = forget->stream;
    const shadow_t *shadow = &self->shadows[own][forget->partition];
    uint64_t count = 0;
    for (size_t i = 0; i < shadow->events_count; i++)
        count += shadow->events[i].offset < forget->offset[own][forget->partition] &&
                 is_of (self, forget, shadow->events[i].values, shadow->events[i].time);
    return count;
}

void check_erased (sim_check_t *self, const sim_forget_t *forget, uint64_t rows)
{
    if (forget->offset[forget->stream][forget->partition] == UINT64_MAX) {
        sim_fail (self->sim, "forget %s is erased, and stands in no log", forget->id);
        return;
    }
    check_calm (self);
    for (size_t l = 0; l < DATA_LOGS; l++)
        for (uint32_t p = 0; p < SIM_PARTITIONS && self->data->log_stream[l] == forget->stream;
             p++) {
            names_t names = { .self = self, .forget = forget, .log = l, .partition = p };
            if (forget->offset[l][p] == UINT64_MAX)
                continue;
            look_into (&names, "log", look_at_segment);
            look_into (&names, "history", look_at_run);
        }
    check_calm_over (self);
    sim_log (self->sim, "forget %s took %" PRIu64 " rows, of %" PRIu64 " events sent", forget->id,
             rows, count_erased (self, forget));
}
