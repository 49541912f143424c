/* convert.c - raw rows as a batch, and the rows that are refused. */
#include "intake/cell.h"

#include "base/check.h"

/* A conversion under way: all rows are converted, and those with a reason left out at the end. */
typedef struct convert {
    const stream_t *stream;
    const raw_table_t *table;
    const int32_t *map;
    const intake_rules_t *rules;
    arena_t *arena;
    batch_t batch;
    const char **reason; /* per row; NULL: good so far */
} convert_t;

static const raw_t *cell_at (const raw_table_t *table, size_t row, size_t column)
{
    return &table->cells[row * table->columns_count + column];
}

/* ---- columns ---- */

/* The column before `raw_column` that is read as the same field, or -1: a field and its aliases may
 * be called differently in different rows. */
static int64_t other_column (const convert_t *self, size_t raw_column)
{
    for (size_t c = 0; c < raw_column; c++)
        if (self->map[c] == self->map[raw_column])
            return (int64_t)c;
    return -1;
}

static const char *both_given (const convert_t *self, size_t raw_column, int64_t other)
{
    const text_t *names = self->table->columns;
    return cell_format (self->arena,
                        "columns " TEXT_FORMAT " and " TEXT_FORMAT " are both read as the field %s",
                        TEXT_ARGS (names[other]), TEXT_ARGS (names[raw_column]),
                        self->stream->fields[self->map[raw_column]].name);
}

static void convert_column (convert_t *self, size_t raw_column, uint32_t index)
{
    int64_t other = other_column (self, raw_column);
    const field_t *field = &self->stream->fields[index];
    column_t *column = &self->batch.column[index];
    for (size_t r = 0; r < self->batch.rows; r++) {
        const raw_t *raw = cell_at (self->table, r, raw_column);
        value_t value;
        if (other >= 0 && raw->kind == RAW_NULL)
            continue;
        if (other >= 0 && column->valid[r]) {
            if (self->reason[r] == NULL)
                self->reason[r] = both_given (self, raw_column, other);
            continue;
        }
        if (cell_value (field, raw, &value))
            column_set (column, r, &value);
        else if (self->reason[r] == NULL)
            self->reason[r] = cell_reason (field, raw, self->arena);
    }
}

/* The fields that are made of others, in the order of definition: later ones use earlier ones. */
static void compute_fields (convert_t *self)
{
    for (size_t i = 0; i < self->stream->fields_count; i++) {
        const field_t *field = &self->stream->fields[i];
        if (field->expr == NULL)
            continue;
        column_t column =
            expr_eval (field->computed, self->batch.column, self->batch.rows, self->arena);
        CHECK (column.type == field->type);
        self->batch.column[i] = column;
        for (size_t r = 0; field->type == TYPE_STRING && r < self->batch.rows; r++) {
            if (self->reason[r] == NULL && column.s[r].size > STRING_VALUE_MAX)
                self->reason[r] =
                    cell_format (self->arena, "field %s: what is computed is longer than %d bytes",
                                 field->name, STRING_VALUE_MAX);
        }
    }
}

static void refuse_values (convert_t *self, size_t raw_column)
{
    text_t name = self->table->columns[raw_column];
    const char *reason = NULL;
    for (size_t r = 0; r < self->batch.rows; r++) {
        if (self->reason[r] != NULL || cell_at (self->table, r, raw_column)->kind == RAW_NULL)
            continue;
        if (reason == NULL)
            reason = column_unknown (self->stream, name, self->arena);
        self->reason[r] = reason;
    }
}

static void require_value (convert_t *self, uint32_t index)
{
    const field_t *field = &self->stream->fields[index];
    const char *reason = NULL;
    for (size_t r = 0; r < self->batch.rows; r++) {
        if (self->reason[r] != NULL || self->batch.column[index].valid[r])
            continue;
        if (reason == NULL)
            reason = cell_format (self->arena, "column %s: null, but %s", field->column,
                                  index == self->stream->time ? "it is the event time"
                                                              : "the field is required");
        self->reason[r] = reason;
    }
}

/* ---- times ---- */

