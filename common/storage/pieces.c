#include "storage/pieces.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

#define PIECES_MAGIC UINT32_C (0x91ece501)

/* A list, and the row that it stands at. */
typedef struct piece {
    const spill_list_t *list; /* NULL: it is in memory */
    size_t number;
    size_t next;        /* block */
    uint8_t *block;     /* the one that it stands in */
    const uint8_t *end; /* of its rows */
    const uint8_t *row; /* at `end`, the next block is to be read */
    size_t size;        /* bytes of the row */
    text_t key;
    uint64_t prefix; /* of the key */
    int64_t time;
} piece_t;

struct pieces {
    uint32_t magic;
    spill_t *spill;
    const packed_t *packed;
    pieces_memory_t memory;
    size_t item; /* of it, where its piece stands */
    size_t count;
    piece_t *piece; /* the last one is that in memory, if there is one */
    piece_t **heap; /* pieces that have a row, the least first */
    size_t live;
};

/* ---- pieces ---- */

static void stand (const pieces_t *self, piece_t *piece)
{
    piece->size = packed_size (self->packed, piece->row);
    piece->time = packed_time (piece->row);
    text_t key = packed_key (self->packed, piece->row);
    if (!text_equal (key, piece->key))
        piece->prefix = sort_prefix (key, 0);
    piece->key = key;
}

/* Ahead of it others are fetched: they lie anywhere. */
static void stand_at_item (pieces_t *self, piece_t *piece)
{
    enum { AHEAD = 16 };
    const pieces_memory_t *memory = &self->memory;
    if (self->item + AHEAD < memory->count)
        __builtin_prefetch (
            parts_row (memory->parts, sort_at (&memory->items[self->item + AHEAD])));
    piece->row = parts_row (memory->parts, sort_at (&memory->items[self->item]));
    piece->end = NULL;
    stand (self, piece);
}

/* Goes to the next row; false: it is in the next block, if there is one. */
static bool step (pieces_t *self, piece_t *piece)
{
    if (piece->list == NULL) {
        if (++self->item == self->memory.count) {
            piece->row = piece->end = NULL;
            return false;
        }
        stand_at_item (self, piece);
        return true;
    }
    piece->row += piece->size;
    if (piece->row == piece->end)
        return false;
    stand (self, piece);
    return true;
}

/* END when there is none. */
static status_t read_block (pieces_t *self, piece_t *piece, error_t *error)
{
    if (piece->list == NULL || piece->next == piece->list->count)
        return error_set (error, STATUS_END, "no more rows");
    const spill_block_t *block = &piece->list->blocks[piece->next++];
    piece->key = (text_t){ NULL, 0 }; /* other bytes come to be where they stood */
    piece->prefix = 0;
    status_t status = spill_read (self->spill, block, piece->block, error);
    if (status != STATUS_OK)
        return status;
    piece->row = piece->block;
    piece->end = piece->block + block->size;
    stand (self, piece);
    return STATUS_OK;
}

static bool comes_before (const piece_t *a, const piece_t *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    if (!text_equal (a->key, b->key))
        return text_compare (a->key, b->key) < 0;
    if (a->time != b->time)
        return a->time < b->time;
    int order = packed_compare (a->row, b->row);
    return order != 0 ? order < 0 : a->number < b->number;
}

/* ---- the heap ---- */

static void sift_down (pieces_t *self, size_t at)
{
    piece_t *piece = self->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= self->live)
            break;
        if (child + 1 < self->live && comes_before (self->heap[child + 1], self->heap[child]))
            child++;
        if (!comes_before (self->heap[child], piece))
            break;
        self->heap[at] = self->heap[child];
        at = child;
    }
    self->heap[at] = piece;
}

/* The piece that comes after the least one; NULL: none. */
static const piece_t *runner_up (const pieces_t *self)
{
    if (self->live < 2)
        return NULL;
    if (self->live > 2 && comes_before (self->heap[2], self->heap[1]))
        return self->heap[2];
    return self->heap[1];
}

status_t pieces_new (spill_t *spill, const packed_t *packed, const spill_list_t *const *lists,
                     size_t count, const pieces_memory_t *memory, pieces_t **pieces, error_t *error)
{
    *pieces = NULL;
    pieces_t *self = mem_zero (1, sizeof *self);
    self->magic = PIECES_MAGIC;
    self->spill = spill;
    self->packed = packed;
    self->memory = *memory;
    self->count = count;
    self->piece = mem_zero (count + 1, sizeof *self->piece);
    self->heap = mem_zero (count + 1, sizeof (piece_t *));
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        CHECK (lists[i]->count > 0);
        self->piece[i] =
            (piece_t){ .list = lists[i], .number = i, .block = mem_alloc (lists[i]->largest) };
        status = read_block (self, &self->piece[i], error);
        self->heap[self->live++] = &self->piece[i];
    }
    if (status != STATUS_OK) {
        pieces_destroy (&self);
        return status;
    }
    if (memory->count > 0) {
        self->piece[count] = (piece_t){ .number = count };
        stand_at_item (self, &self->piece[count]);
        self->heap[self->live++] = &self->piece[count];
    }
    for (size_t i = self->live / 2; i-- > 0;)
        sift_down (self, i);
    *pieces = self;
    return STATUS_OK;
}

void pieces_destroy (pieces_t **self_p)
{
    pieces_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, PIECES_MAGIC);
    for (size_t i = 0; i <= self->count; i++)
        mem_free (self->piece[i].block);
    mem_free (self->piece);
    mem_free (self->heap);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* ---- rows ---- */

/* The least piece's rows that come before all others'. False when it stands at the end of its
 * block, which is not read over while its rows are in use, or when there are `most`. */
static bool take_stretch (pieces_t *self, const uint8_t **rows, size_t most, size_t *count)
{
    piece_t *piece = self->heap[0];
    const piece_t *next = runner_up (self);
    do {
        rows[(*count)++] = piece->row;
        if (!step (self, piece))
            return false;
    } while (*count < most && (next == NULL || comes_before (piece, next)));
    sift_down (self, 0);
    return *count < most;
}

size_t pieces_in_memory (const pieces_t *self)
{
    CHECK_OBJECT (self, PIECES_MAGIC);
    return self->memory.count - self->item;
}

status_t pieces_leave_memory (pieces_t *self, const spill_list_t *list, error_t *error)
{
    CHECK_OBJECT (self, PIECES_MAGIC);
    piece_t *piece = &self->piece[self->count];
    CHECK (pieces_in_memory (self) > 0);
    self->item = self->memory.count;
    piece->list = list;
    piece->block = mem_alloc (list->largest);
    return read_block (self, piece, error);
}

status_t pieces_next (pieces_t *self, const uint8_t **rows, size_t most, size_t *count,
                      error_t *error)
{
    CHECK_OBJECT (self, PIECES_MAGIC);
    *count = 0;
    if (self->live > 0 && self->heap[0]->row == self->heap[0]->end) {
        status_t status = read_block (self, self->heap[0], error);
        if (status == STATUS_END)
            self->heap[0] = self->heap[--self->live];
        else if (status != STATUS_OK)
            return status;
        if (self->live > 0)
            sift_down (self, 0);
    }
    while (self->live > 0 && take_stretch (self, rows, most, count))
        continue;
    return STATUS_OK;
}
