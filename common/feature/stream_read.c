#include "feature/definition_format.h"
#include "feature/definition_read.h"
#include "feature/keyed_log.h"
#include "feature/stream_scope.h"

#include "base/decimal.h"

#include <stdio.h>

/* What other systems call a type. */
static const char *type_synonym (text_t word)
{
    static const char *const synonyms[][2] = {
        { "int", "int64" },      { "integer", "int64" },  { "long", "int64" },
        { "bigint", "int64" },   { "int32", "int64" },    { "double", "float64" },
        { "float", "float64" },  { "real", "float64" },   { "float32", "float64" },
        { "number", "float64" }, { "text", "string" },    { "str", "string" },
        { "varchar", "string" }, { "boolean", "bool" },   { "datetime", "timestamp" },
        { "date", "timestamp" }, { "time", "timestamp" }, { "timestamptz", "timestamp" },
    };
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (text_is (word, synonyms[i][0]))
            return synonyms[i][1];
    }
    return NULL;
}

static bool read_decimal (definition_reader_t *reader, const tree_node_t *node, field_t *field)
{
    unsigned precision;
    if (decimal_type_parse (node->text, &field->type, &precision)) {
        field->precision = (uint8_t)precision;
        return true;
    }
    text_t shown = mistake_shown (node->text);
    tree_mistake (&reader->mistakes, node,
                  "'" TEXT_FORMAT "' is no decimal type: decimal(12,2) has 12 digits, 2 of them "
                  "after the point; at most 38",
                  TEXT_ARGS (shown));
    return false;
}

static bool read_type (definition_reader_t *reader, const tree_node_t *node, field_t *field)
{
    static const char *const words[] = { "bool",   "int64",     "float64",
                                         "string", "timestamp", "decimal(12,2)" };
    enum { WORDS = sizeof words / sizeof *words };
    if (!tree_check_text (&reader->mistakes, node, "a type"))
        return false;
    text_t text = node->text;
    if (text.size >= 7 && memcmp (text.data, "decimal", 7) == 0)
        return read_decimal (reader, node, field);
    field->type = type_from_word (text);
    if (type_is_field (field->type))
        return true;
    text_t shown = mistake_shown (text);
    const char *synonym = type_synonym (text);
    char nearest[SUGGESTION_MAX];
    suggestion (text, words, WORDS, nearest);
    if (synonym != NULL)
        (void)snprintf (nearest, sizeof nearest, "; did you mean '%s'?", synonym);
    tree_mistake (&reader->mistakes, node, "unknown type '" TEXT_FORMAT "'%s", TEXT_ARGS (shown),
                  nearest[0] != '\0' ? nearest
                                     : "; types are bool, int64, float64, decimal(12,2), string, "
                                       "timestamp");
    return false;
}

const char *description_read (definition_reader_t *reader, const tree_node_t *node)
{
    if (!tree_check_text (&reader->mistakes, node, "a description"))
        return NULL;
    if (node->text.size > DESCRIPTION_MAX) {
        tree_mistake (&reader->mistakes, node, "the description is too long (at most %d bytes)",
                      DESCRIPTION_MAX);
        return NULL;
    }
    return arena_string (reader->out->arena, node->text);
}

const char *definition_text (definition_reader_t *reader, const tree_node_t *key, buf_t *text)
{
    const char *kept = NULL;
    if (text->bad)
        tree_mistake (&reader->mistakes, key,
                      "the definition is too large (at most %d bytes in canonical form); split it",
                      DEFINITION_FILE_MAX);
    else
        kept = arena_string (reader->out->arena,
                             (text_t){ (const char *)text->data, (uint32_t)text->size });
    buf_release (text);
    return kept;
}

static void read_unit (definition_reader_t *reader, const tree_node_t *node, field_t *field)
{
    mistakes_t *mistakes = &reader->mistakes;
    if (!tree_check_text (mistakes, node, "a unit"))
        return;
    if (field->type != TYPE_TIMESTAMP)
        tree_mistake (mistakes, node, "`unit` is for timestamps, and '%s' is %s", field->name,
                      type_word (field->type));
    else if (!time_unit_from_word (node->text, &field->unit)) {
        text_t shown = mistake_shown (node->text);
        tree_mistake (mistakes, node, "`unit` must be s, ms, us or ns, not '" TEXT_FORMAT "'",
                      TEXT_ARGS (shown));
    }
}

