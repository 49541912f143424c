#include "feature/yaml_tree.h"

#include "base/check.h"

#include <yaml.h>

typedef struct frame {
    tree_node_t *node;
    tree_node_t *last; /* item or key */
    tree_node_t *key;  /* waits for its value */
} frame_t;

typedef struct tree_reader {
    yaml_parser_t parser;
    const tree_file_t *file;
    arena_t *arena;
    mistakes_t *mistakes;
    tree_node_t *root;
    frame_t stack[TREE_DEPTH_MAX];
    size_t depth;
    size_t nodes;
    size_t index; /* libyaml counts characters: this one … */
    size_t at;    /* … is at this byte */
    bool document_seen;
} tree_reader_t;

#define COMMA_HINT                                                                                 \
    "inside { } and [ ] a comma ends a text: write one entry per line (block style), or put the "  \
    "text in quotes"

static bool is_continuation (char c)
{
    return ((uint8_t)c & 0xc0) == 0x80;
}

/* The byte offset of a character. Marks come nearly in order, so each step is short. */
static uint32_t byte_at (tree_reader_t *reader, size_t index)
{
    text_t text = reader->file->text;
    while (reader->index < index && reader->at < text.size) {
        reader->at++;
        while (reader->at < text.size && is_continuation (text.data[reader->at]))
            reader->at++;
        reader->index++;
    }
    while (reader->index > index && reader->at > 0) {
        reader->at--;
        while (reader->at > 0 && is_continuation (text.data[reader->at]))
            reader->at--;
        reader->index--;
    }
    return (uint32_t)reader->at;
}

static place_t place_of (const tree_reader_t *reader, const yaml_mark_t *mark)
{
    return (place_t){
        .file = reader->file->name,
        .order = reader->file->order,
        .line = (uint32_t)mark->line + 1,
        .column = (uint32_t)mark->column + 1,
    };
}

/* Adds the mistake and gives false, which ends the reading of the file. */
static bool refuse (tree_reader_t *reader, const yaml_mark_t *mark, const char *what)
{
    mistakes_add (reader->mistakes, place_of (reader, mark), STATUS_INVALID, "%s", what);
    return false;
}

static bool refuse_limit (tree_reader_t *reader, const yaml_mark_t *mark, const char *what,
                          int limit)
{
    mistakes_add (reader->mistakes, place_of (reader, mark), STATUS_INVALID, "%s (at most %d)",
                  what, limit);
    return false;
}

static tree_node_t *node_new (tree_reader_t *reader, tree_kind_t kind, const yaml_event_t *event)
{
    tree_node_t *node = arena_zero (reader->arena, 1, sizeof *node);
    node->kind = kind;
    node->file = reader->file;
    node->line = (uint32_t)event->start_mark.line + 1;
    node->column = (uint32_t)event->start_mark.column + 1;
    node->at = byte_at (reader, event->start_mark.index);
    node->end = byte_at (reader, event->end_mark.index);
    return node;
}

static void append (frame_t *frame, tree_node_t *node)
{
    if (frame->last == NULL)
        frame->node->first = node;
    else
        frame->last->next = node;
    frame->last = node;
    frame->node->count++;
}

static const tree_node_t *find_key (const tree_node_t *map, text_t text)
{
    for (const tree_node_t *key = map->first; key != NULL; key = key->next) {
        if (text_equal (key->text, text))
            return key;
    }
    return NULL;
}

static bool add_key (tree_reader_t *reader, frame_t *frame, tree_node_t *node,
                     const yaml_event_t *event)
{
    if (node->kind != TREE_TEXT)
        return refuse (reader, &event->start_mark,
                       "a key must be a name, not a list or mapping; texts that begin with [ or { "
                       "must be in quotes");
    const tree_node_t *other = find_key (frame->node, node->text);
    if (other != NULL) {
        text_t shown = mistake_shown (node->text);
        mistakes_add (reader->mistakes, tree_place (node), STATUS_INVALID,
                      "'" TEXT_FORMAT "' is given twice; the first is at line %u",
                      TEXT_ARGS (shown), other->line);
    }
    append (frame, node);
    frame->key = node;
    return true;
}

