/* derived_read.c - a view's `request` and `derived`: expressions over its features. */
#include "feature/definition_read.h"
#include "feature/feature_text.h"
#include "feature/view_scope.h"

#include <stdio.h>

enum { NEEDS_WORDS = (FEATURES_MAX + 63) / 64 };

/* ---- request ---- */

static void read_request_field (definition_reader_t *reader, const tree_node_t *key, view_t *view)
{
    static const char *const known[] = { "type", "unit", "zone", "description", NULL };
    static const tree_keys_t keys = { "a value of a request", known, NULL };
    if (!tree_check_name (&reader->mistakes, key, "the name of a value of a request"))
        return;
    for (size_t i = 0; i < view->features_count; i++) {
        if (!text_is (key->text, view->features[i].name))
            continue;
        tree_mistake (&reader->mistakes, key,
                      "'%s' is a feature of the view as well; rename one of them",
                      view->features[i].name);
        return;
    }
    field_read (reader, key, &keys, &view->request[view->request_count++]);
}

void view_read_request (definition_reader_t *reader, const tree_node_t *node, view_t *view)
{
    if (node == NULL ||
        !tree_check_map (&reader->mistakes, node, "the values of a request by name"))
        return;
    if (node->count > REQUEST_FIELDS_MAX) {
        tree_mistake (&reader->mistakes, node, "a request has too many values (at most %d)",
                      REQUEST_FIELDS_MAX);
        return;
    }
    view->request = arena_zero (reader->out->arena, node->count + 1, sizeof *view->request);
    for (const tree_node_t *key = node->first; key != NULL; key = key->next)
        read_request_field (reader, key, view);
}

/* ---- derived ---- */

/* One entry of `derived` while all are read. */
typedef struct entry {
    const tree_node_t *key;
    const tree_node_t *text;     /* NULL: there was a mistake */
    uint64_t needs[NEEDS_WORDS]; /* a bit for each derived one that its text names */
    bool ranked;
    size_t walk; /* the one that met it while circles are looked for; 0: none yet */
} entry_t;

typedef struct derived_reader {
    definition_reader_t *shared;
    mistakes_t *mistakes;
    view_t *view;
    entry_t *entries;
    bool *mistaken; /* per entry */
    view_scope_t scope;
    view_scope_note_t note;
} derived_reader_t;

static bool needs (const entry_t *entry, size_t other)
{
    return entry->needs[other / 64] >> other % 64 & 1;
}

/* Is the name free in the view? */
static bool check_derived_name (derived_reader_t *reader, const tree_node_t *key,
                                const tree_node_t *const *made_by)
{
    const view_t *view = reader->view;
    if (!tree_check_name (reader->mistakes, key, "the name of a derived feature"))
        return false;
    for (size_t i = 0; i < view->features_count; i++) {
        if (!text_is (key->text, view->features[i].name))
            continue;
        tree_mistake (reader->mistakes, key,
                      "this makes a feature '%s', and so does '" TEXT_FORMAT
                      "' at line %u; rename one",
                      view->features[i].name, TEXT_ARGS (made_by[i]->text), made_by[i]->line);
        return false;
    }
    int request = view_request_field (view, key->text);
    if (request >= 0)
        tree_mistake (reader->mistakes, key,
                      "'%s' is a value of the request as well; rename one of them",
                      view->request[request].name);
    return request < 0;
}

/* Where the expression is written; NULL with a mistake. */
static const tree_node_t *text_of_entry (derived_reader_t *reader, const tree_node_t *key,
                                         derived_t *derived)
{
    static const char *const known[] = { "expr", "description", "owner", "tags", "default", NULL };
    static const tree_keys_t keys = { "a derived feature", known, NULL };
    const tree_node_t *node = key->value;
    if (node->kind == TREE_MAP) {
        if (!tree_check_keys (reader->mistakes, node, &keys))
            return NULL;
        about_read (reader->shared, node, &derived->about);
        node = tree_get (key->value, "expr");
        if (node == NULL)
            tree_mistake (reader->mistakes, key->value, "the derived feature '%s' needs `expr`",
                          derived->name);
    }
    if (node == NULL ||
        !tree_check_text (reader->mistakes, node, "an expression, as in spend_1h / spend_7d"))
        return NULL;
    return node;
}

