/* answer.c - what came back to a query, as values that the caller owns. */
#include "client/api/state.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4 << 10, SCRATCH_CHUNK = 4 << 10, MOST_ROLES = 32 };

typedef struct entity {
    const weir_value_t *values;
    const char **errors; /* by feature; NULL: there are none */
    const char **missing;
    size_t missing_count;
    const weir_position_t *positions;
    size_t positions_count;
    const char *dataset;
    int64_t as_of;
    const int64_t *latest; /* of each role: its latest event, or CLIENT_NEVER */
    uint32_t expired;      /* bit per role: that is older than the ttl */
    bool complete;
} entity_t;

struct weir_answer {
    uint32_t magic;
    arena_t *arena;
    const char *view;
    const char **versions; /* names and versions in turn */
    size_t versions_count;
    const char *version;
    const char **names;
    const char **types;
    size_t features;
    const char **roles;
    size_t roles_count;
    const uint32_t *reads; /* bits of the roles that each feature is made of */
    entity_t *entities;
    size_t keys;
};

/* ---- values ---- */

static weir_value_t value_out (const value_t *value, arena_t *arena);

static weir_value_t text_out (weir_type_t type, text_t text, arena_t *arena)
{
    return (weir_value_t){ .type = type, .size = text.size, .as.text = arena_string (arena, text) };
}

