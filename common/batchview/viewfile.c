#include "batchview/viewfile.h"

#include "base/check.h"
#include "base/scheduling.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(2 * BATCHVIEW_KEYS_MAX < BATCHVIEW_INDEX_MAX, "an index has all keys");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read as they are mapped");

enum {
    SLOT_LIFETIME = 1,
    SLOT_LARGE = 2,
};

/* ---- groups and spans ---- */

size_t viewfile_slot_windows (const plan_t *plan, uint32_t slot, int64_t *windows)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->cells_count; i++)
        if (plan->cells[i].slot == slot && plan->cells[i].window != WINDOW_LIFETIME)
            windows[count++] = plan->cells[i].window;
    return count;
}

static int span_compare (const void *a, const void *b)
{
    const viewfile_span_t *left = a;
    const viewfile_span_t *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

static size_t span_put (viewfile_span_t *spans, size_t count, int64_t as_of, int64_t before,
                        int64_t horizon)
{
    if (as_of == INT64_MIN) /* nothing covered yet */
        return count;
    spans[count] = (viewfile_span_t){ as_of - before, as_of - before + horizon };
    return count + 1;
}

size_t viewfile_spans (const int64_t *windows, size_t count, int64_t delay,
                       const batchview_info_t *info, int64_t horizon, viewfile_span_t *spans)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        made = span_put (spans, made, info->latest, delay + windows[i], horizon);
        made = span_put (spans, made, info->clock_at_cut, delay + windows[i], horizon);
    }
    if (delay > 0) {
        made = span_put (spans, made, info->latest, delay, horizon);
        made = span_put (spans, made, info->clock_at_cut, delay, horizon);
    }
    CHECK (made <= viewfile_spans_max (count));
    qsort (spans, made, sizeof *spans, span_compare);
    size_t kept = 0;
    for (size_t i = 0; i < made; i++) {
        if (kept > 0 && spans[i].first <= spans[kept - 1].last) {
            if (spans[i].last > spans[kept - 1].last)
                spans[kept - 1].last = spans[i].last;
        } else {
            spans[kept++] = spans[i];
        }
    }
    return kept;
}

/* The group of a slot: that of an earlier slot with the same delay and windows, or a new one.
 * `of_group` is the first slot of each group. */
static uint16_t group_of (const plan_t *plan, uint32_t slot, viewfile_header_t *header,
                          uint32_t *of_group)
{
    int64_t mine[FEATURES_MAX];
    int64_t other[FEATURES_MAX];
    int64_t delay = plan->slots[slot].delay;
    size_t count = viewfile_slot_windows (plan, slot, mine);
    for (uint16_t i = 0; i < header->groups; i++)
        if (header->group[i].delay == delay &&
            viewfile_slot_windows (plan, of_group[i], other) == count &&
            memcmp (mine, other, count * sizeof *mine) == 0)
            return i;
    of_group[header->groups] = slot;
    viewfile_span_t spans[2 * FEATURES_MAX + 2];
    size_t made = viewfile_spans (mine, count, delay, &header->info, header->horizon, spans);
    header->group[header->groups].edge_min = made > 0 ? spans[0].first : INT64_MAX;
    header->group[header->groups].delay = delay;
    return (uint16_t)header->groups++;
}

static void inputs_of (const plan_t *plan, viewfile_header_t *header)
{
    CHECK (plan->lanes_count <= BATCHVIEW_LANES_MAX && plan->filters_count <= FEATURES_MAX);
    header->lanes = plan->lanes_count;
    header->filters = plan->filters_count;
    header->positions = plan_reads_positions (plan);
    for (size_t i = 0; i < plan->lanes_count; i++)
        header->lane_type[i] = expr_type (plan->lanes[i]);
    for (size_t i = 0; i < plan->slots_count; i++) {
        const plan_slot_t *from = &plan->slots[i];
        viewfile_slot_t *slot = &header->slot[i];
        slot->inputs = (uint16_t)from->inputs;
        slot->filter = (uint16_t)(from->filter + 1);
        for (uint32_t k = 0; k < from->inputs; k++)
            slot->lane[k] = (uint16_t)from->lane[k];
    }
}

