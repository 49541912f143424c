/* result_type.h - the whole type of a feature's values: lists and maps say of what. */
#ifndef WEIR_FEATURE_RESULT_TYPE_H
#define WEIR_FEATURE_RESULT_TYPE_H

#include "aggregate/aggregate.h"

/* A type, and of a list or map what is in it. */
typedef struct content_type {
    type_t type;
    type_t key;  /* of a map's keys */
    type_t item; /* of a list's items, of a map's values */
} content_type_t;

/* float64; list<int64>; map<string,float64>; map<string,list<float64>>: with `by` an aggregate
 * that gives a list or map gives one for each key. */
typedef struct result_type {
    type_t type;
    type_t key;
    content_type_t item;
} result_type_t;

/* Of an aggregate over inputs of a type (NONE: of the row itself), for each key of type `by`
 * (NONE: without). */
result_type_t result_type_of (aggregate_t aggregate, type_t input, type_t by);

/* Of a single value. */
result_type_t result_type_single (type_t type);

/* Appends it as written above: the protocol's `types`. */
void result_type_format (const result_type_t *self, buf_t *out);

enum { RESULT_TYPE_TEXT_MAX = 80 }; /* bytes of that text */

#endif
