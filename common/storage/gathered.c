#include "storage/gathered.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

enum {
    ROOM_MIN = 128,  /* rows, at first */
    TEXT_MIN = 1024, /* bytes of texts, at first */
    SHORT_KEY = 16,  /* bytes */
    LINE = 64,       /* bytes that memory comes in */
    PICKED = 256,    /* rows that are fetched at a time, which fit the nearest cache */
};

/* ---- making and ending ---- */

void gathered_init (gathered_t *self, const type_t *types, size_t columns)
{
    *self = (gathered_t){ .columns = columns, .room = ROOM_MIN };
    self->column = mem_zero (columns, sizeof *self->column);
    for (size_t c = 0; c < columns; c++)
        self->column[c].type = types[c];
    gathered_clear (self);
}

void gathered_release (gathered_t *self)
{
    for (size_t c = 0; c < self->columns; c++) {
        mem_free (self->column[c].valid);
        mem_free (self->column[c].texts.bytes);
    }
    mem_free (self->column);
    mem_free (self->memory);
    mem_free (self->offset);
    mem_free (self->row);
    mem_free (self->keys.bytes);
    memset (self, 0, sizeof *self);
}

static void clear_texts (gathered_texts_t *self)
{
    self->size = 0;
    self->longest = 0;
}

void gathered_clear (gathered_t *self)
{
    self->rows = 0;
    clear_texts (&self->keys);
    for (size_t c = 0; c < self->columns; c++) {
        clear_texts (&self->column[c].texts);
        mem_free (self->column[c].valid);
        self->column[c].valid = NULL;
    }
}

void gathered_expect (gathered_t *self, size_t rows)
{
    if (self->memory == NULL && rows > self->room)
        self->room = rows;
}

/* ---- memory ---- */

static size_t cell_words (type_t type)
{
    return type_is_decimal (type) ? 2 : 1;
}

/* Where words are in a row, by what is not kept of it: a column that is the event time is there. */
static void lay_out (gathered_t *self)
{
    self->step = GATHERED_INGEST_TIME + 1;
    if (self->key_column == GATHERED_KEYS_APART)
        self->key_word = self->step++;
    for (size_t c = 0; c < self->columns; c++) {
        gathered_column_t *column = &self->column[c];
        column->word = column->is_time ? GATHERED_EVENT_TIME : self->step;
        self->step += column->is_time ? 0 : cell_words (column->type);
    }
}

/* For as many rows as there is room for; what is there is left to the caller. */
static void new_words (gathered_t *self)
{
    self->memory = mem_alloc (self->room * self->step * sizeof *self->words + LINE);
    uintptr_t at = ((uintptr_t)self->memory + LINE - 1) / LINE * LINE;
    self->words = (int64_t *)at;
}

static void grow (gathered_t *self, size_t more)
{
    if (self->rows + more <= self->room)
        return;
    while (self->room < self->rows + more)
        self->room *= 2;
    const int64_t *words = self->words;
    void *memory = self->memory;
    new_words (self);
    if (self->rows > 0)
        memcpy (self->words, words, self->rows * self->step * sizeof *words);
    mem_free (memory);
    if (!self->in_line) {
        self->offset = mem_resize (self->offset, self->room, sizeof *self->offset);
        self->row = mem_resize (self->row, self->room, sizeof *self->row);
    }
    for (size_t c = 0; c < self->columns; c++)
        if (self->column[c].valid != NULL)
            self->column[c].valid = mem_resize (self->column[c].valid, self->room, 1);
}

static void grow_texts (gathered_texts_t *self, size_t more)
{
    if (self->size + more <= self->room)
        return;
    CHECK (self->size + more <= UINT32_MAX);
    self->room = self->room > 0 ? self->room : TEXT_MIN;
    while (self->room < self->size + more)
        self->room *= 2;
    self->bytes = mem_resize (self->bytes, self->room, 1);
}

