#include "batchview/keyrows.h"

#include <string.h>

enum {
    COLUMNS_CHUNK = 64 << 10,
    STRINGS_CHUNK = 16 << 10,
};

void keyrows_init (keyrows_t *self, const plan_t *plan)
{
    *self = (keyrows_t){ .plan = plan,
                         .arena = arena_new (COLUMNS_CHUNK),
                         .strings = arena_new (STRINGS_CHUNK) };
    projection_t *rows = &self->rows;
    rows->time = arena_zero (self->arena, KEYROWS_MAX, sizeof *rows->time);
    rows->offset = arena_zero (self->arena, KEYROWS_MAX, sizeof *rows->offset);
    rows->row = arena_zero (self->arena, KEYROWS_MAX, sizeof *rows->row);
    rows->lane = arena_zero (self->arena, plan->lanes_count + 1, sizeof *rows->lane);
    rows->filter = arena_zero (self->arena, plan->filters_count + 1, sizeof *rows->filter);
    for (size_t i = 0; i < plan->lanes_count; i++)
        rows->lane[i] = column_new (self->arena, expr_type (plan->lanes[i]), KEYROWS_MAX);
    for (size_t i = 0; i < plan->filters_count; i++)
        rows->filter[i] = arena_zero (self->arena, KEYROWS_MAX, 1);
}

void keyrows_release (keyrows_t *self)
{
    arena_destroy (&self->arena);
    arena_destroy (&self->strings);
}

void keyrows_clear (keyrows_t *self)
{
    if (self->rows.rows > 0)
        arena_reset (self->strings);
    self->rows.rows = 0;
}

static void lane_append (keyrows_t *self, column_t *to, const column_t *from, size_t at,
                         size_t count)
{
    size_t place = self->rows.rows;
    memcpy (to->valid + place, from->valid + at, count);
    if (to->type != TYPE_STRING) {
        size_t cell = type_size (to->type);
        memcpy ((uint8_t *)to->data + place * cell, (const uint8_t *)from->data + at * cell,
                count * cell);
        return;
    }
    for (size_t i = 0; i < count; i++)
        to->s[place + i] =
            from->valid[at + i] ? arena_text (self->strings, from->s[at + i]) : (text_t){ NULL, 0 };
}

size_t keyrows_append (keyrows_t *self, const projection_t *rows, size_t from, size_t to)
{
    projection_t *mine = &self->rows;
    size_t room = KEYROWS_MAX - mine->rows;
    size_t count = to - from < room ? to - from : room;
    memcpy (mine->time + mine->rows, rows->time + from, count * sizeof *rows->time);
    if (rows->offset != NULL) { /* otherwise no slot looks at it, nor at the row */
        memcpy (mine->offset + mine->rows, rows->offset + from, count * sizeof *rows->offset);
        memcpy (mine->row + mine->rows, rows->row + from, count * sizeof *rows->row);
    }
    for (size_t i = 0; i < self->plan->lanes_count; i++)
        lane_append (self, &mine->lane[i], &rows->lane[i], from, count);
    for (size_t i = 0; i < self->plan->filters_count; i++)
        memcpy (mine->filter[i] + mine->rows, rows->filter[i] + from, count);
    mine->rows += count;
    return count;
}
