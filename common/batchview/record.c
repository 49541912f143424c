#include "batchview/record.h"

#include "base/check.h"
#include "base/mem.h"
#include "batchview/recordhead.h"

#include <string.h>

enum { KEPT_BYTES = 1 << 20 }; /* of a buffer, from key to key */

static const batchview_sections_t SECTIONS = {
    .atoms = BATCHVIEW_SECTION_ATOMS,
    .sections = BATCHVIEW_SECTION_MOST,
    .least = BATCHVIEW_SECTION_LEAST,
    .bytes = BATCHVIEW_SECTION_BYTES,
};

/* ---- the builder ---- */

static void *slot_acc (const record_builder_t *self, uint32_t slot)
{
    return (uint8_t *)self->acc + self->plan->slots[slot].place;
}

static void layer_add (record_group_t *group, bool future)
{
    if (group->layers == group->made) {
        group->layer = mem_resize (group->layer, group->made + 1, sizeof *group->layer);
        layer_init (&group->layer[group->made++], group->slots, future);
    }
    group->layers++;
}

/* Slots of its number, or all. */
static void group_init (record_builder_t *self, size_t number)
{
    const viewfile_header_t *header = self->header;
    record_group_t *group = &self->group[number];
    bool future = number == header->groups;
    group->slot = mem_zero (header->slots + 1, sizeof *group->slot);
    for (uint32_t slot = 0; slot < header->slots; slot++) {
        if (!future && header->slot[slot].group != number)
            continue;
        if (!future)
            self->slot_at[slot] = (uint32_t)group->slots;
        group->slot[group->slots++] = slot;
    }
    layer_add (group, future);
    if (future || group->slots == 0)
        return;
    int64_t windows[FEATURES_MAX];
    track_t *track = &group->layer[0].track;
    size_t count = viewfile_slot_windows (self->plan, group->slot[0], windows);
    track->span = mem_zero (viewfile_spans_max (count), sizeof *track->span);
    track->spans = viewfile_spans (windows, count, self->plan->slots[group->slot[0]].delay,
                                   &header->info, header->horizon, track->span);
}

void record_builder_init (record_builder_t *self, const plan_t *plan,
                          const viewfile_header_t *header, record_out_t out)
{
    *self = (record_builder_t){ .plan = plan, .header = header, .sections = SECTIONS, .out = out };
    keyrows_init (&self->rows, plan);
    self->kept = viewrows_size_of (header);
    self->slot_rows = mem_zero (header->slots + 1, sizeof *self->slot_rows);
    self->slot_at = mem_zero (header->slots + 1, sizeof *self->slot_at);
    self->group = mem_zero (header->groups + 1, sizeof *self->group);
    for (size_t i = 0; i <= header->groups; i++)
        group_init (self, i);
    self->acc = mem_alloc (plan->slots_size);
    plan_slots_init (plan, self->acc);
    self->swept_slot = mem_zero (header->slots + 1, sizeof *self->swept_slot);
    for (uint32_t slot = 0; slot < header->slots; slot++)
        self->swept_slot[slot] = (swept_slot_t){ .info = &header->slot[slot],
                                                 .spec = plan->slots[slot].spec,
                                                 .acc = slot_acc (self, slot),
                                                 .rows = &self->slot_rows[slot] };
    buf_init (&self->key, KEY_SIZE_MAX);
    buf_init (&self->head, BATCHVIEW_RECORD_MAX);
    swept_init (&self->swept);
}

void record_builder_release (record_builder_t *self)
{
    keyrows_release (&self->rows);
    for (size_t i = 0; i <= self->header->groups; i++) {
        for (size_t k = 0; k < self->group[i].made; k++)
            layer_release (&self->group[i].layer[k]);
        mem_free (self->group[i].layer);
        mem_free (self->group[i].slot);
    }
    mem_free (self->group);
    mem_free (self->slot_rows);
    mem_free (self->slot_at);
    mem_free (self->swept_slot);
    plan_slots_release (self->plan, self->acc);
    mem_free (self->acc);
    buf_release (&self->key);
    buf_release (&self->head);
    swept_release (&self->swept);
    if (self->budget)
        self->budget->used -= self->counted;
    self->counted = 0;
}

static void groups_clear (record_builder_t *self)
{
    for (size_t i = 0; i <= self->header->groups; i++) {
        record_group_t *group = &self->group[i];
        for (size_t k = 0; self->folded && k < group->layers; k++)
            layer_clear (&group->layer[k]);
        track_clear (&group->layer[0].track);
        group->layers = 1;
        group->written = 0;
    }
    self->folded = false;
}

