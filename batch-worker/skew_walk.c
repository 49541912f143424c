/* skew_walk.c - answers computed again: the events of history beside them, once for each role and
 * partition, as a training set is made. */
#include "batch-worker/build.h"
#include "batch-worker/skew.h"
#include "batch-worker/training/spine.h"
#include "batch-worker/training/training.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"

/* The entries as a role sees them. */
typedef struct walk {
    skew_t *skew;
    const skew_role_t *role;
    bool stands;
    batch_t spine;       /* all entries: keys, times, numbers, values of the request */
    uint32_t *partition; /* of each */
    outcome_t *inputs;   /* where outcomes go: [entry * inputs_count + input] */
} walk_t;

/* The runs of a partition of one source. */
typedef struct side {
    build_t build;
    build_order_t order;
    run_t **runs;
    run_cursor_t **cursors;
    training_run_t *inputs;
    size_t count;
    merge_t *merge;
    training_merge_t merged;
    bool merging;
    training_limit_t *limits; /* of all entries; NULL: they stand nowhere */
} side_t;

/* ---- copies ---- */

static value_t keep_value (arena_t *arena, const value_t *value);

static value_t *keep_values (arena_t *arena, const value_t *values, size_t count)
{
    value_t *kept = arena_alloc (arena, (count + 1) * sizeof *kept);
    for (size_t i = 0; i < count; i++)
        kept[i] = keep_value (arena, &values[i]);
    return kept;
}

static value_t keep_value (arena_t *arena, const value_t *value)
{
    value_t kept = *value;
    if (value->null)
        return kept;
    if (value->type == TYPE_STRING)
        kept.s = arena_text (arena, value->s);
    if (value->type == TYPE_LIST) {
        value_list_t *list = arena_alloc (arena, sizeof *list);
        *list = (value_list_t){ value->list->count,
                                keep_values (arena, value->list->items, value->list->count) };
        kept.list = list;
    }
    if (value->type == TYPE_MAP) {
        value_map_t *map = arena_alloc (arena, sizeof *map);
        *map = *value->map;
        map->keys = keep_values (arena, map->keys, map->count);
        map->values = keep_values (arena, map->values, map->count);
        kept.map = map;
    }
    return kept;
}

/* ---- the spine ---- */

static const value_t *key_value (const walk_t *self, const skew_entry_t *entry, size_t at)
{
    const service_t *service = self->skew->target.service;
    return &entry->answer.fields[service ? service->roles[self->role->number].key[at] : at];
}

/* What the role's view takes of the request; NULL: nothing. */
static const value_t *request_value (const walk_t *self, const skew_entry_t *entry, size_t at)
{
    const skew_target_t *target = &self->skew->target;
    int64_t field = target->service ? target->service->roles[self->role->number].request[at]
                                    : (int64_t)(target->keys_count + at);
    return field >= 0 ? &entry->answer.fields[field] : NULL;
}

static void make_spine (walk_t *self)
{
    skew_t *skew = self->skew;
    const plan_t *plan = self->role->plans[0];
    size_t rows = skew->entries_count;
    self->spine = batch_new (skew->arena, plan->request_types, plan->request_count, rows);
    self->partition = arena_alloc (skew->arena, (rows + 1) * sizeof *self->partition);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    for (size_t i = 0; i < rows; i++) {
        const skew_entry_t *entry = &skew->entries[i];
        buf_clear (&key);
        for (size_t k = 0; k < self->role->view->key_count; k++)
            key_put (&key, key_value (self, entry, k));
        text_t bytes = { (const char *)key.data, (uint32_t)key.size };
        self->spine.key[i] = arena_text (skew->arena, bytes);
        self->spine.event_time[i] = entry->answer.as_of;
        self->spine.offset[i] = i;
        self->partition[i] = key_partition (key_hash (bytes), skew->task->setting.partitions);
        for (size_t c = 0; c < plan->request_count; c++) {
            const value_t *value = request_value (self, entry, c);
            if (value != NULL && !value->null)
                column_set (&self->spine.column[c], i, value);
        }
    }
    buf_release (&key);
}

/* ---- sources ---- */

static bool is_kept (void *arg, size_t source, uint64_t offset)
{
    (void)source;
    return !build_excludes (arg, offset);
}

