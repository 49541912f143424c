/* What a `get` is answered: when its parts are as done as they will be, all is finalised and
 * written, or refused. */
#include "serving/node.h"

#include <inttypes.h>
#include <stdio.h>

static bool part_complete (const query_part_t *part)
{
    return part->state == PART_DONE && !part->slow && !part->slow_failed && !part->filling;
}

static const plan_feature_t *feature_of (const query_t *query, size_t i)
{
    return &query->target.plan->features[query->target.features[i]];
}

/* `at` is the entity's place among those whose outcomes these are. */
static void write_values (serving_core_t *self, const query_t *query, const outcome_t *outcomes,
                          size_t at)
{
    wire_writer_t *writer = self->writer;
    bool failed = false;
    wire_field_list (writer, "values");
    for (size_t i = 0; i < query->features_count; i++) {
        const outcome_t *outcome = outcome_of (query->target.task, outcomes, at, i);
        wire_put_value (writer, &outcome->value);
        failed = failed || outcome->error;
    }
    wire_close (writer);
    if (!failed)
        return;
    wire_field_map (writer, "errors");
    for (size_t i = 0; i < query->features_count; i++) {
        const outcome_t *outcome = outcome_of (query->target.task, outcomes, at, i);
        if (outcome->error)
            wire_field_string (writer, feature_of (query, i)->name, outcome->error);
    }
    wire_close (writer);
}

