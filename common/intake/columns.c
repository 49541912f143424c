/* columns.c - a source's columns against the stream's fields. */
#include "intake/cell.h"

enum { SCRATCH = 4096 };

static int32_t field_of_column (const stream_t *stream, text_t column)
{
    for (size_t i = 0; i < stream->fields_count; i++)
        if (field_is_called (&stream->fields[i], column))
            return (int32_t)i;
    return COLUMN_IGNORED;
}

/* A computed field is called so; no column is read as one. */
static bool is_computed (const stream_t *stream, text_t column)
{
    int field = stream_field (stream, column);
    return field >= 0 && stream->fields[field].expr != NULL;
}

static bool is_there (const text_t *columns, size_t count, text_t name)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal (columns[i], name))
            return true;
    return false;
}

/* The column before `end` that is read as the same field, or -1. */
static int64_t read_before (const int32_t *map, size_t end)
{
    for (size_t i = 0; i < end; i++)
        if (map[i] == map[end])
            return (int64_t)i;
    return -1;
}

static bool is_mapped (const int32_t *map, size_t count, uint32_t field)
{
    for (size_t i = 0; i < count; i++)
        if (map[i] == (int32_t)field)
            return true;
    return false;
}

/* A field that every source must have a column for. */
static bool is_needed (const stream_t *stream, uint32_t field)
{
    if (field == stream->time || stream->fields[field].required)
        return true;
    for (size_t i = 0; i < stream->key_count; i++)
        if (stream->key[i] == field)
            return true;
    return false;
}

const char *column_unknown (const stream_t *stream, text_t name, arena_t *arena)
{
    const char *names[FIELDS_MAX];
    size_t count = 0;
    if (is_computed (stream, name))
        return cell_format (arena, "column " TEXT_FORMAT ": the field is computed, and is not sent",
                            TEXT_ARGS (name));
    for (size_t i = 0; i < stream->fields_count; i++)
        if (stream->fields[i].expr == NULL)
            names[count++] = stream->fields[i].column;
    const char *nearest = text_nearest (arena_string (arena, name), names, count);
    buf_t shown;
    buf_init (&shown, 256);
    cell_show (&shown, name);
    const char *reason =
        cell_format (arena, "stream %s has no column '%s'%s%s%s", stream->name, buf_string (&shown),
                     nearest ? "; did you mean '" : " (unknown: ignore would leave it out)",
                     nearest ? nearest : "", nearest ? "'?" : "");
    buf_release (&shown);
    return reason;
}

static status_t refuse_unknown (const stream_t *stream, text_t name, error_t *error)
{
    arena_t *arena = arena_new (SCRATCH);
    status_t status = error_set (error, STATUS_INVALID, "%s", column_unknown (stream, name, arena));
    arena_destroy (&arena);
    return status;
}

static status_t refuse_missing (const stream_t *stream, uint32_t field, error_t *error)
{
    const char *why = field == stream->time            ? "the event time"
                      : stream->fields[field].required ? "a required field"
                                                       : "part of the key";
    return error_set (error, STATUS_INVALID, "column %s, %s of stream %s, is missing",
                      stream->fields[field].column, why, stream->name);
}

void intake_map_names (const stream_t *stream, const text_t *columns, size_t count,
                       text_t ingest_column, int32_t *map)
{
    for (size_t i = 0; i < count; i++) {
        map[i] = field_of_column (stream, columns[i]);
        bool known =
            map[i] >= 0 || (ingest_column.size > 0 && text_equal (columns[i], ingest_column));
        if (!known && (stream->unknown == UNKNOWN_REFUSE || is_computed (stream, columns[i])))
            map[i] = COLUMN_REFUSED;
    }
}

status_t intake_map_columns (const stream_t *stream, const text_t *columns, size_t count,
                             text_t ingest_column, int32_t *map, error_t *error)
{
    intake_map_names (stream, columns, count, ingest_column, map);
    for (size_t i = 0; i < count; i++) {
        if (map[i] == COLUMN_REFUSED)
            return refuse_unknown (stream, columns[i], error);
        int64_t before = map[i] >= 0 ? read_before (map, i) : -1;
        if (before >= 0 && text_equal (columns[before], columns[i]))
            return error_set (error, STATUS_INVALID, "column " TEXT_FORMAT " is there twice",
                              TEXT_ARGS (columns[i]));
        if (before >= 0)
            return error_set (
                error, STATUS_INVALID,
                "columns " TEXT_FORMAT " and " TEXT_FORMAT " are both read as the field %s",
                TEXT_ARGS (columns[before]), TEXT_ARGS (columns[i]), stream->fields[map[i]].name);
    }
    for (uint32_t f = 0; f < stream->fields_count; f++)
        if (is_needed (stream, f) && !is_mapped (map, count, f))
            return refuse_missing (stream, f, error);
    if (ingest_column.size > 0 && !is_there (columns, count, ingest_column))
        return error_set (error, STATUS_INVALID,
                          "there is no column '" TEXT_FORMAT "' to take the ingest time from",
                          TEXT_ARGS (ingest_column));
    return STATUS_OK;
}
