/* mem.h - allocation that does not fail.
 *
 * Sizes that come from outside are bounded before they get here, so running out of memory is not a
 * state that callers can mend: these print what was asked for and abort. */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H

#include <stddef.h>

/* `size` bytes, not initialised; the caller frees with mem_free. Size 0 gives a unique pointer. */
void *mem_alloc (size_t size) __attribute__ ((malloc, alloc_size (1), returns_nonnull));

/* `count` * `size` bytes of zero (the product is checked). */
void *mem_zero (size_t count, size_t size)
    __attribute__ ((malloc, alloc_size (1, 2), returns_nonnull));

/* Grows or shrinks; `pointer` may be NULL. The product is checked. */
void *mem_resize (void *pointer, size_t count, size_t size) __attribute__ ((returns_nonnull));

/* `size` bytes that are read here and there, of which there should be megabytes: in large pages
 * where the system has them, each of which is there as a whole once a byte of it is written. */
void *mem_alloc_large (size_t size) __attribute__ ((malloc, alloc_size (1), returns_nonnull));

/* `size` bytes, a multiple of `alignment`, which is a power of two. */
void *mem_alloc_aligned (size_t size, size_t alignment)
    __attribute__ ((malloc, alloc_size (1), returns_nonnull));

/* From now on what is large (MEM_RETURNED) goes back to the system as soon as it is freed, and does
 * not stay with the process for what may come: for those who hold much, and let it go piece by
 * piece for days. Before there are other threads. */
void mem_return_large (void);
enum { MEM_RETURNED = 256 << 10 }; /* bytes */

/* A NUL-terminated copy. */
char *mem_string (const char *text) __attribute__ ((returns_nonnull));
char *mem_string_n (const char *data, size_t size) __attribute__ ((returns_nonnull));

/* Formats into a new string that the caller frees. */
char *mem_format (const char *format, ...) __attribute__ ((format (printf, 1, 2), returns_nonnull));

/* Frees; NULL is fine. */
void mem_free (void *pointer);

#endif
