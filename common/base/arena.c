#include "base/arena.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdalign.h>

/* Freed memory that stays ours is closed to the address sanitizer, so that a pointer kept over
 * arena_reset is found. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ARENA_POISONS)
void __asan_poison_memory_region (const volatile void *data, size_t size);
void __asan_unpoison_memory_region (const volatile void *data, size_t size);
#define CLOSE_BYTES(data, size) __asan_poison_memory_region (data, size)
#define OPEN_BYTES(data, size)  __asan_unpoison_memory_region (data, size)
#else
#define CLOSE_BYTES(data, size) ((void)0)
#define OPEN_BYTES(data, size)  ((void)0)
#endif

enum { ALIGNMENT = alignof (max_align_t), ARENA_MAGIC = 0x4152454e };

typedef struct chunk {
    struct chunk *next;
    size_t size; /* of data */
    alignas (max_align_t) char data[];
} chunk_t;

struct arena {
    uint32_t magic;
    size_t chunk_size;
    size_t held;
    chunk_t *first;   /* ordinary chunks, in the order in which they are filled */
    chunk_t *current; /* the one being filled; NULL before the first allocation */
    size_t used;      /* bytes of current */
    chunk_t *large;   /* one allocation each, in use */
    chunk_t *idle;    /* large ones that arena_reset gave back */
};

arena_t *arena_new (size_t chunk_size)
{
    CHECK (chunk_size > 0);
    arena_t *self = mem_zero (1, sizeof *self);
    self->magic = ARENA_MAGIC;
    self->chunk_size = (chunk_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return self;
}

static void free_chunks (chunk_t *chunk)
{
    while (chunk) {
        chunk_t *next = chunk->next;
        OPEN_BYTES (chunk->data, chunk->size);
        mem_free (chunk);
        chunk = next;
    }
}

void arena_destroy (arena_t **self_p)
{
    arena_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, ARENA_MAGIC);
    free_chunks (self->first);
    free_chunks (self->large);
    free_chunks (self->idle);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

static chunk_t *chunk_new (arena_t *self, size_t size)
{
    chunk_t *chunk = mem_alloc (sizeof *chunk + size);
    chunk->next = NULL;
    chunk->size = size;
    CLOSE_BYTES (chunk->data, size);
    self->held += sizeof *chunk + size;
    return chunk;
}

/* An idle chunk that is big enough, or a new one in the place of an idle one that is too small: so
 * there are never more of them than were in use together. */
static chunk_t *take_large (arena_t *self, size_t size)
{
    chunk_t **place = &self->idle;
    while (*place && (*place)->size < size && (*place)->next)
        place = &(*place)->next;
    chunk_t *chunk = *place;
    if (chunk)
        *place = chunk->next;
    if (chunk && chunk->size < size) {
        self->held -= sizeof *chunk + chunk->size;
        chunk->next = NULL;
        free_chunks (chunk);
        chunk = NULL;
    }
    return chunk ? chunk : chunk_new (self, size);
}

static void *alloc_large (arena_t *self, size_t size)
{
    chunk_t *chunk = take_large (self, size);
    chunk->next = self->large;
    self->large = chunk;
    OPEN_BYTES (chunk->data, size);
    return chunk->data;
}

/* Makes the next ordinary chunk the current one, which it makes when there is none. */
static void advance (arena_t *self)
{
    chunk_t **next = self->current ? &self->current->next : &self->first;
    if (!*next)
        *next = chunk_new (self, self->chunk_size);
    self->current = *next;
    self->used = 0;
}

size_t arena_footprint (size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *arena_alloc (arena_t *self, size_t size)
{
    CHECK_OBJECT (self, ARENA_MAGIC);
    CHECK (size < SIZE_MAX / 2);
    size_t rounded = arena_footprint (size);
    if (rounded > self->chunk_size)
        return alloc_large (self, rounded);
    if (!self->current || rounded > self->chunk_size - self->used)
        advance (self);
    char *data = self->current->data + self->used;
    self->used += rounded;
    OPEN_BYTES (data, size);
    return data;
}

void *arena_zero (arena_t *self, size_t count, size_t size)
{
    size_t bytes;
    bool overflow = __builtin_mul_overflow (count, size, &bytes);
    CHECK (!overflow);
    return memset (arena_alloc (self, bytes), 0, bytes);
}

text_t arena_text (arena_t *self, text_t text)
{
    return (text_t){ arena_string (self, text), text.size };
}

char *arena_string (arena_t *self, text_t text)
{
    char *copy = arena_alloc (self, (size_t)text.size + 1);
    if (text.size > 0)
        memcpy (copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

void arena_reset (arena_t *self)
{
    CHECK_OBJECT (self, ARENA_MAGIC);
    for (chunk_t *chunk = self->first; chunk; chunk = chunk->next)
        CLOSE_BYTES (chunk->data, chunk->size);
    while (self->large) {
        chunk_t *chunk = self->large;
        self->large = chunk->next;
        CLOSE_BYTES (chunk->data, chunk->size);
        chunk->next = self->idle;
        self->idle = chunk;
    }
    self->current = NULL;
    self->used = 0;
}

size_t arena_held (const arena_t *self)
{
    CHECK_OBJECT (self, ARENA_MAGIC);
    return self->held;
}
