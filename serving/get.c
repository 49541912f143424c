/* A `get`: what is asked is checked and resolved, and begun. */
#include "serving/node.h"

#include "intake/given.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MAX (60 * TIME_SECOND)

/* ---- resolving ---- */

static status_t resolve_target (serving_core_t *self, query_t *query, const wire_value_t *body,
                                error_t *error)
{
    text_t name, reference = wire_text (body, "view");
    wire_list_t features = wire_list (body, "features");
    model_t *model = member_model (self->member);
    if (!version_reference (reference, &name, &query->version))
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "': a version is written @v2",
                          TEXT_ARGS (reference));
    if (!definitions_view_version (model->definitions, name, query->version) &&
        !definitions_service_version (model->definitions, name, query->version) &&
        !member_model_current (self->member))
        return error_set (error, STATUS_UNAVAILABLE,
                          "view '" TEXT_FORMAT "' is not known here yet: %s", TEXT_ARGS (name),
                          model->version > 0
                              ? "newer definitions are on their way"
                              : "definitions are on their way, or none were registered, which "
                                "`weir apply` does");
    query->name = arena_text (query->arena, name);
    if (features.count > 0)
        query->feature_names =
            arena_alloc (query->arena, features.count * sizeof *query->feature_names);
    query->features_count = features.count;
    for (uint32_t i = 0; i < features.count; i++)
        query->feature_names[i] = arena_text (query->arena, wire_item_text (&features.items[i]));
    status_t status = target_bind (query, model, &query->target, error);
    if (status != STATUS_OK)
        query->target = (query_target_t){ 0 };
    else
        query->model = model_ref (model);
    return status;
}

/* ---- keys ---- */

static status_t no_such_field (const view_t *view, text_t name, error_t *error)
{
    const char *fields[KEY_FIELDS_MAX];
    for (size_t i = 0; i < view->key_count; i++)
        fields[i] = view_key_field (view, i)->name;
    char *copy = mem_string_n (name.data, name.size);
    const char *nearest = text_nearest (copy, fields, view->key_count);
    if (!nearest && view->key_count == 1)
        nearest = fields[0];
    status_t status =
        error_set (error, STATUS_NOT_FOUND, "'%s' is not a field of the view's key%s%s%s", copy,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    mem_free (copy);
    return status;
}

/* The value of a key's field is there, and is one. */
static status_t check_key_value (const value_t *value, const char *name, error_t *error)
{
    if (value->type == TYPE_NONE)
        return error_set (error, STATUS_INVALID, "the key lacks field '%s'", name);
    if (value->null)
        return error_set (error, STATUS_INVALID, "key field '%s' is null", name);
    return STATUS_OK;
}

static status_t keep_key (query_t *query, const buf_t *bytes, query_key_t *key, error_t *error)
{
    if (bytes->bad)
        return error_set (error, STATUS_TOO_LARGE, "a key is over %d bytes", KEY_SIZE_MAX);
    key->key = arena_text (
        query->arena, (text_t){ .data = (const char *)bytes->data, .size = (uint32_t)bytes->size });
    return STATUS_OK;
}

/* An entity of a view; `bytes` is for its key's. */
static status_t read_key (query_t *query, const wire_value_t *map, query_entity_t *entity,
                          query_key_t *key, buf_t *bytes, error_t *error)
{
    const view_t *view = query->target.roles->view;
    entity->fields = arena_zero (query->arena, view->key_count, sizeof *entity->fields);
    buf_clear (bytes);
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < map->via.map.size && status == STATUS_OK; i++) {
        text_t name = wire_item_text (&map->via.map.ptr[i].key);
        size_t k = 0;
        while (k < view->key_count && !text_is (name, view_key_field (view, k)->name))
            k++;
        if (k == view->key_count)
            status = no_such_field (view, name, error);
        else
            status = given_value (view_key_field (view, k), "key field", &map->via.map.ptr[i].val,
                                  query->arena, &entity->fields[k], error);
    }
    for (size_t k = 0; k < view->key_count && status == STATUS_OK; k++) {
        status = check_key_value (&entity->fields[k], view_key_field (view, k)->name, error);
        if (status == STATUS_OK)
            key_put (bytes, &entity->fields[k]);
    }
    return status == STATUS_OK ? keep_key (query, bytes, key, error) : status;
}

/* ---- entities of a service ---- */