static const char *time_reason (convert_t *self, int64_t time)
{
    const field_t *field = &self->stream->fields[self->stream->time];
    if (time < TIME_EVENT_MIN || time > TIME_EVENT_MAX)
        return cell_format (self->arena,
                            "column %s: the event time is not within the years 1970 to 9999; is it "
                            "in another unit than the field's?",
                            field->column);
    buf_t text;
    buf_init (&text, 128);
    time_format (&text, time);
    buf_put_string (&text, " is more than ");
    duration_format (&text, self->rules->max_ahead);
    const char *reason = cell_format (self->arena, "column %s: %s ahead of the clock",
                                      field->column, buf_string (&text));
    buf_release (&text);
    return reason;
}

static void check_event_times (convert_t *self)
{
    int64_t latest;
    if (__builtin_add_overflow (self->rules->now, self->rules->max_ahead, &latest) ||
        latest > TIME_EVENT_MAX)
        latest = TIME_EVENT_MAX;
    const column_t *column = &self->batch.column[self->stream->time];
    for (size_t r = 0; r < self->batch.rows; r++) {
        int64_t time = column->i[r];
        self->batch.event_time[r] = time;
        if (self->reason[r] == NULL && (time < TIME_EVENT_MIN || time > latest))
            self->reason[r] = time_reason (self, time);
    }
}

/* The field that the ingest column is read as: its own, or a timestamp in UTC and ms. */
static field_t ingest_field (const convert_t *self, const char *name, size_t raw_column)
{
    int32_t index = self->map[raw_column];
    if (index >= 0 && self->stream->fields[index].type == TYPE_TIMESTAMP)
        return self->stream->fields[index];
    return (field_t){ .name = name, .column = name, .type = TYPE_TIMESTAMP, .unit = UNIT_MS };
}

static void ingest_times_from (convert_t *self, size_t raw_column)
{
    const char *name = arena_string (self->arena, self->rules->ingest_column);
    field_t field = ingest_field (self, name, raw_column);
    for (size_t r = 0; r < self->batch.rows; r++) {
        const raw_t *raw = cell_at (self->table, r, raw_column);
        value_t value;
        bool good = cell_value (&field, raw, &value);
        if (good && !value.null)
            self->batch.ingest_time[r] = value.i;
        else if (self->reason[r] == NULL)
            self->reason[r] =
                good ? cell_format (self->arena, "column %s: null, but it is the ingest time", name)
                     : cell_reason (&field, raw, self->arena);
    }
}

static void set_ingest_times (convert_t *self)
{
    text_t name = self->rules->ingest_column;
    if (name.size == 0) {
        for (size_t r = 0; r < self->batch.rows; r++)
            self->batch.ingest_time[r] =
                self->rules->ingest_is_event_time ? self->batch.event_time[r] : self->rules->now;
        return;
    }
    for (size_t c = 0; c < self->table->columns_count; c++) {
        if (text_equal (self->table->columns[c], name)) {
            ingest_times_from (self, c);
            return;
        }
    }
    for (size_t r = 0; r < self->batch.rows; r++)
        if (self->reason[r] == NULL)
            self->reason[r] =
                cell_format (self->arena, "column " TEXT_FORMAT " of the ingest time is missing",
                             TEXT_ARGS (name));
}

/* ---- keys ---- */

/* A buffer on the stack that takes a key of the allowed size: its memory is never grown, and not to
 * be released. */
static buf_t key_buffer (uint8_t bytes[static KEY_SIZE_MAX])
{
    return (buf_t){ .data = bytes, .capacity = KEY_SIZE_MAX, .max = KEY_SIZE_MAX };
}

static text_t buffered_key (const buf_t *key, arena_t *arena)
{
    text_t text = { .data = (const char *)key->data, .size = (uint32_t)key->size };
    return text.size > 0 ? arena_text (arena, text) : (text_t){ NULL, 0 };
}

static void set_keys (convert_t *self)
{
    uint8_t bytes[KEY_SIZE_MAX];
    buf_t key = key_buffer (bytes);
    for (size_t r = 0; r < self->batch.rows; r++) {
        if (self->reason[r] != NULL)
            continue;
        buf_clear (&key);
        (void)stream_key (self->stream, &self->batch, r, &key);
        if (key.bad)
            self->reason[r] = cell_format (self->arena, "the key is longer than %d bytes (encoded)",
                                           KEY_SIZE_MAX);
        else
            self->batch.key[r] = buffered_key (&key, self->arena);
    }
}

