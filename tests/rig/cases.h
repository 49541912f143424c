/* cases.h - how many cases a property is tried with.
 *
 * Sanitizers look at what the code does. Of a property whose cases all do the same with other data,
 * a quarter of them does it all, and takes as long as the whole without sanitizers. */
#ifndef WEIR_TESTS_RIG_CASES_H
#define WEIR_TESTS_RIG_CASES_H

#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CASES_APART = 4 };
#else
enum { CASES_APART = 1 };
#endif

/* Of so many seeds, how many are taken. */
static inline uint64_t cases (uint64_t seeds)
{
    return (seeds + CASES_APART - 1) / CASES_APART;
}

/* Of places that are tried in turn, such as calls at which a disk fails: how far apart those are
 * that are taken. In no step with what comes in pairs or fours. */
static inline uint64_t cases_apart (uint64_t apart)
{
    return CASES_APART > 1 ? apart * CASES_APART + 1 : apart;
}

#endif