static void read_zone (definition_reader_t *reader, const tree_node_t *node, field_t *field)
{
    mistakes_t *mistakes = &reader->mistakes;
    if (!tree_check_text (mistakes, node, "a time zone"))
        return;
    if (field->type != TYPE_TIMESTAMP) {
        tree_mistake (mistakes, node, "`zone` is for timestamps, and '%s' is %s", field->name,
                      type_word (field->type));
        return;
    }
    field->zone_name = arena_string (reader->out->arena, node->text);
    error_t error;
    if (zone_open (field->zone_name, &field->zone, &error) != STATUS_OK)
        tree_mistake (mistakes, node, "%s; zones are named as in America/New_York", error.text);
}

static void read_column (definition_reader_t *reader, const tree_node_t *node, field_t *field)
{
    if (!tree_check_text (&reader->mistakes, node, "the name of a column"))
        return;
    if (node->text.size > COLUMN_NAME_MAX)
        tree_mistake (&reader->mistakes, node, "the column's name is too long (at most %d bytes)",
                      COLUMN_NAME_MAX);
    else
        field->column = arena_string (reader->out->arena, node->text);
}

static void read_aliases (definition_reader_t *reader, const tree_node_t *node, field_t *field)
{
    mistakes_t *mistakes = &reader->mistakes;
    const tree_node_t *names[ALIASES_MAX];
    size_t count;
    if (!tree_check_texts (mistakes, node, "a former name, or a list of them", names, ALIASES_MAX,
                           &count))
        return;
    field->aliases = arena_zero (reader->out->arena, count, sizeof *field->aliases);
    for (size_t i = 0; i < count; i++) {
        if (names[i]->text.size > COLUMN_NAME_MAX)
            tree_mistake (mistakes, names[i], "the alias is too long (at most %d bytes)",
                          COLUMN_NAME_MAX);
        else if (text_is (names[i]->text, field->name))
            tree_mistake (mistakes, names[i], "'%s' is the field's own name", field->name);
        else
            field->aliases[field->aliases_count++] =
                arena_string (reader->out->arena, names[i]->text);
    }
}

/* All but the expression, which computed_read reads when the other fields are known. */
static void read_computed_field (definition_reader_t *reader, const tree_node_t *body,
                                 field_t *field)
{
    static const char *const others[] = { "type", "required", "unit", "zone", "column" };
    mistakes_t *mistakes = &reader->mistakes;
    const tree_node_t *node = tree_get (body, "expr");
    if (tree_check_text (mistakes, node, "an expression"))
        field->expr = arena_string (reader->out->arena, node->text);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if ((node = tree_get (body, others[i])) != NULL)
            tree_mistake (mistakes, node, "'%s' is computed and has no `%s`%s", field->name,
                          others[i], i == 0 ? ": its type is that of the expression" : "");
    }
    if ((node = tree_get (body, "description")) != NULL)
        field->description = description_read (reader, node);
    if ((node = tree_get (body, "alias")) != NULL)
        read_aliases (reader, node, field);
}

static void read_long_field (definition_reader_t *reader, const tree_node_t *body,
                             const tree_keys_t *keys, field_t *field)
{
    mistakes_t *mistakes = &reader->mistakes;
    if (!tree_check_keys (mistakes, body, keys))
        return;
    const tree_node_t *node = tree_get (body, "type");
    if (tree_get (body, "expr") != NULL) {
        read_computed_field (reader, body, field);
        return;
    }
    if (node == NULL)
        tree_mistake (mistakes, body, "the field '%s' needs a `type`", field->name);
    if (node == NULL || !read_type (reader, node, field))
        return;
    if ((node = tree_get (body, "required")) != NULL)
        (void)tree_read_bool (mistakes, node, "required", &field->required);
    if ((node = tree_get (body, "unit")) != NULL)
        read_unit (reader, node, field);
    if ((node = tree_get (body, "zone")) != NULL)
        read_zone (reader, node, field);
    if ((node = tree_get (body, "column")) != NULL)
        read_column (reader, node, field);
    if ((node = tree_get (body, "description")) != NULL)
        field->description = description_read (reader, node);
    if ((node = tree_get (body, "alias")) != NULL)
        read_aliases (reader, node, field);
}

void field_read (definition_reader_t *reader, const tree_node_t *key, const tree_keys_t *keys,
                 field_t *field)
{
    field->name = field->column = field->origin = arena_string (reader->out->arena, key->text);
    field->unit = UNIT_MS;
    if (key->value->kind == TREE_MAP)
        read_long_field (reader, key->value, keys, field);
    else
        (void)read_type (reader, key->value, field);
}

/* The field whose source column has this name, among those before `end`. */
static const field_t *field_of_column (const stream_t *stream, const field_t *end)
{
    for (const field_t *field = stream->fields; field < end; field++) {
        if (field->expr == NULL && strcmp (field->column, end->column) == 0)
            return field;
    }
    return NULL;
}

