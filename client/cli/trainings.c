#include "client/cli/trainings.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/cli/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_MAX = 5, RENEW_MS = 1000, POLL_MS = 50, PATIENCE_MS = 30000, CHUNK = 1 << 14 };

/* ---- asking ---- */

static void put_pinned (wire_writer_t *writer, const json_t *pinned)
{
    size_t i;
    const json_t *item;
    wire_open_map (writer);
    wire_field_string (writer, "log", json_string_value (json_object_get (pinned, "log")));
    wire_field_string (writer, "dataset", json_string_value (json_object_get (pinned, "dataset")));
    wire_field_uint (writer, "manifest",
                     (uint64_t)json_integer_value (json_object_get (pinned, "manifest")));
    wire_field_list (writer, "positions");
    json_array_foreach (json_object_get (pinned, "positions"), i, item)
        wire_put_uint (writer, (uint64_t)json_integer_value (item));
    wire_close (writer);
    wire_field_uint (writer, "unloaded",
                     (uint64_t)json_integer_value (json_object_get (pinned, "unloaded")));
    wire_field_uint (writer, "forgets",
                     (uint64_t)json_integer_value (json_object_get (pinned, "forgets")));
    wire_field_list (writer, "without");
    json_array_foreach (json_object_get (pinned, "without"), i, item)
        wire_put_string (writer, json_string_value (item));
    wire_close (writer);
    wire_close (writer);
}

static json_t *string_of (text_t text)
{
    return json_stringn (text.data, text.size);
}

static json_t *pinned_of (const wire_value_t *map)
{
    json_t *pinned = json_object (), *positions = json_array (), *without = json_array ();
    wire_list_t list = wire_list (map, "positions"), loads = wire_list (map, "without");
    for (uint32_t i = 0; i < list.count; i++)
        json_array_append_new (positions,
                               json_integer ((json_int_t)wire_item_uint (&list.items[i])));
    for (uint32_t i = 0; i < loads.count; i++)
        json_array_append_new (without, string_of (wire_item_text (&loads.items[i])));
    json_object_set_new (pinned, "log", string_of (wire_text (map, "log")));
    json_object_set_new (pinned, "dataset", string_of (wire_text (map, "dataset")));
    json_object_set_new (pinned, "manifest",
                         json_integer ((json_int_t)wire_uint (map, "manifest", 0)));
    json_object_set_new (pinned, "positions", positions);
    json_object_set_new (pinned, "unloaded",
                         json_integer ((json_int_t)wire_uint (map, "unloaded", 0)));
    json_object_set_new (pinned, "forgets",
                         json_integer ((json_int_t)wire_uint (map, "forgets", 0)));
    json_object_set_new (pinned, "without", without);
    return pinned;
}

static void take_results (making_t *self, wire_list_t trained)
{
    self->files = arena_zero (self->arena, trained.count + 1, sizeof *self->files);
    self->files_count = trained.count;
    for (uint32_t i = 0; i < trained.count; i++)
        self->files[i] = (result_file_t){
            .role = (uint32_t)wire_uint (&trained.items[i], "role", 0),
            .path = arena_string (self->arena, wire_text (&trained.items[i], "path")),
        };
}

static status_t take_answer (making_t *self, const message_t *reply, error_t *error)
{
    const wire_value_t *body = reply->body;
    wire_list_t pinned = wire_list (body, "pinned");
    self->id = wire_uint (body, "id", 0);
    self->done = wire_uint (body, "done", 0);
    self->total = wire_uint (body, "total", 0);
    wire_copy (body, "state", self->state, sizeof self->state);
    self->waits[0] = '\0';
    if (wire_has (body, "waits"))
        wire_copy (body, "waits", self->waits, sizeof self->waits);
    if (self->version == NULL && pinned.count > 0) {
        self->version = json_array ();
        for (uint32_t i = 0; i < pinned.count; i++)
            json_array_append_new (self->version, pinned_of (&pinned.items[i]));
    }
    if (strcmp (self->state, "done") == 0 && self->files == NULL)
        take_results (self, wire_list (body, "trained"));
    if (strcmp (self->state, "failed") == 0)
        return error_set (error, STATUS_INVALID, TEXT_FORMAT,
                          TEXT_ARGS (wire_text (body, "error")));
    return STATUS_OK;
}

