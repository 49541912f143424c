#include "timeline/reply.h"

#include "base/check.h"
#include "base/key.h"
#include "base/mem.h"
#include "timeline/piece.h"

enum {
    REPLY_MAGIC = 0x7265706c,
    ROWS_MAX = PIECE_ROWS, /* of all epochs together; of more, answers are merged */
    CELLS_CHUNK = 4 << 10,
    COPIED = 16, /* bytes of a short text that are copied at a time, some behind its end too */
};

/* The windows of a slot: cells of the plan that follow each other. */
typedef struct reply_slot {
    state_spec_t spec;
    uint32_t cells; /* how many */
    uint32_t *edge; /* of each: its number among the edges */
    uint32_t end;   /* among the ends */
    int32_t filter; /* -1: none */
    uint32_t inputs;
    uint32_t lane[STATE_INPUTS_MAX];
    state_rows_t rows; /* as columns, below */
    void *acc;
} reply_slot_t;

/* The time that the windows of a delay end at. */
typedef struct reply_end {
    int64_t delay;
    uint32_t to; /* rows at or before it */
} reply_end_t;

/* The time that a window begins after. */
typedef struct reply_edge {
    int64_t delay;
    int64_t window;
    uint32_t from; /* rows at or before it */
} reply_edge_t;

struct reply {
    uint32_t magic;
    const plan_t *plan;
    row_layout_t layout;
    arena_t *arena; /* of all arrays */
    reply_slot_t *slot;
    reply_end_t *end;
    size_t ends;
    reply_edge_t *edge;
    size_t edges;
    column_t *lane;
    uint8_t **valid;   /* of each lane: room for what is not null */
    uint8_t **filter;  /* likewise, of what is true */
    uint8_t *all_set;  /* ones */
    bool *whole;       /* of each lane and filter: all rows have it */
    uint8_t *and_bits; /* of the rows' bits */
    void *accs;        /* a set of slot accumulators */
    answer_t *answer;
    buf_t texts;
    size_t rows;
    const uint8_t *row[ROWS_MAX];
    int64_t time[ROWS_MAX];
    uint64_t offset[ROWS_MAX];
    uint32_t number[ROWS_MAX];
};

/* ---- what is known beforehand ---- */

static uint32_t end_of (reply_t *self, int64_t delay)
{
    size_t i = 0;
    while (i < self->ends && self->end[i].delay != delay)
        i++;
    if (i == self->ends)
        self->end[self->ends++] = (reply_end_t){ .delay = delay };
    return (uint32_t)i;
}

static uint32_t edge_of (reply_t *self, int64_t delay, int64_t window)
{
    size_t i = 0;
    while (i < self->edges && (self->edge[i].delay != delay || self->edge[i].window != window))
        i++;
    if (i == self->edges)
        self->edge[self->edges++] = (reply_edge_t){ .delay = delay, .window = window };
    return (uint32_t)i;
}

static void slot_init (reply_t *self, uint32_t number, size_t first_cell)
{
    const plan_t *plan = self->plan;
    const plan_slot_t *info = &plan->slots[number];
    reply_slot_t *slot = &self->slot[number];
    *slot = (reply_slot_t){ .spec = info->spec,
                            .end = end_of (self, info->delay),
                            .filter = info->filter,
                            .inputs = info->inputs,
                            .acc = (uint8_t *)self->accs + info->place };
    slot->rows.time = self->time;
    slot->rows.offset = self->layout.positions ? self->offset : NULL;
    slot->rows.row = self->layout.positions ? self->number : NULL;
    for (uint32_t i = 0; i < info->inputs; i++) {
        slot->lane[i] = info->lane[i];
        slot->rows.lane[i] = &self->lane[info->lane[i]];
    }
    while (first_cell + slot->cells < plan->cells_count &&
           plan->cells[first_cell + slot->cells].slot == number)
        slot->cells++;
    slot->edge = arena_zero (self->arena, slot->cells + 1, sizeof *slot->edge);
    for (uint32_t i = 0; i < slot->cells; i++)
        slot->edge[i] = edge_of (self, info->delay, plan->cells[first_cell + i].window);
}

