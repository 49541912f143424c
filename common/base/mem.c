#include "base/mem.h"

#include "base/check.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

static _Noreturn void out_of_memory (size_t count, size_t size)
{
    fprintf (stderr, "out of memory: %zu * %zu bytes were asked for\n", count, size);
    abort ();
}

void *mem_alloc (size_t size)
{
    void *pointer = malloc (size ? size : 1);
    if (!pointer)
        out_of_memory (1, size);
    return pointer;
}

void *mem_zero (size_t count, size_t size)
{
    bool empty = count == 0 || size == 0;
    void *pointer = empty ? calloc (1, 1) : calloc (count, size);
    if (!pointer)
        out_of_memory (count, size);
    return pointer;
}

void *mem_resize (void *pointer, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow (count, size, &bytes))
        out_of_memory (count, size);
    void *grown = realloc (pointer, bytes ? bytes : 1);
    if (!grown)
        out_of_memory (count, size);
    return grown;
}

void *mem_alloc_large (size_t size)
{
    CHECK (size <= SIZE_MAX - LARGE_PAGE);
    size = (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *pointer = aligned_alloc (LARGE_PAGE, size);
    if (!pointer)
        out_of_memory (1, size);
    (void)madvise (pointer, size, MADV_HUGEPAGE); /* advice: it does without */
    return pointer;
}

void *mem_alloc_aligned (size_t size, size_t alignment)
{
    CHECK (size % alignment == 0);
    void *pointer = aligned_alloc (alignment, size);
    if (!pointer)
        out_of_memory (1, size);
    return pointer;
}

/* Left to itself malloc takes the largest that was freed for a size that is asked for all the time
 * and has all up to that, and 32 MiB, among small pieces, between which they never go back. */
void mem_return_large (void)
{
    enum { END_KEPT = 16 << 20 }; /* bytes that may be free at the end of the small ones */
    /* advice: sanitizers have a malloc of their own */
    (void)mallopt (M_MMAP_THRESHOLD, MEM_RETURNED);
    (void)mallopt (M_TRIM_THRESHOLD, END_KEPT);
}

char *mem_string (const char *text)
{
    return mem_string_n (text, strlen (text));
}

char *mem_string_n (const char *data, size_t size)
{
    CHECK (size < SIZE_MAX);
    char *copy = mem_alloc (size + 1);
    if (size > 0)
        memcpy (copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *mem_format (const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start (args, format);
    int size = vasprintf (&text, format, args);
    va_end (args);
    CHECK (size >= 0);
    return text;
}

void mem_free (void *pointer)
{
    free (pointer);
}
