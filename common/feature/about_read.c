/* about_read.c - what long forms have beside the expression. */
#include "feature/definition_read.h"
#include "feature/feature_text.h"

#include <stdio.h>

/* A text that may be kept; NULL, with a mistake, when not. */
static const char *read_text (definition_reader_t *reader, const tree_node_t *node,
                              const char *what, uint32_t most)
{
    char article[64];
    (void)snprintf (article, sizeof article, "%s %s", strchr ("aeiou", what[0]) ? "an" : "a", what);
    if (!tree_check_text (&reader->mistakes, node, article))
        return NULL;
    if (node->text.size <= most)
        return arena_string (reader->out->arena, node->text);
    tree_mistake (&reader->mistakes, node, "the %s is too long (at most %u bytes)", what, most);
    return NULL;
}

static void read_tags (definition_reader_t *reader, const tree_node_t *node, about_t *about)
{
    const tree_node_t *nodes[TAGS_MAX];
    size_t count;
    if (!tree_check_texts (&reader->mistakes, node, "a tag, or a list of tags", nodes, TAGS_MAX,
                           &count))
        return;
    const char **tags = arena_zero (reader->out->arena, count + 1, sizeof *tags);
    for (size_t i = 0; i < count; i++) {
        if ((tags[i] = read_text (reader, nodes[i], "tag", NAME_MAX_SIZE)) == NULL)
            return;
        for (size_t k = 0; k < i; k++) {
            if (strcmp (tags[k], tags[i]) != 0)
                continue;
            tree_mistake (&reader->mistakes, nodes[i], "the tag '%s' is given twice", tags[i]);
            return;
        }
    }
    about->tags = tags;
    about->tags_count = count;
}

void about_read (definition_reader_t *reader, const tree_node_t *body, about_t *about)
{
    const tree_node_t *node = tree_get (body, "description");
    if (node != NULL)
        about->description = description_read (reader, node);
    if ((node = tree_get (body, "owner")) != NULL)
        about->owner = read_text (reader, node, "owner", OWNER_MAX);
    if ((node = tree_get (body, "tags")) != NULL)
        read_tags (reader, node, about);
}

/* 'it''s' */
static text_t quoted (text_t text, arena_t *arena)
{
    char *bytes = arena_alloc (arena, 2 * (size_t)text.size + 2);
    uint32_t size = 0;
    bytes[size++] = '\'';
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'')
            bytes[size++] = '\'';
        bytes[size++] = text.data[i];
    }
    bytes[size++] = '\'';
    return (text_t){ bytes, size };
}

bool default_entry_read (definition_reader_t *reader, const tree_node_t *body,
                         const result_type_t *type, value_t *value, const char **canonical)
{
    const tree_node_t *node = tree_get (body, "default");
    bool is_string = type->type == TYPE_STRING;
    if (node == NULL)
        return false;
    if ((!is_string || node->kind != TREE_TEXT) &&
        !tree_check_text (&reader->mistakes, node, "a value"))
        return false;
    text_t text = is_string ? quoted (node->text, reader->scratch) : node->text;
    size_t at = 0;
    error_t error;
    if (default_read (text, type, reader->out->arena, value, canonical, &at, &error) == STATUS_OK)
        return true;
    if (is_string)
        tree_mistake (&reader->mistakes, node, "%s", error.text);
    else
        expression_mistake (&reader->mistakes, node, at, &error);
    return false;
}

static bool has_open_quote (text_t text)
{
    size_t quotes = 0;
    for (uint32_t i = 0; i < text.size; i++)
        quotes += text.data[i] == '\'';
    return quotes % 2 != 0;
}

void expression_mistake (mistakes_t *mistakes, const tree_node_t *node, size_t at,
                         const error_t *error)
{
    const char *hint = "";
    if (node->comment_after && (at >= node->text.size || has_open_quote (node->text)))
        hint = "; in YAML ' #' begins a comment: put the whole text in quotes";
    status_t status = error->status == STATUS_UNSUPPORTED ? STATUS_UNSUPPORTED : STATUS_INVALID;
    mistakes_add (mistakes, tree_place_in (node, at), status, "%s%s", error->text, hint);
}
