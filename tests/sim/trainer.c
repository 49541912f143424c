/* Somebody who has training sets made: of random keys and times, in pieces checked as answers are,
 * at the positions and datasets that were pinned; and made again of the same version, which must
 * give the same. */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/shadow.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"
#include "member/model.h"
#include "trainset/result_reader.h"
#include "trainset/spine_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ROWS_MAX = ASKED_KEYS_MAX,
    LOOKS_MAX = 40, /* at whether a serving node was told of the dataset: then it can be checked */
    SPINE_MEMORY = 1 << 20,
    FILES_MAX = SIM_PARTITIONS,
    VERSION_SIZE = 64 << 10,
};

typedef struct pinned_log {
    char log[KEYED_LOG_NAME_MAX + 1];
    char dataset[WIRE_NAME_MAX + 1];
    uint64_t manifest, unloaded, forgets;
    uint64_t positions[SIM_PARTITIONS];
    char without[16][WIRE_NAME_MAX + 1];
    size_t without_count;
} pinned_log_t;

struct sim_trainer {
    sim_t *sim;
    sim_client_t *client;
    fs_t *fs;
    bool stopped;
    unsigned steps; /* that have been taken */
    wire_decoder_t *decoder;
    wire_writer_t *writer;

    bool working;
    size_t view;
    bool before;
    sim_question_t asked; /* keys and times of the rows, as they are to be answered */
    value_t values[ROWS_MAX][DATA_FIELDS_MAX];
    int64_t times[ROWS_MAX]; /* as they are in the spine */
    model_t *model;
    trainset_t *set;
    uint64_t id;
    bool handed;
    /* a version that is known, and what came of it */
    pinned_log_t pinned[DATA_SOURCES];
    size_t pinned_count;
    bool again;         /* it is made once more */
    uint64_t first_sum; /* of what it came to … */
    uint64_t first_of;  /* … and of the features that it had, with their types */
    buf_t answer;       /* a `get.ok` of it */
    unsigned looks;
};

static void begin (sim_trainer_t *self);
static void look (sim_t *sim, void *arg);

static void begin_call (sim_t *sim, void *arg)
{
    sim_trainer_t *self = arg;
    if (!sim_finished (sim) && !self->stopped && !self->working)
        begin (self);
}

static void forget_set (sim_trainer_t *self)
{
    trainset_destroy (&self->set);
    model_unref (&self->model);
    self->id = 0;
    self->handed = false;
}

static void wait_and_begin (sim_trainer_t *self)
{
    forget_set (self);
    self->working = self->again = false;
    self->pinned_count = 0;
    int64_t wait = (int64_t)sim_chosen (self->sim, 100, 12000) * TIME_MS;
    sim_at (self->sim, sim_now (self->sim) + wait, begin_call, self);
}

static void look_later (sim_trainer_t *self)
{
    sim_at (self->sim, sim_now (self->sim) + (int64_t)sim_chosen (self->sim, 50, 1000) * TIME_MS,
            look, self);
}

/* ---- what is asked ---- */

static int64_t some_time (sim_t *sim)
{
    int64_t wall = sim_wall (sim);
    switch (sim_chosen (sim, 0, 4)) {
    case 0:
        return wall - (int64_t)sim_chosen (sim, 0, 2 * (uint64_t)TIME_HOUR);
    case 1:
        return wall - (int64_t)sim_chosen (sim, 0, 40 * (uint64_t)TIME_DAY);
    case 2:
        return wall + (int64_t)sim_chosen (sim, 0, (uint64_t)TIME_DAY);
    case 3: /* whole seconds, at which events stand exactly */
        wall -= (int64_t)sim_chosen (sim, 0, 120) * TIME_SECOND;
        return wall - wall % TIME_SECOND;
    default:
        return wall - (int64_t)sim_chosen (sim, 0, 60 * (uint64_t)TIME_SECOND);
    }
}

