#include "speed-worker/forward.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "block/block.h"
#include "intake/logged.h"
#include "speed-worker/forward_read.h"
#include "storage/rows.h"

#include <inttypes.h>
#include <string.h>

enum {
    FORWARD_MAGIC = 0x46574144,
    MESSAGE_ROWS_MAX = 8192,   /* events in one question */
    MESSAGE_BATCHES_MAX = 512, /* records that they are from */
    BLOCK_MAX = 15 << 20,      /* bytes of their block */
    READ_AHEAD_MAX = 16 << 20, /* bytes of records read that wait for their targets */
    SCRATCH_CHUNK = 1 << 16,
    PIECE_CHUNK = 1 << 10,
    /* an id: the bit, then source, number, target, and a counter */
    COUNTER_BITS = 30,
    TARGET_BITS = 12,
    NUMBER_BITS = 6,
    SOURCE_BITS = 12,
};
_Static_assert(FORWARD_NUMBERS == 1 << NUMBER_BITS, "a number fits its bits");
_Static_assert(COUNTER_BITS + TARGET_BITS + NUMBER_BITS + SOURCE_BITS <= 62, "an id fits");

#define ID_BIT        (UINT64_C (1) << 62)
#define PATIENCE      (500 * TIME_MS) /* for an answer */
#define BACKOFF_FIRST (10 * TIME_MS)
#define BACKOFF_LAST  TIME_SECOND

/* A target partition. */
typedef struct target {
    bool known;       /* its mark is */
    uint64_t mark;    /* it durably holds everything below */
    uint64_t asked;   /* id of the question under way, 0 none */
    int64_t asked_at; /* boot µs */
    int64_t again;    /* boot µs: not before */
    int64_t backoff;
    uint32_t pieces; /* that hold events for it */
} target_t;

/* A record with events that some target is not known to have. */
typedef struct piece {
    struct piece *next;
    uint64_t offset;
    uint32_t count;
    batch_t batch;
    const forget_payload_t *forget; /* NULL: events */
    void *record;                   /* that was handed over; NULL: read from the log … */
    size_t read_bytes;              /* … so much of it */
    size_t held_bytes;              /* of what follows, beside that */
    arena_t *arena;                 /* of what follows, and of a batch that was read */
    uint32_t *partition;            /* per event; UINT32_MAX for none */
    uint64_t *wants;                /* bit per target */
    uint32_t missing;               /* bits */
} piece_t;

struct forward {
    uint32_t magic;
    forward_options_t options;
    char *from_name;
    char *log_name;
    model_t *model;
    keyed_log_t from;
    keyed_log_t log;
    target_t *targets;
    uint32_t unknown;     /* targets whose marks are not known */
    piece_t *pieces;      /* by offset */
    uint64_t end;         /* of what was handed over */
    uint64_t scanned;     /* below it, and from options.position on, all records were looked at */
    bool placed;          /* `scanned` has begun at the least mark */
    size_t read_bytes;    /* of pieces that were read */
    size_t piece_bytes;   /* of those that were handed over, beside the records */
    forward_read_t *read; /* under way */
    int64_t read_again;   /* boot µs: not before */
    uint64_t counter;
    arena_t *scratch;
    buf_t block;
};

/* ---- life ---- */

static void find_logs (forward_t *self)
{
    bool found = model_log (self->model, text_of (self->from_name), &self->from) &&
                 model_log (self->model, text_of (self->log_name), &self->log);
    CHECK (found);
    CHECK (self->from.primary && !self->log.primary);
}

forward_t *forward_new (const forward_options_t *options, const char *from, const char *to,
                        model_t *model)
{
    CHECK (options->number < FORWARD_NUMBERS);
    CHECK (options->partitions <= 1u << TARGET_BITS);
    forward_t *self = mem_zero (1, sizeof *self);
    self->magic = FORWARD_MAGIC;
    self->options = *options;
    self->from_name = mem_string (from);
    self->log_name = mem_string (to);
    self->model = model_ref (model);
    find_logs (self);
    self->targets = mem_zero (options->partitions, sizeof *self->targets);
    self->unknown = options->partitions;
    for (uint32_t t = 0; t < options->partitions; t++)
        self->targets[t].backoff = BACKOFF_FIRST;
    self->end = options->position;
    self->counter = options->env->random (options->env);
    self->scratch = arena_new (SCRATCH_CHUNK);
    buf_init (&self->block, BLOCK_MAX);
    return self;
}