static void add_entry (derived_reader_t *reader, const tree_node_t *key,
                       const tree_node_t *const *made_by)
{
    view_t *view = reader->view;
    if (!check_derived_name (reader, key, made_by))
        return;
    if (view->features_count + view->derived_count == FEATURES_MAX) {
        tree_mistake (reader->mistakes, key,
                      "the view '%s' has too many features (at most %d); split it", view->name,
                      FEATURES_MAX);
        return;
    }
    size_t at = view->derived_count++;
    derived_t *derived = &view->derived[at];
    derived->name = arena_string (reader->shared->out->arena, key->text);
    reader->entries[at].key = key;
    reader->entries[at].text = text_of_entry (reader, key, derived);
    reader->mistaken[at] = reader->entries[at].text == NULL;
}

/* The names in the text that are of derived features; one before "(" is a function's. */
static void find_needs (derived_reader_t *reader, entry_t *entry)
{
    const view_t *view = reader->view;
    lexer_t lexer = { .source = entry->text->text, .arena = reader->shared->scratch };
    token_t token = lexer_next (&lexer);
    while (token.kind != TOKEN_END && token.kind != TOKEN_BAD) {
        token_t next = lexer_next (&lexer);
        bool is_call = next.kind == TOKEN_SYMBOL && text_is (next.text, "(");
        for (size_t i = 0; i < view->derived_count; i++) {
            if (token.kind == TOKEN_NAME && !is_call && text_is (token.text, view->derived[i].name))
                entry->needs[i / 64] |= UINT64_C (1) << i % 64;
        }
        token = next;
    }
}

static bool is_ready (const entry_t *entry, const uint64_t *ranked)
{
    uint64_t missing = 0;
    for (size_t word = 0; word < NEEDS_WORDS; word++)
        missing |= entry->needs[word] & ~ranked[word];
    return missing == 0;
}

/* Ranks those that need only what has a rank, until there are no more; fills `order` with them.
 * Returns how many there are. */
static size_t rank_entries (derived_reader_t *reader, size_t *order)
{
    view_t *view = reader->view;
    uint64_t ranked[NEEDS_WORDS] = { 0 };
    size_t count = 0;
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < view->derived_count; i++) {
            entry_t *entry = &reader->entries[i];
            if (entry->ranked || !is_ready (entry, ranked))
                continue;
            view->derived[i].rank = (uint32_t)count;
            order[count++] = i;
            ranked[i / 64] |= UINT64_C (1) << i % 64;
            entry->ranked = any = true;
        }
    }
    return count;
}

/* The first without a rank that one without a rank needs: there is one, or it would have a rank. */
static size_t next_in_circle (const derived_reader_t *reader, size_t at)
{
    size_t next = 0;
    while (!needs (&reader->entries[at], next) || reader->entries[next].ranked)
        next++;
    return next;
}

/* "a needs b, b needs a" */
static void tell_circle (derived_reader_t *reader, size_t first)
{
    const view_t *view = reader->view;
    buf_t names;
    buf_init (&names, MISTAKE_TEXT_MAX / 2);
    size_t at = first;
    do {
        size_t next = next_in_circle (reader, at);
        buf_printf (&names, "%s%s needs %s", at == first ? "" : ", ", view->derived[at].name,
                    view->derived[next].name);
        at = next;
    } while (at != first && !names.bad);
    tree_mistake (reader->mistakes, reader->entries[first].key,
                  "'%s' would be computed from itself: %s", view->derived[first].name,
                  names.bad ? "through many others" : buf_string (&names));
    buf_release (&names);
}

/* What has no rank is in a circle or needs what is: going on from it comes to a circle. */
static void find_circles (derived_reader_t *reader)
{
    for (size_t start = 0; start < reader->view->derived_count; start++) {
        if (reader->entries[start].ranked)
            continue;
        reader->mistaken[start] = true;
        size_t at = start;
        while (reader->entries[at].walk == 0) {
            reader->entries[at].walk = start + 1;
            at = next_in_circle (reader, at);
        }
        if (reader->entries[at].walk == start + 1)
            tell_circle (reader, at);
    }
}

/* ---- their expressions ---- */

/* "spend_1h, spend_7d": the features that an entry makes with its windows; false for none. */
static bool put_windows (const view_t *view, const char *name, buf_t *out)
{
    bool any = false;
    size_t size = strlen (name);
    for (size_t i = 0; i < view->features_count; i++) {
        const char *feature = view->features[i].name;
        if (strncmp (feature, name, size) != 0 || feature[size] != '_')
            continue;
        buf_printf (out, "%s%s", any ? ", " : "", feature);
        any = true;
    }
    return any;
}

