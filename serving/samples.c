#include "serving/samples.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "skew/sample_files.h"

#include <string.h>
#include <xxhash.h>

enum {
    SAMPLES_MAGIC = 0x53414d50,
    SHAPES_CHUNK = 16 << 10,
    KEY_BYTES_MAX = SERVICE_KEYS_MAX * KEY_SIZE_MAX,
};

/* Keys are chosen by a hash of their own: not by the one that places them. */
#define SAMPLES_SEED UINT64_C (0x73616d706c650001)

_Static_assert((int)ENTITY_LOGS_MAX <= (int)SAMPLE_PLACES_MAX, "every answer fits");

/* Writes a block, or removes all that was kept. */
typedef struct write_job {
    job_t job;
    sample_log_t *log;
    sample_writer_t *writer; /* NULL: it removes */
    int64_t now;             /* wall clock */
    status_t status;
    error_t error;
} write_job_t;

struct samples {
    uint32_t magic;
    env_t *env;
    uint64_t below;          /* hashes of keys that are kept; UINT64_MAX: all */
    sample_writer_t *writer; /* what is gathered */
    sample_writer_t *spare;  /* NULL while a job has it */
    sample_log_t *log;       /* the job's, while there is one */
    bool running;
    bool removing;        /* that job does */
    bool forget;          /* what is on the disk is to go … */
    int64_t forget_at;    /* … at this boot time at the earliest: it failed before */
    int64_t forgotten;    /* boot µs: queries that were begun then may still have what went */
    bool failing;         /* the latest job did */
    int64_t since;        /* boot µs of the first answer in the writer */
    buf_t key;            /* of an entity, while it is looked at */
    arena_t *shapes;      /* of the shape below */
    uint64_t shape_of;    /* the query whose it is */
    uint64_t shape_block; /* and the block that has it … */
    int shape_number;     /* … under this number */
    sample_shape_t shape;
    uint64_t block; /* counts them */
    uint64_t taken;
    uint64_t written;
    uint64_t dropped;
};

samples_t *samples_new (env_t *env, const serving_options_t *options)
{
    if (options->sample <= 0)
        return NULL;
    samples_t *self = mem_zero (1, sizeof *self);
    self->magic = SAMPLES_MAGIC;
    self->env = env;
    self->below =
        options->sample >= 1 ? UINT64_MAX : (uint64_t)(options->sample * 18446744073709551616.0);
    self->writer = sample_writer_new ();
    self->spare = sample_writer_new ();
    self->log = sample_log_new (&(sample_log_options_t){ .fs = env->fs,
                                                         .node = options->node,
                                                         .place = options->place,
                                                         .partitions = options->partitions,
                                                         .size_max = options->sample_size,
                                                         .keep = options->sample_keep });
    buf_init (&self->key, KEY_BYTES_MAX);
    self->shapes = arena_new (SHAPES_CHUNK);
    self->block = 1;
    self->forgotten = INT64_MIN;
    return self;
}

void samples_destroy (samples_t **self_p)
{
    samples_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    sample_writer_destroy (&self->writer);
    sample_writer_destroy (&self->spare);
    if (!self->running) /* else the job's discard does */
        sample_log_destroy (&self->log);
    buf_release (&self->key);
    arena_destroy (&self->shapes);
    self->magic = 0;
    mem_free (self);
}

/* ---- what is kept ---- */

/* A service's key is all of its fields; a view's is the key. */
static bool is_chosen (samples_t *self, const query_t *query, size_t entity)
{
    const service_t *service = query->target.service;
    text_t key;
    if (self->below == UINT64_MAX)
        return true;
    if (service == NULL) {
        key = query_key_of (query, 0, entity)->key;
    } else {
        buf_clear (&self->key);
        for (size_t i = 0; i < service->keys_count; i++)
            key_put (&self->key, &query->entities[entity].fields[i]);
        key = (text_t){ (const char *)self->key.data, (uint32_t)self->key.size };
    }
    return XXH3_64bits_withSeed (key.data, key.size, SAMPLES_SEED) < self->below;
}

static void name_views (const query_t *query, arena_t *arena, sample_shape_t *shape)
{
    const query_target_t *target = &query->target;
    sample_view_t *views = arena_zero (arena, target->roles_count + 1, sizeof *views);
    size_t count = 0;
    for (size_t r = 0; r < target->roles_count; r++) {
        bool told = false;
        for (size_t k = 0; k < r; k++)
            told = told || target->roles[k].view == target->roles[r].view;
        if (!told)
            views[count++] = (sample_view_t){ text_of (target->roles[r].view->name),
                                              target->roles[r].plan->version };
    }
    for (size_t r = 0; r < target->roles_count; r++)
        shape->meaning +=
            sample_meaning (target->roles[r].number, outcome_task_meaning (target->roles[r].task));
    shape->views = views;
    shape->views_count = count;
}