/* The raw column that has the field's value in the row: the first one that is not null of those
 * that are read as the field; -1 when there is none. */
static int64_t raw_column_of (const raw_table_t *table, const int32_t *map, size_t row,
                              uint32_t field)
{
    int64_t found = -1;
    for (size_t c = 0; c < table->columns_count; c++)
        if (map[c] == (int32_t)field &&
            (found < 0 || cell_at (table, row, (size_t)found)->kind == RAW_NULL))
            found = (int64_t)c;
    return found;
}

text_t intake_raw_key (const stream_t *stream, const raw_table_t *table, const int32_t *map,
                       size_t row, arena_t *arena)
{
    CHECK (row < table->rows);
    uint8_t bytes[KEY_SIZE_MAX];
    buf_t key = key_buffer (bytes);
    for (size_t i = 0; i < stream->key_count; i++) {
        int64_t column = raw_column_of (table, map, row, stream->key[i]);
        value_t value;
        if (column < 0 || !cell_value (&stream->fields[stream->key[i]],
                                       cell_at (table, row, (size_t)column), &value))
            return (text_t){ NULL, 0 };
        if (value.null)
            return (text_t){ NULL, 0 };
        key_put (&key, &value);
    }
    return key.bad ? (text_t){ NULL, 0 } : buffered_key (&key, arena);
}

/* ---- the whole ---- */

static void list_refused (const convert_t *self, intake_result_t *result)
{
    size_t count = 0;
    for (size_t r = 0; r < self->batch.rows; r++)
        count += self->reason[r] != NULL;
    result->refused = arena_zero (self->arena, count, sizeof *result->refused);
    for (size_t r = 0; r < self->batch.rows; r++)
        if (self->reason[r] != NULL)
            result->refused[result->refused_count++] =
                (refused_row_t){ .row = (uint32_t)r, .reason = self->reason[r] };
}

/* Moves row `from` of the batch to `to`, which is not after it. */
static void move_row (batch_t *batch, size_t to, size_t from)
{
    for (size_t c = 0; c < batch->columns; c++) {
        value_t value = column_get (&batch->column[c], from);
        column_set (&batch->column[c], to, &value);
    }
    batch->event_time[to] = batch->event_time[from];
    batch->ingest_time[to] = batch->ingest_time[from];
    batch->key[to] = batch->key[from];
}

static void keep_accepted (convert_t *self, intake_result_t *result)
{
    result->raw_row = arena_zero (self->arena, self->batch.rows, sizeof *result->raw_row);
    size_t kept = 0;
    for (size_t r = 0; r < self->batch.rows; r++) {
        if (self->reason[r] != NULL)
            continue;
        result->raw_row[kept] = (uint32_t)r;
        if (kept < r)
            move_row (&self->batch, kept, r);
        kept++;
    }
    self->batch.rows = kept;
    result->batch = self->batch;
}

void intake_convert (const stream_t *stream, const raw_table_t *table, const int32_t *map,
                     const intake_rules_t *rules, arena_t *arena, intake_result_t *result)
{
    CHECK (table->rows <= UINT32_MAX);
    *result = (intake_result_t){ .refused_count = 0 };
    convert_t self = {
        .stream = stream, .table = table, .map = map, .rules = rules, .arena = arena
    };
    type_t types[FIELDS_MAX];
    for (size_t i = 0; i < stream->fields_count; i++)
        types[i] = stream->fields[i].type;
    self.batch = batch_new (arena, types, stream->fields_count, table->rows);
    self.reason = arena_zero (arena, table->rows, sizeof *self.reason);
    for (size_t c = 0; c < table->columns_count; c++) {
        if (map[c] >= 0)
            convert_column (&self, c, (uint32_t)map[c]);
        else if (map[c] == COLUMN_REFUSED)
            refuse_values (&self, c);
    }
    compute_fields (&self);
    for (size_t i = 0; i < stream->fields_count; i++)
        if (stream->fields[i].required || i == stream->time)
            require_value (&self, (uint32_t)i);
    check_event_times (&self);
    set_ingest_times (&self);
    set_keys (&self);
    list_refused (&self, result);
    keep_accepted (&self, result);
}
