#include "storage/gathered.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    ROOM_MIN = 128,  /* rows, at first */
    TEXT_MIN = 1024, /* bytes of texts, at first */
    LINE = 64,       /* bytes that memory comes in */
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

void gathered_next (gathered_t *self)
{
    clear_texts (&self->keys);
    for (size_t c = 0; c < self->columns; c++) {
        gathered_column_t *column = &self->column[c];
        column->was_apart |= self->rows > 0 && !column->is_time;
        column->had_nulls |= column->valid != NULL;
        clear_texts (&column->texts);
        mem_free (column->valid);
        column->valid = NULL;
    }
    self->rows = 0;
}

void gathered_clear (gathered_t *self)
{
    gathered_next (self);
    for (size_t c = 0; c < self->columns; c++)
        self->column[c].was_apart = self->column[c].had_nulls = false;
}

void gathered_init_like (gathered_t *self, const gathered_t *other)
{
    *self = (gathered_t){ .columns = other->columns, .room = ROOM_MIN };
    self->column = mem_zero (self->columns, sizeof *self->column);
    for (size_t c = 0; c < self->columns; c++) {
        const gathered_column_t *like = &other->column[c];
        self->column[c].type = like->type;
        self->column[c].was_apart = like->was_apart || (other->rows > 0 && !like->is_time);
        self->column[c].had_nulls = like->had_nulls || like->valid != NULL;
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
    bool together;                 /* they are neighbours there */
    const gathered_known_t *known; /* NULL: nothing */
} adding_t;

static bool is_time (size_t c, const adding_t *adding)
{
    const column_t *from = &adding->batch->column[c];
    const int64_t *times = adding->batch->event_time;
    if (adding->known != NULL)
        return adding->known->is_time[c];
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

static bool is_key (size_t c, const adding_t *adding)
{
    const column_t *from = &adding->batch->column[c];
    const text_t *keys = adding->batch->key;
    if (adding->known != NULL)
        return adding->known->key_column == (int)c;
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
        gathered_column_t *column = &self->column[c];
        column->is_time =
            !column->was_apart && column->type == TYPE_TIMESTAMP && is_time (c, adding);
        if (self->key_column == GATHERED_KEYS_APART && !column->is_time &&
            is_integer (column->type) && is_key (c, adding))
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
    bool keys_apart =
        self->key_column != GATHERED_KEYS_APART && !is_key ((size_t)self->key_column, adding);
    for (size_t c = 0; c < self->columns; c++) {
        gathered_column_t *column = &self->column[c];
        if (!column->is_time || is_time (c, adding))
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
    size_t count = adding->count;
    for (size_t i = 0; i < count; i++)
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
    if (self->in_line)
        return;
    const uint32_t *which = adding->which;
    const batch_t *batch = adding->batch;
    size_t count = adding->count;
    uint64_t *offset = self->offset + self->rows;
    uint32_t *number = self->row + self->rows;
    for (size_t i = 0; i < count; i++) {
        offset[i] = batch->offset[which[i]];
        number[i] = batch->row[which[i]];
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

static void add (gathered_t *self, const adding_t *adding)
{
    const batch_t *batch = adding->batch;
    if (self->rows == 0)
        begin (self, adding);
    else
        look_at_layout (self, adding);
    grow (self, adding->count);
    add_numbers (self, GATHERED_EVENT_TIME, batch->event_time, adding);
    add_numbers (self, GATHERED_INGEST_TIME, batch->ingest_time, adding);
    add_places (self, adding);
    if (self->key_column == GATHERED_KEYS_APART)
        add_texts (self, self->key_word, &self->keys, batch->key, NULL, adding);
    for (size_t c = 0; c < self->columns; c++)
        add_column (self, c, adding);
    self->rows += adding->count;
}

void gathered_add (gathered_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    CHECK (batch->columns == self->columns);
    if (count == 0)
        return;
    adding_t adding = { batch, which, count, which[count - 1] - which[0] == count - 1, NULL };
    for (size_t i = 1; adding.together && i < count; i++)
        adding.together = which[i] == which[0] + i;
    add (self, &adding);
}

void gathered_add_known (gathered_t *self, const batch_t *batch, const uint32_t *which,
                         size_t count, const gathered_known_t *known)
{
    CHECK (batch->columns == self->columns);
    CHECK (count > 0 && which[count - 1] - which[0] == count - 1);
    adding_t adding = { batch, which, count, true, known };
    add (self, &adding);
}

/* ---- looking ---- */

text_t gathered_key (const gathered_t *self, size_t row)
{
    static const char number[KEY_NUMBER_SIZE];
    if (self->key_column != GATHERED_KEYS_APART)
        return (text_t){ number, sizeof number };
    return gathered_text (&self->keys, gathered_row (self, row)[self->key_word]);
}

text_t gathered_whole_key (const gathered_t *self, size_t row, uint8_t *number)
{
    if (self->key_column == GATHERED_KEYS_APART)
        return gathered_key (self, row);
    const gathered_column_t *column = &self->column[self->key_column];
    key_put_integer (number, column->type, gathered_row (self, row)[column->word]);
    return (text_t){ (const char *)number, KEY_NUMBER_SIZE };
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
