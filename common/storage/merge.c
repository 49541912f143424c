#include "storage/merge.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/rows.h"
#include "storage/sort.h"

#define MERGE_MAGIC UINT32_C (0x3e49e001)

/* A key, and its first bytes as two numbers, which nearly always decide. */
typedef struct head {
    uint64_t high;
    uint64_t low;
    text_t key;
} head_t;

enum { HEAD_SIZE = 16 }; /* bytes of a key in the two numbers */

/* One source and the row that it stands at. */
typedef struct stream {
    head_t head;  /* the row's key … */
    int64_t time; /* … and time */
    merge_source_t source;
    uint32_t number;
    uint32_t chunk; /* number among the chunk's batches, when in_chunk says so */
    uint64_t in_chunk;
    batch_t batch;
    size_t at;
} stream_t;

struct merge {
    uint32_t magic;
    merge_options_t options;
    stream_t *streams;
    stream_t **heap; /* streams that have a row, the least first */
    size_t live;
    size_t columns;
    type_t *types; /* of the first batch seen; NULL before it */
    uint64_t chunks;
    rows_place_t *places; /* of the chunk being made */
    batch_t *batches;     /* that the places are in */
    bool failed;
};

/* ---- sources ---- */

static status_t next_of_cursor (void *self, batch_t *batch, error_t *error)
{
    return run_cursor_next (self, batch, error);
}

merge_source_t merge_run (run_cursor_t *cursor)
{
    return (merge_source_t){ .next = next_of_cursor, .self = cursor };
}

static status_t next_of_memory (void *self, batch_t *batch, error_t *error)
{
    merge_memory_t *memory = self;
    if (memory->given)
        return error_set (error, STATUS_END, "no more rows");
    memory->given = true;
    *batch = *memory->batch;
    return STATUS_OK;
}

merge_source_t merge_batch (merge_memory_t *memory)
{
    return (merge_source_t){ .next = next_of_memory, .self = memory };
}

/* ---- streams ---- */

static status_t check_columns (merge_t *self, const batch_t *batch, error_t *error)
{
    CHECK (batch->key != NULL);
    bool first = self->types == NULL;
    if (first) {
        self->columns = batch->columns;
        self->types = mem_zero (batch->columns, sizeof *self->types);
    }
    if (batch->columns != self->columns)
        return error_set (error, STATUS_CORRUPT, "merge: sources of %zu and %zu columns",
                          self->columns, batch->columns);
    for (size_t i = 0; i < batch->columns; i++) {
        if (first)
            self->types[i] = batch->column[i].type;
        if (batch->column[i].type != self->types[i])
            return error_set (error, STATUS_CORRUPT, "merge: column %zu is %s and %s", i,
                              type_word (self->types[i]), type_word (batch->column[i].type));
    }
    return STATUS_OK;
}

static bool is_kept (const merge_t *self, const stream_t *stream, size_t row)
{
    return self->options.keep == NULL ||
           self->options.keep (self->options.arg, stream->number, stream->batch.offset[row]);
}

/* Takes note of the row that the stream stands at. Rows of one key share its bytes, mostly. */
static void stand (stream_t *stream)
{
    text_t key = stream->batch.key[stream->at];
    stream->time = stream->batch.event_time[stream->at];
    if (key.data == stream->head.key.data && key.size == stream->head.key.size)
        return;
    stream->head = (head_t){ sort_prefix (key, 0), sort_prefix (key, HEAD_SIZE / 2), key };
}

/* Goes on to the first kept row of the batch that is not before stream->at, if there is one. */
static bool find_kept (const merge_t *self, stream_t *stream)
{
    while (stream->at < stream->batch.rows && !is_kept (self, stream, stream->at))
        stream->at++;
    if (stream->at == stream->batch.rows)
        return false;
    stand (stream);
    return true;
}

/* Reads on to the next kept row, END when there is none. The chunk, if any, borrows the batch that
 * the stream stands behind: one reading leaves that alone, and before a second one the chunk is
 * copied. */
static status_t refill (merge_t *self, stream_t *stream, arena_t *arena, batch_t *chunk,
                        error_t *error)
{
    for (size_t readings = 0;; readings++) {
        if (readings == 1 && chunk != NULL)
            *chunk = rows_copy (chunk, arena);
        status_t status = stream->source.next (stream->source.self, &stream->batch, error);
        stream->at = 0;
        stream->head = (head_t){ 0 }; /* other bytes may stand where the key's did */
        if (status == STATUS_OK)
            status = check_columns (self, &stream->batch, error);
        if (status != STATUS_OK)
            return status;
        if (find_kept (self, stream))
            return STATUS_OK;
    }
}

/* ---- the heap ---- */

static bool same_key (const head_t *a, const head_t *b)
{
    return a->high == b->high && a->low == b->low && a->key.size == b->key.size &&
           (a->key.size <= HEAD_SIZE || text_equal (a->key, b->key));
}

/* Of keys that are not the same. Where the numbers are, a key that has ended comes first. */
static bool key_comes_before (const head_t *a, const head_t *b)
{
    if (a->high != b->high)
        return a->high < b->high;
    if (a->low != b->low)
        return a->low < b->low;
    return text_compare (a->key, b->key) < 0;
}

static bool comes_before (const stream_t *a, const stream_t *b)
{
    if (!same_key (&a->head, &b->head))
        return key_comes_before (&a->head, &b->head);
    if (a->time != b->time)
        return a->time < b->time;
    int order = rows_compare (&a->batch, a->at, &b->batch, b->at);
    return order != 0 ? order < 0 : a->number < b->number;
}

