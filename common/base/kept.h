/* kept.h - large pieces of memory that are kept for whoever needs them next.
 *
 * Memory that the system gives anew is cleared first, which takes as long as a good part of what is
 * done with it. */
#ifndef WEIR_BASE_KEPT_H
#define WEIR_BASE_KEPT_H

#include <stddef.h>

typedef struct kept kept_t;

enum { KEPT_PIECE = 32 << 20 }; /* bytes of each, aligned to large pages (mem_alloc_large) */

/* Keeps up to `most` pieces that nobody uses. All of these may be called by several threads. */
kept_t *kept_new (size_t most);
/* One more reference; NULL is fine. */
kept_t *kept_ref (kept_t *self);
/* Nulls the pointer. With the last reference all goes, and no piece may be in use. */
void kept_unref (kept_t **self_p);

/* A piece that was given back, or a new one; not initialised. `self` NULL: always a new one. */
void *kept_take (kept_t *self) __attribute__ ((returns_nonnull));
/* A piece of kept_take, which is kept, or freed when enough are. `self` as there. */
void kept_give (kept_t *self, void *piece);

/* Frees those that nobody uses; `self` as there. */
void kept_trim (kept_t *self);

/* Pieces that nobody uses. */
size_t kept_idle (kept_t *self);

#endif
