#include "base/check.h"
#include "base/mem.h"
#include "batchview/viewrecord.h"
#include "batchview/viewrows.h"

#include <stdatomic.h>
#include <string.h>

enum {
    VIEW_MAGIC = 0x0ba7c41e,
    BINDING_MAGIC = 0x0b19d149,
};

struct batchview {
    unsigned magic;
    atomic_uint references;
    fs_t *fs;
    const uint8_t *data;
    uint64_t size;
    viewfile_header_t header;
    viewfile_footer_t footer;
};

/* What some cells have in common: a window in a group. */
typedef struct edge {
    int64_t window;
    uint16_t group;
    bool first_missing; /* some slot may lack the partials of the first atom */
} edge_t;

/* The cells of the plan that a slot of the file fills. */
typedef struct bound_slot {
    state_spec_t spec;
    uint32_t cell;  /* the first */
    uint32_t cells; /* up to the last; some between may not be wanted */
} bound_slot_t;

#define CELL_UNWANTED UINT16_MAX /* in cell_edge */

struct batchview_binding {
    unsigned magic;
    const batchview_t *view;
    uint64_t plan_hash;
    bool missing;       /* some slot of the plan is not in the file */
    bound_slot_t *slot; /* per slot of the file */
    edge_t *edge;
    size_t edges;
    uint16_t *cell_edge;  /* per cell of the plan */
    int64_t *cell_window; /* likewise */
};

/* ---- opening ---- */

static status_t view_verify (batchview_t *self, error_t *error)
{
    status_t status = viewfile_verify (self->data, self->size, &self->footer, error);
    if (status != STATUS_OK)
        return status;
    status = viewfile_header_decode (self->data, self->footer.index_at, &self->header, error);
    if (status != STATUS_OK)
        return status;
    self->header.info.keys = self->footer.keys;
    self->header.info.atoms = self->footer.atoms;
    self->header.info.events = self->footer.events;
    return STATUS_OK;
}

static status_t view_map (batchview_t *self, const char *path, error_t *error)
{
    file_t *file = NULL;
    const void *data = NULL;
    status_t status = fs_open (self->fs, path, FS_READ, &file, error);
    if (status != STATUS_OK)
        return status;
    status = fs_size (self->fs, file, &self->size, error);
    if (status == STATUS_OK && (self->size == 0 || self->size > SIZE_MAX / 2))
        status = error_set (error, STATUS_CORRUPT, "%llu bytes are not a batch view file",
                            (unsigned long long)self->size);
    if (status == STATUS_OK)
        status = fs_map (self->fs, file, self->size, &data, error);
    if (status == STATUS_OK)
        self->data = data;
    fs_close (self->fs, &file);
    return status;
}

status_t batchview_open (fs_t *fs, const char *path, batchview_t **view, error_t *error)
{
    batchview_t *self = mem_zero (1, sizeof *self);
    self->magic = VIEW_MAGIC;
    self->references = 1;
    self->fs = fs;
    status_t status = view_map (self, path, error);
    if (status == STATUS_OK)
        status = view_verify (self, error);
    if (status != STATUS_OK) {
        batchview_unref (&self);
        *view = NULL;
        return error_prefix (error, "%s", path);
    }
    *view = self;
    return STATUS_OK;
}

status_t batchview_verify (const batchview_t *self, error_t *error)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    viewfile_footer_t footer;
    return viewfile_verify (self->data, self->size, &footer, error);
}

batchview_t *batchview_ref (batchview_t *self)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    atomic_fetch_add (&self->references, 1);
    return self;
}

void batchview_unref (batchview_t **self_p)
{
    batchview_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, VIEW_MAGIC);
    *self_p = NULL;
    if (atomic_fetch_sub (&self->references, 1) > 1)
        return;
    self->magic = 0;
    const void *data = self->data;
    if (data != NULL)
        fs_unmap (self->fs, &data, self->size);
    mem_free (self);
}

const batchview_info_t *batchview_info (const batchview_t *self)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    return &self->header.info;
}

/* ---- binding ---- */