static status_t no_such_value (const service_t *service, text_t name, error_t *error)
{
    const char *names[SERVICE_KEYS_MAX + REQUEST_FIELDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < service->keys_count; i++)
        names[count++] = service->keys[i].name;
    for (size_t i = 0; i < service->request_count; i++)
        names[count++] = service->request[i].name;
    char *copy = mem_string_n (name.data, name.size);
    const char *nearest = text_nearest (copy, names, count);
    status_t status = error_set (
        error, STATUS_NOT_FOUND,
        "'%s' is neither a field of the key of service '%s' nor a value of its request%s%s%s", copy,
        service->name, nearest ? "; did you mean '" : "", nearest ? nearest : "",
        nearest ? "'?" : "");
    mem_free (copy);
    return status;
}

/* Fields of the key, where they may stand, and values of the request, by name. */
static status_t take_values (query_t *query, const wire_value_t *map, bool keys, value_t *values,
                             error_t *error)
{
    const service_t *service = query->target.service;
    status_t status = STATUS_OK;
    for (uint32_t i = 0; i < map->via.map.size && status == STATUS_OK; i++) {
        text_t name = wire_item_text (&map->via.map.ptr[i].key);
        int key = keys ? service_key_field (service, name) : -1;
        int request = service_request_field (service, name);
        if (key < 0 && request < 0)
            return no_such_value (service, name, error);
        const field_t *field = key >= 0 ? &service->keys[key] : &service->request[request];
        value_t *value = &values[key >= 0 ? key : (int)service->keys_count + request];
        if (value->type != TYPE_NONE)
            return error_set (error, STATUS_INVALID, "'%s' is given twice", field->name);
        status = given_value (field, key >= 0 ? "key field" : "request value",
                              &map->via.map.ptr[i].val, query->arena, value, error);
    }
    return status;
}

/* What the role's view takes of the request. */
static void hand_on (query_t *query, const query_role_t *role, const value_t *values,
                     query_key_t *key)
{
    const int32_t *from = query->target.service->roles[role->number].request;
    size_t count = role->view->request_count;
    if (count == 0)
        return;
    key->request = arena_zero (query->arena, count, sizeof *key->request);
    for (size_t i = 0; i < count; i++)
        key->request[i] = from[i] >= 0
                              ? values[from[i]]
                              : (value_t){ .type = role->view->request[i].type, .null = true };
}

/* An entity of a service, and its keys in all roles. */
static status_t read_entity (query_t *query, const wire_value_t *map, const wire_value_t *request,
                             size_t at, buf_t *bytes, error_t *error)
{
    const service_t *service = query->target.service;
    size_t count = service->keys_count + service->request_count;
    value_t *values = arena_zero (query->arena, count, sizeof *values);
    query->entities[at].fields = values;
    status_t status = take_values (query, map, true, values, error);
    if (status == STATUS_OK && request)
        status = take_values (query, request, false, values, error);
    for (size_t i = 0; i < service->keys_count && status == STATUS_OK; i++)
        status = check_key_value (&values[i], service->keys[i].name, error);
    for (size_t i = 0; i < service->request_count; i++)
        if (values[service->keys_count + i].type == TYPE_NONE)
            values[service->keys_count + i] =
                (value_t){ .type = service->request[i].type, .null = true };
    for (size_t r = 0; r < query->target.roles_count && status == STATUS_OK; r++) {
        const query_role_t *role = &query->target.roles[r];
        query_key_t *key = query_key_of (query, r, at);
        buf_clear (bytes);
        for (size_t k = 0; k < role->view->key_count; k++)
            key_put (bytes, &values[service->roles[role->number].key[k]]);
        hand_on (query, role, values, key);
        status = keep_key (query, bytes, key, error);
    }
    return status;
}

/* ---- entities ---- */

static status_t read_as_of (serving_core_t *self, const wire_value_t *body, int64_t *as_of,
                            error_t *error)
{
    int64_t now = self->env->clock_us (self->env);
    const wire_value_t *given = wire_any (body, "as_of");
    *as_of = now;
    if (!given)
        return STATUS_OK;
    if (given->type == MSGPACK_OBJECT_STR)
        return time_parse_argument (wire_item_text (given), now, as_of, error);
    if (given->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
        (given->type == MSGPACK_OBJECT_POSITIVE_INTEGER && given->via.u64 <= INT64_MAX)) {
        *as_of = wire_item_int (given);
        return STATUS_OK;
    }
    return error_set (error, STATUS_INVALID, "as_of is a text or an integer of µs");
}