static void read_field (definition_reader_t *reader, const tree_node_t *key, stream_t *stream)
{
    static const char *const known[] = { "type",        "required", "unit", "zone", "column",
                                         "description", "alias",    "expr", NULL };
    static const tree_keys_t keys = { "a field", known, NULL };
    mistakes_t *mistakes = &reader->mistakes;
    if (expr_is_keyword (key->text)) {
        tree_mistake (mistakes, key,
                      "'" TEXT_FORMAT "' is a reserved word; name the field otherwise, with "
                      "`column: " TEXT_FORMAT "`",
                      TEXT_ARGS (key->text), TEXT_ARGS (key->text));
        return;
    }
    if (!tree_check_name (mistakes, key, "the name of a field"))
        return;
    field_t *field = &stream->fields[stream->fields_count++];
    field->id = (uint16_t)(stream->fields_count - 1);
    field_read (reader, key, &keys, field);
    const field_t *other = field->expr == NULL ? field_of_column (stream, field) : NULL;
    if (other != NULL)
        tree_mistake (mistakes, key, "'%s' and '%s' are both read from the column '%s'",
                      other->name, field->name, field->column);
}

/* An alias is the name, the column and the alias of no other field. */
static void check_aliases (definition_reader_t *reader, const tree_node_t *fields,
                           const stream_t *stream, const field_t *field)
{
    for (size_t i = 0; i < field->aliases_count; i++) {
        text_t alias = text_of (field->aliases[i]);
        for (size_t f = 0; f < stream->fields_count; f++) {
            const field_t *other = &stream->fields[f];
            if (other == field ||
                (!text_is (alias, other->name) && !field_is_called (other, alias)))
                continue;
            text_t shown = mistake_shown (alias);
            tree_mistake (&reader->mistakes, tree_get (fields, field->name),
                          "the alias '" TEXT_FORMAT "' of '%s' is taken by the field '%s'",
                          TEXT_ARGS (shown), field->name, other->name);
            return;
        }
    }
}

static void read_fields (definition_reader_t *reader, const tree_node_t *body, stream_t *stream)
{
    mistakes_t *mistakes = &reader->mistakes;
    const tree_node_t *fields = tree_get (body, "fields");
    if (fields == NULL) {
        tree_mistake (mistakes, body, "the stream '%s' needs `fields`", stream->name);
        return;
    }
    if (!tree_check_map (mistakes, fields, "the fields by name"))
        return;
    if (fields->count == 0)
        tree_mistake (mistakes, fields, "the stream '%s' has no fields", stream->name);
    if (fields->count > FIELDS_MAX) {
        tree_mistake (mistakes, fields, "the stream '%s' has too many fields (at most %d)",
                      stream->name, FIELDS_MAX);
        return;
    }
    stream->fields = arena_zero (reader->out->arena, fields->count + 1, sizeof *stream->fields);
    size_t before = mistakes->total;
    for (const tree_node_t *key = fields->first; key != NULL; key = key->next)
        read_field (reader, key, stream);
    if (mistakes->total == before)
        computed_read (reader, fields, stream);
    for (size_t i = 0; i < stream->fields_count; i++)
        check_aliases (reader, fields, stream, &stream->fields[i]);
}

/* The index of the field that a node names, or -1 with a mistake. */
static int read_field_name (definition_reader_t *reader, const tree_node_t *node,
                            const stream_t *stream)
{
    int index = stream_field (stream, node->text);
    if (index >= 0)
        return index;
    stream_scope_t scope;
    stream_scope_init (&scope, stream);
    text_t shown = mistake_shown (node->text);
    char nearest[SUGGESTION_MAX];
    tree_mistake (&reader->mistakes, node, "'%s' has no field '" TEXT_FORMAT "'%s", stream->name,
                  TEXT_ARGS (shown),
                  suggestion (node->text, scope.names, stream->fields_count, nearest));
    return -1;
}

void key_read (definition_reader_t *reader, const tree_node_t *node, const stream_t *stream,
               uint32_t key[KEY_FIELDS_MAX], size_t *count)
{
    const tree_node_t *names[KEY_FIELDS_MAX];
    size_t named;
    *count = 0;
    if (!tree_check_texts (&reader->mistakes, node, "the key's field, or a list of fields", names,
                           KEY_FIELDS_MAX, &named))
        return;
    for (size_t i = 0; i < named; i++) {
        int index = read_field_name (reader, names[i], stream);
        bool twice = false;
        for (size_t k = 0; index >= 0 && k < *count && !twice; k++)
            twice = key[k] == (uint32_t)index;
        if (index >= 0 && stream->fields[index].expr != NULL)
            tree_mistake (
                &reader->mistakes, names[i],
                "'%s' is computed: a key is of fields that are sent, for they say where an "
                "event goes",
                stream->fields[index].name);
        else if (twice)
            tree_mistake (&reader->mistakes, names[i], "'%s' is in the key twice",
                          stream->fields[index].name);
        else if (index >= 0)
            key[(*count)++] = (uint32_t)index;
    }
}

