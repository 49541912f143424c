#include "coordinator/changes.h"
#include "feature/definition_format.h"

#include <string.h>

/* The version of the view that the service has stood on so far; 0: none. */
static uint32_t version_so_far (const service_t *present, const char *view)
{
    for (size_t i = 0; present && i < present->roles_count; i++)
        if (strcmp (present->roles[i].view->name, view) == 0)
            return present->roles[i].version;
    return 0;
}

/* What changes in the view, as it is told. */
static const char *change_of_view (const changes_t *changes, const char *view)
{
    for (size_t i = 0; i < changes->count; i++)
        if (strcmp (changes->list[i].kind, "view") == 0 &&
            strcmp (changes->list[i].name, view) == 0 && changes->list[i].detail)
            return changes->list[i].detail;
    return "its definition changes";
}

/* A model that reads the service has been made for what the view is now. */
static status_t refuse_change (const changes_t *changes, const service_t *service,
                               const view_t *view, uint32_t before, error_t *error)
{
    return error_set (error, STATUS_INVALID,
                      "view %s: service %s needs it as it is, version %" PRIu32
                      ", and of it %s. Give a feature that is to mean something else another name; "
                      "or, if the service is to read the new version, name it there (view: "
                      "%s@v%" PRIu32 ")",
                      view->name, service->name, before, change_of_view (changes, view->name),
                      view->name, view->version);
}

/* The versions that the service stands on from now on. */
static status_t resolve (const service_t *present, const changes_t *changes, service_t *service,
                         error_t *error)
{
    for (size_t i = 0; i < service->roles_count; i++) {
        service_role_t *role = &service->roles[i];
        const view_t *view = role->view;
        uint32_t before = version_so_far (present, view->name);
        if (role->version == view->version)
            continue;
        if (before != 0 && before != view->version &&
            (role->version == 0 || role->version == before))
            return refuse_change (changes, service, view, before, error);
        if (role->version != 0)
            return error_set (error, STATUS_INVALID,
                              "service %s: view %s has version v%" PRIu32 ", not v%" PRIu32,
                              service->name, view->name, view->version, role->version);
        role->version = view->version;
    }
    return STATUS_OK;
}

static bool answers (const service_t *service, const char *name)
{
    for (size_t i = 0; i < service->outputs_count; i++)
        if (strcmp (service->outputs[i].name, name) == 0)
            return true;
    return false;
}

/* Tells the features that `a` answers and `b` does not. */
static void put_missing (const service_t *a, const service_t *b, char sign, buf_t *detail)
{
    for (size_t i = 0; i < a->outputs_count; i++)
        if (!answers (b, a->outputs[i].name))
            buf_printf (detail, "%s%c%s", detail->size ? ", " : "", sign, a->outputs[i].name);
}

static void put_versions (const service_t *present, const service_t *next, buf_t *detail)
{
    for (size_t i = 0; i < next->roles_count; i++) {
        const service_role_t *role = &next->roles[i];
        uint32_t before = version_so_far (present, role->view->name);
        if (before != 0 && before != role->version &&
            service_role (next, text_of (role->name)) >= 0)
            buf_printf (detail, "%s%s reads %s v%" PRIu32 " instead of v%" PRIu32,
                        detail->size ? ", " : "", role->name, role->view->name, role->version,
                        before);
    }
}

/* Tells of features that have no numbers yet, and of those that had some. */
static void put_unfitted (const service_t *present, const service_t *next, buf_t *detail)
{
    size_t count = service_unfitted (next);
    for (size_t i = 0; present && i < next->features_count; i++) {
        const service_feature_t *feature = &next->features[i];
        for (size_t k = 0; k < present->features_count; k++)
            if (strcmp (present->features[k].name, feature->name) == 0 &&
                preprocess_lacks_numbers (&feature->preprocess) &&
                preprocess_has_fitted (&present->features[k].preprocess))
                buf_printf (detail, "%s%s has to be fitted again", detail->size ? ", " : "",
                            feature->name);
    }
    if (count > 0)
        buf_printf (detail, "%s%zu %s without numbers: weir fit %s --on TRAINING_SET",
                    detail->size ? "; " : "", count, count == 1 ? "feature is" : "features are",
                    next->name);
}

static void alter_service (const service_t *present, const service_t *next, bool other,
                           changes_t *changes, uint32_t *version)
{
    buf_t detail;
    buf_init (&detail, 1 << 19);
    put_missing (next, present, '+', &detail);
    put_missing (present, next, '-', &detail);
    put_versions (present, next, &detail);
    put_unfitted (present, next, &detail);
    if (detail.size == 0 && !detail.bad)
        buf_put_string (&detail,
                        other ? "what it answers changes" : "what it answers stays the same");
    if (other) {
        buf_printf (&detail, "; version %" PRIu32 " follows %" PRIu32, *version + 1, *version);
        ++*version;
    }
    changes_note (changes, "service", next->name, "alter", changes_text (changes, &detail));
}

static void add_service (const service_t *next, changes_t *changes)
{
    buf_t detail;
    buf_init (&detail, 1 << 10);
    put_unfitted (NULL, next, &detail);
    bool any = detail.size > 0;
    const char *text = changes_text (changes, &detail);
    changes_note (changes, "service", next->name, "add", any ? text : NULL);
}

static void next_service (coordinator_core_t *self, const service_t *next, const char *text,
                          changes_t *changes)
{
    const catalog_object_t *object = changes_stored (self, "service", next->name);
    const service_t *present = definitions_service (self->definitions, text_of (next->name));
    uint64_t meaning = service_meaning (next);
    uint32_t version = object ? object->version : 1;
    if (!object)
        add_service (next, changes);
    else if (strcmp (object->text, text) == 0)
        changes_note (changes, "service", next->name, "same", NULL);
    else
        alter_service (present, next, object->meaning != meaning, changes, &version);
    changes_add (changes, (catalog_object_t){ .kind = "service",
                                              .name = next->name,
                                              .version = version,
                                              .meaning = meaning,
                                              .text = text });
}

status_t changes_services (coordinator_core_t *self, const definitions_t *next, changes_t *changes,
                           error_t *error)
{
    for (size_t i = 0; i < next->services_count; i++) {
        service_t *service = &next->services[i];
        const service_t *present = definitions_service (self->definitions, text_of (service->name));
        status_t status = resolve (present, changes, service, error);
        if (status == STATUS_OK && present && service_unfitted (service) > 0)
            status = service_take_fitted (service, present, changes->arena, error);
        if (status != STATUS_OK)
            return status;
        buf_t text;
        buf_init (&text, DEFINITION_FILE_MAX);
        service_format (service, &text); /* with the versions */
        if (text.bad) {
            buf_release (&text);
            return error_set (error, STATUS_TOO_LARGE, "service %s: its definition is over %d KiB",
                              service->name, DEFINITION_FILE_MAX >> 10);
        }
        next_service (self, service, changes_text (changes, &text), changes);
    }
    return STATUS_OK;
}