void viewfile_header_of (const plan_t *plan, const batchview_info_t *info,
                         viewfile_header_t *header)
{
    CHECK (plan->slots_count <= FEATURES_MAX);
    *header = (viewfile_header_t){ .info = *info, .horizon = plan->horizon };
    header->info.plan_hash = plan->hash;
    header->slots = plan->slots_count;
    uint32_t of_group[FEATURES_MAX];
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        const plan_slot_t *slot = &plan->slots[i];
        header->slot[i] = (viewfile_slot_t){ .hash = slot->hash,
                                             .kind = slot->spec.kind,
                                             .input = slot->spec.input,
                                             .large = state_is_large (slot->spec),
                                             .delayed = slot->delay > 0,
                                             .group = group_of (plan, i, header, of_group) };
    }
    for (size_t i = 0; i < plan->cells_count; i++)
        if (plan->cells[i].window == WINDOW_LIFETIME)
            header->slot[plan->cells[i].slot].lifetime = true;
    inputs_of (plan, header);
}

/* ---- header ---- */

static void inputs_encode (const viewfile_header_t *header, buf_t *out)
{
    buf_put_u16 (out, (uint16_t)header->lanes);
    buf_put_u16 (out, (uint16_t)header->filters);
    buf_put_u8 (out, header->positions);
    for (size_t i = 0; i < header->lanes; i++)
        buf_put_u8 (out, header->lane_type[i]);
    for (size_t i = 0; i < header->slots; i++) {
        const viewfile_slot_t *slot = &header->slot[i];
        buf_put_u8 (out, (uint8_t)slot->inputs);
        for (uint16_t k = 0; k < slot->inputs; k++)
            buf_put_u16 (out, slot->lane[k]);
        buf_put_u16 (out, slot->filter);
    }
}

void viewfile_header_encode (viewfile_header_t *header, buf_t *out)
{
    const batchview_info_t *info = &header->info;
    size_t name_size = strnlen (info->view, NAME_MAX_SIZE);
    size_t start = out->size;
    buf_put (out, BATCHVIEW_MAGIC, 8);
    buf_put_u32 (out, BATCHVIEW_FORMAT);
    size_t size_at = out->size;
    buf_put_u32 (out, 0);
    buf_put_u64 (out, info->plan_hash);
    buf_put_u32 (out, info->version);
    buf_put_u32 (out, info->partition);
    buf_put_u32 (out, info->partitions);
    buf_put_u16 (out, (uint16_t)header->groups);
    buf_put_u16 (out, (uint16_t)header->slots);
    buf_put_u64 (out, info->cut);
    buf_put_i64 (out, info->clock_at_cut);
    buf_put_i64 (out, info->latest);
    buf_put_i64 (out, header->horizon);
    for (size_t i = 0; i < header->groups; i++)
        buf_put_i64 (out, header->group[i].edge_min);
    for (size_t i = 0; i < header->groups; i++)
        buf_put_i64 (out, header->group[i].delay);
    for (size_t i = 0; i < header->slots; i++) {
        const viewfile_slot_t *slot = &header->slot[i];
        buf_put_u64 (out, slot->hash);
        buf_put_u8 (out, slot->kind);
        buf_put_u8 (out, slot->input);
        buf_put_u8 (
            out, (uint8_t)((slot->lifetime ? SLOT_LIFETIME : 0) | (slot->large ? SLOT_LARGE : 0)));
        buf_put_u8 (out, 0);
        buf_put_u32 (out, slot->group);
    }
    inputs_encode (header, out);
    buf_put_text (out, (text_t){ info->view, (uint32_t)name_size });
    while ((out->size - start) % BATCHVIEW_ALIGN != 0)
        buf_put_u8 (out, 0);
    CHECK (!out->bad);
    header->size = out->size - start;
    uint32_t size = (uint32_t)header->size;
    memcpy (out->data + size_at, &size, sizeof size);
}

static bool state_kind_known (uint8_t kind)
{
    switch (kind) {
#define X(name, number, large) case number:
        STATE_TABLE (X)
#undef X
        return true;
    default:
        return false;
    }
}

static bool type_known (uint8_t type)
{
    if (type_is_decimal ((type_t)type))
        return true;
    switch (type) {
    case TYPE_NONE:
#define X(name, number, word) case number:
        TYPE_TABLE (X)
#undef X
        return true;
    default:
        return false;
    }
}

