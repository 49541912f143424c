/* question.h - a POST /get-online-features: what it asks of which views, by the definitions that
 * the cluster has. */
#ifndef WEIR_HTTP_QUESTION_H
#define WEIR_HTTP_QUESTION_H

#include "member/model.h"
#include "serving/http/form.h"

/* name, type, required, what it is */
#define QUESTION_FIELDS(X)                                                                         \
    X ("entities", FORM_COLUMNS, true,                                                             \
       "The fields of the views' keys, and values that they take with a request, by name: lists "  \
       "of one length.")                                                                           \
    X ("features", FORM_TEXTS_OR_NULL, false,                                                      \
       "What is asked for: view:feature, or view@v2:feature.")                                     \
    X ("feature_service", FORM_TEXT_OR_NULL, false, "A feature service, instead of features.")     \
    X ("full_feature_names", FORM_BOOL, false, "Features are called view__feature.")               \
    X ("include_feature_view_version_metadata", FORM_BOOL, false,                                  \
       "Versions of the views are told in the metadata.")

extern const form_field_t question_fields[];
extern const size_t question_fields_count;

/* What is asked of one view, in one get. */
typedef struct question_view {
    const char *reference; /* "user_spend" or "user_spend@v2" */
    uint32_t version;      /* of which it is asked */
    const plan_t *plan;    /* of a view; the model's, while the question is read */
    const char **features;
    size_t features_count;
    const char **key_fields;
    size_t key_count;
    const char **request_fields;
    size_t request_count;
    weir_value_t *keys;    /* row by row */
    weir_value_t *request; /* row by row */
} question_view_t;

/* Where a feature of the answer is. */
typedef struct question_feature {
    const char *name; /* as the answer calls it */
    uint32_t view;
    uint32_t feature; /* of the view's */
} question_feature_t;

typedef struct question {
    arena_t *arena; /* owns all of it */
    size_t rows;
    columns_t entities;
    bool *repeated; /* by entity column: a feature of the same name is answered instead of it */
    question_view_t *views; /* in the order in which they are met */
    size_t views_count;
    question_feature_t *features; /* in the order asked for */
    size_t features_count;
    bool with_versions;
} question_t;

/* NULL with what is wrong. Nothing of `body` and `model` is kept. */
question_t *question_read (text_t body, const model_t *model, trouble_t *trouble);
void question_destroy (question_t **self_p);

/* The answer as Feast gives it, from those of the views. False, and what is wrong, when it is over
 * a limit. */
bool question_answer (const question_t *self, weir_answer_t *const *answers, buf_t *out,
                      trouble_t *trouble);

#endif