static void piece_destroy (forward_t *self, piece_t *piece)
{
    void *record = piece->record;
    self->read_bytes -= piece->read_bytes;
    self->piece_bytes -= piece->held_bytes;
    arena_t *arena = piece->arena;
    arena_destroy (&arena); /* the piece is in it */
    if (record)
        self->options.done (self->options.arg, record);
}

void forward_destroy (forward_t **self_p)
{
    forward_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, FORWARD_MAGIC);
    while (self->pieces) {
        piece_t *piece = self->pieces;
        self->pieces = piece->next;
        piece_destroy (self, piece);
    }
    model_unref (&self->model);
    arena_destroy (&self->scratch);
    buf_release (&self->block);
    mem_free (self->targets);
    mem_free (self->from_name);
    mem_free (self->log_name);
    self->magic = 0;
    mem_free (self);
}

const char *forward_log_name (const forward_t *self)
{
    return self->log_name;
}

/* ---- pieces ---- */

/* The batch, of the stream in an earlier model (or the same), as one of the stream now. */
static batch_t as_of_now (const forward_t *self, const model_t *model, const batch_t *batch,
                          arena_t *arena)
{
    keyed_log_t then;
    batch_t as;
    error_t error;
    bool found = model_log (model, text_of (self->from_name), &then);
    CHECK (found);
    if (then.stream == self->from.stream)
        return *batch;
    status_t status = stream_batch_as (then.stream, self->from.stream, batch, arena, &as, &error);
    CHECK (status == STATUS_OK);
    return as;
}

static bool wants (const piece_t *piece, uint32_t target)
{
    return piece->wants[target / 64] >> target % 64 & 1;
}

/* A forget is for every target that does not have it. */
static void place_forget (forward_t *self, piece_t *piece)
{
    uint32_t partitions = self->options.partitions;
    piece->wants = arena_zero (piece->arena, (partitions + 63) / 64, sizeof *piece->wants);
    for (uint32_t t = 0; t < partitions; t++) {
        if (piece->offset < self->targets[t].mark)
            continue;
        piece->wants[t / 64] |= UINT64_C (1) << t % 64;
        piece->missing++;
    }
}

/* Which target each event is for; those that a target is known to have are for nobody. */
static void place_events (forward_t *self, piece_t *piece)
{
    uint32_t partitions = self->options.partitions;
    piece->partition = arena_alloc (piece->arena, piece->batch.rows * sizeof *piece->partition);
    piece->wants = arena_zero (piece->arena, (partitions + 63) / 64, sizeof *piece->wants);
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    for (size_t r = 0; r < piece->batch.rows; r++) {
        buf_clear (&key);
        piece->partition[r] = UINT32_MAX;
        if (!keyed_log_key (&self->log, &piece->batch, r, &key))
            continue;
        text_t text = { (const char *)key.data, (uint32_t)key.size };
        uint32_t target = key_partition (key_hash (text), partitions);
        if (piece->batch.offset[r] < self->targets[target].mark)
            continue;
        piece->partition[r] = target;
        if (!wants (piece, target)) {
            piece->wants[target / 64] |= UINT64_C (1) << target % 64;
            piece->missing++;
        }
    }
    buf_release (&key);
}

static const forget_payload_t *forget_copy (const forget_payload_t *forget, arena_t *arena)
{
    forget_payload_t *copy = arena_alloc (arena, sizeof *copy);
    *copy = *forget;
    copy->id = arena_text (arena, forget->id);
    copy->key = arena_text (arena, forget->key);
    return copy;
}

/* At its place in the list; false, and it is gone, when it is for nobody. */
static bool add_piece (forward_t *self, piece_t *piece)
{
    if (piece->forget)
        place_forget (self, piece);
    else
        place_events (self, piece);
    if (piece->missing == 0)
        return false;
    for (uint32_t t = 0; t < self->options.partitions; t++)
        self->targets[t].pieces += wants (piece, t);
    piece_t **at = &self->pieces;
    while (*at && (*at)->offset < piece->offset)
        at = &(*at)->next;
    piece->next = *at;
    *at = piece;
    return true;
}

