/* Somebody asks that an entity be erased: checked, written down, accepted. */
#include "coordinator/forgets.h"
#include "intake/given.h"

#include <string.h>

bool forget_is_id (text_t id)
{
    for (uint32_t i = 0; i < id.size; i++)
        if (id.data[i] == '\0' || !strchr ("0123456789abcdef", id.data[i]))
            return false;
    return id.size == FORGET_ID_SIZE;
}

static void show_value (buf_t *out, const wire_value_t *given)
{
    if (given->type == MSGPACK_OBJECT_STR)
        buf_put (out, given->via.str.ptr, given->via.str.size);
    else if (given->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        buf_printf (out, "%" PRIu64, given->via.u64);
    else if (given->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        buf_printf (out, "%" PRId64, given->via.i64);
    else if (given->type == MSGPACK_OBJECT_BOOLEAN)
        buf_put_string (out, given->via.boolean ? "true" : "false");
    else
        buf_printf (out, "%.17g", given->via.f64);
}

static const wire_value_t *field_of (const wire_value_t *map, const char *name)
{
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (text_is (wire_item_text (&map->via.map.ptr[i].key), name))
            return &map->via.map.ptr[i].val;
    return NULL;
}

static status_t read_field (forget_t *forget, const field_t *field, const wire_value_t *map,
                            buf_t *key, buf_t *shown, error_t *error)
{
    const wire_value_t *given = field_of (map, field->name);
    value_t value = { .null = true };
    if (given) {
        status_t status = given_value (field, "key field", given, forget->arena, &value, error);
        if (status != STATUS_OK)
            return status;
    }
    if (value.null)
        return error_set (error, STATUS_INVALID, "the stream's key needs a value for %s",
                          field->name);
    key_put (key, &value);
    buf_printf (shown, "%s%s=", shown->size > 0 ? " " : "", field->name);
    show_value (shown, given);
    return STATUS_OK;
}

/* All fields of the stream's own key, and no others. */
static status_t read_key (coordinator_core_t *self, forget_t *forget, const stream_t *stream,
                          const wire_value_t *map, error_t *error)
{
    keyed_log_t log;
    if (!keyed_log_find (self->definitions, text_of (stream->log_name), &log) || log.key_count == 0)
        return error_set (error, STATUS_INVALID,
                          "stream %s has one global entity; `weir delete` is for the whole stream",
                          stream->name);
    buf_t key;
    buf_t shown;
    buf_init (&key, 2 * KEY_SIZE_MAX);
    buf_init (&shown, 8 * KEY_SIZE_MAX);
    status_t status = STATUS_OK;
    for (size_t i = 0; i < log.key_count && status == STATUS_OK; i++)
        status = read_field (forget, &stream->fields[log.key[i]], map, &key, &shown, error);
    if (status == STATUS_OK && map->via.map.size != log.key_count)
        status = error_set (error, STATUS_INVALID,
                            "an entity of stream %s is named by its own key and nothing else: %.*s",
                            stream->name, (int)shown.size, (const char *)shown.data);
    if (status == STATUS_OK && (key.bad || key.size > KEY_SIZE_MAX || shown.bad))
        status =
            error_set (error, STATUS_TOO_LARGE, "no key is longer than %d bytes", KEY_SIZE_MAX);
    if (status == STATUS_OK) {
        forget->key = arena_text (forget->arena, (text_t){ (char *)key.data, (uint32_t)key.size });
        forget->shown =
            arena_string (forget->arena, (text_t){ (char *)shown.data, (uint32_t)shown.size });
        forget->partition = key_partition (key_hash (forget->key), self->options.partitions);
    }
    buf_release (&key);
    buf_release (&shown);
    return status;
}

/* Loads that were begun before: what they bring is forgotten, too. */
static const char *loads_before (const coordinator_core_t *self, const forget_t *forget)
{
    buf_t ids;
    buf_init (&ids, (size_t)LOADS_MAX * 64);
    for (size_t i = 0; i < self->loads_count; i++)
        if (self->loads[i]->state < LOAD_WAITING &&
            strcmp (self->loads[i]->row.stream, forget->row.stream) == 0)
            buf_printf (&ids, "%s ", self->loads[i]->row.id);
    CHECK (!ids.bad);
    const char *text =
        arena_string (forget->arena, (text_t){ (char *)ids.data, (uint32_t)ids.size });
    buf_release (&ids);
    return text;
}

static size_t pending_count (const coordinator_core_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->forgets_count; i++)
        count += !forget_is_over (self->forgets[i]);
    return count;
}

static status_t check_request (coordinator_core_t *self, const wire_value_t *body,
                               const stream_t **stream, error_t *error)
{
    text_t name = wire_text (body, "stream");
    *stream = definitions_stream (self->definitions, name);
    if (!*stream)
        return definitions_no_stream (self->definitions, name, error);
    if (!forget_is_id (wire_text (body, "id")))
        return error_set (error, STATUS_INVALID, "a forget's id is %d digits of lower-case hex",
                          FORGET_ID_SIZE);
    if (pending_count (self) >= FORGETS_PENDING_MAX)
        return error_set (error, STATUS_BUSY,
                          "%d entities are being erased, the most there can be at a time; "
                          "`weir forgets` tells how far they are",
                          FORGETS_PENDING_MAX);
    return core_writable (self, error);
}

/* First that there is something, so that a key is never left that nobody knows of; then the key;
 * and only a coordinator that still leads makes it count. */
static status_t take_in (coordinator_core_t *self, forget_t *forget, error_t *error)
{
    error_t other;
    status_t status = forget_store (self, forget, FORGET_ASKED, error);
    if (status != STATUS_OK)
        return status;
    status = forget_file_write (self, forget, error);
    if (status == STATUS_OK)
        return forget_store (self, forget, FORGET_ACCEPTED, error);
    if (forget_drop_asked (self, forget->row.id, &other) != STATUS_OK)
        (void)core_failed (self, &other);
    return status;
}

static status_t make (coordinator_core_t *self, const wire_value_t *body, error_t *error)
{
    const stream_t *stream;
    status_t status = check_request (self, body, &stream, error);
    if (status != STATUS_OK)
        return status;
    forget_t *forget = forget_new ();
    char *id = core_text (wire_text (body, "id"));
    char *message = core_text (wire_text (body, "message"));
    catalog_forget_t row = { .id = id,
                             .stream = stream->name,
                             .before = wire_int (body, "before", INT64_MAX),
                             .message = message,
                             .state = "",
                             .created = self->env->clock_us (self->env),
                             .error = "",
                             .datasets = "",
                             .after = "" };
    forget_copy_row (forget, &row);
    mem_free (id);
    mem_free (message);
    forget->row.after = loads_before (self, forget);
    status = read_key (self, forget, stream, wire_map (body, "key"), error);
    if (status == STATUS_OK)
        status = take_in (self, forget, error);
    if (status != STATUS_OK) {
        forget_destroy (&forget);
        return status;
    }
    forget_add (self, forget);
    env_log (self->env, LOG_INFO, "forget %s: an entity of %s is to be erased", forget->row.id,
             forget->row.stream);
    return STATUS_OK;
}

void forget_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    text_t id = wire_text (message->body, "id");
    const forget_t *known = forget_find (self, id);
    error_t error;
    status_t status = STATUS_OK;
    if (!known)
        status = make (self, message->body, &error);
    else if (!text_is (wire_text (message->body, "stream"), known->row.stream))
        status = error_set (&error, STATUS_EXISTS, "forget " TEXT_FORMAT " is of another stream",
                            TEXT_ARGS (id));
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    wire_begin (self->writer, MESSAGE_FORGET_OK, message->id);
    wire_field_text (self->writer, "id", id);
    core_reply (self, from, message->id);
}
