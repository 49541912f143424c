#include "batch-worker/skew.h"

#include "base/check.h"
#include "base/mem.h"

enum { CHUNK = 1 << 20 };

/* ---- answers ---- */

static bool is_asked (const skew_t *self, const sample_block_t *block,
                      const sample_answer_t *answer)
{
    const skew_target_t *target = &self->target; /* a sample has names without versions */
    const char *name = target->service ? target->service->name : target->roles[0].view->name;
    return answer->time >= self->order->since &&
           text_is (sample_block_shape (block, answer->shape)->name, name);
}

/* All answers of a block; whoever keeps one of them keeps the block. */
static status_t each_of_block (skew_t *self, sample_block_t *block, skew_each_f *each,
                               error_t *error)
{
    sample_answer_t answer;
    bool keep = false;
    status_t status;
    while ((status = sample_block_next (block, &answer, error)) == STATUS_OK)
        if (is_asked (self, block, &answer) &&
            (status = each (self, block, &answer, &keep, error)) != STATUS_OK)
            break;
    self->shape = NULL; /* it may go with its block */
    if (!keep)
        sample_block_destroy (&block);
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t each_of_segment (skew_t *self, const char *path, skew_each_f *each, error_t *error)
{
    task_t *task = self->task;
    sample_segment_t *segment;
    sample_block_t *block;
    status_t status = sample_segment_open (task->setting.fs, path, task->setting.place,
                                           task->setting.partitions, &segment, error);
    if (status == STATUS_NOT_FOUND || status == STATUS_INVALID || status == STATUS_CORRUPT)
        return STATUS_OK; /* it went meanwhile, or is none of ours */
    while (status == STATUS_OK) {
        status = sample_segment_next (segment, self->order->since, &block, error);
        if (status == STATUS_OK)
            status = each_of_block (self, block, each, error);
        if (status == STATUS_OK)
            status = task_go_on (task, error);
    }
    if (status == STATUS_END)
        self->counts.torn += sample_segment_torn (segment);
    sample_segment_destroy (&segment);
    return status == STATUS_END ? STATUS_OK : status;
}

status_t skew_each (skew_t *self, skew_each_f *each, error_t *error)
{
    const char **paths;
    size_t count;
    status_t status =
        sample_list (self->task->setting.fs, self->task->arena, &paths, &count, error);
    atomic_store (&self->task->done, 0);
    atomic_store (&self->task->total, count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = each_of_segment (self, paths[i], each, error);
        task_progress (self->task, 1);
    }
    return status;
}

/* ---- what is compared ---- */

/* Are the fields of the types that the key and the request have? */
static bool has_types (const skew_t *self, const sample_answer_t *answer)
{
    const skew_target_t *target = &self->target;
    for (size_t i = 0; i < target->keys_count + target->request_count; i++) {
        const value_t *value = &answer->fields[i];
        bool key = i < target->keys_count;
        type_t type;
        if (target->service)
            type = key ? target->service->keys[i].type
                       : target->service->request[i - target->keys_count].type;
        else
            type = key ? view_key_field (target->roles->view, i)->type
                       : target->roles->view->request[i - target->keys_count].type;
        if (value->type != type || (key && value->null))
            return false;
    }
    return true;
}

/* Does it say where it stood in the logs of all roles? In which partition of one follows from the
 * key, which is looked at as it is computed: a place that is not there holds nothing, and differs.
 */
static bool has_places (const skew_t *self, const skew_entry_t *entry)
{
    for (size_t i = 0; i < entry->answer.places_count; i++) {
        const sample_place_t *place = &entry->answer.places[i];
        text_t log = sample_block_dataset (entry->block, place->dataset)->log;
        if (place->partition >= self->task->setting.partitions ||
            skew_log_named (self->order, log) == NULL)
            return false;
    }
    return entry->answer.places_count > 0;
}

/* Is all that it stood on in the dataset? And has anything gone since? */
static bool is_covered (const skew_t *self, skew_entry_t *entry)
{
    for (size_t i = 0; i < entry->answer.places_count; i++) {
        const sample_place_t *place = &entry->answer.places[i];
        const sample_dataset_t *dataset = sample_block_dataset (entry->block, place->dataset);
        const skew_log_t *log = skew_log_named (self->order, dataset->log);
        /* where there was a cut, its record is no event */
        uint64_t cut = log->parts[place->partition].cut;
        if (dataset->manifest > log->manifest || place->position > cut + (cut > 0))
            return false;
        entry->removed = entry->removed || dataset->manifest < log->removed;
    }
    return true;
}

static uint64_t *fate_of (skew_t *self, skew_entry_t *entry)
{
    if ((entry->answer.flags & SAMPLE_COMPLETE) == 0)
        return &self->counts.incomplete;
    if (!skew_is_version (self, entry->shape))
        return &self->counts.versions;
    if (!has_types (self, &entry->answer) || !has_places (self, entry))
        return &self->counts.damaged;
    return is_covered (self, entry) ? NULL : &self->counts.ahead;
}

/* ---- answers that are looked at together ---- */

/* So that they, and what they come to twice, take a part of the memory. */
static bool is_full (const skew_t *self)
{
    const skew_target_t *target = &self->target;
    enum { DECODED = 8 }; /* times the bytes of a block */
    size_t each = sizeof (skew_entry_t) + 256 +
                  2 * (target->inputs_count + target->outputs_count) * sizeof (outcome_t);
    size_t bytes = self->entries_count * each;
    for (size_t i = 0; i < self->blocks_count; i++)
        bytes += (size_t)sample_block_header (self->blocks[i])->unpacked * DECODED;
    return bytes > self->task->setting.memory_limit / 2;
}

static void begin (skew_t *self)
{
    for (size_t i = 0; i < self->blocks_count; i++)
        sample_block_destroy (&self->blocks[i]);
    self->blocks_count = 0;
    self->entries_count = 0;
    arena_reset (self->arena);
}

static void keep_block (skew_t *self, sample_block_t *block)
{
    if (self->blocks_count % 64 == 0)
        self->blocks =
            mem_resize (self->blocks, self->blocks_count + 64, sizeof (sample_block_t *));
    self->blocks[self->blocks_count++] = block;
}

static status_t gather (skew_t *self, sample_block_t *block, const sample_answer_t *answer,
                        bool *keep, error_t *error)
{
    (void)error;
    skew_entry_t entry = { .shape = sample_block_shape (block, answer->shape),
                           .block = block,
                           .answer = *answer };
    self->counts.answers++;
    uint64_t *fate = fate_of (self, &entry);
    if (fate != NULL) {
        ++*fate;
        return STATUS_OK;
    }
    if (!*keep)
        keep_block (self, block);
    *keep = true;
    if (self->entries_count % 1024 == 0)
        self->entries =
            mem_resize (self->entries, self->entries_count + 1024, sizeof *self->entries);
    self->entries[self->entries_count++] = entry;
    return STATUS_OK;
}

/* A block's answers are looked at when all of them are here. */
static status_t gather_or_compare (skew_t *self, sample_block_t *block,
                                   const sample_answer_t *answer, bool *keep, error_t *error)
{
    if (!*keep && self->entries_count > 0 && is_full (self)) {
        status_t status = skew_compare (self, error);
        if (status != STATUS_OK)
            return status;
        begin (self);
    }
    return gather (self, block, answer, keep, error);
}

/* ---- the task ---- */

status_t task_skew (task_t *task, error_t *error)
{
    skew_t self = { .task = task, .order = task->skew, .arena = arena_new (CHUNK) };
    status_t status = skew_bind (&self, error);
    if (status == STATUS_OK)
        status = skew_each (&self, gather_or_compare, error);
    if (status == STATUS_OK)
        status = skew_compare (&self, error);
    begin (&self);
    if (status == STATUS_OK && self.order->training != NULL)
        status = skew_spreads (&self, error);
    if (status == STATUS_OK)
        status = skew_report (&self, error);
    mem_free (self.blocks);
    mem_free (self.entries);
    arena_destroy (&self.arena);
    return status;
}
