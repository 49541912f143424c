#include "feature/definition_format.h"

#include "base/check.h"
#include "base/number.h"

#include <inttypes.h>
#include <xxhash.h>

enum { BARE_CHUNK = 1 << 14 };

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

static void put_about (const about_t *about, int indent, buf_t *out)
{
    if (about->description != NULL)
        put_entry (out, indent, "description", about->description);
    if (about->owner != NULL)
        put_entry (out, indent, "owner", about->owner);
    if (about->tags_count > 0)
        buf_printf (out, "%*stags:\n", indent, "");
    for (size_t i = 0; i < about->tags_count; i++) {
        buf_printf (out, "%*s- ", indent + 2, "");
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
        put_about (&group->about, 8, out);
    }
    CHECK (!text.bad);
    buf_release (&text);
}

/* That of a string stands for itself. */
static void put_default (int indent, type_t type, const value_t *value, const char *canonical,
                         buf_t *out)
{
    buf_printf (out, "%*sdefault: ", indent, "");
    put_text (out, type == TYPE_STRING ? value->s : text_of (canonical));
    buf_put_u8 (out, '\n');
}

static void put_derived (const derived_t *derived, buf_t *out)
{
    if (!is_told (&derived->about) && derived->default_text == NULL) {
        put_entry (out, 6, derived->name, derived->expr);
        return;
    }
    buf_printf (out, "      %s:\n", derived->name);
    put_entry (out, 8, "expr", derived->expr);
    put_about (&derived->about, 8, out);
    if (derived->default_text != NULL)
        put_default (8, derived->type, &derived->default_value, derived->default_text, out);
}

static void put_all_derived (const derived_t *derived, size_t count, buf_t *out)
{
    if (count > 0)
        buf_put_string (out, "    derived:\n");
    for (size_t i = 0; i < count; i++)
        put_derived (&derived[i], out);
}

static void put_request (const field_t *request, size_t count, buf_t *out)
{
    if (count > 0)
        buf_put_string (out, "    request:\n");
    for (size_t i = 0; i < count; i++)
        put_field (&request[i], false, out);
}

static void put_duration (const char *name, int64_t duration, buf_t *out)
{
    buf_t text;
    buf_init (&text, 64);
    duration_format (&text, duration);
    put_entry (out, 4, name, buf_string (&text));
    buf_release (&text);
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
    if (view->horizon != TIME_DAY)
        put_duration ("horizon", view->horizon, out);
    if (view->ttl != 0)
        put_duration ("ttl", view->ttl, out);
    put_request (view->request, view->request_count, out);
    buf_put_string (out, "    features:\n");
    for (size_t i = 0; i < count; i++)
        put_group (groups[i], out);
    put_all_derived (view->derived, view->derived_count, out);
}

/* ---- services ---- */

static void put_role (const service_t *service, const service_role_t *role, buf_t *out)
{
    const view_t *view = role->view;
    bool renamed = false;
    buf_printf (out, "      %s:\n        view: %s", role->name, view->name);
    if (role->version > 0)
        buf_printf (out, "@v%u", role->version);
    buf_put_u8 (out, '\n');
    for (size_t k = 0; k < view->key_count; k++) {
        const char *name = service->keys[role->key[k]].name;
        if (strcmp (name, view_key_field (view, k)->name) == 0)
            continue;
        if (!renamed)
            buf_put_string (out, "        key:\n");
        renamed = true;
        put_entry (out, 10, view_key_field (view, k)->name, name);
    }
}

static void put_feature (const service_feature_t *feature, buf_t *out)
{
    buf_put_string (out, "      - ");
    if (feature->default_text != NULL)
        buf_put_string (out, "feature: ");
    put_text (out, text_of (feature->name));
    buf_put_u8 (out, '\n');
    if (feature->default_text != NULL)
        put_default (8, feature->type.type, &feature->default_value, feature->default_text, out);
}

static void put_float (int indent, const char *before, double number, buf_t *out)
{
    buf_printf (out, "%*s%s", indent, "", before);
    number_format_float (out, number);
    buf_put_u8 (out, '\n');
}

/* A number, or what is encoded. */
static void put_value (const value_t *value, buf_t *out)
{
    if (value->type == TYPE_FLOAT64)
        number_format_float (out, value->f);
    else if (value->type == TYPE_STRING)
        put_text (out, value->s);
    else
        category_format (value, out);
    buf_put_u8 (out, '\n');
}

static void put_impute (const preprocess_t *preprocess, buf_t *out)
{
    if (preprocess->impute == IMPUTE_NONE)
        return;
    buf_put_string (out, "        impute:");
    if (preprocess->impute != IMPUTE_VALUE) {
        const char *word = impute_word (preprocess->impute);
        if (!preprocess->has_impute) {
            buf_printf (out, " %s\n", word);
            return;
        }
        buf_printf (out, "\n          %s:", word);
    }
    buf_put_u8 (out, ' ');
    put_value (&preprocess->imputed, out);
}

