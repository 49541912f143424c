#include "coordinator/changes.h"
#include "feature/definition_format.h"

#include <string.h>

/* The versions that the service stands on from now on. */
static void resolve (service_t *service)
{
    for (size_t i = 0; i < service->roles_count; i++)
        if (service->roles[i].version == 0)
            service->roles[i].version = service->roles[i].view->version;
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
        int at = service_role (present, text_of (role->name));
        if (at < 0)
            continue;
        const service_role_t *before = &present->roles[at];
        if (strcmp (before->view->name, role->view->name) == 0 &&
            before->view->version != role->version)
            buf_printf (detail, "%s%s reads %s v%" PRIu32 " instead of v%" PRIu32,
                        detail->size ? ", " : "", role->name, role->view->name, role->version,
                        before->view->version);
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

static void tell_service (const service_t *present, const service_t *next, bool other,
                          buf_t *detail)
{
    put_missing (next, present, '+', detail);
    put_missing (present, next, '-', detail);
    put_versions (present, next, detail);
    put_unfitted (present, next, detail);
    if (detail->size == 0 && !detail->bad)
        buf_put_string (detail,
                        other ? "what it answers changes" : "what it answers stays the same");
}

/* Has the active version all of its numbers, and this one not? Then it is not followed yet. */
static bool waits_for_fit (const coordinator_core_t *self, const service_t *next)
{
    const catalog_object_t *active =
        versions_active (self->objects, self->objects_count, "service", next->name);
    return active && service_unfitted (next) > 0 && version_unfitted (self, active) == 0;
}

/* It is complete when all versions of views that it reads are. */
static version_state_t state_of (const coordinator_core_t *self, const service_t *service)
{
    for (size_t i = 0; i < service->roles_count; i++)
        if (service->roles[i].view->state == VERSION_BUILDING)
            return VERSION_BUILDING;
    return waits_for_fit (self, service) ? VERSION_LIVE : VERSION_ACTIVE;
}

/* What the version before is served for, if it goes on being the active one. */
static void put_served (const coordinator_core_t *self, const catalog_object_t *object,
                        const service_t *next, buf_t *detail)
{
    bool builds = next->state == VERSION_BUILDING, waits = waits_for_fit (self, next);
    if (!builds && !waits)
        return;
    versions_put_served (self, object, detail);
    buf_printf (detail, "%s%s%s", builds ? "all of history is in it" : "",
                builds && waits ? " and " : "", waits ? "it is fitted" : "");
}

static size_t count_others (const definitions_t *definitions, const service_t *of)
{
    size_t count = 0;
    for (size_t i = 0; i < definitions->services_count; i++)
        count += &definitions->services[i] != of &&
                 strcmp (definitions->services[i].name, of->name) == 0;
    return count;
}

/* It answers something else than the newest so far, `object`, which goes on beside it. */
static status_t number_new (coordinator_core_t *self, const definitions_t *definitions,
                            const catalog_object_t *object, service_t *next, buf_t *detail,
                            changes_t *changes, error_t *error)
{
    next->version = versions_next (self, "service", next->name);
    next->state = state_of (self, next);
    buf_printf (detail, "; version %" PRIu32 " follows %" PRIu32, next->version, object->version);
    put_served (self, object, next, detail);
    if (*changes_fate (self, changes, object) == FATE_COMPARED)
        changes_set_fate (self, changes, object, FATE_STAYS);
    size_t others = count_others (definitions, next);
    return others < SERVICE_VERSIONS_MAX
               ? STATUS_OK
               : error_set (error, STATUS_TOO_LARGE,
                            "service %s: it has %zu versions that are served, and can have %d; "
                            "retire one that no model needs, as in `weir retire %s@v1`",
                            next->name, others, SERVICE_VERSIONS_MAX, next->name);
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

static status_t next_service (coordinator_core_t *self, const definitions_t *definitions,
                              service_t *next, const char *text, changes_t *changes, error_t *error)
{
    const catalog_object_t *object = versions_newest (self, "service", next->name);
    uint64_t meaning = service_meaning (next);
    if (!object) {
        next->version = versions_next (self, "service", next->name);
        next->state = state_of (self, next);
        add_service (next, changes);
        changes_add_version (changes, "service", next->name, next->version, next->state, meaning,
                             text);
        return STATUS_OK;
    }
    next->version = object->version;
    next->state = object_state (object);
    if (strcmp (object->text, text) == 0) {
        changes_note_same (self, changes, object);
        changes_keep_version (changes, object, meaning, text);
        return STATUS_OK;
    }
    bool other = object->meaning != meaning;
    status_t status = STATUS_OK;
    buf_t detail;
    buf_init (&detail, 1 << 19);
    tell_service (
        definitions_service_version (self->definitions, text_of (next->name), object->version),
        next, other, &detail);
    if (other) {
        status = number_new (self, definitions, object, next, &detail, changes, error);
        changes_add_version (changes, "service", next->name, next->version, next->state, meaning,
                             text);
    } else {
        changes_keep_version (changes, object, meaning, text);
    }
    changes_note_altered (changes, "service", next->name, changes_text (changes, &detail),
                          object->text, text);
    return status;
}

/* Those of the newest version, and what that lacks of the active one. */
static status_t take_numbers (const coordinator_core_t *self, service_t *service, arena_t *arena,
                              error_t *error)
{
    text_t name = text_of (service->name);
    const service_t *newest = definitions_service_version (self->definitions, name, 0);
    const service_t *active = definitions_service (self->definitions, name);
    status_t status = STATUS_OK;
    if (newest && service_unfitted (service) > 0)
        status = service_take_fitted (service, newest, arena, error);
    if (status == STATUS_OK && active != newest && service_unfitted (service) > 0)
        status = service_take_fitted (service, active, arena, error);
    return status;
}

status_t changes_services (coordinator_core_t *self, const definitions_t *next, changes_t *changes,
                           error_t *error)
{
    for (size_t i = 0; i < next->services_count; i++) {
        service_t *service = &next->services[i];
        if (service->version != 0)
            continue;
        resolve (service);
        status_t taken = take_numbers (self, service, changes->arena, error);
        if (taken != STATUS_OK)
            return taken;
        buf_t text;
        buf_init (&text, DEFINITION_FILE_MAX);
        service_format (service, &text); /* with the versions */
        if (text.bad) {
            buf_release (&text);
            return error_set (error, STATUS_TOO_LARGE, "service %s: its definition is over %d KiB",
                              service->name, DEFINITION_FILE_MAX >> 10);
        }
        status_t status =
            next_service (self, next, service, changes_text (changes, &text), changes, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}
