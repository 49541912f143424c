/* load_file.c - a file of text, read ahead in rounds of pieces that the crew reads apart.
 *
 * A round is what is read, converted and grouped at the same time; its rows are then gathered in
 * the order of the file. Where pieces begin, and how many a round has, depends on the file and on
 * the memory limit only, and so the result is the same with any number of threads.
 *
 * A piece is read apart as if a record began with it, which is a guess (text_cut). Pieces are
 * settled in their order: where the one before did not end with a record, or where a record ends
 * the load and its number has to be told, the piece is read once more, by one reader that goes on
 * over as many pieces as it takes. What comes out is what that reader would make of the whole file.
 */
#include "batch-worker/load_piece.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

enum {
    PIECES_MAX = 32,       /* of a round, … */
    PIECE_MAX = 32 << 10,  /* … of these bytes, about: so it stays near while it is worked on */
    BUFFER_SHARE = 32,     /* of the task's memory: each of two buffers … */
    BUFFER_MIN = 64 << 10, /* … within these bytes */
    BUFFER_MAX = 4 << 20,
    ROWS_SHARE = 8, /* of the task's memory: the rows of a round, converted */
    LINES_MIN = 16, /* of a piece */
    ROW_BYTES = 96, /* of a row beside its columns and its places in logs, about */
    COLUMN_BYTES = 48,
    HASH_DIGITS = 32, /* hex, of an XXH3-128 */
};

typedef struct piece_place {
    const char *data;
    size_t size;
} piece_place_t;

typedef struct load_file {
    load_t *load;
    load_rules_t rules;
    int32_t map[TEXT_COLUMNS_MAX];

    /* reading and cutting */
    file_t *file;
    XXH3_state_t *hash;
    uint64_t at; /* bytes read */
    bool ended;  /* all of them */
    size_t buffer_size;
    size_t piece_bytes;
    size_t piece_lines;
    char *buffers[2]; /* pieces of a round are in one of them, and those of the next in either */
    unsigned current;
    size_t size;                    /* of the current one */
    size_t cut;                     /* bytes of it that are in pieces */
    bool cut_all;                   /* the last piece was cut */
    piece_place_t next[PIECES_MAX]; /* the round to come */
    size_t next_count;

    /* the round */
    load_piece_t pieces[PIECES_MAX];
    size_t count;
    size_t apart;              /* the first of those that are read apart */
    const load_part_t **parts; /* of the pieces that are settled */
    size_t parts_count;
    size_t parts_room;
    text_reader_t *readers[CREW_MAX]; /* by member */

    text_reader_t *reader; /* that goes on from piece to piece */
    bool at_record;        /* a record begins with the next piece */
    uint64_t records;      /* in what is settled */
} load_file_t;

/* ---- reading ahead ---- */

/* What is not cut yet, and more behind it, in the other buffer. */
static status_t refill (load_file_t *self, error_t *error)
{
    size_t rest = self->size - self->cut;
    size_t got = 0;
    char *to = self->buffers[1 - self->current];
    memcpy (to, self->buffers[self->current] + self->cut, rest);
    status_t status = fs_read (self->load->fs, self->file, self->at, to + rest,
                               self->buffer_size - rest, &got, error);
    if (status != STATUS_OK)
        return status;
    XXH3_128bits_update (self->hash, to + rest, got);
    self->at += got;
    self->ended = got < self->buffer_size - rest;
    self->current = 1 - self->current;
    self->size = rest + got;
    self->cut = 0;
    return STATUS_OK;
}

/* The next piece's size; 0: more has to be read. The first piece is little more than a header, so
 * that what comes after it can be read apart. */
static size_t next_piece (const load_file_t *self)
{
    size_t rest = self->size - self->cut;
    bool is_first = self->at == self->size && self->cut == 0;
    size_t size = text_cut (self->load->task->load.format, self->buffers[self->current] + self->cut,
                            rest, is_first ? 1 : self->piece_bytes, self->piece_lines);
    if (size > 0)
        return size;
    bool is_long = rest > self->buffer_size / 2; /* for a record: it does not end here */
    return self->ended || is_long ? rest : 0;
}

/* The pieces of the round to come. */
static status_t cut_pieces (load_file_t *self, error_t *error)
{
    self->next_count = 0;
    while (self->next_count < PIECES_MAX && !self->cut_all) {
        size_t size = next_piece (self);
        if (size == 0 && !self->ended) {
            if (self->next_count > 0)
                return STATUS_OK;
            status_t status = refill (self, error);
            if (status != STATUS_OK)
                return status;
            continue;
        }
        self->next[self->next_count++] =
            (piece_place_t){ self->buffers[self->current] + self->cut, size };
        self->cut += size;
        self->cut_all = self->ended && self->cut == self->size;
    }
    return STATUS_OK;
}

