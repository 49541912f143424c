/* What a log of a new key holds of the time before it: the events of the stream's own log below
 * where it begins, and the loads that were in its dataset then. */
#include "tests/sim/shadow.h"

#include "base/key.h"
#include "base/mem.h"

bool history_has (const sim_check_t *self, size_t log, const sim_load_t *load)
{
    for (size_t i = 0; i < self->history_loads_count[log]; i++)
        if (self->history_loads[log][i] == load)
            return true;
    return false;
}

static void add_load (sim_check_t *self, size_t log, uint32_t partition, uint64_t offset)
{
    size_t own = self->data->log_stream[log];
    for (sim_load_t *load = self->loads; load; load = load->next) {
        if (load->offset[own][partition] != offset || load->stream != own ||
            history_has (self, log, load))
            continue;
        self->history_loads[log] = mem_resize (
            self->history_loads[log], self->history_loads_count[log] + 1, sizeof (sim_load_t *));
        self->history_loads[log][self->history_loads_count[log]++] = load;
    }
}

void history_take (sim_check_t *self, const wire_value_t *order, wire_list_t parts)
{
    wire_list_t logs = wire_list (order, "logs");
    int log = logs.count == 1 ? shadow_log (self, wire_item_text (&logs.items[0])) : -1;
    for (uint32_t i = 0; log >= 0 && i < parts.count; i++) {
        uint32_t partition = (uint32_t)wire_uint (&parts.items[i], "partition", 0);
        wire_list_t loads = wire_list (&parts.items[i], "loads");
        for (uint32_t l = 0; l < loads.count; l++)
            add_load (self, (size_t)log, partition, wire_uint (&loads.items[l], "offset", 0));
    }
}

/* How many numbers are taken by what stands below an offset. */
static uint64_t below (const sim_check_t *self, size_t log, uint32_t source, uint64_t offset)
{
    size_t own = self->data->log_stream[log];
    uint64_t sum = offset;
    for (size_t i = 0; i < self->history_loads_count[log]; i++) {
        const sim_load_t *load = self->history_loads[log][i];
        sum += load->offset[own][source] < offset ? load->count : 0;
    }
    return sum;
}

typedef struct rows {
    history_row_t *items;
    size_t count;
    size_t capacity;
} rows_t;

static void add_row (const shadow_t *shadow, rows_t *rows, uint64_t number, const sim_row_t *row)
{
    if (!row->in[shadow->log] || row->partition[shadow->log] != shadow->partition)
        return;
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity * 2 + 64;
        rows->items = mem_resize (rows->items, rows->capacity, sizeof *rows->items);
    }
    rows->items[rows->count++] = (history_row_t){ .number = (uint32_t)number,
                                                  .time = row->time,
                                                  .key = row->key[shadow->log],
                                                  .values = row->values };
}

history_row_t *history_rows (sim_check_t *self, const shadow_t *shadow, size_t *count)
{
    size_t own = self->data->log_stream[shadow->log];
    rows_t rows = { 0 };
    uint64_t first = 0;
    for (uint32_t s = 0; s < SIM_PARTITIONS; s++) {
        const shadow_t *source = &self->shadows[own][s];
        for (size_t i = 0; i < source->events_count; i++)
            if (source->events[i].offset < shadow->begin[s] &&
                !erased_before (self, own, s, source->events[i].offset, shadow->begin[s],
                                source->events[i].values, source->events[i].time))
                add_row (shadow, &rows,
                         first + below (self, shadow->log, s, source->events[i].offset),
                         source->origins[i].row);
        for (size_t l = 0; l < self->history_loads_count[shadow->log]; l++) {
            const sim_load_t *load = self->history_loads[shadow->log][l];
            for (size_t i = 0; i < load->count; i++)
                if (load->rows[i].partition[own] == s &&
                    !erased_before (self, own, s, load->offset[own][s], shadow->begin[s],
                                    load->rows[i].values, load->rows[i].time))
                    add_row (shadow, &rows,
                             first + below (self, shadow->log, s, load->offset[own][s]) + i,
                             &load->rows[i]);
        }
        first += below (self, shadow->log, s, shadow->begin[s]);
    }
    *count = rows.count;
    return rows.items;
}