void record_begin (record_builder_t *self, text_t key)
{
    buf_clear (&self->key);
    buf_put (&self->key, key.data, key.size);
    CHECK (!self->key.bad);
    keyrows_clear (&self->rows);
    groups_clear (self);
    self->time = INT64_MIN;
    if (self->head.capacity > KEPT_BYTES)
        buf_release (&self->head);
    buf_clear (&self->head);
    if (self->budget)
        self->budget->used -= self->counted;
    self->counted = 0;
}

/* ---- limits ---- */

static status_t too_large (const record_builder_t *self, error_t *error)
{
    text_t key = { (const char *)self->key.data, (uint32_t)self->key.size };
    size_t most = self->budget && self->budget->limit < BATCHVIEW_RECORD_MAX ? self->budget->limit
                                                                             : BATCHVIEW_RECORD_MAX;
    return error_set (error, STATUS_TOO_LARGE,
                      "one key (hash %016llx, partition %u) has states too large, or too many "
                      "events later than the cut, for what a batch view of it may take here (%zu "
                      "MiB; limits: batch_memory)",
                      (unsigned long long)key_hash (key), self->header->info.partition, most >> 20);
}

/* Counts what is held of the key; false: that is over the budget. */
static bool count_bytes (record_builder_t *self)
{
    size_t bytes = 0;
    if (!self->budget)
        return true;
    for (size_t i = 0; i <= self->header->groups; i++)
        for (size_t k = 0; k < self->group[i].layers; k++)
            bytes += layer_bytes (&self->group[i].layer[k]);
    self->budget->used += bytes - self->counted;
    self->counted = bytes;
    return self->budget->used <= self->budget->limit;
}

/* Bytes that a record or section may have. */
static size_t bytes_left (const record_builder_t *self)
{
    const batchview_budget_t *budget = self->budget;
    if (!budget || budget->limit >= budget->used + BATCHVIEW_RECORD_MAX)
        return BATCHVIEW_RECORD_MAX;
    return budget->limit > budget->used ? budget->limit - budget->used : 0;
}

/* ---- sections ---- */

/* What is swept of the slot that stands at `at` in a group. */
static const swept_slot_t *swept_slot (record_builder_t *self, size_t group, size_t layer,
                                       size_t at, bool folded)
{
    const layer_t *from = &self->group[group].layer[layer];
    swept_slot_t *slot = &self->swept_slot[self->group[group].slot[at]];
    bool future = group == self->header->groups;
    slot->track = &from->track;
    slot->own = folded ? &from->own[at] : NULL;
    slot->layer = (unsigned)layer;
    slot->blocks = future;
    slot->skip_first = !slot->info->lifetime && !future && !from->later && from->track.atoms > 0 &&
                       from->track.atom[0].first <= self->header->group[group].edge_min;
    return slot;
}

/* Sweeps a layer of a group and puts it. Partials of all of it are at the numbers `total`. */
static status_t section_write (record_builder_t *self, size_t group, size_t layer, bool folded,
                               size_t *total, uint64_t *place, error_t *error)
{
    const record_group_t *from = &self->group[group];
    size_t places = 0;
    size_t limit = bytes_left (self);
    for (size_t i = 0; i < from->slots; i++)
        places += viewfile_places (&self->header->slot[from->slot[i]], (unsigned)layer,
                                   from->layer[layer].track.atoms);
    if (!swept_begin (&self->swept, places, limit))
        return too_large (self, error);
    for (size_t i = 0; i < from->slots; i++) {
        const swept_slot_t *slot = swept_slot (self, group, layer, i, folded);
        status_t status = sweep (slot, &self->swept, &total[i], error);
        if (status != STATUS_OK)
            return status;
    }
    if (self->swept.partials.bad)
        return too_large (self, error);
    buf_clear (&self->head);
    self->head.max = limit - self->swept.partials.size;
    section_head (self, group, layer, &self->head);
    if (self->head.bad)
        return too_large (self, error);
    return self->out.put (self->out.self, &self->head, &self->swept.partials, place, error);
}

static bool is_full (const record_builder_t *self, const layer_t *layer)
{
    const batchview_sections_t *limit = &self->sections;
    return layer->track.atoms >= limit->sections ||
           (layer->track.atoms >= limit->least && layer_own_bytes (layer) >= limit->bytes);
}

