/* service_read.c - a service: its request, its derived features, and what it answers. */
#include "feature/definition_format.h"
#include "feature/definition_read.h"
#include "feature/service_scope.h"

#include "base/check.h"

#include <stdio.h>

typedef struct service_reader {
    definition_reader_t *shared;
    mistakes_t *mistakes;
    service_t *service;
    derived_home_t *home; /* while derived features are read */
    service_scope_t scope;
    scope_note_t note;
} service_reader_t;

static void read_as_of (service_reader_t *reader, const tree_node_t *node)
{
    static const char *const words[] = { "at", "before" };
    if (!tree_check_text (reader->mistakes, node, "at or before"))
        return;
    text_t shown = mistake_shown (node->text);
    char nearest[SUGGESTION_MAX];
    reader->service->before = text_is (node->text, "before");
    if (!reader->service->before && !text_is (node->text, "at"))
        tree_mistake (reader->mistakes, node,
                      "`as_of` is at or before: do events at exactly that time count? Not "
                      "'" TEXT_FORMAT "'%s",
                      TEXT_ARGS (shown), suggestion (node->text, words, 2, nearest));
}

/* ---- request ---- */

static const char *is_key_field (const void *arg, text_t name)
{
    const service_t *service = arg;
    return service_key_field (service, name) >= 0
               ? "a field of the key, which expressions may read,"
               : NULL;
}

/* What of the request is handed on to the role's view. */
static void hand_on (service_reader_t *reader, const tree_node_t *node, service_role_t *role)
{
    const service_t *service = reader->service;
    const view_t *view = role->view;
    int32_t *request =
        arena_zero (reader->shared->out->arena, view->request_count, sizeof *request);
    for (size_t i = 0; i < view->request_count; i++) {
        const field_t *wanted = &view->request[i];
        int key = service_key_field (service, text_of (wanted->name));
        int value = service_request_field (service, text_of (wanted->name));
        const field_t *given = key >= 0     ? &service->keys[key]
                               : value >= 0 ? &service->request[value]
                                            : NULL;
        request[i] = key >= 0 ? key : value >= 0 ? (int)service->keys_count + value : -1;
        if (given == NULL || given->type == wanted->type)
            continue;
        tree_mistake (reader->mistakes, node,
                      "'%s' is %s here, and the view '%s', which takes a value of that name of a "
                      "request as well, takes %s",
                      given->name, type_word (given->type), view->name, type_word (wanted->type));
    }
    role->request = request;
}

/* ---- names of features ---- */

/* Why the view has no such feature. */
static void tell_missing (const view_t *view, text_t name, buf_t *out)
{
    const char *names[FEATURES_MAX];
    char word[NAME_MAX_SIZE + 1];
    char nearest[SUGGESTION_MAX];
    text_t shown = mistake_shown (name);
    size_t count = view->features_count + view->derived_count;
    buf_t windows;
    buf_init (&windows, MISTAKE_TEXT_MAX / 4);
    for (size_t i = 0; i < count; i++)
        names[i] = view_feature_name (view, i);
    (void)snprintf (word, sizeof word, TEXT_FORMAT, TEXT_ARGS (name));
    buf_printf (out, "the view '%s' has no feature '" TEXT_FORMAT "'", view->name,
                TEXT_ARGS (shown));
    if (view_put_windows (view, word, &windows))
        buf_printf (out, " without a window, but %s",
                    windows.bad ? "with one" : buf_string (&windows));
    else
        buf_put_string (out, suggestion (name, names, count, nearest));
    buf_release (&windows);
}

static void tell_no_role (const service_t *service, text_t name, buf_t *out)
{
    const char *names[ROLES_MAX];
    char nearest[SUGGESTION_MAX];
    text_t shown = mistake_shown (name);
    for (size_t i = 0; i < service->roles_count; i++)
        names[i] = service->roles[i].name;
    buf_printf (out, "there is no role '" TEXT_FORMAT "'%s", TEXT_ARGS (shown),
                suggestion (name, names, service->roles_count, nearest));
}

/* What a name may have been meant for that is none here: a role, or a feature of one. `mark` stands
 * between the two. */
