#include "batch-worker/tiers.h"

size_t tiers_merged (const uint64_t *rows, size_t count)
{
    uint64_t all = 0, smaller = 0;
    size_t merged = 0;
    for (size_t i = 0; i < count; i++)
        all += rows[i];
    for (size_t i = 0; i < count; smaller += rows[i++])
        if (i > 0 && (rows[i] <= smaller || smaller + rows[i] <= all / TIERS_DUST_PART))
            merged = i + 1;
    return merged;
}