/* Random rows, now and then two of the same key and time. */
static void choose_rows (sim_trainer_t *self)
{
    const sim_data_t *data = check_data (sim_check (self->sim));
    arena_t *arena = check_arena (sim_check (self->sim));
    size_t count = sim_chosen (self->sim, 1, ROWS_MAX);
    self->asked = (sim_question_t){ .view = self->view };
    self->before = sim_chance (self->sim, 0.3);
    for (size_t i = 0; i < count; i++) {
        text_t key;
        data_key (data, self->sim, data->view_log[self->view], arena, self->values[i], &key);
        self->times[i] = some_time (self->sim);
        if (i > 0 && sim_chance (self->sim, 0.2))
            self->times[i] = self->times[i - 1];
        self->asked.keys[i] = arena_text (arena, key);
        self->asked.as_ofs[i] = self->times[i] - self->before;
    }
    self->asked.keys_count = count;
}

static size_t some_view (sim_trainer_t *self)
{
    for (;;) {
        size_t view = sim_chosen (self->sim, 0, DATA_VIEWS - 1);
        if (data_has_view (view, self->steps))
            return view;
    }
}

static void begin (sim_trainer_t *self)
{
    self->working = true;
    self->view = some_view (self);
    choose_rows (self);
    check_floor (sim_check (self->sim), &self->asked.floor);
    look (self->sim, self);
}

/* ---- the rows ---- */

static batch_t rows_of (sim_trainer_t *self, arena_t *arena)
{
    const stream_t *stream = &self->set->stream;
    const sim_data_t *data = check_data (sim_check (self->sim));
    const keyed_log_t *log = &data->log[data->view_log[self->view]];
    type_t types[DATA_FIELDS_MAX + 2];
    for (size_t f = 0; f < stream->fields_count; f++)
        types[f] = stream->fields[f].type;
    batch_t batch = batch_new (arena, types, stream->fields_count, self->asked.keys_count);
    for (size_t r = 0; r < batch.rows; r++) {
        for (size_t k = 0; k < log->key_count; k++)
            column_set (&batch.column[k], r, &self->values[r][log->key[k]]);
        batch.event_time[r] = self->times[r];
    }
    return batch;
}

static bool make_set (sim_trainer_t *self)
{
    const sim_data_t *data = check_data (sim_check (self->sim));
    trainset_options_t options = { .name = data->view_name[self->view],
                                   .time = "the_time",
                                   .before = self->before };
    error_t error;
    trainset_destroy (&self->set);
    /* a view that came later may not be known to who is asked */
    return trainset_new (self->model->definitions, &options, &self->set, &error) == STATUS_OK;
}

static status_t write_spine (sim_trainer_t *self, spine_writer_t *spine, const spine_file_t **files,
                             size_t *count, error_t *error)
{
    arena_t *arena = arena_new (1 << 14);
    batch_t batch = rows_of (self, arena);
    sim_disk_calm (self->sim, true);
    status_t status = fs_make_dir (self->fs, "training", error);
    if (status == STATUS_OK)
        status = spine_writer_add (spine, &batch, error);
    if (status == STATUS_OK)
        status = spine_writer_end (spine, NULL, NULL, files, count, error);
    sim_disk_calm (self->sim, false);
    arena_destroy (&arena);
    return status;
}

static void put_role (sim_trainer_t *self, wire_writer_t *writer, const spine_file_t *files,
                      size_t count)
{
    const trainset_role_t *role = self->set->roles;
    wire_field_list (writer, "spine");
    wire_open_map (writer);
    wire_field_string (writer, "view", role->view->name);
    wire_field_uint (writer, "version", role->view->version);
    wire_field_list (writer, "features");
    for (size_t f = 0; f < role->features_count; f++)
        wire_put_string (writer, role->plan->features[role->features[f]].name);
    wire_close (writer);
    wire_field_list (writer, "request");
    for (size_t i = 0; i < role->request_count; i++)
        wire_put_string (writer, role->request_names[i]);
    wire_close (writer);
    wire_field_bool (writer, "known", false);
    wire_field_bool (writer, "before", self->before);
    wire_field_list (writer, "parts");
    for (size_t i = 0; i < count; i++) {
        wire_open_map (writer);
        wire_field_uint (writer, "partition", files[i].partition);
        wire_field_string (writer, "path", files[i].path);
        wire_field_uint (writer, "size", files[i].size);
        wire_field_uint (writer, "rows", files[i].rows);
        wire_close (writer);
    }
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
}

/* ---- what came of it ---- */

