/* get.c - queries, waited for or told. */
#include "client/api/state.h"

#include "base/check.h"

#include <stddef.h>
#include <string.h>

enum {
    NAMES_MAX = 1024,      /* of a key, or a request */
    FEATURES_MOST = 65536, /* WIRE_ELEMENTS_MAX */
    WAIT_MS = 1000,
};

/* What came of a query that is waited for: its tag is the address of this. */
typedef struct waiting {
    bool over;
    weir_answer_t *answer;
    error_t error;
} waiting_t;

/* ---- the question ---- */

static weir_status_t check_names (const char *const *names, size_t count, size_t most,
                                  const char *what, weir_error_t *error)
{
    if (count > most || (count > 0 && !names))
        return api_invalid (error, "there are at most %zu %s", most, what);
    for (size_t i = 0; i < count; i++)
        if (!api_name (names[i]))
            return api_invalid (error, "name %zu of the %s is not 1 to %d bytes of UTF-8", i, what,
                                WIRE_NAME_MAX);
    return WEIR_OK;
}

static weir_status_t check_values (const weir_value_t *values, size_t rows, size_t columns,
                                   const char *what, weir_error_t *error)
{
    if (rows * columns > 0 && !values)
        return api_invalid (error, "%s has no values", what);
    for (size_t i = 0; i < rows * columns; i++)
        if (!api_scalar (&values[i]))
            return api_invalid (
                error,
                "value %zu of row %zu of %s is of no type that can be asked for, or "
                "is not UTF-8",
                i % columns, i / columns, what);
    return WEIR_OK;
}

static weir_status_t check_get (const weir_get_t *get, weir_error_t *error)
{
    if (!api_name (get->view))
        return api_invalid (error, "a get names a view, in 1 to %d bytes of UTF-8", WIRE_NAME_MAX);
    if (get->keys_count == 0 || get->keys_count > WIRE_KEYS_MAX)
        return api_invalid (error, "a get has 1 to %d keys", WIRE_KEYS_MAX);
    if (get->as_of && get->as_ofs)
        return api_invalid (error, "a get has as_of or as_ofs, not both");
    if (get->as_of && !api_name (get->as_of))
        return api_invalid (error, "as_of is no time");
    if (get->flags & ~(uint32_t)(WEIR_GET_BEFORE | WEIR_GET_REFUSE_INCOMPLETE))
        return api_invalid (error, "a flag of the get is unknown");
    weir_status_t status =
        check_names (get->key_fields, get->key_fields_count, NAMES_MAX, "fields of a key", error);
    if (status == WEIR_OK)
        status = check_names (get->request_fields, get->request_fields_count, NAMES_MAX,
                              "fields of a request", error);
    if (status == WEIR_OK)
        status = check_names (get->features, get->features_count, FEATURES_MOST, "features", error);
    if (status == WEIR_OK)
        status =
            check_values (get->keys, get->keys_count, get->key_fields_count, "the keys", error);
    if (status == WEIR_OK)
        status = check_values (get->request, get->keys_count, get->request_fields_count,
                               "the request", error);
    return status;
}

