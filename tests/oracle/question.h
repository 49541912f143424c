/* question.h - what weir-oracle is asked on its command line. */
#ifndef WEIR_ORACLE_QUESTION_H
#define WEIR_ORACLE_QUESTION_H

#include "tests/oracle/oracle.h"

#include "base/timestamp.h"

enum { QUESTION_FIELDS_MAX = 64, QUESTION_FEATURES_MAX = 500, QUESTION_KEYS_MAX = 8 };

typedef struct question_field {
    text_t name;
    type_t type;
    time_unit_t unit; /* of integer timestamps */
} question_field_t;

typedef struct question {
    question_field_t fields[QUESTION_FIELDS_MAX];
    size_t fields_count;
    uint32_t key[QUESTION_KEYS_MAX]; /* indexes of fields */
    size_t key_count;
    uint32_t time; /* index of the event time's field */
    oracle_filter_t where[ORACLE_FILTERS_MAX];
    size_t where_count;
    text_t names[QUESTION_FEATURES_MAX];
    char aggregates[QUESTION_FEATURES_MAX][32];
    oracle_feature_t features[QUESTION_FEATURES_MAX];
    size_t features_count;
} question_t;

/* "origin:string,date:timestamp,seen:timestamp.s" */
MUST_CHECK status_t question_fields (question_t *self, text_t text, error_t *error);
/* "origin,destination"; after the fields. */
MUST_CHECK status_t question_key (question_t *self, text_t text, error_t *error);
MUST_CHECK status_t question_time (question_t *self, text_t text, error_t *error);
/* "delay > 15 and origin is not null", for every feature; before the features. */
MUST_CHECK status_t question_where (question_t *self, text_t text, error_t *error);
/* "late_7d: count() where delay > 15 over 7d", "max_k(delay, 3) by carrier over 3 rows in 7d delay
 * 1d"; the texts live as long as the question. */
MUST_CHECK status_t question_feature (question_t *self, text_t text, error_t *error);

/* A cell of a CSV as a value of the field's type. */
MUST_CHECK status_t question_value (const question_field_t *field, text_t text, bool quoted,
                                    value_t *value, error_t *error);

#endif