/* ---- reading pieces ---- */

static void read_apart (void *arg, size_t item, unsigned member)
{
    load_file_t *self = arg;
    text_reader_t *reader = self->readers[member];
    text_reader_restart (reader, self->reader, 0);
    status_t status = load_piece_read (&self->pieces[self->apart + item], &self->rules, reader);
    (void)status; /* the piece has it */
}

/* A header that is wrong is so without rows too. */
static status_t map_header (load_file_t *self, error_t *error)
{
    const load_order_t *order = &self->load->task->load;
    const text_t *columns;
    size_t count;
    if (order->format != FORMAT_CSV || self->rules.map != NULL ||
        !text_reader_columns (self->reader, &columns, &count))
        return STATUS_OK;
    self->rules.map = self->map;
    return intake_map_columns (self->load->stream, columns, count, order->ingest_time, self->map,
                               error);
}

/* Reads the piece as what comes after those that are settled. */
static status_t read_on (load_file_t *self, load_piece_t *piece, error_t *error)
{
    if (self->at_record)
        text_reader_restart (self->reader, NULL, self->records);
    status_t status = load_piece_read (piece, &self->rules, self->reader);
    error_t header;
    if (map_header (self, &header) != STATUS_OK) {
        *error = header;
        return header.status;
    }
    self->at_record = piece->ends_records;
    self->records = piece->records;
    if (status != STATUS_OK)
        *error = piece->error;
    return status;
}

/* ---- settling ---- */

/* Rows are numbered in the file from 0, those that were refused too. The part's own numbers are
 * those in its table; its table's first row is the file's record `before` + first_row. */
static status_t number_rows (load_part_t *part, uint64_t before, error_t *error)
{
    uint64_t first = before + part->first_row - 1;
    batch_t *batch = &part->batch;
    if (first + batch->row[batch->rows - 1] > UINT32_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a file may have up to %" PRIu32 " rows",
                          UINT32_MAX);
    for (size_t r = 0; r < batch->rows; r++)
        batch->row[r] += (uint32_t)first;
    return STATUS_OK;
}

static void add_part (load_file_t *self, const load_part_t *part)
{
    if (self->parts_count == self->parts_room) {
        self->parts_room = 2 * self->parts_room + PIECES_MAX;
        self->parts = mem_resize (self->parts, self->parts_room, sizeof *self->parts);
    }
    self->parts[self->parts_count++] = part;
}

static status_t take_piece (load_file_t *self, const load_piece_t *piece, uint64_t before,
                            error_t *error)
{
    task_t *task = self->load->task;
    for (size_t i = 0; i < piece->refused_count; i++) {
        status_t status =
            load_reject (self->load, text_reader_header (self->reader), piece->refused[i], error);
        if (status != STATUS_OK)
            return status;
    }
    task->refused += piece->refused_count;
    for (size_t i = 0; i < piece->parts_count; i++) {
        status_t status = number_rows (&piece->parts[i], before, error);
        if (status != STATUS_OK)
            return status;
        add_part (self, &piece->parts[i]);
    }
    task_progress (task, piece->size);
    return task_go_on (task, error);
}

static status_t settle (load_file_t *self, size_t index, error_t *error)
{
    load_piece_t *piece = &self->pieces[index];
    bool was_apart = index >= self->apart;
    uint64_t before = 0; /* records that the piece's reader had not counted */
    status_t status = STATUS_OK;
    if (was_apart && self->at_record && piece->status == STATUS_OK && piece->ends_records) {
        before = self->records;
        self->records += piece->records;
    } else if (was_apart) {
        status = read_on (self, piece, error);
    }
    return status == STATUS_OK ? take_piece (self, piece, before, error) : status;
}

/* Takes the round that was cut, and cuts the next one while the crew reads. */
static status_t read_round (load_file_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    self->parts_count = 0;
    self->count = self->next_count;
    for (size_t i = 0; i < self->count; i++) {
        self->pieces[i].data = self->next[i].data;
        self->pieces[i].size = self->next[i].size;
        self->pieces[i].is_last = self->cut_all && i + 1 == self->count;
    }
    for (self->apart = 0; self->apart < self->count && !self->at_record; self->apart++) {
        status = read_on (self, &self->pieces[self->apart], error);
        if (status != STATUS_OK)
            return status;
    }
    crew_begin (self->load->crew, self->count - self->apart, read_apart, self);
    status = cut_pieces (self, error);
    crew_end (self->load->crew);
    for (size_t i = 0; status == STATUS_OK && i < self->count; i++)
        status = settle (self, i, error);
    if (status != STATUS_OK)
        return status;
    load_gather (self->load, self->parts, self->parts_count);
    return load_is_full (self->load) ? load_spill (self->load, error) : STATUS_OK;
}

