#include "speed-worker/realtime.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/logged.h"
#include "timeline/reply.h"

#include <inttypes.h>
#include <string.h>

enum { REALTIME_MAGIC = 0x5245414c, SCRATCH_CHUNK = 256 << 10, COLUMNS_CHUNK = 4 << 10 };

typedef struct epoch {
    uint64_t cut;
    uint64_t events;
    timeline_t **timelines; /* one per view */
} epoch_t;

struct epochs {
    epoch_t *items;
    size_t count;
    size_t views; /* timelines of each */
    size_t gone;  /* of those of the last one */
};

struct realtime {
    uint32_t magic;
    const model_t *model;
    const plan_t **plans; /* of this log's views */
    size_t plans_count;
    epoch_t *epochs; /* oldest first; never empty */
    size_t epochs_count;
    size_t epochs_capacity;
    timeline_t **asked; /* room for a timeline of each epoch */
    reply_t **replies;  /* per view; NULL before anybody asks */
    arena_t *scratch;
    columns_t columns; /* that the plans read */
    arena_t *own;      /* of the columns */
    arena_t *mapped;   /* of one batch */
};

static epoch_t *newest (const realtime_t *self)
{
    return &self->epochs[self->epochs_count - 1];
}

static void epoch_start (realtime_t *self, uint64_t cut)
{
    if (self->epochs_count == self->epochs_capacity) {
        self->epochs_capacity = self->epochs_capacity ? 2 * self->epochs_capacity : 4;
        self->epochs = mem_resize (self->epochs, self->epochs_capacity, sizeof *self->epochs);
        self->asked = mem_resize (self->asked, self->epochs_capacity, sizeof (timeline_t *));
    }
    epoch_t *epoch = &self->epochs[self->epochs_count++];
    *epoch = (epoch_t){ .cut = cut };
    epoch->timelines = mem_zero (self->plans_count, sizeof *epoch->timelines);
    for (size_t i = 0; i < self->plans_count; i++)
        epoch->timelines[i] = timeline_new (self->plans[i]);
}

/* The first ones, in a list of their own. */
static epochs_t *epochs_take (realtime_t *self, size_t count)
{
    epochs_t *epochs = mem_zero (1, sizeof *epochs);
    epochs->items = mem_zero (count, sizeof *epochs->items);
    epochs->count = count;
    epochs->views = self->plans_count;
    memcpy (epochs->items, self->epochs, count * sizeof *epochs->items);
    self->epochs_count -= count;
    memmove (self->epochs, self->epochs + count, self->epochs_count * sizeof *self->epochs);
    return epochs;
}

bool epochs_destroy_some (epochs_t **self_p)
{
    epochs_t *self = *self_p;
    if (!self)
        return false;
    if (self->count > 0) {
        epoch_t *last = &self->items[self->count - 1];
        if (self->gone < self->views)
            timeline_destroy (&last->timelines[self->gone++]);
        if (self->gone == self->views) {
            mem_free (last->timelines);
            self->count--;
            self->gone = 0;
        }
    }
    if (self->count > 0)
        return true;
    mem_free (self->items);
    mem_free (self);
    *self_p = NULL;
    return false;
}

void epochs_destroy (epochs_t **self_p)
{
    while (epochs_destroy_some (self_p)) {
        /* there are more */
    }
}

size_t epochs_memory (const epochs_t *self)
{
    size_t bytes = 0;
    for (size_t i = 0; self && i < self->count; i++)
        for (size_t v = i + 1 == self->count ? self->gone : 0; v < self->views; v++)
            bytes += timeline_memory (self->items[i].timelines[v]);
    return bytes;
}

realtime_t *realtime_new (const model_t *model, const char *log_name, uint64_t base)
{
    realtime_t *self = mem_zero (1, sizeof *self);
    self->magic = REALTIME_MAGIC;
    self->model = model;
    self->plans = mem_zero (model->plans_count, sizeof *self->plans);
    for (size_t i = 0; i < model->plans_count; i++)
        if (strcmp (model->plans[i]->log_name, log_name) == 0)
            self->plans[self->plans_count++] = model->plans[i];
    self->replies = mem_zero (self->plans_count, sizeof (reply_t *));
    self->scratch = arena_new (SCRATCH_CHUNK);
    self->own = arena_new (COLUMNS_CHUNK);
    self->mapped = arena_new (COLUMNS_CHUNK);
    keyed_log_t log;
    bool found = model_log (model, text_of (log_name), &log);
    CHECK (found);
    self->columns = stream_columns (log.stream, self->own);
    epoch_start (self, base);
    return self;
}

epochs_t *realtime_dissolve (realtime_t **self_p)
{
    realtime_t *self = *self_p;
    if (!self)
        return NULL;
    CHECK_OBJECT (self, REALTIME_MAGIC);
    epochs_t *epochs = epochs_take (self, self->epochs_count);
    for (size_t i = 0; i < self->plans_count; i++)
        reply_destroy (&self->replies[i]);
    mem_free (self->epochs);
    mem_free (self->asked);
    mem_free (self->replies);
    mem_free (self->plans);
    arena_destroy (&self->scratch);
    arena_destroy (&self->own);
    arena_destroy (&self->mapped);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
    return epochs;
}

void realtime_destroy (realtime_t **self_p)
{
    epochs_t *epochs = realtime_dissolve (self_p);
    epochs_destroy (&epochs);
}

