/* plan_rows.c - events as a plan sees them, and adding them to slots. */
#include "feature/plan.h"
#include "feature/plan_row.h"

#include "base/check.h"

/* Do all rows of the batch belong to the view? */
static bool selects_all (const plan_t *self, const batch_t *batch)
{
    const text_t *key = batch->key;
    uint32_t none = 0; /* its highest bit is set by a size of 0 */
    size_t r = 0;
    if (self->where != NULL || !self->keyed)
        return self->where == NULL;
    if (batch->key_start != NULL) {
        for (; r < batch->keys; r++)
            none |= key[batch->key_start[r]].size - 1;
        return none <= INT32_MAX;
    }
    for (; r + 4 <= batch->rows; r += 4)
        none |= (key[r].size - 1) | (key[r + 1].size - 1) | (key[r + 2].size - 1) |
                (key[r + 3].size - 1);
    for (; r < batch->rows; r++)
        none |= key[r].size - 1;
    return none <= INT32_MAX;
}

/* Writes the rows of the batch that belong to the view, and returns how many they are. */
static size_t select_rows (const plan_t *self, const batch_t *batch, arena_t *arena,
                           uint32_t *selected)
{
    CHECK (batch->rows <= UINT32_MAX);
    column_t where = { .type = TYPE_BOOL };
    if (self->where != NULL)
        where = expr_eval (self->where, batch->column, batch->rows, arena);
    size_t count = 0;
    for (size_t r = 0; r < batch->rows; r++) {
        bool in = !self->keyed || batch->key[r].size > 0;
        if (self->where != NULL)
            in = in && where.valid[r] && where.i[r] != 0;
        selected[count] = (uint32_t)r;
        count += in;
    }
    return count;
}

static column_t gather (const column_t *from, const uint32_t *selected, size_t count,
                        arena_t *arena)
{
    column_t out = column_new (arena, from->type, count);
    for (size_t i = 0; i < count; i++)
        out.valid[i] = from->valid[selected[i]];
    for (size_t i = 0; i < count; i++)
        column_copy (&out, i, from, selected[i]);
    return out;
}

static bool uses_column (const plan_t *self, size_t column)
{
    return self->columns_used[column / 64] >> column % 64 & 1;
}

/* The selected rows of every column that is used. */
static const column_t *gather_columns (const plan_t *self, const batch_t *batch,
                                       const uint32_t *selected, size_t count, arena_t *arena)
{
    column_t *columns = arena_zero (arena, self->columns, sizeof *columns);
    for (size_t c = 0; c < self->columns; c++) {
        columns[c].type = self->column_types[c];
        if (uses_column (self, c))
            columns[c] = gather (&batch->column[c], selected, count, arena);
    }
    return columns;
}

static void gather_places (projection_t *out, const batch_t *batch, const uint32_t *selected,
                           arena_t *arena)
{
    size_t count = out->rows;
    out->time = arena_alloc (arena, count * sizeof *out->time);
    bool positions = batch->offset != NULL;
    out->offset = positions ? arena_alloc (arena, count * sizeof *out->offset) : NULL;
    out->row = positions ? arena_alloc (arena, count * sizeof *out->row) : NULL;
    out->key = arena_alloc (arena, count * sizeof *out->key);
    for (size_t i = 0; i < count; i++) {
        uint32_t r = selected[i];
        out->time[i] = batch->event_time[r];
        out->key[i] = batch->key[r];
    }
    for (size_t i = 0; positions && i < count; i++) {
        out->offset[i] = batch->offset[selected[i]];
        out->row[i] = batch->row[selected[i]];
    }
    if (batch->ingest_time == NULL)
        return;
    out->ingest = arena_alloc (arena, count * sizeof *out->ingest);
    for (size_t i = 0; i < count; i++)
        out->ingest[i] = batch->ingest_time[selected[i]];
}