static void name_fields (const query_t *query, arena_t *arena, sample_shape_t *shape)
{
    const service_t *service = query->target.service;
    const view_t *view = query->target.roles_count > 0 ? query->target.roles->view : NULL;
    shape->keys_count = service ? service->keys_count : view->key_count;
    shape->request_count = service ? service->request_count : view->request_count;
    text_t *keys = arena_zero (arena, shape->keys_count + shape->request_count + 1, sizeof *keys);
    for (size_t i = 0; i < shape->keys_count; i++)
        keys[i] = text_of (service ? service->keys[i].name : view_key_field (view, i)->name);
    for (size_t i = 0; i < shape->request_count; i++)
        keys[shape->keys_count + i] =
            text_of (service ? service->request[i].name : view->request[i].name);
    shape->keys = keys;
}

/* What the query's answers are of; it is the same for all of its entities. */
static bool find_shape (samples_t *self, const query_t *query)
{
    if (self->shape_of == query->id && self->shape_block == self->block)
        return self->shape_number >= 0;
    const query_target_t *target = &query->target;
    arena_reset (self->shapes);
    sample_shape_t *shape = &self->shape;
    *shape = (sample_shape_t){ .service = target->service != NULL,
                               .name = text_of (target->plan->view),
                               .version = target->service ? target->service->version
                                                          : target->plan->version,
                               .features_count = query->features_count };
    name_views (query, self->shapes, shape);
    name_fields (query, self->shapes, shape);
    sample_field_t *features =
        arena_zero (self->shapes, query->features_count + 1, sizeof *features);
    for (size_t i = 0; i < query->features_count; i++) {
        const plan_feature_t *feature = &target->plan->features[target->features[i]];
        features[i] = (sample_field_t){ text_of (feature->name), text_of (feature->type_text) };
    }
    shape->features = features;
    self->shape_of = query->id;
    self->shape_block = self->block;
    self->shape_number = sample_writer_shape (self->writer, shape);
    return self->shape_number >= 0;
}

static bool find_places (samples_t *self, const entity_log_t *logs, size_t count,
                         sample_place_t *places)
{
    for (size_t i = 0; i < count; i++) {
        const query_part_t *part = logs[i].part;
        const dataset_part_t *of = &part->dataset->parts[part->partition];
        int number = sample_writer_dataset (
            self->writer, &(sample_dataset_t){ text_of (logs[i].log_name), part->dataset->number });
        if (number < 0)
            return false;
        places[i] = (sample_place_t){
            .dataset = (uint32_t)number,
            .partition = part->partition,
            .cut = of->cut,
            .position = logs[i].position > of->cut ? logs[i].position : of->cut,
            .absent = of->absent,
            .absent_count = of->absent_count,
        };
    }
    return true;
}

/* Of the key, and then of the request. */
static const value_t *fields_of (samples_t *self, const query_t *query, size_t entity,
                                 value_t *room)
{
    const sample_shape_t *shape = &self->shape;
    const value_t *fields = query->entities[entity].fields;
    if (query->target.service)
        return fields; /* has both */
    const query_key_t *key = query_key_of (query, 0, entity);
    const view_t *view = query->target.roles->view;
    for (size_t i = 0; i < shape->keys_count; i++)
        room[i] = fields[i];
    for (size_t i = 0; i < shape->request_count; i++)
        room[shape->keys_count + i] =
            key->request ? key->request[i]
                         : (value_t){ .type = view->request[i].type, .null = true };
    return room;
}

static bool add (samples_t *self, const query_t *query, size_t entity, const outcome_t *outcomes,
                 size_t at, const entity_log_t *logs, size_t logs_count, bool complete)
{
    sample_place_t places[ENTITY_LOGS_MAX];
    value_t fields[KEY_FIELDS_MAX + REQUEST_FIELDS_MAX];
    value_t values[FEATURES_MAX];
    text_t errors[FEATURES_MAX];
    if (query->features_count > FEATURES_MAX || !find_shape (self, query) ||
        !find_places (self, logs, logs_count, places))
        return false;
    for (size_t i = 0; i < query->features_count; i++) {
        const outcome_t *outcome = outcome_of (query->target.task, outcomes, at, i);
        values[i] = outcome->value;
        errors[i] = outcome->error ? text_of (outcome->error) : (text_t){ .size = 0 };
    }
    const service_t *service = query->target.service;
    const sample_answer_t answer = {
        .shape = (uint32_t)self->shape_number,
        .time = self->env->clock_us (self->env),
        .as_of = query->entities[entity].as_of,
        .flags =
            (complete ? SAMPLE_COMPLETE : 0u) | (service && service->before ? SAMPLE_BEFORE : 0u),
        .fields = fields_of (self, query, entity, fields),
        .places = places,
        .places_count = logs_count,
        .values = values,
        .errors = errors,
    };
    return sample_writer_add (self->writer, &self->shape, &answer);
}

