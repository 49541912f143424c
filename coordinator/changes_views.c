/* Views as they are defined next, against the newest version that there is of each. */
#include "coordinator/changes.h"
#include "feature/stream_scope.h"

#include <string.h>

static bool same_value (const value_t *a, const value_t *b)
{
    return a->type == b->type && (a->type == TYPE_NONE || value_equal (a, b));
}

/* What a widened field does to the type of a result is no other meaning. */
static bool same_type (type_t present, type_t next)
{
    return present == next || (present == TYPE_INT64 && next == TYPE_FLOAT64);
}

static bool same_default (const value_t *present, const value_t *next)
{
    bool widened = present->type == TYPE_INT64 && next->type == TYPE_FLOAT64;
    return widened ? next->f == (double)present->i : same_value (present, next);
}

/* Do the texts of two features, over two definitions of a stream, mean the same? */
static bool same_over (const stream_t *x, const feature_t *a, const stream_t *y, const feature_t *b,
                       bool types)
{
    return stream_same_meaning (x, a->input, y, b->input, types) &&
           stream_same_meaning (x, a->second, y, b->second, types) &&
           stream_same_meaning (x, a->filter, y, b->filter, types) &&
           stream_same_meaning (x, a->by, y, b->by, types);
}

/* Do two features of the views compute the same? What fields are called now does not matter, and
 * their types only for `types`. That a view is of other streams is told apart from this. */
static bool same_feature (const view_t *present, const feature_t *a, const view_t *next,
                          const feature_t *b, bool types)
{
    bool same = a->aggregate == b->aggregate && a->window == b->window && a->rows == b->rows &&
                a->delay == b->delay && same_value (&a->parameter, &b->parameter) &&
                same_default (&a->default_value, &b->default_value);
    bool any = false;
    for (size_t i = 0; i < next->sources_count; i++) {
        const stream_t *stream = next->sources[i].stream;
        int before = view_source_of (present, stream->name);
        if (before < 0)
            continue;
        any = true;
        same = same && same_over (present->sources[before].stream, a, stream, b, types);
    }
    return any ? same : same && same_over (present->stream, a, next->stream, b, types);
}

static const feature_t *feature_named (const view_t *view, const char *name)
{
    for (size_t i = 0; i < view->features_count; i++)
        if (strcmp (view->features[i].name, name) == 0)
            return &view->features[i];
    return NULL;
}

static const derived_t *derived_named (const view_t *view, const char *name)
{
    for (size_t i = 0; i < view->derived_count; i++)
        if (strcmp (view->derived[i].name, name) == 0)
            return &view->derived[i];
    return NULL;
}

static bool is_named (const view_t *view, const char *name)
{
    return feature_named (view, name) || derived_named (view, name);
}

static void put_new (const char *name, buf_t *detail)
{
    buf_printf (detail, "%s+%s", detail->size ? ", " : "", name);
}

static void put_gone (const view_t *next, const char *name, buf_t *detail)
{
    if (!is_named (next, name))
        buf_printf (detail, "%s-%s", detail->size ? ", " : "", name);
}

static void put_other (const char *name, buf_t *detail, bool *other)
{
    *other = true;
    buf_printf (detail, "%s%s means something else", detail->size ? ", " : "", name);
}

/* Tells features that are new, other or gone; *other says whether one of a name means another
 * thing now. */
static void compare_features (const view_t *present, const view_t *next, buf_t *detail, bool *other)
{
    for (size_t i = 0; i < next->features_count; i++) {
        const feature_t *feature = &next->features[i];
        const feature_t *old = feature_named (present, feature->name);
        if (!is_named (present, feature->name))
            put_new (feature->name, detail);
        else if (!old || !same_feature (present, old, next, feature, false))
            put_other (feature->name, detail, other);
    }
    for (size_t i = 0; i < next->derived_count; i++) {
        const derived_t *derived = &next->derived[i];
        const derived_t *old = derived_named (present, derived->name);
        if (!is_named (present, derived->name))
            put_new (derived->name, detail);
        else if (!old || strcmp (old->expr, derived->expr) != 0 ||
                 !same_type (old->type, derived->type) ||
                 !same_default (&old->default_value, &derived->default_value))
            put_other (derived->name, detail, other);
    }
    for (size_t i = 0; i < present->features_count; i++)
        put_gone (next, present->features[i].name, detail);
    for (size_t i = 0; i < present->derived_count; i++)
        put_gone (next, present->derived[i].name, detail);
}

/* The view as it was; NULL when it is new, or beside the one that there was. */
static const view_t *version_before (const coordinator_core_t *self, const view_t *next,
                                     const changes_t *changes)
{
    const view_t *same =
        definitions_view_version (self->definitions, text_of (next->name), next->version);
    const catalog_object_t *newest = versions_newest (self, "view", next->name);
    if (same || !newest || *changes_fate (self, changes, newest) != FATE_RENEWED)
        return same;
    return definitions_view_version (self->definitions, text_of (next->name), newest->version);
}

