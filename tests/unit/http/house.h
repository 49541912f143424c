/* house.h - questions of HTTP, by the definitions of tests/fuzz/http_model.h. */
#ifndef WEIR_TEST_HTTP_HOUSE_H
#define WEIR_TEST_HTTP_HOUSE_H

#include "serving/http/question.h"
#include "tests/fuzz/http_model.h"

#include <criterion/criterion.h>

/* That of a body which is good. */
static inline question_t *read_good (const char *body)
{
    trouble_t trouble = { .kind = TROUBLE_NONE };
    model_t *model = http_model_new ();
    question_t *question = question_read (text_of (body), model, &trouble);
    cr_assert_not_null (question, "%s: %s", body, trouble.text);
    model_unref (&model);
    return question;
}

/* What is wrong with one that is not. */
static inline trouble_t read_bad (text_t body)
{
    trouble_t trouble = { .kind = TROUBLE_NONE };
    model_t *model = http_model_new ();
    cr_assert_null (question_read (body, model, &trouble));
    cr_assert_neq (trouble.kind, TROUBLE_NONE);
    model_unref (&model);
    return trouble;
}

#endif
