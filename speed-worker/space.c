#include "speed-worker/space.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

enum {
    SPACE_MAGIC = 0x53504143,
    SOON_PART = 8,   /* of the reserve, taken in: then the next look is due … */
    UNSEEN_PART = 2, /* … and as much as that is not taken in without one */
    UNSEEN_RETRY_MS = 20,
};

#define LOOK_EVERY (SPACE_RETRY_MS / 2 * TIME_MS)

typedef struct look {
    job_t job; /* first */
    fs_t *fs;
    status_t status;
    uint64_t free;
    error_t error;
} look_t;

struct space {
    uint32_t magic;
    env_t *env;
    uint64_t reserve;
    uint32_t lane;
    look_t *look;    /* under way */
    int64_t due;     /* boot µs */
    bool known;      /* it has been looked at */
    uint64_t free;   /* as of the last look … */
    uint64_t taken;  /* … and bytes taken in since the one before it began: they may not have been
                        written when it was taken */
    uint64_t before; /* of these, until the last look began … */
    uint64_t earlier; /* … and until the one under way did */
    bool failed;      /* the last look did */
    bool was_full;    /* as it was told last */
};

static void look_run (job_t *job)
{
    look_t *self = (look_t *)job;
    self->status = fs_free_space (self->fs, &self->free, &self->error);
}

static void look_discard (job_t *job)
{
    mem_free (job);
}

space_t *space_new (env_t *env, uint64_t reserve, uint32_t lane)
{
    space_t *self = mem_zero (1, sizeof *self);
    self->magic = SPACE_MAGIC;
    self->env = env;
    self->reserve = reserve;
    self->lane = lane;
    return self;
}

void space_destroy (space_t **self_p)
{
    space_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, SPACE_MAGIC);
    self->magic = 0;
    mem_free (self);
}

uint64_t space_free (const space_t *self)
{
    CHECK_OBJECT (self, SPACE_MAGIC);
    if (!self->known)
        return UINT64_MAX;
    return self->free > self->taken ? self->free - self->taken : 0;
}

bool space_full (const space_t *self)
{
    return self->reserve > 0 && space_free (self) < self->reserve;
}

/* Bytes taken in since the last look that is done began: others may have filled the disk since. */
static uint64_t unseen (const space_t *self)
{
    return self->taken - self->before;
}

status_t space_take (space_t *self, uint64_t bytes, error_t *error)
{
    CHECK_OBJECT (self, SPACE_MAGIC);
    if (self->reserve == 0)
        return STATUS_OK;
    uint64_t free = space_free (self);
    if (free < self->reserve || free - self->reserve < bytes)
        return error_set_retry (error, STATUS_NO_SPACE, SPACE_RETRY_MS,
                                "the disk of the data directory is full: %.1f MiB free, needs "
                                "%.1f (limits: disk_reserve); make room, it goes on by itself",
                                (double)free / (1 << 20),
                                (double)(self->reserve + bytes) / (1 << 20));
    if (unseen (self) + bytes > self->reserve / UNSEEN_PART && unseen (self) > 0)
        return error_set_retry (error, STATUS_BUSY, self->failed ? SPACE_RETRY_MS : UNSEEN_RETRY_MS,
                                "the room on the disk is being looked at; try again");
    self->taken += bytes;
    return STATUS_OK;
}

int64_t space_tick (space_t *self)
{
    CHECK_OBJECT (self, SPACE_MAGIC);
    int64_t now = self->env->boot_us (self->env);
    if (self->reserve == 0 || self->look)
        return INT64_MAX;
    bool is_soon = unseen (self) > self->reserve / SOON_PART && !self->failed;
    if (now < self->due && !is_soon)
        return self->due;
    self->due = now + LOOK_EVERY;
    self->earlier = self->taken;
    look_t *look = mem_zero (1, sizeof *look);
    look->job = (job_t){ .run = look_run, .discard = look_discard, .lane = self->lane };
    look->fs = self->env->fs;
    self->look = look;
    self->env->submit (self->env, &look->job);
    return self->due;
}

/* Once for each time that it fills or empties. */
static void tell (space_t *self)
{
    bool is_full = space_full (self);
    if (is_full != self->was_full)
        env_log (self->env, is_full ? LOG_ERROR : LOG_INFO,
                 is_full ? "the disk is full: %.1f MiB free; no events are taken below %.1f MiB"
                         : "the disk has room: %.1f MiB free; events are taken above %.1f MiB",
                 (double)space_free (self) / (1 << 20), (double)self->reserve / (1 << 20));
    self->was_full = is_full;
}

static void take_look (space_t *self, const look_t *look)
{
    bool failed = look->status != STATUS_OK;
    if (failed && !self->failed)
        env_log (self->env, LOG_ERROR,
                 "the room on the disk cannot be looked at, and events are taken for %.1f MiB more "
                 "at most: %s",
                 (double)(self->reserve / UNSEEN_PART) / (1 << 20), look->error.text);
    self->failed = failed;
    if (failed)
        return;
    self->taken -= self->before;
    self->before = self->earlier - self->before;
    self->free = look->free;
    self->known = true;
    tell (self);
}

bool space_job_done (space_t *self, job_t *job)
{
    CHECK_OBJECT (self, SPACE_MAGIC);
    if (!self->look || job != &self->look->job)
        return false;
    take_look (self, self->look);
    mem_free (self->look);
    self->look = NULL;
    return true;
}
