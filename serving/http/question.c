#include "serving/http/question.h"

#include "base/mem.h"
#include "serving/http/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16 << 10, ENTITIES_MAX = 256, REFERENCE_MAX = 255 };

const form_field_t question_fields[] = {
#define X(name, type, required, about) { name, type, required, about },
    QUESTION_FIELDS (X)
#undef X
};
const size_t question_fields_count = sizeof question_fields / sizeof *question_fields;

/* ---- references ---- */

/* "view@v2" before the colon, and the feature after it. */
static bool split (const char *reference, text_t *view, text_t *feature, trouble_t *trouble)
{
    const char *colon = strchr (reference, ':');
    size_t size = strlen (reference);
    if (!colon || colon == reference || colon[1] == '\0' || size > 512)
        return trouble_form (trouble, "\"features\"",
                             "'%.128s' is not of the form view:feature, as in user_spend:spend_7d",
                             reference);
    *view = (text_t){ reference, (uint32_t)(colon - reference) };
    *feature = text_of (colon + 1);
    return true;
}

static text_t without_version (text_t view)
{
    const char *at = memchr (view.data, '@', view.size);
    return at ? (text_t){ view.data, (uint32_t)(at - view.data) } : view;
}

/* What is meant by "view" or "view@v2"; NULL, with the reason. `kind` is the trouble when there is
 * none of that name. */
static const void *find (text_t reference, const model_t *model, bool service, trouble_kind_t kind,
                         const char *what, trouble_t *trouble)
{
    text_t name;
    uint32_t version;
    const view_t *view;
    const service_t *found;
    error_t error;
    bool good = version_reference (reference, &name, &version);
    text_t bare = without_version (reference);
    bool there = service ? definitions_service (model->definitions, bare) != NULL
                         : definitions_view (model->definitions, bare) != NULL;
    if (!there) {
        trouble_set (trouble, kind, "%s " TEXT_FORMAT " does not exist", what, TEXT_ARGS (bare));
        return NULL;
    }
    if (!good) {
        trouble_set (trouble, TROUBLE_VERSION, "'" TEXT_FORMAT "': a version is written @v2",
                     TEXT_ARGS (reference));
        return NULL;
    }
    status_t status = definitions_find (model->definitions, name, version, &view, &found, &error);
    if (status != STATUS_OK) {
        trouble_set (trouble, TROUBLE_VERSION, "%s", error.text);
        return NULL;
    }
    return service ? (const void *)found : view;
}

/* ---- columns of a view ---- */

static size_t column_of (const columns_t *columns, const char *name)
{
    size_t at = 0;
    while (at < columns->count && strcmp (columns->names[at], name) != 0)
        at++;
    return at;
}

static void take_rows (const question_t *self, size_t column, weir_value_t *to, size_t width)
{
    for (size_t row = 0; row < self->rows; row++)
        to[row * width] = self->entities.cells[column][row];
}

/* `names` are the fields of the key of what is asked. */
static bool take_key (question_t *self, const char **names, size_t count, const char *called,
                      question_view_t *to, trouble_t *trouble)
{
    to->key_count = count;
    to->key_fields = names;
    to->keys = arena_zero (self->arena, self->rows * count, sizeof *to->keys);
    for (size_t i = 0; i < count; i++) {
        size_t column = column_of (&self->entities, names[i]);
        if (column == self->entities.count) {
            char place[128];
            trouble_place (place, sizeof place, "entities", names[i]);
            return trouble_form (trouble, place, "Field required: the key of %s", called);
        }
        take_rows (self, column, to->keys + i, count);
    }
    return true;
}

/* Those that are given: the others are null, as in any get. */
static void take_request (question_t *self, const field_t *fields, size_t count,
                          question_view_t *to)
{
    size_t *columns = arena_zero (self->arena, count, sizeof *columns);
    to->request_fields = arena_zero (self->arena, count, sizeof *to->request_fields);
    for (size_t i = 0; i < count; i++) {
        size_t column = column_of (&self->entities, fields[i].name);
        if (column == self->entities.count)
            continue;
        columns[to->request_count] = column;
        to->request_fields[to->request_count++] = self->entities.names[column];
    }
    to->request = arena_zero (self->arena, self->rows * to->request_count, sizeof *to->request);
    for (size_t i = 0; i < to->request_count; i++)
        take_rows (self, columns[i], to->request + i, to->request_count);
}

