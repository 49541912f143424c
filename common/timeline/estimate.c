#include "timeline/estimate.h"

#include "base/check.h"
#include "timeline/series.h"

/* Bytes of the leaves and nodes of a key with exactly so many rows that came in order. */
static double tree_bytes (size_t row_size, size_t rows)
{
    size_t leaves = (rows + LEAF_ROWS - 1) / LEAF_ROWS;
    double bytes = (double)leaf_size (row_size, rows - (leaves - 1) * LEAF_ROWS) +
                   (double)(leaves - 1) * (double)leaf_size (row_size, LEAF_ROWS);
    for (size_t nodes = leaves; nodes > 1;) {
        nodes = (nodes + NODE_FANOUT - 1) / NODE_FANOUT;
        bytes += (double)(nodes * series_inner_size ());
    }
    return bytes;
}

/* The mean over keys that have from half to one and a half times as many: where blocks begin, one
 * number is as good as another. */
static double tree_bytes_about (size_t row_size, double events)
{
    enum { STEPS = 32 };
    double sum = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        double rows = 1 + (events - 1) * (0.5 + (i + 0.5) / STEPS);
        size_t low = (size_t)rows;
        double above = rows - (double)low;
        sum += (1 - above) * tree_bytes (row_size, low) + above * tree_bytes (row_size, low + 1);
    }
    return sum / STEPS;
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
    double one = tree_bytes (layout.size, 1);
    self.empty_bytes = timeline_memory (empty);
    self.row_bytes = layout.size;
    self.key_bytes = timeline_key_size (values->key_bytes) + one - (double)layout.size;
    self.event_bytes = (double)layout.size + (double)strings;
    if (events > 1)
        self.event_bytes =
            (double)strings +
            (tree_bytes_about (layout.size, events) - one + (double)layout.size) / events;
    self.bytes = self.key_bytes + events * self.event_bytes;
    row_layout_release (&layout);
    timeline_destroy (&empty);
    return self;
}