static void add_value (tree_reader_t *reader, frame_t *frame, tree_node_t *node)
{
    tree_node_t *key = frame->key;
    key->value = node;
    frame->key = NULL;
    bool in_flow = reader->file->text.data[frame->node->at] == '{';
    if (in_flow && tree_is_empty (node)) {
        text_t shown = mistake_shown (key->text);
        mistakes_add (reader->mistakes, tree_place (key), STATUS_INVALID,
                      "'" TEXT_FORMAT "' has no value; " COMMA_HINT, TEXT_ARGS (shown));
    }
}

/* Hangs a node where the parser stands. */
static bool add_node (tree_reader_t *reader, tree_node_t *node, const yaml_event_t *event)
{
    if (++reader->nodes > TREE_NODES_MAX)
        return refuse_limit (reader, &event->start_mark, "the file has too many entries",
                             TREE_NODES_MAX);
    if (reader->depth == 0) {
        reader->root = node;
        return true;
    }
    frame_t *frame = &reader->stack[reader->depth - 1];
    if (frame->node->count == TREE_ENTRIES_MAX && frame->key == NULL)
        return refuse_limit (reader, &event->start_mark, "the list or mapping is too long",
                             TREE_ENTRIES_MAX);
    if (frame->node->kind == TREE_LIST)
        append (frame, node);
    else if (frame->key == NULL)
        return add_key (reader, frame, node, event);
    else
        add_value (reader, frame, node);
    return true;
}

static bool refuse_marks (tree_reader_t *reader, const yaml_event_t *event, const void *anchor,
                          const void *tag)
{
    if (tag != NULL)
        return refuse (reader, &event->start_mark,
                       "tags (!name) are not taken; a text that begins with ! must be in quotes");
    if (anchor != NULL)
        return refuse (reader, &event->start_mark,
                       "anchors (&name) are not taken; a text that begins with & must be in "
                       "quotes");
    return true;
}

static bool ends_at_comment (const tree_node_t *node)
{
    text_t text = node->file->text;
    uint32_t at = node->end;
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t'))
        at++;
    return at > node->end && at < text.size && text.data[at] == '#';
}

static tree_style_t style_of (yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
        return TREE_SINGLE;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        return TREE_DOUBLE;
    case YAML_LITERAL_SCALAR_STYLE:
    case YAML_FOLDED_SCALAR_STYLE:
        return TREE_BLOCK;
    default:
        return TREE_PLAIN;
    }
}

static bool take_scalar (tree_reader_t *reader, const yaml_event_t *event)
{
    if (!refuse_marks (reader, event, event->data.scalar.anchor, event->data.scalar.tag))
        return false;
    tree_node_t *node = node_new (reader, TREE_TEXT, event);
    const char *value = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    if (memchr (value, '\0', size) != NULL)
        return refuse (reader, &event->start_mark, "a text must not have a NUL character");
    node->text = arena_text (reader->arena, (text_t){ value, (uint32_t)size });
    node->style = style_of (event->data.scalar.style);
    node->comment_after = node->style == TREE_PLAIN && ends_at_comment (node);
    return add_node (reader, node, event);
}

static bool open_container (tree_reader_t *reader, tree_kind_t kind, const yaml_event_t *event)
{
    const void *anchor =
        kind == TREE_MAP ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const void *tag =
        kind == TREE_MAP ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    if (!refuse_marks (reader, event, anchor, tag))
        return false;
    if (reader->depth == TREE_DEPTH_MAX)
        return refuse_limit (reader, &event->start_mark, "lists and mappings are nested too deeply",
                             TREE_DEPTH_MAX);
    tree_node_t *node = node_new (reader, kind, event);
    if (!add_node (reader, node, event))
        return false;
    reader->stack[reader->depth++] = (frame_t){ .node = node };
    return true;
}

