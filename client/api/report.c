#include "client/api/report.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum {
    REPORT_MAGIC = 0x72657074,
    CHUNK = 4 << 10,
    BATCH_CHUNK = 1 << 10,
    POSITIONS_MAX = 4096, /* partitions are at most 1024, of the log of the stream's own key */
};

struct report {
    uint32_t magic;
    arena_t *arena;
    arena_t *batch; /* of the acknowledgement that is added */
    weir_report_t told;
    weir_refused_t refused[WEIR_REFUSED_LISTED];
    weir_position_t *positions; /* ascending, by log and partition */
    size_t positions_room;
};

static weir_refused_t refused_of (const wire_value_t *row, uint64_t first_row, arena_t *arena)
{
    return (weir_refused_t){ .reason = arena_string (arena, wire_text (row, "reason")),
                             .row = first_row + wire_uint (row, "row", 0) };
}

weir_ack_t *ack_new (const client_acknowledged_t *what, arena_t *arena)
{
    weir_ack_t *ack = arena_zero (arena, 1, sizeof *ack);
    weir_refused_t *refused = arena_zero (arena, what->refused.count, sizeof *refused);
    size_t positions;
    for (uint32_t i = 0; i < what->refused.count; i++)
        refused[i] = refused_of (&what->refused.items[i], what->tag, arena);
    *ack = (weir_ack_t){ .sequence = what->sequence,
                         .first_row = what->tag,
                         .rows = what->rows,
                         .accepted = what->accepted,
                         .refused = what->refused_count,
                         .refused_rows = refused,
                         .refused_rows_count = what->refused.count };
    ack->positions = positions_new (what->positions, arena, &positions);
    ack->positions_count = positions;
    return ack;
}

report_t *report_new (void)
{
    report_t *self = mem_zero (1, sizeof *self);
    self->magic = REPORT_MAGIC;
    self->arena = arena_new (CHUNK);
    self->batch = arena_new (BATCH_CHUNK);
    return self;
}

void report_destroy (report_t **self_p)
{
    report_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, REPORT_MAGIC);
    arena_destroy (&self->arena);
    arena_destroy (&self->batch);
    mem_free (self->positions);
    self->magic = 0;
    mem_free (self);
}

void report_put (report_t *self)
{
    self->told.rows++;
}

static int compare (const weir_position_t *a, const weir_position_t *b)
{
    int by_log = strcmp (a->log, b->log);
    return by_log != 0 ? by_log : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Where it is, or is to be. */
static size_t place_of (const report_t *self, const weir_position_t *position)
{
    size_t low = 0, high = self->told.positions_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare (&self->positions[middle], position) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add_position (report_t *self, const weir_position_t *position)
{
    size_t count = self->told.positions_count, at = place_of (self, position);
    if (at < count && compare (&self->positions[at], position) == 0) {
        if (self->positions[at].position < position->position)
            self->positions[at].position = position->position;
        return;
    }
    if (count == POSITIONS_MAX)
        return;
    if (count == self->positions_room) {
        self->positions_room = count > 0 ? 2 * count : 16;
        self->positions =
            mem_resize (self->positions, self->positions_room, sizeof *self->positions);
    }
    memmove (&self->positions[at + 1], &self->positions[at],
             (count - at) * sizeof *self->positions);
    self->positions[at] = *position;
    self->positions[at].log = arena_string (self->arena, text_of (position->log));
    self->told.positions_count = count + 1;
}

void report_add (report_t *self, const client_acknowledged_t *what)
{
    CHECK_OBJECT (self, REPORT_MAGIC);
    weir_report_t *told = &self->told;
    size_t count;
    told->acknowledged += what->rows;
    told->accepted += what->accepted;
    told->refused += what->refused_count;
    for (uint32_t i = 0; i < what->refused.count; i++)
        if (told->refused_rows_count < WEIR_REFUSED_LISTED)
            self->refused[told->refused_rows_count++] =
                refused_of (&what->refused.items[i], what->tag, self->arena);
    arena_reset (self->batch);
    const weir_position_t *positions = positions_new (what->positions, self->batch, &count);
    for (size_t i = 0; i < count; i++)
        add_position (self, &positions[i]);
}

const weir_report_t *report_tell (report_t *self)
{
    CHECK_OBJECT (self, REPORT_MAGIC);
    self->told.refused_rows = self->refused;
    self->told.positions = self->positions;
    return &self->told;
}
