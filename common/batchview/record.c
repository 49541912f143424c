#include "batchview/record.h"

#include "base/check.h"
#include "base/mem.h"
#include "batchview/viewrows.h"

#include <string.h>

enum { KEPT_BYTES = 1 << 20 }; /* of a buffer, from key to key */

void record_builder_init (record_builder_t *self, const plan_t *plan,
                          const viewfile_header_t *header)
{
    *self = (record_builder_t){ .plan = plan, .header = header };
    keyrows_init (&self->rows, plan);
    self->slot_rows = mem_zero (header->slots + 1, sizeof *self->slot_rows);
    self->track = mem_zero (header->groups + 1, sizeof *self->track);
    for (size_t i = 0; i <= header->groups; i++)
        track_init (&self->track[i], i == header->groups);
    for (uint32_t slot = 0; slot < header->slots; slot++) {
        track_t *track = &self->track[header->slot[slot].group];
        if (track->span != NULL)
            continue;
        int64_t windows[FEATURES_MAX];
        size_t count = viewfile_slot_windows (plan, slot, windows);
        track->span = mem_zero (viewfile_spans_max (count), sizeof *track->span);
        track->spans = viewfile_spans (windows, count, plan->slots[slot].delay, &header->info,
                                       header->horizon, track->span);
    }
    self->own = mem_zero (2 * header->slots + 1, sizeof *self->own);
    for (size_t i = 0; i < 2 * header->slots; i++)
        buf_init (&self->own[i], BATCHVIEW_RECORD_MAX);
    self->acc = mem_alloc (plan->slots_size);
    plan_slots_init (plan, self->acc);
    buf_init (&self->key, KEY_SIZE_MAX);
    buf_init (&self->head, BATCHVIEW_RECORD_MAX);
    buf_init (&self->partials, BATCHVIEW_RECORD_MAX);
}

void record_builder_release (record_builder_t *self)
{
    keyrows_release (&self->rows);
    for (size_t i = 0; i <= self->header->groups; i++)
        track_release (&self->track[i]);
    mem_free (self->track);
    mem_free (self->slot_rows);
    for (size_t i = 0; i < 2 * self->header->slots; i++)
        buf_release (&self->own[i]);
    mem_free (self->own);
    plan_slots_release (self->plan, self->acc);
    mem_free (self->acc);
    buf_release (&self->key);
    buf_release (&self->head);
    buf_release (&self->partials);
    mem_free (self->place);
    if (self->budget)
        self->budget->used -= self->counted;
    self->counted = 0;
}

/* A key that was very large leaves no more behind than others need. */
static void forget_bytes (buf_t *buf)
{
    if (buf->capacity > KEPT_BYTES)
        buf_release (buf);
    buf_clear (buf);
}

void record_begin (record_builder_t *self, text_t key)
{
    buf_clear (&self->key);
    buf_put (&self->key, key.data, key.size);
    CHECK (!self->key.bad);
    keyrows_clear (&self->rows);
    for (size_t i = 0; i <= self->header->groups; i++)
        track_clear (&self->track[i]);
    self->time = INT64_MIN;
    for (size_t i = 0; self->folded && i < 2 * self->header->slots; i++)
        forget_bytes (&self->own[i]);
    forget_bytes (&self->head);
    forget_bytes (&self->partials);
    if (self->place_capacity > KEPT_BYTES / sizeof *self->place) {
        mem_free (self->place);
        self->place = NULL;
        self->place_capacity = 0;
    }
    self->head.max = self->partials.max = BATCHVIEW_RECORD_MAX;
    if (self->budget)
        self->budget->used -= self->counted;
    self->counted = 0;
    self->folded = false;
}

/* ---- rows to pieces ---- */

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

/* Cuts rows [from, to) of the run into pieces of every track. */
static void tracks_rows (record_builder_t *self, size_t from, size_t to)
{
    const int64_t *time = self->run->time;
    size_t now = to;
    while (now > from && time[now - 1] > self->header->info.clock_at_cut)
        now--;
    for (size_t i = 0; i < self->header->groups; i++)
        track_rows (&self->track[i], time, from, now);
    track_rows (&self->track[self->header->groups], time, now, to);
}

/* Adds a piece of the run; did any row count? */
static bool piece_fold (state_spec_t spec, state_rows_t *rows, const piece_t *piece, void *acc)
{
    rows->from = piece->from;
    rows->to = (size_t)piece->from + piece->count;
    return state_add_rows (spec, acc, rows);
}