static bool format_known (uint64_t format)
{
    return format == BATCHVIEW_FORMAT;
}

static status_t format_error (uint64_t format, error_t *error)
{
    return error_set (error, STATUS_VERSION, "batch view format %llu; this program reads %d",
                      (unsigned long long)format, (int)BATCHVIEW_FORMAT);
}

static void slots_decode (reader_t *reader, viewfile_header_t *header)
{
    for (size_t i = 0; i < header->groups; i++)
        header->group[i].edge_min = reader_i64 (reader);
    for (size_t i = 0; i < header->groups; i++) {
        header->group[i].delay = reader_i64 (reader);
        if (header->group[i].delay < 0)
            reader->bad = true;
    }
    for (size_t i = 0; i < header->slots; i++) {
        viewfile_slot_t *slot = &header->slot[i];
        slot->hash = reader_u64 (reader);
        uint8_t kind = reader_u8 (reader);
        uint8_t input = reader_u8 (reader);
        uint8_t flags = reader_u8 (reader);
        uint8_t zero = reader_u8 (reader);
        uint32_t group = reader_u32 (reader);
        if (!state_kind_known (kind) || !type_known (input) || group >= header->groups ||
            (flags & ~(SLOT_LIFETIME | SLOT_LARGE)) != 0 || zero != 0) {
            reader->bad = true;
            return;
        }
        slot->kind = (state_kind_t)kind;
        slot->input = (type_t)input;
        slot->lifetime = (flags & SLOT_LIFETIME) != 0;
        slot->large = (flags & SLOT_LARGE) != 0;
        slot->group = (uint16_t)group;
        slot->delayed = header->group[group].delay > 0;
    }
}

static void inputs_decode (reader_t *reader, viewfile_header_t *header)
{
    header->lanes = reader_u16 (reader);
    header->filters = reader_u16 (reader);
    uint8_t positions = reader_u8 (reader);
    header->positions = positions != 0;
    bool fits =
        header->lanes <= BATCHVIEW_LANES_MAX && header->filters <= FEATURES_MAX && positions <= 1;
    for (size_t i = 0; fits && i < header->lanes; i++) {
        uint8_t type = reader_u8 (reader);
        fits = type_is_field ((type_t)type);
        header->lane_type[i] = (type_t)type;
    }
    for (size_t i = 0; fits && i < header->slots; i++) {
        viewfile_slot_t *slot = &header->slot[i];
        slot->inputs = reader_u8 (reader);
        fits = slot->inputs <= STATE_INPUTS_MAX;
        for (uint16_t k = 0; fits && k < slot->inputs; k++) {
            slot->lane[k] = reader_u16 (reader);
            fits = slot->lane[k] < header->lanes;
        }
        slot->filter = reader_u16 (reader);
        fits = fits && slot->filter <= header->filters;
    }
    reader->bad |= !fits;
}

status_t viewfile_header_decode (const uint8_t *data, size_t size, viewfile_header_t *header,
                                 error_t *error)
{
    reader_t reader = reader_of (data, size);
    memset (header, 0, sizeof *header);
    const uint8_t *magic = reader_bytes (&reader, 8);
    if (magic == NULL || memcmp (magic, BATCHVIEW_MAGIC, 8) != 0)
        return error_set (error, STATUS_CORRUPT, "not a batch view file");
    uint32_t format = reader_u32 (&reader);
    if (!reader.bad && !format_known (format))
        return format_error (format, error);
    header->size = reader_u32 (&reader);
    batchview_info_t *info = &header->info;
    info->plan_hash = reader_u64 (&reader);
    info->version = reader_u32 (&reader);
    info->partition = reader_u32 (&reader);
    info->partitions = reader_u32 (&reader);
    header->groups = reader_u16 (&reader);
    header->slots = reader_u16 (&reader);
    info->cut = reader_u64 (&reader);
    info->clock_at_cut = reader_i64 (&reader);
    info->latest = reader_i64 (&reader);
    header->horizon = reader_i64 (&reader);
    if (reader.bad || header->groups > header->slots || header->slots > FEATURES_MAX)
        return error_set (error, STATUS_CORRUPT, "bad counts in the header of a batch view");
    slots_decode (&reader, header);
    inputs_decode (&reader, header);
    text_t view = reader_text (&reader);
    if (reader.bad || view.size > NAME_MAX_SIZE ||
        header->size != viewfile_align (size - reader_left (&reader)))
        return error_set (error, STATUS_CORRUPT, "bad header of a batch view");
    if (view.size > 0)
        memcpy (info->view, view.data, view.size);
    return STATUS_OK;
}

