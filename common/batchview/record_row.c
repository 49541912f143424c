/* record_row.c - the record of a key that has one row: as most have in a delta. What record.c would
 * make of it, without pieces and sweeps: there is one atom, and each partial is of that row. */
#include "batchview/record.h"

#include "base/check.h"

static void put_partials (record_builder_t *self, size_t row)
{
    const viewfile_header_t *header = self->header;
    buf_t *partials = &self->partials;
    int64_t time = self->run->time[row];
    size_t at = 0;
    for (uint32_t slot = 0; slot < header->slots; slot++) {
        const viewfile_slot_t *info = &header->slot[slot];
        at += viewfile_places (info, 1);
        if (!info->lifetime && time <= header->group[info->group].edge_min)
            continue; /* nothing asks for it */
        size_t start = partials->size;
        buf_put_u8 (partials, 0);
        state_encode_row (self->plan->slots[slot].spec, record_slot_acc (self, slot),
                          &self->slot_rows[slot], row, partials);
        if (!record_end_partial (self, start))
            return;
        if (partials->size == start + 1)
            partials->size = start;
        else
            self->place[at - 1] = (uint32_t)start + 1; /* the last: the suffix, or the block */
    }
}

static void put_head (record_builder_t *self, size_t row, size_t places)
{
    buf_t *head = &self->head;
    uint64_t age = record_age (self, self->run->time[row]);
    viewfile_shape_t shape = record_shape (self, self->header->groups > 0 ? age : 0);
    buf_put_text (head, (text_t){ (char *)self->key.data, (uint32_t)self->key.size });
    buf_put_u8 (head, viewfile_shape_put (shape));
    buf_put_varint (head, 0); /* later than the clock */
    for (size_t i = 0; i < self->header->groups; i++)
        buf_put_u8 (head, 2 * 1); /* one atom, of one time */
    for (unsigned bound = 0; self->header->groups > 0 && bound < 2; bound++)
        buf_put (head, &age, shape.age_bytes);
    record_put_places (self, places, shape.place_bytes);
}

status_t record_make_row (record_builder_t *self, size_t row, uint64_t *atoms, error_t *error)
{
    const viewfile_header_t *header = self->header;
    size_t places = 0;
    CHECK (self->run->time[row] <= header->info.clock_at_cut);
    *atoms = header->groups;
    for (size_t i = 0; i < header->slots; i++)
        places += viewfile_places (&header->slot[i], 1);
    if (!record_clear_places (self, places))
        return record_too_large (self, error);
    put_partials (self, row);
    record_limit_head (self, places);
    put_head (self, row, places);
    return self->head.bad || self->partials.bad ? record_too_large (self, error) : STATUS_OK;
}
