/* What a `get` is answered: when its parts are as done as they will be, all is finalised and
 * written, or refused. */
#include "serving/node.h"

#include <inttypes.h>
#include <stdio.h>

static bool part_complete (const query_part_t *part)
{
    return part->state == PART_DONE && !part->slow && !part->slow_failed && !part->filling;
}

/* `at` is the key's place among those whose outcomes these are. */
static void write_values (serving_core_t *self, const query_t *query, const outcome_t *outcomes,
                          size_t at)
{
    wire_writer_t *writer = self->writer;
    bool failed = false;
    wire_field_list (writer, "values");
    for (size_t i = 0; i < query->features_count; i++) {
        const outcome_t *outcome = outcome_of (query->task, outcomes, at, i);
        wire_put_value (writer, &outcome->value);
        failed = failed || outcome->error;
    }
    wire_close (writer);
    if (!failed)
        return;
    wire_field_map (writer, "errors");
    for (size_t i = 0; i < query->features_count; i++) {
        const outcome_t *outcome = outcome_of (query->task, outcomes, at, i);
        if (outcome->error)
            wire_field_string (writer, query->plan->features[query->features[i]].name,
                               outcome->error);
    }
    wire_close (writer);
}

/* Does the key lack nothing in the log of a source? */
static bool source_complete (const query_t *query, const query_key_t *key, size_t source)
{
    return part_complete (query_part_of (query, key, source)) && (key->lost >> source & 1) == 0;
}

static const char *why_incomplete (const query_part_t *part)
{
    if (part->lost)
        return part->reason;
    if (part->state == PART_DONE && part->slow)
        return "history was not read before the deadline";
    if (part->state == PART_DONE && !part->slow_failed)
        return "the view's key is new: events of before are on their way to it";
    return part->reason[0] ? part->reason : "its owner did not answer before the deadline";
}

static bool key_complete (const query_t *query, const query_key_t *key)
{
    for (size_t s = 0; s < query->plans_count; s++)
        if (!source_complete (query, key, s))
            return false;
    return true;
}