static void *slot_acc (const record_builder_t *self, uint32_t slot)
{
    return (uint8_t *)self->acc + self->plan->slots[slot].place;
}

/* Appends the own partials of the pieces from `first` on to the slot's buffer. */
static void own_put (record_builder_t *self, uint32_t slot, const track_t *track, size_t first)
{
    buf_t *own = &self->own[slot + (track->future ? self->header->slots : 0)];
    state_spec_t spec = self->plan->slots[slot].spec;
    state_rows_t *rows = &self->slot_rows[slot];
    for (size_t i = first; i < track->pieces; i++) {
        size_t start = own->size;
        state_reset (spec, slot_acc (self, slot));
        if (piece_fold (spec, rows, &track->piece[i], slot_acc (self, slot)))
            state_encode (spec, slot_acc (self, slot), own);
        buf_put_u32 (own, (uint32_t)(own->size - start));
    }
}

static status_t too_large (const record_builder_t *self, error_t *error)
{
    text_t key = { (const char *)self->key.data, (uint32_t)self->key.size };
    size_t most = self->budget && self->budget->limit < BATCHVIEW_RECORD_MAX ? self->budget->limit
                                                                             : BATCHVIEW_RECORD_MAX;
    return error_set (error, STATUS_TOO_LARGE,
                      "one key (hash %016llx, partition %u) has more events near its window edges "
                      "than a batch view of it may take here (%zu MiB; limits: batch_memory)",
                      (unsigned long long)key_hash (key), self->header->info.partition, most >> 20);
}

/* Counts what is held of the key; false: that is over the budget. */
static bool count_bytes (record_builder_t *self)
{
    size_t bytes = 0;
    if (!self->budget)
        return true;
    for (size_t i = 0; i < 2 * self->header->slots; i++)
        bytes += self->own[i].size;
    for (size_t i = 0; i <= self->header->groups; i++)
        bytes += self->track[i].pieces * sizeof *self->track[i].piece;
    self->budget->used += bytes - self->counted;
    self->counted = bytes;
    return self->budget->used <= self->budget->limit;
}

/* Turns rows [from, to) of the run into own partials. */
static status_t run_fold (record_builder_t *self, size_t from, size_t to, error_t *error)
{
    size_t groups = self->header->groups;
    size_t first[FEATURES_MAX + 1];
    for (size_t i = 0; i <= groups; i++)
        first[i] = self->track[i].pieces;
    tracks_rows (self, from, to);
    for (uint32_t slot = 0; slot < self->header->slots; slot++) {
        size_t group = self->header->slot[slot].group;
        own_put (self, slot, &self->track[group], first[group]);
        own_put (self, slot, &self->track[groups], first[groups]);
        if (self->own[slot].bad || self->own[slot + self->header->slots].bad)
            return too_large (self, error);
    }
    self->folded = true;
    return count_bytes (self) ? STATUS_OK : too_large (self, error);
}

static status_t buffer_fold (record_builder_t *self, error_t *error)
{
    record_run (self, &self->rows.rows);
    status_t status = run_fold (self, 0, self->rows.rows.rows, error);
    keyrows_clear (&self->rows);
    return status;
}