/* Makes a section of what there is of a layer, which then stands for it in the layer above. */
static status_t section_put (record_builder_t *self, size_t number, size_t layer, bool folded,
                             error_t *error)
{
    record_group_t *group = &self->group[number];
    size_t total[FEATURES_MAX];
    uint64_t place = 0;
    status_t status = STATUS_OK;
    if (layer + 1 == BATCHVIEW_LAYERS_MAX)
        return too_large (self, error);
    if (layer + 1 == group->layers)
        layer_add (group, false);
    else if (is_full (self, &group->layer[layer + 1]))
        status = section_put (self, number, layer + 1, true, error);
    if (status == STATUS_OK)
        status = section_write (self, number, layer, folded, total, &place, error);
    if (status != STATUS_OK)
        return status;
    layer_t *from = &group->layer[layer];
    layer_t *to = &group->layer[layer + 1];
    layer_put (to, from->track.atom[0].first, track_last (&from->track), place);
    for (size_t i = 0; i < group->slots; i++)
        layer_put_own (to, i, swept_partial (&self->swept, total[i]));
    if (layer == 0)
        group->written += from->track.atoms;
    layer_written (from);
    return count_bytes (self) ? STATUS_OK : too_large (self, error);
}

/* What is left of layers below the highest becomes sections. */
static status_t sections_end (record_builder_t *self, size_t number, error_t *error)
{
    record_group_t *group = &self->group[number];
    status_t status = STATUS_OK;
    for (size_t k = 0; k + 1 < group->layers && status == STATUS_OK; k++)
        status = section_put (self, number, k, true, error);
    return status;
}

/* ---- rows to atoms ---- */

/* What the slot is made of in the run. */
static state_rows_t slot_rows (const record_builder_t *self, uint32_t slot)
{
    const plan_slot_t *info = &self->plan->slots[slot];
    const projection_t *run = self->run;
    state_rows_t rows = {
        .whole = info->filter < 0,
        .filter = info->filter >= 0 ? run->filter[info->filter] : NULL,
        .time = run->time,
        .offset = run->offset,
        .row = run->row,
    };
    for (uint32_t i = 0; i < info->inputs; i++) {
        rows.lane[i] = &run->lane[info->lane[i]];
        rows.whole = rows.whole && memchr (rows.lane[i]->valid, 0, run->rows) == NULL;
    }
    return rows;
}

void record_run (record_builder_t *self, const projection_t *rows)
{
    self->run = rows;
    for (uint32_t slot = 0; slot < self->header->slots; slot++)
        self->slot_rows[slot] = slot_rows (self, slot);
}

/* The first of rows [from, to) of the run that is later than the clock at the cut, or `to`. */
static size_t future_from (const record_builder_t *self, size_t from, size_t to)
{
    while (to > from && self->run->time[to - 1] > self->header->info.clock_at_cut)
        to--;
    return to;
}

/* Cuts rows [from, to) of the run, all that the key has, into atoms. False: some group has more
 * than a section; what was cut is to be cleared. */
static bool cut_all (record_builder_t *self, size_t from, size_t to)
{
    const int64_t *time = self->run->time;
    size_t now = future_from (self, from, to);
    size_t groups = self->header->groups;
    bool goes_on;
    for (size_t i = 0; i < groups; i++)
        if (track_rows (record_atoms (self, i), time, from, now, self->sections.atoms, &goes_on) <
            now)
            return false;
    return track_rows (record_atoms (self, groups), time, now, to, BATCHVIEW_FUTURE_MAX,
                       &goes_on) == to;
}

/* Folds what was cut of the group last. */
static status_t group_fold (record_builder_t *self, size_t number, error_t *error)
{
    const record_group_t *group = &self->group[number];
    layer_t *layer = &group->layer[0];
    for (size_t i = 0; i < group->slots; i++) {
        uint32_t slot = group->slot[i];
        status_t status = layer_fold (layer, i, self->plan->slots[slot].spec,
                                      &self->slot_rows[slot], slot_acc (self, slot),
                                      group->first - group->goes_on, group->goes_on, error);
        if (status != STATUS_OK)
            return status;
        if (layer->own[i].bad)
            return too_large (self, error);
    }
    return STATUS_OK;
}

/* Cuts rows [from, to) of the run into atoms of one group, until they are a section. */
static void group_cut (record_builder_t *self, size_t number, size_t from, size_t to)
{
    record_group_t *group = &self->group[number];
    track_t *track = record_atoms (self, number);
    size_t most = number == self->header->groups ? BATCHVIEW_FUTURE_MAX : self->sections.atoms;
    group->first = track->atoms;
    group->end = track_rows (track, self->run->time, from, to, most, &group->goes_on);
}

