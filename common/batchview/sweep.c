#include "batchview/sweep.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { KEPT_BYTES = 1 << 20 }; /* of a buffer, from record to record */

void swept_init (swept_t *self)
{
    *self = (swept_t){ .places = 0 };
    buf_init (&self->partials, BATCHVIEW_RECORD_MAX);
}

void swept_release (swept_t *self)
{
    buf_release (&self->partials);
    mem_free (self->place);
    mem_free (self->start);
    *self = (swept_t){ .places = 0 };
}

bool swept_begin (swept_t *self, size_t places, size_t limit)
{
    if (self->partials.capacity > KEPT_BYTES)
        buf_release (&self->partials);
    buf_clear (&self->partials);
    self->places = 0;
    self->cut = NULL;
    if (places > limit / sizeof *self->place)
        return false;
    self->partials.max = limit - places * sizeof *self->place;
    bool spare = self->capacity > KEPT_BYTES && places < self->capacity / 4;
    if (places > self->capacity || spare) {
        mem_free (self->place);
        self->capacity = 2 * places;
        self->place = mem_alloc (self->capacity * sizeof *self->place);
    }
    if (places > 0)
        memset (self->place, 0, places * sizeof *self->place);
    return true;
}

text_t swept_partial (const swept_t *self, size_t index)
{
    CHECK (index < self->places);
    uint32_t place = self->place[index];
    if (place == 0)
        return (text_t){ NULL, 0 };
    const buf_t *partials = &self->partials;
    reader_t reader = reader_of (partials->data + (place - 1), partials->size - (place - 1));
    text_t partial = reader_text (&reader);
    CHECK (!reader.bad);
    return partial;
}

/* What a pass over a slot's atoms, latest first, leaves the partials of. */
typedef enum pass_kind {
    PASS_SUFFIX,  /* everything from each `step`-th atom on */
    PASS_BETWEEN, /* each atom but every `step`-th */
    PASS_BLOCK,   /* each block of `step` atoms */
} pass_kind_t;

typedef struct pass {
    const swept_slot_t *slot;
    swept_t *out;
    pass_kind_t kind;
    size_t step;
    bool skip_first;
    size_t places_at;
    size_t unread;  /* bytes of `own` still to be read */
    uint32_t place; /* of the latest partial written; 0 while that is the empty one */
    size_t end;     /* of it */
    bool changed;   /* since then */
} pass_t;

static status_t pass_add (pass_t *self, const track_atom_t *atom, error_t *error)
{
    const swept_slot_t *slot = self->slot;
    if (slot->own == NULL) {
        self->changed |= layer_add_rows (slot->spec, slot->rows, atom, slot->acc);
        return STATUS_OK;
    }
    uint32_t size = viewfile_u32 (slot->own->data + self->unread - 4);
    self->unread -= 4 + size;
    if (size == 0)
        return STATUS_OK;
    self->changed = true;
    text_t partial = { (const char *)slot->own->data + self->unread, size };
    return state_merge_partial (slot->spec, slot->acc, partial, error);
}

/* Do partials of so many bytes at the two places differ? Most do in their first bytes. */
static bool differ (const uint8_t *data, size_t a, size_t b, size_t size)
{
    return size < 2 || data[a + 1] != data[b + 1] || memcmp (data + a, data + b, size) != 0;
}

