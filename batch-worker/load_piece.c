#include "batch-worker/load_piece.h"

#include "base/mem.h"

#include <inttypes.h>

void load_piece_init (load_piece_t *self)
{
    *self = (load_piece_t){ .arena = arena_new (TEXT_CHUNK) };
}

void load_piece_release (load_piece_t *self)
{
    arena_destroy (&self->arena);
    mem_free (self->parts);
    mem_free (self->refused);
}

static load_part_t *add_part (load_piece_t *self)
{
    if (self->parts_count == self->parts_room) {
        self->parts_room = 2 * self->parts_room + 1;
        self->parts = mem_resize (self->parts, self->parts_room, sizeof *self->parts);
    }
    return &self->parts[self->parts_count++];
}

/* A record that is not taken: the end of the load, or one for the rejects. */
static status_t refuse (load_piece_t *self, const load_rules_t *rules, text_t record,
                        const char *reason, error_t *error)
{
    if (!rules->load->task->load.skip)
        return error_set (error, STATUS_INVALID, "%s", reason);
    if (self->refused_count == self->refused_room) {
        self->refused_room = 2 * self->refused_room + 8;
        self->refused = mem_resize (self->refused, self->refused_room, sizeof *self->refused);
    }
    self->refused[self->refused_count++] = arena_text (self->arena, record);
    return STATUS_OK;
}

static status_t refuse_rows (load_piece_t *self, const load_rules_t *rules,
                             const text_reader_t *reader, const intake_result_t *result,
                             uint64_t first_row, error_t *error)
{
    for (size_t i = 0; i < result->refused_count; i++) {
        const refused_row_t *row = &result->refused[i];
        error_t reason;
        (void)error_set (&reason, STATUS_INVALID, "row %" PRIu64 ", %s", first_row + row->row,
                         row->reason);
        status_t status =
            refuse (self, rules, text_reader_record (reader, row->row), reason.text, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static status_t map_columns (load_piece_t *self, const load_rules_t *rules,
                             const raw_table_t *table, const int32_t **map, error_t *error)
{
    const load_order_t *order = &rules->load->task->load;
    *map = rules->map;
    if (*map != NULL)
        return STATUS_OK;
    int32_t *made = arena_zero (self->arena, table->columns_count, sizeof *made);
    *map = made;
    if (order->format == FORMAT_CSV)
        return intake_map_columns (rules->load->stream, table->columns, table->columns_count,
                                   order->ingest_time, made, error);
    intake_map_names (rules->load->stream, table->columns, table->columns_count, order->ingest_time,
                      made);
    return STATUS_OK;
}

static status_t take_table (load_piece_t *self, const load_rules_t *rules,
                            const text_reader_t *reader, const raw_table_t *table,
                            uint64_t first_row, error_t *error)
{
    const int32_t *map;
    intake_result_t result;
    status_t status = map_columns (self, rules, table, &map, error);
    if (status != STATUS_OK)
        return status;
    intake_convert (rules->load->stream, table, map, &rules->intake, self->arena, &result);
    status = refuse_rows (self, rules, reader, &result, first_row, error);
    if (status != STATUS_OK || result.batch.rows == 0)
        return status;
    load_part_t *part = add_part (self);
    *part = (load_part_t){ .batch = result.batch, .first_row = first_row };
    memcpy (part->batch.row, result.raw_row, result.batch.rows * sizeof *result.raw_row);
    load_group (rules->load, part, self->arena);
    return STATUS_OK;
}

static status_t take_tables (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader,
                             bool *any, error_t *error)
{
    raw_table_t table;
    uint64_t first_row;
    *any = false;
    while (text_reader_table (reader, &table, &first_row)) {
        status_t status = take_table (self, rules, reader, &table, first_row, error);
        if (status != STATUS_OK)
            return status;
        text_reader_next (reader);
        *any = true;
    }
    return STATUS_OK;
}

/* Feeds bytes, or the end; *more: call it again at the end of the text. */
static status_t feed (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader,
                      text_t data, size_t *taken, bool *more, error_t *error)
{
    uint64_t bad_row;
    error_t problem;
    status_t fed = text_reader_feed (reader, data.data, data.size, taken, &bad_row, &problem);
    if (fed != STATUS_OK && bad_row == 0)
        return error_set (error, fed, "%s", problem.text);
    /* the bad record's text goes with the next feed, and the rows before it come first */
    status_t status = take_tables (self, rules, reader, more, error);
    if (status == STATUS_OK && fed != STATUS_OK) {
        *more = true;
        status = refuse (self, rules, text_reader_bad (reader), problem.text, error);
    }
    return status;
}

static status_t feed_data (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader,
                           error_t *error)
{
    status_t status = STATUS_OK;
    bool more;
    for (size_t at = 0; status == STATUS_OK && at < self->size;) {
        size_t taken;
        text_t rest = { self->data + at, (uint32_t)(self->size - at) };
        status = feed (self, rules, reader, rest, &taken, &more, error);
        at += taken;
    }
    return status;
}

static status_t feed_end (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader,
                          error_t *error)
{
    status_t status = STATUS_OK;
    bool more = true;
    while (status == STATUS_OK && more) {
        size_t taken;
        status = feed (self, rules, reader, (text_t){ NULL, 0 }, &taken, &more, error);
    }
    return status;
}

/* The rows that are left: tables hold what is in the arena, which is this piece's. */
static status_t end_tables (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader,
                            error_t *error)
{
    status_t status = STATUS_OK;
    bool more = true;
    while (status == STATUS_OK && more) {
        text_reader_end_table (reader);
        status = take_tables (self, rules, reader, &more, error);
    }
    return status;
}

status_t load_piece_read (load_piece_t *self, const load_rules_t *rules, text_reader_t *reader)
{
    arena_reset (self->arena);
    self->parts_count = 0;
    self->refused_count = 0;
    text_reader_use_arena (reader, self->arena);
    self->status = feed_data (self, rules, reader, &self->error);
    if (self->status == STATUS_OK && self->is_last)
        self->status = feed_end (self, rules, reader, &self->error);
    if (self->status == STATUS_OK)
        self->status = end_tables (self, rules, reader, &self->error);
    self->records = text_reader_records (reader);
    self->ends_records = text_reader_at_start (reader);
    return self->status;
}
