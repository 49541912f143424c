/* Keys and rows of what data.c defines, and how they are written. */
#include "tests/sim/data.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/key.h"
#include "base/mem.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    USERS = 8,
    SHOPS = 6, /* and one without a name */
    TICK_NUMBERS = 3,
    TICK_WORDS = 3,
};

enum {
    PAY_N = 2,
    PAY_TAG = 3,
    PAY_FLAG = 4,
    PAY_SHOP = 6,
    PAY_CHANNEL = 8
}; /* places of a row's values */

/* ---- keys ---- */

static value_t text_value (arena_t *arena, const char *format, unsigned number)
{
    char *text = mem_format (format, number);
    value_t value = { .type = TYPE_STRING, .s = arena_text (arena, text_of (text)) };
    mem_free (text);
    return value;
}

/* False, and empty, when a field of it is null. */
static bool encode_key (const keyed_log_t *log, const value_t *values, arena_t *arena, text_t *out)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    bool whole = true;
    for (size_t i = 0; i < log->key_count; i++) {
        whole = whole && !values[log->key[i]].null;
        if (whole)
            key_put (&key, &values[log->key[i]]);
    }
    if (!whole)
        buf_clear (&key);
    *out = arena_text (arena, (text_t){ (char *)key.data, (uint32_t)key.size });
    buf_release (&key);
    return whole;
}

static size_t keys_count (size_t log)
{
    static const size_t counts[DATA_LOGS] = {
        USERS, TICK_NUMBERS * TICK_WORDS, SHOPS + 1, (SHOPS + 1) * 2, 1, 2, TICK_WORDS
    };
    return counts[log];
}

static value_t shop_value (arena_t *arena, size_t i)
{
    if (i < SHOPS)
        return text_value (arena, "s-%u", (unsigned)i);
    return (value_t){ .type = TYPE_STRING, .s = text_of ("") };
}

bool data_key_at (const sim_data_t *self, size_t log, size_t i, arena_t *arena, value_t *values,
                  text_t *key)
{
    if (i >= keys_count (log))
        return false;
    if (log == 1) {
        values[0] = (value_t){ .type = TYPE_INT64, .i = (int64_t)(i / TICK_WORDS) - 1 };
        values[1] = text_value (arena, "user-%u", (unsigned)(i % TICK_WORDS));
    } else if (log == 6) {
        values[1] = text_value (arena, "user-%u", (unsigned)i);
    } else if (log == 5) {
        values[PAY_FLAG] = (value_t){ .type = TYPE_BOOL, .i = (int64_t)i };
    } else if (log != 4) {
        values[0] = text_value (arena, "user-%u", (unsigned)(log == 3 ? i / (SHOPS + 1) : i));
        if (log != 0)
            values[PAY_SHOP] = shop_value (arena, i % (SHOPS + 1));
    }
    return encode_key (&self->log[log], values, arena, key);
}

void data_key (const sim_data_t *self, sim_t *sim, size_t log, arena_t *arena, value_t *values,
               text_t *key)
{
    size_t i = sim_chosen (sim, 0, keys_count (log) - 1);
    bool there = data_key_at (self, log, i, arena, values, key);
    CHECK (there);
}

/* ---- rows ---- */

static double wild_float (sim_t *sim)
{
    static const double wild[] = { NAN,     INFINITY, -INFINITY, 0.0, 5e-324, -5e-324,
                                   1.7e308, -1.7e308, 1e16,      1.0, -1e16,  1e-300 };
    return wild[sim_chosen (sim, 0, sizeof wild / sizeof *wild - 1)];
}

static double some_float (sim_t *sim)
{
    if (sim_knobs (sim)->wild_floats && sim_chance (sim, 0.1))
        return wild_float (sim);
    if (sim_chance (sim, 0.5))
        return (double)sim_chosen (sim, 0, 20000) / 100.0 - 50.0;
    return ldexp ((double)sim_chosen (sim, 0, UINT64_C (1) << 52),
                  (int)sim_chosen (sim, 0, 80) - 90);
}