static wire_writer_t *begin_question (const making_t *self)
{
    wire_writer_t *writer = client_begin (self->call->weir, MESSAGE_TRAINING);
    if (self->id != 0)
        wire_field_uint (writer, "id", self->id);
    return writer;
}

static status_t interrupted (error_t *error)
{
    return error_set (error, STATUS_CANCELLED, "interrupted: nothing was written");
}

/* Asks what `put` writes, and again while a coordinator is being waited for. */
static status_t ask (making_t *self, void (*put) (making_t *self, wire_writer_t *, void *arg),
                     void *arg, error_t *error)
{
    int64_t since = monotonic_ms ();
    for (;;) {
        message_t reply;
        wire_writer_t *writer = begin_question (self);
        if (put)
            put (self, writer, arg);
        self->renewed = monotonic_ms ();
        status_t status =
            client_call (self->call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, error);
        if (status == STATUS_OK)
            return take_answer (self, &reply, error);
        if (interrupt_came ())
            return interrupted (error);
        bool passes = client_unreachable (self->call->weir) || status == STATUS_UNAVAILABLE ||
                      status == STATUS_BUSY;
        if (!passes || monotonic_ms () - since > PATIENCE_MS)
            return status;
        wait_ms (error->retry_ms > 0 && error->retry_ms < 1000 ? (int)error->retry_ms : 200);
    }
}

/* ---- beginning ---- */

static void put_views (making_t *self, wire_writer_t *writer, void *unused)
{
    size_t i;
    const json_t *pinned;
    (void)unused;
    wire_field_list (writer, "views");
    for (size_t r = 0; r < self->set->roles_count; r++)
        wire_put_string (writer, self->set->roles[r].view->name);
    wire_close (writer);
    if (self->version == NULL)
        return;
    wire_field_list (writer, "version");
    json_array_foreach (self->version, i, pinned) put_pinned (writer, pinned);
    wire_close (writer);
}

status_t making_begin (making_t *self, error_t *error)
{
    making_end (self);
    if (self->arena == NULL)
        self->arena = arena_new (CHUNK);
    self->files = NULL;
    self->files_count = 0;
    if (self->set->roles_count == 0)
        return error_set (error, STATUS_INVALID,
                          "nothing of it is read from a view: there is nothing to compute");
    return ask (self, put_views, NULL, error);
}

status_t making_renew (making_t *self, error_t *error)
{
    if (interrupt_came ())
        return interrupted (error);
    if (monotonic_ms () - self->renewed < RENEW_MS)
        return STATUS_OK;
    return ask (self, NULL, NULL, error);
}

static status_t poll (making_t *self, error_t *error)
{
    if (interrupt_came ())
        return interrupted (error);
    wait_ms (POLL_MS);
    return ask (self, NULL, NULL, error);
}

status_t making_pin (making_t *self, error_t *error)
{
    status_t status = STATUS_OK;
    while (status == STATUS_OK && strcmp (self->state, "cutting") == 0) {
        progress ("making a dataset of what there is by now%s%s", self->waits[0] ? ": " : "",
                  self->waits);
        status = poll (self, error);
    }
    return status;
}

/* ---- running ---- */

typedef struct handed {
    const spine_file_t *files;
    size_t count;
    const int64_t *as_of;
} handed_t;

