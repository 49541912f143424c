#include "client/cli/result_table.h"

#include "base/decimal.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "client/cli/terminal.h"

#include <inttypes.h>

enum {
    VALUES_CHUNK = 16 << 10,
    COLLECTION_MAX = 120 /* bytes of a list or map in a table; JSON has all of it */
};

/* As JSON, with the last bracket replaced when some of it is left out. */
static void put_some (const value_t *value, size_t shown, size_t count, buf_t *out)
{
    value_list_t list;
    value_map_t map;
    value_t some = *value;
    if (value->type == TYPE_LIST) {
        list = *value->list;
        list.count = shown;
        some.list = &list;
    } else {
        map = *value->map;
        map.count = shown;
        some.map = &map;
    }
    client_value_json (&some, out);
    if (shown == count || out->size == 0)
        return;
    out->size--;
    buf_printf (out, ", ... %zu in all%s", count, value->type == TYPE_LIST ? "]" : "}");
}

/* The first items, as many as fit; at least one. */
static void put_collection (const value_t *value, buf_t *out)
{
    size_t count = value->type == TYPE_LIST ? value->list->count : value->map->count;
    size_t start = out->size;
    size_t fit = count < COLLECTION_MAX ? count : COLLECTION_MAX; /* no item is shorter */
    size_t least = 1;
    while (least < fit) { /* the most of which as much fits */
        size_t middle = least + (fit - least + 1) / 2;
        put_some (value, middle, middle, out);
        bool fits = out->size - start <= COLLECTION_MAX;
        out->size = start;
        if (fits)
            least = middle;
        else
            fit = middle - 1;
    }
    put_some (value, least < count ? least : count, count, out);
}

/* As in JSON, but strings, times and decimals without quotes, null as a dash, and what is long
 * shortened. */
static void put_value (const value_t *value, buf_t *out)
{
    if (value->null)
        buf_put_u8 (out, '-');
    else if (value->type == TYPE_STRING)
        buf_put (out, value->s.data, value->s.size);
    else if (value->type == TYPE_TIMESTAMP)
        time_format (out, value->i);
    else if (type_is_decimal (value->type))
        decimal_format (out, value->d, type_scale (value->type));
    else if (value->type == TYPE_LIST || value->type == TYPE_MAP)
        put_collection (value, out);
    else
        client_value_json (value, out);
}

/* A value of a key, which has no type of its own in a reply. */
static void put_key_value (const wire_value_t *value, buf_t *out)
{
    if (value->type == MSGPACK_OBJECT_STR)
        buf_put (out, value->via.str.ptr, value->via.str.size);
    else
        client_any_json (value, out);
}

/* Each field after a comma; a global view's key has none. */
static void put_key (const wire_value_t *key, buf_t *out)
{
    for (uint32_t i = 0; i < key->via.map.size; i++) {
        buf_put_string (out, ", ");
        put_key_value (&key->via.map.ptr[i].key, out);
        buf_put_u8 (out, '=');
        put_key_value (&key->via.map.ptr[i].val, out);
    }
}

/* Most reasons begin with the feature's name: it is not said twice. */
static void put_error (const wire_value_t *feature, const wire_value_t *reason, buf_t *out)
{
    size_t start = out->size;
    put_key_value (feature, out);
    buf_put_string (out, ": ");
    size_t named = out->size;
    put_key_value (reason, out);
    size_t size = named - start;
    if (!out->bad && out->size - named >= size &&
        memcmp (out->data + start, out->data + named, size) == 0) {
        memmove (out->data + start, out->data + named, out->size - named);
        out->size -= size;
    }
    buf_put_u8 (out, '\n');
}

/* Of whom no event is known, or none that is young enough: what stands there is not what it would
 * be of others. */
static void put_presence (const wire_value_t *body, const wire_value_t *result, buf_t *out)
{
    wire_list_t roles = wire_list (body, "roles"), latest = wire_list (result, "latest");
    wire_list_t expired = wire_list (result, "expired");
    bool complete = wire_bool (result, "complete", false);
    for (uint32_t r = 0; complete && r < roles.count && r < latest.count; r++)
        if (wire_item_int (&latest.items[r]) == CLIENT_NEVER)
            buf_printf (out, "never seen: " TEXT_FORMAT " has no event of this key by then\n",
                        TEXT_ARGS (wire_item_text (&roles.items[r])));
    for (uint32_t i = 0; i < expired.count; i++) {
        uint64_t role = wire_item_uint (&expired.items[i]);
        if (role >= roles.count || role >= latest.count)
            continue;
        buf_printf (out, "expired: " TEXT_FORMAT ": the latest event, of ",
                    TEXT_ARGS (wire_item_text (&roles.items[role])));
        time_format (out, wire_item_int (&latest.items[role]));
        buf_put_string (out, ", is older than the view's ttl\n");
    }
}

static void put_remarks (const wire_value_t *result, buf_t *out)
{
    wire_list_t incomplete = wire_list (result, "incomplete");
    const wire_value_t *errors = wire_map (result, "errors");
    for (uint32_t i = 0; i < incomplete.count; i++) {
        text_t log = wire_text (&incomplete.items[i], "log");
        text_t reason = wire_text (&incomplete.items[i], "reason");
        buf_printf (out, "incomplete: " TEXT_FORMAT ": " TEXT_FORMAT "\n", TEXT_ARGS (log),
                    TEXT_ARGS (reason));
    }
    for (uint32_t i = 0; errors && i < errors->via.map.size; i++) {
        buf_put_string (out, "error: ");
        put_error (&errors->via.map.ptr[i].key, &errors->via.map.ptr[i].val, out);
    }
}

