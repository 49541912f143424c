/* A `get`: what is asked is checked and resolved, and begun. */
#include "serving/node.h"

#include "base/number.h"
#include "intake/given.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MAX (60 * TIME_SECOND)

/* ---- resolving ---- */

/* "user_spend" or "user_spend@v2": the name, and the version or 0. */
static status_t split_version (text_t reference, text_t *name, uint32_t *version, error_t *error)
{
    const char *at = reference.size ? memchr (reference.data, '@', reference.size) : NULL;
    *name = reference;
    *version = 0;
    if (!at)
        return STATUS_OK;
    name->size = (uint32_t)(at - reference.data);
    text_t number = { .data = at + 2, .size = reference.size - name->size - 2 };
    int64_t value;
    if (reference.size < name->size + 3 || at[1] != 'v' || !number_parse_int (number, &value) ||
        value < 1 || value > INT32_MAX)
        return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "': a version is written @v2",
                          TEXT_ARGS (reference));
    *version = (uint32_t)value;
    return STATUS_OK;
}

static status_t resolve_view (serving_core_t *self, query_t *query, text_t reference,
                              error_t *error)
{
    text_t name;
    uint32_t version;
    status_t status = split_version (reference, &name, &version, error);
    if (status != STATUS_OK)
        return status;
    model_t *model = member_model (self->member);
    size_t plans_count;
    plan_t *const *plans = model_plans (model, name, &plans_count);
    if (!plans) {
        if (!member_model_current (self->member))
            return error_set (error, STATUS_UNAVAILABLE,
                              "view '" TEXT_FORMAT "' is not known here yet: newer definitions are "
                              "on their way",
                              TEXT_ARGS (name));
        const char *nearest = definitions_nearest_view (model->definitions, name);
        return error_set (error, STATUS_NOT_FOUND, "there is no view '" TEXT_FORMAT "'%s%s%s",
                          TEXT_ARGS (name), nearest ? "; did you mean '" : "",
                          nearest ? nearest : "", nearest ? "'?" : "");
    }
    if (version != 0 && version != plans[0]->version)
        return error_set (error, STATUS_NOT_FOUND,
                          "view '" TEXT_FORMAT "' has version v%u, not v%u", TEXT_ARGS (name),
                          plans[0]->version, version);
    query->model = model_ref (model);
    query->plans = plans;
    query->plans_count = plans_count;
    query->plan = plans[0];
    query->version = version;
    query->view = definitions_view (model->definitions, name);
    query->view_name = arena_text (query->arena, name);
    return STATUS_OK;
}

static status_t resolve_features (query_t *query, wire_list_t names, error_t *error)
{
    const plan_t *plan = query->plan;
    size_t count = names.count ? names.count : plan->features_count;
    query->features = arena_alloc (query->arena, count * sizeof *query->features);
    query->feature_names = arena_alloc (query->arena, count * sizeof *query->feature_names);
    query->features_count = count;
    for (size_t i = 0; i < count; i++) {
        text_t name =
            names.count ? wire_item_text (&names.items[i]) : text_of (plan->features[i].name);
        int index = plan_feature_index (plan, name);
        if (index < 0) {
            const char *nearest = plan_nearest_feature (plan, name);
            return error_set (error, STATUS_NOT_FOUND,
                              "view '%s' has no feature '" TEXT_FORMAT "'%s%s%s", plan->view,
                              TEXT_ARGS (name), nearest ? "; did you mean '" : "",
                              nearest ? nearest : "", nearest ? "'?" : "");
        }
        query->features[i] = (uint32_t)index;
        query->feature_names[i] = arena_text (query->arena, name);
    }
    query->task = outcome_task_new (plan, query->features, count, query->arena);
    return STATUS_OK;
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

/* `bytes` is for the key's. */
static status_t read_key (query_t *query, const wire_value_t *map, query_key_t *key, buf_t *bytes,
                          error_t *error)
{
    const view_t *view = query->view;
    key->fields = arena_zero (query->arena, view->key_count, sizeof *key->fields);
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
                                  query->arena, &key->fields[k], error);
    }
    for (size_t k = 0; k < view->key_count && status == STATUS_OK; k++) {
        if (key->fields[k].type == TYPE_NONE)
            status = error_set (error, STATUS_INVALID, "the key lacks field '%s'",
                                view_key_field (view, k)->name);
        else if (key->fields[k].null)
            status = error_set (error, STATUS_INVALID, "key field '%s' is null",
                                view_key_field (view, k)->name);
        else
            key_put (bytes, &key->fields[k]);
    }
    if (status == STATUS_OK && bytes->bad)
        status = error_set (error, STATUS_TOO_LARGE, "a key is over %d bytes", KEY_SIZE_MAX);
    if (status == STATUS_OK)
        key->key = arena_text (query->arena, (text_t){ .data = (const char *)bytes->data,
                                                       .size = (uint32_t)bytes->size });
    return status;
}

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
static status_t take_key (serving_core_t *self, query_t *query, const wire_list_t *keys,
                          const wire_list_t *requests, uint32_t at, buf_t *bytes, error_t *error)
{
    query_key_t *key = &query->keys[at];
    status_t status = read_key (query, &keys->items[at], key, bytes, error);
    if (status == STATUS_OK && requests->count > 0)
        status =
            given_request (query->view, &requests->items[at], query->arena, &key->request, error);
    if (status != STATUS_OK)
        return keys->count > 1 ? error_prefix (error, "key %u", at + 1) : status;
    key->answers = arena_zero (query->arena, query->plans_count, sizeof (answer_t *));
    query_new_answers (query, key);
    query->keys_count++;
    query_measure (query, key, self->options.query_memory);
    return query->too_large ? reply_too_large (self, query, error) : STATUS_OK;
}