/* Batch and real-time views, not one of them alone? */
static bool is_of_both (const query_t *query)
{
    return query->want_batch && query->want_realtime;
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

/* ---- the logs of an entity ---- */

/* A role has come to a log with others: at another position, or on another dataset? That is asked
 * anew, and there was no time for it. */
static void hold_together (entity_log_t *logs, size_t count, size_t at, uint64_t position,
                           const dataset_t *dataset)
{
    bool apart = position != logs[at].position;
    for (size_t i = 0; i < count; i++)
        apart = apart || (strcmp (logs[i].log_name, logs[at].log_name) == 0 &&
                          logs[i].part->dataset->number != dataset->number);
    if (position < logs[at].position)
        logs[at].position = position;
    if (!apart || !logs[at].complete)
        return;
    logs[at].complete = false;
    logs[at].reason = "roles stand at different positions of it, or on different datasets";
}

/* Those of all roles, a partition of a log once; returns how many. */
static size_t find_logs (const query_t *query, size_t entity, entity_log_t *logs)
{
    size_t count = 0;
    for (size_t r = 0; r < query->target.roles_count; r++) {
        const query_key_t *key = query_key_of (query, r, entity);
        for (size_t s = 0; s < query->target.roles[r].plans_count; s++) {
            const query_part_t *part = query_part_of (query, key, s);
            bool complete = source_complete (query, key, s);
            uint64_t position = part->state == PART_DONE
                                    ? part->position
                                    : part->dataset->parts[part->partition].cut;
            size_t at = 0;
            while (at < count && strcmp (logs[at].part->name, part->name) != 0)
                at++;
            if (at == count)
                logs[count++] = (entity_log_t){ .part = part,
                                                .log_name = query_plan_of (query, part)->log_name,
                                                .position = position,
                                                .complete = true };
            if (logs[at].complete && !complete)
                logs[at].reason = why_incomplete (part);
            logs[at].complete = logs[at].complete && complete;
            hold_together (logs, count, at, position, part->dataset);
        }
    }
    return count;
}

static void write_incomplete (serving_core_t *self, const entity_log_t *logs, size_t count)
{
    wire_field_list (self->writer, "incomplete");
    for (size_t i = 0; i < count; i++) {
        if (logs[i].complete)
            continue;
        wire_open_map (self->writer);
        wire_field_string (self->writer, "log", logs[i].part->name);
        wire_field_string (self->writer, "reason", logs[i].reason);
        wire_close (self->writer);
    }
    wire_close (self->writer);
}

static void write_positions (serving_core_t *self, const entity_log_t *logs, size_t count)
{
    wire_field_map (self->writer, "positions");
    for (size_t i = 0; i < count; i++)
        wire_field_uint (self->writer, logs[i].part->name, logs[i].position);
    wire_close (self->writer);
}

/* Those of all logs, in the order of the roles, each once: all that read a log stand on one, unless
 * it is incomplete. */
static void write_dataset (serving_core_t *self, const entity_log_t *logs, size_t count)
{
    char names[ENTITY_LOGS_MAX * sizeof ((dataset_t *)NULL)->id];
    size_t size = 0;
    if (count == 1) { /* nearly always */
        wire_field_string (self->writer, "dataset", logs->part->dataset->id);
        return;
    }
    names[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        bool told = false;
        for (size_t k = 0; k < i; k++)
            told = told || strcmp (logs[k].log_name, logs[i].log_name) == 0;
        if (!told)
            size += (size_t)snprintf (names + size, sizeof names - size, "%s%s",
                                      size > 0 ? "," : "", logs[i].part->dataset->id);
    }
    wire_field_string (self->writer, "dataset", names);
}

/* ---- an entity ---- */

static void write_key (serving_core_t *self, const query_t *query, size_t entity)
{
    const service_t *service = query->target.service;
    size_t count = service ? service->keys_count : query->target.roles->view->key_count;
    wire_field_map (self->writer, "key");
    for (size_t i = 0; i < count; i++) {
        wire_key (self->writer, service ? service->keys[i].name
                                        : view_key_field (query->target.roles->view, i)->name);
        wire_put_value (self->writer, &query->entities[entity].fields[i]);
    }
    wire_close (self->writer);
}

/* Does what was asked have all that there is of the key? Of one layer alone, or without what an
 * owner has, nothing can be said of its latest event. */
static bool role_complete (const query_t *query, const query_key_t *key)
{
    bool complete = is_of_both (query);
    for (size_t s = 0; s < query->target.roles[key->role].plans_count; s++)
        complete = complete && source_complete (query, key, s);
    return complete;
}

/* When the latest event of each role's entity was, and in which roles it is older than the ttl. */
static void write_latest (serving_core_t *self, const query_t *query, size_t entity)
{
    bool expired[ROLES_MAX];
    bool any = false;
    wire_field_list (self->writer, "latest");
    for (size_t r = 0; is_of_both (query) && r < query->target.roles_count; r++) {
        const query_key_t *key = query_key_of (query, r, entity);
        int64_t latest = answer_latest (key->answers[0]);
        wire_put_int (self->writer, latest);
        expired[r] = latest != ANSWER_NEVER && role_complete (query, key) &&
                     answer_expired (key->answers[0], key->as_of);
        any = any || expired[r];
    }
    wire_close (self->writer);
    if (!any)
        return;
    wire_field_list (self->writer, "expired");
    for (size_t r = 0; r < query->target.roles_count; r++)
        if (expired[r])
            wire_put_uint (self->writer, r);
    wire_close (self->writer);
}

static void write_result (serving_core_t *self, const query_t *query, size_t entity,
                          const outcome_t *outcomes, size_t at)
{
    wire_writer_t *writer = self->writer;
    entity_log_t logs[ENTITY_LOGS_MAX];
    size_t count = find_logs (query, entity, logs);
    bool complete = true;
    for (size_t i = 0; i < count; i++)
        complete = complete && logs[i].complete;
    wire_open_map (writer);
    write_key (self, query, entity);
    write_values (self, query, outcomes, at);
    wire_field_int (writer, "as_of", query->entities[entity].as_of);
    wire_field_bool (writer, "complete", complete);
    write_positions (self, logs, count);
    write_dataset (self, logs, count);
    write_latest (self, query, entity);
    if (!complete)
        write_incomplete (self, logs, count);
    wire_close (writer);
    if (self->samples)
        samples_take (self->samples, query, entity, outcomes, at, logs, count, complete);
}

/* ---- all of them ---- */

/* Why a query that is too large is refused: BUSY when all together are. */
static status_t too_large (serving_core_t *self, const query_t *query, error_t *error)
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
        (void)too_large (self, query, &error);
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

static outcome_key_t outcome_key_of (const query_t *query, const query_key_t *key)
{
    return (outcome_key_t){ .answer = key->answers[0],
                            .as_of = key->as_of,
                            .request = key->request,
                            .partial = !role_complete (query, key) };
}

/* What a role comes to for some entities, in the place of its inputs among theirs. */
static void compute_role (serving_core_t *self, const query_t *query, size_t number, size_t from,
                          size_t count, outcome_key_t *keys, outcome_t *inputs)
{
    const query_role_t *role = &query->target.roles[number];
    size_t each = query->target.service ? query->target.service->inputs_count : 0;
    for (size_t i = 0; i < count; i++) {
        const query_key_t *key = query_key_of (query, number, from + i);
        keys[i] = outcome_key_of (query, key);
    }
    const outcome_t *outcomes = outcome_compute (role->task, keys, count, self->outcomes);
    for (size_t i = 0; i < count; i++)
        for (size_t f = 0; f < role->features_count; f++)
            inputs[i * each + role->inputs[f]] = *outcome_of (role->task, outcomes, i, f);
}

/* What a service comes to for some entities: first its roles, then what is made of them. */
static const outcome_t *compute_service (serving_core_t *self, const query_t *query, size_t from,
                                         size_t count, outcome_key_t *keys)
{
    const service_t *service = query->target.service;
    outcome_t *inputs =
        arena_zero (self->outcomes, count * (service->inputs_count + 1), sizeof *inputs);
    for (size_t r = 0; r < query->target.roles_count; r++)
        compute_role (self, query, r, from, count, keys, inputs);
    for (size_t i = 0; i < count; i++)
        keys[i] = (outcome_key_t){ .as_of = query->entities[from + i].as_of,
                                   .request = query->entities[from + i].fields,
                                   .inputs = inputs + i * service->inputs_count };
    return outcome_compute (query->target.task, keys, count, self->outcomes);
}

static const outcome_t *compute (serving_core_t *self, const query_t *query, size_t from,
                                 size_t count, outcome_key_t *keys)
{
    if (query->target.service)
        return compute_service (self, query, from, count, keys);
    for (size_t i = 0; i < count; i++)
        keys[i] = outcome_key_of (query, &query->keys[from + i]);
    return outcome_compute (query->target.task, keys, count, self->outcomes);
}

/* Some entities at a time, so that what is made for them can be forgotten. */
static void write_results (serving_core_t *self, const query_t *query)
{
    size_t most = outcome_task_keys (query->target.task);
    outcome_key_t *keys = arena_zero (query->arena, most, sizeof *keys);
    for (size_t from = 0; from < query->entities_count; from += most) {
        size_t count = query->entities_count - from < most ? query->entities_count - from : most;
        arena_reset (self->outcomes);
        const outcome_t *outcomes = compute (self, query, from, count, keys);
        for (size_t i = 0; i < count; i++)
            write_result (self, query, from + i, outcomes, i);
    }
}

static void write_version (wire_writer_t *writer, const char *name, uint32_t version)
{
    char text[16];
    snprintf (text, sizeof text, "v%" PRIu32, version);
    wire_field_string (writer, name, text);
}

/* The versions of the r-th role's view that are read: "v2", or "v1, v2" where roles read several.
 */
static void write_role_versions (wire_writer_t *writer, const query_target_t *target, size_t r)
{
    const char *name = target->roles[r].view->name;
    char text[ROLES_MAX * 13 + 1];
    size_t size = 0;
    for (size_t k = 0; k < target->roles_count; k++) {
        const view_t *view = target->roles[k].view;
        bool told = strcmp (view->name, name) != 0;
        for (size_t i = 0; i < k; i++)
            told = told || target->roles[i].view == view;
        if (told)
            continue;
        if (k < r)
            return; /* with that role */
        size += (size_t)snprintf (text + size, sizeof text - size, "%sv%" PRIu32,
                                  size > 0 ? ", " : "", view->version);
    }
    if (size > 0)
        wire_field_string (writer, name, text);
}

/* Whose latest events are told, and the events of which each feature is made of. */
static void write_roles (wire_writer_t *writer, const query_t *query)
{
    const query_target_t *target = &query->target;
    wire_field_list (writer, "roles");
    for (size_t r = 0; is_of_both (query) && r < target->roles_count; r++)
        wire_put_string (writer, target->service
                                     ? target->service->roles[target->roles[r].number].name
                                     : target->roles[r].view->name);
    wire_close (writer);
    wire_field_list (writer, "reads");
    for (size_t i = 0; i < query->features_count; i++)
        wire_put_uint (writer, target->reads[i]);
    wire_close (writer);
}

/* Of what is asked for, and of the views that it is made of, each once. */
static void write_versions (wire_writer_t *writer, const query_t *query)
{
    const query_target_t *target = &query->target;
    write_version (writer, "version", target->plan->version);
    wire_field_map (writer, "versions");
    if (target->service)
        write_version (writer, target->service->name, target->service->version);
    for (size_t r = 0; r < target->roles_count; r++)
        write_role_versions (writer, target, r);
    wire_close (writer);
}

static void write_reply (serving_core_t *self, const query_t *query)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_GET_OK, query->client_id);
    wire_field_string (writer, "view", query->target.plan->view);
    write_versions (writer, query);
    wire_field_list (writer, "features");
    for (size_t i = 0; i < query->features_count; i++)
        wire_put_string (writer, feature_of (query, i)->name);
    wire_close (writer);
    wire_field_list (writer, "types");
    for (size_t i = 0; i < query->features_count; i++)
        wire_put_string (writer, feature_of (query, i)->type_text);
    wire_close (writer);
    write_roles (writer, query);
    wire_field_list (writer, "results");
    write_results (self, query);
    wire_close (writer);
}

/* Of a union: what the other sources hold of a key, merged into the first's. */
static status_t join_key (const query_t *query, const query_key_t *key, buf_t *partials,
                          error_t *error)
{
    status_t status = STATUS_OK;
    for (size_t s = 1; s < query->target.roles[key->role].plans_count && status == STATUS_OK; s++) {
        buf_clear (partials);
        answer_encode (key->answers[s], partials);
        reader_t reader = reader_of (partials->data, partials->size);
        status = partials->bad
                     ? error_set (error, STATUS_TOO_LARGE,
                                  "the states of one key are over %d bytes", ANSWER_ENCODED_MAX)
                     : answer_merge (key->answers[0], &reader, error);
    }
    return status;
}

static status_t join_sources (const query_t *query, error_t *error)
{
    status_t status = STATUS_OK;
    buf_t partials;
    buf_init (&partials, ANSWER_ENCODED_MAX);
    for (size_t i = 0; i < query->keys_count && status == STATUS_OK; i++)
        status = join_key (query, &query->keys[i], &partials, error);
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