static const char *copy (question_t *self, const char *name)
{
    return arena_string (self->arena, text_of (name));
}

/* ---- views ---- */

/* The place of the view of that reference, which is added when it is new. */
static bool find_view (question_t *self, text_t reference, const model_t *model, uint32_t *at,
                       trouble_t *trouble)
{
    for (*at = 0; *at < self->views_count; ++*at)
        if (text_is (reference, self->views[*at].reference))
            return true;
    const view_t *view = find (reference, model, false, TROUBLE_VIEW, "Feature view", trouble);
    if (!view)
        return false;
    if (self->views_count == HTTP_REQUEST_VIEWS_MAX)
        return trouble_form (trouble, "\"features\"", "there are over %d views in one request",
                             HTTP_REQUEST_VIEWS_MAX);
    question_view_t *added = &self->views[self->views_count++];
    added->reference = arena_string (self->arena, reference);
    added->version = view->version;
    added->features = arena_zero (self->arena, FEATURES_MAX, sizeof *added->features);
    const char **names = arena_zero (self->arena, view->key_count, sizeof *names);
    for (size_t i = 0; i < view->key_count; i++)
        names[i] = copy (self, view->stream->fields[view->key[i]].name);
    added->plan = model_plan (model, text_of (view->name), view->version);
    if (!take_key (self, names, view->key_count, view->name, added, trouble))
        return false;
    take_request (self, view->request, view->request_count, added);
    return true;
}

static bool take_feature (question_t *self, const char *reference, bool full, const model_t *model,
                          trouble_t *trouble)
{
    text_t view, name;
    uint32_t at;
    if (!split (reference, &view, &name, trouble) || !find_view (self, view, model, &at, trouble))
        return false;
    question_view_t *from = &self->views[at];
    if (plan_feature_index (from->plan, name) < 0)
        return trouble_set (trouble, TROUBLE_FEATURE,
                            "Feature " TEXT_FORMAT " does not exist in feature view %s",
                            TEXT_ARGS (name), from->reference);
    /* the same feature twice has the same name twice, which is refused later */
    if (from->features_count == FEATURES_MAX)
        return trouble_set (trouble, TROUBLE_COLLISION, "features of %s are asked for twice",
                            from->reference);
    question_feature_t *added = &self->features[self->features_count++];
    added->view = at;
    added->feature = (uint32_t)from->features_count;
    from->features[from->features_count++] = arena_string (self->arena, name);
    size_t size = (size_t)view.size + name.size + 3;
    char *called = arena_alloc (self->arena, size);
    if (full)
        snprintf (called, size, TEXT_FORMAT "__" TEXT_FORMAT, TEXT_ARGS (view), TEXT_ARGS (name));
    else
        snprintf (called, size, TEXT_FORMAT, TEXT_ARGS (name));
    added->name = called;
    return true;
}