static weir_value_t *values_out (const value_t *values, size_t count, arena_t *arena)
{
    weir_value_t *out = arena_zero (arena, count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = value_out (&values[i], arena);
    return out;
}

static weir_value_t map_out (const value_map_t *map, arena_t *arena)
{
    weir_map_t *out = arena_zero (arena, 1, sizeof *out);
    out->count = map->count;
    out->keys = values_out (map->keys, map->count, arena);
    out->values = values_out (map->values, map->count, arena);
    out->total = map->total;
    out->capped = map->capped;
    return (weir_value_t){ .type = WEIR_MAP, .size = (uint32_t)map->count, .as.map = out };
}

static weir_value_t value_out (const value_t *value, arena_t *arena)
{
    char digits[DECIMAL_TEXT_MAX];
    if (value->null)
        return weir_null ();
    switch (type_family (value->type)) {
    case TYPE_BOOL:
        return weir_bool (value->i != 0);
    case TYPE_INT64:
    case TYPE_DURATION:
        return weir_int (value->i);
    case TYPE_TIMESTAMP:
        return weir_timestamp (value->i);
    case TYPE_FLOAT64:
        return weir_float (value->f);
    case TYPE_STRING:
        return text_out (WEIR_STRING, value->s, arena);
    case TYPE_DECIMAL:
        return text_out (WEIR_DECIMAL, decimal_text (value->d, type_scale (value->type), digits),
                         arena);
    case TYPE_LIST:
        return (weir_value_t){ .type = WEIR_LIST,
                               .size = (uint32_t)value->list->count,
                               .as.items =
                                   values_out (value->list->items, value->list->count, arena) };
    case TYPE_MAP:
        return map_out (value->map, arena);
    default:
        return weir_null ();
    }
}

/* ---- what goes with them ---- */

static bool is_text (const wire_value_t *value)
{
    return value->type == MSGPACK_OBJECT_STR;
}

weir_position_t *positions_new (const wire_value_t *map, arena_t *arena, size_t *count)
{
    weir_position_t *positions = arena_zero (arena, map->via.map.size, sizeof *positions);
    *count = 0;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (!is_text (&pair->key) || pair->val.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
            continue;
        char *log = arena_string (arena, wire_item_text (&pair->key)), *end;
        char *slash = strrchr (log, '/');
        if (!slash || slash[1] < '0' || slash[1] > '9')
            continue;
        unsigned long partition = strtoul (slash + 1, &end, 10);
        if (*end != '\0' || partition > UINT32_MAX)
            continue;
        *slash = '\0';
        positions[(*count)++] = (weir_position_t){ .log = log,
                                                   .position = pair->val.via.u64,
                                                   .partition = (uint32_t)partition };
    }
    return positions;
}

typedef struct named {
    const char *name;
    size_t feature;
} named_t;

static int by_name (const void *a, const void *b)
{
    return strcmp (((const named_t *)a)->name, ((const named_t *)b)->name);
}

/* The features by name, made when the first error is met. */
static named_t *names_sorted (const weir_answer_t *self)
{
    named_t *sorted = arena_zero (self->arena, self->features, sizeof *sorted);
    for (size_t i = 0; i < self->features; i++)
        sorted[i] = (named_t){ self->names[i], i };
    qsort (sorted, self->features, sizeof *sorted, by_name);
    return sorted;
}

static void take_errors (weir_answer_t *self, entity_t *entity, const wire_value_t *errors,
                         named_t **sorted)
{
    if (!errors || errors->via.map.size == 0)
        return;
    if (!*sorted)
        *sorted = names_sorted (self);
    entity->errors = arena_zero (self->arena, self->features, sizeof *entity->errors);
    for (uint32_t i = 0; i < errors->via.map.size; i++) {
        const msgpack_object_kv *pair = &errors->via.map.ptr[i];
        if (!is_text (&pair->key) || !is_text (&pair->val))
            continue;
        named_t wanted = { .name = arena_string (self->arena, wire_item_text (&pair->key)) };
        const named_t *found = bsearch (&wanted, *sorted, self->features, sizeof wanted, by_name);
        if (found)
            entity->errors[found->feature] =
                arena_string (self->arena, wire_item_text (&pair->val));
    }
}

static void take_missing (weir_answer_t *self, entity_t *entity, wire_list_t incomplete)
{
    entity->missing = arena_zero (self->arena, incomplete.count, sizeof *entity->missing);
    entity->missing_count = incomplete.count;
    for (uint32_t i = 0; i < incomplete.count; i++) {
        text_t log = wire_text (&incomplete.items[i], "log");
        text_t reason = wire_text (&incomplete.items[i], "reason");
        size_t size = (size_t)log.size + reason.size + 3;
        char *text = arena_alloc (self->arena, size);
        snprintf (text, size, TEXT_FORMAT ": " TEXT_FORMAT, TEXT_ARGS (log), TEXT_ARGS (reason));
        entity->missing[i] = text;
    }
}

static void take_values (weir_answer_t *self, entity_t *entity, wire_list_t values,
                         wire_list_t types, arena_t *scratch)
{
    weir_value_t *out = arena_zero (self->arena, self->features, sizeof *out);
    for (size_t i = 0; i < self->features; i++) {
        value_t value =
            client_value_of (&values.items[i], wire_item_text (&types.items[i]), scratch);
        out[i] = value_out (&value, self->arena);
    }
    entity->values = out;
    arena_reset (scratch);
}

static const char **texts_out (wire_list_t list, arena_t *arena)
{
    const char **texts = arena_zero (arena, list.count, sizeof *texts);
    for (uint32_t i = 0; i < list.count; i++)
        texts[i] = arena_string (arena, wire_item_text (&list.items[i]));
    return texts;
}

static void take_versions (weir_answer_t *self, const wire_value_t *map)
{
    self->versions =
        arena_zero (self->arena, 2 * (size_t)map->via.map.size, sizeof *self->versions);
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *entry = &map->via.map.ptr[i];
        if (entry->key.type != MSGPACK_OBJECT_STR || entry->val.type != MSGPACK_OBJECT_STR)
            continue;
        const char **at = &self->versions[2 * self->versions_count++];
        at[0] = arena_string (self->arena, wire_item_text (&entry->key));
        at[1] = arena_string (self->arena, wire_item_text (&entry->val));
    }
}