static void put_scale (const preprocess_t *preprocess, buf_t *out)
{
    int indent = 10;
    if (preprocess->scale == SCALE_NONE)
        return;
    if (!preprocess->has_scale) {
        buf_printf (out, "        scale: %s\n", scale_word (preprocess->scale));
        return;
    }
    buf_put_string (out, "        scale:\n");
    if (!preprocess->scale_is_given) {
        buf_printf (out, "          %s:\n", scale_word (preprocess->scale));
        indent = 12;
    }
    for (size_t i = 0; i < 2; i++) {
        buf_printf (out, "%*s%s", indent, "", scale_words (preprocess->scale)[i]);
        put_float (0, ": ", preprocess->scaled_by[i], out);
    }
}

static void put_encode (const preprocess_t *preprocess, buf_t *out)
{
    if (preprocess->encode == ENCODE_NONE)
        return;
    const char *word = encode_word (preprocess->encode);
    if (preprocess->categories == NULL) {
        buf_printf (out, "        encode: %s\n", word);
        return;
    }
    buf_printf (out, "        encode:\n          %s:\n", word);
    for (size_t i = 0; i < preprocess->categories_count; i++) {
        buf_put_string (out, "            - ");
        put_value (&preprocess->categories[i], out);
    }
}

static void put_preprocess (const service_feature_t *feature, buf_t *out)
{
    const preprocess_t *preprocess = &feature->preprocess;
    buf_put_string (out, "      ");
    put_text (out, text_of (feature->name));
    buf_put_string (out, ":\n");
    put_impute (preprocess, out);
    if (preprocess->clips) {
        buf_put_string (out, "        clip:\n");
        put_float (10, "- ", preprocess->least, out);
        put_float (10, "- ", preprocess->greatest, out);
    }
    put_scale (preprocess, out);
    put_encode (preprocess, out);
}

void service_format_preprocess (const service_t *service, buf_t *out)
{
    bool any = false;
    for (size_t i = 0; i < service->features_count; i++) {
        if (!service->features[i].is_preprocessed)
            continue;
        buf_put_string (out, any ? "" : "    preprocess:\n");
        put_preprocess (&service->features[i], out);
        any = true;
    }
}

static void put_all_preprocess (const service_t *service, buf_t *out)
{
    service_format_preprocess (service, out);
    if (service->fitted_on != NULL)
        buf_printf (out, "    fitted:\n      on: %s\n      rows: %" PRIu64 "\n", service->fitted_on,
                    service->fitted_rows);
}

void service_format (const service_t *service, buf_t *out)
{
    buf_printf (out, "services:\n  %s:\n", service->name);
    put_about (&service->about, 4, out);
    if (service->before)
        put_entry (out, 4, "as_of", "before");
    buf_put_string (out, "    views:\n");
    for (size_t i = 0; i < service->roles_count; i++)
        put_role (service, &service->roles[i], out);
    put_request (service->request, service->request_count, out);
    buf_put_string (out, "    features:\n");
    for (size_t i = 0; i < service->features_count; i++)
        put_feature (&service->features[i], out);
    put_all_derived (service->derived, service->derived_count, out);
    put_all_preprocess (service, out);
}

/* Copies without descriptions, which mean nothing. */
static derived_t *bare_derived (const service_t *service, arena_t *arena)
{
    derived_t *derived = arena_zero (arena, service->derived_count, sizeof *derived);
    for (size_t i = 0; i < service->derived_count; i++) {
        derived[i] = service->derived[i];
        derived[i].about = (about_t){ 0 };
    }
    return derived;
}

static field_t *bare_request (const service_t *service, arena_t *arena)
{
    field_t *request = arena_zero (arena, service->request_count, sizeof *request);
    for (size_t i = 0; i < service->request_count; i++) {
        request[i] = service->request[i];
        request[i].description = NULL;
    }
    return request;
}

uint64_t service_meaning (const service_t *self)
{
    arena_t *arena = arena_new (BARE_CHUNK);
    service_t bare = *self;
    buf_t text;
    bare.about = (about_t){ 0 };
    bare.fitted_on = NULL;
    bare.derived = bare_derived (self, arena);
    bare.request = bare_request (self, arena);
    buf_init (&text, 2 * DEFINITION_FILE_MAX);
    service_format (&bare, &text);
    CHECK (!text.bad);
    uint64_t meaning = XXH3_64bits (text.data, text.size);
    buf_release (&text);
    arena_destroy (&arena);
    return meaning;
}
