#include "speed-worker/request.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

/* An id is a generation, a slot and, in message ids, a part: REQUESTS_MAX and REQUEST_PARTS_MAX are
 * powers of two. */
enum { SLOT_BITS = 12, PART_BITS = 10, ARENA_FOR_REASONS = 4096 };
_Static_assert(1 << SLOT_BITS == REQUESTS_MAX, "a slot fits its bits");
_Static_assert(1 << PART_BITS == REQUEST_PARTS_MAX, "a part fits its bits");

struct request_table {
    request_t slots[REQUESTS_MAX];
    uint32_t free[REQUESTS_MAX]; /* a stack of free slots */
    uint32_t free_count;
    uint64_t generation;
    int64_t earliest; /* no deadline is before it, so that most ticks need not look */
};

request_table_t *request_table_new (void)
{
    request_table_t *self = mem_zero (1, sizeof *self);
    self->free_count = REQUESTS_MAX;
    self->earliest = INT64_MAX;
    for (uint32_t i = 0; i < REQUESTS_MAX; i++)
        self->free[i] = REQUESTS_MAX - 1 - i;
    return self;
}

static void release (request_t *request)
{
    outcome_release (&request->outcome);
    mem_free (request->parts);
    *request = (request_t){ 0 };
}

void request_table_destroy (request_table_t **self_p)
{
    request_table_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        if (self->slots[i].id)
            release (&self->slots[i]);
    mem_free (self);
}

request_t *request_new (request_table_t *self, const peer_t *from, uint64_t client_id, size_t parts,
                        int64_t deadline)
{
    CHECK (parts <= REQUEST_PARTS_MAX);
    if (self->free_count == 0)
        return NULL;
    uint32_t slot = self->free[--self->free_count];
    request_t *request = &self->slots[slot];
    CHECK (request->id == 0);
    request->id = ++self->generation << SLOT_BITS | slot;
    request->from = *from;
    request->client_id = client_id;
    request->deadline = deadline;
    if (deadline < self->earliest)
        self->earliest = deadline;
    request->waiting = parts;
    request->parts = mem_zero (parts, sizeof *request->parts);
    request->parts_count = parts;
    outcome_init (&request->outcome);
    error_clear (&request->error);
    return request;
}

request_t *request_find (request_table_t *self, uint64_t id)
{
    request_t *request = &self->slots[id & (REQUESTS_MAX - 1)];
    return id != 0 && request->id == id ? request : NULL;
}

void request_free (request_table_t *self, request_t *request)
{
    CHECK (request->id != 0);
    uint32_t slot = (uint32_t)(request - self->slots);
    release (request);
    self->free[self->free_count++] = slot;
}

/* The table itself is always there. */
size_t request_memory (const request_table_t *self)
{
    return (REQUESTS_MAX - self->free_count) * (sizeof (request_part_t) + ARENA_FOR_REASONS);
}

uint64_t request_message_id (const request_t *request, size_t part)
{
    CHECK (part < request->parts_count);
    return request->id << PART_BITS | part;
}

request_t *request_of_message (request_table_t *self, uint64_t message_id, size_t *part)
{
    request_t *request = request_find (self, message_id >> PART_BITS);
    *part = message_id & (REQUEST_PARTS_MAX - 1);
    return request && *part < request->parts_count ? request : NULL;
}

void request_part_done (request_t *request, size_t part, const outcome_t *outcome,
                        uint64_t position)
{
    CHECK (part < request->parts_count);
    if (request->parts[part].done)
        return;
    request->parts[part].done = true;
    request->parts[part].position = position;
    outcome_add (&request->outcome, outcome);
    request->waiting--;
}

void request_part_failed (request_t *request, size_t part, const error_t *error)
{
    status_t status = error->status;
    CHECK (part < request->parts_count);
    if (request->parts[part].done)
        return;
    request->parts[part].done = true;
    request->waiting--;
    if (status == STATUS_OK || status == STATUS_END)
        status = STATUS_UNAVAILABLE;
    uint32_t retry_ms = request->error.retry_ms;
    if (request->error.status == STATUS_OK)
        error_set (&request->error, status, "partition %u: %s", request->parts[part].partition,
                   error->text);
    request->error.retry_ms = error->retry_ms > retry_ms ? error->retry_ms : retry_ms;
}

int64_t request_expired (request_table_t *self, int64_t now,
                         void (*each) (void *arg, request_t *request), void *arg)
{
    if (now < self->earliest)
        return self->earliest;
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        request_t *request = &self->slots[i];
        if (request->id && request->deadline <= now)
            each (arg, request);
        if (request->id && request->deadline < next)
            next = request->deadline;
    }
    self->earliest = next;
    return next;
}