/* Of one layer alone there are none. */
static void take_roles (weir_answer_t *self, wire_list_t roles, wire_list_t reads)
{
    uint32_t *bits = arena_zero (self->arena, self->features, sizeof *bits);
    self->roles = texts_out (roles, self->arena);
    self->roles_count = roles.count < MOST_ROLES ? roles.count : MOST_ROLES;
    uint64_t all = (UINT64_C (1) << self->roles_count) - 1;
    for (size_t i = 0; i < self->features && i < reads.count; i++)
        bits[i] = (uint32_t)(wire_item_uint (&reads.items[i]) & all);
    self->reads = bits;
}

static void take_latest (weir_answer_t *self, entity_t *entity, const wire_value_t *result)
{
    wire_list_t latest = wire_list (result, "latest"), expired = wire_list (result, "expired");
    int64_t *times = arena_zero (self->arena, self->roles_count, sizeof *times);
    for (size_t r = 0; r < self->roles_count; r++)
        times[r] = r < latest.count ? wire_item_int (&latest.items[r]) : CLIENT_NEVER;
    for (uint32_t i = 0; i < expired.count; i++) {
        uint64_t role = wire_item_uint (&expired.items[i]);
        if (role < self->roles_count)
            entity->expired |= UINT32_C (1) << role;
    }
    entity->latest = times;
}

weir_answer_t *api_answer_new (const wire_value_t *body)
{
    weir_answer_t *self = mem_zero (1, sizeof *self);
    arena_t *scratch = arena_new (SCRATCH_CHUNK);
    named_t *sorted = NULL;
    wire_list_t results = wire_list (body, "results"), types = wire_list (body, "types");
    self->magic = ANSWER_MAGIC;
    self->arena = arena_new (CHUNK);
    self->view = arena_string (self->arena, wire_text (body, "view"));
    self->version = arena_string (self->arena, wire_text (body, "version"));
    take_versions (self, wire_map (body, "versions"));
    self->features = types.count;
    self->names = texts_out (wire_list (body, "features"), self->arena);
    self->types = texts_out (types, self->arena);
    take_roles (self, wire_list (body, "roles"), wire_list (body, "reads"));
    self->keys = results.count;
    self->entities = arena_zero (self->arena, results.count, sizeof *self->entities);
    for (uint32_t i = 0; i < results.count; i++) {
        const wire_value_t *result = &results.items[i];
        entity_t *entity = &self->entities[i];
        take_values (self, entity, wire_list (result, "values"), types, scratch);
        take_errors (self, entity, wire_map (result, "errors"), &sorted);
        take_missing (self, entity, wire_list (result, "incomplete"));
        entity->positions =
            positions_new (wire_map (result, "positions"), self->arena, &entity->positions_count);
        entity->dataset = arena_string (self->arena, wire_text (result, "dataset"));
        entity->as_of = wire_int (result, "as_of", 0);
        entity->complete = wire_bool (result, "complete", false);
        take_latest (self, entity, result);
    }
    arena_destroy (&scratch);
    return self;
}

/* ---- the outside ---- */

void weir_answer_destroy (weir_answer_t **answer_p)
{
    weir_answer_t *self = answer_p ? *answer_p : NULL;
    if (!self)
        return;
    CHECK_OBJECT (self, ANSWER_MAGIC);
    *answer_p = NULL;
    arena_destroy (&self->arena);
    self->magic = 0;
    mem_free (self);
}

static const entity_t *entity_of (const weir_answer_t *self, size_t key)
{
    return self && key < self->keys ? &self->entities[key] : NULL;
}

size_t weir_answer_keys (const weir_answer_t *answer)
{
    return answer ? answer->keys : 0;
}

size_t weir_answer_features (const weir_answer_t *answer)
{
    return answer ? answer->features : 0;
}

const char *weir_answer_view (const weir_answer_t *answer)
{
    return answer ? answer->view : NULL;
}

const char *weir_answer_version (const weir_answer_t *answer)
{
    return answer ? answer->version : NULL;
}

const char *weir_answer_version_of (const weir_answer_t *answer, const char *name)
{
    for (size_t i = 0; answer && name && i < answer->versions_count; i++)
        if (strcmp (answer->versions[2 * i], name) == 0)
            return answer->versions[2 * i + 1];
    return NULL;
}