/* Keys stay what they are: a key's field never gets another type. */
void forward_set_model (forward_t *self, model_t *model)
{
    CHECK_OBJECT (self, FORWARD_MAGIC);
    model_t *before = self->model;
    self->model = model_ref (model);
    find_logs (self);
    for (piece_t *piece = self->pieces; piece; piece = piece->next)
        if (!piece->forget)
            piece->batch = as_of_now (self, before, &piece->batch, piece->arena);
    model_unref (&before);
}

bool forward_add (forward_t *self, const forward_record_t *record, void *arg)
{
    CHECK_OBJECT (self, FORWARD_MAGIC);
    CHECK (record->offset == self->end);
    self->end = record->offset + record->count;
    if (record->batch->rows == 0 && !record->forget)
        return false;
    arena_t *arena = arena_new (PIECE_CHUNK);
    piece_t *piece = arena_zero (arena, 1, sizeof *piece);
    *piece = (piece_t){
        .offset = record->offset, .count = record->count, .record = arg, .arena = arena
    };
    if (record->forget)
        piece->forget = forget_copy (record->forget, arena);
    else
        piece->batch = as_of_now (self, record->model, record->batch, arena);
    if (add_piece (self, piece)) {
        self->piece_bytes += piece->held_bytes = arena_held (arena);
        return true;
    }
    arena_destroy (&arena);
    return false;
}

/* The target has everything below its mark. */
static void settle_pieces (forward_t *self, uint32_t number)
{
    target_t *target = &self->targets[number];
    piece_t **at = &self->pieces;
    while (*at && target->pieces > 0 && (*at)->offset < target->mark) {
        piece_t *piece = *at;
        bool has = wants (piece, number) && piece->offset + piece->count <= target->mark;
        if (has) {
            piece->wants[number / 64] &= ~(UINT64_C (1) << number % 64);
            piece->missing--;
            target->pieces--;
        }
        if (has && piece->missing == 0) {
            *at = piece->next;
            piece_destroy (self, piece);
        } else {
            at = &piece->next;
        }
    }
}

/* ---- what the log held ---- */

static void start_reading (forward_t *self, int64_t now)
{
    bool more = self->scanned < self->options.position && self->read_bytes < READ_AHEAD_MAX;
    if (!more || self->read || now < self->read_again)
        return;
    self->read = forward_read_new (self->options.env->fs, self->from_name, self->model,
                                   self->options.cluster_id, self->options.source, self->scanned,
                                   self->options.position);
    self->read->job.lane = self->options.lane;
    self->options.env->submit (self->options.env, &self->read->job);
}

static void take_record (forward_t *self, const model_t *model, read_record_t *record)
{
    arena_t *arena = record->arena;
    record->arena = NULL;
    piece_t *piece = arena_zero (arena, 1, sizeof *piece);
    *piece = (piece_t){ .offset = record->offset, .count = record->count, .arena = arena };
    piece->forget = record->forget;
    if (!piece->forget)
        piece->batch = as_of_now (self, model, &record->batch, arena);
    if (add_piece (self, piece))
        self->read_bytes += piece->read_bytes = arena_held (arena);
    else
        arena_destroy (&arena);
}

bool forward_job_done (forward_t *self, job_t *job)
{
    CHECK_OBJECT (self, FORWARD_MAGIC);
    if (!self->read || job != &self->read->job)
        return false;
    forward_read_t *read = self->read;
    self->read = NULL;
    env_t *env = self->options.env;
    if (read->status == STATUS_OK) {
        for (size_t i = 0; i < read->records_count; i++)
            take_record (self, read->model, &read->records[i]);
        self->scanned = read->next;
    } else {
        env_log (env, LOG_ERROR, "%s/%u: not read for %s, trying again: %s", self->from_name,
                 self->options.source, self->log_name, read->error.text);
        self->read_again = env->boot_us (env) + BACKOFF_LAST;
    }
    forward_read_destroy (&read);
    return true;
}