size_t gathered_bytes (const gathered_t *self)
{
    size_t row = self->step * sizeof *self->words;
    size_t texts = self->keys.size;
    row += self->in_line ? 0 : sizeof *self->offset + sizeof *self->row;
    for (size_t c = 0; c < self->columns; c++) {
        row += self->column[c].valid != NULL;
        texts += self->column[c].texts.size;
    }
    return row * self->rows + texts;
}

/* ---- what is not kept ---- */

/* Rows of a batch that are added. */
typedef struct adding {
    const batch_t *batch;
    const uint32_t *which;
    size_t count;
    bool together; /* they are neighbours there */
} adding_t;

static bool is_time (const column_t *from, const adding_t *adding)
{
    const int64_t *times = adding->batch->event_time;
    size_t first = adding->which[0];
    if (adding->together)
        return memcmp (from->i + first, times + first, adding->count * sizeof *times) == 0;
    int64_t others = 0;
    for (size_t i = 0; i < adding->count; i++)
        others |= from->i[adding->which[i]] ^ times[adding->which[i]];
    return others == 0;
}

static bool is_integer (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_TIMESTAMP || type == TYPE_BOOL;
}

static bool is_key (const column_t *from, const adding_t *adding)
{
    const text_t *keys = adding->batch->key;
    const uint32_t *which = adding->which;
    size_t i = 0;
    while (i < adding->count && key_is_integer (keys[which[i]], from->type, from->i[which[i]]))
        i++;
    return i == adding->count;
}

/* As the first rows say. */
static void begin (gathered_t *self, const adding_t *adding)
{
    const batch_t *batch = adding->batch;
    self->in_line = true;
    self->first = batch->offset[adding->which[0]];
    self->key_column = GATHERED_KEYS_APART;
    for (size_t c = 0; c < self->columns; c++) {
        const column_t *from = &batch->column[c];
        gathered_column_t *column = &self->column[c];
        column->is_time = column->type == TYPE_TIMESTAMP && is_time (from, adding);
        if (self->key_column == GATHERED_KEYS_APART && !column->is_time &&
            is_integer (column->type) && is_key (from, adding))
            self->key_column = (int)c;
    }
    size_t step = self->step;
    lay_out (self);
    if (self->memory != NULL && self->step <= step)
        return;
    mem_free (self->memory);
    new_words (self);
}

/* Words of a text that is put behind the others. */
static int64_t put_text (gathered_texts_t *self, text_t text)
{
    int64_t word = (int64_t)((uint64_t)self->size << 32 | text.size);
    text_copy (self->bytes + self->size, text);
    self->size += text.size;
    return word;
}

/* The rows that are there, laid out by what is not kept from now on. */
static void lay_out_again (gathered_t *self, bool keys_apart)
{
    const gathered_t before = *self;
    bool make_keys = keys_apart && before.key_column != GATHERED_KEYS_APART;
    size_t *words = mem_alloc ((self->columns + 1) * sizeof *words); /* where cells were */
    for (size_t c = 0; c < self->columns; c++)
        words[c] = self->column[c].word;
    if (make_keys) {
        grow_texts (&self->keys, self->rows * KEY_NUMBER_SIZE);
        self->keys.longest = KEY_NUMBER_SIZE;
        self->key_column = GATHERED_KEYS_APART;
    }
    lay_out (self);
    new_words (self);
    for (size_t i = 0; i < self->rows; i++) {
        const int64_t *from = before.words + i * before.step;
        int64_t *to = self->words + i * self->step;
        to[GATHERED_EVENT_TIME] = from[GATHERED_EVENT_TIME];
        to[GATHERED_INGEST_TIME] = from[GATHERED_INGEST_TIME];
        if (make_keys) {
            uint8_t key[KEY_NUMBER_SIZE];
            size_t c = (size_t)before.key_column;
            key_put_integer (key, self->column[c].type, from[words[c]]);
            to[self->key_word] = put_text (&self->keys, (text_t){ (const char *)key, sizeof key });
        } else if (self->key_column == GATHERED_KEYS_APART) {
            to[self->key_word] = from[before.key_word];
        }
        for (size_t c = 0; c < self->columns; c++) {
            const gathered_column_t *column = &self->column[c];
            memcpy (to + column->word, from + words[c], cell_words (column->type) * sizeof *to);
        }
    }
    mem_free (before.memory);
    mem_free (words);
}

