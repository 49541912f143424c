/* Answers against the oracle: a complete one is exactly what the log below its position and the
 * loads of its dataset give. */
#include "tests/oracle/parts.h"
#include "tests/sim/shadow.h"

#include "base/key.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct event_list {
    oracle_event_t *items;
    size_t count;
    size_t capacity;
} event_list_t;

static void list_add (event_list_t *list, oracle_event_t event)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 64;
        list->items = mem_resize (list->items, list->capacity, sizeof *list->items);
    }
    list->items[list->count++] = event;
}

/* The events' `n` as the float64 that it has become. */
static void widen (sim_check_t *self, size_t stream, event_list_t *list)
{
    size_t fields = self->data->stream[stream]->fields_count;
    for (size_t i = 0; i < list->count; i++) {
        value_t *values = arena_alloc (self->scratch, fields * sizeof *values);
        for (size_t f = 0; f < fields; f++)
            values[f] = data_widened (self->data, stream, f, &list->items[i].values[f]);
        list->items[i].values = values;
    }
}

/* The events of a key that the answer stands on. */
static void gather (sim_check_t *self, const shadow_t *shadow, const sim_dataset_t *dataset,
                    text_t key, uint64_t position, event_list_t *list)
{
    size_t count = 0;
    history_row_t *history =
        dataset && dataset->history ? history_rows (self, shadow, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (text_equal (history[i].key, key) &&
            !dataset_erases (self, dataset, shadow->partition, shadow->history, history[i].values,
                             history[i].time))
            list_add (list, (oracle_event_t){ .key = key,
                                              .time = history[i].time,
                                              .offset = shadow->history,
                                              .row = history[i].number,
                                              .values = history[i].values });
    mem_free (history);
    for (size_t i = 0; i < shadow->events_count; i++)
        if (shadow->events[i].offset < position && text_equal (shadow->events[i].key, key) &&
            !dataset_erases (self, dataset, shadow->partition, shadow->events[i].offset,
                             shadow->events[i].values, shadow->events[i].time))
            list_add (list, shadow->events[i]);
    for (size_t l = 0; dataset && l < dataset->loads_count; l++) {
        const sim_load_t *load = dataset->loads[l];
        for (size_t i = 0; i < load->count; i++)
            if (load->rows[i].in[shadow->log] && text_equal (load->rows[i].key[shadow->log], key) &&
                !dataset_erases (self, dataset, shadow->partition,
                                 load->offset[shadow->log][shadow->partition], load->rows[i].values,
                                 load->rows[i].time))
                list_add (list,
                          (oracle_event_t){ .key = key,
                                            .time = load->rows[i].time,
                                            .offset = load->offset[shadow->log][shadow->partition],
                                            .row = (uint32_t)i,
                                            .values = load->rows[i].values });
    }
}

static bool has_error (const wire_value_t *result, text_t feature)
{
    const wire_value_t *errors = wire_map (result, "errors");
    for (uint32_t i = 0; errors && i < errors->via.map.size; i++)
        if (text_equal (wire_item_text (&errors->via.map.ptr[i].key), feature))
            return true;
    return false;
}

static int feature_index (const question_t *question, text_t name)
{
    for (size_t i = 0; i < question->features_count; i++)
        if (text_equal (question->names[i], name))
            return (int)i;
    return -1;
}

/* Is the answer one of a plan that takes `n` as float64? Its types say so, or an event that could
 * not be there otherwise; where neither does, it makes no difference. */
static bool is_of_widened (const question_t *question, const wire_value_t *body,
                           const event_list_t *events)
{
    wire_list_t names = wire_list (body, "features");
    wire_list_t types = wire_list (body, "types");
    for (size_t i = 0; i < events->count; i++)
        for (size_t f = 0; f < question->fields_count; f++)
            if (events->items[i].values[f].type == TYPE_FLOAT64 &&
                question->fields[f].type == TYPE_INT64)
                return true;
    for (uint32_t i = 0; i < names.count && i < types.count; i++) {
        int index = feature_index (question, wire_item_text (&names.items[i]));
        const oracle_feature_t *feature = index >= 0 ? &question->features[index] : NULL;
        bool of_integer =
            feature && feature->field >= 0 && question->fields[feature->field].type == TYPE_INT64 &&
            (strcmp (feature->aggregate, "sum") == 0 || strcmp (feature->aggregate, "min") == 0);
        if (of_integer && text_is (wire_item_text (&types.items[i]), "float64"))
            return true;
    }
    return false;
}

/* ---- one result ---- */

typedef struct result {
    const wire_value_t *body; /* of the whole answer */
    const wire_value_t *map;  /* this result */
    size_t view;
    text_t key;
    size_t source; /* of the view, which these are of: */
    const shadow_t *shadow;
    const sim_dataset_t *dataset; /* NULL: of nothing yet */
    uint64_t position;
    int64_t as_of;
    bool widened;
} result_t;

static void differs (sim_check_t *self, const result_t *result, text_t feature, const value_t *got,
                     const value_t *expected, status_t status, size_t events)
{
    buf_t text;
    buf_init (&text, 1 << 16);
    print_value (got, &text);
    buf_put_string (&text, ", and is ");
    if (status == STATUS_OK)
        print_value (expected, &text);
    else
        buf_put_string (&text, "out of range");
    value_t fields[KEY_FIELDS_MAX];
    const keyed_log_t *log = &self->data->log[result->shadow->log];
    type_t types[KEY_FIELDS_MAX];
    for (size_t i = 0; i < log->key_count; i++)
        types[i] = log->stream->fields[log->key[i]].type;
    buf_put_string (&text, ", for");
    if (key_get (result->key, types, log->key_count, self->scratch, fields))
        for (size_t i = 0; i < log->key_count; i++) {
            buf_put_u8 (&text, ' ');
            print_value (&fields[i], &text);
        }
    sim_fail (self->sim,
              "%s:" TEXT_FORMAT " is answered with %s as of %+.6f s, position %" PRIu64
              " of %s, dataset '%s' (cut %" PRIu64 "); %zu events of the key there",
              self->data->view_name[result->view], TEXT_ARGS (feature), buf_string (&text),
              (double)(result->as_of - SIM_WALL_START) / 1e6, result->position, result->shadow->dir,
              result->dataset ? result->dataset->id : "",
              result->dataset ? result->dataset->cut[result->shadow->partition] : 0, events);
    buf_release (&text);
}

/* The time of the latest event that the view has; INT64_MIN: it has none. */
static int64_t latest_of (const question_t *question, const event_list_t *events, int64_t as_of)
{
    oracle_feature_t any = { .aggregate = "count", .field = -1, .window = ORACLE_LIFETIME };
    memcpy (any.filters, question->where, sizeof any.filters);
    any.filters_count = question->where_count;
    int64_t latest = INT64_MIN;
    for (size_t i = 0; i < events->count; i++)
        if (oracle_counts (&any, &events->items[i], as_of) && events->items[i].time > latest)
            latest = events->items[i].time;
    return latest;
}

/* A training set's rows do not tell it. */
static void check_latest (sim_check_t *self, const result_t *result, int64_t latest, bool expired)
{
    wire_list_t told = wire_list (result->map, "latest");
    if (told.count == 0)
        return;
    if (wire_item_int (&told.items[0]) != latest)
        sim_fail (self->sim, "an answer of %s tells another latest event, %" PRId64 " not %" PRId64,
                  self->data->view_name[result->view], wire_item_int (&told.items[0]), latest);
    if (wire_has (result->map, "expired") != (expired && latest != INT64_MIN))
        sim_fail (self->sim, "an answer of %s is told to be expired, or is and is not",
                  self->data->view_name[result->view]);
}

static void compare (sim_check_t *self, const result_t *result, const event_list_t *events)
{
    const question_t *question =
        result->widened ? self->data->widened[result->view] : self->data->view[result->view];
    int64_t ttl = self->data->view_ttl[result->view];
    int64_t latest = latest_of (question, events, result->as_of);
    bool expired = ttl > 0 && (latest == INT64_MIN || latest < result->as_of - ttl);
    check_latest (self, result, latest, expired);
    wire_list_t names = wire_list (result->body, "features");
    wire_list_t types = wire_list (result->body, "types");
    wire_list_t values = wire_list (result->map, "values");
    if (names.count != values.count || types.count != values.count) {
        sim_fail (self->sim, "an answer of %u features has %u values", names.count, values.count);
        return;
    }
    for (uint32_t i = 0; i < names.count && !sim_failed (self->sim); i++) {
        text_t name = wire_item_text (&names.items[i]);
        int index = feature_index (question, name);
        if (index < 0) {
            sim_fail (self->sim, "an unknown feature " TEXT_FORMAT, TEXT_ARGS (name));
            return;
        }
        value_t expected;
        oracle_feature_t feature = question->features[index];
        feature.arena = self->scratch;
        status_t status =
            oracle_value (&feature, events->items, events->count, result->as_of, &expected);
        if (expired) {
            expected = (value_t){ .null = true };
            status = STATUS_OK;
        }
        value_t got =
            typed_value (&values.items[i], wire_item_text (&types.items[i]), self->scratch);
        bool out_of_range = has_error (result->map, name);
        if ((status != STATUS_OK) != out_of_range || !oracle_agree (&got, &expected))
            differs (self, result, name, &got, &expected, status, events->count);
    }
}

/* What users had been told is visible when they asked is in it, and what is undone is not. */
static void check_loads (sim_check_t *self, const result_t *result, int64_t asked)
{
    for (const sim_load_t *load = self->loads; load; load = load->next) {
        size_t log = result->shadow->log;
        if (load->stream != self->data->log_stream[log])
            continue;
        bool has = result->dataset && (dataset_has (result->dataset, load) ||
                                       (result->dataset->history && history_has (self, log, load)));
        bool none = true;
        for (size_t i = 0; i < load->count && none; i++)
            none = !load->rows[i].in[log] ||
                   dataset_erases (self, result->dataset, load->rows[i].partition[log],
                                   load->offset[log][load->rows[i].partition[log]],
                                   load->rows[i].values, load->rows[i].time);
        bool visible = load->visible && load->visible_at < asked && !load->undone;
        bool unloaded = load->unloaded && load->unloaded_at < asked;
        if (visible && !has && !none)
            sim_fail (self->sim, "load %s is visible, but not in the answer's dataset", load->id);
        if ((load->failed || unloaded) && has)
            sim_fail (self->sim, "load %s is %s, but in the answer's dataset", load->id,
                      load->failed ? "failed" : "unloaded");
    }
}

static bool read_key (sim_check_t *self, size_t log, const wire_value_t *map, text_t *key)
{
    const keyed_log_t *definition = &self->data->log[log];
    buf_t bytes;
    buf_init (&bytes, KEY_SIZE_MAX);
    for (size_t k = 0; k < definition->key_count; k++) {
        const field_t *field = &definition->stream->fields[definition->key[k]];
        for (uint32_t i = 0; i < map->via.map.size; i++)
            if (text_is (wire_item_text (&map->via.map.ptr[i].key), field->name)) {
                value_t value = value_of (&map->via.map.ptr[i].val, field->type);
                key_put (&bytes, &value);
            }
    }
    *key = arena_text (self->scratch, (text_t){ (char *)bytes.data, (uint32_t)bytes.size });
    buf_release (&bytes);
    return key->size > 0 || definition->key_count == 0;
}

static bool read_position (sim_check_t *self, result_t *result)
{
    const wire_value_t *positions = wire_map (result->map, "positions");
    char name[80];
    snprintf (name, sizeof name, "%s", result->shadow->dir + strlen ("log/"));
    for (uint32_t i = 0; i < positions->via.map.size; i++)
        if (text_is (wire_item_text (&positions->via.map.ptr[i].key), name)) {
            result->position = wire_item_uint (&positions->via.map.ptr[i].val);
            return true;
        }
    sim_fail (self->sim, "an answer does not say its position in %s", name);
    return false;
}

static bool read_dataset (sim_check_t *self, result_t *result)
{
    text_t id = wire_text (result->map, "dataset"); /* one after the other, commas between */
    for (size_t s = 0; s <= result->source; s++) {
        const char *comma = id.size ? memchr (id.data, ',', id.size) : NULL;
        uint32_t size = comma ? (uint32_t)(comma - id.data) : id.size;
        if (s == result->source)
            id.size = size;
        else if (comma)
            id = (text_t){ comma + 1, id.size - size - 1 };
        else
            id.size = 0;
    }
    result->dataset = dataset_find (self, result->shadow->log, id);
    /* d0 is that of before the first publish */
    if (!result->dataset && !text_is (id, "d0"))
        sim_fail (self->sim,
                  "an answer stands on dataset " TEXT_FORMAT ", which was never published",
                  TEXT_ARGS (id));
    return !sim_failed (self->sim);
}

/* Did an event of the stream's own log come to the key's log below the answer's position, or with
 * the history? */
static bool has_come (const result_t *result, uint32_t source, uint64_t offset)
{
    const shadow_t *shadow = result->shadow;
    if (offset < shadow->begin[source])
        return result->dataset && result->dataset->history;
    for (size_t i = 0; i < shadow->events_count; i++)
        if (shadow->origins[i].source == source && shadow->origins[i].offset == offset)
            return shadow->events[i].offset < result->position;
    return false;
}

/* From the log itself, or already from the history that it began with. */
static bool is_erased (const sim_check_t *self, const result_t *result, uint32_t source,
                       const oracle_event_t *event)
{
    const sim_dataset_t *dataset = result->dataset;
    size_t own = self->data->log_stream[result->shadow->log];
    for (size_t i = 0; dataset && i < dataset->forgets_count; i++) {
        const sim_forget_t *forget = dataset->forgets[i];
        if (forget->partition == source && event->offset < forget->offset[own][source] &&
            event->time < forget->before && text_equal (event->key, forget->key))
            return true;
    }
    return erased_before (self, own, source, event->offset, result->shadow->begin[source],
                          event->values, event->time);
}

/* What was told to be erased is in no answer that was asked for later. */
static void check_forgets (sim_check_t *self, const result_t *result, int64_t asked)
{
    size_t log = result->shadow->log;
    for (const sim_forget_t *forget = self->forgets; forget; forget = forget->next)
        if (forget->erased && forget->erased_at < asked &&
            forget->offset[log][result->shadow->partition] != UINT64_MAX &&
            !dataset_lists (result->dataset, forget))
            sim_fail (self->sim, "forget %s is erased, and an answer's dataset of %s has it",
                      forget->id, result->shadow->dir);
}

/* Every event of the key that was acknowledged before the answer was asked for is in it. */
static void check_acknowledged (sim_check_t *self, const result_t *result, const sim_floor_t *floor)
{
    size_t own = self->data->log_stream[result->shadow->log];
    for (uint32_t p = 0; p < SIM_PARTITIONS; p++) {
        const shadow_t *source = &self->shadows[own][p];
        for (size_t i = 0; i < source->events_count && !sim_failed (self->sim); i++) {
            const sim_batch_t *batch = source->origins[i].batch;
            const sim_row_t *row = source->origins[i].row;
            if (batch->acked && batch->ack <= floor->acks && row->in[result->shadow->log] &&
                text_equal (row->key[result->shadow->log], result->key) &&
                !is_erased (self, result, p, &source->events[i]) &&
                !has_come (result, p, source->events[i].offset))
                sim_fail (self->sim,
                          "a complete answer at %" PRIu64 " of %s lacks what stands at %" PRIu64
                          " of %s and was acknowledged before it was asked",
                          result->position, result->shadow->dir, source->events[i].offset,
                          source->dir);
        }
    }
}

/* The values of a row of the view's second stream in the places of the first one's fields; null are
 * those that it has not. */
static const value_t *as_first (const sim_data_t *self, size_t view, const value_t *values,
                                arena_t *arena)
{
    const stream_t *first = self->stream[self->log_stream[self->view_logs[view][0]]];
    const stream_t *second = self->stream[self->log_stream[self->view_logs[view][1]]];
    value_t *placed = arena_zero (arena, first->fields_count, sizeof *placed);
    for (size_t i = 0; i < first->fields_count; i++) {
        int from = stream_field (second, text_of (first->fields[i].name));
        placed[i] =
            from >= 0 ? values[from] : (value_t){ .type = first->fields[i].type, .null = true };
    }
    return placed;
}

/* What the answer says of one of the view's logs, and the events that it stands on there. */
static bool take_source (sim_check_t *self, result_t *result, const sim_floor_t *floor, text_t key,
                         event_list_t *events)
{
    size_t log = self->data->view_logs[result->view][result->source];
    uint32_t partition = key_partition (key_hash (key), SIM_PARTITIONS);
    shadow_t *shadow = &self->shadows[log][partition];
    result->shadow = shadow;
    if (!read_position (self, result) || !read_dataset (self, result))
        return false;
    if (result->position < floor->position[log][partition]) {
        sim_fail (self->sim,
                  "a complete answer stands at %" PRIu64 " of %s, and %" PRIu64
                  " was acknowledged before it was asked",
                  result->position, shadow->dir, floor->position[log][partition]);
        return false;
    }
    if (result->position < floor->answered[log][partition]) {
        sim_fail (self->sim,
                  "a complete answer stands at %" PRIu64 " of %s, and one that came before it was "
                  "asked stood at %" PRIu64,
                  result->position, shadow->dir, floor->answered[log][partition]);
        return false;
    }
    if (result->position > shadow->answered)
        shadow->answered = result->position;
    size_t first = events->count;
    gather (self, shadow, result->dataset, key, result->position, events);
    for (size_t i = first; i < events->count && result->source > 0; i++)
        events->items[i].values =
            as_first (self->data, result->view, events->items[i].values, self->scratch);
    if (!self->data->log[log].primary)
        check_acknowledged (self, result, floor);
    check_loads (self, result, floor->asked);
    check_forgets (self, result, floor->asked);
    return !sim_failed (self->sim);
}

/* Reads the logs up to where the answer stands, for which the scratch arena is used as well. */
static bool sync_sources (sim_check_t *self, result_t *result)
{
    uint32_t partition = key_partition (key_hash (result->key), SIM_PARTITIONS);
    text_t key = { mem_string_n (result->key.data, result->key.size), result->key.size };
    bool good = true;
    for (size_t s = 0; s < self->data->view_sources[result->view] && good; s++) {
        shadow_t *shadow = &self->shadows[self->data->view_logs[result->view][s]][partition];
        result->shadow = shadow;
        good = read_position (self, result);
        if (good)
            shadow_sync (self, shadow, result->position);
    }
    result->key = key; /* the caller's, to be given back */
    return good;
}

static void check_result (sim_check_t *self, result_t *result, const sim_floor_t *floor)
{
    arena_reset (self->scratch);
    if (!read_key (self, self->data->view_log[result->view], wire_map (result->map, "key"),
                   &result->key)) {
        sim_fail (self->sim, "an answer without its key");
        return;
    }
    result->as_of = wire_int (result->map, "as_of", 0);
    bool good = sync_sources (self, result);
    event_list_t events = { 0 };
    for (size_t s = self->data->view_sources[result->view]; s-- > 0 && good;) {
        result->source = s; /* the first comes last: what differs is told with its position */
        good = take_source (self, result, floor, result->key, &events);
    }
    if (good) {
        result->widened = is_of_widened (self->data->view[result->view], result->body, &events);
        if (result->widened)
            widen (self, self->data->log_stream[self->data->view_log[result->view]], &events);
        compare (self, result, &events);
    }
    mem_free (events.items);
    mem_free ((char *)(uintptr_t)result->key.data);
    self->answers++;
}

/* The features that were asked for, or, with all of a view, at least those that it had at first. */
static void check_features (sim_check_t *self, const sim_question_t *question,
                            const wire_value_t *body)
{
    wire_list_t names = wire_list (body, "features");
    size_t view = question->view;
    size_t count = question->features_count;
    for (size_t i = 0; i < count && i < names.count; i++)
        if (!text_equal (wire_item_text (&names.items[i]), question->features[i]))
            sim_fail (self->sim, "%s is asked for " TEXT_FORMAT " and answered with " TEXT_FORMAT,
                      self->data->view_name[view], TEXT_ARGS (question->features[i]),
                      TEXT_ARGS (wire_item_text (&names.items[i])));
    if (count > 0 ? names.count != count : names.count < data_features (self->data, view, 0))
        sim_fail (self->sim, "%s is answered with %u features", self->data->view_name[view],
                  names.count);
    if (question->settled && names.count != data_features (self->data, view, self->data->usable))
        sim_fail (self->sim, "%s has %u features in the end", self->data->view_name[view],
                  names.count);
}

/* Is the result the one of that place: its key, at its time? */
static void check_place (sim_check_t *self, const sim_question_t *question, size_t place,
                         const wire_value_t *map)
{
    text_t key;
    arena_reset (self->scratch);
    const wire_value_t *fields = wire_map (map, "key");
    if (!fields || !read_key (self, self->data->view_log[question->view], fields, &key) ||
        !text_equal (key, question->keys[place]))
        sim_fail (self->sim, "result %zu of an answer of %s is not of the key that was asked for",
                  place, self->data->view_name[question->view]);
    int64_t wanted = question->as_ofs[place];
    int64_t as_of = wire_int (map, "as_of", INT64_MIN);
    if (as_of == INT64_MIN || (wanted != INT64_MIN && as_of != wanted))
        sim_fail (self->sim, "result %zu of an answer of %s is as of %" PRId64 ", not %" PRId64,
                  place, self->data->view_name[question->view], as_of, wanted);
}

void check_answer (sim_check_t *self, const sim_question_t *question, const wire_value_t *body,
                   bool *complete)
{
    wire_list_t results = wire_list (body, "results");
    *complete = true;
    check_features (self, question, body);
    if (results.count != question->keys_count)
        sim_fail (self->sim, "%zu keys of %s are asked for, and %u are answered",
                  question->keys_count, self->data->view_name[question->view], results.count);
    for (uint32_t i = 0; i < results.count && !sim_failed (self->sim); i++) {
        result_t result = { .body = body, .map = &results.items[i], .view = question->view };
        check_place (self, question, i, result.map);
        if (sim_failed (self->sim))
            return;
        if (wire_bool (result.map, "complete", false))
            check_result (self, &result, &question->floor);
        else
            *complete = false;
    }
}
