#include "batch-worker/training/events.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    EVENTS_MAGIC = 0x65766e74,
    PROJECT_CHUNK = 1 << 20,
    STRINGS_CHUNK = 64 << 10,
    HELD_LEAST = 1024, /* rows */
};

/* The strings of some of the copied events. */
typedef struct strings {
    arena_t *arena;
    uint64_t end; /* number after the last of them */
} strings_t;

/* Copied events: rows [at, count) of `rows` are there. */
typedef struct held {
    projection_t rows;
    size_t at;
    size_t count;
    size_t capacity;
    bool *whole;
    strings_t *strings; /* oldest first */
    size_t strings_count;
    size_t strings_capacity;
} held_t;

struct events {
    uint32_t magic;
    const plan_t *plan;
    merge_source_t source;
    arena_t *projected;
    projection_t block; /* the rows that came last */
    projection_t none;  /* of no rows */
    bool *whole;        /* per slot, of those */
    size_t next;        /* the first of them that no key had */
    bool done;          /* the source has no more */
    uint8_t key_bytes[KEY_SIZE_MAX];
    text_t key;
    event_rows_t given;
    bool open;
    held_t held;
    size_t row_size; /* bytes of a copied row without its strings */
    bool has_strings;
};

events_t *events_new (const plan_t *plan, merge_source_t source)
{
    events_t *self = mem_zero (1, sizeof *self);
    self->magic = EVENTS_MAGIC;
    self->plan = plan;
    self->source = source;
    self->projected = arena_new (PROJECT_CHUNK);
    self->whole = mem_zero (plan->slots_count + 1, sizeof *self->whole);
    self->held.whole = mem_zero (plan->slots_count + 1, sizeof *self->held.whole);
    self->held.rows.lane = mem_zero (plan->lanes_count + 1, sizeof (column_t));
    self->held.rows.filter = mem_zero (plan->filters_count + 1, sizeof (uint8_t *));
    self->none.lane = mem_zero (plan->lanes_count + 1, sizeof (column_t));
    self->none.filter = mem_zero (plan->filters_count + 1, sizeof (uint8_t *));
    self->block = self->none;
    self->row_size = 2 * sizeof (int64_t) + sizeof (uint64_t) + sizeof (uint32_t) +
                     plan->filters_count + plan->lanes_count;
    return self;
}

static void free_strings (held_t *self, uint64_t below)
{
    size_t gone = 0;
    while (gone < self->strings_count && self->strings[gone].end <= below)
        arena_destroy (&self->strings[gone++].arena);
    self->strings_count -= gone;
    if (gone > 0 && self->strings_count > 0)
        memmove (self->strings, self->strings + gone, self->strings_count * sizeof *self->strings);
}

void events_destroy (events_t **self_p)
{
    events_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, EVENTS_MAGIC);
    *self_p = NULL;
    held_t *held = &self->held;
    free_strings (held, UINT64_MAX);
    for (size_t i = 0; i < self->plan->lanes_count; i++) {
        mem_free (held->rows.lane[i].valid);
        mem_free (held->rows.lane[i].data);
    }
    for (size_t i = 0; i < self->plan->filters_count; i++)
        mem_free (held->rows.filter[i]);
    mem_free (held->rows.lane);
    mem_free (held->rows.filter);
    mem_free (held->rows.time);
    mem_free (held->rows.ingest);
    mem_free (held->rows.offset);
    mem_free (held->rows.row);
    mem_free (held->strings);
    mem_free (held->whole);
    mem_free (self->whole);
    mem_free (self->none.lane);
    mem_free (self->none.filter);
    arena_destroy (&self->projected);
    self->magic = 0;
    mem_free (self);
}

/* ---- blocks ---- */

static bool all_valid (const column_t *lane, size_t rows)
{
    return rows == 0 || memchr (lane->valid, 0, rows) == NULL;
}

static void find_whole (events_t *self)
{
    const plan_t *plan = self->plan;
    for (size_t s = 0; s < plan->slots_count; s++) {
        const plan_slot_t *slot = &plan->slots[s];
        self->whole[s] = slot->filter < 0;
        for (uint32_t i = 0; self->whole[s] && i < slot->inputs; i++)
            self->whole[s] = all_valid (&self->block.lane[slot->lane[i]], self->block.rows);
    }
}

/* The next rows of the view; none when there are no more. */
static status_t next_block (events_t *self, error_t *error)
{
    self->next = 0;
    self->block = self->none;
    while (!self->done && self->block.rows == 0) {
        batch_t batch;
        status_t status = self->source.next (self->source.self, &batch, error);
        self->done = status == STATUS_END;
        if (status != STATUS_OK && !self->done)
            return status;
        arena_reset (self->projected);
        self->block = self->done ? self->none : plan_project (self->plan, &batch, self->projected);
    }
    find_whole (self);
    return STATUS_OK;
}