/* Lays rows out again if they are no longer what is not kept. */
static void look_at_layout (gathered_t *self, const adding_t *adding)
{
    bool again = false;
    bool keys_apart = self->key_column != GATHERED_KEYS_APART &&
                      !is_key (&adding->batch->column[self->key_column], adding);
    for (size_t c = 0; c < self->columns; c++) {
        gathered_column_t *column = &self->column[c];
        if (!column->is_time || is_time (&adding->batch->column[c], adding))
            continue;
        column->is_time = false;
        again = true;
    }
    if (again || keys_apart)
        lay_out_again (self, keys_apart);
}

/* ---- adding ---- */

/* The first cell, of the rows that are added, of the word. */
static int64_t *words_at (const gathered_t *self, size_t word)
{
    return self->words + self->rows * self->step + word;
}

static void add_numbers (const gathered_t *self, size_t word, const int64_t *from,
                         const adding_t *adding)
{
    int64_t *to = words_at (self, word);
    const uint32_t *which = adding->which;
    size_t step = self->step;
    size_t count = adding->count;
    if (adding->together) {
        from += which[0];
        for (size_t i = 0; i < count; i++)
            to[i * step] = from[i];
        return;
    }
    for (size_t i = 0; i < count; i++)
        to[i * step] = from[which[i]];
}

static void add_wide (const gathered_t *self, size_t word, const unscaled_t *from,
                      const adding_t *adding)
{
    int64_t *to = words_at (self, word);
    for (size_t i = 0; i < adding->count; i++)
        memcpy (to + i * self->step, &from[adding->which[i]], sizeof *from);
}

/* `valid` NULL: all are. */
static void add_texts (const gathered_t *self, size_t word, gathered_texts_t *texts,
                       const text_t *from, const uint8_t *valid, const adding_t *adding)
{
    const uint32_t *which = adding->which;
    size_t total = 0;
    for (size_t i = 0; i < adding->count; i++)
        if (valid == NULL || valid[which[i]] != 0) {
            total += from[which[i]].size;
            if (from[which[i]].size > texts->longest)
                texts->longest = from[which[i]].size;
        }
    grow_texts (texts, total);
    int64_t *to = words_at (self, word);
    for (size_t i = 0; i < adding->count; i++) {
        bool here = valid == NULL || valid[which[i]] != 0;
        to[i * self->step] = put_text (texts, here ? from[which[i]] : (text_t){ NULL, 0 });
    }
}

/* Do the rows follow those that are there? */
static bool follow (const gathered_t *self, const adding_t *adding)
{
    const uint64_t *offset = adding->batch->offset;
    const uint32_t *number = adding->batch->row;
    const uint32_t *which = adding->which;
    uint64_t next = self->first + self->rows;
    uint64_t others = 0;
    for (size_t i = 0; i < adding->count; i++)
        others |= (offset[which[i]] ^ (next + i)) | number[which[i]];
    return others == 0;
}

/* Keeps the places of the rows so far. */
static void leave_line (gathered_t *self)
{
    self->in_line = false;
    self->offset = mem_resize (self->offset, self->room, sizeof *self->offset);
    self->row = mem_resize (self->row, self->room, sizeof *self->row);
    for (size_t i = 0; i < self->rows; i++) {
        self->offset[i] = self->first + i;
        self->row[i] = 0;
    }
}

static void add_places (gathered_t *self, const adding_t *adding)
{
    if (self->in_line && !follow (self, adding))
        leave_line (self);
    for (size_t i = 0; !self->in_line && i < adding->count; i++) {
        self->offset[self->rows + i] = adding->batch->offset[adding->which[i]];
        self->row[self->rows + i] = adding->batch->row[adding->which[i]];
    }
}

static bool all_valid (const uint8_t *valid, const adding_t *adding)
{
    if (valid == NULL)
        return true;
    if (adding->together)
        return memchr (valid + adding->which[0], 0, adding->count) == NULL;
    size_t i = 0;
    while (i < adding->count && valid[adding->which[i]] != 0)
        i++;
    return i == adding->count;
}