static status_t read_keys (serving_core_t *self, query_t *query, const wire_value_t *body,
                           error_t *error)
{
    wire_list_t keys = wire_list (body, "keys");
    wire_list_t times = wire_list (body, "as_ofs");
    wire_list_t requests = wire_list (body, "request");
    bool own_times = wire_has (body, "as_ofs");
    int64_t before = wire_bool (body, "before", false) ? 1 : 0;
    int64_t as_of;
    status_t status = read_as_of (self, body, &as_of, error);
    if (status != STATUS_OK)
        return status;
    if (keys.count > WIRE_KEYS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%u keys, over the limit of %d in one query",
                          keys.count, WIRE_KEYS_MAX);
    if (own_times && times.count != keys.count)
        return error_set (error, STATUS_INVALID, "%u keys, but %u as-of times", keys.count,
                          times.count);
    if (wire_has (body, "request") && requests.count != keys.count)
        return error_set (error, STATUS_INVALID, "%u keys, but the request values of %u",
                          keys.count, requests.count);
    query->keys = arena_zero (query->arena, keys.count, sizeof *query->keys);
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    for (uint32_t i = 0; i < keys.count && status == STATUS_OK; i++) {
        query_key_t *key = &query->keys[i];
        key->as_of = own_times ? wire_item_int (&times.items[i]) : as_of;
        status = check_as_of (key->as_of, error);
        key->as_of -= before;
        if (status != STATUS_OK && keys.count > 1)
            status = error_prefix (error, "key %u", i + 1);
        if (status == STATUS_OK)
            status = take_key (self, query, &keys, &requests, i, &bytes, error);
    }
    buf_release (&bytes);
    return status;
}

static void name_parts (query_t *query)
{
    for (size_t i = 0; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        char name[KEYED_LOG_NAME_MAX + 32];
        int size = snprintf (name, sizeof name, "%s/%" PRIu32, query->plans[part->source]->log_name,
                             part->partition);
        part->name = arena_string (query->arena, (text_t){ name, (uint32_t)size });
    }
}

/* A key is in the same partition of every log. */
static void repeat_parts (query_t *query)
{
    size_t count = query->parts_count;
    for (size_t s = 1; s < query->plans_count; s++)
        for (size_t i = 0; i < count; i++) {
            query_part_t *part = &query->parts[query->parts_count++];
            *part = query->parts[i];
            part->source = (uint32_t)s;
        }
}

/* Keys by partition, in the order in which each partition is met first; for each source. */
static void make_parts (serving_core_t *self, query_t *query)
{
    uint32_t partitions = self->options.partitions;
    uint32_t *part_of = arena_alloc (query->arena, partitions * sizeof *part_of);
    uint32_t *last = arena_alloc (query->arena, query->keys_count * sizeof *last);
    memset (part_of, 0xff, partitions * sizeof *part_of);
    size_t most = query->keys_count < partitions ? query->keys_count : partitions;
    query->parts = arena_zero (query->arena, query->plans_count * most, sizeof *query->parts);
    for (uint32_t i = 0; i < query->keys_count; i++) {
        query_key_t *key = &query->keys[i];
        uint32_t partition = key_partition (key_hash (key->key), partitions);
        key->next = UINT32_MAX;
        if (part_of[partition] == UINT32_MAX) {
            part_of[partition] = (uint32_t)query->parts_count++;
            query->parts[part_of[partition]] = (query_part_t){ .partition = partition, .first = i };
        } else {
            query->keys[last[part_of[partition]]].next = i;
        }
        key->part = part_of[partition];
        last[key->part] = i;
        query->parts[key->part].keys_count++;
    }
    repeat_parts (query);
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
    status_t status = resolve_view (self, query, wire_text (body, "view"), error);
    if (status == STATUS_OK)
        status = resolve_features (query, wire_list (body, "features"), error);
    if (status == STATUS_OK)
        status = read_keys (self, query, body, error);
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
    if (query->keys_count == 0)
        reply_send (self, query);
    else if (!query_must_wait (self->queries, query))
        evaluate_start (self, query);
}