static void write_soon (samples_t *self);

void samples_take (samples_t *self, const query_t *query, size_t entity, const outcome_t *outcomes,
                   size_t at, const entity_log_t *logs, size_t logs_count, bool complete)
{
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    if (!query->want_batch || !query->want_realtime || logs_count == 0 ||
        !is_chosen (self, query, entity))
        return;
    if (query->begun <= self->forgotten) {
        self->dropped++;
        return;
    }
    if (sample_writer_answers (self->writer) == 0)
        self->since = self->env->boot_us (self->env);
    if (add (self, query, entity, outcomes, at, logs, logs_count, complete))
        self->taken++;
    else
        self->dropped++;
    if (sample_writer_size (self->writer) >= SAMPLES_FLUSH)
        write_soon (self);
}

/* ---- writing ---- */

static void write_run (job_t *job)
{
    write_job_t *self = (write_job_t *)job;
    if (self->writer == NULL) {
        self->status = sample_log_remove (self->log, &self->error);
        return;
    }
    buf_t block;
    buf_init (&block, SAMPLE_HEADER + 2 * (size_t)SAMPLE_BLOCK_MAX);
    if (sample_writer_end (self->writer, &block))
        self->status =
            sample_log_append (self->log, block.data, block.size, self->now, &self->error);
    else
        self->status =
            error_set (&self->error, STATUS_TOO_LARGE, "a block of answers is too large");
    buf_release (&block);
}

static void write_discard (job_t *job)
{
    write_job_t *self = (write_job_t *)job;
    sample_log_destroy (&self->log);
    sample_writer_destroy (&self->writer);
    mem_free (self);
}

/* One at a time: what comes meanwhile is gathered. */
static void write_soon (samples_t *self)
{
    bool early = self->forget && self->env->boot_us (self->env) < self->forget_at;
    if (self->running || early || (!self->forget && sample_writer_answers (self->writer) == 0))
        return;
    write_job_t *job = mem_zero (1, sizeof *job);
    job->job.run = write_run;
    job->job.discard = write_discard;
    job->job.lane = SAMPLES_LANE;
    job->log = self->log;
    job->now = self->env->clock_us (self->env);
    self->removing = self->forget;
    if (!self->forget) {
        job->writer = self->writer;
        self->writer = self->spare;
        self->spare = NULL;
        self->block++;
    }
    self->forget = false;
    self->running = true;
    self->env->submit (self->env, &job->job);
}

static void failed (samples_t *self, const write_job_t *job)
{
    if (!self->failing)
        env_log (self->env, LOG_WARNING, "the sample of answers is not %s: %s",
                 job->writer ? "written" : "removed", job->error.text);
    if (job->writer) {
        self->dropped += sample_writer_answers (job->writer);
    } else {
        self->forget = true;
        self->forget_at = self->env->boot_us (self->env) + SAMPLES_WAIT;
    }
}

bool samples_job_done (samples_t *self, job_t *done)
{
    if (done->run != write_run)
        return false;
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    write_job_t *job = (write_job_t *)done;
    self->running = self->removing = false;
    if (job->status != STATUS_OK)
        failed (self, job);
    else if (job->writer)
        self->written += sample_writer_answers (job->writer);
    self->failing = job->status != STATUS_OK;
    if (job->writer) {
        self->spare = job->writer;
        sample_writer_clear (self->spare);
    }
    mem_free (job);
    return true;
}

void samples_forget (samples_t *self)
{
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    self->dropped += sample_writer_answers (self->writer);
    sample_writer_clear (self->writer);
    self->block++;
    self->forget = true;
    self->forgotten = self->env->boot_us (self->env);
    write_soon (self);
}

bool samples_are_stale (const samples_t *self)
{
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    return self->forget || self->removing;
}

int64_t samples_tick (samples_t *self, int64_t now)
{
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    bool any = sample_writer_answers (self->writer) > 0;
    if (self->running || !(any || self->forget))
        return INT64_MAX;
    int64_t due = self->forget ? self->forget_at : self->since + SAMPLES_WAIT;
    if (now < due)
        return due;
    write_soon (self);
    return INT64_MAX;
}

void samples_metrics (const samples_t *self, wire_writer_t *writer)
{
    CHECK_OBJECT (self, SAMPLES_MAGIC);
    wire_field_uint (writer, "samples", self->taken);
    wire_field_uint (writer, "samples_written", self->written);
    wire_field_uint (writer, "samples_dropped", self->dropped);
}
