/* Fields that are computed from the others of an event. They are read when all others are, in the
 * order in which they stand, so that each may use those before it. */
#include "feature/definition_read.h"
#include "feature/feature_text.h"

/* What the expression of field number `of` may name: fields that are sent, and computed ones before
 * it. */
typedef struct computed_scope {
    const stream_t *stream;
    size_t of;
    const char *names[FIELDS_MAX];
    size_t names_count;
} computed_scope_t;

static bool may_name (const computed_scope_t *self, size_t index)
{
    return self->stream->fields[index].expr == NULL || index < self->of;
}

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    const computed_scope_t *self = arg;
    int index = stream_field (self->stream, name);
    if (index < 0 || !may_name (self, (size_t)index))
        return TYPE_NONE;
    *column = (uint32_t)index;
    return self->stream->fields[index].type;
}

static void list_names (computed_scope_t *self)
{
    for (size_t i = 0; i < self->stream->fields_count; i++) {
        if (may_name (self, i))
            self->names[self->names_count++] = self->stream->fields[i].name;
    }
}

/* The name that begins at byte `at`, if it is one of a field that is computed later; or NULL. */
static const char *later_field (const computed_scope_t *self, text_t text, size_t at)
{
    lexer_t lexer = { .source = text, .at = at };
    token_t token = lexer_next (&lexer);
    int index = token.kind == TOKEN_NAME ? stream_field (self->stream, token.text) : -1;
    return index >= 0 && !may_name (self, (size_t)index) ? self->stream->fields[index].name : NULL;
}

static void add_mistake (definition_reader_t *reader, const computed_scope_t *scope,
                         const tree_node_t *node, size_t at, error_t *error)
{
    const char *name = scope->stream->fields[scope->of].name;
    static const char unknown[] = "unknown field";
    const char *later = NULL;
    if (strncmp (error->text, unknown, strlen (unknown)) == 0)
        later = later_field (scope, node->text, at);
    if (later != NULL && strcmp (later, name) == 0)
        (void)error_set (error, STATUS_INVALID, "'%s' cannot be computed from itself", name);
    else if (later != NULL)
        (void)error_set (error, STATUS_INVALID, "'%s' is computed after '%s': put it before", later,
                         name);
    expression_mistake (&reader->mistakes, node, at, error);
}

static void read_one (definition_reader_t *reader, const tree_node_t *node, stream_t *stream,
                      size_t index)
{
    computed_scope_t scope = { .stream = stream, .of = index };
    field_t *field = &stream->fields[index];
    size_t at = 0;
    error_t error;
    list_names (&scope);
    expr_scope_t names = { lookup, &scope, scope.names, scope.names_count };
    if (expr_parse (node->text, &names, &field->computed, &at, &error) != STATUS_OK) {
        add_mistake (reader, &scope, node, at, &error);
        return;
    }
    field->type = expr_type (field->computed);
    field->precision = type_is_decimal (field->type) ? DECIMAL_DIGITS_MAX : 0;
    if (!type_is_field (field->type))
        tree_mistake (&reader->mistakes, node, "a field cannot be %s%s",
                      field->type == TYPE_NONE ? "null and nothing else" : type_word (field->type),
                      field->type == TYPE_DURATION ? "; to_seconds(d) makes a number of it" : "");
    else
        field->expr = expression_text (field->computed, reader->out->arena);
}

void computed_read (definition_reader_t *reader, const tree_node_t *fields, stream_t *stream)
{
    for (size_t i = 0; i < stream->fields_count; i++) {
        if (stream->fields[i].expr == NULL)
            continue;
        size_t before = reader->mistakes.total;
        const tree_node_t *node = tree_get (tree_get (fields, stream->fields[i].name), "expr");
        read_one (reader, node, stream, i);
        if (reader->mistakes.total != before)
            return; /* those after it may use it */
    }
}