static void columns_init (reply_t *self)
{
    const plan_t *plan = self->plan;
    size_t bits = plan->lanes_count + plan->filters_count;
    self->all_set = memset (arena_alloc (self->arena, ROWS_MAX), 1, ROWS_MAX);
    self->whole = arena_zero (self->arena, bits + 1, sizeof *self->whole);
    self->and_bits = arena_zero (self->arena, bits / 8 + 1, 1);
    self->lane = arena_zero (self->arena, plan->lanes_count + 1, sizeof *self->lane);
    self->valid = arena_zero (self->arena, plan->lanes_count + 1, sizeof *self->valid);
    self->filter = arena_zero (self->arena, plan->filters_count + 1, sizeof *self->filter);
    for (size_t i = 0; i < plan->lanes_count; i++) {
        self->lane[i] = column_new (self->arena, self->layout.lane_types[i], ROWS_MAX);
        self->valid[i] = self->lane[i].valid;
    }
    for (size_t i = 0; i < plan->filters_count; i++)
        self->filter[i] = arena_zero (self->arena, ROWS_MAX, 1);
}

reply_t *reply_new (const plan_t *plan)
{
    reply_t *self = mem_zero (1, sizeof *self);
    self->magic = REPLY_MAGIC;
    self->plan = plan;
    row_layout_init (&self->layout, plan);
    self->arena = arena_new (CELLS_CHUNK);
    self->accs = mem_alloc (plan->slots_size);
    plan_slots_init (plan, self->accs);
    self->answer = answer_new (plan);
    buf_init (&self->texts, AGGREGATE_PARTIAL_MAX);
    columns_init (self);
    self->slot = arena_zero (self->arena, plan->slots_count + 1, sizeof *self->slot);
    self->end = arena_zero (self->arena, plan->slots_count + 1, sizeof *self->end);
    self->edge = arena_zero (self->arena, plan->cells_count + 1, sizeof *self->edge);
    size_t cell = 0;
    for (uint32_t i = 0; i < plan->slots_count; i++) {
        slot_init (self, i, cell);
        cell += self->slot[i].cells;
    }
    CHECK (cell == plan->cells_count);
    return self;
}

void reply_destroy (reply_t **self_p)
{
    reply_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, REPLY_MAGIC);
    *self_p = NULL;
    self->magic = 0;
    plan_slots_release (self->plan, self->accs);
    mem_free (self->accs);
    answer_destroy (&self->answer);
    buf_release (&self->texts);
    row_layout_release (&self->layout);
    arena_destroy (&self->arena);
    mem_free (self);
}

size_t reply_memory (const reply_t *self)
{
    CHECK_OBJECT (self, REPLY_MAGIC);
    return sizeof *self + arena_held (self->arena) + self->plan->slots_size + self->texts.capacity +
           answer_memory (self->answer) + row_layout_memory (&self->layout);
}

/* ---- a key's rows as columns ---- */

/* Puts the rows in time order, when they come from several epochs: runs that are in order. */
static void rows_sort (reply_t *self, size_t from)
{
    for (size_t i = from; i < self->rows; i++) {
        const uint8_t *row = self->row[i];
        size_t at = i;
        for (; at > 0 && row_time (self->row[at - 1]) > row_time (row); at--)
            self->row[at] = self->row[at - 1];
        self->row[at] = row;
    }
}

/* Finds the key's rows. False: they are too many. */
static bool rows_find (reply_t *self, timeline_t *const *timelines, size_t count, text_t key)
{
    uint64_t hash = key_hash (key);
    self->rows = 0;
    for (size_t i = 0; i < count; i++) {
        size_t already = self->rows;
        if (!timeline_rows (timelines[i], key, hash, self->row, &self->rows, ROWS_MAX))
            return false;
        if (already > 0)
            rows_sort (self, already);
    }
    return true;
}

static void read_places (reply_t *self)
{
    for (size_t i = 0; i < self->rows; i++)
        self->time[i] = row_time (self->row[i]);
    for (size_t i = 0; self->layout.positions && i < self->rows; i++) {
        row_place_t place = row_place (&self->layout, self->row[i]);
        self->offset[i] = place.offset;
        self->number[i] = place.row;
    }
}

