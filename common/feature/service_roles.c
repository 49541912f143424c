/* service_roles.c - `views` of a service: which views it reads, each of which entity. */
#include "feature/definition_read.h"

#include <stdio.h>

typedef struct roles_reader {
    definition_reader_t *shared;
    mistakes_t *mistakes;
    service_t *service;
} roles_reader_t;

/* Are the views numbered as they are in the cluster? */
static bool knows_versions (const roles_reader_t *reader)
{
    const definitions_input_t *input = reader->shared->input;
    return input->versions != NULL && reader->mistakes->total == 0;
}

static void tell_versions (roles_reader_t *reader, const tree_node_t *node, text_t name,
                           uint32_t version)
{
    buf_t versions;
    buf_init (&versions, 1 << 12);
    definitions_put_versions (reader->shared->out, name, &versions);
    tree_mistake (reader->mistakes, node, "the view '" TEXT_FORMAT "' has version %s, not v%u",
                  TEXT_ARGS (name), buf_string (&versions), version);
    buf_release (&versions);
}

/* The view of "spend" or "spend@v1", or NULL; with a mistake unless the view has its own. */
static const view_t *find_view (roles_reader_t *reader, const tree_node_t *node, uint32_t *version)
{
    definition_reader_t *shared = reader->shared;
    text_t name;
    text_t shown = mistake_shown (node->text);
    if (!version_reference (node->text, &name, version)) {
        tree_mistake (reader->mistakes, node,
                      "'" TEXT_FORMAT "': a version of a view is written spend@v2",
                      TEXT_ARGS (shown));
        return NULL;
    }
    const view_t *view = definitions_view_version (shared->out, name, *version);
    const view_t *newest = definitions_view_version (shared->out, name, 0);
    if (view == NULL && newest != NULL && knows_versions (reader)) {
        tell_versions (reader, node, name, *version);
        return NULL;
    }
    if (view == NULL)
        view = newest; /* without the cluster's versions, any may be that one */
    if (view == NULL) {
        const char *nearest = definitions_nearest_view (shared->out, name);
        shown = mistake_shown (name);
        tree_mistake (reader->mistakes, node, "there is no view '" TEXT_FORMAT "'%s%s%s",
                      TEXT_ARGS (shown), nearest != NULL ? "; did you mean '" : "",
                      nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    }
    return view != NULL && shared->view_good[view - shared->out->views] ? view : NULL;
}

/* ---- the key ---- */

static const char *other_type (const field_t *a, const field_t *b)
{
    if (a->type != b->type)
        return type_word (a->type);
    if (a->type == TYPE_TIMESTAMP && a->unit != b->unit)
        return "a timestamp of another unit";
    if (a->type == TYPE_TIMESTAMP &&
        strcmp (a->zone_name != NULL ? a->zone_name : "", b->zone_name != NULL ? b->zone_name : ""))
        return "a timestamp of another zone";
    return NULL;
}

/* The service's field of that name and the type of `field`; -1 with a mistake. */
static int take_key_field (roles_reader_t *reader, const tree_node_t *node, text_t name,
                           const field_t *field)
{
    service_t *service = reader->service;
    int at = service_key_field (service, name);
    if (at >= 0) {
        const field_t *there = &service->keys[at];
        const char *other = other_type (field, there);
        if (other == NULL)
            return at;
        tree_mistake (reader->mistakes, node,
                      "'%s' is %s here and %s for a role before; give one of them another name, as "
                      "in key: {%s: other_%s}",
                      there->name, other, type_word (there->type), field->name, field->name);
        return -1;
    }
    if (service->keys_count == SERVICE_KEYS_MAX) {
        tree_mistake (reader->mistakes, node, "the key has too many fields (at most %d)",
                      SERVICE_KEYS_MAX);
        return -1;
    }
    field_t *kept = &service->keys[service->keys_count];
    *kept = *field;
    kept->name = kept->column = kept->origin = arena_string (reader->shared->out->arena, name);
    kept->aliases_count = 0;
    return (int)service->keys_count++;
}

static bool is_key_field (const view_t *view, text_t name)
{
    for (size_t k = 0; k < view->key_count; k++) {
        if (text_is (name, view_key_field (view, k)->name))
            return true;
    }
    return false;
}

static void tell_key (roles_reader_t *reader, const tree_node_t *key, const view_t *view)
{
    text_t shown = mistake_shown (key->text);
    buf_t names;
    buf_init (&names, KEY_FIELDS_MAX * (NAME_MAX_SIZE + 2) + 1);
    for (size_t k = 0; k < view->key_count; k++)
        buf_printf (&names, "%s%s", k > 0 ? ", " : "", view_key_field (view, k)->name);
    tree_mistake (reader->mistakes, key,
                  "'" TEXT_FORMAT "' is not a field of the key of '%s', which has %s",
                  TEXT_ARGS (shown), view->name,
                  view->key_count > 0 ? buf_string (&names) : "none: it is global");
    buf_release (&names);
}

/* Every entry names a field of the view's key, and how the request calls it. */
static bool check_entries (roles_reader_t *reader, const tree_node_t *node, const view_t *view)
{
    bool good = true;
    for (const tree_node_t *key = node->first; key != NULL; key = key->next) {
        if (!is_key_field (view, key->text))
            tell_key (reader, key, view);
        else if (tree_check_name (reader->mistakes, key->value, "the name of a field of the key"))
            continue;
        good = false;
    }
    return good;
}

/* `node` is NULL where all fields are called as in the view. */
static bool read_key (roles_reader_t *reader, const tree_node_t *node, const tree_node_t *place,
                      service_role_t *role)
{
    static const char what[] = "fields of the view's key, and how the request calls them";
    if (node != NULL && (!tree_check_map (reader->mistakes, node, what) ||
                         !check_entries (reader, node, role->view)))
        return false;
    for (size_t k = 0; k < role->view->key_count; k++) {
        const field_t *field = view_key_field (role->view, k);
        const tree_node_t *named = node != NULL ? tree_get (node, field->name) : NULL;
        text_t name = named != NULL ? named->text : text_of (field->name);
        int at = take_key_field (reader, named != NULL ? named : place, name, field);
        if (at < 0)
            return false;
        role->key[k] = (uint32_t)at;
    }
    return true;
}

/* ---- roles ---- */

/* A role of that name; `reference` names its view, `key` is NULL where it is not given. */
static bool add_role (roles_reader_t *reader, const tree_node_t *place, text_t name,
                      const tree_node_t *reference, const tree_node_t *key)
{
    service_t *service = reader->service;
    service_role_t role = { .name = arena_string (reader->shared->out->arena, name) };
    if (service_role (service, name) >= 0) {
        tree_mistake (reader->mistakes, place,
                      "there are two roles '%s'; give them names, as in sender: {view: %s, key: …}",
                      role.name, role.name);
        return false;
    }
    if (service->roles_count == ROLES_MAX) {
        tree_mistake (reader->mistakes, place, "a service has too many roles (at most %d)",
                      ROLES_MAX);
        return false;
    }
    role.view = find_view (reader, reference, &role.version);
    if (role.view == NULL || !read_key (reader, key, place, &role))
        return false;
    service->roles[service->roles_count++] = role;
    return true;
}

/* `sender: {view: spend, key: {…}}`, `sender: spend`, or `spend:` */
static bool read_role (roles_reader_t *reader, const tree_node_t *key)
{
    static const char *const known[] = { "view", "key", NULL };
    static const tree_keys_t keys = { "a role", known, NULL };
    const tree_node_t *body = key->value;
    if (!tree_check_name (reader->mistakes, key, "the name of a role"))
        return false;
    if (body->kind != TREE_MAP) {
        const tree_node_t *view = tree_is_empty (body) ? key : body;
        return tree_check_text (reader->mistakes, view, "a view's name, or {view: NAME, key: …}") &&
               add_role (reader, key, key->text, view, NULL);
    }
    size_t before = reader->mistakes->total;
    const tree_node_t *view = tree_get (body, "view");
    if (!tree_check_keys (reader->mistakes, body, &keys) || reader->mistakes->total > before)
        return false;
    return tree_check_text (reader->mistakes, view != NULL ? view : key, "a view's name") &&
           add_role (reader, key, key->text, view != NULL ? view : key, tree_get (body, "key"));
}

/* Views whose roles have their names. */
static bool read_list (roles_reader_t *reader, const tree_node_t *node)
{
    const tree_node_t *names[ROLES_MAX];
    size_t count;
    bool good = tree_check_texts (reader->mistakes, node,
                                  "views, or roles by name, as in sender: {view: spend, key: …}",
                                  names, ROLES_MAX, &count);
    for (size_t i = 0; good && i < count; i++) {
        text_t name;
        uint32_t version;
        (void)version_reference (names[i]->text, &name, &version); /* told by find_view */
        good = add_role (reader, names[i], name, names[i], NULL);
    }
    return good;
}

bool service_read_roles (definition_reader_t *shared, const tree_node_t *body, service_t *service)
{
    roles_reader_t reader = { .shared = shared, .mistakes = &shared->mistakes, .service = service };
    const tree_node_t *node = tree_get (body, "views");
    bool good = true;
    service->roles = arena_zero (shared->out->arena, ROLES_MAX, sizeof *service->roles);
    service->keys = arena_zero (shared->out->arena, SERVICE_KEYS_MAX, sizeof *service->keys);
    if (node == NULL) {
        tree_mistake (&shared->mistakes, body,
                      "the service '%s' needs `views`: those that it reads, by role",
                      service->name);
        return false;
    }
    if (node->kind != TREE_MAP) {
        good = read_list (&reader, node);
    } else {
        for (const tree_node_t *key = node->first; key != NULL; key = key->next)
            good = read_role (&reader, key) && good;
    }
    if (good && service->roles_count == 0)
        tree_mistake (&shared->mistakes, node, "the service '%s' reads no view", service->name);
    if (!good)
        shared->mistakes.unserved++;
    return good && service->roles_count > 0;
}