/* What was cut of the group last is a section; it is made of the rows themselves if all of it is in
 * the run. */
static status_t group_section (record_builder_t *self, size_t number, error_t *error)
{
    const record_group_t *group = &self->group[number];
    bool folded = group->first > 0;
    status_t status = folded ? group_fold (self, number, error) : STATUS_OK;
    return status == STATUS_OK ? section_put (self, number, 0, folded, error) : status;
}

/* The group whose section ends at the earliest row before `to`; header->groups: none. */
static size_t group_next (const record_builder_t *self, size_t to)
{
    size_t next = self->header->groups;
    for (size_t i = 0; i < self->header->groups; i++) {
        if (self->group[i].end < to) {
            to = self->group[i].end;
            next = i;
        }
    }
    return next;
}

/* Turns rows [from, to) of the run into own partials and sections; these are put in the order of
 * the rows that end them, so that it does not matter how rows are handed over. */
static status_t run_fold (record_builder_t *self, size_t from, size_t to, error_t *error)
{
    size_t groups = self->header->groups;
    size_t now = future_from (self, from, to);
    status_t status = STATUS_OK;
    self->folded = true;
    for (size_t i = 0; i < groups; i++)
        group_cut (self, i, from, now);
    for (size_t i = group_next (self, now); i < groups; i = group_next (self, now)) {
        status = group_section (self, i, error);
        if (status != STATUS_OK)
            return status;
        group_cut (self, i, self->group[i].end, now);
    }
    group_cut (self, groups, now, to);
    if (self->group[groups].end < to)
        return error_set (error, STATUS_TOO_LARGE,
                          "one key has events at over %d times later than the cut's clock, which "
                          "is what a batch view holds",
                          (int)BATCHVIEW_FUTURE_MAX);
    for (size_t i = 0; i <= groups && status == STATUS_OK; i++)
        status = group_fold (self, i, error);
    if (status == STATUS_OK && !count_bytes (self))
        status = too_large (self, error);
    return status;
}

static status_t buffer_fold (record_builder_t *self, error_t *error)
{
    record_run (self, &self->rows.rows);
    status_t status = run_fold (self, 0, self->rows.rows.rows, error);
    keyrows_clear (&self->rows);
    return status;
}

bool record_descends (const projection_t *rows, size_t from, size_t to)
{
    const uint64_t *time = (const uint64_t *)rows->time;
    uint64_t steps = 0; /* its highest bit is set by one back */
    size_t i = from + 1;
    for (; i + 4 <= to; i += 4)
        steps |= (time[i] - time[i - 1]) | (time[i + 1] - time[i]) | (time[i + 2] - time[i + 1]) |
                 (time[i + 3] - time[i + 2]);
    for (; i < to; i++)
        steps |= time[i] - time[i - 1];
    return steps >> 63 != 0;
}

status_t record_add (record_builder_t *self, const projection_t *rows, size_t from, size_t to,
                     error_t *error)
{
    if (from < to && (rows->time[from] < self->time || record_descends (rows, from, to)))
        return error_set (error, STATUS_INVALID, "rows of one key are not in time order");
    self->time = from < to ? rows->time[to - 1] : self->time;
    status_t status = STATUS_OK;
    if (self->rows.rows.rows + (to - from) > KEYROWS_MAX && self->rows.rows.rows > 0)
        status = buffer_fold (self, error);
    if (status != STATUS_OK || to - from <= KEYROWS_MAX) {
        keyrows_append (&self->rows, rows, from, status == STATUS_OK ? to : from);
        return status;
    }
    record_run (self, rows);
    return run_fold (self, from, to, error);
}

/* ---- the record ---- */

