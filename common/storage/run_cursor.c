#include "base/check.h"
#include "base/mem.h"
#include "storage/rows.h"
#include "storage/run_format.h"

#define RUN_CURSOR_MAGIC UINT32_C (0x52c54503)

enum { ARENA_CHUNK = 1 << 20 };

struct run_cursor {
    uint32_t magic;
    const run_t *run;
    bool all; /* every column is wanted */
    uint64_t wanted[BLOCK_WANTED_WORDS];
    unsigned leave;                      /* as block_decode_some has it */
    columns_map_t *map;                  /* NULL: columns as they are stored */
    uint64_t mapped[BLOCK_WANTED_WORDS]; /* wanted of the map's result; `wanted` is what is read */
    size_t next;                         /* the block to be read next */
    arena_t *arena[2]; /* taken in turns, so that the batch before the newest stays */
    unsigned turn;     /* the one to be taken next */
    bool seeking;      /* rows before `seek` are to be left out */
    text_t seek;       /* in seek_bytes */
    char seek_bytes[KEY_SIZE_MAX];
};

/* ---- searching ---- */

size_t run_find_block (const run_t *run, text_t key)
{
    size_t low = 0;
    size_t high = run->info.blocks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (text_compare (run->blocks[middle].last_key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t run_find_row (const batch_t *batch, text_t key, bool after)
{
    size_t low = 0;
    size_t high = batch->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare (batch->key[middle], key);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- one key ---- */

/* The key's rows of block `which`, which may be none. */
static status_t key_rows_of_block (const run_t *self, size_t which, text_t key, arena_t *arena,
                                   const uint64_t *wanted, batch_t *batch, error_t *error)
{
    batch_t whole;
    status_t status = run_read_block (self, which, arena, wanted, 0, &whole, error);
    if (status != STATUS_OK)
        return status;
    size_t from = run_find_row (&whole, key, false);
    size_t to = run_find_row (&whole, key, true);
    *batch = rows_slice (&whole, from, to < from ? from : to, arena);
    return STATUS_OK;
}

/* All rows of the batches, one after the other. */
static batch_t join (const batch_t *batches, size_t count, size_t rows, arena_t *arena)
{
    rows_place_t *places = arena_alloc (arena, rows * sizeof *places);
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < batches[i].rows; row++)
            places[at++] = (rows_place_t){ (uint32_t)i, (uint32_t)row };
    return rows_pick (batches, places, rows, arena);
}

static batch_t no_rows (const run_t *self, arena_t *arena)
{
    return batch_new (arena, self->types, self->info.schema.columns, 0);
}

status_t run_key_rows (const run_t *self, text_t key, arena_t *arena, const uint64_t *wanted,
                       batch_t *batch, error_t *error)
{
    size_t first = run_find_block (self, key);
    size_t end = first;
    while (end < self->info.blocks && text_compare (self->blocks[end].first_key, key) <= 0)
        end++;
    batch_t *parts = arena_alloc (arena, (end - first) * sizeof *parts);
    size_t held = arena_held (arena);
    size_t rows = 0;
    for (size_t i = first; i < end; i++) {
        batch_t *part = &parts[i - first];
        status_t status = key_rows_of_block (self, i, key, arena, wanted, part, error);
        if (status != STATUS_OK)
            return status;
        rows += part->rows;
        if (rows > RUN_KEY_ROWS_MAX || arena_held (arena) - held > RUN_KEY_BYTES_MAX)
            return error_set (error, STATUS_TOO_LARGE, "run %s: a key has over %zu rows",
                              self->path, rows);
    }
    if (rows == 0)
        *batch = no_rows (self, arena);
    else if (end - first == 1)
        *batch = parts[0];
    else
        *batch = join (parts, end - first, rows, arena);
    return STATUS_OK;
}

/* ---- cursors ---- */

run_cursor_t *run_cursor_new (const run_t *run, const uint64_t *wanted)
{
    run_cursor_t *self = mem_zero (1, sizeof *self);
    self->magic = RUN_CURSOR_MAGIC;
    self->run = run;
    self->all = wanted == NULL;
    if (wanted != NULL && run->info.schema.columns > 0)
        memcpy (self->wanted, wanted, (run->info.schema.columns + 63) / 64 * sizeof *wanted);
    self->arena[0] = arena_new (ARENA_CHUNK);
    self->arena[1] = arena_new (ARENA_CHUNK);
    return self;
}

status_t run_cursor_new_as (const run_t *run, const columns_t *as, const uint64_t *wanted,
                            run_cursor_t **cursor, error_t *error)
{
    const run_schema_t *schema = &run->info.schema;
    columns_t stored = { schema->types, schema->ids, schema->columns };
    *cursor = NULL;
    if (columns_equal (&stored, as)) {
        *cursor = run_cursor_new (run, wanted);
        return STATUS_OK;
    }
    columns_map_t *map = mem_alloc (sizeof *map);
    status_t status = columns_map_make (map, &stored, as, error);
    if (status != STATUS_OK) {
        mem_free (map);
        return error_prefix (error, "run %s", run->path);
    }
    uint64_t read[BLOCK_WANTED_WORDS];
    uint64_t mapped[BLOCK_WANTED_WORDS];
    memset (mapped, 0xff, sizeof mapped);
    if (wanted != NULL && as->count > 0)
        memcpy (mapped, wanted, (as->count + 63) / 64 * sizeof *wanted);
    columns_map_wanted (map, mapped, read);
    *cursor = run_cursor_new (run, read);
    memcpy ((*cursor)->mapped, mapped, sizeof mapped);
    (*cursor)->map = map;
    return STATUS_OK;
}

void run_cursor_leave (run_cursor_t *self, unsigned leave)
{
    CHECK_OBJECT (self, RUN_CURSOR_MAGIC);
    self->leave = leave;
}

void run_cursor_destroy (run_cursor_t **self_p)
{
    run_cursor_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, RUN_CURSOR_MAGIC);
    arena_destroy (&self->arena[0]);
    arena_destroy (&self->arena[1]);
    mem_free (self->map);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

status_t run_cursor_next (run_cursor_t *self, batch_t *batch, error_t *error)
{
    CHECK_OBJECT (self, RUN_CURSOR_MAGIC);
    for (;;) {
        if (self->next == self->run->info.blocks)
            return error_set (error, STATUS_END, "no more rows");
        arena_t *arena = self->arena[self->turn];
        arena_reset (arena);
        batch_t whole;
        status_t status =
            run_read_block (self->run, self->next, arena, self->all ? NULL : self->wanted,
                            self->leave, &whole, error);
        if (status != STATUS_OK)
            return status;
        if (self->map != NULL)
            whole = columns_map_apply (self->map, &whole, self->mapped, arena);
        self->next++;
        size_t from = self->seeking ? run_find_row (&whole, self->seek, false) : 0;
        if (from == whole.rows)
            continue; /* only in a run whose rows are out of order */
        self->seeking = false;
        self->turn = 1 - self->turn;
        *batch = from == 0 ? whole : rows_slice (&whole, from, whole.rows, arena);
        return STATUS_OK;
    }
}

status_t run_cursor_seek_key (run_cursor_t *self, text_t key, error_t *error)
{
    CHECK_OBJECT (self, RUN_CURSOR_MAGIC);
    if (key.size > KEY_SIZE_MAX)
        return error_set (error, STATUS_INVALID, "a key of %u bytes (at most %d)", key.size,
                          KEY_SIZE_MAX);
    self->next = run_find_block (self->run, key);
    self->seeking = true;
    if (key.size > 0)
        memcpy (self->seek_bytes, key.data, key.size);
    self->seek = (text_t){ self->seek_bytes, key.size };
    return STATUS_OK;
}
