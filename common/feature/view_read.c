#include "feature/definition_format.h"
#include "feature/definition_read.h"
#include "feature/keyed_log.h"
#include "feature/stream_scope.h"

#include "base/check.h"

#include <stdio.h>

enum {
    NAME_SHOWN_MAX = 160, /* bytes of a name that is too long */
    SHARED_REASON_MAX = 512,
};

/* What the parser does not know of a name that it could not use; empty: it says all itself. */
typedef struct shared_note {
    char reason[SHARED_REASON_MAX];
} shared_note_t;

/* The fields that all streams of a view have. */
typedef struct shared_scope {
    const expr_scope_t *own; /* of the first stream */
    const view_t *view;
    shared_note_t *note;
} shared_scope_t;

/* What is known only while one view is read. */
typedef struct view_reader {
    definition_reader_t *shared;
    mistakes_t *mistakes;
    view_t *view;
    stream_scope_t own;
    shared_scope_t shared_scope;
    shared_note_t note;
    expr_scope_t scope; /* points into this structure: do not copy */
    const feature_group_t **groups;
    size_t groups_count;
    const tree_node_t **made_by; /* per feature: the entry that it comes from */
} view_reader_t;

/* The stream of that name, or NULL; with a mistake unless the stream has its own. */
static const stream_t *find_stream (view_reader_t *reader, const tree_node_t *node)
{
    definition_reader_t *shared = reader->shared;
    const stream_t *stream = definitions_stream (shared->out, node->text);
    if (stream == NULL) {
        text_t shown = mistake_shown (node->text);
        const char *nearest = definitions_nearest_stream (shared->out, node->text);
        tree_mistake (reader->mistakes, node, "there is no stream '" TEXT_FORMAT "'%s%s%s",
                      TEXT_ARGS (shown), nearest != NULL ? "; did you mean '" : "",
                      nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
        reader->mistakes->unchecked++;
        return NULL;
    }
    if (shared->stream_good[stream - shared->out->streams])
        return stream;
    reader->mistakes->unchecked++; /* they would be blamed for fields that are not known */
    return NULL;
}

/* The streams that a view is from, the first of which names its fields. False with a mistake,
 * unless a stream has its own. */
static bool read_from (view_reader_t *reader, const tree_node_t *body)
{
    view_t *view = reader->view;
    const tree_node_t *node = tree_get (body, "from");
    const tree_node_t *names[SOURCES_MAX];
    size_t count;
    if (node == NULL) {
        tree_mistake (reader->mistakes, body, "the view '%s' needs `from`: a stream's name",
                      view->name);
        return false;
    }
    if (!tree_check_texts (reader->mistakes, node, "a stream's name, or a list of streams", names,
                           SOURCES_MAX, &count))
        return false;
    if (count == 0) {
        tree_mistake (reader->mistakes, node, "the view '%s' is from no stream", view->name);
        return false;
    }
    view->sources = arena_zero (reader->shared->out->arena, count, sizeof *view->sources);
    for (size_t i = 0; i < count; i++) {
        const stream_t *stream = find_stream (reader, names[i]);
        if (stream == NULL)
            return false;
        if (view_source_of (view, stream->name) >= 0) {
            tree_mistake (reader->mistakes, names[i], "the view is from '%s' twice", stream->name);
            return false;
        }
        view->sources[view->sources_count++].stream = stream;
    }
    view->stream = view->sources[0].stream;
    return true;
}

/* ---- what all streams must have ---- */

/* Why a field of the first stream is no field of them all; empty when it is one. */
static void check_shared (const view_t *view, size_t index, char reason[SHARED_REASON_MAX])
{
    const field_t *field = &view->stream->fields[index];
    reason[0] = '\0';
    for (size_t i = 1; i < view->sources_count && reason[0] == '\0'; i++) {
        const stream_t *stream = view->sources[i].stream;
        int other = stream_field (stream, text_of (field->name));
        if (other < 0)
            (void)snprintf (reason, SHARED_REASON_MAX,
                            "'%s' is a field of '%s', but not of '%s', and a view of several "
                            "streams can use only what all of them have",
                            field->name, view->stream->name, stream->name);
        else if (stream->fields[other].type != field->type)
            (void)snprintf (reason, SHARED_REASON_MAX,
                            "'%s' is %s in '%s', and %s in '%s': a view of several streams needs "
                            "one type",
                            field->name, type_word (field->type), view->stream->name,
                            type_word (stream->fields[other].type), stream->name);
    }
}

/* Fields by name, as long as all streams have them. */
static type_t lookup_shared (const void *arg, text_t name, uint32_t *column)
{
    const shared_scope_t *scope = arg;
    type_t type = scope->own->lookup (scope->own->arg, name, column);
    if (type == TYPE_NONE)
        return type;
    check_shared (scope->view, *column, scope->note->reason);
    return scope->note->reason[0] == '\0' ? type : TYPE_NONE;
}

static void init_scope (view_reader_t *reader)
{
    stream_scope_init (&reader->own, reader->view->stream);
    reader->shared_scope = (shared_scope_t){ &reader->own.scope, reader->view, &reader->note };
    reader->scope = reader->own.scope;
    reader->scope.lookup = lookup_shared;
    reader->scope.arg = &reader->shared_scope;
}

/* A mistake in an expression over the streams' fields. */
static void field_mistake (view_reader_t *reader, const tree_node_t *node, size_t at,
                           error_t *error)
{
    if (reader->note.reason[0] != '\0')
        error_set (error, STATUS_INVALID, "%s", reader->note.reason);
    reader->note.reason[0] = '\0';
    expression_mistake (reader->mistakes, node, at, error);
}

/* ---- the key ---- */

/* Every key costs a log that all events go through once more. */
static void check_key_count (view_reader_t *reader, const tree_node_t *node,
                             const view_source_t *source)
{
    const definitions_t *all = reader->shared->out;
    const view_t *view = reader->view;
    const stream_t *stream = source->stream;
    const char *keys[KEYED_LOGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < all->views_count && count < KEYED_LOGS_MAX; i++) {
        const view_t *other = &all->views[i];
        int at = other != view ? view_source_of (other, stream->name) : -1;
        const char *log_name = at >= 0 ? other->sources[at].log_name : NULL;
        if (log_name == NULL || strcmp (log_name, stream->log_name) == 0)
            continue;
        size_t k = 0;
        while (k < count && strcmp (keys[k], log_name) != 0)
            k++;
        if (k == count)
            keys[count++] = log_name;
    }
    keyed_log_t log;
    if (count < KEYED_LOGS_MAX - 1 ||
        !keyed_log_make (stream, source->key, view->key_count, &log) || log.primary)
        return;
    for (size_t k = 0; k < count; k++)
        if (strcmp (keys[k], log.name) == 0)
            return;
    tree_mistake (reader->mistakes, node, "views of '%s' have too many different keys (at most %d)",
                  stream->name, KEYED_LOGS_MAX - 1);
}

/* The key's fields in one of the streams. */
static void find_key (view_reader_t *reader, const tree_node_t *node, view_source_t *source)
{
    const view_t *view = reader->view;
    for (size_t k = 0; k < view->key_count; k++) {
        const field_t *field = &view->stream->fields[view->key[k]];
        int index = stream_field (source->stream, text_of (field->name));
        CHECK (index >= 0);
        source->key[k] = (uint32_t)index;
        if (source->stream->fields[index].expr != NULL)
            tree_mistake (reader->mistakes, node,
                          "'%s' is computed in '%s': a key is of fields that are sent, for they "
                          "say where an event goes",
                          field->name, source->stream->name);
    }
}

/* Its own key, or the first stream's. */
static void read_key (view_reader_t *reader, const tree_node_t *body)
{
    view_t *view = reader->view;
    const tree_node_t *node = tree_get (body, "key");
    const tree_node_t *place = node != NULL ? node : body;
    size_t before = reader->mistakes->total;
    view->key_count = view->stream->key_count;
    memcpy (view->key, view->stream->key, sizeof view->key);
    if (node != NULL)
        key_read (reader->shared, node, view->stream, view->key, &view->key_count);
    for (size_t k = 0; k < view->key_count && reader->mistakes->total == before; k++) {
        char reason[SHARED_REASON_MAX];
        check_shared (view, view->key[k], reason);
        if (reason[0] != '\0')
            tree_mistake (reader->mistakes, place, "the key: %s", reason);
    }
    for (size_t i = 0; i < view->sources_count && reader->mistakes->total == before; i++) {
        view_source_t *source = &view->sources[i];
        find_key (reader, place, source);
        if (reader->mistakes->total == before)
            check_key_count (reader, place, source);
        if (reader->mistakes->total == before)
            source->log_name =
                key_log_name (reader->shared, place, source->stream, source->key, view->key_count);
    }
    view->log_name = view->sources[0].log_name;
}

/* The view's filter. */
static void read_where (view_reader_t *reader, const tree_node_t *node)
{
    if (!tree_check_text (reader->mistakes, node, "an expression"))
        return;
    size_t at = 0;
    error_t error;
    expr_t *expr = NULL;
    if (expr_parse (node->text, &reader->scope, &expr, &at, &error) != STATUS_OK) {
        field_mistake (reader, node, at, &error);
        return;
    }
    type_t type = expr_type (expr);
    if (type != TYPE_BOOL)
        tree_mistake (reader->mistakes, node, "`where` takes a bool, and this is %s",
                      type == TYPE_NONE ? "null" : type_word (type));
    else
        reader->view->where = expression_text (expr, reader->shared->out->arena);
    expr_destroy (&expr);
}

static void add_feature (view_reader_t *reader, const tree_node_t *key, place_t place,
                         const feature_group_t *group, const char *name,
                         const feature_window_t *window)
{
    view_t *view = reader->view;
    for (size_t i = 0; i < view->features_count; i++) {
        if (strcmp (view->features[i].name, name) != 0)
            continue;
        const tree_node_t *other = reader->made_by[i];
        if (other == key)
            mistakes_add (reader->mistakes, place, STATUS_INVALID,
                          "the window is given twice: both make '%s'", name);
        else
            mistakes_add (reader->mistakes, place, STATUS_INVALID,
                          "this makes a feature '%s', and so does '" TEXT_FORMAT
                          "' at line %u; rename one",
                          name, TEXT_ARGS (other->text), other->line);
        return;
    }
    if (view->features_count == FEATURES_MAX) {
        mistakes_add (reader->mistakes, place, STATUS_INVALID,
                      "the view '%s' has too many features (at most %d); split it", view->name,
                      FEATURES_MAX);
        return;
    }
    reader->made_by[view->features_count] = key;
    view->features[view->features_count++] = (feature_t){
        .name = name,
        .aggregate = group->text.aggregate,
        .input = group->text.input,
        .second = group->text.second,
        .parameter = group->text.parameter,
        .filter = group->text.filter,
        .by = group->text.by,
        .window = window->window,
        .rows = window->rows,
        .delay = group->text.delay,
        .default_value = group->text.default_value,
        .type = group->text.type,
        .about = group->about,
    };
}

/* One feature for each window. */
static void spell_out (view_reader_t *reader, const tree_node_t *key, const tree_node_t *node,
                       const feature_group_t *group)
{
    static const feature_window_t lifetime = { .window = WINDOW_LIFETIME };
    const feature_text_t *text = &group->text;
    if (text->windows_count == 0)
        add_feature (reader, key, tree_place (key), group, group->name, &lifetime);
    for (size_t i = 0; i < text->windows_count; i++) {
        const feature_window_t *window = &text->windows[i];
        place_t place = tree_place_in (node, window->at);
        buf_t name;
        buf_init (&name, 2 * EXPR_TEXT_MAX);
        buf_printf (&name, "%s_%s", group->name, window->suffix);
        if (text->delay_written != NULL)
            buf_printf (&name, "_delay%s", text->delay_written);
        if (name.size > NAME_MAX_SIZE) {
            text_t shown = text_of (buf_string (&name));
            shown.size = shown.size < NAME_SHOWN_MAX ? shown.size : NAME_SHOWN_MAX;
            mistakes_add (reader->mistakes, place, STATUS_INVALID,
                          "the feature's name '" TEXT_FORMAT "' is too long (at most %d letters)",
                          TEXT_ARGS (shown), NAME_MAX_SIZE);
        } else {
            add_feature (reader, key, place, group,
                         arena_string (reader->shared->out->arena, text_of (buf_string (&name))),
                         window);
        }
        buf_release (&name);
    }
}

/* What was read must be readable again from its canonical form, which may be longer. */
static bool reads_back (view_reader_t *reader, const tree_node_t *node, const feature_text_t *text)
{
    buf_t canonical;
    buf_init (&canonical, EXPR_TEXT_MAX);
    feature_text_format (text, &canonical);
    bool good = !canonical.bad;
    if (!good)
        tree_mistake (reader->mistakes, node,
                      "the text is too long (at most %d bytes in canonical form)", EXPR_TEXT_MAX);
    buf_release (&canonical);
    return good;
}

/* The node that holds a feature's text, or NULL with a mistake; what is told of it as well. */
static const tree_node_t *read_long_form (view_reader_t *reader, const tree_node_t *key,
                                          feature_group_t *group)
{
    static const char *const known[] = { "expr", "description", "owner", "tags", "default", NULL };
    static const tree_keys_t keys = { "a feature", known, NULL };
    const tree_node_t *body = key->value;
    if (!tree_check_keys (reader->mistakes, body, &keys))
        return NULL;
    about_read (reader->shared, body, &group->about);
    const tree_node_t *expr = tree_get (body, "expr");
    if (expr == NULL)
        tree_mistake (reader->mistakes, body, "the feature '%s' needs `expr`", group->name);
    return expr;
}

/* `default` of the long form, which is the same as the clause. */
static void read_long_default (view_reader_t *reader, const tree_node_t *key, feature_text_t *text)
{
    const tree_node_t *node =
        key->value->kind == TREE_MAP ? tree_get (key->value, "default") : NULL;
    if (node != NULL && text->default_text != NULL)
        tree_mistake (reader->mistakes, node, "the default is given twice: `expr` has one as well");
    else if (node != NULL)
        (void)default_entry_read (reader->shared, key->value, &text->type, &text->default_value,
                                  &text->default_text);
}

static void read_feature (view_reader_t *reader, const tree_node_t *key)
{
    arena_t *arena = reader->shared->out->arena;
    if (!tree_check_name (reader->mistakes, key, "the name of a feature"))
        return;
    feature_group_t *group = arena_zero (reader->shared->scratch, 1, sizeof *group);
    group->name = arena_string (arena, key->text);
    const tree_node_t *node = key->value;
    if (node->kind == TREE_MAP)
        node = read_long_form (reader, key, group);
    if (node == NULL ||
        !tree_check_text (reader->mistakes, node, "a feature, as in sum(amount) over 7d"))
        return;
    size_t at = 0;
    error_t error;
    if (feature_text_read (node->text, &reader->scope, arena, &group->text, &at, &error) !=
        STATUS_OK) {
        field_mistake (reader, node, at, &error);
        return;
    }
    read_long_default (reader, key, &group->text);
    if (!reads_back (reader, node, &group->text))
        return;
    reader->groups[reader->groups_count++] = group;
    spell_out (reader, key, node, group);
}

static void read_features (view_reader_t *reader, const tree_node_t *body)
{
    view_t *view = reader->view;
    definition_reader_t *shared = reader->shared;
    const tree_node_t *features = tree_get (body, "features");
    if (features == NULL) {
        tree_mistake (reader->mistakes, body, "the view '%s' needs `features`", view->name);
        return;
    }
    if (!tree_check_map (reader->mistakes, features, "the features by name"))
        return;
    if (features->count == 0) {
        tree_mistake (reader->mistakes, features, "the view '%s' has no features", view->name);
        return;
    }
    reader->groups = arena_zero (shared->scratch, features->count, sizeof *reader->groups);
    reader->made_by = arena_zero (shared->scratch, FEATURES_MAX, sizeof *reader->made_by);
    /* finish_view keeps as many as there are */
    view->features = arena_zero (shared->scratch, FEATURES_MAX, sizeof *view->features);
    for (const tree_node_t *key = features->first; key != NULL; key = key->next)
        read_feature (reader, key);
}

static void finish_view (view_reader_t *reader, const tree_node_t *key)
{
    view_t *view = reader->view;
    feature_t *kept = arena_zero (reader->shared->out->arena, view->features_count, sizeof *kept);
    memcpy (kept, view->features, view->features_count * sizeof *kept);
    view->features = kept;
    view_set_meaning (view);
    buf_t text;
    buf_init (&text, DEFINITION_FILE_MAX);
    view_format (view, reader->groups, reader->groups_count, &text);
    view->text = definition_text (reader->shared, key, &text);
}

bool view_read (definition_reader_t *shared, const tree_node_t *key, view_t *view)
{
    static const char *const known[] = { "from",     "key",     "where",   "horizon", "ttl",
                                         "features", "request", "derived", NULL };
    static const tree_keys_t keys = { "a view", known, NULL };
    mistakes_t *mistakes = &shared->mistakes;
    size_t before = mistakes->total;
    view_reader_t reader = { .shared = shared, .mistakes = mistakes, .view = view };
    const tree_node_t *body = key->value;
    view->name = arena_string (shared->out->arena, key->text);
    view->version = 1;
    view->horizon = TIME_DAY;
    if (!tree_check_keys (mistakes, body, &keys))
        return false;
    bool from = read_from (&reader, body);
    const tree_node_t *node = tree_get (body, "horizon");
    if (node != NULL)
        (void)tree_read_duration (mistakes, node, "horizon", HORIZON_MIN, HORIZON_MOST,
                                  &view->horizon);
    if ((node = tree_get (body, "ttl")) != NULL)
        (void)tree_read_duration (mistakes, node, "ttl", TTL_MIN, TTL_MOST, &view->ttl);
    if (!from)
        return false;
    init_scope (&reader);
    read_key (&reader, body);
    if ((node = tree_get (body, "where")) != NULL)
        read_where (&reader, node);
    read_features (&reader, body);
    view_read_request (shared, tree_get (body, "request"), view);
    if ((node = tree_get (body, "derived")) != NULL) {
        if (mistakes->total == before)
            view_read_derived (shared, node, view, reader.made_by);
        else
            mistakes->underived++; /* they would be blamed for features that are not known */
    }
    if (mistakes->total == before)
        finish_view (&reader, key);
    return mistakes->total == before;
}
