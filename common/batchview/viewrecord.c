#include "batchview/viewrecord.h"

#include "base/check.h"

#include <string.h>

status_t viewrecord_bad (error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "a record of a batch view is not well formed");
}

/* ---- layout ---- */

static int64_t age_time (const viewpage_t *page, const uint8_t *ages, size_t index)
{
    unsigned bytes = page->shape.age_bytes;
    return (int64_t)((uint64_t)page->clock - viewfile_narrow (ages + index * bytes, bytes));
}

/* `count` things of `size` bytes; bad when they are not there. */
static const uint8_t *read_array (reader_t *reader, uint64_t count, size_t size)
{
    if (count > reader_left (reader) / size)
        reader->bad = true;
    return reader_bytes (reader, reader->bad ? 0 : (size_t)count * size);
}

static void read_count (reader_t *reader, viewatoms_t *atoms, bool *collapsed)
{
    uint64_t count = reader_varint (reader);
    *collapsed = count & 1;
    *atoms = (viewatoms_t){ .count = (uint32_t)(count >> 1) };
    if (count >> 1 > UINT32_MAX)
        reader->bad = true;
}

static void read_times (reader_t *reader, const viewpage_t *page, viewatoms_t *atoms,
                        bool collapsed)
{
    uint32_t inner = atoms->count > 0 ? atoms->count - 1 : 0;
    atoms->last = read_array (reader, inner, page->shape.age_bytes);
    atoms->first = collapsed ? read_array (reader, inner, page->shape.age_bytes) : NULL;
}

static void read_layers (const viewfile_header_t *header, viewrecord_t *record, reader_t *reader)
{
    for (size_t i = 0; i < header->groups; i++) {
        record->group[i].layer = reader_u8 (reader);
        if (record->group[i].layer >= BATCHVIEW_LAYERS_MAX ||
            (record->group[i].layer > 0 && record->group[i].count == 0))
            reader->bad = true;
    }
}

static void read_counts (const viewfile_header_t *header, viewrecord_t *record, reader_t *reader,
                         bool *collapsed)
{
    uint64_t futures = reader_varint (reader);
    record->futures = (uint32_t)futures;
    if (futures > BATCHVIEW_FUTURE_MAX)
        reader->bad = true;
    for (size_t i = 0; i < header->groups; i++) {
        read_count (reader, &record->group[i], &collapsed[i]);
        bool covers = record->group[i].count > 0; /* all groups have the same events */
        if (covers != (record->group[0].count > 0))
            reader->bad = true;
    }
    if (record->page.shape.sections)
        read_layers (header, record, reader);
}

status_t viewrecord_lay_out (const viewdata_t *data, uint64_t place, reader_t *reader,
                             viewrecord_t *record, error_t *error)
{
    const viewfile_header_t *header = data->header;
    viewpage_t *page = &record->page;
    bool collapsed[FEATURES_MAX];
    if (!viewfile_shape_read (reader_u8 (reader), &page->shape))
        reader->bad = true;
    page->place = place;
    page->clock = header->info.clock_at_cut;
    record->rows = *reader;
    if (page->shape.rows > 0)
        return reader->bad ? viewrecord_bad (error) : STATUS_OK;
    record->group[0] = (viewatoms_t){ 0 }; /* in case that there is none */
    read_counts (header, record, reader, collapsed);
    bool covered = header->groups > 0 && record->group[0].count > 0;
    const uint8_t *bounds = read_array (reader, covered ? 2 : 0, page->shape.age_bytes);
    if (covered && !reader->bad) {
        page->first = age_time (page, bounds, 0);
        page->last = age_time (page, bounds, 1);
    }
    for (size_t i = 0; i < header->groups; i++)
        read_times (reader, page, &record->group[i], collapsed[i]);
    record->future = read_array (reader, record->futures, sizeof (int64_t));
    for (size_t i = 0; page->shape.sections && i < header->groups; i++)
        if (record->group[i].layer > 0)
            record->group[i].sections =
                read_array (reader, record->group[i].count, sizeof (uint64_t));
    uint64_t places = 0;
    for (size_t i = 0; i < header->slots; i++) {
        const viewatoms_t *atoms = &record->group[header->slot[i].group];
        places += viewfile_places (&header->slot[i], atoms->layer, atoms->count) +
                  (uint64_t)record->futures;
    }
    page->places = read_array (reader, places, page->shape.place_bytes);
    page->partials = reader->at;
    page->end = reader->end;
    return reader->bad ? viewrecord_bad (error) : STATUS_OK;
}

