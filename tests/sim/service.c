/* An answer of a service is taken apart: what each of its roles has in it is written as an answer
 * of the role's view, and checked as one. */
#include "tests/sim/service.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

enum { FEATURES_MOST = 6, LOGS_MOST = 3 /* that an entity's answer is of */ };

typedef struct role {
    const char *name;
    bool yours;  /* of the second user */
    size_t view; /* of data.c */
    const char *view_name;
    const char *features[FEATURES_MOST];
} role_t;

static const role_t roles[SERVICE_ROLES] = {
    { "left", false, 0, "spend", { "n_1m", "total_1h", "late_1m", "newest_3rows" } },
    { "right", true, 1, "counts", { "total_lifetime", "paid_1h", "by_flag_1h", "tags_1m" } },
    { "whole", false, 6, "both", { "n_1m", "late_lifetime", "newest_1h" } },
};

static const text_t *role_features (const role_t *role, size_t *count)
{
    static text_t names[SERVICE_ROLES][FEATURES_MOST];
    text_t *own = names[role - roles];
    *count = 0;
    for (size_t i = 0; i < FEATURES_MOST && role->features[i]; i++)
        own[(*count)++] = text_of (role->features[i]);
    return own;
}

void service_define (buf_t *out)
{
    buf_put_string (out, "services:\n  pair:\n    views:\n");
    for (size_t r = 0; r < SERVICE_ROLES; r++)
        buf_printf (out, "      %s: {view: %s, key: {user: %s}}\n", roles[r].name,
                    roles[r].view_name, roles[r].yours ? "yours" : "mine");
    buf_put_string (out, "    features:\n");
    for (size_t r = 0; r < SERVICE_ROLES; r++)
        for (size_t i = 0; i < FEATURES_MOST && roles[r].features[i]; i++)
            buf_printf (out, "      - \"%s:%s\"\n", roles[r].name, roles[r].features[i]);
    buf_put_string (out, "      - sum\n    derived: {sum: left.n_1m + whole.n_1m}\n");
}

void service_question_init (service_question_t *question)
{
    *question = (service_question_t){ 0 };
    for (size_t r = 0; r < SERVICE_ROLES; r++) {
        question->role[r].view = roles[r].view;
        question->role[r].features = role_features (&roles[r], &question->role[r].features_count);
    }
}

void service_question_add (service_question_t *question, text_t mine, text_t yours)
{
    for (size_t r = 0; r < SERVICE_ROLES; r++) {
        sim_question_t *role = &question->role[r];
        CHECK (role->keys_count < ASKED_KEYS_MAX);
        role->as_ofs[role->keys_count] = INT64_MIN;
        role->keys[role->keys_count++] = roles[r].yours ? yours : mine;
    }
}

/* ---- an answer's parts ---- */

static wire_value_t text_value (text_t text)
{
    return (wire_value_t){ .type = MSGPACK_OBJECT_STR, .via.str = { text.size, text.data } };
}

static wire_value_t list_of (arena_t *arena, size_t count)
{
    return (wire_value_t){ .type = MSGPACK_OBJECT_ARRAY,
                           .via.array = { (uint32_t)count,
                                          arena_zero (arena, count, sizeof (wire_value_t)) } };
}

static wire_value_t map_of (arena_t *arena, size_t most)
{
    return (wire_value_t){ .type = MSGPACK_OBJECT_MAP,
                           .via.map = { 0, arena_zero (arena, most, sizeof (msgpack_object_kv)) } };
}

static void put (wire_value_t *map, const char *name, const wire_value_t *value)
{
    map->via.map.ptr[map->via.map.size++] =
        (msgpack_object_kv){ .key = text_value (text_of (name)), .val = *value };
}

/* Where the role's features begin in an answer. */
static size_t first_of (size_t role)
{
    size_t first = 0, count;
    for (size_t r = 0; r < role; r++) {
        (void)role_features (&roles[r], &count);
        first += count;
    }
    return first;
}

/* Those of the errors that are of the role's features, under the view's names for them. */
static wire_value_t errors_of (const wire_value_t *errors, const role_t *role, arena_t *arena)
{
    wire_value_t own = map_of (arena, errors->via.map.size);
    size_t size = strlen (role->name) + 1;
    for (uint32_t i = 0; i < errors->via.map.size; i++) {
        text_t name = wire_item_text (&errors->via.map.ptr[i].key);
        if (name.size <= size || memcmp (name.data, role->name, size - 1) != 0 ||
            name.data[size - 1] != ':')
            continue;
        own.via.map.ptr[own.via.map.size++] = (msgpack_object_kv){
            .key = text_value ((text_t){ name.data + size, name.size - (uint32_t)size }),
            .val = errors->via.map.ptr[i].val
        };
    }
    return own;
}

/* The items of a list from `first` on. */
static wire_value_t some_of (const wire_value_t *list, size_t first, size_t count)
{
    wire_value_t some = *list;
    some.via.array.ptr += first;
    some.via.array.size = (uint32_t)count;
    return some;
}