/* All marks are known: what is to be read begins at the least of them. */
static void place_reading (forward_t *self)
{
    if (self->placed || self->unknown > 0)
        return;
    self->placed = true;
    uint64_t least = forward_low (self);
    self->scanned = least < self->options.position ? least : self->options.position;
}

/* ---- asking ---- */

/* Up to where everything for anybody is among the pieces. */
static uint64_t looked_at (const forward_t *self)
{
    return self->scanned < self->options.position ? self->scanned : self->end;
}

/* Events chosen for a question, in the scratch arena. */
typedef struct picked {
    batch_t *batches;
    rows_place_t *places;
    size_t batches_count;
    size_t count;
    const forget_payload_t *forget; /* at `to` - 1, alone; NULL */
    uint64_t to;
} picked_t;

/* Events of a piece for the target, from its mark on; false: there was no room for all. */
static bool pick_events (const piece_t *piece, uint32_t number, uint64_t mark, size_t most,
                         picked_t *picked)
{
    uint32_t batch = (uint32_t)picked->batches_count;
    picked->batches[picked->batches_count++] = piece->batch;
    for (size_t r = 0; r < piece->batch.rows; r++) {
        if (piece->partition[r] != number || piece->batch.offset[r] < mark)
            continue;
        if (picked->count == most) {
            picked->to = piece->batch.offset[r];
            return false;
        }
        picked->places[picked->count++] = (rows_place_t){ .batch = batch, .row = (uint32_t)r };
    }
    return true;
}

/* The events that are asked about next, at most `most`. */
static void pick (const forward_t *self, uint32_t number, size_t most, picked_t *picked)
{
    uint64_t mark = self->targets[number].mark;
    uint64_t end = looked_at (self);
    arena_reset (self->scratch);
    *picked = (picked_t){ .to = end };
    picked->batches = arena_alloc (self->scratch, MESSAGE_BATCHES_MAX * sizeof *picked->batches);
    picked->places = arena_alloc (self->scratch, most * sizeof *picked->places);
    for (const piece_t *piece = self->pieces; piece && piece->offset < end; piece = piece->next) {
        if (!wants (piece, number) || piece->offset + piece->count <= mark)
            continue;
        if (piece->forget) { /* a question of its own, after what is before it */
            bool alone = picked->batches_count == 0;
            picked->forget = alone ? piece->forget : NULL;
            picked->to = piece->offset + alone;
            return;
        }
        if (picked->batches_count == MESSAGE_BATCHES_MAX) {
            picked->to = piece->offset;
            return;
        }
        if (!pick_events (piece, number, mark, most, picked))
            return;
    }
}

/* As one block; fewer of them when they are too large together. */
static status_t encode (forward_t *self, uint32_t number, picked_t *picked, error_t *error)
{
    size_t most = MESSAGE_ROWS_MAX;
    for (;;) {
        pick (self, number, most, picked);
        buf_clear (&self->block);
        if (picked->count == 0)
            return STATUS_OK;
        batch_t batch = rows_pick (picked->batches, picked->places, picked->count, self->scratch);
        batch.key = NULL;
        status_t status = block_encode (&batch, 0, batch.rows, &self->block, error);
        if (status != STATUS_TOO_LARGE || picked->count == 1)
            return status;
        most = picked->count / 2;
    }
}

static uint64_t next_id (forward_t *self, uint32_t number)
{
    uint64_t counter = ++self->counter & ((UINT64_C (1) << COUNTER_BITS) - 1);
    uint64_t id = self->options.source;
    id = id << NUMBER_BITS | self->options.number;
    id = id << TARGET_BITS | number;
    return ID_BIT | id << COUNTER_BITS | counter;
}

bool forward_of_id (uint64_t id, uint32_t *source, uint32_t *number)
{
    if (!(id & ID_BIT) || id >> 63)
        return false;
    id = (id & ~ID_BIT) >> (COUNTER_BITS + TARGET_BITS);
    *number = (uint32_t)(id & (FORWARD_NUMBERS - 1));
    *source = (uint32_t)(id >> NUMBER_BITS & ((1 << SOURCE_BITS) - 1));
    return true;
}

static void later (target_t *target, int64_t now)
{
    target->asked = 0;
    target->again = now + target->backoff;
    target->backoff = 2 * target->backoff < BACKOFF_LAST ? 2 * target->backoff : BACKOFF_LAST;
}