/* ---- the file ---- */

/* A load's id begins with the hash of its content: a disk may give other bytes than were stored. */
static status_t check_content (const load_file_t *self, error_t *error)
{
    const load_order_t *order = &self->load->task->load;
    char hex[HASH_DIGITS + 1];
    XXH128_hash_t found = XXH3_128bits_digest (self->hash);
    (void)snprintf (hex, sizeof hex, "%016" PRIx64 "%016" PRIx64, found.high64, found.low64);
    if (strlen (order->id) < HASH_DIGITS || strncmp (order->id, hex, HASH_DIGITS) == 0)
        return STATUS_OK;
    return error_set (error, STATUS_IO, "%s was read as other bytes than those that were given",
                      order->path);
}

static status_t read_all (load_file_t *self, error_t *error)
{
    status_t status = cut_pieces (self, error);
    while (status == STATUS_OK && self->next_count > 0)
        status = read_round (self, error);
    error_t other; /* than what is wrong with the bytes, if they are not those that were given */
    if (self->ended && check_content (self, &other) != STATUS_OK) {
        *error = other;
        status = other.status;
    }
    if (status == STATUS_OK)
        status = load_spill (self->load, error);
    return status == STATUS_OK ? load_rejects_close (self->load, error) : status;
}

static status_t open_file (load_file_t *self, error_t *error)
{
    task_t *task = self->load->task;
    uint64_t size;
    status_t status = fs_open (self->load->fs, task->load.path, FS_READ, &self->file, error);
    if (status == STATUS_OK)
        status = fs_size (self->load->fs, self->file, &size, error);
    if (status == STATUS_OK)
        atomic_store (&task->total, size);
    return status;
}

static size_t between (uint64_t least, uint64_t value, uint64_t most)
{
    return (size_t)(value < least ? least : value > most ? most : value);
}

/* A piece has not many lines where a row takes much more memory than its text. */
static void set_sizes (load_file_t *self)
{
    const load_t *load = self->load;
    uint64_t memory = load->task->setting.memory_limit;
    uint64_t row = ROW_BYTES + load->stream->fields_count * COLUMN_BYTES +
                   load->logs_count * (sizeof (text_t) + 2 * sizeof (uint32_t));
    self->buffer_size = between (BUFFER_MIN, memory / BUFFER_SHARE, BUFFER_MAX);
    self->piece_bytes = between (1, self->buffer_size / PIECES_MAX, PIECE_MAX);
    self->piece_lines = between (LINES_MIN, memory / ROWS_SHARE / PIECES_MAX / row, TABLE_ROWS);
}

static void prepare (load_file_t *self)
{
    const load_t *load = self->load;
    const load_order_t *order = &load->task->load;
    set_sizes (self);
    self->rules = (load_rules_t){
        .load = load,
        .intake = { .now = order->clock,
                    .max_ahead = load->task->setting.max_ahead,
                    .ingest_column = order->ingest_time,
                    .ingest_is_event_time = order->ingest_time.size == 0 },
    };
    self->buffers[0] = mem_alloc (self->buffer_size);
    self->buffers[1] = mem_alloc (self->buffer_size);
    self->hash = XXH3_createState ();
    CHECK (self->hash != NULL);
    XXH3_128bits_reset (self->hash);
    self->reader = text_reader_new (order->format, TABLE_ROWS);
    for (unsigned i = 0; i < crew_size (load->crew); i++)
        self->readers[i] = text_reader_new (order->format, TABLE_ROWS);
    for (size_t i = 0; i < PIECES_MAX; i++)
        load_piece_init (&self->pieces[i]);
}

static void release (load_file_t *self)
{
    for (size_t i = 0; i < PIECES_MAX; i++)
        load_piece_release (&self->pieces[i]);
    for (unsigned i = 0; i < CREW_MAX; i++)
        text_reader_destroy (&self->readers[i]);
    text_reader_destroy (&self->reader);
    XXH3_freeState (self->hash);
    mem_free (self->parts);
    mem_free (self->buffers[0]);
    mem_free (self->buffers[1]);
    fs_close (self->load->fs, &self->file);
}

status_t load_read_file (load_t *load, error_t *error)
{
    load_file_t *self = mem_zero (1, sizeof *self);
    self->load = load;
    status_t status = open_file (self, error);
    if (status == STATUS_OK) {
        prepare (self);
        status = read_all (self, error);
        release (self);
    }
    if (status != STATUS_OK)
        fs_close (load->fs, &self->file);
    mem_free (self);
    return status;
}
