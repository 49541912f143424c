#include "feature/definition_format.h"

#include "base/check.h"

/* May the text stand without quotes in block style and mean itself? */
static bool is_plain (text_t text)
{
    if (text.size == 0 || text.data[text.size - 1] == ' ')
        return false;
    for (uint32_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || c == '_')
            continue;
        if (i == 0 || c == '\0' || strchr (" .,'()<>=!+-*/%", c) == NULL)
            return false;
    }
    return true;
}

/* The code point at `*at`, which moves past it. The text is UTF-8. */
static uint32_t next_character (text_t text, uint32_t *at)
{
    uint8_t lead = (uint8_t)text.data[(*at)++];
    if (lead < 0x80)
        return lead;
    uint32_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    uint32_t code = lead & (0x3fu >> more);
    for (; more > 0 && *at < text.size; more--)
        code = code << 6 | ((uint8_t)text.data[(*at)++] & 0x3f);
    return code;
}

/* Characters that YAML folds, strips or refuses. */
static bool needs_escape (uint32_t code)
{
    return code < ' ' || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void put_quoted (text_t text, buf_t *out)
{
    buf_put_u8 (out, '"');
    for (uint32_t at = 0; at < text.size;) {
        uint32_t start = at;
        uint32_t code = next_character (text, &at);
        if (code == '"' || code == '\\')
            buf_printf (out, "\\%c", (char)code);
        else if (code == '\n')
            buf_put_string (out, "\\n");
        else if (needs_escape (code))
            buf_printf (out, "\\u%04x", code);
        else
            buf_put (out, text.data + start, at - start);
    }
    buf_put_u8 (out, '"');
}

static void put_text (buf_t *out, text_t text)
{
    if (is_plain (text))
        buf_put (out, text.data, text.size);
    else
        put_quoted (text, out);
}

/* "INDENT NAME: TEXT" */
static void put_entry (buf_t *out, int indent, const char *name, const char *value)
{
    buf_printf (out, "%*s%s: ", indent, "", name);
    put_text (out, text_of (value));
    buf_put_u8 (out, '\n');
}

static void put_key (const stream_t *stream, const uint32_t *key, size_t key_count, buf_t *out)
{
    buf_put_string (out, "    key: ");
    if (key_count != 1)
        buf_put_u8 (out, '[');
    for (size_t i = 0; i < key_count; i++)
        buf_printf (out, "%s%s", i > 0 ? ", " : "", stream->fields[key[i]].name);
    if (key_count != 1)
        buf_put_u8 (out, ']');
    buf_put_u8 (out, '\n');
}

static const char *unit_word (time_unit_t unit)
{
    static const char *const words[] = {
        [UNIT_S] = "s", [UNIT_MS] = "ms", [UNIT_US] = "us", [UNIT_NS] = "ns"
    };
    return words[unit];
}

static void put_aliases (const field_t *field, buf_t *out)
{
    if (field->aliases_count == 1) {
        put_entry (out, 8, "alias", field->aliases[0]);
        return;
    }
    buf_put_string (out, "        alias:\n");
    for (size_t i = 0; i < field->aliases_count; i++) {
        text_t alias = text_of (field->aliases[i]);
        buf_put_string (out, "          - ");
        if (is_plain (alias))
            buf_put (out, alias.data, alias.size);
        else
            put_quoted (alias, out);
        buf_put_u8 (out, '\n');
    }
}

static void put_computed (const field_t *field, buf_t *out)
{
    buf_printf (out, "      %s:\n", field->name);
    put_entry (out, 8, "expr", field->expr);
    if (field->aliases_count > 0)
        put_aliases (field, out);
    if (field->description != NULL)
        put_entry (out, 8, "description", field->description);
}

void field_type_format (const field_t *self, buf_t *out)
{
    if (type_is_decimal (self->type))
        buf_printf (out, "decimal(%u,%u)", self->precision, type_scale (self->type));
    else
        buf_put_string (out, type_word (self->type));
}

static void put_type (buf_t *out, int indent, const char *name, const field_t *field)
{
    buf_printf (out, "%*s%s: ", indent, "", name);
    field_type_format (field, out);
    buf_put_u8 (out, '\n');
}

static void put_field (const field_t *field, bool is_time, buf_t *out)
{
    if (field->expr != NULL) {
        put_computed (field, out);
        return;
    }
    bool required = field->required && !is_time;
    bool unit = field->type == TYPE_TIMESTAMP && field->unit != UNIT_MS;
    bool column = strcmp (field->name, field->column) != 0;
    if (!required && !unit && !column && field->aliases_count == 0 && field->zone_name == NULL &&
        field->description == NULL) {
        put_type (out, 6, field->name, field);
        return;
    }
    buf_printf (out, "      %s:\n", field->name);
    put_type (out, 8, "type", field);
    if (required)
        put_entry (out, 8, "required", "true");
    if (unit)
        put_entry (out, 8, "unit", unit_word (field->unit));
    if (field->zone_name != NULL)
        put_entry (out, 8, "zone", field->zone_name);
    if (column)
        put_entry (out, 8, "column", field->column);
    if (field->aliases_count > 0)
        put_aliases (field, out);
    if (field->description != NULL)
        put_entry (out, 8, "description", field->description);
}

void stream_format (const stream_t *stream, buf_t *out)
{
    buf_printf (out, "streams:\n  %s:\n", stream->name);
    put_key (stream, stream->key, stream->key_count, out);
    put_entry (out, 4, "time", stream->fields[stream->time].name);
    if (stream->unknown == UNKNOWN_IGNORE)
        put_entry (out, 4, "unknown", "ignore");
    buf_put_string (out, "    fields:\n");
    for (size_t i = 0; i < stream->fields_count; i++)
        put_field (&stream->fields[i], i == stream->time, out);
}

static void put_about (const about_t *about, buf_t *out)
{
    if (about->description != NULL)
        put_entry (out, 8, "description", about->description);
    if (about->owner != NULL)
        put_entry (out, 8, "owner", about->owner);
    if (about->tags_count > 0)
        buf_put_string (out, "        tags:\n");
    for (size_t i = 0; i < about->tags_count; i++) {
        buf_put_string (out, "          - ");
        put_text (out, text_of (about->tags[i]));
        buf_put_u8 (out, '\n');
    }
}

static bool is_told (const about_t *about)
{
    return about->description != NULL || about->owner != NULL || about->tags_count > 0;
}

static void put_group (const feature_group_t *group, buf_t *out)
{
    buf_t text;
    buf_init (&text, 4 * EXPR_TEXT_MAX);
    feature_text_format (&group->text, &text);
    if (!is_told (&group->about)) {
        put_entry (out, 6, group->name, buf_string (&text));
    } else {
        buf_printf (out, "      %s:\n", group->name);
        put_entry (out, 8, "expr", buf_string (&text));
        put_about (&group->about, out);
    }
    CHECK (!text.bad);
    buf_release (&text);
}

static void put_derived (const derived_t *derived, buf_t *out)
{
    if (!is_told (&derived->about) && derived->default_text == NULL) {
        put_entry (out, 6, derived->name, derived->expr);
        return;
    }
    buf_printf (out, "      %s:\n", derived->name);
    put_entry (out, 8, "expr", derived->expr);
    put_about (&derived->about, out);
    if (derived->default_text == NULL)
        return;
    buf_put_string (out, "        default: ");
    /* that of a string stands for itself */
    put_text (out, derived->type == TYPE_STRING ? derived->default_value.s
                                                : text_of (derived->default_text));
    buf_put_u8 (out, '\n');
}

void view_format (const view_t *view, const feature_group_t *const *groups, size_t count,
                  buf_t *out)
{
    buf_printf (out, "views:\n  %s:\n", view->name);
    buf_t from;
    buf_init (&from, SOURCES_MAX * (NAME_MAX_SIZE + 2) + 1);
    view_format_sources (view, &from);
    buf_printf (out, view->sources_count > 1 ? "    from: [%s]\n" : "    from: %s\n",
                buf_string (&from));
    buf_release (&from);
    put_key (view->stream, view->key, view->key_count, out);
    if (view->where != NULL)
        put_entry (out, 4, "where", view->where);
    if (view->horizon != TIME_DAY) {
        buf_t horizon;
        buf_init (&horizon, 64);
        duration_format (&horizon, view->horizon);
        put_entry (out, 4, "horizon", buf_string (&horizon));
        buf_release (&horizon);
    }
    if (view->request_count > 0)
        buf_put_string (out, "    request:\n");
    for (size_t i = 0; i < view->request_count; i++)
        put_field (&view->request[i], false, out);
    buf_put_string (out, "    features:\n");
    for (size_t i = 0; i < count; i++)
        put_group (groups[i], out);
    if (view->derived_count > 0)
        buf_put_string (out, "    derived:\n");
    for (size_t i = 0; i < view->derived_count; i++)
        put_derived (&view->derived[i], out);
}
