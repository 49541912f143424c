#include "batch-worker/training/spine.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

enum {
    SPINE_MAGIC = 0x7370696e,
    GIVEN_ROWS = 2048, /* which stay in the near cache while they are answered */
    ROWS_LEAST = 1024,
    TEXTS_CHUNK = 256 << 10,
    SKIP = 1, /* bytes that keys of one log begin with alike: the type of the first field */
    PLAIN_MAX = SKIP + sizeof (uint64_t), /* a key of so many bytes is in its item */
    NUMBER_BITS = 64 - SORT_SIZE_BITS,
};

struct spine {
    uint32_t magic;
    size_t columns_count;
    column_t *columns; /* by the order in which rows came */
    sort_item_t *items;
    uint64_t *numbers; /* likewise; NULL: they are the items' places themselves */
    text_t *keys;      /* likewise; NULL: all are plain */
    size_t rows;
    size_t capacity;
    uint8_t first_byte; /* of plain keys */
    arena_t *texts;     /* keys that are not plain, and strings */
    bool sorted;
    size_t next; /* that is given next */
    sort_item_t *spare;
    arena_t *given;
};

/* Memory that is read here and there comes in large pages when it is much. */
static void *alloc (size_t count, size_t size)
{
    enum { MUCH = 4 << 20 };
    CHECK (count <= SIZE_MAX / 2 / size);
    return count * size < MUCH ? mem_alloc (count * size) : mem_alloc_large (count * size);
}

static void *grown (void *array, size_t rows, size_t capacity, size_t size)
{
    void *to = alloc (capacity, size);
    if (rows > 0)
        memcpy (to, array, rows * size);
    mem_free (array);
    return to;
}

static void reserve (spine_t *self, size_t capacity)
{
    size_t rows = self->rows;
    self->items = grown (self->items, rows, capacity, sizeof *self->items);
    if (self->numbers != NULL)
        self->numbers = grown (self->numbers, rows, capacity, sizeof *self->numbers);
    if (self->keys != NULL)
        self->keys = grown (self->keys, rows, capacity, sizeof *self->keys);
    for (size_t c = 0; c < self->columns_count; c++) {
        column_t *column = &self->columns[c];
        column->valid = grown (column->valid, rows, capacity, 1);
        column->data = grown (column->data, rows, capacity, type_size (column->type));
    }
    self->capacity = capacity;
}

spine_t *spine_new (const type_t *types, size_t columns, size_t rows)
{
    spine_t *self = mem_zero (1, sizeof *self);
    self->magic = SPINE_MAGIC;
    self->columns_count = columns;
    self->columns = mem_zero (columns + 1, sizeof *self->columns);
    for (size_t c = 0; c < columns; c++)
        self->columns[c].type = types[c];
    self->texts = arena_new (TEXTS_CHUNK);
    self->given = arena_new (TEXTS_CHUNK);
    if (rows > 0)
        reserve (self, rows);
    return self;
}

void spine_destroy (spine_t **self_p)
{
    spine_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SPINE_MAGIC);
    *self_p = NULL;
    for (size_t c = 0; c < self->columns_count; c++) {
        mem_free (self->columns[c].valid);
        mem_free (self->columns[c].data);
    }
    mem_free (self->columns);
    mem_free (self->items);
    mem_free (self->numbers);
    mem_free (self->keys);
    arena_destroy (&self->texts);
    arena_destroy (&self->given);
    self->magic = 0;
    mem_free (self);
}

void *spine_recycle (spine_t **self_p, size_t *size)
{
    spine_t *self = *self_p;
    CHECK_OBJECT (self, SPINE_MAGIC);
    void *items = self->items;
    *size = self->capacity * sizeof *self->items;
    self->items = NULL;
    spine_destroy (self_p);
    return items;
}

/* ---- adding ---- */

