/* distribution.h - how the values of one feature are spread in training and in serving, and how far
 * apart they are (docs/skew.md, Distributions). All of it is exact: every value is looked at, none
 * is estimated. */
#ifndef WEIR_SKEW_DISTRIBUTION_H
#define WEIR_SKEW_DISTRIBUTION_H

#include "base/status.h"
#include "base/value.h"

enum {
    DISTRIBUTION_BINS = 10,        /* of numbers, for the PSI */
    DISTRIBUTION_CATEGORIES = 100, /* of training's that have a bin each; all others share one */
    DISTRIBUTION_QUANTILES = 7,
};

/* Those that are told, in this order. */
extern const double distribution_quantiles[DISTRIBUTION_QUANTILES];

typedef enum distribution_side { SIDE_TRAINING, SIDE_SERVING, SIDES } distribution_side_t;

typedef enum distribution_kind {
    DISTRIBUTION_NUMBERS,  /* int64, float64, decimals, timestamps */
    DISTRIBUTION_WORDS,    /* bools, strings */
    DISTRIBUTION_PRESENCE, /* lists and maps: only whether they are null */
} distribution_kind_t;

distribution_kind_t distribution_kind_of (type_t type);

/* What is told of one side. */
typedef struct distribution_summary {
    uint64_t count;
    uint64_t nulls;
    double null_rate;                         /* 0 of none */
    uint64_t distinct;                        /* of categories */
    bool has_numbers;                         /* are there finite ones? Then: */
    double mean;                              /* of the finite ones, correctly rounded */
    double quantiles[DISTRIBUTION_QUANTILES]; /* of all that are not null, by rank */
} distribution_summary_t;

typedef struct distribution_result {
    distribution_summary_t sides[SIDES];
    bool compared;    /* both sides have values; else the next two are 0 */
    double psi;       /* population stability index; 0 of lists and maps */
    double ks;        /* Kolmogorov-Smirnov statistic; 0 of all but numbers */
    double null_rate; /* serving's less training's */
} distribution_result_t;

typedef struct distribution distribution_t;

/* `memory`: bytes that all values together may take. */
distribution_t *distribution_new (distribution_kind_t kind, size_t memory);
void distribution_destroy (distribution_t **self_p);

/* Adds a value of a type of the kind; a string is copied. TOO_LARGE when there is no room. */
MUST_CHECK status_t distribution_add (distribution_t *self, distribution_side_t side,
                                      const value_t *value, error_t *error);

/* Of all values; once. */
void distribution_finish (distribution_t *self, distribution_result_t *result);

#endif
