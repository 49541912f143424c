/* calls.c - the requests of docs/protocol.md that clients make, one function each. */
#include "client/lib/gets.h"

#include "base/check.h"

enum {
    APPLY_TIMEOUT_MS = 30000, /* the catalog syncs */
    PUMP_MS = 60000,
};

status_t client_status (client_t *self, message_t *reply, error_t *error)
{
    (void)client_begin (self, MESSAGE_STATUS);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_apply (client_t *self, const client_apply_t *apply, message_t *reply,
                       error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_APPLY);
    wire_field_list (writer, "files");
    for (size_t i = 0; i < apply->files_count; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "name", apply->files[i].name);
        wire_field_text (writer, "text", apply->files[i].text);
        wire_close (writer);
    }
    wire_close (writer);
    if (apply->dry_run)
        wire_field_bool (writer, "dry_run", true);
    if (apply->prune)
        wire_field_bool (writer, "prune", true);
    if (apply->message)
        wire_field_string (writer, "message", apply->message);
    if (apply->author)
        wire_field_string (writer, "author", apply->author);
    return client_call (self, CLIENT_COORDINATOR, APPLY_TIMEOUT_MS, reply, error);
}

status_t client_load (client_t *self, const client_load_t *load, message_t *reply, error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_LOAD);
    wire_field_string (writer, "stream", load->stream);
    wire_field_string (writer, "path", load->path);
    wire_field_string (writer, "id", load->id);
    wire_field_string (writer, "name", load->name);
    wire_field_string (writer, "format", load->format);
    if (load->skip)
        wire_field_bool (writer, "skip", true);
    if (load->again)
        wire_field_bool (writer, "again", true);
    if (load->ingest_time)
        wire_field_string (writer, "ingest_time", load->ingest_time);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_loads (client_t *self, const char *id, message_t *reply, error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_LOADS);
    if (id)
        wire_field_string (writer, "id", id);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_forget (client_t *self, const client_forget_t *forget, message_t *reply,
                        error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_FORGET);
    wire_field_string (writer, "stream", forget->stream);
    wire_field_string (writer, "id", forget->id);
    wire_field_map (writer, "key");
    for (size_t i = 0; i < forget->count; i++) {
        wire_key_text (writer, forget->fields[i]);
        wire_put_text (writer, forget->values[i]);
    }
    wire_close (writer);
    if (forget->before != INT64_MAX)
        wire_field_int (writer, "before", forget->before);
    if (forget->message)
        wire_field_string (writer, "message", forget->message);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_forgets (client_t *self, const char *id, message_t *reply, error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_FORGETS);
    if (id)
        wire_field_string (writer, "id", id);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_recompute (client_t *self, const char *stream, bool full, message_t *reply,
                           error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_RECOMPUTE);
    if (stream)
        wire_field_string (writer, "stream", stream);
    if (full)
        wire_field_bool (writer, "full", true);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_recomputes (client_t *self, const uint64_t *ids, size_t count, message_t *reply,
                            error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_RECOMPUTES);
    if (count > 0) {
        wire_field_list (writer, "ids");
        for (size_t i = 0; i < count; i++)
            wire_put_uint (writer, ids[i]);
        wire_close (writer);
    }
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_skew (client_t *self, const client_skew_t *skew, message_t *reply, error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_SKEW);
    if (skew->id != 0)
        wire_field_uint (writer, "id", skew->id);
    if (skew->name)
        wire_field_string (writer, "name", skew->name);
    if (skew->id == 0)
        wire_field_int (writer, "since", skew->since);
    if (skew->training)
        wire_field_string (writer, "training", skew->training);
    return client_call (self, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, reply, error);
}

status_t client_backup (client_t *self, uint64_t id, bool end, message_t *reply, error_t *error)
{
    wire_writer_t *writer = client_begin (self, MESSAGE_BACKUP);
    if (id != 0)
        wire_field_uint (writer, "id", id);
    if (end)
        wire_field_bool (writer, "end", true);
    return client_call (self, CLIENT_COORDINATOR, APPLY_TIMEOUT_MS, reply, error);
}

static void put_keys (wire_writer_t *writer, const client_get_t *get)
{
    wire_field_list (writer, "keys");
    for (size_t row = 0; row < get->keys_count; row++) {
        wire_open_map (writer);
        for (size_t i = 0; i < get->fields_count; i++) {
            wire_key_text (writer, get->fields[i]);
            wire_put_value (writer, &get->keys[row * get->fields_count + i]);
        }
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_request (wire_writer_t *writer, const client_get_t *get)
{
    if (get->request_fields_count == 0)
        return;
    wire_field_list (writer, "request");
    for (size_t row = 0; row < get->keys_count; row++) {
        wire_open_map (writer);
        for (size_t i = 0; i < get->request_fields_count; i++) {
            wire_key_text (writer, get->request_fields[i]);
            wire_put_value (writer, &get->request[row * get->request_fields_count + i]);
        }
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_options (wire_writer_t *writer, const client_get_t *get)
{
    if (get->features_count > 0) {
        wire_field_list (writer, "features");
        for (size_t i = 0; i < get->features_count; i++)
            wire_put_text (writer, get->features[i]);
        wire_close (writer);
    }
    if (get->as_ofs) {
        wire_field_list (writer, "as_ofs");
        for (size_t i = 0; i < get->keys_count; i++)
            wire_put_int (writer, get->as_ofs[i]);
        wire_close (writer);
    } else if (get->as_of) {
        wire_field_string (writer, "as_of", get->as_of);
    }
    if (get->before)
        wire_field_bool (writer, "before", true);
    if (get->deadline_ms > 0)
        wire_field_uint (writer, "deadline_ms", get->deadline_ms);
    if (get->refuse_incomplete)
        wire_field_bool (writer, "refuse_incomplete", true);
    if (get->part)
        wire_field_string (writer, "part", get->part);
}

void client_put_get (wire_writer_t *writer, const client_get_t *get)
{
    wire_field_string (writer, "view", get->view);
    put_keys (writer, get);
    put_request (writer, get);
    put_options (writer, get);
}

status_t client_check_results (const wire_value_t *body, size_t keys, error_t *error)
{
    wire_list_t results = wire_list (body, "results");
    uint32_t features = wire_list (body, "features").count;
    bool good = results.count == keys && wire_list (body, "types").count == features;
    for (uint32_t i = 0; i < results.count && good; i++)
        good = wire_list (&results.items[i], "values").count == features;
    return good ? STATUS_OK
                : error_set (error, STATUS_CORRUPT, "the answer does not fit the question");
}

/* ---- one query, waited for ---- */

typedef struct single {
    bool over;
    status_t status;
    message_t *reply;
    error_t *error;
} single_t;

static void single_done (void *arg, uint64_t tag, const message_t *reply, const error_t *error)
{
    client_t *self = arg;
    single_t *single = (single_t *)(uintptr_t)tag;
    single->over = true;
    single->status = error->status;
    if (reply)
        *single->reply = *reply;
    else
        *single->error = *error;
    self->halted = true; /* the reply stays valid */
}

status_t client_get (client_t *self, const client_get_t *get, message_t *reply, error_t *error)
{
    CHECK (get->keys_count <= WIRE_KEYS_MAX);
    single_t single = { .reply = reply, .error = error };
    if (!self->single)
        self->single = gets_new (self, 1, single_done, self);
    status_t status = gets_submit (self->single, get, (uintptr_t)&single, error);
    while (status == STATUS_OK && !single.over)
        status = session_pump (self, PUMP_MS, error);
    if (!single.over)
        gets_destroy (&self->single); /* it must not end later */
    return single.over ? single.status : status;
}