const char *key_log_name (definition_reader_t *reader, const tree_node_t *node,
                          const stream_t *stream, const uint32_t *key, size_t count)
{
    keyed_log_t log;
    if (keyed_log_make (stream, key, count, &log))
        return arena_string (reader->out->arena, text_of (log.name));
    tree_mistake (&reader->mistakes, node,
                  "the names of the key's fields are too long together (at most %d bytes)",
                  LOG_KEY_NAMES_MAX);
    return NULL;
}

static void read_key (definition_reader_t *reader, const tree_node_t *body, stream_t *stream)
{
    const tree_node_t *node = tree_get (body, "key");
    if (node == NULL)
        tree_mistake (&reader->mistakes, body,
                      "the stream '%s' needs a `key`: the field that names the entity, or [] for "
                      "one global entity",
                      stream->name);
    else
        key_read (reader, node, stream, stream->key, &stream->key_count);
}

static void read_time (definition_reader_t *reader, const tree_node_t *body, stream_t *stream)
{
    mistakes_t *mistakes = &reader->mistakes;
    const tree_node_t *node = tree_get (body, "time");
    if (node == NULL) {
        tree_mistake (mistakes, body,
                      "the stream '%s' needs `time`: the field that says when an event happened",
                      stream->name);
        return;
    }
    if (!tree_check_text (mistakes, node, "the name of the time's field"))
        return;
    int index = read_field_name (reader, node, stream);
    if (index < 0)
        return;
    field_t *field = &stream->fields[index];
    if (field->expr != NULL) {
        tree_mistake (mistakes, node, "'%s' is computed: the time is a field that is sent",
                      field->name);
        return;
    }
    const tree_node_t *fields = tree_get (body, "fields");
    const tree_node_t *written = tree_get (fields, field->name);
    if (field->type != TYPE_TIMESTAMP) {
        tree_mistake (mistakes, node, "the time's field must be a timestamp, and '%s' is %s",
                      field->name, type_word (field->type));
        return;
    }
    const tree_node_t *required = written->kind == TREE_MAP ? tree_get (written, "required") : NULL;
    if (required != NULL && !field->required)
        tree_mistake (mistakes, required, "the time's field is always required; leave this out");
    field->required = true;
    stream->time = (uint32_t)index;
}

static void read_unknown (definition_reader_t *reader, const tree_node_t *node, stream_t *stream)
{
    if (!tree_check_text (&reader->mistakes, node, "refuse or ignore"))
        return;
    text_t shown = mistake_shown (node->text);
    if (text_is (node->text, "ignore"))
        stream->unknown = UNKNOWN_IGNORE;
    else if (!text_is (node->text, "refuse"))
        tree_mistake (&reader->mistakes, node,
                      "`unknown` must be refuse or ignore, not '" TEXT_FORMAT "'",
                      TEXT_ARGS (shown));
}

/* What follows from the parts: the log's name, the fingerprint, the canonical text. */
static void finish_stream (definition_reader_t *reader, const tree_node_t *key, stream_t *stream)
{
    stream->log_name = key_log_name (reader, key, stream, stream->key, stream->key_count);
    if (stream->log_name == NULL)
        return;
    stream->fingerprint = stream_fingerprint (stream);
    buf_t text;
    buf_init (&text, DEFINITION_FILE_MAX);
    stream_format (stream, &text);
    stream->text = definition_text (reader, key, &text);
}

bool stream_read (definition_reader_t *reader, const tree_node_t *key, stream_t *stream)
{
    static const char *const known[] = { "key", "time", "fields", "unknown", NULL };
    static const char *const unsupported[] = { "id", "dedupe", NULL };
    static const tree_keys_t keys = { "a stream", known, unsupported };
    mistakes_t *mistakes = &reader->mistakes;
    size_t before = mistakes->total;
    const tree_node_t *body = key->value;
    stream->name = arena_string (reader->out->arena, key->text);
    if (!tree_check_keys (mistakes, body, &keys))
        return false;
    read_fields (reader, body, stream);
    const tree_node_t *unknown = tree_get (body, "unknown");
    if (unknown != NULL)
        read_unknown (reader, unknown, stream);
    if (mistakes->total != before)
        return false; /* what names fields would only repeat the mistakes */
    read_key (reader, body, stream);
    read_time (reader, body, stream);
    if (mistakes->total == before)
        finish_stream (reader, key, stream);
    return mistakes->total == before;
}