const char *weir_answer_feature (const weir_answer_t *answer, size_t feature)
{
    return answer && feature < answer->features ? answer->names[feature] : NULL;
}

const char *weir_answer_type (const weir_answer_t *answer, size_t feature)
{
    return answer && feature < answer->features ? answer->types[feature] : NULL;
}

const weir_value_t *weir_answer_value (const weir_answer_t *answer, size_t key, size_t feature)
{
    const entity_t *entity = entity_of (answer, key);
    return entity && feature < answer->features ? &entity->values[feature] : NULL;
}

const char *weir_answer_error (const weir_answer_t *answer, size_t key, size_t feature)
{
    const entity_t *entity = entity_of (answer, key);
    return entity && entity->errors && feature < answer->features ? entity->errors[feature] : NULL;
}

int64_t weir_answer_as_of (const weir_answer_t *answer, size_t key)
{
    const entity_t *entity = entity_of (answer, key);
    return entity ? entity->as_of : 0;
}

weir_presence_t weir_answer_presence (const weir_answer_t *answer, size_t key, size_t feature)
{
    const entity_t *entity = entity_of (answer, key);
    uint32_t reads = entity && feature < answer->features ? answer->reads[feature] : 0;
    weir_presence_t presence = reads != 0 ? WEIR_NEVER_SEEN : WEIR_SEEN;
    for (size_t r = 0; r < (entity ? answer->roles_count : 0); r++) {
        if (!(reads >> r & 1) || entity->latest[r] == CLIENT_NEVER)
            continue;
        if (!(entity->expired >> r & 1))
            return WEIR_SEEN;
        presence = WEIR_EXPIRED;
    }
    return presence;
}

bool weir_answer_event_time (const weir_answer_t *answer, size_t key, size_t feature, int64_t *time)
{
    const entity_t *entity = entity_of (answer, key);
    uint32_t reads = entity && feature < answer->features ? answer->reads[feature] : 0;
    int64_t latest = CLIENT_NEVER;
    for (size_t r = 0; r < (entity ? answer->roles_count : 0); r++)
        if ((reads >> r & 1) && entity->latest[r] > latest)
            latest = entity->latest[r];
    if (latest != CLIENT_NEVER)
        *time = latest;
    return latest != CLIENT_NEVER;
}

size_t weir_answer_roles (const weir_answer_t *answer)
{
    return answer ? answer->roles_count : 0;
}

const char *weir_answer_role (const weir_answer_t *answer, size_t role)
{
    return answer && role < answer->roles_count ? answer->roles[role] : NULL;
}

bool weir_answer_role_time (const weir_answer_t *answer, size_t key, size_t role, int64_t *time)
{
    const entity_t *entity = entity_of (answer, key);
    if (!entity || role >= answer->roles_count || entity->latest[role] == CLIENT_NEVER)
        return false;
    *time = entity->latest[role];
    return true;
}

bool weir_answer_complete (const weir_answer_t *answer, size_t key)
{
    const entity_t *entity = entity_of (answer, key);
    return entity && entity->complete;
}

const char *weir_answer_missing (const weir_answer_t *answer, size_t key, size_t i)
{
    const entity_t *entity = entity_of (answer, key);
    return entity && i < entity->missing_count ? entity->missing[i] : NULL;
}

const char *weir_answer_dataset (const weir_answer_t *answer, size_t key)
{
    const entity_t *entity = entity_of (answer, key);
    return entity ? entity->dataset : NULL;
}

size_t weir_answer_positions (const weir_answer_t *answer, size_t key)
{
    const entity_t *entity = entity_of (answer, key);
    return entity ? entity->positions_count : 0;
}

const weir_position_t *weir_answer_position (const weir_answer_t *answer, size_t key, size_t i)
{
    const entity_t *entity = entity_of (answer, key);
    return entity && i < entity->positions_count ? &entity->positions[i] : NULL;
}