static uint64_t position_of (const sim_trainer_t *self, const char *log, uint32_t partition)
{
    for (size_t i = 0; i < self->pinned_count; i++)
        if (strcmp (self->pinned[i].log, log) == 0)
            return self->pinned[i].positions[partition];
    CHECK (false);
    return 0;
}

static const pinned_log_t *pinned_of (const sim_trainer_t *self, const char *log)
{
    for (size_t i = 0; i < self->pinned_count; i++)
        if (strcmp (self->pinned[i].log, log) == 0)
            return &self->pinned[i];
    return NULL;
}

static void put_errors (sim_trainer_t *self, const outcome_t *outcomes)
{
    wire_writer_t *writer = self->writer;
    wire_field_map (writer, "errors");
    for (size_t o = 0; o < self->set->outputs_count; o++)
        if (outcomes[o].error)
            wire_field_string (writer, self->set->outputs[o].name, outcomes[o].error);
    wire_close (writer);
}

static void put_result (sim_trainer_t *self, size_t row, const outcome_t *outcomes)
{
    wire_writer_t *writer = self->writer;
    const sim_data_t *data = check_data (sim_check (self->sim));
    const keyed_log_t *log = &data->log[data->view_log[self->view]];
    const view_t *view = self->set->view;
    uint32_t partition = key_partition (key_hash (self->asked.keys[row]), SIM_PARTITIONS);
    char datasets[DATA_SOURCES * (WIRE_NAME_MAX + 2)] = "", name[KEYED_LOG_NAME_MAX + 16];
    wire_open_map (writer);
    wire_field_map (writer, "key");
    for (size_t k = 0; k < log->key_count; k++) {
        wire_key (writer, log->stream->fields[log->key[k]].name);
        wire_put_value (writer, &self->values[row][log->key[k]]);
    }
    wire_close (writer);
    wire_field_list (writer, "values");
    for (size_t o = 0; o < self->set->outputs_count; o++)
        wire_put_value (writer, &outcomes[o].value);
    wire_close (writer);
    put_errors (self, outcomes);
    wire_field_int (writer, "as_of", self->asked.as_ofs[row]);
    wire_field_bool (writer, "complete", true);
    wire_field_map (writer, "positions");
    for (size_t s = 0; s < view->sources_count; s++) {
        const char *of = view->sources[s].log_name;
        snprintf (name, sizeof name, "%s/%" PRIu32, of, partition);
        wire_field_uint (writer, name, position_of (self, of, partition));
        snprintf (datasets + strlen (datasets), sizeof datasets - strlen (datasets), "%s%s",
                  s > 0 ? "," : "", pinned_of (self, of)->dataset);
    }
    wire_close (writer);
    wire_field_string (writer, "dataset", datasets);
    wire_field_list (writer, "latest");
    wire_close (writer);
    wire_close (writer);
}

/* The rows as an answer of the view, which is what they ought to be. */
static void write_answer (sim_trainer_t *self, const outcome_t *outcomes)
{
    wire_writer_t *writer = self->writer;
    const trainset_t *set = self->set;
    const void *bytes;
    size_t size;
    wire_begin (writer, MESSAGE_GET_OK, 1);
    wire_field_string (writer, "view", set->view->name);
    wire_field_string (writer, "version", "v1");
    wire_field_map (writer, "versions");
    wire_close (writer);
    wire_field_list (writer, "features");
    for (size_t o = 0; o < set->outputs_count; o++)
        wire_put_string (writer, set->outputs[o].name);
    wire_close (writer);
    wire_field_list (writer, "types");
    for (size_t o = 0; o < set->outputs_count; o++)
        wire_put_string (writer, set->outputs[o].type);
    wire_close (writer);
    wire_field_list (writer, "roles"); /* no row tells when the latest event was */
    wire_close (writer);
    wire_field_list (writer, "reads");
    wire_close (writer);
    wire_field_list (writer, "results");
    for (size_t r = 0; r < self->asked.keys_count; r++)
        put_result (self, r, outcomes + r * set->outputs_count);
    wire_close (writer);
    bool fits = wire_end (writer, &bytes, &size);
    CHECK (fits);
    buf_clear (&self->answer);
    buf_put (&self->answer, bytes, size);
    CHECK (!self->answer.bad);
}

/* False: a file is not there any more, since the coordinator has given the set up, or is of newer
 * definitions. */
