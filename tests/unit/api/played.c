#include "tests/unit/api/played.h"

#include "base/check.h"
#include "base/mem.h"
#include "client/lib/client.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_texts (wire_writer_t *writer, const char *name, const char *const *texts,
                       size_t count)
{
    wire_field_list (writer, name);
    for (size_t i = 0; i < count && texts[i]; i++)
        wire_put_string (writer, texts[i]);
    wire_close (writer);
}

static void put_list (wire_writer_t *writer)
{
    wire_open_list (writer);
    wire_put_int (writer, 1);
    wire_put_int (writer, 2);
    wire_close (writer);
}

static void put_map (wire_writer_t *writer)
{
    wire_open_map (writer);
    wire_field_list (writer, "keys");
    wire_put_string (writer, "a");
    wire_put_string (writer, "b");
    wire_close (writer);
    wire_field_list (writer, "values");
    wire_put_string (writer, "1.50");
    wire_put_nil (writer);
    wire_close (writer);
    wire_field_bool (writer, "capped", true);
    wire_field_uint (writer, "total", 9);
    wire_close (writer);
}

/* Of two roles: the second is never seen, and the first of the last key is expired. */
static void put_latest (wire_writer_t *writer, uint32_t at)
{
    wire_field_list (writer, "latest");
    wire_put_int (writer, at == 1 ? CLIENT_NEVER : 70 + at);
    wire_put_int (writer, CLIENT_NEVER);
    wire_close (writer);
    if (at < 2)
        return;
    wire_field_list (writer, "expired");
    wire_put_uint (writer, 0);
    wire_close (writer);
}

