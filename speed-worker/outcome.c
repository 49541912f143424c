#include "speed-worker/outcome.h"

#include "base/check.h"
#include "storage/dedupe.h"

#include <string.h>

enum { REASONS_CHUNK = 4096 };

void outcome_init (outcome_t *self)
{
    self->accepted = 0;
    self->refused_count = 0;
    self->refused_listed = 0;
    self->reasons = NULL; /* made when the first row is refused: most batches are clean */
}

void outcome_release (outcome_t *self)
{
    arena_destroy (&self->reasons);
}

static void list_row (outcome_t *self, uint32_t row, text_t reason)
{
    uint32_t at = self->refused_listed;
    if (at == PAYLOAD_REFUSED_MAX) {
        if (self->refused[at - 1].row <= row)
            return;
        at--;
    } else {
        self->refused_listed++;
    }
    while (at > 0 && self->refused[at - 1].row > row) {
        self->refused[at] = self->refused[at - 1];
        at--;
    }
    if (!self->reasons)
        self->reasons = arena_new (REASONS_CHUNK);
    /* what the producer table keeps, so that a repeat is told the same */
    if (reason.size > DEDUPE_REASON_MAX) {
        reason.size = DEDUPE_REASON_MAX;
        while (reason.size > 0 && ((uint8_t)reason.data[reason.size] & 0xc0) == 0x80)
            reason.size--;
    }
    self->refused[at] =
        (payload_refused_t){ .row = row, .reason = arena_text (self->reasons, reason) };
}

void outcome_refuse (outcome_t *self, uint32_t row, text_t reason)
{
    self->refused_count++;
    list_row (self, row, reason);
}

void outcome_refuse_unlisted (outcome_t *self, uint32_t count)
{
    self->refused_count += count;
}

void outcome_add (outcome_t *self, const outcome_t *other)
{
    self->accepted += other->accepted;
    self->refused_count += other->refused_count;
    for (uint32_t i = 0; i < other->refused_listed; i++)
        list_row (self, other->refused[i].row, other->refused[i].reason);
}

void outcome_add_message (outcome_t *self, const wire_value_t *body)
{
    self->accepted += (uint32_t)wire_uint (body, "accepted", 0);
    self->refused_count += (uint32_t)wire_uint (body, "refused_count", 0);
    wire_list_t refused = wire_list (body, "refused");
    for (uint32_t i = 0; i < refused.count; i++)
        list_row (self, (uint32_t)wire_uint (&refused.items[i], "row", 0),
                  wire_text (&refused.items[i], "reason"));
}

void outcome_write (const outcome_t *self, wire_writer_t *writer)
{
    wire_field_uint (writer, "accepted", self->accepted);
    wire_field_uint (writer, "refused_count", self->refused_count);
    wire_field_list (writer, "refused");
    for (uint32_t i = 0; i < self->refused_listed; i++) {
        wire_open_map (writer);
        wire_field_uint (writer, "row", self->refused[i].row);
        wire_field_text (writer, "reason", self->refused[i].reason);
        wire_close (writer);
    }
    wire_close (writer);
}