static value_t some_value (sim_t *sim, type_t type, arena_t *arena)
{
    value_t value = { .type = type };
    if (sim_chance (sim, 0.1)) {
        value.null = true;
        return value;
    }
    switch (type_family (type)) {
    case TYPE_FLOAT64:
        value.f = value_float (some_float (sim));
        break;
    case TYPE_INT64:
        value.i = (int64_t)sim_chosen (sim, 0, 20) - 5;
        if (sim_chance (sim, 0.01))
            value.i = sim_chance (sim, 0.5) ? INT64_MAX : INT64_MIN;
        break;
    case TYPE_BOOL:
        value.i = sim_chance (sim, 0.5);
        break;
    case TYPE_DECIMAL:
        value.d = (int64_t)sim_chosen (sim, 0, 200000) - 50000;
        if (sim_chance (sim, 0.05))
            value.d *= INT64_C (1000000000000000000);
        break;
    default:
        if (sim_chance (sim, 0.1))
            value.s = text_of (sim_chance (sim, 0.5) ? "void" : "");
        else
            value = text_value (arena, "t-%u", (unsigned)sim_chosen (sim, 0, 200));
    }
    return value;
}

/* Mostly now, sometimes late, and now and then a little ahead. */
static int64_t some_time (sim_t *sim, int64_t wall)
{
    int64_t ago;
    switch (sim_chosen (sim, 0, 9)) {
    case 0:
        ago = (int64_t)sim_chosen (sim, 0, 30 * (uint64_t)TIME_DAY);
        break;
    case 1:
        ago = (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)TIME_HOUR);
        break;
    case 2:
        ago = -(int64_t)sim_chosen (sim, 0, 4 * (uint64_t)TIME_MINUTE);
        break;
    case 3:
        ago = 7 * TIME_SECOND; /* some at the very same time */
        wall -= wall % TIME_SECOND;
        break;
    default:
        ago = (int64_t)sim_chosen (sim, 0, 5 * (uint64_t)TIME_SECOND);
    }
    return wall - ago;
}

/* The type of what a sender gives for a field. */
static type_t given_type (const sim_data_t *self, sim_t *sim, size_t stream, unsigned used,
                          size_t field)
{
    if (stream == 0 && field == PAY_N)
        return used & STEP_WIDEN && sim_chance (sim, 0.5) ? TYPE_FLOAT64 : TYPE_INT64;
    return self->stream[stream]->fields[field].type;
}

value_t data_widened (const sim_data_t *self, size_t stream, size_t field, const value_t *value)
{
    if (value->type != TYPE_INT64 || self->stream[stream]->fields[field].type != TYPE_FLOAT64)
        return *value;
    value_t widened = { .type = TYPE_FLOAT64, .null = value->null };
    if (!value->null)
        widened.f = (double)value->i;
    return widened;
}