static uint16_t edge_of (batchview_binding_t *self, uint16_t group, int64_t window)
{
    for (uint16_t i = 0; i < self->edges; i++)
        if (self->edge[i].group == group && self->edge[i].window == window)
            return i;
    self->edge[self->edges] = (edge_t){ .window = window, .group = group };
    return (uint16_t)self->edges++;
}

/* Are its lanes what such a state takes? */
static bool has_inputs (const viewfile_header_t *header, const viewfile_slot_t *slot,
                        state_spec_t spec)
{
    if (slot->inputs != state_inputs (spec))
        return false;
    for (unsigned k = 0; k < slot->inputs; k++)
        if (header->lane_type[slot->lane[k]] != state_input_type (spec, k))
            return false;
    return true;
}

/* The file's slot with the state of the plan's, or -1. */
static int slot_of (const viewfile_header_t *header, const plan_slot_t *slot)
{
    for (size_t i = 0; i < header->slots; i++)
        if (header->slot[i].hash == slot->hash && header->slot[i].kind == slot->spec.kind &&
            header->slot[i].input == slot->spec.input &&
            header->group[header->slot[i].group].delay == slot->delay &&
            has_inputs (header, &header->slot[i], slot->spec))
            return (int)i;
    return -1;
}

batchview_binding_t *batchview_bind (const batchview_t *view, const plan_t *plan)
{
    return batchview_bind_cells (view, plan, NULL);
}

batchview_binding_t *batchview_bind_cells (const batchview_t *view, const plan_t *plan,
                                           const bool *wanted)
{
    CHECK_OBJECT (view, VIEW_MAGIC);
    CHECK (plan->cells_count <= FEATURES_MAX);
    batchview_binding_t *self = mem_zero (1, sizeof *self);
    self->magic = BINDING_MAGIC;
    self->view = view;
    self->plan_hash = plan->hash;
    self->slot = mem_zero (view->header.slots + 1, sizeof *self->slot);
    self->edge = mem_zero (plan->cells_count + 1, sizeof *self->edge);
    self->cell_edge = mem_zero (plan->cells_count + 1, sizeof *self->cell_edge);
    self->cell_window = mem_zero (plan->cells_count + 1, sizeof *self->cell_window);
    for (uint32_t cell = 0; cell < plan->cells_count; cell++) {
        const plan_slot_t *slot = &plan->slots[plan->cells[cell].slot];
        self->cell_edge[cell] = CELL_UNWANTED;
        if (wanted != NULL && !wanted[cell])
            continue;
        int found = slot_of (&view->header, slot);
        if (found < 0) {
            self->missing = true;
            return self;
        }
        const viewfile_slot_t *info = &view->header.slot[found];
        bound_slot_t *bound = &self->slot[found];
        if (bound->cells == 0)
            bound->cell = cell;
        bound->cells = cell - bound->cell + 1;
        bound->spec = slot->spec;
        uint16_t edge = edge_of (self, info->group, plan->cells[cell].window);
        self->edge[edge].first_missing |= !info->lifetime;
        self->cell_edge[cell] = edge;
        self->cell_window[cell] = plan->cells[cell].window;
    }
    return self;
}

void batchview_binding_destroy (batchview_binding_t **self_p)
{
    batchview_binding_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, BINDING_MAGIC);
    *self_p = NULL;
    self->magic = 0;
    mem_free (self->slot);
    mem_free (self->edge);
    mem_free (self->cell_edge);
    mem_free (self->cell_window);
    mem_free (self);
}

/* ---- a key's record ---- */

static viewdata_t data_of (const batchview_t *view)
{
    return (
        viewdata_t){ .data = view->data, .end = view->footer.index_at, .header = &view->header };
}

