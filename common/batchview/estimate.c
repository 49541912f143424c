#include "batchview/estimate.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "batchview/record.h"

enum {
    SAMPLE_CHUNK = 1 << 20,
    AT_ONCE = 1000,         /* rows made up together */
    SECTION_SIZE_BYTES = 2, /* in front of a section, for a typical one */
};

/* Any time later than what windows reach back from. */
#define CUT (INT64_C (100000) * TIME_DAY)

static viewfile_header_t *header_new (const plan_t *plan)
{
    viewfile_header_t *header = mem_zero (1, sizeof *header);
    batchview_info_t info = { .view = "v", .clock_at_cut = CUT, .latest = CUT };
    viewfile_header_of (plan, &info, header);
    return header;
}

/* Counts what is put: record_out_t's `put`. */
static status_t put_nowhere (void *self, const buf_t *head, const buf_t *partials, uint64_t *place,
                             error_t *error)
{
    uint64_t *bytes = self;
    (void)error;
    *place = *bytes;
    *bytes += head->size + partials->size + SECTION_SIZE_BYTES;
    return STATUS_OK;
}

/* The size of the record of a key with rows in equal steps, and its atoms. */
static status_t record_measure (record_builder_t *builder, size_t rows, int64_t first, int64_t last,
                                const sample_values_t *values, double *bytes, double *atoms,
                                error_t *error)
{
    arena_t *arena = arena_new (SAMPLE_CHUNK);
    projection_t sample = plan_sample (builder->plan, rows, first, last, values, arena);
    uint64_t count = 0;
    uint64_t sections = 0;
    builder->out = (record_out_t){ put_nowhere, &sections };
    record_begin (builder, sample.key[0]);
    status_t status = STATUS_OK;
    for (size_t from = 0; from < rows && status == STATUS_OK; from += AT_ONCE)
        status = record_add (builder, &sample, from, from + AT_ONCE < rows ? from + AT_ONCE : rows,
                             error);
    if (status == STATUS_OK)
        status = record_end (builder, &count, error);
    /* An entry of the index, which is 5/8 full; and the record's part of the checksums. */
    double size = (double)(1 + record_size (builder) + sections) + sizeof (uint64_t) / 0.625;
    *bytes = size * (1 + (double)sizeof (uint64_t) / BATCHVIEW_BLOCK);
    *atoms = (double)count;
    arena_destroy (&arena);
    return status;
}

status_t batchview_estimate (const plan_t *plan, double events, int64_t over,
                             const sample_values_t *values, batchview_estimate_t *estimate,
                             error_t *error)
{
    CHECK (events >= 1);
    bool all = events <= BATCHVIEW_ESTIMATE_ROWS_MAX;
    size_t rows = all ? (size_t)(events + 0.5) : BATCHVIEW_ESTIMATE_ROWS_MAX;
    viewfile_header_t *header = header_new (plan);
    record_builder_t builder;
    record_builder_init (&builder, plan, header, (record_out_t){ put_nowhere, NULL });
    double fixed_atoms = 0;
    int64_t first = rows > 1 ? CUT - over : CUT - over / 2;
    int64_t last = rows > 1 ? CUT : first;
    *estimate = (batchview_estimate_t){ 0 };
    status_t status = record_measure (&builder, 1, TIME_DAY, TIME_DAY, values,
                                      &estimate->fixed_bytes, &fixed_atoms, error);
    if (status == STATUS_OK)
        status = record_measure (&builder, rows, first, last, values, &estimate->bytes,
                                 &estimate->atoms, error);
    double more = estimate->atoms - fixed_atoms;
    double times = all ? 1 : events / (double)rows;
    estimate->atom_bytes = more > 0 ? (estimate->bytes - estimate->fixed_bytes) / more : 0;
    estimate->atoms = fixed_atoms + times * more;
    estimate->bytes = estimate->fixed_bytes + times * (estimate->bytes - estimate->fixed_bytes);
    record_builder_release (&builder);
    mem_free (header);
    if (status == STATUS_OK && estimate->bytes > (double)BATCHVIEW_BYTES_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "such a key takes %.0f bytes of a batch view, which holds %llu",
                          estimate->bytes, (unsigned long long)BATCHVIEW_BYTES_MAX);
    return status;
}

size_t batchview_groups (const plan_t *plan, batchview_group_t *groups, uint16_t *of_slot)
{
    viewfile_header_t *header = header_new (plan);
    size_t count = header->groups;
    memset (groups, 0, count * sizeof *groups);
    for (uint32_t slot = 0; slot < header->slots; slot++) {
        batchview_group_t *group = &groups[header->slot[slot].group];
        of_slot[slot] = header->slot[slot].group;
        if (group->slots++ > 0)
            continue;
        int64_t windows[FEATURES_MAX];
        viewfile_span_t spans[2 * FEATURES_MAX + 2];
        group->delay = plan->slots[slot].delay;
        group->windows = viewfile_slot_windows (plan, slot, windows);
        group->spans = viewfile_spans (windows, group->windows, group->delay, &header->info,
                                       header->horizon, spans);
        for (size_t i = 0; i < group->spans; i++)
            group->covered += spans[i].last - spans[i].first;
    }
    mem_free (header);
    return count;
}
