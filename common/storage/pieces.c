#include "storage/pieces.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/sort.h"

#define PIECES_MAGIC UINT32_C (0x91ece501)

/* A list, and the row that it stands at. */
typedef struct piece {
    const spill_list_t *list;
    size_t number;
    size_t next;     /* block */
    uint8_t *block;  /* the one that it stands in … */
    size_t left;     /* … and bytes of its tiles that are not in `rows` … */
    size_t at;       /* … from there on */
    gathered_t rows; /* a tile */
    size_t row;      /* at the end of the tile, the next one is to be taken */
    text_t key;
    uint8_t number_key[KEY_NUMBER_SIZE]; /* what it may be in */
    uint64_t prefix;                     /* of the key */
    int64_t time;
} piece_t;

struct pieces {
    uint32_t magic;
    spill_t *spill;
    coded_t coded;
    uint32_t which[CODED_ROWS]; /* all rows */
    size_t count;
    piece_t *piece;
    piece_t **heap; /* pieces that have a row, the least first */
    size_t live;
};

/* ---- pieces ---- */

static void stand (piece_t *piece)
{
    const gathered_t *rows = &piece->rows;
    piece->time = gathered_row (rows, piece->row)[GATHERED_EVENT_TIME];
    piece->key = gathered_whole_key (rows, piece->row, piece->number_key);
    piece->prefix = sort_prefix (piece->key, 0);
}

/* Goes to the next row; false: it is in the next tile, if there is one. */
static bool step (piece_t *piece)
{
    if (++piece->row == piece->rows.rows)
        return false;
    stand (piece);
    return true;
}

/* The next tile, of the next block when this one has no more; END when there is none. */
static status_t next_tile (pieces_t *self, piece_t *piece, error_t *error)
{
    if (piece->left == 0) {
        if (piece->next == piece->list->count)
            return error_set (error, STATUS_END, "no more rows");
        const spill_block_t *block = &piece->list->blocks[piece->next++];
        status_t status = spill_read (self->spill, block, piece->block, error);
        if (status != STATUS_OK)
            return status;
        piece->left = block->size;
        piece->at = 0;
    }
    gathered_next (&piece->rows);
    size_t size = coded_take (&self->coded, piece->block + piece->at, piece->left, &piece->rows);
    piece->at += size;
    piece->left -= size;
    piece->row = 0;
    stand (piece);
    return STATUS_OK;
}

static int compare_places (const gathered_t *a, size_t x, const gathered_t *b, size_t y)
{
    uint64_t offset[2] = { gathered_offset (a, x), gathered_offset (b, y) };
    uint32_t row[2] = { gathered_number (a, x), gathered_number (b, y) };
    if (offset[0] != offset[1])
        return offset[0] < offset[1] ? -1 : 1;
    return (row[0] > row[1]) - (row[0] < row[1]);
}

static bool comes_before (const piece_t *a, const piece_t *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    if (!text_equal (a->key, b->key))
        return text_compare (a->key, b->key) < 0;
    if (a->time != b->time)
        return a->time < b->time;
    int order = compare_places (&a->rows, a->row, &b->rows, b->row);
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

status_t pieces_new (spill_t *spill, const gathered_t *like, const spill_list_t *const *lists,
                     size_t count, pieces_t **pieces, error_t *error)
{
    *pieces = NULL;
    pieces_t *self = mem_zero (1, sizeof *self);
    self->magic = PIECES_MAGIC;
    self->spill = spill;
    coded_init (&self->coded, like);
    for (size_t i = 0; i < CODED_ROWS; i++)
        self->which[i] = (uint32_t)i;
    self->piece = mem_zero (count, sizeof *self->piece);
    self->heap = mem_zero (count, sizeof (piece_t *));
    status_t status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        CHECK (lists[i]->count > 0);
        piece_t *piece = &self->piece[self->count++];
        piece->list = lists[i];
        piece->number = i;
        piece->block = mem_alloc (lists[i]->largest + CODED_MORE);
        gathered_init_like (&piece->rows, like);
        status = next_tile (self, piece, error);
        self->heap[self->live++] = piece;
    }
    if (status != STATUS_OK) {
        pieces_destroy (&self);
        return status;
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
    for (size_t i = 0; i < self->count; i++) {
        mem_free (self->piece[i].block);
        gathered_release (&self->piece[i].rows);
    }
    coded_release (&self->coded);
    mem_free (self->piece);
    mem_free (self->heap);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

/* ---- rows ---- */

status_t pieces_next (pieces_t *self, size_t most, pieces_rows_t *rows, error_t *error)
{
    CHECK_OBJECT (self, PIECES_MAGIC);
    *rows = (pieces_rows_t){ .count = 0 };
    /* a tile is not taken over that of rows that are in use */
    if (self->live > 0 && self->heap[0]->row == self->heap[0]->rows.rows) {
        status_t status = next_tile (self, self->heap[0], error);
        if (status == STATUS_END)
            self->heap[0] = self->heap[--self->live];
        else if (status != STATUS_OK)
            return status;
        if (self->live > 0)
            sift_down (self, 0);
    }
    if (self->live == 0)
        return STATUS_OK;
    piece_t *piece = self->heap[0];
    const piece_t *next = runner_up (self);
    rows->rows = &piece->rows;
    rows->which = self->which + piece->row;
    bool here;
    do {
        rows->count++;
        here = step (piece);
    } while (here && rows->count < most && (next == NULL || comes_before (piece, next)));
    if (here)
        sift_down (self, 0);
    return STATUS_OK;
}