static bool read_results (sim_trainer_t *self, wire_list_t trained)
{
    result_file_t files[FILES_MAX];
    arena_t *arena = arena_new (1 << 14);
    result_reader_t *reader = NULL;
    const outcome_t *outcomes;
    error_t error;
    CHECK (trained.count <= FILES_MAX);
    for (uint32_t i = 0; i < trained.count; i++)
        files[i] =
            (result_file_t){ .role = 0,
                             .path = arena_string (arena, wire_text (&trained.items[i], "path")) };
    batch_t batch = rows_of (self, arena);
    sim_disk_calm (self->sim, true);
    status_t status =
        result_reader_new (self->set, self->fs, files, trained.count, false, &reader, &error);
    if (status == STATUS_OK)
        status = result_reader_next (reader, &batch, &outcomes, &error);
    if (status == STATUS_OK)
        write_answer (self, outcomes);
    if (status == STATUS_OK)
        status = result_reader_end (reader, &error);
    sim_disk_calm (self->sim, false);
    result_reader_destroy (&reader);
    arena_destroy (&arena);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND && status != STATUS_STALE)
        sim_fail (self->sim, "a training set does not read: %s", error.text);
    return status == STATUS_OK;
}

/* Is everything known by which it is checked? */
static bool can_check (const sim_trainer_t *self)
{
    const sim_check_t *check = sim_check (self->sim);
    for (size_t i = 0; i < self->pinned_count; i++) {
        int log = shadow_log (check, text_of (self->pinned[i].log));
        CHECK (log >= 0);
        if (!dataset_find (check, (size_t)log, text_of (self->pinned[i].dataset)))
            return false;
    }
    return true;
}

static uint64_t sum_of (const void *data, size_t size, uint64_t sum)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        sum = sum * 1099511628211u + bytes[i];
    return sum;
}

/* Definitions of before and of now give the same only where these are the same. */
static uint64_t sum_of_features (const sim_trainer_t *self)
{
    uint64_t sum = 0;
    for (size_t o = 0; o < self->set->outputs_count; o++) {
        const trainset_output_t *output = &self->set->outputs[o];
        sum = sum_of (output->name, strlen (output->name) + 1, sum);
        sum = sum_of (output->type, strlen (output->type) + 1, sum);
    }
    return sum;
}

static void check_call (sim_t *sim, void *arg)
{
    sim_trainer_t *self = arg;
    bool complete;
    message_t message;
    error_t error;
    if (sim_finished (sim))
        return;
    if (!can_check (self) && ++self->looks < LOOKS_MAX) {
        sim_at (sim, sim_now (sim) + 250 * TIME_MS, check_call, self);
        return;
    }
    if (can_check (self)) { /* else no serving node ever took that dataset */
        status_t status =
            wire_decode (self->decoder, self->answer.data, self->answer.size, &message, &error);
        CHECK (status == STATUS_OK);
        check_answer (sim_check (sim), &self->asked, message.body, &complete);
        sim_log (sim, "a training set of %zu rows of %s is right", self->asked.keys_count,
                 self->set->view->name);
    }
    if (sim_failed (sim) || self->stopped || !sim_chance (sim, 0.5)) {
        wait_and_begin (self);
        return;
    }
    self->first_sum = sum_of (self->answer.data, self->answer.size, 0);
    self->first_of = sum_of_features (self);
    self->again = true; /* of the same version, after a while */
    forget_set (self);
    int64_t wait = (int64_t)sim_chosen (sim, 100, 15000) * TIME_MS;
    sim_at (sim, sim_now (sim) + wait, look, self);
}

static void compare_again (sim_trainer_t *self)
{
    if (sum_of_features (self) != self->first_of)
        sim_log (self->sim, "%s has other features by now", self->set->view->name);
    else if (sum_of (self->answer.data, self->answer.size, 0) != self->first_sum)
        sim_fail (self->sim,
                  "a training set of %s is another one when it is made again of the "
                  "same version",
                  self->set->view->name);
    else
        sim_log (self->sim, "a training set of %s is the same again", self->set->view->name);
    wait_and_begin (self);
}

/* ---- asking ---- */

