#include "batch-worker/crew.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CREW_MAGIC = 0x43524557 };

typedef struct member {
    crew_t *crew;
    pthread_t thread;
    unsigned number;
} member_t;

struct crew {
    uint32_t magic;
    unsigned size;
    member_t members[CREW_MAX];

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t began;
    pthread_cond_t left;
    bool open;     /* there is work that members may begin */
    bool ends;     /* they shall end */
    unsigned busy; /* members at the work, but for the caller */

    /* the work: set while it is not open and nobody is busy */
    crew_work_f *work;
    void *arg;
    size_t count;
    atomic_size_t next; /* item */
};

static void take_items (crew_t *self, unsigned number)
{
    for (;;) {
        size_t item = atomic_fetch_add_explicit (&self->next, 1, memory_order_relaxed);
        if (item >= self->count)
            return;
        self->work (self->arg, item, number);
    }
}

static void *run_member (void *arg)
{
    member_t *member = arg;
    crew_t *self = member->crew;
    pthread_mutex_lock (&self->lock);
    for (;;) {
        while (!self->open && !self->ends)
            pthread_cond_wait (&self->began, &self->lock);
        if (self->ends)
            break;
        self->busy++;
        pthread_mutex_unlock (&self->lock);
        take_items (self, member->number);
        pthread_mutex_lock (&self->lock);
        self->open = false; /* every item was taken */
        if (--self->busy == 0)
            pthread_cond_signal (&self->left);
    }
    pthread_mutex_unlock (&self->lock);
    return NULL;
}

crew_t *crew_new (unsigned threads)
{
    CHECK (threads > 0);
    CHECK (threads <= CREW_MAX);
    crew_t *self = mem_zero (1, sizeof *self);
    self->magic = CREW_MAGIC;
    self->size = 1;
    pthread_mutex_init (&self->lock, NULL);
    pthread_cond_init (&self->began, NULL);
    pthread_cond_init (&self->left, NULL);
    for (unsigned i = 1; i < threads; i++) {
        member_t *member = &self->members[i];
        *member = (member_t){ .crew = self, .number = i };
        if (pthread_create (&member->thread, NULL, run_member, member) != 0)
            break;
        self->size++;
    }
    return self;
}

void crew_destroy (crew_t **self_p)
{
    crew_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, CREW_MAGIC);
    pthread_mutex_lock (&self->lock);
    self->ends = true;
    pthread_cond_broadcast (&self->began);
    pthread_mutex_unlock (&self->lock);
    for (unsigned i = 1; i < self->size; i++)
        pthread_join (self->members[i].thread, NULL);
    pthread_cond_destroy (&self->left);
    pthread_cond_destroy (&self->began);
    pthread_mutex_destroy (&self->lock);
    self->magic = 0;
    mem_free (self);
}

unsigned crew_size (const crew_t *self)
{
    CHECK_OBJECT (self, CREW_MAGIC);
    return self->size;
}

void crew_begin (crew_t *self, size_t count, crew_work_f *work, void *arg)
{
    CHECK_OBJECT (self, CREW_MAGIC);
    pthread_mutex_lock (&self->lock);
    CHECK (!self->open);
    CHECK (self->busy == 0);
    self->work = work;
    self->arg = arg;
    self->count = count;
    atomic_store_explicit (&self->next, 0, memory_order_relaxed);
    self->open = count > 0;
    if (self->size > 1 && count > 0)
        pthread_cond_broadcast (&self->began);
    pthread_mutex_unlock (&self->lock);
}

void crew_end (crew_t *self)
{
    CHECK_OBJECT (self, CREW_MAGIC);
    take_items (self, 0);
    pthread_mutex_lock (&self->lock);
    self->open = false;
    while (self->busy > 0)
        pthread_cond_wait (&self->left, &self->lock);
    pthread_mutex_unlock (&self->lock);
}

void crew_run (crew_t *self, size_t count, crew_work_f *work, void *arg)
{
    crew_begin (self, count, work, arg);
    crew_end (self);
}
