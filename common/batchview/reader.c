#include "base/check.h"
#include "base/mem.h"
#include "batchview/viewrows.h"

#include <string.h>

enum {
    VIEW_MAGIC = 0x0ba7c41e,
    BINDING_MAGIC = 0x0b19d149,
};

struct batchview {
    unsigned magic;
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

/* Atoms of a group that a window holds: [from, to). */
typedef struct atoms {
    uint32_t from;
    uint32_t to;
} atoms_t;

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
    self->fs = fs;
    status_t status = view_map (self, path, error);
    if (status == STATUS_OK)
        status = view_verify (self, error);
    if (status != STATUS_OK) {
        batchview_destroy (&self);
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

void batchview_destroy (batchview_t **self_p)
{
    batchview_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, VIEW_MAGIC);
    *self_p = NULL;
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

typedef struct record_group {
    const uint8_t *last;  /* ages of all atoms but the last */
    const uint8_t *first; /* ages of all atoms but the first; NULL: as their last */
    uint32_t atoms;
} record_group_t;

typedef struct record {
    viewfile_shape_t shape;
    int64_t clock;         /* at the cut: ages count from it */
    int64_t first;         /* time of the first atom of every group … */
    int64_t last;          /* … and the last time of the last */
    const uint8_t *future; /* i64 per atom of the future */
    uint32_t futures;
    const uint8_t *places;   /* slot by slot */
    const uint8_t *partials; /* up to `end` */
    const uint8_t *end;
    reader_t rows; /* what follows the shape: of a record that is rows, all that there is */
    record_group_t group[FEATURES_MAX];
} record_t;

static status_t record_bad (error_t *error)
{
    return error_set (error, STATUS_CORRUPT, "a record of a batch view is not well formed");
}

static int64_t age_time (const record_t *record, const uint8_t *ages, size_t index)
{
    unsigned bytes = record->shape.age_bytes;
    return (int64_t)((uint64_t)record->clock - viewfile_narrow (ages + index * bytes, bytes));
}

/* `count` things of `size` bytes; bad when they are not there. */
static const uint8_t *record_array (reader_t *reader, uint64_t count, size_t size)
{
    if (count > reader_left (reader) / size)
        reader->bad = true;
    return reader_bytes (reader, reader->bad ? 0 : (size_t)count * size);
}

static void read_counts (const viewfile_header_t *header, record_t *record, reader_t *reader,
                         bool *collapsed)
{
    uint64_t futures = reader_varint (reader);
    record->futures = (uint32_t)futures;
    if (futures > BATCHVIEW_FUTURE_MAX)
        reader->bad = true;
    for (size_t i = 0; i < header->groups; i++) {
        uint64_t atoms = reader_varint (reader);
        collapsed[i] = atoms & 1;
        record->group[i].atoms = (uint32_t)(atoms >> 1);
        bool covers = atoms >> 1 > 0; /* all groups have the same events */
        if (atoms >> 1 > UINT32_MAX || covers != (record->group[0].atoms > 0))
            reader->bad = true;
    }
}

/* Lays out what follows the key. */
static status_t record_lay_out (const viewfile_header_t *header, record_t *record, reader_t *reader,
                                error_t *error)
{
    bool collapsed[FEATURES_MAX];
    if (!viewfile_shape_read (reader_u8 (reader), &record->shape))
        reader->bad = true;
    record->clock = header->info.clock_at_cut;
    record->rows = *reader;
    if (record->shape.rows > 0)
        return reader->bad ? record_bad (error) : STATUS_OK;
    read_counts (header, record, reader, collapsed);
    size_t bytes = record->shape.age_bytes;
    bool covered = header->groups > 0 && record->group[0].atoms > 0;
    const uint8_t *bounds = record_array (reader, covered ? 2 : 0, bytes);
    if (covered && !reader->bad) {
        record->first = age_time (record, bounds, 0);
        record->last = age_time (record, bounds, 1);
    }
    for (size_t i = 0; i < header->groups; i++) {
        record_group_t *group = &record->group[i];
        uint32_t inner = group->atoms > 0 ? group->atoms - 1 : 0;
        group->last = record_array (reader, inner, bytes);
        group->first = collapsed[i] ? record_array (reader, inner, bytes) : NULL;
    }
    record->future = record_array (reader, record->futures, sizeof (int64_t));
    uint64_t places = 0;
    for (size_t i = 0; i < header->slots; i++)
        places += viewfile_places (&header->slot[i], record->group[header->slot[i].group].atoms) +
                  (uint64_t)record->futures;
    record->places = record_array (reader, places, record->shape.place_bytes);
    record->partials = reader->at;
    record->end = reader->end;
    return reader->bad ? record_bad (error) : STATUS_OK;
}

/* Reads the record at `place`; *found is whether it is the key's. */
static status_t record_read (const batchview_t *view, uint64_t place, text_t key, record_t *record,
                             bool *found, error_t *error)
{
    *found = false;
    if (place < view->header.size || place > view->footer.index_at)
        return record_bad (error);
    reader_t reader = reader_of (view->data + place, view->footer.index_at - place);
    uint64_t size = reader_varint (&reader);
    if (reader.bad || size > reader_left (&reader))
        return record_bad (error);
    reader = reader_of (reader.at, size);
    text_t its_key = reader_text (&reader);
    if (reader.bad)
        return record_bad (error);
    if (!text_equal (key, its_key))
        return STATUS_OK;
    *found = true;
    return record_lay_out (&view->header, record, &reader, error);
}

static status_t record_find (const batchview_t *view, text_t key, record_t *record, bool *found,
                             error_t *error)
{
    uint64_t hash = key_hash (key);
    uint64_t mask = view->footer.index_size - 1;
    const uint8_t *index = view->data + view->footer.index_at;
    *found = false;
    for (uint64_t probe = 0; probe <= mask; probe++) {
        uint64_t entry = (uint64_t)viewfile_i64 (index + 8 * ((hash + probe) & mask));
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
    return view->data + view->footer.index_at + 8 * (hash & (view->footer.index_size - 1));
}

void batchview_fetch_index (const batchview_t *self, uint64_t hash)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    __builtin_prefetch (index_entry (self, hash));
}

/* That of the first entry with the hash's tag, if it is among the next few; what is past the
 * mapping's end does no harm. */
void batchview_fetch_record (const batchview_t *self, uint64_t hash)
{
    CHECK_OBJECT (self, VIEW_MAGIC);
    for (uint64_t probe = 0; probe < 4; probe++) {
        uint64_t entry = (uint64_t)viewfile_i64 (index_entry (self, hash + probe));
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

/* Times in the ascending array that are at most `time`. */
static uint32_t times_to (const uint8_t *times, uint32_t count, int64_t time)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (viewfile_i64 (times + 8 * (size_t)middle) <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t earlier (int64_t time, int64_t by)
{
    int64_t result;
    return __builtin_sub_overflow (time, by, &result) ? INT64_MIN : result;
}

static int64_t left_of (int64_t right, int64_t window)
{
    return window == WINDOW_LIFETIME ? INT64_MIN : earlier (right, window);
}

static int64_t first_time (const record_t *record, const record_group_t *group, uint32_t atom)
{
    if (atom == 0)
        return record->first;
    if (group->first != NULL)
        return age_time (record, group->first, atom - 1);
    return atom + 1 == group->atoms ? record->last : age_time (record, group->last, atom);
}

/* Atoms of the group whose last times are at most `time`. */
static uint32_t atoms_to (const record_t *record, const record_group_t *group, int64_t time)
{
    if (group->atoms == 0 || record->last <= time)
        return group->atoms;
    uint32_t low = 0;
    uint32_t high = group->atoms - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (age_time (record, group->last, middle) <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The atoms of one window that ends `delay` before as_of. False when it cannot be answered exactly.
 */
static bool atoms_find (const record_t *record, const record_group_t *group,
                        const viewfile_group_t *info, const edge_t *edge, int64_t as_of,
                        atoms_t *atoms)
{
    int64_t right = earlier (as_of, info->delay);
    int64_t left = left_of (right, edge->window);
    atoms->from = atoms_to (record, group, left);
    atoms->to = atoms_to (record, group, right);
    if (atoms->to < group->atoms &&
        (info->delay == 0 || first_time (record, group, atoms->to) <= right))
        return false;
    if (atoms->from == atoms->to)
        return true;
    int64_t first = first_time (record, group, atoms->from);
    if (first <= left)
        return false;
    return atoms->from > 0 || !edge->first_missing || first > info->edge_min;
}

/* The atoms of each edge. False when some edge cannot be answered exactly. */
static bool edges_find (const batchview_t *view, const batchview_binding_t *binding,
                        const record_t *record, int64_t as_of, atoms_t *atoms)
{
    for (size_t i = 0; i < binding->edges; i++) {
        const edge_t *edge = &binding->edge[i];
        if (!atoms_find (record, &record->group[edge->group], &view->header.group[edge->group],
                         edge, as_of, &atoms[i]))
            return false;
    }
    return true;
}

/* Merges the partial of place number `index`. */
static status_t place_merge (const record_t *record, size_t index, state_spec_t spec, void *acc,
                             error_t *error)
{
    unsigned bytes = record->shape.place_bytes;
    uint64_t place = viewfile_narrow (record->places + index * bytes, bytes);
    if (place == 0)
        return STATUS_OK;
    if (place > (uint64_t)(record->end - record->partials))
        return record_bad (error);
    const uint8_t *at = record->partials + (place - 1);
    reader_t reader = reader_of (at, (size_t)(record->end - at));
    text_t partial = reader_text (&reader);
    if (reader.bad)
        return record_bad (error);
    return state_merge_partial (spec, acc, partial, error);
}

/* Everything from atom `atom` on, of a slot whose first place has the number `places`. */
static status_t suffix_merge (const record_t *record, const viewfile_slot_t *slot,
                              state_spec_t spec, size_t places, uint32_t atom, void *acc,
                              error_t *error)
{
    uint32_t atoms = record->group[slot->group].atoms;
    if (atom == atoms)
        return STATUS_OK;
    if (!slot->large)
        return place_merge (record, places + atom, spec, acc, error);
    size_t checkpoint = viewfile_checkpoints (atom);
    size_t until = checkpoint * BATCHVIEW_CHECKPOINT;
    for (size_t i = atom; i < until && i < atoms; i++) {
        status_t status = place_merge (record, places + i, spec, acc, error);
        if (status != STATUS_OK)
            return status;
    }
    if (until >= atoms)
        return STATUS_OK;
    return place_merge (record, places + (size_t)atoms + checkpoint, spec, acc, error);
}

/* A range of atoms from the largest blocks that it consists of. */
static status_t blocks_merge (const record_t *record, const viewfile_slot_t *slot,
                              state_spec_t spec, size_t places, atoms_t range, void *acc,
                              error_t *error)
{
    size_t atoms = record->group[slot->group].atoms;
    size_t at = range.from;
    while (at < range.to) {
        size_t step = 1;
        size_t row = 0; /* first place of the blocks of that many */
        for (size_t next = BATCHVIEW_FANOUT; step < atoms; next *= BATCHVIEW_FANOUT) {
            size_t end = at + next < atoms ? at + next : atoms;
            if (at % next != 0 || end > range.to)
                break;
            row += viewfile_blocks (atoms, step);
            step = next;
        }
        status_t status = place_merge (record, places + row + at / step, spec, acc, error);
        if (status != STATUS_OK)
            return status;
        at += step;
    }
    return STATUS_OK;
}

/* One cell: the atoms of its window, and what of the future its right edge has reached. */
static status_t cell_merge (const record_t *record, const viewfile_slot_t *slot, state_spec_t spec,
                            size_t places, atoms_t range, int64_t right, int64_t window, void *acc,
                            error_t *error)
{
    status_t status = slot->delayed
                          ? blocks_merge (record, slot, spec, places, range, acc, error)
                          : suffix_merge (record, slot, spec, places, range.from, acc, error);
    if (record->futures == 0 || status != STATUS_OK)
        return status;
    places += viewfile_places (slot, record->group[slot->group].atoms);
    uint32_t from = times_to (record->future, record->futures, left_of (right, window));
    uint32_t to = times_to (record->future, record->futures, right);
    for (; from < to && status == STATUS_OK; from++)
        status = place_merge (record, places + from, spec, acc, error);
    return status;
}

/* A record that is rows answers any window exactly. */
static status_t rows_merge (const batchview_t *view, const batchview_binding_t *binding,
                            const record_t *record, int64_t as_of, answer_t *answer, error_t *error)
{
    viewrows_t rows;
    reader_t reader = record->rows;
    if (!viewrows_read (&view->header, record->shape, &reader, &rows))
        return record_bad (error);
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

static status_t record_merge (const batchview_t *view, const batchview_binding_t *binding,
                              const record_t *record, const atoms_t *atoms, int64_t as_of,
                              answer_t *answer, error_t *error)
{
    size_t places = 0; /* of slots before */
    for (size_t i = 0; i < view->header.slots; i++) {
        const viewfile_slot_t *slot = &view->header.slot[i];
        const bound_slot_t *bound = &binding->slot[i];
        int64_t right = earlier (as_of, view->header.group[slot->group].delay);
        for (uint32_t cell = bound->cell; cell < bound->cell + bound->cells; cell++) {
            if (binding->cell_edge[cell] == CELL_UNWANTED)
                continue;
            status_t status =
                cell_merge (record, slot, bound->spec, places, atoms[binding->cell_edge[cell]],
                            right, binding->cell_window[cell], answer_cell (answer, cell), error);
            if (status != STATUS_OK)
                return status;
        }
        size_t count = viewfile_places (slot, record->group[slot->group].atoms);
        places += count + record->futures;
    }
    return STATUS_OK;
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
    record_t record;
    bool found = false;
    atoms_t atoms[FEATURES_MAX];
    status_t status = record_find (self, key, &record, &found, error);
    if (status == STATUS_OK && found && record.shape.rows > 0)
        status = rows_merge (self, binding, &record, as_of, answer, error);
    else if (status == STATUS_OK && found && !edges_find (self, binding, &record, as_of, atoms))
        return STATUS_OK;
    else if (status == STATUS_OK && found)
        status = record_merge (self, binding, &record, atoms, as_of, answer, error);
    if (status != STATUS_OK)
        return error_prefix (error, "batch view of %s", self->header.info.view);
    *exact = true;
    return STATUS_OK;
}