/* Which lanes and filters have all rows' bits set? Those of others are spread out. */
static void read_bits (reply_t *self)
{
    size_t lanes = self->plan->lanes_count;
    size_t bits = lanes + self->plan->filters_count;
    size_t bytes = (bits + 7) / 8;
    memset (self->and_bits, 0xff, bytes);
    for (size_t i = 0; i < self->rows; i++)
        for (size_t k = 0; k < bytes; k++)
            self->and_bits[k] &= self->row[i][self->layout.bits + k];
    for (size_t bit = 0; bit < bits; bit++) {
        uint8_t *flags = bit < lanes ? self->valid[bit] : self->filter[bit - lanes];
        self->whole[bit] = (self->and_bits[bit / 8] >> bit % 8 & 1) != 0;
        if (bit < lanes)
            self->lane[bit].valid = self->whole[bit] ? self->all_set : flags;
        for (size_t i = 0; !self->whole[bit] && i < self->rows; i++)
            flags[i] = self->row[i][self->layout.bits + bit / 8] >> bit % 8 & 1;
    }
}

static void read_lane (reply_t *self, size_t number)
{
    column_t *lane = &self->lane[number];
    size_t at = self->layout.lane_at[number];
    if (type_is_decimal (lane->type)) {
        for (size_t i = 0; i < self->rows; i++)
            memcpy (&lane->d[i], self->row[i] + at, sizeof lane->d[i]);
        return;
    }
    if (lane->type == TYPE_STRING) {
        for (size_t i = 0; i < self->rows; i++) {
            uint64_t cell;
            memcpy (&cell, self->row[i] + at, sizeof cell);
            lane->s[i] = row_text (cell);
        }
        return;
    }
    for (size_t i = 0; i < self->rows; i++)
        memcpy (&lane->i[i], self->row[i] + at, sizeof lane->i[i]); /* a float's bits too */
}

