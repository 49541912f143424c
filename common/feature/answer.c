#include "feature/answer.h"

#include "base/check.h"
#include "base/mem.h"
#include "feature/plan_row.h"

enum { ANSWER_MAGIC = 0x616e7377 };

struct answer {
    uint32_t magic;
    const plan_t *plan;
    bool used;                    /* something may have been added since it was made or reset */
    int64_t latest;               /* µs, or ANSWER_NEVER */
    _Alignas(16) uint8_t cells[]; /* the plan's cells_size bytes */
};

_Static_assert(_Alignof(max_align_t) >= 16, "memory is aligned as accumulators are");

answer_t *answer_new (const plan_t *plan)
{
    answer_t *self = mem_alloc (sizeof *self + plan->cells_size);
    self->magic = ANSWER_MAGIC;
    self->plan = plan;
    self->used = false;
    self->latest = ANSWER_NEVER;
    for (size_t i = 0; i < plan->cells_count; i++)
        state_init (plan->slots[plan->cells[i].slot].spec, self->cells + plan->cells[i].place);
    return self;
}

void answer_destroy (answer_t **self_p)
{
    answer_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, ANSWER_MAGIC);
    *self_p = NULL;
    const plan_t *plan = self->plan;
    for (size_t i = 0; i < plan->cells_count; i++)
        state_release (plan->slots[plan->cells[i].slot].spec, self->cells + plan->cells[i].place);
    self->magic = 0;
    mem_free (self);
}

void answer_reset (answer_t *self)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    const plan_t *plan = self->plan;
    if (!self->used)
        return;
    self->used = false;
    self->latest = ANSWER_NEVER;
    for (size_t i = 0; i < plan->cells_count; i++)
        state_reset (plan->slots[plan->cells[i].slot].spec, self->cells + plan->cells[i].place);
}

const plan_t *answer_plan (const answer_t *self)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    return self->plan;
}

int64_t answer_latest (const answer_t *self)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    return self->latest;
}

void answer_saw (answer_t *self, int64_t time)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    self->used = true;
    if (time > self->latest)
        self->latest = time;
}

bool answer_expired (const answer_t *self, int64_t as_of)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    int64_t ttl = self->plan->ttl;
    return ttl > 0 && (self->latest == ANSWER_NEVER || self->latest < as_of - ttl);
}

size_t answer_memory (const answer_t *self)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    const plan_t *plan = self->plan;
    size_t bytes = sizeof *self + plan->cells_size;
    for (size_t i = 0; plan->cells_may_grow && i < plan->cells_count; i++)
        bytes += state_memory (plan->slots[plan->cells[i].slot].spec,
                               self->cells + plan->cells[i].place);
    return bytes;
}

void *answer_cell (answer_t *self, uint32_t cell)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    CHECK (cell < self->plan->cells_count);
    self->used = true;
    return self->cells + self->plan->cells[cell].place;
}

void answer_add_row (answer_t *self, int64_t as_of, const projection_t *rows, size_t row)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    const plan_t *plan = self->plan;
    row_place_t place = projection_place (rows, row);
    if (place.time > as_of)
        return;
    answer_saw (self, place.time);
    size_t cell = 0;
    while (cell < plan->cells_count) {
        uint32_t slot_index = plan->cells[cell].slot;
        const plan_slot_t *slot = &plan->slots[slot_index];
        bool counts = slot_row_counts (slot, rows, row);
        int64_t right = as_of - slot->delay;
        value_t values[STATE_INPUTS_MAX];
        const value_t *input = counts ? slot_values (slot, rows, row, values) : NULL;
        for (; cell < plan->cells_count && plan->cells[cell].slot == slot_index; cell++) {
            if (counts && window_contains (plan->cells[cell].window, right, place.time))
                state_add (slot->spec, self->cells + plan->cells[cell].place, input, &place);
        }
    }
}

/* Zigzag and one more, so that never is one byte. */
void answer_encode_latest (int64_t latest, buf_t *out)
{
    buf_put_varint (out, latest == ANSWER_NEVER ? 0 : zigzag_of (latest) + 1);
}

/* False: it is not well formed. */
static bool merge_latest (answer_t *self, reader_t *encoded)
{
    uint64_t latest = reader_varint (encoded);
    if (encoded->bad)
        return false;
    if (latest > 0)
        answer_saw (self, of_zigzag (latest - 1));
    return true;
}

void answer_encode (const answer_t *self, buf_t *out)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    const plan_t *plan = self->plan;
    answer_encode_latest (self->latest, out);
    for (size_t i = 0; i < plan->cells_count; i++) {
        const plan_cell_t *cell = &plan->cells[i];
        size_t part = buf_part_begin (out);
        state_encode (plan->slots[cell->slot].spec, self->cells + cell->place, out);
        buf_part_end (out, part);
    }
}

status_t answer_merge (answer_t *self, reader_t *encoded, error_t *error)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    const plan_t *plan = self->plan;
    self->used = true;
    if (!merge_latest (self, encoded))
        return error_set (error, STATUS_CORRUPT, "an answer of '%s' is cut short", plan->view);
    for (size_t i = 0; i < plan->cells_count; i++) {
        const plan_cell_t *cell = &plan->cells[i];
        text_t partial = reader_text (encoded);
        if (encoded->bad)
            return error_set (error, STATUS_CORRUPT, "cell %zu of %zu of '%s' is cut short", i + 1,
                              plan->cells_count, plan->view);
        if (partial.size == 0)
            continue;
        status_t status = state_merge_partial (plan->slots[cell->slot].spec,
                                               self->cells + cell->place, partial, error);
        if (status != STATUS_OK)
            return error_prefix (error, "cell %zu of '%s'", i + 1, plan->view);
    }
    return STATUS_OK;
}

status_t answer_final (const answer_t *self, size_t feature, int64_t as_of, arena_t *arena,
                       value_t *value, error_t *error)
{
    CHECK_OBJECT (self, ANSWER_MAGIC);
    const plan_t *plan = self->plan;
    CHECK (feature < plan->features_count);
    const plan_feature_t *at = &plan->features[feature];
    CHECK (at->derived == NULL);
    const plan_cell_t *cell = &plan->cells[at->cell];
    const final_context_t context = {
        .as_of = as_of - plan->slots[cell->slot].delay,
        .window = cell->window,
        .parameter = at->parameter,
        .arena = arena,
    };
    status_t status = state_final (plan->slots[cell->slot].spec, self->cells + cell->place,
                                   at->aggregate, &context, value, error);
    if (status != STATUS_OK)
        return error_prefix (error, "%s", at->name);
    if (value->null && at->default_value.type != TYPE_NONE)
        *value = at->default_value;
    return STATUS_OK;
}