const model_t *realtime_model (const realtime_t *self)
{
    return self->model;
}

/* The batch as one of the columns that the plans read. */
static batch_t as_read (realtime_t *self, const stream_t *stream, const batch_t *batch)
{
    arena_reset (self->mapped);
    columns_t columns = stream_columns (stream, self->mapped);
    columns_map_t map;
    error_t error;
    status_t status = columns_map_make (&map, &columns, &self->columns, &error);
    CHECK (status == STATUS_OK);
    return columns_map_apply (&map, batch, NULL, self->mapped);
}

void realtime_add (realtime_t *self, const stream_t *stream, const batch_t *given)
{
    CHECK_OBJECT (self, REALTIME_MAGIC);
    batch_t mapped = as_read (self, stream, given);
    const batch_t *batch = &mapped;
    epoch_t *epoch = newest (self);
    CHECK (batch->rows == 0 || batch->offset[0] >= epoch->cut);
    for (size_t i = 0; i < self->plans_count; i++) {
        arena_reset (self->scratch);
        projection_t rows = plan_project (self->plans[i], batch, self->scratch);
        timeline_add (epoch->timelines[i], &rows);
    }
    epoch->events += batch->rows;
}

void realtime_cut (realtime_t *self, uint64_t offset)
{
    CHECK_OBJECT (self, REALTIME_MAGIC);
    CHECK (offset >= newest (self)->cut);
    if (offset > newest (self)->cut)
        epoch_start (self, offset);
}

epochs_t *realtime_trim (realtime_t *self, uint64_t base)
{
    CHECK_OBJECT (self, REALTIME_MAGIC);
    size_t gone = 0;
    while (gone + 1 < self->epochs_count && self->epochs[gone + 1].cut <= base)
        gone++;
    return gone > 0 ? epochs_take (self, gone) : NULL;
}

static bool holds_cut (const realtime_t *self, uint64_t cut)
{
    for (size_t i = 0; i < self->epochs_count; i++)
        if (self->epochs[i].cut == cut)
            return true;
    return false;
}

status_t realtime_find (const realtime_t *self, text_t view, uint64_t plan_hash, uint64_t cut,
                        size_t *view_index, error_t *error)
{
    CHECK_OBJECT (self, REALTIME_MAGIC);
    size_t i = 0;
    /* two versions of a view may be of one plan, which holds the same of both */
    while (i < self->plans_count &&
           !(self->plans[i]->hash == plan_hash && text_is (view, self->plans[i]->view)))
        i++;
    if (i == self->plans_count)
        return error_set (error, STATUS_STALE,
                          "the real-time view of " TEXT_FORMAT " is of other definitions",
                          TEXT_ARGS (view));
    if (!holds_cut (self, cut))
        return error_set (error, STATUS_STALE, "no real-time epoch starts at cut %" PRIu64, cut);
    *view_index = i;
    return STATUS_OK;
}

/* The first epoch that is at `cut` or above it. */
static size_t epochs_from (const realtime_t *self, uint64_t cut)
{
    size_t first = self->epochs_count;
    while (first > 0 && self->epochs[first - 1].cut >= cut)
        first--;
    return first;
}

void realtime_answer (realtime_t *self, size_t view_index, uint64_t cut, const text_t *keys,
                      const int64_t *as_of, size_t count, buf_t *out)
{
    CHECK (view_index < self->plans_count);
    size_t from = epochs_from (self, cut);
    size_t asked = self->epochs_count - from;
    if (self->replies[view_index] == NULL)
        self->replies[view_index] = reply_new (self->plans[view_index]);
    for (size_t i = 0; i < asked; i++)
        self->asked[i] = self->epochs[from + i].timelines[view_index];
    for (size_t some; count > 0; keys += some, as_of += some, count -= some) {
        some = count < REALTIME_FETCHED ? count : REALTIME_FETCHED;
        for (size_t i = 0; i < asked; i++)
            timeline_fetch (self->asked[i], keys, some);
        for (size_t i = 0; i < some && !out->bad; i++)
            reply_put (self->replies[view_index], self->asked, asked, keys[i], as_of[i], out);
    }
}

void realtime_cuts (const realtime_t *self, void (*each) (void *arg, uint64_t cut), void *arg)
{
    for (size_t i = 0; i < self->epochs_count; i++)
        each (arg, self->epochs[i].cut);
}

uint64_t realtime_events (const realtime_t *self)
{
    uint64_t events = 0;
    for (size_t i = 0; i < self->epochs_count; i++)
        events += self->epochs[i].events;
    return events;
}

uint64_t realtime_keys (const realtime_t *self)
{
    uint64_t most = 0;
    for (size_t v = 0; v < self->plans_count; v++) {
        uint64_t keys = 0;
        for (size_t i = 0; i < self->epochs_count; i++)
            keys += timeline_keys (self->epochs[i].timelines[v]);
        most = keys > most ? keys : most;
    }
    return most;
}

size_t realtime_memory (const realtime_t *self)
{
    size_t bytes = arena_held (self->scratch);
    for (size_t v = 0; v < self->plans_count; v++)
        bytes += self->replies[v] != NULL ? reply_memory (self->replies[v]) : 0;
    for (size_t i = 0; i < self->epochs_count; i++)
        for (size_t v = 0; v < self->plans_count; v++)
            bytes += timeline_memory (self->epochs[i].timelines[v]);
    return bytes;
}