void data_row (const sim_data_t *self, sim_t *sim, size_t stream, unsigned used, int64_t wall,
               bool good, arena_t *arena, sim_row_t *row)
{
    const stream_t *definition = self->stream[stream];
    *row = (sim_row_t){ .class = ROW_GOOD };
    if (!good && sim_chance (sim, 0.1))
        row->class = (row_class_t)sim_chosen (sim, 1, ROW_CLASSES - 1);
    for (size_t i = 0; i < definition->fields_count; i++)
        row->values[i] = some_value (sim, given_type (self, sim, stream, used, i), arena);
    if (stream == 0 && !(used & STEP_FIELD))
        row->values[PAY_CHANNEL] = (value_t){ .type = TYPE_STRING, .null = true };
    if (stream == 0 && !row->values[PAY_SHOP].null)
        row->values[PAY_SHOP] = shop_value (arena, sim_chosen (sim, 0, SHOPS));
    text_t key;
    data_key (self, sim, stream, arena, row->values, &key); /* of the stream's own log */
    if (stream == 1 && sim_chance (sim, 0.03))              /* accepted, and of no entity */
        row->values[1] = (value_t){ .type = TYPE_STRING, .null = true };
    if (row->class == ROW_NO_KEY && stream == 1)
        row->class = ROW_GOOD;
    if (row->class == ROW_NO_KEY)
        row->values[0] = (value_t){ .type = TYPE_STRING, .null = true };
    row->time = row->class == ROW_AHEAD ? wall + TIME_HOUR : some_time (sim, wall);
    if (stream == 1)
        row->time -= row->time % TIME_MS;
    row->values[definition->time] = (value_t){ .type = TYPE_TIMESTAMP, .i = row->time };
    for (size_t l = 0; l < DATA_LOGS; l++) {
        if (self->log_stream[l] != stream)
            continue;
        row->in[l] =
            encode_key (&self->log[l], row->values, arena, &row->key[l]) || self->log[l].primary;
        row->partition[l] = key_partition (key_hash (row->key[l]), SIM_PARTITIONS);
    }
}

static size_t number_field (size_t stream)
{
    return stream == 0 ? 1 : 2;
}

const char *data_column (const sim_data_t *self, size_t stream, unsigned used, size_t field)
{
    if (stream == 0 && field == PAY_CHANNEL && !(used & STEP_FIELD))
        return NULL;
    if (stream == 0 && field == PAY_TAG)
        return used & STEP_RENAME ? "label" : "tag";
    return self->stream[stream]->fields[field].column;
}

void data_write_row (const sim_data_t *self, size_t stream, unsigned used, const sim_row_t *row,
                     wire_writer_t *writer)
{
    const stream_t *definition = self->stream[stream];
    wire_open_list (writer);
    for (size_t i = 0; i < definition->fields_count; i++) {
        const value_t *value = &row->values[i];
        if (!data_column (self, stream, used, i))
            continue;
        if (row->class == ROW_NO_NUMBER && i == number_field (stream))
            wire_put_string (writer, "twelve");
        else if (row->class == ROW_NO_TIME && i == definition->time)
            wire_put_nil (writer);
        else if (i == definition->time)
            wire_put_int (writer, stream == 0 ? value->i : value->i / TIME_MS);
        else
            wire_put_value (writer, value);
    }
    wire_close (writer);
}

void data_write_header (const sim_data_t *self, size_t stream, unsigned used, buf_t *out)
{
    const stream_t *definition = self->stream[stream];
    for (size_t i = 0; i < definition->fields_count; i++) {
        const char *column = data_column (self, stream, used, i);
        if (column)
            buf_printf (out, "%s%s", i ? "," : "", column);
    }
    buf_put_u8 (out, '\n');
}

void data_write_csv (const sim_data_t *self, size_t stream, unsigned used, const sim_row_t *row,
                     buf_t *out)
{
    const stream_t *definition = self->stream[stream];
    for (size_t i = 0; i < definition->fields_count; i++) {
        const value_t *value = &row->values[i];
        if (!data_column (self, stream, used, i))
            continue;
        if (i)
            buf_put_u8 (out, ',');
        if (value->null)
            continue;
        if (value->type == TYPE_STRING)
            buf_printf (out, "\"" TEXT_FORMAT "\"", TEXT_ARGS (value->s));
        else if (value->type == TYPE_FLOAT64)
            number_format_float (out, value->f);
        else if (value->type == TYPE_BOOL)
            buf_put_string (out, value->i ? "true" : "false");
        else if (type_is_decimal (value->type))
            decimal_format (out, value->d, type_scale (value->type));
        else
            buf_printf (out, "%lld",
                        (long long)(value->type == TYPE_TIMESTAMP && stream == 1
                                        ? value->i / TIME_MS
                                        : value->i));
    }
    buf_put_u8 (out, '\n');
}