status_t record_add (record_builder_t *self, const projection_t *rows, size_t from, size_t to,
                     error_t *error)
{
    for (size_t i = from; i < to; i++) {
        if (rows->time[i] < self->time)
            return error_set (error, STATUS_INVALID, "rows of one key are not in time order");
        self->time = rows->time[i];
    }
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

/* What a pass over a slot's pieces, latest first, leaves the partials of. */
typedef enum sweep_kind {
    SWEEP_SUFFIX,  /* everything from each `step`-th atom on */
    SWEEP_BETWEEN, /* each atom but every `step`-th */
    SWEEP_BLOCK,   /* each block of `step` atoms */
} sweep_kind_t;

typedef struct sweep {
    record_builder_t *builder;
    uint32_t slot;
    const track_t *track;
    sweep_kind_t kind;
    size_t step;
    bool skip_first;    /* nothing asks for the first atom */
    size_t places_at;   /* in the record */
    state_rows_t *rows; /* of the slot, when they are not folded */
    size_t unread;      /* bytes of the slot's `own` buffer still to be read */
    uint32_t place;     /* of the latest partial written; 0 while that is the empty one */
    size_t end;         /* of it */
    bool changed;       /* since then */
} sweep_t;

static status_t sweep_piece (sweep_t *self, const piece_t *piece, error_t *error)
{
    const record_builder_t *builder = self->builder;
    void *acc = slot_acc (builder, self->slot);
    if (!builder->folded) {
        self->changed |= piece_fold (builder->plan->slots[self->slot].spec, self->rows, piece, acc);
        return STATUS_OK;
    }
    const buf_t *own =
        &builder->own[self->slot + (self->track->future ? builder->header->slots : 0)];
    uint32_t size = viewfile_u32 (own->data + self->unread - 4);
    self->unread -= 4 + size;
    if (size == 0)
        return STATUS_OK;
    self->changed = true;
    text_t partial = { (const char *)own->data + self->unread, size };
    return state_merge_partial (builder->plan->slots[self->slot].spec, acc, partial, error);
}

/* Do partials of so many bytes at the two places differ? Most do in their first bytes. */
static bool differ (const uint8_t *data, size_t a, size_t b, size_t size)
{
    return size < 2 || data[a + 1] != data[b + 1] || memcmp (data + a, data + b, size) != 0;
}

/* Appends the accumulator's partial, size first, unless it equals the one before; its place. */
static uint32_t sweep_partial (sweep_t *self)
{
    buf_t *partials = &self->builder->partials;
    if (!self->changed)
        return self->kind == SWEEP_SUFFIX ? self->place : 0;
    self->changed = false;
    size_t start = partials->size;
    buf_put_u8 (partials, 0);
    state_encode (self->builder->plan->slots[self->slot].spec, slot_acc (self->builder, self->slot),
                  partials);
    size_t size = partials->size - start - 1;
    if (!partials->bad && size < 0x80)
        partials->data[start] = (uint8_t)size;
    else
        buf_part_end (partials, start + 1);
    if (partials->bad)
        return 0;
    size = partials->size - start;
    if (self->place != 0 && size == self->end - (self->place - 1) &&
        !differ (partials->data, self->place - 1, start, size)) {
        partials->size = start;
        return self->place;
    }
    self->place = (uint32_t)start + 1;
    self->end = partials->size;
    return self->place;
}

/* All pieces of the atom, and of those after it that count with it, have been added. */
static void sweep_atom (sweep_t *self, size_t atom)
{
    bool on_step = atom % self->step == 0;
    if (on_step != (self->kind == SWEEP_BETWEEN)) {
        uint32_t place = sweep_partial (self);
        size_t index = self->kind == SWEEP_BETWEEN ? atom : atom / self->step;
        self->builder->place[self->places_at + index] = place;
    }
    if (self->kind == SWEEP_BETWEEN || (self->kind == SWEEP_BLOCK && on_step)) {
        state_spec_t spec = self->builder->plan->slots[self->slot].spec;
        state_reset (spec, slot_acc (self->builder, self->slot));
        self->changed = false;
    }
}

static status_t sweep_run (sweep_t *self, error_t *error)
{
    record_builder_t *builder = self->builder;
    state_spec_t spec = builder->plan->slots[self->slot].spec;
    if (builder->folded)
        self->unread =
            builder->own[self->slot + (self->track->future ? builder->header->slots : 0)].size;
    else
        self->rows = &builder->slot_rows[self->slot];
    self->place = 0;
    self->changed = false;
    state_reset (spec, slot_acc (builder, self->slot));
    size_t atom = self->track->atoms;
    for (size_t i = self->track->pieces; i-- > 0;) {
        if (atom == 1 && self->skip_first)
            break;
        status_t status = sweep_piece (self, &self->track->piece[i], error);
        if (status != STATUS_OK)
            return status;
        if (self->track->piece[i].starts)
            sweep_atom (self, --atom);
    }
    return STATUS_OK;
}

/* How many places of partials the record has. */
static size_t record_places (const record_builder_t *self)
{
    const viewfile_header_t *header = self->header;
    size_t future = self->track[header->groups].atoms;
    size_t places = 0;
    for (size_t i = 0; i < header->slots; i++) {
        size_t atoms = self->track[header->slot[i].group].atoms;
        places += viewfile_places (&header->slot[i], atoms) + future;
    }
    return places;
}

/* Makes `count` empty places; false: no record has so many. */
static bool places_clear (record_builder_t *self, size_t count)
{
    if (count > self->partials.max / sizeof *self->place)
        return false;
    if (count > self->place_capacity) {
        self->place_capacity = 2 * count;
        self->place = mem_resize (self->place, self->place_capacity, sizeof *self->place);
    }
    if (count > 0)
        memset (self->place, 0, count * sizeof *self->place);
    self->partials.max -= count * sizeof *self->place;
    return true;
}

static void put_age (record_builder_t *self, int64_t time, unsigned bytes)
{
    uint64_t age = viewfile_age (self->header, time);
    buf_put (&self->head, &age, bytes);
}

/* The first and the last time of all, which all tracks have in common. */
static void put_bounds (record_builder_t *self, unsigned bytes)
{
    const track_t *track = &self->track[0];
    if (self->header->groups == 0 || track->pieces == 0)
        return;
    put_age (self, track->piece[0].first, bytes);
    put_age (self, track->last, bytes);
}

/* Last times of atoms but of the last one, and if some have several, first times but of the first.
 */
static void put_times (record_builder_t *self, const track_t *track, unsigned bytes)
{
    for (size_t p = 1; p < track->pieces; p++)
        if (track->piece[p].starts)
            put_age (self, track->piece[p - 1].last, bytes);
    for (size_t p = 1; track->collapsed && p < track->pieces; p++)
        if (track->piece[p].starts)
            put_age (self, track->piece[p].first, bytes);
}

static viewfile_shape_t shape_of (const record_builder_t *self)
{
    viewfile_shape_t shape = { .place_bytes = self->partials.size < UINT8_MAX    ? 1
                                              : self->partials.size < UINT16_MAX ? 2
                                                                                 : 4,
                               .age_bytes = 1 };
    const track_t *track = &self->track[0];
    if (self->header->groups > 0 && track->pieces > 0)
        shape.age_bytes = viewfile_age_bytes (viewfile_age (self->header, track->piece[0].first));
    return shape;
}

static void put_places (record_builder_t *self, size_t count, unsigned bytes)
{
    uint8_t *to = buf_extend (&self->head, count * bytes);
    for (size_t i = 0; to != NULL && i < count; i++)
        memcpy (to + i * bytes, &self->place[i], bytes);
}

/* Writes what is before the partials. */
static void record_head (record_builder_t *self, size_t places)
{
    const viewfile_header_t *header = self->header;
    const track_t *future = &self->track[header->groups];
    buf_t *head = &self->head;
    viewfile_shape_t shape = shape_of (self);
    buf_clear (head);
    buf_put_text (head, (text_t){ (char *)self->key.data, (uint32_t)self->key.size });
    buf_put_u8 (head, viewfile_shape_put (shape));
    buf_put_varint (head, future->atoms);
    for (size_t i = 0; i < header->groups; i++)
        buf_put_varint (head, 2 * self->track[i].atoms + self->track[i].collapsed);
    put_bounds (self, shape.age_bytes);
    for (size_t i = 0; i < header->groups; i++)
        put_times (self, &self->track[i], shape.age_bytes);
    for (size_t p = 0; p < future->pieces; p++)
        if (future->piece[p].starts)
            buf_put_i64 (head, future->piece[p].first);
    put_places (self, places, shape.place_bytes);
}

/* The pass that `sweep` says, which leaves `count` places; *at is the first of them, and then the
 * one behind them. */
static status_t sweep_places (sweep_t *sweep, size_t count, size_t *at, error_t *error)
{
    sweep->places_at = *at;
    *at += count;
    return count > 0 ? sweep_run (sweep, error) : STATUS_OK;
}

static status_t sweep_delayed (sweep_t *sweep, size_t *at, error_t *error)
{
    size_t atoms = sweep->track->atoms;
    sweep->kind = SWEEP_BLOCK;
    status_t status = STATUS_OK;
    for (sweep->step = 1; status == STATUS_OK; sweep->step *= BATCHVIEW_FANOUT) {
        status = sweep_places (sweep, viewfile_blocks (atoms, sweep->step), at, error);
        if (sweep->step >= atoms)
            break;
    }
    return status;
}

/* Own partials between checkpoints, which have suffixes. */
static status_t sweep_large (sweep_t *sweep, size_t *at, error_t *error)
{
    size_t atoms = sweep->track->atoms;
    sweep_t own = *sweep;
    own.kind = SWEEP_BETWEEN;
    own.skip_first = true; /* it is a checkpoint */
    own.step = sweep->step = BATCHVIEW_CHECKPOINT;
    status_t status = sweep_places (&own, atoms, at, error);
    if (status != STATUS_OK)
        return status;
    return sweep_places (sweep, viewfile_checkpoints (atoms), at, error);
}

/* Runs the sweeps of one slot; *at is the first of its places, and then the one behind them. */
static status_t record_slot (record_builder_t *self, uint32_t slot, size_t *at, error_t *error)
{
    const viewfile_slot_t *info = &self->header->slot[slot];
    const track_t *track = &self->track[info->group];
    const track_t *future = &self->track[self->header->groups];
    int64_t edge_min = self->header->group[info->group].edge_min;
    sweep_t sweep = { .builder = self, .slot = slot, .track = track, .step = 1 };
    sweep.skip_first = !info->lifetime && (track->atoms == 0 || track->piece[0].first <= edge_min);
    status_t status;
    if (info->delayed)
        status = sweep_delayed (&sweep, at, error);
    else if (info->large)
        status = sweep_large (&sweep, at, error);
    else
        status = sweep_places (&sweep, track->atoms, at, error);
    if (status != STATUS_OK || future->atoms == 0)
        return status;
    sweep =
        (sweep_t){ .builder = self, .slot = slot, .track = future, .kind = SWEEP_BLOCK, .step = 1 };
    return sweep_places (&sweep, future->atoms, at, error);
}

/* The record of what was cut into pieces. */
static status_t record_make (record_builder_t *self, uint64_t *atoms, error_t *error)
{
    status_t status = STATUS_OK;
    *atoms = 0;
    for (size_t i = 0; i <= self->header->groups; i++)
        *atoms += self->track[i].atoms;
    size_t future = self->track[self->header->groups].atoms;
    if (future > BATCHVIEW_FUTURE_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "one key has events at %zu times later than the cut's clock; a batch "
                          "view holds %d",
                          future, (int)BATCHVIEW_FUTURE_MAX);
    if (self->budget && self->budget->limit - self->budget->used < self->partials.max)
        self->partials.max = self->budget->limit - self->budget->used;
    size_t limit = self->partials.max;
    size_t places = record_places (self);
    if (!places_clear (self, places))
        return too_large (self, error);
    size_t at = 0;
    for (uint32_t slot = 0; slot < self->header->slots && status == STATUS_OK; slot++)
        status = record_slot (self, slot, &at, error);
    if (status != STATUS_OK)
        return status;
    self->head.max = limit - (self->partials.bad ? limit : self->partials.size);
    record_head (self, places);
    return self->head.bad || self->partials.bad ? too_large (self, error) : STATUS_OK;
}

/* Is a key that has these rows alone kept as them? */
static bool are_kept (const record_builder_t *self, const projection_t *rows, size_t from,
                      size_t to)
{
    return to > from && to - from <= BATCHVIEW_ROWS_MAX &&
           rows->time[to - 1] <= self->header->info.clock_at_cut;
}

static status_t record_keep (record_builder_t *self, const projection_t *rows, size_t from,
                             size_t to, uint64_t *atoms, error_t *error)
{
    buf_t *head = &self->head;
    uint64_t age = viewfile_age (self->header, rows->time[from]);
    viewfile_shape_t shape = { .rows = (unsigned)(to - from),
                               .age_bytes = viewfile_age_bytes (age) };
    if (self->budget && self->budget->limit - self->budget->used < head->max)
        head->max = self->budget->limit - self->budget->used;
    buf_put_text (head, (text_t){ (char *)self->key.data, (uint32_t)self->key.size });
    buf_put_u8 (head, viewfile_shape_put (shape));
    viewrows_put (self->header, rows, from, to, shape.age_bytes, head);
    *atoms = to - from;
    return head->bad ? too_large (self, error) : STATUS_OK;
}

status_t record_end (record_builder_t *self, uint64_t *atoms, error_t *error)
{
    const projection_t *rows = &self->rows.rows;
    status_t status = STATUS_OK;
    if (!self->folded && are_kept (self, rows, 0, rows->rows))
        return record_keep (self, rows, 0, rows->rows, atoms, error);
    if (!self->folded) {
        record_run (self, &self->rows.rows);
        tracks_rows (self, 0, self->rows.rows.rows);
    } else if (self->rows.rows.rows > 0) {
        status = buffer_fold (self, error);
    }
    return status == STATUS_OK ? record_make (self, atoms, error) : status;
}

status_t record_of (record_builder_t *self, size_t from, size_t to, uint64_t *atoms, error_t *error)
{
    record_begin (self, self->run->key[from]);
    if (are_kept (self, self->run, from, to))
        return record_keep (self, self->run, from, to, atoms, error);
    tracks_rows (self, from, to);
    return record_make (self, atoms, error);
}