static int by_name (const void *a, const void *b)
{
    return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static bool check_names (const question_t *self, bool full, trouble_t *trouble)
{
    size_t count = self->features_count;
    const char **names = arena_zero (self->arena, count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = self->features[i].name;
    qsort (names, count, sizeof *names, by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp (names[i - 1], names[i]) == 0)
            return trouble_set (trouble, TROUBLE_COLLISION, "Duplicate features named %s found. %s",
                                names[i],
                                full ? "It is asked for twice"
                                     : "Use the full feature name by setting "
                                       "'full_feature_names=True'");
    return true;
}

/* A service may answer a value of its request, under its name. */
static void find_repeated (question_t *self)
{
    self->repeated = arena_zero (self->arena, self->entities.count, sizeof *self->repeated);
    for (size_t i = 0; i < self->features_count; i++) {
        size_t column = column_of (&self->entities, self->features[i].name);
        if (column < self->entities.count)
            self->repeated[column] = true;
    }
}

/* ---- a service ---- */

/* "sender:spent_7d" of a service is spent_7d, or sender__spent_7d. */
static const char *name_of_output (question_t *self, const char *output, bool full)
{
    const char *colon = strpbrk (output, ":="); /* a category may have one as well */
    if (!colon || *colon == '=')
        return copy (self, output);
    if (!full)
        return copy (self, colon + 1);
    size_t size = strlen (output) + 2;
    char *name = arena_alloc (self->arena, size);
    snprintf (name, size, "%.*s__%s", (int)(colon - output), output, colon + 1);
    return name;
}

/* All that it answers, in its order. */
static bool take_service (question_t *self, const char *reference, bool full, const model_t *model,
                          trouble_t *trouble)
{
    if (strlen (reference) > REFERENCE_MAX)
        return trouble_set (trouble, TROUBLE_SERVICE, "Feature service %.255s does not exist",
                            reference);
    const service_t *service =
        find (text_of (reference), model, true, TROUBLE_SERVICE, "Feature service", trouble);
    if (!service)
        return false;
    question_view_t *view = self->views = arena_zero (self->arena, 1, sizeof *view);
    self->views_count = 1;
    view->reference = copy (self, reference);
    view->version = service->version;
    view->features_count = self->features_count = service->outputs_count;
    view->features = arena_zero (self->arena, service->outputs_count, sizeof *view->features);
    self->features = arena_zero (self->arena, service->outputs_count, sizeof *self->features);
    for (uint32_t i = 0; i < service->outputs_count; i++) {
        view->features[i] = copy (self, service->outputs[i].name);
        self->features[i] =
            (question_feature_t){ name_of_output (self, service->outputs[i].name, full), 0, i };
    }
    const char **names = arena_zero (self->arena, service->keys_count, sizeof *names);
    for (size_t i = 0; i < service->keys_count; i++)
        names[i] = copy (self, service->keys[i].name);
    if (!take_key (self, names, service->keys_count, service->name, view, trouble))
        return false;
    take_request (self, service->request, service->request_count, view);
    return true;
}

/* ---- all of it ---- */

static bool take_features (question_t *self, const json_t *form, const model_t *model,
                           trouble_t *trouble)
{
    const json_t *list = form_get (form, "features");
    const char *service = form_text (form, "feature_service");
    bool full = form_bool (form, "full_feature_names", false);
    size_t count = json_array_size (list);
    if (service)
        return take_service (self, service, full, model, trouble) &&
               check_names (self, full, trouble);
    if (count == 0 || count > HTTP_REQUEST_FEATURES_MAX)
        return trouble_form (trouble, "\"features\"",
                             "expected 1 to %d features, as in user_spend:spend_7d",
                             HTTP_REQUEST_FEATURES_MAX);
    self->views = arena_zero (self->arena, HTTP_REQUEST_VIEWS_MAX, sizeof *self->views);
    self->features = arena_zero (self->arena, count, sizeof *self->features);
    for (size_t i = 0; i < count; i++)
        if (!take_feature (self, json_string_value (json_array_get (list, i)), full, model,
                           trouble))
            return false;
    return check_names (self, full, trouble);
}

question_t *question_read (text_t body, const model_t *model, trouble_t *trouble)
{
    json_t *form = form_read (body, question_fields, question_fields_count, trouble);
    if (!form)
        return NULL;
    arena_t *arena = arena_new (CHUNK);
    question_t *self = arena_zero (arena, 1, sizeof *self);
    self->arena = arena;
    self->with_versions = form_bool (form, "include_feature_view_version_metadata", false);
    bool good = form_columns (form, "entities", ENTITIES_MAX, HTTP_REQUEST_ROWS_MAX, arena,
                              &self->entities, trouble);
    /* views without a key have one entity, which nothing needs to name */
    self->rows = self->entities.count > 0 ? self->entities.rows : 1;
    good = good && take_features (self, form, model, trouble);
    json_decref (form);
    if (good)
        find_repeated (self);
    else
        question_destroy (&self);
    return self;
}

void question_destroy (question_t **self_p)
{
    question_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    arena_t *arena = self->arena; /* holds the question itself */
    arena_destroy (&arena);
}