static bool tell_role (const service_t *service, text_t name, char mark, buf_t *out)
{
    int role = service_role (service, name);
    if (role >= 0) {
        const service_role_t *of = &service->roles[role];
        buf_printf (out, "'%s' is a role; name one of its features, as in %s%c%s", of->name,
                    of->name, mark, view_feature_name (of->view, 0));
        return true;
    }
    for (size_t i = 0; i < service->roles_count; i++) {
        const service_role_t *of = &service->roles[i];
        int feature = view_feature (of->view, name);
        if (feature < 0)
            continue;
        const char *word = view_feature_name (of->view, (size_t)feature);
        buf_printf (out, "'%s' is a feature of the role '%s': write %s%c%s", word, of->name,
                    of->name, mark, word);
        return true;
    }
    return false;
}

/* ---- derived ---- */

static bool is_free (void *arg, const tree_node_t *key)
{
    const service_reader_t *reader = arg;
    const service_t *service = reader->service;
    bool is_key = service_key_field (service, key->text) >= 0;
    bool is_request = service_request_field (service, key->text) >= 0;
    if (is_key || is_request)
        tree_mistake (reader->mistakes, key,
                      "'" TEXT_FORMAT "' is a %s as well; rename one of them",
                      TEXT_ARGS (key->text), is_key ? "field of the key" : "value of the request");
    return !is_key && !is_request;
}

static const expr_scope_t *make_scope (void *arg, const bool *mistaken)
{
    service_reader_t *reader = arg;
    reader->service->derived = reader->home->derived;
    reader->service->derived_count = reader->home->count;
    service_scope_init_reading (&reader->scope, reader->service, reader->shared->out->arena,
                                mistaken, &reader->note);
    return &reader->scope.scope;
}

static void explain (void *arg, error_t *error)
{
    service_reader_t *reader = arg;
    const service_t *service = reader->service;
    const scope_note_t *note = &reader->note;
    text_t name = text_of (note->name);
    const char *dot = strchr (note->name, '.');
    text_t role = { note->name, dot != NULL ? (uint32_t)(dot - note->name) : name.size };
    int at = dot != NULL ? service_role (service, role) : -1;
    char nearest[SUGGESTION_MAX];
    buf_t told;
    buf_init (&told, MISTAKE_TEXT_MAX);
    if (note->is_over)
        buf_printf (&told, "the service '%s' reads too many features (at most %d)", service->name,
                    SERVICE_INPUTS_MAX);
    else if (note->collection != TYPE_NONE)
        buf_printf (&told, "'%s' is a %s, which expressions cannot take", note->name,
                    type_word (note->collection));
    else if (at >= 0)
        tell_missing (service->roles[at].view, text_of (dot + 1), &told);
    else if (dot != NULL)
        tell_no_role (service, role, &told);
    else if (!tell_role (service, name, '.', &told))
        buf_printf (
            &told, "unknown feature '%s'%s", note->name,
            suggestion (name, reader->scope.names, reader->scope.scope.names_count, nearest));
    error_set (error, STATUS_INVALID, "%s", buf_string (&told));
    buf_release (&told);
}

static void read_derived (service_reader_t *reader, const tree_node_t *node)
{
    service_t *service = reader->service;
    char what[NAME_MAX_SIZE + 16];
    (void)snprintf (what, sizeof what, "service '%s'", service->name);
    derived_home_t home = { .arg = reader,
                            .what = what,
                            .most = FEATURES_MAX,
                            .is_free = is_free,
                            .scope = make_scope,
                            .note = &reader->note,
                            .explain = explain };
    reader->home = &home;
    derived_read (reader->shared, node, &home);
    service->derived = home.derived;
    service->derived_count = home.count;
}

/* ---- features ---- */

/* "sender:spent_7d"; false with a mistake. */
static bool find_input (service_reader_t *reader, const tree_node_t *node, size_t colon,
                        service_feature_t *named)
{
    service_t *service = reader->service;
    text_t name = { node->text.data + colon + 1, node->text.size - (uint32_t)colon - 1 };
    text_t role_name = { node->text.data, (uint32_t)colon };
    int role = service_role (service, role_name);
    const view_t *view = role >= 0 ? service->roles[role].view : NULL;
    int feature = view != NULL ? view_feature (view, name) : -1;
    int input = -1;
    buf_t told;
    buf_init (&told, MISTAKE_TEXT_MAX);
    if (view == NULL)
        tell_no_role (service, role_name, &told);
    else if (feature < 0)
        tell_missing (view, name, &told);
    else if ((input = service_input (service, (uint32_t)role, (uint32_t)feature,
                                     reader->shared->out->arena)) < 0)
        buf_printf (&told, "the service '%s' reads too many features (at most %d)", service->name,
                    SERVICE_INPUTS_MAX);
    if (input < 0)
        mistakes_add (reader->mistakes, tree_place_in (node, view == NULL ? 0 : colon + 1),
                      STATUS_INVALID, "%s", buf_string (&told));
    else
        *named = (service_feature_t){ .name = service->inputs[input].name,
                                      .kind = OUTPUT_INPUT,
                                      .index = (uint32_t)input,
                                      .type = view_feature_type (view, (size_t)feature) };
    buf_release (&told);
    return input >= 0;
}

