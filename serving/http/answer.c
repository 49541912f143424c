/* answer.c - the answer to a question, as Feast's feature server gives it. */
#include "serving/http/question.h"

#include "base/number.h"
#include "base/timestamp.h"
#include "serving/http/limits.h"

#include <inttypes.h>
#include <math.h>

#define NEVER "\"1970-01-01T00:00:00Z\"" /* of what has no time */

/* ---- values ---- */

static void write_value (const weir_value_t *value, buf_t *out);

static text_t text_in (const weir_value_t *value)
{
    return (text_t){ value->size > 0 ? value->as.text : "", value->size };
}

/* Names in JSON are strings: those of a key that is none are its text. */
static void write_name (const weir_value_t *key, buf_t *out)
{
    if (key->type == WEIR_STRING || key->type == WEIR_DECIMAL) {
        write_value (key, out);
        return;
    }
    buf_put_u8 (out, '"');
    if (key->type == WEIR_TIMESTAMP)
        time_format (out, key->as.i);
    else if (key->type == WEIR_FLOAT64)
        number_format_float (out, key->as.f);
    else
        write_value (key, out);
    buf_put_u8 (out, '"');
}

static void write_list (const weir_value_t *list, buf_t *out)
{
    buf_put_u8 (out, '[');
    for (uint32_t i = 0; i < list->size; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        write_value (&list->as.items[i], out);
    }
    buf_put_u8 (out, ']');
}

static void write_map (const weir_map_t *map, buf_t *out)
{
    buf_put_u8 (out, '{');
    for (uint64_t i = 0; i < map->count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        write_name (&map->keys[i], out);
        buf_put_u8 (out, ':');
        write_value (&map->values[i], out);
    }
    buf_put_u8 (out, '}');
}

static bool is_null (const weir_value_t *value)
{
    return value->type == WEIR_NULL || (value->type == WEIR_FLOAT64 && !isfinite (value->as.f));
}

static int64_t seconds_of (int64_t us)
{
    return us / TIME_SECOND - (us % TIME_SECOND < 0);
}

static void write_value (const weir_value_t *value, buf_t *out)
{
    if (is_null (value)) { /* JSON has no others than finite numbers */
        buf_put_string (out, "null");
        return;
    }
    switch (value->type) {
    case WEIR_BOOL:
        buf_put_string (out, value->as.i ? "true" : "false");
        break;
    case WEIR_INT64:
        buf_printf (out, "%" PRId64, value->as.i);
        break;
    case WEIR_FLOAT64:
        number_format_float (out, value->as.f);
        break;
    case WEIR_TIMESTAMP: /* Feast's have whole seconds */
        buf_printf (out, "%" PRId64, seconds_of (value->as.i));
        break;
    case WEIR_STRING:
    case WEIR_DECIMAL:
        number_format_json_string (out, text_in (value));
        break;
    case WEIR_LIST:
        write_list (value, out);
        break;
    case WEIR_MAP:
        write_map (value->as.map, out);
        break;
    default:
        buf_put_string (out, "null");
        break;
    }
}

/* RFC 3339 with as many digits as it needs: 0, 3 or 6. */
static void write_time (int64_t us, buf_t *out)
{
    buf_t text;
    buf_init (&text, 64);
    time_format (&text, us);
    /* 2026-01-02T03:04:05.678000Z, or a number for years that have no such text */
    size_t size = text.size;
    if (size > 8 && text.data[size - 1] == 'Z' && text.data[size - 8] == '.')
        size -= us % TIME_SECOND == 0 ? 8 : us % TIME_MS == 0 ? 4 : 1;
    buf_put_u8 (out, '"');
    buf_put (out, text.data, size);
    buf_put_string (out, size < text.size ? "Z\"" : "\"");
    buf_release (&text);
}

/* ---- columns ---- */

static void write_repeated (const char *item, size_t count, buf_t *out)
{
    for (size_t i = 0; i < count; i++)
        buf_printf (out, "%s%s", i > 0 ? "," : "", item);
}

/* Keys and values of requests as they came, which are always there. */
static void write_entity (const weir_value_t *cells, size_t rows, buf_t *out)
{
    buf_put_string (out, "{\"values\":[");
    for (size_t row = 0; row < rows; row++) {
        if (row > 0)
            buf_put_u8 (out, ',');
        write_value (&cells[row], out);
    }
    buf_put_string (out, "],\"statuses\":[");
    write_repeated ("\"PRESENT\"", rows, out);
    buf_put_string (out, "],\"event_timestamps\":[");
    write_repeated (NEVER, rows, out);
    buf_put_string (out, "]}");
}

