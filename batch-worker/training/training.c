#include "batch-worker/training/training.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "batch-worker/training/events.h"
#include "batch-worker/training/windows.h"

#include <inttypes.h>

enum {
    MERGED_CHUNK = 1 << 20,
    TRAINING_MAGIC = 0x74726169,
    ROWS_LARGE = 16, /* answered together where states may be large */
    OUTCOMES_CHUNK = 64 << 10,
};

typedef struct side {
    events_t *events;
    windows_t *windows;
    const training_limit_t *limits; /* by number of row, or NULL */
} side_t;

struct training {
    uint32_t magic;
    training_options_t options;
    const plan_t *plan; /* the first source's */
    side_t sides[TRAINING_SOURCES_MAX];
    arena_t *arena; /* what lives as long as it */
    int32_t *request;
    outcome_task_t *task;
    training_place_t own;
    training_place_t *place;
    bool limited;      /* rows stand at positions */
    bool begun;        /* `place` is a row's key */
    int64_t last_time; /* as-of of the row before, of the same key */
    batch_t spine;
    size_t next; /* row of it that is to be answered next */
    /* rows that were answered: [pool_first, pool_first + pool_count) of the spine, of which
     * pool_given were given */
    size_t pool_first;
    size_t pool_count;
    size_t pool_given;
    size_t pool_most;
    window_row_t rows[WINDOWS_ROWS_MAX];
    uint64_t numbers[WINDOWS_ROWS_MAX]; /* of rows of the spine */
    outcome_key_t keys[WINDOWS_ROWS_MAX];
    bool used[WINDOWS_ROWS_MAX]; /* is anything in the row's answer? */
    value_t *values;             /* of the request, per row of the pool */
    value_t *finals;             /* of cells, likewise */
    arena_t *outcomes;
};

/* ---- making ---- */

static void choose_features (training_t *self)
{
    const training_options_t *options = &self->options;
    const uint32_t *features = options->features;
    size_t count = options->features_count;
    if (features == NULL) {
        count = self->plan->features_count;
        uint32_t *all = arena_alloc (self->arena, count * sizeof *all);
        for (size_t i = 0; i < count; i++)
            all[i] = (uint32_t)i;
        features = all;
    }
    self->task = outcome_task_new (self->plan, features, count, self->arena);
}

static void make_pool (training_t *self)
{
    self->pool_most = WINDOWS_ROWS_MAX;
    for (size_t i = 0; i < self->plan->slots_count; i++)
        if (state_is_large (self->plan->slots[i].spec))
            self->pool_most = ROWS_LARGE;
    size_t requests = self->plan->request_count;
    self->values = arena_zero (self->arena, self->pool_most * (requests + 1), sizeof *self->values);
    size_t cells = self->plan->cells_count;
    self->finals = arena_zero (self->arena, self->pool_most * (cells + 1), sizeof *self->finals);
    for (size_t i = 0; i < self->pool_most; i++) {
        self->rows[i].answer = answer_new (self->plan);
        self->keys[i].answer = self->rows[i].answer;
        self->keys[i].request = requests > 0 ? self->values + i * requests : NULL;
        /* what several streams hold is merged in answers */
        if (self->options.sources_count == 1)
            self->rows[i].finals = self->finals + i * cells;
    }
}

static void make_sides (training_t *self)
{
    bool *cells = arena_zero (self->arena, self->plan->cells_count + 1, sizeof *cells);
    outcome_task_cells (self->task, cells);
    for (size_t i = 0; i < self->options.sources_count; i++) {
        const training_source_t *source = &self->options.sources[i];
        const training_stand_t *stand = self->options.stands ? &self->options.stands[i] : NULL;
        CHECK (source->plan->cells_count == self->plan->cells_count);
        self->sides[i] = (side_t){
            .events = events_new (source->plan, source->events),
            .windows = windows_new (source->plan, cells, self->options.memory / 2),
            .limits = stand != NULL ? stand->limits : NULL,
        };
        if (stand != NULL)
            windows_by_offset (self->sides[i].windows, stand->loads);
    }
}

training_t *training_new (const training_options_t *options)
{
    CHECK (options->sources_count >= 1 && options->sources_count <= TRAINING_SOURCES_MAX);
    training_t *self = mem_zero (1, sizeof *self);
    self->magic = TRAINING_MAGIC;
    self->options = *options;
    self->plan = options->sources[0].plan;
    self->arena = arena_new (OUTCOMES_CHUNK);
    self->outcomes = arena_new (OUTCOMES_CHUNK);
    size_t requests = self->plan->request_count;
    self->request = arena_alloc (self->arena, (requests + 1) * sizeof *self->request);
    for (size_t i = 0; i < requests; i++)
        self->request[i] = options->request != NULL ? options->request[i] : TRAINING_NONE;
    self->place = options->place != NULL ? options->place : &self->own;
    self->place->key = (text_t){ (const char *)self->place->bytes, 0 };
    choose_features (self);
    make_pool (self);
    make_sides (self);
    self->limited = options->stands != NULL;
    CHECK (!self->limited || self->options.known == TRAINING_NONE);
    self->options.sources = NULL; /* the caller's */
    self->options.stands = NULL;
    self->options.request = NULL;
    self->options.features = NULL;
    return self;
}

