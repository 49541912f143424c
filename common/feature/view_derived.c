/* view_derived.c - a view's `request` and `derived`. */
#include "feature/definition_read.h"

#include <stdio.h>

/* ---- request ---- */

static void read_request_field (definition_reader_t *reader, const tree_node_t *key,
                                name_taken_t *taken, const void *arg, field_t *request,
                                size_t *count)
{
    static const char *const known[] = { "type", "unit", "zone", "description", NULL };
    static const tree_keys_t keys = { "a value of a request", known, NULL };
    if (!tree_check_name (&reader->mistakes, key, "the name of a value of a request"))
        return;
    const char *other = taken (arg, key->text);
    if (other != NULL)
        tree_mistake (&reader->mistakes, key, "'" TEXT_FORMAT "' is %s as well; rename one of them",
                      TEXT_ARGS (key->text), other);
    else
        field_read (reader, key, &keys, &request[(*count)++]);
}

void request_read (definition_reader_t *reader, const tree_node_t *node, name_taken_t *taken,
                   const void *arg, field_t **request, size_t *count)
{
    if (node == NULL ||
        !tree_check_map (&reader->mistakes, node, "the values of a request by name"))
        return;
    if (node->count > REQUEST_FIELDS_MAX) {
        tree_mistake (&reader->mistakes, node, "a request has too many values (at most %d)",
                      REQUEST_FIELDS_MAX);
        return;
    }
    *request = arena_zero (reader->out->arena, node->count + 1, sizeof **request);
    for (const tree_node_t *key = node->first; key != NULL; key = key->next)
        read_request_field (reader, key, taken, arg, *request, count);
}

static const char *is_feature (const void *arg, text_t name)
{
    const view_t *view = arg;
    for (size_t i = 0; i < view->features_count; i++) {
        if (text_is (name, view->features[i].name))
            return "a feature of the view";
    }
    return NULL;
}

void view_read_request (definition_reader_t *reader, const tree_node_t *node, view_t *view)
{
    request_read (reader, node, is_feature, view, &view->request, &view->request_count);
}

/* ---- derived ---- */

typedef struct view_home {
    mistakes_t *mistakes;
    view_t *view;
    derived_home_t *home;
    const tree_node_t *const *made_by;
    view_scope_t scope;
    scope_note_t note;
} view_home_t;

static bool is_free (void *arg, const tree_node_t *key)
{
    const view_home_t *self = arg;
    const view_t *view = self->view;
    for (size_t i = 0; i < view->features_count; i++) {
        if (!text_is (key->text, view->features[i].name))
            continue;
        tree_mistake (
            self->mistakes, key,
            "this makes a feature '%s', and so does '" TEXT_FORMAT "' at line %u; rename one",
            view->features[i].name, TEXT_ARGS (self->made_by[i]->text), self->made_by[i]->line);
        return false;
    }
    int request = view_request_field (view, key->text);
    if (request >= 0)
        tree_mistake (self->mistakes, key,
                      "'%s' is a value of the request as well; rename one of them",
                      view->request[request].name);
    return request < 0;
}

static const expr_scope_t *make_scope (void *arg, const bool *mistaken)
{
    view_home_t *self = arg;
    self->view->derived = self->home->derived;
    self->view->derived_count = self->home->count;
    view_scope_init (&self->scope, self->view, mistaken, &self->note);
    return &self->scope.scope;
}

bool view_put_windows (const view_t *view, const char *name, buf_t *out)
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

static void explain (void *arg, error_t *error)
{
    const view_home_t *self = arg;
    const scope_note_t *note = &self->note;
    char nearest[SUGGESTION_MAX];
    buf_t windows;
    buf_init (&windows, MISTAKE_TEXT_MAX / 4);
    if (note->collection != TYPE_NONE)
        error_set (error, STATUS_INVALID, "'%s' is a %s, which expressions cannot take", note->name,
                   type_word (note->collection));
    else if (view_put_windows (self->view, note->name, &windows))
        error_set (error, STATUS_INVALID, "there is no feature '%s' without a window, but %s",
                   note->name, windows.bad ? "with one" : buf_string (&windows));
    else if (stream_field (self->view->stream, text_of (note->name)) >= 0)
        error_set (error, STATUS_INVALID,
                   "'%s' is a field of the events; derived features are computed from features, "
                   "values of the request and now",
                   note->name);
    else
        error_set (error, STATUS_INVALID, "unknown feature '%s'%s", note->name,
                   suggestion (text_of (note->name), self->scope.names,
                               self->scope.scope.names_count, nearest));
    buf_release (&windows);
}

void view_read_derived (definition_reader_t *shared, const tree_node_t *node, view_t *view,
                        const tree_node_t *const *made_by)
{
    char what[NAME_MAX_SIZE + 16];
    (void)snprintf (what, sizeof what, "view '%s'", view->name);
    view_home_t self = { .mistakes = &shared->mistakes, .view = view, .made_by = made_by };
    derived_home_t home = { .arg = &self,
                            .what = what,
                            .most = FEATURES_MAX - view->features_count,
                            .is_free = is_free,
                            .scope = make_scope,
                            .note = &self.note,
                            .explain = explain };
    self.home = &home;
    derived_read (shared, node, &home);
    view->derived = home.derived;
    view->derived_count = home.count;
}
