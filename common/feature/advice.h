/* advice.h - what is right in definitions but probably not meant. */
#ifndef WEIR_FEATURE_ADVICE_H
#define WEIR_FEATURE_ADVICE_H

#include "feature/definition.h"

/* Appends a line, "view v: what, and what to do", for each thing. `every` is the time between
 * recomputes in µs; 0: they are not scheduled. Returns how many lines. */
size_t definitions_advise (const definitions_t *definitions, int64_t every, buf_t *lines);

#endif