/* Keeps what nulls there are. */
static void add_valid (gathered_t *self, gathered_column_t *column, const uint8_t *valid,
                       const adding_t *adding)
{
    if (column->valid == NULL && valid == NULL)
        return;
    if (column->valid == NULL) {
        column->valid = mem_resize (NULL, self->room, 1);
        memset (column->valid, 1, self->rows);
    }
    for (size_t i = 0; i < adding->count; i++)
        column->valid[self->rows + i] = valid == NULL || valid[adding->which[i]] != 0;
}

static void add_column (gathered_t *self, size_t c, const adding_t *adding)
{
    gathered_column_t *column = &self->column[c];
    const column_t *from = &adding->batch->column[c];
    const uint8_t *valid = all_valid (from->valid, adding) ? NULL : from->valid;
    CHECK (from->type == column->type);
    add_valid (self, column, valid, adding);
    if (column->is_time)
        return;
    if (column->type == TYPE_STRING)
        add_texts (self, column->word, &column->texts, from->s, valid, adding);
    else if (type_is_decimal (column->type))
        add_wide (self, column->word, from->d, adding);
    else
        add_numbers (self, column->word, from->i, adding);
}

void gathered_add (gathered_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    CHECK (batch->columns == self->columns);
    if (count == 0)
        return;
    adding_t adding = { batch, which, count, which[count - 1] - which[0] == count - 1 };
    for (size_t i = 1; adding.together && i < count; i++)
        adding.together = which[i] == which[0] + i;
    if (self->rows == 0)
        begin (self, &adding);
    else
        look_at_layout (self, &adding);
    grow (self, count);
    add_numbers (self, GATHERED_EVENT_TIME, batch->event_time, &adding);
    add_numbers (self, GATHERED_INGEST_TIME, batch->ingest_time, &adding);
    add_places (self, &adding);
    if (self->key_column == GATHERED_KEYS_APART)
        add_texts (self, self->key_word, &self->keys, batch->key, NULL, &adding);
    for (size_t c = 0; c < self->columns; c++)
        add_column (self, c, &adding);
    self->rows += count;
}

/* ---- looking ---- */

text_t gathered_key (const gathered_t *self, size_t row)
{
    static const char number[KEY_NUMBER_SIZE];
    if (self->key_column != GATHERED_KEYS_APART)
        return (text_t){ number, sizeof number };
    return gathered_text (&self->keys, gathered_row (self, row)[self->key_word]);
}

uint64_t gathered_prefix (const gathered_t *self, size_t row, size_t skip)
{
    if (self->key_column == GATHERED_KEYS_APART)
        return sort_prefix (gathered_key (self, row), skip);
    size_t word = self->column[self->key_column].word;
    return (uint64_t)gathered_row (self, row)[word] ^ UINT64_C (1) << 63;
}

size_t gathered_skip (const gathered_t *self)
{
    if (self->key_column != GATHERED_KEYS_APART)
        return GATHERED_NUMBER_SKIP;
    text_t first = gathered_key (self, 0);
    size_t common = first.size > sizeof (uint64_t) ? first.size - sizeof (uint64_t) : 0;
    for (size_t i = 1; i < self->rows && common > 0; i++)
        common = sort_common (gathered_key (self, i), first, common);
    return common;
}

int gathered_compare (const gathered_t *self, size_t a, size_t b)
{
    if (self->in_line)
        return (a > b) - (a < b);
    if (self->offset[a] != self->offset[b])
        return self->offset[a] < self->offset[b] ? -1 : 1;
    return (self->row[a] > self->row[b]) - (self->row[a] < self->row[b]);
}

/* ---- picking ---- */

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

static void pick_keys (const gathered_t *self, const picking_t *picking, arena_t *texts)
{
    batch_t *batch = picking->batch;
    text_t *to = batch->key + picking->at;
    size_t found = batch->keys;
    text_t before = picking->at > 0 ? to[-1] : (text_t){ NULL, UINT32_MAX };
    bool copies = self->keys.longest <= SHORT_KEY;
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
