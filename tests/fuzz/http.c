/* Fuzzer of what HTTP reads: whatever the bytes, they are refused with a status of HTTP and a body
 * that is JSON, or what they ask is within its limits. The first byte chooses: a question for
 * features, a push, a file of tokens, a header with one. */
#include "base/mem.h"
#include "serving/http/limits.h"
#include "serving/http/push.h"
#include "serving/http/question.h"
#include "serving/http/tokens.h"
#include "tests/fuzz/http_model.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void check_trouble (const trouble_t *trouble)
{
    buf_t out;
    unsigned status = trouble_status (trouble);
    buf_init (&out, 1 << 20);
    trouble_write (trouble, &out);
    CHECK (!out.bad);
    CHECK (status == 404 || status == 422 || status == 500);
    json_t *body = json_loadb ((const char *)out.data, out.size, JSON_DECODE_ANY, NULL);
    CHECK (body != NULL);
    if (trouble->kind != TROUBLE_FORM) { /* JSON inside a string */
        json_t *inside = json_loads (json_string_value (body), 0, NULL);
        CHECK (json_is_object (inside));
        json_decref (inside);
    }
    json_decref (body);
    buf_release (&out);
}

static void check_columns (const columns_t *columns, size_t rows_max)
{
    CHECK (columns->rows <= rows_max);
    for (size_t c = 0; c < columns->count; c++) {
        CHECK (strlen (columns->names[c]) <= 255);
        for (size_t row = 0; row < columns->rows; row++)
            CHECK (columns->cells[c][row].type <= WEIR_STRING);
    }
}

static void check_question (const question_t *question)
{
    check_columns (&question->entities, HTTP_REQUEST_ROWS_MAX);
    CHECK (question->rows <= HTTP_REQUEST_ROWS_MAX);
    CHECK (question->views_count >= 1 && question->views_count <= HTTP_REQUEST_VIEWS_MAX);
    for (size_t i = 0; i < question->features_count; i++) {
        const question_feature_t *feature = &question->features[i];
        CHECK (feature->view < question->views_count);
        CHECK (feature->feature < question->views[feature->view].features_count);
    }
    for (size_t i = 0; i < question->views_count; i++) {
        const question_view_t *view = &question->views[i];
        CHECK (view->features_count >= 1);
        for (size_t k = 0; k < question->rows * view->key_count; k++)
            CHECK (view->keys[k].type <= WEIR_STRING);
    }
}

static void read_question (text_t text, const model_t *model)
{
    trouble_t trouble = { .kind = TROUBLE_NONE };
    question_t *question = question_read (text, model, &trouble);
    if (!question) {
        check_trouble (&trouble);
        return;
    }
    check_question (question);
    question_destroy (&question);
}

static void read_push (text_t text, const model_t *model)
{
    trouble_t trouble = { .kind = TROUBLE_NONE };
    push_rows_t *rows = push_read (text, model, &trouble);
    if (!rows) {
        check_trouble (&trouble);
        return;
    }
    check_columns (&rows->columns, WEIR_BATCH_ROWS_MAX);
    push_rows_destroy (&rows);
}

static void read_tokens (text_t text)
{
    tokens_t *tokens;
    error_t error;
    if (tokens_parse (text, &tokens, &error) != STATUS_OK) {
        CHECK (!tokens && error.status == STATUS_INVALID);
        return;
    }
    CHECK (tokens_count (tokens) <= HTTP_TOKENS_MAX);
    CHECK (tokens_role (tokens, "Bearer ") == ROLE_NONE);
    tokens_destroy (&tokens);
}

static void read_header (text_t text)
{
    tokens_t *tokens;
    error_t error;
    status_t status = tokens_parse (text_of ("reader 0123456789abcdef\n"), &tokens, &error);
    CHECK (status == STATUS_OK);
    char *header = mem_string_n (text.data, text.size);
    peer_role_t role = tokens_role (tokens, header);
    CHECK (role == ROLE_NONE || (role == ROLE_READER && strstr (header, "0123456789abcdef")));
    mem_free (header);
    tokens_destroy (&tokens);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    static model_t *model;
    if (!model)
        model = http_model_new ();
    if (size == 0 || size > HTTP_BODY_MAX)
        return 0;
    text_t text = { (const char *)data + 1, (uint32_t)size - 1 };
    switch (data[0] % 8) {
    case 0:
        read_tokens (text);
        break;
    case 1:
        read_header (text);
        break;
    case 2:
    case 3:
        read_push (text, model);
        break;
    default:
        read_question (text, model);
        break;
    }
    return 0;
}
