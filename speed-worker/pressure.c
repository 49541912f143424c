#include "speed-worker/pressure.h"

#include "base/timestamp.h"

#include <inttypes.h>

#define LOOK_EVERY   (200 * TIME_MS)
#define WAITS_WINDOW (5 * TIME_SECOND)
#define TRIMS_WINDOW TIME_MINUTE /* recomputes are seldom */

enum { RESERVED_PART = 128 }; /* of the limit, taken in since the last look: then the next is due */

size_t memory_total (const memory_t *self)
{
    size_t total = 0;
#define X(name) total += self->name;
    MEMORY_TABLE (X)
#undef X
    return total;
}

size_t memory_staying (const memory_t *self)
{
    return self->producers + self->logs;
}

/* ---- how fast it goes ---- */

void drain_look (drain_t *self, uint64_t total, int64_t now)
{
    if (self->from_at == 0 || total < self->latest) {
        self->from = self->middle = self->latest = total;
        self->from_at = self->middle_at = self->latest_at = now;
        return;
    }
    self->latest = total;
    self->latest_at = now;
    if (now - self->middle_at < self->window)
        return;
    self->from = self->middle;
    self->from_at = self->middle_at;
    self->middle = total;
    self->middle_at = now;
}

static uint32_t within (double wait_ms)
{
    if (wait_ms < PRESSURE_RETRY_MIN)
        return PRESSURE_RETRY_MIN;
    return wait_ms > PRESSURE_RETRY_MAX ? PRESSURE_RETRY_MAX : (uint32_t)wait_ms;
}

uint32_t drain_wait_ms (const drain_t *self, uint64_t excess)
{
    if (excess == 0)
        return 0;
    double gone = (double)(self->latest - self->from);
    double took_ms = (double)(self->latest_at - self->from_at) / (double)TIME_MS;
    if (gone <= 0 || took_ms <= 0)
        return PRESSURE_RETRY_UNKNOWN;
    return within ((double)excess / gone * took_ms);
}

/* ---- what is held ---- */

void pressure_init (pressure_t *self, size_t limit)
{
    *self = (pressure_t){ .limit = limit };
    self->trims.window = TRIMS_WINDOW;
    self->flushes.window = self->forwards.window = WAITS_WINDOW;
}

size_t pressure_admits (const pressure_t *self)
{
    return self->limit / 100 * PRESSURE_ADMIT_PERCENT;
}

bool pressure_due (const pressure_t *self, int64_t now)
{
    return self->looked == 0 || now - self->looked >= LOOK_EVERY ||
           self->reserved > self->limit / RESERVED_PART;
}

void pressure_take (pressure_t *self, const memory_t *memory, int64_t now)
{
    self->memory = *memory;
    self->reserved = 0;
    self->looked = now;
    drain_look (&self->trims, memory->trimmed, now);
    drain_look (&self->flushes, memory->flushed, now);
    drain_look (&self->forwards, memory->forwarded, now);
}

/* What counts against what is admitted. */
static size_t held_bytes (const pressure_t *self)
{
    size_t staying = memory_staying (&self->memory), half = pressure_admits (self) / 2;
    return memory_total (&self->memory) - staying + (staying < half ? staying : half) +
           self->reserved;
}

status_t pressure_check_size (const pressure_t *self, size_t bytes, error_t *error)
{
    size_t most = pressure_admits (self) / PRESSURE_GROWTH;
    if (bytes < most)
        return STATUS_OK;
    return error_set (error, STATUS_TOO_LARGE,
                      "a batch of %zu KiB never fits in the memory of this worker, which takes "
                      "%zu KiB at most; send fewer rows at a time (limits: speed_memory)",
                      bytes >> 10, most >> 10);
}

status_t pressure_reserve (pressure_t *self, size_t bytes, error_t *error)
{
    size_t held = held_bytes (self);
    size_t more = bytes * PRESSURE_GROWTH;
    if (held + more >= pressure_admits (self))
        return error_set_retry (error, STATUS_BUSY, pressure_retry_ms (self),
                                "this worker holds %zu MiB in memory, and takes %zu in at most, "
                                "until the next recompute; try again later",
                                held >> 20, pressure_admits (self) >> 20);
    self->reserved += more;
    return STATUS_OK;
}

bool pressure_views_full (const pressure_t *self)
{
    return self->memory.views >= self->limit;
}

uint32_t pressure_retry_ms (const pressure_t *self)
{
    const memory_t *memory = &self->memory;
    size_t held = held_bytes (self), admits = pressure_admits (self);
    uint32_t longest = PRESSURE_RETRY_MIN;
    uint32_t waits[] = {
        drain_wait_ms (&self->trims, held >= admits ? held - admits + admits / 16 : 0),
        drain_wait_ms (&self->flushes, memory->waiting),
        drain_wait_ms (&self->forwards, memory->forwards),
    };
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        longest = waits[i] > longest ? waits[i] : longest;
    return longest;
}