static void make_room (spine_t *self, size_t rows)
{
    if (self->rows + rows <= self->capacity)
        return;
    size_t capacity = self->capacity * 2 > ROWS_LEAST ? self->capacity * 2 : ROWS_LEAST;
    while (capacity < self->rows + rows)
        capacity *= 2;
    reserve (self, capacity);
}

/* The key that the item has in itself, into PLAIN_MAX bytes. */
static text_t plain_key (const spine_t *self, const sort_item_t *item, uint8_t *bytes)
{
    uint64_t prefix = __builtin_bswap64 (item->prefix);
    bytes[0] = self->first_byte;
    memcpy (bytes + SKIP, &prefix, sizeof prefix);
    return (text_t){ (const char *)bytes, sort_size (item) };
}

/* From now on rows have places by the order in which they came. */
static void keep_numbers (spine_t *self)
{
    if (self->numbers != NULL)
        return;
    self->numbers = alloc (self->capacity, sizeof *self->numbers);
    for (size_t i = 0; i < self->rows; i++) {
        sort_item_t *item = &self->items[i];
        self->numbers[i] = sort_at (item);
        item->place = sort_place (i, sort_size (item));
    }
}

/* From now on keys stand beside the items. */
static void keep_keys (spine_t *self)
{
    keep_numbers (self);
    self->keys = mem_zero (self->capacity, sizeof *self->keys);
    for (size_t i = 0; i < self->rows; i++) {
        uint8_t bytes[PLAIN_MAX];
        self->keys[i] = arena_text (self->texts, plain_key (self, &self->items[i], bytes));
    }
}

static void add_row (spine_t *self, const batch_t *batch, size_t row)
{
    text_t key = batch->key[row];
    size_t at = self->rows;
    CHECK (key.size <= KEY_SIZE_MAX);
    CHECK (batch->offset[row] >> NUMBER_BITS == 0);
    if (self->first_byte == 0 && key.size > 0)
        self->first_byte = (uint8_t)key.data[0];
    CHECK (key.size == 0 || (uint8_t)key.data[0] == self->first_byte);
    if (self->keys == NULL && key.size > PLAIN_MAX)
        keep_keys (self);
    if (self->columns_count > 0)
        keep_numbers (self);
    if (self->keys != NULL)
        self->keys[at] = arena_text (self->texts, key);
    self->items[at] = (sort_item_t){ .prefix = sort_prefix (key, SKIP),
                                     .time = batch->event_time[row],
                                     .place = sort_place (at, key.size) };
    if (self->numbers == NULL)
        self->items[at].place = sort_place (batch->offset[row], key.size);
    else
        self->numbers[at] = batch->offset[row];
    for (size_t c = 0; c < self->columns_count; c++) {
        column_t *to = &self->columns[c];
        const column_t *from = &batch->column[c];
        to->valid[at] = from->valid[row];
        column_copy (to, at, from, row);
        if (to->type == TYPE_STRING && to->valid[at])
            to->s[at] = arena_text (self->texts, to->s[at]);
    }
    self->rows++;
}

void spine_add (spine_t *self, const batch_t *batch, const uint32_t *which, size_t count)
{
    CHECK_OBJECT (self, SPINE_MAGIC);
    CHECK (!self->sorted);
    CHECK (batch->columns == self->columns_count);
    make_room (self, count);
    for (size_t i = 0; i < count; i++)
        add_row (self, batch, which[i]);
}

size_t spine_rows (const spine_t *self)
{
    return self->rows;
}

size_t spine_bytes (const spine_t *self)
{
    size_t row = sizeof *self->items;
    if (self->numbers != NULL)
        row += sizeof *self->numbers;
    if (self->keys != NULL)
        row += sizeof *self->keys;
    for (size_t c = 0; c < self->columns_count; c++)
        row += 1 + type_size (self->columns[c].type);
    return self->capacity * row + arena_held (self->texts) + arena_held (self->given);
}

size_t spine_spare (const spine_t *self)
{
    return self->rows * sizeof *self->items;
}

