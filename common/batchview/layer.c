#include "batchview/layer.h"

#include "base/mem.h"

enum { KEPT_BYTES = 1 << 20 }; /* of a buffer, from key to key */

void layer_init (layer_t *self, size_t slots, bool future)
{
    *self = (layer_t){ .slots = slots };
    track_init (&self->track, future);
    self->own = mem_zero (slots + 1, sizeof *self->own);
    for (size_t i = 0; i < slots; i++)
        buf_init (&self->own[i], BATCHVIEW_RECORD_MAX);
}

void layer_release (layer_t *self)
{
    track_release (&self->track);
    for (size_t i = 0; i < self->slots; i++)
        buf_release (&self->own[i]);
    mem_free (self->own);
    mem_free (self->section);
    *self = (layer_t){ .slots = 0 };
}

void layer_written (layer_t *self)
{
    track_clear (&self->track);
    for (size_t i = 0; i < self->slots; i++) {
        if (self->own[i].capacity > KEPT_BYTES)
            buf_release (&self->own[i]);
        buf_clear (&self->own[i]);
    }
    self->later = true;
}

void layer_clear (layer_t *self)
{
    layer_written (self);
    self->later = false;
}

/* Takes the last partial back, into the accumulator. */
static status_t own_take (buf_t *own, state_spec_t spec, void *acc, error_t *error)
{
    uint32_t size = viewfile_u32 (own->data + own->size - 4);
    text_t partial = { (const char *)own->data + own->size - 4 - size, size };
    own->size -= 4 + size;
    return size > 0 ? state_merge_partial (spec, acc, partial, error) : STATUS_OK;
}

status_t layer_fold (layer_t *self, size_t slot, state_spec_t spec, state_rows_t *rows, void *acc,
                     size_t first, bool goes_on, error_t *error)
{
    buf_t *own = &self->own[slot];
    for (size_t i = first; i < self->track.atoms && !own->bad; i++) {
        status_t status = STATUS_OK;
        state_reset (spec, acc);
        if (goes_on && i == first)
            status = own_take (own, spec, acc, error);
        if (status != STATUS_OK)
            return status;
        size_t start = own->size;
        (void)layer_add_rows (spec, rows, &self->track.atom[i], acc);
        state_encode (spec, acc, own);
        buf_put_u32 (own, (uint32_t)(own->size - start));
    }
    return STATUS_OK;
}

void layer_put (layer_t *self, int64_t first, int64_t last, uint64_t place)
{
    if (self->track.atoms == self->capacity) {
        self->capacity = self->capacity == 0 ? 16 : 2 * self->capacity;
        self->section = mem_resize (self->section, self->capacity, sizeof *self->section);
    }
    self->section[self->track.atoms] = place;
    track_put (&self->track, first, last);
}

void layer_put_own (layer_t *self, size_t slot, text_t partial)
{
    buf_put (&self->own[slot], partial.data, partial.size);
    buf_put_u32 (&self->own[slot], partial.size);
}

size_t layer_own_bytes (const layer_t *self)
{
    size_t bytes = 0;
    for (size_t i = 0; i < self->slots; i++)
        bytes += self->own[i].size;
    return bytes;
}

size_t layer_bytes (const layer_t *self)
{
    return layer_own_bytes (self) +
           self->track.atoms * (sizeof *self->track.atom + sizeof *self->section);
}
