/* derived_read.c - `derived` of a view or a service: order, circles, expressions and their types.
 */
#include "feature/definition_read.h"
#include "feature/feature_text.h"
#include "feature/view_scope.h"

#include <stdio.h>

enum { NEEDS_WORDS = (FEATURES_MAX + 63) / 64 };

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
    derived_home_t *home;
    entry_t *entries;
    bool *mistaken; /* per entry */
    const expr_scope_t *scope;
} derived_reader_t;

static bool needs (const entry_t *entry, size_t other)
{
    return entry->needs[other / 64] >> other % 64 & 1;
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

static void add_entry (derived_reader_t *reader, const tree_node_t *key)
{
    derived_home_t *home = reader->home;
    if (!tree_check_name (reader->mistakes, key, "the name of a derived feature") ||
        !home->is_free (home->arg, key))
        return;
    if (home->count == home->most) {
        tree_mistake (reader->mistakes, key, "the %s has too many features (at most %d); split it",
                      home->what, FEATURES_MAX);
        return;
    }
    size_t at = home->count++;
    derived_t *derived = &home->derived[at];
    derived->name = arena_string (reader->shared->out->arena, key->text);
    reader->entries[at].key = key;
    reader->entries[at].text = text_of_entry (reader, key, derived);
    reader->mistaken[at] = reader->entries[at].text == NULL;
}

static bool is_symbol (const token_t *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && text_is (token->text, symbol);
}

/* The names in the text that are of derived features; one before "(" is a function's, and one
 * beside "." is none by itself. */
static void find_needs (derived_reader_t *reader, entry_t *entry)
{
    const derived_home_t *home = reader->home;
    lexer_t lexer = { .source = entry->text->text, .arena = reader->shared->scratch };
    token_t token = lexer_next (&lexer);
    bool after_dot = false;
    while (token.kind != TOKEN_END && token.kind != TOKEN_BAD) {
        token_t next = lexer_next (&lexer);
        bool is_whole = !after_dot && !is_symbol (&next, "(") && !is_symbol (&next, ".");
        for (size_t i = 0; i < home->count; i++) {
            if (token.kind == TOKEN_NAME && is_whole && text_is (token.text, home->derived[i].name))
                entry->needs[i / 64] |= UINT64_C (1) << i % 64;
        }
        after_dot = is_symbol (&token, ".");
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
    derived_home_t *home = reader->home;
    uint64_t ranked[NEEDS_WORDS] = { 0 };
    size_t count = 0;
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < home->count; i++) {
            entry_t *entry = &reader->entries[i];
            if (entry->ranked || !is_ready (entry, ranked))
                continue;
            home->derived[i].rank = (uint32_t)count;
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
    const derived_home_t *home = reader->home;
    buf_t names;
    buf_init (&names, MISTAKE_TEXT_MAX / 2);
    size_t at = first;
    do {
        size_t next = next_in_circle (reader, at);
        buf_printf (&names, "%s%s needs %s", at == first ? "" : ", ", home->derived[at].name,
                    home->derived[next].name);
        at = next;
    } while (at != first && !names.bad);
    tree_mistake (reader->mistakes, reader->entries[first].key,
                  "'%s' would be computed from itself: %s", home->derived[first].name,
                  names.bad ? "through many others" : buf_string (&names));
    buf_release (&names);
}

/* What has no rank is in a circle or needs what is: going on from it comes to a circle. */
static void find_circles (derived_reader_t *reader)
{
    for (size_t start = 0; start < reader->home->count; start++) {
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
    const derived_home_t *home = reader->home;
    arena_t *arena = reader->shared->out->arena;
    expr_t *expr = NULL;
    size_t at = 0;
    error_t error;
    *home->note = (scope_note_t){ 0 };
    status_t status = expr_parse (entry->text->text, reader->scope, &expr, &at, &error);
    if (status != STATUS_OK && home->note->is_mistaken)
        return false; /* told there */
    if (status != STATUS_OK) {
        if (home->note->name[0] != '\0')
            home->explain (home->arg, &error);
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

void derived_read (definition_reader_t *shared, const tree_node_t *node, derived_home_t *home)
{
    if (node == NULL || !tree_check_map (&shared->mistakes, node, "the derived features by name"))
        return;
    arena_t *scratch = shared->scratch;
    size_t most = node->count + 1u;
    derived_reader_t reader = { .shared = shared, .mistakes = &shared->mistakes, .home = home };
    reader.entries = arena_zero (scratch, most, sizeof *reader.entries);
    reader.mistaken = arena_zero (scratch, most, sizeof *reader.mistaken);
    size_t *order = arena_zero (scratch, most, sizeof *order);
    home->derived = arena_zero (shared->out->arena, most, sizeof *home->derived);
    for (const tree_node_t *key = node->first; key != NULL; key = key->next)
        add_entry (&reader, key);
    for (size_t i = 0; i < home->count; i++) {
        if (!reader.mistaken[i])
            find_needs (&reader, &reader.entries[i]);
    }
    size_t ranked = rank_entries (&reader, order);
    find_circles (&reader);
    reader.scope = home->scope (home->arg, reader.mistaken);
    for (size_t i = 0; i < ranked; i++) {
        size_t at = order[i];
        if (!reader.mistaken[at])
            reader.mistaken[at] =
                !read_expression (&reader, &reader.entries[at], &home->derived[at]);
    }
}