static bool is_expired (const wire_value_t *result, size_t r)
{
    wire_list_t expired = wire_list (result, "expired");
    for (uint32_t i = 0; i < expired.count; i++)
        if (wire_item_uint (&expired.items[i]) == r)
            return true;
    return false;
}

static wire_value_t result_of (const wire_value_t *result, size_t r, arena_t *arena)
{
    static const char *const kept[] = { "as_of", "complete", "positions", "dataset" };
    const role_t *role = &roles[r];
    const wire_value_t *errors = wire_map (result, "errors");
    const wire_value_t *key = wire_map (result, "key");
    wire_value_t own = map_of (arena, 10), user = map_of (arena, 1);
    size_t count;
    (void)role_features (role, &count);
    const wire_value_t *named = wire_any (key, role->yours ? "yours" : "mine");
    if (named)
        put (&user, "user", named);
    put (&own, "key", &user);
    wire_value_t values = some_of (wire_any (result, "values"), first_of (r), count);
    put (&own, "values", &values);
    wire_value_t latest = some_of (wire_any (result, "latest"), r, 1);
    put (&own, "latest", &latest);
    if (is_expired (result, r))
        put (&own, "expired", wire_any (result, "expired"));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        put (&own, kept[i], wire_any (result, kept[i]));
    if (errors) {
        wire_value_t of_role = errors_of (errors, role, arena);
        put (&own, "errors", &of_role);
    }
    return own;
}

/* The role's part of the answer, as one of its view. */
static wire_value_t body_of (const wire_value_t *body, size_t r, arena_t *arena)
{
    wire_list_t results = wire_list (body, "results");
    wire_value_t own = map_of (arena, 4), list = list_of (arena, results.count), names;
    size_t count;
    const text_t *features = role_features (&roles[r], &count);
    names = list_of (arena, count);
    for (size_t i = 0; i < count; i++)
        names.via.array.ptr[i] = text_value (features[i]);
    for (uint32_t i = 0; i < results.count; i++)
        list.via.array.ptr[i] = result_of (&results.items[i], r, arena);
    wire_value_t types = some_of (wire_any (body, "types"), first_of (r), count);
    put (&own, "features", &names);
    put (&own, "types", &types);
    put (&own, "results", &list);
    return own;
}

/* ---- the whole ---- */

/* Has it just the features of the service, in their order? */
static bool check_names (sim_t *sim, const wire_value_t *body)
{
    wire_list_t names = wire_list (body, "features"), types = wire_list (body, "types");
    uint32_t at = 0;
    char name[64];
    for (size_t r = 0; r < SERVICE_ROLES; r++)
        for (size_t i = 0; i < FEATURES_MOST && roles[r].features[i]; i++, at++) {
            snprintf (name, sizeof name, "%s:%s", roles[r].name, roles[r].features[i]);
            if (at >= names.count || !text_is (wire_item_text (&names.items[at]), name))
                sim_fail (sim, "the service has no %s in place %u", name, at);
        }
    if (names.count != at + 1 || types.count != at + 1)
        sim_fail (sim, "the service is answered with %u features", names.count);
    return !sim_failed (sim);
}

static bool is_nil (const wire_value_t *value)
{
    return value->type == MSGPACK_OBJECT_NIL;
}

/* What is made of the roles, and what it stands on. */
static void check_result (sim_t *sim, const wire_value_t *result)
{
    wire_list_t values = wire_list (result, "values");
    size_t count = first_of (SERVICE_ROLES);
    if (values.count != count + 1 || wire_list (result, "latest").count != SERVICE_ROLES) {
        sim_fail (sim, "a result of the service has %u values", values.count);
        return;
    }
    if (!wire_bool (result, "complete", false))
        return;
    const wire_value_t *left = &values.items[0], *whole = &values.items[first_of (2)];
    bool null = is_nil (left) || is_nil (whole); /* where a ttl is over */
    if (is_nil (&values.items[count]) != null ||
        (!null &&
         wire_item_int (&values.items[count]) != wire_item_int (left) + wire_item_int (whole)))
        sim_fail (sim, "the service's sum is not that of its counts");
    if (wire_map (result, "positions")->via.map.size > LOGS_MOST)
        sim_fail (sim, "the service stands at more positions than it has logs");
}

void service_check (sim_check_t *check, sim_t *sim, const service_question_t *question,
                    const wire_value_t *body, bool *complete)
{
    *complete = true;
    if (!check_names (sim, body))
        return;
    wire_list_t results = wire_list (body, "results");
    for (uint32_t i = 0; i < results.count && !sim_failed (sim); i++)
        check_result (sim, &results.items[i]);
    arena_t *arena = arena_new (1 << 14);
    for (size_t r = 0; r < SERVICE_ROLES && !sim_failed (sim); r++) {
        bool all;
        wire_value_t own = body_of (body, r, arena);
        check_answer (check, &question->role[r], &own, &all);
        *complete = *complete && all;
    }
    arena_destroy (&arena);
}