static void put_parts (wire_writer_t *writer, const handed_t *handed, uint32_t role)
{
    wire_field_list (writer, "parts");
    for (size_t i = 0; i < handed->count; i++) {
        const spine_file_t *file = &handed->files[i];
        if (file->role != role)
            continue;
        wire_open_map (writer);
        wire_field_uint (writer, "partition", file->partition);
        wire_field_string (writer, "path", file->path);
        wire_field_uint (writer, "size", file->size);
        wire_field_uint (writer, "rows", file->rows);
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_spine (making_t *self, wire_writer_t *writer, void *arg)
{
    const handed_t *handed = arg;
    wire_field_list (writer, "spine");
    for (uint32_t r = 0; r < self->set->roles_count; r++) {
        const trainset_role_t *role = &self->set->roles[r];
        wire_open_map (writer);
        wire_field_string (writer, "view", role->view->name);
        wire_field_uint (writer, "version", role->view->version);
        wire_field_list (writer, "features");
        for (size_t f = 0; f < role->features_count; f++)
            wire_put_string (writer, role->plan->features[role->features[f]].name);
        wire_close (writer);
        wire_field_list (writer, "request");
        for (size_t i = 0; i < role->request_count && !handed->as_of; i++)
            wire_put_string (writer, role->request_names[i]);
        wire_close (writer);
        wire_field_bool (writer, "known", self->set->known != TRAINSET_NONE);
        wire_field_bool (writer, "before", self->set->before);
        if (handed->as_of)
            wire_field_int (writer, "as_of", *handed->as_of);
        put_parts (writer, handed, r);
        wire_close (writer);
    }
    wire_close (writer);
}

status_t making_run (making_t *self, const spine_file_t *files, size_t count, const int64_t *as_of,
                     error_t *error)
{
    handed_t handed = { files, count, as_of };
    status_t status = ask (self, put_spine, &handed, error);
    while (status == STATUS_OK && strcmp (self->state, "done") != 0) {
        if (self->total > 0)
            progress ("computing: %" PRIu64 " of %" PRIu64 " rows%s%s", self->done, self->total,
                      self->waits[0] ? "; waits: " : "", self->waits);
        else
            progress ("computing: %" PRIu64 " entities%s%s", self->done,
                      self->waits[0] ? "; waits: " : "", self->waits);
        status = poll (self, error);
    }
    return status;
}

/* And of the same types: a field may have been widened. */
static bool is_same_view (const view_t *was, const definitions_t *now)
{
    const view_t *is = definitions_view_version (now, text_of (was->name), was->version);
    bool same = is && strcmp (is->text, was->text) == 0 && is->sources_count == was->sources_count;
    for (size_t s = 0; same && s < was->sources_count; s++)
        same = is->sources[s].stream->fingerprint == was->sources[s].stream->fingerprint;
    return same;
}

status_t making_check_definitions (const making_t *self, error_t *error)
{
    registered_t now;
    status_t status = registered_read (self->call, &now, error);
    if (status != STATUS_OK || now.version == self->registered->version) {
        registered_release (&now);
        return status;
    }
    const trainset_t *set = self->set;
    bool same = true;
    if (set->service) {
        const service_t *is = definitions_service_version (
            now.definitions, text_of (set->service->name), set->service->version);
        same = is && strcmp (is->text, set->service->text) == 0;
    }
    for (size_t r = 0; same && r < set->roles_count; r++)
        same = is_same_view (set->roles[r].view, now.definitions);
    registered_release (&now);
    if (!same)
        return error_set (error, STATUS_INVALID,
                          "the definitions of what it is of were changed while it was made: run "
                          "it again");
    return STATUS_OK;
}

/* Once more when it is not known any more. When there are other definitions, too: unless those are
 * the set's. */
static bool begins_anew (making_t *self, status_t *status, error_t *error)
{
    if (self->id == 0 || (*status != STATUS_NOT_FOUND && *status != STATUS_STALE))
        return false;
    if (*status == STATUS_NOT_FOUND)
        self->id = 0;
    error_t other;
    status_t checked =
        *status == STATUS_STALE ? making_check_definitions (self, &other) : STATUS_OK;
    if (checked == STATUS_OK)
        return true;
    *error = other;
    *status = checked;
    return false;
}

status_t making_make (making_t *self, status_t (*once) (void *arg, error_t *error), void *arg,
                      error_t *error)
{
    status_t status = once (arg, error);
    for (unsigned tries = 0; tries < AGAIN_MAX && begins_anew (self, &status, error); tries++)
        status = once (arg, error);
    return status;
}

/* ---- ending ---- */

void making_end (making_t *self)
{
    error_t ignored;
    message_t reply;
    if (self->id == 0)
        return;
    wire_writer_t *writer = begin_question (self);
    wire_field_bool (writer, "end", true);
    /* otherwise the coordinator gives it up after a while */
    status_t status =
        client_call (self->call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, &ignored);
    (void)status;
    self->id = 0;
}

void making_release (making_t *self)
{
    making_end (self);
    json_decref (self->version);
    self->version = NULL;
    arena_destroy (&self->arena);
}

/* ---- the manifest ---- */

static json_t *features_of (const trainset_t *set)
{
    json_t *features = json_array ();
    for (size_t i = 0; i < set->outputs_count; i++) {
        json_t *feature = json_object ();
        json_object_set_new (feature, "name", json_string (set->outputs[i].name));
        json_object_set_new (feature, "type", json_string (set->outputs[i].type));
        json_array_append_new (features, feature);
    }
    return features;
}

static json_t *versions_of (const trainset_t *set)
{
    json_t *versions = json_object ();
    if (set->service)
        json_object_set_new (versions, set->service->name, json_integer (set->service->version));
    for (size_t r = 0; r < set->roles_count; r++)
        json_object_set_new (versions, set->roles[r].view->name,
                             json_integer (set->roles[r].view->version));
    return versions;
}

static bool preprocesses (const service_t *service)
{
    bool any = false;
    for (size_t i = 0; i < service->features_count; i++)
        any = any || service->features[i].is_preprocessed;
    return any;
}

status_t making_write_manifest (const making_t *self, const char *path, json_t *extra,
                                error_t *error)
{
    const trainset_t *set = self->set;
    json_t *all = json_object ();
    json_object_set_new (all, "format", json_integer (1));
    json_object_set_new (all, set->service ? "service" : "view",
                         json_string (set->service ? set->service->name : set->view->name));
    json_object_set_new (all, "versions", versions_of (set));
    json_object_set_new (all, "features", features_of (set));
    json_object_set_new (all, "raw", json_boolean (self->raw));
    json_object_set_new (all, "without_preprocess",
                         json_boolean (self->raw && set->service && preprocesses (set->service)));
    json_object_update (all, extra);
    json_decref (extra);
    json_object_set (all, "pinned", self->version);
    char *name = mem_format ("%s.weir.json", path);
    char *temporary = mem_format ("%s.%ld.tmp", name, (long)getpid ());
    FILE *file = fopen (temporary, "wxe");
    bool good = file && json_dumpf (all, file, JSON_INDENT (1) | JSON_ENSURE_ASCII) == 0 &&
                fputc ('\n', file) != EOF && fflush (file) == 0 && fsync (fileno (file)) == 0;
    good = (!file || fclose (file) == 0) && good && rename (temporary, name) == 0;
    status_t status = good ? STATUS_OK : error_set_errno (error, errno ? errno : EIO, "%s", name);
    if (!good)
        (void)unlink (temporary);
    json_decref (all);
    mem_free (temporary);
    mem_free (name);
    return status;
}

static bool is_text (const json_t *pinned, const char *name)
{
    const char *text = json_string_value (json_object_get (pinned, name));
    return text && *text && strlen (text) <= WIRE_NAME_MAX;
}

static bool is_count (const json_t *item)
{
    return json_is_integer (item) && json_integer_value (item) >= 0;
}

static bool is_pinned (const json_t *pinned)
{
    size_t i;
    const json_t *item;
    const json_t *positions = json_object_get (pinned, "positions");
    const json_t *without = json_object_get (pinned, "without");
    bool good = is_text (pinned, "log") && is_text (pinned, "dataset") &&
                is_count (json_object_get (pinned, "manifest")) &&
                is_count (json_object_get (pinned, "unloaded")) &&
                is_count (json_object_get (pinned, "forgets")) && json_is_array (positions) &&
                json_is_array (without) && json_array_size (positions) <= WIRE_ELEMENTS_MAX &&
                json_array_size (without) <= WIRE_ELEMENTS_MAX;
    json_array_foreach (positions, i, item) good = good && is_count (item);
    json_array_foreach (without, i, item) good =
        good && json_is_string (item) && json_string_length (item) <= WIRE_NAME_MAX;
    return good;
}

/* Features that were asked for then are those of now. */
static status_t check_same (const making_t *self, const json_t *all, const char *path,
                            error_t *error)
{
    json_t *versions = versions_of (self->set), *features = features_of (self->set);
    bool same = json_equal (versions, json_object_get (all, "versions"));
    bool equal = json_equal (features, json_object_get (all, "features"));
    json_decref (versions);
    json_decref (features);
    const json_t *raw = json_object_get (all, "raw");
    equal = equal && (raw == NULL || json_is_true (raw) == self->raw);
    if (!same)
        return error_set (
            error, STATUS_INVALID,
            "%s is of another version of %s or its views than the one that is asked "
            "for: name the one that it is of, as in NAME@v2; what is retired cannot be "
            "made again",
            path, self->set->service ? self->set->service->name : self->set->view->name);
    if (!equal)
        return error_set (error, STATUS_INVALID,
                          "%s has other features than there are now (or is raw where this is not): "
                          "what was made then cannot be made again",
                          path);
    return STATUS_OK;
}

char *making_name (const char *name, const char *path)
{
    json_t *all = path && !strchr (name, '@') ? json_load_file (path, 0, NULL) : NULL;
    const json_t *number = json_object_get (json_object_get (all, "versions"), name);
    char *named = is_count (number)
                      ? mem_format ("%s@v%" JSON_INTEGER_FORMAT, name, json_integer_value (number))
                      : mem_string (name);
    json_decref (all);
    return named;
}

/* What is between commas. */
static const char *const *split_names (const char *given, arena_t *arena, size_t *count)
{
    const char **names = arena_zero (arena, strlen (given) + 1, sizeof *names);
    while (*given) {
        given += strspn (given, " ");
        size_t size = strcspn (given, ", ");
        if (size > 0)
            names[(*count)++] = arena_string (arena, (text_t){ given, (uint32_t)size });
        given += size;
        given += strspn (given, " ");
        given += *given == ',';
    }
    return names;
}

const char *const *making_features (const registered_t *registered, const char *name,
                                    const char *given, const char *path, arena_t *arena,
                                    size_t *count)
{
    text_t bare;
    uint32_t version = 0;
    *count = 0;
    if (given)
        return split_names (given, arena, count);
    if (!version_reference (text_of (name), &bare, &version))
        bare = text_of (name);
    json_t *all = path ? json_load_file (path, 0, NULL) : NULL;
    const json_t *features = json_object_get (all, "features"), *item;
    const char **names = NULL;
    if (json_is_array (features) &&
        definitions_view_version (registered->definitions, bare, version)) {
        size_t i;
        names = arena_zero (arena, json_array_size (features) + 1, sizeof *names);
        json_array_foreach (features, i, item)
        {
            const char *feature = json_string_value (json_object_get (item, "name"));
            if (feature)
                names[(*count)++] = arena_string (arena, text_of (feature));
        }
    }
    json_decref (all);
    return names;
}

status_t making_read_version (making_t *self, const char *path, error_t *error)
{
    json_error_t problem;
    size_t i;
    const json_t *item;
    json_t *all = json_load_file (path, 0, &problem);
    if (!all)
        return error_set (error, STATUS_INVALID,
                          "%s: %s; --version takes the .weir.json that is "
                          "written beside a training set",
                          path, problem.text);
    json_t *pinned = json_object_get (all, "pinned");
    bool good = json_is_array (pinned) && json_array_size (pinned) > 0;
    json_array_foreach (pinned, i, item) good = good && is_pinned (item);
    status_t status = good ? check_same (self, all, path, error)
                           : error_set (error, STATUS_INVALID,
                                        "%s is not what is written beside a training set", path);
    if (status == STATUS_OK) {
        self->version = json_incref (pinned);
    }
    json_decref (all);
    return status;
}
