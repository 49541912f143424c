#include "feature/definition_format.h"
#include "feature/definition_read.h"
#include "feature/keyed_log.h"
#include "feature/stream_scope.h"

enum { NAME_SHOWN_MAX = 160 }; /* bytes of a name that is too long */

/* What is known only while one view is read. */
typedef struct view_reader {
    definition_reader_t *shared;
    mistakes_t *mistakes;
    view_t *view;
    stream_scope_t scope;
    const feature_group_t **groups;
    size_t groups_count;
    const tree_node_t **made_by; /* per feature: the entry that it comes from */
} view_reader_t;

/* The stream that a view is from, or NULL; with a mistake unless the stream has its own. */
static const stream_t *read_from (view_reader_t *reader, const tree_node_t *body)
{
    definition_reader_t *shared = reader->shared;
    const tree_node_t *node = tree_get (body, "from");
    if (node == NULL) {
        tree_mistake (reader->mistakes, body, "the view '%s' needs `from`: a stream's name",
                      reader->view->name);
        return NULL;
    }
    if (node->kind == TREE_LIST) {
        tree_unsupported (reader->mistakes, node,
                          "views from several streams; write `from: stream`");
        return NULL;
    }
    if (!tree_check_text (reader->mistakes, node, "a stream's name"))
        return NULL;
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

/* Every key costs a log that all events go through once more. */
static void check_key_count (view_reader_t *reader, const tree_node_t *node)
{
    const definitions_t *all = reader->shared->out;
    const view_t *view = reader->view;
    const view_t *keys[KEYED_LOGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < all->views_count && count < KEYED_LOGS_MAX; i++) {
        const view_t *other = &all->views[i];
        if (other == view || other->stream != view->stream || other->log_name == NULL)
            continue;
        size_t k = 0;
        while (k < count && strcmp (keys[k]->log_name, other->log_name) != 0)
            k++;
        if (k == count && strcmp (other->log_name, view->stream->log_name) != 0)
            keys[count++] = other;
    }
    keyed_log_t log;
    if (count < KEYED_LOGS_MAX - 1 ||
        !keyed_log_make (view->stream, view->key, view->key_count, &log) || log.primary)
        return;
    for (size_t k = 0; k < count; k++)
        if (strcmp (keys[k]->log_name, log.name) == 0)
            return;
    tree_mistake (reader->mistakes, node, "views of '%s' have too many different keys (at most %d)",
                  view->stream->name, KEYED_LOGS_MAX - 1);
}

/* Its own key, or the stream's. */
static void read_key (view_reader_t *reader, const tree_node_t *body)
{
    view_t *view = reader->view;
    const tree_node_t *node = tree_get (body, "key");
    size_t before = reader->mistakes->total;
    view->key_count = view->stream->key_count;
    memcpy (view->key, view->stream->key, sizeof view->key);
    if (node != NULL)
        key_read (reader->shared, node, view->stream, view->key, &view->key_count);
    if (reader->mistakes->total == before)
        check_key_count (reader, node != NULL ? node : body);
    if (reader->mistakes->total == before)
        view->log_name = key_log_name (reader->shared, node != NULL ? node : body, view->stream,
                                       view->key, view->key_count);
}

/* The view's filter; *expr is the caller's. */
static void read_where (view_reader_t *reader, const tree_node_t *node, expr_t **expr)
{
    if (!tree_check_text (reader->mistakes, node, "an expression"))
        return;
    size_t at = 0;
    error_t error;
    if (expr_parse (node->text, &reader->scope.scope, expr, &at, &error) != STATUS_OK) {
        expression_mistake (reader->mistakes, node, at, &error);
        return;
    }
    type_t type = expr_type (*expr);
    if (type != TYPE_BOOL) {
        tree_mistake (reader->mistakes, node, "`where` takes a bool, and this is %s",
                      type == TYPE_NONE ? "null" : type_word (type));
        return;
    }
    reader->view->where = expression_text (*expr, reader->shared->out->arena);
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
    if (feature_text_read (node->text, &reader->scope.scope, arena, &group->text, &at, &error) !=
        STATUS_OK) {
        expression_mistake (reader->mistakes, node, at, &error);
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

static void finish_view (view_reader_t *reader, const tree_node_t *key, const expr_t *where)
{
    view_t *view = reader->view;
    feature_t *kept = arena_zero (reader->shared->out->arena, view->features_count, sizeof *kept);
    memcpy (kept, view->features, view->features_count * sizeof *kept);
    view->features = kept;
    view->meaning = view_meaning (view, where);
    buf_t text;
    buf_init (&text, DEFINITION_FILE_MAX);
    view_format (view, reader->groups, reader->groups_count, &text);
    view->text = definition_text (reader->shared, key, &text);
}

bool view_read (definition_reader_t *shared, const tree_node_t *key, view_t *view)
{
    static const char *const known[] = { "from",     "key",     "where",   "horizon",
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
    view->stream = read_from (&reader, body);
    const tree_node_t *node = tree_get (body, "horizon");
    if (node != NULL)
        (void)tree_read_duration (mistakes, node, "horizon", HORIZON_MIN, HORIZON_MOST,
                                  &view->horizon);
    if (view->stream == NULL)
        return false;
    stream_scope_init (&reader.scope, view->stream);
    read_key (&reader, body);
    expr_t *where = NULL;
    if ((node = tree_get (body, "where")) != NULL)
        read_where (&reader, node, &where);
    read_features (&reader, body);
    view_read_request (shared, tree_get (body, "request"), view);
    if ((node = tree_get (body, "derived")) != NULL) {
        if (mistakes->total == before)
            view_read_derived (shared, node, view, reader.made_by);
        else
            mistakes->underived++; /* they would be blamed for features that are not known */
    }
    if (mistakes->total == before)
        finish_view (&reader, key, where);
    expr_destroy (&where);
    return mistakes->total == before;
}