static void put_result (wire_writer_t *writer, const wire_value_t *key, uint32_t at)
{
    wire_open_map (writer);
    wire_key (writer, "key");
    wire_put_any (writer, key);
    wire_field_list (writer, "values");
    wire_put_int (writer, at);
    wire_put_float (writer, 0.5);
    wire_put_string (writer, "text");
    wire_put_bool (writer, true);
    wire_put_int (writer, 1767323045000000);
    wire_put_string (writer, "-12.50");
    put_list (writer);
    put_map (writer);
    wire_put_nil (writer);
    wire_close (writer);
    wire_field_int (writer, "as_of", 77);
    wire_field_bool (writer, "complete", at != 1);
    wire_field_map (writer, "positions");
    wire_field_uint (writer, "payments/user_id/3", 1042);
    wire_close (writer);
    wire_field_string (writer, "dataset", "d41");
    put_latest (writer, at);
    wire_field_map (writer, "errors");
    wire_field_string (writer, "none", "overflow");
    wire_close (writer);
    if (at == 1) {
        wire_field_list (writer, "incomplete");
        wire_open_map (writer);
        wire_field_string (writer, "log", "payments/user_id/3");
        wire_field_string (writer, "reason", "gone");
        wire_close (writer);
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_answer (wire_writer_t *writer, const message_t *message)
{
    static const char *const names[] = { "n", "f", "s", "b", "t", "d", "l", "m", "none" };
    static const char *const types[] = { "int64",       "float64",
                                         "string",      "bool",
                                         "timestamp",   "decimal(38,2)",
                                         "list<int64>", "map<string,decimal(38,2)>",
                                         "float64" };
    wire_list_t keys = wire_list (message->body, "keys");
    wire_begin (writer, MESSAGE_GET_OK, message->id);
    wire_field_string (writer, "view", "user_spend");
    wire_field_string (writer, "version", "v1");
    wire_field_map (writer, "versions");
    wire_field_string (writer, "user_spend", "v1");
    wire_field_string (writer, "other_view", "v3");
    wire_field_int (writer, "odd", 1);
    wire_close (writer);
    put_texts (writer, "features", names, 9);
    put_texts (writer, "types", types, 9);
    static const char *const roles[] = { "sender", "receiver" };
    put_texts (writer, "roles", roles, 2);
    wire_field_list (writer, "reads"); /* n of both, f of the second, s of none, others of one */
    for (uint32_t i = 0; i < 9; i++)
        wire_put_uint (writer, i == 0 ? 3 : i == 1 ? 2 : i == 2 ? 0 : 1);
    wire_close (writer);
    wire_field_list (writer, "results");
    for (uint32_t i = 0; i < keys.count; i++)
        put_result (writer, &keys.items[i], i);
    wire_close (writer);
}

static void put_acknowledgement (played_t *self, wire_writer_t *writer, const message_t *message)
{
    uint32_t rows = wire_list (message->body, "rows").count, refused = 0;
    unsigned step = atomic_load (&self->refuse);
    uint64_t position = 100 * wire_uint (message->body, "sequence", 0);
    wire_begin (writer, MESSAGE_SEND_OK, message->id);
    wire_field_list (writer, "refused");
    for (uint32_t i = 0; i < rows && step > 0; i += step, refused++) {
        wire_open_map (writer);
        wire_field_uint (writer, "row", i);
        wire_field_string (writer, "reason", "bad");
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_uint (writer, "accepted", rows - refused);
    wire_field_uint (writer, "refused_count", refused);
    wire_field_map (writer, "positions");
    wire_field_uint (writer, "payments/user_id/1", position);
    wire_field_uint (writer, "payments/user_id/0", 7);
    wire_close (writer);
    atomic_fetch_add (&self->rows, rows);
}

static void put_error (wire_writer_t *writer, const message_t *message, const char *word)
{
    wire_begin (writer, MESSAGE_ERROR, message->id);
    wire_field_string (writer, "status", word);
    wire_field_string (writer, "text", "as played");
    wire_field_uint (writer, "retry_ms", 3);
}

static void put_routes (const played_t *self, wire_writer_t *writer, const message_t *message)
{
    wire_begin (writer, MESSAGE_ROUTES_OK, message->id);
    wire_field_uint (writer, "version", 1);
    wire_field_uint (writer, "partitions", 4);
    wire_field_list (writer, "owners");
    wire_close (writer);
    put_texts (writer, "serving", self->serving, 4);
    put_texts (writer, "speed", self->speed, 4);
}

static const char *next_get_status (played_t *self)
{
    const char *word = atomic_load (&self->get_status);
    if (atomic_load (&self->get_status_times) > 0 &&
        atomic_fetch_sub (&self->get_status_times, 1) == 1)
        atomic_store (&self->get_status, NULL);
    return word;
}

/* A copy with a few bytes changed, or cut short; the id stays, so that it is taken for an answer.
 */
static size_t damage (played_t *self, uint8_t *bytes, size_t size)
{
    size_t first = size < 40 ? size / 2 : 24;
    for (uint64_t i = random_below (&self->random, 4); i > 0; i--)
        bytes[first + random_below (&self->random, size - first)] =
            (uint8_t)random_below (&self->random, 256);
    if (random_below (&self->random, 4) == 0)
        size = first + random_below (&self->random, size - first);
    return size;
}

static void answer_get (played_t *self, const rig_reply_t *reply, const message_t *message)
{
    const char *word = next_get_status (self);
    const void *data;
    size_t size;
    atomic_fetch_add (&self->gets, 1);
    if (word)
        put_error (reply->writer, message, word);
    else
        put_answer (reply->writer, message);
    if (random_below (&self->random, 100) >= atomic_load (&self->damage)) {
        rig_reply_send (reply);
        return;
    }
    CHECK (wire_end (reply->writer, &data, &size));
    uint8_t *copy = mem_alloc (size);
    memcpy (copy, data, size);
    size = damage (self, copy, size);
    transport_send (reply->transport, reply->to, copy, size);
    mem_free (copy);
}

static void answer_metrics (const played_t *self, const rig_reply_t *reply,
                            const message_t *message)
{
    const char *word = atomic_load (&self->get_status);
    wire_begin (reply->writer, MESSAGE_METRICS_OK, message->id);
    wire_field_map (reply->writer, "values");
    wire_field_uint (reply->writer, "queries", 12);
    wire_close (reply->writer);
    if (word)
        put_error (reply->writer, message, word);
    rig_reply_send (reply);
}

static void answer_send (played_t *self, const rig_reply_t *reply, const message_t *message)
{
    const char *word = atomic_load (&self->send_status);
    if (word)
        put_error (reply->writer, message, word);
    else
        put_acknowledgement (self, reply->writer, message);
    rig_reply_send (reply);
}

static void answer (void *arg, const rig_reply_t *reply, const message_t *message)
{
    played_t *self = arg;
    if (message->kind == MESSAGE_PING) {
        atomic_fetch_add (&self->pings, 1);
        rig_reply_pong (reply, message, "serving", self->cluster ? self->cluster : "c");
    } else if (message->kind == MESSAGE_ROUTES) {
        atomic_fetch_add (&self->routes, 1);
        put_routes (self, reply->writer, message);
        rig_reply_send (reply);
    } else if (message->kind == MESSAGE_GET) {
        answer_get (self, reply, message);
    } else if (message->kind == MESSAGE_METRICS) {
        answer_metrics (self, reply, message);
    } else {
        CHECK (message->kind == MESSAGE_SEND);
        answer_send (self, reply, message);
    }
}

void played_start (played_t *self, const char *which)
{
    random_seed (&self->random, 7);
    self->node.answer = answer;
    self->node.arg = self;
    rig_node_start (&self->node, which);
}

void played_stop (played_t *self)
{
    rig_node_stop (&self->node);
}

weir_t *played_open (const played_t *serving, const played_t *other, const played_t *speed)
{
    scratch_t scratch;
    weir_options_t options;
    weir_t *weir;
    weir_error_t error;
    scratch_make (&scratch);
    char *text = mem_format (
        "cluster: c\nnodes:\n  coordinator: ipc:///tmp/weir-api-none\n  serving: ['%s'%s%s%s]\n"
        "  speed_workers: ['%s']\n",
        serving ? serving->node.endpoint : "ipc:///tmp/weir-api-nobody", other ? ", '" : "",
        other ? other->node.endpoint : "", other ? "'" : "",
        speed ? speed->node.endpoint : "ipc:///tmp/weir-api-nobody-either");
    FILE *file = fopen (scratch_path (&scratch, "weir.yaml"), "w");
    cr_assert_not_null (file);
    cr_assert_geq (fputs (text, file), 0);
    cr_assert_eq (fclose (file), 0);
    weir_options_init (&options);
    options.project = scratch.path;
    options.gets_max = 8;
    cr_assert_eq (weir_open (&options, &weir, &error), WEIR_OK, "%s", error.text);
    mem_free (text);
    scratch_remove (&scratch);
    return weir;
}

const weir_get_t *played_get (size_t keys)
{
    static const char *const field = "user_id";
    static weir_value_t values[64];
    static char texts[64][24];
    static weir_get_t get;
    cr_assert_leq (keys, 64);
    for (size_t i = 0; i < keys; i++) {
        snprintf (texts[i], sizeof texts[i], "u%zu", i);
        values[i] = weir_string (texts[i]);
    }
    weir_get_init (&get);
    get.view = "user_spend";
    get.key_fields = &field;
    get.key_fields_count = 1;
    get.keys = values;
    get.keys_count = keys;
    return &get;
}