static void take_pinned (sim_trainer_t *self, wire_list_t pinned)
{
    if (self->pinned_count > 0)
        return;
    CHECK (pinned.count <= DATA_SOURCES);
    for (uint32_t i = 0; i < pinned.count; i++) {
        pinned_log_t *log = &self->pinned[self->pinned_count++];
        *log = (pinned_log_t){ .manifest = wire_uint (&pinned.items[i], "manifest", 0),
                               .unloaded = wire_uint (&pinned.items[i], "unloaded", 0),
                               .forgets = wire_uint (&pinned.items[i], "forgets", 0) };
        wire_copy (&pinned.items[i], "log", log->log, sizeof log->log);
        wire_copy (&pinned.items[i], "dataset", log->dataset, sizeof log->dataset);
        wire_list_t positions = wire_list (&pinned.items[i], "positions");
        wire_list_t without = wire_list (&pinned.items[i], "without");
        CHECK (positions.count == SIM_PARTITIONS && without.count <= 16);
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
            log->positions[p] = wire_item_uint (&positions.items[p]);
        for (uint32_t w = 0; w < without.count; w++) {
            text_t id = wire_item_text (&without.items[w]);
            snprintf (log->without[log->without_count++], sizeof log->without[0], TEXT_FORMAT,
                      TEXT_ARGS (id));
        }
    }
}

static void put_version (sim_trainer_t *self, wire_writer_t *writer)
{
    wire_field_list (writer, "version");
    for (size_t i = 0; i < self->pinned_count; i++) {
        const pinned_log_t *log = &self->pinned[i];
        wire_open_map (writer);
        wire_field_string (writer, "log", log->log);
        wire_field_string (writer, "dataset", log->dataset);
        wire_field_uint (writer, "manifest", log->manifest);
        wire_field_list (writer, "positions");
        for (uint32_t p = 0; p < SIM_PARTITIONS; p++)
            wire_put_uint (writer, log->positions[p]);
        wire_close (writer);
        wire_field_uint (writer, "unloaded", log->unloaded);
        wire_field_uint (writer, "forgets", log->forgets);
        wire_field_list (writer, "without");
        for (size_t w = 0; w < log->without_count; w++)
            wire_put_string (writer, log->without[w]);
        wire_close (writer);
        wire_close (writer);
    }
    wire_close (writer);
}

/* What it needs is gone, or was changed: that is so, and another one is begun. */
static bool is_refused_rightly (sim_trainer_t *self, text_t why)
{
    static const char *const right[] = { "an entity was erased since", "a load was undone since",
                                         "there is no view",           "any more",
                                         "is of other streams",        "definitions have changed" };
    char text[ERROR_TEXT_MAX];
    snprintf (text, sizeof text, TEXT_FORMAT, TEXT_ARGS (why));
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        if (strstr (text, right[i]))
            return true;
    return sim_has_bad_disks (self->sim) || sim_knobs (self->sim)->every[STRIKE_ROT] > 0 ||
           sim_knobs (self->sim)->every[STRIKE_DISK_FULL] > 0;
}

static void take_failure (sim_trainer_t *self, text_t why)
{
    if (!is_refused_rightly (self, why))
        sim_fail (self->sim, "a training set fails: " TEXT_FORMAT, TEXT_ARGS (why));
    wait_and_begin (self);
}

static void ended (void *arg, const message_t *reply)
{
    (void)arg; /* else it is given up after a while */
    (void)reply;
}

static void end_set (sim_trainer_t *self)
{
    wire_writer_t *writer = client_begin (self->client, MESSAGE_TRAINING);
    wire_field_uint (writer, "id", self->id);
    wire_field_bool (writer, "end", true);
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, ended, self);
}

static void take_done (sim_trainer_t *self, const wire_value_t *body)
{
    if (!read_results (self, wire_list (body, "trained"))) {
        forget_set (self); /* once more */
        look_later (self);
        return;
    }
    end_set (self);
    self->looks = 0;
    if (self->again)
        compare_again (self);
    else
        check_call (self->sim, self);
}

static void looked (void *arg, const message_t *reply);

