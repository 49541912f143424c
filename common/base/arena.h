/* arena.h - many small allocations freed together. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "base/text.h"

#include <stddef.h>

typedef struct arena arena_t;

/* Chunks are `chunk_size` bytes, or larger for one allocation that needs it. */
arena_t *arena_new (size_t chunk_size);
void arena_destroy (arena_t **self_p);

/* `size` bytes aligned for any type, living until arena_reset or arena_destroy. */
void *arena_alloc (arena_t *self, size_t size) __attribute__ ((returns_nonnull));
void *arena_zero (arena_t *self, size_t count, size_t size) __attribute__ ((returns_nonnull));
text_t arena_text (arena_t *self, text_t text);  /* a copy */
char *arena_string (arena_t *self, text_t text); /* a NUL-terminated copy */

/* Bytes of a chunk that an allocation of `size` takes. */
size_t arena_footprint (size_t size);

/* Forgets every allocation and keeps the chunks for the next round. */
void arena_reset (arena_t *self);

/* Bytes held from the system. */
size_t arena_held (const arena_t *self);

#endif