/* How many features of the stream keep what they compute, but over values of another type. */
static size_t count_rebuilt (const coordinator_core_t *self, const definitions_t *definitions,
                             const changes_t *changes, const char *stream)
{
    size_t count = 0;
    for (size_t v = 0; v < definitions->views_count; v++) {
        const view_t *next = &definitions->views[v];
        const view_t *present = version_before (self, next, changes);
        if (!present || view_source_of (next, stream) < 0)
            continue;
        for (size_t i = 0; i < next->features_count; i++) {
            const feature_t *feature = &next->features[i];
            const feature_t *old = feature_named (present, feature->name);
            count += old && same_feature (present, old, next, feature, false) &&
                     (present->meaning != next->meaning ||
                      !same_feature (present, old, next, feature, true));
        }
    }
    return count;
}

/* What a widened field costs is told with its stream. */
static void tell_rebuilt (const coordinator_core_t *self, const definitions_t *definitions,
                          changes_t *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        change_t *change = &changes->list[i];
        if (!change->widened)
            continue;
        size_t count = count_rebuilt (self, definitions, changes, change->name);
        if (count == 0)
            continue;
        buf_t detail;
        buf_init (&detail, 1 << 16);
        buf_printf (&detail, "%s; %zu feature%s rebuilt", change->detail, count,
                    count == 1 ? " is" : "s are");
        change->detail = changes_text (changes, &detail);
    }
}

/* What is other in the next view; *other: one of its names means something else. */
static void tell_view (const view_t *present, const view_t *next, buf_t *detail, bool *other)
{
    *other = present->meaning != next->meaning;
    if (*other)
        buf_put_string (detail, "its stream, key or filter changes");
    compare_features (present, next, detail, other);
    if (present->ttl != next->ttl) {
        *other = true;
        buf_printf (detail, "%sits ttl changes", detail->size ? ", " : "");
    }
    if (present->horizon != next->horizon)
        buf_printf (detail, "%sthe horizon changes", detail->size ? ", " : "");
    if (detail->size == 0 && !detail->bad)
        buf_put_string (detail, "what it computes stays the same");
}

/* A stream of the view had no events, and is another one now: there is nothing that the versions
 * so far could go on with. */
static bool is_replaced (const changes_t *changes, const view_t *next)
{
    for (size_t i = 0; i < next->sources_count; i++)
        if (changes_replaced (changes, next->sources[i].stream->name))
            return true;
    return false;
}

/* Is the view as it was, but for the types of what it reads? Its streams alone have changed then.
 */
static bool same_but_types (const view_t *present, const view_t *next)
{
    bool other = present->sources_count != next->sources_count || present->ttl != next->ttl;
    buf_t unused;
    buf_init (&unused, 1 << 16);
    compare_features (present, next, &unused, &other);
    buf_release (&unused);
    for (size_t i = 0; i < next->sources_count && !other; i++) {
        const view_source_t *a = &present->sources[i], *b = &next->sources[i];
        other = strcmp (a->stream->name, b->stream->name) != 0 ||
                strcmp (a->log_name, b->log_name) != 0 ||
                !stream_same_meaning (a->stream, present->where, b->stream, next->where, false);
    }
    return !other;
}

/* Versions of services whose files come with this go with the version of the view. */
static void drop_readers (coordinator_core_t *self, const catalog_object_t *view,
                          changes_t *changes)
{
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (strcmp (object->kind, "service") != 0 || object_is_retired (object))
            continue;
        const service_t *service = definitions_service_version (
            self->definitions, text_of (object->name), object->version);
        const catalog_object_t *newest = versions_newest (self, "service", object->name);
        bool defined = *changes_fate (self, changes, newest) != FATE_STAYS || newest != object;
        if (service && defined && service_reads (service, view->name, view->version))
            changes_set_fate (self, changes, object, FATE_GOES);
    }
}

/* How many versions there are beside it. */
static size_t count_others (const definitions_t *definitions, const view_t *of)
{
    size_t count = 0;
    for (size_t i = 0; i < definitions->views_count; i++)
        count += &definitions->views[i] != of && strcmp (definitions->views[i].name, of->name) == 0;
    return count;
}