/* A parse failed at a name: more is known of it than the parser knows. */
static void explain_name (derived_reader_t *reader, error_t *error)
{
    const view_scope_note_t *note = &reader->note;
    char nearest[SUGGESTION_MAX];
    buf_t windows;
    buf_init (&windows, MISTAKE_TEXT_MAX / 4);
    if (note->collection != TYPE_NONE)
        error_set (error, STATUS_INVALID, "'%s' is a %s, which expressions cannot take", note->name,
                   type_word (note->collection));
    else if (put_windows (reader->view, note->name, &windows))
        error_set (error, STATUS_INVALID, "there is no feature '%s' without a window, but %s",
                   note->name, windows.bad ? "with one" : buf_string (&windows));
    else if (stream_field (reader->view->stream, text_of (note->name)) >= 0)
        error_set (error, STATUS_INVALID,
                   "'%s' is a field of the events; derived features are computed from features, "
                   "values of the request and now",
                   note->name);
    else
        error_set (error, STATUS_INVALID, "unknown feature '%s'%s", note->name,
                   suggestion (text_of (note->name), reader->scope.names,
                               reader->scope.scope.names_count, nearest));
    buf_release (&windows);
}

static bool check_derived_type (derived_reader_t *reader, const tree_node_t *node, type_t type)
{
    if (type == TYPE_NONE)
        tree_mistake (reader->mistakes, node, "this is null, always");
    if (type == TYPE_DURATION)
        tree_mistake (reader->mistakes, node,
                      "this is a duration, which no feature can be; divide it by one, as in (now - "
                      "last_seen) / 1d");
    return type != TYPE_NONE && type != TYPE_DURATION;
}

static bool read_expression (derived_reader_t *reader, const entry_t *entry, derived_t *derived)
{
    arena_t *arena = reader->shared->out->arena;
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    reader->note = (view_scope_note_t){ 0 };
    status_t status = expr_parse (entry->text->text, &reader->scope.scope, &expr, &at, &error);
    if (status != STATUS_OK && reader->note.is_mistaken)
        return false; /* told there */
    if (status != STATUS_OK) {
        if (reader->note.name[0] != '\0')
            explain_name (reader, &error);
        expression_mistake (reader->mistakes, entry->text, at, &error);
        return false;
    }
    derived->type = expr_type (expr);
    derived->expr = expression_text (expr, arena);
    expr_destroy (&expr);
    if (!check_derived_type (reader, entry->text, derived->type))
        return false;
    const result_type_t type = result_type_single (derived->type);
    if (entry->key->value->kind == TREE_MAP)
        (void)default_entry_read (reader->shared, entry->key->value, &type, &derived->default_value,
                                  &derived->default_text);
    return true;
}

void view_read_derived (definition_reader_t *shared, const tree_node_t *node, view_t *view,
                        const tree_node_t *const *made_by)
{
    if (node == NULL || !tree_check_map (&shared->mistakes, node, "the derived features by name"))
        return;
    arena_t *scratch = shared->scratch;
    size_t most = node->count + 1u;
    derived_reader_t reader = { .shared = shared, .mistakes = &shared->mistakes, .view = view };
    reader.entries = arena_zero (scratch, most, sizeof *reader.entries);
    reader.mistaken = arena_zero (scratch, most, sizeof *reader.mistaken);
    size_t *order = arena_zero (scratch, most, sizeof *order);
    view->derived = arena_zero (shared->out->arena, most, sizeof *view->derived);
    for (const tree_node_t *key = node->first; key != NULL; key = key->next)
        add_entry (&reader, key, made_by);
    for (size_t i = 0; i < view->derived_count; i++) {
        if (!reader.mistaken[i])
            find_needs (&reader, &reader.entries[i]);
    }
    size_t ranked = rank_entries (&reader, order);
    find_circles (&reader);
    view_scope_init (&reader.scope, view, reader.mistaken, &reader.note);
    for (size_t i = 0; i < ranked; i++) {
        size_t at = order[i];
        if (!reader.mistaken[at])
            reader.mistaken[at] =
                !read_expression (&reader, &reader.entries[at], &view->derived[at]);
    }
}