static const char *status_of (const weir_answer_t *answer, size_t row, size_t feature)
{
    if (weir_answer_error (answer, row, feature))
        return "\"INVALID\"";
    switch (weir_answer_presence (answer, row, feature)) {
    case WEIR_NEVER_SEEN:
        return "\"NOT_FOUND\"";
    case WEIR_EXPIRED:
        return "\"OUTSIDE_MAX_AGE\"";
    case WEIR_SEEN:
        break;
    }
    return is_null (weir_answer_value (answer, row, feature)) ? "\"NULL_VALUE\"" : "\"PRESENT\"";
}

static void write_feature (const weir_answer_t *answer, size_t feature, size_t rows, buf_t *out)
{
    buf_put_string (out, "{\"values\":[");
    for (size_t row = 0; row < rows && !out->bad; row++) {
        if (row > 0)
            buf_put_u8 (out, ',');
        write_value (weir_answer_value (answer, row, feature), out);
    }
    buf_put_string (out, "],\"statuses\":[");
    for (size_t row = 0; row < rows && !out->bad; row++) {
        if (row > 0)
            buf_put_u8 (out, ',');
        buf_put_string (out, status_of (answer, row, feature));
    }
    buf_put_string (out, "],\"event_timestamps\":[");
    for (size_t row = 0; row < rows && !out->bad; row++) {
        if (row > 0)
            buf_put_u8 (out, ',');
        int64_t time;
        if (weir_answer_event_time (answer, row, feature, &time))
            write_time (time, out);
        else
            buf_put_string (out, NEVER);
    }
    buf_put_string (out, "]}");
}

/* ---- all of it ---- */

static void write_names (const question_t *self, buf_t *out)
{
    const char *comma = "";
    for (size_t i = 0; i < self->entities.count; i++) {
        if (self->repeated[i])
            continue;
        buf_put_string (out, comma);
        number_format_json_string (out, text_of (self->entities.names[i]));
        comma = ",";
    }
    for (size_t i = 0; i < self->features_count; i++) {
        buf_put_string (out, comma);
        number_format_json_string (out, text_of (self->features[i].name));
        comma = ",";
    }
}

/* "v2" is 2. */
static void write_versions (const question_t *self, weir_answer_t *const *answers, buf_t *out)
{
    buf_put_string (out, "],\"feature_view_metadata\":[");
    for (size_t i = 0; i < self->views_count; i++) {
        const char *version = weir_answer_version (answers[i]);
        if (!version) /* nothing was asked, as there are no rows */
            break;
        buf_put_string (out, i > 0 ? ",{\"name\":" : "{\"name\":");
        number_format_json_string (out, text_of (weir_answer_view (answers[i])));
        int64_t number = 0;
        (void)number_parse_int (text_of (version[0] == 'v' ? version + 1 : version), &number);
        buf_printf (out, ",\"version\":%" PRId64 "}", number);
    }
}

bool question_answer (const question_t *self, weir_answer_t *const *answers, buf_t *out,
                      trouble_t *trouble)
{
    const char *comma = "";
    buf_put_string (out, "{\"results\":[");
    for (size_t i = 0; i < self->entities.count; i++) {
        if (self->repeated[i])
            continue;
        buf_put_string (out, comma);
        write_entity (self->entities.cells[i], self->rows, out);
        comma = ",";
    }
    for (size_t i = 0; i < self->features_count && !out->bad; i++) {
        const question_feature_t *feature = &self->features[i];
        buf_put_string (out, comma);
        write_feature (answers[feature->view], feature->feature, self->rows, out);
        comma = ",";
    }
    buf_put_string (out, "],\"metadata\":{\"feature_names\":[");
    write_names (self, out);
    if (self->with_versions)
        write_versions (self, answers, out);
    buf_put_string (out, "]}}");
    return !out->bad || trouble_set (trouble, TROUBLE_TOO_LARGE,
                                     "the answer is over %d MiB: ask for fewer rows or features",
                                     HTTP_ANSWER_MAX >> 20);
}
