#include "feature/view_scope.h"

#include "base/check.h"

type_t scope_note_refuse (scope_note_t *note, text_t name)
{
    size_t size = name.size < sizeof note->name ? name.size : sizeof note->name - 1;
    *note = (scope_note_t){ 0 };
    memcpy (note->name, name.data, size); /* names are not empty */
    return TYPE_NONE;
}

static type_t refuse (const view_scope_t *self, text_t name, type_t collection, bool is_mistaken)
{
    (void)scope_note_refuse (self->note, name);
    self->note->collection = collection;
    self->note->is_mistaken = is_mistaken;
    return TYPE_NONE;
}

static type_t lookup (const void *arg, text_t name, uint32_t *column)
{
    const view_scope_t *self = arg;
    const view_t *view = self->view;
    size_t at = 0;
    while (at < self->scope.names_count && !text_is (name, self->names[at]))
        at++;
    *column = (uint32_t)at;
    if (at == self->scope.names_count)
        return refuse (self, name, TYPE_NONE, false);
    if (at < view->features_count) {
        type_t type = view->features[at].type.type;
        bool is_collection = type == TYPE_LIST || type == TYPE_MAP;
        return is_collection ? refuse (self, name, type, false) : type;
    }
    at -= view->features_count;
    if (at < view->derived_count) {
        bool is_mistaken = self->mistaken != NULL && self->mistaken[at];
        return is_mistaken ? refuse (self, name, TYPE_NONE, true) : view->derived[at].type;
    }
    at -= view->derived_count;
    return at < view->request_count ? view->request[at].type : TYPE_TIMESTAMP;
}

void view_scope_init (view_scope_t *self, const view_t *view, const bool *mistaken,
                      scope_note_t *note)
{
    size_t count = 0;
    *self = (view_scope_t){ .view = view, .mistaken = mistaken, .note = note };
    CHECK (view->features_count + view->derived_count <= FEATURES_MAX);
    CHECK (view->request_count <= REQUEST_FIELDS_MAX);
    for (size_t i = 0; i < view->features_count; i++)
        self->names[count++] = view->features[i].name;
    for (size_t i = 0; i < view->derived_count; i++)
        self->names[count++] = view->derived[i].name;
    for (size_t i = 0; i < view->request_count; i++)
        self->names[count++] = view->request[i].name;
    self->names[count++] = "now";
    self->scope =
        (expr_scope_t){ .lookup = lookup, .arg = self, .names = self->names, .names_count = count };
}
