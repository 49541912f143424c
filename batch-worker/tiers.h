/* tiers.h - which runs of a layer become one when it is built, so that they stay few and no row is
 * rewritten often (docs/coordination.md, "Bases and deltas"). */
#ifndef WEIR_BATCH_WORKER_TIERS_H
#define WEIR_BATCH_WORKER_TIERS_H

#include <stddef.h>
#include <stdint.h>

enum {
    TIERS_RUNS_MAX = 7,   /* that are left of a base */
    TIERS_DUST_PART = 64, /* what is no more than this part of all rows is merged anyway */
};

/* Of runs with these rows, ascending: how many of the smallest become one; 0: none. A run goes that
 * is no larger than all smaller ones together, with these; and the smallest as long as they are
 * dust. So every run that is left is larger than all smaller ones together, any two are more than
 * dust, and at most TIERS_RUNS_MAX are left. Who is rewritten is so into a run of at least twice
 * the rows, or dust. */
size_t tiers_merged (const uint64_t *rows, size_t count);

#endif