/* Reads the record at `place`; *found is whether it is the key's. */
static status_t record_read (const batchview_t *view, uint64_t place, text_t key,
                             viewrecord_t *record, bool *found, error_t *error)
{
    *found = false;
    if (place < view->header.size || place > view->footer.index_at)
        return viewrecord_bad (error);
    reader_t reader = reader_of (view->data + place, view->footer.index_at - place);
    uint64_t size = reader_varint (&reader);
    if (reader.bad || size > reader_left (&reader))
        return viewrecord_bad (error);
    reader = reader_of (reader.at, size);
    text_t its_key = reader_text (&reader);
    if (reader.bad)
        return viewrecord_bad (error);
    if (!text_equal (key, its_key))
        return STATUS_OK;
    *found = true;
    viewdata_t data = data_of (view);
    return viewrecord_lay_out (&data, place, &reader, record, error);
}

static status_t record_find (const batchview_t *view, text_t key, viewrecord_t *record, bool *found,
                             error_t *error)
{
    uint64_t hash = key_hash (key);
    uint64_t size = view->footer.index_size;
    uint64_t slot = viewfile_index_slot (hash, size);
    const uint8_t *index = view->data + view->footer.index_at;
    *found = false;
    for (uint64_t probe = 0; probe < size; probe++) {
        uint64_t entry = (uint64_t)viewfile_i64 (index + 8 * slot);
        slot = slot + 1 < size ? slot + 1 : 0;
        if (entry == 0)
            return STATUS_OK;
        if (!viewfile_index_tag_is (entry, hash))
            continue;
        status_t status =
            record_read (view, viewfile_index_place (entry), key, record, found, error);
        if (status != STATUS_OK || *found)
            return status;
    }
    return STATUS_OK;
}

/* ---- memory that is asked for ahead ---- */

enum { CACHE_LINE = 64, RECORD_LINES = 4 };

static const uint8_t *index_entry (const batchview_t *view, uint64_t hash)
{
    return view->data + view->footer.index_at +
           8 * viewfile_index_slot (hash, view->footer.index_size);
}

void batchview_fetch_index (const batchview_t *self, uint64_t hash)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    __builtin_prefetch (index_entry (self, hash));
}

/* That of the first entry with the hash's tag, if it is among the next few, which there are behind
 * any: behind the index is the footer. What is past the mapping's end does no harm. */
void batchview_fetch_record (const batchview_t *self, uint64_t hash)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    const uint8_t *first = index_entry (self, hash);
    for (uint64_t probe = 0; probe < 4; probe++) {
        uint64_t entry = (uint64_t)viewfile_i64 (first + 8 * probe);
        if (entry == 0)
            return;
        if (!viewfile_index_tag_is (entry, hash))
            continue;
        uint64_t place = viewfile_index_place (entry);
        for (uint64_t i = 0; i < RECORD_LINES && place < self->footer.index_at; i++) {
            __builtin_prefetch (self->data + place);
            place += CACHE_LINE;
        }
        return;
    }
}

/* ---- merging ---- */

static int64_t earlier (int64_t time, int64_t by)
{
    int64_t result;
    return __builtin_sub_overflow (time, by, &result) ? INT64_MIN : result;
}

static int64_t left_of (int64_t right, int64_t window)
{
    return window == WINDOW_LIFETIME ? INT64_MIN : earlier (right, window);
}

static viewwindow_t window_of (const batchview_t *view, const edge_t *edge, int64_t as_of)
{
    int64_t right = earlier (as_of, view->header.group[edge->group].delay);
    return (viewwindow_t){ .left = left_of (right, edge->window),
                           .right = right,
                           .first_missing = edge->first_missing };
}

/* The atoms of each edge's group without sections. *exact false: some edge cannot be answered so.
 */
static status_t edges_find (const batchview_t *view, const batchview_binding_t *binding,
                            const viewrecord_t *record, int64_t as_of, viewrange_t *ranges,
                            bool *exact, error_t *error)
{
    viewdata_t data = data_of (view);
    status_t status = STATUS_OK;
    for (size_t i = 0; i < binding->edges && *exact && status == STATUS_OK; i++) {
        const edge_t *edge = &binding->edge[i];
        const viewatoms_t *atoms = &record->group[edge->group];
        viewwindow_t window = window_of (view, edge, as_of);
        viewparts_t parts;
        if (atoms->layer > 0)
            status = viewrecord_parts (&data, record, edge->group, &window, &parts, exact, error);
        else
            *exact = viewrecord_range (&record->page, atoms, &view->header.group[edge->group],
                                       &window, &ranges[i]);
    }
    return status;
}

