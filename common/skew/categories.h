/* categories.h - how often each text comes on either side. Private to the library. */
#ifndef WEIR_SKEW_CATEGORIES_H
#define WEIR_SKEW_CATEGORIES_H

#include "skew/distribution.h"

typedef struct categories categories_t;

categories_t *categories_new (size_t memory);
void categories_destroy (categories_t **self_p);

/* False when there is no room. */
bool categories_add (categories_t *self, distribution_side_t side, text_t text);

/* Fills `distinct` of both sides and, if they are compared, the PSI. */
void categories_finish (categories_t *self, distribution_result_t *result);

/* The PSI of two counts in so many bins (distribution.c). */
double distribution_psi (const uint64_t *training, const uint64_t *serving, size_t bins);

#endif