/* A name that is none of the service's. */
static void unknown_feature (service_reader_t *reader, const tree_node_t *node)
{
    const service_t *service = reader->service;
    const char *names[FEATURES_MAX + REQUEST_FIELDS_MAX];
    size_t count = 0;
    char nearest[SUGGESTION_MAX];
    text_t shown = mistake_shown (node->text);
    buf_t told;
    buf_init (&told, MISTAKE_TEXT_MAX);
    for (size_t i = 0; i < service->derived_count; i++)
        names[count++] = service->derived[i].name;
    for (size_t i = 0; i < service->request_count; i++)
        names[count++] = service->request[i].name;
    const char *dot = memchr (node->text.data, '.', node->text.size);
    text_t role = { node->text.data, dot != NULL ? (uint32_t)(dot - node->text.data) : 0 };
    if (dot != NULL && service_role (service, role) >= 0)
        buf_printf (
            &told, "in `features` this is written " TEXT_FORMAT ":" TEXT_FORMAT, TEXT_ARGS (role),
            TEXT_ARGS (
                ((text_t){ dot + 1, shown.size > role.size ? shown.size - role.size - 1 : 0 })));
    else if (service_key_field (service, node->text) >= 0)
        buf_printf (&told, "'" TEXT_FORMAT "' is a field of the key, which an answer says anyway",
                    TEXT_ARGS (shown));
    else if (!tell_role (service, node->text, ':', &told))
        buf_printf (&told, "unknown feature '" TEXT_FORMAT "'%s", TEXT_ARGS (shown),
                    suggestion (node->text, names, count, nearest));
    tree_mistake (reader->mistakes, node, "%s", buf_string (&told));
    buf_release (&told);
}

static bool find_feature (service_reader_t *reader, const tree_node_t *node,
                          service_feature_t *named)
{
    const service_t *service = reader->service;
    const char *colon = memchr (node->text.data, ':', node->text.size);
    if (colon != NULL)
        return find_input (reader, node, (size_t)(colon - node->text.data), named);
    for (size_t i = 0; i < service->derived_count; i++) {
        const derived_t *derived = &service->derived[i];
        if (!text_is (node->text, derived->name))
            continue;
        *named = (service_feature_t){ .name = derived->name,
                                      .kind = OUTPUT_DERIVED,
                                      .index = (uint32_t)i,
                                      .type = result_type_single (derived->type) };
        return true;
    }
    int request = service_request_field (service, node->text);
    if (request < 0) {
        unknown_feature (reader, node);
        return false;
    }
    *named = (service_feature_t){ .name = service->request[request].name,
                                  .kind = OUTPUT_REQUEST,
                                  .index = (uint32_t)request,
                                  .type = result_type_single (service->request[request].type) };
    return true;
}

static void read_default (service_reader_t *reader, const tree_node_t *item,
                          service_feature_t *named)
{
    const tree_node_t *node = tree_get (item, "default");
    bool is_collection = named->type.type == TYPE_LIST || named->type.type == TYPE_MAP;
    if (node == NULL)
        return;
    if (named->kind == OUTPUT_DERIVED)
        tree_mistake (reader->mistakes, node,
                      "'%s' is derived: give it its default where it is defined, under `derived`",
                      named->name);
    else if (is_collection)
        tree_mistake (reader->mistakes, node, "a %s has no default", type_word (named->type.type));
    else
        (void)default_entry_read (reader->shared, item, &named->type, &named->default_value,
                                  &named->default_text);
}

