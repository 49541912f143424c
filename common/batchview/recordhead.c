#include "batchview/recordhead.h"

#include <string.h>

static void put_age (buf_t *head, int64_t from, int64_t time, unsigned bytes)
{
    uint64_t age = (uint64_t)from - (uint64_t)time;
    buf_put (head, &age, bytes);
}

/* Writes 8 bytes, of which that many count. */
static inline uint8_t *put_age_at (uint8_t *to, int64_t from, int64_t time, unsigned bytes)
{
    uint64_t age = (uint64_t)from - (uint64_t)time;
    memcpy (to, &age, sizeof age);
    return to + bytes;
}

/* Last times of atoms but of the last one, and if some have several, first times but of the first.
 */
static void put_times (buf_t *head, const track_t *track, int64_t from, unsigned bytes)
{
    size_t between = track->atoms > 0 ? track->atoms - 1 : 0;
    size_t size = (track->collapsed ? 2 : 1) * between * bytes;
    uint8_t *to = buf_room (head, size + sizeof (uint64_t));
    head->bad |= to == NULL;
    for (size_t i = 0; to != NULL && i < between; i++)
        to = put_age_at (to, from, track->atom[i].last, bytes);
    for (size_t i = 0; to != NULL && track->collapsed && i < between; i++)
        to = put_age_at (to, from, track->atom[i + 1].first, bytes);
    buf_grew (head, to != NULL ? size : 0);
}

static void put_count (buf_t *head, const track_t *track)
{
    buf_put_varint (head, 2 * track->atoms + track->collapsed);
}

static void put_sections (buf_t *head, const layer_t *layer)
{
    for (size_t i = 0; i < layer->track.atoms; i++)
        buf_put_u64 (head, layer->section[i]);
}

static void put_places (buf_t *head, const swept_t *swept, unsigned bytes)
{
    const uint32_t *place = swept->place;
    uint8_t *to = buf_extend (head, swept->places * bytes);
    if (to == NULL)
        return;
    for (size_t i = 0; bytes == 1 && i < swept->places; i++)
        to[i] = (uint8_t)place[i];
    for (size_t i = 0; bytes == 2 && i < swept->places; i++)
        memcpy (to + 2 * i, &place[i], 2);
    if (bytes == sizeof *place && swept->places > 0)
        memcpy (to, place, swept->places * sizeof *place);
}

static viewfile_shape_t shape_of (const swept_t *swept, uint64_t oldest)
{
    size_t size = swept->partials.size;
    return (viewfile_shape_t){ .place_bytes = size < UINT8_MAX    ? 1
                                              : size < UINT16_MAX ? 2
                                                                  : 4,
                               .age_bytes = viewfile_age_bytes (oldest) };
}

void record_head (const record_builder_t *self, buf_t *head)
{
    const viewfile_header_t *header = self->header;
    int64_t clock = header->info.clock_at_cut;
    const track_t *future = record_atoms (self, header->groups);
    const track_t *first = header->groups > 0 ? &record_top (&self->group[0])->track : NULL;
    bool covered = first != NULL && first->atoms > 0;
    viewfile_shape_t shape =
        shape_of (&self->swept, covered ? viewfile_age (header, first->atom[0].first) : 0);
    for (size_t i = 0; i < header->groups; i++)
        shape.sections |= self->group[i].layers > 1;
    buf_put_text (head, (text_t){ (char *)self->key.data, (uint32_t)self->key.size });
    buf_put_u8 (head, viewfile_shape_put (shape));
    buf_put_varint (head, future->atoms);
    for (size_t i = 0; i < header->groups; i++)
        put_count (head, &record_top (&self->group[i])->track);
    for (size_t i = 0; shape.sections && i < header->groups; i++)
        buf_put_u8 (head, (uint8_t)(self->group[i].layers - 1));
    if (covered) {
        put_age (head, clock, first->atom[0].first, shape.age_bytes);
        put_age (head, clock, track_last (first), shape.age_bytes);
    }
    for (size_t i = 0; i < header->groups; i++)
        put_times (head, &record_top (&self->group[i])->track, clock, shape.age_bytes);
    for (size_t i = 0; i < future->atoms; i++)
        buf_put_i64 (head, future->atom[i].first);
    for (size_t i = 0; i < header->groups; i++)
        if (self->group[i].layers > 1)
            put_sections (head, record_top (&self->group[i]));
    put_places (head, &self->swept, shape.place_bytes);
}

void section_head (const record_builder_t *self, size_t group, size_t layer, buf_t *head)
{
    const layer_t *from = &self->group[group].layer[layer];
    const track_t *track = &from->track;
    int64_t last = track_last (track);
    viewfile_shape_t shape =
        shape_of (&self->swept, (uint64_t)last - (uint64_t)track->atom[0].first);
    buf_put_u8 (head, viewfile_shape_put (shape));
    buf_put_u8 (head, (uint8_t)layer);
    buf_put_varint (head, group);
    put_count (head, track);
    buf_put_i64 (head, last);
    put_age (head, last, track->atom[0].first, shape.age_bytes);
    put_times (head, track, last, shape.age_bytes);
    if (layer > 0)
        put_sections (head, from);
    put_places (head, &self->swept, shape.place_bytes);
}