static status_t check_as_of (int64_t as_of, error_t *error)
{
    /* room for T - W: windows have at most 3650 days */
    if (as_of < -TIME_EVENT_MAX || as_of > 2 * TIME_EVENT_MAX)
        return error_set (error, STATUS_RANGE, "as-of time %" PRId64 " is out of range", as_of);
    return STATUS_OK;
}

/* One of those that are asked for, at its place in `keys` and `requests`. */
static status_t take_entity (query_t *query, const wire_list_t *keys, const wire_list_t *requests,
                             uint32_t at, buf_t *bytes, error_t *error)
{
    query_entity_t *entity = &query->entities[at];
    const wire_value_t *request = requests->count > 0 ? &requests->items[at] : NULL;
    status_t status;
    if (query->target.service) {
        status = read_entity (query, &keys->items[at], request, at, bytes, error);
    } else {
        query_key_t *key = &query->keys[at];
        status = read_key (query, &keys->items[at], entity, key, bytes, error);
        if (status == STATUS_OK && request)
            status = given_request (query->target.roles->view, request, query->arena, &key->request,
                                    error);
    }
    if (status != STATUS_OK)
        return keys->count > 1 ? error_prefix (error, "key %u", at + 1) : status;
    for (uint32_t r = 0; r < query->target.roles_count; r++) {
        query_key_t *key = query_key_of (query, r, at);
        key->role = r;
        key->as_of = entity->as_of;
        key->answers =
            arena_zero (query->arena, query->target.roles[r].plans_count, sizeof (answer_t *));
    }
    return STATUS_OK;
}

/* Do lists belong together, and is there not too much? */
static status_t check_counts (const query_t *query, const wire_value_t *body, error_t *error)
{
    uint32_t keys = wire_list (body, "keys").count;
    uint32_t times = wire_list (body, "as_ofs").count, requests = wire_list (body, "request").count;
    size_t roles = query->target.roles_count;
    if (keys > WIRE_KEYS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%u keys, over the limit of %d in one query",
                          keys, WIRE_KEYS_MAX);
    if (keys * roles > WIRE_KEYS_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "%u keys in %zu roles, over the limit of %d in one query", keys, roles,
                          WIRE_KEYS_MAX);
    if (wire_has (body, "as_ofs") && times != keys)
        return error_set (error, STATUS_INVALID, "%u keys, but %u as-of times", keys, times);
    if (wire_has (body, "request") && requests != keys)
        return error_set (error, STATUS_INVALID, "%u keys, but the request values of %u", keys,
                          requests);
    return STATUS_OK;
}

static status_t read_entities (serving_core_t *self, query_t *query, const wire_value_t *body,
                               error_t *error)
{
    wire_list_t keys = wire_list (body, "keys");
    wire_list_t times = wire_list (body, "as_ofs");
    wire_list_t requests = wire_list (body, "request");
    bool own_times = wire_has (body, "as_ofs");
    const service_t *service = query->target.service;
    int64_t before = wire_bool (body, "before", false) || (service && service->before) ? 1 : 0;
    int64_t as_of;
    status_t status = read_as_of (self, body, &as_of, error);
    if (status == STATUS_OK)
        status = check_counts (query, body, error);
    if (status != STATUS_OK)
        return status;
    query->entities_count = keys.count;
    query->entities = arena_zero (query->arena, keys.count, sizeof *query->entities);
    query->keys_count = keys.count * query->target.roles_count;
    query->keys = arena_zero (query->arena, query->keys_count, sizeof *query->keys);
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    for (uint32_t i = 0; i < keys.count && status == STATUS_OK; i++) {
        query_entity_t *entity = &query->entities[i];
        entity->as_of = own_times ? wire_item_int (&times.items[i]) : as_of;
        status = check_as_of (entity->as_of, error);
        entity->as_of -= before;
        if (status != STATUS_OK && keys.count > 1)
            status = error_prefix (error, "key %u", i + 1);
        if (status == STATUS_OK)
            status = take_entity (query, &keys, &requests, i, &bytes, error);
    }
    buf_release (&bytes);
    return status;
}

/* ---- parts ---- */

static void name_parts (query_t *query)
{
    for (size_t i = 0; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        char name[KEYED_LOG_NAME_MAX + 32];
        int size = snprintf (name, sizeof name, "%s/%" PRIu32,
                             query_plan_of (query, part)->log_name, part->partition);
        part->name = arena_string (query->arena, (text_t){ name, (uint32_t)size });
    }
}