/* Which maps lack keys. */
static void put_capped (const wire_value_t *body, uint32_t result, arena_t *arena, buf_t *out)
{
    wire_list_t names = wire_list (body, "features");
    for (uint32_t i = 0; i < names.count; i++) {
        value_t value = client_result_value (body, result, i, arena);
        if (!client_value_capped (&value))
            continue;
        text_t name = wire_item_text (&names.items[i]);
        buf_printf (out,
                    "capped: " TEXT_FORMAT ": there are more keys than the %zu kept; all have "
                    "%" PRIu64 " rows\n",
                    TEXT_ARGS (name), value.map->count, value.map->total);
    }
}

static void add_value (table_t *table, const value_t *value, buf_t *text)
{
    buf_clear (text);
    put_value (value, text);
    table_add (table, (text_t){ (const char *)text->data, (uint32_t)text->size });
}

void result_page (const wire_value_t *body, uint32_t result, buf_t *out)
{
    static const char *const heads[] = { "FEATURE", "VALUE", NULL };
    wire_list_t names = wire_list (body, "features");
    const wire_value_t *one = &wire_list (body, "results").items[result];
    buf_t text;
    buf_init (&text, 1 << 20);
    buf_printf (out, TEXT_FORMAT " " TEXT_FORMAT, TEXT_ARGS (wire_text (body, "view")),
                TEXT_ARGS (wire_text (body, "version")));
    put_key (wire_map (one, "key"), out);
    buf_put_string (out, ", as of ");
    time_format (out, wire_int (one, "as_of", 0));
    buf_put_string (out, wire_bool (one, "complete", false) ? "\n" : ", INCOMPLETE\n");
    table_t *table = table_new (heads);
    arena_t *arena = arena_new (VALUES_CHUNK);
    for (uint32_t i = 0; i < names.count; i++) {
        value_t value = client_result_value (body, result, i, arena);
        table_add (table, wire_item_text (&names.items[i]));
        add_value (table, &value, &text);
    }
    table_format (table, out);
    table_destroy (&table);
    put_capped (body, result, arena, out);
    put_presence (body, one, out);
    put_remarks (one, out);
    arena_destroy (&arena);
    buf_release (&text);
}

static char *head_of (text_t name, bool right)
{
    return mem_format ("%s" TEXT_FORMAT, right ? ">" : "", TEXT_ARGS (name));
}

static bool is_right (text_t type)
{
    return text_is (type, "int64") || text_is (type, "float64") ||
           type_is_decimal (type_from_word (type));
}

/* The fields of the key, the features, and what is wrong. */
static table_t *table_of (const wire_value_t *body, uint32_t key_fields)
{
    wire_list_t names = wire_list (body, "features"), types = wire_list (body, "types");
    const wire_value_t *key = wire_map (wire_list (body, "results").items, "key");
    uint32_t count = key_fields + names.count + 1;
    char **heads = mem_zero (count + 1, sizeof *heads);
    for (uint32_t i = 0; i < key_fields; i++)
        heads[i] = head_of (wire_item_text (&key->via.map.ptr[i].key), false);
    for (uint32_t i = 0; i < names.count; i++)
        heads[key_fields + i] =
            head_of (wire_item_text (&names.items[i]), is_right (wire_item_text (&types.items[i])));
    heads[count - 1] = mem_string ("");
    table_t *table = table_new ((const char *const *)heads);
    for (uint32_t i = 0; i < count; i++)
        mem_free (heads[i]);
    mem_free (heads);
    return table;
}

void result_rows (const wire_value_t *body, buf_t *out)
{
    wire_list_t results = wire_list (body, "results");
    if (results.count == 0)
        return;
    uint32_t features = wire_list (body, "features").count;
    uint32_t key_fields = wire_map (results.items, "key")->via.map.size;
    table_t *table = table_of (body, key_fields);
    arena_t *arena = arena_new (VALUES_CHUNK);
    buf_t text;
    buf_init (&text, 1 << 20);
    for (uint32_t r = 0; r < results.count; r++) {
        const wire_value_t *one = &results.items[r];
        const wire_value_t *key = wire_map (one, "key");
        const wire_value_t *errors = wire_map (one, "errors");
        bool capped = false;
        arena_reset (arena);
        for (uint32_t i = 0; i < key_fields; i++) {
            buf_clear (&text);
            if (i < key->via.map.size)
                put_key_value (&key->via.map.ptr[i].val, &text);
            table_add (table, (text_t){ (const char *)text.data, (uint32_t)text.size });
        }
        for (uint32_t i = 0; i < features; i++) {
            value_t value = client_result_value (body, r, i, arena);
            add_value (table, &value, &text);
            capped = capped || client_value_capped (&value);
        }
        if (!wire_bool (one, "complete", false))
            table_add (table, text_of ("incomplete"));
        else if (errors && errors->via.map.size > 0)
            table_add (table, text_of ("error"));
        else
            table_add (table, text_of (capped ? "capped" : ""));
    }
    arena_destroy (&arena);
    table_format (table, out);
    table_destroy (&table);
    buf_release (&text);
}