/* ---- tail ---- */

uint64_t viewfile_checksum (const void *data, size_t size)
{
    return XXH3_64bits (data, size);
}

void viewfile_tail_encode (const viewfile_footer_t *footer, const uint64_t *checksums, size_t count,
                           buf_t *out)
{
    size_t start = out->size;
    for (size_t i = 0; i < count; i++)
        buf_put_u64 (out, checksums[i]);
    buf_put_u64 (out, footer->index_at);
    buf_put_u64 (out, footer->index_size);
    buf_put_u64 (out, footer->keys);
    buf_put_u64 (out, footer->atoms);
    buf_put_u64 (out, footer->events);
    buf_put (out, BATCHVIEW_FOOTER_MAGIC, 8);
    buf_put_u64 (out, BATCHVIEW_FORMAT);
    CHECK (!out->bad);
    buf_put_u64 (out, viewfile_checksum (out->data + start, out->size - start));
    CHECK (!out->bad);
}

static status_t footer_decode (const uint8_t *data, uint64_t size, viewfile_footer_t *footer,
                               error_t *error)
{
    reader_t reader = reader_of (data + size - BATCHVIEW_FOOTER, BATCHVIEW_FOOTER);
    footer->index_at = reader_u64 (&reader);
    footer->index_size = reader_u64 (&reader);
    footer->keys = reader_u64 (&reader);
    footer->atoms = reader_u64 (&reader);
    footer->events = reader_u64 (&reader);
    const uint8_t *magic = reader_bytes (&reader, 8);
    uint64_t format = reader_u64 (&reader);
    if (magic == NULL || memcmp (magic, BATCHVIEW_FOOTER_MAGIC, 8) != 0)
        return error_set (error, STATUS_CORRUPT, "the batch view file has no footer");
    if (!format_known (format))
        return format_error (format, error);
    uint64_t body = size - BATCHVIEW_FOOTER;
    bool fits = footer->index_at <= body && footer->index_at % BATCHVIEW_ALIGN == 0 &&
                footer->index_size <= BATCHVIEW_INDEX_MAX && footer->index_size <= body / 8 &&
                footer->keys < footer->index_size;
    if (!fits)
        return error_set (error, STATUS_CORRUPT, "bad footer of a batch view");
    return STATUS_OK;
}

status_t viewfile_verify (const uint8_t *data, uint64_t size, viewfile_footer_t *footer,
                          error_t *error)
{
    if (size < BATCHVIEW_FOOTER + 8)
        return error_set (error, STATUS_CORRUPT, "too short to be a batch view file");
    status_t status = footer_decode (data, size, footer, error);
    if (status != STATUS_OK)
        return status;
    uint64_t checked = footer->index_at + 8 * footer->index_size;
    uint64_t blocks = (checked + BATCHVIEW_BLOCK - 1) / BATCHVIEW_BLOCK;
    if (checked + 8 * blocks + BATCHVIEW_FOOTER != size)
        return error_set (error, STATUS_CORRUPT, "the batch view file has not the size it should");
    uint64_t expected = (uint64_t)viewfile_i64 (data + size - 8);
    if (viewfile_checksum (data + checked, size - 8 - checked) != expected)
        return error_set (error, STATUS_CORRUPT, "the batch view's footer fails its checksum");
    for (uint64_t i = 0; i < blocks; i++) {
        scheduling_give_way ();
        uint64_t from = i * BATCHVIEW_BLOCK;
        uint64_t length = checked - from < BATCHVIEW_BLOCK ? checked - from : BATCHVIEW_BLOCK;
        expected = (uint64_t)viewfile_i64 (data + checked + 8 * i);
        if (viewfile_checksum (data + from, length) != expected)
            return error_set (error, STATUS_CORRUPT,
                              "byte %llu: the batch view's %llu bytes from there fail their "
                              "checksum",
                              (unsigned long long)from, (unsigned long long)length);
    }
    return STATUS_OK;
}