/* The record of what was cut into atoms. */
static status_t record_make (record_builder_t *self, uint64_t *atoms, error_t *error)
{
    const viewfile_header_t *header = self->header;
    size_t future = record_atoms (self, header->groups)->atoms;
    size_t places = 0;
    *atoms = future;
    for (size_t i = 0; i < header->groups; i++) {
        const record_group_t *group = &self->group[i];
        *atoms += group->written + (group->layers == 1 ? group->layer[0].track.atoms : 0);
    }
    for (size_t i = 0; i < header->slots; i++) {
        const record_group_t *group = &self->group[header->slot[i].group];
        places += future + viewfile_places (&header->slot[i], (unsigned)group->layers - 1,
                                            record_top (group)->track.atoms);
    }
    size_t limit = bytes_left (self);
    if (!swept_begin (&self->swept, places, limit))
        return too_large (self, error);
    for (uint32_t i = 0; i < header->slots; i++) {
        size_t number = header->slot[i].group;
        const swept_slot_t *slot = swept_slot (self, number, self->group[number].layers - 1,
                                               self->slot_at[i], self->folded);
        size_t total;
        status_t status = sweep (slot, &self->swept, &total, error);
        if (status == STATUS_OK && future > 0) {
            slot = swept_slot (self, header->groups, 0, i, self->folded);
            status = sweep (slot, &self->swept, &total, error);
        }
        if (status != STATUS_OK)
            return status;
    }
    if (self->swept.partials.bad)
        return too_large (self, error);
    buf_clear (&self->head);
    self->head.max = limit - self->swept.partials.size;
    record_head (self, &self->head);
    return self->head.bad ? too_large (self, error) : STATUS_OK;
}

size_t record_keeps (const record_builder_t *self, text_t key, const projection_t *rows,
                     size_t from, size_t to)
{
    if (to == from || to - from > BATCHVIEW_ROWS_MAX ||
        rows->time[to - 1] > self->header->info.clock_at_cut)
        return 0;
    return VARINT_SIZE_MAX + key.size + 1 +
           viewrows_room (&self->kept, self->header, rows, from, to);
}

uint8_t *record_keep (const record_builder_t *self, text_t key, const projection_t *rows,
                      size_t from, size_t to, uint8_t *out)
{
    uint64_t age = viewfile_age (self->header, rows->time[from]);
    viewfile_shape_t shape = { .rows = (unsigned)(to - from),
                               .age_bytes = viewfile_age_bytes (age) };
    out = varint_put (out, key.size);
    text_copy (out, key);
    out += key.size;
    *out++ = viewfile_shape_put (shape);
    return viewrows_put (self->header, rows, from, to, shape.age_bytes, out);
}

/* The record of the key that has been begun, which takes so much room as rows. */
static status_t record_of_rows (record_builder_t *self, const projection_t *rows, size_t from,
                                size_t to, size_t room, error_t *error)
{
    text_t key = { (char *)self->key.data, (uint32_t)self->key.size };
    buf_t *head = &self->head;
    head->max = bytes_left (self);
    buf_clear (&self->swept.partials);
    uint8_t *at = buf_room (head, room);
    if (at == NULL)
        return too_large (self, error);
    buf_grew (head, (size_t)(record_keep (self, key, rows, from, to, at) - at));
    return STATUS_OK;
}

/* The record of a key that has rows [from, to) of the run and no others. */
static status_t record_of_run (record_builder_t *self, size_t from, size_t to, uint64_t *atoms,
                               error_t *error)
{
    if (cut_all (self, from, to))
        return record_make (self, atoms, error);
    for (size_t i = 0; i <= self->header->groups; i++)
        track_clear (record_atoms (self, i));
    status_t status = run_fold (self, from, to, error);
    for (size_t i = 0; i < self->header->groups && status == STATUS_OK; i++)
        status = sections_end (self, i, error);
    return status == STATUS_OK ? record_make (self, atoms, error) : status;
}

/* The same, which may be kept as rows. */
static status_t record_alone (record_builder_t *self, size_t from, size_t to, uint64_t *atoms,
                              error_t *error)
{
    text_t key = { (char *)self->key.data, (uint32_t)self->key.size };
    size_t room = record_keeps (self, key, self->run, from, to);
    if (room == 0)
        return record_of_run (self, from, to, atoms, error);
    *atoms = to - from;
    return record_of_rows (self, self->run, from, to, room, error);
}

status_t record_end (record_builder_t *self, uint64_t *atoms, error_t *error)
{
    const projection_t *rows = &self->rows.rows;
    status_t status = STATUS_OK;
    if (!self->folded) {
        record_run (self, rows);
        return record_alone (self, 0, rows->rows, atoms, error);
    }
    if (rows->rows > 0)
        status = buffer_fold (self, error);
    for (size_t i = 0; i < self->header->groups && status == STATUS_OK; i++)
        status = sections_end (self, i, error);
    return status == STATUS_OK ? record_make (self, atoms, error) : status;
}

status_t record_of (record_builder_t *self, size_t from, size_t to, uint64_t *atoms, error_t *error)
{
    record_begin (self, self->run->key[from]);
    return record_alone (self, from, to, atoms, error);
}