/* Rows at or before a time. */
static uint32_t rows_to (const reply_t *self, int64_t time)
{
    size_t low = 0;
    size_t high = self->rows;
    if (self->time[0] > time)
        return 0;
    if (self->time[high - 1] <= time)
        return (uint32_t)high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->time[middle] <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void find_windows (reply_t *self, int64_t as_of)
{
    for (size_t i = 0; i < self->ends; i++)
        self->end[i].to = rows_to (self, as_of - self->end[i].delay);
    for (size_t i = 0; i < self->edges; i++) {
        reply_edge_t *edge = &self->edge[i];
        edge->from = edge->window == WINDOW_LIFETIME
                         ? 0
                         : rows_to (self, as_of - edge->delay - edge->window);
    }
}

/* ---- cells ---- */

/* A slot's windows as ranges of rows, the last range being in all windows that are not empty. */
typedef struct ranges {
    uint32_t start[ROWS_MAX + 1]; /* range i is rows [start[i], start[i + 1]) */
    uint32_t place[ROWS_MAX];
    size_t count;
    uint32_t empty;           /* cells at the beginning with no row in their windows */
    uint8_t of[FEATURES_MAX]; /* per cell behind those: the first of its ranges */
} ranges_t;
_Static_assert(ROWS_MAX <= UINT8_MAX, "a range's number");

static void ranges_find (const reply_t *self, const reply_slot_t *slot, ranges_t *ranges)
{
    uint32_t to = self->end[slot->end].to;
    uint32_t cell = slot->cells;
    ranges->count = 0;
    for (; cell > 0; cell--) {
        uint32_t from = self->edge[slot->edge[cell - 1]].from;
        if (from >= to)
            break;
        if (ranges->count == 0 || from != ranges->start[ranges->count - 1])
            ranges->start[ranges->count++] = from;
        ranges->of[cell - 1] = (uint8_t)(ranges->count - 1);
    }
    ranges->start[ranges->count] = to;
    ranges->empty = cell;
}

static void put_empty (buf_t *out, size_t cells)
{
    uint8_t *to = buf_extend (out, cells);
    if (to != NULL && cells > 0)
        memset (to, 0, cells);
}

/* Copies a text of less than 128 bytes, its size before it; there are COPIED bytes behind both. */
static uint8_t *copy_text (uint8_t *to, const uint8_t *text)
{
    size_t size = 1u + text[0];
    for (size_t i = 0; i < size; i += COPIED)
        memcpy (to + i, text + i, COPIED);
    return to + size;
}

enum { TEXT_ROOM = 80 + COPIED };

/* In one pass, when the state has a quick way for these rows. */
static bool put_quickly (reply_t *self, reply_slot_t *slot, ranges_t *ranges, buf_t *out)
{
    state_suffixes_t suffixes = {
        .start = ranges->start, .ranges = ranges->count, .out = &self->texts, .place = ranges->place
    };
    buf_clear (&self->texts);
    if (buf_room (&self->texts, ranges->count * TEXT_ROOM + COPIED) == NULL ||
        !state_put_suffixes (slot->spec, &slot->rows, &suffixes))
        return false;
    uint8_t *to = buf_room (out, slot->cells * TEXT_ROOM);
    if (to == NULL)
        return false;
    uint8_t *from = to;
    for (uint32_t i = 0; i < slot->cells; i++) {
        uint32_t place = i < ranges->empty ? 0 : ranges->place[ranges->of[i]];
        if (place == 0)
            *to++ = 0;
        else
            to = copy_text (to, self->texts.data + (place - 1));
    }
    buf_grew (out, (size_t)(to - from));
    return true;
}

/* The text that the last cell got, again. */
static void put_again (buf_t *out, size_t last)
{
    size_t size = out->size - last;
    uint8_t *to = buf_extend (out, size);
    if (to != NULL)
        memcpy (to, out->data + last, size);
}

/* A range at a time into an accumulator. */
static void put_slowly (reply_slot_t *slot, const ranges_t *ranges, buf_t *out)
{
    size_t next = ranges->count; /* ranges that have not been added */
    size_t last = 0;
    put_empty (out, ranges->empty);
    state_reset (slot->spec, slot->acc);
    for (uint32_t i = ranges->empty; i < slot->cells && !out->bad; i++) {
        bool changed = i == ranges->empty;
        for (; next > ranges->of[i]; next--) {
            slot->rows.from = ranges->start[next - 1];
            slot->rows.to = ranges->start[next];
            changed |= state_add_rows (slot->spec, slot->acc, &slot->rows);
        }
        if (!changed) {
            size_t again = out->size;
            put_again (out, last);
            last = again;
            continue;
        }
        last = out->size;
        size_t part = buf_part_begin (out);
        state_encode (slot->spec, slot->acc, out);
        buf_part_end (out, part);
    }
}

static void put_slot (reply_t *self, reply_slot_t *slot, buf_t *out)
{
    ranges_t ranges;
    ranges_find (self, slot, &ranges);
    if (ranges.count == 0) {
        put_empty (out, slot->cells);
        return;
    }
    size_t filter = self->plan->lanes_count + (size_t)slot->filter;
    bool filtered = slot->filter >= 0 && !self->whole[filter];
    slot->rows.filter = filtered ? self->filter[slot->filter] : NULL;
    slot->rows.whole = !filtered;
    for (uint32_t i = 0; i < slot->inputs; i++)
        slot->rows.whole &= self->whole[slot->lane[i]];
    if (!put_quickly (self, slot, &ranges, out))
        put_slowly (slot, &ranges, out);
}

static void put_merged (reply_t *self, timeline_t *const *timelines, size_t count, text_t key,
                        int64_t as_of, buf_t *out)
{
    answer_reset (self->answer);
    for (size_t i = 0; i < count; i++)
        timeline_merge (timelines[i], key, as_of, self->answer);
    answer_encode (self->answer, out);
}

void reply_put (reply_t *self, timeline_t *const *timelines, size_t count, text_t key,
                int64_t as_of, buf_t *out)
{
    CHECK_OBJECT (self, REPLY_MAGIC);
    if (!rows_find (self, timelines, count, key)) {
        put_merged (self, timelines, count, key, as_of, out);
        return;
    }
    if (self->rows == 0) {
        answer_encode_latest (ANSWER_NEVER, out);
        put_empty (out, self->plan->cells_count);
        return;
    }
    read_places (self);
    read_bits (self);
    for (size_t i = 0; i < self->plan->lanes_count; i++)
        read_lane (self, i);
    find_windows (self, as_of);
    uint32_t known = rows_to (self, as_of);
    answer_encode_latest (known > 0 ? self->time[known - 1] : ANSWER_NEVER, out);
    for (uint32_t i = 0; i < self->plan->slots_count && !out->bad; i++)
        put_slot (self, &self->slot[i], out);
}