/* The section that stands at `index` among `atoms`, which are in `in`. */
static status_t section_read (const viewdata_t *data, const viewpage_t *in,
                              const viewatoms_t *above, uint32_t index, uint16_t group,
                              viewpage_t *page, viewatoms_t *atoms, error_t *error)
{
    const viewfile_header_t *header = data->header;
    bool collapsed = false;
    *page = (viewpage_t){ .place = (uint64_t)viewfile_i64 (above->sections + 8 * (size_t)index) };
    if (page->place < header->size || page->place >= in->place)
        return viewrecord_bad (error);
    reader_t reader = reader_of (data->data + page->place, data->end - page->place);
    uint64_t size = reader_varint (&reader);
    if (reader.bad || size > reader_left (&reader))
        return viewrecord_bad (error);
    reader = reader_of (reader.at, size);
    bool known = viewfile_shape_read (reader_u8 (&reader), &page->shape) && page->shape.rows == 0 &&
                 !page->shape.sections;
    unsigned layer = reader_u8 (&reader);
    uint64_t its_group = reader_varint (&reader);
    read_count (&reader, atoms, &collapsed);
    atoms->layer = layer;
    page->clock = page->last = reader_i64 (&reader);
    const uint8_t *first = read_array (&reader, 1, page->shape.age_bytes);
    if (!known || reader.bad || layer + 1 != above->layer || its_group != group ||
        atoms->count == 0)
        return viewrecord_bad (error);
    page->first = age_time (page, first, 0);
    read_times (&reader, page, atoms, collapsed);
    if (layer > 0)
        atoms->sections = read_array (&reader, atoms->count, sizeof (uint64_t));
    uint64_t places = 0;
    for (size_t i = 0; i < header->slots; i++)
        if (header->slot[i].group == group)
            places += viewfile_places (&header->slot[i], layer, atoms->count);
    page->places = read_array (&reader, places, page->shape.place_bytes);
    page->partials = reader.at;
    page->end = reader.end;
    return reader.bad ? viewrecord_bad (error) : STATUS_OK;
}

/* ---- times ---- */