/* A key is in the same partition of every log. */
static void repeat_parts (query_t *query, const query_role_t *role)
{
    for (size_t s = 1; s < role->plans_count; s++)
        for (size_t i = 0; i < role->parts_each; i++) {
            query_part_t *part = &query->parts[query->parts_count++];
            *part = query->parts[role->parts_first + i];
            part->source = (uint32_t)s;
        }
}

/* A role's keys by partition, in the order in which each partition is met first; for each source.
 * `part_of` has room for all partitions, `last` for all entities. */
static void make_role_parts (query_t *query, uint32_t number, uint32_t partitions,
                             uint32_t *part_of, uint32_t *last)
{
    query_role_t *role = &query->target.roles[number];
    uint32_t first = (uint32_t)(number * query->entities_count);
    memset (part_of, 0xff, partitions * sizeof *part_of);
    role->parts_first = query->parts_count;
    for (uint32_t i = first; i < first + query->entities_count; i++) {
        query_key_t *key = &query->keys[i];
        uint32_t partition = key_partition (key_hash (key->key), partitions);
        key->next = UINT32_MAX;
        if (part_of[partition] == UINT32_MAX) {
            part_of[partition] = (uint32_t)role->parts_each++;
            query->parts[query->parts_count++] =
                (query_part_t){ .role = number, .partition = partition, .first = i };
        } else {
            query->keys[last[part_of[partition]]].next = i;
        }
        key->part = part_of[partition];
        last[key->part] = i;
        query->parts[role->parts_first + key->part].keys_count++;
    }
    repeat_parts (query, role);
}

static void make_parts (serving_core_t *self, query_t *query)
{
    uint32_t partitions = self->options.partitions;
    uint32_t *part_of = arena_alloc (query->arena, partitions * sizeof *part_of);
    uint32_t *last = arena_alloc (query->arena, query->entities_count * sizeof *last);
    size_t each = query->entities_count < partitions ? query->entities_count : partitions;
    size_t most = 0;
    for (size_t r = 0; r < query->target.roles_count; r++)
        most += query->target.roles[r].plans_count * each;
    query->parts = arena_zero (query->arena, most, sizeof *query->parts);
    for (uint32_t r = 0; r < query->target.roles_count; r++)
        make_role_parts (query, r, partitions, part_of, last);
    name_parts (query);
}

static status_t read_layers (query_t *query, text_t part, error_t *error)
{
    query->want_batch = part.size == 0 || text_is (part, "batch");
    query->want_realtime = part.size == 0 || text_is (part, "realtime");
    if (query->want_batch || query->want_realtime)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "part '" TEXT_FORMAT "': an answer has the parts 'batch' and 'realtime'",
                      TEXT_ARGS (part));
}

static status_t resolve (serving_core_t *self, query_t *query, const message_t *message,
                         error_t *error)
{
    const wire_value_t *body = message->body;
    status_t status = resolve_target (self, query, body, error);
    if (status == STATUS_OK)
        status = read_entities (self, query, body, error);
    if (status != STATUS_OK)
        return status;
    uint64_t asked = wire_uint (body, "deadline_ms", 0);
    int64_t deadline = self->options.default_deadline;
    if (asked > 0)
        deadline = asked < DEADLINE_MAX / TIME_MS ? (int64_t)asked * TIME_MS : DEADLINE_MAX;
    query->deadline = self->env->boot_us (self->env) + deadline;
    query->refuse_incomplete = wire_bool (body, "refuse_incomplete", false);
    make_parts (self, query);
    return read_layers (query, wire_text (body, "part"), error);
}

void get_begin (serving_core_t *self, const peer_t *from, const message_t *message)
{
    self->metrics.queries++;
    error_t error;
    query_t *query = query_new (self->queries, from, self->env->boot_us (self->env));
    if (!query) {
        self->metrics.refused++;
        self->metrics.busy++;
        (void)error_set_retry (&error, STATUS_BUSY, query_retry_ms (self->queries),
                               "%zu queries are under way, %d of one client at most, and hold %zu "
                               "MiB; ask again later",
                               query_count (self->queries), QUERIES_SHARE,
                               query_memory (self->queries) >> 20);
        serving_send_error (self, from, message->id, &error);
        return;
    }
    query->client_id = message->id;
    if (resolve (self, query, message, &error) != STATUS_OK) {
        self->metrics.refused++;
        serving_send_error (self, from, message->id, &error);
        query_free (self->queries, query);
        return;
    }
    self->metrics.keys += query->keys_count;
    if (query->parts_count == 0)
        reply_send (self, query);
    else if (!query_must_wait (self->queries, query))
        evaluate_start (self, query);
}