static void hand_over (sim_trainer_t *self)
{
    const spine_file_t *files;
    size_t count;
    error_t error;
    spine_writer_t *spine =
        spine_writer_new (self->set, self->fs, self->id, SIM_PARTITIONS, SPINE_MEMORY);
    status_t status = write_spine (self, spine, &files, &count, &error);
    if (status == STATUS_EXISTS) { /* the answer was lost, and it was written before */
        spine_writer_destroy (&spine);
        forget_set (self);
        look_later (self);
        return;
    }
    CHECK (status == STATUS_OK);
    wire_writer_t *writer = client_begin (self->client, MESSAGE_TRAINING);
    wire_field_uint (writer, "id", self->id);
    put_role (self, writer, files, count);
    self->handed = true;
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, looked, self);
    spine_writer_destroy (&spine);
}

static void looked (void *arg, const message_t *reply)
{
    sim_trainer_t *self = arg;
    if (reply && reply->kind == MESSAGE_ERROR) {
        status_t status = client_status (reply);
        text_t why = wire_text (reply->body, "text");
        if (status == STATUS_NOT_FOUND || status == STATUS_STALE)
            forget_set (self); /* it is begun anew, at the same version if that is known */
        else if (status == STATUS_INVALID) {
            take_failure (self, why);
            return;
        } else
            (void)client_may_retry (self->sim, "a training set", reply);
    }
    if (!reply || reply->kind == MESSAGE_ERROR) {
        look_later (self);
        return;
    }
    char state[16];
    self->id = wire_uint (reply->body, "id", 0);
    take_pinned (self, wire_list (reply->body, "pinned"));
    wire_copy (reply->body, "state", state, sizeof state);
    if (strcmp (state, "failed") == 0)
        take_failure (self, wire_text (reply->body, "error"));
    else if (strcmp (state, "done") == 0)
        take_done (self, reply->body);
    else if (strcmp (state, "ready") == 0 && !self->handed)
        hand_over (self);
    else if (strcmp (state, "ready") == 0) { /* what was handed over was lost */
        forget_set (self);
        look_later (self);
    } else
        look_later (self);
}

static void take_definitions (void *arg, const message_t *reply)
{
    sim_trainer_t *self = arg;
    error_t error;
    if (!reply || reply->kind != MESSAGE_DEFINITIONS_OK) {
        if (client_may_retry (self->sim, "`definitions`", reply))
            look_later (self);
        return;
    }
    model_unref (&self->model);
    status_t status = model_from_message (reply->body, &self->model, &error);
    CHECK (status == STATUS_OK);
    if (!make_set (self))
        wait_and_begin (self);
    else
        look (self->sim, self);
}

/* Goes on with what is next. */
static void look (sim_t *sim, void *arg)
{
    sim_trainer_t *self = arg;
    if (sim_finished (sim))
        return;
    if (self->model == NULL) {
        client_begin (self->client, MESSAGE_DEFINITIONS);
        client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND,
                    take_definitions, self);
        return;
    }
    wire_writer_t *writer = client_begin (self->client, MESSAGE_TRAINING);
    if (self->id != 0) {
        wire_field_uint (writer, "id", self->id);
    } else {
        wire_field_list (writer, "views");
        wire_put_string (writer, self->set->view->name);
        wire_close (writer);
        if (self->pinned_count > 0)
            put_version (self, writer);
    }
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, looked, self);
}

/* ---- life ---- */

sim_trainer_t *trainer_new (sim_t *sim)
{
    sim_trainer_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->client = client_new (sim, "trainer");
    self->fs = sim_disk_mount (sim_disk (sim));
    self->decoder = wire_decoder_new ();
    self->writer = wire_writer_new ();
    buf_init (&self->answer, WIRE_MESSAGE_MAX);
    return self;
}

void trainer_destroy (sim_trainer_t **self_p)
{
    sim_trainer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    forget_set (self);
    client_destroy (&self->client);
    wire_decoder_destroy (&self->decoder);
    wire_writer_destroy (&self->writer);
    buf_release (&self->answer);
    mem_free (self);
}

void trainer_start (sim_trainer_t *self)
{
    if (sim_knobs (self->sim)->trains)
        wait_and_begin (self);
}

void trainer_steps (sim_trainer_t *self, unsigned steps)
{
    self->steps = steps;
}

void trainer_stop (sim_trainer_t *self)
{
    self->stopped = true;
}

bool trainer_is_done (const sim_trainer_t *self)
{
    return !self->working;
}