/* The first row from `at` on whose key is not below (or with `above`, is above) the key. */
static size_t find_row (const events_t *self, size_t at, bool above)
{
    const text_t *keys = self->block.key;
    size_t rows = self->block.rows;
    size_t step = 1;
    int least = above ? 1 : 0;
    if (at == rows || text_compare (keys[at], self->key) >= least)
        return at;
    /* at is one that comes before; doubled steps find one that does not */
    size_t low = at;
    while (low + step < rows && text_compare (keys[low + step], self->key) < least) {
        low += step;
        step *= 2;
    }
    size_t high = low + step < rows ? low + step : rows;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (text_compare (keys[middle], self->key) < least)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* The key's rows at the place where the block is. */
static size_t take_rows (events_t *self)
{
    size_t from = self->next;
    self->next = find_row (self, from, true);
    self->open = self->next == self->block.rows && !self->done;
    return self->next - from;
}

status_t events_key (events_t *self, text_t key, error_t *error)
{
    CHECK_OBJECT (self, EVENTS_MAGIC);
    CHECK (key.size <= KEY_SIZE_MAX);
    if (key.size > 0)
        memcpy (self->key_bytes, key.data, key.size);
    self->key = (text_t){ (const char *)self->key_bytes, key.size };
    free_strings (&self->held, UINT64_MAX);
    self->held.at = self->held.count = 0;
    self->given = (event_rows_t){ .whole = self->whole };
    self->open = false;
    for (;;) {
        self->next = find_row (self, self->next, false);
        if (self->next < self->block.rows || self->done)
            break;
        status_t status = next_block (self, error);
        if (status != STATUS_OK)
            return status;
    }
    size_t from = self->next;
    self->given.end = take_rows (self);
    self->given.rows = self->block;
    self->given.at = from;
    return STATUS_OK;
}

const event_rows_t *events_rows (const events_t *self)
{
    return &self->given;
}

bool events_open (const events_t *self)
{
    return self->open;
}

/* ---- copies ---- */

static void *grown (void *array, size_t rows, size_t size)
{
    return mem_resize (array, rows, size);
}

static void make_room (events_t *self, size_t rows)
{
    held_t *held = &self->held;
    if (held->count + rows <= held->capacity)
        return;
    size_t capacity = held->capacity * 2 > HELD_LEAST ? held->capacity * 2 : HELD_LEAST;
    while (capacity < held->count + rows)
        capacity *= 2;
    projection_t *to = &held->rows;
    for (size_t i = 0; i < self->plan->lanes_count; i++) {
        column_t *lane = &to->lane[i];
        lane->type = self->block.lane[i].type;
        lane->valid = grown (lane->valid, capacity, 1);
        lane->data = grown (lane->data, capacity, type_size (lane->type));
    }
    for (size_t i = 0; i < self->plan->filters_count; i++)
        to->filter[i] = grown (to->filter[i], capacity, 1);
    to->time = grown (to->time, capacity, sizeof *to->time);
    to->ingest = grown (to->ingest, capacity, sizeof *to->ingest);
    to->offset = grown (to->offset, capacity, sizeof *to->offset);
    to->row = grown (to->row, capacity, sizeof *to->row);
    held->capacity = capacity;
}

static void shift (void *array, size_t from, size_t rows, size_t size)
{
    memmove (array, (uint8_t *)array + from * size, rows * size);
}

/* Moves what is there to the front, when that is the smaller half. */
static void compact (events_t *self)
{
    held_t *held = &self->held;
    size_t at = held->at;
    size_t rows = held->count - at;
    if (at == 0 || rows > at)
        return;
    for (size_t i = 0; i < self->plan->lanes_count; i++) {
        column_t *lane = &held->rows.lane[i];
        shift (lane->valid, at, rows, 1);
        shift (lane->data, at, rows, type_size (lane->type));
    }
    for (size_t i = 0; i < self->plan->filters_count; i++)
        shift (held->rows.filter[i], at, rows, 1);
    shift (held->rows.time, at, rows, sizeof *held->rows.time);
    shift (held->rows.ingest, at, rows, sizeof *held->rows.ingest);
    shift (held->rows.offset, at, rows, sizeof *held->rows.offset);
    shift (held->rows.row, at, rows, sizeof *held->rows.row);
    held->at = 0;
    held->count = rows;
}

static void put (void *array, size_t at, const void *from, size_t first, size_t rows, size_t size)
{
    if (from != NULL)
        memcpy ((uint8_t *)array + at * size, (const uint8_t *)from + first * size, rows * size);
}

static arena_t *strings_arena (events_t *self, uint64_t end)
{
    held_t *held = &self->held;
    if (held->strings_count == held->strings_capacity) {
        held->strings_capacity = held->strings_capacity * 2 + 4;
        held->strings = mem_resize (held->strings, held->strings_capacity, sizeof *held->strings);
    }
    strings_t *strings = &held->strings[held->strings_count++];
    *strings = (strings_t){ arena_new (STRINGS_CHUNK), end };
    return strings->arena;
}

static void copy_strings (events_t *self, size_t at, size_t rows, uint64_t end)
{
    arena_t *arena = NULL;
    for (size_t i = 0; i < self->plan->lanes_count; i++) {
        column_t *lane = &self->held.rows.lane[i];
        if (lane->type != TYPE_STRING)
            continue;
        if (arena == NULL)
            arena = strings_arena (self, end);
        for (size_t r = at; r < at + rows; r++)
            if (lane->valid[r])
                lane->s[r] = arena_text (arena, lane->s[r]);
    }
}

/* Copies block rows [from, from + rows), which are the key's up to number `end`. */
static void append (events_t *self, size_t from, size_t rows, uint64_t end)
{
    held_t *held = &self->held;
    const projection_t *block = &self->block;
    compact (self);
    make_room (self, rows);
    size_t at = held->count;
    for (size_t s = 0; s < self->plan->slots_count; s++)
        held->whole[s] = self->whole[s] && (held->whole[s] || at == held->at);
    for (size_t i = 0; i < self->plan->lanes_count; i++) {
        column_t *lane = &held->rows.lane[i];
        put (lane->valid, at, block->lane[i].valid, from, rows, 1);
        put (lane->data, at, block->lane[i].data, from, rows, type_size (lane->type));
    }
    for (size_t i = 0; i < self->plan->filters_count; i++)
        put (held->rows.filter[i], at, block->filter[i], from, rows, 1);
    put (held->rows.time, at, block->time, from, rows, sizeof *block->time);
    put (held->rows.ingest, at, block->ingest, from, rows, sizeof *block->ingest);
    put (held->rows.offset, at, block->offset, from, rows, sizeof *block->offset);
    put (held->rows.row, at, block->row, from, rows, sizeof *block->row);
    held->count += rows;
    copy_strings (self, at, rows, end);
}

/* What is given lies among the copies. */
static void give_copies (events_t *self)
{
    event_rows_t *given = &self->given;
    given->rows = self->held.rows;
    given->rows.rows = self->held.count;
    if (self->block.ingest == NULL)
        given->rows.ingest = NULL;
    if (self->block.offset == NULL)
        given->rows.offset = NULL;
    given->at = self->held.at;
    given->whole = self->held.whole;
}

status_t events_more (events_t *self, error_t *error)
{
    CHECK_OBJECT (self, EVENTS_MAGIC);
    CHECK (self->open);
    event_rows_t *given = &self->given;
    size_t kept = (size_t)(given->end - given->first);
    if (self->held.count == self->held.at && kept > 0)
        append (self, given->at, kept, given->end);
    if (kept > 0)
        give_copies (self);
    status_t status = next_block (self, error);
    if (status != STATUS_OK)
        return status;
    size_t rows = take_rows (self);
    self->open = self->open && rows > 0;
    if (kept == 0) {
        given->rows = self->block;
        given->at = 0;
        given->whole = self->whole;
    } else if (rows > 0) {
        append (self, 0, rows, given->end + rows);
        give_copies (self);
    }
    given->end += rows;
    return STATUS_OK;
}

void events_let_go (events_t *self, uint64_t number)
{
    CHECK_OBJECT (self, EVENTS_MAGIC);
    event_rows_t *given = &self->given;
    if (number <= given->first)
        return;
    CHECK (number <= given->end);
    size_t rows = (size_t)(number - given->first);
    given->at += rows;
    given->first = number;
    if (self->held.count == self->held.at)
        return;
    self->held.at += rows;
    free_strings (&self->held, number);
}

size_t events_memory (const events_t *self)
{
    const held_t *held = &self->held;
    size_t size = self->row_size;
    if (held->capacity == 0)
        return 0;
    for (size_t i = 0; i < self->plan->lanes_count; i++)
        size += type_size (held->rows.lane[i].type);
    size = size * held->capacity;
    for (size_t i = 0; i < held->strings_count; i++)
        size += arena_held (held->strings[i].arena);
    return size;
}