uint32_t viewrecord_futures_to (const viewrecord_t *record, int64_t time)
{
    uint32_t low = 0;
    uint32_t high = record->futures;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (viewfile_i64 (record->future + 8 * (size_t)middle) <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t first_time (const viewpage_t *page, const viewatoms_t *atoms, uint32_t atom)
{
    if (atom == 0)
        return page->first;
    if (atoms->first != NULL)
        return age_time (page, atoms->first, atom - 1);
    return atom + 1 == atoms->count ? page->last : age_time (page, atoms->last, atom);
}

/* Atoms whose last times are at most `time`. */
static uint32_t atoms_to (const viewpage_t *page, const viewatoms_t *atoms, int64_t time)
{
    if (atoms->count == 0 || page->last <= time)
        return atoms->count;
    uint32_t low = 0;
    uint32_t high = atoms->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (age_time (page, atoms->last, middle) <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool viewrecord_latest (const viewrecord_t *record, int64_t as_of, int64_t *latest)
{
    const viewpage_t *page = &record->page;
    const viewatoms_t *atoms = &record->group[0]; /* all groups have the same events */
    uint32_t futures = viewrecord_futures_to (record, as_of);
    *latest = ANSWER_NEVER;
    if (futures > 0) {
        *latest = viewfile_i64 (record->future + 8 * (size_t)(futures - 1));
        return true;
    }
    if (atoms->count == 0 || as_of < page->first)
        return true;
    uint32_t to = atoms_to (page, atoms, as_of);
    if (to < atoms->count && (atoms->layer > 0 || first_time (page, atoms, to) <= as_of))
        return false;
    *latest = to == atoms->count ? page->last : age_time (page, atoms->last, to - 1);
    return true;
}

bool viewrecord_range (const viewpage_t *page, const viewatoms_t *atoms,
                       const viewfile_group_t *info, const viewwindow_t *window, viewrange_t *range)
{
    range->from = atoms_to (page, atoms, window->left);
    range->to = atoms_to (page, atoms, window->right);
    if (range->to < atoms->count &&
        (info->delay == 0 || first_time (page, atoms, range->to) <= window->right))
        return false;
    if (range->from == range->to)
        return true;
    int64_t first = first_time (page, atoms, range->from);
    if (first <= window->left)
        return false;
    return range->from > 0 || !window->first_missing || first > info->edge_min;
}

/* ---- windows over sections ---- */

/* On the way down to the edges of a window. */
typedef struct descent {
    const viewdata_t *data;
    const viewwindow_t *window;
    uint16_t group;
    viewparts_t *parts;
    bool exact;
} descent_t;

static status_t descend (descent_t *self, const viewpage_t *page, const viewatoms_t *atoms,
                         int64_t left, int64_t right, bool of_key, error_t *error);

/* Goes on in a section that has an edge in it, or both. `of_key`: its first atom is the key's. */
static status_t descend_into (descent_t *self, const viewpage_t *page, const viewatoms_t *atoms,
                              uint32_t index, int64_t left, int64_t right, bool of_key,
                              error_t *error)
{
    viewpage_t its_page;
    viewatoms_t its_atoms;
    if (atoms->layer == 0) {
        self->exact = false;
        return STATUS_OK;
    }
    status_t status =
        section_read (self->data, page, atoms, index, self->group, &its_page, &its_atoms, error);
    if (status != STATUS_OK)
        return status;
    return descend (self, &its_page, &its_atoms, left, right, of_key && index == 0, error);
}

/* A layer is one less each time, so that there are few. */
static status_t descend (descent_t *self, const viewpage_t *page, const viewatoms_t *atoms,
                         int64_t left, int64_t right, bool of_key, error_t *error)
{
    uint32_t from = atoms_to (page, atoms, left);
    uint32_t to = atoms_to (page, atoms, right);
    bool has_right = to < atoms->count && first_time (page, atoms, to) <= right;
    if (from >= to)
        return has_right ? descend_into (self, page, atoms, to, left, right, of_key, error)
                         : STATUS_OK;
    int64_t first = first_time (page, atoms, from);
    bool has_left = first <= left;
    bool missing =
        self->window->first_missing && first <= self->data->header->group[self->group].edge_min;
    if (!has_left && from == 0 && of_key && missing)
        self->exact = false;
    viewparts_t *parts = self->parts;
    if (from + has_left < to) {
        if (parts->count == VIEWPARTS_MAX)
            return viewrecord_bad (error);
        parts->part[parts->count++] =
            (viewpart_t){ .page = *page, .atoms = *atoms, .range = { from + has_left, to } };
    }
    status_t status = STATUS_OK;
    if (has_left)
        status = descend_into (self, page, atoms, from, left, INT64_MAX, of_key, error);
    if (status == STATUS_OK && has_right)
        status = descend_into (self, page, atoms, to, INT64_MIN, right, false, error);
    return status;
}

status_t viewrecord_parts (const viewdata_t *data, const viewrecord_t *record, uint16_t group,
                           const viewwindow_t *window, viewparts_t *parts, bool *exact,
                           error_t *error)
{
    const viewpage_t *page = &record->page;
    const viewatoms_t *atoms = &record->group[group];
    descent_t descent = {
        .data = data, .window = window, .group = group, .parts = parts, .exact = true
    };
    parts->count = 0;
    *exact = false;
    if (data->header->group[group].delay == 0 && page->last > window->right)
        return STATUS_OK;
    status_t status = descend (&descent, page, atoms, window->left, window->right, true, error);
    if (parts->count > 0) /* of the record, if any is, and then the first */
        parts->part[0].in_record = parts->part[0].page.place == page->place;
    *exact = status == STATUS_OK && descent.exact;
    return status;
}

/* ---- merging ---- */

status_t viewpage_merge (const viewpage_t *page, size_t index, state_spec_t spec, void *acc,
                         error_t *error)
{
    unsigned bytes = page->shape.place_bytes;
    uint64_t place = viewfile_narrow (page->places + index * bytes, bytes);
    if (place == 0)
        return STATUS_OK;
    if (place > (uint64_t)(page->end - page->partials))
        return viewrecord_bad (error);
    const uint8_t *at = page->partials + (place - 1);
    size_t left = (size_t)(page->end - at); /* at least 1 */
    text_t partial = { (const char *)at + 1, *at };
    if (*at >= 0x80) { /* a size of several bytes */
        reader_t reader = reader_of (at, left);
        partial = reader_text (&reader);
        left = reader.bad ? 0 : left;
    }
    if (partial.size >= left)
        return viewrecord_bad (error);
    return state_merge_partial (spec, acc, partial, error);
}

status_t viewpage_merge_checkpoint (const viewpage_t *page, const viewatoms_t *atoms,
                                    state_spec_t spec, size_t places, uint32_t atom, void *acc,
                                    error_t *error)
{
    size_t checkpoint = viewfile_checkpoints (atom);
    size_t until = checkpoint * BATCHVIEW_CHECKPOINT;
    for (size_t i = atom; i < until && i < atoms->count; i++) {
        status_t status = viewpage_merge (page, places + i, spec, acc, error);
        if (status != STATUS_OK)
            return status;
    }
    if (until >= atoms->count)
        return STATUS_OK;
    return viewpage_merge (page, places + (size_t)atoms->count + checkpoint, spec, acc, error);
}

/* From the largest blocks that it consists of. */
status_t viewpage_merge_blocks (const viewpage_t *page, const viewatoms_t *row, state_spec_t spec,
                                size_t places, viewrange_t range, void *acc, error_t *error)
{
    size_t atoms = row->count;
    size_t at = range.from;
    while (at < range.to) {
        size_t step = 1;
        size_t first = 0; /* place of the blocks of that many */
        for (size_t next = BATCHVIEW_FANOUT; step < atoms; next *= BATCHVIEW_FANOUT) {
            size_t end = at + next < atoms ? at + next : atoms;
            if (at % next != 0 || end > range.to)
                break;
            first += viewfile_blocks (atoms, step);
            step = next;
        }
        status_t status = viewpage_merge (page, places + first + at / step, spec, acc, error);
        if (status != STATUS_OK)
            return status;
        at += step;
    }
    return STATUS_OK;
}
