/* gathered_pick.c - gathered rows, in any order, into batches. */
#include "base/mem.h"
#include "base/scheduling.h"
#include "storage/gathered.h"

enum {
    SHORT_KEY = 16, /* bytes */
    LINE = 64,      /* bytes that memory comes in */
    PICKED = 256,   /* rows that are fetched at a time, which fit the nearest cache */
};

batch_t gathered_batch (const gathered_t *self, arena_t *arena, size_t rows)
{
    batch_t batch = { .rows = rows, .columns = self->columns };
    batch.column = arena_zero (arena, self->columns, sizeof *batch.column);
    for (size_t c = 0; c < self->columns; c++) {
        column_t *column = &batch.column[c];
        column->type = self->column[c].type;
        column->data = arena_alloc (arena, rows * type_size (column->type));
        column->valid = arena_alloc (arena, rows);
        memset (column->valid, 1, rows);
    }
    batch.event_time = arena_alloc (arena, rows * sizeof *batch.event_time);
    batch.ingest_time = arena_alloc (arena, rows * sizeof *batch.ingest_time);
    batch.offset = arena_alloc (arena, rows * sizeof *batch.offset);
    batch.row = arena_alloc (arena, rows * sizeof *batch.row);
    batch.key = arena_alloc (arena, rows * sizeof *batch.key);
    batch.key_start = arena_alloc (arena, rows * sizeof *batch.key_start);
    return batch;
}

/* Rows that are picked into a batch. */
typedef struct picking {
    const uint32_t *which;
    size_t count;
    batch_t *batch;
    size_t at;
} picking_t;

static void pick_numbers (const gathered_t *self, size_t word, const picking_t *picking, void *to)
{
    const int64_t *from = self->words + word;
    size_t step = self->step;
    int64_t *number = (int64_t *)to + picking->at;
    for (size_t i = 0; i < picking->count; i++)
        number[i] = from[picking->which[i] * step];
}

/* Keys that are the numbers of a column. */
static void pick_number_keys (const gathered_t *self, const picking_t *picking, arena_t *texts)
{
    batch_t *batch = picking->batch;
    const gathered_column_t *column = &self->column[self->key_column];
    const int64_t *from = self->words + column->word;
    text_t *to = batch->key + picking->at;
    size_t found = batch->keys;
    uint8_t *key = arena_alloc (texts, picking->count * KEY_NUMBER_SIZE);
    int64_t last = 0;
    for (size_t i = 0; i < picking->count; i++) {
        int64_t number = from[picking->which[i] * self->step];
        if (i > 0 && number == last) {
            to[i] = to[i - 1];
            continue;
        }
        last = number;
        key_put_integer (key, column->type, number);
        to[i] = (text_t){ (const char *)key, KEY_NUMBER_SIZE };
        if (i == 0 && picking->at > 0 && text_equal (to[0], to[-1])) {
            to[0] = to[-1];
            continue;
        }
        key += KEY_NUMBER_SIZE;
        batch->key_start[found++] = (uint32_t)(picking->at + i);
    }
    batch->keys = found;
}

bool gathered_copies_keys (const gathered_t *self)
{
    return self->key_column != GATHERED_KEYS_APART || self->keys.longest <= SHORT_KEY;
}

static void pick_keys (const gathered_t *self, const picking_t *picking, arena_t *texts)
{
    batch_t *batch = picking->batch;
    text_t *to = batch->key + picking->at;
    size_t found = batch->keys;
    text_t before = picking->at > 0 ? to[-1] : (text_t){ NULL, UINT32_MAX };
    bool copies = gathered_copies_keys (self);
    uint8_t *copy = copies ? arena_alloc (texts, picking->count * self->keys.longest) : NULL;
    for (size_t i = 0; i < picking->count; i++) {
        text_t key = gathered_key (self, picking->which[i]);
        if (!text_equal (key, before)) {
            batch->key_start[found++] = (uint32_t)(picking->at + i);
            before = key;
            if (copies) {
                text_copy (copy, key);
                before.data = (const char *)copy;
                copy += key.size;
            }
        }
        to[i] = before;
    }
    batch->keys = found;
}

static void pick_places (const gathered_t *self, const picking_t *picking)
{
    const uint32_t *which = picking->which;
    uint64_t *offset = picking->batch->offset + picking->at;
    uint32_t *row = picking->batch->row + picking->at;
    if (self->in_line) {
        uint64_t first = self->first;
        for (size_t i = 0; i < picking->count; i++)
            offset[i] = first + which[i];
        memset (row, 0, picking->count * sizeof *row);
        return;
    }
    for (size_t i = 0; i < picking->count; i++) {
        offset[i] = self->offset[which[i]];
        row[i] = self->row[which[i]];
    }
}

static void pick_column (const gathered_t *self, size_t c, const picking_t *picking)
{
    const gathered_column_t *from = &self->column[c];
    column_t *column = &picking->batch->column[c];
    for (size_t i = 0; from->valid != NULL && i < picking->count; i++)
        column->valid[picking->at + i] = from->valid[picking->which[i]];
    if (from->valid == NULL && from->had_nulls)
        memset (column->valid + picking->at, 1, picking->count);
    if (from->is_time) {
        column->i = picking->batch->event_time;
    } else if (column->type == TYPE_STRING) {
        for (size_t i = 0; i < picking->count; i++)
            column->s[picking->at + i] =
                gathered_text (&from->texts, gathered_row (self, picking->which[i])[from->word]);
    } else if (type_is_decimal (column->type)) {
        for (size_t i = 0; i < picking->count; i++)
            memcpy (&column->d[picking->at + i],
                    gathered_row (self, picking->which[i]) + from->word, sizeof *column->d);
    } else {
        pick_numbers (self, from->word, picking, column->i);
    }
}

static void fetch_rows (const gathered_t *self, const uint32_t *which, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int64_t *row = gathered_row (self, which[i]);
        for (size_t word = 0; word < self->step; word += LINE / sizeof *row)
            __builtin_prefetch (row + word);
        __builtin_prefetch (row + self->step - 1);
    }
}

void gathered_pick (const gathered_t *self, const uint32_t *which, size_t count, batch_t *batch,
                    size_t at, arena_t *texts)
{
    fetch_rows (self, which, count < PICKED ? count : PICKED);
    for (size_t done = 0; done < count; done += PICKED) {
        size_t left = count - done;
        picking_t picking = { which + done, left < PICKED ? left : PICKED, batch, at + done };
        size_t next = left - picking.count;
        scheduling_give_way ();
        fetch_rows (self, which + done + picking.count, next < PICKED ? next : PICKED);
        if (self->key_column != GATHERED_KEYS_APART)
            pick_number_keys (self, &picking, texts);
        else
            pick_keys (self, &picking, texts);
        pick_numbers (self, GATHERED_EVENT_TIME, &picking, batch->event_time);
        pick_numbers (self, GATHERED_INGEST_TIME, &picking, batch->ingest_time);
        pick_places (self, &picking);
        for (size_t c = 0; c < self->columns; c++)
            pick_column (self, c, &picking);
    }
}
