#include "base/kept.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define KEPT_MAGIC UINT32_C (0x4b455054)

struct kept {
    uint32_t magic;
    pthread_mutex_t mutex; /* guards what follows */
    size_t references;
    size_t most;
    size_t idle;
    size_t used;
    void *pieces[]; /* the idle ones; room for `most` */
};

static void lock (kept_t *self)
{
    CHECK_OBJECT (self, KEPT_MAGIC);
    CHECK (pthread_mutex_lock (&self->mutex) == 0);
}

static void unlock (kept_t *self)
{
    CHECK (pthread_mutex_unlock (&self->mutex) == 0);
}

kept_t *kept_new (size_t most)
{
    CHECK (most < SIZE_MAX / KEPT_PIECE);
    kept_t *self = mem_zero (1, sizeof *self + most * sizeof *self->pieces);
    self->magic = KEPT_MAGIC;
    self->most = most;
    self->references = 1;
    CHECK (pthread_mutex_init (&self->mutex, NULL) == 0);
    return self;
}

kept_t *kept_ref (kept_t *self)
{
    if (self == NULL)
        return NULL;
    lock (self);
    self->references++;
    unlock (self);
    return self;
}

void kept_unref (kept_t **self_p)
{
    kept_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    lock (self);
    bool last = --self->references == 0;
    unlock (self);
    if (!last)
        return;
    kept_trim (self);
    CHECK (self->used == 0);
    CHECK (pthread_mutex_destroy (&self->mutex) == 0);
    self->magic = 0;
    mem_free (self);
}

void *kept_take (kept_t *self)
{
    void *piece = NULL;
    if (self != NULL) {
        lock (self);
        if (self->idle > 0)
            piece = self->pieces[--self->idle];
        self->used++;
        unlock (self);
    }
    return piece != NULL ? piece : mem_alloc_large (KEPT_PIECE);
}

void kept_give (kept_t *self, void *piece)
{
    CHECK (piece != NULL);
    if (self != NULL) {
        lock (self);
        CHECK (self->used > 0);
        self->used--;
        if (self->idle < self->most) {
            self->pieces[self->idle++] = piece;
            piece = NULL;
        }
        unlock (self);
    }
    mem_free (piece);
}

void kept_trim (kept_t *self)
{
    if (self == NULL)
        return;
    lock (self);
    while (self->idle > 0)
        mem_free (self->pieces[--self->idle]);
    unlock (self);
}

size_t kept_idle (kept_t *self)
{
    lock (self);
    size_t idle = self->idle;
    unlock (self);
    return idle;
}
