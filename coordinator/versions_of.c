/* What the catalog has of versions, and how far they are built. */
#include "coordinator/versions.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool object_is_version (const catalog_object_t *object)
{
    return strcmp (object->kind, "view") == 0 || strcmp (object->kind, "service") == 0;
}

version_state_t object_state (const catalog_object_t *object)
{
    return version_state_of (text_of (object->state ? object->state : ""));
}

bool object_is_retired (const catalog_object_t *object)
{
    return object_is_version (object) && object_state (object) == VERSION_RETIRED;
}

static bool is_named (const catalog_object_t *object, const char *kind, const char *name)
{
    return strcmp (object->kind, kind) == 0 && strcmp (object->name, name) == 0;
}

const catalog_object_t *versions_newest (const coordinator_core_t *self, const char *kind,
                                         const char *name)
{
    const catalog_object_t *newest = NULL;
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (is_named (object, kind, name) && !object_is_retired (object) &&
            (!newest || object->version > newest->version))
            newest = object;
    }
    return newest;
}

const catalog_object_t *versions_find (const coordinator_core_t *self, text_t name,
                                       uint32_t version)
{
    const catalog_object_t *found = NULL;
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (!object_is_version (object) || object->version != version ||
            !text_is (name, object->name))
            continue;
        /* a view and a service may have had the name one after the other */
        if (!found || object_is_retired (found))
            found = object;
    }
    return found;
}

uint32_t versions_next (const coordinator_core_t *self, const char *kind, const char *name)
{
    uint32_t last = 0;
    for (size_t i = 0; i < self->objects_count; i++)
        if (is_named (&self->objects[i], kind, name) && self->objects[i].version > last)
            last = self->objects[i].version;
    return last + 1;
}

const catalog_object_t *versions_active (const catalog_object_t *objects, size_t count,
                                         const char *kind, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (is_named (&objects[i], kind, name) && object_state (&objects[i]) == VERSION_ACTIVE)
            return &objects[i];
    return NULL;
}

/* ---- numbers that are to be fitted ---- */

void versions_put_served (const coordinator_core_t *self, const catalog_object_t *newest,
                          buf_t *out)
{
    const catalog_object_t *active =
        versions_active (self->objects, self->objects_count, newest->kind, newest->name);
    if (!active || active->version == newest->version)
        buf_put_string (out, ", which is served as before until ");
    else
        buf_printf (out, "; version %" PRIu32 " is served as before until ", active->version);
}

size_t version_unfitted (const coordinator_core_t *self, const catalog_object_t *object)
{
    if (strcmp (object->kind, "service") != 0 || object_is_retired (object))
        return 0;
    const service_t *service =
        definitions_service_version (self->definitions, text_of (object->name), object->version);
    return service ? service_unfitted (service) : 0;
}

bool version_waits_for_fit (const coordinator_core_t *self, const catalog_object_t *objects,
                            size_t count, const catalog_object_t *object)
{
    const catalog_object_t *active = versions_active (objects, count, object->kind, object->name);
    return active && active->version != object->version && version_unfitted (self, object) > 0 &&
           version_unfitted (self, active) == 0;
}

/* ---- how far they are ---- */

static void wait_for (version_progress_t *self, const char *format, ...) PRINTF_LIKE (2, 3);
static void wait_for (version_progress_t *self, const char *format, ...)
{
    if (self->waits[0] != '\0')
        return; /* the first is told */
    va_list args;
    va_start (args, format);
    (void)vsnprintf (self->waits, sizeof self->waits, format, args);
    va_end (args);
}

/* Does the part have all of the view, or can it have no file of it? Then history answers. */
static bool part_has (const log_t *log, uint32_t partition, const view_t *view, uint64_t plan)
{
    return layers_have_view (&log->manifest.parts[partition], view, plan) ||
           stuck_left_out (log, partition, view->name, view->version);
}

/* Does the partition's owner hold, for the views as they are defined now, all that is above the
 * cut? */
static bool owner_has (const coordinator_core_t *self, const log_t *log, uint32_t partition)
{
    const partition_t *owned = &self->partitions[partition];
    const held_log_t *held = partition_log (owned, log->name);
    return held && owned->state == HELD_SERVING && held->definitions >= self->version;
}

static void add_log (const coordinator_core_t *self, const view_t *view, size_t source,
                     uint64_t plan, version_progress_t *progress)
{
    const char *name = view->sources[source].log_name;
    const log_t *log = log_named (self, text_of (name));
    progress->total += self->options.partitions;
    if (!log || log->dropped || !log_is_filled (self, log)) {
        wait_for (progress, "the history of key %s", name);
        return;
    }
    for (uint32_t p = 0; p < self->options.partitions; p++) {
        if (log->manifest.number > 0 && !part_has (log, p, view, plan))
            wait_for (progress, "a recompute of %s", name);
        else if (!owner_has (self, log, p))
            wait_for (progress, "the owner of partition %" PRIu32 " of %s", p, name);
        else
            progress->done++;
    }
    if (!log_is_served (self, log))
        wait_for (progress, "serving nodes to take up the dataset of %s", name);
}

static version_progress_t of_view (const coordinator_core_t *self, const view_t *view)
{
    version_progress_t progress = { 0 };
    size_t at = (size_t)(view - self->definitions->views);
    for (size_t s = 0; s < view->sources_count; s++)
        add_log (self, view, s, self->plans[at][s], &progress);
    return progress;
}

version_progress_t version_progress (const coordinator_core_t *self, const char *kind,
                                     const char *name, uint32_t version)
{
    version_progress_t progress = { 0 };
    if (strcmp (kind, "view") == 0) {
        const view_t *view = definitions_view_version (self->definitions, text_of (name), version);
        return view ? of_view (self, view) : progress;
    }
    const service_t *service =
        definitions_service_version (self->definitions, text_of (name), version);
    for (size_t r = 0; service && r < service->roles_count; r++) {
        const view_t *view = service->roles[r].view;
        if (view->state != VERSION_BUILDING)
            continue;
        version_progress_t of = of_view (self, view);
        progress.done += of.done;
        progress.total += of.total;
        wait_for (&progress, "%s@v%" PRIu32, view->name, view->version);
    }
    const catalog_object_t *newest = versions_newest (self, kind, name);
    if (newest && newest->version == version &&
        version_waits_for_fit (self, self->objects, self->objects_count, newest)) {
        size_t unfitted = version_unfitted (self, newest);
        wait_for (&progress, "the numbers of %zu feature%s: weir fit %s --on TRAINING_SET",
                  unfitted, unfitted == 1 ? "" : "s", name);
    }
    return progress;
}