/* What of the future the window's right edge has reached; `places` is the slot's first there. */
static status_t future_merge (const viewrecord_t *record, state_spec_t spec, size_t places,
                              int64_t left, int64_t right, void *acc, error_t *error)
{
    status_t status = STATUS_OK;
    uint32_t from = viewrecord_futures_to (record, left);
    uint32_t to = viewrecord_futures_to (record, right);
    for (; from < to && status == STATUS_OK; from++)
        status = viewpage_merge (&record->page, places + from, spec, acc, error);
    return status;
}

/* A record that is rows answers any window exactly. */
static status_t rows_merge (const batchview_t *view, const batchview_binding_t *binding,
                            const viewrecord_t *record, int64_t as_of, answer_t *answer,
                            error_t *error)
{
    viewrows_t rows;
    reader_t reader = record->rows;
    if (!viewrows_read (&view->header, record->page.shape, &reader, &rows))
        return viewrecord_bad (error);
    size_t count = viewrows_to (&rows, as_of);
    if (count > 0)
        answer_saw (answer, rows.time[count - 1]);
    for (size_t i = 0; i < view->header.slots; i++) {
        const viewfile_slot_t *slot = &view->header.slot[i];
        const bound_slot_t *bound = &binding->slot[i];
        viewrows_inputs_t inputs;
        if (bound->cells == 0)
            continue;
        viewrows_inputs (&rows, &view->header, slot, &inputs);
        int64_t right = earlier (as_of, view->header.group[slot->group].delay);
        inputs.rows.to = viewrows_to (&rows, right);
        for (uint32_t cell = bound->cell; cell < bound->cell + bound->cells; cell++) {
            if (binding->cell_edge[cell] == CELL_UNWANTED)
                continue;
            inputs.rows.from = viewrows_to (&rows, left_of (right, binding->cell_window[cell]));
            (void)state_add_rows (bound->spec, answer_cell (answer, cell), &inputs.rows);
        }
    }
    return STATUS_OK;
}

/* The cells of one slot, whose first place has the number `places`, and that of the future's atoms
 * `future`; of a group with sections, these alone. */
