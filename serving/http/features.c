/* features.c - POST /get-online-features: each view is asked once, and all answers are one. */
#include "serving/http/endpoints.h"
#include "serving/http/limits.h"
#include "serving/http/question.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* What an exchange has under way. */
typedef struct features {
    question_t *question;
    weir_answer_t *answers[HTTP_REQUEST_VIEWS_MAX];
    size_t left;       /* gets that are not told */
    trouble_t trouble; /* the first; of kind NONE when there is none */
} features_t;

static void give_up (exchange_t *exchange)
{
    features_t *self = exchange->work;
    for (size_t i = 0; i < HTTP_REQUEST_VIEWS_MAX; i++)
        weir_answer_destroy (&self->answers[i]);
    question_destroy (&self->question);
    mem_free (self);
    exchange->work = NULL;
    exchange->give_up = NULL;
}

static bool is_about_definitions (const trouble_t *trouble)
{
    static const char entities[] = "\"entities\"";
    trouble_kind_t kind = trouble->kind;
    return kind == TROUBLE_VIEW || kind == TROUBLE_VERSION || kind == TROUBLE_FEATURE ||
           kind == TROUBLE_SERVICE || kind == TROUBLE_CHANGED ||
           (kind == TROUBLE_FORM && strncmp (trouble->place, entities, sizeof entities - 1) == 0);
}

/* What is wrong by the definitions that are known may be right by the newest. */
static void fail (exchange_t *exchange, const trouble_t *trouble)
{
    if (!is_about_definitions (trouble) || !http_refresh (exchange))
        exchange_trouble (exchange, trouble);
}

static bool write_answer (exchange_t *exchange, trouble_t *trouble)
{
    const features_t *self = exchange->work;
    return question_answer (self->question, self->answers, &exchange->answer, trouble) &&
           (http_has_room (exchange->http, exchange->answer.capacity) ||
            trouble_set (trouble, TROUBLE_BUSY,
                         "answers that their clients have not read yet take %d MiB",
                         HTTP_ANSWERS_MAX >> 20));
}

static void finish (exchange_t *exchange)
{
    features_t *self = exchange->work;
    trouble_t trouble = self->trouble;
    if (trouble.kind == TROUBLE_NONE)
        (void)write_answer (exchange, &trouble);
    give_up (exchange);
    if (trouble.kind == TROUBLE_NONE)
        exchange_answer (exchange, 200, "application/json");
    else
        fail (exchange, &trouble);
}

static void take_trouble (features_t *self, size_t view, const weir_error_t *error)
{
    const char *reference = self->question->views[view].reference;
    char text[2 * ERROR_TEXT_MAX];
    if (self->trouble.kind != TROUBLE_NONE)
        return;
    snprintf (text, sizeof text, "%s: %s", reference, error->text);
    (void)trouble_told (&self->trouble, error->status, error->retry_ms, text);
    if (self->trouble.kind == TROUBLE_FORM)
        trouble_place (self->trouble.place, sizeof self->trouble.place, "entities", NULL);
}

/* Is the answer of the shape that was asked for? A node could be of any version. */
static bool fits (const features_t *self, size_t view, const weir_answer_t *answer)
{
    return weir_answer_keys (answer) == self->question->rows &&
           weir_answer_features (answer) == self->question->views[view].features_count;
}

/* Of another version than the definitions are of that say what is asked, a service may answer more,
 * and a view take other values with a request. */
static bool is_of_version (const features_t *self, size_t view, const weir_answer_t *answer)
{
    char version[16];
    snprintf (version, sizeof version, "v%u", self->question->views[view].version);
    return strcmp (weir_answer_version (answer), version) == 0;
}

static void told (exchange_t *exchange, size_t view, const weir_event_t *event)
{
    features_t *self = exchange->work;
    weir_event_t *own = (weir_event_t *)(uintptr_t)event; /* whose answer is taken */
    if (!event->answer) {
        take_trouble (self, view, event->error);
    } else if (!fits (self, view, event->answer)) {
        (void)trouble_set (&self->trouble, TROUBLE_FAILED, "the answer does not fit the question");
    } else if (!is_of_version (self, view, event->answer)) {
        (void)trouble_set (&self->trouble, TROUBLE_CHANGED,
                           "%s has changed while it was asked: ask again",
                           self->question->views[view].reference);
    } else {
        self->answers[view] = event->answer;
        own->answer = NULL;
    }
    if (--self->left == 0)
        finish (exchange);
}

/* An answer that lacks events could not be told from others, so it is refused. */
static weir_status_t submit (exchange_t *exchange, size_t at, weir_error_t *error)
{
    features_t *self = exchange->work;
    const question_view_t *view = &self->question->views[at];
    weir_get_t get;
    weir_get_init (&get);
    get.view = view->reference;
    get.key_fields = view->key_fields;
    get.key_fields_count = view->key_count;
    get.keys = view->keys;
    get.keys_count = self->question->rows;
    get.features = view->features;
    get.features_count = view->features_count;
    get.request_fields = view->request_fields;
    get.request_fields_count = view->request_count;
    get.request = view->request;
    get.flags = WEIR_GET_REFUSE_INCOMPLETE;
    uint64_t tag = http_tag (exchange, at, told);
    CHECK (tag != 0); /* that there are so many was waited for */
    weir_status_t status = weir_get_submit (http_weir (exchange->http), &get, tag, error);
    if (status != WEIR_OK)
        http_untag (exchange->http, tag);
    return status;
}

void features_ask (exchange_t *exchange)
{
    features_t *self = exchange->work;
    const question_t *question = self->question;
    self->left = 1; /* until all are asked, so that none ends it */
    for (size_t i = 0; i < question->views_count && question->rows > 0; i++) {
        weir_error_t error;
        if (submit (exchange, i, &error) != WEIR_OK) {
            take_trouble (self, i, &error);
            break;
        }
        self->left++;
    }
    if (--self->left == 0)
        finish (exchange);
}

void handle_features (exchange_t *exchange)
{
    trouble_t trouble = { .kind = TROUBLE_NONE };
    const model_t *model = http_model (exchange->http);
    if (!model) {
        (void)trouble_set (&trouble, TROUBLE_BUSY, "the definitions are not known here yet");
        if (!http_refresh (exchange))
            exchange_trouble (exchange, &trouble);
        return;
    }
    text_t body = { (const char *)exchange->body.data, (uint32_t)exchange->body.size };
    question_t *question = question_read (body, model, &trouble);
    if (!question) {
        fail (exchange, &trouble);
        return;
    }
    features_t *self = mem_zero (1, sizeof *self);
    self->question = question;
    exchange->work = self;
    exchange->give_up = give_up;
    http_line_up (exchange, question->rows > 0 ? question->views_count : 0);
}
