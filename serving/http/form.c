#include "serving/http/form.h"

#include "base/timestamp.h"

#include <stdio.h>
#include <string.h>

static const char *const schemas[] = {
#define X(name, schema) [FORM_##name] = schema,
    FORM_TYPE_TABLE (X)
#undef X
};

const char *form_schema (form_type_t type)
{
    return schemas[type];
}

/* ---- fields ---- */

static bool are_texts (const json_t *list)
{
    if (!json_is_array (list))
        return false;
    for (size_t i = 0; i < json_array_size (list); i++)
        if (!json_is_string (json_array_get (list, i)))
            return false;
    return true;
}

static bool are_columns (const json_t *object)
{
    const char *name;
    json_t *column, *iterated = json_incref ((json_t *)(uintptr_t)object);
    bool good = json_is_object (object);
    json_object_foreach (iterated, name, column)
    {
        good = good && json_is_array (column);
    }
    json_decref (iterated);
    return good;
}

static bool has_type (const json_t *value, form_type_t type)
{
    switch (type) {
    case FORM_TEXT:
        return json_is_string (value);
    case FORM_TEXT_OR_NULL:
        return json_is_string (value) || json_is_null (value);
    case FORM_BOOL:
        return json_is_boolean (value);
    case FORM_TEXTS_OR_NULL:
        return are_texts (value) || json_is_null (value);
    default:
        return are_columns (value);
    }
}

static bool check_field (const json_t *form, const form_field_t *field, trouble_t *trouble)
{
    static const char *const words[] = { "a string", "a string or null", "true or false",
                                         "a list of strings or null",
                                         "an object of lists, one for each column" };
    char place[64];
    const json_t *value = json_object_get (form, field->name);
    trouble_place (place, sizeof place, field->name, NULL);
    if (!value && field->required)
        return trouble_form (trouble, place, "Field required: %s", words[field->type]);
    if (value && !has_type (value, field->type))
        return trouble_form (trouble, place, "expected %s", words[field->type]);
    return true;
}

json_t *form_read (text_t body, const form_field_t *fields, size_t count, trouble_t *trouble)
{
    json_error_t why;
    json_t *form =
        json_loadb (body.size > 0 ? body.data : "", body.size, JSON_REJECT_DUPLICATES, &why);
    if (!form) {
        (void)trouble_form (trouble, "", "the body is no JSON: %s (line %d, column %d)", why.text,
                            why.line, why.column);
        return NULL;
    }
    bool good = json_is_object (form) ||
                trouble_form (trouble, "", "the body is JSON, but not an object with fields");
    for (size_t i = 0; i < count && good; i++)
        good = check_field (form, &fields[i], trouble);
    if (good)
        return form;
    json_decref (form);
    return NULL;
}

const json_t *form_get (const json_t *form, const char *name)
{
    const json_t *value = json_object_get (form, name);
    return json_is_null (value) ? NULL : value;
}

const char *form_text (const json_t *form, const char *name)
{
    return json_string_value (json_object_get (form, name));
}

bool form_bool (const json_t *form, const char *name, bool otherwise)
{
    const json_t *value = form_get (form, name);
    return value ? json_is_true (value) : otherwise;
}

/* ---- columns ---- */

/* False for a list or an object. */
static bool take_cell (const json_t *given, arena_t *arena, weir_value_t *cell)
{
    switch (json_typeof (given)) {
    case JSON_STRING: {
        text_t text = { json_string_value (given), (uint32_t)json_string_length (given) };
        *cell = weir_text (WEIR_STRING, arena_string (arena, text), text.size);
        return true;
    }
    case JSON_INTEGER:
        *cell = weir_int (json_integer_value (given));
        return true;
    case JSON_REAL:
        *cell = weir_float (json_real_value (given));
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        *cell = weir_bool (json_is_true (given));
        return true;
    case JSON_NULL:
        *cell = weir_null ();
        return true;
    default:
        return false;
    }
}

static bool take_column (const json_t *list, const char *field, size_t at, arena_t *arena,
                         columns_t *columns, trouble_t *trouble)
{
    char place[256];
    const char *name = columns->names[at];
    weir_value_t *cells = arena_zero (arena, columns->rows, sizeof *cells);
    columns->cells[at] = cells;
    trouble_place (place, sizeof place, field, name);
    if (json_array_size (list) != columns->rows)
        return trouble_form (trouble, place, "this column has %zu values, and the first one %zu",
                             json_array_size (list), columns->rows);
    for (size_t row = 0; row < columns->rows; row++) {
        if (take_cell (json_array_get (list, row), arena, &cells[row]))
            continue;
        size_t size = strlen (place);
        snprintf (place + size, sizeof place - size, ",%zu", row);
        return trouble_form (trouble, place, "expected a number, a string, true, false or null");
    }
    return true;
}

bool form_columns (const json_t *form, const char *field, size_t columns_max, size_t rows_max,
                   arena_t *arena, columns_t *columns, trouble_t *trouble)
{
    char place[64];
    json_t *object = json_object_get (form, field);
    *columns = (columns_t){ .count = json_object_size (object) };
    trouble_place (place, sizeof place, field, NULL);
    if (columns->count > columns_max)
        return trouble_form (trouble, place, "there are %zu columns, over the limit of %zu",
                             columns->count, columns_max);
    columns->names = arena_zero (arena, columns->count, sizeof *columns->names);
    columns->cells = arena_zero (arena, columns->count, sizeof *columns->cells);
    const char *name;
    json_t *list;
    size_t at = 0;
    json_object_foreach (object, name, list)
    {
        if (at == 0)
            columns->rows = json_array_size (list);
        if (columns->rows > rows_max)
            return trouble_form (trouble, place, "there are %zu rows, over the limit of %zu",
                                 columns->rows, rows_max);
        columns->names[at] = arena_string (arena, text_of (name));
        if (strlen (name) == 0 || strlen (name) > 255)
            return trouble_form (trouble, place, "the name of a column has 1 to 255 bytes");
        if (!take_column (list, field, at++, arena, columns, trouble))
            return false;
    }
    return true;
}