/* "role:feature", a name, or {feature: …, default: …} */
static void read_feature (service_reader_t *reader, const tree_node_t *item)
{
    static const char *const known[] = { "feature", "default", NULL };
    static const tree_keys_t keys = { "a feature of a service", known, NULL };
    service_t *service = reader->service;
    const tree_node_t *node = item;
    service_feature_t named;
    if (item->kind == TREE_MAP) {
        if (!tree_check_keys (reader->mistakes, item, &keys))
            return;
        node = tree_get (item, "feature");
        if (node == NULL)
            tree_mistake (reader->mistakes, item, "this needs `feature`: a feature's name");
    }
    if (node == NULL ||
        !tree_check_text (reader->mistakes, node, "a feature, as in sender:spent_7d") ||
        !find_feature (reader, node, &named))
        return;
    for (size_t i = 0; i < service->features_count; i++) {
        if (strcmp (service->features[i].name, named.name) != 0)
            continue;
        tree_mistake (reader->mistakes, node, "'%s' is listed twice", named.name);
        return;
    }
    if (item->kind == TREE_MAP)
        read_default (reader, item, &named);
    service->features[service->features_count++] = named;
}

static void read_features (service_reader_t *reader, const tree_node_t *body)
{
    service_t *service = reader->service;
    const tree_node_t *node = tree_get (body, "features");
    static const char what[] = "in their order, as in [\"sender:spent_7d\", ratio]";
    if (node == NULL || node->kind != TREE_LIST || node->count == 0) {
        tree_mistake (reader->mistakes, node != NULL ? node : body,
                      "the service '%s' needs `features`: a list of what it answers, %s",
                      service->name, what);
        return;
    }
    if (node->count > FEATURES_MAX) {
        tree_mistake (reader->mistakes, node, "the service '%s' has too many features (at most %d)",
                      service->name, FEATURES_MAX);
        return;
    }
    service->features =
        arena_zero (reader->shared->out->arena, node->count, sizeof *service->features);
    for (const tree_node_t *item = node->first; item != NULL; item = item->next)
        read_feature (reader, item);
}

/* ---- all of it ---- */

static void finish (service_reader_t *reader, const tree_node_t *key)
{
    service_t *service = reader->service;
    arena_t *arena = reader->shared->out->arena;
    service_input_t *kept = arena_zero (arena, service->inputs_count, sizeof *kept);
    if (service->inputs_count > 0)
        memcpy (kept, service->inputs, service->inputs_count * sizeof *kept);
    service->inputs = kept;
    error_t error;
    if (service_set_outputs (service, arena, &error) != STATUS_OK) {
        tree_mistake (reader->mistakes, key, "%s", error.text);
        return;
    }
    buf_t text;
    buf_init (&text, DEFINITION_FILE_MAX);
    service_format (service, &text);
    service->text = definition_text (reader->shared, key, &text);
}

/* What keeps the rest from being read; that something is not supported does not. */
static size_t wrong (const mistakes_t *mistakes)
{
    return mistakes->total - mistakes->unsupported;
}

bool service_read (definition_reader_t *shared, const tree_node_t *key, service_t *service)
{
    static const char *const known[] = { "views",      "as_of",       "request", "features",
                                         "derived",    "description", "owner",   "tags",
                                         "preprocess", "fitted",      NULL };
    static const tree_keys_t keys = { "a service", known, NULL };
    mistakes_t *mistakes = &shared->mistakes;
    size_t before = mistakes->total, wrong_before = wrong (mistakes);
    service_reader_t *reader = arena_zero (shared->scratch, 1, sizeof *reader);
    const tree_node_t *body = key->value;
    *reader = (service_reader_t){ .shared = shared, .mistakes = mistakes, .service = service };
    service->name = arena_string (shared->out->arena, key->text);
    service->version = 1;
    if (!tree_check_keys (mistakes, body, &keys))
        return false;
    about_read (shared, body, &service->about);
    const tree_node_t *node = tree_get (body, "as_of");
    if (node != NULL)
        read_as_of (reader, node);
    if (!service_read_roles (shared, body, service))
        return false;
    /* finish keeps as many as there are */
    service->inputs = arena_zero (shared->scratch, SERVICE_INPUTS_MAX, sizeof *service->inputs);
    node = tree_get (body, "request");
    request_read (shared, node, is_key_field, service, &service->request, &service->request_count);
    for (size_t i = 0; i < service->roles_count; i++)
        hand_on (reader, node != NULL ? node : body, &service->roles[i]);
    if (wrong (mistakes) == wrong_before)
        read_derived (reader, tree_get (body, "derived"));
    if (wrong (mistakes) == wrong_before)
        read_features (reader, body);
    else
        mistakes->unserved++; /* they would be blamed for what is not known */
    if (wrong (mistakes) == wrong_before)
        service_read_preprocess (shared, body, service);
    if (mistakes->total == before)
        finish (reader, key);
    return mistakes->total == before;
}