/* ---- giving ---- */

/* Sorting looks at keys that have the same prefix: of plain ones none has more to tell but its
 * size, and the empty one is the only one that may be shorter than others. */
static text_t key_at (const void *arg, uint64_t at)
{
    const spine_t *self = arg;
    return self->keys[at];
}

static int compare_numbers (const void *arg, uint64_t a, uint64_t b)
{
    const spine_t *self = arg;
    return (self->numbers[a] > self->numbers[b]) - (self->numbers[a] < self->numbers[b]);
}

/* Are all keys of PLAIN_MAX bytes? Then their prefixes tell everything. */
static bool all_of_one_size (const spine_t *self)
{
    for (size_t i = 0; i < self->rows; i++)
        if (sort_size (&self->items[i]) != PLAIN_MAX)
            return false;
    return true;
}

static void sort (spine_t *self)
{
    self->sorted = true;
    if (self->keys == NULL && !all_of_one_size (self))
        keep_keys (self);
    sort_rows_t rows = { key_at, self->numbers != NULL ? compare_numbers : NULL, self, SKIP };
    sort_item_t *own = self->spare == NULL ? alloc (self->rows, sizeof *own) : NULL;
    sort_items (self->items, own != NULL ? own : self->spare, self->rows, &rows);
    mem_free (own);
}

static void give_keys (const spine_t *self, const sort_item_t *items, batch_t *batch,
                       arena_t *arena)
{
    enum { ROOM = 16 };
    uint8_t *bytes = self->keys == NULL ? arena_alloc (arena, batch->rows * ROOM) : NULL;
    for (size_t i = 0; i < batch->rows; i++)
        if (i > 0 && self->keys == NULL && items[i].prefix == items[i - 1].prefix)
            batch->key[i] = batch->key[i - 1];
        else if (self->keys == NULL)
            batch->key[i] = plain_key (self, &items[i], bytes + i * ROOM);
        else
            batch->key[i] = self->keys[sort_at (&items[i])];
}

static status_t next_rows (void *arg, batch_t *batch, error_t *error)
{
    spine_t *self = arg;
    CHECK_OBJECT (self, SPINE_MAGIC);
    if (!self->sorted)
        sort (self);
    if (self->next == self->rows)
        return error_set (error, STATUS_END, "no more rows");
    size_t left = self->rows - self->next;
    size_t rows = left < GIVEN_ROWS ? left : GIVEN_ROWS;
    const sort_item_t *items = self->items + self->next;
    arena_t *arena = self->given;
    arena_reset (arena);
    *batch = (batch_t){ .rows = rows, .columns = self->columns_count };
    batch->column = arena_zero (arena, self->columns_count, sizeof *batch->column);
    batch->key = arena_alloc (arena, rows * sizeof *batch->key);
    batch->event_time = arena_alloc (arena, rows * sizeof *batch->event_time);
    batch->offset = arena_alloc (arena, rows * sizeof *batch->offset);
    batch->row = arena_zero (arena, rows, sizeof *batch->row);
    give_keys (self, items, batch, arena);
    for (size_t i = 0; i < rows; i++) {
        batch->event_time[i] = items[i].time;
        uint64_t at = sort_at (&items[i]);
        batch->offset[i] = self->numbers != NULL ? self->numbers[at] : at;
    }
    for (size_t c = 0; c < self->columns_count; c++) {
        batch->column[c] = column_new (arena, self->columns[c].type, rows);
        for (size_t i = 0; i < rows; i++) {
            size_t at = sort_at (&items[i]);
            batch->column[c].valid[i] = self->columns[c].valid[at];
            column_copy (&batch->column[c], i, &self->columns[c], at);
        }
    }
    self->next += rows;
    return STATUS_OK;
}

merge_source_t spine_source (spine_t *self, void *spare)
{
    self->spare = spare;
    return (merge_source_t){ .next = next_rows, .self = self };
}