static status_t slot_merge (const batchview_t *view, const batchview_binding_t *binding,
                            const viewrecord_t *record, size_t number, size_t places, size_t future,
                            const viewrange_t *ranges, int64_t as_of, answer_t *answer,
                            error_t *error)
{
    const viewfile_slot_t *slot = &view->header.slot[number];
    const bound_slot_t *bound = &binding->slot[number];
    const viewatoms_t *atoms = &record->group[slot->group];
    int64_t right = earlier (as_of, view->header.group[slot->group].delay);
    for (uint32_t cell = bound->cell; cell < bound->cell + bound->cells; cell++) {
        status_t status = STATUS_OK;
        void *acc = answer_cell (answer, cell);
        if (binding->cell_edge[cell] == CELL_UNWANTED)
            continue;
        if (atoms->layer == 0)
            status = viewpage_merge_range (&record->page, atoms, slot, bound->spec, places,
                                           ranges[binding->cell_edge[cell]], acc, error);
        if (status == STATUS_OK && record->futures > 0)
            status = future_merge (record, bound->spec, future,
                                   left_of (right, binding->cell_window[cell]), right, acc, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static status_t record_merge (const batchview_t *view, const batchview_binding_t *binding,
                              const viewrecord_t *record, const viewrange_t *ranges, int64_t as_of,
                              answer_t *answer, error_t *error)
{
    size_t places = 0; /* of slots before */
    for (size_t i = 0; i < view->header.slots; i++) {
        const viewatoms_t *atoms = &record->group[view->header.slot[i].group];
        size_t future =
            places + viewfile_places (&view->header.slot[i], atoms->layer, atoms->count);
        status_t status =
            slot_merge (view, binding, record, i, places, future, ranges, as_of, answer, error);
        if (status != STATUS_OK)
            return status;
        places = future + record->futures;
    }
    return STATUS_OK;
}

/* The cells of an edge: what one part of its window has for them. */
static status_t part_merge (const batchview_t *view, const batchview_binding_t *binding,
                            const viewrecord_t *record, size_t edge, const viewpart_t *part,
                            answer_t *answer, error_t *error)
{
    size_t places = 0; /* of slots before */
    for (size_t i = 0; i < view->header.slots; i++) {
        const viewfile_slot_t *slot = &view->header.slot[i];
        const bound_slot_t *bound = &binding->slot[i];
        const viewatoms_t *atoms = &record->group[slot->group];
        bool mine = slot->group == binding->edge[edge].group;
        for (uint32_t k = 0; mine && k < bound->cells; k++) {
            uint32_t cell = bound->cell + k;
            if (binding->cell_edge[cell] != edge)
                continue;
            status_t status =
                viewpage_merge_range (&part->page, &part->atoms, slot, bound->spec, places,
                                      part->range, answer_cell (answer, cell), error);
            if (status != STATUS_OK)
                return status;
        }
        if (part->in_record)
            places += viewfile_places (slot, atoms->layer, atoms->count) + record->futures;
        else if (mine)
            places += viewfile_places (slot, part->atoms.layer, part->atoms.count);
    }
    return STATUS_OK;
}

/* The cells of groups with sections: edge by edge, as those of one are in the same places. */
static status_t sections_merge (const batchview_t *view, const batchview_binding_t *binding,
                                const viewrecord_t *record, int64_t as_of, answer_t *answer,
                                error_t *error)
{
    viewdata_t data = data_of (view);
    status_t status = STATUS_OK;
    for (size_t i = 0; i < binding->edges && status == STATUS_OK; i++) {
        const edge_t *edge = &binding->edge[i];
        viewwindow_t window = window_of (view, edge, as_of);
        viewparts_t parts;
        bool exact;
        if (record->group[edge->group].layer == 0)
            continue;
        status = viewrecord_parts (&data, record, edge->group, &window, &parts, &exact, error);
        for (size_t p = 0; status == STATUS_OK && p < parts.count; p++)
            status = part_merge (view, binding, record, i, &parts.part[p], answer, error);
    }
    return status;
}

/* A record of partials. */
static status_t partials_merge (const batchview_t *view, const batchview_binding_t *binding,
                                const viewrecord_t *record, int64_t as_of, answer_t *answer,
                                bool *exact, error_t *error)
{
    viewrange_t ranges[FEATURES_MAX];
    int64_t latest;
    *exact = viewrecord_latest (record, as_of, &latest);
    if (!*exact)
        return STATUS_OK;
    status_t status = edges_find (view, binding, record, as_of, ranges, exact, error);
    if (status != STATUS_OK || !*exact)
        return status;
    answer_saw (answer, latest);
    status = record_merge (view, binding, record, ranges, as_of, answer, error);
    if (status == STATUS_OK && record->page.shape.sections)
        status = sections_merge (view, binding, record, as_of, answer, error);
    return status;
}

status_t batchview_merge (const batchview_t *self, const batchview_binding_t *binding, text_t key,
                          int64_t as_of, answer_t *answer, bool *exact, error_t *error)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    CHECK_OBJECT (binding, BINDING_MAGIC);
    CHECK (binding->view == self);
    CHECK (binding->plan_hash == answer_plan (answer)->hash);
    *exact = false;
    if (binding->missing)
        return STATUS_OK;
    viewrecord_t record;
    bool found = false;
    bool told = true;
    status_t status = record_find (self, key, &record, &found, error);
    if (status == STATUS_OK && found && record.page.shape.rows > 0)
        status = rows_merge (self, binding, &record, as_of, answer, error);
    else if (status == STATUS_OK && found)
        status = partials_merge (self, binding, &record, as_of, answer, &told, error);
    if (status != STATUS_OK)
        return error_prefix (error, "batch view of %s", self->header.info.view);
    *exact = told;
    return STATUS_OK;
}
