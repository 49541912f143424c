/* preprocess.h - what becomes of a feature of a service before a model gets it: the steps that are
 * asked for, and their numbers, which are given or fitted to a training set (fit.h). */
#ifndef WEIR_FEATURE_PREPROCESS_H
#define WEIR_FEATURE_PREPROCESS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/value.h"

enum {
    CATEGORIES_MAX = 100,      /* of a feature that is encoded */
    CATEGORIES_ALL_MAX = 5000, /* of a service: with all else that it may have, its text can be read
                                  back (TREE_NODES_MAX) */
    CATEGORY_MAX_SIZE = 127,   /* bytes of one that is a string: FEATURE=CATEGORY is a name */
};

typedef enum impute_kind { IMPUTE_NONE, IMPUTE_VALUE, IMPUTE_MEDIAN, IMPUTE_MEAN } impute_kind_t;
typedef enum scale_kind { SCALE_NONE, SCALE_STANDARD, SCALE_MINMAX, SCALE_ROBUST } scale_kind_t;
typedef enum encode_kind { ENCODE_NONE, ENCODE_ONE_HOT, ENCODE_ORDINAL } encode_kind_t;

/* In this order: imputed, clipped and scaled, and a float64 then; or imputed and encoded. What has
 * a kind that is fitted and no number yet cannot be answered. */
typedef struct preprocess {
    impute_kind_t impute;
    bool has_impute; /* it is known what stands for null */
    value_t imputed; /* that: a float64, or of what is encoded, of the feature's type */
    bool clips;      /* to what is from `least` to `greatest` */
    double least, greatest;
    scale_kind_t scale;
    bool scale_is_given; /* by two numbers alone, and not by a name */
    bool has_scale;      /* its numbers are known */
    double scaled_by[2]; /* mean and stddev, min and max, or median and iqr */
    encode_kind_t encode;
    value_t *categories; /* of the feature's type, ascending, each once; NULL: not known */
    size_t categories_count;
} preprocess_t;

/* "median", "standard", "one_hot"; NULL of kinds that have no name. */
const char *impute_word (impute_kind_t kind);
const char *scale_word (scale_kind_t kind);
const char *encode_word (encode_kind_t kind);
/* What its two numbers are called: { "mean", "stddev" }. */
const char *const *scale_words (scale_kind_t kind);

/* Does any step take numbers of a training set? Has all of them, or none of them, got some? */
bool preprocess_is_fitted_kind (const preprocess_t *self);
bool preprocess_lacks_numbers (const preprocess_t *self);
bool preprocess_has_fitted (const preprocess_t *self);

/* Do they ask for the same, whatever has been fitted? */
bool preprocess_same_kind (const preprocess_t *a, const preprocess_t *b);
/* The numbers that `from`, of the same kind, has and `self` lacks, copied to `arena`. */
void preprocess_take (preprocess_t *self, const preprocess_t *from, arena_t *arena);
/* The same without what is fitted. */
void preprocess_forget (preprocess_t *self);

/* Appends an expression of what becomes of the number that `of` is the name of. It lacks none of
 * its numbers, and is not encoded. */
void preprocess_put_expression (const preprocess_t *self, const char *of, buf_t *out);

/* Appends a value of a category as it is in names and texts: its bytes, true, -3. */
void category_format (const value_t *category, buf_t *out);

/* Why a text can be no category, and so no part of a name; NULL: it can. */
const char *category_refusal (text_t text);
/* A copy of it in `arena`. */
value_t category_copy (const value_t *category, arena_t *arena);

/* One of the float64s that a value is encoded as. */
typedef struct encoding {
    encode_kind_t kind;
    value_t imputed; /* what stands for null; of type NONE: nothing does */
    const value_t *categories;
    size_t count;
    size_t category; /* one-hot: of these, the one that it tells */
} encoding_t;

/* One-hot: 1 for its category and 0 for any other value and null. Ordinal: the place of the
 * category, -1 for a value that is none, null for null. */
value_t encoding_of (const encoding_t *self, const value_t *value);

#endif
