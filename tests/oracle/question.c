#include "tests/oracle/question.h"

#include "base/decimal.h"
#include "base/number.h"

#include <string.h>

/* ---- words ---- */

static text_t trim (text_t text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = (text_t){ text.data + 1, text.size - 1 };
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

/* What is before the first `separator` (all, when there is none); *text becomes what is after. */
static text_t take_until (text_t *text, const char *separator)
{
    const char *at = memmem (text->data, text->size, separator, strlen (separator));
    text_t before = *text;
    if (at == NULL) {
        *text = (text_t){ text->data + text->size, 0 };
        return trim (before);
    }
    before.size = (uint32_t)(at - text->data);
    uint32_t gone = before.size + (uint32_t)strlen (separator);
    *text = (text_t){ text->data + gone, text->size - gone };
    return trim (before);
}

static status_t find_field (const question_t *self, text_t name, uint32_t *field, error_t *error)
{
    for (*field = 0; *field < self->fields_count; ++*field)
        if (text_equal (self->fields[*field].name, name))
            return STATUS_OK;
    return error_set (error, STATUS_INVALID, "there is no field '" TEXT_FORMAT "'",
                      TEXT_ARGS (name));
}

/* ---- fields ---- */

status_t question_fields (question_t *self, text_t text, error_t *error)
{
    while (text.size > 0) {
        text_t word = take_until (&text, ",");
        if (memchr (word.data, '(', word.size) != NULL) { /* decimal(12,2) */
            text_t rest = take_until (&text, ",");
            word.size = (uint32_t)(rest.data + rest.size - word.data);
        }
        text_t name = take_until (&word, ":");
        text_t type = take_until (&word, ".");
        question_field_t *field = &self->fields[self->fields_count++];
        *field = (question_field_t){ name, type_from_word (type), UNIT_MS };
        if (!type_is_field (field->type) ||
            (word.size > 0 && !time_unit_from_word (word, &field->unit)))
            return error_set (error, STATUS_INVALID, "field '" TEXT_FORMAT "' has no type",
                              TEXT_ARGS (name));
        if (self->fields_count == QUESTION_FIELDS_MAX && text.size > 0)
            return error_set (error, STATUS_TOO_LARGE, "too many fields");
    }
    return STATUS_OK;
}

status_t question_key (question_t *self, text_t text, error_t *error)
{
    while (text.size > 0) {
        if (self->key_count == QUESTION_KEYS_MAX)
            return error_set (error, STATUS_TOO_LARGE, "too many fields in the key");
        status_t status =
            find_field (self, take_until (&text, ","), &self->key[self->key_count++], error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

status_t question_time (question_t *self, text_t text, error_t *error)
{
    status_t status = find_field (self, text, &self->time, error);
    if (status == STATUS_OK && self->fields[self->time].type != TYPE_TIMESTAMP)
        status = error_set (error, STATUS_INVALID, "the time's field is not a timestamp");
    return status;
}

status_t question_value (const question_field_t *field, text_t text, bool quoted, value_t *value,
                         error_t *error)
{
    *value = (value_t){ .type = field->type };
    if (text.size == 0 && !quoted) {
        value->null = true;
        return STATUS_OK;
    }
    bool good = true;
    double number = 0;
    switch (type_family (field->type)) {
    case TYPE_DECIMAL:
        good = decimal_parse (text, DECIMAL_DIGITS_MAX, type_scale (field->type), &value->d) ==
               DECIMAL_GOOD;
        break;
    case TYPE_STRING:
        value->s = text;
        break;
    case TYPE_BOOL:
        value->i = text_is (text, "true");
        good = value->i || text_is (text, "false");
        break;
    case TYPE_FLOAT64:
        good = number_parse_float (text, &number);
        value->f = value_float (number);
        break;
    case TYPE_TIMESTAMP:
        return time_parse (text, NULL, field->unit, &value->i, error);
    default:
        good = number_parse_int (text, &value->i);
    }
    return good ? STATUS_OK
                : error_set (error, STATUS_INVALID,
                             TEXT_FORMAT ": '" TEXT_FORMAT "' is not of type %s",
                             TEXT_ARGS (field->name), TEXT_ARGS (text), type_word (field->type));
}

/* ---- filters ---- */

static status_t read_condition (const question_t *self, text_t text, oracle_filter_t *filter,
                                error_t *error)
{
    /* longer ones first: "<=" begins with "<" */
    static const struct {
        const char *word;
        oracle_op_t op;
    } ops[] = { { " is distinct from ", ORACLE_DISTINCT },
                { " is not null", ORACLE_NOT_NULL },
                { " is null", ORACLE_NULL },
                { "<=", ORACLE_LE },
                { ">=", ORACLE_GE },
                { "!=", ORACLE_NE },
                { "<>", ORACLE_NE },
                { "=", ORACLE_EQ },
                { "<", ORACLE_LT },
                { ">", ORACLE_GT } };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (memmem (text.data, text.size, ops[i].word, strlen (ops[i].word)) == NULL)
            continue;
        *filter = (oracle_filter_t){ .op = ops[i].op };
        status_t status = find_field (self, take_until (&text, ops[i].word), &filter->field, error);
        text = trim (text);
        if (status != STATUS_OK || filter->op == ORACLE_NULL || filter->op == ORACLE_NOT_NULL)
            return status;
        bool quoted = text.size >= 2 && text.data[0] == '\'';
        if (quoted)
            text = (text_t){ text.data + 1, text.size - 2 };
        return question_value (&self->fields[filter->field], text, quoted, &filter->literal, error);
    }
    return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not `field operator literal`",
                      TEXT_ARGS (text));
}

static status_t read_conditions (const question_t *self, text_t text, oracle_filter_t *filters,
                                 size_t *count, error_t *error)
{
    while (text.size > 0) {
        if (*count == ORACLE_FILTERS_MAX)
            return error_set (error, STATUS_TOO_LARGE, "too many conditions");
        status_t status =
            read_condition (self, take_until (&text, " and "), &filters[(*count)++], error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

status_t question_where (question_t *self, text_t text, error_t *error)
{
    return read_conditions (self, text, self->where, &self->where_count, error);
}

/* ---- features ---- */

/* "", "lifetime", "7d", "3 rows", "3 rows in 7d", and any of them with " delay 1d" after it. */
static status_t read_window (text_t text, oracle_feature_t *feature, error_t *error)
{
    text_t window = take_until (&text, "delay ");
    text_t delay = trim (text);
    if (delay.size > 0) {
        status_t status = duration_parse (delay, &feature->delay, error);
        if (status != STATUS_OK)
            return status;
    }
    if (memmem (window.data, window.size, " rows", strlen (" rows")) != NULL) {
        int64_t rows;
        text_t number = take_until (&window, " rows");
        if (!number_parse_int (number, &rows) || rows < 1 || rows > UINT32_MAX)
            return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is no number of rows",
                              TEXT_ARGS (number));
        feature->rows = (uint32_t)rows;
        take_until (&window, "in ");
        window = trim (window);
    }
    feature->window = ORACLE_LIFETIME;
    if (window.size == 0 || text_is (window, "lifetime"))
        return STATUS_OK;
    return duration_parse (window, &feature->window, error);
}

static bool is_duration (text_t text)
{
    int64_t duration;
    error_t error;
    return text.size > 0 && duration_parse (text, &duration, &error) == STATUS_OK;
}

/* "x", "x, y", "x, 0.95", "x, 7d", "7d" */
static status_t read_arguments (const question_t *self, text_t text, oracle_feature_t *feature,
                                error_t *error)
{
    for (unsigned place = 0; text.size > 0; place++) {
        text_t argument = take_until (&text, ",");
        uint32_t field;
        bool is_parameter = number_parse_int (argument, &feature->parameter);
        bool is_fraction = number_parse_float (argument, &feature->fraction);
        if (is_duration (argument)) {
            status_t status = duration_parse (argument, &feature->parameter, error);
            if (status != STATUS_OK)
                return status;
        } else if (!is_parameter && !is_fraction) {
            status_t status = find_field (self, argument, &field, error);
            if (status != STATUS_OK)
                return status;
            *(place == 0 ? &feature->field : &feature->second) = (int32_t)field;
        }
    }
    return STATUS_OK;
}

/* [where CONDITION] [by FIELD] [over WINDOW] */
static status_t read_clauses (const question_t *self, text_t text, oracle_feature_t *feature,
                              error_t *error)
{
    text_t before_over = take_until (&text, "over ");
    text_t by = before_over;
    text_t where = take_until (&by, "by ");
    take_until (&where, "where ");
    uint32_t field;
    status_t status =
        read_conditions (self, trim (where), feature->filters, &feature->filters_count, error);
    if (status == STATUS_OK && trim (by).size > 0) {
        status = find_field (self, trim (by), &field, error);
        feature->by = field + 1;
    }
    return status == STATUS_OK ? read_window (trim (text), feature, error) : status;
}

status_t question_feature (question_t *self, text_t text, error_t *error)
{
    if (self->features_count == QUESTION_FEATURES_MAX)
        return error_set (error, STATUS_TOO_LARGE, "too many features");
    size_t i = self->features_count++;
    oracle_feature_t *feature = &self->features[i];
    text_t whole = text;
    self->names[i] = take_until (&text, ":");
    text_t aggregate = take_until (&text, "(");
    text_t input = take_until (&text, ")");
    if (aggregate.size == 0 || aggregate.size >= sizeof self->aggregates[i])
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not `name: agg(field)`",
                          TEXT_ARGS (whole));
    memcpy (self->aggregates[i], aggregate.data, aggregate.size);
    *feature = (oracle_feature_t){ .aggregate = self->aggregates[i],
                                   .field = -1,
                                   .filters_count = self->where_count };
    memcpy (feature->filters, self->where, sizeof self->where);
    status_t status = read_arguments (self, input, feature, error);
    return status == STATUS_OK ? read_clauses (self, text, feature, error) : status;
}