static void sift_down (merge_t *self, size_t at)
{
    stream_t *stream = self->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= self->live)
            break;
        if (child + 1 < self->live && comes_before (self->heap[child + 1], self->heap[child]))
            child++;
        if (!comes_before (self->heap[child], stream))
            break;
        self->heap[at] = self->heap[child];
        at = child;
    }
    self->heap[at] = stream;
}

/* Puts the least stream, whose row was taken, where it belongs now, after reading on if it must. */
static status_t advance (merge_t *self, arena_t *arena, batch_t *chunk, error_t *error)
{
    stream_t *stream = self->heap[0];
    if (!find_kept (self, stream)) {
        status_t status = refill (self, stream, arena, chunk, error);
        if (status == STATUS_END)
            self->heap[0] = self->heap[--self->live];
        else if (status != STATUS_OK)
            return status;
    }
    if (self->live > 0)
        sift_down (self, 0);
    return STATUS_OK;
}

status_t merge_new (const merge_source_t *sources, size_t count, const merge_options_t *options,
                    merge_t **merge, error_t *error)
{
    CHECK (count <= MERGE_SOURCES_MAX);
    *merge = NULL;
    merge_t *self = mem_zero (1, sizeof *self);
    self->magic = MERGE_MAGIC;
    if (options != NULL)
        self->options = *options;
    if (self->options.chunk_rows == 0)
        self->options.chunk_rows = MERGE_CHUNK_ROWS;
    self->streams = mem_zero (count, sizeof *self->streams);
    self->heap = mem_zero (count, sizeof (stream_t *));
    self->batches = mem_zero (count, sizeof *self->batches);
    self->places = mem_zero (self->options.chunk_rows, sizeof *self->places);
    for (size_t i = 0; i < count; i++) {
        stream_t *stream = &self->streams[i];
        stream->source = sources[i];
        stream->number = (uint32_t)i;
        status_t status = refill (self, stream, NULL, NULL, error);
        if (status == STATUS_OK) {
            self->heap[self->live++] = stream;
        } else if (status != STATUS_END) {
            merge_destroy (&self);
            return status;
        }
    }
    for (size_t i = self->live / 2; i-- > 0;)
        sift_down (self, i);
    *merge = self;
    return STATUS_OK;
}

void merge_destroy (merge_t **self_p)
{
    merge_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, MERGE_MAGIC);
    mem_free (self->streams);
    mem_free (self->heap);
    mem_free (self->batches);
    mem_free (self->places);
    mem_free (self->types);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* ---- chunks ---- */

/* The stream that comes after the least one, which is one of the root's children; NULL: none. */
static const stream_t *runner_up (const merge_t *self)
{
    if (self->live < 2)
        return NULL;
    if (self->live > 2 && comes_before (self->heap[2], self->heap[1]))
        return self->heap[2];
    return self->heap[1];
}

/* What is left of the batch of the only stream: borrowed as it lies. */
static status_t take_slice (merge_t *self, arena_t *arena, batch_t *chunk, error_t *error)
{
    stream_t *stream = self->heap[0];
    size_t left = stream->batch.rows - stream->at;
    size_t most = left < self->options.chunk_rows ? left : self->options.chunk_rows;
    size_t end = stream->at + 1;
    while (end < stream->at + most && is_kept (self, stream, end))
        end++;
    *chunk = rows_slice (&stream->batch, stream->at, end, arena);
    stream->at = end;
    return advance (self, arena, chunk, error);
}

/* The number among the chunk's batches of the one that the stream stands in. */
static uint32_t batch_number (merge_t *self, stream_t *stream, uint32_t *batches)
{
    if (stream->in_chunk != self->chunks) {
        stream->in_chunk = self->chunks;
        stream->chunk = (*batches)++;
        self->batches[stream->chunk] = stream->batch;
    }
    return stream->chunk;
}

/* Puts the least stream's rows that come before all others' behind the chunk's, as far as one look
 * at the next stream tells: to the end of the key. Then the stream stands at the row behind them.
 * False when the chunk is full, or the stream has to read on. */
static bool take_stretch (merge_t *self, uint32_t number, size_t *rows)
{
    stream_t *stream = self->heap[0];
    const stream_t *next = runner_up (self);
    const batch_t *batch = &stream->batch;
    text_t key = stream->head.key;
    int64_t limit = next != NULL && same_key (&stream->head, &next->head) ? next->time : INT64_MAX;
    size_t at = stream->at;
    do {
        self->places[(*rows)++] = (rows_place_t){ number, (uint32_t)at++ };
    } while (*rows < self->options.chunk_rows && at < batch->rows &&
             batch->key[at].data == key.data && batch->key[at].size == key.size &&
             batch->event_time[at] < limit && is_kept (self, stream, at));
    stream->at = at;
    return *rows < self->options.chunk_rows && find_kept (self, stream);
}

/* A chunk of rows from several streams. It ends where one of them must read on, as what it borrows
 * would not outlive two readings. */
static status_t take_mixed (merge_t *self, arena_t *arena, batch_t *chunk, error_t *error)
{
    self->chunks++;
    uint32_t batches = 0;
    size_t rows = 0;
    while (take_stretch (self, batch_number (self, self->heap[0], &batches), &rows))
        sift_down (self, 0);
    *chunk = rows_pick (self->batches, self->places, rows, arena);
    return advance (self, arena, chunk, error);
}

status_t merge_next (merge_t *self, arena_t *arena, batch_t *batch, error_t *error)
{
    CHECK_OBJECT (self, MERGE_MAGIC);
    CHECK (!self->failed);
    if (self->live == 0)
        return error_set (error, STATUS_END, "no more rows");
    batch_t chunk;
    status_t status = self->live == 1 ? take_slice (self, arena, &chunk, error)
                                      : take_mixed (self, arena, &chunk, error);
    if (status != STATUS_OK) {
        self->failed = true;
        return status;
    }
    *batch = chunk;
    return STATUS_OK;
}