void training_destroy (training_t **self_p)
{
    training_t *self = *self_p;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, TRAINING_MAGIC);
    *self_p = NULL;
    for (size_t i = 0; i < self->options.sources_count; i++) {
        events_destroy (&self->sides[i].events);
        windows_destroy (&self->sides[i].windows);
    }
    for (size_t i = 0; i < self->pool_most; i++)
        answer_destroy (&self->rows[i].answer);
    arena_destroy (&self->outcomes);
    arena_destroy (&self->arena);
    self->magic = 0;
    mem_free (self);
}

/* ---- one key ---- */

static status_t begin_key (training_t *self, text_t key, error_t *error)
{
    if (self->begun && text_compare (key, self->place->key) < 0)
        return error_set (error, STATUS_CORRUPT, "the spine is not in the order of its keys");
    if (key.size > KEY_SIZE_MAX)
        return error_set (error, STATUS_CORRUPT, "a key of %u bytes in the spine", key.size);
    self->begun = true;
    self->last_time = INT64_MIN;
    if (key.size > 0)
        memcpy (self->place->bytes, key.data, key.size);
    self->place->key = (text_t){ (const char *)self->place->bytes, key.size };
    for (size_t i = 0; i < self->options.sources_count; i++) {
        status_t status = events_key (self->sides[i].events, self->place->key, error);
        if (status != STATUS_OK)
            return status;
        windows_clear (self->sides[i].windows);
    }
    return STATUS_OK;
}

static status_t too_large (const training_t *self, error_t *error)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    key_describe (self->place->key, &key);
    status_t status = error_set (
        error, STATUS_TOO_LARGE,
        "the events of one key (%s) that its longest window holds at once take more than %zu MiB: "
        "give tasks more (`limits: {batch_memory: …}` in weir.yaml)",
        buf_string (&key), self->options.memory >> 20);
    buf_release (&key);
    return status;
}

/* Are all events up to that time there? */
static bool is_covered (const events_t *events, int64_t as_of)
{
    if (!events_open (events))
        return true;
    const event_rows_t *rows = events_rows (events);
    return rows->end > rows->first && rows->rows.time[event_row (rows, rows->end - 1)] > as_of;
}

static status_t cover (training_t *self, side_t *side, int64_t as_of, error_t *error)
{
    bool known = self->options.known != TRAINING_NONE || self->limited;
    while (!is_covered (side->events, as_of)) {
        const event_rows_t *rows = events_rows (side->events);
        events_let_go (side->events, windows_let_go (side->windows, rows, as_of, known));
        status_t status = events_more (side->events, error);
        if (status != STATUS_OK)
            return status;
        if (events_memory (side->events) + windows_memory (side->windows) > self->options.memory)
            return too_large (self, error);
    }
    return STATUS_OK;
}

/* Rows [at, at + count) of the pool are of one key. Answers as many of them as the events that are
 * there allow. */
static status_t answer_rows (training_t *self, size_t at, size_t count, size_t *answered,
                             error_t *error)
{
    for (size_t i = 0; i < self->options.sources_count; i++) {
        side_t *side = &self->sides[i];
        status_t status = cover (self, side, self->rows[at].as_of, error);
        if (status != STATUS_OK)
            return status;
        size_t covered = 1;
        while (covered < count && is_covered (side->events, self->rows[at + covered].as_of))
            covered++;
        count = covered;
    }
    bool used = false;
    for (size_t i = 0; i < self->options.sources_count; i++) {
        const training_limit_t *limits = self->sides[i].limits;
        for (size_t k = at; limits != NULL && k < at + count; k++)
            self->rows[k].limit = &limits[self->numbers[k]];
        used |= windows_add (self->sides[i].windows, events_rows (self->sides[i].events),
                             &self->rows[at], count);
    }
    for (size_t i = 0; i < count; i++)
        self->used[at + i] = used;
    *answered = count;
    return STATUS_OK;
}

/* ---- rows of the spine ---- */