/* Appends the accumulator's partial, size first, unless it equals the one before; its place. */
static uint32_t pass_partial (pass_t *self)
{
    buf_t *partials = &self->out->partials;
    if (!self->changed)
        return self->kind == PASS_SUFFIX ? self->place : 0;
    self->changed = false;
    size_t start = partials->size;
    buf_put_u8 (partials, 0);
    state_encode (self->slot->spec, self->slot->acc, partials);
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

/* The atom, and those after it that count with it, have been added. */
static void pass_atom (pass_t *self, size_t atom)
{
    bool on_step = atom % self->step == 0;
    if (on_step != (self->kind == PASS_BETWEEN)) {
        uint32_t place = pass_partial (self);
        size_t index = self->kind == PASS_BETWEEN ? atom : atom / self->step;
        self->out->place[self->places_at + index] = place;
    }
    if (self->kind == PASS_BETWEEN || (self->kind == PASS_BLOCK && on_step)) {
        state_reset (self->slot->spec, self->slot->acc);
        self->changed = false;
    }
}

/* One pass, which fills the next `count` places. */
static status_t pass_run (const swept_slot_t *slot, pass_kind_t kind, size_t step, size_t count,
                          swept_t *out, error_t *error)
{
    pass_t self = { .slot = slot,
                    .out = out,
                    .kind = kind,
                    .step = step,
                    .skip_first = slot->skip_first || kind == PASS_BETWEEN, /* it is on a step */
                    .places_at = out->places,
                    .unread = slot->own == NULL ? 0 : slot->own->size };
    out->places += count;
    state_reset (slot->spec, slot->acc);
    for (size_t i = slot->track->atoms; i-- > 0;) {
        if (i == 0 && self.skip_first)
            break;
        status_t status = pass_add (&self, &slot->track->atom[i], error);
        if (status != STATUS_OK)
            return status;
        pass_atom (&self, i);
    }
    return STATUS_OK;
}

/* The first row of each atom, and the row behind the last one; several slots have the same atoms.
 */
static const uint32_t *swept_starts (swept_t *self, const track_t *track)
{
    const track_atom_t *atom = track->atom;
    if (self->cut == track)
        return self->start;
    if (self->start_capacity <= track->atoms) {
        mem_free (self->start);
        self->start_capacity = track->capacity + 1;
        self->start = mem_alloc (self->start_capacity * sizeof *self->start);
    }
    for (size_t i = 0; i < track->atoms; i++)
        self->start[i] = atom[i].from;
    self->start[track->atoms] = atom[track->atoms - 1].from + atom[track->atoms - 1].count;
    self->cut = track;
    return self->start;
}

/* Suffixes of rows in one call, if the state has a quick way for them. */
static bool pass_quickly (const swept_slot_t *slot, swept_t *out)
{
    size_t atoms = slot->track->atoms;
    size_t first = slot->skip_first;
    if (slot->own != NULL || atoms == first)
        return false;
    state_suffixes_t suffixes = { .start = swept_starts (out, slot->track) + first,
                                  .ranges = atoms - first,
                                  .out = &out->partials,
                                  .place = out->place + out->places + first };
    if (!state_put_suffixes (slot->spec, slot->rows, &suffixes))
        return false;
    out->places += atoms;
    return true;
}

/* Rows of blocks, until one has but one. */
static status_t sweep_blocks (const swept_slot_t *slot, swept_t *out, size_t *total, error_t *error)
{
    size_t atoms = slot->track->atoms;
    for (size_t step = 1;; step *= BATCHVIEW_FANOUT) {
        status_t status =
            pass_run (slot, PASS_BLOCK, step, viewfile_blocks (atoms, step), out, error);
        *total = out->places - 1;
        if (status != STATUS_OK || step >= atoms)
            return status;
    }
}

status_t sweep (const swept_slot_t *slot, swept_t *out, size_t *total, error_t *error)
{
    size_t atoms = slot->track->atoms;
    status_t status = STATUS_OK;
    *total = out->places;
    if (atoms == 0)
        return STATUS_OK;
    if (slot->blocks)
        return pass_run (slot, PASS_BLOCK, 1, atoms, out, error);
    if (slot->info->delayed)
        return sweep_blocks (slot, out, total, error);
    if (!viewfile_has_checkpoints (slot->info, slot->layer))
        return pass_quickly (slot, out) ? STATUS_OK
                                        : pass_run (slot, PASS_SUFFIX, 1, atoms, out, error);
    status = pass_run (slot, PASS_BETWEEN, BATCHVIEW_CHECKPOINT, atoms, out, error);
    *total = out->places;
    if (status == STATUS_OK)
        status = pass_run (slot, PASS_SUFFIX, BATCHVIEW_CHECKPOINT, viewfile_checkpoints (atoms),
                           out, error);
    return status;
}
