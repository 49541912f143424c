#include "intake/intake.h"

#include "base/decimal.h"

/* No int64; near enough for a float64, and as text exact for a decimal. */
static raw_t raw_of_large (uint64_t number, arena_t *arena)
{
    char bytes[DECIMAL_TEXT_MAX];
    return (raw_t){ .kind = RAW_FLOAT,
                    .f = (double)number,
                    .s = arena_text (arena, decimal_text (number, 0, bytes)) };
}

static raw_t raw_of (const wire_value_t *value, arena_t *arena)
{
    switch (value->type) {
    case MSGPACK_OBJECT_NIL:
        return (raw_t){ .kind = RAW_NULL };
    case MSGPACK_OBJECT_BOOLEAN:
        return (raw_t){ .kind = RAW_BOOL, .i = value->via.boolean };
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (value->via.u64 > INT64_MAX)
            return raw_of_large (value->via.u64, arena);
        return (raw_t){ .kind = RAW_INT, .i = (int64_t)value->via.u64 };
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return (raw_t){ .kind = RAW_INT, .i = value->via.i64 };
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return (raw_t){ .kind = RAW_FLOAT, .f = value->via.f64 };
    case MSGPACK_OBJECT_STR:
        return (raw_t){ .kind = RAW_TEXT, .s = { value->via.str.ptr, value->via.str.size } };
    default:
        return (raw_t){ .kind = RAW_OTHER };
    }
}

static status_t check_columns (const raw_table_t *table, error_t *error)
{
    for (size_t i = 0; i < table->columns_count; i++)
        for (size_t j = 0; j < i; j++)
            if (text_equal (table->columns[i], table->columns[j]))
                return error_set (error, STATUS_INVALID, "column '" TEXT_FORMAT "' is there twice",
                                  TEXT_ARGS (table->columns[i]));
    return STATUS_OK;
}

status_t intake_from_wire (wire_list_t columns, wire_list_t rows, arena_t *arena,
                           raw_table_t *table, error_t *error)
{
    if ((uint64_t)columns.count * rows.count > WIRE_CELLS_MAX)
        return error_set (error, STATUS_INVALID, "%u rows of %u columns are more than %d cells",
                          rows.count, columns.count, WIRE_CELLS_MAX);
    if (columns.count > TEXT_COLUMNS_MAX)
        return error_set (error, STATUS_INVALID, "%u columns are more than %d", columns.count,
                          TEXT_COLUMNS_MAX);
    *table = (raw_table_t){ .columns_count = columns.count, .rows = rows.count };
    table->columns = arena_zero (arena, columns.count, sizeof *table->columns);
    for (uint32_t c = 0; c < columns.count; c++)
        table->columns[c] = wire_item_text (&columns.items[c]);
    if (check_columns (table, error) != STATUS_OK)
        return error->status;
    table->cells = arena_zero (arena, table->rows * table->columns_count, sizeof *table->cells);
    for (uint32_t r = 0; r < rows.count; r++) {
        wire_list_t cells = wire_items (&rows.items[r]);
        if (cells.count != columns.count)
            return error_set (error, STATUS_INVALID, "row %u has %u values; there are %u columns",
                              r, cells.count, columns.count);
        for (uint32_t c = 0; c < cells.count; c++)
            table->cells[(size_t)r * columns.count + c] = raw_of (&cells.items[c], arena);
    }
    return STATUS_OK;
}