static void ask (forward_t *self, uint32_t number, uint64_t from, uint64_t to,
                 const forget_payload_t *forget, int64_t now)
{
    target_t *target = &self->targets[number];
    forward_message_t message = { .log = self->log_name,
                                  .partition = number,
                                  .source = self->options.source,
                                  .from = from,
                                  .to = to,
                                  .block = { (const char *)self->block.data,
                                             (uint32_t)self->block.size },
                                  .forget = forget,
                                  .definitions = self->model->version,
                                  .id = next_id (self, number) };
    target->asked = message.id;
    target->asked_at = now;
    if (!self->options.send (self->options.arg, &message) && target->asked == message.id)
        later (target, now);
}

static void ask_target (forward_t *self, uint32_t number, uint64_t base, int64_t now)
{
    target_t *target = &self->targets[number];
    buf_clear (&self->block);
    if (!target->known) {
        ask (self, number, 0, 0, NULL, now);
        return;
    }
    uint64_t end = looked_at (self);
    bool lags = target->mark < base && target->mark < end;
    if (self->unknown > 0 || (target->pieces == 0 && !lags))
        return;
    picked_t picked;
    error_t error;
    if (encode (self, number, &picked, &error) != STATUS_OK) {
        env_log (self->options.env, LOG_ERROR, "%s/%u: not sent to %s/%" PRIu32 ": %s",
                 self->from_name, self->options.source, self->log_name, number, error.text);
        later (target, now);
        return;
    }
    if (picked.to <= target->mark || (picked.count == 0 && !picked.forget && !lags))
        return; /* what there is for it has not been read yet */
    ask (self, number, target->mark, picked.to, picked.forget, now);
}

int64_t forward_tick (forward_t *self, bool leased, uint64_t base)
{
    CHECK_OBJECT (self, FORWARD_MAGIC);
    int64_t now = self->options.env->boot_us (self->options.env);
    int64_t next = INT64_MAX;
    if (!leased)
        return now + BACKOFF_LAST; /* what is durable now may be void to the next owner */
    place_reading (self);
    if (self->placed)
        start_reading (self, now);
    if (self->read_again > now)
        next = self->read_again;
    for (uint32_t t = 0; t < self->options.partitions; t++) {
        target_t *target = &self->targets[t];
        if (target->asked && now - target->asked_at >= PATIENCE)
            later (target, now);
        if (!target->asked && now >= target->again)
            ask_target (self, t, base, now);
        int64_t due = target->asked         ? target->asked_at + PATIENCE
                      : target->again > now ? target->again
                                            : INT64_MAX;
        next = due < next ? due : next;
    }
    return next;
}

bool forward_take (forward_t *self, uint64_t id, bool good, uint64_t mark)
{
    CHECK_OBJECT (self, FORWARD_MAGIC);
    uint32_t number = (uint32_t)(id >> COUNTER_BITS & ((1 << TARGET_BITS) - 1));
    if (number >= self->options.partitions || self->targets[number].asked != id)
        return false;
    target_t *target = &self->targets[number];
    int64_t now = self->options.env->boot_us (self->options.env);
    if (!good || (target->known && mark <= target->mark)) {
        later (target, now);
        return true;
    }
    self->unknown -= !target->known;
    target->known = true;
    target->mark = mark;
    target->asked = 0;
    target->again = now;
    target->backoff = BACKOFF_FIRST;
    settle_pieces (self, number);
    return true;
}

/* ---- what others see ---- */

bool forward_caught_up (const forward_t *self)
{
    bool read = self->placed && self->scanned >= self->options.position;
    return read && (!self->pieces || self->pieces->offset >= self->options.position);
}

uint64_t forward_low (const forward_t *self)
{
    if (self->unknown > 0)
        return 0;
    uint64_t low = UINT64_MAX;
    for (uint32_t t = 0; t < self->options.partitions; t++)
        low = self->targets[t].mark < low ? self->targets[t].mark : low;
    return low;
}

size_t forward_memory (const forward_t *self)
{
    return self->read_bytes + self->piece_bytes + arena_held (self->scratch) + self->block.capacity;
}