static void evaluate (const plan_t *self, const column_t *columns, projection_t *out,
                      arena_t *arena)
{
    for (size_t l = 0; l < self->lanes_count; l++) {
        int32_t column = expr_column (self->lanes[l]);
        out->lane[l] =
            column >= 0 ? columns[column] : expr_eval (self->lanes[l], columns, out->rows, arena);
    }
    for (size_t f = 0; f < self->filters_count; f++) {
        column_t result = expr_eval (self->filters[f], columns, out->rows, arena);
        uint8_t *is_true = arena_alloc (arena, out->rows);
        for (size_t i = 0; i < out->rows; i++)
            is_true[i] = result.valid[i] && result.i[i] != 0;
        out->filter[f] = is_true;
    }
}

bool plan_reads_positions (const plan_t *self)
{
    for (size_t i = 0; i < self->slots_count; i++)
        if (state_reads_position (self->slots[i].spec))
            return true;
    return false;
}

projection_t plan_project (const plan_t *self, const batch_t *batch, arena_t *arena)
{
    CHECK (batch->columns == self->columns);
    projection_t out = { .rows = 0 };
    out.lane = arena_zero (arena, self->lanes_count, sizeof *out.lane);
    out.filter = arena_zero (arena, self->filters_count, sizeof *out.filter);
    if (batch->rows == 0)
        return out;
    uint32_t *selected = NULL;
    out.rows = batch->rows;
    if (!selects_all (self, batch)) {
        selected = arena_alloc (arena, batch->rows * sizeof *selected);
        out.rows = select_rows (self, batch, arena, selected);
    }
    if (out.rows == 0)
        return out;
    const column_t *columns = batch->column;
    if (out.rows < batch->rows) {
        columns = gather_columns (self, batch, selected, out.rows, arena);
        gather_places (&out, batch, selected, arena);
    } else {
        out.time = batch->event_time;
        out.ingest = batch->ingest_time;
        out.offset = batch->offset;
        out.row = batch->row;
        out.key = batch->key;
        out.key_start = batch->key_start;
        out.keys = batch->keys;
    }
    evaluate (self, columns, &out, arena);
    return out;
}

bool plan_row_counts (const plan_t *self, uint32_t slot, const projection_t *rows, size_t row)
{
    return slot_row_counts (&self->slots[slot], rows, row);
}

void plan_fold_slot (const plan_t *self, uint32_t slot, void *acc, const projection_t *rows,
                     size_t row)
{
    const plan_slot_t *at = &self->slots[slot];
    if (!slot_row_counts (at, rows, row))
        return;
    row_place_t place = projection_place (rows, row);
    value_t values[STATE_INPUTS_MAX];
    state_add (at->spec, acc, slot_values (at, rows, row, values), &place);
}

void plan_slots_init (const plan_t *self, void *slots)
{
    CHECK ((uintptr_t)slots % 16 == 0);
    for (size_t i = 0; i < self->slots_count; i++)
        state_init (self->slots[i].spec, (uint8_t *)slots + self->slots[i].place);
}

void plan_slots_release (const plan_t *self, void *slots)
{
    for (size_t i = 0; i < self->slots_count; i++)
        state_release (self->slots[i].spec, (uint8_t *)slots + self->slots[i].place);
}

void plan_slots_reset (const plan_t *self, void *slots)
{
    for (size_t i = 0; i < self->slots_count; i++)
        state_reset (self->slots[i].spec, (uint8_t *)slots + self->slots[i].place);
}

void plan_fold (const plan_t *self, void *slots, const projection_t *rows, size_t row)
{
    row_place_t place = projection_place (rows, row);
    for (size_t i = 0; i < self->slots_count; i++) {
        const plan_slot_t *slot = &self->slots[i];
        if (!slot_row_counts (slot, rows, row))
            continue;
        value_t values[STATE_INPUTS_MAX];
        state_add (slot->spec, (uint8_t *)slots + slot->place,
                   slot_values (slot, rows, row, values), &place);
    }
}