static text_t *texts_in (const char *const *names, size_t count, arena_t *arena)
{
    text_t *texts = arena_zero (arena, count, sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = text_of (names[i]);
    return texts;
}

static value_t value_in (const weir_value_t *value)
{
    switch (value->type) {
    case WEIR_BOOL:
        return (value_t){ .type = TYPE_BOOL, .i = value->as.i };
    case WEIR_INT64:
        return (value_t){ .type = TYPE_INT64, .i = value->as.i };
    case WEIR_TIMESTAMP:
        return (value_t){ .type = TYPE_TIMESTAMP, .i = value->as.i };
    case WEIR_FLOAT64:
        return (value_t){ .type = TYPE_FLOAT64, .f = value->as.f };
    case WEIR_STRING:
    case WEIR_DECIMAL: /* a decimal travels as its text */
        return (value_t){ .type = TYPE_STRING,
                          .s = { value->size > 0 ? value->as.text : "", value->size } };
    default:
        return (value_t){ .type = TYPE_STRING, .null = true };
    }
}

static value_t *values_in (const weir_value_t *values, size_t count, arena_t *arena)
{
    value_t *in = arena_zero (arena, count, sizeof *in);
    for (size_t i = 0; i < count; i++)
        in[i] = value_in (&values[i]);
    return in;
}

static weir_status_t begin (weir_t *self, gets_t *gets, const weir_get_t *given, uint64_t tag,
                            weir_error_t *error)
{
    weir_get_t get;
    error_t why;
    if (!api_options (&get, sizeof get, sizeof get, given))
        return api_invalid (error, "weir_get_init was not called for the get, or it is of a later "
                                   "version");
    weir_status_t checked = check_get (&get, error);
    if (checked != WEIR_OK)
        return checked;
    arena_t *arena = self->scratch;
    arena_reset (arena);
    size_t rows = get.keys_count;
    const client_get_t inner = {
        .view = get.view,
        .fields = texts_in (get.key_fields, get.key_fields_count, arena),
        .fields_count = get.key_fields_count,
        .keys = values_in (get.keys, rows * get.key_fields_count, arena),
        .keys_count = rows,
        .request_fields = texts_in (get.request_fields, get.request_fields_count, arena),
        .request_fields_count = get.request_fields_count,
        .request = values_in (get.request, rows * get.request_fields_count, arena),
        .features = texts_in (get.features, get.features_count, arena),
        .features_count = get.features_count,
        .as_of = get.as_of,
        .as_ofs = get.as_ofs,
        .before = get.flags & WEIR_GET_BEFORE,
        .deadline_ms = get.deadline_ms,
        .patience_ms = get.patience_ms,
        .refuse_incomplete = get.flags & WEIR_GET_REFUSE_INCOMPLETE,
    };
    if (gets_submit (gets, &inner, tag, &why) != STATUS_OK)
        return api_fail (error, &why);
    return api_ok (error);
}

/* ---- the answer ---- */

void api_get_told (void *arg, uint64_t tag, const message_t *reply, const error_t *error)
{
    weir_t *self = arg;
    weir_answer_t *answer = reply ? api_answer_new (reply->body) : NULL;
    api_tell (self, WEIR_EVENT_ANSWER, tag, error)->event.answer = answer;
}

void api_get_waited (void *arg, uint64_t tag, const message_t *reply, const error_t *error)
{
    waiting_t *waiting = (waiting_t *)(uintptr_t)tag;
    (void)arg;
    waiting->over = true;
    waiting->answer = reply ? api_answer_new (reply->body) : NULL;
    waiting->error = *error;
}

weir_status_t weir_get (weir_t *weir, const weir_get_t *get, weir_answer_t **answer,
                        weir_error_t *error)
{
    waiting_t waiting = { .over = false };
    error_t why;
    if (!weir || !answer)
        return api_invalid (error, "weir_get takes a handle and a place for the answer");
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    *answer = NULL;
    if (!weir->single)
        weir->single = gets_new (weir->client, 1, api_get_waited, weir);
    weir_status_t status = begin (weir, weir->single, get, (uintptr_t)&waiting, error);
    if (status != WEIR_OK)
        return status;
    status_t worked = STATUS_OK;
    while (worked == STATUS_OK && !waiting.over)
        worked = api_work (weir, WAIT_MS, &why);
    if (!waiting.over) {
        gets_destroy (&weir->single); /* it must not be answered any more */
        return api_fail (error, &why);
    }
    api_arm (weir);
    *answer = waiting.answer;
    return api_fail (error, &waiting.error);
}

weir_status_t weir_get_submit (weir_t *weir, const weir_get_t *get, uint64_t tag,
                               weir_error_t *error)
{
    error_t why;
    if (!weir)
        return api_invalid (error, "weir_get_submit takes a handle");
    CHECK_OBJECT (weir, HANDLE_MAGIC);
    if (gets_under_way (weir->gets) + weir->answers_told >= weir->gets_max) {
        (void)error_set (&why, STATUS_BUSY, "%zu gets are under way or not collected",
                         weir->gets_max);
        return api_fail (error, &why);
    }
    weir_status_t status = begin (weir, weir->gets, get, tag, error);
    if (status == WEIR_OK)
        api_arm (weir);
    return status;
}