/* False ends the reading: the stream's end, or a mistake. */
static bool take_event (tree_reader_t *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        return false;
    case YAML_DOCUMENT_START_EVENT:
        if (reader->document_seen)
            return refuse (reader, &event->start_mark,
                           "a file holds one document; put what follows `---` in another file");
        reader->document_seen = true;
        return true;
    case YAML_ALIAS_EVENT:
        return refuse (reader, &event->start_mark,
                       "aliases (*name) are not taken; a text that begins with * must be in "
                       "quotes");
    case YAML_SCALAR_EVENT:
        return take_scalar (reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_container (reader, TREE_LIST, event);
    case YAML_MAPPING_START_EVENT:
        return open_container (reader, TREE_MAP, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        CHECK (reader->depth > 0);
        reader->depth--;
        return true;
    default:
        return true;
    }
}

static bool mentions (const char *text, const char *part)
{
    return text != NULL && strstr (text, part) != NULL;
}

/* What was probably meant when libyaml gives up; NULL when nothing comes to mind. */
static const char *hint_for (const yaml_parser_t *parser)
{
    const char *problem = parser->problem;
    if (mentions (problem, "mapping values are not allowed"))
        return "': ' inside a text begins a mapping: put the whole text in quotes";
    if (mentions (parser->context, "flow mapping") || mentions (parser->context, "flow sequence"))
        return COMMA_HINT;
    if (mentions (problem, "did not find expected key"))
        return "check the indentation; a text that begins with a quote must be in quotes as a "
               "whole, \"'a' = b\"";
    if (mentions (problem, "could not find expected ':'"))
        return "every entry of a mapping is `name: value`";
    if (mentions (problem, "cannot start any token"))
        return "indent with blanks, not tabs; a text that begins with @, ` or % must be in quotes";
    if (mentions (problem, "unexpected end of stream"))
        return "a quote is not closed";
    return NULL;
}

static void refuse_syntax (tree_reader_t *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    place_t place = place_of (reader, &parser->problem_mark);
    if (parser->error == YAML_READER_ERROR) {
        place.line = place.column = 1;
        text_t text = reader->file->text;
        for (size_t i = 0; i < parser->problem_offset && i < text.size; i++) {
            place.column += !is_continuation (text.data[i]);
            if (text.data[i] == '\n') {
                place.line++;
                place.column = 1;
            }
        }
    }
    const char *hint = hint_for (parser);
    mistakes_add (reader->mistakes, place, STATUS_INVALID, "this is not YAML: %s%s%s",
                  parser->problem != NULL ? parser->problem : "it cannot be read",
                  hint != NULL ? "; " : "", hint != NULL ? hint : "");
}

static void read_events (tree_reader_t *reader)
{
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse (&reader->parser, &event)) {
            refuse_syntax (reader);
            return;
        }
        more = take_event (reader, &event);
        yaml_event_delete (&event);
    }
}

/* False, with a mistake, when the bytes are not text that may be read. */
static bool check_bytes (const tree_file_t *file, mistakes_t *mistakes)
{
    place_t start = { .file = file->name, .order = file->order, .line = 1, .column = 1 };
    if (file->text.size > DEFINITION_FILE_MAX) {
        mistakes_add (mistakes, start, STATUS_INVALID,
                      "the file is too large (at most %d bytes); split it", DEFINITION_FILE_MAX);
        return false;
    }
    if (!text_is_utf8 (file->text)) {
        mistakes_add (mistakes, start, STATUS_INVALID, "the file is not UTF-8 text");
        return false;
    }
    return true;
}