/* It means something else than the newest so far, `object`, which goes on beside it. */
static status_t number_new (coordinator_core_t *self, const definitions_t *definitions,
                            const catalog_object_t *object, view_t *next, buf_t *detail,
                            changes_t *changes, error_t *error)
{
    /* what it meant over the streams as they were, nobody can answer any more */
    const view_t *present =
        definitions_view_version (self->definitions, text_of (next->name), object->version);
    bool replaced = is_replaced (changes, next) || same_but_types (present, next);
    next->version = versions_next (self, "view", next->name);
    buf_printf (detail, "; version %" PRIu32 " follows %" PRIu32, next->version, object->version);
    changes_set_fate (self, changes, object, replaced ? FATE_GOES : FATE_STAYS);
    if (replaced)
        drop_readers (self, object, changes);
    size_t others = count_others (definitions, next);
    if (others >= VIEW_VERSIONS_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "view %s: it has %zu versions that are served, and can have %d; retire "
                          "one that nothing needs, as in `weir retire %s@v1`",
                          next->name, others, VIEW_VERSIONS_MAX, next->name);
    next->state = !replaced || others > 0 ? VERSION_BUILDING : VERSION_ACTIVE;
    if (next->state == VERSION_BUILDING) {
        versions_put_served (self, object, detail);
        buf_put_string (detail, "all of history is in it");
    }
    return STATUS_OK;
}

static status_t next_view (coordinator_core_t *self, const definitions_t *definitions, view_t *next,
                           changes_t *changes, error_t *error)
{
    const catalog_object_t *object = versions_newest (self, "view", next->name);
    if (!object) {
        next->version = versions_next (self, "view", next->name);
        next->state = VERSION_ACTIVE;
        changes_note (changes, "view", next->name, "add", NULL);
        changes_add_version (changes, "view", next->name, next->version, next->state, next->meaning,
                             next->text);
        return STATUS_OK;
    }
    const view_t *present =
        definitions_view_version (self->definitions, text_of (next->name), object->version);
    next->version = object->version;
    next->state = object_state (object);
    if (strcmp (object->text, next->text) == 0 && present->meaning == next->meaning) {
        changes_note_same (self, changes, object);
        changes_keep_version (changes, object, next->meaning, next->text);
        return STATUS_OK;
    }
    bool other;
    status_t status = STATUS_OK;
    buf_t detail;
    buf_init (&detail, 1 << 16);
    tell_view (present, next, &detail, &other);
    if (other) {
        status = number_new (self, definitions, object, next, &detail, changes, error);
        changes_add_version (changes, "view", next->name, next->version, next->state, next->meaning,
                             next->text);
    } else {
        changes_keep_version (changes, object, next->meaning, next->text);
    }
    changes_note_altered (changes, "view", next->name, changes_text (changes, &detail),
                          object->text, next->text);
    return status;
}

static bool is_defined (const definitions_t *definitions, const char *name)
{
    for (size_t i = 0; i < definitions->views_count; i++)
        if (definitions->views[i].version == 0 && strcmp (definitions->views[i].name, name) == 0)
            return true;
    return false;
}

/* The same text means something else, because of what becomes of its streams: nobody can answer any
 * more what it meant. */
static void renew (coordinator_core_t *self, const catalog_object_t *object, view_t *next,
                   changes_t *changes)
{
    const view_t *present =
        definitions_view_version (self->definitions, text_of (next->name), object->version);
    bool other;
    buf_t detail;
    buf_init (&detail, 1 << 16);
    tell_view (present, next, &detail, &other);
    next->version = versions_next (self, "view", next->name);
    buf_printf (&detail, "; version %" PRIu32 " follows %" PRIu32, next->version, object->version);
    *changes_fate (self, changes, object) = FATE_RENEWED;
    changes_add_version (changes, "view", next->name, next->version, next->state, next->meaning,
                         next->text);
    changes_note_altered (changes, "view", next->name, changes_text (changes, &detail),
                          object->text, next->text);
}

/* A version that the cluster has, over the streams as they are from now on. */
static status_t stored_view (coordinator_core_t *self, const definitions_t *definitions,
                             view_t *next, changes_t *changes, error_t *error)
{
    const catalog_object_t *object = versions_find (self, text_of (next->name), next->version);
    if (object->meaning == next->meaning)
        return STATUS_OK;
    if (!is_defined (definitions, next->name) &&
        versions_newest (self, "view", next->name) == object) {
        renew (self, object, next, changes);
        return STATUS_OK;
    }
    if (!is_replaced (changes, next))
        return error_set (error, STATUS_INVALID,
                          "%s@v%" PRIu32 " is kept, and would mean something else over its stream "
                          "as it is to be. `weir retire` it first; or, if it is the active one, "
                          "apply the change of the stream alone, and then the rest",
                          next->name, next->version);
    changes_set_fate (self, changes, object, FATE_GOES);
    drop_readers (self, object, changes);
    return STATUS_OK;
}

status_t changes_number_views (coordinator_core_t *self, definitions_t *next, changes_t *changes,
                               error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t i = 0; i < next->views_count && status == STATUS_OK; i++)
        if (next->views[i].version != 0)
            status = stored_view (self, next, &next->views[i], changes, error);
    for (size_t i = 0; i < next->views_count && status == STATUS_OK; i++)
        if (next->views[i].version == 0)
            status = next_view (self, next, &next->views[i], changes, error);
    tell_rebuilt (self, next, changes);
    return status;
}