static void write_incomplete (serving_core_t *self, const query_t *query, const query_key_t *key)
{
    wire_field_list (self->writer, "incomplete");
    for (size_t s = 0; s < query->plans_count; s++) {
        const query_part_t *part = query_part_of (query, key, s);
        if (source_complete (query, key, s))
            continue;
        wire_open_map (self->writer);
        wire_field_string (self->writer, "log", part->name);
        wire_field_string (self->writer, "reason", why_incomplete (part));
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

static void write_positions (serving_core_t *self, const query_t *query, const query_key_t *key)
{
    wire_field_map (self->writer, "positions");
    for (size_t s = 0; s < query->plans_count; s++) {
        const query_part_t *part = query_part_of (query, key, s);
        wire_field_uint (self->writer, part->name,
                         part->state == PART_DONE ? part->position
                                                  : part->dataset->parts[part->partition].cut);
    }
    wire_close (self->writer);
}

static void write_dataset (serving_core_t *self, const query_t *query, const query_key_t *key)
{
    char names[SOURCES_MAX * sizeof ((dataset_t *)NULL)->id];
    size_t size = 0;
    if (query->plans_count == 1) {
        wire_field_string (self->writer, "dataset", query_part_of (query, key, 0)->dataset->id);
        return;
    }
    for (size_t s = 0; s < query->plans_count; s++)
        size += (size_t)snprintf (names + size, sizeof names - size, "%s%s", s > 0 ? "," : "",
                                  query_part_of (query, key, s)->dataset->id);
    wire_field_string (self->writer, "dataset", names);
}

static void write_result (serving_core_t *self, const query_t *query, const query_key_t *key,
                          const outcome_t *outcomes, size_t at)
{
    wire_writer_t *writer = self->writer;
    const view_t *view = query->view;
    wire_open_map (writer);
    wire_field_map (writer, "key");
    for (size_t i = 0; i < view->key_count; i++) {
        wire_key (writer, view_key_field (view, i)->name);
        wire_put_value (writer, &key->fields[i]);
    }
    wire_close (writer);
    write_values (self, query, outcomes, at);
    wire_field_int (writer, "as_of", key->as_of);
    wire_field_bool (writer, "complete", key_complete (query, key));
    write_positions (self, query, key);
    write_dataset (self, query, key);
    if (!key_complete (query, key))
        write_incomplete (self, query, key);
    wire_close (writer);
}

status_t reply_too_large (serving_core_t *self, const query_t *query, error_t *error)
{
    if (query->no_room) {
        self->metrics.busy++;
        return error_set_retry (error, STATUS_BUSY, query_retry_ms (self->queries),
                                "the queries under way hold %zu MiB, the limit (limits: "
                                "serving_memory); ask again later",
                                self->options.node_memory >> 20);
    }
    return error_set (error, STATUS_TOO_LARGE,
                      "the states of these keys take over %zu KiB; ask for fewer keys or features "
                      "at a time",
                      self->options.query_memory >> 10);
}

static bool refuse (serving_core_t *self, query_t *query)
{
    if (query->waits) {
        error_t error;
        self->metrics.refused++;
        self->metrics.busy++;
        (void)error_set_retry (&error, STATUS_BUSY, query_retry_ms (self->queries),
                               "%d earlier queries of this client took until the deadline of this "
                               "one; ask for less at a time",
                               QUERIES_AT_ONCE);
        serving_send_error (self, &query->from, query->client_id, &error);
        return true;
    }
    if (query->too_large) {
        error_t error;
        self->metrics.refused++;
        (void)reply_too_large (self, query, &error);
        serving_send_error (self, &query->from, query->client_id, &error);
        return true;
    }
    for (size_t i = 0; i < query->parts_count; i++) {
        const query_part_t *part = &query->parts[i];
        if (part_complete (part) && !part->lost)
            continue;
        self->metrics.incomplete++;
        if (!query->refuse_incomplete)
            return false;
        error_t error;
        error_set (&error, STATUS_UNAVAILABLE, "%s: %s", part->name, why_incomplete (part));
        serving_send_error (self, &query->from, query->client_id, &error);
        return true;
    }
    return false;
}

/* Some keys at a time, so that what is made for them can be forgotten. */
static void write_results (serving_core_t *self, const query_t *query)
{
    size_t most = outcome_task_keys (query->task);
    outcome_key_t *keys = arena_zero (query->arena, most, sizeof *keys);
    for (size_t from = 0; from < query->keys_count; from += most) {
        size_t count = query->keys_count - from < most ? query->keys_count - from : most;
        for (size_t i = 0; i < count; i++) {
            const query_key_t *key = &query->keys[from + i];
            keys[i] = (outcome_key_t){ key->answers[0], key->as_of, key->request, NULL };
        }
        arena_reset (self->outcomes);
        const outcome_t *outcomes = outcome_compute (query->task, keys, count, self->outcomes);
        for (size_t i = 0; i < count; i++)
            write_result (self, query, &query->keys[from + i], outcomes, i);
    }
}

static void write_reply (serving_core_t *self, const query_t *query)
{
    wire_writer_t *writer = self->writer;
    char version[16];
    snprintf (version, sizeof version, "v%u", query->plan->version);
    wire_begin (writer, MESSAGE_GET_OK, query->client_id);
    wire_field_string (writer, "view", query->plan->view);
    wire_field_string (writer, "version", version);
    wire_field_list (writer, "features");
    for (size_t i = 0; i < query->features_count; i++)
        wire_put_string (writer, query->plan->features[query->features[i]].name);
    wire_close (writer);
    wire_field_list (writer, "types");
    for (size_t i = 0; i < query->features_count; i++)
        wire_put_string (writer, query->plan->features[query->features[i]].type_text);
    wire_close (writer);
    wire_field_list (writer, "results");
    write_results (self, query);
    wire_close (writer);
}

/* Of a union: what the other sources hold of each key, merged into the first's. */
static status_t join_sources (const query_t *query, error_t *error)
{
    if (query->plans_count == 1)
        return STATUS_OK;
    status_t status = STATUS_OK;
    buf_t partials;
    buf_init (&partials, ANSWER_ENCODED_MAX);
    for (size_t i = 0; i < query->keys_count; i++)
        for (size_t s = 1; s < query->plans_count && status == STATUS_OK; s++) {
            buf_clear (&partials);
            answer_encode (query->keys[i].answers[s], &partials);
            reader_t reader = reader_of (partials.data, partials.size);
            status = partials.bad
                         ? error_set (error, STATUS_TOO_LARGE,
                                      "the states of one key are over %d bytes", ANSWER_ENCODED_MAX)
                         : answer_merge (query->keys[i].answers[0], &reader, error);
        }
    buf_release (&partials);
    return status;
}

static bool refuse_unjoined (serving_core_t *self, query_t *query)
{
    error_t error;
    if (join_sources (query, &error) == STATUS_OK)
        return false;
    self->metrics.refused++;
    serving_send_error (self, &query->from, query->client_id, &error);
    return true;
}

void reply_send (serving_core_t *self, query_t *query)
{
    const void *data;
    size_t size;
    error_t error;
    if (!refuse (self, query) && !refuse_unjoined (self, query)) {
        write_reply (self, query);
        if (wire_end (self->writer, &data, &size)) {
            self->env->send (self->env, &query->from, data, size);
        } else {
            self->metrics.refused++;
            error_set (&error, STATUS_TOO_LARGE,
                       "the answer is over the limit of a message; ask for fewer keys at a time");
            serving_send_error (self, &query->from, query->client_id, &error);
        }
    }
    query_took (self->queries, query, self->env->boot_us (self->env));
    query_free (self->queries, query);
}