const tree_node_t *tree_read (const definition_file_t *file, uint32_t order, arena_t *arena,
                              mistakes_t *mistakes)
{
    tree_file_t *source = arena_zero (arena, 1, sizeof *source);
    *source = (tree_file_t){ .name = arena_string (arena, text_of (file->name)),
                             .order = order,
                             .text = file->text };
    if (!check_bytes (source, mistakes))
        return NULL;
    if (source->text.size >= 3 && memcmp (source->text.data, "\xef\xbb\xbf", 3) == 0)
        source->text = (text_t){ source->text.data + 3, source->text.size - 3 };
    if (source->text.size == 0)
        return NULL;
    size_t mistakes_before = mistakes->total;
    tree_reader_t reader = { .file = source, .arena = arena, .mistakes = mistakes };
    int made = yaml_parser_initialize (&reader.parser);
    CHECK (made != 0);
    yaml_parser_set_encoding (&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string (&reader.parser, (const unsigned char *)source->text.data,
                                  source->text.size);
    read_events (&reader);
    yaml_parser_delete (&reader.parser);
    bool good = mistakes->total == mistakes_before;
    return good && reader.root != NULL && !tree_is_empty (reader.root) ? reader.root : NULL;
}

place_t tree_place (const tree_node_t *node)
{
    return (place_t){ node->file->name, node->file->order, node->line, node->column };
}

static bool is_blank (char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Bytes of an escape sequence in double quotes, from its backslash. */
static uint32_t escape_size (char c)
{
    return c == 'x' ? 4 : c == 'u' ? 6 : c == 'U' ? 10 : 2;
}

/* A place that goes through a node's source and its text side by side. */
typedef struct walk {
    const tree_node_t *node;
    uint32_t source; /* byte offset in the file */
    size_t text;     /* byte offset in the text */
} walk_t;

static void walk_step (walk_t *walk)
{
    text_t source = walk->node->file->text;
    text_t text = walk->node->text;
    char from = source.data[walk->source];
    char to = text.data[walk->text];
    char next = walk->source + 1 < source.size ? source.data[walk->source + 1] : '\0';
    if (walk->node->style == TREE_DOUBLE && from == '\\' && !is_blank (next)) {
        walk->source += escape_size (next);
        do
            walk->text++;
        while (walk->text < text.size && is_continuation (text.data[walk->text]));
    } else if (walk->node->style == TREE_SINGLE && from == '\'') {
        walk->source += 2;
        walk->text++;
    } else if (from == to) {
        walk->source++;
        walk->text++;
    } else if (is_blank (from) || from == '\\') { /* folding, indentation */
        walk->source++;
    } else {
        walk->source += !is_blank (to);
        walk->text++;
    }
}

static walk_t walk_begin (const tree_node_t *node)
{
    text_t source = node->file->text;
    walk_t walk = { .node = node, .source = node->at };
    if (node->style == TREE_SINGLE || node->style == TREE_DOUBLE)
        walk.source++;
    if (node->style == TREE_BLOCK) { /* after the line of | or > */
        while (walk.source < source.size && source.data[walk.source] != '\n')
            walk.source++;
    }
    return walk;
}

place_t tree_place_in (const tree_node_t *node, size_t offset)
{
    text_t source = node->file->text;
    walk_t walk = walk_begin (node);
    while (walk.text < offset && walk.text < node->text.size && walk.source < node->end)
        walk_step (&walk);
    if (offset < node->text.size && !is_blank (node->text.data[offset])) {
        while (walk.source < node->end && is_blank (source.data[walk.source]))
            walk.source++;
    }
    place_t place = tree_place (node);
    for (uint32_t i = node->at; i < walk.source && i < source.size; i++) {
        /* characters are counted where they begin */
        place.column += !is_continuation (source.data[i]);
        if (source.data[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

bool tree_is_empty (const tree_node_t *node)
{
    return node->kind == TREE_TEXT && node->style == TREE_PLAIN && node->text.size == 0;
}

const tree_node_t *tree_get (const tree_node_t *map, const char *key)
{
    CHECK (map->kind == TREE_MAP);
    const tree_node_t *found = find_key (map, text_of (key));
    return found != NULL ? found->value : NULL;
}