static status_t take_row (training_t *self, size_t row, size_t at, error_t *error)
{
    const batch_t *spine = &self->spine;
    int64_t time = spine->event_time[row];
    /* as serving has it; windows and delays are short enough to be taken from that */
    if (time < -TIME_EVENT_MAX || time > 2 * TIME_EVENT_MAX)
        return error_set (error, STATUS_RANGE,
                          "the time of row %" PRIu64 " of the spine is out of range",
                          spine->offset[row]);
    if (time < self->last_time)
        return error_set (error, STATUS_CORRUPT, "the spine is not in the order of its times");
    self->last_time = time;
    window_row_t *to = &self->rows[at];
    to->as_of = self->options.before ? time - 1 : time;
    to->known = WINDOW_ALL_KNOWN;
    if (self->used[at])
        answer_reset (to->answer);
    self->used[at] = false;
    for (size_t i = 0; to->finals != NULL && i < self->plan->cells_count; i++)
        to->finals[i].type = TYPE_NONE;
    if (self->options.known != TRAINING_NONE) {
        const column_t *known = &spine->column[self->options.known];
        to->known = known->valid[row] ? known->i[row] : WINDOW_ALL_KNOWN;
    }
    self->keys[at].as_of = to->as_of;
    self->numbers[at] = spine->offset[row];
    value_t *values = self->values + at * self->plan->request_count;
    for (size_t i = 0; i < self->plan->request_count; i++) {
        values[i] = (value_t){ .type = self->plan->request_types[i], .null = true };
        if (self->request[i] != TRAINING_NONE)
            values[i] = column_get (&spine->column[self->request[i]], row);
    }
    return STATUS_OK;
}

/* The next rows of one key, as many as there is room for. */
static status_t fill_key (training_t *self, error_t *error)
{
    const batch_t *spine = &self->spine;
    text_t key = spine->key[self->next];
    status_t status = STATUS_OK;
    if (!self->begun || !text_equal (key, self->place->key))
        status = begin_key (self, key, error);
    size_t room = self->pool_most - self->pool_count;
    size_t count = 0;
    while (status == STATUS_OK && count < room && self->next + count < spine->rows &&
           text_equal (spine->key[self->next + count], key)) {
        status = take_row (self, self->next + count, self->pool_count + count, error);
        count++;
    }
    while (status == STATUS_OK && count > 0) {
        size_t answered = 0;
        status = answer_rows (self, self->pool_count, count, &answered, error);
        self->pool_count += answered;
        self->next += answered;
        count -= answered;
    }
    return status;
}

static status_t fill_pool (training_t *self, error_t *error)
{
    while (self->next == self->spine.rows) {
        self->next = 0;
        self->spine.rows = 0;
        status_t status = self->options.spine.next (self->options.spine.self, &self->spine, error);
        if (status != STATUS_OK)
            return status;
    }
    self->pool_first = self->next;
    self->pool_count = 0;
    self->pool_given = 0;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && self->pool_count < self->pool_most &&
           self->next < self->spine.rows)
        status = fill_key (self, error);
    return status;
}

status_t training_next (training_t *self, training_rows_t *rows, error_t *error)
{
    CHECK_OBJECT (self, TRAINING_MAGIC);
    if (self->pool_given == self->pool_count) {
        status_t status = fill_pool (self, error);
        if (status != STATUS_OK)
            return status;
    }
    size_t most = outcome_task_keys (self->task);
    size_t count = self->pool_count - self->pool_given;
    if (count > most)
        count = most;
    arena_reset (self->outcomes);
    *rows = (training_rows_t){
        .spine = &self->spine,
        .from = self->pool_first + self->pool_given,
        .to = self->pool_first + self->pool_given + count,
        .task = self->task,
        .outcomes = outcome_compute_finals (
            self->task, self->keys + self->pool_given,
            self->finals + self->pool_given * self->plan->cells_count, count, self->outcomes),
    };
    self->pool_given += count;
    return STATUS_OK;
}

/* ---- runs ---- */

static status_t next_of_run (void *arg, batch_t *batch, error_t *error)
{
    training_run_t *self = arg;
    if (text_compare (self->place->key, self->last) > 0) {
        status_t status = run_cursor_seek_key (self->cursor, self->place->key, error);
        if (status != STATUS_OK)
            return status;
    }
    status_t status = run_cursor_next (self->cursor, batch, error);
    if (status != STATUS_OK)
        return status;
    text_t last = batch->key[batch->rows - 1];
    if (last.size > 0)
        memcpy (self->last_bytes, last.data, last.size);
    self->last = (text_t){ (const char *)self->last_bytes, last.size };
    return STATUS_OK;
}

merge_source_t training_run_source (training_run_t *self, run_cursor_t *cursor,
                                    const training_place_t *place)
{
    self->cursor = cursor;
    self->place = place;
    self->last = (text_t){ (const char *)self->last_bytes, 0 };
    return (merge_source_t){ .next = next_of_run, .self = self };
}

static status_t next_of_merge (void *arg, batch_t *batch, error_t *error)
{
    training_merge_t *self = arg;
    arena_reset (self->arena);
    return merge_next (self->merge, self->arena, batch, error);
}

merge_source_t training_merge_source (training_merge_t *self, merge_t *merge)
{
    *self = (training_merge_t){ .merge = merge, .arena = arena_new (MERGED_CHUNK) };
    return (merge_source_t){ .next = next_of_merge, .self = self };
}

void training_merge_release (training_merge_t *self)
{
    arena_destroy (&self->arena);
}
