#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { PIECES = 256 };

static size_t resident_bytes (void)
{
    size_t kib = 0;
    char line[256];
    FILE *status = fopen ("/proc/self/status", "r");
    cr_assert_not_null (status);
    while (fgets (line, sizeof line, status) != NULL)
        if (sscanf (line, "VmRSS: %zu kB", &kib) == 1)
            break;
    (void)fclose (status);
    cr_assert_gt (kib, 0);
    return kib << 10;
}

/* Large pieces with small ones between them, which stay. Those that were freed before would have
 * malloc keep what follows. */
Test (mem, what_is_large_goes_back_to_the_system)
{
    void *large[PIECES];
    void *small[PIECES];
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test ("sanitizers have a malloc of their own");
#endif
    mem_return_large ();
    mem_free (mem_alloc (20 << 20));
    size_t before = resident_bytes ();
    for (size_t i = 0; i < PIECES; i++) {
        large[i] = mem_alloc (MEM_RETURNED);
        memset (large[i], 1, MEM_RETURNED);
        small[i] = mem_alloc (100);
    }
    cr_assert_geq (resident_bytes (), before + PIECES / 2 * MEM_RETURNED);
    for (size_t i = 0; i < PIECES; i++)
        mem_free (large[i]);
    cr_assert_lt (resident_bytes (), before + 4 * MEM_RETURNED);
    for (size_t i = 0; i < PIECES; i++)
        mem_free (small[i]);
}
