#include "timeline/estimate.h"

#include "base/check.h"
#include "timeline/piece.h"

#define LEFT_BEHIND 1.02 /* times as much: in pages of sizes that keys have grown out of */

/* The mean over keys that have from half to one and a half times as many: where pieces end, one
 * number is as good as another. */
static double bytes_about (size_t row_size, size_t key_size, double events)
{
    enum { STEPS = 32 };
    double sum = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        double rows = 1 + (events - 1) * (0.5 + (i + 0.5) / STEPS);
        size_t low = (size_t)rows;
        double above = rows - (double)low;
        sum += (1 - above) * piece_footprint (row_size, key_size, low) +
               above * piece_footprint (row_size, key_size, low + 1);
    }
    return LEFT_BEHIND * sum / STEPS;
}

timeline_estimate_t timeline_estimate (const plan_t *plan, double events,
                                       const sample_values_t *values)
{
    CHECK (events >= 1);
    timeline_estimate_t self = { 0 };
    timeline_t *empty = timeline_new (plan);
    row_layout_t layout;
    row_layout_init (&layout, plan);
    size_t strings = 0;
    for (size_t i = 0; i < plan->lanes_count; i++)
        strings += layout.lane_types[i] == TYPE_STRING ? row_string_size (values->string_bytes) : 0;
    double one = piece_footprint (layout.size, values->key_bytes, 1);
    self.empty_bytes = timeline_memory (empty);
    self.row_bytes = layout.size;
    self.key_bytes = timeline_key_size () + one - (double)layout.size;
    self.event_bytes = (double)layout.size + (double)strings;
    if (events > 1)
        self.event_bytes = (double)strings + (bytes_about (layout.size, values->key_bytes, events) -
                                              one + (double)layout.size) /
                                                 events;
    self.bytes = self.key_bytes + events * self.event_bytes;
    row_layout_release (&layout);
    timeline_destroy (&empty);
    return self;
}