static status_t open_run (side_t *self, const task_run_t *item, const uint64_t *wanted,
                          const training_place_t *place, merge_source_t *input, error_t *error)
{
    size_t i = self->count++;
    status_t status = build_open_run (&self->build, item, &self->runs[i], error);
    if (status == STATUS_OK)
        status = build_open_cursor (&self->build, self->runs[i], wanted, &self->cursors[i], error);
    if (status != STATUS_OK)
        return status;
    run_cursor_leave (self->cursors[i], BLOCK_LEAVE_INGEST_TIME);
    *input = training_run_source (&self->inputs[i], self->cursors[i], place);
    return STATUS_OK;
}

static status_t open_side (walk_t *walk, const plan_t *plan, const skew_part_t *part,
                           uint32_t partition, const training_place_t *place, side_t *self,
                           error_t *error)
{
    task_t *task = walk->skew->task;
    self->order = (build_order_t){ .log = text_of (plan->log_name),
                                   .partition = partition,
                                   .excluded = part->excluded,
                                   .excluded_count = part->excluded_count };
    self->build = (build_t){ .task = task, .order = &self->order, .fs = task->setting.fs };
    size_t count = part->runs.count;
    self->runs = mem_zero (count + 1, sizeof (run_t *));
    self->cursors = mem_zero (count + 1, sizeof (run_cursor_t *));
    self->inputs = mem_zero (count + 1, sizeof *self->inputs);
    merge_source_t *inputs = mem_zero (count + 1, sizeof *inputs);
    uint64_t wanted[BLOCK_WANTED_WORDS] = { 0 };
    _Static_assert(sizeof plan->columns_used <= sizeof wanted, "a bit per column");
    memcpy (wanted, plan->columns_used, sizeof plan->columns_used);
    status_t status = build_of_log (&self->build, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = open_run (self, &part->runs.items[i], wanted, place, &inputs[i], error);
    merge_options_t options = { .keep = is_kept, .arg = &self->order };
    if (status == STATUS_OK)
        status = merge_new (inputs, count, &options, &self->merge, error);
    self->merging = status == STATUS_OK;
    mem_free (inputs);
    return status;
}

static void close_side (side_t *self)
{
    if (self->merging)
        training_merge_release (&self->merged);
    merge_destroy (&self->merge);
    mem_free (self->limits);
    for (size_t i = 0; i < self->count; i++) {
        run_cursor_destroy (&self->cursors[i]);
        run_destroy (&self->runs[i]);
    }
    mem_free (self->inputs);
    mem_free (self->cursors);
    mem_free (self->runs);
}

/* Where the entries of the partition stood in the log; those that say so were looked at before
 * (skew_compare.c). The caller frees it. */
static training_limit_t *limits_of (const walk_t *self, const char *log_name, uint32_t partition)
{
    const skew_t *skew = self->skew;
    training_limit_t *limits = mem_zero (skew->entries_count + 1, sizeof *limits);
    for (size_t i = 0; i < skew->entries_count; i++) {
        const skew_entry_t *entry = &skew->entries[i];
        for (size_t p = 0; p < entry->answer.places_count; p++) {
            const sample_place_t *place = &entry->answer.places[p];
            if (place->partition == partition &&
                text_is (sample_block_dataset (entry->block, place->dataset)->log, log_name))
                limits[i] = (training_limit_t){ place->position,
                                                place->cut,
                                                { place->absent, place->absent_count } };
        }
    }
    return limits;
}

/* ---- one partition ---- */

static status_t answer_all (walk_t *self, training_t *training, error_t *error)
{
    skew_t *skew = self->skew;
    training_rows_t rows;
    status_t status;
    while ((status = training_next (training, &rows, error)) == STATUS_OK) {
        for (size_t r = rows.from; r < rows.to; r++)
            for (size_t f = 0; f < self->role->features_count; f++) {
                const outcome_t *outcome = outcome_of (rows.task, rows.outcomes, r - rows.from, f);
                outcome_t *to = &self->inputs[rows.spine->offset[r] * skew->target.inputs_count +
                                              self->role->inputs[f]];
                to->value = keep_value (skew->arena, &outcome->value);
                to->error = outcome->error != NULL
                                ? arena_string (skew->arena, text_of (outcome->error))
                                : NULL;
            }
        if ((status = task_go_on (skew->task, error)) != STATUS_OK)
            return status;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t train (walk_t *self, uint32_t partition, spine_t *spine, error_t *error)
{
    skew_t *skew = self->skew;
    const skew_role_t *role = self->role;
    side_t *sides = mem_zero (role->plans_count, sizeof *sides);
    training_place_t place = { .key = { .size = 0 } };
    training_source_t sources[TRAINING_SOURCES_MAX];
    training_stand_t stands[TRAINING_SOURCES_MAX];
    int32_t request[REQUEST_FIELDS_MAX];
    status_t status = STATUS_OK;
    place.key.data = (const char *)place.bytes;
    CHECK (role->plans_count <= TRAINING_SOURCES_MAX);
    for (size_t s = 0; s < role->plans_count && status == STATUS_OK; s++) {
        const plan_t *plan = role->plans[s];
        const skew_log_t *log = skew_log_named (skew->order, text_of (plan->log_name));
        if (log == NULL) {
            status = error_set (error, STATUS_INVALID, "the order lacks log %s", plan->log_name);
            break;
        }
        const skew_part_t *part = &log->parts[partition];
        status = open_side (self, plan, part, partition, &place, &sides[s], error);
        if (status != STATUS_OK)
            break;
        sources[s] =
            (training_source_t){ plan, training_merge_source (&sides[s].merged, sides[s].merge) };
        if (self->stands)
            sides[s].limits = limits_of (self, plan->log_name, partition);
        stands[s] = (training_stand_t){ sides[s].limits, { part->loads, part->loads_count } };
    }
    for (size_t i = 0; i < role->plans[0]->request_count; i++)
        request[i] = (int32_t)i;
    if (status == STATUS_OK) {
        training_options_t options = { .sources = sources,
                                       .sources_count = role->plans_count,
                                       .spine = spine_source (spine, NULL),
                                       .request = request,
                                       .known = TRAINING_NONE,
                                       .stands = self->stands ? stands : NULL,
                                       .features = role->features,
                                       .features_count = role->features_count,
                                       .memory = skew->task->setting.memory_limit / 4,
                                       .place = &place };
        training_t *training = training_new (&options);
        status = answer_all (self, training, error);
        training_destroy (&training);
    }
    for (size_t s = 0; s < role->plans_count; s++)
        close_side (&sides[s]);
    mem_free (sides);
    return status;
}

static status_t walk_role (walk_t *self, error_t *error)
{
    skew_t *skew = self->skew;
    const plan_t *plan = self->role->plans[0];
    status_t status = STATUS_OK;
    uint32_t *which = mem_zero (skew->entries_count + 1, sizeof *which);
    make_spine (self);
    for (uint32_t p = 0; p < skew->task->setting.partitions && status == STATUS_OK; p++) {
        size_t count = 0;
        for (uint32_t i = 0; i < skew->entries_count; i++)
            if (self->partition[i] == p)
                which[count++] = i;
        if (count == 0)
            continue;
        spine_t *spine = spine_new (plan->request_types, plan->request_count, count);
        spine_add (spine, &self->spine, which, count);
        status = train (self, p, spine, error);
        spine_destroy (&spine);
    }
    mem_free (which);
    return status;
}

/* ---- all roles ---- */

/* What the service makes of its roles' outcomes. */
static const outcome_t *derive (skew_t *self, const outcome_t *inputs)
{
    const skew_target_t *target = &self->target;
    size_t most = outcome_task_keys (target->task);
    outcome_t *all =
        arena_zero (self->arena, self->entries_count * target->outputs_count + 1, sizeof *all);
    outcome_key_t *keys = arena_zero (self->arena, most, sizeof *keys);
    for (size_t from = 0; from < self->entries_count; from += most) {
        size_t count = self->entries_count - from < most ? self->entries_count - from : most;
        for (size_t i = 0; i < count; i++) {
            const sample_answer_t *answer = &self->entries[from + i].answer;
            keys[i] = (outcome_key_t){ .as_of = answer->as_of,
                                       .request = answer->fields,
                                       .inputs = inputs + (from + i) * target->inputs_count };
        }
        const outcome_t *outcomes = outcome_compute (target->task, keys, count, self->arena);
        for (size_t i = 0; i < count; i++)
            for (size_t f = 0; f < target->outputs_count; f++)
                all[(from + i) * target->outputs_count + f] =
                    *outcome_of (target->task, outcomes, i, f);
    }
    return all;
}

status_t skew_compute (skew_t *self, bool stands, const outcome_t **outcomes, error_t *error)
{
    const skew_target_t *target = &self->target;
    outcome_t *inputs =
        arena_zero (self->arena, self->entries_count * target->inputs_count + 1, sizeof *inputs);
    status_t status = STATUS_OK;
    for (size_t r = 0; r < target->roles_count && status == STATUS_OK; r++) {
        walk_t walk = {
            .skew = self, .role = &target->roles[r], .stands = stands, .inputs = inputs
        };
        status = walk_role (&walk, error);
    }
    *outcomes = status != STATUS_OK ? NULL : target->service ? derive (self, inputs) : inputs;
    return status;
}
